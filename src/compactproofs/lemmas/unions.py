"""How many inputs of a class are answered wrongly: bounds on the size of a union, from counting sums.

Let F_o be the inputs of a class with S_o <= 0, so that the union of the F_o over outputs o is the set of wrong inputs
(`lemmas.suspects`: outputs that are left out have F_o empty).  Let L <= S <= H be the integers given there.

Lemma 1.  For every set O of outputs, the union of F_o over O has at most as many inputs as have
sum_p min_{o in O} L_o[p, x_p] <= 0.  With one output, at least as many as have sum_p H_o[p, x_p] <= 0.

Proof.  If o in O and S_o(x) <= 0, then sum_p min L[p, x_p] <= sum_p L_o[p, x_p] <= 0.  If sum H_o <= 0, then S_o <= 0.

Lemma 2.  F_a minus F_b has at most as many inputs as have sum L_a <= 0 and sum H_b > 0, and at least as many as have
sum H_a <= 0 and sum L_b > 0.

Lemma 3.  For any order 1, 2, ... of the outputs and any parent(j) < j, the union has at most
|F_1| + sum_{j > 1} |F_j minus F_parent(j)| inputs; each summand may be replaced by |F_j|, and the summands of a set O
of the outputs together by the bound of lemma 1.

Proof.  The union is the disjoint union of the F_j minus (F_1, ..., F_{j-1}), each a part of F_j minus F_parent(j).

Lemma 4.  The union has at least |F_a| + |F_b minus F_a| inputs, and at least
|F_a| + |F_b minus F_a| + |F_c minus F_a| + |F_c minus F_b| - |F_c|.

Proof.  F_a, F_b minus F_a, and F_c minus (F_a and F_b) are disjoint.  F_c minus F_a and F_c minus F_b are parts of F_c
whose intersection is the last of the three, so its size is at least the sum of theirs less |F_c|.

Which of these bounds are tried, in what order and on how fine a grid, is a matter of tightness and cost only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from compactproofs.arrays import IntArray
from compactproofs.lemmas.sums import Axis, count_at_most_zero
from compactproofs.lemmas.suspects import ClassMargins
from compactproofs.workspace import Workspace

_COARSE, _FINE = 256, 4096  # cells for one output
_SMALL, _MEDIUM, _LARGE, _LARGEST = 64, 192, 320, 640  # cells along each axis for two
_BELOW, _ABOVE = 3.0, 3.0  # how far windows reach


@dataclass
class Failing:
    """The wrong inputs of one class, and the counts that were made so far.

    `worth`: a number of inputs that is not worth the trouble.
    """

    work: Workspace
    margins: ClassMargins
    worth: int
    _counts: dict[tuple[object, ...], int] = field(default_factory=dict)

    def at_most(self) -> int:
        """An upper bound on their number."""
        size = self.margins.size
        if self.margins.low.shape[2] == 0:
            return 0
        if size <= self.worth:
            return size
        outputs = list(range(self.margins.low.shape[2]))
        coarse = self._joint(outputs, _COARSE)
        if coarse <= self.worth or self._all_fail():
            return min(size, coarse)
        heads, rest = self._heads(outputs, size)
        best = min(size, coarse, self._joint(outputs, _FINE))
        sizes = [self._single(heads[0], _FINE, True)]
        if best - sizes[0] <= 3 * self.worth:
            return best
        sizes += [self._single(o, _COARSE, True) for o in heads[1:]]
        sizes = [
            self._single(o, _FINE, True) if rough > 5 * self.worth else rough
            for o, rough in zip(heads, sizes, strict=True)
        ]
        total = sizes[0] + rest + sum(self._new(heads, j, sizes[j]) for j in range(1, len(heads)))
        return min(best, total)

    def at_least(self) -> int:
        """A lower bound on their number."""
        size = self.margins.size
        if size <= self.worth or self.margins.low.shape[2] == 0:
            return 0
        if self._all_fail():
            return size
        outputs = list(range(self.margins.low.shape[2]))
        if self._joint(outputs, _COARSE) <= self.worth:
            return 0
        heads, _ = self._heads(outputs, size)
        sizes = [self._single(o, _FINE, False) for o in heads[:4]]
        above = [self._single(o, _FINE, True) for o in heads[:4]]
        a = int(np.argmax([float(x) for x in sizes]))
        best = sizes[a]
        if len(heads) == 1 or min(size, self._joint(outputs, _FINE)) - best <= 3 * self.worth:
            return best
        # The second is the one that adds most, and the third likewise.
        rough = {b: self._rough(heads, b, [a], above[b]) for b in range(len(sizes)) if b != a}
        b = max(rough, key=lambda i: rough[i])
        if rough[b] <= 3 * self.worth:
            return best
        second = self._fine(heads[b], heads[a], rough[b], False)
        best = max(best, sizes[a] + second)
        rough = {c: self._rough(heads, c, [a, b], above[c]) for c in rough if c != b}
        if rough:
            c = max(rough, key=lambda i: rough[i])
            if rough[c] > 3 * self.worth:
                parts = [self._fine(heads[c], heads[i], rough[c], False) for i in (a, b)]
                best = max(best, sizes[a] + second + sum(parts) - above[c])
        return best

    def _rough(self, heads: list[int], c: int, others: list[int], above: int) -> int:
        """About how many inputs fail for one output, but for none of the others."""
        if above <= self.worth:
            return 0
        return min(self._difference(heads[c], heads[i], _SMALL, True) for i in others)

    def _fine(self, a: int, b: int, rough: int, over: bool) -> int:
        """A bound on |F_a minus F_b|, the finer the more it is about."""
        cells = _LARGEST if rough > 150 * self.worth else _LARGE if rough > 25 * self.worth else _MEDIUM
        return self._difference(a, b, cells, over)

    def _all_fail(self) -> bool:
        """Whether some output fails on all inputs of the class: its sum of maxima is not positive."""
        most = self.margins.high.max(axis=1).sum(axis=0) + self.margins.high_last
        return bool((most <= 0).any())

    def _heads(self, outputs: list[int], size: int) -> tuple[list[int], int]:
        """The outputs that matter, most failing first, and a bound on the union of F_o over all others."""
        low = self.margins.low
        unit = np.maximum(low[:, -1].sum(axis=0) / max(1, len(low)), 1.0)
        ranked = np.argsort(-np.clip(-low / unit, 0.0, 1.5).sum(axis=(0, 1)), kind="stable").tolist()
        self.work.meter.charge(flops=3 * low.size)
        heads: list[int] = []
        while True:
            more = max(4, len(heads))
            heads, ranked = heads + ranked[:more], ranked[more:]
            counts = {o: self._single(o, _COARSE, True) for o in heads}
            # Where the coarse grid says that nearly all fail, it may only be too coarse.
            counts |= {o: self._single(o, _FINE, True) for o in heads if counts[o] > size // 2}
            rest = self._joint(ranked, _COARSE) if ranked else 0
            largest = max(counts.values())
            if rest <= max(5 * self.worth, 0.005 * largest) or size - largest <= self.worth:
                break
        heads.sort(key=lambda o: (-counts[o], o))
        while len(heads) > 1 and counts[heads[-1]] <= self.worth / 4:
            rest += counts[heads.pop()]
        return heads, rest

    def _new(self, heads: list[int], j: int, size: int) -> int:
        """A bound on |F_j minus F_parent|, with the parent that seems best."""
        if size <= 5 * self.worth:
            return size
        rough = {i: self._difference(heads[j], heads[i], _SMALL, True) for i in {0, min(j - 1, 1), min(j - 1, 2)}}
        parent = min(rough, key=lambda i: rough[i])
        best = min(size, rough[parent])
        if best > 5 * self.worth:
            best = min(best, self._fine(heads[j], heads[parent], best, True))
        return best

    def _joint(self, outputs: list[int], cells: int) -> int:
        key = ("joint", tuple(outputs), cells)
        if key not in self._counts:
            low = self.margins.low[:, :, outputs].min(axis=2)
            self.work.meter.charge(flops=low.size * (len(outputs) - 1))
            axis = Axis.choose(low, int(self.margins.low_last[outputs].min()), cells, _BELOW, _ABOVE)
            self._counts[key] = count_at_most_zero(self.work, [axis], self.margins.required, True)
        return self._counts[key]

    def _single(self, output: int, cells: int, over: bool) -> int:
        key = ("single", output, cells, over)
        if key not in self._counts:
            axis = self._axis(output, cells, self._lower if over else self._upper)
            self._counts[key] = count_at_most_zero(self.work, [axis], self.margins.required, over)
        return self._counts[key]

    def _difference(self, a: int, b: int, cells: int, over: bool) -> int:
        """A bound on |F_a minus F_b|."""
        key = ("difference", a, b, cells, over)
        if key not in self._counts:
            ends = (self._lower, self._upper) if over else (self._upper, self._lower)
            fails = self._axis(a, cells, ends[0])
            holds = self._axis(b, cells, ends[1]).opposite()
            self._counts[key] = count_at_most_zero(self.work, [fails, holds], self.margins.required, over)
        return self._counts[key]

    def _axis(self, output: int, cells: int, end: tuple[IntArray, IntArray]) -> Axis:
        entries, last = end
        return Axis.choose(entries[:, :, output], int(last[output]), cells, _BELOW, _ABOVE)

    @property
    def _lower(self) -> tuple[IntArray, IntArray]:
        return self.margins.low, self.margins.low_last

    @property
    def _upper(self) -> tuple[IntArray, IntArray]:
        return self.margins.high, self.margins.high_last
