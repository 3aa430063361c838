"""The cost reading: the same values, with every arithmetic operation counted.

Convention (that of the paper): an elementwise operation costs 1 per output entry; a product of an a x b and a b x c
matrix costs a c (2b - 1); a reduction, a running maximum or a sort over k entries costs k - 1 per slice.  Moving
entries about is free.  Comparisons that decide and choices by a boolean mask are integer operations, counted apart.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from compactproofs.kernel.decisions import (
    BoolArray,
    FloatArray,
    IntArray,
    certainly_positive,
    max_where,
    midpoint,
    to_grid,
)
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.search.allowance import CALL
from compactproofs.search.caution import close, close_on_grid
from compactproofs.theorems.max_of_k.failing_sets.low_ends import lower


@dataclass(frozen=True)
class Cost:
    """Operations that checking takes: floating-point ones, and integer ones (comparisons, counting).

    `calls`: in how many calls of NumPy, about.
    """

    flops: int = 0
    int_ops: int = 0
    calls: int = field(default=0, compare=False)

    @property
    def work(self) -> int:
        """How long it takes, as a number of operations."""
        return self.flops + self.int_ops + CALL * self.calls


def power(number: int) -> str:
    """A number of operations as a power of two."""
    return f"2^{math.log2(number):.1f}" if number else "0"


class Total(NamedTuple):
    """What a step took, with all that it used: operations, seconds, and whether anything was decided narrowly."""

    cost: Cost
    seconds: float
    close: bool


@dataclass(eq=False)
class _Account:
    flops: int = 0
    int_ops: int = 0
    calls: int = 0
    seconds: float = 0.0
    close: bool = False
    uses: set[_Account] = field(default_factory=set)


class Meter:
    """Books operations on the step that is being computed, so that steps which proofs share are charged to each.

    The cost of a step is its own operations and those of all steps that it used, each of these once.
    """

    def __init__(self) -> None:
        self._accounts: dict[Hashable, _Account] = {}
        self._open: list[_Account] = [_Account()]
        self._since = time.perf_counter()

    def charge(self, flops: int = 0, int_ops: int = 0) -> None:
        """Add operations to the step that is being computed."""
        account = self._open[-1]
        account.flops += int(flops)
        account.int_ops += int(int_ops)
        account.calls += 1

    def note_close(self) -> None:
        """Note that the step being computed decides something in another way than a cautious reading, or may."""
        self._open[-1].close = True

    @contextmanager
    def step(self, key: Hashable) -> Iterator[None]:
        """Book what happens inside on the step `key`."""
        account = self._accounts[key] = _Account()
        self._book_time()
        self._open.append(account)
        try:
            yield
        finally:
            self._book_time()
            self._open.pop()

    def _book_time(self) -> None:
        now = time.perf_counter()
        self._open[-1].seconds += now - self._since
        self._since = now

    def use(self, key: Hashable) -> None:
        """Note that the step being computed uses the step `key`."""
        self._open[-1].uses.add(self._accounts[key])

    def total(self, key: Hashable) -> Total:
        """What the step `key` took, with all that it uses, each once."""
        todo = [self._accounts[key]]
        needed = set(todo)
        while todo:
            new = todo.pop().uses - needed
            needed |= new
            todo.extend(new)
        cost = Cost(sum(a.flops for a in needed), sum(a.int_ops for a in needed), sum(a.calls for a in needed))
        return Total(cost, sum(a.seconds for a in needed), any(a.close for a in needed))


class Counted(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of any reading whose operations are booked on a meter."""

    __slots__ = ("inner", "meter")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, inner: Any, meter: Meter) -> None:
        self.inner = inner
        self.meter = meter

    shape = property(lambda self: self.inner.shape)
    ndim = property(lambda self: self.inner.ndim)
    size = property(lambda self: self.inner.size)
    dtype = property(lambda self: self.inner.dtype)

    @property
    def T(self) -> Counted:
        """The transpose."""
        return Counted(self.inner.T, self.meter)

    def __repr__(self) -> str:
        return f"Counted({self.inner!r})"

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: Any) -> Counted:
        return Counted(self.inner[index], self.meter)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError("counted arrays are immutable; build a new one with np.where or np.concatenate")

    def __bool__(self) -> bool:
        raise TypeError("a counted array has no truth value; ask certainly_positive(...)")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("converting a counted array to a plain array would stop the counting")

    __float__ = __int__ = __complex__ = __index__ = __iter__ = __reversed__ = __contains__ = None

    def sum(self, axis: int | None = None, *, keepdims: bool = False) -> Counted:
        """Sum over one axis or all."""
        return _reduction(np.sum)(self, axis=axis, keepdims=keepdims)

    def max(self, axis: int | None = None, *, keepdims: bool = False) -> Counted:
        """Maximum over one axis or all."""
        return _reduction(np.max)(self, axis=axis, keepdims=keepdims)

    def min(self, axis: int | None = None, *, keepdims: bool = False) -> Counted:
        """Minimum over one axis or all."""
        return _reduction(np.min)(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int, *, keepdims: bool = False) -> Counted:
        """Mean over one axis: a sum and a division."""
        total = self.sum(axis, keepdims=keepdims)
        self.meter.charge(flops=total.size)
        return Counted(total.inner / float(self.shape[axis]), self.meter)

    def reshape(self, *shape: Any) -> Counted:
        """The same entries in another shape."""
        return Counted(self.inner.reshape(*shape), self.meter)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Counted:
        if method == "__call__" and not kwargs and (ufunc in _ELEMENTWISE or ufunc is np.matmul):
            operands = [_inner(x) for x in inputs]
            result = ufunc(*operands)
            per_entry = 2 * operands[0].shape[-1] - 1 if ufunc is np.matmul else 1
            self.meter.charge(flops=result.size * per_entry)
            return Counted(result, self.meter)
        if kwargs.get("out") is not None or kwargs.get("where", True) is not True or kwargs.get("dtype") is not None:
            raise TypeError("out=, where= and dtype= are not available on counted arrays")
        if method == "accumulate" and ufunc in (np.maximum, np.minimum):
            axis = kwargs.get("axis", inputs[1] if len(inputs) > 1 else 0)
            result = ufunc.accumulate(self.inner, axis)
            self.meter.charge(flops=_slices(self.shape, axis, less=1))
            return Counted(result, self.meter)
        raise TypeError(f"np.{ufunc.__name__} ({method}) is not available on counted arrays")

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Counted:
        if func not in _FUNCTIONS:
            raise TypeError(f"np.{getattr(func, '__name__', func)} is not available on counted arrays")
        return _FUNCTIONS[func](*args, **kwargs)


def _inner(x: Any) -> Any:
    return x.inner if isinstance(x, Counted) else x if hasattr(x, "__array_ufunc__") else np.asarray(x)


def _slices(shape: tuple[int, ...], axis: int | None, less: int = 0) -> int:
    """Entries of an array of this shape, with `less` fewer along `axis`."""
    size = math.prod(shape)
    length = size if axis is None else shape[axis]
    return size // length * (length - less) if length else 0


def _reduction(func: Callable[..., Any]) -> Callable[..., Counted]:
    def counted(a: Counted, axis: int | None = None, *, keepdims: bool = False) -> Counted:
        result = func(a.inner, axis=axis, keepdims=keepdims)
        a.meter.charge(flops=_slices(a.shape, axis, less=1))
        return Counted(result, a.meter)

    return counted


def _sort(a: Counted, axis: int = -1) -> Counted:
    a.meter.charge(flops=_slices(a.shape, axis, less=1))
    return Counted(np.sort(a.inner, axis=axis), a.meter)


def _where(condition: Any, a: Any, b: Any) -> Counted:
    if isinstance(condition, Counted):
        raise TypeError("the condition of np.where must be a plain array of booleans")
    meter: Meter = (a if isinstance(a, Counted) else b).meter
    result = np.where(condition, _inner(a), _inner(b))
    meter.charge(int_ops=result.size)
    return Counted(result, meter)


def _free(func: Callable[..., Any]) -> Callable[..., Counted]:
    def counted(a: Counted, *args: Any, **kwargs: Any) -> Counted:
        return Counted(func(a.inner, *args, **kwargs), a.meter)

    return counted


def _free_join(func: Callable[..., Any]) -> Callable[..., Counted]:
    def counted(arrays: Any, axis: int = 0) -> Counted:
        meter = next(a.meter for a in arrays if isinstance(a, Counted))
        return Counted(func([_inner(a) for a in arrays], axis=axis), meter)

    return counted


_ELEMENTWISE = {
    np.add,
    np.subtract,
    np.multiply,
    np.divide,
    np.negative,
    np.absolute,
    np.maximum,
    np.minimum,
    np.exp,
    np.sqrt,
}

_FUNCTIONS: dict[Any, Callable[..., Counted]] = {
    np.sum: _reduction(np.sum),
    np.max: _reduction(np.max),
    np.min: _reduction(np.min),
    np.mean: Counted.mean,
    np.where: _where,
    np.sort: _sort,
    np.concatenate: _free_join(np.concatenate),
    np.stack: _free_join(np.stack),
    **{
        func: _free(func)
        for func in (
            np.reshape,
            np.transpose,
            np.swapaxes,
            np.expand_dims,
            np.squeeze,
            np.broadcast_to,
            np.diagonal,
            np.take_along_axis,
            np.flip,
        )
    },
}


@certainly_positive.register
def _(x: Counted) -> BoolArray:
    x.meter.charge(int_ops=x.size)
    decided = certainly_positive(x.inner)
    if isinstance(x.inner, Enclosure) and close(x.inner, decided):
        x.meter.note_close()
    return decided


@lower.register
def _(x: Counted) -> FloatArray:
    x.meter.note_close()  # numbers, which differ between readings
    return lower(x.inner)


@midpoint.register
def _(x: Counted) -> FloatArray:
    return midpoint(x.inner)


@max_where.register
def _(x: Counted, keep: BoolArray, axis: int) -> Counted:
    kept = np.broadcast_to(keep, x.shape).sum(axis=axis)
    x.meter.charge(flops=int(np.maximum(kept - 1, 0).sum()))
    return Counted(max_where(x.inner, keep, axis), x.meter)


@to_grid.register
def _(x: Counted, scale: float) -> tuple[IntArray, IntArray]:
    x.meter.charge(flops=x.size)
    found = to_grid(x.inner, scale)
    if isinstance(x.inner, Enclosure) and close_on_grid(x.inner, scale, found):
        x.meter.note_close()
    return found
