"""Docstrings as they are written, in plain text, for Sphinx.

No character of them is taken for markup but what is between two backticks, so that a formula means on a page what it
means in the source.  Paragraphs and lists are recognised, as are the words that begin a theorem and its proof; whatever
is indented, or looks like nothing of this, is shown line by line as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from docutils.core import publish_doctree
from sphinx.util.logging import getLogger

from modules import meant

logger = getLogger(__name__)

_ITEM = re.compile(r"(?:[*-]|\d+\.) +")
_HEAD = re.compile(r"(?:Theorem|Lemma|Corollary|Proof|Invariant|Definition)s?(?: \d+)?(?: \([^)]*\))?[.:]")
_SPECIAL = re.compile(r"([\\*_|`])")

#: What a name between backticks is a link to, if it is: the full name of a module.
Find = Callable[[str], str | None]


def as_rst(lines: list[str], find: Find = lambda name: None) -> list[str]:
    """The same text in reStructuredText."""
    result: list[str] = []
    for block in _blocks(lines):
        result += [*_rendered(block, find), ""]
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


def _rendered(block: list[str], find: Find) -> list[str]:
    if block[0].startswith(">>>"):
        return block
    if not any(line.startswith(" ") for line in block) and not block[0].startswith("|") and not _is_list(block):
        return [_paragraph(block, find)]
    if _is_list(block):
        return [f"{marker} {_paragraph(text, find)}" for marker, text in _items(block)]
    return ["::", "", *(f"    {line}" for line in block)]


def _items(block: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The markers and lines of a list: an item begins where a line is not indented."""
    starts = [i for i, line in enumerate(block) if not line.startswith(" ")]
    for start, end in pairwise([*starts, len(block)]):
        marker = _ITEM.match(block[start])
        assert marker
        yield marker[0].strip(), [block[start][marker.end() :], *block[start + 1 : end]]


def _paragraph(lines: list[str], find: Find) -> str:
    text = " ".join(line.strip() for line in lines)
    head = _HEAD.match(text)
    bold, rest = (f"**{_escaped(head[0])}** ", text[head.end() :]) if head else ("", text)
    parts = re.split(r"`([^`]+)`", rest)
    return bold + "".join(_code(part, find) if i % 2 else _escaped(part) for i, part in enumerate(parts)).lstrip()


def _code(name: str, find: Find) -> str:
    module = find(name)
    return f"\\ :py:mod:`{name} <{module}>`\\ " if module else f"\\ ``{name}``\\ "


def _escaped(text: str) -> str:
    text = _SPECIAL.sub(r"\\\1", text)
    # What would begin a list or another block where a paragraph begins.
    return re.sub(r"^(\S)", r"\\\1", text) if re.match(r"[-+#=>.:(\[]|\w+[.)] ", text) else text


def is_kept(lines: list[str]) -> bool:
    """Whether a reader sees every character of a docstring, but for spaces, backticks and markers of lists."""
    seen = publish_doctree("\n".join(as_rst(lines)), settings_overrides={"report_level": 5}).astext()
    written = "".join(
        line
        for block in _blocks(lines)
        for line in (["".join(text) for _, text in _items(block)] if _is_list(block) else block)
    )
    return re.sub(r"[\s`]", "", seen) == re.sub(r"[\s`]", "", written)


def _process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    ours = what == "module" or (getattr(thing, "__module__", None) or "").startswith("compactproofs")
    if ours and not is_kept(list(lines)):
        logger.warning("the docstring of %s would not be shown as it is written", name)
    lines[:] = as_rst(list(lines), lambda word: meant(word, name) if what == "module" else None)


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
