"""The readings of a proof other than verification: plain values, claims, and counted operations."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import (
    Array,
    BoolArray,
    FloatArray,
    IntArray,
    certainly_positive,
    max_where,
    midpoint,
    outward,
    to_grid,
)
from compactproofs.kernel.enclosure import Enclosure, exact_float64
from compactproofs.kernel.problem import Hints, Problem, Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.search import gates  # noqa: F401 - registers them
from compactproofs.search.caution import CautiousEnclosure
from compactproofs.search.cost import Cost, Counted, Meter
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.theorems.max_of_k.failing_sets.low_ends import lower

Reading: TypeAlias = Literal["value", "check", "claim"]

N = TypeVar("N")
T = TypeVar("T")
R = TypeVar("R")


@certainly_positive.register(np.ndarray)
@certainly_positive.register(np.floating)  # what NumPy makes of arrays without axes
def _(x: Any) -> BoolArray:
    return np.asarray(x > 0.0)


@lower.register(np.ndarray)
@lower.register(np.floating)
def _(x: Any) -> FloatArray:
    return np.where(np.isnan(x), -np.inf, x)


@midpoint.register(np.ndarray)
@midpoint.register(np.floating)
def _(x: Any) -> FloatArray:
    return np.asarray(x)


@max_where.register(np.ndarray)
def _(x: Any, keep: BoolArray, axis: int) -> Array:
    return np.asarray(np.where(keep, x, -np.inf).max(axis=axis))


@to_grid.register(np.ndarray)
@to_grid.register(np.floating)
def _(x: Any, scale: float) -> tuple[IntArray, IntArray]:
    return outward(np.asarray(x, np.float64), np.zeros(np.shape(x)), scale)


def plain(x: Array) -> FloatArray:
    """The numbers of an array whose reading is "value"; TypeError for an array of another reading."""
    return np.asarray(x)


_LIFTS: dict[Reading, Callable[[npt.ArrayLike], Any]] = {
    "value": exact_float64,
    "check": Enclosure.exact,
    "claim": CautiousEnclosure.exact,
}


class MeasuredWorkspace(Workspace[N, T], Generic[N, T]):
    """A workspace that books time and operations on its results, each of which every strategy that uses it is charged.

    Readings:

    * ``"value"``: plain float64 arrays, for search and figures; certifies nothing, and operations are not counted,
    * ``"check"``: enclosures, as verification computes,
    * ``"claim"``: enclosures that certify only with a margin to spare, for making certificates.
    """

    def __init__(self, problem: Problem[Any, Any], reading: Reading) -> None:
        if reading not in _LIFTS:
            raise ValueError(f"unknown reading {reading!r}; known: {', '.join(_LIFTS)}")
        super().__init__(problem, _LIFTS[reading])
        self.problem = problem
        self.reading = reading
        self.meter = Meter()
        self.haste = 1.0  # how many times coarser than usual searches count
        self.keep: Path | None = None  # where searches that go piece by piece keep what they have found

    def constant(self, values: npt.ArrayLike) -> Array:
        """Exact numbers as an array of this reading, counted."""
        lifted = super().constant(values)
        return lifted if self.reading == "value" else Counted(lifted, self.meter)

    def once(self, key: Hashable, compute: Callable[[], R]) -> R:
        """The result of `compute`, which runs, and is booked, the first time that this key is asked for."""

        def booked() -> R:
            with self.meter.step(key):
                return compute()

        result = super().once(key, booked)
        self.meter.use(key)
        return result

    def charge(self, flops: int = 0, int_ops: int = 0) -> None:
        """Book operations on plain numbers."""
        super().charge(flops, int_ops)
        self.meter.charge(flops, int_ops)

    def cost(self, key: Hashable) -> Cost:
        """The operations of the result under this key, with everything it used, each once."""
        return self.meter.total(key).cost

    def seconds(self, key: Hashable) -> float:
        """The time of the result under this key, with everything it used, each once."""
        return self.meter.total(key).seconds


#: On the question how often a network names the largest of its tokens.
MaxWorkspace: TypeAlias = MeasuredWorkspace[AttentionOnly, MaxOfK]


def workspace(network: AttentionOnly, reading: Reading) -> MaxWorkspace:
    """For the question how often this network names the largest of its tokens."""
    return MeasuredWorkspace(max_of_k(network), reading)


class Run(NamedTuple):
    """What a strategy's `bound` returned, what it cost, and how long that takes when nothing is shared.

    `close`: a claim may be another number, since something was decided by less than claims leave to spare.
    """

    certified: int
    cost: Cost
    seconds: float
    close: bool


def run(strategy: Strategy, work: MeasuredWorkspace[Any, Any], hints: Hints) -> Run:
    """The strategy's N on this workspace for these hints."""
    given = tuple((name, hint.dtype.str, hint.shape, hint.tobytes()) for name, hint in sorted(hints.items()))
    key = ("bound", strategy.id, given)
    certified = work.once(key, lambda: strategy.bound(work, hints))
    return Run(certified, *work.meter.total(key))
