"""Companions of the strategies that see a few directions: a line by least squares, and the space of all embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.networks.attention_only import circuits
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, HintArrays, Work
from compactproofs.search.families.attention_only import PLACE, ROOM, task
from compactproofs.search.workspaces import MaxWorkspace, plain
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.theorems.max_of_k.few_dimensions.subspace import Subspace, coordinates_of, holds


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


def coordinates(work: MaxWorkspace, dimensions: int | None = None) -> npt.NDArray[np.float64]:
    """Those of tokens and positions, and the axes: orthonormal, in order of how much attention queries pay along them.

    `dimensions`: how many; None for as many as the embeddings have.
    """
    tokens, positions = plain(work.weight("W_E")), plain(work.weight("W_pos"))
    size, directions = np.linalg.svd(np.concatenate([tokens, positions]), full_matrices=False)[1:]
    space = directions[: max(1, int((size > _ROUNDING * size[0]).sum())) if dimensions is None else dimensions]
    queries = (
        plain(circuits.query_embedding(work)) @ plain(work.weight("W_Q")) @ (plain(work.weight("W_K")).T @ space.T)
    )
    axes = np.linalg.eigh(queries.T @ queries)[1][:, ::-1].T @ space
    return np.concatenate([tokens @ axes.T, positions @ axes.T, axes.T])


def _subspace(strategy: Strategy, work: MaxWorkspace) -> HintArrays:
    """The space of all embeddings, and for each maximum the most tokens beside it, by bisection: fewer hold as well."""
    v = work.network.d_vocab
    try:
        found = coordinates(work)
    except np.linalg.LinAlgError:
        found = np.zeros((v + work.network.n_ctx + work.network.width, 1))
    seen, m = Subspace(work, coordinates_of(work, found)), np.arange(v)
    least, most = np.full(v, -1), m + 1  # of the first the condition holds, of the last it does not
    while (most - least > 1).any():
        middle = np.maximum((least + most) // 2, 0)
        right = holds(seen.room(middle), middle)
        least, most = np.where(right, middle, least), np.where(right, most, middle)
    return {"coordinates": found, "below": np.minimum(np.where(least < 0, v, least), 2**16 - 1).astype(np.uint16)}


def _trainable(problem: Problem[Any, Any]) -> bool:
    """Whether `tighten` takes the network: it trains for the largest token, and no biases."""
    return problem.task.record["name"] == MaxOfK.name and not getattr(problem.network, "biases", ())


def _work(problem: Problem[Any, Any], hints: Any) -> Work:
    """Entries of the weights a few times, and some calls."""
    entries = _entries(problem)
    return Work(40 * entries + CALL * 1000, 8 * 40 * entries + ROOM)


def _work_in_subspace(problem: Problem[Any, Any], hints: Any) -> Work:
    """Products of the weights and of tables with the hinted axes, and some calls."""
    v, n = problem.network.d_vocab, problem.network.n_ctx
    dimensions = min(hints["coordinates"].shape[1], problem.network.width) + 1
    entries = _entries(problem) + v * (v + n)
    return Work((8 * dimensions + 40) * entries + CALL * 1000, 8 * (40 * entries + hints["coordinates"].size) + ROOM)


def _entries(problem: Problem[Any, Any]) -> int:
    v, n, (d, h) = problem.network.d_vocab, problem.network.n_ctx, problem.network.weight("W_V").shape
    return int((v + n) * d + 4 * d * h + d * v)


#: Singular values below this part of the largest one are rounding errors of 32-bit weights.
_ROUNDING = 1e-5

COMPANIONS = {
    "number-line": Companion(
        task,
        search=_line,
        work=_work,
        unexplained_dimension=lambda problem: 6 * problem.task.d_vocab,
        complexity="O(v d + d^2)",
        summary="tokens as points on a line, all else through it",
        stated_in=f"{PLACE}.few_dimensions.number_line",
        lemmas=(f"{PLACE}.few_dimensions.norms",),
        surpassed=True,
        trained_toward=_trainable,
    ),
    "subspace": Companion(
        task,
        search=_subspace,
        work=_work_in_subspace,
        unexplained_dimension=lambda problem: problem.task.d_vocab**2,
        complexity="O((v + K) d r + d^2 r + v^2 r)",
        summary="embeddings by r coordinates, and all tables through these",
        stated_in=f"{PLACE}.few_dimensions.subspace",
        lemmas=(f"{PLACE}.few_dimensions.norms", f"{PLACE}.core.additive"),
        surpassed=True,
        trained_toward=_trainable,
    ),
}
