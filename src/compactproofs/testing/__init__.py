"""Hostile tests for strategies, one's own as well: no N may ever exceed the truth, and there is no tolerance.

A `Trial` is a strategy with small networks and the truth about them.  It tries weights as drawn, spoiled and led by a
hill climb to where a proof is about to fail, and hints that were searched, spoiled or made up.  `assert_caught` shows
that a trial can fail: with an error planted in a copy of the code.

`compactproofs.testing.truth` counts right answers of attention-only networks exactly, and needs the extra `oracle`.
"""

from compactproofs.testing.hints import KINDS, hostile_hints, kinds_of
from compactproofs.testing.planting import Change, NotPlanted, Planted
from compactproofs.testing.trial import Approach, Trial, assert_caught, planted
from compactproofs.testing.weights import HOSTILE, Weights, mutated, razor

__all__ = [
    "HOSTILE",
    "KINDS",
    "Approach",
    "Change",
    "NotPlanted",
    "Planted",
    "Trial",
    "Weights",
    "assert_caught",
    "hostile_hints",
    "kinds_of",
    "mutated",
    "planted",
    "razor",
]
