"""Strategies that rule out most outputs, and count the inputs on which the others win."""

from compactproofs.theorems.max_of_k.failing_sets.strategies import FAILING_SETS

STRATEGIES = FAILING_SETS
