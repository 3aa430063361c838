"""Theorems about the largest of K tokens, in tiers: the core first."""
