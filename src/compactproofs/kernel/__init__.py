"""Trusted, and the same for every network and task: rigorous arithmetic, strict reading, and the verdict."""
