"""Theorems about any task of few inputs: every input is its own case."""
