"""The companions of this package's strategies, in a module for each family of theorems."""

from __future__ import annotations

from compactproofs.kernel.problem import Strategy
from compactproofs.search.companions import Companion
from compactproofs.search.families import (
    by_comparison,
    core,
    counting,
    decoders,
    failing_sets,
    few_dimensions,
    heads,
    pair_sum,
    subcubic,
    trivial,
)
from compactproofs.search.families.attention_only import Beyond, task

_COMPANIONS = {
    strategy_id: companion
    for family in (
        *(trivial, core, subcubic, failing_sets, few_dimensions, counting, by_comparison, heads, decoders, pair_sum),
    )
    for strategy_id, companion in family.COMPANIONS.items()
}


def companion_of(strategy: Strategy) -> Companion:
    """The companion of a strategy of this package; of another one, next to nothing is known."""
    return _COMPANIONS.get(strategy.id) or Companion(task, work=Beyond())


def tier_of(strategy: Strategy) -> str:
    """The tier of theorems that the strategy needs, beside the core."""
    parts = (companion_of(strategy).stated_in or "..unknown").split(".")
    return parts[3] if parts[2] == "max_of_k" else parts[2]
