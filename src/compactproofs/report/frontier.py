"""Bounds against the length of their proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compactproofs.experiments.rows import ROWS, published

# Groups in the order of the table, without the rows that are parts of others.
_GROUPS = [row for row in ROWS if "without" not in row.name and "only" not in row.name]
_COLOURS = dict(zip((row.name for row in _GROUPS), matplotlib.color_sequences["tab10"], strict=False))


def mean_results(results: list[dict[str, Any]]) -> pl.DataFrame:
    """One line for each strategy: group and the means over models of bound, operations and unexplained dimension."""
    group = {strategy: row.name for row in _GROUPS for strategy in row.strategies}
    return (
        pl.DataFrame(results, infer_schema_length=None)
        .filter(pl.col("strategy").is_in(list(group)))
        .group_by("strategy", maintain_order=True)
        .agg(
            pl.col("normalised").mean(),
            pl.col("normalised").std().alias("std"),
            pl.col("flops").mean(),
            pl.col("unexplained_dimension").mean(),
        )
        .with_columns(pl.col("strategy").replace_strict(group).alias("group"))
    )


def draw_bound_against_flops(results: list[dict[str, Any]], path: Path) -> None:
    """Normalised bound against operations of verification, the Pareto front, and the published rows as marks."""
    frame = mean_results(results)
    figure, axes = _figure()
    _scatter(axes, frame, "normalised")
    front = _pareto(frame)
    axes.step(front["flops"], front["normalised"], where="post", color="0.3", linewidth=1, zorder=1, label="our front")
    for name, figures in published()["paper June 2024"].items():
        if figures.flops is not None and name in _COLOURS:
            axes.scatter(
                figures.flops,
                figures.mean,
                marker="*",
                s=110,
                color=_COLOURS[name],
                edgecolor="black",
                linewidth=0.6,
                zorder=3,
            )
    axes.scatter([], [], marker="*", s=110, color="white", edgecolor="black", linewidth=0.6, label="published")
    axes.set_ylabel("normalised bound, mean over models")
    axes.set_ylim(-0.02, 1.03)
    _finish(figure, axes, path)


def draw_unexplained_against_flops(results: list[dict[str, Any]], path: Path) -> None:
    """Unexplained dimension against operations of verification."""
    figure, axes = _figure()
    frame = mean_results(results)
    _scatter(axes, frame, "unexplained_dimension")
    axes.set_yscale("log", base=2)
    axes.set_ylabel("unexplained dimension")
    # Brute force is so far away that the others need a picture of their own.
    inset = axes.inset_axes((0.16, 0.3, 0.7, 0.62))
    _scatter(inset, frame.filter(pl.col("group") != "brute force"), "unexplained_dimension")
    inset.set_xscale("log", base=2)
    inset.set_yscale("log", base=2)
    inset.grid(color="0.92")
    inset.set_axisbelow(True)
    inset.set_title("without brute force", fontsize=9)
    _finish(figure, axes, path)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.5, 5), layout="constrained")
    return figure, figure.add_subplot()


def _scatter(axes: Axes, frame: pl.DataFrame, column: str) -> None:
    for name, colour in _COLOURS.items():
        part = frame.filter(pl.col("group") == name)
        if part.height:
            axes.scatter(part["flops"], part[column], s=22, color=colour, alpha=0.85, label=name, zorder=2)


def _pareto(frame: pl.DataFrame) -> pl.DataFrame:
    """The strategies that beat every cheaper one."""
    ordered = frame.sort(["flops", "normalised"], descending=[False, True])
    return ordered.filter(pl.col("normalised") > pl.col("normalised").cum_max().shift(1, fill_value=-1.0))


def _finish(figure: Figure, axes: Axes, path: Path) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlabel("operations to verify (FLOPs)")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix), dpi=150, metadata={"Date": None} if suffix == ".svg" else None)
