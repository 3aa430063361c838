"""All built-in theorems: one library, in tiers."""

from __future__ import annotations

from compactproofs.kernel.library import Library
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.theorems.max_of_k.core.branch_and_bound import BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER
from compactproofs.theorems.max_of_k.core.brute_force import BRUTE_FORCE
from compactproofs.theorems.max_of_k.core.cubic import CUBIC
from compactproofs.theorems.max_of_k.core.trivial import TRIVIAL
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM, HISTOGRAM_UPPER
from compactproofs.theorems.max_of_k.failing_sets.strategies import FAILING_SETS
from compactproofs.theorems.max_of_k.subcubic.gaps import SUBCUBIC

_CORE = (TRIVIAL, BRUTE_FORCE, CUBIC)
_LARGE_K = (BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER, HISTOGRAM, HISTOGRAM_UPPER)

BUILT_IN = Library.of((*_CORE, *SUBCUBIC, *FAILING_SETS, *_LARGE_K), {MaxOfK.name: MaxOfK.of_record})

STRATEGIES = BUILT_IN.strategies
get_strategy = BUILT_IN.strategy
