"""A model seen through one reading, where every intermediate result is computed at most once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy.typing as npt

from compactproofs.kernel.arrays import Array, CautiousEnclosure, Cost, Counted, Enclosure, Meter
from compactproofs.kernel.enclosure import exact_float64
from compactproofs.networks.attention_only.model import Model

P = ParamSpec("P")
T = TypeVar("T")

_READINGS: dict[str, Callable[[npt.ArrayLike], Any]] = {
    "value": exact_float64,
    "check": Enclosure.exact,
    "claim": CautiousEnclosure.exact,
}


class Workspace:
    """What a proof computes on: the model's weights, read as

    * ``"value"``: plain float64 arrays, for search and figures; certifies nothing,
    * ``"check"``: enclosures, for verification,
    * ``"claim"``: enclosures that certify only with a margin to spare, for making certificates.

    All but ``"value"`` also count operations.  Results of functions marked `shared` are kept and handed to every
    strategy that asks, and each strategy is charged for what it used.
    """

    def __init__(self, model: Model, reading: str) -> None:
        if reading not in _READINGS:
            raise ValueError(f"unknown reading {reading!r}; known: {', '.join(_READINGS)}")
        self.model = model
        self.reading = reading
        self.meter = Meter()
        self._results: dict[Hashable, Any] = {}

    def constant(self, values: npt.ArrayLike) -> Array:
        """Exact numbers (weights, integers, hints) as an array of this reading; refuses NaN and infinity."""
        lifted = _READINGS[self.reading](values)
        return lifted if self.reading == "value" else Counted(lifted, self.meter)

    def weight(self, name: str) -> Array:
        """The weight matrix of this name, such as "W_E"."""
        return self.once(("weight", name), lambda: self.constant(getattr(self.model, name)))

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The result of `compute`, which runs the first time that this key is asked for."""
        if key not in self._results:
            with self.meter.step(key):
                self._results[key] = compute()
        self.meter.use(key)
        result: T = self._results[key]
        return result

    def cost(self, key: Hashable) -> Cost:
        """The operations of the result under this key, with everything it used, each once."""
        return self.meter.cost(key)

    def seconds(self, key: Hashable) -> float:
        """The time of the result under this key, with everything it used, each once."""
        return self.meter.seconds(key)


def shared(step: Callable[Concatenate[Workspace, P], T]) -> Callable[Concatenate[Workspace, P], T]:
    """Mark a function of a workspace (and hashable arguments) whose result is computed once and then shared."""

    def once(work: Workspace, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (step.__module__, step.__qualname__, args, tuple(sorted(kwargs.items())))
        return work.once(key, lambda: step(work, *args, **kwargs))

    update_wrapper(once, step)

    return once
