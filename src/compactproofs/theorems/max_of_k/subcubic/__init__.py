"""Strategies that work with a gap between the maximum and the other tokens."""

from compactproofs.theorems.max_of_k.subcubic.gaps import SUBCUBIC

STRATEGIES = SUBCUBIC
