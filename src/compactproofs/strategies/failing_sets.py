"""The failing-set strategy: rule out almost every wrong output for all queries at once, and count what is left exactly.

Theorem.  The number N returned is at most the number of inputs whose label has the strictly largest logit.

Proof.  Inputs are split by query q and maximum m >= q, the label.  For each m, `lemmas.safe_outputs` gives the pairs
(q, o) for which o might win; for every other pair m certainly has the higher logit on all inputs of the class.  For a
class (q, m) with such outputs, `lemmas.failing_inputs` gives a number of inputs, at least as many as are wrong.  All
other classes are right as a whole.  N is v^n minus the sum of these numbers, over disjoint classes.

If every enclosure decides rightly and the windows are wide enough, N is the exact number: an input is then counted as
wrong only if some output's exact margin on it is not positive.

Hints.  `skip` lists tests that are not worth trying, as rows (m, o, code); a wrong row costs operations or, at worst,
nothing else.  `window`, for each class, is 1 more than the number of tokens below m that are told apart; a window
that is too small loses inputs, 0 means all of them, and 65535 gives the class up.  Nothing is assumed of either.

Cost.  The tables, O(v^2 d), and then little: O(v^2) for the tests of whole classes, and the size of the windows for
each of the few classes with a failing input.  Source: ours; the paper has no strategy of this kind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs import circuits
from compactproofs.arrays import BoolArray, IntArray
from compactproofs.lemmas.failing_inputs import Suspects, class_size
from compactproofs.lemmas.low_rank import Bounds
from compactproofs.lemmas.low_rank_tables import low_rank_direct, low_rank_scores
from compactproofs.lemmas.margin_tables import (
    MarginTables,
    exact_direct,
    exact_tables,
    margin_tables,
    relative_position_weights,
)
from compactproofs.lemmas.safe_outputs import Plan, suspects
from compactproofs.model import Model
from compactproofs.strategies.base import Hints, HintSpec, Strategy
from compactproofs.task import total_inputs
from compactproofs.workspace import Workspace

NEAR = 4
GIVEN_UP = 2**16 - 1  # the window of a class that counts as lost
QK, EU = "key_directions", "output_directions"


class HintedPlan:
    """The tests that the hint `skip` names are skipped."""

    def __init__(self, v: int, skip: npt.NDArray[Any]) -> None:
        m, o, code = skip.astype(np.int64).T
        self._keys = [np.unique(_key(o[m == row], code[m == row])) for row in range(v)]

    def skips(self, m: int, outputs: IntArray, codes: IntArray) -> BoolArray:
        """Whether the hint names these tests."""
        keys, wanted = self._keys[m], _key(outputs, codes)
        if not len(keys):
            return np.zeros(len(wanted), bool)
        return np.asarray(keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted)

    def failed(self, m: int, outputs: IntArray, codes: IntArray) -> None:
        """Nothing is learned while checking."""


def _key(o: IntArray, code: IntArray) -> IntArray:
    return (o << 16) + code


def suspects_by_query(
    work: Workspace, tables: MarginTables, m: int, plan: Plan, near: int = NEAR
) -> dict[int, IntArray]:
    """For each query below or at m, the outputs that might win against m; queries without any are left out."""
    found: dict[int, list[int]] = {}
    for q, o in suspects(work, tables, m, near, plan):
        found.setdefault(q, []).append(o)
    return {q: np.array(sorted(outputs)) for q, outputs in sorted(found.items())}


def _bound(work: Workspace, hints: Hints, tables_of: Callable[[Workspace, Hints], MarginTables]) -> int:
    model = work.model
    if _limit(model) is not None:
        return 0
    plan = HintedPlan(model.d_vocab, hints["skip"])
    tables = tables_of(work, hints)
    lost = 0
    for m in range(model.d_vocab):
        found = suspects_by_query(work, tables, m, plan)
        windows = {q: _window(hints["window"][q, m], m) for q in found if hints["window"][q, m] != GIVEN_UP}
        lost += sum(class_size(q, m, model.n_ctx) for q in found if q not in windows)
        if windows:
            outputs = np.unique(np.concatenate([found[q] for q in windows]))
            group = Suspects(work, tables, m, outputs, list(windows.values()))
            lost += sum(group.count(q, found[q], window) for q, window in windows.items())
    return total_inputs(model) - lost


def _window(hint: np.integer[Any], m: int) -> int:
    return min(int(hint) - 1, m) if hint > 0 else m


def _exact(work: Workspace, hints: Hints) -> MarginTables:
    return exact_tables(work)


def _low_rank_QK(work: Workspace, hints: Hints) -> MarginTables:
    scores, entries = low_rank_scores(work, hints[QK])
    return margin_tables(work, scores, exact_direct(work), relative_position_weights(work), entries)


def _low_rank_EU(work: Workspace, hints: Hints) -> MarginTables:
    scores = circuits.EQKE(work)
    direct = low_rank_direct(work, hints[EU])
    return margin_tables(work, Bounds(scores, scores), direct, relative_position_weights(work))


def _low_rank_both(work: Workspace, hints: Hints) -> MarginTables:
    scores, entries = low_rank_scores(work, hints[QK])
    return margin_tables(work, scores, low_rank_direct(work, hints[EU]), relative_position_weights(work), entries)


def _hints(model: Model, directions: tuple[str, ...] = ()) -> dict[str, HintSpec]:
    v = model.d_vocab
    return {
        "skip": HintSpec(np.uint16, (None, 3)),
        "window": HintSpec(np.uint16, (v, v)),
        **{name: HintSpec(np.float64, (2, model.d_model, None)) for name in directions},
    }


def _limit(model: Model) -> str | None:
    if model.n_ctx < 2:
        return "it needs inputs of at least 2 tokens"
    if model.d_vocab > 2**12:
        return f"it supports at most {2**12} tokens, not {model.d_vocab}"
    if model.d_vocab ** (model.n_ctx - 1) > 2**24:
        return f"it would tell apart {model.d_vocab}^{model.n_ctx - 1} inputs of a class; at most 2^24 are supported"
    return None


def _unexplained_dimension(model: Model) -> int:
    v, n = model.d_vocab, model.n_ctx
    return 3 * v**2 + 2 * n * v


class Kind(NamedTuple):
    """One strategy of the family: which tables it works on."""

    id: str
    summary: str
    complexity: str
    tables_of: Callable[[Workspace, Hints], MarginTables]
    directions: tuple[str, ...] = ()

    @property
    def strategy(self) -> Strategy:
        """The strategy."""
        return Strategy(
            id=self.id,
            summary=self.summary,
            theorem="compactproofs.strategies.failing_sets",
            complexity=self.complexity,
            bound=partial(_bound, tables_of=self.tables_of),
            unexplained_dimension=_unexplained_dimension,
            hints=partial(_hints, directions=self.directions),
            limit=_limit,
        )


KINDS = {
    kind.id: kind
    for kind in (
        Kind(
            "failing-sets",
            "rules out outputs for many queries at once, counts the rest exactly",
            "O(v^2 d)",
            _exact,
        ),
        Kind(
            "failing-sets/low-rank-QK",
            "failing sets with attention scores of low rank, and single scores where they matter",
            "O(v^2 d)",
            _low_rank_QK,
            (QK,),
        ),
        Kind(
            "failing-sets/low-rank-EU",
            "failing sets with a direct path of low rank, and single entries of it where they matter",
            "O(v^2 d)",
            _low_rank_EU,
            (EU,),
        ),
        Kind(
            "failing-sets/low-rank-QK+EU",
            "failing sets with scores and direct path of low rank, and single entries where they matter",
            "O(v^2 d)",
            _low_rank_both,
            (QK, EU),
        ),
    )
}

FAILING_SETS = tuple(kind.strategy for kind in KINDS.values())
