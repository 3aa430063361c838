"""Untrusted: finding hints, making claims, counting operations, and saying how long things take."""
