"""What the companions of strategies about one-layer, one-head networks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from compactproofs.kernel.problem import Hints, Problem
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import MAX_OPS, Work
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k

PLACE = "compactproofs.theorems.max_of_k"
ROOM = 2**29  # bytes for blocks, whose size does not grow with the model


def task(network: AttentionOnly) -> MaxOfK:
    """What all are about."""
    return max_of_k(network).task


def tables(problem: Problem[AttentionOnly, MaxOfK]) -> int:
    """The entries of EU, EVOU, EQKE, PVOU and EQKP, which proofs look at that understand nothing else."""
    v, n = problem.task.d_vocab, problem.task.n_ctx
    return 3 * v**2 + 2 * n * v


def every_output(problem: Problem[Any, Any]) -> int:
    """A number for each input and output: nothing is understood."""
    return int(problem.task.size) * int(problem.task.d_vocab)


def lemmas(*names: str) -> tuple[str, ...]:
    """The modules of these lemmas, each named by its tier and file, and of the one on margins without the softmax."""
    return tuple(f"{PLACE}.{name}" for name in ("core.additive", *names))


@dataclass(frozen=True)
class Beyond:
    """What checking takes, where multiplying out the circuits is not all.

    `operations`: of v and n, what else there is to do.
    """

    operations: Callable[[int, int], int] = lambda v, n: MAX_OPS // 2

    def __call__(self, problem: Problem[AttentionOnly, Any], hints: Hints) -> Work:
        """From the sizes of the model and of the hints."""
        v, n, (d, h) = problem.network.d_vocab, problem.network.n_ctx, problem.network.weight("W_V").shape
        directions = sum(hint.size for hint in hints.values() if hint.dtype == np.float64) // (2 * d) + 1
        circuits = 8 * ((v + n) * (d * h + v * (d + h)) + d * d * h) + 4 * directions * (v + d) ** 2
        entries = v * v * (160 + 20 * n) + 16 * (v + n + h) * (d + h) + 16 * directions * (v + d)
        return Work(circuits + self.operations(v, n) + CALL * 1000, 8 * entries + ROOM)
