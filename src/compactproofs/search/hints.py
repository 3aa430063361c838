"""Untrusted search for hints: whatever it returns, a bound from it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array, BoolArray, IntArray
from compactproofs.kernel.problem import Strategy
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.search.plans import plan
from compactproofs.search.workspaces import MaxWorkspace, MeasuredWorkspace, plain
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.theorems.max_of_k import MaxProblem
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM, HISTOGRAM_UPPER
from compactproofs.theorems.max_of_k.failing_sets import strategies as failing_sets
from compactproofs.theorems.max_of_k.failing_sets.failing_inputs import MAX_CHOICES, Suspects
from compactproofs.theorems.max_of_k.failing_sets.low_rank_tables import (
    centred_embedding,
    centred_queries,
    centred_unembedding,
)
from compactproofs.theorems.max_of_k.failing_sets.strategies import KINDS as FAILING_SETS
from compactproofs.theorems.max_of_k.failing_sets.strategies import Kind, suspects_by_query
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, Choice, Classes, pairs, possible_gaps

HintArrays = dict[str, npt.NDArray[Any]]
FloatVector = npt.NDArray[np.float64]


def built_in_search(strategy: Strategy, work: MaxWorkspace) -> HintArrays:
    """Good hints for a strategy of this package."""
    if strategy.limit(work.problem) is not None:
        return no_hints(strategy, work.problem)
    if strategy.id in CHOICES:
        return _subcubic(work, CHOICES[strategy.id], strategy)
    if strategy.id in (HISTOGRAM.id, HISTOGRAM_UPPER.id):
        return plan(work, strategy.claim == "at least")
    if strategy.id in FAILING_SETS:
        return _failing_sets(work, FAILING_SETS[strategy.id])
    if not strategy.hints(work.problem):
        return {}
    raise NotImplementedError(f"there is no search for the hints of {strategy.id}")


def search_hints(
    strategy: Strategy,
    work: MeasuredWorkspace[Any, Any],
    search: Callable[[Strategy, MeasuredWorkspace[Any, Any]], HintArrays] = built_in_search,
) -> HintArrays:
    """Good hints for this strategy, found on a workspace with the reading "value", by another search if one is given.

    Strategies searched on one workspace share everything that they have in common.
    """
    with np.errstate(all="ignore"):
        return work.once(("search", strategy.id), lambda: search(strategy, work))


def search_seconds(strategy: Strategy, work: MeasuredWorkspace[Any, Any]) -> float:
    """How long that search took, with all that it needed."""
    return work.seconds(("search", strategy.id))


def no_hints(strategy: Strategy, problem: MaxProblem) -> HintArrays:
    """Hints of the declared form that say nothing."""
    specs = strategy.hints(problem)
    return {name: np.zeros([size or 0 for size in spec.shape], spec.dtype) for name, spec in specs.items()}


def _subcubic(work: MaxWorkspace, choice: Choice, strategy: Strategy) -> HintArrays:
    specs = strategy.hints(work.problem)
    known = {**_directions(work), "centre": _centre(work)}
    hints: HintArrays = {name: known[name] for name in specs if name != "gap"}
    hints["gap"] = _smallest_gaps(work.task, Classes(work, choice, hints)).astype(specs["gap"].dtype)
    return hints


def _smallest_gaps(task: MaxOfK, classes: Classes) -> npt.NDArray[np.int64]:
    """The smallest gap of each class that certifies it, 0 where none does.

    The condition is monotone in the gap, and fewer excluded tokens mean more inputs, so the smallest is the best; it
    is found for all classes at once by bisection.
    """
    _, m = pairs(task.d_vocab)
    low = np.zeros((len(m), task.n_ctx - 1), np.int64)  # does not certify
    high = np.broadcast_to(m[:, None] + 1, low.shape).copy()  # certifies, or is m + 1
    while (high - low > 1).any():
        middle = (low + high) // 2
        _, gap = possible_gaps(task, middle)
        works = classes.with_others(gap) & (middle >= 1)
        low, high = np.where(works, low, middle), np.where(works, middle, high)
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


class _Learner:
    """A plan that tries every test and remembers which failed."""

    def __init__(self) -> None:
        self.rows: list[npt.NDArray[np.uint16]] = []

    def skips(self, m: int, outputs: IntArray, codes: IntArray) -> BoolArray:
        return np.zeros(len(outputs), bool)

    def failed(self, m: int, outputs: IntArray, codes: IntArray) -> None:
        rows = np.stack([np.full(len(outputs), m), outputs, codes], axis=1)
        self.rows.append(rows.astype(np.uint16))


def _failing_sets(work: MaxWorkspace, kind: Kind) -> HintArrays:
    """Give up classes that are not worth their cost, skip every test that fails, and choose the narrowest windows."""
    v = work.network.d_vocab
    hints: HintArrays = {name: _directions_hint(work, name, kind.id) for name in kind.more_hints}
    tables = kind.tables_of(work, hints)
    window = np.zeros((v, v), np.uint16)
    for m in range(v):
        found = suspects_by_query(work, tables, m, _Learner())
        if found:
            group = Suspects(work, tables, m, np.unique(np.concatenate(list(found.values()))), [0, m])
            for q, outputs in found.items():
                window[q, m] = _window_hint(group, q, outputs, _WORTH.get(kind.id, 0.0))
    learner = _Learner()
    for m in range(v):
        suspects_by_query(work, tables, m, learner, np.flatnonzero(window[: m + 1, m] != failing_sets.GIVEN_UP))
    return {**hints, "skip": np.concatenate([np.zeros((0, 3), np.uint16), *learner.rows]), "window": window}


def _window_hint(group: Suspects, q: int, outputs: IntArray, worth: float) -> int:
    """The narrowest window that loses no input of a class, or that it is given up."""
    n = group.work.network.n_ctx
    widest = _widest(group.m, int((MAX_CHOICES / len(outputs)) ** (1 / (n - 1))))
    width = _narrowest(group, q, outputs, min(widest, _WIDEST) if worth else widest)
    gain = group.work.task.class_size(q, group.m) - group.count(q, outputs, width)
    cost = len(outputs) * (40 + (width + 2) * (4 * n + 2))
    return 1 + width if gain > worth * cost else failing_sets.GIVEN_UP


#: How many directions each low-rank part has.
_RANKS = {
    "failing-sets/low-rank-QK": {failing_sets.QK: 3},
    "failing-sets/low-rank-EU": {failing_sets.EU: 4},
    "failing-sets/low-rank-QK+EU": {failing_sets.QK: 3, failing_sets.EU: 4},
    "failing-sets/quadratic-QK": {failing_sets.QUADRATIC: 8},
    "failing-sets/strict-QK": {failing_sets.QUADRATIC: 16},
    "failing-sets/strict-QK+EU": {failing_sets.QUADRATIC: 12, failing_sets.EU: 4},
}
#: The widest window that is tried where nothing can be exact.
_WIDEST = 12
#: Inputs for each operation that a class must gain to be counted.
_WORTH = {"failing-sets/quadratic-QK": 0.05, "failing-sets/strict-QK": 1.5, "failing-sets/strict-QK+EU": 16.0}


def _directions_hint(work: MaxWorkspace, name: str, kind_id: str) -> npt.NDArray[np.float64]:
    """The hint of this name; hints of no use where linear algebra fails."""
    try:
        if name == failing_sets.SQUARE:
            return _square(work, _RANKS[kind_id][failing_sets.QUADRATIC])
        if name == failing_sets.QUADRATIC:
            return _score_directions(work, _RANKS[kind_id][name])
        return _dual_bases(work, name, _RANKS[kind_id][name])
    except np.linalg.LinAlgError:
        return np.zeros(1) if name == failing_sets.SQUARE else np.zeros((2, work.network.width, 0))


@shared
def _square(work: MaxWorkspace, rank: int) -> npt.NDArray[np.float64]:
    """A little more than the square of the largest singular value of Q K^T without those directions."""
    U, V = _score_directions(work, rank)
    inner = circuits.query_to_key(work) - U @ (U.T @ circuits.query_to_key(work))
    return np.array([(1.01 * np.linalg.norm(inner - (inner @ V) @ V.T, 2)) ** 2])


@shared
def _score_directions(work: MaxWorkspace, rank: int) -> npt.NDArray[np.float64]:
    """Orthonormal directions, shape (2, d, rank): the leading one of Q K^T, then those where embeddings are large."""
    left, _, right = np.linalg.svd(circuits.query_to_key(work))
    bases = []
    for first, matrix in ((left[:, :1], circuits.query_embedding(work)), (right[:1].T, centred_embedding(work))):
        rest = matrix - (matrix @ first) @ first.T
        bases.append(np.concatenate([first, np.linalg.svd(rest)[2][: rank - 1].T], axis=1))
    return np.stack(bases)


@shared
def _dual_bases(work: MaxWorkspace, name: str, rank: int) -> npt.NDArray[np.float64]:
    """Directions that span the leading singular vectors of the scores or of the direct path, shape (2, d, rank)."""
    if name == failing_sets.QK:
        left, right = circuits.query_side(work), centred_embedding(work)
    else:
        left, right = centred_queries(work), centred_unembedding(work)
    leading = np.linalg.svd(left @ right.T)[2][:rank].T
    return np.stack([right.T @ leading, np.linalg.pinv(right) @ leading])


def _widest(m: int, cells: int) -> int:
    """The widest window below m that makes no more than so many cells: its tokens, m, and one for what is below."""
    return m if m < cells else max(cells - 2, 0)


def _narrowest(group: Suspects, q: int, outputs: IntArray, widest: int) -> int:
    """The shortest window with which no more inputs of the class are lost than with the widest."""
    least = group.count(q, outputs, widest)
    low, high = 0, widest
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if group.count(q, outputs, middle) == least else (middle + 1, high)
    return high
