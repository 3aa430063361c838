"""Bounding attention scores: EQKE[q, k] = approximation[q, k] + remainder[q, k].

Each choice gives a table `approximation` of shape (v, v) and numbers `spread`, shape (v,), with

    |remainder[q, k] - remainder[q, l]| <= spread[q]     for all q, k, l.

EQKE is the product of E_q / sqrt(h), Q, K^T and E-^T.  Rank-one parts are taken out along hinted directions
(`peel`), and the approximation is their sum; the remainder is the product of the residual factors.

exact_EQKE+max_diff_exact.  The approximation is EQKE and the spread 0.
max_diff_exact.  One direction for queries and one for keys are taken out; the remainder is multiplied out.
svd.  The same remainder R = A B^T with A = E' Q K^T (v x d) and B = the residual key embedding (v x d).  With B' = B
    minus its mean row, spread[q] = sqrt(2) |A[q] B'^T|, and |A[q] B'^T|^2 = A[q] (B'^T B') A[q]^T needs only the d x d
    Gram matrix.  Proof: R[q, k] - R[q, l] = A[q] B'^T (e_k - e_l), and |e_k - e_l| <= sqrt(2).  This is at most the
    paper's sqrt(2) sigma_1(R), and needs no bound on a singular value.  A negative value under the root, from
    rounding, is inside the enclosure of the root of a number that is not negative.
max_diff, mean+max_diff.  The same remainder, never multiplied out: `spread_at_best_cut`.
max_diff_subproduct, mean+max_diff_subproduct.  Also a second direction is taken out of both embeddings and one out of
    each of Q and K; then as before.
...max_diff_subproduct_recursive.  The same residual factors, by `spread_without_products`.

Source: appendix on the QK circuit in arXiv 2406.11779; taking the best cut for each row, and the svd choice, are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.subcubic.hints import HintedVector
from compactproofs.theorems.max_of_k.subcubic.peel import PeeledProduct
from compactproofs.theorems.max_of_k.subcubic.spread import row_spread, spread_at_best_cut, spread_without_products

EXACT = "exact_EQKE+max_diff_exact"
RECURSIVE_KINDS = (
    "max_diff_subproduct_recursive",
    "mean+max_diff_subproduct_recursive",
    "mean_recursive+max_diff_subproduct_recursive",
)
KINDS = (
    EXACT,
    "max_diff_exact",
    "svd",
    "max_diff",
    "mean+max_diff",
    "max_diff_subproduct",
    "mean+max_diff_subproduct",
    *RECURSIVE_KINDS,
)


class Directions(NamedTuple):
    """Hinted directions: for queries and keys (v entries each), twice; for W_Q and W_K (d entries each)."""

    query: HintedVector
    key: HintedVector
    second_query: HintedVector | None = None
    second_key: HintedVector | None = None
    of_Q: HintedVector | None = None
    of_K: HintedVector | None = None


class Scores(NamedTuple):
    """`approximation`, shape (v, v) over (query, key token), and `spread`, shape (v,) over queries."""

    approximation: Array
    spread: Array


@shared
def scores(work: Work, kind: str, directions: Directions | None) -> Scores:
    """The attention scores by one of `KINDS`; all but the exact one need directions."""
    if kind == EXACT:
        return Scores(circuits.EQKE(work), work.constant(np.zeros(work.network.d_vocab)))
    if directions is None or kind not in KINDS:
        raise ValueError(f"unknown remainder {kind!r}, or no directions for it")
    factors, approximation = residual_factors(work, directions)
    return Scores(approximation, spread_of_product(factors, kind))


def spread_of_product(factors: Sequence[Array], kind: str) -> Array:
    """`spread` for the remainder F_0 F_1 F_2 F_3, by one of `KINDS` but the exact one; shape (v,).

    `factors`: shapes (v, d), (d, h), (h, d) and (d, v).
    """
    first, second, third, last = factors
    if kind == "max_diff_exact":
        return row_spread((first @ second) @ (third @ last))
    if kind == "svd":
        return _spread_by_norm(first @ second @ third, last)
    mean = kind.startswith("mean+")
    if kind in RECURSIVE_KINDS:
        everywhere = kind.startswith("mean_recursive+")
        return spread_without_products(factors, mean or everywhere, everywhere)
    return spread_at_best_cut(factors, mean)


@shared
def residual_factors(work: Work, directions: Directions) -> tuple[tuple[Array, ...], Array]:
    """EQKE without the rank-one parts along these directions, as four factors, and the sum of those parts, (v, v)."""
    root = np.sqrt(work.constant(work.network.d_head))
    product = PeeledProduct(
        [
            circuits.query_embedding(work) / root,
            work.weight("W_Q"),
            work.weight("W_K").T,
            circuits.key_embedding(work).T,
        ]
    )
    product.peel_rows(0, directions.query.lift(work))
    product.peel_columns(3, directions.key.lift(work))
    if directions.second_query and directions.second_key and directions.of_Q and directions.of_K:
        product.peel_rows(0, directions.second_query.lift(work))
        product.peel_columns(3, directions.second_key.lift(work))
        product.peel_rows(1, directions.of_Q.lift(work))
        product.peel_columns(2, directions.of_K.lift(work))
    return tuple(product.factors), product.rank_one_terms()


def _spread_by_norm(left: Array, right: Array) -> Array:
    """sqrt(2) |row - its mean| for each row of left @ right, shapes (v, d) and (d, v)."""
    centred = right - right.mean(axis=1, keepdims=True)
    squares = ((left @ (centred @ centred.T)) * left).sum(axis=1)
    return np.sqrt(2.0 * squares)
