"""The trivial strategy: claim nothing.

Theorem.  N = 0 is at most the number of inputs answered correctly.  Proof.  That number is not negative.
"""

from __future__ import annotations

from compactproofs.kernel.strategy import Hints, Strategy
from compactproofs.kernel.workspace import Workspace


def bound(work: Workspace, hints: Hints) -> int:
    """N = 0, for free."""
    return 0


TRIVIAL = Strategy(
    id="trivial",
    summary="claims nothing",
    theorem="compactproofs.strategies.trivial",
    complexity="O(1)",
    bound=bound,
    unexplained_dimension=lambda model: 0,
)
