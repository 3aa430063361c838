"""What each relaxation of the proofs about a network of two arguments costs."""

from __future__ import annotations

import itertools

from compactproofs.analysis.pair_sums import (
    equivariant_steps,
    few_steps,
    low_rank_steps,
    separable_steps,
    thin_steps,
)
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF, picture
from compactproofs.report.subjects import PairSubject

_STEPS = {
    "low-rank": low_rank_steps,
    "low-rank-separable": separable_steps,
    "thin-halves": thin_steps,
    "few-directions": few_steps,
    "equivariant-distance": equivariant_steps,
}


def falls_of(subject: PairSubject) -> dict[str, list[tuple[str, float]]]:
    """The steps of each strategy that there is a proof by, and the share of the inputs that each leaves."""
    falls = {}
    for name, steps_of in _STEPS.items():
        proof = subject.proofs.get(f"pair-sum/{name}")
        perceptron = subject.network.architecture == "mlp"
        if proof is not None and not (perceptron and name in ("thin-halves", "few-directions")):
            counts = steps_of(subject.prover.values, proof.certificate.hints)
            falls[name] = [(step.name, step.right / subject.total) for step in counts]
    return falls


def of_pairs(subject: PairSubject) -> Found:
    """Shares of the inputs after each step, by strategy, and the step that loses most."""
    falls, worst = falls_of(subject), {}
    for name, steps in falls.items():
        losses = [(after[0], before[1] - after[1]) for before, after in itertools.pairwise(steps)]
        worst[name] = max(losses, key=lambda loss: loss[1])
    size = charts.waterfall_size(max(map(len, falls.values())), HALF[0] if len(falls) < 3 else 3.4)
    figures = {name: picture(f"pair-waterfall-{name}", charts.waterfall(steps), size) for name, steps in falls.items()}
    rows = [
        (name, after[0], before[1] - after[1], after[1])
        for name, steps in falls.items()
        for before, after in itertools.pairwise(steps)
    ]
    return {"falls": falls, "worst": worst, "rows": rows, "figures": figures}
