"""Theorems about the largest of K tokens for networks with several heads: what heads write is added up."""

from compactproofs.theorems.max_of_k.heads.branch_and_bound import HEADS_BRANCH_AND_BOUND, HEADS_BRANCH_AND_BOUND_UPPER
from compactproofs.theorems.max_of_k.heads.brute_force import HEADS_BRUTE_FORCE
from compactproofs.theorems.max_of_k.heads.cubic import HEADS_CUBIC

STRATEGIES = (HEADS_BRUTE_FORCE, HEADS_CUBIC, HEADS_BRANCH_AND_BOUND, HEADS_BRANCH_AND_BOUND_UPPER)
