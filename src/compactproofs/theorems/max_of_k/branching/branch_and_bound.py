"""Branch and bound: decide whole boxes of inputs at once, and split those that are not of one kind.

Theorem.  `branch-and-bound` returns at most, and `branch-and-bound-upper` at least, the number of inputs whose label
has the strictly largest logit.  If no input is left undecided, both return exactly that number.

Call an input a tie if its label's logit is as large as another output's, and none is larger.  That is a wrong answer,
but one that is never decided (`class_margins`).  So `branch-and-bound-upper` returns at least the number of inputs on
which no other output's logit is larger than the label's.  If no input but ties is left undecided, it returns exactly
that number, and `branch-and-bound` exactly the number of inputs answered correctly: the bounds differ by the ties.

Proof.  The inputs of every class (query q, maximum m >= q) that `class_margins` leaves out are answered
correctly, by its screening lemma and because a least sum of the integers L above 0 proves a positive margin.  The
others are split into inputs that are certainly right, certainly wrong, and undecided, by `boxes`; a class for
which no integers can be found is undecided.  Classes are disjoint, so

    total - wrong - undecided  <=  inputs answered correctly  <=  total - wrong,

where all that counts as wrong has an output with a larger logit than the label's.

With weights (`tasks.weights`) all these numbers are what inputs count instead of how many they are.

Nothing is hinted.  The work is limited by a number of boxes for all classes together, and of single inputs for each, so
a model on which the method does badly gets a poor bound after some time, not a wait without end.

Cost: about v^4 for the screening, 6 n m r for the integers of a class with r doubtful outputs, and 2 n r for a box.
The additive margin, of which all of this lives, is in `additive`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import ORDERS
from compactproofs.theorems.max_of_k import MaxProblem, Work
from compactproofs.theorems.max_of_k.branching.boxes import Decided, decide
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, class_margins

MAX_INPUTS = 2**42
MAX_VOCABULARY = 512
MAX_BOXES = 2**22


@shared
def decide_inputs(work: Work) -> Decided:
    """What is known about all inputs of the model."""
    return decide_classes(work, class_margins(work))


def decide_classes(work: Any, classes: Iterable[ClassMargins | int]) -> Decided:
    """What is known about the inputs of these classes; of those given by their size, nothing is."""
    wrong = undecided = boxes = 0
    for found in classes:
        if isinstance(found, ClassMargins):
            decided = decide(work, found, MAX_BOXES - boxes)
            wrong, undecided = wrong + decided.wrong, undecided + decided.undecided
            boxes += decided.boxes
        else:
            undecided += found
    return Decided(wrong, undecided, boxes)


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that are certainly answered correctly."""
    decided = decide_inputs(work)
    return work.task.total - decided.wrong - decided.undecided


def upper_bound(work: Work, hints: Hints) -> int:
    """The number of inputs that are not certainly answered wrongly, ties among them."""
    return work.task.total - decide_inputs(work).wrong


def limit(problem: MaxProblem) -> str | None:
    """Refused above 2^42 inputs or 512 tokens."""
    task = problem.task
    if task.d_vocab > MAX_VOCABULARY:
        return f"branch and bound takes v^4 operations to begin with; at most v = {MAX_VOCABULARY} is supported"
    if task.size > MAX_INPUTS:
        return f"branch and bound would not get far with {task.d_vocab}^{task.n_ctx} inputs; at most 2^42 are supported"
    return None


BRANCH_AND_BOUND = Strategy(
    id="branch-and-bound",
    theorem="max-of-k/branch-and-bound@1",
    family=AttentionOnly.family,
    tasks=ORDERS,
    bound=bound,
    limit=limit,
)

BRANCH_AND_BOUND_UPPER = replace(BRANCH_AND_BOUND, id="branch-and-bound-upper", bound=upper_bound, claim="at most")
