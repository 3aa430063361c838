"""Untrusted search for hints: whatever it returns, a bound from it holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.search.companions import HintArrays, Search
from compactproofs.search.families import companion_of
from compactproofs.search.workspaces import MeasuredWorkspace


def built_in_search(strategy: Strategy, work: MeasuredWorkspace[Any, Any]) -> HintArrays:
    """Good hints for a strategy of this package."""
    if strategy.limit(work.problem) is not None:
        return no_hints(strategy, work.problem)
    return companion_of(strategy).search(strategy, work)


def search_hints(
    strategy: Strategy,
    work: MeasuredWorkspace[Any, Any],
    search: Search = built_in_search,
) -> HintArrays:
    """Good hints for this strategy, found on a workspace with the reading "value", by another search if one is given.

    Strategies searched on one workspace share everything that they have in common.
    """
    with np.errstate(all="ignore"):
        return work.once(("search", strategy.id), lambda: search(strategy, work))


def search_seconds(strategy: Strategy, work: MeasuredWorkspace[Any, Any]) -> float:
    """How long that search took, with all that it needed."""
    return work.seconds(("search", strategy.id))


def no_hints(strategy: Strategy, problem: Problem[Any, Any]) -> HintArrays:
    """Hints of the declared form that say nothing."""
    specs = strategy.hints(problem)
    return {name: np.zeros([size or 0 for size in spec.shape], spec.dtype) for name, spec in specs.items()}
