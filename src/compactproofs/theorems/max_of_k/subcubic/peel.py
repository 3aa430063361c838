"""Taking rank-one parts out of a product of matrices, exactly and for any hinted directions.

Lemma.  Let F = F_0 F_1 ... F_r, and x any vector with as many entries as F_i has rows.  With F_i' = F_i - x (x^T F_i),

    F = (F_0 ... F_{i-1} x) (x^T F_i F_{i+1} ... F_r) + F_0 ... F_{i-1} F_i' F_{i+1} ... F_r,

and likewise with a vector y for the columns and F_i' = F_i - (F_i y) y^T.  Proof.  F_i = x (x^T F_i) + F_i'.

Nothing is assumed of x: unit singular vectors make the rest small, other vectors make it large, and the identity holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compactproofs.kernel.decisions import Array


class PeeledProduct:
    """A product of matrices as a sum of rank-one terms and a product of residual factors."""

    def __init__(self, factors: Sequence[Array]) -> None:
        self.factors = list(factors)
        self.columns: list[Array] = []
        self.rows: list[Array] = []

    def peel_rows(self, i: int, x: Array) -> None:
        """Take x (x^T F_i) out of the factor F_i; `x` has one entry for each of its rows."""
        row = x[None, :] @ self.factors[i]
        self._take(i, x[:, None], row)

    def peel_columns(self, i: int, y: Array) -> None:
        """Take (F_i y) y^T out of the factor F_i; `y` has one entry for each of its columns."""
        column = self.factors[i] @ y[:, None]
        self._take(i, column, y[None, :])

    def _take(self, i: int, column: Array, row: Array) -> None:
        self.factors[i] = self.factors[i] - column * row
        for factor in self.factors[:i][::-1]:
            column = factor @ column
        for factor in self.factors[i + 1 :]:
            row = row @ factor
        self.columns.append(column)
        self.rows.append(row)

    def rank_one_terms(self) -> Array:
        """The sum of all terms taken out: the whole product minus the product of the residual factors."""
        return np.concatenate(self.columns, axis=1) @ np.concatenate(self.rows, axis=0)
