"""Draw the picture of docs/tighten.md from the tables in docs.

python tools/draw_tightening.py        # needs the extra report; writes docs/figures/tighten.svg and .png
"""

from pathlib import Path

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compactproofs.paper.rows import ROWS

DOCS = Path(__file__).parent.parent / "docs"
FLOOR = 3e-8  # below one input of 2^24
LABELS = {  # of the strategies that were proved, and where they stand beside the marks
    "failing-sets/strict-QK+EU": ("strict-QK+EU", "left", (-3, -15)),
    "failing-sets/strict-QK": ("strict-QK", "right", (6, 9)),
    "sub-cubic/max_diff_exact/mean_query+diff/svd": ("…/svd", "left", (-3, 9)),
}
GREY, BLUE, ORANGE = "0.55", "#0072b2", "#d55e00"  # told apart by everybody, and by their marks


def draw_frontier(axes: Axes, changes: pl.DataFrame, exact: pl.DataFrame, frontier: pl.DataFrame) -> None:
    """Means over the models of what is not certified, as trained and after training toward the proof."""
    lost = frontier.filter(pl.col("strategy") != "trivial").with_columns(
        (1 - pl.col("normalised")).clip(FLOOR).alias("lost")
    )
    papers = pl.col("strategy").is_in([strategy for row in ROWS for strategy in row.strategies])
    theirs, ours = lost.filter(papers), lost.filter(~papers)
    axes.scatter(
        theirs["flops"], theirs["lost"], s=14, color=GREY, label="as trained, the paper's strategies", zorder=2
    )
    axes.scatter(
        ours["flops"], ours["lost"], marker="s", s=30, color="white", edgecolor=BLUE, label="as trained, ours", zorder=2
    )
    after = (
        changes.with_columns((1 - pl.col("after") * pl.col("total") / pl.col("correct_after")).alias("lost"))
        .group_by("proved_by", maintain_order=True)
        .agg(pl.col("lost").mean().clip(FLOOR), pl.col("flops").mean())
        .join(lost.select("strategy", before="lost", flops_before="flops"), left_on="proved_by", right_on="strategy")
    )
    for row in after.to_dicts():
        text, side, beside = LABELS.get(row["proved_by"], ("trained for", "left", (8, -3)))
        axes.annotate(text, (row["flops"], row["lost"]), beside, textcoords="offset points", ha=side, fontsize=9)
        axes.annotate(
            "",
            (row["flops"], row["lost"]),
            (row["flops_before"], row["before"]),
            arrowprops={"arrowstyle": "->", "color": ORANGE, "linewidth": 1, "shrinkA": 3, "shrinkB": 5},
        )
    axes.scatter(
        after["flops"], after["lost"], marker="D", s=50, color=ORANGE, label="trained toward the cheapest", zorder=3
    )
    axes.scatter(exact["flops"], [FLOOR] * exact.height, marker="D", s=50, color=ORANGE, zorder=3)
    cheapest = exact.sort("flops")[0].to_dicts()[0]
    axes.annotate(
        cheapest["strategy"].removeprefix("failing-sets/"),
        (cheapest["flops"], FLOOR),
        (-6, 9),
        textcoords="offset points",
        fontsize=9,
    )
    axes.set_xscale("log", base=2)
    axes.set_xlim(2**19.8, 2**22.2)
    axes.set_xlabel("operations to verify (FLOPs)")
    axes.set_ylabel("share of the right inputs that is not certified")
    axes.legend(frameon=False, loc="center right", fontsize=9)


def draw_models(axes: Axes, changes: pl.DataFrame) -> None:
    """What the cheapest strategy does not prove of each model, and how many inputs are really wrong."""
    cheapest = changes.filter(pl.col("proved_by") == pl.col("trained_for"))
    places = {"before": "as trained", "control": "trained on\nwithout penalty", "after": "trained toward\nthe proof"}
    right = [cheapest[f"correct_{which}"].to_numpy() / cheapest["total"].to_numpy() for which in places]
    proved = [cheapest[which].to_numpy() for which in places]
    for shares, colour, marker, label in (
        (proved, ORANGE, "D", "not proved"),
        (right, BLUE, "o", "wrong (exactly)"),
    ):
        lost = np.maximum(1 - np.array(shares), FLOOR)
        axes.plot(range(len(places)), lost, color=colour, linewidth=0.5, alpha=0.18)
        axes.plot(range(len(places)), lost.mean(axis=1), color=colour, linewidth=2, marker=marker, label=label)
    axes.set_xticks(range(len(places)), list(places.values()))
    axes.set_xlim(-0.2, len(places) - 0.8)
    axes.set_ylabel("share of all inputs")
    axes.set_title(f"the strategy trained for, {cheapest.height} models and their means", fontsize=10)
    axes.legend(frameon=False, loc="upper left", fontsize=9)


def main() -> None:
    """Draw both panels."""
    matplotlib.rcParams["svg.hashsalt"] = "tighten"  # so that the file is the same each time
    changes = pl.read_csv(DOCS / "tighten" / "results.csv")
    figure = Figure(figsize=(12.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_frontier(left, changes, pl.read_csv(DOCS / "tighten" / "exact.csv"), pl.read_csv(DOCS / "frontier.csv"))
    left.set_title("means over 151 models", fontsize=10)
    draw_models(right, changes)
    for axes in (left, right):
        axes.set_yscale("log")
        axes.set_ylim(1.6, FLOOR / 5)
        axes.axhline(FLOOR, color="0.6", linewidth=0.8, linestyle=":")
        axes.text(1, FLOOR, " none", transform=axes.get_yaxis_transform(), va="center", color="0.4", fontsize=9)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "figures" / "tighten.svg", metadata={"Date": None})
    figure.savefig(DOCS / "figures" / "tighten.png", dpi=150)


if __name__ == "__main__":
    main()
