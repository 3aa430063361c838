"""The reading of a proof that can be differentiated: its numbers are PyTorch tensors.

The programs of strategies run on it as they are, and what they compare with zero is kept: training can push that to the
side on which the proof holds.  It certifies nothing; a network trained so is proved, like any other, on enclosures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from compactproofs.kernel.decisions import Array, BoolArray, FloatArray, certainly_positive, max_where, midpoint
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.theorems.max_of_k.failing_sets.low_ends import lower

_LARGEST_EXPONENT = 30.0


class Differentiable(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of the reading: a tensor, and where its comparisons with zero are written down."""

    __slots__ = ("compared", "tensor")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, tensor: torch.Tensor, compared: list[torch.Tensor]) -> None:
        self.tensor = tensor
        self.compared = compared

    shape = property(lambda self: tuple(self.tensor.shape))
    ndim = property(lambda self: self.tensor.ndim)
    size = property(lambda self: self.tensor.numel())

    @property
    def T(self) -> Differentiable:
        """The transpose."""
        return self._like(self.tensor.T)

    def _like(self, tensor: torch.Tensor) -> Differentiable:
        return Differentiable(tensor, self.compared)

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, index: Any) -> Differentiable:
        parts = index if isinstance(index, tuple) else (index,)
        return self._like(self.tensor[tuple(torch.as_tensor(x) if isinstance(x, np.ndarray) else x for x in parts)])

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("converting to a plain array would lose the gradient; ask midpoint(...)")

    def __bool__(self) -> bool:
        raise TypeError("an array of this reading has no truth value; ask certainly_positive(...)")

    __float__ = __int__ = __index__ = __iter__ = None

    def sum(self, axis: int | None = None, *, keepdims: bool = False) -> Differentiable:
        """Over one axis or all."""
        return self._like(self.tensor.sum() if axis is None else self.tensor.sum(axis, keepdim=keepdims))

    def mean(self, axis: int, *, keepdims: bool = False) -> Differentiable:
        """Over one axis."""
        return self._like(self.tensor.mean(axis, keepdim=keepdims))

    def max(self, axis: int | None = None, *, keepdims: bool = False) -> Differentiable:
        """Over one axis or all."""
        return self._like(self.tensor.amax(() if axis is None else axis, keepdim=keepdims))

    def min(self, axis: int | None = None, *, keepdims: bool = False) -> Differentiable:
        """Over one axis or all."""
        return self._like(self.tensor.amin(() if axis is None else axis, keepdim=keepdims))

    def reshape(self, *shape: Any) -> Differentiable:
        """The same entries in another shape."""
        return self._like(self.tensor.reshape(*shape))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Differentiable:
        if method == "__call__" and not kwargs and ufunc in _ELEMENTWISE:
            return self._like(_ELEMENTWISE[ufunc](*(self._tensor(x) for x in inputs)))
        if method == "accumulate" and ufunc in _RUNNING and set(kwargs) <= {"axis"}:
            axis = kwargs.get("axis", inputs[1] if len(inputs) > 1 else 0)
            return self._like(_RUNNING[ufunc](self.tensor, axis).values)
        raise TypeError(f"np.{ufunc.__name__} ({method}) is not available on arrays of this reading")

    def _tensor(self, x: Any) -> torch.Tensor:
        return x.tensor if isinstance(x, Differentiable) else torch.as_tensor(np.asarray(x), dtype=self.tensor.dtype)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Differentiable:
        if func not in _FUNCTIONS:
            raise TypeError(f"np.{getattr(func, '__name__', func)} is not available on arrays of this reading")
        return _FUNCTIONS[func](*args, **kwargs)


def _where(condition: BoolArray, a: Any, b: Any) -> Differentiable:
    like: Differentiable = a if isinstance(a, Differentiable) else b
    return like._like(torch.where(torch.as_tensor(condition), like._tensor(a), like._tensor(b)))


def _joined(join: Callable[..., torch.Tensor]) -> Callable[..., Differentiable]:
    def joined(arrays: Any, axis: int = 0) -> Differentiable:
        like: Differentiable = next(x for x in arrays if isinstance(x, Differentiable))
        return like._like(join([like._tensor(x) for x in arrays], axis))

    return joined


def _moved(move: Callable[..., torch.Tensor]) -> Callable[..., Differentiable]:
    return lambda a, *args, **kwargs: a._like(move(a.tensor, *args, **kwargs))


_ELEMENTWISE: dict[np.ufunc, Callable[..., torch.Tensor]] = {
    np.add: torch.add,
    np.subtract: torch.subtract,
    np.multiply: torch.multiply,
    np.divide: torch.divide,
    np.matmul: torch.matmul,
    np.negative: torch.negative,
    np.absolute: torch.abs,
    np.maximum: torch.maximum,
    np.minimum: torch.minimum,
    # Where this is reached nothing is certified anyway, and what comes after must stay finite.
    np.exp: lambda x: torch.exp(torch.clamp(x, max=_LARGEST_EXPONENT)),
    # Its slope at 0 is infinite; at a norm that is 0 any slope will do.
    np.sqrt: lambda x: torch.sqrt(torch.clamp(x, min=torch.finfo(x.dtype).tiny)),
}

_RUNNING: dict[np.ufunc, Callable[..., Any]] = {np.maximum: torch.cummax, np.minimum: torch.cummin}

_FUNCTIONS: dict[Any, Callable[..., Differentiable]] = {
    np.sum: Differentiable.sum,
    np.mean: Differentiable.mean,
    np.max: Differentiable.max,
    np.min: Differentiable.min,
    np.where: _where,
    np.concatenate: _joined(torch.cat),
    np.stack: _joined(torch.stack),
    np.sort: _moved(lambda x, axis=-1: torch.sort(x, axis).values),
    np.broadcast_to: _moved(torch.broadcast_to),
    np.diagonal: _moved(torch.diagonal),
    np.flip: _moved(lambda x, axis: torch.flip(x, (axis,))),
    np.reshape: _moved(torch.reshape),
    np.transpose: _moved(torch.t),
}


@certainly_positive.register
def _(x: Differentiable) -> BoolArray:
    x.compared.append(x.tensor)
    return np.asarray((x.tensor > 0).numpy())


@midpoint.register
@lower.register
def _(x: Differentiable) -> FloatArray:
    return np.asarray(x.tensor.detach().double().numpy())


@max_where.register
def _(x: Differentiable, keep: BoolArray, axis: int) -> Array:
    return x._like(x.tensor.masked_fill(~torch.as_tensor(keep), -torch.inf).amax(axis))


class DifferentiableWorkspace(Workspace[Any, Any]):
    """A problem whose network has these tensors as weights, by the names that strategies know."""

    def __init__(self, problem: Problem[Any, Any], weights: Mapping[str, torch.Tensor]) -> None:
        self._weights = weights
        self._compared: list[torch.Tensor] = []
        super().__init__(problem, self._lifted)

    def _lifted(self, values: npt.ArrayLike) -> Array:
        some = next(iter(self._weights.values()))
        return Differentiable(torch.tensor(np.asarray(values), dtype=some.dtype), self._compared)

    def weight(self, name: str) -> Array:
        """The weight matrix of this name."""
        return self.lifted(self._weights[name])

    def lifted(self, tensor: torch.Tensor) -> Array:
        """A tensor as an array of this reading, such as a hint that is trained."""
        return Differentiable(tensor, self._compared)

    def charge(self, flops: int = 0, int_ops: int = 0) -> None:
        """Nothing is counted."""

    @contextmanager
    def comparisons(self) -> Iterator[list[torch.Tensor]]:
        """What is compared with zero inside, in this order: positive where the proof holds."""
        start = len(self._compared)
        found: list[torch.Tensor] = []
        yield found
        found += self._compared[start:]
        del self._compared[start:]
