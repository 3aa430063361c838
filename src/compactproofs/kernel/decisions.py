"""The arrays that proofs are written in, and how they decide.

A strategy is ordinary NumPy code on the arrays that a `Workspace` hands it: enclosures, or another reading of the same
program (plain numbers, counted operations), which registers itself with the functions below, since what is said here of
an array x is how enclosures do it.  It may use +, -, *, /, @, abs, exp, sqrt, maximum, minimum; sum, max, min, mean;
running maxima and minima (`np.maximum.accumulate`); sort, where with a plain mask; indexing and functions that move
entries about; and the functions here.  Everything else raises.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.limits import spend

BoolArray: TypeAlias = npt.NDArray[np.bool_]
FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]


class Array(Protocol):
    """An `Enclosure`, or an array of another reading: what a proof may do with it, besides NumPy's functions."""

    # fmt: off
    @property
    def shape(self) -> tuple[int, ...]: """Sizes of the axes."""
    @property
    def size(self) -> int: """The number of entries."""
    @property
    def T(self) -> Array: """The transpose."""
    def sum(self, axis: int | None = None, *, keepdims: bool = False) -> Array: """Over one axis or all."""
    def max(self, axis: int | None = None, *, keepdims: bool = False) -> Array: """Over one axis or all."""
    def min(self, axis: int | None = None, *, keepdims: bool = False) -> Array: """Over one axis or all."""
    def mean(self, axis: int, *, keepdims: bool = False) -> Array: """Over one axis."""
    def reshape(self, size: int, /, *more: int) -> Array: """The same entries in another shape."""
    def __array__(self, *args: Any, **kwargs: Any) -> FloatArray: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Array: ...
    def __neg__(self) -> Array: ...
    def __add__(self, other: Any, /) -> Array: ...
    def __radd__(self, other: Any, /) -> Array: ...
    def __sub__(self, other: Any, /) -> Array: ...
    def __mul__(self, other: Any, /) -> Array: ...
    def __rmul__(self, other: Any, /) -> Array: ...
    def __truediv__(self, other: Any, /) -> Array: ...
    def __rtruediv__(self, other: Any, /) -> Array: ...
    def __matmul__(self, other: Any, /) -> Array: ...
    # fmt: on


@singledispatch
def certainly_positive(x: Any) -> BoolArray:
    """Where x > 0 holds for every real array that x stands for: the only way by which a proof decides.

    The comparison of midpoint and radius is exact, and false for NaN and for infinity against infinity.
    """
    spend(x.size)
    with np.errstate(all="ignore"):
        return np.asarray(x.mid > x.doubt * x.rad)


@singledispatch
def midpoint(x: Any) -> FloatArray:
    """Floats near x, about which nothing is guaranteed: for choices that cannot hurt, such as a scale or an order."""
    view = np.asarray(x.mid).view()  # read-only: writing to it would move the enclosure
    view.flags.writeable = False
    return view


@singledispatch
def max_where(x: Any, keep: BoolArray, axis: int) -> Array:
    """The maximum along `axis` of those entries where `keep` (which broadcasts to x) is true.

    A slice that keeps nothing gives a value about which nothing is known.
    """
    # Entries with midpoint -inf and radius 0 have excess -inf, so they drop out of the maximum and of its radius.
    keep = np.broadcast_to(keep, x.shape)
    kept: Array = type(x)(np.where(keep, x.mid, -np.inf), np.where(keep, x.rad, 0.0))
    return kept.max(axis=axis)


@singledispatch
def to_grid(x: Any, scale: float) -> tuple[IntArray, IntArray]:
    """Integers lo < x * scale < hi for a power of two `scale`; entries that are not known to 2^52 are refused.

    Returns (lo, hi), int64 arrays of x's shape.  Raises OverflowError where x * scale is NaN or 2^52 and beyond.
    """
    spend(x.size)
    return outward(x.mid, x.doubt * x.rad, scale)


def outward(mid: FloatArray, rad: FloatArray, scale: float) -> tuple[IntArray, IntArray]:
    """`to_grid` of the numbers within `rad` of `mid`."""
    if not (scale > 0.0 and np.frexp(scale)[0] == 0.5):
        raise ValueError(f"the scale must be a power of two, not {scale}")
    # Scaling by a power of two is exact but for underflow below 2^-1022, which the extra 1 on each side outweighs;
    # floor, ceil and the sums are exact below 2^53.
    with np.errstate(all="ignore"):
        scaled, wide = mid * scale, np.ceil(rad * scale) + 1.0
        if not (np.abs(scaled) + wide < 2.0**52).all():
            raise OverflowError("a value is too large or too uncertain for the integer grid")
    return (np.floor(scaled) - wide).astype(np.int64), (np.ceil(scaled) + wide).astype(np.int64)
