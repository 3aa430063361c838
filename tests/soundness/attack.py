"""A search for a model, and hints, on which a strategy claims more than the truth.

A hill climb over the weights.  It prefers a larger N - truth, never giving up too much of N; among equals it makes the
margins of the right answers small, so that a proof that is slightly too generous is led to where that shows.  Float64
guides the climb; the verdict on the models that it finds is exact.

As a program, from the repository's root:  python -m tests.soundness.attack --strategy cubic --minutes 5
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compactproofs.kernel.problem import Strategy
from compactproofs.networks.attention_only.model import InvalidModel
from compactproofs.opening.models import Model
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems import STRATEGIES, get_strategy

from .hints import KINDS, Hint, Search, hints_of
from .models import NAMES, Weights, constant_weights, float_margins, random_weights
from .truth import exact_correct

Bound = Callable[[Model, dict[str, Hint]], int]

_MIN_SHARE = 0.3  # of the inputs, that a model worth attacking has certified
_NEW_HINTS = 0.3  # how often the hints change with the weights
_STARTS = 0.5  # the share of the steps that goes into random starts
_CLOSE = 1e-9  # margins below this share of the largest logit are left to exact arithmetic


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


def check_bound(strategy: Strategy) -> Bound:
    """How many inputs verification finds to be right, or wrong where a strategy bounds the right ones from above."""

    def bound(model: Model, hints: dict[str, Hint]) -> int:
        found = strategy.bound(workspace(model, "check"), hints)
        return max_of_k(model).task.total - found if strategy.claim == "at most" else found

    return bound


def attack(
    bound: Bound,
    strategy: Strategy,
    rng: np.random.Generator,
    steps: int,
    search: Search = search_hints,
) -> Approach:
    """Climb from the best of some random starts until a violation; returns the closest approach.

    `search` proposes hints.
    """
    starts = max(1, int(_STARTS * steps))
    wrong = strategy.claim == "at most"
    best = _start(bound, strategy, rng, search)
    for _ in range(starts - 1):
        if best.gap > 0:
            break
        best = max(best, _start(bound, strategy, rng, search), key=lambda approach: approach.score)
    for _ in range(steps - starts):
        if best.gap > 0:
            break
        weights, hints = _mutated(rng, best.weights), best.hints
        if hints and rng.random() < _NEW_HINTS:
            kind = "searched" if rng.random() < 0.5 else str(rng.choice(KINDS))
            hints = hints_of(strategy, Model(**weights), kind, rng, search=search)
        candidate = _measure(bound, weights, hints, wrong)
        if candidate is not None and candidate.score >= best.score:
            best = candidate
    return best


def _measure(bound: Bound, weights: Weights, hints: dict[str, Hint], wrong: bool) -> Approach | None:
    """`wrong`: whether wrong inputs are bounded, and not right ones."""
    try:
        model = Model(**weights)
    except InvalidModel:
        return None
    claimed = bound(model, hints)
    margins = float_margins(weights)
    if wrong:
        margins = -margins
    truth = int((margins > 0).sum())
    if claimed > truth or (claimed == truth and np.abs(margins).min() < _CLOSE):
        truth = exact_correct(model)
        truth = margins.size - truth if wrong else truth
    right = margins[margins > 0]
    return Approach(claimed, truth, margins.size, float(right.min()) if right.size else 1.0, weights, hints)


def _start(bound: Bound, strategy: Strategy, rng: np.random.Generator, search: Search) -> Approach:
    while True:
        v, n, h = int(rng.choice([2, 3, 4, 5, 8, 10])), int(rng.integers(1, 5)), int(rng.integers(1, 5))
        if v**n > 100:
            continue
        if rng.random() < 0.1:
            weights = random_weights(rng, v, n, int(rng.integers(1, 5)), h)
        else:
            weights = constant_weights(
                rng,
                v,
                n,
                v - 1,
                bias=float(rng.choice([0.0, 0.0, 0.0, 1.0, 3.0, 10.0])),
                h=h,
                sharpness=float(rng.choice([0.5, 1.5, 4.0, 12.0])),
                gain=float(rng.choice([1.0, 1.0, 4.0, -1.0])),
                position=float(rng.choice([0.0, 0.5, 2.0])),
                position_write=float(rng.choice([0.0, 0.3])),
                rough=float(rng.choice([0.0, 0.3, 1.0, 2.0])),
            )
        if strategy.limit(max_of_k(Model(**weights))) is not None:
            continue
        hints = hints_of(strategy, Model(**weights), "searched", rng, search=search)
        start = _measure(bound, weights, hints, strategy.claim == "at most")
        if start is not None:
            return start


def _mutated(rng: np.random.Generator, weights: Weights) -> Weights:
    changed = {name: w.copy() for name, w in weights.items()}
    name = str(rng.choice(NAMES))
    w = changed[name]
    size = np.abs(w).mean() + 1e-3
    step = size * 10.0 ** rng.uniform(-4, 0.5)
    kind = rng.integers(0, 6)
    index = tuple(int(rng.integers(0, length)) for length in w.shape)
    if kind == 0:
        changed[name] = w + step * rng.normal(size=w.shape)
    elif kind == 1:
        changed[name] = w * (1.0 + 10.0 ** rng.uniform(-4, 0) * rng.choice([-0.5, 1.0]))
    elif kind == 2:
        w[index[0]] += step * rng.normal(size=w.shape[1])
    elif kind == 3:
        w[:, index[1]] += step * rng.normal(size=w.shape[0])
    else:
        w[index] += step * rng.normal()
    return changed


def main() -> None:
    """Attack strategies for some minutes, print the closest approaches, and save what breaks one."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--strategy", default="all", help="a strategy's id, or all")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=400, help="for each start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, default=Path("violation.npz"))
    options = parser.parse_args()
    chosen = list(STRATEGIES.values()) if options.strategy == "all" else [get_strategy(options.strategy)]
    end = time.monotonic() + 60.0 * options.minutes
    closest: dict[str, Approach] = {}
    starts = 0
    for seed in itertools.count(options.seed):
        if time.monotonic() > end:
            break
        starts += 1
        for strategy in chosen:
            if time.monotonic() > end:
                break
            found = attack(check_bound(strategy), strategy, np.random.default_rng(seed), options.steps)
            if strategy.id not in closest or found.score > closest[strategy.id].score:
                closest[strategy.id] = found
                print(f"seed {seed}: {strategy.id}: {found}, N - truth = {found.gap}", flush=True)
            if found.gap > 0:
                arrays = {**found.weights, **{f"hint {name}": hint for name, hint in found.hints.items()}}
                np.savez(options.save, **arrays)  # type: ignore[arg-type]
                raise SystemExit(f"VIOLATION of {strategy.id}: {found}; saved to {options.save}")
    print(f"{starts} starts of {options.steps} steps for each of {len(chosen)} strategies: no violation")


if __name__ == "__main__":
    main()
