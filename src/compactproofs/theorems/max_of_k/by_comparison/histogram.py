"""Histograms of margins for answers that comparisons tell, where there are too many inputs for boxes.

Theorem.  For all hints, `by-comparison/histogram` returns at most, and `by-comparison/histogram-upper` at least, the
number of inputs whose label has the strictly largest logit; the latter counts ties as well.

It is that of `counting.histogram`, for other classes.  Those are here the inputs with one last token q and label t.
With a rank k, t is the label if and only if at most k tokens are above t, and at least k + 1 are t or above it.  So the
first n - 1 tokens are those in which at most A = k - [q > t] are above t, and at least B = k + 1 - [q >= t] are t or
above, if A >= 0, and there are none otherwise: a condition of `branching.conditions`, where B < 0 says what B = 0 does.
With a position k below the last, position k holds t, and the others anything; with the last position, t is q.

Proof.  Each class is looked at as in `by_comparison.branch_and_bound`.  `_cover` returns boxes that hold all inputs of
it: one of the first n - 1 positions holds t unless q does, and no token is above t where A = 0.  So the outputs that
the screening lemma leaves out for each of these boxes never win, and a class with no other outputs is right.

Else let L <= c_o 2^k h_o <= H be integers as there, for the tokens that the class may have.  Where one position p holds
t in all inputs, h_o[p, t] is a term like that of the last position: L and H are added to those of that one, and what
the inputs count is the product of what the others do, times what q and t do.  Of the other positions the least sum of L
is a minimum over the sequences that meet the condition (`Conditions.least`); where it is above 0 for an output, that
one never wins.  By levels of tokens, which may be anything, a class is made up of disjoint parts, each with a condition
more, that a token of the highest level is there.  For each part the lemmas of `counting.unions` hold as they are: they
count what inputs of the part fail by sums over positions, with `sums`, `both_ends` and `some_sum`, for any condition
that says nothing of the order of tokens.  The rest is as in `counting.histogram`.

Hints are those of `counting.histogram`, where the maximum m is the label t, and labels are for as many positions as
are left, n - 2 where one holds t.

Cost: as there, with (k + 1) (k + 2) times the cells for a rank k.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, IntArray
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.by_comparison import NAMES, POSITION, ByComparison
from compactproofs.tasks.max_of_k import boxes_of_class
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, Parts, grid
from compactproofs.theorems.max_of_k.branching.conditions import MAX_POSITIONS, Conditions
from compactproofs.theorems.max_of_k.by_comparison.branch_and_bound import (
    ComparisonProblem,
    Work,
    doubtful_outputs,
    sets_of_tokens,
    terms_of,
    values_of_label,
)
from compactproofs.theorems.max_of_k.core.additive import other_outputs
from compactproofs.theorems.max_of_k.counting import histogram

MAX_RANK = 7


@dataclass(frozen=True, kw_only=True)
class ComparedMargins(ClassMargins):
    """Inputs with one last token and label, the last of the tokens, less the position that always holds it.

    `terms`: of all positions.
    """

    task: ByComparison

    @property
    def by_sets(self) -> bool:
        """Not where there is a rank."""
        return self.task.name == POSITION

    @cached_property
    def conditions(self) -> Conditions:
        """The sets, and the rank of the label."""
        sets, label = Conditions.of_sets(self.required), int(self.tokens[-1])
        if self.by_sets:
            return sets
        above, least = _of_rank(self.task, self.query, label)
        return sets.with_rank(np.sign(self.tokens - label), above, least)

    @property
    def size(self) -> int:
        """What these inputs count together."""
        return self.of_query * self.conditions.weight(self.counts, len(self.low))

    def could_win(self) -> BoolArray:
        """For which outputs the integers do not show that all inputs are right."""
        left: BoolArray = self.conditions.least(self.low, self.low_last) <= 0
        return left

    def with_own_integers(self, work: Work) -> ClassMargins | int:  # type: ignore[override]
        """The same inputs, with integers that know nothing of other tokens; their number where nothing is known."""
        try:
            low, high = grid(work, self.terms, len(self.tokens) - 1)
        except OverflowError:
            return self.size
        work.charge(int_ops=(2 + len(self.conditions.empty)) * low.size)
        always = _holds_label(self.task)
        (low, low_last), (high, high_last) = (_at_positions(integers, always) for integers in (low, high))
        found = replace(self, low=low, high=high, low_last=low_last, high_last=high_last)
        left = found.could_win()
        return replace(
            found,
            outputs=self.outputs[left],
            low=low[:, :, left],
            high=high[:, :, left],
            low_last=low_last[left],
            high_last=high_last[left],
            terms=self.terms[..., left],
        )


def _of_rank(task: ByComparison, query: int, label: int) -> tuple[int, int]:
    """A and B."""
    return task.k - int(query > label), max(task.k + 1 - int(query >= label), 0)


def _holds_label(task: ByComparison) -> int | None:
    """Which of the positions but the last one holds the label in all inputs, if one does."""
    return task.k if task.name == POSITION and task.k < task.n_ctx - 1 else None


def _at_positions(integers: IntArray, always: int | None) -> tuple[IntArray, IntArray]:
    """Those of the positions that differ, and the sum of the others, which hold the label and the query."""
    first, last = integers[:-1, :-1], integers[-1, -1]
    return (first, last) if always is None else (np.delete(first, always, axis=0), last + first[always, -1])


def _cover(task: ByComparison, sign: int, sets: dict[int, range]) -> list[list[Parts]]:
    """Boxes that hold all inputs of a class; none if it has no inputs.  `sign`: of the query less the label."""
    positions, always = task.n_ctx - 1, _holds_label(task)
    every = tuple(part for part in sets.values() if part)
    if always is not None:
        return [[every] * always + [(sets[0],)] + [every] * (positions - 1 - always)]
    if task.name == POSITION:
        return [] if sign else [[every] * positions]
    above, least = task.k - (sign > 0), task.k + 1 - (sign >= 0)
    if above < 0 or least > positions:
        return []
    allowed = every if above else tuple(part for part in (sets[-1], sets[0]) if part)
    if sign == 0:
        return [[allowed] * positions]
    return boxes_of_class(positions, False, allowed, (sets[0],), allowed)


def class_margins(work: Work, wanted: Container[tuple[int, int]] | None = None) -> Iterator[ClassMargins | int]:
    """All classes that hold an input which could be wrong; those of which nothing is known by their size.

    `wanted`: queries and labels of classes, if not all are.
    """
    v, task = work.network.d_vocab, work.task
    for label in range(v):
        outputs, values, sets = other_outputs(work, label), values_of_label(work, label), sets_of_tokens(label, v)
        for sign, queries in sets.items():
            cover = _cover(task, sign, sets)
            if not queries or not cover:
                continue
            for query, doubtful in zip(queries, doubtful_outputs(work, queries, label, values, cover), strict=True):
                left = doubtful.any(axis=0)
                if left.any() and (wanted is None or (query, label) in wanted):
                    found = _margins(work, query, label, outputs[left], values[:, :, left])
                    if isinstance(found, int) or found.outputs.size:
                        yield found


def _margins(work: Work, query: int, label: int, outputs: IntArray, values: Array) -> ClassMargins | int:
    """The class of this query and label, with those of the outputs that could win."""
    task, sets = work.task, sets_of_tokens(label, work.network.d_vocab)
    nothing_above = task.name != POSITION and _of_rank(task, query, label)[0] == 0
    tokens = np.array([*sets[-1], *([] if nothing_above else sets[1]), label])
    terms = terms_of(work, query, label, np.append(tokens, query), outputs, values)
    of_query = int(task.counts[query]) * (1 if _holds_label(task) is None else int(task.counts[label]))
    positions = task.n_ctx - 1 - (_holds_label(task) is not None)
    nothing = np.zeros((positions, len(tokens), len(outputs)), np.int64)
    return ComparedMargins(
        query=query,
        tokens=tokens,
        outputs=outputs,
        low=nothing,
        high=nothing,
        low_last=np.zeros(len(outputs), np.int64),
        high_last=np.zeros(len(outputs), np.int64),
        required=np.zeros((0, len(tokens)), np.bool_),
        terms=terms,
        counts=task.counts[tokens],
        of_query=of_query,
        task=task,
    ).with_own_integers(work)


def bound(work: Work, hints: Hints) -> int:
    """All inputs less those that may be wrong."""
    return work.task.total - histogram.wrong(work, hints, class_margins(work), over=True)


def upper_bound(work: Work, hints: Hints) -> int:
    """All inputs less those that are certainly wrong, and no ties."""
    classes = class_margins(work, histogram.steps_by_part(hints))
    return work.task.total - histogram.wrong(work, hints, classes, over=False)


def _hints(problem: ComparisonProblem) -> dict[str, HintSpec]:
    v, n = problem.task.d_vocab, problem.task.n_ctx
    return histogram.hint_specs(v, n - 1 - (_holds_label(problem.task) is not None))


def limit(problem: ComparisonProblem) -> str | None:
    """Refused where histograms are, above 64 positions, and for ranks above 7."""
    task = problem.task
    if task.n_ctx > MAX_POSITIONS:
        return f"it would follow a condition through {task.n_ctx} positions; at most {MAX_POSITIONS} are supported"
    if task.name != POSITION and task.k > MAX_RANK:
        return f"it would count up to {task.k} larger tokens; at most k = {MAX_RANK} is supported"
    return histogram.limit(problem)  # type: ignore[arg-type]


COMPARED_HISTOGRAM = Strategy(
    id="by-comparison/histogram",
    theorem="by-comparison/histogram@3",
    family=AttentionOnly.family,
    tasks=NAMES,
    bound=bound,
    hints=_hints,
    limit=limit,
)

COMPARED_HISTOGRAM_UPPER = replace(
    COMPARED_HISTOGRAM, id=f"{COMPARED_HISTOGRAM.id}-upper", bound=upper_bound, claim="at most"
)
