"""What is asked, as it is typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from compactproofs.kernel.strict import shown
from compactproofs.opening.networks import SETTINGS
from compactproofs.opening.tables import LabelTable
from compactproofs.tasks.sequences import TABLE

_WORDS = {"true": True, "false": False, "none": None, "null": None}


def task_of(text: str | None) -> tuple[str | None, LabelTable | None]:
    """The name of a task as it is typed, and its table."""
    name, colon, file = (text or "").partition(":")
    if not (name == TABLE) == bool(colon) == bool(file):
        raise ValueError(f"--task: expected a name, or {TABLE}:FILE, found {shown(text)}")
    return (name, LabelTable.load(file)) if colon else (text, None)


def tokens_of(option: str, text: str) -> tuple[int, ...]:
    """Tokens, or other integers from 0, with spaces or commas between them."""
    parts = text.replace(",", " ").split()
    if not all(re.fullmatch(r"[0-9]{1,19}", part, re.ASCII) for part in parts):
        raise ValueError(
            f"{option}: expected integers of at most 19 digits, such as '10' or '3 10', found {shown(text)}"
        )
    return tuple(map(int, parts))


def settings_of(given: Sequence[str]) -> dict[str, Any]:
    """Settings NAME=VALUE."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in SETTINGS:
            raise ValueError(f"--setting: expected NAME=VALUE with one of {', '.join(SETTINGS)}, found {shown(text)}")
        found[name] = _WORDS.get(value.lower(), value)
    return found
