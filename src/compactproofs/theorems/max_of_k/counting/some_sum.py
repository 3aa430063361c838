"""Counting sequences of which some sum of table entries is at most 0, by branches that end where one sum decides.

The problem: given integers a[p, t, j] of shape (P, T, r), a start s[j] and conditions (`branching.conditions`), what do
the sequences x of P tokens count together that meet the last condition and have s[j] + sum_p a[p, x_p, j] <= 0 on
*some* axis j?  That is meant by their number.

Theorem.  `count_where_some` returns an integer that is at least (`over`), or at most (not over), their number, for all
labels, points, thresholds and limits.

Order and clusters are as in `both_ends`.  Clusters by `finer` are for tables, those by `labels` for branches, with
entries d; the entries of both are at most (over), or at least (not over), those of their tokens.

Let U_p(z, c) be the number of sequences at the first p positions that meet condition c and have z[j] + sum_{i < p} a[i,
x_i, j] <= 0 for some j.  Asked for is U_P(s, last).  It never grows with z on any axis, and is 0 where on each axis z
and the least sum are positive; a z[j] for which this is so may be replaced by any other such.

Tables.  For one sum, so an axis j alone, or from above the least of all axes from j on, entry by entry, `both_ends` has
tables W_p on points, by steps from p - 1 to p, which bound the number of sequences at the first p positions that meet c
and for which z and this sum are at most 0.  So that is bounded, say for axis j alone, by W_p(round(z[j]), c), called
w_j here.  For the least of all axes from j on let v_j be W_p(round(min_{i >= j} z[i]), c).

Lemma 1.  Over: U_p(z, c) is at most u_0, where u_{r-1} = w_{r-1} and u_j = min(w_j + u_{j+1}, v_j); and at most what
all sequences that meet c count.  Not over: it is at least the largest w_j.

Proof.  Over: the sequences for which some axis from j on is at most 0 are at most u_j, by induction from the last: they
are so on axis j, or on one of those after it; and where z[i] + sum a[i] <= 0 for an i >= j, the least of z and the sum
of least entries are at most 0 together.  Not over: what is so on axis j is so on some axis.

Branches.  A way (z, c, n) stands for n U_p(z, c).  There is one at first, (s, last, 1) with p = P.  A way is settled,
and adds n times the bound of lemma 1; or it is followed to z + d[p - 1, t], the condition before t, and n times what t
counts, for all clusters t for which there is a condition before; but not where all of U_{p-1} would be 0.  Before that,
each z[j] may be made smaller (over), or larger (not over), and ways with equal z and c become one, for the sum of n.

Lemma 2.  What has been added, and what the ways left stand for, together are at least (over), at most (not over),
U_P(s, last).  So is what has been added in the end.

Proof.  U_p(z, c) is the sum over tokens, each with U_{p-1}(z + a[p - 1, t], .); entries of clusters are at most (at
least) those of their tokens, and U never grows with z.  With p = 0 all ways are settled.

Floating point: as in `sums`, all terms are non-negative, and a minimum of two is off by no more than they are.  Each
passes through at most: what it does in tables of `both_ends`; a product for each position; an addition for each way
that was ever made, as ways become one and as they are added; and one for each axis.

Integers: entries are below 2^53 in size and P is at most 64, so z and sums are below 2^60; rounding moves by no more
than the sums that follow may reach, 64 times at most; that is below 2^62 for bits >= 8, and others are taken to be 8,
or 64, with which nothing is rounded.

Why this is tight: one sum is counted almost exactly, and where one axis alone may decide there is nothing else to lose.
So ways are followed only as far as two axes may, and sums near 0 on both of them are rare, the rarer the fewer
positions are left.

Cost: for each sum a table for each position, some 2 (clusters) (points) operations, and for each way one for each sum.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.kernel.limits import spend
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.counting.both_ends import (
    Clusters,
    Floats,
    Reach,
    clusters,
    from_end,
    in_order,
    moved_on,
    place_of,
    sequences,
    spread,
)
from compactproofs.theorems.max_of_k.counting.sums import rounded

_MOST = 2**25  # points of all tables and conditions
_MOST_EXACTLY = 2**16  # sequences at the first positions
_MOST_WAYS = 2**23  # ways and axes, at once
# Operations, as they are told: for each sum, and a sequence or a point for each condition.
_PER_POSITION, _PER_TOKEN, _PER_SEQUENCE, _PER_CLUSTER, _PER_POINT, PER_WAY = 2**16, 2**7, 2**8, 2**14, 2**5, 2**7
_FAR = 2**61


class Branching(NamedTuple):
    """How to count: which tokens to join, which points there are, and how far to follow ways.

    `labels`, `finer`: of clusters in branches and in tables, shape (P, T), from 0; `edges`: in order, between which
    points are spread; `number`: about how many; `first`: positions of which all sums are points; `bits`: to which ways
    are rounded, at each position; `threshold`: what a way must have to gain; `most`: ways.
    """

    labels: IntArray
    finer: IntArray
    edges: IntArray
    number: int
    first: int
    bits: int
    threshold: float
    most: int


class _Table(NamedTuple):
    """W_p for one sum: `values`, shape (conditions + 1, points); z and `offset` are rounded to `points`."""

    points: IntArray
    values: Floats
    offset: int


def count_where_some(
    work: Work,
    entries: IntArray,
    start: IntArray,
    conditions: Conditions,
    counts: IntArray,
    how: Branching,
    over: bool,
) -> int:
    """A bound on what sequences with some sum of at most 0 count: from above if `over`, else from below.

    `entries`: a, shape (P, T, r); `start`: s, shape (r,); all below 2^53.  `conditions`: on T tokens, the last of which
    must be met.  `counts`: what each token counts, shape (T,).
    Where there are more than 64 positions, or too much is asked for, nothing is counted.
    """
    if entries.shape[2] == 0:
        return 0
    sums = tables_of(work, entries, start, conditions, counts, how, over)
    if sums is None:
        return int(counts.sum()) ** len(entries) if over else 0
    return followed(work, sums, conditions, counts, how, over)


class Sums(NamedTuple):
    """Some sums, with positions in order, and their tables; those of axes alone come first.

    `entries`, `start`: of the axes; `order`: which position each is; `passed`: operations that a count passes through.
    """

    entries: IntArray
    start: IntArray
    order: IntArray
    tables: list[list[_Table]]
    passed: int


def tables_of(
    work: Work,
    entries: IntArray,
    start: IntArray,
    conditions: Conditions,
    counts: IntArray,
    how: Branching,
    over: bool,
) -> Sums | None:
    """The tables for `count_where_some`; none where too much is asked for."""
    positions, tokens, axes = entries.shape
    number, groups, first = max(how.number, 1), len(conditions.empty) + 1, min(max(how.first, 0), positions)
    many = 2 * axes - 1 if over else axes
    if positions > 64 or (number * (positions + 1) + tokens * positions) * groups * many > _MOST:
        return None
    spend(many * positions * (_PER_POSITION + _PER_TOKEN * tokens))
    order = in_order(entries)
    entries = entries[order]
    sums = [(entries[:, :, j], int(start[j])) for j in range(axes)]
    if over:
        joint, starts = (np.minimum.accumulate(one[..., ::-1], axis=-1)[..., ::-1] for one in (entries, start))
        sums += [(joint[:, :, j], int(starts[j])) for j in range(axes - 1)]
    fine = [clusters(of_sum[:, :, None], conditions, counts, how.finer[order], over) for of_sum, _ in sums]
    sizes = [len(step.number) for step in fine[0]]
    exactly = prod(sizes[:first])
    if exactly > _MOST_EXACTLY or (2 * exactly + number * (positions + 1)) * groups * many > _MOST:
        return None
    spend(many * _PER_SEQUENCE * groups * exactly)
    spend(many * (_PER_POINT * groups * number + _PER_CLUSTER) * (2 + sum(sizes)))
    work.charge(int_ops=positions * tokens * many, flops=2 * many * groups * number * sum(sizes))
    tables = [_tables(steps, at, conditions.empty, how, first, over) for steps, (_, at) in zip(fine, sums, strict=True)]
    points = max(table.points.size for of_sum in tables for table in of_sum)
    return Sums(entries, start, order, tables, sum(sizes) + exactly + points + 4 * positions)


def followed(work: Work, sums: Sums, conditions: Conditions, counts: IntArray, how: Branching, over: bool) -> int:
    """The bound of `count_where_some`, by these tables."""
    entries, tables, bits = sums.entries, sums.tables, min(max(how.bits, 8), 64)
    positions, _, axes = entries.shape
    rough = clusters(entries, conditions, counts, how.labels[sums.order], over)
    nothing = np.zeros((1, axes), np.int64)
    least = np.cumsum(np.concatenate([nothing, entries.min(axis=1)]), axis=0)[:, :, None]
    most = np.cumsum(np.concatenate([nothing, entries.max(axis=1)]), axis=0)[:, :, None]
    meeting = [np.append(conditions.empty, False).astype(np.float64)]
    for step in rough:
        meeting.append((meeting[-1][step.before] * step.number).sum(axis=1))

    z, condition, number = sums.start[:, None], np.array([len(conditions.empty) - 1]), np.ones(1)
    value, made = 0.0, 1
    for p in range(positions, -1, -1):
        work.charge(int_ops=axes * number.size, flops=2 * len(tables) * number.size)
        alive = z + least[p] <= 0
        lowest, bound = _bounds([table[p] for table in tables], z, alive, condition, over)
        bound = np.minimum(bound, meeting[p][condition])
        follow = np.flatnonzero((bound - lowest) * number > how.threshold) if p else np.array([], np.int64)
        size = len(rough[p - 1].number) if follow.size else 1
        follow = follow[: max(min(how.most - made, _MOST_WAYS // axes), 0) // size]
        made += size * follow.size
        spend(PER_WAY * (len(tables) + 2) * size * follow.size)
        settled = number * (bound if over else lowest)
        settled[follow] = 0.0
        value += float(settled.sum())
        if follow.size == 0:
            break
        shift = np.maximum(np.frexp((most[p] - least[p]).astype(np.float64))[1] - bits, 0)
        offset = np.array([table[p].offset for table in tables[:axes]])[:, None]
        z = _less_exactly(z[:, follow] + offset, shift.astype(np.int64), over) - offset
        z = np.where(alive[:, follow], z, 1 - least[p])
        z, condition, number = _merged(z, condition[follow], number[follow])
        step = rough[p - 1]
        z = (z[:, :, None] + (step.entries + step.offset[:, None])[:, None]).reshape(axes, -1)
        condition, number = step.before[condition].ravel(), np.outer(number, step.number).ravel()
        kept = np.flatnonzero((condition >= 0) & (z + least[p - 1] <= 0).any(axis=0))
        z, condition, number = z[:, kept], condition[kept], number[kept]
    in_branches = sum(len(step.number) for step in rough) + 2 * made + axes + 4 * positions + 8
    return rounded(value, sums.passed + in_branches, over)


def _tables(
    steps: list[Clusters], start: int, empty: BoolArray, how: Branching, first: int, over: bool
) -> list[_Table]:
    """The tables of one sum, for 0 to P positions: with all sums as points, or where there is something to count."""
    reach, offset = Reach(steps, 1), np.cumsum([0, *(int(step.offset[0]) for step in steps)])
    lowest = int(start + offset[-1] + reach.least[-1, 0])
    lowest -= len(steps) * int(reach.most[-1, 0] - reach.least[-1, 0]) >> 7  # since ways are rounded
    found: list[_Table] = []
    for p in range(len(steps) + 1):
        least, most = int(reach.least[p, 0]), int(reach.most[p, 0])
        if p <= first:
            all_sums = sequences(steps[:p], empty, 1)[0][0]
            inner = 1 - all_sums if over else -all_sums
        else:
            high = 1 - least
            low = min(max(lowest - least, -most), high)
            inner = spread(how.edges[slice(*np.searchsorted(how.edges, [low, high]))], low, high, how.number)
        points = np.unique(np.append(inner, -most if over else 1 - least))
        if p <= first:
            values, _ = from_end(steps[:p], empty, [points], 1)
        else:
            values = moved_on(found[-1].values, steps[p - 1], [found[-1].points], [points], over)
        found.append(_Table(points, values, int(offset[p])))
    return found


def _bounds(
    tables: list[_Table], z: IntArray, alive: BoolArray, condition: IntArray, over: bool
) -> tuple[Floats, Floats]:
    """The largest w_j, and u_0, or the sum of all w_j where there are no tables of more than one axis; shape (N,)."""

    def looked_up(table: _Table, at: IntArray) -> Floats:
        found: Floats = table.values[condition, place_of(table.points, at + table.offset, over)]
        return found

    alone = np.array([looked_up(*each) for each in zip(tables, z, strict=False)]) * alive
    lowest: Floats = alone.max(axis=0)
    if not over:
        return lowest, alone.sum(axis=0)
    bound, closest = alone[-1], np.where(alive[-1], z[-1], _FAR)
    for j in range(len(z) - 2, -1, -1):
        closest = np.minimum(closest, np.where(alive[j], z[j], _FAR))
        bound = np.minimum(alone[j] + bound, looked_up(tables[len(z) + j], closest))
    return lowest, bound


def _less_exactly(z: IntArray, shift: IntArray, over: bool) -> IntArray:
    """Numbers that are multiples of 2^shift, up to these (over), but 1 rather than one up to 0, or from these on."""
    if not over:
        return -((-z >> shift) << shift)
    lower = (z >> shift) << shift
    return np.where((z > 0) & (lower <= 0), 1, lower)


def _merged(z: IntArray, condition: IntArray, number: Floats) -> tuple[IntArray, IntArray, Floats]:
    """The same ways, of which those that lead to the same are one, unless they are sorted apart by chance."""
    mixed = np.arange(1, 2 * len(z) + 3, 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    key = condition.astype(np.uint64) * mixed[-1]
    for of_axis, odd in zip(z, mixed, strict=False):
        key += of_axis.astype(np.uint64) * odd
    by_key = np.argsort(key, kind="stable")
    z, condition = z[:, by_key], condition[by_key]
    new = np.append(True, (z[:, 1:] != z[:, :-1]).any(axis=0) | (condition[1:] != condition[:-1]))
    begin = np.flatnonzero(new)
    return z[:, begin], condition[begin], np.add.reduceat(number[by_key], begin)
