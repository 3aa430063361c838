"""The core: brute force, the cubic strategy, and what they need."""
