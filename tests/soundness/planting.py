"""Plant an error in a private copy of the package, to see that the tests find it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from compactproofs.search.workspaces import Reading
from compactproofs.testing import planting
from compactproofs.testing.planting import Change, NotPlanted

from .heads import HeadsCase
from .hints import Hint, hints_of
from .models import Case, weights_of

__all__ = ["Change", "NotPlanted", "Planted", "full_name", "showing"]

_TIERS = ("core", "branching", "subcubic", "failing_sets", "few_dimensions", "counting", "heads")
_ALWAYS = (
    *("theorems", "kernel.workspace", "tasks.max_of_k", "networks.attention_only.biases"),
    *("search.workspaces", "search.hints"),
)

C = TypeVar("C", Case, HeadsCase)

#: Models that show errors which few others do.
SOON = frozenset(
    (
        "biased: bias 1 v=3 K=1",
        "brink: margins overflow to the wrong side, v=3 K=3",
        "brink: positions over 300 orders, v=3 K=2, halved",
        "contrary: sharpness -1 gain 1 bias 2.5 v=3 K=3",
        "contrary: sharpness 1 gain -1 bias 1.5 v=3 K=3",
        "contrary: sharpness 3 gain -1 bias 0.3 v=2 K=4",
        "contrary: sharpness 3 gain -1 bias 2.5 v=3 K=3",
        "float32: v=3 K=4",
        "folded: b_K astray v=2 K=4",
        "folded: b_O alone v=2 K=1",
        "folded: size 0.3 against attention v=3 K=2",
        "moderate: sharpness 1.2 v=3 K=4",
        "moderate: sharpness 1.6 v=2 K=4",
        "positions: position 0.5 write 0.5 v=2 K=3",
        "positions: position 1.5 write 0.5 v=3 K=3",
        "positions: position 1.5 write 0.5 v=3 K=4",
        "random 17",
        "random: scale 30, and noise 30",
        "razors: v=2 K=3 after",
        "rough: 0.3 sharpness 12 v=5 K=2",
        "ties: equal outputs",
        "ties: hidden",
        "wide: rough 0.3 sharpness 0.7 v=8 K=3",
    )
)

_SHOWN: Counter[str] = Counter()  # how often a model, by its hash, showed an error


def showing(models: Sequence[C], wrong: Callable[[C], Iterable[str]]) -> Iterator[str]:
    """What is wrong on these models.

    The order decides only how soon an error is found: models of `SOON` and those that showed most errors so far come
    first, the others with families mixed, because some errors show in one family only.
    """
    mixed = [models[i] for i in np.random.default_rng(3).permutation(len(models))]
    for case in sorted(mixed, key=lambda case: (case.name not in SOON, -_SHOWN[case.model.sha256])):
        for where in wrong(case):
            _SHOWN[case.model.sha256] += 1
            yield where


def full_name(module: str) -> str:
    """A module by its name in the package, where theorems are named by tier and file alone."""
    return f"theorems.max_of_k.{module}" if module.partition(".")[0] in _TIERS else module


class Planted(planting.Planted):
    """A copy of the package with errors; use as `Planted((module, old, new), ...)`.

    Module names are relative to the package.  A copy shares nothing with the package; of the package's models it takes
    the weights.
    """

    def __init__(self, *changes: Change) -> None:
        self._values: dict[str, Any] = {}
        self._found: dict[tuple[str, str], dict[str, Hint]] = {}
        self._last: tuple[Any, str, Any] | None = None  # a model, a reading and their workspace, for all kinds of hints
        named = ((full_name(module), old, new) for module, old, new in changes)
        super().__init__("compactproofs", named, _ALWAYS, sparing=True)

    def module(self, name: str) -> ModuleType:
        """A module of the copy: one that was changed, or one of `_ALWAYS`."""
        return super().module(full_name(name))

    def hints(self, strategy_id: str, model: Any, kind: str, rng: np.random.Generator) -> dict[str, Hint]:
        """Hostile hints of one of `hints.KINDS`, with the search of the copy, which sees the error too."""
        strategy = self.module("theorems").BUILT_IN.strategies[strategy_id]
        if model.sha256 not in self._values:
            self._values[model.sha256] = self.workspace(model, "value")
        return hints_of(strategy, model, kind, rng, self._values[model.sha256], self._search)

    def _search(self, strategy: Any, work: Any) -> dict[str, Hint]:
        """What the copy's search finds, once for all kinds of hints that start from it."""
        key = strategy.id, work.network.sha256
        if key not in self._found:
            self._found[key] = self.module("search.hints").search_hints(strategy, work)
        return self._found[key]

    def search(self, strategy_id: str, model: Any) -> dict[str, Hint]:
        """The hints that the copy's search finds."""
        return self.hints(strategy_id, model, "searched", np.random.default_rng(0))

    def bound(
        self, strategy_id: str, model: Any, reading: Reading = "check", hints: Mapping[str, Any] | None = None
    ) -> int:
        """N according to the copy."""
        strategy = self.module("theorems").BUILT_IN.strategies[strategy_id]
        if self._last is None or self._last[0] is not model or self._last[1] != reading:
            self._last = model, reading, self.workspace(model, reading)
        certified: int = strategy.bound(self._last[2], hints or {})
        return certified

    def workspace(self, model: Any, reading: Reading) -> Any:
        """A workspace of the copy; for a check, as verification makes one, on which nothing is counted."""
        own = self.module("networks.attention_only.biases").WithBiases(**weights_of(model))
        if reading == "check":
            return self.module("kernel.workspace").Workspace(self.module("tasks.max_of_k").max_of_k(own))
        return self.module("search.workspaces").workspace(own, reading)
