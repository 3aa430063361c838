"""What commands print: lines and tables, whole in a pipe and folded to the width of a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from compactproofs.system.log import PROGRESS
from compactproofs.system.messages import escaped

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def busy(doing: str) -> Iterator[Callable[[str], None]]:
    """Inside the block a line on stderr, in a terminal, says what is being done, how far it is, and how long."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}{task.fields[far]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task(doing, total=None, far="")
        token = PROGRESS.set(lambda words: progress.update(bar, far=f": {words}"))
        try:
            yield lambda what: progress.update(bar, description=f"{doing} {escaped(what)}", far="")
        finally:
            PROGRESS.reset(token)


_GAP = "  "
_INDENT = "    "


def say(text: str, start: str = "", style: str = "", to: Console | None = None) -> None:
    """Print one line, whatever is in the text; its start may have a style."""
    console = to or out
    whole = Text("\n".join(_folded(start + escaped(text), _width(console), _INDENT)))
    whole.stylize(style, 0, len(start))
    console.print(whole)


def say_json(value: Any) -> None:
    """Print a value as JSON, in ASCII."""
    print(json.dumps(value, indent=1))


def say_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    label: int = 0,
    numbers: Collection[int] = (),
    to: Console | None = None,
) -> None:
    """Print a table; the columns `numbers` are aligned to the right.

    In a terminal that is too narrow the column `label` goes to a line of its own, and the other cells stand below it,
    each on its own line if that is not enough.
    """
    console = to or out
    cells = [[escaped(cell) for cell in row] for row in (headers, *rows)]
    width = _width(console)
    lines = _aligned(cells, numbers)
    if width is not None and max(map(len, lines)) > width:
        rest = [row[:label] + row[label + 1 :] for row in cells]
        below = _aligned(rest, {number - (number > label) for number in numbers})
        fits = len(_GAP) + max(map(len, below)) <= width
        lines = []
        for row, line, others in zip(cells, below, rest, strict=True):
            lines += _folded(f"{_GAP}{row[label]}", width, _INDENT)
            for text in [_GAP + line] if fits else [_INDENT + cell for cell in others]:
                lines += _folded(text, width, _INDENT + _GAP)
            if row is cells[0]:
                lines.append(_GAP + "─" * (max(map(len, lines)) - len(_GAP)))
    else:
        lines.insert(1, _GAP + "─" * (max(map(len, lines)) - len(_GAP)))
    console.print(Text("\n".join(("", *lines, ""))))


def _aligned(rows: list[list[str]], numbers: Collection[int]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        (cell.rjust(width) if number in numbers else cell.ljust(width))
        for row in rows
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return [(_GAP + _GAP.join(next(padded) for _ in widths)).rstrip() for _ in rows]


def _width(console: Console) -> int | None:
    """The columns of a terminal; a pipe has no end."""
    return console.width if console.is_terminal else None


def _folded(text: str, width: int | None, indent: str) -> list[str]:
    """The text in lines that fit, broken after blanks and slashes only."""
    if width is None or len(text) <= width:
        return [text]
    return list(_lines(text, width, indent))


def _lines(text: str, width: int, indent: str) -> Iterator[str]:
    line = ""
    for word in re.split(r"(?<=[^ ] )(?=[^ ])|(?<=/)", text):
        if line.strip() and len(line) + len(word.rstrip()) > width:
            yield line.rstrip()
            line = indent
        line += word
    yield line.rstrip()
