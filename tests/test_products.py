"""Products of matrices enclose the real ones in whatever mode the threads of a BLAS are.

Here the thread that computes takes the mode on for the products alone, as `kernel.enclosure` calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from fractions import Fraction

import numpy as np
import pytest

import test_enclosure
from compactproofs.kernel import enclosure
from compactproofs.kernel.enclosure import Enclosure
from modes import MODES, mode, needs_x86

LARGEST = float(np.finfo(np.float64).max)
U, TINY = enclosure.U, enclosure.TINY
#: Rows, columns, and radii of the rows: inner products in which each liberty that a mode takes shows.
WORST: dict[str, tuple[list[float], list[float], list[float]]] = {
    "subnormal row": ([2.0**-1060, 2.0**-1023], [2.0**1000, 1.0], [0.0, 0.0]),
    "subnormal column": ([2.0**1000, 1.0], [2.0**-1060, 2.0**-1023], [0.0, 0.0]),
    "largest subnormals": ([TINY - 2.0**-1074] * 8, [1.0] * 8, [0.0] * 8),
    "subnormal products": ([2.0**-511 * (1.0 + 2.0**-30)] * 16, [2.0**-512] * 16, [0.0] * 16),
    "subnormal sums": ([TINY, 1.5 * TINY, -TINY, -1.4 * TINY] * 4, [1.0, -1.0] * 8, [0.0] * 16),
    "subnormal radius": ([0.0, 0.0], [2.0**1000, 1.0], [2.0**-1060, 2.0**-1023]),
    "subnormal number and radius": ([TINY - 2.0**-1074], [2.0**1000], [TINY - 2.0**-1074]),
    "subnormal column by a radius": ([0.0], [2.0**-1060], [2.0**1000]),
    "all rounded one way": ([1.0] + [U * 2.0**-20] * 39, [1.0] * 40, [0.0] * 40),
    "all rounded the other way": ([1.0] + [-U * 2.0**-20] * 39, [1.0] * 40, [0.0] * 40),
    "overflow that stays finite": ([4.0], [2.0**1023], [0.0]),
    "overflow of both signs": ([2.0**600, -LARGEST, 2.0**600], [2.0**600, 1.0, -(2.0**599)], [0.0] * 3),
    "overflow of the radius": ([1.0, 1.0], [LARGEST, -LARGEST], [LARGEST, LARGEST]),
    "zeros and large numbers": ([0.0, LARGEST, 0.0], [LARGEST, 0.0, 1.0], [0.0] * 3),
}


def exact(values: np.ndarray) -> np.ndarray:
    """The same numbers as fractions."""
    return np.asarray(np.frompyfunc(Fraction, 1, 1)(values.astype(object)))


def assert_encloses(product: Enclosure, truth: np.ndarray) -> None:
    """Each entry of `truth` is within the radius, where there is one."""
    for mid, rad, real in zip(product.mid.flat, product.rad.flat, truth.flat, strict=True):
        assert not rad < np.inf or abs(real - Fraction(mid)) <= Fraction(rad), (mid, rad)


def one_by_one(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The product of two matrices, or of two vectors, that adds terms from the first to the last."""
    rows, columns = np.atleast_2d(x), y.reshape(y.shape[0], -1)
    total = rows[:, :1] * columns[:1]
    for k in range(1, len(columns)):
        total = total + rows[:, k : k + 1] * columns[k : k + 1]
    return total if x.ndim == 2 else np.asarray(total[0, 0])


def check_worst(bits: int = 0) -> None:
    """The inner products above, of vectors and of matrices that repeat them, at the ends of radii."""
    for multiply in (np.matmul, one_by_one):
        for row, column, radius in WORST.values():
            for x, y in ((np.array([row] * 2), np.array([column] * 2).T), (np.array(row), np.array(column))):
                r = np.broadcast_to(radius, x.shape).copy()
                with multiplying(multiply, bits):
                    results = (Enclosure(x, r) @ Enclosure.exact(y), (Enclosure.exact(y.T) @ Enclosure(x.T, r.T)).T)
                for result in results:
                    for end in (-1, 0, 1):
                        real = (exact(x) + end * exact(r)) @ exact(y)
                        assert_encloses(result, np.asarray(real))


@contextmanager
def multiplying(multiply: Callable[[np.ndarray, np.ndarray], np.ndarray], bits: int) -> Iterator[None]:
    """Inside the block enclosures take products of plain arrays in this way, with the thread in this mode."""

    def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        with mode(bits) if bits else nullcontext(), np.errstate(all="ignore"):
            return multiply(x, y)

    names = enclosure._matmul.__globals__  # those of the module, unless an error is planted
    before = names["_product"]
    names["_product"] = product
    try:
        yield
    finally:
        names["_product"] = before


def check_size(size: int) -> None:
    """Square matrices of this size, which the threads of a BLAS may share: subnormal numbers, products, and others."""
    rng = np.random.default_rng(size)
    for exponents in ((-1040, 1000), (1000, -1040), (-512, -511), (0, 0)):
        x, y = (rng.uniform(1.0, 2.0, (size, size)) * 2.0**exponent for exponent in exponents)
        result = Enclosure.exact(x) @ Enclosure.exact(y)
        for i, j in rng.integers(0, size, (10, 2)):
            real = sum(Fraction(p) * Fraction(q) for p, q in zip(x[i], y[:, j], strict=True))
            assert_encloses(result[i : i + 1, j], np.array([real]))


@needs_x86
@pytest.mark.parametrize("name", MODES)
def test_products_in_any_mode(name: str) -> None:
    """Subnormal numbers read or written as zero, and results rounded to either side."""
    check_worst(MODES[name][0])


@needs_x86
def test_two_modes_at_once() -> None:
    """A thread that rounds to zero and flushes."""
    for name in ("rounded to zero", "rounded up", "rounded down"):
        check_worst(MODES[name][0] | 0x8040)


def test_products_in_this_mode() -> None:
    """The same, and large ones, as this machine computes them."""
    check_worst()
    for size in (8, 128):
        check_size(size)
    test_enclosure.check_overflowing_product()


def check_all() -> None:
    """Every mode, for errors made on purpose."""
    for bits, _ in MODES.values():
        check_worst(bits)
    check_worst()
