"""Brute force: every input is its own case.

Theorem.  The number N of `pair-sum/brute-force` is at most, and that of `pair-sum/brute-force-upper` is at least, the
number of inputs whose label has the strictly largest logit; both are equal to it if no input is left undecided.

Proof.  Each input is in one group (`by_label`), with its label.  Its logits are computed by the lemma of
`networks.pair_sum.circuits`.  It is counted as right if the label's logit less each other one is certainly positive;
then it is answered correctly.  It is counted as wrong if some other logit less the label's is certainly positive; then
it is not.

Cost 2 n^2 m k and a few n^2 m and n^2 k.  Nothing of the model is understood.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from compactproofs.kernel.decisions import certainly_positive
from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.kernel.workspace import shared
from compactproofs.networks.pair_sum.circuits import tables
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import NAMES
from compactproofs.theorems.pair_sum.by_label import direct, groups, hidden, number_right
from compactproofs.theorems.pair_sum.problem import Work


class Decided(NamedTuple):
    """How many inputs are certainly answered correctly, and how many certainly not."""

    right: int
    wrong: int


@shared
def decide(work: Work) -> Decided:
    """Decide all inputs."""
    network = tables(work)
    right = wrong = 0
    for group in groups(work.task.table, max(network.out.shape)):
        logits = hidden(network, group) @ network.out + direct(network, group)
        leads = logits[:, group.label, None] - logits
        right += number_right(leads, group.label)
        wrong += int(certainly_positive(-leads).any(axis=1).sum())
    return Decided(right, wrong)


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that are certainly answered correctly."""
    return decide(work).right


def bound_from_above(work: Work, hints: Hints) -> int:
    """The number of inputs that are not certainly answered wrongly."""
    return work.task.total - decide(work).wrong


BRUTE_FORCE = Strategy(
    id="pair-sum/brute-force",
    theorem="pair-sum/brute-force@1",
    family=PairSum.family,
    tasks=NAMES,
    bound=bound,
)

BRUTE_FORCE_UPPER = replace(BRUTE_FORCE, id="pair-sum/brute-force-upper", bound=bound_from_above, claim="at most")
