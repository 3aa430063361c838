"""Attention scores and the direct path as low-rank parts and norms of the rest.

Scores.  With A = E_q Q K^T / sqrt(h) and E' = W_E less its mean row, A E'^T is EQKE plus a constant for each query:
E- = W_E + mean_p P differs from E' by the same row for every token, so EQKE[q, t] = A[q] E'[t] + A[q] (E- - E')[0].
`low_rank` bounds A E'^T; the v x v x d product is never formed.

Quadratic scores.  A = E_q Q K^T / sqrt(h) costs O(v d^2).  `bilinear` bounds E_q B E'^T with no product of a
v x d matrix by a d x d one: with B = Q K^T / sqrt(h) multiplied out in O(d^3), or without any product of two matrices
other than by r directions.

Direct path.  With the mean e of the rows of E_q, EU - mean_q EU = (E_q - 1 e) U.  With U' = U less its mean column u,
this is (E_q - 1 e) U' plus the constant (E_q[q] - e) u for each query; `low_rank` bounds (E_q - 1 e) U'.

Centring is what makes the norms small: constants of a row drop out of every margin, so they need not be known.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.failing_sets.bilinear import with_product, without_product
from compactproofs.theorems.max_of_k.failing_sets.low_rank import Bounds, Entries, hinted_directions, low_rank_product
from compactproofs.theorems.max_of_k.failing_sets.margin_tables import Direct

Hint = npt.NDArray[np.float64]


@shared
def centred_embedding(work: Work) -> Array:
    """W_E less its mean row, shape (v, d)."""
    return work.weight("W_E") - work.weight("W_E").mean(axis=0)


@shared
def centred_queries(work: Work) -> Array:
    """E_q less its mean row, shape (v, d)."""
    return circuits.query_embedding(work) - circuits.query_embedding(work).mean(axis=0)


@shared
def centred_unembedding(work: Work) -> Array:
    """U less its mean column, transposed: shape (v, d)."""
    return (work.weight("W_U") - work.weight("W_U").mean(axis=1, keepdims=True)).T


def low_rank_scores(work: Work, hint: Hint) -> tuple[Bounds, Entries]:
    """Bounds of EQKE up to a constant for each query, for a hint of shape (2, d, any).  Cost O(v d (d + r) + v^2 r)."""
    left, right = circuits.query_side(work), centred_embedding(work)
    return low_rank_product(left, right, *hinted_directions(work, hint)), Entries(left, right)


def quadratic_scores(work: Work, hint: Hint, square: Hint) -> Bounds:
    """The same from Q K^T, for hints of shapes (2, d, any) and (1,).  Cost O(v d r + v^2 r + d^3)."""
    U, V = hinted_directions(work, hint)
    guess = work.constant(np.where(np.isfinite(square), square, 0.0))[0]
    X, Y = circuits.query_embedding(work), centred_embedding(work)
    return with_product(X, circuits.query_to_key(work), Y, U, V, guess)


def strictly_quadratic_scores(work: Work, hint: Hint) -> Bounds:
    """The same without Q K^T, for a hint of shape (2, d, any).  Cost O(v d r + v^2 r + d^2 r)."""
    U, V = hinted_directions(work, hint)
    X, Y = circuits.query_embedding(work), centred_embedding(work)
    return without_product(X, _scaled_query(work), work.weight("W_K"), Y, U, V)


@shared
def position_scores(work: Work) -> Array:
    """EQKP multiplied from the right, shape (v, n) over (query, position).  Cost O(n d^2 + n v d)."""
    positions = (work.weight("W_pos") - circuits.mean_position(work)).T
    return circuits.query_embedding(work) @ (_scaled_query(work) @ (work.weight("W_K").T @ positions))


@shared
def _scaled_query(work: Work) -> Array:
    return work.weight("W_Q") / np.sqrt(work.constant(work.network.d_head))


def low_rank_direct(work: Work, hint: Hint) -> Direct:
    """Bounds of EU - mean_q EU up to a constant for each query, for a hint of shape (2, d, any).

    Cost O(v d r + v^2 r).
    """
    left, right = centred_queries(work), centred_unembedding(work)
    typical = circuits.query_embedding(work).mean(axis=0) @ work.weight("W_U")
    return Direct(typical, low_rank_product(left, right, *hinted_directions(work, hint)), Entries(left, right))
