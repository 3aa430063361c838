"""Which outputs could beat the maximum, and the integers that stand for their margins.

Fix the last token q and the maximum m >= q.  By the additive margin (`additive`) an input x is answered wrongly
exactly if for some output o != m

    S_o(x) = sum_p h_o[p, x_p] <= 0,    h_o[p, t] = w(q, t) e(q, p) ( EU_D[q] + EVOU_D[t] + PVOU_D[p] ),

with w, e > 0 and X_D[r] = X[r, m] - X[r, o].  All that follows depends on the signs of the S_o only, so each may be
multiplied by a positive number.

Screening lemma.  Let P = min_p PVOU_D[p], g[t] = w(q, t) (EU_D[q] + EVOU_D[t] + P), low = min_{t <= m} g[t], and

    B = low * sum_{p < n} e(q, p) + e(q, n) g[q] + ( (g[m] - low) * min_{p < n} e(q, p)   if q < m, else 0 ),

sums and minima over the first n - 1 positions.  If B > 0, then S_o(x) > 0 for every input with last token q and
maximum m.

Proof.  h_o[p, t] >= e(q, p) g[t] >= e(q, p) low.  If q < m, some position r < n holds m; there the term is at least
e(q, r) g[m] = e(q, r) low + e(q, r) (g[m] - low), where g[m] - low >= 0.  Add up.

Integers.  `class_margins` returns integers L <= c_o 2^k h_o <= H for the outputs that the lemma leaves, with numbers
c_o > 0 and k that may be anything.  So sum L > 0 proves S_o > 0, and sum H <= 0 proves S_o <= 0.  They are at most
2^52, so sums over up to 2^10 positions are exact in 64 bits.

Ties.  S_o = 0 is a wrong answer, but one that nothing here proves.  `to_grid` moves L and H outward by at least 1, so
L < c_o 2^k h_o < H, and sum H <= 0 proves even S_o < 0; and no enclosure of 0 is certainly negative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, FloatArray, IntArray, certainly_positive, midpoint, to_grid
from compactproofs.networks.attention_only import circuits
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.core.additive import position_weights, token_weights

MAX_POSITIONS = 2**10
_CHUNK = 2**15  # entries held at once: queries x tokens x outputs
_UNIT_BITS = 36
_EDGES = 2.0 * 4.0 ** np.arange(12)  # of weights


@dataclass(frozen=True)
class ClassMargins:
    """Inputs with one last token and maximum, and what decides about them.

    The other n - 1 positions hold any of T tokens, the last of which is the maximum, and a token of each set required.
    `low`, `high`: shape (n - 1, T, r) over (position, token, output), and `low_last`, `high_last`, shape (r,), for the
    last position: L and H of this module.  `required`: shape (sets, T).  `weight`: shape (T,), the attention to each
    token over that to the larger of query and maximum, roughly: for choices only.  `terms`: what L and H were made
    from, shape (n, T, r), and `query`, the last token, where these are at hand.
    """

    low: IntArray
    high: IntArray
    low_last: IntArray
    high_last: IntArray
    required: BoolArray
    weight: FloatArray
    terms: Array | None = None
    query: int = 0

    @property
    def size(self) -> int:
        """The number of these inputs, by inclusion and exclusion over the sets that are missed."""
        positions, tokens, _ = self.low.shape
        size = 0
        for missed in product((False, True), repeat=len(self.required)):
            left = tokens - int(self.required[list(missed)].any(axis=0).sum())
            size += (-1) ** sum(missed) * left**positions
        return size

    def parts(self, work: Work) -> list[ClassMargins]:
        """The same inputs, split by the weight of their heaviest token; the maximum is taken to weigh nothing.

        Sums of one part are of one order of magnitude, so that one grid suits them; integers are found anew for each.
        """
        if len(self.required) > 1 or len(self.low) == 0:
            return [self]
        weight = self.weight.copy()
        weight[-1] = 0.0
        edges = [0.0, *(float(e) for e in _EDGES if (weight > e).any()), np.inf]
        if len(edges) == 2:
            return [self]
        parts = []
        for below, above in pairwise(edges):
            kept = ~(weight > above)
            required = self.required[:, kept]
            if below > 0.0:
                required = np.concatenate([required, (weight > below)[None, kept]])
            part = replace(self, low=self.low[:, kept], high=self.high[:, kept], required=required, weight=weight[kept])
            parts.append(part._finer(work, np.flatnonzero(kept))._doubtful(work))
        return parts

    def _finer(self, work: Work, tokens: IntArray) -> ClassMargins:
        """With integers for these tokens and the query alone, where the terms are at hand."""
        if self.terms is None:
            return self
        try:
            low, high = _grid(work, self.terms[:, np.append(tokens, self.query)], len(tokens) - 1)
        except OverflowError:
            return replace(self, terms=None)
        low, high, low_last, high_last = low[:-1, :-1], high[:-1, :-1], low[-1, -1], high[-1, -1]
        return replace(self, low=low, high=high, low_last=low_last, high_last=high_last, terms=None)

    def _doubtful(self, work: Work) -> ClassMargins:
        """With those outputs only whose least sum of integers, with a token of each set somewhere, is not positive."""
        least = self.low.min(axis=1)
        smallest = least.sum(axis=0) + self.low_last
        above = (self.low - least[:, None]).min(axis=0)
        left = smallest <= 0
        for members in self.required:
            if members.any():
                left &= smallest + above[members].min(axis=0) <= 0
        work.charge(int_ops=2 * self.low.size)
        low, high, low_last, high_last = (x[..., left] for x in (self.low, self.high, self.low_last, self.high_last))
        return replace(self, low=low, high=high, low_last=low_last, high_last=high_last)


def doubtful_outputs(work: Work, m: int) -> BoolArray:
    """Shape (m + 1, v) over (query, output): False where the screening lemma excludes it.  Cost about 3 m^2 v."""
    n = work.network.n_ctx
    tokens = circuits.EVOU(work)[: m + 1]
    positions, direct = circuits.PVOU(work), circuits.EU(work)[: m + 1]
    of_token = (tokens[:, m, None] - tokens) + (positions[:, m, None] - positions).min(axis=0)
    of_query = direct[:, m, None] - direct
    weights, places = token_weights(work)[: m + 1, : m + 1], position_weights(work)[: m + 1]
    step = max(1, _CHUNK // of_token.size)
    doubtful = []
    for start in range(0, m + 1, step):
        queries = np.arange(start, min(start + step, m + 1))
        g = weights[queries][:, :, None] * (of_token + of_query[queries][:, None, :])
        place = places[queries]
        last = place[:, n - 1, None] * g[np.arange(len(queries)), queries]
        if n == 1:
            bound = last
        else:
            low = g.min(axis=1)
            bound = place[:, : n - 1].sum(axis=1)[:, None] * low + last
            forced = place[:, : n - 1].min(axis=1)[:, None] * (g[:, m] - low)
            bound = bound + np.where((queries < m)[:, None], forced, 0.0)
        doubtful.append(~certainly_positive(bound))
    result = np.concatenate(doubtful)
    result[:, m] = False
    return result


def class_margins(work: Work) -> Iterator[ClassMargins | tuple[int, int]]:
    """All classes that hold an input which could be wrong; (query, maximum) alone where nothing can be computed.

    In every input of a class that is left out, all margins are positive.
    """
    n = work.network.n_ctx
    for m in range(work.network.d_vocab):
        doubtful = doubtful_outputs(work, m)
        tokens, positions = circuits.EVOU(work)[: m + 1], circuits.PVOU(work)
        for query in range(m + 1) if n > 1 else (m,):
            outputs = np.flatnonzero(doubtful[query])
            if outputs.size:
                found = _integers(work, query, m, outputs, tokens, positions)
                if found is not None:
                    yield found


def _integers(
    work: Work, query: int, m: int, outputs: IntArray, tokens: Array, positions: Array
) -> ClassMargins | tuple[int, int] | None:
    """The class with those of the outputs whose least sum of integers is not positive; None if there is none."""
    terms = _terms(work, query, m, outputs, tokens, positions)
    try:
        low, high = _grid(work, terms, m)
    except OverflowError:
        return query, m
    least = low[:-1].min(axis=1)
    smallest = least.sum(axis=0) + low[-1, query]
    if query < m:
        smallest = smallest + (low[:-1, m] - least).min(axis=0)
    left = smallest <= 0
    work.charge(int_ops=low.size)
    if not left.any():
        return None
    low, high = low[:, :, left], high[:, :, left]
    required = np.zeros((0 if query == m else 1, m + 1), np.bool_)
    required[:, m] = True
    weight = _weight(work, query, m)
    return ClassMargins(
        low[:-1], high[:-1], low[-1, query], high[-1, query], required, weight, terms[:, :, left], query
    )


def _weight(work: Work, query: int, m: int) -> FloatArray:
    """The weights of tokens over that of the larger of query and maximum; 0 where that is unknown."""
    weight = midpoint(token_weights(work))[query, : m + 1]
    with np.errstate(all="ignore"):
        relative = weight / max(weight[query], weight[m])
    return np.where(np.isfinite(relative), relative, 0.0)


def _terms(work: Work, query: int, m: int, outputs: IntArray, tokens: Array, positions: Array) -> Array:
    """h_o, shape (n, m + 1, outputs).  Cost about 2 n m outputs."""
    direct = circuits.EU(work)[query]
    of_token = (tokens[:, m, None] - tokens[:, outputs]) + (direct[m] - direct[outputs])
    of_position = positions[:, m, None] - positions[:, outputs]
    weights = position_weights(work)[query][:, None] * token_weights(work)[query, : m + 1]
    return weights[:, :, None] * (of_token + of_position[:, None, :])


def _grid(work: Work, terms: Array, m: int) -> tuple[IntArray, IntArray]:
    """L and H, where the maximum is at index m; OverflowError where a term is not known well enough.

    Terms are scaled so that the maximum's are 2^36, which makes outputs comparable, or less where that would take
    others beyond 2^49.
    """
    middle = midpoint(terms)
    with np.errstate(all="ignore"):
        at_maximum = 1.0 / middle[:, m].mean(axis=0)
        at_most = 2.0 ** (49 - _UNIT_BITS) / np.abs(middle).max(axis=(0, 1))
        scale = np.where(at_maximum > 0.0, np.minimum(at_maximum, at_most), at_most)
    work.charge(flops=2 * terms.size)
    scaled = terms * work.constant(np.where(np.isfinite(scale) & (scale > 0.0), scale, 1.0))
    return to_grid(scaled, 2.0**_UNIT_BITS)
