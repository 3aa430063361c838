"""Real numbers as balls (midpoint and radius), and decisions about them that never guess."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flint import arb, arb_mat

Table = list[list[arb]]

ZERO = arb(0)


class Decisions:
    """Answers questions about balls with yes only if that is certain, and counts those that stay open."""

    def __init__(self) -> None:
        self.undecided = 0

    def positive(self, x: arb) -> bool:
        """Whether x > 0."""
        if x > 0:
            return True
        if not x <= 0:
            self.undecided += 1
        return False

    def negative(self, x: arb) -> bool:
        """Whether x < 0."""
        return self.positive(-x)


def total(numbers: Iterable[arb]) -> arb:
    """The sum."""
    return sum(numbers, ZERO)


def square(x: arb) -> arb:
    """x times x: the power 2 of a ball around 0 is NaN in python-flint."""
    return x * x


def largest(numbers: Iterable[arb]) -> arb:
    """The maximum of at least one number; nothing is known of it if nothing is known of one of them."""
    best = None
    for x in numbers:
        if not x.is_finite():
            return arb("nan")
        best = x if best is None else best.max(x)
    assert best is not None
    return best


def least(numbers: Iterable[arb]) -> arb:
    """The minimum."""
    return -largest(-x for x in numbers)


def spread(row: Sequence[arb]) -> arb:
    """The maximum minus the minimum."""
    return largest(row) - least(row)


def mean(numbers: Sequence[arb]) -> arb:
    """The arithmetic mean."""
    return total(numbers) / len(numbers)


def root(x: arb) -> arb:
    """The square root of a number that is known not to be negative, even if its ball reaches below 0."""
    return x.sqrt() if x > 0 or not x.is_finite() else ZERO.union(x.upper().max(ZERO).sqrt())


def in_order(numbers: Sequence[arb]) -> list[arb]:
    """The numbers sorted upwards.

    The k-th smallest of real numbers lies between the k-th smallest of lower bounds and that of upper bounds.
    """
    if not all(x.is_finite() for x in numbers):
        return [arb("nan")] * len(numbers)
    lows, highs = sorted(x.lower() for x in numbers), sorted(x.upper() for x in numbers)
    return [low.union(high) for low, high in zip(lows, highs, strict=True)]


def balls(matrix: Sequence[Sequence[float]]) -> Table:
    """A matrix of exact numbers."""
    return [[arb(x) for x in row] for row in matrix]


def transposed(a: Table) -> Table:
    """The transpose."""
    return [list(column) for column in zip(*a, strict=True)]


def product(*factors: Table) -> Table:
    """The product of matrices, from the left."""
    result = arb_mat(factors[0])
    for factor in factors[1:]:
        result = result * arb_mat(factor)
    return [[result[i, j] for j in range(result.ncols())] for i in range(result.nrows())]


def shifted(a: Table, row: Sequence[arb]) -> Table:
    """The matrix with `row` added to each of its rows."""
    return [[x + y for x, y in zip(line, row, strict=True)] for line in a]


def mean_row(a: Table) -> list[arb]:
    """The mean of the rows."""
    return [mean(column) for column in transposed(a)]


def negated(row: Sequence[arb]) -> list[arb]:
    """The row times -1."""
    return [-x for x in row]
