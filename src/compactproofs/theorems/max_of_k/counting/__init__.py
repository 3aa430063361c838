"""Strategies that count inputs by histograms of sums."""
