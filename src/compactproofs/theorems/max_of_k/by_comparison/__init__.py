"""Theorems about answers that are known from how each token compares with them: first, last, k-th largest."""

from compactproofs.theorems.max_of_k.by_comparison.branch_and_bound import BY_COMPARISON, BY_COMPARISON_UPPER
from compactproofs.theorems.max_of_k.by_comparison.histogram import COMPARED_HISTOGRAM, COMPARED_HISTOGRAM_UPPER

STRATEGIES = (BY_COMPARISON, BY_COMPARISON_UPPER, COMPARED_HISTOGRAM, COMPARED_HISTOGRAM_UPPER)
