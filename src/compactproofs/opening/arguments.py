"""What functions are given by people's own programs, looked at before it is used, where nothing else would."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import index
from pathlib import Path
from typing import Any

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.strict import shown

__all__ = ["Misuse", "about_arguments", "expect", "integer", "integer_or_none", "integers", "network_like", "path_of"]


class Misuse(CompactProofsError, ValueError):
    """An argument is not what a function takes; the message has its name, what was expected, and what was found."""


def expect(name: str, value: object, kinds: Any, words: str) -> None:
    """Raise Misuse unless the value is of one of these kinds, as `isinstance` takes them; `words`: what they are."""
    if not isinstance(value, kinds):
        raise Misuse(f"{name}: expected {words}, found {_found(value)}")


def integer(name: str, value: Any) -> int:
    """Python's integer, also of NumPy's, which would overflow."""
    try:
        return index(value)
    except TypeError:
        raise Misuse(f"{name}: expected an integer, found {_found(value)}") from None


def integer_or_none(name: str, value: Any) -> int | None:
    """The same, or None."""
    return None if value is None else integer(name, value)


def integers(name: str, values: Iterable[Any]) -> tuple[int, ...]:
    """The same of several."""
    try:
        return tuple(map(index, values))
    except TypeError:
        raise Misuse(f"{name}: expected integers, found {_found(values)}") from None


def path_of(name: str, value: Any) -> Path:
    """A path, from whatever is one."""
    expect(name, value, str | os.PathLike, "a path as text or pathlib.Path")
    path = Path(value)
    if not os.fspath(value):
        raise Misuse(f"{name}: expected a path, found {_found(value)}")
    if "\0" in str(path):
        raise Misuse(f"{name}: expected a path, which holds no null character, found {_found(value)}")
    return path


def network_like(value: object) -> bool:
    """Whether something has what every network has."""
    return not isinstance(value, type) and all(hasattr(value, name) for name in ("family", "sha256", "weight"))


@contextmanager
def about_arguments() -> Iterator[None]:
    """Inside, what is looked at are arguments: ValueErrors without a name of their own become Misuse."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, CompactProofsError):
            raise
        raise Misuse(str(error)) from error


def _found(value: object) -> str:
    """A value of any kind in a message."""
    return (
        shown(repr(value))
        if isinstance(value, str | int | float | bytes | list | tuple | None)
        else type(value).__name__
    )
