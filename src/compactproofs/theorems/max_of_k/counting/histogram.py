"""Histograms of margins: for inputs too many to enumerate, bounds on the accuracy from both sides.

Theorem.  `histogram` returns at most, and `histogram-upper` at least, the number of inputs whose label has the strictly
largest logit.  The latter even returns at least the number of inputs on which no other logit is larger than the
label's: a tie is a wrong answer, but is never proved to be one (`core.class_margins`).

Proof.  The inputs of a class (query q, maximum m >= q) that `core.class_margins` leaves out are answered
correctly, by its screening lemma and because a least sum of the integers L above 0 proves a positive margin.  Every
other class is split by its heaviest token into disjoint parts, and `unions` bounds the number of wrong inputs of
each part from above and from below, counting by `sums` and `half_sums`.  A class for which no integers can
be found counts as wrong for the lower bound, and as right for the upper one.  Classes are disjoint; so the sum of all
bounds from above, taken from v^K, is at most the number of inputs answered correctly, and with those from below at
least.

Nothing is hinted.  A claim is weaker than what its own run proves by a share of 2^-16 of the wrong inputs, because
another machine's rounding may lead to other bins, and so to slightly other counts.

Why this is fast: margins are sums over positions, so a histogram of the sums takes one convolution for each position,
whatever K is, and trained attention is so sharp that most tokens fall into one bin.  Why it is tight: bins are rounded
to one side only; inputs are split by their heaviest token, so that each part has one scale; and where several outputs
can win, pairs of margins are counted, up to 11 positions by meeting in the middle.

Cost: about v^4 for the screening, 6 n m r for the integers of a class with r doubtful outputs, then 2 K (distinct
steps) (cells) for each histogram, and some 10^6 operations for each pair of outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.theorems.max_of_k import MaxProblem, Work
from compactproofs.theorems.max_of_k.core.class_margins import MAX_POSITIONS, ClassMargins, class_margins
from compactproofs.theorems.max_of_k.counting.unions import Failing

WORTH = 3e-9  # of all inputs, at 64 tokens: what there must be to gain for a part to be counted more exactly
MAX_INPUTS = 2**900  # so that counts fit into floats
MAX_VOCABULARY = 512
CLAIM_BITS = 16


def bound(work: Work, hints: Hints) -> int:
    """All inputs less those that may be wrong."""
    wrong = _wrong(work, Failing.at_most, work.task.class_size)
    return work.task.total - min(wrong + _to_spare(work, wrong), work.task.total)


def upper_bound(work: Work, hints: Hints) -> int:
    """All inputs less those that are certainly wrong, and no ties."""
    wrong = _wrong(work, Failing.at_least, lambda query, m: 0)
    return work.task.total - max(wrong - _to_spare(work, wrong), 0)


def _to_spare(work: Work, wrong: int) -> int:
    """What a claim leaves to the check: counts change a little with the choice of bins, and that with rounding."""
    return -(-wrong >> CLAIM_BITS) if getattr(work, "reading", "check") == "claim" else 0


def _wrong(work: Work, count: Callable[[Failing], int], unknown: Callable[[int, int], int]) -> int:
    """The counts of all parts of all classes, and what stands for a class that has no integers."""
    # The more classes there are, the less time there is for each.
    worth = int(WORTH * (work.network.d_vocab / 64) ** 2 * work.task.total)
    wrong = 0
    for found in class_margins(work):
        if isinstance(found, ClassMargins):
            wrong += sum(count(Failing(work, part, worth)) for part in found.parts(work))
        else:
            wrong += unknown(*found)
    return wrong


def limit(problem: MaxProblem) -> str | None:
    """Refused above 512 tokens or 2^900 inputs, or 1024 positions."""
    task = problem.task
    if task.d_vocab > MAX_VOCABULARY:
        return f"histograms take v^4 operations to begin with; at most v = {MAX_VOCABULARY} is supported"
    if task.n_ctx > MAX_POSITIONS or task.total > MAX_INPUTS:
        return f"the counts of {task.d_vocab}^{task.n_ctx} inputs do not fit; at most 2^900 inputs are supported"
    return None


HISTOGRAM = Strategy(
    id="histogram",
    theorem="max-of-k/histogram@1",
    family=AttentionOnly.family,
    tasks=(MaxOfK.name,),
    bound=bound,
    limit=limit,
)

HISTOGRAM_UPPER = replace(HISTOGRAM, id="histogram-upper", bound=upper_bound, claim="at most")
