"""A search for a model, and hints, on which a strategy claims more than the truth.

The hill climb of `compactproofs.testing` over models that name their largest token.

As a program, from the repository's root:  python -m tests.soundness.attack --strategy cubic --minutes 5
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.problem import Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES, get_strategy
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.testing import Approach, Trial

from .hints import Hint, Search
from .models import Weights, constant_weights, float_margins, random_weights
from .truth import exact_correct

Bound = Callable[[Model, dict[str, Hint]], int]


class Works(NamedTuple):
    """A model's workspaces: for checking, and for searching."""

    check: Workspace[AttentionOnly, MaxOfK]
    values: MaxWorkspace


_RECENT: dict[str, Works] = {}  # by models' hashes


def works_of(model: AttentionOnly) -> Works:
    """Those of the last few models: the attacks on all strategies begin with the same ones."""
    found = _RECENT.pop(model.sha256, None) or Works(Workspace(max_of_k(model)), workspace(model, "value"))
    _RECENT[model.sha256] = found
    if len(_RECENT) > 32:
        del _RECENT[next(iter(_RECENT))]
    return found


def check_bound(strategy: Strategy) -> Bound:
    """The strategy's N, as verification finds it."""

    def bound(model: Model, hints: dict[str, Hint]) -> int:
        return strategy.bound(works_of(model).check, hints)

    return bound


def search_shared(strategy: Strategy, work: MaxWorkspace) -> dict[str, Hint]:
    """The package's search, on what searches for other strategies found out about the model."""
    return search_hints(strategy, works_of(work.network).values)


def attack(
    bound: Bound,
    strategy: Strategy,
    rng: np.random.Generator,
    steps: int,
    search: Search = search_shared,
) -> Approach:
    """Climb from the best of some random starts until a violation; returns the closest approach.

    `search` proposes hints.
    """
    trial = Trial(
        strategy=strategy,
        draw=draw,
        network=Model,
        task=lambda network: max_of_k(network).task,
        truth=exact_correct,
        search=search,
        margins=float_margins,
        bound=bound,
    )
    return trial.climb(rng, steps)


def draw(rng: np.random.Generator) -> Weights:
    """Weights of a small model that works, more or less, or is random."""
    while True:
        v, n, h = int(rng.choice([2, 3, 4, 5, 8, 10])), int(rng.integers(1, 5)), int(rng.integers(1, 5))
        if v**n > 100:
            continue
        if rng.random() < 0.1:
            return random_weights(rng, v, n, int(rng.integers(1, 5)), h)
        return constant_weights(
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
