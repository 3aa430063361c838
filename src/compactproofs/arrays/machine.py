"""What the error bounds assume of the machine, as far as the machine can be asked: before anything is verified.

A library built with -ffast-math, or a call such as `torch.set_flush_denormal(True)`, makes a thread take subnormal
numbers for zero or write zeros in their place, and `fesetround` changes how it rounds.  Then an enclosure may miss the
real number, and a bound may be false.  The few operations here have one right result each, in whatever order sums are
taken and with or without fused multiply-add, so anything else means that the assumption does not hold here.  This finds
modes that are switched on in this thread or in those that multiply matrices; it does not prove an arithmetic correct.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_LEAST = 2.0**-1074  # the smallest positive number
_ROOT = 2.0**-537  # its square is that number
_HALF = 2.0**-53  # half of the distance from 1 to the next number
# Numbers for which NumPy has loops of their own, and products that one thread does (up to 100^3 steps) or all of them.
_LENGTHS = (1, 3, 64)
_SIZES = (8, 128)


class UnsuitableArithmetic(RuntimeError):
    """This process does not compute as the proofs assume."""


def require_ieee_arithmetic() -> None:
    """Raise UnsuitableArithmetic unless underflow is gradual and results are rounded to nearest."""
    with np.errstate(all="ignore"):
        wrong = sorted({what for what, computed, right in _cases() if not _same_bits(computed, right)})
    if wrong:
        raise UnsuitableArithmetic(
            f"floating-point arithmetic in this process is not what the proofs assume: {', '.join(wrong)}. A library "
            "built with -ffast-math, or a call such as torch.set_flush_denormal(True), does this; verify in a process "
            "without it"
        )


def _same_bits(computed: FloatArray, right: float) -> bool:
    """Equality as `==` cannot see it where subnormal numbers are taken for zero."""
    return bool((computed.view(np.int64) == np.array(right).view(np.int64)).all())


def _cases() -> Iterator[tuple[str, FloatArray, float]]:
    """What it means if a result is another one, the result, and what it must be."""
    for length in _LENGTHS:
        for what, operation, x, y, right in _OPERATIONS:
            yield what, operation(np.full(length, x), np.full(length, y)), right
    for size in _SIZES:
        # Row i holds the factors of product i mod 4 where the other rows have zeros, so that one product does them all.
        left, other = np.zeros((size, size)), np.zeros((size, size))
        for i, (_, row, column, _) in enumerate(_PRODUCTS):
            left[i :: len(_PRODUCTS), 2 * i : 2 * i + 2] = row
            other[2 * i : 2 * i + 2] = np.array(column)[:, None]
        product = left @ other
        for i, (what, _, _, right) in enumerate(_PRODUCTS):
            yield what, product[i :: len(_PRODUCTS)], right


_FLUSHED = "subnormal numbers become zero"
_ROUNDED = "results are not rounded to nearest"
_OPERATIONS = (
    (_FLUSHED, np.add, _LEAST, _LEAST, 2 * _LEAST),
    (_FLUSHED, np.subtract, 2.0**-1021, 1.5 * 2.0**-1022, 2.0**-1023),
    (_FLUSHED, np.multiply, _ROOT, _ROOT, _LEAST),
    (_FLUSHED, np.multiply, _LEAST, 1.0, _LEAST),
    (_FLUSHED, np.divide, _LEAST, _LEAST, 1.0),
    (_ROUNDED, np.add, 1.0, _HALF, 1.0),
    (_ROUNDED, np.add, 1.0 + 2 * _HALF, _HALF, 1.0 + 4 * _HALF),
    (_ROUNDED, np.subtract, -1.0, _HALF, -1.0),
    (_ROUNDED, np.multiply, 1.0 + 2 * _HALF, 1.0 + 2 * _HALF, 1.0 + 4 * _HALF),
    (_ROUNDED, np.divide, 1.0, 3.0, 6004799503160661 * 2.0**-54),
    (_ROUNDED, np.divide, 2.0, 3.0, 6004799503160661 * 2.0**-53),
)
_PRODUCTS = (
    (f"{_FLUSHED} in products of matrices", (_ROOT, _ROOT), (_ROOT, _ROOT), 2 * _LEAST),
    (f"{_FLUSHED} in products of matrices", (_LEAST, _LEAST), (1.0, 1.0), 2 * _LEAST),
    (f"{_ROUNDED} in products of matrices", (1.0, _HALF), (1.0, 1.0), 1.0),
    (f"{_ROUNDED} in products of matrices", (1.0 + 2 * _HALF, _HALF), (1.0, 1.0), 1.0 + 4 * _HALF),
)
