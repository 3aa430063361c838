"""Theorems about networks of two arguments and any table of right outputs."""

from compactproofs.theorems.pair_sum.brute_force import BRUTE_FORCE, BRUTE_FORCE_UPPER
from compactproofs.theorems.pair_sum.equivariant import EQUIVARIANT
from compactproofs.theorems.pair_sum.few_directions import FEW_DIRECTIONS
from compactproofs.theorems.pair_sum.halves import HALVES
from compactproofs.theorems.pair_sum.low_rank import LOW_RANK
from compactproofs.theorems.pair_sum.separable import SEPARABLE
from compactproofs.theorems.pair_sum.thin import THIN

STRATEGIES = (BRUTE_FORCE, BRUTE_FORCE_UPPER, LOW_RANK, SEPARABLE, HALVES, THIN, FEW_DIRECTIONS, EQUIVARIANT)
