"""Figures for pages: drawn once, written as PNG and SVG, and as SVG inside a page that follows its light or dark theme.

Text stays text, so that it can be read aloud, searched, and drawn in the page's font.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import cycle
from typing import Any, TypeVar

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID = "#24292f", "#6e7781", "#d8dee4"
#: Colours that can be told apart on a white and on a dark page, and by most colour-blind readers.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#3b82c4", "#d9822b", "#2f9e77", "#d1495b", "#8a63c9", "#8b949e"
SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY, "#b08900", "#c45ab3", "#4aa3a3", "#7a8450")

T = TypeVar("T")

#: Sizes in inches: as wide as the page, half of it, a third and a quarter, so that letters come out equally large.
WIDE, HALF, THIRD, QUARTER = (9.0, 3.8), (4.2, 3.0), (2.8, 2.3), (2.3, 2.0)

_STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=SERIES),
    "figure.facecolor": "white",
    "grid.color": GRID,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "legend.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.fonttype": "none",
}
_THEMED = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)"}


@dataclass(frozen=True)
class Picture:
    """A figure as files, whose stem is `name`."""

    name: str
    svg: bytes
    png: bytes

    @property
    def ratio(self) -> str:
        """Width to height, as style sheets write it."""
        found = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', self.svg)
        return " / ".join(side.decode() for side in found.groups()) if found else "auto"

    @property
    def inline(self) -> str:
        """The SVG element as it stands in a page: as wide as its place, in the page's colours and font."""
        text = self.svg.decode("utf-8")
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
        text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 aria-hidden="true"', text, count=1)
        text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
        # Names inside the figure are made the figure's own, for they share one page.
        text = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{self.name}-", text)
        for colour, variable in _THEMED.items():
            text = text.replace(colour, variable)
        return text


def styled(more: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """Inside the block figures look as they do on pages."""
    found: AbstractContextManager[None] = matplotlib.rc_context({**_STYLE, **(more or {})})
    return found


def picture(name: str, draw: Callable[[Axes], None], size: tuple[float, float] = HALF) -> Picture:
    """Draw on one pair of axes of this size in inches."""
    with styled({"svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        _lay_out(figure)
        figure.patch.set_alpha(1.0)
        png = _saved(figure, "png", dpi=160)
        figure.patch.set_alpha(0.0)
        svg = _saved(figure, "svg", metadata={"Date": None, "Creator": None})
    return Picture(name, svg, png)


def coloured(series: Iterable[T]) -> Iterator[tuple[T, str]]:
    """Each with the next colour of `SERIES`, from the first again where there are more."""
    return zip(series, cycle(SERIES), strict=False)


def pictures(drawings: Mapping[str, Callable[[Axes], None]], size: tuple[float, float] = HALF) -> dict[str, Picture]:
    """Pictures of this size in inches by their names."""
    return {name: picture(name, draw, size) for name, draw in drawings.items()}


def size_of_each(number: int) -> tuple[float, float]:
    """The size of so many figures in rows."""
    return HALF if number < 3 else THIRD


def _lay_out(figure: Figure) -> None:
    """Find places for all parts, once for all formats: that takes as long as drawing."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, **options)
    return stream.getvalue()
