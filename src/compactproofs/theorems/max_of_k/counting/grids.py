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

Floating point: as in `sums`, all terms are non-negative, and each passes at each position through one product of a
number that is rounded to a float, and as many additions as there are tokens.

Why this is tight: what matters is how many sequences end close to 0, and they come by few of all sums, most of them
where few heavy tokens are still missing.  There points lie close to each other, and elsewhere they need not.

Cost: about 2 P (kinds of steps) (points on all axes), booked as floating-point operations, and as many moves.
"""

from __future__ import annotations

from collections import Counter
from math import prod

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
    return np.unique(np.append(within.ravel(), ends[-1]))


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
    smallest, largest = steps.min(axis=1), steps.max(axis=1)
    before, kinds = conditions.kinds()
    points = [np.array([-FAR, 1] if over else [0, FAR])] * axes
    ways: Floats = np.zeros((number,) + (2,) * axes)
    ways[(conditions.empty,) + (0,) * axes] = 1.0
    for p in range(positions):
        least, most = smallest[: p + 1].sum(axis=0), largest[: p + 1].sum(axis=0)
        low, high = first + smallest[p + 1 :].sum(axis=0), first + largest[p + 1 :].sum(axis=0)
        these = [_points(*of_axis, over) for of_axis in zip(grids, least, most, low, high, strict=True)]
        leads = [_leads(*of_axis, over) for of_axis in zip(these, steps[p].T, points, strict=True)]
        moves = Counter[tuple[int, ...]]()
        for *move, count in zip(kinds.tolist(), *(which.tolist() for _, which in leads), counts.tolist(), strict=True):
            moves[tuple(move)] += count
        so_far, ways = ways, np.zeros((number, *map(len, these)))
        work.charge(flops=2 * ways.size * len(moves), int_ops=2 * tokens * sum(map(len, these)))
        for (kind, *which), times in moves.items():
            for one in set(before[kind].tolist()) - {-1}:
                block = so_far[one]
                for axis, ((to, _), row) in enumerate(zip(leads, which, strict=True)):
                    block = block.take(to[row], axis=axis)
                if times != 1:
                    block *= float(times)
                for condition in np.flatnonzero(before[kind] == one).tolist():
                    ways[condition] += block
        points = these
    # Of the points after all positions one is the start, and the other one is far away.
    return rounded(float(ways[(-1,) + (1 if over else 0,) * axes]), positions * (tokens + 8), over)


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


def _points(grid: IntArray, least: int, most: int, low: int, high: int, over: bool) -> IntArray:
    """The points at which there is something to count: not all sequences, and not none.

    `least`, `most`: sums of the entries so far; `low`, `high`: where points can be asked for.
    """
    inner = np.append(grid[(grid > -most) & (grid <= -least)], 1 - least if over else -most)
    points = np.unique(np.clip(inner, low, high))
    return np.concatenate([[-FAR], points] if over else [points, [FAR]])


def _leads(points: IntArray, steps: IntArray, to: IntArray, over: bool) -> tuple[IntArray, IntArray]:
    """Where points lead, as indices of others, for some kinds of steps, and which kind of step each token takes."""
    different, which = np.unique(steps, return_inverse=True)
    there = points + different[:, None]
    index = np.searchsorted(to, there, side="right") - 1 if over else np.searchsorted(to, there, side="left")
    index = np.clip(index, 0, len(to) - 1)
    begins = np.append(True, (index[1:] != index[:-1]).any(axis=1))
    return index[begins], (np.cumsum(begins) - 1)[which.reshape(-1)]
