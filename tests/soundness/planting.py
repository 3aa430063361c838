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

#: Of errors that few models show, by their names, a model that does.
SHOWN_BY = {
    error: model
    for model, errors in {
        "biased: bias 1 v=3 K=1": ("classes without a maximum at K = 1",),
        "brink: ties through the softmax, times 1e+00, v=4 K=3, halved": (
            "between the thresholds, the upper one",
            "denominators of two heads mixed",
        ),
        "contrary: sharpness -1 gain 1 bias 2.5 v=3 K=3": ("the maximum's own end of the score",),
        "contrary: sharpness 1 gain -1 bias 1.5 v=3 K=3": (
            "entries are found again under the wrong place",
            "the query's score for that of the maximum",
            "the sums of the rest's rows cancel",
            "upper weights for all tokens of a class",
        ),
        "contrary: sharpness 3 gain -1 bias 0.3 v=2 K=4": (
            "maxima in the places of least attention only",
            "other tokens that pull towards the maximum help",
        ),
        "contrary: sharpness 3 gain -1 bias 0.3 v=3 K=3, alone": (
            "classes without a maximum",
            "the query has no weight",
        ),
        "contrary: sharpness 3 gain -1 bias 2.5 v=3 K=3": ("a query that pulls towards the maximum helps",),
        "float32: v=3 K=4": ("scores of positions are divided by the root twice and more",),
        "folded: b_K astray v=2 K=4": ("attention to the query where that to the non-maximum belongs, as published",),
        "folded: b_O astray v=3 K=3": ("positions bring a second one",),
        "folded: b_V alone v=2 K=4, halved": ("what the query writes is left out",),
        "folded: b_V astray v=3 K=2": ("b_V for each position",),
        "folded: b_V astray v=3 K=3": ("the head writes the ones again",),
        "folded: size 0.3 against attention v=3 K=2": ("a heavy token where it is lightest, everywhere",),
        "folded: size 3 against attention v=4 K=3": ("the root of the wider head",),
        "moderate: sharpness 0.3 v=3 K=3, against a neighbour": (
            "from above, one head decides",
            "one head decides",
        ),
        "positions: position 0.5 write 0.5 v=2 K=3": (
            "positions write what is best, not worst",
            "the query sits at the first position",
        ),
        "positions: position 1.5 write 0.5 v=3 K=3": ("lower weights for all tokens of a class",),
        "random 17": (
            "best positions instead of worst",
            "weights of another head",
        ),
        "razors: v=2 K=3 after": (
            "a factor along a direction has no remainder",
            "a quarter of the norm",
            "an entry from the wrong row",
            "an entry of the direct path from the wrong row",
            "entries and bounds with different constants",
            "spread of the mean row only",
            "spreads cancel",
            "the remainder does not matter",
        ),
        "razors: v=3 K=2 after": ("another input is tried",),
        "rough: 0.3 sharpness 12 v=5 K=2": ("the mildest query stands for all",),
        "ties: hidden": (
            "the better end of the direct path",
            "the direct path to the rival from another query",
            "undecided sums count",
        ),
        "wide: rough 0.3 sharpness 0.7 v=8 K=3": (
            "a box is right if one output is",
            "heavy tokens may be missing from their part",
            "lower weights for near tokens",
            "one good line is enough",
            "the error has the wrong sign",
            "the mean of the direct path without the position",
            "the query of a part is its maximum",
        ),
    }.items()
    for error in errors
}

_SHOWN: Counter[str] = Counter()  # how often a model, by its hash, showed an error


def showing(models: Sequence[C], wrong: Callable[[C], Iterable[str]], error: str = "") -> Iterator[str]:
    """What is wrong on these models; `error`: its name.

    The order decides only how soon an error is found: a model that is known to show it, models of `SOON` and those that
    showed most errors so far come first, the others with families mixed, because some errors show in one family only.
    """
    mixed, known = [models[i] for i in np.random.default_rng(3).permutation(len(models))], SHOWN_BY.get(error)
    order = sorted(mixed, key=lambda case: (case.name != known, case.name not in SOON, -_SHOWN[case.model.sha256]))
    for case in order:
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
