"""Strategies that work with a gap between the maximum and the other tokens."""
