"""Bounds against the length of their proofs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compactproofs.paper.rows import ROWS, published
from compactproofs.search.prover import Bound
from compactproofs.system.files import write_atomically

# Groups in the order of the table, without the rows that are parts of others.
_GROUPS = [row for row in ROWS if "without" not in row.name and "only" not in row.name]
_COLOURS = dict(zip((row.name for row in _GROUPS), matplotlib.color_sequences["tab10"], strict=False))


def mean_results(results: list[Bound]) -> pl.DataFrame:
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


def draw_bound_against_flops(results: list[Bound], path: Path) -> None:
    """Normalised bound against operations of verification, the Pareto front, and the published rows as marks."""
    frame = mean_results(results)
    figure, axes = _figure()
    _scatter(axes, frame, "normalised")
    front = _pareto(frame)
    axes.step(front["flops"], front["normalised"], where="post", color="0.3", linewidth=1, zorder=1, label="our front")
    for name, figures in published()["paper June 2024"].items():
        if figures.flops is not None and name in _COLOURS:
            _star(axes, figures.flops, figures.mean, _COLOURS[name])
    _star(axes, [], [], "white", "published")
    axes.set_ylabel("normalised bound, mean over models")
    axes.set_ylim(-0.02, 1.03)
    _finish(figure, axes, path)


def draw_unexplained_against_flops(results: list[Bound], path: Path) -> None:
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


HEADERS = ("strategy", "normalised", "lowest", "exact for", "FLOPs mean", "median", "largest", "int ops mean")


def points(results: list[Bound]) -> pl.DataFrame:
    """One line for each strategy: means over the models, and the spread of the operations."""
    frame = pl.DataFrame(results, infer_schema_length=None)
    return frame.group_by("strategy", maintain_order=True).agg(
        pl.col("normalised").mean(),
        pl.col("normalised").min().alias("lowest"),
        (pl.col("normalised") == 1.0).sum().alias("exact"),
        pl.len().alias("models"),
        pl.col("flops").mean(),
        pl.col("flops").median().alias("flops_median"),
        pl.col("flops").max().alias("flops_max"),
        pl.col("int_ops").mean(),
        pl.col("unexplained_dimension").mean(),
        pl.col("search_seconds").mean(),
        pl.col("verify_seconds").mean(),
    )


def rows(points: pl.DataFrame, strategies: tuple[str, ...]) -> list[list[str]]:
    """The lines of these strategies as text, under `HEADERS`."""
    return [
        [
            p["strategy"],
            f"{p['normalised']:.6f}",
            f"{p['lowest']:.6f}",
            f"{p['exact']} of {p['models']}",
            f"{p['flops']:,.0f}",
            f"{p['flops_median']:,.0f}",
            f"{p['flops_max']:,}",
            f"{p['int_ops']:,.0f}",
        ]
        for p in points.filter(pl.col("strategy").is_in(strategies)).to_dicts()
    ]


def as_markdown(points: pl.DataFrame, strategies: tuple[str, ...]) -> str:
    """The same as a Markdown table."""
    lines = ["| " + " | ".join(HEADERS) + " |", "|" + " --- |" * len(HEADERS)]
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in rows(points, strategies))]) + "\n"


def draw(results: list[Bound], path: Path) -> None:
    """Lost accuracy against operations: the paper's rows, its strategies in this package, and ours, model by model."""
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    whole, part = figure.subplots(1, 2, sharey=True, width_ratios=(2, 3))
    _draw_lost(whole, results)
    _draw_lost(part, results)
    part.set_xlim(2**19.8, 2**22.2)
    part.set_title("the left part of the same picture", fontsize=10)
    whole.set_ylabel("share of the right inputs that is not certified")
    _axis(part)
    _finish(figure, whole, path)


def _draw_lost(axes: Axes, results: list[Bound]) -> None:
    floor = 3e-6
    paper = mean_results(results)
    _scatter(axes, paper.with_columns((1 - pl.col("normalised")).clip(floor).alias("lost")), "lost")
    frame = pl.DataFrame(results, infer_schema_length=None)
    known = {strategy for row in ROWS for strategy in row.strategies} | {"trivial"}
    ours = frame.filter(~pl.col("strategy").is_in(list(known)))
    markers = dict(zip(ours["strategy"].unique(maintain_order=True), "ovs^D<>PXh*d", strict=False))
    for strategy, marker in markers.items():
        part = ours.filter(pl.col("strategy") == strategy)
        lost = (1 - part["normalised"]).clip(floor)
        axes.scatter(part["flops"], lost, marker=marker, s=8, color="black", alpha=0.12, linewidth=0, zorder=2)
        middle = (part["flops"].mean(), max(float(lost.mean()), floor))
        axes.scatter(*middle, marker=marker, s=60, color="white", edgecolor="black", zorder=4, label=strategy)
    for name, figures in published()["paper June 2024"].items():
        if figures.flops is not None and name in _COLOURS:
            _star(axes, figures.flops, max(1 - figures.mean, floor), _COLOURS[name])
    _star(axes, [], [], "white", "published")
    axes.set_yscale("log")
    axes.set_ylim(1.6, floor / 2)
    axes.axhline(floor, color="0.6", linewidth=0.8, linestyle=":")
    axes.text(1, floor, " exact", transform=axes.get_yaxis_transform(), va="center", color="0.4", fontsize=9)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.5, 5), layout="constrained")
    return figure, figure.add_subplot()


def _scatter(axes: Axes, frame: pl.DataFrame, column: str) -> None:
    for name, colour in _COLOURS.items():
        part = frame.filter(pl.col("group") == name)
        if part.height:
            axes.scatter(part["flops"], part[column], s=22, color=colour, alpha=0.85, label=name, zorder=2)


def _star(axes: Axes, x: Any, y: Any, colour: Any, label: str | None = None) -> None:
    """A published figure."""
    axes.scatter(x, y, marker="*", s=110, color=colour, edgecolor="black", linewidth=0.6, zorder=3, label=label)


def _pareto(frame: pl.DataFrame) -> pl.DataFrame:
    """The strategies that beat every cheaper one."""
    ordered = frame.sort(["flops", "normalised"], descending=[False, True])
    return ordered.filter(pl.col("normalised") > pl.col("normalised").cum_max().shift(1, fill_value=-1.0))


def _axis(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlabel("operations to verify (FLOPs)")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _finish(figure: Figure, axes: Axes, path: Path) -> None:
    _axis(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    for suffix in (".png", ".svg"):
        stream = io.BytesIO()
        metadata = {"Date": None} if suffix == ".svg" else None
        figure.savefig(stream, format=suffix[1:], dpi=150, metadata=metadata)
        write_atomically(path.with_suffix(suffix), stream.getvalue())
