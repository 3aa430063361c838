"""Counting sequences by sums of table entries, on grids that are fine where sums that matter are.

The problem is that of `sums`: given integers a[p, t, j] of shape (P, T, r), a start s[j] and conditions
(`branching.conditions`), what do the sequences x of P tokens count that meet the last condition and have
s[j] + sum_p a[p, x_p, j] <= 0 on all axes?  That is meant by their number.

Let N_p(z, c) be the number of sequences of p tokens that meet condition c and have z[j] + sum_{i < p} a[i, x_i, j] <= 0
on all axes.  So N_0(z, c) is 1 if all z[j] <= 0 and the empty sequence meets c, else 0; and N_p(z, c) is the sum over
tokens t of what t counts times N_{p-1}(z + a[p - 1, t], before[t, c]), leaving out those t for which no condition is
before c.  It never grows with z.  Asked for is N_P(s, last).

Grids.  For each p and axis there is a finite set of points, any below 2^60 in size, and -2^61 (`over`), or 2^61 (not
over).  Let round(z) be the largest point up to z (over), or the smallest from z on (not over), or the last one that
there is.  W_0 is N_0, on points 1 and -2^61, or 0 and 2^61; and W_p, on the points for p, is the same sum over tokens
with W_{p-1}(round(z + a[p - 1, t])) in place of N_{p-1}(z + a[p - 1, t]).

Theorem.  On all points, W_p(z, c) is at least N_p(z, c) (over), or at most (not over).  So is what `count_on_grids`
returns for N_P(s, last), whatever the points are.

Proof.  By induction: rounding lowers (raises) z on each axis, and N_{p-1} does not grow with z.  For p = 0 rounding
changes nothing, since integers up to 0 become -2^61 or 0, and others 1 or 2^61.  Beyond the far point there is nothing
to round to; but entries less offsets are below 2^54 and P is at most 64, so what is added to a number stays below
2^60, and numbers beyond 2^60 in size are on the same side of 0 as the far point, whatever follows.

Offsets.  Entries may be changed by any b[p, j] each, if s is changed by the opposite of their sum.  They are chosen
such that many entries are a little more than 0 (over), or less, and so lead from a point to itself.

From both ends.  At first few points are come to from the start, and few matter for the end, which may be all there are
in three sums; so ways are followed from both ends, where there are any, and meet in between:

- D_p(z, c), of the ways that lead from the start to z and c.  D_P is 1 at s and the last condition, and D_{p-1}(y, g)
  the sum over t, z and c with round(z + a[p - 1, t]) = y and before[t, c] = g of what t counts times D_p(z, c).
- J_p(y, c), of the ways that z and c have if and only if z is y or below it on all axes.  J_0 is 1 at the first point
  and conditions that the empty sequence meets; and J_{p+1}(y, c) is the sum over t and points x of what t counts times
  J_p(x, before[t, c]), where y is, on all axes, the largest of the points for p + 1 up to x' - a[p, t], with x' = x
  (not over), or the number before the next point after x, beyond all if there is none (over).  Where there is no such
  point x leads nowhere.

Lemma.  W_p(z, c) is the sum of J_p(y, c) over points y not below z on any axis; and for all p the sum of D_p W_p over
points and conditions is W_P(s, last).

Proof.  The first points are those where W_0 is not 0.  round(z + a) is x or below it if and only if z + a <= x', since
rounding leads to points, and so if and only if z <= x' - a: if z is y or below it.  Put this into the sum for W_{p+1}.
And in the sum of D_p W_p put for W_p its sum over tokens; then what multiplies W_{p-1}(y, g) is D_{p-1}(y, g).

Floating point: as in `sums`, all terms are non-negative.  At each step of D or J each passes through one product of a
number that is rounded to a float, at most as many additions as come to one point, and for each block of tokens a few
more; and at last through sums of J along all axes, a product, and the sum of these.

Why this is tight: what matters is how many sequences end close to 0, and they come by few of all sums, most of them
where few heavy tokens are still missing.  There points lie close to each other, and elsewhere they need not.

Cost: for each position about 2 (tokens) (points to which there are ways), booked as floating-point operations, and as
many moves.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import IntArray
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.counting.sums import rounded

Floats = npt.NDArray[np.float64]

FAR = 2**61
_MOST_BETWEEN = 2**8
_MOST = 2**24  # points on all axes, and conditions
_BLOCK = 2**20  # ways moved at once
MANTISSA = 9  # bits of an edge


def points_of(edges: IntArray, between: int) -> IntArray:
    """Points that divide the space between neighbouring edges into so many equal parts, shape (any,); none for 0.

    `edges`: numbers u from 0 to 2^16 - 1, which stand for logarithms with a sign: with |u - 2^15| = 2^9 e + f the
    integer part of (2^9 + f) 2^(e - 9), with e up to 52, or 0 where that is 0.
    """
    if between < 1:
        return np.zeros(0, np.int64)
    code = np.abs(edges - 2**15)
    size = ((2**MANTISSA + code % 2**MANTISSA) << np.minimum(code >> MANTISSA, 52)) >> MANTISSA
    ends = np.sort(np.where(code == 0, 0, np.sign(edges - 2**15) * size))
    parts = np.arange(min(between, _MOST_BETWEEN))
    within = ends[:-1, None] + ((ends[1:] - ends[:-1])[:, None] // len(parts)) * parts
    return _different(np.append(within.ravel(), ends[-1]))


def count_on_grids(
    work: Work,
    entries: IntArray,
    start: IntArray,
    conditions: Conditions,
    counts: IntArray,
    grids: list[IntArray],
    over: bool,
) -> int:
    """A bound on what sequences with all sums at most 0 count: from above if `over`, else from below.

    `entries`: a, shape (P, T, r); `start`: s, shape (r,); all below 2^53.  `conditions`: on T tokens, the last of which
    must be met.  `counts`: what each token counts, shape (T,).  `grids`: for each axis points below 2^60 in size.
    Where there are more than 64 positions, or too many points, nothing is counted.
    """
    positions, tokens, axes = entries.shape
    if any(int(start[j]) + int(entries[:, :, j].min(axis=1).sum()) > 0 for j in range(axes)):
        return 0
    cells, number = prod(len(grid) + 2 for grid in grids), len(conditions.empty)
    if positions > 64 or cells * number > _MOST:
        return int(counts.sum()) ** positions if over else 0
    if positions == 0:
        return int(conditions.empty[-1])
    steps, first = moved(entries, start, over)
    points = _of_positions([np.sort(grid) for grid in grids], steps, first, over)
    kinds = _kinds_of_tokens(conditions, counts)
    last: Floats = np.zeros((number, 1))
    last[-1] = 1.0
    origin = np.zeros((axes, 1), np.int64)
    leading, known = _Ways(origin, last), _Ways(origin, conditions.empty[:, None].astype(np.float64))
    done, left, passed = 0, positions, 0  # of J and D; the one with fewer ways is moved on
    while done < left:
        if leading.size <= known.size:
            left -= 1
            leading, more = _moved_on(work, leading, points[left + 1], steps[left], points[left], kinds, True, over)
        else:
            limits = [np.append(one[1:], FAR + 1) - 1 if over else one for one in points[done]]
            known, more = _moved_on(work, known, limits, -steps[done], points[done + 1], kinds, False, over)
            done += 1
        passed += more
    ways: Floats = np.zeros((number, *map(len, points[done])))
    ways[(slice(None), *known.at)] = known.number
    for axis in range(1, axes + 1):
        ways = np.flip(np.cumsum(np.flip(ways, axis), axis=axis), axis)
    work.charge(flops=axes * ways.size + 2 * leading.number.size)
    value = float((leading.number * ways[(slice(None), *leading.at)]).sum())
    # Integers below 2^53 are not rounded, so none on the way was, and any number of operations will do.
    passed += sum(ways.shape) + leading.number.size
    return rounded(value, passed if value >= 2.0**53 else positions * (tokens + 8), over)


class _Kind(NamedTuple):
    """Tokens with the same conditions before them: which, and what each counts, both of shape (any,).

    `leads`: each condition that one can have before them, and those that are met with them.
    """

    tokens: IntArray
    counts: IntArray
    leads: list[tuple[int, list[int]]]


def _kinds_of_tokens(conditions: Conditions, counts: IntArray) -> list[_Kind]:
    before, of_token = conditions.kinds()
    tokens = [np.flatnonzero(of_token == kind) for kind in range(len(before))]
    leads = [[(one, np.flatnonzero(row == one).tolist()) for one in set(row.tolist()) - {-1}] for row in before]
    return [_Kind(these, counts[these], lead) for these, lead in zip(tokens, leads, strict=True)]


class _Ways(NamedTuple):
    """Numbers of ways at some points: `at`, their indices on each axis, shape (r, N); `number`, (conditions, N)."""

    at: IntArray
    number: Floats

    @property
    def size(self) -> int:
        """The number of points."""
        return len(self.at[0])


def _moved_on(
    work: Work,
    ways: _Ways,
    numbers: list[IntArray],
    steps: IntArray,
    points: list[IntArray],
    kinds: list[_Kind],
    leading: bool,
    over: bool,
) -> tuple[_Ways, int]:
    """D of one position less (`leading`), or J of one more; and how many operations a number passed through.

    `numbers`: on each axis z, or x', of all points where ways could be; `steps`: what tokens add to them, shape (T, r);
    `points`: where they lead to.
    """
    places, sizes = [], []
    up = int(leading and not over)
    alone = len(points) == 1  # then `at` is in order, and has each point once
    for number, step, on_axis, at in zip(numbers, steps.T, points, ways.at, strict=True):
        used, which = (at, slice(None)) if alone else _renumbered(at, len(number))
        there = number[used] + step[:, None]
        # The last point up to there, or the first from there on; counted from 1, and 0 is nowhere.
        place = np.searchsorted(on_axis, there - up, side="right") + up
        place = np.clip(place, 1, len(on_axis)) if leading else place
        reached, place = (np.arange(len(on_axis) + 1), place) if alone else _renumbered(place, len(on_axis) + 1)
        places.append((reached, place, which))
        sizes.append(len(reached))
        work.charge(int_ops=2 * there.size)
    result: Floats = np.zeros((len(ways.number), prod(sizes)))
    passed, together = 0, max(1, _BLOCK // max(1, ways.size))
    for kind in kinds:
        for begin in range(0, len(kind.tokens), together):
            block = slice(begin, begin + together)
            cells = np.zeros(1, np.int64)
            for (_, place, which), size in zip(places, sizes, strict=True):
                cells = cells * size + place[kind.tokens[block]][:, which]
            cells = cells.reshape(-1)
            for before, after in kind.leads:
                number = ways.number[after].sum(axis=0) if leading else ways.number[before]
                found = np.bincount(cells, np.outer(kind.counts[block], number).reshape(-1), prod(sizes))
                result[before if leading else after] += found
                work.charge(flops=2 * cells.size, int_ops=2 * (len(points) - 1) * cells.size)
            passed += int(np.bincount(cells).max(initial=0)) + len(result) + 8
    somewhere = np.flatnonzero(result.any(axis=0))
    at = np.array([one[0][i] for one, i in zip(places, np.unravel_index(somewhere, sizes), strict=True)])
    kept = np.flatnonzero((at > 0).all(axis=0))
    return _Ways(at[:, kept] - 1, result[:, somewhere[kept]]), passed


def _renumbered(numbers: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Which of the numbers below `size` there are, in order, and which of these each one is."""
    there = np.zeros(size, np.bool_)
    there[numbers] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[numbers]


def moved(entries: IntArray, start: IntArray, over: bool) -> tuple[IntArray, IntArray]:
    """Entries less offsets, and the start with these."""
    sign = 1 if over else -1
    offsets = np.array([[sign * _crowd(sign * of_axis) for of_axis in of_position.T] for of_position in entries])
    return entries - offsets[:, None], start + offsets.sum(axis=0)


def _crowd(entries: IntArray) -> int:
    """The least of those entries that are closest to each other, about half of them."""
    ordered = np.sort(entries)
    half = len(ordered) // 2
    return int(ordered[np.argmin(ordered[half:] - ordered[: len(ordered) - half])])


def _of_positions(grids: list[IntArray], steps: IntArray, first: IntArray, over: bool) -> list[list[IntArray]]:
    """The points for each number of positions, on each axis; for all positions that is the start alone."""
    smallest, largest = steps.min(axis=1), steps.max(axis=1)
    points = [[np.array([-FAR, 1] if over else [0, FAR])] * len(grids)]
    for p in range(1, len(steps)):
        least, most = smallest[:p].sum(axis=0), largest[:p].sum(axis=0)
        low, high = first + smallest[p:].sum(axis=0), first + largest[p:].sum(axis=0)
        points.append([_points(*of_axis, over) for of_axis in zip(grids, least, most, low, high, strict=True)])
    return [*points, list(first[:, None])]


def _points(grid: IntArray, least: int, most: int, low: int, high: int, over: bool) -> IntArray:
    """The points at which there is something to count: not all sequences, and not none.

    `grid`: in order; `least`, `most`: sums of the entries so far; `low`, `high`: where points can be asked for.
    """
    inner = grid[slice(*np.searchsorted(grid, [-most, -least], side="right"))]
    inner = _different(np.clip(np.append(inner, 1 - least) if over else np.append(-most, inner), low, high))
    return np.concatenate([[-FAR], inner] if over else [inner, [FAR]])


def _different(numbers: IntArray) -> IntArray:
    """Numbers that are in order, each once."""
    kept: IntArray = numbers[np.append(True, numbers[1:] != numbers[:-1])]
    return kept
