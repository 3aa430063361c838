"""Strategies that see the network through a few directions, and cost less than its tables of v x v entries."""
