"""Hostile hints for strategies about the largest token, from nothing but what a strategy declares about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from compactproofs.kernel.problem import Strategy
from compactproofs.opening.models import Model
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.testing import hints
from compactproofs.testing.hints import KINDS, Hint, hostile_hints

__all__ = ["KINDS", "Hint", "Search", "by_branches", "hints_of", "kinds_of"]

Search = Callable[[Strategy, MaxWorkspace], dict[str, Hint]]


def hints_of(
    strategy: Strategy,
    model: Model,
    kind: str,
    rng: np.random.Generator,
    values: MaxWorkspace | None = None,
    search: Search = search_hints,
) -> dict[str, Hint]:
    """Hints of one of KINDS.

    `values`: a workspace of the model with the reading "value", on which searches share their work.
    """

    def found() -> dict[str, Hint]:
        return search(strategy, values or workspace(model, "value"))

    return hostile_hints(strategy, max_of_k(model), kind, rng, found, model.d_vocab)


def kinds_of(strategy: Strategy, model: Model) -> Iterator[str]:
    """The kinds of hints that differ for this strategy."""
    return hints.kinds_of(strategy, max_of_k(model))


def by_branches(rng: np.random.Generator, found: dict[str, Hint]) -> dict[str, Hint]:
    """The same hints with branches for most of the parts: bad ones, or such as leave nothing to lose but ties."""
    v, positions = len(found["weights"]), found["labels"].shape[1]
    exactly = rng.random() < 0.3
    labels = rng.integers(0, rng.integers(1, 6), (3, positions, v))
    ranks = [rng.integers(0, rng.integers(1, 6), v), rng.permutation(v) + 1, np.ones(v)]
    rows = []
    for part in product(range(v), range(v), range(5)):
        joined, finer = rng.integers(-1, 5, 2).tolist()
        how = [joined, finer, rng.integers(-1, 5), rng.choice([1, 9, 60]), rng.integers(-1, 5)]
        limits = [rng.choice([8, 12, 60, 2**62]), rng.choice([-9, 0, 4, 2**62]), rng.choice([-1, 10, 1000, 2**62])]
        if exactly:
            how, limits = [0, 0, 0, 9, 4], [60, -1, 2**40]
        if exactly or rng.random() < 0.9:
            rows.append([*part, 1 if exactly else rng.integers(-1, 5), *how, *limits])
    return found | {
        "weights": rng.integers(0, 600, (v, v)).astype(np.uint16) if rng.random() < 0.5 else found["weights"],
        "labels": labels.astype(np.uint8),
        "edges": np.sort(rng.integers(0, 2**16, (4, 64)), axis=1).astype(np.uint16),
        "branches": np.array(rows, np.int64).reshape(-1, 12),
        "ranks": np.array(ranks).astype(np.uint8),
    }
