"""What histograms shall count: the search for the hints of `counting.histogram`, which may say anything.

A fixed sample of the inputs of a class tells, roughly, which outputs fail where, how much a bound has left to gain, and
so which outputs are counted alone, which of them takes most away from which, and how finely to count.  What is
recorded are the counts that the bound consists of, and not those that were tried on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from math import isqrt, prod
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import BoolArray, FloatArray, IntArray
from compactproofs.kernel.problem import Hints, Problem, Strategy
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, Work
from compactproofs.search.families import on_all_cores
from compactproofs.search.families.attention_only import PLACE, Beyond, lemmas, task
from compactproofs.search.families.branches import Branching
from compactproofs.search.families.joining import Joining, edges_near, for_all
from compactproofs.search.workspaces import MaxWorkspace
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, class_margins
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.core.additive import token_weights
from compactproofs.theorems.max_of_k.counting import both_ends
from compactproofs.theorems.max_of_k.counting.histogram import EDGES, HISTOGRAM, HISTOGRAM_UPPER, levels
from compactproofs.theorems.max_of_k.counting.sums import offsets_of
from compactproofs.theorems.max_of_k.counting.unions import ALL_OTHERS, BothEnds, Branches, Step, Window, count_failing

WORTH = 4e-10  # of all inputs, at 64 tokens: what there must be to gain for a part to be counted more exactly
_TRIED, _SAMPLE, _FEW, _PART = 2**15, 4096, 256, 32  # inputs of the sample, and of what is worth the trouble
_OFTEN = 0.25  # of all inputs; where fewer may be wrong, the sample is one of these only
_CELLS_NEAR = 2**12  # of the sums that say which these are
_MOST_HEADS = 6  # outputs that are counted from below
_MANY = 8  # outputs that fail: where it may pay to count them all at once
_MUCH, _MOST = 1000, 4000  # to count, in units of what is worth the trouble: where that is tried, and tried first
_CLOSE, _NEARLY = 20, 200  # to the guess, in these units, or as a part of it: good enough

# How to count: cells of a histogram, the more the more there is to gain, in units of what is worth the trouble; or,
# from both ends, how many tokens each position has on average, and how many points there are.
_GAINS_ONE, _CELLS_ONE = (0.0, 2.0, 100.0, 400.0), (2**13, 2**15, 2**17, 2**18)
_CELLS_SURE = (2**11, 2**13)  # where little is to be counted
_TOKENS = (6, 12, 24, 48, None)
_NUMBERS = ((2**12, 2**14), (64, 128, 256, 512, 1024), (24, 40, 64, 96, 128))  # of points, for one sum, two, or three
_EXACTLY = 2  # sequences and ways, for each point
_MOST_EXACTLY = 2**20
_COARSE = 80  # a part of what is counted, of which there are so many, is what the first way may cost
_PER_MILLISECOND = 1.0  # of what is worth the trouble: the price of a count
_SECONDS = 0.002  # of a search, for each class and position
_MILLISECONDS_OF_INTEGERS = 2.0**-17  # of a class, for each token, position and output
_CLEARLY = 6  # errors of a guess: from farther away there is something to gain
_PRICE, _PRICES = 2, (0, 2, 20)  # of an output that is counted apart, and of those that are taken away from it
_MOST_TAKEN = 2
_SAMPLED_FROM = 128  # the share of a sum's guess that may come of that
_SURE_ENOUGH = 60  # up to which a single sum is not counted from both ends
_SURE = 50  # up to which a single sum is counted as coarsely as that, without a trial
_TAIL_ONE = 0.0005  # what may lie on either side of the windows of histograms
# Inputs of the sample that are near 0.
_NEAR = 400


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
    labels: list[IntArray] = []
    edges: list[IntArray] = []
    branches: list[list[int]] = []
    ranks: list[IntArray] = []
    for found in classes(work):
        if isinstance(found, ClassMargins):
            for level, part in found.by_highest_level(work, levels(weights, found)):
                if isinstance(part, ClassMargins):
                    failing = _Failing(work, part, least)
                    how = failing.above() if over else failing.below()
                    of_part = [part.query, int(part.tokens[-1]), level]
                    if isinstance(how, Branches):
                        both: list[int] = []
                        for label in (how.labels, how.finer):
                            labels += [] if label is None else [label]
                            both.append(0 if label is None else len(labels))
                        branches.append([*of_part, len(ranks), *both, len(edges), *how[4:]])
                        ranks.append(how.ranks)
                        edges.append(how.edges)
                        continue
                    for step in how:
                        key = [*of_part, step.output, step.less, step.second]
                        if isinstance(step.how, Window):
                            rows.append([*key, -1, *step.how, 0])
                        else:
                            labels += [] if step.how.labels is None else [step.how.labels]
                            joined = 0 if step.how.labels is None else len(labels)
                            rows.append([*key, joined, len(edges), step.how.number, step.how.first, step.how.last])
                            edges += list(step.how.edges)
    return {
        "weights": weights,
        "steps": np.array(rows, np.int64).reshape(-1, 11),
        "labels": np.array(labels, np.uint8).reshape(len(labels), positions, v),
        "edges": np.array(edges, np.uint16).reshape(len(edges), EDGES),
        "branches": np.array(branches, np.int64).reshape(-1, 12),
        "ranks": np.array(ranks, np.uint8).reshape(len(ranks), v),
    }


def search(strategy: Strategy, work: MaxWorkspace) -> dict[str, npt.NDArray[Any]]:
    """The hints of this strategy, without classes of so small maxima that their integers are not worth the trouble."""
    least = least_maximum(work) if work.task.total > on_all_cores.MANY_INPUTS else 0
    hints = on_all_cores.search(plan, strategy, work, least)
    if least > 0 and strategy.claim == "at least":
        below = np.array([[-1, least, *[0] * 9]])  # which count as wrong
        hints["steps"] = np.concatenate([hints["steps"], below])
    return hints


def seconds_of(work: MaxWorkspace) -> float:
    """About how many a search takes on one core."""
    if work.task.total <= on_all_cores.MANY_INPUTS:
        return 0.0
    return float(_SECONDS * work.network.d_vocab**2 * work.network.n_ctx * work.haste**-0.5)


def least_maximum(work: MaxWorkspace) -> int:
    """The least maximum of classes that, on average, hold more inputs than their integers are worth."""
    n, v = work.network.n_ctx, work.network.d_vocab
    at_most = [int(count) ** n for count in np.cumsum(work.task.counts.astype(object))]
    worth, below = worth_of(work) * work.task.total, 0
    for m in range(v):
        milliseconds = max(1.0, _MILLISECONDS_OF_INTEGERS * n * (m + 1) * v)
        if at_most[m] - below >= milliseconds * _PER_MILLISECOND * worth * (m + 1):
            return m
        below = at_most[m]
    return 0


def worth_of(work: MaxWorkspace) -> float:
    """The share of all inputs for which it is not worth the trouble to count."""
    size = work.network.d_vocab / 64
    return float(min(WORTH * (size**4 if size < 1 else size**2) * work.haste, 1.0))


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

    def above(self) -> list[Step] | Branches:
        """What to count for a bound from above; nothing, where the bound would be all inputs."""
        outputs = list(range(len(self.margins.outputs)))
        if not outputs or self._size <= self.worth or self._all_fail():
            return []
        joint, union = self._share(self._fails_jointly(outputs)), self._share(np.logical_or.reduce(self._fails, axis=1))
        together: tuple[int, list[Step]] = self._size, []
        if joint - union <= 5 * self.worth:
            together = self._joint(outputs, [])
            if together[0] - union <= 5 * self.worth:
                return together[1]
        return self._better(
            partial(self._at_once, self._fails, union, True),
            partial(self._one_by_one, outputs, joint, together),
            int(self._fails.any(axis=0).sum()),
            union,
            True,
        )

    def _better(
        self,
        at_once: Callable[[], tuple[int, list[Step] | Branches]],
        one_by_one: Callable[[], tuple[int, list[Step] | Branches]],
        failing: int,
        union: int,
        over: bool,
    ) -> list[Step] | Branches:
        """What gives the better bound; where the likelier one comes close, the other is not tried.

        `failing`: how many outputs do in the sample.
        """
        if failing < _MANY or union <= _MUCH * self.worth:
            return one_by_one()[1]
        first, second = (at_once, one_by_one) if union > _MOST * self.worth else (one_by_one, at_once)
        size, how = first()
        if abs(size - union) > max(_CLOSE * self.worth, union // _NEARLY):
            other, instead = second()
            how = instead if (other < size if over else other > size) else how
        return how

    def _at_once(self, fails: BoolArray, union: int, over: bool) -> tuple[int, list[Step] | Branches]:
        """All outputs at once, if there is something to it: the bound, and what to count for it."""
        inputs, _ = self._sample
        if union - self._share(fails[:, int(fails.sum(axis=0).argmax())]) <= 5 * self.worth:
            return self._size if over else 0, []
        error = self._error(union, True)
        return Branching(self.work, self.margins, inputs, fails, union, error, self.worth, over).best()

    def _one_by_one(self, outputs: list[int], joint: int, together: tuple[int, list[Step]]) -> tuple[int, list[Step]]:
        """The bound, and what to count for it; `together`: what is known of all outputs jointly."""
        order = self._order()
        score, missed = self._splits(order)
        rests: dict[int, tuple[int, list[Step]]] = {len(order): (0, [])}
        if together[1]:
            rests[0] = together
            score[0] += float(together[0] - joint)
        while (few := int(score.argmin())) not in rests:
            rests[few] = self._joint(order[few:], order[:few])
            score[few] += max(rests[few][0] - float(missed[few]) - 10 * self.worth, 0)
        total, last = rests[few]
        together = min(together, rests.get(0, together), key=itemgetter(0))
        heads, steps = order[:few], list[Step]()
        for j, head in enumerate(heads):
            size, step = self._less_earlier([head], self._fails[:, head], heads[:j])
            total, steps = total + size, steps + step
            if total >= together[0]:
                return together
        if few and not together[1] and total - joint > 5 * self.worth:
            together = self._joint(outputs, [])
            if together[0] <= total:
                return together
        return total, steps + last

    def below(self) -> list[Step] | Branches:
        """What to count for a bound from below."""
        if self._size <= self.worth or len(self.margins.outputs) == 0:
            return []
        sums = self._sums_of_sample(self.margins.high) + self.margins.high_last
        union = self._share(np.logical_or.reduce(sums <= 0, axis=1))
        return self._better(
            partial(self._at_once, sums <= 0, union, False),
            partial(self._where_none_before, sums),
            int((sums <= 0).any(axis=0).sum()),
            union,
            False,
        )

    def _where_none_before(self, sums: IntArray) -> tuple[int, list[Step]]:
        """Outputs that fail where those before hardly do: the bound, and what to count; `sums`: of the sample."""
        total, steps = 0, list[Step]()
        counted: list[int] = []
        high, last = self.margins.high, self.margins.high_last
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
                if more - gain > _PRICES[2] * self.worth:
                    found = self._count([other], apart[which], more, False)
                    head, (size, step) = max((head, (size, step)), (other, found), key=lambda one: one[1][0])
            if counted and not step:
                break
            total, steps = total + size, steps + step
            counted.append(head)
        return total, steps

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

    def _splits(self, order: list[int]) -> tuple[FloatArray, FloatArray]:
        """What comes of counting the first of these outputs one by one, and all others jointly.

        Two arrays of shape (r + 1,) over the number of the first ones: about how many inputs that makes, with a price
        for each count, and how many of these are those of the others.
        """
        r, low, last = len(order), self.margins.low, self.margins.low_last
        jointly = np.minimum.accumulate(low[..., order[::-1]], axis=-1)[..., ::-1]
        lasts = np.minimum.accumulate(last[order[::-1]])[::-1]
        fails = self._sums_of_sample(jointly) + lasts <= 0
        missed = np.array([self._left(fails[:, few], order[:few]) for few in range(r)] + [0.0])
        one_by_one = np.array([0.0] + [self._left(self._fails[:, order[j]], order[:j]) for j in range(r)])
        price = _PRICE * float(self.worth) * np.arange(r + 1)
        return np.cumsum(one_by_one) + missed + price, missed

    def _taken(self, fails: BoolArray, earlier: list[int]) -> list[tuple[list[int], int]]:
        """What takes most of these inputs away: nothing, one of the earlier outputs, or two; and how many are left."""
        found: list[tuple[list[int], int]] = [([], self._share(fails))]
        while len(found) <= min(len(earlier), _MOST_TAKEN):
            less = found[-1][0]
            # Where several take all away, the one that fails most leaves least beside the sample.
            left = fails.astype(np.float32) @ self._right[:, earlier] + self._seldom[earlier]
            left[[earlier.index(one) for one in less]] = np.inf
            more = earlier[int(left.argmin())]
            fails = fails & ~self._fails[:, more]
            found.append(([*less, more], self._share(fails)))
        return found

    @cached_property
    def _right(self) -> npt.NDArray[np.float32]:
        """Shape (inputs, r): 1 where an output does not fail in the sample."""
        return (~self._fails).astype(np.float32)

    @cached_property
    def _seldom(self) -> npt.NDArray[np.float32]:
        """Shape (r,): how often an output does not fail in the sample, as a share of one input."""
        share: npt.NDArray[np.float32] = self._right.sum(axis=0) / np.float32(2 * len(self._right))
        return share

    def _left(self, fails: BoolArray, earlier: list[int]) -> float:
        """About how many of these inputs are left, with a price for each output that is taken away."""
        return min(left + _PRICES[len(less)] * float(self.worth) for less, left in self._taken(fails, earlier))

    # --- counts ---

    def _joint(self, outputs: list[int], earlier: list[int]) -> tuple[int, list[Step]]:
        """A bound on the inputs where one of all other outputs fails, and not the earlier ones."""
        return self._less_earlier(outputs, self._fails_jointly(outputs), earlier, ALL_OTHERS)

    def _less_earlier(
        self, outputs: list[int], fails: BoolArray, earlier: list[int], output: int | None = None
    ) -> tuple[int, list[Step]]:
        """A bound on the inputs where one of the outputs fails, and none of the earlier ones."""
        best, found = self._size, list[Step]()
        taken = self._taken(fails, earlier)
        for number, (less, left) in reversed(list(enumerate(taken))):
            for_nothing = number > 0 and taken[number - 1][1] - left <= _PRICES[number] * self.worth
            if not for_nothing and best - left > 2 * self.worth:
                size, step = self._count(outputs, [[one] for one in less], left, True, output)
                best, found = min((best, found), (size, step), key=itemgetter(0))
        return best, found

    def _count(
        self, outputs: list[int], less: list[list[int]], guess: int, over: bool, output: int | None = None
    ) -> tuple[int, list[Step]]:
        """The best bound on the inputs where one of the outputs fails, and none of `less`, and the step that gives it.

        `less`: up to two sets of outputs, each of which is taken away together.  Counts are made finer and finer, as
        long as that is worth it.  Where it is known well enough what comes of the first, the bound is a guess.
        """
        names, m = self.margins.outputs, self.margins
        taken = [int(names[these[0]]) for these in less] if over or len(less) > 1 else []
        name, first, second, *_ = [int(names[outputs[0]]) if output is None else output, *taken, ALL_OTHERS, ALL_OTHERS]
        if less and not taken:
            second = int(names[less[0][0]])  # which is not read from below, but tells that there are two sums
        entries, last = (m.low, m.low_last) if over else (m.high, m.high_last)
        sums = [(entries[:, :, outputs].min(axis=2), int(last[outputs].min()))]
        sums += [(-entries[:, :, these].min(axis=2), 1 - int(last[these].min())) for these in less]

        def counted(how: Window | BothEnds) -> tuple[int, Step]:
            step = Step(name, first, second, how)
            return count_failing(self.work, m, outputs, less, step, over), step

        tries = _Tries(
            counted, over, self._size if over else 0, self._size, guess, self._error(guess, bool(less)), self.worth
        )
        if not less:
            window = self._window(*sums[0], _TAIL_ONE)
            for cells in _CELLS_SURE if guess <= _SURE * self.worth else ():
                how = Window(*bins(*sums[0], cells, *window))
                if self._rounded_off(outputs, how.width, over) <= self.worth:
                    return guess, [Step(name, first, second, how)]
            for gain, cells in zip(_GAINS_ONE, _CELLS_ONE, strict=True):
                if not tries.found or tries.left > gain * self.worth:
                    tries.of(Window(*bins(*sums[0], cells, *window)))
        if less or tries.left > _SURE_ENOUGH * self.worth:
            tries.from_both_ends(_Ways(self, sums, over))
        return tries.best, tries.found

    def _error(self, guess: int, of_several: bool) -> int:
        """How far a guess is off, roughly; its sample may be drawn from too many, as sums are rounded there, too."""
        inputs, among = self._sample
        root = isqrt(len(inputs))
        off = (isqrt(guess * (among - guess)) + among // root) // (2 * root)
        return off + (0 if of_several else guess // _SAMPLED_FROM)

    def _rounded_off(self, outputs: list[int], width: int, over: bool) -> int:
        """About how many inputs of the sample have a sum so close to 0 that bins of this width lose it."""
        m = self.margins
        entries, last = (m.low, m.low_last) if over else (m.high, m.high_last)
        sums = self._sums_of_sample(entries[:, :, outputs].min(axis=2)) + last[outputs].min()
        return self._share(np.asarray(np.abs(sums) <= width * len(entries) // 2))

    def _window(self, entries: IntArray, start: int, tail: float) -> tuple[int, int]:
        """Where most partial sums of the sample lie, and some multiples of the largest entries."""
        partial_sums = np.cumsum(entries[np.arange(len(entries)), self._inputs[:1024]], axis=1) + start
        if partial_sums.size == 0:
            return start, start
        low, high = np.quantile(partial_sums, [tail, 1.0 - tail])
        reach = 3.0 * abs(float(entries.max(axis=1).mean()))
        return int(min(low, -reach)), int(max(high, reach))


@dataclass
class _Tries:
    """Ways to count something, one after the other; the best bound so far, and the step that gives it.

    `counted`: what comes of a way, and the step; `size`: of all inputs; `guess`: what should come of it, give or take
    `error`; `worth`: a number of inputs that is not worth the trouble.
    """

    counted: Callable[[Window | BothEnds], tuple[int, Step]]
    over: bool
    best: int
    size: int
    guess: int
    error: int
    worth: int
    found: list[Step] = field(default_factory=list)

    def better(self, one: int, other: int) -> bool:
        """Whether a bound is."""
        return one < other if self.over else one > other

    def of(self, how: Window | BothEnds) -> int:
        """What comes of one way more."""
        size, step = self.counted(how)
        if self.better(size, self.best):
            self.best, self.found = size, [step]
        return size

    @property
    def left(self) -> int:
        """How much there may be to gain: the distance to the guess, give or take its error."""
        return min(abs(self.best - self.guess) + self.error, self.best if self.over else self.size)

    @property
    def surely_left(self) -> int:
        """How much there is to gain, unless the sample is misleading."""
        return abs(self.best - self.guess) - _CLEARLY * self.error

    def from_both_ends(self, ways: _Ways) -> None:
        """Finer and finer ways, with more tokens or more points, whichever gains more, while that is worth it."""

        def price(way: tuple[int, int]) -> float:
            return ways.milliseconds(*way) * _PER_MILLISECOND * self.worth

        # Where much is to be counted, coarse ways are sure to be too coarse.
        stake = (self.guess + self.error) / _COARSE
        several = range(1 if ways.alone else len(_NUMBERS[1]))
        at = 0, max((points for points in several if price((0, points)) <= stake), default=0)
        known = self.best
        size = self.of(ways.how(*at))
        if self.found and ways.alone:  # which has been counted by a histogram
            many = self.of(ways.how(2, at[1]))
            at, size = ((2, at[1]), many) if self.better(many, size) else (at, size)
            if abs(size - self.guess) > abs(known - self.guess) + self.left / 4:
                return
        steps = [(1, 0), (0, 1)]
        while True:
            options = [(at[0] + tokens, at[1] + points) for tokens, points in steps]
            sizes = [(self.of(ways.how(*one)), one) for one in options if price(one) < self.left]
            better = [one for one in sizes if self.better(one[0], size)]
            if not better:
                return
            # What has just been for nothing is not tried again at once.
            steps = [(to[0] - at[0], to[1] - at[1]) for _, to in better] if len(sizes) == 2 else [(1, 0), (0, 1)]
            new, at = (min if self.over else max)(better)
            gained, size = abs(new - size), new
            # No more than was gained before, unless the sample shows that there is.
            if max(gained, self.surely_left) <= price(at):
                return


class _Ways:
    """Ways to count some sums of a part from both ends, the finer the more tokens there are, and the more points."""

    def __init__(self, failing: _Failing, sums: list[tuple[IntArray, int]], over: bool) -> None:
        self.margins, self.over = failing.margins, over
        self._known: dict[int, tuple[IntArray | None, list[both_ends.Clusters]]] = {}
        self.vocabulary = failing.work.network.d_vocab
        self.entries = np.stack([one for one, _ in sums], axis=2)
        self.start = np.array([at for _, at in sums])
        self.order = both_ends.in_order(self.entries)
        inputs, _ = failing._sample
        totals = self.entries[np.arange(inputs.shape[1]), inputs].sum(axis=1) + self.start
        # Sums of inputs that nearly fail, or nearly do not.
        largest = (totals / np.maximum(np.median(np.abs(totals), axis=0), 1.0)).max(axis=1)
        self.near = inputs[np.argsort(np.abs(largest), kind="stable")[:_NEAR]]

    @cached_property
    def _joining(self) -> Joining:
        return Joining(self.entries if self.over else -self.entries, self.margins.conditions.kinds()[1])

    @property
    def alone(self) -> bool:
        """Whether it is one sum."""
        return len(self.start) == 1

    def _steps(self, tokens: int) -> tuple[IntArray | None, list[both_ends.Clusters]]:
        """Labels, or None where every token is alone, and the clusters of each position, in order."""
        if tokens not in self._known:
            labels = self._joining.labels(_TOKENS[tokens])
            of_class = self.margins.conditions, self.margins.counts
            steps = both_ends.clusters(self.entries[self.order], *of_class, labels[self.order], self.over)
            self._known[tokens] = None if _TOKENS[tokens] is None else labels, steps
        return self._known[tokens]

    def _exactly(self, tokens: int, parts: int) -> tuple[int, int]:
        """How many positions are put together exactly at the first, and at the last."""
        most = min(_EXACTLY * self._points(parts), _MOST_EXACTLY, 2**25 // len(self.margins.conditions.empty))
        sizes = np.array([len(step.number) for step in self._steps(tokens)[1]], float)
        first = int((np.cumprod(sizes) <= most).sum())
        last = int((np.cumprod(sizes[::-1]) <= most).sum())
        if first + last > len(sizes):
            last = max(len(sizes) - first, len(sizes) // 2)
            first = len(sizes) - last
        return first, last

    def _points(self, parts: int) -> int:
        axes = len(self.start)
        return int(_NUMBERS[axes - 1][parts] ** axes)

    def milliseconds(self, tokens: int, parts: int) -> float:
        """About how long it takes to count in this way; infinite if there is no such way."""
        axes = len(self.start)
        if tokens >= len(_TOKENS) or parts >= len(_NUMBERS[axes - 1]):
            return float("inf")
        first, last = self._exactly(tokens, parts)
        sizes = [len(step.number) for step in self._steps(tokens)[1]]
        sequences = float(np.prod(sizes[:first], dtype=float) + np.prod(sizes[len(sizes) - last :], dtype=float))
        table = self._points(parts) * len(self.margins.conditions.empty)
        # For each cluster in between all points of an axis are looked up, and those of all axes moved.
        of_cluster = 4e-5 * axes * _NUMBERS[axes - 1][parts] + 2e-6 * table
        return 1.0 + 1e-4 * sequences + of_cluster * (3 + sum(sizes[first : len(sizes) - last]))

    def how(self, tokens: int, parts: int) -> BothEnds:
        """What the hints say of this way."""
        labels, steps = self._steps(tokens)
        first, last = self._exactly(tokens, parts)
        axes = len(self.start)
        edges = self._edges(steps, first, last)
        return BothEnds(
            for_all(labels, self.margins.tokens, self.vocabulary), edges, _NUMBERS[axes - 1][parts], first, last
        )

    def _edges(self, steps: list[both_ends.Clusters], first: int, last: int) -> IntArray:
        """Edges that are close to each other where sums are with some positions to follow; shape (axes, EDGES)."""
        positions = len(steps)
        offsets = np.array([step.offset for step in steps]).reshape(positions, len(self.start))
        entries = self.entries[self.order] - offsets[:, None]
        taken = entries[np.arange(positions), self.near[:, self.order]][:, ::-1]
        start = self.start + offsets.sum(axis=0)
        sums = start + np.concatenate([np.zeros_like(taken[:, :1]), np.cumsum(taken, axis=1)], axis=1)
        on_the_way = sums[:, last : positions - first + 1]
        reach = np.abs(start) + np.abs(entries).max(axis=1, initial=0).sum(axis=0)
        return np.stack([edges_near(on_the_way[..., axis].ravel(), int(reach[axis])) for axis in range(len(start))])


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


def _operations(v: int, n: int) -> int:
    # Some calls for each class and its parts.
    return 2 * v**4 + 16 * CALL * v**2 + 2**8 * n * v**3


def _of_steps(hints: Hints, v: int, n: int) -> int:
    """What the steps of histograms take: sequences and ways, and points or cells, some for each token."""
    steps = hints["steps"]
    windows = steps[:, 6] < 0
    cells = np.clip(np.maximum(steps[windows, 9].astype(float) - steps[windows, 8], 0) + 2, 0, 2**19).sum()
    # Two operations for each group of sets, of which there are four at most, but seldom as many steps as tokens.
    calls = CALL * (len(steps) * (2 * n + 8) + 8 * n * len(hints["branches"]))
    return int(4 * n * v * cells + _from_both_ends(hints, steps[~windows], v) + _of_branches(hints, v) + calls)


def _of_branches(hints: Hints, v: int) -> float:
    """What branches take: tables of each sum, and ways."""
    positions, total = hints["labels"].shape[1], 0.0
    for q, m, level, rank, _, finer, _, number, first, _, _, most in hints["branches"].astype(float).tolist():
        groups = 2.0 + (1.0 if q == m else 2.0) * (1.0 if level == 0 else 2.0)
        ranks = hints["ranks"][max(int(rank), 0) :][:1]
        sums = 2.0 * min(len(np.unique(ranks)) + 1, v)
        labels = hints["labels"][int(finer) - 1 :][:1] if 1 <= finer <= len(hints["labels"]) else hints["labels"][:0]
        # No more clusters than there are labels, unless these join tokens of different sets.
        sizes = sorted(1.0 + len(set(row)) for row in labels[0].tolist()) if len(labels) else [float(v)] * positions
        sequences = prod(sizes[max(positions - int(max(first, 0)), 0) :])
        points = 2.0**5 * groups * min(max(number, 1.0), 2.0**25) + 2.0**14
        total += sums * (positions * (2.0**16 + 2.0**7 * v) + points * (2 + sum(sizes)))
        total += sums * 2.0**8 * groups * min(sequences, 2.0**16)
        total += 2.0**7 * (sums + 2) * (min(max(most, 1.0), 2.0**40) + 1)
    return total


def _from_both_ends(hints: Hints, steps: npt.NDArray[Any], v: int) -> float:
    """What those take that are counted from both ends: sequences and ways, and points for each token in between."""
    labels = hints["labels"]
    positions = labels.shape[1]
    # Clusters at each position: no more than there are labels, unless these join tokens of different sets.
    clusters = 1.0 + np.count_nonzero(np.diff(np.sort(labels, axis=2), axis=2), axis=2)
    sizes = np.sort(np.vstack([np.full((1, positions), float(v)), clusters]), axis=1)
    of_step = np.where(steps[:, 6] <= len(labels), steps[:, 6], 0)
    total = 0.0
    # Sets: the maximum, unless the query is it; and the highest level, unless there is none below.
    groups = 1.0 + np.where(steps[:, 0] == steps[:, 1], 1.0, 2.0) * np.where(steps[:, 2] == 0, 1.0, 2.0)
    axes = 1.0 + (steps[:, 4] >= 0) + (steps[:, 5] >= 0)
    points = np.clip(steps[:, 8], 1, 2**23) + 3.0
    for joined, group, number, r, first, last in zip(of_step, groups, points, axes, *steps[:, 9:].T, strict=True):
        first, last = min(max(int(first), 0), positions), min(max(int(last), 0), positions)
        of_position = sizes[joined]
        sequences, ways = (min(2.0**23, of_position[positions - some :].prod()) for some in (first, last))
        between = of_position[min(positions, first + last) :].sum()
        exactly = group * sequences + 2.0 * ways + min(2.0**23, r * (positions + 1 - first) * number)
        of_cluster = 20 * min(2.0**23, group * number**r) + 2.0**14
        total += 2.0**15 * positions + 2.0**6 * exactly + of_cluster * (1.0 + between)
    return total


def work_of(problem: Problem[Any, Any], hints: Hints, screening: Callable[[int, int], int] = _operations) -> Work:
    """Of the screening, and of what the steps count: sequences, ways, points and windows all have limits."""
    of_model = Beyond(screening)(problem, hints)
    of_steps = _of_steps(hints, problem.network.d_vocab, problem.network.n_ctx)
    return Work(of_model.operations + of_steps, of_model.memory + 2**30 + 2**28)


COMPANIONS = {
    strategy.id: Companion(
        task,
        search=search,
        work=work_of,
        unexplained_dimension=lambda problem: int(problem.task.n_ctx * problem.task.d_vocab**4),
        complexity="O(v^4) + O(K v) histograms per class",
        summary=f"histograms of margins, rounded so that wrong inputs are {counted}",
        stated_in=f"{PLACE}.counting.histogram",
        lemmas=lemmas(
            *("branching.class_margins", "counting.unions", "counting.sums", "counting.both_ends", "counting.some_sum")
        ),
        by_input=True,
        long=True,
        searching=seconds_of,
    )
    for strategy, counted in ((HISTOGRAM, "overcounted"), (HISTOGRAM_UPPER, "undercounted"))
}
