"""The lemmas behind failing sets as they are written, in exact rational numbers, and what is made of them."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.failing_sets import strategies as failing_sets
from compactproofs.theorems.max_of_k.failing_sets.low_rank import Bounds
from compactproofs.theorems.max_of_k.failing_sets.margin_tables import MarginTables, exact_tables
from soundness.models import cases, verifying
from soundness.truth import exact_correct

Table = list[list[Fraction]]


def number(rng: np.random.Generator, least: int = -9) -> Fraction:
    """A small rational number, at least `least`."""
    return Fraction(int(rng.integers(7 * least, 64)), 7)


def table(rng: np.random.Generator, rows: int, columns: int, least: int = -9) -> Table:
    """A table of such numbers."""
    return [[number(rng, least) for _ in range(columns)] for _ in range(rows)]


def around(rng: np.random.Generator, exact: Table) -> tuple[Table, Table]:
    """Lower and upper bounds of a table, up to a constant for each row."""
    low, high = [], []
    for row in exact:
        constant = 100 * number(rng)
        low.append([x + constant - number(rng, 0) * int(rng.integers(0, 2)) for x in row])
        high.append([x + constant + number(rng, 0) * int(rng.integers(0, 2)) for x in row])
    return low, high


@pytest.mark.parametrize("seed", range(30))
def test_differences_of_bounds_up_to_constants(seed: int) -> None:
    """Both lemmas of `failing_sets.margin_tables`; for weights, their logarithms."""
    rng = np.random.default_rng(seed)
    queries, v = int(rng.integers(1, 5)), int(rng.integers(2, 5))
    exact = table(rng, queries, v)
    low, high = around(rng, exact)
    for i, j in product(range(v), repeat=2):
        for chosen in product((False, True), repeat=queries):
            Q = [q for q in range(queries) if chosen[q]]
            for q in Q:
                difference = exact[q][i] - exact[q][j]

                assert low[q][i] - high[q][j] <= difference <= high[q][i] - low[q][j]
                assert difference <= max(high[r][i] - low[r][j] for r in Q)
                of_one = min(low[r][i] - high[r][j] for r in Q)
                assert difference >= of_one >= min(low[r][i] for r in Q) - max(high[r][j] for r in Q)


def least_sum(rng: np.random.Generator, own: bool) -> Fraction:
    """The least sum of an input in a random problem to which a lemma only just applies.

    The lemma is that for the maximum as query (`own`), or that for queries below it.
    """
    n, m, queries = int(rng.integers(2, 5)), int(rng.integers(0 if own else 1, 4)), int(rng.integers(1, 3))
    tight = rng.random() < 0.4  # one query, one place like the other, and nothing to spare
    queries = 1 if tight else queries
    Q = [m] if own else sorted({int(q) for q in rng.integers(0, m, queries)})
    value = [*(number(rng) for _ in range(m)), Fraction(0)]
    position = [number(rng, -1) * (not tight) for _ in range(n)]
    direct = {q: number(rng, -1) for q in Q}
    weight = {q: [number(rng, 0) / 9 + Fraction(1, 99) for _ in range(m)] + [Fraction(1)] for q in Q}
    # Of the first n - 1 positions one is attended to least, and relative to it rho is 1.
    rho = {q: [1 + (1 if tight else number(rng, 0)) * Fraction(1, 3) for _ in range(n - 1)] for q in Q}
    for of_query in rho.values():
        of_query[int(rng.integers(n - 1))] = Fraction(1)
        of_query.append(number(rng, 0) + Fraction(1, 99))

    def bracket(x: int, p: int, q: int) -> Fraction:
        return value[x] + direct[q] + position[p]

    def spare() -> Fraction:
        return number(rng, 0) / 99 * (not tight and rng.random() < 0.5)

    M = min(bracket(m, p, q) for p in range(n) for q in Q) - spare()
    b = [min(bracket(x, p, q) for p in range(n) for q in Q) - spare() for x in range(m)]
    W = [max(weight[q][x] for q in Q) + spare() for x in range(m)]
    N = min([Fraction(0), *(w * x for w, x in zip(W, b, strict=True))]) - spare()
    R, L = max(rho[q][p] for q in Q for p in range(n - 1)) + spare(), max(rho[q][-1] for q in Q) + spare()
    if own:
        reserve = M + (n - 1) * R / rho[m][-1] * N
    elif len(Q) == 1 and rng.random() < 0.5:
        (q,) = Q
        own_token = rho[q][-1] * (weight[q][q] + spare()) * (bracket(q, n - 1, q) - spare())
        reserve = M + (n - 2) * R * N + min(own_token, Fraction(0))
    else:
        reserve = M + ((n - 2) * R + L) * N
    value[m] = Fraction(1, 10**6) - reserve  # now the reserve is this small number
    return min(
        sum((rho[q][p] * weight[q][t] * bracket(t, p, q) for p, t in enumerate((*x, q))), Fraction(0))
        for q in Q
        for x in product(range(m + 1), repeat=n - 1)
        if q == m or m in x
    )


@pytest.mark.parametrize("own", [False, True])
def test_outputs_that_the_lemmas_rule_out_never_win(own: bool) -> None:
    """Both lemmas of `failing_sets.safe_outputs`, with numbers on the allowed side of what they bound; some sharp."""
    rng = np.random.default_rng(own)
    sums = [least_sum(rng, own) for _ in range(500)]

    assert min(sums) > 0
    assert sum(x < Fraction(1, 1000) for x in sums) > 10


@pytest.mark.parametrize("family", ["working", "contrary", "ties"])
def test_any_constant_and_any_bounds_will_do(family: str) -> None:
    """Bounds of scores and direct path moved by numbers of their own for each query, and apart: N is still true."""
    rng = np.random.default_rng(0)

    def moved(work: Work, bounds: Bounds, size: float, room: float) -> Bounds:
        shape = bounds.high.shape
        constant = work.constant(rng.normal(size=(len(bounds.high), 1)) * size)
        above, below = (work.constant(room * rng.random(shape) * rng.integers(0, 2, shape)) for _ in range(2))
        return Bounds(bounds.high + constant + above, bounds.low + constant - below)

    for case in cases(family)[::2]:
        if case.model.n_ctx < 2:
            continue
        v = case.model.d_vocab
        hints = {"skip": np.zeros((0, 3), np.uint16), "window": np.zeros((v, v), np.uint16)}
        truth = exact_correct(case.model)
        for size, room in ((0.0, 0.0), (1.0, 0.0), (3.0, 0.1), (100.0, 0.01)):

            def tables(work: Work, hints: Any, size: float = size, room: float = room) -> MarginTables:
                exact = exact_tables(work)
                scores = moved(work, Bounds(exact.score_high, exact.score_low), size, room)
                direct = moved(work, Bounds(exact.direct_high, exact.direct_low), size, room)
                return exact._replace(
                    score_high=scores.high, score_low=scores.low, direct_high=direct.high, direct_low=direct.low
                )

            assert failing_sets._bound(verifying(case.model), hints, tables) <= truth, (case.name, size, room)
