"""Trusted with the theorems that use them: what a family of networks computes, and how its weights are read."""
