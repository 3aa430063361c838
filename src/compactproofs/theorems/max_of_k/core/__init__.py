"""The core: brute force, the cubic strategy, and what they need."""

from compactproofs.theorems.max_of_k.core.brute_force import BRUTE_FORCE
from compactproofs.theorems.max_of_k.core.cubic import CUBIC

STRATEGIES = (BRUTE_FORCE, CUBIC)
