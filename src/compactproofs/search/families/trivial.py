"""Companions of the trivial strategies."""

from __future__ import annotations

from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.search.companions import Companion, Work
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.theorems.trivial import TRIVIAL


def _task(network: AttentionOnly | ManyHeads) -> MaxOfK:
    if not isinstance(network, AttentionOnly | ManyHeads):
        raise ValueError("the network does not show what it is to do: name a task")
    return max_of_k(network).task


COMPANIONS = {
    strategy.id: Companion(
        _task,
        work=lambda problem, hints: Work(0, 0),
        unexplained_dimension=lambda problem: 0,
        complexity="O(1)",
        summary="claims nothing",
        stated_in="compactproofs.theorems.trivial",
    )
    for strategy in TRIVIAL
}
