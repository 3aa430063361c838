"""Which branches to follow where several outputs may win: the search for the hints of `counting.some_sum`.

Outputs that fail in a sample are sums of their own, in such an order that what is alike comes last; from above all
others together are the very last one.  More points, more tokens, a lower threshold and finer rounding are tried one
after the other, and kept as long as they are worth their time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from math import log2

import numpy as np

from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.kernel.limits import LISTENER
from compactproofs.search.families.joining import Joining, edges_near, for_all
from compactproofs.search.workspaces import MaxWorkspace
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting import both_ends, some_sum
from compactproofs.theorems.max_of_k.counting.unions import Branches, Step

_MOST_SETS = 12  # sums of outputs alone
_ALIKE = 1024  # inputs of the sample that say which outputs are
_NUMBERS = (512, 1024, 2048, 4096, 8192)  # of points
_TOKENS = (5, 6, 9, 14, 24, 40, None)  # in branches, at a position on average
_FINER = (16, 32, None)  # in tables
_THRESHOLDS = (0.5, 0.1, 0.02, 0.004, 0.0008)  # of what is worth the trouble
_BITS = (10, 13, 16, 20)
_WAYS = (_NUMBERS, _FINER, _TOKENS, _THRESHOLDS, _BITS)
_FIRST = (1, 0, 1, 0, 2)
_TURNS = ((4, 1), (2, 1), (2, -1), (3, 1), (1, 1), (0, 1))  # what is tried, one after the other
_AT_MOST = 2**22  # ways
_KNOTS, _NEAR = 2**14, 400  # sums on the way, and inputs whose sums are near 0
_PER_MILLISECOND = 1.0  # of what is worth the trouble
_OPERATIONS = 4e6  # that take a millisecond
_GROWS = (2.0, 2.0, 2.0, 3.0, 1.5)  # what takes longer with more points, tokens in tables, and so on


@dataclass
class Branching:
    """The wrong inputs of one part of a class, counted all at once.

    `inputs`: a sample, shape (inputs, P); `fails`: where outputs fail in it, shape (inputs, r); `guess`: about how many
    inputs are wrong, give or take `error`; `worth`: a number of inputs that is not worth the trouble.
    """

    work: MaxWorkspace
    margins: ClassMargins
    inputs: IntArray
    fails: BoolArray
    guess: int
    error: int
    worth: int
    over: bool
    _tables: dict[tuple[int, int], tuple[some_sum.Sums | None, int]] = field(default_factory=dict)

    def best(self) -> tuple[int, list[Step] | Branches]:
        """The best bound that is worth its time, and what to count for it; nothing where there is no use."""
        m = self.margins
        if len(self.sets) < 2 or len(m.low) == 0:
            return m.size if self.over else 0, []
        at = list(_FIRST)
        tried = [at]
        best, most, ways = self._of(at)
        turn, idle = 0, 0
        while idle < len(_TURNS):
            (axis, by), to = _TURNS[turn], list(at)
            to[axis] += by
            possible = 0 <= to[axis] < len(_WAYS[axis]) and to not in tried
            if possible and (by < 0 or self._price(most * _GROWS[axis]) < abs(best - self.guess) + self.error):
                tried.append(to)
                size, told, made = self._of(to)
                gained = best - size if self.over else size - best
                if gained > self._price(max(told - most, told // 8)):
                    at, best, most, ways, idle = to, size, told, made, 0
                    continue
            turn, idle = (turn + 1) % len(_TURNS), idle + 1
        return best, self._hints(at)._replace(most=ways)

    def _price(self, operations: float) -> float:
        return operations / _OPERATIONS * _PER_MILLISECOND * self.worth

    @cached_property
    def sets(self) -> list[list[int]]:
        """Outputs, by index, that are one sum each, in order."""
        m, adds = self.margins, self.fails.copy()
        alone: list[int] = []
        while len(alone) < _MOST_SETS:
            number = adds.sum(axis=0)
            if not number.any():
                break
            alone.append(int(number.argmax()))
            adds &= ~adds[:, alone[-1], None]
        seldom = [o for o in np.argsort(-self.fails.sum(axis=0), kind="stable").tolist() if o not in alone]
        failing = [o for o in seldom if self.fails[:, o].any()]
        alone += failing[: _MOST_SETS - len(alone)]
        others = [o for o in range(len(m.outputs)) if o not in alone]
        if not self.over:
            return [[o] for o in alone]
        return [*([each] for each in self._chain(alone, others)), *([others] if others else [])]

    def _chain(self, alone: list[int], others: list[int]) -> list[int]:
        """Outputs such that what is alike comes last: which one is joined to those after it for least."""
        m, inputs = self.margins, self.inputs[:_ALIKE]
        left, found = list(alone), list[int]()
        together = list(others)
        while left:
            costs = []
            for o in left:
                joint = m.low[:, :, [*together, o]].min(axis=2)
                both = joint[np.arange(inputs.shape[1]), inputs].sum(axis=1) + m.low_last[[*together, o]].min() <= 0
                fails = self.fails[: len(inputs), o]
                before = self.fails[: len(inputs), together].any(axis=1)
                costs.append(int(both.sum()) - int((fails | before).sum()) - int((fails & before).sum()))
            found.append(left.pop(int(np.argmin(costs))))
            together.append(found[-1])
        return found[::-1]

    @cached_property
    def _sums(self) -> tuple[IntArray, IntArray]:
        """Entries, shape (P, T, sets), and starts."""
        m = self.margins
        entries, last = (m.low, m.low_last) if self.over else (m.high, m.high_last)
        extreme = np.minimum if self.over else np.maximum
        both = [(extreme.reduce(entries[:, :, these], axis=2), extreme.reduce(last[these])) for these in self.sets]
        return np.stack([one for one, _ in both], axis=2), np.array([at for _, at in both])

    @cached_property
    def _joining(self) -> Joining:
        entries, _ = self._sums
        return Joining(entries if self.over else -entries, self.margins.conditions.kinds()[1])

    def _labels(self, tokens: int | None) -> IntArray | None:
        """Labels of so many clusters on average; none where every token is alone."""
        return None if tokens is None or tokens >= len(self.margins.tokens) else self._joining.labels(tokens)

    def _every(self, labels: IntArray | None) -> IntArray:
        positions, tokens, _ = self.margins.low.shape
        return np.tile(np.arange(tokens), (positions, 1)) if labels is None else labels

    @cached_property
    def _edges(self) -> IntArray:
        """Edges that are close to each other where sums are on the way, those of all sets."""
        entries, start = self._sums
        order = both_ends.in_order(entries)
        positions, _, axes = entries.shape
        of_class = self.margins.conditions, self.margins.counts
        on_the_way, reach = [], 0
        for j in range(axes):
            steps = both_ends.clusters(entries[order][:, :, [j]], *of_class, self._every(None), self.over)
            offsets = np.array([step.offset[0] for step in steps])
            less = entries[order][:, :, j] - offsets[:, None]
            at = start[j] + offsets.sum()
            totals = at + less[np.arange(positions), self.inputs[:, order]].sum(axis=1)
            near = self.inputs[np.argsort(np.abs(totals), kind="stable")[:_NEAR]][:, order][:, ::-1]
            taken = less[::-1][np.arange(positions), near]
            on_the_way.append((at + np.cumsum(taken, axis=1)).ravel())
            reach = max(reach, int(abs(at) + np.abs(less).max(axis=1).sum()))
        every = np.concatenate(on_the_way)
        return edges_near(every[:: max(1, len(every) // _KNOTS)], reach)

    def _hints(self, at: list[int]) -> Branches:
        m, v = self.margins, self.work.network.d_vocab
        number, finer, tokens, threshold, bits = at
        ranks = np.zeros(v, np.int64)
        for rank, these in enumerate(self.sets, 1):
            if len(these) == 1 or not self.over:
                ranks[m.outputs[these]] = rank

        in_tables = self._labels(_FINER[finer])
        by_position = self._every(in_tables)[both_ends.in_order(self._sums[0])]
        sizes = np.array([len(set(row)) + 1 for row in by_position.tolist()], float)
        gain = max(_THRESHOLDS[threshold] * self.worth / max(m.of_query, 1), 0.5)
        return Branches(
            ranks,
            for_all(self._labels(_TOKENS[tokens]), m.tokens, v),
            for_all(in_tables, m.tokens, v),
            self._edges,
            _NUMBERS[number],
            int((np.cumprod(sizes) <= _NUMBERS[number]).sum()),
            _BITS[bits],
            round(log2(gain)),
            _AT_MOST,
        )

    def _of(self, at: list[int]) -> tuple[int, int, int]:
        """The bound, how many operations it takes, and how many ways."""
        m, how = self.margins, self._hints(at)
        entries, start = self._sums
        labels, finer = (
            self._every(None if joined is None else joined[:, m.tokens]) for joined in (how.labels, how.finer)
        )
        branching = some_sum.Branching(
            labels, finer, both_ends.numbers_of(how.edges), *how[4:7], 2.0**how.threshold, how.most
        )
        of_class = m.conditions, m.counts
        key = at[0], at[1]
        if key not in self._tables:
            with told() as operations:
                tables = some_sum.tables_of(self.work, entries, start, *of_class, branching, self.over)
            self._tables[key] = tables, sum(operations)
        tables, of_tables = self._tables[key]
        if tables is None:
            return m.size if self.over else 0, of_tables, 1
        with told() as operations:
            size = m.of_query * some_sum.followed(self.work, tables, *of_class, branching, self.over)
        ways = sum(operations) // (some_sum.PER_WAY * (len(tables.tables) + 2))
        return min(size, m.size), of_tables + sum(operations), ways + 1


@contextmanager
def told() -> Iterator[list[int]]:
    """How many operations each call says that it does; who has been told before still is, and may stop it."""
    operations: list[int] = []
    before = LISTENER.get()

    def hear(number: int) -> None:
        before(number)
        operations.append(number)

    token = LISTENER.set(hear)
    try:
        yield operations
    finally:
        LISTENER.reset(token)
