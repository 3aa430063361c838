"""All proof strategies by id."""

from __future__ import annotations

from compactproofs.strategies.base import Hints, HintSpec, Strategy
from compactproofs.strategies.brute_force import BRUTE_FORCE
from compactproofs.strategies.cubic import CUBIC
from compactproofs.strategies.failing_sets import FAILING_SETS
from compactproofs.strategies.subcubic import SUBCUBIC
from compactproofs.strategies.trivial import TRIVIAL

__all__ = ["STRATEGIES", "HintSpec", "Hints", "Strategy", "UnknownStrategy", "get_strategy"]

STRATEGIES: dict[str, Strategy] = {s.id: s for s in (TRIVIAL, BRUTE_FORCE, CUBIC, *SUBCUBIC, FAILING_SETS)}


class UnknownStrategy(ValueError):
    """No strategy has this id."""


def get_strategy(strategy_id: str) -> Strategy:
    """The strategy with this id; raises UnknownStrategy with the known ones."""
    if strategy_id not in STRATEGIES:
        raise UnknownStrategy(f"unknown strategy {strategy_id!r}; known: {', '.join(STRATEGIES)}")
    return STRATEGIES[strategy_id]
