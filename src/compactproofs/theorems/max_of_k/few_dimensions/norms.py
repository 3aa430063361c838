"""Euclidean norms, by which proofs in few dimensions bound what these leave out.

The norm |A| of a matrix is the root of the sum of squares of all its entries.  By the Cauchy-Schwarz inequality
|x A| <= |x| |A| for every row x.
"""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import Array


def size(x: Array) -> Array:
    """The root of the sum of all squares."""
    return np.sqrt((x * x).sum())


def lengths(rows: Array) -> Array:
    """The norm of each row."""
    return np.sqrt((rows * rows).sum(axis=1))


def longest(rows: Array) -> Array:
    """The largest norm of a row."""
    return np.sqrt((rows * rows).sum(axis=1).max())
