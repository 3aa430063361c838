"""Pictures of two models in pairs: the same axes and the same colours for both, so that they can be compared by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compactproofs.kernel.decisions import FloatArray
from compactproofs.report.charts import Draw
from compactproofs.report.pictures import HALF, Picture, picture, styled


def paired(drawings: Mapping[str, Sequence[Draw]], size: tuple[float, float] = HALF) -> dict[str, Picture]:
    """NAME-1 and NAME-2 for each of the names, as `section` takes them."""
    return {
        f"{name}-{number}": picture(f"{name}-{number}", draw, size)
        for name, both in drawings.items()
        for number, draw in enumerate(alike(both), 1)
    }


def alike(draws: Sequence[Draw]) -> list[Draw]:
    """The same, each with axes that hold what is on any of them, and colours that mean the same."""
    drawn = [Figure().add_subplot() for _ in draws]
    with styled():
        for axes, draw in zip(drawn, draws, strict=True):
            draw(axes)
    held = [np.array([[*axes.get_xlim()], [*axes.get_ylim()]]) for axes in drawn]
    colours = [image.get_clim() for axes in drawn for image in axes.images]

    def within(draw: Draw) -> Draw:
        def both(axes: Axes) -> None:
            draw(axes)
            axes.set_xlim(*_around(held, 0))
            axes.set_ylim(*_around(held, 1))
            for image in axes.images:
                image.set_clim(min(low for low, _ in colours), max(high for _, high in colours))

        return both

    return [within(draw) for draw in draws]


def _around(held: list[FloatArray], axis: int) -> tuple[float, float]:
    """From the least to the largest, or turned round, if the axis is."""
    ends = [limits[axis] for limits in held]
    low, high = min(min(end) for end in ends), max(max(end) for end in ends)
    return (low, high) if ends[0][0] <= ends[0][1] else (high, low)
