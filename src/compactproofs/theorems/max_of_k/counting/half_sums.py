"""Counting sequences by sums of table entries, meeting in the middle.

The problem is that of `sums`: given integers a[p, t, j] of shape (P, T, r), a start s[j] and sets of tokens,
how many sequences x of P tokens hold a token of each of the sets and have s[j] + sum_p a[p, x_p, j] <= 0 on all axes?

Theorem.  `count_in_halves` returns an integer that is at least (`over`), or at most (not over), their number, for every
partition into clusters and all ranks that it may choose.

Proof.  Clusters: at each position the tokens are partitioned into clusters that do not split or join the required sets,
and the entries of a token are replaced by the least (over) or largest (not over) of its cluster.  So sums only fall
(rise), and no sequence is lost (gained); sequences of the same clusters are counted by one product of their numbers.
Halves: let w be the sums over the first h positions, and u the start plus those over the others.  The condition is
w[j] <= -u[j].  Ranks: let rho[j] be non-decreasing functions on the integers.  Then w <= t implies rho(w) <= rho(t),
and is implied by rho(w) < rho(t + 1).  So it is enough, for each u, to count the w with rho(w[j]) <= rho(-u[j]), or
with <= rho(1 - u[j]) - 1: a table lookup after cumulative sums.  Only those w count that meet the sets that u does not.

Ranks come from 2^16 equal bins between the least and the largest w, several of which may share one, with 0 below and
N + 1 above.  Bins that hold many u and w get ranks of their own.

Floating point: as in `sums`, all terms are non-negative.  The sequences of the second half are put together from
two parts, and looked up in blocks.  So each term passes through at most as many additions as there are w, sequences of
each part, ranks on all axes, and blocks, and some 2 P products.  All are counted twice, since a product of matrices may
round by 2u (`kernel.enclosure`), and (1 - 2u)^M >= 1 - 2 M u and (1 + 2u)^M <= 1 / (1 - 2 M u).

Cost: for c clusters, c^(P - h) lookups of 2 floating-point and 6 r integer operations, r (N + 1)^r for a table, and
6 r P T^2 for choosing clusters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from compactproofs.kernel.decisions import BoolArray, FloatArray, IntArray
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.counting.sums import rounded

_BINS = 2**16
_BLOCK = 2**15  # sequences looked up at once
_EVEN = 0.5  # so many ranks are spread evenly for one that goes where many sequences are


@dataclass(frozen=True)
class _Sequences:
    """Sequences of clusters at some positions.

    `sums`: shape (r, sequences); `number`: how many sequences of tokens each stands for; `met`: which sets they meet,
    as bits; both of shape (sequences,).
    """

    sums: IntArray
    number: FloatArray
    met: IntArray

    def then(self, other: _Sequences) -> _Sequences:
        """Every sequence of this with every one of the other."""
        return _Sequences(
            (self.sums[:, :, None] + other.sums[:, None]).reshape(len(self.sums), -1),
            np.outer(self.number, other.number).ravel(),
            np.bitwise_or.outer(self.met, other.met).ravel(),
        )

    def meeting(self, bits: int) -> _Sequences:
        """Those that meet these sets exactly."""
        these = self.met == bits
        return _Sequences(self.sums[:, these], self.number[these], self.met[these])


def count_in_halves(
    work: Work, entries: IntArray, start: IntArray, required: BoolArray, clusters: int, ranks: int, over: bool
) -> int:
    """A bound on the number of sequences with all sums at most 0: from above if `over`, else from below.

    `entries`: a, shape (P, T, r), with P at most 64 and r at most 2; `start`: s, shape (r,); all below 2^53.
    `required`: shape (sets, T).
    """
    positions, _, axes = entries.shape
    if axes > 2 or len(required) > 2 or positions > 64:
        raise ValueError("at most two sums, two sets of tokens and 64 positions are supported")
    if any(int(start[j]) + int(entries[:, :, j].min(axis=1).sum()) > 0 for j in range(axes)):
        return 0
    bits = (required * 2 ** np.arange(len(required))[:, None]).sum(axis=0, dtype=np.int64)
    labels = _clusters(work, entries if over else -entries, bits, clusters)
    single = [_merge(entries[p], bits, labels[p], over) for p in range(positions)]
    nothing = _Sequences(np.zeros((axes, 1), np.int64), np.ones(1), np.zeros(1, np.int64))
    half, last = positions // 2, max(positions // 2, positions - 2)
    w, first, second = (
        reduce(_Sequences.then, part, nothing) for part in (single[:half], single[half:last], single[last:])
    )
    first = replace(first, sums=first.sums + start[:, None] - (0 if over else 1))

    some = np.unique(np.arange(2 * _BLOCK // len(second.number) + 1) * 0x9E3779B1 % len(first.number))
    limits = -(first.sums[:, some, None] + second.sums[:, None]).reshape(axes, -1)
    scales = [_Ranks.choose(w.sums[j], limits[j], ranks, over) for j in range(axes)]
    tables: dict[int, FloatArray] = {}
    total, sequences, blocks = 0.0, 0, 0
    for outer in [first.meeting(met) for met in np.unique(first.met)]:
        for inner in [second.meeting(met) for met in np.unique(second.met)]:
            needed = (2 ** len(required) - 1) & ~int(outer.met[0] | inner.met[0])
            if needed not in tables:
                tables[needed] = _table(w, needed, scales, ranks)
                work.charge(flops=axes * tables[needed].size)
            table = tables[needed]
            # Some have no w below their limits, whatever follows.
            far = -outer.sums - inner.sums.min(axis=1)[:, None] < np.array([[scale.least] for scale in scales])
            near = np.flatnonzero(~far.any(axis=0))
            step = max(1, _BLOCK // len(inner.number))
            for block in np.split(near, range(step, len(near), step)):
                cell = np.zeros((1, 1), np.int64)
                for j, scale in enumerate(scales):
                    limit = -outer.sums[j, block, None] - inner.sums[j]
                    cell = cell * (ranks + 1) + scale.of_limits(limit)
                total += float(outer.number[block] @ (np.take(table, cell) @ inner.number))
                blocks += 1
            sequences += len(near) * len(inner.number)
    work.charge(flops=2 * sequences, int_ops=6 * axes * (sequences + len(w.number)))
    passed = len(w.number) + len(first.number) + len(second.number) + axes * (ranks + 1) + blocks
    return rounded(total, 2 * (passed + 2 * positions + 32), over)


def _table(w: _Sequences, needed: int, scales: list[_Ranks], ranks: int) -> FloatArray:
    """How many w that meet the needed sets have ranks up to these on each axis; flat."""
    meets = (w.met & needed) == needed
    cell = np.zeros(1, np.int64)
    for scale, sums in zip(scales, w.sums, strict=True):
        cell = cell * (ranks + 1) + scale.of_sums(sums[meets])
    number = np.broadcast_to(w.number[meets], cell.shape) if meets.any() else np.zeros(0)
    in_cells = np.bincount(cell[: len(number)], weights=number, minlength=(ranks + 1) ** len(scales))
    table: FloatArray = np.cumsum(in_cells.reshape(-1, ranks + 1), axis=1, dtype=np.float64)
    # Row by row is much faster than NumPy's cumulative sum along the leading axis.
    if len(scales) == 2:
        for row in range(1, len(table)):
            table[row] += table[row - 1]
    return table.reshape(-1)


@dataclass(frozen=True)
class _Ranks:
    """rho of one axis: a rank for each of 2^16 bins, which are 2^`shift` wide from `least` on."""

    least: int
    shift: int
    sums: IntArray
    limits: IntArray

    @classmethod
    def choose(cls, sums: IntArray, limits: IntArray, ranks: int, over: bool) -> _Ranks:
        """Ranks that bins with many sums and limits do not share; 1 ... `ranks`, and one more on either side."""
        least, largest = int(sums.min()), int(sums.max())
        shift = max(0, (largest - least).bit_length() - (_BINS.bit_length() - 1))
        of_limits = np.clip((limits - least) >> shift, -1, _BINS)
        both = (
            np.bincount((sums - least) >> shift, minlength=_BINS)
            * np.bincount(of_limits + 1, minlength=_BINS + 2)[1:-1]
        )
        worth = np.sqrt(both)
        share = np.cumsum(worth + (worth.sum() + 1.0) * _EVEN / _BINS)
        rank = np.zeros(_BINS + 2, np.int64)
        rank[1:-1] = np.minimum((share / share[-1] * ranks).astype(np.int64), ranks - 1) + 1
        rank[-1] = ranks + 1
        return cls(least, shift, rank[1:-1], np.minimum(rank, ranks) if over else np.maximum(rank - 1, 0))

    def of_sums(self, sums: IntArray) -> IntArray:
        """rho of the sums from which it was made."""
        ranks: IntArray = self.sums[(sums - self.least) >> self.shift]
        return ranks

    def of_limits(self, limits: IntArray) -> IntArray:
        """Up to which rank sums count that shall not exceed these limits."""
        bins: IntArray = limits - self.least
        bins >>= self.shift
        np.clip(bins, -1, _BINS, out=bins)
        bins += 1
        ranks: IntArray = self.limits[bins]
        return ranks


def _clusters(work: Work, entries: IntArray, bits: IntArray, most: int) -> IntArray:
    """Labels of shape (P, T): at each position, at most `most` clusters of tokens with equal bits, if that can be.

    Clusters whose union lowers the entries least, on all axes together, are joined first.  Any labels are sound.
    """
    positions, tokens, axes = entries.shape
    labels = np.tile(np.arange(tokens), (positions, 1))
    if tokens <= most or positions == 0:
        return labels
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

    apart = bits[:, None] != bits
    np.fill_diagonal(apart, True)
    losses = loss(lowest[..., None], size[..., None], lowest[:, :, None], size[:, None])
    losses[:, apart] = np.inf
    each = np.arange(positions)
    for _ in range(tokens - most):
        kept, joined = np.divmod(losses.reshape(positions, -1).argmin(axis=1), tokens)
        if not np.isfinite(losses[each, kept, joined]).all():
            break
        labels = np.where(labels == joined[:, None], kept[:, None], labels)
        lowest[:, each, kept] = np.minimum(lowest[:, each, kept], lowest[:, each, joined])
        size[each, kept] += size[each, joined]
        new = loss(lowest[:, each, kept, None], size[each, kept][:, None], lowest, size)
        new[np.isinf(losses[each, kept])] = np.inf  # itself, other bits, and what was joined before
        losses[each, joined] = losses[each, :, joined] = np.inf
        new[each, joined] = np.inf
        losses[each, kept] = losses[each, :, kept] = new
    work.charge(flops=6 * axes * positions * tokens**2, int_ops=positions * tokens**2 * (tokens - most))
    return labels


def _merge(entries: IntArray, bits: IntArray, labels: IntArray, over: bool) -> _Sequences:
    """The clusters of one position: entries of shape (T, r)."""
    order = np.argsort(labels, kind="stable")
    first = np.flatnonzero(np.diff(labels[order], prepend=-1))
    extreme = (np.minimum if over else np.maximum).reduceat(entries[order], first, axis=0)
    return _Sequences(extreme.T, np.diff(first, append=len(order)).astype(np.float64), bits[order[first]])
