"""The trivial strategy: claim nothing.

Theorem.  N = 0 is at most the number of inputs answered correctly.  Proof.  That number is not negative.
"""

from __future__ import annotations

from compactproofs.kernel.problem import Strategy
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import WEIGHTED

TRIVIAL = Strategy(
    id="trivial",
    theorem="max-of-k/trivial@1",
    family=AttentionOnly.family,
    tasks=WEIGHTED,
    bound=lambda work, hints: 0,
)
