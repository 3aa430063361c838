"""A set that holds every wrong input and a part of it that holds no other, counted exactly; its members by number.

Members.  `theorems.max_of_k.branching.class_margins` splits the inputs that could be wrong into classes, and those into
parts.  An input of a part that is answered wrongly has, for some output o, a sum of the L_o[p, x_p] and that of the
last position of at most 0; so with a[p, t] = min_o L_o[p, t] and s the smallest L_o of the last position it has
s + sum_p a[p, x_p] <= 0 (lemmas 1 and 2 of `counting.unions`).  For any integer width D > 0 and any integers b[p], let
k = floor((a - b) / D) and c = floor((s + sum_p b) / D); then D (c + sum_p k[p, x_p]) <= s + sum_p a[p, x_p].  So every
wrong input is a *member*: one that holds a token of each required set and has

    c + sum_p k[p, x_p] <= 0.

Surely wrong.  With a = H_o and s that of the last position, for one output o, and ceilings in place of floors, let c'
and k' be what c and k are above; then D (c' + sum_p k'[p, x_p]) >= s + sum_p a[p, x_p].  So an input of the part with
c' + sum_p k'[p, x_p] <= 0 loses to o (and is no tie, as `class_margins` says).  Being wrong it is a member too.  Which
o is taken matters to nothing but their number.  They are counted as members are, by what follows.

Counting.  Let f_p(S, z), for a group S of the sets and an integer z, be the number of sequences of tokens for the
positions p, p + 1, ... that meet all sets outside of S and whose steps k add up to at most -z.  Then f_P(S, z) is 1 if
S holds all sets and z <= 0, else 0; and f_p(S, z) = sum_t f_{p+1}(S + the sets of t, z + k[p, t]).  The part has
f_0(none, c) members.  With least and most the sums over the positions left of the smallest and the largest k: if
z > -least, then f_p(S, z) = 0, and if z <= -most, it is all_p(S), the number of sequences that meet the sets outside of
S.  Tables hold the z in between, and of these only what steps from c can reach: from reach_p, the sum of c and the
smallest k before p, to the same with the largest.  A step leads from within reach to within reach.

By number.  For r in 0 ... f_p(S, z) - 1 the token t at p is the first with r < sum_{u <= t} f_{p+1}(S + sets of u, z +
k[p, u]), and what is left for the other positions is r less the same sum over u < t.  By induction from P down, this
maps the numbers one to one onto the sequences that f_p counts.  So a uniform number makes a uniform member.

Integers.  A count is written as limbs of 52 bits in 64-bit integers, the lowest first.  A sum of up to 2^10 of them,
each taken so many times that there are 2^10 in all, stays below 2^62; after it carries are passed on.  There are so
many limbs that the number of all sequences fits.  Nothing is rounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from compactproofs.kernel.decisions import BoolArray, IntArray, midpoint
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, class_margins
from compactproofs.theorems.max_of_k.core.additive import token_weights
from compactproofs.theorems.max_of_k.counting.histogram import levels

MAX_TOKENS = 2**9
MAX_POSITIONS = 2**6
_BITS = 52
_MASK = 2**_BITS - 1
_CELLS = 2**14  # about twice as many as a table has; the finer, the fewer members that are not surely wrong
_LOOKED_AT = 2**6
_AT_ONCE = 2**9


def parts(work: Work) -> Iterator[ClassMargins | int]:
    """Disjoint parts that hold every wrong input; those of which nothing is known by their size."""
    with np.errstate(all="ignore"):  # any levels do, so nothing is required of these numbers
        logarithm = np.nan_to_num(65535.0 + 64.0 * np.log2(midpoint(token_weights(work))))
    weights = np.clip(logarithm, 0.0, 65535.0).astype(np.int64)
    for found in class_margins(work):
        if isinstance(found, int):
            yield found
            continue
        for _, part in found.by_highest_level(work, levels(weights, found)):
            if isinstance(part, int) or len(part.outputs):
                yield part


def possibly_wrong(work: Work, part: ClassMargins, cells: int = _CELLS) -> Members:
    """The members of a part: every wrong input is one."""
    return Members(work, part.required, *_steps(part.low.min(axis=2), int(part.low_last.min()), cells, up=False))


def surely_wrong(work: Work, part: ClassMargins, members: Members, cells: int = _CELLS) -> Members | None:
    """Those that surely lose to one output: of some members spread evenly, the most do; None if no one does."""
    spread = sorted({(2 * i + 1) * members.size // (2 * _LOOKED_AT) for i in range(_LOOKED_AT)} if members.size else ())
    sequences = members.by_number(spread)
    loses = part.high[np.arange(sequences.shape[1]), sequences].sum(axis=1) + part.high_last <= 0
    work.charge(int_ops=2 * sequences.size * len(part.outputs))
    if not loses.any():
        return None
    o = int(loses.sum(axis=0).argmax())
    return Members(work, part.required, *_steps(part.high[:, :, o], int(part.high_last[o]), cells, up=True))


def _steps(a: IntArray, s: int, cells: int, up: bool) -> tuple[IntArray, int]:
    """k and c of this module, in a width that leaves about so many cells."""
    ends = a.max(axis=1, initial=0).sum() + max(s, 0), -a.min(axis=1, initial=0).sum() - min(s, 0)
    width, sign = 2 * int(max(ends)) // cells + 1, -1 if up else 1
    offsets = np.array([sign * _densest(sign * entries, width) for entries in a], np.int64)
    return sign * (sign * (a - offsets[:, None]) // width), sign * (sign * (s + int(offsets.sum())) // width)


class Members:
    """The sequences that hold a token of each required set, and of which first and steps add up to at most 0."""

    def __init__(self, work: Work, required: BoolArray, steps: IntArray, first: int) -> None:
        positions, tokens = steps.shape
        if tokens > MAX_TOKENS:
            raise ValueError(f"at most {MAX_TOKENS} tokens are supported")
        self.work, self.steps, self.first = work, steps, first
        self.sets = _as_bits(required)
        self.groups = np.arange(2 ** len(required))
        self.limbs = -(-(tokens**positions).bit_length() // _BITS)
        smallest, largest = (ends.tolist() for ends in (self.steps.min(axis=1), self.steps.max(axis=1)))
        self._low, self._high = [], []  # the z of the tables
        for p in range(positions + 1):
            self._low.append(max(1 - sum(largest[p:]), self.first + sum(smallest[:p])))
            self._high.append(min(-sum(smallest[p:]), self.first + sum(largest[:p])))
        # In front of each table stands all_p(S), for whatever lies below it, and behind it 0, for what lies above.
        every = [int(group == self.groups[-1]) for group in self.groups]
        self.tables = [self._framed(every, np.zeros((self.limbs, len(every), 0), np.int64))]
        held = Counter(self.sets.tolist())
        for p in range(positions - 1, -1, -1):
            every = [sum(times * every[group | sets] for sets, times in held.items()) for group in self.groups.tolist()]
            self.tables.insert(0, self._framed(every, self._before(p)))
            work.charge(int_ops=2 * self.tables[0].size * self._kinds)
        self.size: int = _integer(self._look(0, np.zeros(1, np.int64), np.array([self.first]))[:, 0])

    def _cells(self, p: int) -> int:
        cells: int = max(self._high[p] - self._low[p] + 1, 0)
        return cells

    def _framed(self, every: list[int], inner: IntArray) -> IntArray:
        ends = _in_limbs(every, self.limbs)[:, :, None]
        return np.concatenate([ends, inner, np.zeros_like(ends)], axis=2)

    def _before(self, p: int) -> IntArray:
        """f_p of the z in its table, from f_{p+1}."""
        after, cells = self.tables[0], self._cells(p)
        kinds = Counter(zip(self.sets.tolist(), self.steps[p].tolist(), strict=True))
        self._kinds = len(kinds)
        by_sets = {sets: after[:, self.groups | sets] for sets in {sets for sets, _ in kinds}}
        result = np.zeros((self.limbs, len(self.groups), cells), np.int64)
        for (sets, step), times in kinds.items():
            source = by_sets[sets]
            shift = self._low[p] + step - self._low[p + 1] + 1  # where in the framed table the first cell leads
            below = min(max(1 - shift, 0), cells)
            inside = min(max(source.shape[2] - 1 - shift, below), cells)
            result[:, :, :below] += times * source[:, :, :1]
            result[:, :, below:inside] += times * source[:, :, below + shift : inside + shift]
        return _carried(result)

    def _look(self, p: int, group: IntArray, z: IntArray) -> IntArray:
        """f_p(S, z) in limbs, for z within reach."""
        place = np.clip(z - self._low[p] + 1, 0, self._cells(p) + 1)
        return self.tables[p][:, group, place]

    def among(self, sequences: IntArray) -> BoolArray:
        """Which of these sequences are counted here, shape (any, P); they hold a token of each set."""
        self.work.charge(int_ops=sequences.size)
        return np.asarray(self.steps[np.arange(sequences.shape[1]), sequences].sum(axis=1) + self.first <= 0)

    def by_number(self, numbers: list[int]) -> IntArray:
        """The members of these numbers below `size`, shape (numbers, P), as indices of the part's tokens."""
        self.work.charge(int_ops=6 * len(numbers) * self.steps.size * self.limbs)
        chunks = [self._by_number(numbers[at : at + _AT_ONCE]) for at in range(0, len(numbers), _AT_ONCE)]
        return np.concatenate([np.zeros((0, len(self.steps)), np.int64), *chunks])

    def _by_number(self, numbers: list[int]) -> IntArray:
        rest = _in_limbs(numbers, self.limbs)
        each = np.arange(len(numbers))
        group, z = np.zeros(len(numbers), np.int64), np.full(len(numbers), self.first)
        members = np.zeros((len(numbers), len(self.steps)), np.int64)
        for p, step in enumerate(self.steps):
            counts = self._look(p + 1, group[:, None] | self.sets, z[:, None] + step)
            upto = _carried(np.cumsum(counts, axis=2))
            token = _at_most(upto, rest[:, :, None]).sum(axis=1)
            before = np.where(token > 0, upto[:, each, np.maximum(token, 1) - 1], 0)
            rest = _carried(rest - before)
            members[:, p] = token
            group, z = group | self.sets[token], z + step[token]
        return members


def _densest(entries: IntArray, width: int) -> int:
    """Where an interval of this width begins that holds most of the entries."""
    ordered = np.sort(entries)
    held = np.searchsorted(ordered, ordered + width, side="left") - np.arange(len(ordered))
    return int(ordered[held.argmax()])


def _as_bits(required: BoolArray) -> IntArray:
    bits: IntArray = (required * 2 ** np.arange(len(required))[:, None]).sum(axis=0, dtype=np.int64)
    return bits


def _in_limbs(numbers: list[int], limbs: int) -> IntArray:
    """Shape (limbs, numbers)."""
    return np.array([[number >> _BITS * i & _MASK for number in numbers] for i in range(limbs)], np.int64)


def _integer(limbs: IntArray) -> int:
    return sum(limb << _BITS * i for i, limb in enumerate(limbs.tolist()))


def _carried(limbs: IntArray) -> IntArray:
    """The same non-negative numbers with limbs of 52 bits; in place."""
    for i in range(len(limbs) - 1):
        limbs[i + 1] += limbs[i] >> _BITS  # rounds down, so this borrows too
        limbs[i] &= _MASK
    return limbs


def _at_most(a: IntArray, b: IntArray) -> BoolArray:
    """Where a <= b."""
    result = a[0] <= b[0]
    for i in range(1, len(a)):
        result = (a[i] < b[i]) | ((a[i] == b[i]) & result)
    return np.asarray(result)
