"""Pages that stand alone: one HTML file with its figures, tables, styles and script in it, and nothing fetched.

A section is a module of `sections`, which computes, and a template of the same name beside it, which says in words what
was computed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from compactproofs.report.pictures import Picture
from compactproofs.report.subjects import Both, BothPairs, HeadsSubject, Models, PairSubject, Subject
from compactproofs.report.wording import FILTERS, form
from compactproofs.search.builtin import get_strategy
from compactproofs.search.families import companion_of
from compactproofs.system.files import write_atomically
from compactproofs.system.places import check_file, remove_left_behind
from compactproofs.version import __version__

GENERATOR = f"compactproofs {__version__}"

#: The variables of a section's template; those called "figures" are its pictures.
Found = dict[str, Any]
About = TypeVar("About", Subject, PairSubject, HeadsSubject, Both, BothPairs, Models)


@dataclass(frozen=True)
class Cell:
    """What a table shows, and the number by which it sorts, if any."""

    text: str
    number: float | None = None


def cell(value: str | float | tuple[str, float] | None, spec: str = "") -> Cell:
    """Text as it is, a number in this format, text that sorts as a number does, or nothing, which sorts first."""
    if isinstance(value, str):
        return Cell(value)
    if value is None:
        return Cell("", float("-inf"))
    return Cell(*value) if isinstance(value, tuple) else Cell(form(value, spec), float(value))


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    id: str
    title: str
    html: Markup
    pictures: Sequence[Picture] = ()


def section(find: Callable[[About], Found], subject: About) -> Section:
    """What `find`, of a module of `sections`, computes about the subject, in the words of the module's template."""
    name = find.__module__.rpartition(".")[2]
    found: Found = find(subject)
    values = {"subject": subject, "many": isinstance(subject, Models), **found}
    words: Any = environment().get_template(f"sections/{name}.html.j2").make_module(values)
    return Section(name.replace("_", "-"), words.title, Markup(words), tuple(found.get("figures", {}).values()))


@dataclass(frozen=True)
class Page:
    """A page: its head with what is found and how, its sections, and the strategies whose theorems it gives."""

    head: Section
    sections: Sequence[Section]
    strategies: Sequence[str] = ()

    @property
    def pictures(self) -> list[Picture]:
        """All figures, in order."""
        return [picture for section in (self.head, *self.sections) for picture in section.pictures]

    @property
    def theorems(self) -> list[tuple[str, str, str]]:
        """(anchor, module, statement and proof) of each theorem and lemma that the strategies rest on, each once."""
        known = [companion_of(get_strategy(strategy)) for strategy in self.strategies]
        modules = dict.fromkeys(module for each in known for module in (each.stated_in, *each.lemmas))
        return [(_anchor(module), module, (sys.modules[module].__doc__ or "").strip()) for module in modules]


def _anchor(module: str) -> str:
    return "theorem-" + module.removeprefix("compactproofs.theorems.").replace("_", "-").replace(".", "-")


@cache
def environment() -> Environment:
    """The templates of this package, with the filters of `wording` and the macros of parts.html.j2."""
    made = Environment(
        loader=PackageLoader("compactproofs.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(cell=cell, anchor=lambda strategy: _anchor(companion_of(get_strategy(strategy)).stated_in))
    parts = made.get_template("parts.html.j2").module
    made.globals.update(
        {
            name: getattr(parts, name)
            for name in ("figure", "pair", "table", "theorem", "columns", "inputs_of", "shorter", "operations")
        }
    )
    return made


def render(page: Page) -> str:
    """The page as HTML."""
    return environment().get_template("page.html.j2").render(page=page, generator=GENERATOR)


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
