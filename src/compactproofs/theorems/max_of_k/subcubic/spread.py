"""Row spreads: how far apart two entries of one row of a matrix product can be.

The spread of a row is its maximum minus its minimum.  It is a seminorm that ignores constants: for numbers c_j and
rows X_j, spread(sum_j c_j X_j) <= sum_j |c_j| spread(X_j).

Lemma (product).  For every row i of A X:  spread((A X)[i]) <= sum_j |A[i, j]| spread(X[j]).
Proof.  (A X)[i] = sum_j A[i, j] X[j].

Lemma (mean).  With any row a:  spread((A X)[i]) <= spread(a X) + sum_j |A[i, j] - a[j]| spread(X[j]).
Proof.  (A X)[i] = a X + ((A - 1 a) X)[i], the triangle inequality, and the lemma before.

Both hold for every way of cutting a product F_0 F_1 ... F_r into A = F_0 ... F_{i-1} and X = F_i ... F_r, and for
each row the smallest of several bounds is a bound.  Source: appendix of arXiv 2406.11779 ("max row diff").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compactproofs.kernel.decisions import Array


def row_spread(table: Array) -> Array:
    """max - min of each row: shape (r, c) to (r,)."""
    return table.max(axis=1) - table.min(axis=1)


def spread_at_best_cut(factors: Sequence[Array], mean: bool) -> Array:
    """A bound on each row's spread of the product, by the lemmas at every cut.

    `factors`: matrices F_0 (r, .), ..., F_k (., c).  With `mean`, the mean row of A is taken out.  Returns shape (r,).
    Cost: the products from either side, O(r d^2 + c d^2) for inner sizes d, never the whole product.
    """
    lefts, rights = [factors[0]], [factors[-1]]
    for factor in factors[1:-1]:
        lefts.append(lefts[-1] @ factor)
    for factor in factors[-2:0:-1]:
        rights.insert(0, factor @ rights[0])
    best, *others = (_spread(left, right, row_spread(right), mean) for left, right in zip(lefts, rights, strict=True))
    for bound in others:
        best = np.minimum(best, bound)
    return best


def spread_without_products(factors: Sequence[Array], mean_first: bool, mean_others: bool) -> Array:
    """A bound on each row's spread of the product that multiplies no two matrices.

    From the right, spread(F_i X) is bounded from the spreads of X's rows.  With `mean_first` (`mean_others`) the mean
    row of F_0 (of the other factors but the last) is taken out and multiplied through as a single row.  Returns shape
    (r,).  Cost linear in the number of entries of the factors.
    """
    spreads = row_spread(factors[-1])
    for i in range(len(factors) - 2, -1, -1):
        mean = mean_first if i == 0 else mean_others
        spreads = _spread(factors[i], factors[i + 1 :], spreads, mean)
    return spreads


def _spread(left: Array, right: Array | Sequence[Array], right_spreads: Array, mean: bool) -> Array:
    if not mean:
        return np.abs(left) @ right_spreads
    row = left.mean(axis=0, keepdims=True)
    through = row
    for factor in right if isinstance(right, list | tuple) else [right]:
        through = through @ factor
    return row_spread(through) + np.abs(left - row) @ right_spreads
