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
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

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


def possible_winners(
    work: Work, tables: MarginTables, m: int, near: int, plan: Plan, queries: IntArray
) -> list[tuple[int, int]]:
    """The (query, output) pairs for maximum m that no test rules out.

    For all other outputs and queries among `queries` (sorted, not above m), m always beats the output.
    """
    if not len(queries):
        return []
    facts = _Facts(work, tables, m, near, queries)
    outputs = np.delete(np.arange(work.network.d_vocab), m)

    def left(outputs: IntArray, code: int | IntArray, test: Callable[..., BoolArray], *about: IntArray) -> BoolArray:
        """Where `test`, asked about what is worth trying, does not rule the output out; the plan learns it."""
        codes = np.broadcast_to(code, outputs.shape)
        failed = ~plan.skips(m, outputs, codes)
        passed = np.zeros(len(outputs), np.bool_)
        passed[failed] = test(*(values[failed] for values in about))
        failed &= ~passed
        plan.failed(m, outputs[failed], codes[failed])
        return ~passed

    if m:
        at_once = _AllQueriesAtOnce(facts)
        far = outputs[~np.isin(outputs, facts.near)]
        outputs = np.setdiff1d(outputs, far[~left(far, FIRST_TEST, at_once.first, far)])
        outputs = outputs[left(outputs, SECOND_TEST, at_once.second, outputs)]
    if not len(outputs):
        return []
    by_output, column = _ByOutput(facts, outputs), np.arange(len(outputs))
    found: list[tuple[int, int]] = []
    if facts.m_too:
        rest = left(outputs, QUERY_IS_MAXIMUM, by_output.maximum_as_query, column)
        found = [(m, int(o)) for o in outputs[rest]]
    if not len(facts.queries):
        return found
    ranges = _Ranges(by_output)
    node = np.zeros(len(outputs), np.int64)
    for level in reversed(range(len(facts.nodes))):
        if not len(column):
            return found
        rest = left(outputs[column], (level << LEVEL_BITS) + node, partial(ranges.test, level), node, column)
        column, node = column[rest], node[rest]
        if level:
            children = np.concatenate([2 * node, 2 * node + 1])
            exists = np.isin(children, facts.nodes[level - 1])
            column, node = np.concatenate([column, column])[exists], children[exists]
    if tables.has_entries and len(column):
        rest = left(outputs[column], WITH_ENTRIES + node, _WithEntries(by_output).test, node, column)
        column, node = column[rest], node[rest]
    return found + [(int(q), int(outputs[c])) for q, c in zip(node, column, strict=True)]


class _Facts:
    """What the tests for one maximum share."""

    def __init__(self, work: Work, tables: MarginTables, m: int, near: int, queries: IntArray) -> None:
        n = work.network.n_ctx
        self.tables, self.m, self.n = tables, m, n
        self.bounds = table_bounds(work, tables)
        self.near = np.arange(max(0, m - near), m)
        #: The queries below m in question, and whether m itself is.
        self.queries, self.m_too = queries[queries < m], bool(queries[-1] == m)
        far = m - near - 1
        own_score = tables.score_low[queries, m][:, None]
        gaps = [tables.score_high[queries, self.near[0] : m] - own_score] if m else []
        b = self.bounds
        # F.
        self.worst_f = (b.direct_min[m, m] + b.position_min[m]) - b.rival_max[m].max()
        self.far_bracket: Array | None = None
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

    def leads(self, outputs: IntArray) -> tuple[Array, Array]:
        """value[x, m] - value[x, o] for x = m, (outputs,), and for the near tokens, (near, outputs)."""
        value, m = self.tables.value, self.m
        rows = value[m - len(self.near) : m + 1]
        difference = rows[:, m, None] - rows[:, outputs]
        return difference[-1], difference[:-1]

    def least(self, weights: Array, brackets: Array) -> Array:
        """N for each column: (near + far, columns) weights, (near, columns) brackets, to (columns,)."""
        count = len(self.near)
        least: Array = np.minimum((weights[:count] * brackets).min(axis=0), 0.0)
        return least if self.far_bracket is None else np.minimum(least, weights[count] * self.far_bracket)


class _AllQueriesAtOnce:
    """Tests 1 and 2, about all queries together."""

    def __init__(self, facts: _Facts) -> None:
        self.facts = facts
        if not facts.m_too:
            self.weights, self.price = np.exp(facts.ranges[-1][0]), facts.price
        elif not len(facts.queries):
            self.weights, self.price = np.exp(facts.gaps[-1]), facts.own_price
        else:
            self.weights = np.exp(np.maximum(facts.ranges[-1][0], facts.gaps[-1]))
            self.price = np.maximum(facts.price, facts.own_price)

    def first(self, outputs: IntArray) -> BoolArray:
        """Which of these outputs, none a near token, test 1 rules out."""
        facts, b, m = self.facts, self.facts.bounds, self.facts.m
        value = facts.tables.value
        brackets = (value[facts.near, m] - b.value_max_of_others[facts.near]) + facts.worst_f
        if facts.far_bracket is not None:
            brackets = np.concatenate([brackets, facts.far_bracket[None]])
        least = np.minimum((self.weights * brackets).min(), 0.0)
        reserve = (value[m, m] + b.direct_min[m, m]) + (b.position_min[m] + self.price * least)
        return certainly_positive(reserve - b.rival_value_max[m, outputs])

    def second(self, outputs: IntArray) -> BoolArray:
        """Which of these outputs test 2 rules out."""
        facts, b, m = self.facts, self.facts.bounds, self.facts.m
        f = (b.direct_min[m, m] + b.position_min[m]) - b.rival_max[m, outputs]
        lead, brackets = facts.leads(outputs)
        least = facts.least(self.weights[:, None], brackets + f)
        return certainly_positive((lead + f) + self.price * least)


class _ByOutput:
    """What the tests of single outputs share, by columns: one for each of these outputs."""

    def __init__(self, facts: _Facts, outputs: IntArray) -> None:
        self.facts, self.outputs = facts, outputs
        tables, m = facts.tables, facts.m
        self.positions = (tables.position[:, m, None] - tables.position[:, outputs]).min(axis=0)
        self.lead, self.brackets = facts.leads(outputs)

    def maximum_as_query(self, column: IntArray) -> BoolArray:
        """Test 3 for q = m: which of these columns its lemma rules out."""
        facts, tables, m = self.facts, self.facts.tables, self.facts.m
        f = (tables.direct_low[m, m] - tables.direct_high[m, self.outputs]) + self.positions
        lead = self.lead[column] + f[column]
        if m:
            least = facts.least(np.exp(facts.gaps[-1])[:, None], self.brackets[:, column] + f[column])
            lead = lead + facts.own_price * least
        return certainly_positive(lead)

    def single(
        self, used: IntArray, place: IntArray, column: IntArray, gaps: Array, of_token: Array, f: Array
    ) -> BoolArray:
        """The lemma for the single queries used[place]: `gaps` and `of_token` bound log w for the queries `used`."""
        facts, tables, m = self.facts, self.facts.tables, self.facts.m
        queries = used[place]
        own, brackets = self.lead[column] + f, self.brackets[:, column] + f
        weights = np.exp(gaps)
        weight = tables.rho[used, facts.n - 1] * np.exp(of_token)
        bracket = (tables.value[queries, m] - tables.value[queries, self.outputs[column]]) + f
        of_query = np.minimum(weight[place] * bracket, 0.0)
        price = (facts.n - 2.0) * facts.bounds.rho_max[used]
        least = facts.least(weights.T[:, place], brackets)
        return certainly_positive((own + price[place] * least) + of_query)


class _Ranges:
    """Test 3 for queries below m: ranges of queries from a tree, and single ones on its lowest level."""

    def __init__(self, columns: _ByOutput) -> None:
        self.columns = columns
        tables, m, queries = columns.facts.tables, columns.facts.m, columns.facts.queries
        margins = tables.direct_low[queries, m][:, None] - tables.direct_high[queries][:, columns.outputs]
        self.smallest = _over_nodes(columns.facts.nodes, margins, np.minimum)

    def test(self, level: int, node: IntArray, column: IntArray) -> BoolArray:
        """Which of these pairs of a node of the level and an output are ruled out."""
        facts, columns = self.columns.facts, self.columns
        row = np.searchsorted(facts.nodes[level], node)
        f = self.smallest[level][row, column] + columns.positions[column]
        used, place = np.unique(row, return_inverse=True)
        if level:
            own, brackets = columns.lead[column] + f, columns.brackets[:, column] + f
            weights = np.exp(facts.ranges[level][used])
            least = facts.least(weights.T[:, place], brackets)
            return certainly_positive(own + facts.price * least)
        queries = facts.queries[used]
        of_token = facts.tables.score_high[queries, queries] - facts.tables.score_low[queries, facts.m]
        return columns.single(queries, place, column, facts.gaps[used], of_token, f)


class _WithEntries:
    """Test 4: single queries, with the best scores and direct paths."""

    def __init__(self, columns: _ByOutput) -> None:
        self.columns = columns

    def test(self, queries: IntArray, column: IntArray) -> BoolArray:
        """Which of these pairs of a query and an output are ruled out."""
        if not len(column):
            return np.zeros(0, np.bool_)
        facts, outputs = self.columns.facts, self.columns.outputs[column]
        tables, m = facts.tables, facts.m
        used, place = np.unique(queries, return_inverse=True)
        tokens = np.append(facts.near, m)
        high, low = tables.best_scores(*np.broadcast_arrays(used[:, None], tokens))
        gaps = [high[:, :-1] - low[:, -1:]]
        if facts.far_bracket is not None:
            gaps.append(facts.bounds.score_running[used, m - len(facts.near) - 1][:, None] - low[:, -1:])
        of_token = tables.best_scores(used, used).high - low[:, -1]
        own_direct = tables.best_directs(used, np.full(len(used), m)).low
        f = (own_direct[place] - tables.best_directs(queries, outputs).high) + self.columns.positions[column]
        return self.columns.single(used, place, column, np.concatenate(gaps, axis=1), of_token, f)


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
        direct, position = tables.direct_high, tables.position
        value: Any = tables.value
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
