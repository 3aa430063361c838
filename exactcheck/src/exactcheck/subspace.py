"""subspace: embeddings by a few coordinates, and tables of queries, keys and outputs through these."""

from __future__ import annotations

import math
from collections.abc import Sequence

from flint import arb

from exactcheck.balls import (
    ZERO,
    Decisions,
    Table,
    balls,
    largest,
    least,
    mean_row,
    negated,
    product,
    root,
    shifted,
    spread,
    total,
    transposed,
)
from exactcheck.reading import Hint, Weights


def hint_forms(weights: Weights) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """The types and shapes of the hints."""
    rows = weights.v + weights.n + weights.d
    return {"coordinates": ("float64", (rows, None)), "below": ("uint16", (weights.v,))}


def certified(weights: Weights, hints: dict[str, Hint], decide: Decisions) -> int:
    """N, as `docs/certificate-format.md` defines it for subspace."""
    v, n = weights.v, weights.n
    W = {name: balls(matrix) for name, matrix in weights.folded.items()}
    A, C, B = _coordinates(weights, hints["coordinates"])
    omega = _longest(_minus(W["W_E"], product(A, B))) + _longest(_minus(W["W_pos"], product(C, B)))
    extent = (_longest(A) + _longest(C)) * _size(B)
    scale = arb(weights.h).sqrt()
    tau = 2 * _size(W["W_Q"]) * _size(W["W_K"]) * omega * (2 * extent + omega) / scale

    through = product(B, W["W_Q"], transposed(W["W_K"]), transposed(B))
    z = [[x / scale for x in row] for row in product(shifted(A, C[-1]), through)]
    places = product(z, transposed(C))
    kappa = largest(total((x - least(row)).exp() for x in row) for row in places) - 1

    writes, direct = product(B, W["W_V"], W["W_O"], W["W_U"]), product(B, W["W_U"])
    mean, middle = mean_row(A), mean_row(C)
    alike = shifted(product([_sum(mean, C[-1])], direct), product([middle], writes)[0])[0]
    G = shifted(product(A, writes), alike)
    D = [[largest(row[o] for o in range(v) if o != m) - row[m] for m in range(v)] for row in G]
    of_query, of_place = ([spread(row) for row in table] for table in (direct, writes))
    besides = 2 * omega * (1 + _size(W["W_V"]) * _size(W["W_O"])) * _longest(transposed(W["W_U"]))
    of_places = largest(_weighted(_sum(row, negated(middle)), of_place) for row in C)
    slack = [_weighted(_sum(row, negated(mean)), of_query) + of_places + besides for row in A]

    def at_least(steps: Sequence[arb], queries: int) -> arb:
        """The least product of these differences with anything between the first queries' least and largest z."""
        columns = transposed(z[:queries])
        return total(least([x * least(column), x * largest(column)]) for x, column in zip(steps, columns, strict=True))

    grows = [decide.positive(at_least(_sum(A[k + 1], negated(A[k])), v)) for k in range(v - 1)]

    def certain(m: int, below: int) -> bool:
        most = largest(slack[: m + 1])
        own = D[m][m] + most
        if below == 0:
            return decide.negative(own)
        rise = at_least(_sum(A[m], negated(A[below - 1])), m + 1)
        pull = largest([ZERO, largest(D[k][m] for k in range(below)) + most])
        return all(grows[: below - 1]) and decide.negative(own + kappa * (tau - rise).exp() * pull)

    count = 0
    for m, below in enumerate(int(x) for x in hints["below"].entries):
        if below <= m and certain(m, below):
            others = weights.count(range(below))
            count += (others + weights.count([m])) ** n - others**n
    return count


def _coordinates(weights: Weights, hint: Hint) -> tuple[Table, Table, Table]:
    """A, C and B; the columns from the d-th on are ignored, and none is a column of zeros."""
    v, n, (_, columns) = weights.v, weights.n, hint.shape
    used = min(columns, weights.d)

    def entry(i: int, j: int) -> arb:
        x = hint.entries[i * columns + j] if used else 0.0
        return arb(x) if math.isfinite(x) else ZERO

    rows = [[entry(i, j) for j in range(max(used, 1))] for i in range(v + n + weights.d)]
    return rows[:v], rows[v : v + n], transposed(rows[v + n :])


def _sum(x: Sequence[arb], y: Sequence[arb]) -> list[arb]:
    return [a + b for a, b in zip(x, y, strict=True)]


def _minus(a: Table, b: Table) -> Table:
    return [_sum(x, negated(y)) for x, y in zip(a, b, strict=True)]


def _weighted(row: Sequence[arb], weights: Sequence[arb]) -> arb:
    return total(abs(x) * w for x, w in zip(row, weights, strict=True))


def _size(a: Table) -> arb:
    return root(total(x * x for row in a for x in row))


def _longest(rows: Table) -> arb:
    return largest(root(total(x * x for x in row)) for row in rows)
