"""A strategy on trial: many small networks and hints on which its N must not exceed the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.problem import Problem, Strategy, Task
from compactproofs.kernel.workspace import Workspace
from compactproofs.search.companions import Search, no_hints
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.testing.hints import KINDS, Hint, hostile_hints, kinds_of
from compactproofs.testing.planting import Change, Planted
from compactproofs.testing.weights import HOSTILE, Weights, mutated, razor

_MIN_SHARE = 0.3  # of the inputs, that a network worth attacking has certified
_NEW_HINTS = 0.3  # how often the hints change with the weights
_STARTS = 0.5  # the share of the steps that goes into random starts
_CLOSE = 1e-9  # margins below this are left to exact arithmetic
_RAZORS = 0.25  # razors for each network that is drawn


@dataclass(frozen=True)
class Approach:
    """The closest that an attack came: `claimed` inputs, where `truth` are answered correctly, or as many wrongly.

    Wrongly answered inputs count where a strategy bounds the right ones from above.
    """

    claimed: int
    truth: int
    total: int
    margin: float
    weights: Weights = field(repr=False)
    hints: dict[str, Hint] = field(repr=False)

    @property
    def gap(self) -> int:
        """N - truth; a violation if positive."""
        return self.claimed - self.truth

    @property
    def score(self) -> tuple[float, float]:
        """What the climb maximises."""
        shortfall = max(0.0, _MIN_SHARE * self.total - self.claimed)
        return self.gap - 2.0 * shortfall, -self.margin


@dataclass(frozen=True)
class Trial:
    """A strategy, small networks, and the exact truth about them.

    `draw` draws weights, by name, of a small network, most of which should do what the task asks; `network` makes a
    network of them, by keywords, and refuses some by a ValueError; `truth` is the exact number of inputs that it
    answers correctly, where whatever cannot be decided, such as a tie, is wrong.

    Optional: `search` finds hints.  `margins` are plain floats, one for each input and positive where it is answered
    correctly: they lead the attack to where that is about to change.  `bound` computes N instead of the strategy.
    """

    strategy: Strategy
    draw: Callable[[np.random.Generator], Weights]
    network: Callable[..., Any]
    task: Callable[[Any], Task]
    truth: Callable[[Any], int]
    search: Search = no_hints
    margins: Callable[[Weights], npt.NDArray[np.float64]] | None = None
    bound: Callable[[Any, dict[str, Hint]], int] | None = None

    def assert_sound(self, number: int = 50, seed: int = 0) -> None:
        """No N on this trial is false; AssertionError with the first that is."""
        for wrong in self.violations(number, seed):
            raise AssertionError(wrong)

    def violations(self, number: int = 50, seed: int = 0, first: int = 0) -> Iterator[str]:
        """What is wrong on so many networks that are drawn, spoiled in all ways in turn, and some razors.

        Each with all kinds of hints.  `first`: the draw to begin with; messages number them.
        """
        ways, made = list(HOSTILE), 0
        for i in range(first, first + number):
            rng = np.random.default_rng([seed, i])
            with np.errstate(all="ignore"):
                drawn = self.draw(rng)
                each = [(ways[i % len(ways)], HOSTILE[ways[i % len(ways)]](rng, drawn))]
                if rng.random() < _RAZORS:
                    sides = razor(drawn, mutated(rng, drawn), self._proved) or ()
                    each += [(f"razor, side {side}", weights) for side, weights in enumerate(sides)]
            for way, weights in each:
                made += self._problem(weights) is not None
                yield from (
                    f"{self.strategy.id}, seed {seed}, draw {i}, {way}, {wrong}" for wrong in self._wrong(weights, rng)
                )
        if number and not made:
            yield f"{self.strategy.id}, seed {seed}: of {number} networks that were drawn, `network` could make none"

    def _wrong(self, weights: Weights, rng: np.random.Generator) -> Iterator[str]:
        """What is wrong on these weights, with all kinds of hints."""
        problem = self._problem(weights)
        if problem is None:
            return
        truth = self.truth(problem.network)
        check, claim = Workspace[Any, Any](problem), MeasuredWorkspace[Any, Any](problem, "claim")
        values = MeasuredWorkspace[Any, Any](problem, "value")
        for kind in kinds_of(self.strategy, problem):
            hints = self._hints(problem, kind, rng, values)
            checked, claimed = self.strategy.bound(check, hints), self.strategy.bound(claim, hints)
            wrong = misfit(self.strategy, checked, claimed, truth, problem.task.total)
            if wrong is not None:
                yield f"hints {kind}: {wrong}"

    def attack(self, steps: int = 300, seed: int = 0) -> Approach:
        """Climb from the best of some draws until a violation; the closest approach."""
        return self.climb(np.random.default_rng(seed), steps)

    def climb(self, rng: np.random.Generator, steps: int) -> Approach:
        """The same with these random numbers.

        It prefers a larger N - truth, never giving up too much of N; among equals it makes the margins of the right
        answers small, so that a proof that is slightly too generous is led to where that shows.  Floats guide the
        climb; the verdict on what it finds is exact.
        """
        starts = max(1, int(_STARTS * steps))
        best = self._start(rng)
        for _ in range(starts - 1):
            if best.gap > 0:
                break
            best = max(best, self._start(rng), key=lambda approach: approach.score)
        for _ in range(steps - starts):
            if best.gap > 0:
                break
            weights, hints = mutated(rng, best.weights), best.hints
            problem = self._problem(weights)
            if problem is None:
                continue
            if hints and rng.random() < _NEW_HINTS:
                kind = "searched" if rng.random() < 0.5 else str(rng.choice(KINDS))
                hints = self._hints(problem, kind, rng)
            candidate = self._measure(problem, weights, hints)
            if candidate.score >= best.score:
                best = candidate
        return best

    def _start(self, rng: np.random.Generator) -> Approach:
        for _ in range(10_000):
            weights = self.draw(rng)
            problem = self._problem(weights)
            if problem is not None:
                return self._measure(problem, weights, self._hints(problem, "searched", rng))
        raise ValueError("none of 10,000 networks that were drawn can be made, and checked by the strategy")

    def _measure(self, problem: Problem[Any, Any], weights: Weights, hints: dict[str, Hint]) -> Approach:
        total, from_above = problem.task.total, self.strategy.claim == "at most"
        found = self._bound(problem, hints)
        claimed = total - found if from_above else found
        if self.margins is None:
            margins, truth = np.zeros(0), -1
        else:
            margins = -self.margins(weights) if from_above else self.margins(weights)
            truth = int((margins > 0).sum())
        close = bool(margins.size) and np.abs(margins).min() < _CLOSE
        if claimed > truth or (claimed == truth and close):
            right = self.truth(problem.network)
            truth = total - right if from_above else right
        positive = margins[margins > 0]
        return Approach(claimed, truth, total, float(positive.min()) if positive.size else 1.0, weights, hints)

    def _problem(self, weights: Weights) -> Problem[Any, Any] | None:
        """The problem, if there is a network of these weights and the strategy can be checked on it."""
        try:
            network = self.network(**weights)
        except ValueError:
            return None
        problem = Problem(network, self.task(network))
        return problem if self.strategy.limit(problem) is None else None

    def _bound(self, problem: Problem[Any, Any], hints: dict[str, Hint]) -> int:
        if self.bound is not None:
            return self.bound(problem.network, hints)
        return self.strategy.bound(Workspace(problem), hints)

    def _proved(self, weights: Weights) -> int:
        """N with hints that are searched; 0 where there is none."""
        problem = self._problem(weights)
        return (
            0 if problem is None else self._bound(problem, self._hints(problem, "searched", np.random.default_rng(0)))
        )

    def _hints(
        self,
        problem: Problem[Any, Any],
        kind: str,
        rng: np.random.Generator,
        values: MeasuredWorkspace[Any, Any] | None = None,
    ) -> dict[str, Hint]:
        def search() -> Mapping[str, Hint]:
            return self.search(self.strategy, values or MeasuredWorkspace[Any, Any](problem, "value"))

        sizes = [size or 0 for spec in self.strategy.hints(problem).values() for size in spec.shape]
        return hostile_hints(self.strategy, problem, kind, rng, search, max(sizes, default=8))


def misfit(strategy: Strategy, checked: object, claimed: object, truth: int, total: int) -> str | None:
    """What is wrong with the numbers of a check and of a claim, or None."""
    if type(checked) is not int or type(claimed) is not int:
        return f"N must be an int, not {type(checked).__name__} and {type(claimed).__name__}"
    low, high = (truth, total) if strategy.claim == "at most" else (0, truth)
    claim_fits = checked <= claimed if strategy.claim == "at most" else claimed <= checked
    if claim_fits and all(low <= number <= high for number in (checked, claimed)):
        return None
    return f"{claimed} claimed, {checked} checked, {strategy.claim}, where {truth} of {total} are right"


def planted(trial: Trial, *changes: Change, home: str | None = None) -> Trial:
    """The same trial of a copy of the strategy's package with these errors: (module, old text, new text).

    Modules are named relative to the package.  `home`: the module that has the strategy, if not that of its `bound`.
    A search that stands in the strategy's module is the copy's too, so that it looks for what the errors let through.
    """
    full = home or trial.strategy.bound.__module__
    package, _, module = full.partition(".")
    for found in Planted(package, changes, [module]).modules():
        for value in vars(found).values():
            if type(value).__name__ == "Strategy" and value.id == trial.strategy.id:
                search = trial.search
                if getattr(search, "__module__", None) == found.__name__:
                    search = getattr(found, search.__name__)
                return replace(trial, strategy=value, search=search)
    raise LookupError(f"no module that was changed, nor {full}, has the strategy {trial.strategy.id}; name its home")


def assert_caught(trial: Trial, *changes: Change, number: int = 50, steps: int = 300, home: str | None = None) -> None:
    """The trial finds these errors when they are planted; AssertionError if not."""
    wrong = planted(trial, *changes, home=home)
    if next(wrong.violations(number), None) is None and wrong.attack(steps).gap <= 0:
        raise AssertionError(f"{trial.strategy.id} with {changes} passes the trial")
