"""Untrusted: what a file of unknown origin is, what its configuration says, and what it cannot show."""
