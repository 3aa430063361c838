"""Midpoint-radius arrays: rigorous float64 arithmetic on NumPy's own protocols.

An `Enclosure` stands for an array of unknown real numbers x with |x - mid| <= rad, entry by entry.  Every operation
returns an enclosure of the exact result for *every* choice of such x.  A radius that is infinite or NaN says that
nothing is known; such entries never certify anything.

Error model, with u = 2^-53 (all that is assumed of the machine; `docs/trust.md` repeats it):

* NumPy's float64 +, -, *, /, sqrt, outside products of matrices, round to nearest (IEEE 754), with gradual underflow.
* A sum of n terms adds them in any order, so its error is at most gamma_n * sum |terms|, gamma_n = n u / (1 - n u).
* A product of matrices multiplies and adds, in any order, with or without fused multiply-add, or leaves out terms with
  a factor 0.  A BLAS may use threads of its own, whose modes nobody can ask for, so nothing is assumed of these: each
  result is rounded to *either* neighbour, infinities included, and subnormal numbers may be read or written as zero.
* NumPy's exp is within `EXP_ULPS` units in the last place of e^x.

Lemma (products of matrices).  Let t = 2^-1022 and S = |A| |B|.  Where S < 2^1001, the computed A B is within
gamma_2n S + t (|A| 1 + 1 |B|) + 8 n t of the real one, 1 being matrices of ones.

Proof.  Reading a subnormal factor as 0 changes a term a b by at most |a b| <= t (|a| + |b|).  After that each product
and sum is its real value times 1 + d with |d| <= 2u, and up to t off where it is subnormal or the next operation reads
it as 0.  There are n products and n - 1 sums, and fewer than 5 n operations that only add a block's sum to 0 or
multiply it by 1, so 7 n changes by t at most.  A term is in at most n results with d /= 0, so these change the sum by
at most ((1 + 2u)^n - 1) S <= gamma_2n S, and they multiply the changes by less than 8/7.  All partial sums stay below
2^1002, so nothing overflows.

How radii themselves are rounded.  A radius is a sum of non-negative terms formed with fewer than 30 roundings, each
losing at most a factor (1 - u); multiplying by UP = 1 + 2^-48 > (1 - u)^-30 restores an upper bound.  Where a
*product* may underflow the factor is not enough, and TINY = 2^-1022 is added, far above the 2^-1074 that is lost.
Additions need no TINY: sums of subnormals are exact.

Invariant: a midpoint that is not finite has a radius that is infinite or NaN.  It holds for `Enclosure.exact` because
that refuses such input, and each operation below keeps it: its radius contains u * |mid|, or mid - mid, which is 0 for
finite mid and NaN otherwise, or is infinite where a product may have overflowed.  Were it broken, an overflow to -inf
would drop out of a maximum unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.limits import spend

FloatArray = npt.NDArray[np.float64]

U = 2.0**-53
UP = 1.0 + 2.0**-48
TINY = 2.0**-1022
EXP_ULPS = 4.0
MAX_TERMS = 2**20


def gamma(n: int) -> float:
    """An upper bound of n u / (1 - n u), the relative error of a sum of n terms in any order.

    Raises ValueError for MAX_TERMS and more: products of matrices have less than half as many.
    """
    if n >= MAX_TERMS:
        raise ValueError(f"a sum of {n} terms is too long for the error bound; at most {MAX_TERMS - 1} are supported")
    return (n + 2) * U * (1.0 + 2.0**-30)


def exact_float64(values: npt.ArrayLike) -> FloatArray:
    """A private float64 copy of `values`, refused unless every entry converts without rounding and is finite."""
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        if array.size and max(abs(int(array.max())), abs(int(array.min()))) > 2**53:
            raise TypeError("integers above 2^53 are not exact in float64")
    elif array.dtype not in (np.float64, np.float32, np.float16, np.bool_):
        raise TypeError(f"numbers of type {array.dtype} cannot be taken as exact float64 values")
    copy = array.astype(np.float64)
    if not np.isfinite(copy).all():
        raise ValueError("an exact value must be finite; found NaN or infinity")
    return copy


class Enclosure(np.lib.mixins.NDArrayOperatorsMixin):
    """Real arrays known up to a radius; immutable, and closed under the operations listed at the end of this file.

    Anything that would lose the radius or look at a midpoint in silence (truth value, comparison, iteration,
    conversion to a plain array, assignment, `out=`, `where=`, any other NumPy function) raises TypeError.
    """

    __slots__ = ("mid", "rad")
    __hash__ = None  # type: ignore[assignment]
    # `certainly_positive` asks for mid > doubt * rad; more than 1 asks for more than is needed.
    doubt: ClassVar[float] = 1.0

    def __init__(self, mid: FloatArray, rad: FloatArray) -> None:
        self.mid = mid
        self.rad = rad

    @classmethod
    def exact(cls, values: npt.ArrayLike) -> Self:
        """The enclosure of exactly these numbers (radius 0)."""
        mid = exact_float64(values)
        return cls(mid, np.zeros(mid.shape))

    shape = property(lambda self: self.mid.shape)
    ndim = property(lambda self: self.mid.ndim)
    size = property(lambda self: self.mid.size)
    dtype = property(lambda self: self.mid.dtype)
    T = property(lambda self: type(self)(self.mid.T, self.rad.T), doc="The transpose.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mid={self.mid!r}, rad={self.rad!r})"

    def __len__(self) -> int:
        return len(self.mid)

    def __getitem__(self, index: Any) -> Self:
        return type(self)(np.asarray(self.mid[index]), np.asarray(self.rad[index]))

    def __bool__(self) -> bool:
        raise TypeError("an enclosure has no truth value; ask certainly_positive(...)")

    def __array__(self, *args: Any, **kwargs: Any) -> FloatArray:
        raise TypeError("converting an enclosure to a plain array would lose its radius")

    __float__ = __int__ = __complex__ = __index__ = __iter__ = __reversed__ = __contains__ = None

    def sum(self, axis: int | None = None, *, keepdims: bool = False) -> Self:
        """Sum over one axis or all."""
        return _wrap(self, _sum, self, axis, keepdims)

    def max(self, axis: int | None = None, *, keepdims: bool = False) -> Self:
        """Maximum over one axis or all."""
        return _wrap(self, _max, self, axis, keepdims)

    def min(self, axis: int | None = None, *, keepdims: bool = False) -> Self:
        """Minimum over one axis or all."""
        return type(self)(*_negative(Enclosure(*_negative(self)).max(axis, keepdims=keepdims)))

    def mean(self, axis: int, *, keepdims: bool = False) -> Self:
        """Mean over one axis."""
        return _wrap(self, _divide, self.sum(axis, keepdims=keepdims), Enclosure.exact(float(self.shape[axis])))

    def reshape(self, *shape: Any) -> Self:
        """The same entries in another shape."""
        return type(self)(self.mid.reshape(*shape), self.rad.reshape(*shape))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Enclosure:
        if method == "__call__" and not kwargs and ufunc in _UFUNCS:
            return _wrap(self, _UFUNCS[ufunc], *map(_lift, inputs))
        if kwargs.get("out") is not None or kwargs.get("where", True) is not True or kwargs.get("dtype") is not None:
            raise TypeError("out=, where= and dtype= are not available on enclosures")
        if method == "accumulate" and ufunc in _ACCUMULATIONS:
            return _wrap(self, _ACCUMULATIONS[ufunc], *inputs, **kwargs)
        raise TypeError(f"np.{ufunc.__name__} ({method}) is not available on enclosures")

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Enclosure:
        if func not in _FUNCTIONS:
            raise TypeError(f"np.{getattr(func, '__name__', func)} is not available on enclosures")
        with np.errstate(all="ignore"):
            result = _FUNCTIONS[func](*args, **kwargs)
        return type(self)(result.mid, result.rad)


_product: Callable[[FloatArray, FloatArray], FloatArray] = np.matmul  # of plain arrays, by threads in whatever mode

E = TypeVar("E", bound=Enclosure)
Pair = tuple[FloatArray, FloatArray]


@np.errstate(all="ignore")  # as a decorator it takes half of the time
def _wrap(like: E, operation: Callable[..., Pair], *operands: Any, **options: Any) -> E:
    mid, rad = operation(*operands, **options)
    spend(max(like.size, mid.size))
    return type(like)(mid, rad)


def _add(a: Enclosure, b: Enclosure) -> Pair:
    # The rounding error is at most half a unit in the last place of the computed sum s, which is u 2^e for the power
    # 2^e <= |s|, and 0 for |s| < 2^-1021, where it would underflow.  As rounding is monotonic, U * |s| is no smaller.
    mid = a.mid + b.mid
    return mid, (a.rad + b.rad + U * np.abs(mid)) * UP


def _subtract(a: Enclosure, b: Enclosure) -> Pair:
    mid = a.mid - b.mid
    return mid, (a.rad + b.rad + U * np.abs(mid)) * UP


def _multiply(a: Enclosure, b: Enclosure) -> Pair:
    # |xy - ab| <= |a| |y - b| + |x - a| |y|,  |y| <= |b| + rad(b)
    mid = a.mid * b.mid
    return mid, (np.abs(a.mid) * b.rad + a.rad * (np.abs(b.mid) + b.rad) + U * np.abs(mid) + TINY) * UP


def _divide(a: Enclosure, b: Enclosure) -> Pair:
    # |x/y - a/b| <= (rad(a) + |a/b| rad(b)) / (|b| - rad(b)).  `low` rounds |b| - rad(b) down: the factors outweigh
    # the three roundings.  With q the computed quotient |a/b| <= |q| (1 + u) + TINY, and rad(b) < |b|.
    mid = a.mid / b.mid
    size, q = np.abs(b.mid), np.abs(mid)
    low = size * (1.0 - 2.0 * U) - b.rad * (1.0 + 2.0 * U)
    rad = ((a.rad + q * b.rad + (q * U + TINY) * size + TINY) / low + U * q + TINY) * UP
    return mid, np.where(low > 0.0, rad, np.inf)


def _sqrt(a: Enclosure) -> Pair:
    # For x >= 0: elsewhere there is no root to enclose, and nothing is known where x < 0 is certain.  If a > rad:
    # |sqrt x - sqrt a| <= rad / sqrt a.  Otherwise both roots lie in [0, sqrt(max(a, 0) + rad)].
    mid = np.sqrt(np.maximum(a.mid, 0.0))
    near = a.rad / mid
    far = np.sqrt(np.maximum(a.mid, 0.0) + a.rad)
    rad = (np.where(a.mid > a.rad, near, far) + U * mid + TINY) * UP
    return mid, np.where(a.mid < -a.rad, np.inf, rad)


def _exp(a: Enclosure) -> Pair:
    # With e the computed value, |e - exp a| <= k e + t for k = 2 u EXP_ULPS and t = EXP_ULPS * 2^-1074 (where e^x is
    # subnormal), and exp(r) - 1 <= r (1 + r) <= 2 for r <= 1.  So |exp x - e| <= (e (1 + k) + t) r (1 + r) + k e + t,
    # in which t enters at most three times: far below TINY.
    mid = np.exp(a.mid)
    k = 2.0 * U * EXP_ULPS
    rad = (mid * ((1.0 + k) * (a.rad * (1.0 + a.rad)) + k) + TINY) * UP
    return mid, np.where(a.rad <= 1.0, rad, np.inf)


def _matmul(a: Enclosure, b: Enclosure) -> Pair:
    # The lemma on products above, with |XY - AB| <= |A| rad(B) + rad(A) (|B| + rad(B)).  Its t |A| and t |B| are in
    # |A| 2 TINY, half of which makes up for underflow of g |B|, and in (TINY / g) (g |B|).  No factor of the products
    # that form the radius is 0 or subnormal and none is negative: each loses gamma_2n of itself and 8 n t, which the
    # last line restores, or overflows to 2^1023 at least.  So rad < g 2^1000 says that S < 2^1001.
    n = a.shape[-1]
    g = gamma(2 * n)
    spend(2 * a.size * (b.shape[-1] if b.ndim > 1 else 1))
    size_a, size_b = np.abs(a.mid), np.abs(b.mid)
    mid = _product(a.mid, b.mid)
    rad = _product(size_a + TINY / g, b.rad + g * size_b + 2.0 * TINY)
    known = rad < g * 2.0**1000
    if a.rad.any():
        rad = rad + _product(a.rad + TINY, size_b + b.rad + TINY)
    return mid, np.where(known, (rad * (1.0 + 2.0 * g) + 24.0 * n * TINY) * UP, np.inf)


def _negative(a: Enclosure) -> Pair:
    return -a.mid, a.rad


def _absolute(a: Enclosure) -> Pair:
    return np.abs(a.mid), a.rad


def _excess(a: Enclosure, top: FloatArray) -> FloatArray:
    """An upper bound of a.mid + a.rad - top, for top >= a.mid; -inf where a.mid is -inf with radius 0 (left out)."""
    # The difference d <= 0 rounds by a factor in [1 - u, 1 + u] and its product with 1 - 4u by another.
    return a.rad + (a.mid - top) * (1.0 - 4.0 * U)


def _max(a: Enclosure, axis: int | None = None, keepdims: bool = False) -> Pair:
    # With M = max mid: max x <= max (mid + rad) = M + max(excess), and max x >= M - rad at the largest midpoint,
    # whose excess is that radius.  np.max passes NaN on.
    top = a.mid.max(axis=axis, keepdims=True)
    rad = np.asarray((_excess(a, top).max(axis=axis, keepdims=keepdims) + TINY) * UP)
    return top.reshape(rad.shape), rad


def _maximum(a: Enclosure, b: Enclosure) -> Pair:
    top = np.maximum(a.mid, b.mid)
    return top, (np.maximum(_excess(a, top), _excess(b, top)) + TINY) * UP


def _minimum(a: Enclosure, b: Enclosure) -> Pair:
    top, rad = _maximum(Enclosure(*_negative(a)), Enclosure(*_negative(b)))
    return -top, rad


def _running_max(a: Enclosure, axis: int = 0) -> Pair:
    # max is 1-Lipschitz in the maximum norm: |max x - max mid| <= max rad.
    return np.maximum.accumulate(a.mid, axis), np.maximum.accumulate(a.rad, axis)


def _running_min(a: Enclosure, axis: int = 0) -> Pair:
    return np.minimum.accumulate(a.mid, axis), np.maximum.accumulate(a.rad, axis)


def _sum(a: Enclosure, axis: int | None = None, keepdims: bool = False) -> Pair:
    n = a.size if axis is None else a.shape[axis]
    g = gamma(n)
    # `size` may be summed in another order than mid, and so stay finite where mid overflows.
    mid = np.asarray(a.mid.sum(axis=axis, keepdims=keepdims))
    size = np.abs(a.mid).sum(axis=axis, keepdims=keepdims)
    rad = a.rad.sum(axis=axis, keepdims=keepdims) + g * size + TINY
    return mid, np.asarray(rad * (1.0 + 2.0 * g) * UP + (mid - mid))


def _lift(x: Any) -> Enclosure:
    return x if isinstance(x, Enclosure) else Enclosure.exact(x)


def _where(condition: Any, a: Any, b: Any) -> Enclosure:
    if isinstance(condition, Enclosure) or np.asarray(condition).dtype != np.bool_:
        raise TypeError("the condition of np.where must be a plain array of booleans")
    a, b = _lift(a), _lift(b)
    return Enclosure(np.where(condition, a.mid, b.mid), np.where(condition, a.rad, b.rad))


def _sort(a: Enclosure, axis: int | None = -1) -> Enclosure:
    # Order statistics are 1-Lipschitz in the maximum norm.  A midpoint that is not finite spoils its whole slice.
    if axis is None:
        raise TypeError("np.sort needs an axis")
    rad = (a.rad + (a.mid - a.mid)).max(axis, keepdims=True)
    return Enclosure(np.sort(a.mid, axis), np.broadcast_to(rad, a.shape).copy())


def _both(func: Callable[..., FloatArray]) -> Callable[..., Enclosure]:
    """Lift a function that only moves entries about."""
    return lambda a, *args, **kwargs: Enclosure(func(a.mid, *args, **kwargs), func(a.rad, *args, **kwargs))


def _each(func: Callable[..., FloatArray]) -> Callable[..., Enclosure]:
    """Lift a function that joins a sequence of arrays."""

    def lifted(arrays: Sequence[Any], axis: int = 0) -> Enclosure:
        parts = [_lift(x) for x in arrays]
        return Enclosure(func([p.mid for p in parts], axis=axis), func([p.rad for p in parts], axis=axis))

    return lifted


_UFUNCS: dict[Any, Callable[..., Pair]] = {
    np.add: _add,
    np.subtract: _subtract,
    np.multiply: _multiply,
    np.divide: _divide,
    np.negative: _negative,
    np.absolute: _absolute,
    np.maximum: _maximum,
    np.minimum: _minimum,
    np.exp: _exp,
    np.sqrt: _sqrt,
    np.matmul: _matmul,
}

_ACCUMULATIONS: dict[Any, Callable[..., Pair]] = {np.maximum: _running_max, np.minimum: _running_min}

_MOVING: tuple[Any, ...] = (np.reshape, np.transpose, np.swapaxes, np.expand_dims, np.squeeze, np.broadcast_to, np.flip)

_FUNCTIONS: dict[Any, Callable[..., Enclosure]] = {
    np.sum: Enclosure.sum,
    np.max: Enclosure.max,
    np.min: Enclosure.min,
    np.mean: Enclosure.mean,
    np.where: _where,
    np.sort: _sort,
    **{func: _each(func) for func in (np.concatenate, np.stack)},
    **{func: _both(func) for func in (*_MOVING, np.diagonal, np.take_along_axis)},
}
