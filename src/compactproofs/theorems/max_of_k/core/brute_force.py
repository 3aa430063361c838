"""Brute force: every input is its own case.

Theorem.  The number N returned is at most the number of inputs whose label has the strictly largest logit; with
weights (`tasks.weights`), what these inputs count.

Proof.  Inputs are split by their last token q and their maximum m >= q, the label.  By the additive margin
(`additive`) an input is answered correctly exactly if for every other output its sum of terms is positive, and
`enumeration` counts inputs for which that is certain.  With n = 1 the only class is q = m.

Nothing of the model is understood: the unexplained dimension is v^(K+1), one number for each input and output.
Source: section 4.1 of arXiv 2406.11779, where each input takes a forward pass; here it takes K - 1 additions of rows.
"""

from __future__ import annotations

from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import ORDERS, too_heavy
from compactproofs.theorems.max_of_k import MaxProblem, Work
from compactproofs.theorems.max_of_k.core.additive import additive_terms, other_outputs, values_of_maximum
from compactproofs.theorems.max_of_k.core.enumeration import count_by_enumeration

MAX_INPUTS = 2**31


def bound(work: Work, hints: Hints) -> int:
    """What the inputs count that are certainly answered correctly."""
    if too_heavy(work.task):
        return 0
    certain = 0
    for m in range(work.network.d_vocab):
        outputs = other_outputs(work, m)
        values = values_of_maximum(work, m, outputs)
        for q in range(m + 1):
            certain += count_by_enumeration(work, additive_terms(work, q, m, outputs, values), q)
    return certain


def limit(problem: MaxProblem) -> str | None:
    """Brute force is refused above 2^31 inputs."""
    if problem.task.size <= MAX_INPUTS:
        return too_heavy(problem.task)
    return f"brute force would enumerate {problem.task.d_vocab}^{problem.task.n_ctx} inputs; at most 2^31 are supported"


BRUTE_FORCE = Strategy(
    id="brute-force",
    theorem="max-of-k/brute-force@1",
    family=AttentionOnly.family,
    tasks=ORDERS,
    bound=bound,
    limit=limit,
)
