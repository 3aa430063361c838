"""Strategies that count inputs by histograms of sums."""

from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM, HISTOGRAM_UPPER

STRATEGIES = (HISTOGRAM, HISTOGRAM_UPPER)
