"""All proof strategies by id."""

from __future__ import annotations

import difflib

from compactproofs.kernel.strategy import Hints, HintSpec, Strategy
from compactproofs.theorems.max_of_k.core.branch_and_bound import BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER
from compactproofs.theorems.max_of_k.core.brute_force import BRUTE_FORCE
from compactproofs.theorems.max_of_k.core.cubic import CUBIC
from compactproofs.theorems.max_of_k.core.trivial import TRIVIAL
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM, HISTOGRAM_UPPER
from compactproofs.theorems.max_of_k.failing_sets.strategies import FAILING_SETS
from compactproofs.theorems.max_of_k.subcubic.gaps import SUBCUBIC

__all__ = ["STATEMENTS", "STRATEGIES", "HintSpec", "Hints", "Strategy", "UnknownStrategy", "get_strategy"]

LARGE_K = (BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER, HISTOGRAM, HISTOGRAM_UPPER)

STRATEGIES: dict[str, Strategy] = {s.id: s for s in (TRIVIAL, BRUTE_FORCE, CUBIC, *SUBCUBIC, *FAILING_SETS, *LARGE_K)}

#: Where the statement and the proof of each theorem stand.
STATEMENTS = {
    f"compactproofs.strategies.{name}": f"compactproofs.theorems.max_of_k.{module}"
    for name, module in (
        ("trivial", "core.trivial"),
        ("brute_force", "core.brute_force"),
        ("cubic", "core.cubic"),
        ("branch_and_bound", "core.branch_and_bound"),
        ("subcubic", "subcubic.gaps"),
        ("failing_sets", "failing_sets.strategies"),
        ("histogram", "counting.histogram"),
    )
}


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
