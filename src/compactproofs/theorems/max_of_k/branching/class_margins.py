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
2^52, so sums over up to 2^10 positions are exact in 64 bits.  Outputs are left out whose least sum of L is positive on
all sequences that hold a token of each set required: the sum of the least L, and what the best position adds to it when
it holds a token of the set.

Parts.  Let levels be any integers, one for each token.  The inputs whose highest level is k are those that hold only
tokens of levels up to k, and one of level k.  So `by_highest_level` returns disjoint parts that make up the class.

Ties.  S_o = 0 is a wrong answer, but one that nothing here proves.  `to_grid` moves L and H outward by at least 1, so
L < c_o 2^k h_o < H, and sum H <= 0 proves even S_o < 0; and no enclosure of 0 is certainly negative.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, IntArray, certainly_positive, midpoint, to_grid
from compactproofs.networks.attention_only import circuits
from compactproofs.tasks.max_of_k import boxes_of_class
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.core.additive import (
    additive_terms,
    position_weights,
    token_weights,
    values_of_maximum,
)

MAX_POSITIONS = 2**10
_CHUNK = 2**15  # entries held at once: queries x tokens x outputs
_UNIT_BITS = 36

Parts: TypeAlias = tuple[range, ...]  # disjoint, of indices of tokens
Weights: TypeAlias = tuple[IntArray, int]  # what each of the tokens counts, and what the query does


@dataclass(frozen=True)
class ClassMargins:
    """Inputs with one last token and maximum, and what decides about them.

    The other n - 1 positions hold any of the T `tokens`, the last of which is the maximum, and one of each set of
    `required`, shape (sets, T).  `low`, `high`: shape (n - 1, T, r) over (position, token, output), and `low_last`,
    `high_last`, shape (r,), for the last position: L and H of this module for these `outputs`, the only ones that could
    win.  `terms`: what L and H were made from, shape (n, T + 1, r), those of the query besides.
    """

    query: int
    tokens: IntArray
    outputs: IntArray
    low: IntArray
    high: IntArray
    low_last: IntArray
    high_last: IntArray
    required: BoolArray
    terms: Array
    #: What each of `tokens` counts, and what the query does: an input counts the product.
    counts: IntArray
    of_query: int

    @property
    def size(self) -> int:
        """What these inputs count together: without weights, their number."""
        return _weight_of_sequences(len(self.low), self.required, self.counts, self.of_query)

    def boxes(self) -> list[list[Parts]]:
        """The same inputs as disjoint boxes: at each position some parts of the tokens, none of them empty."""
        smaller, maximum = range(len(self.tokens) - 1), range(len(self.tokens) - 1, len(self.tokens))
        either: Parts = (smaller, maximum) if smaller else (maximum,)
        parts: list[Parts] = [(smaller,), (maximum,), either]
        boxes = boxes_of_class(len(self.low), len(self.required) == 0, *parts)
        return boxes if smaller else boxes[:1]

    def decided(self, work: Any, least: IntArray, most: IntArray) -> tuple[BoolArray, BoolArray]:
        """Of boxes with these sums lo and hi, shape (boxes, outputs): which are all wrong, and which all right."""
        return np.asarray((most <= 0).any(axis=1)), np.asarray((least > 0).all(axis=1))

    def signs(self, inputs: IntArray) -> Array:
        """Enclosures with the signs of the margins, shape (inputs, n) of indices of terms to (inputs, outputs)."""
        return self.terms[np.arange(inputs.shape[1]), inputs].sum(axis=1)

    def by_highest_level(
        self, work: Work, level: IntArray, wanted: Container[int] | None = None
    ) -> Iterator[tuple[int, ClassMargins | int]]:
        """The same inputs, split by the highest level of their tokens; parts of which nothing is known by their size.

        `level`: shape (T,).  Where levels tell how much attention tokens get, the sums of one part are of one order of
        magnitude, so that one grid suits them.  `wanted`: levels, if not all, of which more is wanted than the size, 0
        where no output could win.
        """
        levels = np.unique(level).tolist()
        for highest in levels:
            part = self if len(levels) == 1 else self._up_to(level, highest)
            if wanted is not None and highest not in wanted:
                yield highest, part.size if part.could_win().any() else 0
            else:
                yield highest, part if part is self else part.with_own_integers(work)

    def _up_to(self, level: IntArray, highest: int) -> ClassMargins:
        """The inputs that hold only tokens of levels up to this, and one of it, with the same integers."""
        kept = np.flatnonzero(level <= highest)
        required = np.concatenate([self.required, (level == highest)[None][: int(highest > level.min())]])[:, kept]
        return replace(
            self,
            tokens=self.tokens[kept],
            low=self.low[:, kept],
            high=self.high[:, kept],
            required=required,
            terms=self.terms[:, np.append(kept, len(level))],
            counts=self.counts[kept],
        )

    @cached_property
    def conditions(self) -> Conditions:
        """Which sequences of the tokens these inputs have at the other positions."""
        return Conditions.of_sets(self.required)

    @property
    def by_sets(self) -> bool:
        """Whether nothing but `required` says which sequences."""
        return True

    def could_win(self) -> BoolArray:
        """For which outputs the integers do not show that all inputs are right."""
        return could_win(self.low, self.low_last, self.required)

    def with_own_integers(self, work: Work) -> ClassMargins | int:
        """The same inputs, with integers that know nothing of other tokens; their number where nothing is known."""
        weights = self.counts, self.of_query
        return _integers(work, self.terms, self.query, self.tokens, self.outputs, self.required, weights)


def _weight_of_sequences(positions: int, required: BoolArray, counts: IntArray, each: int) -> int:
    """What sequences that hold a token of each set count, times `each`: inclusion and exclusion over those missed."""
    size = 0
    for missed in product((False, True), repeat=len(required)):
        left = int(counts[~required[list(missed)].any(axis=0)].sum())
        size += (-1) ** sum(missed) * left**positions * each
    return size


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


def class_margins(
    work: Work, wanted: Container[tuple[int, int]] | None = None, maxima: Iterable[int] | None = None
) -> Iterator[ClassMargins | int]:
    """All classes that hold an input which could be wrong; those of which nothing is known by their size.

    In every input of a class that is left out, all margins are positive.  `wanted`: queries and maxima of classes, if
    not all, of which more than the size is wanted; `maxima`: those of the classes, if not all.
    """
    n = work.network.n_ctx
    for m in range(work.network.d_vocab) if maxima is None else maxima:
        doubtful = doubtful_outputs(work, m)
        for query in range(m + 1) if n > 1 else (m,):
            outputs = np.flatnonzero(doubtful[query])
            if outputs.size:
                tokens = np.arange(m + 1)
                required = np.zeros((0 if query == m else 1, m + 1), np.bool_)
                required[:, m] = True
                weights = work.task.counts[: m + 1], int(work.task.counts[query])
                if wanted is not None and (query, m) not in wanted:
                    yield _weight_of_sequences(n - 1, required, *weights)
                    continue
                values = values_of_maximum(work, m, outputs)
                terms = additive_terms(work, query, m, outputs, values)[:, np.append(tokens, query)]
                found = _integers(work, terms, query, tokens, outputs, required, weights)
                if isinstance(found, int) or found.outputs.size:
                    yield found


def _integers(
    work: Work, terms: Array, query: int, tokens: IntArray, outputs: IntArray, required: BoolArray, weights: Weights
) -> ClassMargins | int:
    """The inputs of these tokens, with those of the outputs that could win; their number where nothing is known."""
    try:
        low, high = grid(work, terms, len(tokens) - 1)
    except OverflowError:
        return _weight_of_sequences(len(terms) - 1, required, *weights)
    left = could_win(low[:-1, :-1], low[-1, -1], required)
    work.charge(int_ops=2 * low.size)
    low, high = low[..., left], high[..., left]
    return ClassMargins(
        query, tokens, outputs[left], low[:-1, :-1], high[:-1, :-1], low[-1, -1], high[-1, -1], required,
        terms[..., left], *weights,
    )  # fmt: skip


def could_win(low: IntArray, last: IntArray, required: BoolArray) -> BoolArray:
    """Of which outputs not all sums of these L are positive, on sequences that hold a token of each set."""
    least = low.min(axis=1)
    smallest = least.sum(axis=0) + last
    above = (low - least[:, None]).min(axis=0, initial=2**53)
    left: BoolArray = smallest <= 0
    for members in required:
        if members.any():
            left &= smallest + above[members].min(axis=0) <= 0
    return left


def grid(work: Any, terms: Array, label: int) -> tuple[IntArray, IntArray]:
    """L and H of tokens, and the query; OverflowError where a term is not known well enough.

    Terms are scaled so that the label's are 2^36, which makes outputs comparable, or less where that would take
    others beyond 2^49.
    """
    middle = midpoint(terms)
    with np.errstate(all="ignore"):
        at_label = 1.0 / middle[:, label].mean(axis=0)
        at_most = 2.0 ** (49 - _UNIT_BITS) / np.abs(middle).max(axis=(0, 1))
        scale = np.where(at_label > 0.0, np.minimum(at_label, at_most), at_most)
    work.charge(flops=2 * terms.size)
    factor = work.constant(np.where(np.isfinite(scale) & (scale > 0.0), scale, 1.0))
    some = max(1, _CHUNK // max(terms[0].size, 1))  # positions at once: what fits a cache is scaled faster
    parts = [to_grid(terms[p : p + some] * factor, 2.0**_UNIT_BITS) for p in range(0, len(terms), some)]
    low, high = (np.concatenate(side) for side in zip(*parts, strict=True))
    return low, high
