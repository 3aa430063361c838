"""The trivial strategy: claim nothing.

Theorem.  N = 0 is at most the number of inputs answered correctly.  Proof.  That number is not negative.
"""

from __future__ import annotations

from compactproofs.kernel.problem import Strategy
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import NAMES

TRIVIAL = Strategy(
    id="pair-sum/trivial",
    theorem="pair-sum/trivial@1",
    family=PairSum.family,
    tasks=NAMES,
    bound=lambda work, hints: 0,
)
