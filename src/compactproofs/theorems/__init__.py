"""All built-in theorems: one library, in tiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from compactproofs.kernel.library import Library
from compactproofs.kernel.problem import Task
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks import by_comparison, orders, pairs
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.tasks.pairs import Pairs
from compactproofs.tasks.sequences import NAMES, Sequences
from compactproofs.theorems.enumerate.every_input import ENUMERATE, ENUMERATE_UPPER
from compactproofs.theorems.max_of_k.branching.branch_and_bound import BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER
from compactproofs.theorems.max_of_k.by_comparison.branch_and_bound import BY_COMPARISON, BY_COMPARISON_UPPER
from compactproofs.theorems.max_of_k.core.brute_force import BRUTE_FORCE
from compactproofs.theorems.max_of_k.core.cubic import CUBIC
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM, HISTOGRAM_UPPER
from compactproofs.theorems.max_of_k.failing_sets.strategies import FAILING_SETS
from compactproofs.theorems.max_of_k.few_dimensions.number_line import NUMBER_LINE
from compactproofs.theorems.max_of_k.few_dimensions.subspace import SUBSPACE
from compactproofs.theorems.max_of_k.heads.branch_and_bound import HEADS_BRANCH_AND_BOUND, HEADS_BRANCH_AND_BOUND_UPPER
from compactproofs.theorems.max_of_k.heads.brute_force import HEADS_BRUTE_FORCE
from compactproofs.theorems.max_of_k.heads.cubic import HEADS_CUBIC
from compactproofs.theorems.max_of_k.subcubic.gaps import SUBCUBIC
from compactproofs.theorems.pair_sum import brute_force as pairs_brute_force
from compactproofs.theorems.pair_sum.equivariant import EQUIVARIANT
from compactproofs.theorems.pair_sum.halves import HALVES
from compactproofs.theorems.pair_sum.low_rank import LOW_RANK
from compactproofs.theorems.pair_sum.separable import SEPARABLE
from compactproofs.theorems.pair_sum.thin import THIN
from compactproofs.theorems.trivial import TRIVIAL

_CORE = (*TRIVIAL, BRUTE_FORCE, CUBIC)
_LARGE_K = (BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER, HISTOGRAM, HISTOGRAM_UPPER)
_COMPARED = (BY_COMPARISON, BY_COMPARISON_UPPER)
_HEADS = (HEADS_BRUTE_FORCE, HEADS_CUBIC, HEADS_BRANCH_AND_BOUND, HEADS_BRANCH_AND_BOUND_UPPER)
_ENUMERATE = (ENUMERATE, ENUMERATE_UPPER)
_EVERY_PAIR = (pairs_brute_force.BRUTE_FORCE, pairs_brute_force.BRUTE_FORCE_UPPER)
_PAIRS = (*_EVERY_PAIR, LOW_RANK, SEPARABLE, HALVES, THIN, EQUIVARIANT)

_TASKS: dict[str, Callable[[Mapping[str, Any]], Task]] = {
    MaxOfK.name: MaxOfK.of_record,
    **{task.name: task.of_record for task in orders.TASKS},
    **dict.fromkeys(by_comparison.NAMES, by_comparison.ByComparison.of_record),
    **dict.fromkeys(NAMES, Sequences.of_record),
    **dict.fromkeys(pairs.NAMES, Pairs.of_record),
}

BUILT_IN = Library.of(
    (*_CORE, *SUBCUBIC, *FAILING_SETS, NUMBER_LINE, SUBSPACE, *_LARGE_K, *_COMPARED, *_HEADS, *_ENUMERATE, *_PAIRS),
    _TASKS,
)

#: Those that are about the largest of K tokens and one head.
STRATEGIES = MappingProxyType(
    {s.id: s for s in BUILT_IN.strategies.values() if s.family == AttentionOnly.family and MaxOfK.name in s.tasks}
)
get_strategy = BUILT_IN.strategy
