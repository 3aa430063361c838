"""Enumeration: a forward pass for every input.

Theorem.  The number N of `enumerate` is at most, and that of `enumerate-upper` is at least, what the inputs whose label
has the strictly largest logit count together; both are equal to it if no input is left undecided.  Where the task has
no weights, that is the number of these inputs.

Proof.  The sequences are numbered from 0 to v^n - 1, and the batches are ranges of numbers that follow each other, so
each is in one batch once, and those that count 0, among them all that are no inputs, are left out.  For each other the
forward pass (`networks.decoder.forward`) carries out the definition of the network on numbers of which each is
enclosed, and gives enclosures of its logits before their cap.  The cap is strictly increasing, so what is said here of
logits before it holds behind it.  An input is taken as right if the label's logit less each other one is certainly
positive; then it is answered correctly.  It is taken as wrong if some other logit less the label's is certainly
positive; then it is not.  No input counts less than 0, so what is answered correctly counts at least `right`, what is
not at least `wrong`, and all together count the task's total, from which `enumerate-upper` takes `wrong`.  Sums are of
integers below 2^62.

A tie is a wrong answer that is never counted as wrong, since enclosures of equal numbers do not tell them apart.
Nothing of the model is understood.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from compactproofs.kernel.decisions import certainly_positive
from compactproofs.kernel.problem import Hints, Problem, Strategy
from compactproofs.kernel.workspace import Workspace, shared
from compactproofs.networks.decoder.forward import uncapped_logits
from compactproofs.networks.decoder.model import Decoder
from compactproofs.tasks.sequences import NAMES, Sequences

SequenceProblem: TypeAlias = Problem[Decoder, Sequences]
Work: TypeAlias = Workspace[Decoder, Sequences]

MAX_INPUTS = 10**7
BATCH_ENTRIES = 2**18  # of the largest array


class Decided(NamedTuple):
    """What the inputs count that are certainly answered correctly, and what those that certainly are not."""

    right: int
    wrong: int


def batch_size(problem: Problem[Decoder, Sequences] | Work) -> int:
    """How many inputs are taken at once."""
    network, length = problem.network, problem.task.length
    heads = network.n_heads * max(network.d_head, length)
    widest: int = max(length * max(network.d_model, network.d_mlp, heads), network.d_vocab_out)
    return max(1, BATCH_ENTRIES // widest)


@shared
def decide(work: Work) -> Decided:
    """Decide all inputs."""
    task, step = work.task, batch_size(work)
    right = wrong = 0
    for start in range(0, task.size, step):
        every = task.batch(start, min(start + step, task.size))
        inputs = every[task.counts(every) > 0]
        if not inputs.size:
            continue
        counts, label = task.counts(inputs), task.labels(inputs)[:, None]
        logits: Any = uncapped_logits(work, task.sequences(inputs), task.read_out)
        lead = np.take_along_axis(logits, label, axis=1) - logits
        own = np.arange(work.network.d_vocab_out) == label
        right += int(counts[(certainly_positive(lead) | own).all(axis=1)].sum())
        wrong += int(counts[(certainly_positive(-lead) & ~own).any(axis=1)].sum())
    return Decided(right, wrong)


def bound(work: Work, hints: Hints) -> int:
    """What the inputs count that are certainly answered correctly."""
    return decide(work).right


def bound_from_above(work: Work, hints: Hints) -> int:
    """What the inputs count that are not certainly answered wrongly."""
    return work.task.total - decide(work).wrong


def limit(problem: SequenceProblem) -> str | None:
    """Enumeration is refused above 10^7 sequences."""
    if problem.task.size <= MAX_INPUTS:
        return None
    return (
        f"it would take a forward pass for each of {problem.task.v}^{problem.task.n} inputs; at most 10^7 are supported"
    )


ENUMERATE = Strategy(
    id="enumerate",
    theorem="decoder/enumerate@1",
    family=Decoder.family,
    tasks=NAMES,
    bound=bound,
    limit=limit,
)

ENUMERATE_UPPER = replace(ENUMERATE, id="enumerate-upper", bound=bound_from_above, claim="at most")
