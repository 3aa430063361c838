"""Who is told how much work is done, and may stop it.  Nothing that is proved depends on these numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TOLD: ContextVar[Callable[[int], None]] = ContextVar("_TOLD", default=lambda operations: None)


@contextmanager
def telling(listener: Callable[[int], None]) -> Iterator[None]:
    """Inside, each call of NumPy is told to the listener, which may raise, as so many operations on numbers."""
    token = _TOLD.set(listener)
    try:
        yield
    finally:
        _TOLD.reset(token)


def spend(operations: int) -> None:
    """Say that a call of NumPy does so many operations on numbers."""
    _TOLD.get()(operations)
