"""Bounds of products by directions and norms hold the exact product, whatever the directions are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from compactproofs.kernel.decisions import certainly_positive
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.theorems.max_of_k.failing_sets import bilinear, low_rank

Matrix = np.ndarray[Any, np.dtype[np.float64]]


def integers(rng: np.random.Generator, *shape: int) -> Matrix:
    """Small integers, so that products in float64 are exact."""
    return rng.integers(-3, 4, shape).astype(np.float64)


def directions(rng: np.random.Generator, d: int, r: int) -> Iterator[Matrix]:
    """Parts of bases, stretched ones, and garbage."""
    basis = np.eye(d)[:, rng.permutation(d)[:r]]
    for stretch in (1.0, 0.5, 1.25, 2.0, 0.0):
        yield stretch * basis
    yield integers(rng, d, r)


def outside(exact: Matrix, bounds: Any) -> bool:
    """Whether some entry violates the bounds by more than what the comparison itself rounds."""
    above = exact - bounds.high.mid > bounds.high.rad + 1e-12 * np.abs(exact)
    below = bounds.low.mid - exact > bounds.low.rad + 1e-12 * np.abs(exact)
    return bool(above.any() or below.any())


def lift(*matrices: Matrix, enclosure: Any = Enclosure) -> list[Any]:
    """The matrices as enclosures."""
    return [enclosure.exact(matrix) for matrix in matrices]


def low_rank_fails(module: Any, seed: int, enclosure: Any = Enclosure) -> bool:
    """Whether `low_rank_product` of this module misses an exact product."""
    rng = np.random.default_rng(seed)
    d, r = 4, int(rng.integers(1, 5))
    X, Y = integers(rng, 3, d), integers(rng, 5, d)
    return any(
        outside(X @ Y.T, module.low_rank_product(*lift(X, Y, M, N, enclosure=enclosure)))
        for M in directions(rng, d, r)
        for N in (M, np.sign(M), integers(rng, d, r))
    )


def bilinear_fails(module: Any, seed: int, enclosure: Any = Enclosure) -> bool:
    """Whether the bounds of X B Y^T or X Q K^T Y^T of this module miss the exact product."""
    rng = np.random.default_rng(seed)
    d, r = 4, int(rng.integers(1, 5))
    X, Y, Q, K = (integers(rng, rows, d) for rows in (3, 5, d, d))
    X, Y, Q, K = (matrix @ np.diag(rng.integers(0, 3, d).astype(np.float64)) for matrix in (X, Y, Q, K))
    B = Q @ K.T
    for U in directions(rng, d, r):
        for V in (U, *directions(rng, d, r)):
            if outside(X @ B @ Y.T, module.without_product(*lift(X, Q, K, Y, U, V, enclosure=enclosure))):
                return True
            inner = (np.eye(d) - U @ U.T) @ B @ (np.eye(d) - V @ V.T)
            exact = float(np.linalg.norm(inner, 2)) ** 2
            for square in (1.01 * exact, 0.9 * exact, 0.0, -1.0, 1e300):
                lifted = lift(X, B, Y, U, V, np.array(square), enclosure=enclosure)
                if outside(X @ B @ Y.T, module.with_product(*lifted)):
                    return True
    return False


@pytest.mark.parametrize("seed", range(20))
def test_low_rank_bounds_hold(seed: int) -> None:
    """Dual bases, stretched ones and garbage."""
    assert not low_rank_fails(low_rank, seed)


@pytest.mark.parametrize("seed", [pytest.param(s, marks=pytest.mark.slow if s > 7 else ()) for s in range(20)])
def test_bilinear_bounds_hold(seed: int) -> None:
    """With and without the inner product, for good, small and absurd guesses of the norm."""
    assert not bilinear_fails(bilinear, seed)


def test_bounds_are_tight_where_the_rank_is_low() -> None:
    """With bases of all of the space nothing is left."""
    rng = np.random.default_rng(0)
    X, Y, Q, K, full = (integers(rng, rows, 4) for rows in (3, 5, 4, 4, 4))
    full = np.eye(4)
    bounds: Any
    for exact, bounds in (
        (X @ Y.T, low_rank.low_rank_product(*lift(X, Y, full, full))),
        (X @ Q @ K.T @ Y.T, bilinear.without_product(*lift(X, Q, K, Y, full, full))),
        (X @ Q @ K.T @ Y.T, bilinear.with_product(*lift(X, Q @ K.T, Y, full, full, np.array(1e-20)))),
    ):
        assert np.abs(exact - bounds.high.mid).max() < 1e-6
        assert np.abs(exact - bounds.low.mid).max() < 1e-6


def test_certified_norm() -> None:
    """A guess that is large enough is used, one that is too small is not."""
    matrix = np.array([[3.0, 1.0], [0.0, 2.0]])
    norm = float(np.linalg.norm(matrix, 2))
    frobenius = np.sqrt(14.0)

    def bound(square: float) -> float:
        found: Any = bilinear.spectral_norm(*lift(matrix, np.array(square)))
        return float(found.mid)

    assert bound(1.01 * norm**2) == pytest.approx(np.sqrt(1.01) * norm)
    assert bound(0.99 * norm**2) == bound(0.0) == bound(-5.0) == pytest.approx(frobenius)


def test_entries_are_those_of_the_product() -> None:
    """In any order, asked for once or again, and each computed once."""
    rng = np.random.default_rng(1)
    X, Y = integers(rng, 6, 3), integers(rng, 7, 3)
    entries = low_rank.Entries(*lift(X, Y))
    for _ in range(10):
        rows, columns = rng.integers(0, 6, (2, 4)), rng.integers(0, 7, (2, 4))
        assert not certainly_positive(np.abs(entries.at(rows, columns) - (X @ Y.T)[rows, columns]) - 1e-9).any()
    assert len(entries._values) <= 42


def test_hints_of_directions_are_made_finite() -> None:
    """NaN, too many columns, and none at all."""
    from compactproofs.opening.models import Model
    from compactproofs.search.workspaces import workspace

    rng = np.random.default_rng(0)
    shapes = {"W_E": (5, 3), "W_pos": (2, 3), "W_Q": (3, 2), "W_K": (3, 2), "W_V": (3, 2), "W_O": (2, 3), "W_U": (3, 5)}
    work = workspace(Model(**{name: rng.normal(size=shape) for name, shape in shapes.items()}), "value")
    for columns in (0, 1, 3, 9):
        M, N = low_rank.hinted_directions(work, np.full((2, 3, columns), np.nan))
        assert M.shape == N.shape == (3, min(max(columns, 1), 3))
        assert not np.asarray(M).any()
