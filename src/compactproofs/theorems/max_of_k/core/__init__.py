"""The core: brute force, the cubic strategy, branch and bound, and what they need."""
