"""What histograms shall count: the search for the hints of `counting.histogram`, which may say anything.

A fixed sample of the inputs of a class tells, roughly, which outputs fail where, how much a bound has left to gain, and
so which outputs are counted alone, which of them takes most away from which, and how finely to count.  What is
recorded are the counts that the bound consists of, and not those that were tried on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import chain, islice
from math import isqrt
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import BoolArray, FloatArray, IntArray
from compactproofs.kernel.problem import Hints, Problem
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, Work
from compactproofs.search.families import on_all_cores
from compactproofs.search.families.attention_only import PLACE, Beyond, lemmas, task
from compactproofs.search.workspaces import MaxWorkspace
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, class_margins
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.core.additive import token_weights
from compactproofs.theorems.max_of_k.counting import grids, half_sums
from compactproofs.theorems.max_of_k.counting.histogram import EDGES, HISTOGRAM, HISTOGRAM_UPPER, levels
from compactproofs.theorems.max_of_k.counting.sums import offsets_of
from compactproofs.theorems.max_of_k.counting.unions import ALL_OTHERS, Grids, Halves, Step, count_failing

WORTH = 4e-10  # of all inputs, at 64 tokens: what there must be to gain for a part to be counted more exactly
_TRIED, _SAMPLE, _FEW, _PART = 2**15, 4096, 256, 32  # inputs of the sample, and of what is worth the trouble
_OFTEN = 0.25  # of all inputs; where fewer may be wrong, the sample is one of these only
_CELLS_NEAR = 2**12  # of the sums that say which these are
_FEW_POSITIONS, _MOST_HALVES = 11, 23  # up to which halves come first, and up to which they are tried
_MOST_HEADS = 6  # outputs that are counted from below

# How to count, the finer the more there is to gain, which is given in units of what is worth the trouble: cells of a
# histogram along each axis, or sequences of clusters in the longer half.
_GAINS_ONE, _CELLS_ONE = (0.0, 2.0, 10.0, 20.0), (2**13, 2**15)
_GAINS_TWO = (0.0, 2.0, 10.0, 40.0, 60.0, 150.0)
_HALVES_TWO = (3 * 10**5, 10**6, 4 * 10**6, 8 * 10**6)
_BETWEEN_TWO = (1, 2, 4, 8, 16, 31)  # parts between two edges of a grid
_GAINS_THREE, _BETWEEN_THREE, _WORTH_THREE = (0.0, 100.0, 400.0), (1, 2, 3), 20
_CLEARLY = 6  # errors of a guess: from farther away there is something to gain
_BETWEEN_ONE = (64, 256)
_PRICE = 2  # of an output that is counted apart
_SAMPLED_FROM = 128  # the share of a sum's guess that may come of that
_SURE = 50  # up to which a single sum is counted as coarsely as that, without a trial
_TAIL_ONE = 0.0005  # what may lie on either side of the windows of histograms
_GROUP, _AROUND = 4, 2**4  # bins looked at together, and how many of these share a rank with one
_DRAWN = 2**11  # sums of halves that tell where ranks go
_LESS = 4  # times fewer sequences of the first half, each of which takes longer
_EVEN = 0.5  # so many ranks are spread evenly for one that goes where many sequences are

_NEAR, _KNOTS, _TAIL, _EVENLY = (
    400,
    300,
    5,
    0.4,
)  # inputs near 0, of their sums, edges beyond these, and how evenly others lie

_UNUSED = (1, 0, 0)  # a window


def plan(
    work: Any,
    over: bool,
    worth: float | None = None,
    classes: Callable[[Any], Iterator[ClassMargins | int]] = class_margins,
    positions: int | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """The hints of `histogram` (`over`), or of `histogram-upper`, found on a workspace with the reading "value".

    `worth`: the share of all inputs for which it is not worth the trouble to count, if it is not `worth_of`.
    `classes` of inputs, with so many `positions` that differ, if these are not those of the largest token.
    """
    v = work.network.d_vocab
    positions = work.network.n_ctx - 1 if positions is None else positions
    weights = _weights(work)
    # The more classes there are, the less time there is for each.
    least = int((worth_of(work) if worth is None else worth) * work.task.total)
    rows: list[list[int]] = []
    halves: list[Halves] = []
    points: list[IntArray] = []
    for found in classes(work):
        if isinstance(found, ClassMargins):
            for level, part in found.by_highest_level(work, levels(weights, found)):
                if isinstance(part, ClassMargins):
                    failing = _Failing(work, part, least)
                    for step in failing.above() if over else failing.below():
                        number = -1
                        if isinstance(step.how, Halves):
                            number = len(halves)
                            halves.append(step.how)
                        elif isinstance(step.how, Grids):
                            number = -2 - len(points)
                            one, two, three = step.how.between
                            points += [step.how.edges[:2]] + ([step.how.edges[1:][::-1]] if three else [])
                            step = step._replace(windows=((1, one, step.how.second + 1), (1, two, three)))
                        key = [part.query, int(part.tokens[-1]), level, step.output, step.less, number]
                        rows.append([*key, *step.windows[0], *step.windows[1]])
    steps = np.array(rows, np.int64).reshape(-1, 12)
    steps[steps[:, 5] < -1, 5] -= len(halves)  # of edges, those of halves come first
    edges = [one.edges for one in halves] + points
    return {
        "weights": weights,
        "steps": steps,
        "labels": np.array([one.labels for one in halves], np.uint8).reshape(len(halves), positions, v),
        "edges": np.array(edges, np.uint16).reshape(len(edges), 2, EDGES),
    }


def worth_of(work: MaxWorkspace) -> float:
    """The share of all inputs for which it is not worth the trouble to count."""
    size = work.network.d_vocab / 64
    return float(WORTH * (size**4 if size < 1 else size**2) * work.haste)


def _weights(work: MaxWorkspace) -> npt.NDArray[np.uint16]:
    """The hint `weights`."""
    logarithm = 64.0 * np.log2(token_weights(work))
    logarithm -= logarithm.max(axis=1, keepdims=True)
    weights: npt.NDArray[np.uint16] = np.clip(np.nan_to_num(65535.0 + logarithm), 0.0, 65535.0).astype(np.uint16)
    return weights


@lru_cache(8)
def _random(positions: int) -> IntArray:
    """Numbers below 2^32, the same on every machine, shape (inputs, positions)."""
    raw = np.random.PCG64(0).random_raw((_TRIED, positions)) >> np.uint64(32)
    return raw.astype(np.int64)


def _drawn(conditions: Conditions, positions: int) -> IntArray:
    """Sequences of tokens that meet the last condition, all equally likely, shape (inputs, positions); there are some.

    From the last position on: how many ways there are to go on says how likely each kind of token is.
    """
    rows, of_token = conditions.kinds()
    size = np.bincount(of_token, minlength=len(rows)).astype(float)
    by_kind, start = np.argsort(of_token, kind="stable"), np.cumsum(size) - size
    ways = [conditions.empty.astype(float)]
    for _ in range(positions):
        ways.append((size[:, None] * np.where(rows >= 0, ways[-1][rows], 0.0)).sum(axis=0))
    numbers = _random(2 * positions)[:_SAMPLE] / 2.0**32
    state = np.full(len(numbers), len(conditions.empty) - 1)
    inputs = np.zeros((len(numbers), positions), np.int64)
    for p in range(positions - 1, -1, -1):
        upto = np.cumsum(size[:, None] * np.where(rows >= 0, ways[p][rows], 0.0), axis=0)[:, state]
        kind = (upto <= numbers[:, p] * upto[-1]).sum(axis=0)
        within = np.minimum((numbers[:, positions + p] * size[kind]).astype(np.int64), size[kind].astype(np.int64) - 1)
        inputs[:, p] = by_kind[start[kind].astype(np.int64) + within]
        state = rows[kind, state]
    return inputs


@dataclass
class _Failing:
    """The wrong inputs of one part of a class.  `worth`: a number of inputs that is not worth the trouble."""

    work: MaxWorkspace
    margins: ClassMargins
    worth: int

    def above(self) -> list[Step]:
        """What to count for a bound from above; nothing, where the bound would be all inputs."""
        outputs = list(range(len(self.margins.outputs)))
        if not outputs or self._size <= self.worth or self._all_fail():
            return []
        joint, union = self._share(self._fails_jointly(outputs)), self._share(np.logical_or.reduce(self._fails, axis=1))
        together: tuple[int, list[Step]] = self._size, []
        if joint - union <= 5 * self.worth:
            together = self._joint(outputs, None)
            if together[0] - union <= 5 * self.worth:
                return together[1]
        order = self._order()
        parents, missed, score = self._splits(order)
        rests: dict[int, tuple[int, list[Step]]] = {len(order): (0, [])}
        if together[1]:
            rests[0] = together
            score[0] += float(together[0] - joint)
        while (few := int(score.argmin())) not in rests:
            rests[few] = self._joint(order[few:], None if parents[few] < 0 else order[parents[few]])
            score[few] += max(rests[few][0] - float(missed[few]) - 10 * self.worth, 0)
        total, last = rests[few]
        together = min(together, rests.get(0, together), key=itemgetter(0))
        heads, steps = order[:few], list[Step]()
        for j, head in enumerate(heads):
            alone = self._share(self._fails[:, head])
            parent, left = self._parent(self._fails[:, head], heads[:j])
            outright = alone - left <= 2 * self.worth
            size, step = self._count([head], [], alone, True) if outright else (self._size, [])
            if parent is not None and size - left > 2 * self.worth:
                size, step = min((size, step), self._count([head], [[parent]], left, True), key=itemgetter(0))
                second, least = self._parent(self._fails[:, head] & ~self._fails[:, parent], heads[:j])
                if second is not None and min(size, left) - least > _WORTH_THREE * self.worth:
                    both = [[parent], [second]]
                    size, step = min(
                        (size, step), self._count([head], both, least, True, known=size), key=itemgetter(0)
                    )
            total, steps = total + size, steps + step
            if total >= together[0]:
                return together[1]
        if few and not together[1] and total - joint > 5 * self.worth:
            together = self._joint(outputs, None)
            if together[0] <= total:
                return together[1]
        return steps + last

    def below(self) -> list[Step]:
        """What to count for a bound from below: outputs that fail where those before hardly do."""
        if self._size <= self.worth or len(self.margins.outputs) == 0:
            return []
        steps: list[Step] = []
        counted: list[int] = []
        high, last = self.margins.high, self.margins.high_last
        sums = self._sums_of_sample(high) + last
        fails: BoolArray = sums <= 0

        def jointly(outputs: list[int]) -> BoolArray:
            return np.asarray(self._sums_of_sample(high[:, :, outputs].min(axis=2)) + last[outputs].min() <= 0)

        while len(counted) < min(_MOST_HEADS, fails.shape[1]):
            left = fails & ~jointly(counted)[:, None] if counted else fails
            head = int(left.sum(axis=0).argmax())
            gain = self._share(left[:, head])
            size, step = 0, list[Step]()
            if gain > 2 * self.worth:
                size, step = self._count([head], [counted] if counted else [], gain, False)
            elif not counted:
                head = int(sums.min(axis=0).argmin())  # which may fail seldom
                size, step = self._count([head], [], gain, False)
            # One of them alone, and the others together.
            apart = [([[i], [k for k in counted if k != i]]) for i in counted if len(counted) > 1]
            lefts = [fails & ~fails[:, one] & ~jointly(others)[:, None] for one, others in apart]
            if lefts:
                most = np.array([one.sum(axis=0) for one in lefts])
                which, other = divmod(int(most.argmax()), most.shape[1])
                more = self._share(lefts[which][:, other])
                if more - gain > _WORTH_THREE * self.worth:
                    found = self._count([other], apart[which], more, False)
                    head, (size, step) = max((head, (size, step)), (other, found), key=lambda one: one[1][0])
            if counted and not step:
                break
            steps += step
            counted.append(head)
        return steps

    @cached_property
    def _size(self) -> int:
        return self.margins.size

    def _all_fail(self) -> bool:
        """Whether some output fails on all inputs of the class: its sum of maxima is not positive."""
        most = self.margins.high.max(axis=1).sum(axis=0) + self.margins.high_last
        return bool((most <= 0).any())

    # --- the sample ---

    @cached_property
    def _sample(self) -> tuple[IntArray, int]:
        """Inputs, shape (inputs, P), and how many they stand for: of the class, or of those that may be wrong."""
        m = self.margins
        if m.by_sets and len(m.low):
            near = _Near(m.low.min(axis=2), int(m.low_last.min()), m.required)
            share = near.size / m.conditions.weight(np.ones_like(m.counts), len(m.low))
            if near.size >= 1.0 and share < _OFTEN:
                among = int(self._size * share)
                # One of them stands for no more than a part of what is worth the trouble.
                return near.drawn(min(max(_PART * among // max(self.worth, 1), _FEW), _SAMPLE)), among
        return self._inputs, self._size

    @cached_property
    def _inputs(self) -> IntArray:
        """Inputs of the class that look random, shape (inputs, P)."""
        positions, tokens, _ = self.margins.low.shape
        if not self.margins.by_sets:
            return _drawn(self.margins.conditions, positions)
        found: list[IntArray] = []
        for start in range(0, _TRIED, _SAMPLE):
            inputs: IntArray = _random(positions)[start : start + _SAMPLE] * tokens >> 32
            meets = np.ones(len(inputs), np.bool_)
            for members in self.margins.required:
                meets &= np.logical_or.reduce([members[inputs[:, p]] for p in range(positions)])
            found.append(inputs[meets])
            if sum(map(len, found)) >= _SAMPLE:
                break
        if sum(map(len, found)) >= _FEW:
            return np.concatenate(found)[:_SAMPLE]
        # The sets are rarely met by chance.
        inputs = _random(positions)[:_SAMPLE] * tokens >> 32
        for members in self.margins.required:
            if positions and members.any():
                misses = np.flatnonzero(~members[inputs].any(axis=1))
                chosen = np.flatnonzero(members)
                inputs[misses, misses % positions] = chosen[misses % len(chosen)]
        return inputs

    @cached_property
    def _fails(self) -> BoolArray:
        """Shape (inputs, r): where outputs fail in the sample."""
        fails: BoolArray = self._sums_of_sample(self.margins.low) + self.margins.low_last <= 0
        return fails

    def _fails_jointly(self, outputs: list[int]) -> BoolArray:
        """Shape (inputs,): the sample's inputs where the sum of these outputs' least entries is not positive."""
        low = self.margins.low[:, :, outputs].min(axis=2)
        fails: BoolArray = self._sums_of_sample(low) + self.margins.low_last[outputs].min() <= 0
        return fails

    def _sums_of_sample(self, entries: IntArray) -> IntArray:
        """Sums of entries (P, T, ...) over the positions of each input of the sample, shape (inputs, ...)."""
        inputs, _ = self._sample
        sums = np.zeros((len(inputs), *entries.shape[2:]), np.int64)
        for of_token, tokens in zip(entries, inputs.T, strict=True):
            sums += of_token[tokens]
        return sums

    def _share(self, inputs: BoolArray) -> int:
        """About how many inputs of the class these of the sample stand for."""
        return self._sample[1] * int(inputs.sum()) // len(inputs)

    def _order(self) -> list[int]:
        """Outputs that fail in the sample, those that add most first, and then the others, by how often they fail."""
        heads: list[int] = []
        fails = self._fails.copy()
        while True:
            adds = fails.sum(axis=0)
            head = int(adds.argmax())
            if 4 * self._share(fails[:, head]) <= self.worth or adds[head] == 0:
                break
            heads.append(head)
            fails &= ~fails[:, head, None]
        left = [o for o in range(fails.shape[1]) if o not in heads]
        low = self.margins.low
        closest = low.min(axis=1).sum(axis=0) / np.maximum(low[:, -1].sum(axis=0), 1.0)
        return heads + sorted(left, key=lambda o: (-int(self._fails[:, o].sum()), float(closest[o])))

    def _splits(self, order: list[int]) -> tuple[IntArray, FloatArray, FloatArray]:
        """What comes of counting the first of these outputs one by one, and all others jointly.

        Three arrays of shape (r + 1,) over the number of the first ones: which of these, by its place, takes most away
        from the others, or -1; about how many inputs that leaves; and with those of the first ones, and a price for
        each of these, how many that makes.
        """
        r = len(order)
        low, last = (
            np.minimum.accumulate(of[..., order[::-1]], axis=-1)[..., ::-1]
            for of in (self.margins.low, self.margins.low_last)
        )
        jointly = (self._sums_of_sample(low) + last <= 0).astype(np.float32)
        fails = self._fails[:, order].astype(np.float32)
        each = self._sample[1] / len(fails)  # floats, since there may be more inputs than integers of 64 bits
        left = []
        for one in fails, jointly:
            less = one.T @ (1.0 - fails)
            less[np.triu_indices(r)] = np.inf  # only earlier ones are taken away
            left.append(np.column_stack([one.sum(axis=0), less]))
        parents = np.append(left[1].argmin(axis=1) - 1, -1)
        missed = np.append(left[1].min(axis=1) * each, 0.0)
        one_by_one = np.append(0.0, np.cumsum(left[0].min(axis=1))) * each
        return parents, missed, one_by_one + missed + _PRICE * float(self.worth) * np.arange(r + 1)

    def _parent(self, fails: BoolArray, heads: list[int]) -> tuple[int | None, int]:
        """The output that takes most of these inputs away, and about how many are left."""
        # Where several take all away, the one that fails most leaves least beside the sample.
        often = self._fails.sum(axis=0)
        left = [(self._share(fails & ~self._fails[:, i]), -int(often[i]), i) for i in heads]
        missed, _, parent = min(left, default=(self._share(fails), 0, None))
        return parent, missed

    # --- counts ---

    def _joint(self, outputs: list[int], parent: int | None) -> tuple[int, list[Step]]:
        """A bound on the inputs where one of all other outputs fails, and not the parent."""
        fails = self._fails_jointly(outputs)
        if parent is not None:
            fails = fails & ~self._fails[:, parent]
        return self._count(outputs, [] if parent is None else [[parent]], self._share(fails), True, ALL_OTHERS)

    def _count(
        self,
        outputs: list[int],
        less: list[list[int]],
        guess: int,
        over: bool,
        output: int | None = None,
        known: int | None = None,
    ) -> tuple[int, list[Step]]:
        """The best bound on the inputs where one of the outputs fails, and none of `less`, and the step that gives it.

        `known`: a bound to be improved on, else without a step; what is far behind it is not made finer.
        `less`: up to two sets of outputs, each of which is taken away together.  Counts are made finer and finer, as
        long as that is worth it.  Where it is known well enough what comes of the first, the bound is a guess.
        """
        names = self.margins.outputs
        kinds = self._ways(outputs, less, over)
        if not less and guess <= _SURE * self.worth:
            (kind,) = kinds
            first = next(kind)
            if first is not None and self._rounded_off(outputs, first.windows[0][0], over) <= self.worth:
                return guess, [first._replace(output=int(names[outputs[0]]) if output is None else output)]
            kinds = [chain([first], kind)]
        best, found = (self._size if over else 0) if known is None else known, list[Step]()
        among = self._sample[1]
        root = isqrt(len(self._sample[0]))
        # Of the guess, roughly; its sample may be drawn from too many, as sums are rounded there, too.
        error = (isqrt(guess * (among - guess)) + among // root) // (2 * root) + (0 if less else guess // _SAMPLED_FROM)
        before = best
        for level, gain in enumerate((_GAINS_ONE, _GAINS_TWO, _GAINS_THREE)[len(less)]):
            if level > 0:
                # The distance to the guess, give or take its error, and no more than there is.
                away = abs(best - guess)
                left = min(away + error, best if over else self._size)
                if level > 1 and (less or level > len(_CELLS_ONE)):  # what bins gained says nothing of grids
                    # Nor more than was gained before, unless the sample shows that there is.
                    left = max(min(left, abs(best - before)), away - _CLEARLY * error)
                if left <= gain * self.worth:
                    break
            before, sizes = best, list[tuple[int, Iterator[Step | None]]]()
            for kind in kinds:
                for step in islice(kind, 1):
                    if step is None:  # not so coarsely
                        sizes.append((best, kind))
                        continue
                    step = step._replace(
                        output=int(names[outputs[0]]) if output is None else output,
                        less=int(names[less[0][0]]) if less and (over or len(less) > 1) else ALL_OTHERS,
                    )
                    if over and len(less) > 1 and isinstance(step.how, Grids):
                        step = step._replace(how=step.how._replace(second=int(names[less[1][0]])))
                    size = count_failing(self.work, self.margins, outputs, less, step, over)
                    sizes.append((size, kind))
                    if (size < best) if over else (size > best):
                        best, found = size, [step]
            # What is behind, or far behind where sums have many positions, is not made finer.
            away = abs(best - guess)
            within = 2 * (away + error) if len(self.margins.low) > _FEW_POSITIONS else away
            kinds = [kind for size, kind in sizes if abs(size - guess) <= within]
        return best, found

    def _rounded_off(self, outputs: list[int], width: int, over: bool) -> int:
        """About how many inputs of the sample have a sum so close to 0 that bins of this width lose it."""
        m = self.margins
        entries, last = (m.low, m.low_last) if over else (m.high, m.high_last)
        sums = self._sums_of_sample(entries[:, :, outputs].min(axis=2)) + last[outputs].min()
        return self._share(np.asarray(np.abs(sums) <= width * len(entries) // 2))

    def _ways(self, outputs: list[int], less: list[list[int]], over: bool) -> Sequence[Iterator[Step | None]]:
        """Kinds of ways to count, each finer and finer; without what is counted."""
        m = self.margins
        entries, last = (m.low, m.low_last) if over else (m.high, m.high_last)
        sums = [(entries[:, :, outputs].min(axis=2), int(last[outputs].min()))]
        if not less:
            return [self._by_bins(*sums[0], over)]
        sums += [(-entries[:, :, these].min(axis=2), 1 - int(last[these].min())) for these in less]
        if len(less) > 1:
            return [self._by_grids(sums, over, _BETWEEN_THREE)]
        # Grids round at each position; halves do not, but join tokens, and the more the more positions there are.
        halves = self._by_halves(sums, over)
        if m.by_sets and len(m.low) <= _FEW_POSITIONS:
            return [halves, chain([None], self._by_grids(sums, over, _BETWEEN_TWO[1:]))]
        on_grids = self._by_grids(sums, over, _BETWEEN_TWO)
        return [on_grids, halves] if m.by_sets and len(m.low) <= _MOST_HALVES else [on_grids]

    def _by_bins(self, entries: IntArray, start: int, over: bool) -> Iterator[Step]:
        """By a histogram of a sum, and on a grid."""
        window = self._window(entries, start, _TAIL_ONE)
        for cells in _CELLS_ONE:
            yield Step(ALL_OTHERS, ALL_OTHERS, (bins(entries, start, cells, *window), _UNUSED), None)
        yield from self._by_grids([(entries, start)], over, _BETWEEN_ONE)

    def _by_grids(self, sums: list[tuple[IntArray, int]], over: bool, parts: Iterable[int]) -> Iterator[Step]:
        """On grids of so many parts between two edges, which are where sums are on the way to 0."""
        inputs, _ = self._sample
        each = np.arange(inputs.shape[1])
        totals = np.stack([entries[each, inputs].sum(axis=1) + start for entries, start in sums], axis=1)
        # Sums of inputs that nearly fail, or nearly do not.
        largest = (totals / np.maximum(np.median(np.abs(totals), axis=0), 1.0)).max(axis=1)
        near = inputs[np.argsort(np.abs(largest), kind="stable")[:_NEAR]]
        edges = [_edges_near(entries, start, near, over) for entries, start in sums]
        three = np.array((edges * 3)[:3])
        for part in parts:
            one, two, last = (part if axis < len(sums) else 0 for axis in range(3))
            yield Step(ALL_OTHERS, ALL_OTHERS, (_UNUSED, _UNUSED), Grids(three, (one, two, last), ALL_OTHERS))

    def _by_halves(self, sums: list[tuple[IntArray, int]], over: bool) -> Iterator[Step]:
        """By meeting in the middle."""
        m = self.margins
        positions, tokens = m.low.shape[:2]
        both, start = np.stack([one for one, _ in sums], axis=2), np.array([at for _, at in sums])
        joining = Joining(both if over else -both, m.required)
        for sequences in _HALVES_TWO:
            labels = joining.labels(sequences)
            edges = self._edges(both, start, labels, over)
            everywhere = np.zeros((positions, self.work.network.d_vocab), np.int64)
            everywhere[:, m.tokens] = labels
            yield Step(ALL_OTHERS, ALL_OTHERS, (_UNUSED, _UNUSED), Halves(everywhere, edges))
            if sequences >= tokens ** (positions - positions // 2):
                return

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
        single = half_sums.clusters(entries, self.margins.required, self.margins.counts, labels, over)
        half, rng = len(single) // 2, np.random.default_rng(0)
        ends = [np.array([extreme(one.sums, axis=1) for one in single[:half]]) for extreme in (np.min, np.max)]
        low, high = (np.reshape(end, (half, 2)).sum(axis=0) for end in ends)
        # Of two draws one takes clusters by how many tokens they hold: there inputs are.  Wrong ones may be elsewhere.
        of_half = np.zeros((2, 2, _DRAWN), np.int64)
        limits = np.tile(-start[:, None, None], (2, _DRAWN))
        for position, one in enumerate(single):
            share = np.cumsum(one.number)
            evenly = rng.integers(0, len(share), _DRAWN)
            by_number = np.searchsorted(share[:-1], rng.random(_DRAWN) * share[-1], side="right")
            drawn = one.sums[:, np.stack([evenly, by_number])]
            if position < half:
                of_half += drawn
            else:
                limits -= drawn
        return np.stack([_edges(*both) for both in zip(of_half, limits, np.stack([low, high], axis=1), strict=True)])


class _Near:
    """The sequences of tokens that meet all sets and whose entries, rounded down, and `start` add up to at most 0.

    Counted from the last position to the first, by floats: for each group of sets that were met, and each sum in steps,
    the number of ways to go on.
    """

    def __init__(self, entries: IntArray, start: int, required: BoolArray) -> None:
        ends = entries.max(axis=1).sum() + max(start, 0), -entries.min(axis=1).sum() - min(start, 0)
        width = 2 * int(max(ends)) // _CELLS_NEAR + 1
        offsets = offsets_of(entries, width)
        self.steps = (entries - offsets[:, None]) // width
        self.first = (start + int(offsets.sum())) // width
        sets = (required * 2 ** np.arange(len(required))[:, None]).sum(axis=0, dtype=np.int64)
        groups = np.arange(2 ** len(required))
        smallest, largest = self.steps.min(axis=1), self.steps.max(axis=1)
        positions = len(entries)
        # Sums from the first that can be done to the last that need not be, as far as they can be reached.
        self.low = [
            max(-int(largest[p:].sum()), self.first + int(smallest[:p].sum()) - 1) for p in range(positions + 1)
        ]
        high = [min(1 - int(smallest[p:].sum()), self.first + int(largest[:p].sum()) + 1) for p in range(positions + 1)]
        self.ways = [np.array([])] * (positions + 1)
        z = np.arange(self.low[-1], max(high[-1], self.low[-1]) + 1)
        self.ways[-1] = ((groups == groups[-1])[:, None] & (z <= 0)).astype(np.float64)
        self.kinds = [_Kinds.of(sets, steps) for steps in self.steps]
        for p in range(positions - 1, -1, -1):
            z = np.arange(self.low[p], max(high[p], self.low[p]) + 1)
            state = np.repeat(groups, len(z)), np.tile(z, len(groups))
            self.ways[p] = self._after(p, *state).sum(axis=1).reshape(len(groups), -1)
        self.size = float(self._after(0, np.zeros(1, np.int64), np.array([self.first])).sum())

    def _after(self, p: int, group: IntArray, z: IntArray) -> FloatArray:
        """How many ways there are to go on from states by each kind of token, shape (states, kinds)."""
        kinds, ways = self.kinds[p], self.ways[p + 1]
        column = np.clip(z[:, None] + (kinds.step - self.low[p + 1]), 0, ways.shape[1] - 1)
        after: FloatArray = ways.reshape(-1).take((group[:, None] | kinds.sets) * ways.shape[1] + column) * kinds.number
        return after

    def drawn(self, number: int) -> IntArray:
        """So many of them, each equally likely, shape (number, P)."""
        positions = len(self.steps)
        chance = _random(positions)[:number] / 2.0**32
        found = np.zeros(chance.shape, np.int64)
        each = np.arange(len(chance))
        group, z = np.zeros(len(chance), np.int64), np.full(len(chance), self.first)
        for p, kinds in enumerate(self.kinds):
            share = np.cumsum(self._after(p, group, z), axis=1)
            at = chance[:, p] * share[:, -1]
            kind = np.minimum((share <= at[:, None]).sum(axis=1), len(kinds.number) - 1)
            # How far it is into what this kind has says which token it is.
            before = np.where(kind > 0, share[each, kind - 1], 0.0)
            within = (at - before) / np.maximum(share[each, kind] - before, 1.0) * kinds.number[kind]
            found[:, p] = kinds.token(kind, within.astype(np.int64))
            group, z = group | kinds.sets[kind], z + kinds.step[kind]
        return found


class _Kinds(NamedTuple):
    """Tokens of a position that are in the same sets, and take the same step; all but `order` of shape (kinds,)."""

    sets: IntArray
    step: IntArray
    number: IntArray
    first: IntArray  # of `order`
    order: IntArray  # of tokens, by kind

    @classmethod
    def of(cls, sets: IntArray, steps: IntArray) -> _Kinds:
        """`sets`, `steps`: of each token."""
        order = np.lexsort((steps, sets))
        first = np.flatnonzero(np.diff(sets[order], prepend=-1) | np.diff(steps[order], prepend=0))
        return cls(sets[order[first]], steps[order[first]], np.diff(first, append=len(order)), first, order)

    def token(self, kind: IntArray, within: IntArray) -> IntArray:
        """Those of these kinds that are so far into them."""
        token: IntArray = self.order[self.first[kind] + np.clip(within, 0, self.number[kind] - 1)]
        return token


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


def _edges_near(entries: IntArray, start: int, near: IntArray, over: bool) -> IntArray:
    """Edges of a grid that is fine where the sums of these sequences are on the way; shape (EDGES,)."""
    if entries.size == 0:
        return np.full(EDGES, 2**15)
    of_axis, (first,) = grids.moved(entries[:, :, None], np.array([start]), over)
    moved = of_axis[:, :, 0]
    steps = moved[np.arange(len(moved)), near][:, ::-1]  # the last position is the first that is added
    on_the_way = np.sort((first + np.cumsum(np.pad(steps, ((0, 0), (1, 0))), axis=1)[:, :-1]).ravel())
    inner = np.unique(np.append(on_the_way[:: max(1, len(on_the_way) // _KNOTS)], on_the_way[-1:])).astype(float)
    ends = np.array([min(0, first) + min(0, moved.min(axis=1).sum()), max(0, first) + max(0, moved.max(axis=1).sum())])
    number = EDGES - 2 * _TAIL
    share = np.append(0.0, np.cumsum(np.diff(inner) ** _EVENLY))
    edges = np.interp(np.linspace(0.0, share[-1], number), share, inner)
    unit = max(1.0, (inner[-1] - inner[0]) / number)
    low, high = (
        unit * (max(length, unit) / unit) ** np.linspace(0.0, 1.0, _TAIL)
        for length in (inner[0] - ends[0], ends[1] - inner[-1])
    )
    return codes_of(np.concatenate([inner[0] - low[::-1], edges, inner[-1] + high]))


def codes_of(numbers: FloatArray) -> IntArray:
    """The edges that stand for numbers, or for others that are a little less in size."""
    size = np.clip(np.abs(np.round(numbers)), 0.0, 2.0**52)
    mantissa, exponent = np.frexp(size)
    code = ((exponent - 1).astype(np.int64) << grids.MANTISSA) + ((2.0 * mantissa - 1.0) * 2**grids.MANTISSA).astype(
        np.int64
    )
    return 2**15 + np.where(size < 1.0, 0, np.sign(numbers) * np.maximum(code, 1)).astype(np.int64)


def _edges(sums: IntArray, limits: IntArray, ends: IntArray) -> IntArray:
    """Bins between which there shall be equally many ranks, for sums of one half and what may be asked about them.

    `sums`, `limits`: shape (draws, any), of several draws, all of which matter; `ends`: the least and largest sum.
    """
    least, largest = int(ends[0]), int(ends[1])
    shift = max(0, (largest - least).bit_length() - (half_sums.BINS.bit_length() - 1))  # as `half_sums.Ranks` has it
    groups = half_sums.BINS // _GROUP
    density = np.full(groups, _EVEN / groups)
    for both in zip(sums, limits, strict=True):
        # A rank loses where sums and limits are in the same; many may be in one bin, where it had better end.
        which = [np.clip((one - least) // (_GROUP << shift), -1, groups) + 1 for one in both]
        there = [np.bincount(one, minlength=groups + 2)[1:-1] for one in which]
        near = [_around(one) for one in there]
        worth = np.sqrt(there[0] * near[1] + there[1] * near[0])
        density += worth / (worth.sum() + 1.0)
    share = np.cumsum(density)
    return _GROUP * np.minimum(np.searchsorted(share / share[-1], np.arange(EDGES) / (EDGES - 1)), groups - 1)


def _around(counts: IntArray) -> FloatArray:
    """Counts, on average over those of about a rank to both sides."""
    so_far = np.cumsum(np.pad(counts, (_AROUND + 1, _AROUND)))
    average: FloatArray = (so_far[2 * _AROUND + 1 :] - so_far[: -2 * _AROUND - 1]) / (2.0 * _AROUND + 1.0)
    return average


class Joining:
    """Tokens joined to clusters, for halves of so many sequences: where that changes the entries least."""

    def __init__(self, entries: IntArray, required: BoolArray) -> None:
        """For entries of shape (P, T, r); tokens that are not in the same sets stay apart."""
        self.positions, self.tokens, _ = entries.shape
        entries = entries if self.positions else np.zeros((1, *entries.shape[1:]), np.int64)
        self.kept, self.joined, losses = _unions(entries, required)
        # What a union saves is a share of the sequences: the logarithm of their number.  Its price is what it loses for
        # that, and no less than that of those before it, without which it cannot be had.
        self.saved = np.log(np.arange(self.tokens, 1, -1) / np.arange(self.tokens - 1, 0, -1))[: len(losses)]
        self.price = np.maximum.accumulate(losses / self.saved[:, None], axis=0)

    def labels(self, most: int) -> IntArray:
        """Labels of shape (P, T), with at most `most` sequences of clusters in the second half, if that can be."""
        labels = np.tile(np.arange(self.tokens), (self.positions, 1))
        half = self.positions // 2
        for positions, few in (np.arange(half), max(1, most // _LESS)), (np.arange(half, self.positions), most):
            excess = len(positions) * np.log(max(self.tokens, 1)) - np.log(few) - 1e-9
            if excess > 0.0 and len(positions):
                cheapest = np.argsort(self.price[:, positions], axis=None, kind="stable")
                saved = np.cumsum(self.saved[cheapest // len(positions)])
                cheapest = cheapest[: np.searchsorted(saved, excess) + 1]
                done = np.bincount(cheapest % len(positions), minlength=len(positions))
                for step in reversed(range(done.max(initial=0))):  # so that what is kept has its final label
                    these = positions[done > step]
                    labels[these, self.joined[step, these]] = labels[these, self.kept[step, these]]
        return labels


def _unions(entries: IntArray, required: BoolArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Which cluster is kept, which is joined to it, and what that loses, one union after the other; shape (any, P).

    Clusters whose union lowers the entries least, on all axes together, are joined first.
    """
    positions, tokens, _ = entries.shape
    # Axes come first: sums over two entries are slow along the last one.
    lowest = np.ascontiguousarray(np.moveaxis(entries, 2, 0), np.float64)
    unit = np.abs(lowest - np.median(lowest, axis=2, keepdims=True)).mean(axis=(1, 2))
    lowest /= np.where(unit > 0.0, unit, 1.0)[:, None, None]
    size = np.ones((positions, tokens))

    def loss(a: FloatArray, number: FloatArray, b: FloatArray, other: FloatArray) -> FloatArray:
        """How much the entries of two clusters fall together when they are joined."""
        joint: FloatArray = np.minimum(a, b)
        lost: FloatArray = number * (a - joint).sum(axis=0) + other * (b - joint).sum(axis=0)
        return lost

    bits = (required * 2 ** np.arange(len(required))[:, None]).sum(axis=0)
    apart = bits[:, None] != bits
    np.fill_diagonal(apart, True)
    losses = loss(lowest[..., None], size[..., None], lowest[:, :, None], size[:, None])
    losses[:, apart] = np.inf
    each = np.arange(positions)
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    for _ in range(tokens - len(np.unique(bits))):
        kept, joined = np.divmod(losses.reshape(positions, -1).argmin(axis=1), tokens)
        found.append((kept, joined, losses[each, kept, joined]))
        lowest[:, each, kept] = np.minimum(lowest[:, each, kept], lowest[:, each, joined])
        size[each, kept] += size[each, joined]
        new = loss(lowest[:, each, kept, None], size[each, kept][:, None], lowest, size)
        new[np.isinf(losses[each, kept])] = np.inf  # itself, other bits, and what was joined before
        losses[each, joined] = losses[each, :, joined] = np.inf
        new[each, joined] = np.inf
        losses[each, kept] = losses[each, :, kept] = new
    shape = (len(found), positions)
    kept, joined, lost = (np.array([one[axis] for one in found]).reshape(shape) for axis in range(3))
    return kept.astype(np.int64), joined.astype(np.int64), lost


def _operations(v: int, n: int) -> int:
    # Some calls for each class and its parts.
    return 2 * v**4 + 16 * CALL * v**2 + 2**8 * n * v**3


def _of_steps(hints: Hints, v: int, n: int) -> int:
    """What the steps of histograms take: tables and sequences of halves, or points or cells, some for each token."""
    steps, known = hints["steps"], min(len(hints["labels"]), len(hints["edges"]))
    with_halves = (steps[:, 5] >= 0) & (steps[:, 5] < known)
    on_grids = (steps[:, 5] <= -2) & (steps[:, 5] >= -1 - len(hints["edges"]))
    # Clusters at each position: no more than there are labels, unless these join tokens of different sets.
    number = 1.0 + np.count_nonzero(np.diff(np.sort(hints["labels"], axis=2), axis=2), axis=2)
    half, last = (n - 1) // 2, max((n - 1) // 2, n - 3)
    made = number[:, :half].prod(axis=1), number[:, half:last].prod(axis=1), number[:, half:].prod(axis=1)
    of_table, of_first, looked_up = (np.minimum(one, 2.0**23) for one in made)
    of_halves = 2.0**25 + 270 * (of_table + of_first) + 30 * looked_up
    cells = np.clip(np.maximum(steps[:, [8, 11]].astype(float) - steps[:, [7, 10]], 0) + 2, 0, 2**19)
    two = np.minimum(cells.prod(axis=1), 2.0**19)[~with_halves & ~on_grids].sum()
    halves = of_halves[steps[with_halves, 5]].sum()
    # Two operations for each group of sets, of which there are four at most, but seldom as many steps as tokens.
    return int(halves + 4 * n * v * two + _on_grids(steps[on_grids], n) + CALL * len(steps) * (2 * n + 8))


def _on_grids(steps: IntArray, n: int) -> float:
    """What those take that are counted on grids: two operations for each group of sets, and each token."""
    between = np.clip(steps[:, [7, 10, 11]].astype(float), 0, 2**8)
    points = np.where(between > 0.0, (EDGES - 1) * between + 3, 1.0)
    tokens, groups = np.clip(steps[:, 1].astype(float), 0, 511) + 1, np.where(steps[:, 0] == steps[:, 1], 2.0, 4.0)
    at_most = np.minimum(points.prod(axis=1), 2.0**24 / groups)
    return float((n * tokens * (2 * groups * at_most + 2 * points.sum(axis=1))).sum())


def work_of(problem: Problem[Any, Any], hints: Hints, screening: Callable[[int, int], int] = _operations) -> Work:
    """Of the screening, and of what the steps count: tables, sequences of halves and windows all have limits."""
    of_model = Beyond(screening)(problem, hints)
    of_steps = _of_steps(hints, problem.network.d_vocab, problem.network.n_ctx)
    return Work(of_model.operations + of_steps, of_model.memory + 2**30)


COMPANIONS = {
    strategy.id: Companion(
        task,
        search=partial(on_all_cores.search, plan),
        work=work_of,
        unexplained_dimension=lambda problem: int(problem.task.n_ctx * problem.task.d_vocab**4),
        complexity="O(v^4) + O(K v) histograms per class",
        summary=f"histograms of margins, rounded so that wrong inputs are {counted}",
        stated_in=f"{PLACE}.counting.histogram",
        lemmas=lemmas(
            "branching.class_margins", "counting.unions", "counting.sums", "counting.half_sums", "counting.grids"
        ),
        by_input=True,
        long=True,
    )
    for strategy, counted in ((HISTOGRAM, "overcounted"), (HISTOGRAM_UPPER, "undercounted"))
}
