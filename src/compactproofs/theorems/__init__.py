"""All built-in theorems: one library, in tiers, of which each names its strategies."""

from __future__ import annotations

from compactproofs.kernel.library import Library
from compactproofs.tasks import by_comparison, orders, pairs, sequences
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.theorems import enumerate, pair_sum
from compactproofs.theorems.max_of_k import branching, core, counting, failing_sets, few_dimensions, heads, subcubic
from compactproofs.theorems.max_of_k import by_comparison as compared
from compactproofs.theorems.trivial import TRIVIAL

_TIERS = (core, subcubic, failing_sets, few_dimensions, branching, counting, compared, heads, enumerate, pair_sum)

BUILT_IN = Library.of(
    (*TRIVIAL, *(strategy for tier in _TIERS for strategy in tier.STRATEGIES)),
    {
        MaxOfK.name: MaxOfK.of_record,
        **{task.name: task.of_record for task in orders.TASKS},
        **dict.fromkeys(by_comparison.NAMES, by_comparison.ByComparison.of_record),
        **dict.fromkeys(sequences.NAMES, sequences.Sequences.of_record),
        **dict.fromkeys(pairs.NAMES, pairs.Pairs.of_record),
    },
)
