"""Branch and bound for several heads: boxes of inputs, split until they are of one kind.

Theorem.  `heads/branch-and-bound` returns at most, and `heads/branch-and-bound-upper` at least, the number of inputs
whose label has the strictly largest logit.  If no input is left undecided, both return exactly that number.

Proof.  As for `branching.branch_and_bound`: the inputs of every class (query q, maximum m >= q) that `class_margins`
leaves out are answered correctly, by its screening lemma or by its box lemma for the largest box.  The others are split
by `branching.boxes` into disjoint boxes, of which those are called wrong or right that the box lemma shows to be, and
single inputs, which are by the lemma on averages.  All that counts as wrong has an output with a larger logit than the
label's; ties, which are wrong too, stay undecided.

Nothing is hinted, and the work is limited as there.  Cost: about 25 H v^4 / 3 for the screening, 20 n m H r for the
integers of a class with r doubtful outputs, and 4 n H r for a box.
"""

from __future__ import annotations

from dataclasses import replace

from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.tasks.max_of_k import ORDERS
from compactproofs.theorems.max_of_k.branching import branch_and_bound
from compactproofs.theorems.max_of_k.branching.boxes import Decided
from compactproofs.theorems.max_of_k.heads.averages import HeadsWork
from compactproofs.theorems.max_of_k.heads.class_margins import class_margins


@shared
def decide_inputs(work: HeadsWork) -> Decided:
    """What is known about all inputs of the model."""
    return branch_and_bound.decide_classes(work, class_margins(work))


def bound(work: HeadsWork, hints: Hints) -> int:
    """The number of inputs that are certainly answered correctly."""
    decided = decide_inputs(work)
    return work.task.total - decided.wrong - decided.undecided


def upper_bound(work: HeadsWork, hints: Hints) -> int:
    """The number of inputs that are not certainly answered wrongly, ties among them."""
    return work.task.total - decide_inputs(work).wrong


HEADS_BRANCH_AND_BOUND = Strategy(
    id="heads/branch-and-bound",
    theorem="max-of-k/heads-branch-and-bound@1",
    family=ManyHeads.family,
    tasks=ORDERS,
    bound=bound,
    limit=branch_and_bound.limit,
)

HEADS_BRANCH_AND_BOUND_UPPER = replace(
    HEADS_BRANCH_AND_BOUND, id="heads/branch-and-bound-upper", bound=upper_bound, claim="at most"
)
