"""What the error bounds assume of the machine, as far as the machine can be asked: before anything is verified.

A library built with -ffast-math, or a call such as `torch.set_flush_denormal(True)`, makes a thread take subnormal
numbers for zero or write zeros in their place, and `fesetround` changes how it rounds.  Then an enclosure may miss the
real number, and a bound may be false.  The few operations here have one right result each, in whatever order sums are
taken and with or without fused multiply-add, so anything else means that the assumption does not hold here.  This finds
modes that are switched on in this thread; it does not prove an arithmetic correct.  The threads of a BLAS need not be
asked: products of matrices are bounded in every such mode (`kernel.enclosure`).
"""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.errors import CompactProofsError

_LEAST = 2.0**-1074  # the smallest positive number
_ROOT = 2.0**-537  # its square is that number
_HALF = 2.0**-53  # half of the distance from 1 to the next number
_LENGTHS = (1, 3, 64)  # for which NumPy has loops of their own


class UnsuitableArithmetic(CompactProofsError, RuntimeError):
    """This process does not compute as the proofs assume."""


def require_ieee_arithmetic() -> None:
    """Raise UnsuitableArithmetic unless underflow is gradual and results are rounded to nearest."""
    with np.errstate(all="ignore"):
        # Bytes, since `==` cannot tell where subnormal numbers are taken for zero.
        wrong = {what for what, operation, x, y, right in _CASES if operation(x, y).tobytes() != right}
    if wrong:
        raise UnsuitableArithmetic(
            f"floating-point arithmetic in this process is not what the proofs assume: {', '.join(sorted(wrong))}. "
            "A library built with -ffast-math, or a call such as torch.set_flush_denormal(True), does this; verify in "
            "a process without it"
        )


_FLUSHED, _ROUNDED = "subnormal numbers become zero", "results are not rounded to nearest"
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
_CASES = [
    (what, operation, np.full(length, x), np.full(length, y), np.full(length, right).tobytes())
    for length in _LENGTHS
    for what, operation, x, y, right in _OPERATIONS
]
