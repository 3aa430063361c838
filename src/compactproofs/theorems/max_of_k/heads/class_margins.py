"""Which outputs could beat the maximum, and integers that bound each head's average over boxes of inputs.

Fix the last token q and the maximum m >= q.  By the lemma on averages (`averages`) an input x is answered wrongly
exactly if for some output o != m

    EU_D[q] + sum_h R^h_o(x) <= 0,    R^h_o(x) = sum_p u^h_p(x_p) f^h_o(p, x_p) / sum_p u^h_p(x_p).

Screening lemma.  For one head and any number s let P = min_p PVOU_D[p], g[t] = w(q, t) (EVOU_D[t] + P - s),
low = min_{t <= m} g[t], and

    B = low * sum_{p < n} e(q, p) + e(q, n) g[q] + ( (g[m] - low) * min_{p < n} e(q, p)   if q < m, else 0 ),

sums and minima over the first n - 1 positions.  If B > 0, then R_o(x) > s for every input with last token q and
maximum m.

Proof.  u_p(t) (f_o(p, t) - s) >= e(q, p) g[t] >= e(q, p) low.  If q < m, some position r < n holds m; there the term
is at least e(q, r) g[m] = e(q, r) low + e(q, r) (g[m] - low), where g[m] - low >= 0.  Add up, and use the lemma on
thresholds.

So an output o is ruled out by numbers s^h with B^h > 0 for every head and EU_D[q] + sum_h s^h > 0.  The s^h are found
roughly, by Newton's method for the zero of B, which falls with s and is concave; they may be anything.

Box lemma.  For one head and output let c > 0 and s < s' be any numbers, and for every input x of a box

    L <= c sum_p u_p(x_p) (f_o(p, x_p) - s),    L' <= c sum_p u_p(x_p) (f_o(p, x_p) - s').

If L' >= 0, then R_o(x) >= s' for all of them.  If L >= 0 > L', then

    R_o(x) >= s + (s' - s) z,    z = L / (L - L').

Proof.  The first is the lemma on thresholds.  For the second let S and S' be the sums on the right of L and L'.  Such a
sum is affine in its s, so at (1 - z) s + z s' it is (1 - z) S + z S' >= (1 - z) L + z L' = 0, as 0 <= z < 1.

The same lemma for -R_o, with -s' < -s and integers below the negated sums, bounds R_o from above.  If L < 0, nothing is
known.  On a single input both bounds are R_o itself, up to the rounding of the integers, if s and s' are on both sides
of it.  They are, roughly, the least and the largest R_o of the class, and may be anything.

Ties are never decided: only what is certainly positive or negative is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from compactproofs.kernel.decisions import (
    Array,
    BoolArray,
    FloatArray,
    IntArray,
    certainly_positive,
    midpoint,
    to_grid,
)
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.core.additive import position_weights, token_weights
from compactproofs.theorems.max_of_k.heads.averages import HeadsWork, direct_path, heads

_CHUNK = 2**15  # entries held at once: queries x tokens x outputs
_ROUNDS = 5  # of Newton's method
_ROOM, _LEAST_ROOM = 2.0**-30, 2.0**-1000  # around the averages of a class, by the size of logits and at least


@dataclass(frozen=True, kw_only=True)
class HeadsMargins(ClassMargins):
    """A class of inputs, with L and L' of each head in place of one integer: the last axis is (head, L or L', output).

    `direct`: EU_D, shape (r,).  `thresholds`: s and s', shape (H, 2, r).  `weights`: u, shape (n, T + 1, H, 1).
    `terms`: u f, shape (n, T + 1, H, r).
    """

    direct: Array
    thresholds: FloatArray
    weights: Array

    def decided(self, work: HeadsWork, least: IntArray, most: IntArray) -> tuple[BoolArray, BoolArray]:
        """Which boxes are all wrong, and which all right."""
        right, wrong = self.by_output(work, least, most)
        return np.asarray(wrong.any(axis=1)), np.asarray(right.all(axis=1))

    def by_output(self, work: HeadsWork, least: IntArray, most: IntArray) -> tuple[BoolArray, BoolArray]:
        """Where the label certainly wins against an output, and where it loses, on the whole box: (boxes, outputs)."""
        above, known = _least_average(work, least, self.thresholds)
        below, bounded = _least_average(work, -np.flip(most, axis=1), -np.flip(self.thresholds))
        below, bounded = np.flip(below, axis=(1, 2)), np.flip(bounded, axis=(1, 2))
        right = certainly_positive(self.direct + above.sum(axis=1)) & known.all(axis=1)
        wrong = certainly_positive(below.sum(axis=1) - self.direct) & bounded.all(axis=1)
        return right, wrong

    def kept(self, outputs: BoolArray) -> HeadsMargins:
        """With these of the outputs only."""
        columns = np.arange(self.thresholds.size).reshape(self.thresholds.shape)[..., outputs].ravel()
        return replace(
            self,
            low=self.low[..., columns],
            high=self.high[..., columns],
            low_last=self.low_last[columns],
            high_last=self.high_last[columns],
            direct=self.direct[outputs],
            thresholds=self.thresholds[..., outputs],
            outputs=self.outputs[outputs],
            terms=self.terms[..., outputs],
        )

    def signs(self, inputs: IntArray) -> Array:
        """The margins."""
        positions = np.arange(inputs.shape[1])
        weights, written = self.weights[positions, inputs], self.terms[positions, inputs]
        return self.direct + (written.sum(axis=1) / weights.sum(axis=1)).sum(axis=1)


def _least_average(work: HeadsWork, sums: IntArray, thresholds: FloatArray) -> tuple[Array, BoolArray]:
    """The bound of the box lemma, and whether there is one: both of shape (boxes, heads, outputs).

    `sums`: L and L', shape (boxes, heads x 2 x outputs).  `thresholds`: s and s', shape (heads, 2, outputs).
    """
    pairs = sums.reshape(len(sums), *thresholds.shape)
    first, second = pairs[:, :, 0], pairs[:, :, 1]
    between = (first >= 0) & (second < 0)
    z = work.constant(np.where(between, first, 1)) / work.constant(np.where(between, first - second, 1))
    start, end = work.constant(thresholds[:, 0]), work.constant(thresholds[:, 1])
    work.charge(int_ops=2 * pairs.size)
    return start + (end - start) * z, (first >= 0) | (second >= 0)


@shared
def _size(work: HeadsWork) -> float:
    """About as large as logits may be."""
    tables = [
        direct_path(work),
        *(table for head in heads(work) for table in (circuits.EVOU(head), circuits.PVOU(head))),
    ]
    return sum(float(np.abs(midpoint(table)).max()) for table in tables)


@dataclass(frozen=True)
class _Places:
    """The weights of positions for some queries, and sums over positions that are at least so and so."""

    total: Array
    last: Array
    forced: Array

    def least(self, low: Array, at_query: Array, at_maximum: Array) -> Array:
        """B, shape (queries, outputs), from `low`, g[q] and g[m]."""
        return self.total * low + self.last * at_query + self.forced * (at_maximum - low)


def _places(places: Array, queries: IntArray, m: int) -> _Places:
    """`places`: e(q, p), shape (queries, n)."""
    before = places[:, :-1]
    total, last = before.sum(axis=1, keepdims=True), places[:, -1:]
    forced = np.where((queries < m)[:, None], before.min(axis=1, keepdims=True), 0.0) if before.shape[1] else 0.0 * last
    return _Places(total, last, forced)


def _of_tokens(work: Work, m: int) -> tuple[Array, Array, Array]:
    """EVOU_D, shape (m + 1, v), and the least and the largest PVOU_D, shape (v,)."""
    tokens, positions = circuits.EVOU(work)[: m + 1], circuits.PVOU(work)
    positions = positions[:, m, None] - positions
    return tokens[:, m, None] - tokens, positions.min(axis=0), positions.max(axis=0)


def _newton(weights: FloatArray, places: _Places, values: FloatArray, queries: IntArray, m: int) -> FloatArray:
    """Roughly the s at which B is 0, shape (queries, outputs), or a little more."""
    rows = np.arange(len(queries))
    s = np.broadcast_to(values.max(axis=0), (len(queries), values.shape[1]))
    for _ in range(_ROUNDS):
        g = weights[:, :, None] * (values - s[:, None])
        worst = g.argmin(axis=1)
        low = np.take_along_axis(g, worst[:, None], axis=1)[:, 0]
        slope = places.least(
            np.take_along_axis(weights, worst, axis=1), weights[rows, queries, None], weights[:, m, None]
        )
        s = s + places.least(low, g[rows, queries], g[:, m]) / slope
    return np.where(np.isfinite(s), s, 0.0)


def screened(work: HeadsWork, m: int) -> tuple[BoolArray, FloatArray]:
    """Which outputs the screening lemma leaves, shape (m + 1, v) over (query, output), and rough least averages.

    The second is of shape (H, m + 1, v).  Cost about 25 H m^2 v.
    """
    direct = direct_path(work)[: m + 1]
    of_query = direct[:, m, None] - direct
    of_heads = [(head, *_of_tokens(head, m)) for head in heads(work)]
    step = max(1, _CHUNK // ((m + 1) * direct.shape[1]))
    doubtful, rough = [], []
    for start in range(0, m + 1, step):
        queries = np.arange(start, min(start + step, m + 1))
        rows = np.arange(len(queries))
        chosen, parts = [], []
        for head, tokens, least_position, _ in of_heads:
            weights, values = token_weights(head)[queries, : m + 1], tokens + least_position
            places = _places(position_weights(head)[queries], queries, m)
            parts.append((weights, values, places))
            plain = _Places(*(np.asarray(midpoint(x)) for x in (places.total, places.last, places.forced)))
            chosen.append(_newton(midpoint(weights), plain, midpoint(values), queries, m))
            work.charge(flops=4 * _ROUNDS * weights.size * direct.shape[1])
        rough.append(np.stack(chosen))
        # What is left over makes up for what Newton's method and rounding lack.
        spare = np.maximum(midpoint(of_query)[queries] + rough[-1].sum(axis=0), 0.0) / (2 * len(parts))
        safe = np.ones(spare.shape, np.bool_)
        total = of_query[queries]
        for (weights, values, places), s in zip(parts, rough[-1], strict=True):
            threshold = work.constant(np.where(np.isfinite(s - spare), s - spare, s))
            g = weights[:, :, None] * (values - threshold[:, None])
            safe &= certainly_positive(places.least(g.min(axis=1), g[rows, queries], g[:, m]))
            total = total + threshold
        doubtful.append(~(safe & certainly_positive(total)))
    left = np.concatenate(doubtful)
    left[:, m] = False
    return left, np.concatenate(rough, axis=1)


def class_margins(work: HeadsWork) -> Iterator[HeadsMargins | int]:
    """All classes that hold an input which could be wrong; those of which nothing is known by their size.

    In every input of a class that is left out, all margins are positive.
    """
    for m in range(work.network.d_vocab):
        with np.errstate(all="ignore"):
            doubtful, rough = screened(work, m)
        for query in range(m + 1) if work.network.n_ctx > 1 else (m,):
            outputs = np.flatnonzero(doubtful[query])
            if outputs.size:
                found = _margins(work, query, m, outputs, rough[:, query, outputs])
                if found is not None:
                    yield found


def _margins(work: HeadsWork, query: int, m: int, outputs: IntArray, rough: FloatArray) -> HeadsMargins | int | None:
    """The class with those of the outputs that its largest box leaves open; None if there is none."""
    direct = direct_path(work)[query]
    direct = direct[m] - direct[outputs]
    weights, values, top = [], [], []
    for head in heads(work):
        tokens, _, largest = _of_tokens(head, m)
        positions = circuits.PVOU(head)
        of_position = (positions[:, m, None] - positions)[:, outputs]
        weights.append(position_weights(head)[query][:, None] * token_weights(head)[query, : m + 1])
        values.append(tokens[:, outputs] + of_position[:, None])
        top.append(midpoint((tokens + largest).max(axis=0))[outputs])
    with np.errstate(all="ignore"):
        room = _ROOM * _size(work) + _LEAST_ROOM  # a head may hardly tell an output from the maximum
        span = np.maximum(top - rough, 0.0) + 2 * room
        s = np.stack([rough - room, rough - room + span], axis=1)
    u, f = np.stack(weights, axis=2)[:, :, :, None], np.stack(values, axis=2)
    if not np.isfinite(s).all():
        return work.task.class_size(query, m)
    try:
        low, high = _integers(work, u[:, :, :, None] * (f[:, :, :, None] - s))
    except OverflowError:
        return work.task.class_size(query, m)
    required = np.zeros((0 if query == m else 1, m + 1), np.bool_)
    required[:, m] = True
    and_query = np.append(np.arange(m + 1), query)
    margins = HeadsMargins(
        low=low[:-1],
        high=high[:-1],
        low_last=low[-1, query],
        high_last=high[-1, query],
        required=required,
        query=query,
        tokens=np.arange(m + 1),
        outputs=outputs,
        direct=direct,
        thresholds=s,
        counts=work.task.counts[: m + 1],
        of_query=int(work.task.counts[query]),
        weights=u[:, and_query],
        terms=(u * f)[:, and_query],
    )
    least = margins.low.min(axis=1).sum(axis=0) + margins.low_last
    most = margins.high.max(axis=1).sum(axis=0) + margins.high_last
    right, _ = margins.by_output(work, least[None], most[None])
    return margins.kept(~right[0]) if not right.all() else None


def _integers(work: HeadsWork, terms: Array) -> tuple[IntArray, IntArray]:
    """Integers below and above c times the terms, shape (n, T, H, 2, r) to (n, T, 2 H r); sums of n are below 2^52."""
    n, tokens = terms.shape[:2]
    with np.errstate(all="ignore"):
        scale = 1.0 / np.abs(midpoint(terms)).max(axis=(0, 1, 3))[:, None]
    work.charge(flops=2 * terms.size)
    scaled = terms * work.constant(np.where(np.isfinite(scale), scale, 1.0))
    low, high = to_grid(scaled, 2.0 ** (50 - n.bit_length()))
    if n * max(-int(low.min()), int(high.max())) >= 2**52:  # so that differences of sums are floats
        raise OverflowError("a sum of terms does not fit 52 bits")
    return low.reshape(n, tokens, -1), high.reshape(n, tokens, -1)
