"""Counting sequences by sums of table entries, meeting in the middle.

The problem is that of `sums`: given integers a[p, t, j] of shape (P, T, r), a start s[j] and sets of tokens,
what do the sequences x of P tokens count that hold a token of each of the sets and have s[j] + sum_p a[p, x_p, j] <= 0
on all axes?  That is meant by their number.

Theorem.  `count_in_halves` returns an integer that is at least (`over`), or at most (not over), their number, for all
labels and edges.

Proof.  Clusters: at each position the tokens with equal labels that are in the same sets make up a cluster, and the
entries of a token are replaced by the least (over) or largest (not over) of its cluster.  So sums only fall (rise), and
no sequence is lost (gained); sequences of the same clusters are counted by one product of their numbers.
Halves: let w be the sums over the first h positions, and u the start plus those over the others.  The condition is
w[j] <= -u[j].  Ranks: let rho[j] be non-decreasing functions on the integers.  Then w <= t implies rho(w) <= rho(t),
and is implied by rho(w) < rho(t + 1).  So it is enough, for each u, to count the w with rho(w[j]) <= rho(-u[j]), or
with <= rho(1 - u[j]) - 1: a table lookup after cumulative sums.  Only those w count that meet the sets that u does not.

Ranks come from 2^16 equal bins between the least and the largest w, several of which may share one, with 0 below and
one more than all others above.  A running maximum makes them non-decreasing, whatever the edges are.

Floating point: as in `sums`, all terms are non-negative.  The sequences of the second half are put together from
two parts, and looked up in blocks.  So each term passes through at most as many additions as there are w, sequences of
each part, ranks on all axes, groups of sets, and blocks, some 2 P products, and P numbers that are rounded to floats.
All are counted twice, since a product of matrices may round by 2u (`kernel.enclosure`), and (1 - 2u)^M >= 1 - 2 M u and
(1 + 2u)^M <= 1 / (1 - 2 M u).

Cost: for c clusters, c^(P - h) lookups of 2 floating-point and 6 r integer operations, and 2^sets r R^r for a table of
R ranks on each axis.  All this takes many times longer than arithmetic does, since numbers are mostly moved about; the
difference is told as well (`kernel.limits`), which nothing that is proved depends on.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import BoolArray, FloatArray, IntArray
from compactproofs.kernel.limits import spend
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.counting.sums import rounded

BINS = 2**16
_BLOCK = 2**15  # sequences looked up at once
_BETWEEN = 8  # ranks between two edges
_MOST = 2**23  # sequences of clusters in a half
# How long it takes to find the clusters of a position, to make a sequence and to put it into the table, to sum up an
# entry of the table, and to look one up, in operations.
_PER_POSITION, _PER_SEQUENCE, _PER_ENTRY, _PER_LOOKUP = 2**15, 2**8, 2**4, 2**4


class Sequences(NamedTuple):
    """Sequences of clusters at some positions.

    `sums`: shape (r, sequences); `number`: what the sequences of tokens count that each stands for; `met`: which sets
    they meet, as bits; both of shape (sequences,).
    """

    sums: IntArray
    number: FloatArray
    met: IntArray

    def then(self, other: Sequences) -> Sequences:
        """Every sequence of this with every one of the other."""
        # These, of which there are more, are next to each other, which is faster.
        return Sequences(
            (other.sums[:, :, None] + self.sums[:, None]).reshape(len(self.sums), -1),
            np.outer(other.number, self.number).ravel(),
            np.bitwise_or.outer(other.met, self.met).ravel(),
        )


class Ranks(NamedTuple):
    """rho of one axis for sums from `least` on, in bins that are 2^`shift` wide: `of_bin`, shape (bins,), from 1 on."""

    least: int
    shift: int
    of_bin: IntArray

    @classmethod
    def with_edges(cls, sums: IntArray, edges: IntArray) -> Ranks:
        """Ranks of these sums; `edges`: bins between which there are equally many ranks each, or anything."""
        least, largest = int(sums.min()), int(sums.max())
        shift = max(0, (largest - least).bit_length() - (BINS.bit_length() - 1))
        top = _BETWEEN * len(edges)
        rank = np.interp(np.arange(BINS), np.sort(edges), _BETWEEN * np.arange(len(edges))).astype(np.int64)
        return cls(least, shift, 1 + np.maximum.accumulate(np.clip(rank, 0, top - 1)))

    def of_limits(self, over: bool) -> IntArray:
        """Up to which rank sums count that shall not exceed limits: in the bin below all, in each, and above all."""
        top = self.of_bin[-1]
        return np.concatenate([[0], self.of_bin if over else self.of_bin - 1, [top]])


def count_in_halves(
    work: Work,
    entries: IntArray,
    start: IntArray,
    required: BoolArray,
    counts: IntArray,
    labels: IntArray,
    edges: IntArray,
    over: bool,
) -> int:
    """A bound on what sequences with all sums at most 0 count: from above if `over`, else from below.

    `entries`: a, shape (P, T, r), with r at most 2; `start`: s, shape (r,); all below 2^53.
    `required`: shape (sets, T); `counts`: of tokens, shape (T,); `labels`: shape (P, T), 0 to 2^60; `edges`: shape
    (r, any but 0).  Where there are more than 64 positions, or these ask for too many sequences, nothing is counted.
    """
    positions, _, axes = entries.shape
    if axes > 2 or len(required) > 2:
        raise ValueError("at most two sums and two sets of tokens are supported")
    if any(int(start[j]) + int(entries[:, :, j].min(axis=1).sum()) > 0 for j in range(axes)):
        return 0
    if positions > 64:
        return int(counts.sum()) ** positions if over else 0
    spend(_PER_POSITION * positions)
    single = clusters(entries, required, counts, labels, over)
    half, last = positions // 2, max(positions // 2, positions - 2)
    parts = single[:half], single[half:last], single[last:]
    lengths = [prod(len(one.number) for one in part) for part in parts]
    if max(lengths[0], lengths[1] * lengths[2]) > _MOST:
        return int(counts.sum()) ** positions if over else 0
    ranks = _BETWEEN * edges.shape[1] + 1
    spend(_PER_SEQUENCE * (lengths[0] + lengths[1]) + _PER_ENTRY * 2 ** len(required) * ranks**axes)
    w, first, second = (together(part, axes) for part in parts)

    scales = [Ranks.with_edges(w.sums[j], edges[j]) for j in range(axes)]
    limits = [scale.of_limits(over) for scale in scales]
    width = np.array([[2**scale.shift] for scale in scales])  # bins are numbered from 1 on, and 0 is below all
    below = width - np.array([[scale.least] for scale in scales]) - first.sums - start[:, None] + (0 if over else 1)
    reach = below - second.sums.min(axis=1)[:, None]
    near = np.flatnonzero((reach >= width).all(axis=0))  # others have no w below their limits, whatever follows
    tops = np.minimum((reach[:, near] // width).max(axis=1, initial=0), BINS + 1)
    asked = [int(limit[top]) + 1 for limit, top in zip(limits, tops, strict=True)]
    table = _table(w, 2 ** len(required), scales, asked)
    work.charge(flops=axes * table.size, int_ops=6 * axes * len(w.number))
    # Where in the table what meets the sets that the second half does not begins, and each rank of the first axis.
    lacking = prod(asked) * ((2 ** len(required) - 1) & ~np.bitwise_or.outer(np.arange(2 ** len(required)), second.met))
    limits[0] = limits[0] * prod(asked[1:])
    step = max(1, _BLOCK // len(second.number))
    total, blocks = 0.0, range(0, len(near), step)
    for at in blocks:
        block = near[at : at + step]
        spend(_PER_LOOKUP * len(block) * len(second.number))
        cell = lacking[first.met[block]]
        for limit, scale, to, sums in zip(limits, scales, below, second.sums, strict=True):
            cell += np.take(limit, (to[block, None] - sums) >> scale.shift, mode="clip")
        total += float(first.number[block] @ (np.take(table, cell) @ second.number))
        work.charge(flops=2 * cell.size, int_ops=6 * axes * cell.size)
    passed = len(w.number) + len(first.number) + len(second.number) + axes * ranks + 2 ** len(required) + len(blocks)
    return rounded(total, 2 * (passed + 3 * positions + 32), over)


def _table(w: Sequences, groups: int, scales: list[Ranks], sizes: list[int]) -> FloatArray:
    """For each group of sets, how many w that meet these have ranks up to those on each axis, below `sizes`; flat."""
    ranks = [scale.of_bin[(sums - scale.least) >> scale.shift] for scale, sums in zip(scales, w.sums, strict=True)]
    asked = np.logical_and.reduce([rank < size for rank, size in zip(ranks, sizes, strict=True)])
    cell: IntArray = w.met
    for rank, size in zip(ranks, sizes, strict=True):
        cell = cell * size + rank
    counts = np.bincount(cell[asked], weights=w.number[asked], minlength=groups * prod(sizes))
    table: FloatArray = np.asarray(counts, np.float64).reshape(groups, *sizes)
    for one in (1, 2):  # of the sets, as bits: those that are to meet it and do, and those that need not
        for group in range(groups):
            if one < groups and not group & one:
                table[group] += table[group | one]
    if len(sizes) == 2:
        for row in range(1, sizes[0]):  # much faster than NumPy's cumulative sum along a leading axis
            table[:, row] += table[:, row - 1]
    return np.cumsum(table, axis=-1, out=table).reshape(-1)


def clusters(entries: IntArray, required: BoolArray, counts: IntArray, labels: IntArray, over: bool) -> list[Sequences]:
    """The clusters of each position, as sequences of one."""
    bits = (required * 2 ** np.arange(len(required))[:, None]).sum(axis=0, dtype=np.int64)
    found = []
    for of_token, label in zip(entries, labels, strict=True):
        cluster = 4 * label + bits
        order = np.argsort(cluster, kind="stable")
        first = np.flatnonzero(np.diff(cluster[order], prepend=-1))
        extreme = (np.minimum if over else np.maximum).reduceat(of_token[order], first, axis=0)
        number = np.add.reduceat(counts[order], first).astype(np.float64)
        found.append(Sequences(extreme.T, number, bits[order[first]]))
    return found


def together(single: list[Sequences], axes: int) -> Sequences:
    """All sequences of one from each, in order."""
    nothing = Sequences(np.zeros((axes, 1), np.int64), np.ones(1), np.zeros(1, np.int64))
    return reduce(Sequences.then, single, nothing)
