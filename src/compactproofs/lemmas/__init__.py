"""Reusable bounds, each with its statement and proof; strategies are compositions of these."""
