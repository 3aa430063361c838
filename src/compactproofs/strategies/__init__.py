"""All proof strategies by id."""

from __future__ import annotations

import difflib

from compactproofs.strategies.base import Hints, HintSpec, Strategy
from compactproofs.strategies.branch_and_bound import BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER
from compactproofs.strategies.brute_force import BRUTE_FORCE
from compactproofs.strategies.cubic import CUBIC
from compactproofs.strategies.failing_sets import FAILING_SETS
from compactproofs.strategies.histogram import HISTOGRAM, HISTOGRAM_UPPER
from compactproofs.strategies.subcubic import SUBCUBIC
from compactproofs.strategies.trivial import TRIVIAL

__all__ = ["STRATEGIES", "HintSpec", "Hints", "Strategy", "UnknownStrategy", "get_strategy"]

LARGE_K = (BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER, HISTOGRAM, HISTOGRAM_UPPER)

STRATEGIES: dict[str, Strategy] = {s.id: s for s in (TRIVIAL, BRUTE_FORCE, CUBIC, *SUBCUBIC, *FAILING_SETS, *LARGE_K)}


class UnknownStrategy(ValueError):
    """No strategy has this id."""


def get_strategy(strategy_id: str) -> Strategy:
    """The strategy with this id; raises UnknownStrategy, which names the known ones or those that are close."""
    if strategy_id not in STRATEGIES:
        short = [known for known in STRATEGIES if "/" not in known]
        close = difflib.get_close_matches(strategy_id, STRATEGIES, n=3, cutoff=0.8)
        meant = f"did you mean {' or '.join(close)}" if close else f"known: {', '.join(short)} and those of families"
        raise UnknownStrategy(
            f"unknown strategy {strategy_id[:200]!a}; {meant}; all are listed by 'compactproofs strategies'"
        )
    return STRATEGIES[strategy_id]
