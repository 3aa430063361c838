"""How many inputs of a class are answered wrongly: bounds on the size of a union, from counting sums.

Let F_o be the inputs of a class with S_o <= 0, so that the union of the F_o over outputs o is the set of wrong inputs
(`core.class_margins`: outputs that are left out have F_o empty).  Let L and H be the integers given there, which bound
the terms of S_o times a positive number.

Lemma 1.  Let A_o be the inputs with sum_p L_o[p, x_p] <= 0, and B_o those with sum_p H_o[p, x_p] <= 0.  Then B_o is a
part of F_o, and F_o a part of A_o.  So the union of the A_o has at least, and that of the B_o at most, as many inputs
as there are wrong ones.  (No tie, S_o = 0, is in B_o.)

Lemma 2.  For every set O of outputs, the union of the A_o over O is a part of the inputs with
sum_p min_{o in O} L_o[p, x_p] <= 0.

Proof.  If o in O and sum_p L_o[p, x_p] <= 0, then sum_p min L[p, x_p] <= sum_p L_o[p, x_p] <= 0.

Lemma 3.  For any order 1, 2, ... of the outputs and any parent(j) < j, the union of the A_o has at most
|A_1| + sum_{j > 1} |A_j minus A_parent(j)| inputs; each summand may be replaced by |A_j|, and the summands of a set O
of outputs at the end of the order together by the size of the set of lemma 2, or of that minus any A_i before them.

Proof.  The union is the disjoint union of the A_j minus (A_1, ..., A_{j-1}), each a part of A_j minus A_parent(j).  For
those in O, these make up a part of the union of the A_o over O, and of that minus A_i.

Lemma 4.  For any order 1, 2, ... of some of the outputs, the union of the B_o has at least
|B_1| + sum_{j > 1} max(0, sum_{i < j} |B_j minus B_i| - (j - 2) |B_j|) inputs.

Proof.  The sets B_j minus (B_1, ..., B_{j-1}) are disjoint, and each is an intersection of j - 1 parts B_j minus B_i of
B_j.  Each of these that an input of B_j misses takes 1 from the sum over i, so inputs outside the intersection are
counted at most j - 2 times in it, and inputs inside j - 1 times.

Which of these bounds are tried, and how finely is counted, is a matter of tightness and cost only.  A fixed sample of
the inputs of the class tells, roughly, which outputs fail where, and how much a bound has left to gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from math import isqrt

import numpy as np

from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.core.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting.half_sums import count_in_halves
from compactproofs.theorems.max_of_k.counting.sums import Axis, count_at_most_zero

Sums = tuple[IntArray, int]
"""Entries of shape (P, T), and the start."""

_TRIED, _SAMPLE, _FEW = 2**15, 4096, 256  # inputs of the sample
_MOST_HALVES = 11  # positions up to which halves are enumerated

# How to count, the finer the more there is to gain, which is given in units of what is worth the trouble: cells of a
# histogram along each axis, or sequences of clusters in the longer half with the ranks of the table.
_CELLS_ONE = ((0.0, 512), (0.5, 4096), (5.0, 16384), (20.0, 65536))
_CELLS_TWO = ((0.0, 64), (3.0, 192), (25.0, 320), (100.0, 640))
_HALVES_TWO = ((0.0, 10**5, 256), (5.0, 2 * 10**6, 512), (40.0, 7 * 10**6, 512))
_TAIL_ONE, _TAIL_TWO = 0.0005, 0.005  # what may lie on either side of the windows of histograms


@lru_cache(8)
def _random(positions: int) -> IntArray:
    """Numbers below 2^32, the same on every machine, shape (inputs, positions)."""
    raw = np.random.PCG64(0).random_raw((_TRIED, positions)) >> np.uint64(32)
    return raw.astype(np.int64)


@dataclass
class Failing:
    """The wrong inputs of one class.  `worth`: a number of inputs that is not worth the trouble."""

    work: Work
    margins: ClassMargins
    worth: int

    def at_most(self) -> int:
        """An upper bound on their number: lemma 3."""
        outputs = list(range(self.margins.low.shape[2]))
        if not outputs or self._size <= self.worth or self._all_fail():
            return self._size if outputs else 0
        best = self._size
        some_fails: BoolArray = np.logical_or.reduce(self._fails, axis=1)
        joint, union = self._share(self._fails_jointly(outputs)), self._share(some_fails)
        if joint - union <= 5 * self.worth:
            best = self._joint(outputs)
            if best - union <= 5 * self.worth:
                return best
        total = 0
        heads, others = self._heads()
        while others:
            parent, missed = self._parent(self._fails_jointly(others), heads)
            if missed <= 5 * self.worth:
                rest = self._joint(others, parent)
                if rest <= missed + 10 * self.worth:
                    total += rest
                    break
            more = max(1, len(heads) // 2)
            heads, others = heads + others[:more], others[more:]
        for j, head in enumerate(heads):
            alone = self._share(self._fails[:, head])
            parent, missed = self._parent(self._fails[:, head], heads[:j])
            if parent is not None and alone - missed > 2 * self.worth:
                total += self._difference(head, parent, True)
            else:
                total += self._single(head, True)
            if total >= best:
                return best
        return total

    def at_least(self) -> int:
        """A lower bound on their number: lemma 4."""
        if self._size <= self.worth or self.margins.low.shape[2] == 0:
            return 0
        if self._all_fail():
            return self._size
        heads, _ = self._heads()
        if not heads:
            return 0
        total = self._single(heads[0], False)
        for j, head in enumerate(heads[1:4], 1):
            fails = self._fails[:, head]
            missed = [self._share(fails & ~self._fails[:, i]) for i in heads[:j]]
            if sum(missed) - (j - 1) * self._share(fails) > 2 * self.worth:
                sizes = [self._difference(head, i, False) for i in heads[:j]]
                total += max(0, sum(sizes) - ((j - 1) * self._single(head, True) if j > 1 else 0))
        return total

    @cached_property
    def _size(self) -> int:
        return self.margins.size

    def _all_fail(self) -> bool:
        """Whether some output fails on all inputs of the class: its sum of maxima is not positive."""
        most = self.margins.high.max(axis=1).sum(axis=0) + self.margins.high_last
        return bool((most <= 0).any())

    # --- choices, which may be anything ---

    @cached_property
    def _inputs(self) -> IntArray:
        """Inputs of the class that look random, shape (inputs, P)."""
        positions, tokens, _ = self.margins.low.shape
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
        low = self.margins.low
        self.work.charge(int_ops=len(self._inputs) * low.shape[0] * low.shape[2])
        fails: BoolArray = self._sums_of_sample(low) + self.margins.low_last <= 0
        return fails

    def _fails_jointly(self, outputs: list[int]) -> BoolArray:
        """Shape (inputs,): the sample's inputs in the set of lemma 2."""
        low = self.margins.low[:, :, outputs].min(axis=2)
        fails: BoolArray = self._sums_of_sample(low) + self.margins.low_last[outputs].min() <= 0
        return fails

    def _sums_of_sample(self, entries: IntArray) -> IntArray:
        """Sums of entries (P, T, ...) over the positions of each input of the sample, shape (inputs, ...)."""
        sums = np.zeros((len(self._inputs), *entries.shape[2:]), np.int64)
        for of_token, tokens in zip(entries, self._inputs.T, strict=True):
            sums += of_token[tokens]
        return sums

    def _share(self, inputs: BoolArray) -> int:
        """About how many inputs of the class these of the sample stand for."""
        return self._size * int(inputs.sum()) // len(inputs)

    def _heads(self) -> tuple[list[int], list[int]]:
        """Outputs that fail in the sample, those that add most first, and the others, by how often they fail there."""
        heads: list[int] = []
        fails = self._fails.copy()
        while True:
            adds = fails.sum(axis=0)
            head = int(adds.argmax())
            if 4 * int(adds[head]) * self._size <= self.worth * len(fails) or adds[head] == 0:
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

    def _joint(self, outputs: list[int], parent: int | None = None) -> int:
        """A bound on the union of these A_o, less A_parent: lemma 2."""
        low = self.margins.low[:, :, outputs].min(axis=2)
        self.work.charge(flops=low.size * (len(outputs) - 1))
        fails = self._fails_jointly(outputs)
        joint = low, int(self.margins.low_last[outputs].min())
        if parent is None:
            return self._count([joint], self._share(fails), True)
        left = self._share(fails & ~self._fails[:, parent])
        return self._count([joint, self._opposite(parent, True)], left, True)

    def _single(self, output: int, over: bool) -> int:
        """A bound on |A_o| from above, and so on |B_o|; or on |B_o| from below."""
        return self._count([self._sums(output, over)], self._share(self._fails[:, output]), over)

    def _difference(self, a: int, b: int, over: bool) -> int:
        """A bound on |A_a minus A_b| from above, or on |B_a minus B_b| from below."""
        guess = self._share(self._fails[:, a] & ~self._fails[:, b])
        return self._count([self._sums(a, over), self._opposite(b, over)], guess, over)

    def _sums(self, output: int, lower: bool) -> Sums:
        """L, or H, of an output."""
        m = self.margins
        entries, last = (m.low, m.low_last) if lower else (m.high, m.high_last)
        return entries[:, :, output], int(last[output])

    def _opposite(self, output: int, lower: bool) -> Sums:
        """Sums that are at most 0 exactly where those of L, or H, are positive."""
        entries, last = self._sums(output, lower)
        return -entries, 1 - last

    def _count(self, sums: list[Sums], guess: int, over: bool) -> int:
        """A bound on the number of inputs for which all of these sums are at most 0."""
        best, left = (self._size if over else 0), self._size
        error = (isqrt(guess * (self._size - guess)) + self._size // 64) // 64  # of the guess, roughly
        for number, (gain, count) in enumerate(self._ways(sums, over)):
            if left <= gain * self.worth:
                break
            before, best = best, (min if over else max)(best, count())
            # The distance to the guess, give or take its error; later, what the last step gained.
            left = abs(best - guess) + error if number == 0 else abs(best - before)
        return best

    def _ways(self, sums: list[Sums], over: bool) -> Iterator[tuple[float, Callable[[], int]]]:
        """Counts that are finer and finer, and how much there must be to gain for each."""
        required = self.margins.required
        positions, tokens = sums[0][0].shape
        if len(sums) == 2 and positions <= _MOST_HALVES:
            entries, start = np.stack([e for e, _ in sums], axis=2), np.array([s for _, s in sums])
            for gain, sequences, ranks in _HALVES_TWO:
                clusters = max(2, int(sequences ** (1 / max(1, positions - positions // 2)) + 1e-9))
                yield gain, partial(count_in_halves, self.work, entries, start, required, clusters, ranks, over)
                if clusters >= tokens:
                    return
        else:
            tail = _TAIL_ONE if len(sums) == 1 else _TAIL_TWO
            windows = [self._window(*one, tail) for one in sums]
            for gain, cells in _CELLS_ONE if len(sums) == 1 else _CELLS_TWO:
                axes = [Axis.choose(*one, cells, *window) for one, window in zip(sums, windows, strict=True)]
                yield gain, partial(count_at_most_zero, self.work, axes, required, over)

    def _window(self, entries: IntArray, start: int, tail: float) -> tuple[int, int]:
        """Where most partial sums of the sample lie, and some multiples of the largest entries."""
        partial_sums = np.cumsum(entries[np.arange(len(entries)), self._inputs[:1024]], axis=1) + start
        self.work.charge(int_ops=partial_sums.size)
        if partial_sums.size == 0:
            return start, start
        low, high = np.quantile(partial_sums, [tail, 1.0 - tail])
        reach = 3.0 * abs(float(entries.max(axis=1).mean()))
        return int(min(low, -reach)), int(max(high, reach))
