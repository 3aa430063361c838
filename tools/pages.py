"""Write the tables of the documentation that come from stored results, and say where these come from.

    python tools/pages.py            # writes the tables, and docs/stored.csv
    python tools/pages.py --check    # exit code 1 where a page or docs/stored.csv is not what the results say

In a page a table stands between `<!-- stored: NAME -->` and `<!-- end -->`.  `docs/stored.csv` has for each file of
results the command that made it, the commit that stored it, and its SHA-256.
"""

import csv
import hashlib
import io
import math
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl

from compactproofs.paper.frontier import as_markdown

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
STORED = DOCS / "stored.csv"

#: Files of results, and the commands that wrote them.
RESULTS = {
    "docs/anomalies.csv": "python benchmarks/anomalies.py --models 16; python benchmarks/anomalies.py",
    "docs/confidence/plain.csv": "python benchmarks/confidence.py max-of-4 --out FILE",
    "docs/confidence/importance.csv": "python benchmarks/confidence.py MODEL --method METHOD --samples N --out FILE",
    "docs/frontier.csv": "compactproofs frontier --out runs/frontier",
    "docs/strategies/pair-sum.csv": "python benchmarks/two_arguments.py measure MODELS --out FILE",
    "docs/tighten/results.csv": "compactproofs tighten --seeds all --jobs 16 --out runs/tightened",
    "docs/tighten/distance-8.csv": "compactproofs tighten --seeds 15 --distance-penalty 8 --out runs/tightened",
    "docs/tighten/distance-15.csv": "compactproofs tighten --seeds 30 --distance-penalty 15 --out runs/tightened",
    "docs/tighten/number-line.csv": (
        "compactproofs tighten --seeds 29 --strategy number-line --steps 300 --no-control --out runs/line"
    ),
    "docs/tighten/subspace/results.csv": "compactproofs tighten --strategy subspace, as docs/tighten.md says",
    "docs/tighten/exact.csv": "compactproofs prove max-of-4-tightened/SEED, for all failing sets",
    "docs/scaling.csv": "python benchmarks/scaling.py measure runs/sizes --out docs/scaling.csv",
    "formal/measured.csv": "python formal/measure.py --family max-of-4; --argument cubic, failing-sets",
    "formal/program.csv": "python formal/measure.py --program --family max-of-4; --argument cubic",
}

Rows = list[list[str]]


def table(headers: list[str], rows: Rows) -> str:
    """A table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(("| " + " | ".join(cells) + " |").replace("|  |", "| |") for cells in lines)


def read(name: str) -> pl.DataFrame:
    """A file of results."""
    return pl.read_csv(ROOT / name, infer_schema_length=None)


def down(share: float, digits: int) -> str:
    """A share, rounded down: what is proved is never rounded up."""
    return f"{math.floor(share * 10**digits + 1e-9 * 10**digits) / 10**digits:.{digits}f}"


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
    rows = []
    for row in read("docs/tighten/subspace/results.csv").to_dicts():
        inputs = [f"{row[name]:,}" for name in ("right_before", "right_after", "proved")]
        numbers = [down(row["proved"] / 64**4, 6), f"{row['operations']:,}", f"{row['distance']:.3f}"]
        rows.append([str(row["dimensions"]), f"`max-of-4/{row['seed']}`", *inputs, *numbers])
    headers = ["dimensions", "model", "right before", "right after", "proved", "share", "operations", "distance"]
    return table(headers, rows)


def pair_sums() -> str:
    """Networks of two arguments: medians of operations, and how many are exact."""
    results = read("docs/strategies/pair-sum.csv").with_columns(share=pl.col("certified") / pl.col("right"))

    def power(value: float) -> str:
        return f"2^{math.log2(float(value)):.2f}"

    rows = []
    for task in results["task"].unique(maintain_order=True):
        part = results.filter(pl.col("task") == task)
        by = {name[0].removeprefix("pair-sum/"): frame for name, frame in part.group_by("strategy")}
        both, near = (by["low-rank"], by["low-rank-separable"]), by["equivariant-distance"]
        cells = [str(task), power(by["brute-force"]["flops"].median())]
        for low in both:
            median, least = low["flops"].median(), low["flops"].min()
            cells.append(f"{(low['share'] == 1.0).sum()} of {len(low)}")
            cells.append(power(median) + (f" (least {power(least)})" if median > 1.5 * least else ""))
        mean = near["share"].mean()
        cells += [f"{mean:.3f}" if mean else "0", str((near["share"] == 1.0).sum()), power(near["flops"].median())]
        rows.append(cells)
    headers = ["task", "brute force", "low rank: exact for", "operations", "separable: exact for", "operations"]
    return table([*headers, "equivariant distance: mean", "exact for", "operations"], rows)


def formal() -> str:
    """Every theorem that coqc accepted: the number, by both arguments, with seconds and axioms."""
    results = read("formal/measured.csv").filter(pl.col("accepted").cast(pl.String).str.to_lowercase() == "true")
    rows = []
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


TABLES: dict[str, Callable[[], str]] = {
    "scaling": scaling,
    "claims": claims,
    "detectors": partial(anomalies, "detectors"),
    "shared": partial(anomalies, "shared"),
    "frontier": frontier,
    "tighten": tighten,
    "subspace": subspace,
    "pair-sum": pair_sums,
    "formal": formal,
}
_BLOCK = re.compile(r"(?s)(<!-- stored: ([\w-]+) -->\n)(.*?)(\n<!-- end -->)")


def written(page: str) -> str:
    """The page with today's tables."""
    return _BLOCK.sub(lambda found: found[1] + TABLES[found[2]]() + found[4], page)


def pages() -> list[Path]:
    """Those with a table from stored results."""
    return [page for page in sorted(DOCS.rglob("*.md")) if _BLOCK.search(page.read_text(encoding="utf-8"))]


def stored(known: dict[str, dict[str, str]]) -> str:
    """The list of results, with the commits that are known for files that did not change since."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(("file", "sha256", "commit", "command"))
    for name, command in RESULTS.items():
        sha256 = hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
        row = known.get(name, {})
        commit = row.get("commit") if row.get("sha256") == sha256 else ""
        lines.writerow((name, sha256, commit or _commit(name), command))
    return out.getvalue()


def _commit(name: str) -> str:
    """The commit that stored the file as it is; nothing before it is committed, so that the next run looks again."""

    def git(*words: str) -> str:
        command = ["git", *words, "--", name]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return "" if git("status", "--porcelain") else git("log", "-1", "--format=%h")


def outdated() -> list[Path]:
    """Pages that do not say what is stored, and the list of results where it is not true."""
    old = [page for page in pages() if page.read_text(encoding="utf-8") != written(page.read_text(encoding="utf-8"))]
    with STORED.open(encoding="utf-8") as stream:
        known = {row["file"]: row for row in csv.DictReader(stream)}
    return [*old, *([STORED] if stored(known) != STORED.read_text(encoding="utf-8") else [])]


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv[1:]:
        old = outdated()
        for page in old:
            print(f"{page.relative_to(ROOT)} is not what the stored results say; run tools/pages.py")
        return 1 if old else 0
    for page in pages():
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
    known = {}
    if STORED.exists():
        with STORED.open(encoding="utf-8") as stream:
            known = {row["file"]: row for row in csv.DictReader(stream)}
    STORED.write_text(stored(known), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
