"""Hostile hints for strategies about the largest token, from nothing but what a strategy declares about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from compactproofs.kernel.problem import Strategy
from compactproofs.opening.models import Model
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.testing import hints
from compactproofs.testing.hints import KINDS, Hint, hostile_hints

__all__ = ["KINDS", "Hint", "Search", "hints_of", "kinds_of"]

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
