"""Draw the picture of all kinds of claims in docs/frontier.md from the tables in docs, and print its table.

python tools/draw_claims.py        # needs the extra report; writes docs/figures/claims.svg and .png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import polars as pl
from matplotlib.figure import Figure

from compactproofs import zoo

DOCS = Path(__file__).parent.parent / "docs"
FLOOR = 3e-8  # below one input of 2^24
LEFT_OUT = (1 - pl.col("proved") / pl.col("right")).alias("lost")


@dataclass(frozen=True)
class Kind:
    """How claims of a kind look: filled marks and full lines are certified, hollow marks and dashes are not.

    Kinds differ in colour, in colours that everybody tells apart, and in the shape of their marks too.
    """

    name: str
    colour: str
    marker: str
    certified: bool = True


AS_TRAINED = Kind("certified, networks as trained", "#0072b2", "o")
TIGHTENED = Kind("certified, networks trained toward a proof", "#d55e00", "D")
FEW = Kind("certified, trained toward few dimensions", "#cc79a7", "v")
ON_LINE = Kind("certified, trained toward a line", "#009e73", "s")
RANDOM = Kind("not certified: random inputs, error 2⁻²⁰", "#333333", "^", certified=False)
INSIDE = Kind("not certified: inputs from a counted set, error 2⁻²⁰", "#7b3fa0", "P", certified=False)

#: Points that are named: the kind, the strategy or number of draws, and where the words stand.
NAMED = {
    (AS_TRAINED, "brute-force"): ("brute force", (0, -16)),
    (AS_TRAINED, "cubic"): ("cubic", (8, -4)),
    (AS_TRAINED, "failing-sets/low-rank-QK"): ("failing sets", (4, 8)),
    (TIGHTENED, "failing-sets/low-rank-QK+EU"): ("failing sets", (-28, 8)),
    (FEW, "6 dimensions"): ("6 dimensions", (7, -14)),
    (FEW, "4 dimensions"): ("4 dimensions", (-34, -16)),
    (ON_LINE, "number-line"): ("number line", (-8, 8)),
    (RANDOM, "1000"): ("1,000 draws", (8, -12)),
    (RANDOM, "10000"): ("10,000 draws", (8, -12)),
    (RANDOM, "100000"): ("100,000 draws", (8, -12)),
    (INSIDE, "100000"): ("100,000 draws", (8, -12)),
}


def points() -> dict[Kind, pl.DataFrame]:
    """Of each kind one line for each strategy, with columns strategy, models, flops and lost: means over the models."""
    trained = pl.read_csv(DOCS / "frontier.csv").filter(pl.col("strategy") != "trivial")
    exact = pl.read_csv(DOCS / "tighten" / "exact.csv").with_columns(pl.lit(0.0).alias("lost"))
    known = pl.DataFrame([{"model": row.name, "right": row.exact_correct} for row in zoo.table()])
    named = ("proved", pl.col("right_after").alias("right"), pl.col("operations").alias("flops"))
    few = pl.read_csv(DOCS / "tighten" / "subspace" / "results.csv").select(
        (pl.col("dimensions").cast(pl.String) + " dimensions").alias("strategy"), *named
    )
    line = pl.read_csv(DOCS / "tighten" / "line" / "results.csv").filter(pl.col("distance_penalty") == 10)
    line = line.select(pl.lit("number-line").alias("strategy"), *named)
    return {
        AS_TRAINED: trained.with_columns((1 - pl.col("normalised")).alias("lost")),
        TIGHTENED: pl.concat([_tightened(), exact.select("strategy", "models", "flops", "lost")]),
        FEW: _means(few),
        ON_LINE: _means(line),
        RANDOM: _drawn("plain", known),
        INSIDE: _drawn("inside-max-of-4", known),
    }


def _drawn(name: str, known: pl.DataFrame) -> pl.DataFrame:
    """What random inputs show, by how many there were."""
    drawn = pl.read_csv(DOCS / "confidence" / f"{name}.csv").with_columns(
        pl.col("samples").cast(pl.String).alias("strategy"), pl.col("at_least").alias("proved")
    )
    return _means(drawn.join(known, on="model"))


def _tightened() -> pl.DataFrame:
    """What was proved of networks after training toward a sub-cubic strategy."""
    table = pl.read_csv(DOCS / "tighten" / "results.csv").with_columns(
        (pl.col("after") * pl.col("total")).alias("proved")
    )
    return _means(table.rename({"proved_by": "strategy", "correct_after": "right"}))


def _means(table: pl.DataFrame) -> pl.DataFrame:
    groups = table.with_columns(LEFT_OUT).group_by("strategy", maintain_order=True)
    return groups.agg(pl.len().cast(pl.Int64).alias("models"), pl.col("flops").mean(), pl.col("lost").mean())


def front(table: pl.DataFrame) -> pl.DataFrame:
    """The lines that leave out less than every cheaper one."""
    ordered = table.sort("flops", "lost")
    return ordered.filter(pl.col("lost") < pl.col("lost").cum_min().shift(1, fill_value=2.0))


def draw(kinds: dict[Kind, pl.DataFrame]) -> Figure:
    """All kinds in one picture, on white, so that it can be read on dark pages too."""
    figure = Figure(figsize=(10.5, 5.6), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for order, (kind, table) in enumerate(kinds.items(), 2):
        best = front(table)
        axes.step(
            best["flops"],
            best["lost"].clip(FLOOR),
            where="post",
            color=kind.colour,
            linestyle="-" if kind.certified else "--",
            linewidth=1.2,
            zorder=order,
        )
        rest = table.join(best, on="strategy", how="anti")
        axes.scatter(
            rest["flops"], rest["lost"].clip(FLOOR), marker=kind.marker, s=22, color=kind.colour, alpha=0.4, linewidth=0
        )
        models = " to ".join(str(number) for number in sorted({table["models"].min(), table["models"].max()}))
        axes.scatter(
            best["flops"],
            best["lost"].clip(FLOOR),
            marker=kind.marker,
            s=58,
            label=f"{kind.name} ({models})",
            zorder=order + 5,
            color=kind.colour if kind.certified else "white",
            edgecolor=kind.colour,
            linewidth=1.4,
        )
        for row in table.to_dicts():
            if (kind, row["strategy"]) in NAMED:
                text, beside = NAMED[kind, row["strategy"]]
                place = (row["flops"], max(row["lost"], FLOOR))
                axes.annotate(text, place, beside, textcoords="offset points", fontsize=9, color=kind.colour)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_ylim(1.6, FLOOR / 6)
    axes.axhline(FLOOR, color="0.6", linewidth=0.8, linestyle=":", zorder=1)
    axes.text(1, FLOOR, " none", transform=axes.get_yaxis_transform(), va="center", color="0.4", fontsize=9)
    axes.set_xlabel("operations to check (FLOPs)")
    axes.set_ylabel("share of the right inputs that is not claimed")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.02), fontsize=10)
    return figure


def as_markdown(kinds: dict[Kind, pl.DataFrame]) -> str:
    """The points that are named."""
    lines = ["| kind | networks | by | FLOPs mean | not claimed |", "| --- | --- | --- | --- | --- |"]
    for kind, strategy in NAMED:
        row = kinds[kind].row(by_predicate=pl.col("strategy") == strategy, named=True)
        lost = "none" if row["lost"] == 0 else f"{row['lost']:.1e}"
        by = NAMED[kind, strategy][0] if kind in (RANDOM, INSIDE, FEW) else f"`{strategy}`"
        lines.append(f"| {kind.name} | {row['models']} | {by} | {row['flops']:,.0f} | {lost} |")
    return "\n".join(lines)


def main() -> None:
    """Draw the picture."""
    matplotlib.rcParams["svg.hashsalt"] = "claims"  # so that the file is the same each time
    kinds = points()
    figure = draw(kinds)
    figure.savefig(DOCS / "figures" / "claims.svg", metadata={"Date": None})
    figure.savefig(DOCS / "figures" / "claims.png", dpi=150)
    print(as_markdown(kinds))


if __name__ == "__main__":
    main()
