"""What the figures about networks of two arguments look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from compactproofs.analysis.pair_sums import Boxes, curve
from compactproofs.kernel.decisions import FloatArray
from compactproofs.report.charts import Draw, legend_below, legend_beside, operations
from compactproofs.report.pictures import BLUE, GREEN, INK, MUTED, ORANGE, RED, coloured

#: What is read of x and of y, and what is written.
SIDES = (("reads of x", BLUE), ("reads of y", ORANGE), ("writes", GREEN))


def shares(values: FloatArray, names: Sequence[str], xlabel: str) -> Draw:
    """The three shares of each irrep, (irreps, 3), side by side."""

    def draw(axes: Axes) -> None:
        at = np.arange(len(values))
        for i, (label, colour) in enumerate(SIDES):
            axes.bar(at + 0.27 * (i - 1), values[:, i], 0.27, color=colour, label=label)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel(xlabel)
        axes.set_ylabel("share of the squares")
        if len(names) <= 12:
            axes.set_xticks(at, names)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.legend()
        axes.grid(axis="y")

    return draw


def singular_values(values: FloatArray, used: int | None) -> Draw:
    """Shares of the squares on a logarithmic scale, and how many directions a proof uses."""

    def draw(axes: Axes) -> None:
        kept = values[values > values[0] * 1e-6] if len(values) else values
        axes.plot(np.arange(1, len(kept) + 1), kept, "o-", color=BLUE, ms=3, lw=1)
        if len(kept):
            axes.set_yscale("log")
        if used is not None:
            axes.axvline(used + 0.5, color=RED, lw=1, ls="--", label=f"{used} directions: low-rank")
            axes.legend()
        axes.set_xlabel("number")
        axes.set_ylabel("singular value")
        axes.grid(axis="y")

    return draw


def plane(points: Mapping[str, FloatArray], axes_labels: tuple[str, str]) -> Draw:
    """Neurons, (2, m) for what each reads of x and of y, in one plane with the same scale along both axes."""

    def draw(axes: Axes) -> None:
        largest = max(float(np.abs(each).max(initial=0.0)) for each in points.values()) or 1.0
        axes.axhline(0, color=MUTED, lw=0.6)
        axes.axvline(0, color=MUTED, lw=0.6)
        for (label, each), (_, colour), marker in zip(points.items(), SIDES, "ox", strict=False):
            size = 13 if marker == "o" else 16
            axes.scatter(each[0], each[1], s=size, marker=marker, lw=0.9, color=colour, alpha=0.75, label=label)
        axes.set_xlim(-1.12 * largest, 1.12 * largest)
        axes.set_ylim(-1.12 * largest, 1.12 * largest)
        axes.set_aspect("equal")
        axes.set_xlabel(axes_labels[0])
        axes.set_ylabel(axes_labels[1])
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    return draw


def phases(turns: Mapping[str, tuple[FloatArray, FloatArray]]) -> Draw:
    """The phase that each neuron writes with, against the sum of those with which it reads, in turns."""

    def draw(axes: Axes) -> None:
        for name, (read, written) in turns.items():
            axes.scatter(read, written, s=9, alpha=0.75, lw=0, label=name)
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=":")
        axes.set_xlabel("phases read of x and of y, added, in turns")
        axes.set_ylabel("phase written, in turns")
        axes.set_aspect("equal")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, columnspacing=0.8, handletextpad=0.2)

    return draw


def rectangles(found: Boxes) -> Draw:
    """The curve, and a rectangle for each neuron under or above it."""

    def draw(axes: Axes) -> None:
        start = float(found.edges[0]) if len(found.edges) else 0.0
        t = np.linspace(start, start + 2 * np.pi, 400)
        axes.bar(
            *(found.edges, found.heights, found.widths),
            align="edge",
            color=BLUE,
            alpha=0.35,
            edgecolor=BLUE,
            linewidth=0.4,
        )
        axes.plot(t, curve(t), color=INK, lw=1.1)
        axes.axhline(0, color=MUTED, lw=0.6)
        axes.set_xlabel("phase, less that of the input")
        axes.set_ylabel("for the label")

    return draw


def bounds(points: Mapping[str, Sequence[tuple[float, float]]], joined: bool = True) -> Draw:
    """(operations, share) by strategy, those of one with more or fewer directions joined by a line; or by network."""

    def draw(axes: Axes) -> None:
        for (name, each), colour in coloured(points.items()):
            x, y = zip(*each, strict=True)
            below = name.endswith("-upper")
            axes.plot(
                x,
                y,
                "v" if below else "o-" if joined else "o",
                ms=8 if below else 4,
                lw=1,
                color=colour,
                label=name,
                fillstyle="none" if below else "full",
            )
        axes.set_ylim(-0.03, 1.06)
        operations(axes, "operations to verify (FLOPs)")
        axes.set_ylabel("certified share of the inputs")
        axes.grid()
        (legend_beside if joined else legend_below)(axes)

    return draw
