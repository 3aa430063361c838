"""Strategies that see the network through a few directions, and cost less than its tables of v x v entries."""

from compactproofs.theorems.max_of_k.few_dimensions.number_line import NUMBER_LINE
from compactproofs.theorems.max_of_k.few_dimensions.subspace import SUBSPACE

STRATEGIES = (NUMBER_LINE, SUBSPACE)
