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

where X_D[r] = X[r, t] - X[r, o].  With g_o[r] = w(q, r) ( EU_D[q] + EVOU_D[r] + min_p PVOU_D[p] ) every h_o[p, r] is at
least e(q, p) g_o[r], as w and e are positive.  So if, in every box of the part,

    sum_{p < n} e(q, p) min g_o[r] + e(q, n) g_o[q] > 0,

each minimum over the tokens r that the box allows at p, then S_o > 0 for all inputs of the part, and o is left out (the
screening lemma).  If no output is left, all of them are answered correctly.  Otherwise let L <= c_o 2^k h_o <= H be the
integers of `branching.class_margins`, for the tokens of the part and found in the same way.  Outputs of which they show
the same are left out too, and `branching.boxes` splits the part into inputs that are certainly right, certainly wrong,
and undecided; where no integers can be found, all are undecided.  Parts are disjoint, so

    total - wrong - undecided  <=  inputs answered correctly  <=  total - wrong,

where all that counts as wrong has an output with a larger logit than the label's; ties are never decided.  With weights
of tokens these numbers are what inputs count.

Nothing is hinted, and the work is limited as in `branching.branch_and_bound`.  Cost: about 5 v^4 for the screening,
10 n v^2 r for the integers of all classes of a label with r doubtful outputs, and 2 n r for a box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, IntArray, certainly_positive
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
_CHUNK = 2**15  # entries held at once: queries x tokens x outputs


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
        values, sets = values_of_label(work, label), sets_of_tokens(label, v)
        for queries in filter(None, sets.values()):  # which have the same boxes
            boxes = [
                [tuple(sets[sign] for sign in here if sets[sign]) for here in signs]
                for signs in work.task.boxes(queries[0], label)
            ]
            boxes = [box for box in boxes if all(box)]
            if not boxes:
                continue
            alike: dict[frozenset[range], list[int]] = {}
            for number, box in enumerate(boxes):
                alike.setdefault(frozenset(part for parts in box for part in parts), []).append(number)
            for query, doubtful in zip(queries, doubtful_outputs(work, queries, label, values, boxes), strict=True):
                for used, numbers in alike.items():
                    left = np.flatnonzero(doubtful[numbers].any(axis=0))
                    if left.size:
                        part = used, [boxes[number] for number in numbers]
                        found = _margins(work, query, sets[0], outputs[left], values[:, :, left], *part)
                        if isinstance(found, int) or found.outputs.size:
                            yield found


def sets_of_tokens(label: int, v: int) -> dict[int, range]:
    """The tokens below the label, itself, and those above, by their sign."""
    return {-1: range(label), 0: range(label, label + 1), 1: range(label + 1, v)}


def values_of_label(work: Work, label: int) -> Array:
    """EVOU_D[r] + PVOU_D[p], shape (n, v, outputs) over (position, token, other output)."""
    tokens, positions, outputs = circuits.EVOU(work), circuits.PVOU(work), other_outputs(work, label)
    return (tokens[:, label, None] - tokens[:, outputs]) + (positions[:, label, None] - positions[:, outputs])[:, None]


def _direct(work: Work, query: Any, label: int, outputs: IntArray) -> Array:
    """EU_D[q], over the queries, if there are several, and outputs."""
    direct = circuits.EU(work)[query]
    return direct[..., label, None] - direct[..., outputs]


def doubtful_outputs(
    work: Work, queries: range, label: int, values: Array, boxes: list[list[Parts]]
) -> Iterator[BoolArray]:
    """For each query the outputs that the screening lemma leaves, shape (boxes, outputs)."""
    outputs, everywhere = other_outputs(work, label), values.min(axis=0)
    allowed = list(dict.fromkeys(parts for box in boxes for parts in box))
    index = np.array([[*map(allowed.index, box), len(allowed)] for box in boxes], np.int64)
    step = max(1, _CHUNK // max(everywhere.size, index.size * len(outputs)))
    for start in range(0, len(queries), step):
        some = np.array(queries[start : start + step])
        g = token_weights(work)[some][:, :, None] * (everywhere + _direct(work, some, label, outputs)[:, None])
        least = {part: g[:, part.start : part.stop].min(axis=1) for parts in allowed for part in parts}
        of_parts = [np.stack([least[part] for part in parts]).min(axis=0) for parts in allowed]
        terms = np.stack([*of_parts, g[np.arange(len(some)), some]], axis=1)[:, index]
        yield from ~certainly_positive((position_weights(work)[some][:, None, :, None] * terms).sum(axis=2))


def terms_of(work: Work, query: int, label: int, tokens: IntArray, outputs: IntArray, values: Array) -> Array:
    """h_o[p, r] of these tokens and outputs, shape (n, tokens, outputs); `values`: of all tokens."""
    weights = position_weights(work)[query][:, None] * token_weights(work)[query, tokens]
    return weights[:, :, None] * (values[:, tokens] + _direct(work, query, label, outputs))


def _weight_of_boxes(boxes: list[list[Parts]], counts: IntArray) -> int:
    """What the sequences of tokens in these disjoint boxes count."""
    return sum(prod(sum(int(counts[part.start : part.stop].sum()) for part in parts) for parts in box) for box in boxes)


def _margins(
    work: Work,
    query: int,
    label: range,
    outputs: IntArray,
    values: Array,
    used: frozenset[range],
    boxes: list[list[Parts]],
) -> ClassMargins | int:
    """The inputs in these boxes, with those of the outputs that could win; by what they count, if nothing is known.

    `used`: all sets of tokens in them.
    """
    kept: list[int] = []
    places = {}
    for part in sorted(used | {label}, key=lambda part: part.start):
        places[part] = range(len(kept), len(kept) + len(part))
        kept += part
    boxes = [[tuple(places[part] for part in parts) for parts in box] for box in boxes]
    counts, of_query = work.task.counts[kept], int(work.task.counts[query])
    tokens = np.append(kept, query)
    terms = terms_of(work, query, label.start, tokens, outputs, values)
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
    return LabelMargins(
        query=query,
        tokens=tokens[:-1],
        outputs=outputs[left],
        low=low[:-1, :-1, left],
        high=high[:-1, :-1, left],
        low_last=low[-1, -1, left],
        high_last=high[-1, -1, left],
        required=np.zeros((0, len(kept)), np.bool_),
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
