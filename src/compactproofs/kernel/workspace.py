"""What a proof computes on: the weights as arrays, and intermediate results, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

import numpy.typing as npt

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.kernel.limits import spend

if TYPE_CHECKING:
    from compactproofs.kernel.problem import Problem

N = TypeVar("N")
T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


class Workspace(Generic[N, T]):
    """A problem whose numbers are enclosures, or another reading of the same programs: what `lift` makes of them."""

    def __init__(self, problem: Problem[Any, Any], lift: Callable[[npt.ArrayLike], Array] = Enclosure.exact) -> None:
        self._problem = problem
        self.network: N = problem.network
        self.task: T = problem.task
        self._lift = lift
        self._results: dict[Hashable, Any] = {}

    def constant(self, values: npt.ArrayLike) -> Array:
        """Exact numbers (weights, integers, hints) as an array of this reading; refuses NaN and infinity."""
        return self._lift(values)

    def weight(self, name: str) -> Array:
        """The weight matrix of this name, such as "W_E", as theorems about the task have it."""
        return self.once(("weight", name), lambda: self.constant(self._problem.weight(name)))

    def once(self, key: Hashable, compute: Callable[[], R]) -> R:
        """The result of `compute`, which runs the first time that this key is asked for."""
        if key not in self._results:
            self._results[key] = compute()
        result: R = self._results[key]
        return result

    def charge(self, flops: int = 0, int_ops: int = 0) -> None:
        """Say how many operations on plain numbers were done, beside those on arrays of the reading."""
        spend(flops + int_ops)


W = TypeVar("W", bound=Workspace[Any, Any])


def shared(step: Callable[Concatenate[W, P], R]) -> Callable[Concatenate[W, P], R]:
    """Mark a function of a workspace (and hashable arguments) whose result is computed once and then shared."""

    def once(work: W, /, *args: P.args, **kwargs: P.kwargs) -> R:
        key = (step.__module__, step.__qualname__, args, tuple(sorted(kwargs.items())))
        return work.once(key, lambda: step(work, *args, **kwargs))

    return update_wrapper(once, step)
