"""The tables of the documentation that are computed from stored results; `pages.py` puts them into the pages."""

import csv
import math
import runpy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, TypeAlias

import polars as pl

from compactproofs import zoo
from compactproofs.paper import table1
from compactproofs.paper.frontier import as_markdown
from compactproofs.paper.rows import published

ROOT = Path(__file__).parent.parent

Rows = list[list[str]]


def table(headers: list[str], rows: Rows) -> str:
    """A table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("|" + "".join(f" {cell} |" if cell else " |" for cell in cells) for cells in lines)


def read(name: str) -> pl.DataFrame:
    """A file of results."""
    return pl.read_csv(ROOT / name, infer_schema_length=None)


def down(share: float, digits: int) -> str:
    """A share, rounded down: what is proved is never rounded up."""
    return f"{math.floor((share + 1e-12) * 10**digits) / 10**digits:.{digits}f}"


def up(share: float, digits: int) -> str:
    """A share, rounded up: nor is what is proved from above rounded down."""
    return f"{math.ceil((share - 1e-12) * 10**digits) / 10**digits:.{digits}f}"


def frontier() -> str:
    """Our strategies, means over the models."""
    points = read("docs/frontier.csv")
    ours = tuple(name for name in points["strategy"] if name.startswith("failing-sets"))
    return as_markdown(points, ours).strip()


def tighten() -> str:
    """What is proved before and after, by each strategy, means and least."""
    results = read("docs/tighten/results.csv")
    trained = results["trained_for"][0]

    def cells(frame: pl.DataFrame, columns: list[str]) -> list[str]:
        found = []
        for column in columns:
            digits = 7 if "after" in column else 6
            found += [down(float(value), digits) for value in (frame[column].mean(), frame[column].min())]
        return found

    rows = []
    for strategy in results["proved_by"].unique(maintain_order=True):
        part = results.filter(pl.col("proved_by") == strategy)
        words = "the one trained for" if strategy == trained else f"`{strategy}`"
        flops = f"{part['flops'].mean():,.0f}"
        rows.append([words, *cells(part, ["before", "control", "after"]), flops])
    others = read("docs/tighten/others.csv").with_columns(pl.col("before", "after") / pl.col("total"))
    for strategy in others["proved_by"].unique(maintain_order=True):
        part = others.filter(pl.col("proved_by") == strategy)
        flops = f"{part['flops'].mean():,.0f}"
        rows.append([f"`{strategy}`", *cells(part, ["before"]), "", "", *cells(part, ["after"]), flops])
    each = results.unique("model", maintain_order=True)
    right = each.select(
        before=pl.col("correct_before") / pl.col("total"),
        control=pl.col("correct_control") / pl.col("total"),
        after=pl.col("correct_after") / pl.col("total"),
    )
    rows.append(["*right, exactly*", *cells(right, ["before", "control", "after"]), ""])
    return table(["strategy", "before", "least", "control", "least", "after", "least", "operations"], rows)


def subspace() -> str:
    """Networks of few dimensions, one by one."""
    results = read("docs/tighten/subspace/results.csv")
    rows = [[str(row["dimensions"]), *_trained_on(row), f"{row['distance']:.3f}"] for row in results.to_dicts()]
    return table(["dimensions", *_TRAINED_ON, "distance"], rows)


def line() -> str:
    """Networks on a line, one by one."""
    rows = [
        [f"{row['distance_penalty']:g}", *_trained_on(row), f"{row['distance']:.3f}", f"{row['cross_entropy']:.3f}"]
        for row in read("docs/tighten/line/results.csv").to_dicts()
    ]
    return table(["distance penalty", *_TRAINED_ON, "distance", "cross-entropy"], rows)


def few_directions() -> str:
    """Networks that add, with few neurons, one by one."""
    rows = []
    for row in read("docs/tighten/pairs/results.csv").to_dicts():
        right = [f"{row[name]:,}" for name in ("correct_before", "correct_after", "proved")]
        leads = [f"{row[name]:.1f}" for name in ("least_lead_before", "least_lead")]
        sure = [*leads, f"{row['cross_entropy_before']:.1g}", f"{row['cross_entropy']:.1g}", f"{row['distance']:.2f}"]
        rows.append([f"`{row['model']}`", *right, f"{row['flops']:,}", *sure])
    headers = ["model", "right before", "right after", "proved", "operations"]
    return table([*headers, "least lead before", "after", "cross-entropy before", "after", "distance"], rows)


_TRAINED_ON = ["model", "right before", "right after", "proved", "share", "operations"]


def _trained_on(row: dict[str, int]) -> list[str]:
    inputs = [f"{row[name]:,}" for name in ("right_before", "right_after", "proved")]
    return [f"`max-of-4/{row['seed']}`", *inputs, down(row["proved"] / 64**4, 6), f"{row['operations']:,}"]


def pair_sums() -> str:
    """Networks of two arguments: medians of operations, and how many are exact."""
    results = read("docs/strategies/pair-sum.csv").with_columns(share=pl.col("certified") / pl.col("right"))

    def power(value: float) -> str:
        return f"2^{math.log2(float(value)):.2f}"

    rows = []
    for task in results["task"].unique(maintain_order=True):
        part = results.filter(pl.col("task") == task)
        by = {name[0].removeprefix("pair-sum/"): frame for name, frame in part.group_by("strategy")}
        cells, near = [str(task), power(by["brute-force"]["flops"].median())], by["equivariant-distance"]
        for name in ("low-rank", "low-rank-separable", "low-rank-halves", "thin-halves"):
            if name not in by:
                cells.append("")
                continue
            low = by[name]
            median, least = low["flops"].median(), low["flops"].min()
            exact, all_of = (low["share"] == 1.0).sum(), len(low)
            cells.append(
                power(median)
                + (f" (least {power(least)})" if median > 1.5 * least else "")
                + ("" if exact == all_of == len(near) else f", exact for {exact} of {all_of}")
            )
        mean = near["share"].mean()
        cells += [f"{mean:.3f}" if mean else "0", str((near["share"] == 1.0).sum()), power(near["flops"].median())]
        rows.append(cells)
    headers = ["task", "brute force", "low rank", "separable", "halves", "thin halves"]
    return table([*headers, "equivariant distance: mean", "exact for", "operations"], rows)


def accepted() -> pl.DataFrame:
    """The theorems that coqc accepted."""
    return read("formal/measured.csv").filter(pl.col("accepted").cast(pl.String).str.to_lowercase() == "true")


def formal() -> str:
    """Every theorem that coqc accepted: the number, by both arguments, with seconds and axioms."""
    results, rows = accepted(), []
    boxes = {row["model"]: row for row in results.filter(pl.col("argument") == "boxes").to_dicts()}
    cubic = {row["model"]: row for row in results.filter(pl.col("argument") == "cubic").to_dicts()}
    for model, row in boxes.items():
        number = f"{row['at_least']:,}"
        if row["at_most"] != row["at_least"]:
            number += f" to {row['at_most']:,}"
        other = cubic.get(model)
        also = [f"{other['at_least']:,}", f"{other['coqc_seconds']:.1f}"] if other else ["", ""]
        rows.append(
            [f"`{model}`", number, f"{row['total']:,}", f"{row['coqc_seconds']:.1f}", str(row["axioms"]), *also]
        )
    headers = ["model", "right answers", "inputs", "coqc, s", "axioms", "at least, by `cubic`", "coqc, s"]
    return table(headers, rows)


def formal_failing_sets() -> str:
    """Theorems that coqc accepted by the argument of failing sets, and how long by boxes; the program the same."""

    def seconds(name: str, column: str) -> dict[tuple[str, str], str]:
        return {(row["model"], row["argument"]): f"{row[column]:.1f}" for row in read(name).to_dicts()}

    coqc, program = (
        seconds("formal/measured.csv", "coqc_seconds"),
        seconds("formal/program.csv", "program_seconds"),
    )
    rows = [
        [
            f"`{row['model']}`",
            f"{row['at_least']:,}",
            str(row["axioms"]),
            *(of.get((row["model"], by), "") for of in (coqc, program) for by in ("failing-sets", "boxes")),
        ]
        for row in accepted().filter(pl.col("argument") == "failing-sets").to_dicts()
    ]
    headers = ["model", "at least", "axioms", "coqc, s", "by boxes", "extracted program, s", "by boxes"]
    return table(headers, rows)


def claims() -> str:
    """Claims of all kinds, as they are drawn."""
    tool = runpy.run_path(str(ROOT / "tools" / "draw_claims.py"))
    return str(tool["as_markdown"](tool["points"]()))


def anomalies(which: str) -> str:
    """What proofs leave out, as a detector of errors."""
    tool = runpy.run_path(str(ROOT / "benchmarks" / "anomalies.py"))
    return str(tool[f"{which}_as_markdown"](read("docs/anomalies.csv")))


def scaling() -> str:
    """Exponents of operations, seconds and memory."""
    tool = runpy.run_path(str(ROOT / "benchmarks" / "scaling.py"))
    lines: list[str] = tool["table_of_exponents"](read("docs/scaling.csv").cast(pl.String).fill_null("").to_dicts())
    return "\n".join(lines)


def failing_sets() -> str:
    """Our strategies for the models as they were trained, as a share of the exact count."""
    rows = []
    for row in read("docs/frontier.csv").filter(pl.col("strategy").str.starts_with("failing-sets")).to_dicts():
        bounds = ["1" if row[name] == 1 else down(row[name], 5) for name in ("normalised", "lowest")]
        operations = [f"{row[name]:,.0f}" for name in ("flops", "flops_median", "flops_max", "int_ops")]
        name = row["strategy"].replace("failing-sets/", "…/")
        rows.append([f"`{name}`", *operations, *bounds, str(row["exact"])])
    headers = ["strategy", "operations, mean", "median", "largest", "integer operations", "bound, mean", "least"]
    return table([*headers, "exact for"], rows)


#: Rows of the paper, our strategy that has the bound for no more operations, and what is to be said of it.
OURS_INSTEAD = (
    ("brute force", "failing-sets", ""),
    ("cubic", "failing-sets", ""),
    ("sub-cubic", "failing-sets", ""),
    ("low-rank QK", "failing-sets/low-rank-QK", ""),
    ("low-rank EU", "failing-sets/low-rank-EU", ""),
    ("low-rank QK&EU", "failing-sets/low-rank-QK+EU", ""),
    ("quadratic QK", "failing-sets/quadratic-QK", " (Q Kᵀ in d³)"),
    ("quadratic QK", "failing-sets/strict-QK", " (no product of W_Q and W_K)"),
    ("quadratic QK&EU", "failing-sets/strict-QK+EU", ""),
)


def paper_rows() -> str:
    """The paper's rows as published beside ours."""
    means = {row["strategy"]: row for row in read("docs/frontier.csv").to_dicts()}
    first, later = published()["paper June 2024"], published()["later data"]
    rows = []
    for name, strategy, words in OURS_INSTEAD:
        flops, ours = first[name].flops or 0.0, means[strategy]
        bound = f"{later[name].mean:.3f} (corrected)" if name == "cubic" else f"{first[name].mean:g}"
        short = f"2^{math.log2(flops):.1f}" if flops > 2**30 else f"{flops / 1e6:.3g} M"
        exact = "1" if ours["normalised"] == 1 else down(ours["normalised"], 4)
        rows.append([name, bound, short, f"`{strategy}`{words}", exact, f"{ours['flops'] / 1e6:.2f} M"])
    headers = ["row of the paper", "published bound", "published FLOPs", "our strategy", "our bound", "our FLOPs"]
    return table(headers, rows)


def heads() -> str:
    """Networks of several heads, one by one."""
    each: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in read("docs/strategies/heads.csv").to_dicts():
        each.setdefault((str(row["heads"]), str(row["seed"])), {})[row["strategy"]] = row
    rows = []
    for names, by in each.items():
        cubic, exact = by["heads/cubic"], by["heads/branch-and-bound"]
        assert exact["certified"] == by["heads/branch-and-bound-upper"]["certified"]
        shares = [row["certified"] / row["total"] for row in (exact, cubic)]
        accuracy = f"{exact['certified']} ({down(shares[0], 6)})"
        low = [f"{cubic['certified']} ({down(shares[1], 4)})", down(shares[1] / shares[0], 4)]
        rows.append([*names, accuracy, *low, *(f"2^{math.log2(row['flops']):.1f}" for row in (cubic, exact))])
        rows[-1].append(f"{exact['seconds']:.1f}")
    headers = ["heads", "seed", "exact accuracy", "`heads/cubic`", "of the exact", "its operations"]
    return table([*headers, "`heads/branch-and-bound`: operations", "seconds for claim and check"], rows)


Sides: TypeAlias = tuple[dict[str, Any] | None, dict[str, Any] | None]


def both_sides(family: str) -> dict[str, Sides]:
    """For each model of a family what is proved from below, if anything, and from above."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    with (ROOT / "docs/strategies/large-k.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):  # more digits than Polars has
            if row["model"].startswith(f"{family}/"):
                found.setdefault(row["model"], {})["upper" if row["strategy"].endswith("-upper") else "lower"] = row
    return {model: (sides.get("lower"), sides.get("upper")) for model, sides in found.items()}


def seconds_to_prove(row: dict[str, Any]) -> float:
    """Search, claim and check."""
    return float(row["search_seconds"]) + float(row["verify_seconds"])


def ratio(lower: dict[str, Any] | None, upper: dict[str, Any] | None) -> float:
    """How near the bounds are, where there are both."""
    assert lower is not None
    assert upper is not None
    return int(lower["certified"]) / int(upper["certified"])


def large_k() -> str:
    """Bounds from both sides by histograms."""
    rows = []
    for family in ("max-of-10", "max-of-20", "max-of-10-v128", "max-of-20-v512"):
        for model, sides in both_sides(family).items():
            low, high = sides
            bounds = [
                "" if low is None else down(float(low["bound"]), 9),
                "" if high is None else up(float(high["bound"]), 9),
            ]
            costs = []
            for row in sides:
                operations = "" if row is None else f"{int(row['flops']):.1e}".replace("e+0", "e").replace("e+", "e")
                seconds = (0.0, 0.0) if row is None else (seconds_to_prove(row), float(row["verify_seconds"]))
                costs += ["", "", ""] if row is None else [*(f"{each:.0f}" for each in seconds), operations]
            rows.append([f"`{model}`", *bounds, "" if None in sides else down(ratio(low, high), 8), *costs])
    side = ["prove", "check", "FLOPs"]
    return table(["model", "lower", "upper", "lower / upper", *side, *side], rows)


def large_k_summary() -> str:
    """The same, in a line for each family, with what was measured on another machine."""

    def measured(name: str, family: str) -> list[list[str]]:
        with (ROOT / f"docs/measured/{name}.csv").open(newline="", encoding="utf-8") as stream:
            return [row for row in csv.reader(stream) if row[0].startswith(f"`{family}/")]

    def span(values: list[float], digits: int = 0) -> str:
        return " to ".join(dict.fromkeys(f"{value:.{digits}f}" for value in (min(values), max(values))))

    def near(ratios: list[float]) -> str:
        return f"{down(min(ratios), 5)} to {down(max(ratios), 7)} on {len(ratios)} models"

    five = [row for sides in both_sides("max-of-5").values() for row in sides if row]
    assert all(ratio(*sides) == 1.0 for sides in both_sides("max-of-5").values())
    timed = [row for row in five if row["search_seconds"]]
    prove, check = [seconds_to_prove(row) for row in timed], [float(row["verify_seconds"]) for row in timed]
    rows = [["K = 5, v = 64", "1: exact on all 151 models", span(prove, 1), span(check, 1)]]
    for k in (10, 20):
        pairs = list(both_sides(f"max-of-{k}").values())
        two, before = measured("large-k-two-cores", f"max-of-{k}"), measured("large-k-before", f"max-of-{k}")
        sides = [row for pair in pairs for row in pair if row]
        ratios = [ratio(*pair) for pair in pairs if None not in pair] + [float(row[4]) for row in two]
        words = f"{near(ratios)}, 0.99999 or more on {sum(r >= 0.99999 for r in ratios)}"
        words += "".join(f"; {down(float(row[4]), 3)} on {row[0]} before" for row in before)
        prove = [seconds_to_prove(row) for row in sides] + [float(row[i]) for row in two for i in (5, 9)]
        check = [float(row["verify_seconds"]) for row in sides] + [float(row[i]) for row in two for i in (6, 10)]
        rows.append([f"K = {k}, v = 64", words, span(prove), span(check)])
    before = measured("large-k-before", "max-of-10-v128")
    known = [pair for pair in both_sides("max-of-10-v128").values() if None not in pair]
    ratios, sides = [ratio(*pair) for pair in known], [row for pair in known for row in pair if row]
    words = f"{near(ratios + [float(row[4]) for row in before])}, 0.9999 or more on {sum(r >= 0.9999 for r in ratios)}"
    prove, check = [seconds_to_prove(row) for row in sides], [float(row["verify_seconds"]) for row in sides]
    seconds = span([float(row[i]) for row in before for i in (5, 6)])
    rows.append(["K = 10, v = 128", words, f"{span(prove)}; {seconds} before", span(check)])
    large = [row for row, _ in both_sides("max-of-20-v512").values() if row]
    best = ", ".join(down(float(row["bound"]), 4) for row in large)
    prove, check = [seconds_to_prove(row) for row in large], [float(row["verify_seconds"]) for row in large]
    cells = ["none: 0.7945 by `cubic`", "", ""]
    if large:
        cells = [f"{best} from below on {len(large)} model", span(prove), span(check)]
    rows.append(["K = 20, v = 512", *cells])
    for row, size in zip(rows, ((5, 64), (10, 64), (20, 64), (10, 128), (20, 512)), strict=True):
        cubic = published(*size).get("later data", {}).get("cubic")
        row.insert(1, f"{cubic.mean:.3f}" if cubic else "")
    headers = [
        "inputs",
        "paper, normalised",
        "ours: lower bound over upper bound",
        "seconds to prove a side",
        "to check",
    ]
    return table(headers, rows)


def importance() -> str:
    """Draws by importance beside plain ones of as many operations."""
    found = {(row["model"], row["method"]): row for row in drawn("importance")}
    rows = []
    for model, method in found:
        if method == "importance":
            by, plain = found[model, "importance"], found[model, "plain"]
            cells = [f"`{model}`", f"2^{math.log2(int(by['flops']) + int(by['int_ops'])):.1f}"]
            for row in (plain, by):
                width = (int(row["at_most"]) - int(row["at_least"])) / int(row["total"])
                cells += [f"{int(row['samples']):,}", f"{width:.1e}"]
            rows.append(cells)
    return table(["model", "operations", "plain: draws", "width", "by importance: draws", "width"], rows)


def inside() -> str:
    """Draws from between two counted sets."""
    rows = []
    for row in drawn("inside"):
        total = int(row["total"])
        low, high = int(row["at_least"]), int(row["at_most"])
        cells = [f"`{row['model']}`", *(f"{int(row[name]):,}" for name in ("samples", "open", "not_right"))]
        cells += [f"{low * 10**9 // total / 10**9:.9f}", f"{-(-high * 10**9 // total) / 10**9:.9f}"]
        cells += [f"{part / total:.1e}" for part in (high - low, int(row["urn"]), int(row["known"]))]
        rows.append([*cells, f"2^{math.log2(int(row['flops']) + int(row['int_ops'])):.1f}"])
    headers = ["model", "draws", "open", "not right", "accuracy from", "to", "width", "members", "known", "operations"]
    return table(headers, rows)


def drawn(name: str) -> list[dict[str, str]]:
    """Random inputs, with more digits than Polars has."""
    with (ROOT / f"docs/confidence/{name}.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def distances() -> str:
    """What a penalty on the distance costs, on the first models of the zoo."""
    free = read("docs/tighten/results.csv")
    rows = []
    for penalty in (8, 10, 15):
        kept = read(f"docs/tighten/distance-{penalty}.csv")
        models = kept["model"].unique(maintain_order=True)
        for size, results in ((0, free.filter(pl.col("model").is_in(models.to_list()))), (penalty, kept)):
            part = results.filter(pl.col("proved_by") == pl.col("trained_for"))
            assert part["model"].to_list() == models.to_list()
            right = float((part["correct_after"] / part["total"]).mean())
            digits, close = (7, 8) if size == 0 else (6, 6)
            with_control = results["control"].null_count() == 0
            shares = [down(part["before"].mean(), 6), down(part["control"].mean(), 6) if with_control else ""]
            shares += [down(part["after"].mean(), digits), down(part["after"].min(), digits), down(right, close)]
            far = [f"{part['distance'].mean():.3f}", f"{part['control_distance'].mean():.3f}" if with_control else ""]
            rows.append(["all 151" if len(models) == 151 else f"first {len(models)}", str(size), *shares, *far])
    headers = ["models", "distance penalty", "before", "control", "after", "least", "right after", "distance"]
    return table([*headers, "of the control"], rows)


_FAMILIES = runpy.run_path(str(ROOT / "benchmarks" / "table1_larger.py"))


def table_1() -> str:
    """The paper's strategies on its 151 models."""
    results = _FAMILIES["stored"](ROOT / "docs/table1/max-of-4.csv")
    return table1.as_markdown(table1.summarise(results)).strip()


def table_1_larger() -> str:
    """The same, for the other families."""
    columns: list[tuple[bool, dict[str, table1.TableRow]]] = []
    headers = ["row"]
    for family, words in zip(_FAMILIES["FAMILIES"], ("K = 5", "K = 10", "K = 20", "K = 10, v = 128"), strict=True):
        size = next((row.n_ctx, row.d_vocab) for row in zoo.table() if row.name.startswith(f"{family}/"))
        found = table1.summarise(_FAMILIES["stored"](ROOT / f"docs/table1/{family}.csv"), *size)
        later = any(row.published for row in found)
        columns.append((later, {row.name: row for row in found}))
        headers += [words, *(["later data"] if later else [])]
    rows = []
    for name in columns[0][1]:
        cells = [name]
        for later, by in columns:
            cells.append(f"{by[name].mean:.4f} ± {by[name].std:.4f}")
            if later:
                known = by[name].published.get("later data")
                cells.append(f"{known.mean:.3f} ± {known.std:.3f}" if known else "")
        powers = ", ".join(f"2^{math.log2(by[name].flops):.2f}" for _, by in columns)
        rows.append([*cells, powers])
    return table([*headers, "FLOPs of these"], rows)


def zoo_families() -> str:
    """How often the models that ship are right."""
    rows = []
    families: dict[str, list[zoo.ZooRow]] = {}
    for row in zoo.table():
        families.setdefault(row.name.partition("/")[0], []).append(row)
    for family, models in families.items():
        if family.endswith("-tightened"):
            continue
        first = models[0]
        exact = [row.exact_correct / row.total for row in models if row.sampled_accuracy is None and row.exact_correct]
        shares = exact or [row.sampled_accuracy or 0.0 for row in models]
        how = ("all inputs" if first.n_ctx == 4 else "proofs of both sides") if exact else "a million inputs"
        size = [f"`{family}`", str(len(models)), str(first.n_ctx), str(first.d_vocab)]
        rows.append([*size, f"{fmean(shares):.5f} ± {stdev(shares):.5f}", f"{min(shares):.5f}", how])
    return table(["family", "models", "K", "tokens", "accuracy", "lowest", "known from"], rows)


def compared_classes() -> str:
    """How many inputs auto_LiRPA and we certify."""
    ours: dict[str, list[dict[str, Any]]] = {}
    for row in read("docs/comparison/ours.csv").to_dicts():
        ours.setdefault(row["model"], []).append(row)
    rows = []
    asked = read("docs/comparison/classes.csv").to_dicts()
    for model in dict.fromkeys(row["model"] for row in asked):
        name = f"`{model.removeprefix('cases/')}`"
        exact = next(row["certified"] for row in ours[model] if row["strategy"] in ("brute-force", "enumerate"))
        for row in asked:
            if row["model"] == model:
                some = "" if row["boxes"] == row["of"] else f"; {row['boxes']} of {row['of']:,} boxes"
                right = exact if row["right"] is None else row["right"]
                assert row["certified"] <= right
                numbers = [f"{right:,}", f"{row['certified']:,}", f"{row['bounded']:,} boxes"]
                rows.append([name, f"auto_LiRPA: {row['way']}{some}", *numbers, "", f"{row['seconds']:.2f}"])
        for row in ours[model]:
            numbers = [f"{exact:,}", f"{row['certified']:,}", f"{row['flops']:,}"]
            seconds = [f"{row[which]:.2f}" for which in ("find_seconds", "check_seconds")]
            rows.append([name, f"`{row['strategy']}`", *numbers, *seconds])
    headers = [
        "model",
        "asked",
        "right inputs",
        "certified",
        "boxes bounded, or operations",
        "seconds to find",
        "to check",
    ]
    return table(headers, rows)


def compared_points() -> str:
    """Where bounds that floats compute are beyond the truth."""
    rows = []
    for row in read("docs/comparison/points.csv").to_dicts():
        names = ("number", "right", "certified", "certified_and_wrong", "beyond_the_truth")
        numbers = [f"{row[name]:,}" for name in names]
        model = f"`{row['model'].removeprefix('cases/')}`"
        rows.append([model, row["inputs"], row["dtype"], *numbers, f"{row['furthest_beyond']:.1e}"])
    headers = [
        "model",
        "inputs",
        "floats",
        "number",
        "right",
        "certified",
        "of these wrong",
        "bound above truth",
        "by up to",
    ]
    return table(headers, rows)


def compared_balls() -> str:
    """Robustness, of which we have no proofs."""
    rows = []
    for row in read("docs/comparison/balls.csv").to_dicts():
        numbers = [f"{row[name]:,}" for name in ("inputs", "right", "certified")]
        model = f"`{row['model'].removeprefix('cases/')}`"
        rows.append([model, f"{row['radius']:g}", *numbers, f"{row['seconds']:.1f}"])
    return table(["model", "radius", "inputs", "right", "certified on the whole ball", "seconds"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "scaling": scaling,
    "claims": claims,
    "detectors": partial(anomalies, "detectors"),
    "shared": partial(anomalies, "shared"),
    "frontier": frontier,
    "tighten": tighten,
    "subspace": subspace,
    "line": line,
    "few-directions": few_directions,
    "pair-sum": pair_sums,
    "formal": formal,
    "formal-failing-sets": formal_failing_sets,
    "failing-sets": failing_sets,
    "paper-rows": paper_rows,
    "heads": heads,
    "large-k": large_k,
    "large-k-summary": large_k_summary,
    "importance": importance,
    "inside": inside,
    "distances": distances,
    "table1": table_1,
    "table1-larger": table_1_larger,
    "zoo": zoo_families,
    "compared-classes": compared_classes,
    "compared-points": compared_points,
    "compared-balls": compared_balls,
}
