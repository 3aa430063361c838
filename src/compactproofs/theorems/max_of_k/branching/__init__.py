"""Branch and bound: integers for margins, and boxes of inputs that are split until they are decided."""

from compactproofs.theorems.max_of_k.branching.branch_and_bound import BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER

STRATEGIES = (BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER)
