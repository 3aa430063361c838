"""Brute force for the smallest token.

Write v tokens, K = n positions, q = x_n for the query, and EU, EVOU, PVOU, EQKE, EQKP for the paths of the network
(`compactproofs.networks.attention_only.circuits`).

Theorem.  For every attention-only network, the number N returned is at most the number of inputs x on which the logit
of m = min_p x_p is strictly the largest.

Proof.  By the additive margin (`compactproofs.theorems.max_of_k.core.additive`, which is about any two outputs and
says nothing of the task), with w(t) = exp(EQKE[q, t] - s_q) and e(p) = exp(EQKP[q, p]) the logit of m exceeds that of o
if and only if

    sum_p w(x_p) e(p) ( EU_D[q] + EVOU_D[x_p] + PVOU_D[p] ) > 0,    X_D[r] = X[r, m] - X[r, o].

For each m the program goes through the inputs whose smallest token is m, which are all inputs once, and counts those
where these sums are certainly positive for every o != m.

Nothing is hinted.  Cost about 5 n v for each of v^n inputs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compactproofs.kernel.decisions import Array, IntArray, certainly_positive
from compactproofs.kernel.problem import Hints, Problem, Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Work
from compactproofs.theorems.max_of_k.core.additive import other_outputs, position_weights, token_weights
from compactproofs_min_of_k.task import MinOfK

MAX_INPUTS = 2**20
_BLOCK = 2**12  # inputs at once


def bound(work: Workspace[AttentionOnly, MinOfK], hints: Hints) -> int:
    """The number of inputs that are certainly answered correctly."""
    certified = 0
    for m in range(work.task.d_vocab):
        lead = [_lead(work, path(work), m) for path in (circuits.EU, circuits.EVOU, circuits.PVOU)]
        for inputs in _with_minimum(work.task, m):
            certified += int(certainly_positive(_sums(work, inputs, *lead)).all(axis=1).sum())
            work.charge(int_ops=len(inputs))
    return certified


def _lead(work: Workspace[AttentionOnly, MinOfK], table: Array, m: int) -> Array:
    """X_D for every o != m, shape (rows of the table, v - 1)."""
    return table[:, m, None] - table[:, other_outputs(work, m)]


def _with_minimum(task: MinOfK, m: int) -> Iterator[IntArray]:
    """The inputs whose smallest token is m in blocks, each of shape (inputs, n)."""
    tokens, n = task.d_vocab - m, task.n_ctx
    for start in range(0, tokens**n, _BLOCK):
        number = np.arange(start, min(start + _BLOCK, tokens**n))
        inputs = m + number[:, None] // tokens ** np.arange(n) % tokens
        yield inputs[inputs.min(axis=1) == m]


def _sums(
    work: Workspace[AttentionOnly, MinOfK], inputs: IntArray, direct: Array, of_tokens: Array, of_positions: Array
) -> Array:
    """The sums of the theorem, shape (inputs, v - 1)."""
    queries = inputs[:, -1]
    weights = token_weights(work)[queries[:, None], inputs] * position_weights(work)[queries]
    values = direct[queries][:, None, :] + of_tokens[inputs] + of_positions
    return (weights[:, :, None] * values).sum(axis=1)


def limit(problem: Problem[AttentionOnly, MinOfK]) -> str | None:
    """Refused above 2^20 inputs."""
    if problem.task.total <= MAX_INPUTS:
        return None
    return (
        f"brute force would go through {problem.task.d_vocab}^{problem.task.n_ctx} inputs; at most 2^20 are supported"
    )


def operations(problem: Problem[AttentionOnly, MinOfK], hints: Hints) -> Work:
    """What checking takes at most; untrusted."""
    n, v, (d, h) = problem.task.n_ctx, problem.task.d_vocab, problem.network.weight("W_V").shape
    of_circuits = 8 * ((v + n) * (d * h + v * (d + h)) + d * d * h) + 8 * v**2 * (v + n)
    blocks = v + sum((v - m) ** n // _BLOCK for m in range(v))
    return Work(of_circuits + 8 * n * v * problem.task.total + CALL * (100 + 40 * blocks), 2**29 + 256 * n * v * _BLOCK)


BRUTE_FORCE = Strategy(
    id="compactproofs-min-of-k:brute-force",
    theorem="compactproofs-min-of-k:brute-force@1",
    family=AttentionOnly.family,
    tasks=(MinOfK.name,),
    bound=bound,
    limit=limit,
)
