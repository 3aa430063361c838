"""Which tokens to join to clusters, and where to have points, when sums are counted: choices that need no trust."""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.theorems.max_of_k.counting import both_ends
from compactproofs.theorems.max_of_k.counting.histogram import EDGES

_MOST_JOINED = 96  # tokens of which all unions are tried
_KNOTS, _TAIL, _EVENLY = 300, 5, 0.4  # of sums, edges beyond these, and how evenly others lie


def for_all(labels: IntArray | None, tokens: IntArray, v: int) -> IntArray | None:
    """Labels of these tokens, shape (P, T), as hints have them for all, (P, v); None stays None: each is alone."""
    if labels is None:
        return None
    found = np.zeros((len(labels), v), np.int64)
    found[:, tokens] = labels
    return found


def edges_near(on_the_way: IntArray, reach: int) -> IntArray:
    """Edges of points that are close to each other where these sums are, and reach so far; shape (EDGES,)."""
    if on_the_way.size == 0:
        return np.full(EDGES, 2**15)
    on_the_way = np.sort(on_the_way)
    inner = np.unique(np.append(on_the_way[:: max(1, len(on_the_way) // _KNOTS)], on_the_way[-1:])).astype(float)
    number = EDGES - 2 * _TAIL
    share = np.append(0.0, np.cumsum(np.diff(inner) ** _EVENLY))
    edges = np.interp(np.linspace(0.0, share[-1], number), share, inner)
    unit = max(1.0, (inner[-1] - inner[0]) / number)
    low, high = (
        unit * (max(length, unit) / unit) ** np.linspace(0.0, 1.0, _TAIL)
        for length in (inner[0] + reach, reach - inner[-1])
    )
    return codes_of(np.concatenate([inner[0] - low[::-1], edges, inner[-1] + high]))


def codes_of(numbers: FloatArray) -> IntArray:
    """The edges that stand for numbers, or for others that are a little less in size."""
    size = np.clip(np.abs(np.round(numbers)), 0.0, 2.0**52)
    mantissa, exponent = np.frexp(size)
    parts = ((2.0 * mantissa - 1.0) * 2**both_ends.MANTISSA).astype(np.int64)
    code = ((exponent - 1).astype(np.int64) << both_ends.MANTISSA) + parts
    return 2**15 + np.where(size < 1.0, 0, np.sign(numbers) * np.maximum(code, 1)).astype(np.int64)


class Joining:
    """Tokens joined to clusters, where that changes the entries least for what it saves."""

    def __init__(self, entries: IntArray, kind: IntArray) -> None:
        """For entries of shape (P, T, r); tokens of different kinds, shape (T,), stay apart."""
        self.positions, self.every, _ = entries.shape
        entries = entries if self.positions else np.zeros((1, *entries.shape[1:]), np.int64)
        self.alike, first = _alike(entries, kind)
        together = np.stack([np.minimum.reduceat(of_position[first[0]], first[1]) for of_position in entries])
        self.tokens, sizes = len(first[1]), np.bincount(self.alike)
        self.kept, self.joined, losses = _unions(together, kind[first[0][first[1]]], sizes)
        # What a union saves is a share of the sequences: the logarithm of their number.  Its price is what it loses for
        # that, and no less than that of those before it, without which it cannot be had.
        self.saved = np.log(np.arange(self.tokens, 1, -1) / np.arange(self.tokens - 1, 0, -1))[: len(losses)]
        self.price = np.maximum.accumulate(losses / self.saved[:, None], axis=0)

    def labels(self, tokens: int | None) -> IntArray:
        """Labels of shape (P, T), with so many clusters at a position on average, if that can be; or each alone."""
        if tokens is None:
            return np.tile(np.arange(self.every), (self.positions, 1))
        labels = np.tile(np.arange(self.tokens), (self.positions, 1))
        excess = self.positions * np.log(self.tokens / tokens)
        if excess > 0.0:
            cheapest = np.argsort(self.price, axis=None, kind="stable")
            saved = np.cumsum(self.saved[cheapest // self.positions])
            cheapest = cheapest[: np.searchsorted(saved, excess) + 1]
            done = np.bincount(cheapest % self.positions, minlength=self.positions)
            positions = np.arange(self.positions)
            for step in reversed(range(done.max(initial=0))):  # so that what is kept has its final label
                these = positions[done > step]
                labels[these, self.joined[step, these]] = labels[these, self.kept[step, these]]
        return labels[:, self.alike]


def _alike(entries: IntArray, kind: IntArray) -> tuple[IntArray, tuple[IntArray, IntArray]]:
    """Groups of tokens that are hardly different, few enough to try all unions, shape (T,).

    And tokens in order of these, with the first of each.
    """
    heaviest = entries[int(np.ptp(entries, axis=1).sum(axis=1).argmax())]
    width = np.maximum(np.ptp(heaviest, axis=0) >> 20, 1)
    alone = len(kind) <= _MOST_JOINED
    while True:
        rows = np.column_stack([kind, np.arange(len(kind)) if alone else (heaviest + width // 2) // width])
        order = np.lexsort(rows.T)
        new = np.append(True, (np.diff(rows[order], axis=0) != 0).any(axis=1))
        if alone or new.sum() <= max(_MOST_JOINED, len(np.unique(kind))) or width.max() > 2**60:
            groups = np.zeros(len(kind), np.int64)
            groups[order] = np.cumsum(new) - 1
            return groups, (order, np.flatnonzero(new))
        width *= 2


def _unions(entries: IntArray, kind: IntArray, sizes: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Which cluster is kept, which is joined to it, and what that loses, one union after the other; shape (any, P).

    Clusters whose union lowers the entries least, on all axes together, are joined first.
    """
    positions, tokens, _ = entries.shape
    # Axes come first: sums over two entries are slow along the last one.
    lowest = np.ascontiguousarray(np.moveaxis(entries, 2, 0), np.float64)
    unit = np.abs(lowest - np.median(lowest, axis=2, keepdims=True)).mean(axis=(1, 2))
    lowest /= np.where(unit > 0.0, unit, 1.0)[:, None, None]
    size = np.tile(sizes.astype(np.float64), (positions, 1))

    def loss(a: FloatArray, number: FloatArray, b: FloatArray, other: FloatArray) -> FloatArray:
        """How much the entries of two clusters fall together when they are joined."""
        joint: FloatArray = np.minimum(a, b)
        lost: FloatArray = number * (a - joint).sum(axis=0) + other * (b - joint).sum(axis=0)
        return lost

    apart = kind[:, None] != kind
    np.fill_diagonal(apart, True)
    losses = loss(lowest[..., None], size[..., None], lowest[:, :, None], size[:, None])
    losses[:, apart] = np.inf
    each = np.arange(positions)
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    for _ in range(tokens - len(np.unique(kind))):
        kept, joined = np.divmod(losses.reshape(positions, -1).argmin(axis=1), tokens)
        found.append((kept, joined, losses[each, kept, joined]))
        lowest[:, each, kept] = np.minimum(lowest[:, each, kept], lowest[:, each, joined])
        size[each, kept] += size[each, joined]
        new = loss(lowest[:, each, kept, None], size[each, kept][:, None], lowest, size)
        new[np.isinf(losses[each, kept])] = np.inf  # itself, other kinds, and what was joined before
        losses[each, joined] = losses[each, :, joined] = np.inf
        new[each, joined] = np.inf
        losses[each, kept] = losses[each, :, kept] = new
    shape = (len(found), positions)
    kept, joined, lost = (np.array([one[axis] for one in found]).reshape(shape) for axis in range(3))
    return kept.astype(np.int64), joined.astype(np.int64), lost
