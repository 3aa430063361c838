"""Companions of failing sets: which tests are worth trying, how wide windows must be, and directions of low rank."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.kernel.problem import Strategy
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.search.companions import Companion, HintArrays
from compactproofs.search.families.attention_only import PLACE, Beyond, lemmas, tables, task
from compactproofs.search.workspaces import MaxWorkspace
from compactproofs.theorems.max_of_k.failing_sets import strategies as failing_sets
from compactproofs.theorems.max_of_k.failing_sets.failing_inputs import MAX_CHOICES, ClassesInDoubt
from compactproofs.theorems.max_of_k.failing_sets.low_rank_tables import (
    centred_embedding,
    centred_queries,
    centred_unembedding,
)
from compactproofs.theorems.max_of_k.failing_sets.strategies import KINDS, possible_winners_by_query


class _Learner:
    """A plan that tries every test and remembers which failed."""

    def __init__(self) -> None:
        self.rows: list[npt.NDArray[np.uint16]] = []

    def skips(self, m: int, outputs: IntArray, codes: IntArray) -> BoolArray:
        return np.zeros(len(outputs), bool)

    def failed(self, m: int, outputs: IntArray, codes: IntArray) -> None:
        rows = np.stack([np.full(len(outputs), m), outputs, codes], axis=1)
        self.rows.append(rows.astype(np.uint16))


def _search(strategy: Strategy, work: MaxWorkspace) -> HintArrays:
    """Give up classes that are not worth their cost, skip every test that fails, and choose the narrowest windows."""
    kind, v = KINDS[strategy.id], work.network.d_vocab
    hints: HintArrays = {name: _directions_hint(work, name, kind.id) for name in kind.more_hints}
    tables = kind.tables_of(work, hints)
    window = np.zeros((v, v), np.uint16)
    for m in range(v):
        found = possible_winners_by_query(work, tables, m, _Learner())
        if found:
            group = ClassesInDoubt(work, tables, m, np.unique(np.concatenate(list(found.values()))), [0, m])
            for q, outputs in found.items():
                window[q, m] = _window_hint(group, q, outputs, _WORTH.get(kind.id, 0.0))
    learner = _Learner()
    for m in range(v):
        possible_winners_by_query(work, tables, m, learner, np.flatnonzero(window[: m + 1, m] != failing_sets.GIVEN_UP))
    return {**hints, "skip": np.concatenate([np.zeros((0, 3), np.uint16), *learner.rows]), "window": window}


def _window_hint(group: ClassesInDoubt, q: int, outputs: IntArray, worth: float) -> int:
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


def _narrowest(group: ClassesInDoubt, q: int, outputs: IntArray, widest: int) -> int:
    """The shortest window with which no more inputs of the class are lost than with the widest."""
    least = group.count(q, outputs, widest)
    low, high = 0, widest
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if group.count(q, outputs, middle) == least else (middle + 1, high)
    return high


def _operations(v: int, n: int) -> int:
    return min(2**28 * n**2 * max(v // 64, 1) ** 2, 3 * 2**31)


_LEMMAS = ("margin_tables", "safe_outputs", "failing_inputs")
_LOW_RANK = ("low_rank", "low_rank_tables")
_QUADRATIC = (*_LOW_RANK, "bilinear")

COMPANIONS = {
    strategy_id: Companion(
        task,
        search=_search,
        work=Beyond(_operations),
        unexplained_dimension=tables,
        complexity=complexity,
        summary=summary,
        stated_in=f"{PLACE}.failing_sets.strategies",
        lemmas=lemmas(*(f"failing_sets.{name}" for name in (*_LEMMAS, *more))),
        surpassed=bool(more),
    )
    for strategy_id, more, complexity, summary in (
        (
            "failing-sets",
            (),
            "O(v^2 d)",
            "rules out outputs for many queries at once, counts the rest exactly",
        ),
        (
            "failing-sets/low-rank-QK",
            _LOW_RANK,
            "O(v^2 d)",
            "failing sets with attention scores of low rank, and single scores where they matter",
        ),
        (
            "failing-sets/low-rank-EU",
            _LOW_RANK,
            "O(v^2 d)",
            "failing sets with a direct path of low rank, and single entries of it where they matter",
        ),
        (
            "failing-sets/low-rank-QK+EU",
            _LOW_RANK,
            "O(v^2 d)",
            "failing sets with scores and direct path of low rank, and single entries where they matter",
        ),
        (
            "failing-sets/quadratic-QK",
            _QUADRATIC,
            "O(v^2 d) for EU and EVOU; O(v^2 + v d + d^3) for QK",
            "failing sets with scores from directions, norms and the product of W_Q and W_K",
        ),
        (
            "failing-sets/strict-QK",
            _QUADRATIC,
            "O(v^2 d) for EU and EVOU; O(v^2 + v d + d^2) for QK",
            "failing sets with scores from directions and norms, without the product of W_Q and W_K",
        ),
        (
            "failing-sets/strict-QK+EU",
            _QUADRATIC,
            "O(v^2 d) for EVOU; O(v^2 + v d + d^2) for QK and EU",
            "failing sets with scores and direct path from directions and norms, without the product of W_Q and W_K",
        ),
    )
}
