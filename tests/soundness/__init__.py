"""Hostile tests: no strategy may ever claim more than the exact truth, computed here by other means."""
