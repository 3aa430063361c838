"""Branch and bound for answers that comparisons tell: boxes of inputs, split until they are of one kind.

Theorem.  `by-comparison/branch-and-bound` returns at most, and `by-comparison/branch-and-bound-upper` at least, the
number of inputs whose label has the strictly largest logit.  If no input is left undecided, both return exactly that.

It holds for every task that says, for each last token q and label t, of which disjoint boxes the inputs of this class
are made; these allow at each of the first n - 1 positions tokens below t, t itself, tokens above t, or several of the
three, whatever the others are.  `tasks.by_comparison` has such tasks.

Proof.  Every input is in one class, that of its last token and label, and there in one box.  Boxes that need the same
of the three sets make up a part.  Fix one, of a class q, t.  By the additive margin (`additive`), which is about any
two outputs, an input x in it is answered wrongly exactly if for some output o != t

    S_o(x) = sum_p h_o[p, x_p] <= 0,    h_o[p, r] = w(q, r) e(q, p) ( EU_D[q] + EVOU_D[r] + PVOU_D[p] ),

where X_D[r] = X[r, t] - X[r, o].  Let L <= c_o 2^k h_o <= H be the integers of `branching.class_margins`, for the
tokens of the part and found in the same way.  An output is left out if for each box the sum over positions of the least
L that the box allows, with that of the last position, is positive: then S_o > 0 for all inputs of the part.  If no
output is left, all of them are answered correctly.  Otherwise `branching.boxes` splits the part into inputs that are
certainly right, certainly wrong, and undecided; where no integers can be found, all are undecided.  Parts are disjoint,
so

    total - wrong - undecided  <=  inputs answered correctly  <=  total - wrong,

where all that counts as wrong has an output with a larger logit than the label's; ties are never decided.

Nothing is hinted, and the work is limited as in `branching.branch_and_bound`.  Cost: about 10 n v^4 for the integers,
and 2 n r for a box with r outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np

from compactproofs.kernel.decisions import Array, IntArray
from compactproofs.kernel.problem import Hints, Problem, Strategy
from compactproofs.kernel.workspace import Workspace, shared
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.by_comparison import NAMES, ByComparison
from compactproofs.theorems.max_of_k.branching import branch_and_bound
from compactproofs.theorems.max_of_k.branching.boxes import Decided
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, Parts, grid
from compactproofs.theorems.max_of_k.core.additive import other_outputs, position_weights, token_weights

ComparisonProblem: TypeAlias = Problem[AttentionOnly, ByComparison]
Work: TypeAlias = Workspace[AttentionOnly, ByComparison]

MAX_POSITIONS = 12


@dataclass(frozen=True, kw_only=True)
class LabelMargins(ClassMargins):
    """Inputs with one last token and label, in the boxes `of_class`; nothing is required besides."""

    of_class: list[list[Parts]]

    def boxes(self) -> list[list[Parts]]:
        """As the task says."""
        return self.of_class

    @property
    def size(self) -> int:
        """What these inputs count together."""
        return self.of_query * _weight_of_boxes(self.of_class, self.counts)


def class_margins(work: Work) -> Iterator[ClassMargins | int]:
    """All parts of classes that hold an input which could be wrong; those of which nothing is known by what they count.

    A part is what the boxes with the same tokens hold: its integers know nothing of tokens that it has not.
    """
    v = work.network.d_vocab
    for label in range(v):
        outputs = other_outputs(work, label)
        values = _values(work, label, outputs)
        sets = {-1: range(label), 0: range(label, label + 1), 1: range(label + 1, v)}
        for query in range(v):
            alike: dict[frozenset[range], list[list[Parts]]] = {}
            for signs in work.task.boxes(query, label):
                box = [tuple(sets[sign] for sign in here if sets[sign]) for here in signs]
                if all(box):
                    alike.setdefault(frozenset(part for parts in box for part in parts), []).append(box)
            terms = _terms(work, query, label, outputs, values) if alike else None
            for used, boxes in alike.items():
                found = _margins(work, terms, query, sets[0], outputs, used, boxes)
                if found is not None:
                    yield found


def _values(work: Work, label: int, outputs: IntArray) -> Array:
    """EVOU_D[r] + PVOU_D[p], shape (n, v, outputs) over (position, token, output)."""
    tokens, positions = circuits.EVOU(work), circuits.PVOU(work)
    return (tokens[:, label, None] - tokens[:, outputs]) + (positions[:, label, None] - positions[:, outputs])[:, None]


def _terms(work: Work, query: int, label: int, outputs: IntArray, values: Array) -> Array:
    """h_o[p, r], shape (n, v, outputs)."""
    direct = circuits.EU(work)[query]
    weights = position_weights(work)[query][:, None] * token_weights(work)[query]
    return weights[:, :, None] * (values + (direct[label] - direct[outputs]))


def _weight_of_boxes(boxes: list[list[Parts]], counts: IntArray) -> int:
    """What the sequences of tokens in these disjoint boxes count."""
    return sum(prod(sum(int(counts[part.start : part.stop].sum()) for part in parts) for parts in box) for box in boxes)


def _margins(
    work: Work,
    terms: Any,
    query: int,
    label: range,
    outputs: IntArray,
    used: frozenset[range],
    boxes: list[list[Parts]],
) -> ClassMargins | int | None:
    """The inputs in these boxes, with those of the outputs that could win; None if there is none.

    By what they count, if nothing is known.  `used`: all sets of tokens in them.
    """
    kept: list[int] = []
    places = {}
    for part in sorted(used | {label}, key=lambda part: part.start):
        places[part] = range(len(kept), len(kept) + len(part))
        kept += part
    tokens, counts = np.array(kept), work.task.counts[kept]
    of_query = int(work.task.counts[query])
    boxes = [[tuple(places[part] for part in parts) for parts in box] for box in boxes]
    terms = terms[:, np.append(tokens, query)]
    try:
        low, high = grid(work, terms, places[label].start)
    except OverflowError:
        return of_query * _weight_of_boxes(boxes, counts)
    least = {part: low[:, part.start : part.stop].min(axis=1) for part in places.values()}
    smallest = [
        sum(np.min([least[part][position] for part in parts], axis=0) for position, parts in enumerate(box))
        for box in boxes
    ]
    left = np.min(smallest, axis=0) + low[-1, -1] <= 0
    work.charge(int_ops=2 * low.size + len(boxes) * len(terms) * len(outputs))
    if not left.any():
        return None
    low, high = low[..., left], high[..., left]
    return LabelMargins(
        query=query,
        tokens=tokens,
        outputs=outputs[left],
        low=low[:-1, :-1],
        high=high[:-1, :-1],
        low_last=low[-1, -1],
        high_last=high[-1, -1],
        required=np.zeros((0, len(tokens)), np.bool_),
        terms=terms[..., left],
        counts=counts,
        of_query=of_query,
        of_class=boxes,
    )


@shared
def decide_inputs(work: Work) -> Decided:
    """What is known about all inputs of the model."""
    return branch_and_bound.decide_classes(work, class_margins(work))


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that are certainly answered correctly."""
    decided = decide_inputs(work)
    return work.task.total - decided.wrong - decided.undecided


def upper_bound(work: Work, hints: Hints) -> int:
    """The number of inputs that are not certainly answered wrongly, ties among them."""
    return work.task.total - decide_inputs(work).wrong


def limit(problem: ComparisonProblem) -> str | None:
    """Refused where branch and bound is, and above 12 positions."""
    if problem.task.n_ctx > MAX_POSITIONS:
        return f"it would compare {problem.task.n_ctx} tokens with each label; at most {MAX_POSITIONS} are supported"
    return branch_and_bound.limit(problem)  # type: ignore[arg-type]


BY_COMPARISON = Strategy(
    id="by-comparison/branch-and-bound",
    theorem="by-comparison/branch-and-bound@1",
    family=AttentionOnly.family,
    tasks=NAMES,
    bound=bound,
    limit=limit,
)

BY_COMPARISON_UPPER = replace(BY_COMPARISON, id=f"{BY_COMPARISON.id}-upper", bound=upper_bound, claim="at most")
