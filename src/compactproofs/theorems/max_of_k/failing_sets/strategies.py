"""The failing-set strategies: rule out almost every wrong output for all queries at once, count what is left exactly.

Theorem.  The number N returned is at most the number of inputs whose label has the strictly largest logit.

Proof.  Inputs are split by query q and maximum m >= q, the label.  Classes that a hint gives up count as wrong as a
whole.  For each m and its other classes, `safe_outputs` gives the pairs (q, o) for which o might win; for every
other pair m certainly has the higher logit on all inputs of the class.  For a class (q, m) with such outputs,
`failing_inputs` gives a number of inputs, at least as many as are wrong.  All other classes are right as a
whole.  N is v^n (with weights, `tasks.orders`, what all inputs count) minus the sum of these numbers, over disjoint
classes.  Both lemmas need no more than upper and lower bounds of the tables, up to a constant for each query, and each
strategy proves its own (`low_rank_tables`):

* failing-sets: the tables, multiplied out.  If the enclosures show every positive sum to be positive, and the windows
  tell all tokens apart in the classes that are counted, none of which is too large, N is the exact number: an input is
  then counted as wrong only if some output's exact margin on it is not positive.
* low-rank-QK, low-rank-EU, and both: the attention scores, or the direct path, by a low-rank part and norms of the
  rest (`low_rank`).  Single entries are multiplied out where a class is about to be counted, and so N can
  still be exact.
* quadratic-QK: scores from Q K^T, of which directions are taken out exactly and the rest is bounded by its largest
  singular value, which the check itself proves (`bilinear`).
* strict-QK, strict-QK+EU: scores from W_Q and W_K without their product; the direct path exactly, or by a low-rank
  part with single entries.

Hints.  `skip` lists tests that are not worth trying, as rows (m, o, code).  A wrong row costs operations, and also
inputs where the class is then counted with too small a window, or is too large to be counted.  `window`, for each
class, is 1 more than the number of tokens below m that are told apart, or 0 to tell all apart; one that is too small
loses inputs, and 65535 gives the class up.  `key_directions`,
`output_directions` and `score_directions` hold two matrices of directions each, and `square` a guess of the square of a
singular value.  Nothing is assumed of any of them.

Cost.  The tables, O(v^2 d), and then little: O(v^2) for the tests of whole classes, and the size of the windows for
each of the few classes with a failing input.  For r directions, low-rank tables cost O(v^2 r + v d r) (low-rank-QK:
and O(v d^2) for E_q Q K^T), quadratic ones O(v^2 r + v d r + d^3) and strict ones O(v^2 r + v d r + d^2 r); an entry on
demand costs 2 d.  Source: ours; the paper has no strategy of this kind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.kernel.problem import Hints, HintSpec, Problem, Strategy
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import ORDERS, too_heavy
from compactproofs.theorems.max_of_k import MaxProblem, Work
from compactproofs.theorems.max_of_k.failing_sets.failing_inputs import ClassesInDoubt
from compactproofs.theorems.max_of_k.failing_sets.low_rank import Bounds
from compactproofs.theorems.max_of_k.failing_sets.low_rank_tables import (
    low_rank_direct,
    low_rank_scores,
    position_scores,
    quadratic_scores,
    strictly_quadratic_scores,
)
from compactproofs.theorems.max_of_k.failing_sets.margin_tables import (
    MarginTables,
    exact_direct,
    exact_tables,
    margin_tables,
    relative_position_weights,
    relative_weights,
)
from compactproofs.theorems.max_of_k.failing_sets.safe_outputs import Plan, possible_winners

NEAR = 4
GIVEN_UP = 2**16 - 1  # the window of a class that counts as lost
QK, EU, QUADRATIC, SQUARE = "key_directions", "output_directions", "score_directions", "square"


class HintedPlan:
    """The tests that the hint `skip` names are skipped."""

    def __init__(self, skip: npt.NDArray[Any]) -> None:
        self._keys = np.append(np.unique(_key(*skip.astype(np.int64).T)), -1)

    def skips(self, m: int, outputs: IntArray, codes: IntArray) -> BoolArray:
        """Whether the hint names these tests."""
        wanted = _key(m, outputs, codes)
        return np.asarray(self._keys[np.searchsorted(self._keys[:-1], wanted)] == wanted)

    def failed(self, m: int, outputs: IntArray, codes: IntArray) -> None:
        """Nothing is learned while checking."""


def _key(m: int | IntArray, o: IntArray, code: IntArray) -> IntArray:
    return (m << 32) + (o << 16) + code


def possible_winners_by_query(
    work: Work, tables: MarginTables, m: int, plan: Plan, queries: IntArray | None = None
) -> dict[int, IntArray]:
    """For each of these queries (or all), the outputs that might win against m; queries without any are left out."""
    found: dict[int, list[int]] = {}
    queries = np.arange(m + 1) if queries is None else queries
    for q, o in possible_winners(work, tables, m, NEAR, plan, queries):
        found.setdefault(q, []).append(o)
    return {q: np.array(sorted(outputs)) for q, outputs in sorted(found.items())}


def _bound(work: Work, hints: Hints, tables_of: Callable[[Work, Hints], MarginTables]) -> int:
    if _limit(Problem(work.network, work.task)) is not None:
        return 0
    plan = HintedPlan(hints["skip"])
    tables = tables_of(work, hints)
    lost = 0
    for m in range(work.task.d_vocab):
        given_up = hints["window"][: m + 1, m] == GIVEN_UP
        lost += sum(work.task.class_size(int(q), m) for q in np.flatnonzero(given_up))
        found = possible_winners_by_query(work, tables, m, plan, np.flatnonzero(~given_up))
        if found:
            windows = [_window(hints["window"][q, m], m) for q in found]
            group = ClassesInDoubt(work, tables, m, np.unique(np.concatenate(list(found.values()))), windows)
            lost += sum(group.count(q, o, w) for (q, o), w in zip(found.items(), windows, strict=True))
    return work.task.total - lost


def _window(hint: np.integer[Any], m: int) -> int:
    return min(int(hint) - 1, m) if hint > 0 else m


def _exact(work: Work, hints: Hints) -> MarginTables:
    return exact_tables(work)


def _low_rank_QK(work: Work, hints: Hints) -> MarginTables:
    scores, entries = low_rank_scores(work, hints[QK])
    return margin_tables(work, scores, exact_direct(work), relative_position_weights(work), entries)


def _low_rank_EU(work: Work, hints: Hints) -> MarginTables:
    scores = circuits.EQKE(work)
    direct = low_rank_direct(work, hints[EU])
    return margin_tables(work, Bounds(scores, scores), direct, relative_position_weights(work))


def _low_rank_both(work: Work, hints: Hints) -> MarginTables:
    scores, entries = low_rank_scores(work, hints[QK])
    return margin_tables(work, scores, low_rank_direct(work, hints[EU]), relative_position_weights(work), entries)


def _quadratic_QK(work: Work, hints: Hints) -> MarginTables:
    scores = quadratic_scores(work, hints[QUADRATIC], hints[SQUARE])
    return margin_tables(work, scores, exact_direct(work), relative_weights(position_scores(work)))


def _strict_QK(work: Work, hints: Hints) -> MarginTables:
    scores = strictly_quadratic_scores(work, hints[QUADRATIC])
    return margin_tables(work, scores, exact_direct(work), relative_weights(position_scores(work)))


def _strict_QK_low_rank_EU(work: Work, hints: Hints) -> MarginTables:
    scores = strictly_quadratic_scores(work, hints[QUADRATIC])
    return margin_tables(work, scores, low_rank_direct(work, hints[EU]), relative_weights(position_scores(work)))


def _hints(problem: MaxProblem, names: tuple[str, ...] = ()) -> dict[str, HintSpec]:
    v = problem.task.d_vocab
    directions = HintSpec(np.float64, (2, problem.network.width, None))
    return {
        "skip": HintSpec(np.uint16, (None, 3)),
        "window": HintSpec(np.uint16, (v, v)),
        **{name: HintSpec(np.float64, (1,)) if name == SQUARE else directions for name in names},
    }


def _limit(problem: MaxProblem) -> str | None:
    n, v = problem.task.n_ctx, problem.task.d_vocab
    if n < 2:
        return "it needs inputs of at least 2 tokens"
    if v > 2**12:
        return f"it supports at most {2**12} tokens, not {v}"
    if v ** (n - 1) > 2**24:
        return f"it would tell apart {v}^{n - 1} inputs of a class; at most 2^24 are supported"
    return too_heavy(problem.task)


class Kind(NamedTuple):
    """One strategy of the family: which tables it works on."""

    id: str
    tables_of: Callable[[Work, Hints], MarginTables]
    more_hints: tuple[str, ...] = ()

    @property
    def strategy(self) -> Strategy:
        """The strategy."""
        return Strategy(
            id=self.id,
            theorem="max-of-k/failing-sets@1",
            family=AttentionOnly.family,
            tasks=ORDERS,
            bound=partial(_bound, tables_of=self.tables_of),
            hints=partial(_hints, names=self.more_hints),
            limit=_limit,
        )


KINDS = {
    kind.id: kind
    for kind in (
        Kind(
            "failing-sets",
            _exact,
        ),
        Kind(
            "failing-sets/low-rank-QK",
            _low_rank_QK,
            (QK,),
        ),
        Kind(
            "failing-sets/low-rank-EU",
            _low_rank_EU,
            (EU,),
        ),
        Kind(
            "failing-sets/low-rank-QK+EU",
            _low_rank_both,
            (QK, EU),
        ),
        Kind(
            "failing-sets/quadratic-QK",
            _quadratic_QK,
            (QUADRATIC, SQUARE),
        ),
        Kind(
            "failing-sets/strict-QK",
            _strict_QK,
            (QUADRATIC,),
        ),
        Kind(
            "failing-sets/strict-QK+EU",
            _strict_QK_low_rank_EU,
            (QUADRATIC, EU),
        ),
    )
}

FAILING_SETS = tuple(kind.strategy for kind in KINDS.values())
