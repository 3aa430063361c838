"""How much work a check may do.  Only a limit on waiting: nothing that is proved depends on these numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from compactproofs.kernel.errors import CompactProofsError

#: What a call of NumPy takes, whatever the size of the arrays, as so many operations.
CALL = 2**15


class TooMuchWork(CompactProofsError, ValueError):
    """Checking would take, or has taken, more than the limit."""


class Allowance:
    """Operations that were done, and how many may be: beyond `limit`, TooMuchWork is raised."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.spent = 0


_CURRENT: ContextVar[Allowance | None] = ContextVar("_CURRENT", default=None)


@contextmanager
def allowing(allowance: Allowance) -> Iterator[None]:
    """Inside, work is booked on this allowance."""
    token = _CURRENT.set(allowance)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def spend(operations: int) -> None:
    """Book a call of NumPy with so many operations on numbers."""
    allowance = _CURRENT.get()
    if allowance is not None:
        allowance.spent += operations + CALL
        if allowance.limit is not None and allowance.spent > allowance.limit:
            raise TooMuchWork("the limit of operations is reached")
