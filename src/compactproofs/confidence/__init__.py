"""Claims with confidence: what fresh random inputs show, with a stated probability of error; nothing is certified.

A tier of its own: no certified verdict rests on it, and nothing of `kernel`, `networks`, `tasks` and `theorems` knows
it.  It imports these, the standard library and NumPy.  docs/confidence.md says what it shows, and what that rests on.
"""
