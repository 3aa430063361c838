"""Docstrings as they are written, in plain text, for Sphinx.

No character of them is taken for markup but backticks and *emphasis*.  Paragraphs, lists and tables of two columns are
recognised, as are the words that begin a theorem and its proof, and formulas (`formulas`), which are set as
mathematics: among words where they stand among words, and by themselves where lines are indented.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from docutils.core import publish_doctree
from sphinx.util.logging import getLogger

from displays import displayed
from formulas import plain, spans
from modules import meant

logger = getLogger(__name__)

_ITEM = re.compile(r"(?:[*-]|\d+\.) +")
_HEAD = re.compile(
    r"(?:(?:Screening|Box) lemma|Theorem|Lemma|Corollary|Proof|Invariant|Definition)s?(?: \d+)?(?: \([^)]*\))?[.:]"
)
_RELATION = re.compile(r" (?:[<>!/]?=|[<>]) ")
_EMPHASIS = re.compile(r"\\?\*(\w[\w ]*)\\?\*(?!\w)")
_SPECIAL = re.compile(r"([\\*_|`])")

#: What a name between backticks is a link to, if it is: the full name of a module.
Find = Callable[[str], str | None]


def as_rst(lines: list[str], find: Find = lambda name: None, *, read_back: bool = False) -> list[str]:
    """The same text in reStructuredText; `read_back`: with what its formulas were made of in their place."""
    result: list[str] = []
    text = _Text("\n".join(lines), find, read_back)
    for block in _blocks(lines):
        result += [*text.rendered(block), ""]
    return result


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Groups of lines between empty ones; those that are indented, with what is empty between them, are one."""
    block: list[str] = []
    for line in [*lines, "", "."]:
        ends = block and not block[-1].strip() and line.strip() and not (_indented(block) and line.startswith(" "))
        if ends or (block and line.startswith("Proof.")):
            while not block[-1].strip():
                block.pop()
            yield block
            block = []
        if block or line.strip():
            block.append(line.rstrip())


def _indented(block: list[str]) -> bool:
    return all(line.startswith(" ") for line in block if line.strip())


def _is_list(block: list[str]) -> bool:
    return bool(_ITEM.match(block[0])) and all(line.startswith(" ") or _ITEM.match(line) for line in block)


def _items(block: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The markers and lines of a list: an item begins where a line is not indented."""
    starts = [i for i, line in enumerate(block) if not line.startswith(" ")]
    for start, end in pairwise([*starts, len(block)]):
        marker = _ITEM.match(block[start])
        assert marker
        yield marker[0].strip(), [block[start][marker.end() :], *block[start + 1 : end]]


def _cells(block: list[str]) -> list[tuple[str, list[str]]]:
    """The rows of a table of two columns, words and what they mean; none, if it is no such table."""
    rows: list[tuple[str, list[str]]] = []
    for line in block:
        words, _, text = line.partition("  ")
        if words and (not text or _RELATION.search(f" {words} ") or _RELATION.match(f" {text.strip()} ")):
            return []
        if words:
            rows.append((words, []))
        if not rows:
            return []
        rows[-1][1].append(text.strip())
    return rows if len(rows) > 1 else []


def _sections(block: list[str]) -> Iterator[list[str]]:
    """The parts of an indented block: what is between empty lines, and what begins anew behind a full stop."""
    section: list[str] = []
    for line in block:
        if section and (not line or (section[-1].endswith(".") and re.match(r"\s+[A-Z][a-z]+[.,] ", line))):
            yield section
            section = []
        if line:
            section.append(line)
    yield section


class _Text:
    """Blocks of one docstring, `whole`, in reStructuredText."""

    def __init__(self, whole: str, find: Find, read_back: bool) -> None:
        self._whole, self._find, self._read_back = whole, find, read_back

    def rendered(self, block: list[str]) -> list[str]:
        if block[0].startswith(">>>"):
            return block
        if _is_list(block):
            return [line for marker, text in _items(block) for line in self._item(marker, text)]
        if _indented(block):
            return [line for section in _sections(block) for line in [*self._section(section), ""]]
        if any(line.startswith(" ") for line in block):  # what begins a paragraph, and the rest of it behind
            starts = [i for i, line in enumerate(block) if not line.startswith(" ")]
            parts = (block[start:end] for start, end in pairwise([*starts, len(block)]))
            table = _cells(block)
            return self._table(table) if table else [line for part in parts for line in (self._paragraph(part), "")]
        return [self._paragraph(block)]

    def _item(self, marker: str, text: list[str]) -> list[str]:
        """An item of a list, with formulas where lines are indented further than its second one."""
        indent = len(marker) + 3
        first = next((i for i, line in enumerate(text) if line.startswith(" " * indent)), len(text))
        result = [f"{marker} {self._paragraph(text[:first])}"]
        if first < len(text):
            formulas = [f"{' ' * (len(marker) + 1)}{line}" for line in self._section(text[first:])]
            result = [*result, "", *formulas, ""]
        return result

    def _section(self, lines: list[str]) -> list[str]:
        """Formulas, a table, or words that are set apart."""
        indent = min(len(line) - len(line.lstrip()) for line in lines)
        inner = [line[indent:] for line in lines]
        found = "".join(
            line[span.start : span.stop] for line in inner for span in spans(line, whole=self._whole, displayed=True)
        )
        share = len("".join(found.split())) / len("".join("".join(inner).split()))
        if share < 0.6 and (rows := _cells(inner)):
            return self._table(rows)
        in_columns = sum("   " in line.strip() for line in inner) > 1
        if (share < 0.4 and not in_columns) or (share < 0.6 and re.search(r"[^.]\.  ?[A-Z][a-z]", " ".join(inner))):
            return [f"   {self._paragraph(inner)}"]
        latex = displayed(lines, self._whole)
        if self._read_back:
            return ["::", "", f"   {plain(latex)}"]
        return [".. math::", "", *(f"   {line}" for line in latex.split("\n"))]

    def _table(self, rows: list[tuple[str, list[str]]]) -> list[str]:
        result = [".. list-table::", "   :widths: auto", ""]
        for words, text in rows:
            result += [f"   * - {self._paragraph([words])}", f"     - {self._paragraph(text)}"]
        return result

    def _paragraph(self, lines: list[str]) -> str:
        text = " ".join(line.strip() for line in lines)
        head = _HEAD.match(text)
        of_head = len(head[0].partition(" (")[0]) if head else 0  # without what it is about
        bold, rest = (f"**{text[:of_head]}** ", text[of_head:]) if head else ("", text)
        result, at = "", 0
        for code in [*re.finditer(r"`([^`]+)`|(?<=\.  )(Proof)(?=\.)", rest), None]:
            result += self._words(rest[at : code.start() if code else len(rest)], first=at == 0)
            if code:
                result += self._code(code[1]) if code[1] else f"\\ **{code[2]}**\\ "
                at = code.end()
        return bold + result.lstrip()

    def _words(self, text: str, first: bool) -> str:
        """What stands between codes; `first`: where a paragraph begins."""
        result, at = "", 0
        for span in spans(text, whole=self._whole):
            result += _marked(text[at : span.start], first and at == 0)
            if self._read_back:
                result += _literal(plain(span.latex))
            else:
                result += " ".join(f"\\ :math:`{piece.strip()}`\\ " for piece in span.pieces)
            at = span.stop
        return result + _marked(text[at:], first and at == 0)

    def _code(self, name: str) -> str:
        module = self._find(name)
        return f"\\ :py:mod:`{name} <{module}>`\\ " if module else _literal(name)


def _literal(text: str) -> str:
    return f"\\ ``{text}``\\ "


def _marked(text: str, first: bool) -> str:
    """Text that is no markup, but for *emphasis*."""
    text = _escaped(text) if first else _SPECIAL.sub(r"\\\1", text)
    return _EMPHASIS.sub(r"\\ *\1*\\ ", text)


def _escaped(text: str) -> str:
    text = _SPECIAL.sub(r"\\\1", text)
    # What would begin a list or another block where a paragraph begins.
    return re.sub(r"^(\S)", r"\\\1", text) if re.match(r"[-+#=>.:(\[]|\w+[.)] ", text) else text


def is_kept(lines: list[str]) -> bool:
    """Whether a reader sees every character of a docstring, but for spaces, backticks, stars and markers of lists."""
    shown = "\n".join(as_rst(lines, read_back=True))
    seen = publish_doctree(shown, settings_overrides={"report_level": 5}).astext()
    written = "".join(
        line
        for block in _blocks(lines)
        for line in (["".join(text) for _, text in _items(block)] if _is_list(block) else block)
    )
    return re.sub(r"[\s`{}]", "", seen) == re.sub(r"[\s`{}]", "", _EMPHASIS.sub(r"\1", written))


def _process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    if lines and lines[0].startswith("Alias for field number"):  # which Python says of fields, and nobody else
        lines.clear()
    ours = what == "module" or (getattr(thing, "__module__", None) or "").startswith("compactproofs")
    if ours and not is_kept(list(lines)):
        logger.warning("the docstring of %s would not be shown as it is written", name)
    lines[:] = as_rst(list(lines), lambda word: meant(word, name) if what == "module" else None)


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
