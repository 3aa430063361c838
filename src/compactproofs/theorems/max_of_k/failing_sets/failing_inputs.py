"""Counting the inputs of one query and maximum on which some output might win.

Fix q and m; notation of `margin_tables`.  For an output o the margin is h_n + sum_{p < n} h_p(x_p) with

    h_p(t) = rho[q, p] w(t) (value[t, m] - value[t, o] + direct[q, m] - direct[q, o] + position[p, m] - position[p, o])

and h_n the same at the query.  Bounds of w and of direct[q, m] - direct[q, o] come from the lemma on one query there.
Tokens of a window m - g ... m - 1, and m, are taken one by one; all tokens below the window form one cell, with one
lower bound min(0, rho W (min_t (value[t, m] - max_o value[t, o]) + ...)), W >= w(t) for each of them.

Lemma.  If an input, as a choice of cells, has a certainly positive sum for every o in a list, and all outputs outside
the list never win (`safe_outputs`), it is answered correctly.  So at most

    sum over choices of cells with some sum that is not certainly positive, of the number of inputs with these cells

inputs of the class are answered wrongly.  Proof.  The sum of lower bounds is a lower bound of the margin.  With weights
(`tasks.weights`) the inputs with these cells count the product of what the tokens of each cell do.

Inputs with q < m are split by the first position that holds m, so that each is counted once.

Where w is only known to lie between l and u, w b is bounded from below by l b if the bracket b is certainly positive,
and by u min(b, 0) otherwise.
"""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import Array, IntArray, certainly_positive
from compactproofs.tasks.max_of_k import boxes_of_class
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.failing_sets.low_ends import lower
from compactproofs.theorems.max_of_k.failing_sets.low_rank import Bounds
from compactproofs.theorems.max_of_k.failing_sets.margin_tables import MarginTables
from compactproofs.theorems.max_of_k.failing_sets.safe_outputs import table_bounds

MAX_CHOICES = 2**24  # of cells, times outputs; a class with more is given up


class ClassesInDoubt:
    """The classes of one maximum with outputs that might win, and what they share."""

    def __init__(self, work: Work, tables: MarginTables, m: int, outputs: IntArray, windows: list[int]) -> None:
        """`outputs`: all outputs that might win for some query, sorted; `windows`: those that will be asked for."""
        self.work, self.tables, self.m, self.outputs = work, tables, m, outputs
        rows = tables.value[m - max(windows) : m + 1]
        self._values = rows[:, m, None] - rows[:, outputs]
        self._positions = tables.position[:, m, None] - tables.position[:, outputs]
        nearest = m - min(windows)
        if nearest > 0:
            bounds = table_bounds(work, tables)
            self._far = np.minimum.accumulate(tables.value[:nearest, m] - bounds.value_max[:nearest])

    def count(self, q: int, outputs: IntArray, window: int) -> int:
        """No less than the wrong inputs with query q and maximum m count, if only `outputs` might win."""
        work, tables, m = self.work, self.tables, self.m
        n, counts = work.network.n_ctx, work.task.counts
        columns = np.searchsorted(self.outputs, outputs)
        below = [counts[: m - window].sum()] if window < m else []
        cells = np.array([*below, *counts[m - window : m + 1]], np.int64)
        if len(outputs) * len(cells) ** (n - 1) > MAX_CHOICES:
            return self.work.task.class_size(q, m)
        directs = tables.best_directs(np.full(1 + len(outputs), q), np.append(outputs, m))
        direct = directs.low[-1] - directs.high[:-1]
        positions = self._positions[:, columns]
        # Bounds of the scores of the window, of m and of q.
        tokens = np.append(np.arange(m - window, m + 1), q)
        scores = tables.best_scores(np.full(len(tokens), q), tokens)
        contributions = self._contributions(q, scores, direct, positions, columns, window)
        of_query = self._of_query(q, scores, outputs, direct, positions, columns)
        return int(counts[q]) * self._count_cells(q, contributions, of_query, cells)

    def _contributions(
        self, q: int, scores: Bounds, direct: Array, positions: Array, columns: IntArray, window: int
    ) -> Array:
        """Lower bounds of h_p, shape (n - 1, cells, outputs)."""
        tables, m = self.tables, self.m
        rho = tables.rho[q, :-1]
        brackets = (self._values[len(self._values) - 1 - window :, columns] + direct) + positions[:-1, None, :]
        weights = [(rho[:, None] * w)[:, :, None] for w in self._weights(scores, slice(0, window), True)]
        h = _least_product(weights, brackets)
        if window == m:
            return h
        bounds = table_bounds(self.work, tables)
        weight = rho * np.exp(bounds.score_running[q, m - window - 1] - scores.low[-2])
        far = np.minimum(weight[:, None] * ((self._far[m - window - 1] + direct) + positions[:-1]), 0.0)
        return np.concatenate([far[:, None, :], h], axis=1)

    def _weights(self, scores: Bounds, tokens: slice, and_m: bool) -> list[Array]:
        """An upper bound of w for some tokens, then m if wanted, and a lower one unless they are the same."""
        ends = [(scores.high, scores.low)]
        if scores.low is not scores.high:
            ends.append((scores.low, scores.high))
        one = [self.work.constant([1.0])] if and_m else []
        return [np.concatenate([np.exp(of[tokens] - own[-2]), *one]) for of, own in ends]

    def _of_query(
        self, q: int, scores: Bounds, outputs: IntArray, direct: Array, positions: Array, columns: IntArray
    ) -> Array:
        """Lower bounds of h_n, shape (outputs,)."""
        tables, m = self.tables, self.m
        last = tables.rho[q, -1]
        if q >= m - (len(self._values) - 1):
            value = self._values[q - m - 1, columns]
        else:
            value = tables.value[q, m] - tables.value[q, outputs]
        bracket = (value + direct) + positions[-1]
        if q == m:
            return last * bracket
        return _least_product([last * w for w in self._weights(scores, slice(-1, None), False)], bracket)

    def _count_cells(self, q: int, h: Array, of_query: Array, cells: IntArray) -> int:
        everything, of_m = slice(None), len(cells) - 1
        boxes = boxes_of_class(len(h), q == self.m, slice(of_m), slice(of_m, None), everything)
        return sum(self._count_box(h, of_query, cells, box) for box in boxes)

    def _count_box(self, h: Array, of_query: Array, cells: IntArray, box: list[slice]) -> int:
        """What inputs of one box count, but for the query, with some sum that is not certainly positive."""
        parts = [h[p, choice] for p, choice in enumerate(box)]
        sizes = [cells[choice] for choice in box]
        order = sorted(range(len(box)), key=lambda p: len(sizes[p]))
        sums = of_query[None]
        for p in order[:-1]:
            sums = (sums[:, None, :] + parts[p][None, :, :]).reshape(-1, sums.shape[-1])
        last = order[-1]
        # The last addition is replaced by a comparison of safe lower ends.
        fails = ~(lower(parts[last])[None] > -lower(sums)[:, None])
        self.work.charge(int_ops=fails.size)
        bad = fails.any(axis=2)
        count = np.ones(1, np.int64)
        for p in order[:-1]:
            count = (count[:, None] * sizes[p]).reshape(-1)
        wrong: IntArray = (bad * sizes[last]).sum(axis=1) * count
        return int(wrong.sum())


def _least_product(weights: list[Array], brackets: Array) -> Array:
    """A lower bound of the products of brackets with weights between two bounds (upper first; one if it is exact)."""
    if len(weights) == 1:
        return weights[0] * brackets
    positive = certainly_positive(brackets)
    high, low = (np.broadcast_to(weight, brackets.shape) for weight in weights)
    return np.where(positive, low, high) * np.where(positive, brackets, np.minimum(brackets, 0.0))
