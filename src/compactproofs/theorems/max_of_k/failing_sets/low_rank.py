"""Bounding a product of two matrices by a part of low rank and the norms of the rest.

Lemma.  Let X (a x d), Y (b x d), and M, N (d x r) be any matrices, and put

    X' = X - (X M) N^T,    Y' = Y - (Y N) M^T,    C = (X M) (2 I - N^T M) (Y N)^T.

Then X Y^T = C + X' Y'^T, and every entry satisfies |(X Y^T - C)[i, j]| <= |X'[i]| |Y'[j]|, with Euclidean norms.

Proof.  X' Y'^T = X (I - M N^T) (I - M N^T) Y^T, because (Y')^T = Y^T - M N^T Y^T.  Multiplied out this is
X Y^T - 2 (X M) (N^T Y^T) + (X M) (N^T M) (N^T Y^T) = X Y^T - C.  The rest is the Cauchy-Schwarz inequality.

Nothing is assumed of M and N: columns of dual bases (N^T M = I) that span the leading singular directions make the
rest small, others make it large.  Cost O((a + b) d r + a b r), instead of O(a b d) for the product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array, IntArray
from compactproofs.theorems.max_of_k import Work


class Bounds(NamedTuple):
    """Upper and lower bounds of a table, of one shape; the same array twice if it is known exactly."""

    high: Array
    low: Array


def low_rank_product(left: Array, right: Array, M: Array, N: Array) -> Bounds:
    """Bounds of left @ right.T by the lemma, shapes (a, d), (b, d), (d, r), (d, r); r >= 1."""
    x, y = left @ M, right @ N
    twice_identity = 2.0 * np.eye(M.shape[1])
    centre = (x @ (twice_identity - N.T @ M)) @ y.T
    error = row_norms(left - x @ N.T)[:, None] * row_norms(right - y @ M.T)
    return Bounds(centre + error, centre - error)


def row_norms(matrix: Array) -> Array:
    """The Euclidean norm of each row, shape (a, d) to (a,).  Cost 2 a d."""
    return np.sqrt((matrix * matrix).sum(axis=1))


def hinted_directions(work: Work, hint: npt.NDArray[np.float64]) -> tuple[Array, Array]:
    """M and N from a hint of shape (2, d, any).

    Any matrices are allowed, so: entries that are NaN or infinite count as 0, no more than d columns are used, and no
    column is one column of zeros.
    """
    count = hint.shape[1]
    columns = np.where(np.isfinite(hint), hint, 0.0)[:, :, :count]
    if columns.shape[2] == 0:
        columns = np.zeros((2, count, 1))
    return work.constant(columns[0]), work.constant(columns[1])


class Entries:
    """Single entries of left @ right.T, each computed when it is first asked for, at 2 d - 1 operations."""

    def __init__(self, left: Array, right: Array) -> None:
        """Shapes (a, d) and (b, d)."""
        self._left, self._right = left, right
        self._place = np.full((len(left), len(right)), -1, np.int64)
        self._values = left[:0, 0]

    def at(self, rows: IntArray, columns: IntArray) -> Array:
        """The entries at these places; the two index arrays have one shape, which is the result's."""
        missing = np.unique((rows * self._place.shape[1] + columns)[self._place[rows, columns] < 0])
        if len(missing):
            self._compute(*np.divmod(missing, self._place.shape[1]))
        return self._values[self._place[rows, columns]]

    def _compute(self, rows: IntArray, columns: IntArray) -> None:
        new = (self._left[rows] * self._right[columns]).sum(axis=1)
        self._place[rows, columns] = len(self._values) + np.arange(len(rows))
        self._values = np.concatenate([self._values, new])
