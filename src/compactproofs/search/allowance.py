"""How much work a check may do: only a limit on waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.limits import LISTENER

#: What a call of NumPy takes, whatever the size of the arrays, as so many operations.
CALL = 2**15


class TooMuchWork(CompactProofsError, ValueError):
    """Checking would take, or has taken, more than the limit."""


class Allowance:
    """Operations that were done, and how many may be: beyond `limit`, TooMuchWork is raised."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.spent = 0

    def book(self, operations: int) -> None:
        """Add a call of NumPy with so many operations on numbers."""
        self.spent += operations + CALL
        if self.limit is not None and self.spent > self.limit:
            raise TooMuchWork("the limit of operations is reached")


@contextmanager
def allowing(allowance: Allowance) -> Iterator[None]:
    """Inside, work is booked on this allowance."""
    token = LISTENER.set(allowance.book)
    try:
        yield
    finally:
        LISTENER.reset(token)
