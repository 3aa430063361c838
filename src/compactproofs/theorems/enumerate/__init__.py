"""Theorems about any task of few inputs: every input is its own case."""

from compactproofs.theorems.enumerate.every_input import ENUMERATE, ENUMERATE_UPPER

STRATEGIES = (ENUMERATE, ENUMERATE_UPPER)
