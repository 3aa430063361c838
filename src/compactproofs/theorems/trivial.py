"""The trivial strategies, one for each family of networks: claim nothing.

Theorem.  N = 0 is at most what the inputs answered correctly count.  Proof.  No input counts less than 0.
"""

from __future__ import annotations

from compactproofs.kernel.problem import Strategy
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.networks.decoder.model import Decoder
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks import by_comparison, pairs, sequences
from compactproofs.tasks.max_of_k import ORDERS

TRIVIAL = tuple(
    Strategy(id=id, theorem=theorem, family=family, tasks=tasks, bound=lambda work, hints: 0)
    for id, theorem, family, tasks in (
        ("trivial", "max-of-k/trivial@1", AttentionOnly.family, (*ORDERS, *by_comparison.NAMES)),
        ("heads/trivial", "max-of-k/heads-trivial@1", ManyHeads.family, ORDERS),
        ("decoder/trivial", "decoder/trivial@1", Decoder.family, sequences.NAMES),
        ("pair-sum/trivial", "pair-sum/trivial@1", PairSum.family, pairs.NAMES),
    )
)
