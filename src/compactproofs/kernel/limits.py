"""Who is told how much work is done, and may stop it.  Nothing that is proved depends on these numbers."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

#: Called for each call of NumPy with so many operations on numbers; it may raise.
LISTENER: ContextVar[Callable[[int], None]] = ContextVar("LISTENER", default=lambda operations: None)


def spend(operations: int) -> None:
    """Say that a call of NumPy does so many operations on numbers."""
    LISTENER.get()(operations)
