"""Tables that are known up to bounds: low-rank parts, and norms of the rest."""

from __future__ import annotations

import math
from typing import NamedTuple

from flint import arb

from exactcheck.balls import ZERO, Decisions, Table, mean_row, negated, product, root, shifted, total, transposed
from exactcheck.paths import Paths
from exactcheck.reading import Hint


class Bounds(NamedTuple):
    """Lower and upper bounds of a table, and the table itself where single entries of it may be used."""

    low: Table
    high: Table
    entries: Table | None = None

    @property
    def best(self) -> Bounds:
        """The same with the single entries in place of bounds."""
        return self if self.entries is None else Bounds(self.entries, self.entries)


def exact(table: Table) -> Bounds:
    """A table that is known."""
    return Bounds(table, table)


def directions(hint: Hint) -> tuple[Table, Table]:
    """The two d x r matrices of a hint; the columns from the d-th on are ignored, and none is a column of zeros."""
    _, d, count = hint.shape
    used = min(count, d)

    def entry(which: int, i: int, j: int) -> arb:
        x = hint.entries[(which * d + i) * count + j] if used else 0.0
        return arb(x) if math.isfinite(x) else ZERO

    first, second = ([[entry(which, i, j) for j in range(max(used, 1))] for i in range(d)] for which in (0, 1))
    return first, second


def low_rank(X: Table, Z: Table, hint: Hint) -> Bounds:
    """Bounds of X Z^T by a part of low rank, and its entries."""
    M, N = directions(hint)
    XM, ZN = product(X, M), product(Z, N)
    centre = product(XM, _twice_identity_less(product(transposed(N), M)), transposed(ZN))
    left = _row_norms(_minus(X, product(XM, transposed(N))))
    right = _row_norms(_minus(Z, product(ZN, transposed(M))))
    return _around(centre, left, right, product(X, transposed(Z)))


def low_rank_scores(paths: Paths, hint: Hint) -> Bounds:
    """EQKE up to a constant for each query."""
    query_side = product(paths.scaled_E_q, paths.W["W_Q"], transposed(paths.W["W_K"]))
    return low_rank(query_side, centred(paths.W["W_E"]), hint)


def low_rank_direct(paths: Paths, hint: Hint) -> Bounds:
    """EU less its mean row, up to a constant for each query."""
    return low_rank(centred(paths.E_q), centred(transposed(paths.W["W_U"])), hint)


def scores_by_norms(paths: Paths, hint: Hint, square: Hint | None, decide: Decisions) -> Bounds:
    """EQKE up to a constant for each query; without a guess of the square of a singular value, by norms of rows."""
    U, V = directions(hint)
    UT, VT = transposed(U), transposed(V)
    X, Y, W_K = paths.E_q, centred(paths.W["W_E"]), paths.W["W_K"]
    scale = 1 / arb(len(W_K[0])).sqrt()
    scaled_W_Q = [[x * scale for x in row] for row in paths.W["W_Q"]]
    B = product(scaled_W_Q, transposed(W_K))
    G, H = _twice_identity_less(product(UT, U)), _twice_identity_less(product(VT, V))
    UTB = product(UT, B)
    first = product(X, U, G, _minus(UTB, product(UTB, V, H, VT)), transposed(Y))
    second = product(X, B, V, H, VT, transposed(Y))
    centre = [[x + y for x, y in zip(*rows, strict=True)] for rows in zip(first, second, strict=True)]
    X_rest, Y_rest = _minus(X, product(X, U, UT)), _minus(Y, product(Y, V, VT))
    if square is not None:
        R = _minus(B, product(U, UTB))
        R = _minus(R, product(R, V, VT))
        norm = _singular_value(R, square.entries[0], decide)
        return _around(centre, [x * norm for x in _row_norms(X_rest)], _row_norms(Y_rest))
    of_query = _row_norms(_minus(scaled_W_Q, product(U, UT, scaled_W_Q)))
    of_key = _row_norms(_minus(W_K, product(V, VT, W_K)))
    return _around(centre, _weighted_sizes(X_rest, of_query), _weighted_sizes(Y_rest, of_key))


def centred(table: Table) -> Table:
    """Less its mean row."""
    return shifted(table, negated(mean_row(table)))


def _around(centre: Table, left: list[arb], right: list[arb], entries: Table | None = None) -> Bounds:
    """Centre -+ left[i] right[j]."""
    low = [[c - x * y for c, y in zip(row, right, strict=True)] for row, x in zip(centre, left, strict=True)]
    high = [[c + x * y for c, y in zip(row, right, strict=True)] for row, x in zip(centre, left, strict=True)]
    return Bounds(low, high, entries)


def _minus(a: Table, b: Table) -> Table:
    return [[x - y for x, y in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]


def _twice_identity_less(a: Table) -> Table:
    return [[(2 if i == j else 0) - x for j, x in enumerate(row)] for i, row in enumerate(a)]


def _norm(row: list[arb]) -> arb:
    return root(total(x * x for x in row))


def _row_norms(a: Table) -> list[arb]:
    return [_norm(row) for row in a]


def _weighted_sizes(a: Table, weights: list[arb]) -> list[arb]:
    return [total(abs(x) * w for x, w in zip(row, weights, strict=True)) for row in a]


def _singular_value(R: Table, square: float, decide: Decisions) -> arb:
    """The Frobenius norm; or the root of `square`, if less and certainly at least the largest singular value."""
    frobenius = _norm([x for row in R for x in row])
    if not math.isfinite(square):
        return frobenius
    gram = product(transposed(R), R)
    rest = [[(arb(square) if i == j else ZERO) - x for j, x in enumerate(row)] for i, row in enumerate(gram)]
    # Positive definite if and only if all pivots of the elimination are positive.
    while rest:
        pivot = rest[0][0]
        if not decide.positive(pivot):
            return frobenius
        rest = [[x - row[0] * top / pivot for x, top in zip(row[1:], rest[0][1:], strict=True)] for row in rest[1:]]
    return arb(square).sqrt().min(frobenius)
