"""Counting sequences by sums of table entries, exactly at both ends, and on grids in between.

The problem is that of `sums`: given integers a[p, t, j] of shape (P, T, r), a start s[j] and conditions
(`branching.conditions`), what do the sequences x of P tokens count that meet the last condition and have
s[j] + sum_p a[p, x_p, j] <= 0 on all axes?  That is meant by their number.

Theorem.  `count_from_both_ends` returns an integer that is at least (`over`), or at most (not over), their number, for
all labels, points and numbers of positions that are put together exactly.

Order.  Conditions say nothing of the order of tokens, so positions may be put into any.  They are, by how much their
entries differ: the last ones matter most.

Clusters.  At each position tokens with equal labels, and with the same conditions before them, make up a cluster.  The
entries of a token are replaced by the least (over) or largest (not over) of its cluster.  So sums only fall (rise), no
sequence is lost (gained), and the tokens of a cluster count as one that counts what they do together.

Let N_p(z, c) be the number of sequences of clusters at the first p positions that meet condition c and have
z[j] + sum_{i < p} a[i, x_i, j] <= 0 on all axes.  It never grows with z, and for p > 0 it is the sum over clusters t of
what t counts times N_{p-1}(z + a[p - 1, t], before[t, c]), leaving out those t for which no condition is before c.
Asked for is N_P(s, last).  It is 0 where the least sum is positive on some axis; and if too much is asked for, what all
sequences count, whether they meet conditions or not, is a bound from above, and 0 one from below.

From the start.  So N_P(s, last) is the sum of n N_l(z, c) over ways (z, c, n) that come of (s, last, 1) by following
every cluster of the last P - l positions.  A way is forgotten if z plus the least sum of the others is positive on some
axis: then N_l(z, c) = 0.

From the end.  N_f(z, c) is what those sequences at the first f positions count that meet c, and whose sums w have
w <= -z on all axes.  Which conditions a sequence meets is found token by token: with t at its end it meets c if before
it is met before[t, c].

Grids.  For each p from f to l, and each axis, there is a finite set of points.  The first of them is at most minus the
largest sum at the first p positions (over), or the last is more than minus the least (not over).  Let round(z) be, on
each axis, the largest point up to z (over), or the smallest from z on (not over); if there is none, it is the first, or
the last.  W_f is N_f, on points, and for p > f W_p(z, c) is the same sum over clusters with W_{p-1}(round(z + a[p - 1,
t]), .) in place of N_{p-1}(z + a[p - 1, t], .).

Lemma.  On all points, W_p(z, c) is at least N_p(z, c) (over), or at most (not over); so the theorem holds of the sum of
n W_l(round(z), c) over all ways from the start.

Proof.  By induction: N_{p-1} does not grow with z, and what clusters count is not negative; so it is enough that
N_{p-1}(round(z), .) is at least (at most) N_{p-1}(z, .).  It is where z is rounded down (up), on any axes.  On an axis
where it is not, z and the first point are so small that all sequences have sums of at most 0 with either (over), or the
last point is so large that none has, and N_{p-1}(round(z), .) is 0 (not over).

Offsets.  The entries of a position may be changed by any number on each axis, if s is changed by the opposite.  They
are chosen such that many entries are a little more than 0 (over), or less, and so lead from a point to itself; the
start is then the `origin`, and what follows is about entries less offsets.

Floating point: as in `sums`, all terms are non-negative.  Each passes through at most: the numbers of P clusters,
rounded to floats, and products of these; as many additions as there are sequences at the first f positions; sums along
all axes; an addition for each cluster in between; and one for each way from the start.  Integers up to 2^53 are not
rounded, and a number that was rounded is 2^53 or more, as is all that it is a part of, unless it counts 0 times; so a
result below is exact.  Nothing overflows, since all sequences together count at most 2^900 (`histogram.limit`).

Integers: entries less offsets are below 2^54 in size and P is at most 64, so sums of them are below 2^60; so is what
ways from the start lead to, as offsets cancel but for those of positions to follow.  Points, and what they are rounded
from, are sums of a few such numbers.

Why this is tight: nothing is rounded at the positions that matter most, nor at those that matter least, and in between
points are spread anew at each position, over what can be reached there.

Cost: some r operations for each sequence at the first f positions and each way from the start, and for each position in
between two for each cluster, condition and point, which are told in moves, too (`kernel.limits`).
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.kernel.limits import spend
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.counting.sums import rounded

Floats = npt.NDArray[np.float64]

_MOST = 2**23  # sequences, ways, points on axes, and points of all axes and conditions
_MOST_MET = 2**26  # sequences and conditions
_PER_POSITION, _PER_CLUSTER = 2**15, 2**14  # what a position takes, and a cluster in between, in operations
_PER_ONE = 2**6  # what a sequence takes for each condition, and a point on an axis; a way twice that
MANTISSA = 9  # bits of an edge


class Meeting(NamedTuple):
    """How to count: which tokens to join, which points there are, and how many positions to put together exactly.

    `labels`: of clusters, shape (P, T), from 0; `edges`: on each axis, in order, between which points are spread;
    `number`: about how many points there shall be on each axis; `first`, `last`: positions.
    """

    labels: IntArray
    edges: list[IntArray]
    number: int
    first: int
    last: int


def numbers_of(codes: IntArray) -> IntArray:
    """The numbers that codes stand for, in order, shape (any,); below 2^53 in size.

    `codes`: from 0 to 2^16 - 1; u stands for a logarithm with a sign: with |u - 2^15| = 2^9 e + f for the integer part
    of (2^9 + f) 2^(e - 9), with e up to 52, or 0 where that is 0.
    """
    code = np.abs(codes - 2**15)
    size = ((2**MANTISSA + code % 2**MANTISSA) << np.minimum(code >> MANTISSA, 52)) >> MANTISSA
    return np.sort(np.where(code == 0, 0, np.sign(codes - 2**15) * size))


def count_from_both_ends(
    work: Work,
    entries: IntArray,
    start: IntArray,
    conditions: Conditions,
    counts: IntArray,
    how: Meeting,
    over: bool,
) -> int:
    """A bound on what sequences with all sums at most 0 count: from above if `over`, else from below.

    `entries`: a, shape (P, T, r); `start`: s, shape (r,); all below 2^53.  `conditions`: on T tokens, the last of which
    must be met.  `counts`: what each token counts, shape (T,).
    Where there are more than 64 positions, or too much is asked for, nothing is counted.
    """
    positions, _, axes = entries.shape
    if any(int(start[j]) + int(entries[:, :, j].min(axis=1).sum()) > 0 for j in range(axes)):
        return 0
    everything = int(counts.sum()) ** positions if over else 0
    if positions > 64:
        return everything
    spend(_PER_POSITION * positions)
    order = in_order(entries)
    steps = clusters(entries[order], conditions, counts, how.labels[order], over)
    origin = start + np.sum([np.zeros(axes, np.int64), *(step.offset for step in steps)], axis=0)
    first = min(max(how.first, 0), positions)
    left = positions - min(max(how.last, 0), positions - first)
    sizes = [len(step.number) for step in steps]
    groups = len(conditions.empty) + 1
    sequences, most_ways, on_axes = prod(sizes[:first]), prod(sizes[left:]), axes * (left - first + 1) * how.number
    if max(sequences, most_ways, on_axes) > _MOST or groups * sequences > _MOST_MET:
        return everything
    spend(_PER_ONE * (groups * sequences + 2 * most_ways + max(on_axes, 0)))
    work.charge(int_ops=axes * (sequences + most_ways), flops=sequences)

    reach = Reach(steps, axes)
    ways = _from_start(steps[left:], origin, len(conditions.empty) - 1, reach.least[left:])
    if ways.number.size == 0:
        return 0
    grids = [_points(how, reach, p, left, ways.at, over) for p in range(first, left + 1)]
    # On the way from one table to the next there are points of both, on different axes.
    cells = groups * prod(max(map(len, on_axis)) for on_axis in zip(*grids, strict=True))
    if cells > _MOST:
        return everything
    spend((16 * cells + _PER_CLUSTER) * (1 + sum(sizes[first:left])))
    table, passed = from_end(steps[:first], conditions.empty, grids[0], axes)
    for step, before, points in zip(steps[first:left], grids, grids[1:], strict=False):
        table = moved_on(table, step, before, points, over)
        passed += len(step.number)
        work.charge(flops=2 * table.size * len(step.number))
    at = [place_of(points, of_axis, over) for points, of_axis in zip(grids[-1], ways.at, strict=True)]
    value = float((ways.number * table[(ways.condition, *at)]).sum())
    work.charge(flops=2 * ways.number.size)
    passed += ways.number.size + 4 * positions + 8
    return rounded(value, passed if value >= 2.0**53 else 0, over)


class Clusters(NamedTuple):
    """The clusters of a position: `entries` less offsets, shape (r, clusters), and what each cluster counts.

    `before`: the conditions before each of them, shape (conditions + 1, clusters), of which the last are -1, and stand
    for none; `offset`: shape (r,).
    """

    entries: IntArray
    number: Floats
    before: IntArray
    offset: IntArray


def in_order(entries: IntArray) -> IntArray:
    """The positions, by how much their entries differ, shape (P,); `entries`: shape (P, T, r)."""
    order: IntArray = np.argsort(np.ptp(entries, axis=1).sum(axis=1), kind="stable")
    return order


def clusters(
    entries: IntArray, conditions: Conditions, counts: IntArray, labels: IntArray, over: bool
) -> list[Clusters]:
    """The clusters of each position."""
    rows, kind = conditions.kinds()
    before = np.concatenate([rows.T, np.full((1, len(rows)), -1)])
    sign = 1 if over else -1
    found = []
    for of_token, label in zip(entries, labels, strict=True):
        cluster = len(rows) * label + kind
        by_cluster = np.argsort(cluster, kind="stable")
        begin = np.flatnonzero(np.diff(cluster[by_cluster], prepend=-1))
        extreme = (np.minimum if over else np.maximum).reduceat(of_token[by_cluster], begin, axis=0)
        sizes = np.diff(begin, append=len(by_cluster))
        offset = np.array([sign * _crowd(np.repeat(sign * on_axis, sizes)) for on_axis in extreme.T])
        number = np.add.reduceat(counts[by_cluster], begin).astype(np.float64)
        found.append(Clusters((extreme - offset).T, number, before[:, kind[by_cluster[begin]]], offset))
    return found


def _crowd(entries: IntArray) -> int:
    """The least of those entries that are closest to each other, about half of them."""
    ordered = np.sort(entries)
    half = len(ordered) // 2
    return int(ordered[np.argmin(ordered[half:] - ordered[: len(ordered) - half])])


class Reach:
    """Of the sums at the first p positions, for all p, the `least` and the `most`, shape (P + 1, r)."""

    def __init__(self, steps: list[Clusters], axes: int) -> None:
        nothing = np.zeros(axes, np.int64)
        self.least = np.cumsum([nothing, *(step.entries.min(axis=1) for step in steps)], axis=0)
        self.most = np.cumsum([nothing, *(step.entries.max(axis=1) for step in steps)], axis=0)


class _Ways(NamedTuple):
    """Ways from the start: `at`, where they lead to, shape (r, N); to which conditions, and their numbers."""

    at: IntArray
    condition: IntArray
    number: Floats


def _from_start(steps: list[Clusters], origin: IntArray, last: int, least: IntArray) -> _Ways:
    """The ways by all clusters of these positions; `least`: the least sums before each of them, shape (any, r)."""
    ways = _Ways(origin[:, None], np.array([last]), np.ones(1))
    for step, of_others in zip(reversed(steps), least[:-1][::-1], strict=True):
        at = (ways.at[:, :, None] + step.entries[:, None]).reshape(len(origin), -1)
        condition = step.before[ways.condition].ravel()
        kept = np.flatnonzero((condition >= 0) & (at + of_others[:, None] <= 0).all(axis=0))
        ways = _Ways(at[:, kept], condition[kept], np.outer(ways.number, step.number).ravel()[kept])
    return ways


def sequences(steps: list[Clusters], empty: BoolArray, axes: int) -> tuple[IntArray, Floats, BoolArray]:
    """All sequences of clusters: sums, shape (r, N), what they count, and which conditions they meet, and none last."""
    sums, number = np.zeros((axes, 1), np.int64), np.ones(1)
    met = np.append(empty, False)[:, None]
    for step in steps:
        sums = (sums[:, :, None] + step.entries[:, None]).reshape(axes, -1)
        number = np.outer(number, step.number).ravel()
        met = met[step.before].transpose(0, 2, 1).reshape(len(met), -1)
    return sums, number, met


def from_end(steps: list[Clusters], empty: BoolArray, points: list[IntArray], axes: int) -> tuple[Floats, int]:
    """N_f at all points, shape (conditions + 1, points ...), the last all 0; and how many additions there were."""
    sums, number, met = sequences(steps, empty, axes)
    place = [np.searchsorted(wanted, -of_axis, side="right") - 1 for wanted, of_axis in zip(points, sums, strict=True)]
    shape = tuple(map(len, points))
    known = np.flatnonzero(np.logical_and.reduce([one >= 0 for one in place]))
    cell = np.ravel_multi_index([one[known] for one in place], shape)
    counts = [np.bincount(cell, number[known] * of_one[known], prod(shape)) for of_one in met]
    table = np.array(counts, np.float64).reshape(-1, *shape)
    for axis in range(1, axes + 1):
        table = np.flip(np.cumsum(np.flip(table, axis), axis=axis), axis)
    return table, number.size + sum(shape)


def moved_on(table: Floats, step: Clusters, before: list[IntArray], points: list[IntArray], over: bool) -> Floats:
    """W of one position more, on these points, from `table` on the points `before`."""
    result = np.zeros((len(table), *map(len, points)))
    for entries, number, lead in zip(step.entries.T, step.number, step.before.T, strict=True):
        found = table[lead]
        for axis, (old, new, entry) in enumerate(zip(before, points, entries, strict=True), 1):
            found = np.take(found, place_of(old, new + entry, over), axis=axis)
        found *= number
        result += found
    return result


def place_of(points: IntArray, numbers: IntArray, over: bool) -> IntArray:
    """Which point numbers are rounded to."""
    place = np.searchsorted(points, numbers, side="right") - 1 if over else np.searchsorted(points, numbers)
    found: IntArray = np.clip(place, 0, len(points) - 1)
    return found


def _points(how: Meeting, reach: Reach, p: int, left: int, ways: IntArray, over: bool) -> list[IntArray]:
    """The points on each axis for p positions, where there is something to count, but not all; and one beyond.

    `ways`: where those from the start lead to, with `left` positions to follow.
    """
    found = []
    for edges, of_axis, least, most in zip(how.edges, ways, reach.least.T, reach.most.T, strict=True):
        low = max(int(of_axis.min() + least[left] - least[p]), int(-most[p]))
        high = min(int(of_axis.max() + most[left] - most[p]), int(1 - least[p]))
        inner = spread(edges[slice(*np.searchsorted(edges, [low, high]))], low, max(low, high), how.number)
        found.append(np.unique(np.append(inner, -most[p] if over else 1 - least[p])))
    return found


def spread(edges: IntArray, low: int, high: int, number: int) -> IntArray:
    """So many points and one from `low` to `high`, about as many between any two neighbouring edges; each once."""
    ends, number = np.unique([low, *edges, high]), max(number, 1)
    place, rest = np.divmod(np.arange(number + 1) * (len(ends) - 1), number)
    whole, part = np.divmod(np.diff(ends, append=high), number)
    return np.unique(ends[place] + whole[place] * rest + part[place] * rest // number)
