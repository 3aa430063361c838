"""failing-sets and its variants: tests that rule out wrong outputs, then what is left, one choice of cells at a time.

The variants differ in how well they know the scores and the direct path.
"""

from __future__ import annotations

import itertools
from math import prod

from flint import arb

from exactcheck.balls import ZERO, Decisions, largest, least, mean_row, shifted, total
from exactcheck.bounds import Bounds, centred, exact, low_rank_direct, low_rank_scores, scores_by_norms
from exactcheck.paths import Paths
from exactcheck.reading import Hint, Weights

NEAR = 4
GIVEN_UP = 2**16 - 1
MAX_CHOICES = 2**24
LEVEL = 2**12
WITH_ENTRIES = 14 * LEVEL  # plus the query
FIRST, SECOND, OF_MAXIMUM = 15 * LEVEL + 2, 15 * LEVEL + 1, 15 * LEVEL


QK, EU, SCORE, SQUARE = "key_directions", "output_directions", "score_directions", "square"
MORE_HINTS: dict[str, tuple[str, ...]] = {
    "failing-sets": (),
    "failing-sets/low-rank-QK": (QK,),
    "failing-sets/low-rank-EU": (EU,),
    "failing-sets/low-rank-QK+EU": (QK, EU),
    "failing-sets/quadratic-QK": (SCORE, SQUARE),
    "failing-sets/strict-QK": (SCORE,),
    "failing-sets/strict-QK+EU": (SCORE, EU),
}


def hint_forms(strategy: str, weights: Weights) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """The types and shapes of the hints, None for any length."""
    forms: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "skip": ("uint16", (None, 3)),
        "window": ("uint16", (weights.v, weights.v)),
    }
    for name in MORE_HINTS[strategy]:
        forms[name] = ("float64", (1,) if name == SQUARE else (2, weights.d, None))
    return forms


def tables_of(weights: Weights, hints: dict[str, Hint], decide: Decisions) -> Tables:
    """The tables of the variant that has these hints."""
    paths = Paths(weights)
    if QK in hints:
        scores = low_rank_scores(paths, hints[QK])
    elif SCORE in hints:
        scores = scores_by_norms(paths, hints[SCORE], hints.get(SQUARE), decide)
    else:
        scores = exact(paths.EQKE)
    return Tables(paths, scores, low_rank_direct(paths, hints[EU]) if EU in hints else exact(centred(paths.EU)))


def certified(weights: Weights, hints: dict[str, Hint], decide: Decisions) -> int:
    """N, as `docs/certificate-format.md` defines it for failing-sets and the strategies that follow it."""
    tables = tables_of(weights, hints, decide)
    v = tables.v
    entries = hints["skip"].entries
    skipped = {entries[i : i + 3] for i in range(0, len(entries), 3)}
    lost = 0
    for m in range(v):
        windows = [hints["window"].entries[q * v + m] for q in range(m + 1)]
        lost += sum(class_size(weights, q, m) for q in range(m + 1) if windows[q] == GIVEN_UP)
        queries = [q for q in range(m + 1) if windows[q] != GIVEN_UP]
        if not queries:
            continue
        suspects: dict[int, list[int]] = {}
        for q, o in Maximum(tables, m, queries, skipped, decide).suspects():
            suspects.setdefault(q, []).append(o)
        for q, outputs in suspects.items():
            window = min(windows[q] - 1, m) if windows[q] else m
            lost += wrong_inputs(weights, tables, q, m, outputs, window, decide)
    return int(weights.count(range(v)) ** weights.n - lost)


def class_size(weights: Weights, q: int, m: int) -> int:
    """What the inputs with last token q and maximum m count: without weights, their number."""
    up_to, below = (weights.count(range(end)) ** (weights.n - 1) for end in (m + 1, m))
    return int(weights.count([q]) * (up_to - (below if q < m else 0)))


class Tables:
    """The tables with their common parts moved into `value`, and extremes of them."""

    def __init__(self, paths: Paths, score: Bounds, direct: Bounds) -> None:
        self.score, self.direct = score, direct
        self.has_entries = score.entries is not None or direct.entries is not None
        self.v, self.n = v, n = paths.v, paths.n
        mean_direct, mean_position = mean_row(paths.EU), mean_row(paths.PVOU)
        self.position = centred(paths.PVOU)
        self.value = shifted(shifted(paths.EVOU, mean_direct), mean_position)
        self.rho = []
        for row in paths.EQKP:
            lowest = least(row[: n - 1])
            self.rho.append([(x - lowest).exp() for x in row])
        # Extremes over positions: of rho among the first n - 1, and of position.
        self.rho_max = [largest(row[: n - 1]) for row in self.rho]
        self.position_max = [largest(row[o] for row in self.position) for o in range(v)]
        self.position_min = [least(row[o] for row in self.position) for o in range(v)]
        # Over outputs: all, and those other than the token.
        self.value_max = [largest(row) for row in self.value]
        self.value_max_other = [largest(row[o] for o in range(v) if o != x) for x, row in enumerate(self.value)]


class Maximum:
    """The tests for one maximum."""

    def __init__(
        self, tables: Tables, m: int, queries: list[int], skipped: set[tuple[int, ...]], decide: Decisions
    ) -> None:
        self.tables, self.m, self.queries, self.skipped, self.decide = tables, m, queries, skipped, decide
        t, n, up_to_m = tables, tables.n, range(m + 1)
        self.near = list(range(max(0, m - NEAR), m))
        self.far = m - NEAR - 1  # the last far token; none if negative
        self.lowest_own = least(t.direct.low[q][m] for q in up_to_m) + t.position_min[m]
        self.rival = [largest(t.direct.high[q][o] for q in up_to_m) + t.position_max[o] for o in range(t.v)]
        self.worst_f = self.lowest_own - largest(self.rival)
        if self.far >= 0:
            self.far_bracket = least(t.value[x][m] - t.value_max[x] for x in range(self.far + 1)) + self.worst_f
        if m:
            self.log_w = {q: self._log_weights(q, t.score) for q in queries}
            self.price = (n - 2) * largest(t.rho_max[q] for q in range(m)) + largest(t.rho[q][n - 1] for q in range(m))
        self.own_price = (n - 1) * t.rho_max[m] / t.rho[m][n - 1]

    def _log_weights(self, q: int, score: Bounds) -> list[arb]:
        """Upper bounds of log w of the near tokens, and if there are any of all far tokens (not by single entries)."""
        low, high, high_far = score.low[q], score.high[q], self.tables.score.high[q]
        found = [high[x] - low[self.m] for x in self.near]
        if self.far >= 0:
            found.append(largest(high_far[x] for x in range(self.far + 1)) - low[self.m])
        return found

    def _lead_of_query(self, q: int, o: int, direct: Bounds) -> arb:
        """A lower bound of what the query alone adds to the lead over o."""
        return direct.low[q][self.m] - direct.high[q][o]

    def _weights(self, queries: list[int]) -> list[arb]:
        """Upper bounds of w for all these queries: the near tokens, then the far ones."""
        return [largest(self.log_w[q][i] for q in queries).exp() for i in range(len(self.log_w[queries[0]]))]

    def _least(self, weights: list[arb], brackets: list[arb]) -> arb:
        """The number N of the lemma for these brackets of the near tokens."""
        if self.far >= 0:
            brackets = [*brackets, self.far_bracket]
        return least([ZERO, *(w * b for w, b in zip(weights, brackets, strict=True))])

    def _lead(self, x: int, o: int) -> arb:
        return self.tables.value[x][self.m] - self.tables.value[x][o]

    def _try(self, o: int, code: int) -> bool:
        """Whether this test is not skipped."""
        return (self.m, o, code) not in self.skipped

    def suspects(self) -> list[tuple[int, int]]:
        """The pairs (query, output) that no test rules out."""
        m = self.m
        outputs = [o for o in range(self.tables.v) if o != m]
        below, m_too = [q for q in self.queries if q < m], m in self.queries
        if m:
            # log w <= the larger of both, price likewise, so that one test serves all queries.
            weights = self._weights(self.queries)
            price = largest(([self.price] if below else []) + ([self.own_price] if m_too else []))
            outputs = [o for o in outputs if not self._first(o, weights, price)]
            outputs = [o for o in outputs if not self._second(o, weights, price)]
        found = []
        for o in outputs:
            if m_too and not self._of_maximum(o):
                found.append((m, o))
            if below:
                found += [(q, o) for q in self._below(o, below)]
        return found

    def _first(self, o: int, weights: list[arb], price: arb) -> bool:
        if o in self.near or not self._try(o, FIRST):
            return False
        t, m = self.tables, self.m
        brackets = [t.value[x][m] - t.value_max_other[x] + self.worst_f for x in self.near]
        reserve = t.value[m][m] + self.lowest_own + price * self._least(weights, brackets)
        return self.decide.positive(reserve - (t.value[m][o] + self.rival[o]))

    def _second(self, o: int, weights: list[arb], price: arb) -> bool:
        if not self._try(o, SECOND):
            return False
        f = self.lowest_own - self.rival[o]
        N = self._least(weights, [self._lead(x, o) + f for x in self.near])
        return self.decide.positive(self._lead(self.m, o) + f + price * N)

    def _worst_position(self, o: int) -> arb:
        return least(row[self.m] - row[o] for row in self.tables.position)

    def _of_maximum(self, o: int) -> bool:
        t, m = self.tables, self.m
        if not self._try(o, OF_MAXIMUM):
            return False
        f = self._lead_of_query(m, o, t.direct) + self._worst_position(o)
        left = self._lead(m, o) + f
        if m:
            weights = [x.exp() for x in self.log_w[m]]
            left += self.own_price * self._least(weights, [self._lead(x, o) + f for x in self.near])
        return self.decide.positive(left)

    def _below(self, o: int, queries: list[int]) -> list[int]:
        """The queries below m that the tests of ranges and of single queries leave, for one output."""
        level = 0
        while any(q >> level for q in queries):
            level += 1
        open_nodes = [0]
        while level > 0:
            failed = [i for i in open_nodes if not self._range(o, level, i, [q for q in queries if q >> level == i])]
            level -= 1
            present = {q >> level for q in queries}
            open_nodes = [child for i in failed for child in (2 * i, 2 * i + 1) if child in present]
        left = [q for q in open_nodes if not self._single(o, q, q, self.tables.score, self.tables.direct)]
        if self.tables.has_entries:
            score, direct = self.tables.score.best, self.tables.direct.best
            left = [q for q in left if not self._single(o, q, WITH_ENTRIES + q, score, direct)]
        return left

    def _range(self, o: int, level: int, node: int, queries: list[int]) -> bool:
        if not self._try(o, level * LEVEL + node):
            return False
        t, m = self.tables, self.m
        f = least(self._lead_of_query(q, o, t.direct) for q in queries) + self._worst_position(o)
        N = self._least(self._weights(queries), [self._lead(x, o) + f for x in self.near])
        return self.decide.positive(self._lead(m, o) + f + self.price * N)

    def _single(self, o: int, q: int, code: int, score: Bounds, direct: Bounds) -> bool:
        if not self._try(o, code):
            return False
        t, m, n = self.tables, self.m, self.tables.n
        f = self._lead_of_query(q, o, direct) + self._worst_position(o)
        N = self._least([x.exp() for x in self._log_weights(q, score)], [self._lead(x, o) + f for x in self.near])
        of_query = t.rho[q][n - 1] * (score.high[q][q] - score.low[q][m]).exp() * (self._lead(q, o) + f)
        return self.decide.positive(self._lead(m, o) + f + (n - 2) * t.rho_max[q] * N + of_query.min(ZERO))


def wrong_inputs(
    weights: Weights, t: Tables, q: int, m: int, outputs: list[int], window: int, decide: Decisions
) -> int:
    """What the inputs of a class count in choices of cells with a sum that is not positive for some output."""
    n, first = t.n, m - window  # the first token that is a cell of its own
    cells: list[int | None] = ([None] if first > 0 else []) + list(range(first, m + 1))  # None: all tokens below
    if len(outputs) * len(cells) ** (n - 1) > MAX_CHOICES:
        return class_size(weights, q, m)
    size = {cell: weights.count(range(first) if cell is None else [cell]) for cell in cells}
    score, direct = t.score.best, t.direct.best
    low, high = score.low[q], score.high[q]
    # Lower and upper bounds of w; w of m is 1, and all far tokens have one upper bound.
    w = {x: (arb(1), arb(1)) if x == m else ((low[x] - high[m]).exp(), (high[x] - low[m]).exp()) for x in range(m + 1)}
    w_far = (largest(t.score.high[q][x] for x in range(first)) - low[m]).exp() if first else None

    def term(p: int, cell: int | None, o: int) -> arb:
        of_place = (direct.low[q][m] - direct.high[q][o]) + (t.position[p][m] - t.position[p][o])
        if cell is not None:
            bracket = t.value[cell][m] - t.value[cell][o] + of_place
            return least(t.rho[q][p] * x * bracket for x in w[cell])
        worst = least(t.value[x][m] - t.value_max[x] for x in range(first)) + of_place
        return (t.rho[q][p] * w_far * worst).min(ZERO)

    terms = [{cell: [term(p, cell, o) for o in outputs] for cell in cells} for p in range(n - 1)]
    of_query = [term(n - 1, q, o) for o in outputs]
    wrong = 0
    for choice in itertools.product(cells, repeat=n - 1):
        if q == m or m in choice:
            sums = (
                of_query[i] + total(terms[p][cell][i] for p, cell in enumerate(choice)) for i in range(len(outputs))
            )
            if not all(decide.positive(x) for x in sums):
                wrong += prod(size[cell] for cell in choice)
    return weights.count([q]) * wrong
