"""What cheap proofs leave out, as a detector of what the model gets wrong: one line for each model and detector.

    python benchmarks/anomalies.py [--family max-of-4] [--models N] [--out docs/anomalies.csv]    # grows; resumes
    python benchmarks/anomalies.py --draw                       # docs/figures/anomalies.svg and .png

A detector gives each input a lead: for a proof, by how far the condition for the input's class fails, so that inputs
with a negative lead are proved right.  Leads are the same for all inputs of a cell (query, maximum, number of other
tokens, worst of them), whose inputs are counted exactly, and the wrong inputs are all found by brute force: so nothing
here is sampled.  Plain float64, for measuring; the numbers of inputs that are left out are compared with certificates.
"""

import argparse
import csv
from collections.abc import Iterator
from math import comb
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure

import compactproofs as cp
from compactproofs import zoo
from compactproofs.analysis.correlations import rank_correlation
from compactproofs.analysis.inputs import Inputs
from compactproofs.analysis.margins import Tables, margin_terms
from compactproofs.kernel.decisions import BoolArray, FloatArray, IntArray, certainly_positive
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.theorems.max_of_k.core import cubic
from compactproofs.theorems.max_of_k.core.additive import position_weights, token_weights
from compactproofs.theorems.max_of_k.failing_sets.strategies import KINDS, HintedPlan, possible_winners_by_query
from compactproofs.theorems.max_of_k.subcubic import gaps
from compactproofs.theorems.max_of_k.subcubic.extreme_positions import worst_positions

DOCS = Path(__file__).parent.parent / "docs"
SUBCUBIC = (
    "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact",
    "sub-cubic/max_diff_exact/mean_query+diff/svd",
    "sub-cubic/mean_query+max_diff/mean_query+diff/mean_recursive+max_diff_subproduct_recursive",
)
FAILING = "failing-sets"
#: What is drawn: words, colours that everybody tells apart, and marks.
SHOWN = {
    "cubic": ("cubic", "#0072b2", "o"),
    SUBCUBIC[0]: ("sub-cubic, EQKE multiplied out", "#56b4e9", "v"),
    SUBCUBIC[1]: ("sub-cubic, norm bound", "#009e73", "s"),
    SUBCUBIC[2]: ("sub-cubic, no product (cheapest)", "#d55e00", "D"),
    "failing-sets, before counting": ("failing sets, before counting", "#cc79a7", "P"),
    "runner-up": ("nearness of the runner-up, no model", "#555555", "x"),
}
RECALLS = (10, 25, 50, 75, 90, 100)  # percent
FEW = 8  # the smallest tokens


class Detector(NamedTuple):
    """Leads of cells (query, maximum, number of others, rank of the worst), and the ranks of tokens (q, m, token).

    Where ranks are not those of the tokens' sizes, `by_size` is False.
    """

    lead: FloatArray
    rank: IntArray
    by_size: bool
    flops: int | None
    certified: int | None


def ranks_by_size(v: int) -> IntArray:
    return np.broadcast_to(np.arange(v), (v, v, v))


def sizes(n: int, v: int) -> IntArray:
    """How many inputs each cell has, shape (v, v, n, v)."""
    result = np.zeros((v, v, n, v), np.int64)
    for q, m in zip(*gaps.pairs(v), strict=True):
        result[q, m, 0, 0] = 1
        for c in range(1, n if q == m else n - 1):
            upto = np.arange(m + 1) ** c
            result[q, m, c, :m] = comb(n - 1, c) * np.diff(upto)
    assert result.sum() == v**n
    return result


def of_cubic(work: MaxWorkspace, proof: cp.Proof) -> Detector:
    """By how many logits a token that stands for all others fails; each token has its own."""
    n, v = work.network.n_ctx, work.network.d_vocab
    tested = recorded(cubic, lambda: cubic.bound(work, {}))
    weights = np.asarray(token_weights(work))
    lead, rank = np.full((v, v, n, v), -np.inf), np.zeros((v, v, v), np.int64)
    for m in range(v):
        lead[: m + 1, m, 0, 0] = -next(tested)
        for c in range(1, n if m else 1):
            queries = slice(0, m + 1) if c <= n - 2 else slice(m, m + 1)
            found = -next(tested) / weights[queries, m, None]
            order = found.argsort(axis=1)
            lead[queries, m, c, :m] = np.take_along_axis(found, order, axis=1)
            np.put_along_axis(rank[queries, m], order, np.broadcast_to(np.arange(m), order.shape), axis=1)
    return Detector(lead, rank, False, proof.cost.flops, proof.certificate.certified)


def of_subcubic(work: MaxWorkspace, strategy: str, proof: cp.Proof) -> Detector:
    """By how many logits the condition fails at the gap between the input's maximum and the largest of the others."""
    n, v = work.network.n_ctx, work.network.d_vocab
    q, m = gaps.pairs(v)
    classes = gaps.Classes(work, gaps.CHOICES[strategy], dict(proof.certificate.hints))
    least, _ = worst_positions(work)
    last = np.where((q == m)[:, None], np.asarray(position_weights(work))[:, -1][q][:, None], 0.0)
    scale = np.asarray(least)[q] + last
    lead = np.full((v, v, n, v), -np.inf)
    (alone,) = recorded(gaps, classes.without_others)
    lead[q, m, 0, 0] = (-alone).max(axis=1) / scale[:, 0]
    for gap in range(1, v):
        here = m >= gap
        allowed, chosen = gaps.possible_gaps(work.task, np.full((len(m), n - 1), gap))
        (found,) = recorded(gaps, lambda chosen=chosen: classes.with_others(chosen))
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(allowed, (-found).max(axis=2) / scale[:, 1:], -np.inf)
        lead[q[here], m[here], 1:, m[here] - gap] = found[here]
    return Detector(lead, ranks_by_size(v), True, proof.cost.flops, proof.certificate.certified)


def of_failing_sets(model: cp.Model, proof: cp.Proof) -> Detector:
    """How many outputs are not ruled out for the whole class, before any input is looked at."""
    work = workspace(model, "check")
    n, v = work.network.n_ctx, work.network.d_vocab
    hints = dict(proof.certificate.hints)

    def winners() -> IntArray:
        tables, plan = KINDS[FAILING].tables_of(work, hints), HintedPlan(hints["skip"])
        found = np.zeros((v, v), np.int64)
        for m in range(v):
            for q, outputs in possible_winners_by_query(work, tables, m, plan).items():
                found[q, m] = len(outputs)
        return found

    in_doubt = work.once("winners", winners)
    lead = np.broadcast_to(np.where(in_doubt > 0, in_doubt, -1.0)[:, :, None, None], (v, v, n, v))
    return Detector(lead, ranks_by_size(v), True, work.cost("winners").flops, None)


def runner_up(n: int, v: int) -> Detector:
    """Without a look at the model: the nearer the largest other token is to the maximum, the more suspicious."""
    others = np.arange(v)[None, :] - np.arange(v)[:, None]  # (m, largest other)
    lead = np.broadcast_to(others[None, :, None, :], (v, v, n, v)).astype(float)
    lead[:, :, 0] = -v
    return Detector(lead, ranks_by_size(v), True, None, None)


def recorded(module: Any, run: Any) -> Iterator[FloatArray]:
    """What the proof's own program tests for being positive."""
    tested: list[FloatArray] = []

    def test(x: Any) -> BoolArray:
        tested.append(np.asarray(x))
        return certainly_positive(x)

    with patch.object(module, "certainly_positive", test):
        run()
    return iter(tested)


def cells_of(inputs: IntArray, detector: Detector) -> tuple[IntArray, ...]:
    """The cell of each input."""
    q, m, first = inputs[:, -1], inputs.max(axis=1), inputs[:, :-1]
    other = first != m[:, None]
    ranks = detector.rank[q[:, None], m[:, None], first]
    return q, m, other.sum(axis=1), np.where(other, ranks, 0).max(axis=1, initial=0)


def judged(detector: Detector, size: IntArray, wrong: IntArray) -> dict[str, Any]:
    """Precision at each recall, going down from the largest lead; all inputs of equal lead are taken together."""
    lead = detector.lead
    of_wrong = lead[cells_of(wrong, detector)]
    if detector.certified is not None or detector.flops is not None:
        assert (of_wrong >= 0).all(), "a wrong input is proved right"
    values, place = np.unique(lead[size > 0], return_inverse=True)
    inputs = np.bincount(place, size[size > 0])[::-1].cumsum()
    caught = np.bincount(np.searchsorted(values, of_wrong), minlength=len(values))[::-1].cumsum()
    at = [int(np.searchsorted(caught, -(-len(wrong) * recall // 100))) for recall in RECALLS]
    left_out = int(size[lead >= 0].sum()) if detector.flops is not None else int(inputs[-1])
    return {
        "left_out": left_out,
        "classes": int((size * (lead >= 0)).sum(axis=(2, 3)).astype(bool).sum()) if detector.flops is not None else "",
        **{f"precision_{recall}": caught[i] / inputs[i] for recall, i in zip(RECALLS, at, strict=True)},
        **features(detector, size, np.asarray(lead >= 0) if detector.flops is not None else np.ones(size.shape, bool)),
    }


def features(detector: Detector, size: IntArray, chosen: BoolArray) -> dict[str, Any]:
    """Shares of the inputs in chosen cells: small maximum, one other token, the largest other next to the maximum."""
    v, n = size.shape[0], size.shape[2]
    held = size * chosen
    total = max(int(held.sum()), 1)
    gap = np.arange(v)[:, None] - np.arange(v)
    near = (held * ((gap == 1)[None, :, None, :] & (np.arange(n) > 0)[:, None])).sum()
    return {
        "small": held[:, :FEW].sum() / total,
        "one_other": held[:, :, 1].sum() / total,
        "next": near / total if detector.by_size else "",
    }


def of_wrong(tables: Tables, wrong: IntArray) -> dict[str, Any]:
    """The same shares of the wrong inputs; in how many classes they are, and what the model says instead."""
    q, m, first = wrong[:, -1], wrong.max(axis=1), wrong[:, :-1]
    other = first != m[:, None]
    largest = np.where(other, first, -2).max(axis=1)
    said = np.concatenate([answers(tables, part) for part in np.array_split(wrong, len(wrong) // 2**14 + 1)])
    v = len(tables.EU)
    return {
        "left_out": len(wrong),
        "classes": len(np.unique(q * v + m)),
        "small": (m < FEW).mean(),
        "one_other": (other.sum(axis=1) == 1).mean(),
        "next": (largest == m - 1).mean(),
        "says_next": (np.abs(said - m) == 1).mean(),
        "says_token": (said[:, None] == wrong).any(axis=1).mean(),
    }


def answers(tables: Tables, inputs: IntArray) -> IntArray:
    """The output with the largest logit; another than the label where these are equal."""
    q, positions = inputs[:, -1], np.arange(inputs.shape[1])
    scores = tables.EQKE[q[:, None], inputs] + tables.EQKP[q]
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    logits = tables.EU[q] + (weights[:, :, None] * (tables.EVOU[inputs] + tables.PVOU[positions])).sum(axis=1)
    logits[np.arange(len(inputs)), inputs.max(axis=1)] -= 1e-9
    return np.asarray(logits.argmax(axis=1))


def measured(row: zoo.ZooRow) -> list[dict[str, Any]]:
    model = zoo.load_model(row.name)
    n, v = row.n_ctx, row.d_vocab
    prover = cp.Prover(model)
    work = prover.values
    tables, size = Tables.of(work), sizes(n, v)
    wrong = Inputs(n, v, None).failing(margin_terms(tables))
    assert row.exact_correct is not None
    assert len(wrong) == row.total - row.exact_correct, f"{row.name}: {len(wrong)} wrong inputs were found"
    proofs = {strategy: prover.prove(strategy) for strategy in ("cubic", *SUBCUBIC, FAILING)}
    detectors = {"cubic": of_cubic(work, proofs["cubic"])}
    detectors |= {strategy: of_subcubic(work, strategy, proofs[strategy]) for strategy in SUBCUBIC}
    detectors["failing-sets, before counting"] = of_failing_sets(model, proofs[FAILING])
    detectors["runner-up"] = runner_up(n, v)
    everything = {"left_out": row.total, "classes": v * (v + 1) // 2}
    everything |= features(detectors["runner-up"], size, np.ones(size.shape, bool))
    rows = [{"detector": "all inputs", **everything}, {"detector": "wrong inputs", **of_wrong(tables, wrong)}]
    for name, detector in detectors.items():
        found = judged(detector, size, wrong)
        if detector.certified is not None:
            found["certified"] = detector.certified
        rows.append({"detector": name, "flops": detector.flops, **found})
    return [{"model": row.name, "wrong": len(wrong), **each} for each in rows]


COLUMNS = (
    "model", "wrong", "detector", "flops", "certified", "left_out", "classes",
    *(f"precision_{recall}" for recall in RECALLS), "small", "one_other", "next", "says_next", "says_token",
)  # fmt: skip


def measure(rows: list[zoo.ZooRow], out: Path) -> None:
    """Append the lines of the models that are not there."""
    found = set()
    if out.exists():
        with out.open(newline="", encoding="utf-8") as stream:
            found = {row["model"] for row in csv.DictReader(stream)}
    for row in rows:
        if row.name not in found:
            lines = measured(row)
            with out.open("a", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
                if stream.tell() == 0:
                    writer.writeheader()
                writer.writerows(
                    {k: f"{x:.6g}" if isinstance(x, float | np.floating) else x for k, x in line.items()}
                    for line in lines
                )


def draw(table: pl.DataFrame) -> Figure:
    """Precision by recall; and whether the models of which much is left out are those that are often wrong."""
    figure = Figure(figsize=(11, 4.6), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    for (name, (label, colour, marker)), shift in zip(SHOWN.items(), np.linspace(-1.2, 1.2, len(SHOWN)), strict=True):
        rows = table.filter(pl.col("detector") == name)
        precision = rows.select(f"precision_{recall}" for recall in RECALLS).to_numpy().astype(float)
        low, middle, high = np.quantile(precision, (0.25, 0.5, 0.75), axis=0)
        place = np.array(RECALLS) + shift
        left.vlines(place, low, high, color=colour, alpha=0.5, linewidth=1)
        left.plot(place, middle, color=colour, marker=marker, linewidth=1.2, label=label)
        if name != "runner-up":
            x, y = rows["wrong"] / 64**4, rows["left_out"] / 64**4
            right.scatter(x, y, s=18, color=colour, marker=marker, alpha=0.7, linewidth=0)
    share = float((table["wrong"] / 64**4).median())
    left.axhline(share, color="0.4", linestyle=":", linewidth=1)
    left.text(30, share / 1.15, "inputs at random", fontsize=9, color="0.3", va="top")
    left.set_xlabel("wrong inputs that are found, %")
    left.set_ylabel("wrong ones among those looked at")
    left.set_yscale("log")
    left.set_xticks(RECALLS)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("share of inputs that the model answers wrongly")
    right.set_ylabel("share that is left out")
    for axes in (left, right):
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def detectors_as_markdown(table: pl.DataFrame) -> str:
    """Medians of precision over the models, and whether models of which much is left out are often wrong."""
    lines = ["| detector | FLOPs | left out | 10% | 50% | 90% | all | rank correlation |", "|" + " --- |" * 8]
    for name, (label, _, _) in SHOWN.items():
        rows = table.filter(pl.col("detector") == name)
        share = f"{float(rows['left_out'].mean()) / 64**4:.3f}"
        flops = "" if rows["flops"].null_count() else f"{rows['flops'].mean():,.0f}"
        found = (f"{float(rows[f'precision_{recall}'].median()):.4f}" for recall in (10, 50, 90, 100))
        ranks = rank_correlation(rows["wrong"].to_numpy(), rows["left_out"].to_numpy())
        cells = [label, flops, share, *found, "" if name == "runner-up" else f"{ranks:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    changes = pl.read_csv(DOCS / "tighten" / "results.csv").filter(pl.col("model").is_in(table["model"].to_list()))
    for strategy in ("failing-sets/strict-QK", "failing-sets/strict-QK+EU"):
        rows = changes.filter(pl.col("proved_by") == strategy)
        out, wrong = 1 - rows["before"], 1 - rows["correct_before"] / rows["total"]
        ranks = rank_correlation(wrong.to_numpy(), out.to_numpy())
        lines.append(f"| `{strategy}` | | {out.mean():.3f} | | | | {(wrong / out).median():.4f} | {ranks:.2f} |")
    return "\n".join(lines).replace("|  |", "| |")


def shared_as_markdown(table: pl.DataFrame) -> str:
    """What wrong inputs and those that are left out have in common, means over the models."""
    lines = ["| inputs | small maximum | one other token | next to the maximum |", "|" + " --- |" * 4]
    for name in ("all inputs", "wrong inputs", *(name for name in SHOWN if name != "runner-up")):
        rows = table.filter(pl.col("detector") == name)
        shares = ("" if rows[c].null_count() else f"{rows[c].mean():.4f}" for c in ("small", "one_other", "next"))
        lines.append(f"| {SHOWN[name][0] if name in SHOWN else name} | {' | '.join(shares)} |")
    return "\n".join(lines).replace("|  |", "| |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", default="max-of-4")
    parser.add_argument("--models", type=int, default=0, help="so many, evenly spaced in the table; 0: all")
    parser.add_argument("--out", type=Path, default=DOCS / "anomalies.csv")
    parser.add_argument("--draw", action="store_true")
    options = parser.parse_args()
    rows = [row for row in zoo.table() if row.name.startswith(options.family + "/")]
    if options.models:
        rows = [rows[i] for i in np.linspace(0, len(rows) - 1, options.models).astype(int)]
    if not options.draw:
        measure(rows, options.out)
        return
    matplotlib.rcParams["svg.hashsalt"] = "anomalies"  # so that the file is the same each time
    table = pl.read_csv(options.out, infer_schema_length=None)
    figure = draw(table)
    figure.savefig(DOCS / "figures" / "anomalies.svg", metadata={"Date": None})
    figure.savefig(DOCS / "figures" / "anomalies.png", dpi=150)
    print(detectors_as_markdown(table), shared_as_markdown(table), sep="\n\n")
    wrong = table.filter(pl.col("detector") == "wrong inputs")
    print(f"{len(wrong)} models; classes with wrong inputs: median {wrong['classes'].median():.0f} of 2080")
    print(f"the answer is next to the maximum: {wrong['says_next'].mean():.3f}, ", end="")
    print(f"another token of the input: {wrong['says_token'].mean():.3f}")


if __name__ == "__main__":
    main()
