"""Companions of the sub-cubic strategies: directions by singular vectors, and the smallest gaps that certify."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, HintArrays
from compactproofs.search.families.attention_only import PLACE, Beyond, lemmas, task
from compactproofs.search.workspaces import MaxWorkspace, plain
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.theorems.max_of_k.subcubic import direct_path, remainder
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, Choice, Classes, pairs, possible_gaps

_LEMMAS = ("direct_path", "own_output", "extreme_positions", "remainder", "peel", "spread")
FloatVector = npt.NDArray[np.float64]


def _search(strategy: Strategy, work: MaxWorkspace) -> HintArrays:
    hints = known_hints(strategy, work)
    gap = strategy.hints(work.problem)["gap"].dtype
    return {**hints, "gap": _smallest_gaps(work.task, Classes(work, CHOICES[strategy.id], hints)).astype(gap)}


def known_hints(strategy: Strategy, work: MaxWorkspace) -> HintArrays:
    """The hints that need no search: all but the gaps."""
    known = {**_directions(work), "centre": _centre(work)}
    return {name: known[name] for name in strategy.hints(work.problem) if name != "gap"}


def _smallest_gaps(task: MaxOfK, classes: Classes) -> npt.NDArray[np.int64]:
    """The smallest gap of each class that certifies it, 0 where none does.

    The condition is monotone in the gap, and fewer excluded tokens mean more inputs, so the smallest is the best; it
    is found for all classes at once by bisection.
    """
    _, m = pairs(task.d_vocab)
    low = np.zeros((len(m), task.n_ctx - 1), np.int64)  # does not certify
    high = np.broadcast_to(m[:, None] + 1, low.shape).copy()  # certifies, or is m + 1
    exists, other = possible_gaps(task, np.ones_like(low))
    while (high - low > 1).any():
        middle = (low + high) >> 1
        works = classes.with_others(np.where(exists, np.maximum(middle, 1), other)) & (middle >= 1)
        np.copyto(high, middle, where=works)
        np.copyto(low, middle, where=~works)
    return np.where(high <= m[:, None], high, 0)


@shared
def _directions(work: MaxWorkspace) -> dict[str, FloatVector]:
    """The leading singular vectors that the residual factors leave out."""
    scores = circuits.EQKE(work)
    query, key = _top_left(scores), _top_left(scores.T)
    queries, keys = circuits.query_embedding(work), circuits.key_embedding(work)
    return {
        "query": query,
        "key": key,
        "second_query": _top_left(queries - np.outer(query, query @ queries)),
        "second_key": _top_left(keys - np.outer(key, key @ keys)),
        "of_Q": _top_left(work.weight("W_Q")),
        "of_K": _top_left(work.weight("W_K")),
    }


def _top_left(matrix: Array) -> FloatVector:
    """The first left singular vector, or any vector where that cannot be computed."""
    try:
        vector: FloatVector = np.linalg.svd(matrix)[0][:, 0]
    except np.linalg.LinAlgError:
        vector = np.ones(len(matrix))
    return vector


@shared
def _centre(work: MaxWorkspace) -> FloatVector:
    """The top right singular vector of E_q, scaled by the mean projection onto it."""
    queries = circuits.query_embedding(work)
    direction = _top_left(queries.T)
    return plain((queries @ direction).mean(axis=0) * direction)


def _operations(v: int, n: int) -> int:
    return 100 * v**2 * n + 4 * v * n**2 + CALL * 3 * n


def _dimension(choice: Choice, problem: Problem[Any, Any]) -> int:
    v, d = int(problem.task.d_vocab), int(problem.network.width)
    direct = {"global_max_diff_exact": 2, "max_diff_exact": 2 * v, "max_diff": v * d + 2}
    scores = {remainder.EXACT: v**2, "max_diff_exact": 4 * v, "svd": 2 * v}
    of_scores = scores.get(choice.remainder, 2 * v + 2 * d + (v if choice.remainder.startswith("mean") else 0))
    return direct.get(choice.direct, v + v * d + 2) + of_scores + v + v**2


def _complexity(choice: Choice) -> str:
    direct = "v^2 d" if choice.direct in direct_path.EXACT_KINDS else "v d"
    if choice.remainder in (remainder.EXACT, "max_diff_exact"):
        scores = "v^2 d"
    elif choice.remainder in remainder.RECURSIVE_KINDS:
        scores = "v d + d^2"
    else:
        scores = "v d^2"
    return f"O(v^2 K^2 + {direct} (EU) + {scores} (QK) + v^2 d (OV))"


def _companion(choice: Choice) -> Companion:
    return Companion(
        task,
        search=_search,
        work=Beyond(_operations),
        unexplained_dimension=lambda problem: _dimension(choice, problem),
        complexity=_complexity(choice),
        summary="a gap between the maximum and the other tokens",
        stated_in=f"{PLACE}.subcubic.gaps",
        lemmas=lemmas(*(f"subcubic.{name}" for name in _LEMMAS)),
        surpassed=True,
    )


COMPANIONS = {strategy_id: _companion(choice) for strategy_id, choice in CHOICES.items()}
