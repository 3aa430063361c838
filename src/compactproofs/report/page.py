"""Pages that stand alone: one HTML file with its figures, tables, styles and script in it, and nothing fetched."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from compactproofs.report.pictures import Picture, with_minus
from compactproofs.runs.files import write_atomically
from compactproofs.runs.places import check_file, remove_left_behind
from compactproofs.search.words import STATEMENTS
from compactproofs.theorems import get_strategy
from compactproofs.version import __version__

GENERATOR = f"compactproofs {__version__}"


@dataclass(frozen=True)
class Cell:
    """What a table shows, and the number by which it sorts, if any."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Table:
    """A table that sorts by any of its columns."""

    caption: str
    headers: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers."""
        return [cell.number is not None for cell in self.rows[0]] if self.rows else [False] * len(self.headers)


@dataclass(frozen=True)
class Section:
    """A heading with text, words and their meanings, figures and tables; `text` may hold markup made by `say`."""

    id: str
    title: str
    text: Sequence[str]
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    terms: Sequence[tuple[str, str]] = ()


#: The lemmas that say what the choices of a family of strategies are, by the family's package.
_LEMMAS = {
    "compactproofs.theorems.max_of_k.subcubic": ("direct_path", "own_output", "remainder", "peel", "spread"),
    "compactproofs.theorems.max_of_k.failing_sets": (
        "margin_tables",
        "safe_outputs",
        "failing_inputs",
        "low_rank_tables",
    ),
}


@dataclass(frozen=True)
class Page:
    """A page, and the theorems that it refers to by strategy id."""

    title: str
    lead: Sequence[str]
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    strategies: tuple[str, ...] = ()

    @property
    def pictures(self) -> list[Picture]:
        """All figures, in order."""
        return [picture for section in self.sections for picture in section.pictures]

    @property
    def theorems(self) -> list[tuple[str, str, str]]:
        """(anchor, module, statement and proof) of each theorem and lemma that the strategies rest on, each once."""
        theorems = dict.fromkeys(STATEMENTS[get_strategy(strategy).theorem] for strategy in self.strategies)
        modules = []
        for theorem in theorems:
            package = theorem.rpartition(".")[0]
            modules += [theorem, *(f"{package}.{name}" for name in _LEMMAS.get(package, ()))]
        return [(_anchor(module), module, (sys.modules[module].__doc__ or "").strip()) for module in modules]


def say(text: str, /, **values: object) -> Markup:
    """Text with markup of our own, whose {fields} are filled with values that are escaped."""
    return Markup(with_minus(Markup(text).format(**values)))


def theorem_link(strategy_id: str, text: str) -> Markup:
    """A link to the strategy's theorem on the same page."""
    return say(
        '<a href="#{anchor}">{text}</a>', anchor=_anchor(STATEMENTS[get_strategy(strategy_id).theorem]), text=text
    )


def _anchor(module: str) -> str:
    return "theorem-" + module.removeprefix("compactproofs.theorems.").replace("_", "-").replace(".", "-")


def cell(value: str | float, form: str = "") -> Cell:
    """A cell that shows the value in this format."""
    return Cell(value, None) if isinstance(value, str) else Cell(with_minus(format(value, form)), float(value))


def render(page: Page) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("compactproofs.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html").render(page=page, generator=GENERATOR)


def check_target(path: Path) -> None:
    """Raises ValueError if a page cannot be written there, or would replace something that is no such page."""
    if path.suffix != ".html":
        raise ValueError(f"--out: expected a name that ends in .html, found {path}")
    check_file(path)
    if path.exists() and b'content="compactproofs' not in path.read_bytes()[:2000]:
        raise ValueError(f"--out: {path} exists and is not a report; choose another name")


def figures_directory(path: Path) -> Path:
    """Where the figures of the page at `path` go."""
    return path.with_name(f"{path.stem}-figures")


def write(page: Page, path: Path) -> None:
    """Write the page, and its figures as PNG and SVG beside it; raises ValueError where that is not possible."""
    figures = figures_directory(path)
    try:
        figures.mkdir(exist_ok=True)
        remove_left_behind(figures)
        for picture in page.pictures:
            write_atomically(figures / f"{picture.name}.svg", picture.svg)
            write_atomically(figures / f"{picture.name}.png", picture.png)
        write_atomically(path, render(page).encode("utf-8"))
    except OSError as error:
        raise ValueError(f"--out: cannot write {error.filename or path}: {error.strerror or error}") from error
