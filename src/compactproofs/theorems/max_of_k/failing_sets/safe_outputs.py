"""Ruling out wrong outputs for many queries at once.

Fix a maximum m and a wrong output o; notation of `margin_tables`.  For a query q, write

    B(x, p) = value[x, m] - value[x, o] + direct[q, m] - direct[q, o] + position[p, m] - position[p, o]

for the bracket of a token x at position p, so that it contributes rho[q, p] w(x) B(x, p) to the sum that decides.  For
a set Q of queries let there be numbers such that, for each q in Q,

    M <= B(m, p) for all p;    b(x) <= B(x, p) for all p, W(x) >= w(x), and N <= min(0, W(x) b(x))    for every x < m;
    R >= rho[q, p] for p < n,    L >= rho[q, n].

Lemma (queries below the maximum).  If all of Q are below m and M + ((n - 2) R + L) N > 0, then every input with query q
in Q and maximum m gives m a higher logit than o.  For a single query, Q = {q}, L N may be replaced by
min(0, rho[q, n] W(q) b(q)), with any W(q) >= w(q) and b(q) <= B(q, n).

Proof.  A token x < m at p < n contributes at least R N: if B(x, p) >= 0 it contributes nothing negative, and otherwise
at least R W(x) B(x, p) >= R W(x) b(x).  Likewise the query contributes at least L N, or what replaces it.  None of
these is positive, so the condition implies M > 0, and a token m at p < n contributes at least rho M >= M > 0.  At least
one of the first n - 1 positions holds m, because q < m, and at most n - 2 of them hold other tokens, so the sum is at
least M + (n - 2) R N + L N > 0.

Lemma (the maximum as query).  If Q = {m} and, with l = rho[m, n], M + ((n - 1) R / l) N > 0, the same holds.
Proof.  Again M > 0.  The last position contributes at least l M, the others where m is a positive number, and at most
n - 1 positions hold other tokens; so the sum is at least l M + (n - 1) R N > 0.

How the numbers are found.  W by the lemmas of `margin_tables`, of near tokens, m - g ... m - 1, one by one.  The
far ones, x <= m - g - 1, share the W that comes from max_x score_high[q, x], and in every test the bracket
b = min_x (value[x, m] - max_o value[x, o]) + F, where F is the least over all outputs o, m too, of

    f(o) = min_{q <= m} direct_low[q, m] - max_{q <= m} direct_high[q, o] + min_p position[p, m] - max_p position[p, o].

By the last bound of the lemma on many queries, f(o) is at most direct[q, m] - direct[q, o] + position[p, m] -
position[p, o] for all q <= m and all p, so these b are lower bounds of brackets.  R and L are maxima over all queries
below m, but for single queries R is the query's own.

Four tests use this, each cheaper than the next one and weaker:

1. all queries together, for outputs that are not near tokens.  M has f(o); the brackets of near tokens are bounded for
   all such outputs at once, by value[x, m] - max_{o != x} value[x, o] + F;
2. all queries together, with f(o) in M and in the brackets of near tokens;
3. with min_q (direct_low[q, m] - direct_high[q, o]) + min_p (position[p, m] - position[p, o]) in place of f(o), for
   ranges of queries from a binary tree: a range that fails is split, down to single queries.  m as query comes alone;
4. where single entries of bounded tables can be computed, the test of a single query with these entries.

In the first two, if m and others are among the queries, W is the larger one, and (n - 2) R + L and (n - 1) R / l are
replaced by the larger of both: as N <= 0, the condition then implies those of both lemmas.

Hints say which tests are not worth trying; a skipped test counts as failed.
"""

from __future__ import annotations

import itertools
from typing import Protocol

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, IntArray, certainly_positive
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.failing_sets.margin_tables import MarginTables

#: Codes of the tests for one maximum and output: a node of the tree is (level << LEVEL_BITS) + index.
LEVEL_BITS = 12
WITH_ENTRIES = 14 << LEVEL_BITS  # plus the query
FIRST_TEST, SECOND_TEST, QUERY_IS_MAXIMUM = (15 << LEVEL_BITS) + 2, (15 << LEVEL_BITS) + 1, 15 << LEVEL_BITS


class Plan(Protocol):
    """Which tests are worth trying; a search also learns here which ones failed."""

    def skips(self, m: int, outputs: IntArray, codes: IntArray) -> BoolArray:
        """Where the test with this code is to be taken as failed without trying."""

    def failed(self, m: int, outputs: IntArray, codes: IntArray) -> None:
        """Note that these tests were tried and failed."""


def suspects(
    work: Work, tables: MarginTables, m: int, near: int, plan: Plan, queries: IntArray
) -> list[tuple[int, int]]:
    """The (query, output) pairs for maximum m that no test rules out.

    For all other outputs and queries among `queries` (sorted, not above m), m always beats the output.
    """
    return _Maximum(work, tables, m, near, plan, queries).suspects() if len(queries) else []


class _Maximum:
    """The four tests for one maximum."""

    def __init__(self, work: Work, tables: MarginTables, m: int, near: int, plan: Plan, queries: IntArray) -> None:
        v, n = work.network.d_vocab, work.network.n_ctx
        self.tables, self.m, self.plan, self.n = tables, m, plan, n
        self.bounds = table_bounds(work, tables)
        self.near = np.arange(max(0, m - near), m)
        self.outputs = np.delete(np.arange(v), m)
        #: The queries below m in question, and whether m itself is.
        self.queries, self.m_too = queries[queries < m], bool(queries[-1] == m)
        far = m - near - 1
        own_score = tables.score_low[queries, m][:, None]
        gaps = [tables.score_high[queries, self.near[0] : m] - own_score] if m else []
        b = self.bounds
        # F.
        self.worst_f = (b.direct_min[m, m] + b.position_min[m]) - b.rival_max[m].max()
        self.far_bracket: Array = None
        if far >= 0:
            gaps.append(b.score_running[queries, far][:, None] - own_score)
            self.far_bracket = (tables.value[: far + 1, m] - b.value_max[: far + 1]).min() + self.worst_f
        # Upper bounds of log w, (query, near token ..., far tokens), of the queries and of m, and for all n positions.
        if m:
            self.gaps: Array = np.concatenate(gaps, axis=1)
            self.nodes = _nodes(self.queries)
            self.ranges = _over_nodes(self.nodes, self.gaps[: len(self.queries)], np.maximum)
            self.price = (n - 2.0) * b.rho_running[m - 1] + b.last_running[m - 1]
        self.own_price = (n - 1.0) * b.rho_max[m] / tables.rho[m, n - 1]

    def suspects(self) -> list[tuple[int, int]]:
        outputs = self.outputs
        if self.m:
            if not self.m_too:
                weights, price = np.exp(self.ranges[-1][0]), self.price
            elif not len(self.queries):
                weights, price = np.exp(self.gaps[-1]), self.own_price
            else:
                weights = np.exp(np.maximum(self.ranges[-1][0], self.gaps[-1]))
                price = np.maximum(self.price, self.own_price)
            outputs = self._first_test(outputs, weights, price)
            outputs = self._second_test(outputs, weights, price)
        return self._third_test(outputs) if len(outputs) else []

    def _first_test(self, outputs: IntArray, weights: Array, price: Array) -> IntArray:
        """The outputs for which the first test fails or is not tried."""
        tables, b, m = self.tables, self.bounds, self.m
        brackets = (tables.value[self.near, m] - b.value_max_of_others[self.near]) + self.worst_f
        if self.far_bracket is not None:
            brackets = np.concatenate([brackets, self.far_bracket[None]])
        least = np.minimum((weights * brackets).min(), 0.0)
        reserve = (tables.value[m, m] + b.direct_min[m, m]) + (b.position_min[m] + price * least)
        tried = self._worth_trying(outputs, FIRST_TEST) & ~np.isin(outputs, self.near)
        passed = certainly_positive(reserve - b.rival_value_max[m, outputs[tried]])
        return self._rest(outputs, tried, passed, FIRST_TEST)

    def _second_test(self, outputs: IntArray, weights: Array, price: Array) -> IntArray:
        b, m = self.bounds, self.m
        tried = self._worth_trying(outputs, SECOND_TEST)
        chosen = outputs[tried]
        f = (b.direct_min[m, m] + b.position_min[m]) - b.rival_max[m, chosen]
        lead, brackets = self._leads(chosen)
        least = self._least(weights[:, None], brackets + f)
        passed = certainly_positive((lead + f) + price * least)
        return self._rest(outputs, tried, passed, SECOND_TEST)

    def _third_test(self, outputs: IntArray) -> list[tuple[int, int]]:
        tables, m = self.tables, self.m
        positions = (tables.position[:, m, None] - tables.position[:, outputs]).min(axis=0)
        lead, brackets = self._leads(outputs)
        found = []
        if self.m_too:
            own_margins = tables.direct_low[m, m] - tables.direct_high[m, outputs]
            found = self._as_query(outputs, own_margins + positions, lead, brackets)
        if not len(self.queries):
            return found
        margins = tables.direct_low[self.queries, m][:, None] - tables.direct_high[self.queries][:, outputs]
        smallest = _over_nodes(self.nodes, margins, np.minimum)
        column = np.arange(len(outputs))
        node = np.zeros(len(outputs), np.int64)
        for level in range(len(smallest) - 1, -1, -1):
            if not len(column):
                return found
            row = np.searchsorted(self.nodes[level], node)
            codes = (level << LEVEL_BITS) + node
            tried = ~self.plan.skips(m, outputs[column], codes)
            c, rows = column[tried], row[tried]
            f = smallest[level][rows, c] + positions[c]
            test = self._range_test if level else self._single_test
            passed = np.zeros(len(column), bool)
            passed[tried] = test(level, rows, outputs[c], f, lead[c] + f, brackets[:, c] + f)
            self.plan.failed(m, outputs[column[tried & ~passed]], codes[tried & ~passed])
            column, node = column[~passed], node[~passed]
            if level:
                children = np.concatenate([2 * node, 2 * node + 1])
                exists = np.isin(children, self.nodes[level - 1])
                column, node = np.concatenate([column, column])[exists], children[exists]
        if tables.has_entries and len(column):
            codes = WITH_ENTRIES + node
            tried = ~self.plan.skips(m, outputs[column], codes)
            passed = np.zeros(len(column), bool)
            if tried.any():
                c = column[tried]
                passed[tried] = self._test_with_entries(node[tried], outputs[c], positions[c], lead[c], brackets[:, c])
            self.plan.failed(m, outputs[column[tried & ~passed]], codes[tried & ~passed])
            column, node = column[~passed], node[~passed]
        return found + [(int(q), int(outputs[c])) for q, c in zip(node, column, strict=True)]

    def _range_test(
        self, level: int, rows: IntArray, outputs: IntArray, f: Array, own: Array, brackets: Array
    ) -> BoolArray:
        """The first lemma for ranges of queries; arrays over (row of the level, output) pairs, `own` is M."""
        used, place = np.unique(rows, return_inverse=True)
        weights = np.exp(self.ranges[level][used])
        least = self._least(weights.T[:, place], brackets)
        return certainly_positive(own + self.price * least)

    def _single_test(
        self, level: int, rows: IntArray, outputs: IntArray, f: Array, own: Array, brackets: Array
    ) -> BoolArray:
        """The first lemma for single queries, whose own token is known."""
        tables, m = self.tables, self.m
        used, place = np.unique(rows, return_inverse=True)
        queries = self.queries[used]
        of_token = tables.score_high[queries, queries] - tables.score_low[queries, m]
        return self._single(queries, place, outputs, self.gaps[used], of_token, f, own, brackets)

    def _test_with_entries(
        self, queries: IntArray, outputs: IntArray, positions: Array, lead: Array, brackets: Array
    ) -> BoolArray:
        """The same with the best scores and direct paths; `lead` and `brackets` without f."""
        tables, m = self.tables, self.m
        used, place = np.unique(queries, return_inverse=True)
        tokens = np.append(self.near, m)
        high, low = tables.best_scores(*np.broadcast_arrays(used[:, None], tokens))
        gaps = [high[:, :-1] - low[:, -1:]]
        if self.far_bracket is not None:
            gaps.append(self.bounds.score_running[used, m - len(self.near) - 1][:, None] - low[:, -1:])
        of_token = tables.best_scores(used, used).high - low[:, -1]
        own_direct = tables.best_directs(used, np.full(len(used), m)).low
        f = (own_direct[place] - tables.best_directs(queries, outputs).high) + positions
        return self._single(used, place, outputs, np.concatenate(gaps, axis=1), of_token, f, lead + f, brackets + f)

    def _single(
        self,
        used: IntArray,
        place: IntArray,
        outputs: IntArray,
        gaps: Array,
        of_token: Array,
        f: Array,
        own: Array,
        brackets: Array,
    ) -> BoolArray:
        """The test of the pairs (used[place], outputs): `gaps` and `of_token` bound log w for the queries `used`."""
        tables, b, m = self.tables, self.bounds, self.m
        queries = used[place]
        weights = np.exp(gaps)
        weight = tables.rho[used, self.n - 1] * np.exp(of_token)
        bracket = (tables.value[queries, m] - tables.value[queries, outputs]) + f
        of_query = np.minimum(weight[place] * bracket, 0.0)
        price = (self.n - 2.0) * b.rho_max[used]
        least = self._least(weights.T[:, place], brackets)
        return certainly_positive((own + price[place] * least) + of_query)

    def _as_query(self, outputs: IntArray, f: Array, lead: Array, brackets: Array) -> list[tuple[int, int]]:
        """The outputs that the lemma for q = m does not rule out."""
        tried = self._worth_trying(outputs, QUERY_IS_MAXIMUM)
        passed = lead[tried] + f[tried]
        if self.m:
            least = self._least(np.exp(self.gaps[-1])[:, None], brackets[:, tried] + f[tried])
            passed = passed + self.own_price * least
        rest = self._rest(outputs, tried, certainly_positive(passed), QUERY_IS_MAXIMUM)
        return [(self.m, int(o)) for o in rest]

    def _leads(self, outputs: IntArray) -> tuple[Array, Array]:
        """value[x, m] - value[x, o] for x = m, (outputs,), and for the near tokens, (near, outputs)."""
        value, m = self.tables.value, self.m
        rows = value[m - len(self.near) : m + 1]
        difference = rows[:, m, None] - rows[:, outputs]
        return difference[-1], difference[:-1]

    def _least(self, weights: Array, brackets: Array) -> Array:
        """N for each column: (near + far, columns) weights, (near, columns) brackets, to (columns,)."""
        count = len(self.near)
        least: Array = np.minimum((weights[:count] * brackets).min(axis=0), 0.0)
        return least if self.far_bracket is None else np.minimum(least, weights[count] * self.far_bracket)

    def _worth_trying(self, outputs: IntArray, code: int) -> BoolArray:
        return ~self.plan.skips(self.m, outputs, np.full(len(outputs), code))

    def _rest(self, outputs: IntArray, tried: BoolArray, passed: BoolArray, code: int) -> IntArray:
        """The outputs that did not pass, having told the plan which of them were tried."""
        failed = outputs[tried][~passed]
        self.plan.failed(self.m, failed, np.full(len(failed), code))
        return np.sort(np.concatenate([outputs[~tried], failed]))


def _nodes(queries: IntArray) -> list[IntArray]:
    """The nodes of a binary tree over queries that hold one of these: node i of level l is 2^l i ... 2^l (i + 1) - 1.

    The last level is the node 0 alone; there is no level if there are no queries.
    """
    levels = [queries] if len(queries) else []
    while levels and (len(levels[-1]) > 1 or levels[-1][0] > 0):
        levels.append(np.unique(levels[-1] // 2))
    return levels


def _over_nodes(nodes: list[IntArray], table: Array, join: np.ufunc) -> list[Array]:
    """Minima or maxima of the rows of each node, level by level; `table` has one row for each query."""
    levels = [table] if nodes else []
    for below, here in itertools.pairwise(nodes):
        first = np.searchsorted(below, 2 * here)
        pairs = np.isin(2 * here, below) & np.isin(2 * here + 1, below)
        joined = join(levels[-1][first[pairs]], levels[-1][first[pairs] + 1])
        order = np.argsort(np.argsort(~pairs, kind="stable"))
        levels.append(np.concatenate([joined, levels[-1][first[~pairs]]], axis=0)[order])
    return levels


class TableBounds:
    """Extremes of the tables that all maxima share."""

    def __init__(self, tables: MarginTables) -> None:
        #: Kept, so that no other tables can get the identity by which these bounds are found again.
        self.tables = tables
        direct, position, value = tables.direct_high, tables.position, tables.value
        #: (v, v): max over queries up to q of direct[., o], plus the largest position[., o]; and that plus value[q, o].
        self.rival_max = np.maximum.accumulate(direct, axis=0) + position.max(axis=0)
        self.rival_value_max = value + self.rival_max
        self.direct_min = np.minimum.accumulate(tables.direct_low, axis=0)
        self.position_min = position.min(axis=0)
        self.value_max = value.max(axis=1)
        count = len(value)
        others = np.arange(count)[:, None] + np.arange(1, count)
        #: The largest value[x, o] over o != x.
        self.value_max_of_others = np.take_along_axis(value, others % count, axis=1).max(axis=1)
        self.score_running = np.maximum.accumulate(tables.score_high, axis=1)
        self.rho_max = tables.rho[:, :-1].max(axis=1)
        self.rho_running = np.maximum.accumulate(self.rho_max)
        self.last_running = np.maximum.accumulate(tables.rho[:, -1])


def table_bounds(work: Work, tables: MarginTables) -> TableBounds:
    """The extremes of these tables, computed once."""
    return work.once(("table bounds", id(tables)), lambda: TableBounds(tables))
