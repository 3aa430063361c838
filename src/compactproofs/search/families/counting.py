"""What histograms shall count: the search for the hints of `counting.histogram`, which may say anything.

A fixed sample of the inputs of a class tells, roughly, which outputs fail where, how much a bound has left to gain, and
so which outputs are counted alone, which of them takes most away from which, and how finely to count.  What is
recorded are the counts that the bound consists of, and not those that were tried on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isqrt, log
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import BoolArray, FloatArray, IntArray
from compactproofs.kernel.problem import Hints, Problem
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, Work
from compactproofs.search.families.attention_only import PLACE, Beyond, lemmas, task
from compactproofs.search.workspaces import MaxWorkspace
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, class_margins
from compactproofs.theorems.max_of_k.core.additive import token_weights
from compactproofs.theorems.max_of_k.counting import half_sums
from compactproofs.theorems.max_of_k.counting.histogram import EDGES, HISTOGRAM, HISTOGRAM_UPPER, levels
from compactproofs.theorems.max_of_k.counting.unions import ALL_OTHERS, Halves, Step, count_failing

WORTH = 3e-9  # of all inputs, at 64 tokens: what there must be to gain for a part to be counted more exactly
_TRIED, _SAMPLE, _FEW = 2**15, 4096, 512  # inputs of the sample
_MOST_TRIED, _BATCH = 2**17, 2**13  # to find a few where outputs fail
_DRAWN = 2**14  # sequences of clusters, for the edges of ranks
_MOST_HALVES = 19  # positions up to which halves are enumerated
_ONLY_HALVES = 11  # and up to which nothing else is tried for two sums
_MOST_HEADS = 6  # outputs that are counted from below

# How to count, the finer the more there is to gain, which is given in units of what is worth the trouble: cells of a
# histogram along each axis, or sequences of clusters in the longer half.
_CELLS_ONE = ((0.0, 512), (0.5, 4096), (5.0, 16384), (20.0, 65536), (100.0, 2**18))
_CELLS_TWO = ((0.0, 64), (3.0, 192), (25.0, 320), (100.0, 640))
_HALVES_TWO = ((0.0, 10**5), (5.0, 2 * 10**6), (40.0, 7 * 10**6))
_TAIL_ONE, _TAIL_TWO = 0.0005, 0.005  # what may lie on either side of the windows of histograms
_TABLE = 8  # so many sequences are looked up for one that is put into a table
_EVEN = 0.5  # so many ranks are spread evenly for one that goes where many sequences are

_UNUSED = (1, 0, 0)  # a window


def plan(work: MaxWorkspace, over: bool, worth: float | None = None) -> dict[str, npt.NDArray[Any]]:
    """The hints of `histogram` (`over`), or of `histogram-upper`, found on a workspace with the reading "value".

    `worth`: the share of all inputs, at 64 tokens, for which it is not worth the trouble to count, if not `WORTH`.
    """
    v, n = work.network.d_vocab, work.network.n_ctx
    weights = _weights(work)
    # The more classes there are, the less time there is for each.
    least = int((WORTH if worth is None else worth) * (v / 64) ** 2 * work.task.total)
    rows: list[list[int]] = []
    halves: list[Halves] = []
    for found in class_margins(work):
        if isinstance(found, ClassMargins):
            for level, part in found.by_highest_level(work, levels(weights, found)):
                if isinstance(part, ClassMargins):
                    failing = _Failing(work, part, least)
                    for step in failing.above() if over else failing.below():
                        number = -1 if step.halves is None else len(halves)
                        halves += [] if step.halves is None else [step.halves]
                        key = [part.query, int(part.tokens[-1]), level, step.output, step.less, number]
                        rows.append([*key, *step.windows[0], *step.windows[1]])
    return {
        "weights": weights,
        "steps": np.array(rows, np.int64).reshape(-1, 12),
        "labels": np.array([one.labels for one in halves], np.uint8).reshape(len(halves), n - 1, v),
        "edges": np.array([one.edges for one in halves], np.uint16).reshape(len(halves), 2, EDGES),
    }


def _weights(work: MaxWorkspace) -> npt.NDArray[np.uint16]:
    """The hint `weights`."""
    logarithm = 64.0 * np.log2(token_weights(work))
    logarithm -= logarithm.max(axis=1, keepdims=True)
    weights: npt.NDArray[np.uint16] = np.clip(np.nan_to_num(65535.0 + logarithm), 0.0, 65535.0).astype(np.uint16)
    return weights


@lru_cache(8)
def _random(positions: int) -> IntArray:
    """Numbers below 2^32, the same on every machine, shape (inputs, positions)."""
    raw = np.random.PCG64(0).random_raw((_MOST_TRIED, positions)) >> np.uint64(32)
    return raw.astype(np.int64)


@dataclass
class _Failing:
    """The wrong inputs of one part of a class.  `worth`: a number of inputs that is not worth the trouble."""

    work: MaxWorkspace
    margins: ClassMargins
    worth: int

    def above(self) -> list[Step]:
        """What to count for a bound from above; nothing, where the bound would be all inputs.

        All outputs together, or some heads less what others took and then the rest together, whichever is least.
        """
        if len(self.margins.outputs) == 0 or self._size <= self.worth or self._all_fail():
            return []
        best, found = self._together
        if best <= 5 * self.worth:
            return found
        heads, others = self._heads()
        total, steps, turn = 0, list[Step](), 1
        order = [*heads, *others]
        for j, head in enumerate(order, 1):
            if best - total <= 5 * self.worth:
                break
            alone = self._share(self._fails[:, head])
            parent, missed = self._parent(self._fails[:, head], order[: j - 1])
            less = parent if alone - missed > 2 * self.worth else None
            size, step = self._count([head], [] if less is None else [less], missed if less else alone, True)
            total, steps = total + size, steps + step
            if total < best and (j == turn or j == len(order)):
                turn *= 2
                last, step = self._rest(order[j:], order[:j])
                if total + last < best:
                    best, found = total + last, steps + step
        return found

    def _rest(self, outputs: list[int], heads: list[int]) -> tuple[int, list[Step]]:
        """A bound on the inputs where one of these outputs fails, and not that head which takes most of them away."""
        if not outputs:
            return 0, []
        return self._joint(outputs, self._parent(self._fails_jointly(outputs, self._inside[0]), heads)[0])

    def below(self) -> list[Step]:
        """What to count for a bound from below: outputs that fail where those before hardly do."""
        if self._size <= self.worth or len(self.margins.outputs) == 0 or self._together[0] <= 0.25 * self.worth:
            return []
        steps: list[Step] = []
        counted: list[int] = []
        high, last = self.margins.high, self.margins.high_last
        fails: BoolArray = self._sums(high, self._inside[0]) + last <= 0
        left = fails
        while len(counted) < min(_MOST_HEADS, fails.shape[1]):
            head = int(left.sum(axis=0).argmax())
            gain = self._share(left[:, head])
            if gain <= (2.0 if counted else 0.25) * self.worth:
                break
            steps += self._count([head], counted, self._share(left[:, head]), False)[1]
            counted.append(head)
            jointly = self._sums(high[:, :, counted].min(axis=2), self._inside[0]) + last[counted].min() <= 0
            left = fails & ~jointly[:, None]
        return steps

    @cached_property
    def _size(self) -> int:
        return self.margins.size

    @cached_property
    def _together(self) -> tuple[int, list[Step]]:
        """A bound on all wrong inputs, and the step that gives it."""
        outputs, inputs = list(range(len(self.margins.outputs))), self._inputs
        share = self._size * int(self._fails_jointly(outputs, inputs).sum()) // len(inputs)
        error = _error(share, self._size, len(inputs))
        return self._count(outputs, [], share, True, ALL_OTHERS, error)

    def _all_fail(self) -> bool:
        """Whether some output fails on all inputs of the class: its sum of maxima is not positive."""
        most = self.margins.high.max(axis=1).sum(axis=0) + self.margins.high_last
        return bool((most <= 0).any())

    # --- the sample ---

    def _drawn(self, number: int) -> Iterator[IntArray]:
        """Inputs of the class that look random, shape (inputs, P), from so many sequences of its tokens."""
        positions, tokens, _ = self.margins.low.shape
        for start in range(0, number, _BATCH):
            inputs: IntArray = _random(positions)[start : start + _BATCH] * tokens >> 32
            meets = np.ones(len(inputs), np.bool_)
            for members in self.margins.required:
                meets &= np.logical_or.reduce([members[inputs[:, p]] for p in range(positions)])
            yield inputs[meets]

    @cached_property
    def _inputs(self) -> IntArray:
        """Inputs of the class that look random, shape (inputs, P)."""
        found: list[IntArray] = []
        for inputs in self._drawn(_TRIED):
            found.append(inputs)
            if sum(map(len, found)) >= _SAMPLE:
                break
        if sum(map(len, found)) >= _FEW:
            return np.concatenate(found)[:_SAMPLE]
        # The sets are rarely met by chance.
        positions, tokens, _ = self.margins.low.shape
        forced: IntArray = _random(positions)[:_SAMPLE] * tokens >> 32
        for members in self.margins.required:
            if positions and members.any():
                misses = np.flatnonzero(~members[forced].any(axis=1))
                chosen = np.flatnonzero(members)
                forced[misses, misses % positions] = chosen[misses % len(chosen)]
        return forced

    @cached_property
    def _inside(self) -> tuple[IntArray, int]:
        """Those where the outputs fail together, as each that fails alone is one of them, and about how many there are.

        More are drawn, where these are few and may still be worth it.
        """
        outputs = list(range(len(self.margins.outputs)))
        inputs = self._inputs
        found, tried = inputs[self._fails_jointly(outputs, inputs)], len(inputs)
        if len(found) < _FEW and self._together[0] > 5 * self.worth and tried >= _SAMPLE:
            batches, tried = list[IntArray](), 0
            for inputs in self._drawn(_MOST_TRIED):
                batches.append(inputs[self._fails_jointly(outputs, inputs)])
                tried += len(inputs)
                if sum(map(len, batches)) >= _FEW:
                    break
            found = np.concatenate(batches)
        return found, self._size * len(found) // max(tried, 1)

    @cached_property
    def _fails(self) -> BoolArray:
        """Shape (inputs, r): where outputs fail in the sample."""
        fails: BoolArray = self._sums(self.margins.low, self._inside[0]) + self.margins.low_last <= 0
        return fails

    def _fails_jointly(self, outputs: list[int], inputs: IntArray) -> BoolArray:
        """Shape (inputs,): where the sum of these outputs' least entries is not positive."""
        low = self.margins.low[:, :, outputs].min(axis=2)
        fails: BoolArray = self._sums(low, inputs) + self.margins.low_last[outputs].min() <= 0
        return fails

    def _sums(self, entries: IntArray, inputs: IntArray) -> IntArray:
        """Sums of entries (P, T, ...) over the positions of each input, shape (inputs, ...)."""
        sums = np.zeros((len(inputs), *entries.shape[2:]), np.int64)
        for of_token, tokens in zip(entries, inputs.T, strict=True):
            sums += of_token[tokens]
        return sums

    def _share(self, inputs: BoolArray) -> int:
        """About how many inputs of the class these of the sample stand for."""
        return self._inside[1] * int(inputs.sum()) // max(len(inputs), 1)

    def _heads(self) -> tuple[list[int], list[int]]:
        """Outputs that fail in the sample, those that add most first, and the others, by how often they fail there."""
        heads: list[int] = []
        fails = self._fails.copy()
        while True:
            adds = fails.sum(axis=0)
            head = int(adds.argmax())
            if 4 * int(adds[head]) * self._inside[1] <= self.worth * len(fails) or adds[head] == 0:
                break
            heads.append(head)
            fails &= ~fails[:, head, None]
        left = [o for o in range(fails.shape[1]) if o not in heads]
        low = self.margins.low
        closest = low.min(axis=1).sum(axis=0) / np.maximum(low[:, -1].sum(axis=0), 1.0)
        return heads, sorted(left, key=lambda o: (-int(self._fails[:, o].sum()), float(closest[o])))

    def _parent(self, fails: BoolArray, heads: list[int]) -> tuple[int | None, int]:
        """The output that takes most of these inputs away, and about how many are left."""
        left = [(self._share(fails & ~self._fails[:, i]), i) for i in heads]
        missed, parent = min(left, default=(self._share(fails), None))
        return parent, missed

    # --- counts ---

    def _joint(self, outputs: list[int], parent: int | None) -> tuple[int, list[Step]]:
        """A bound on the inputs where one of all other outputs fails, and not the parent."""
        fails = self._fails_jointly(outputs, self._inside[0])
        if parent is not None:
            fails = fails & ~self._fails[:, parent]
        return self._count(outputs, [] if parent is None else [parent], self._share(fails), True, ALL_OTHERS)

    def _count(
        self,
        outputs: list[int],
        less: list[int],
        guess: int,
        over: bool,
        output: int | None = None,
        error: int | None = None,
    ) -> tuple[int, list[Step]]:
        """The best bound on the inputs where one of the outputs fails, and none of `less`, and the step that gives it.

        Counts are made finer and finer, as long as that is worth it.  Of two ways to count, the second is tried
        coarsely, and goes on if that is better than all of the first.
        """
        if error is None:
            error = _error(guess, self._inside[1], len(self._inside[0]))
        names = self.margins.outputs
        best, found = self._size if over else 0, list[Step]()
        for ways in self._ways(outputs, less, over):
            left, before = self._size, list[int]()
            for gain, step in ways:
                if left <= gain * self.worth:
                    break
                step = step._replace(
                    output=int(names[outputs[0]]) if output is None else output,
                    less=int(names[less[0]]) if over and less else ALL_OTHERS,
                )
                size = count_failing(self.work, self.margins, outputs, less, step, over)
                # The distance to the guess, give or take its error; later, what the last step gained, but steps may
                # gain nothing before one of them tells what nearly cancels.
                off = abs(size - guess)
                left = max(abs(size - before[-1]), off - 3 * error) if before else off + error
                if (size < best) if over else (size > best):
                    best, found = size, [step]
                elif found and not before:
                    break
                before = [size]
        return best, found

    def _ways(self, outputs: list[int], less: list[int], over: bool) -> Iterator[Iterator[tuple[float, Step]]]:
        """Ways to count, each finer and finer, and how much there must be to gain; without what is counted."""
        m = self.margins
        entries, last = (m.low, m.low_last) if over else (m.high, m.high_last)
        sums = [(entries[:, :, outputs].min(axis=2), int(last[outputs].min()))]
        if less:
            sums.append((-entries[:, :, less].min(axis=2), 1 - int(last[less].min())))
            if len(entries) <= _MOST_HALVES:
                yield self._halves(np.stack([one for one, _ in sums], axis=2), np.array([at for _, at in sums]), over)
        if not less or len(entries) > _ONLY_HALVES:
            yield self._grids(sums)

    def _halves(self, entries: IntArray, start: IntArray, over: bool) -> Iterator[tuple[float, Step]]:
        """By meeting in the middle, where no more sequences are enumerated than it takes to keep all tokens apart."""
        m = self.margins
        joined = Joined.of(entries if over else -entries, m.required)
        for gain, sequences in _HALVES_TWO:
            labels, exact = joined.labels(sequences)
            edges = self._edges(entries, start, labels, over)
            everywhere = np.zeros((len(entries), self.work.network.d_vocab), np.int64)
            everywhere[:, m.tokens] = labels
            yield gain, Step(ALL_OTHERS, ALL_OTHERS, (_UNUSED, _UNUSED), Halves(everywhere, edges))
            if exact:
                return

    def _grids(self, sums: list[tuple[IntArray, int]]) -> Iterator[tuple[float, Step]]:
        """By histograms."""
        two = len(sums) > 1
        windows = [self._window(*one, _TAIL_TWO if two else _TAIL_ONE) for one in sums]
        for gain, cells in _CELLS_TWO if two else _CELLS_ONE:
            chosen = [bins(*one, cells, *window) for one, window in zip(sums, windows, strict=True)]
            yield gain, Step(ALL_OTHERS, ALL_OTHERS, (chosen[0], chosen[1] if two else _UNUSED), None)

    def _window(self, entries: IntArray, start: int, tail: float) -> tuple[int, int]:
        """Where most partial sums of the sample lie, and some multiples of the largest entries."""
        partial_sums = np.cumsum(entries[np.arange(len(entries)), self._inputs[:1024]], axis=1) + start
        if partial_sums.size == 0:
            return start, start
        low, high = np.quantile(partial_sums, [tail, 1.0 - tail])
        reach = 3.0 * abs(float(entries.max(axis=1).mean()))
        return int(min(low, -reach)), int(max(high, reach))

    def _edges(self, entries: IntArray, start: IntArray, labels: IntArray, over: bool) -> IntArray:
        """Edges of ranks, shape (2, EDGES): close to each other where many sums of both halves are."""
        single = [one.sums for one in half_sums.clusters(entries, self.margins.required, labels, over)]
        half, rng = len(single) // 2, np.random.default_rng(0)
        chosen = [sums[:, rng.integers(0, sums.shape[1], _DRAWN)] for sums in single]
        of_half, limits = np.zeros((2, _DRAWN), np.int64), np.repeat(-start[:, None], _DRAWN, axis=1)
        of_half, limits = sum(chosen[:half], of_half), limits - sum(chosen[half:], 0)
        # Bins are those between the least and the largest sum.
        ends = [sum((f(sums, axis=1) for sums in single[:half]), np.zeros(2, np.int64)) for f in (np.min, np.max)]
        of_half[:, :2] = np.stack(ends, axis=1)
        return np.stack([_edges(*both) for both in zip(of_half, limits, strict=True)])


def _error(guess: int, of: int, sample: int) -> int:
    """How far off a guess at a part of so many inputs may be, by a sample of that size, roughly."""
    return (isqrt(guess * max(of - guess, 0) * sample) + of) // sample if sample else of


def bins(entries: IntArray, start: int, cells: int, low: int, high: int) -> tuple[int, int, int]:
    """The width of bins and a window that holds the start, 0 and two numbers, as far as sums reach.

    It has about `cells` cells, up to twice as many, or a cell for each number if these are fewer.
    """
    smallest, largest = int(entries.min(axis=1).sum()), int(entries.max(axis=1).sum())
    # Beyond -largest and -smallest sums are decided; but what is still to come may also be nothing.
    bottom = max(min(low, start, 0), min(-largest, 0), start + min(smallest, 0))
    top = max(min(max(high, start, 0), max(-smallest, 0), start + max(largest, 0)), bottom)
    width = max(1, (top - bottom) // cells)
    return width, bottom // width - 1, top // width + 1


def _edges(sums: IntArray, limits: IntArray) -> IntArray:
    """Bins between which there shall be equally many ranks, for sums of one half and what may be asked about them."""
    scale = half_sums.Ranks.with_edges(sums, np.zeros(1, np.int64))
    of_limits = np.clip((limits - scale.least) >> scale.shift, -1, half_sums.BINS)
    both = (
        np.bincount((sums - scale.least) >> scale.shift, minlength=half_sums.BINS)
        * np.bincount(of_limits + 1, minlength=half_sums.BINS + 2)[1:-1]
    )
    worth = np.sqrt(both)
    share = np.cumsum(worth + (worth.sum() + 1.0) * _EVEN / half_sums.BINS)
    return np.minimum(np.searchsorted(share / share[-1], np.arange(EDGES) / (EDGES - 1)), half_sums.BINS - 1)


class Joined(NamedTuple):
    """How tokens are joined to clusters at each position, those first that lose least.

    `kept`, `joined`: which two clusters one after the other, shape (P, joins); `lost`: by how much the entries then
    fall together, infinite where only tokens of different sets are left.
    """

    kept: IntArray
    joined: IntArray
    lost: FloatArray

    @classmethod
    def of(cls, entries: IntArray, required: BoolArray) -> Joined:
        """For sums over entries (P, T, axes), all axes together, and these sets (sets, T)."""
        positions, tokens, _ = entries.shape
        kept, joined = np.zeros((2, positions, max(tokens - 1, 0)), np.int64)
        lost = np.full(kept.shape, np.inf)
        if kept.size == 0:
            return cls(kept, joined, lost)
        # Axes come first: sums over two entries are slow along the last one.
        lowest = np.ascontiguousarray(np.moveaxis(entries, 2, 0), np.float64)
        unit = np.abs(lowest - np.median(lowest, axis=2, keepdims=True)).mean(axis=(1, 2))
        lowest /= np.where(unit > 0.0, unit, 1.0)[:, None, None]
        size = np.ones((positions, tokens))

        def loss(a: FloatArray, number: FloatArray, b: FloatArray, other: FloatArray) -> FloatArray:
            """How much the entries of two clusters fall together when they are joined."""
            joint: FloatArray = np.minimum(a, b)
            fallen: FloatArray = number * (a - joint).sum(axis=0) + other * (b - joint).sum(axis=0)
            return fallen

        bits = (required * 2 ** np.arange(len(required))[:, None]).sum(axis=0)
        apart = bits[:, None] != bits
        np.fill_diagonal(apart, True)
        losses = loss(lowest[..., None], size[..., None], lowest[:, :, None], size[:, None])
        losses[:, apart] = np.inf
        each = np.arange(positions)
        for i in range(tokens - 1):
            a, b = np.divmod(losses.reshape(positions, -1).argmin(axis=1), tokens)
            least = losses[each, a, b]
            if not np.isfinite(least).all():
                break
            kept[:, i], joined[:, i], lost[:, i] = a, b, least
            lowest[:, each, a] = np.minimum(lowest[:, each, a], lowest[:, each, b])
            size[each, a] += size[each, b]
            new = loss(lowest[:, each, a, None], size[each, a][:, None], lowest, size)
            new[np.isinf(losses[each, a])] = np.inf  # itself, other bits, and what was joined before
            losses[each, b] = losses[each, :, b] = np.inf
            new[each, b] = np.inf
            losses[each, a] = losses[each, :, a] = new
        return cls(kept, joined, lost)

    def labels(self, sequences: int) -> tuple[IntArray, bool]:
        """Labels of shape (P, T) for at most so many sequences of the longer half, and whether no entry falls.

        Sequences of the other half go into a table, which takes several times longer than looking one up.
        """
        positions, joins = self.lost.shape
        half = positions // 2
        numbers = [*_numbers(self.lost[:half], max(1, sequences // _TABLE)), *_numbers(self.lost[half:], sequences)]
        done = np.arange(joins) < joins + 1 - np.array(numbers, np.int64)[:, None]
        labels = np.tile(np.arange(joins + 1), (positions, 1))
        for i in range(int(done.sum(axis=1).max(initial=0))):
            labels = np.where((labels == self.joined[:, i, None]) & done[:, i, None], self.kept[:, i, None], labels)
        return labels, not self.lost[done].any()


def _numbers(lost: FloatArray, sequences: int) -> list[int]:
    """How many clusters at each position: one more where that gains most for what it multiplies sequences by."""
    tokens = lost.shape[1] + 1
    number = [tokens - int(joins) for joins in np.isfinite(lost).sum(axis=1)]
    room = log(sequences) - sum(map(log, number))
    while True:
        gains = [
            (lost[p, tokens - n - 1] / log(1 + 1 / n), p)
            for p, n in enumerate(number)
            if n < tokens and log(1 + 1 / n) <= room
        ]
        gain, p = max(gains, default=(0.0, 0))
        if gain <= 0.0:
            return number
        room -= log(1 + 1 / number[p])
        number[p] += 1


def _operations(v: int, n: int) -> int:
    # Some calls for each class and its parts.
    return 2 * v**4 + 16 * CALL * v**2 + 2**8 * n * v**3


def _of_steps(hints: Hints, v: int, n: int) -> int:
    """What the steps of histograms take: tables and sequences of halves, or cells, some for each token."""
    steps, known = hints["steps"], min(len(hints["labels"]), len(hints["edges"]))
    with_halves = (steps[:, 5] >= 0) & (steps[:, 5] < known)
    # Clusters at each position: no more than there are labels, unless these join tokens of different sets.
    number = 1.0 + np.count_nonzero(np.diff(np.sort(hints["labels"], axis=2), axis=2), axis=2)
    half, last = (n - 1) // 2, max((n - 1) // 2, n - 3)
    made = number[:, :half].prod(axis=1), number[:, half:last].prod(axis=1), number[:, half:].prod(axis=1)
    of_table, of_first, looked_up = (np.minimum(one, 2.0**23) for one in made)
    of_halves = 2.0**25 + 270 * (of_table + of_first) + 30 * looked_up
    cells = np.clip(np.maximum(steps[:, [8, 11]].astype(float) - steps[:, [7, 10]], 0) + 2, 0, 2**19)
    two = np.minimum(cells.prod(axis=1), 2.0**19)[~with_halves].sum()
    halves = of_halves[steps[with_halves, 5]].sum()
    # Two operations for each group of sets, of which there are four at most, but seldom as many steps as tokens.
    return int(halves + 4 * n * v * two + CALL * len(steps) * (2 * n + 8))


def _work(problem: Problem[Any, Any], hints: Hints) -> Work:
    """Of the screening, and of what the steps count: tables, sequences of halves and windows all have limits."""
    of_model = Beyond(_operations)(problem, hints)
    of_steps = _of_steps(hints, problem.network.d_vocab, problem.network.n_ctx)
    return Work(of_model.operations + of_steps, of_model.memory + 2**30)


COMPANIONS = {
    strategy.id: Companion(
        task,
        search=lambda strategy, work: plan(work, strategy.claim == "at least"),
        work=_work,
        unexplained_dimension=lambda problem: int(problem.task.n_ctx * problem.task.d_vocab**4),
        complexity="O(v^4) + O(K v) histograms per class",
        summary=f"histograms of margins, rounded so that wrong inputs are {counted}",
        stated_in=f"{PLACE}.counting.histogram",
        lemmas=lemmas("branching.class_margins", "counting.unions", "counting.sums", "counting.half_sums"),
        by_input=True,
        long=True,
    )
    for strategy, counted in ((HISTOGRAM, "overcounted"), (HISTOGRAM_UPPER, "undercounted"))
}
