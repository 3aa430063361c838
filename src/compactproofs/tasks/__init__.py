"""Trusted with the theorems: what the inputs are, what the right answer is, and how many inputs a class has."""
