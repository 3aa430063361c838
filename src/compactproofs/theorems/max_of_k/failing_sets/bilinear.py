"""Bounding a product X B Y^T without multiplying it out: directions of B, X and Y exactly, and norms of the rest.

Lemma.  Let X (a x d), B (d x e), Y (b x e), U (d x r) and V (e x r) be any matrices, and put

    G = 2 I - U^T U,   H = 2 I - V^T V,   P = I - U U^T,   R = I - V V^T,   Z = U^T B,   W = B V,
    C = (X U) (G Z') Y^T + X (W H) (Y V)^T   with   Z' = Z - (Z V) H V^T.

Then X B Y^T = C + (X P) (P B R) (Y R)^T.

Proof.  P^2 = I - U G U^T and R^2 = I - V H V^T, so (X P)(P B R)(R Y^T) = X (I - U G U^T) B (I - V H V^T) Y^T, and
B - (I - U G U^T) B (I - V H V^T) = U G U^T B (I - V H V^T) + B V H V^T = U G Z' + W H V^T.

Z and W are r vectors multiplied with B: if B = Q K^T, they cost O(d^2 r), and B is never formed.  Two bounds of the
rest:

* with a number s >= the largest singular value of P B R:  |rest[i, j]| <= |(X P)[i]| s |(Y R)[j]|;
* if B = Q K^T, with the rows of Q' = P Q and K' = R K:
  |rest[i, j]| <= (sum_k |(X P)[i, k]| |Q'[k]|) (sum_k |(Y R)[j, k]| |K'[k]|).
  Proof: rest[i, j] is the inner product of the rows i of (X P) Q' and j of (Y R) K', and their norms are at most these
  sums, by the triangle inequality.

Nothing is assumed of U and V.  Orthonormal columns that span the leading singular directions of B, and then those in
which X and Y are largest, make the rest small.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, certainly_positive
from compactproofs.theorems.max_of_k.failing_sets.low_rank import Bounds, row_norms


class Rest(NamedTuple):
    """C, shape (a, b), and the factors of the rest X P (a x d) and Y R (b x e)."""

    centre: Array
    left: Array
    right: Array

    def within(self, left_size: Array, right_size: Array) -> Bounds:
        """Bounds of X B Y^T if |rest[i, j]| <= left_size[i] right_size[j]."""
        error = left_size[:, None] * right_size
        return Bounds(self.centre + error, self.centre - error)


def split(X: Array, Y: Array, U: Array, V: Array, Z: Array, W: Array) -> Rest:
    """The lemma; the matrix B is seen through Z = U^T B and W = B V only.  r >= 1."""
    twice_identity = 2.0 * np.eye(U.shape[1])
    G, H = twice_identity - U.T @ U, twice_identity - V.T @ V
    XU, YV = X @ U, Y @ V
    of_left = np.concatenate([XU, X @ (W @ H)], axis=1)
    of_right = np.concatenate([Y @ (G @ (Z - ((Z @ V) @ H) @ V.T)).T, YV], axis=1)
    return Rest(of_left @ of_right.T, X - XU @ U.T, Y - YV @ V.T)


def with_product(X: Array, B: Array, Y: Array, U: Array, V: Array, square: Array) -> Bounds:
    """Bounds of X B Y^T by the first bound of the rest.  Cost O((a + b) d r + a b r + d^3), shapes as in the lemma.

    `square`: a guess of the square of the largest singular value of P B R, shape (), of any value.
    """
    Z = U.T @ B
    rest = split(X, Y, U, V, Z, B @ V)
    inner = B - U @ Z
    norm = spectral_norm(inner - (inner @ V) @ V.T, square)
    return rest.within(row_norms(rest.left) * norm, row_norms(rest.right))


def without_product(X: Array, Q: Array, K: Array, Y: Array, U: Array, V: Array) -> Bounds:
    """Bounds of X Q K^T Y^T by the second bound of the rest.  Cost O((a + b) d r + a b r + d^2 r)."""
    of_query, of_key = U.T @ Q, V.T @ K
    rest = split(X, Y, U, V, of_query @ K.T, Q @ of_key.T)
    return rest.within(
        np.abs(rest.left) @ row_norms(Q - U @ of_query),
        np.abs(rest.right) @ row_norms(K - V @ of_key),
    )


def spectral_norm(matrix: Array, square: Array) -> Array:
    """At least the largest singular value of a matrix M (d x e).

    The Frobenius norm is.  If s I - M^T M has positive pivots only, for s the given number, it is positive definite (it
    is L D L^T with L unit triangular and D > 0), so |M x|^2 < s |x|^2 for all x != 0, and the root of s is too.
    Cost O(d e^2).
    """
    frobenius = np.sqrt((matrix * matrix).sum())
    rest = square * np.eye(matrix.shape[1]) - matrix.T @ matrix
    while True:
        pivot = rest[0, 0]
        if not certainly_positive(pivot):
            return frobenius
        if len(rest) == 1:
            return np.minimum(np.sqrt(square), frobenius)
        rest = rest[1:, 1:] - rest[1:, :1] * (rest[:1, 1:] / pivot)
