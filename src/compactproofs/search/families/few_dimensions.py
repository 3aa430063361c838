"""Companions of the strategies that see a few directions: a line by least squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.networks.attention_only import circuits
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, HintArrays, Work
from compactproofs.search.families.attention_only import PLACE, ROOM, task
from compactproofs.search.workspaces import MaxWorkspace, plain


def _line(strategy: Strategy, work: MaxWorkspace) -> HintArrays:
    """Places by how much attention a token gets on average over queries, in order; then the embedding's best line."""
    embedding = plain(work.weight("W_E"))
    average = plain(circuits.query_embedding(work).mean(axis=0))
    profile = average @ plain(work.weight("W_Q")) @ plain(work.weight("W_K")).T
    places = np.maximum.accumulate(embedding @ profile)
    places = places - places.mean()
    places = places / max(float(np.abs(places).max()), np.finfo(float).tiny)
    centre = embedding.mean(axis=0)
    squares = max(float(places @ places), np.finfo(float).tiny)
    return {"e0": centre, "b": places @ (embedding - centre) / squares, "c": places}


def _work(problem: Problem[Any, Any], hints: Any) -> Work:
    """Entries of the weights a few times, and some calls."""
    v, n, (d, h) = problem.network.d_vocab, problem.network.n_ctx, problem.network.weight("W_V").shape
    entries = (v + n) * d + 4 * d * h + d * v
    return Work(40 * entries + CALL * 1000, 8 * 40 * entries + ROOM)


COMPANIONS = {
    "number-line": Companion(
        task,
        search=_line,
        work=_work,
        unexplained_dimension=lambda problem: 6 * problem.task.d_vocab,
        complexity="O(v d + d^2)",
        summary="tokens as points on a line, all else through it",
        stated_in=f"{PLACE}.few_dimensions.number_line",
        surpassed=True,
    ),
}
