"""What can be said of a model in a number, and where on a page about two models it is seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compactproofs.analysis.margins import PATHS
from compactproofs.analysis.mechanism import attention_gaps, copying
from compactproofs.analysis.spectra import fit, spectrum
from compactproofs.report.sections.bounds import best_of_rows
from compactproofs.report.subjects import PairSubject, Subject

#: What it is, the number, and the id of the picture or section.
Measure = tuple[str, float, str]


def shares(subject: Subject | PairSubject) -> Iterator[Measure]:
    """Of all inputs: what is right, and what is certified."""
    if isinstance(subject, PairSubject):
        yield "accuracy", subject.right / subject.total, "two-pair-proofs"
        for strategy, proof in subject.proofs.items():
            if proof.certificate.claim == "at least":
                yield f"certified, {strategy.removeprefix('pair-sum/')}", float(proof.bound), "two-pair-proofs"
        return
    yield "accuracy", subject.accuracy, "two-mechanisms"
    for row, strategy in best_of_rows(subject).items():
        yield f"certified, {row}", float(subject.proofs[strategy].bound), "two-bounds"


def mechanism(subject: Subject | PairSubject) -> Iterator[Measure]:
    """What the mechanism is like."""
    yield from _of_two_arguments(subject) if isinstance(subject, PairSubject) else _of_a_maximum(subject)


def _of_a_maximum(subject: Subject) -> Iterator[Measure]:
    tables, found = subject.tables, spectrum(subject.work)
    gaps, copied = attention_gaps(tables), copying(tables)
    for name in PATHS:
        yield f"how far a row of {name} spans", float(np.ptp(getattr(tables, name), axis=1).mean()), f"figure-{name}-1"
    yield "σ₁ / σ₂ of the scores", found.ratio, "figure-size-direction-1"
    yield "how straight the size direction is (R²)", fit(found.size, 1).explained, "figure-size-direction-1"
    yield "lead in attention over the next token", float(gaps.mean[0]), "figure-attention-gap-1"
    yield "share of next smaller tokens with as much attention", float(gaps.wrong[0]), "figure-attention-gap-1"
    yield "tokens that are not copied", float(len(copied.failing)), "figure-copying-1"
    yield "lead of a token in its row of EVOU", float(copied.margin.mean()), "figure-copying-1"
    yield "share of wrong inputs", 1.0 - subject.exact.value, "figure-errors-by-maximum-1"


def _of_two_arguments(subject: PairSubject) -> Iterator[Measure]:
    values = subject.neurons.values
    yield "large singular values", float((values > 0.1 * values[:1]).sum()), "figure-pair-singular-values-1"
    yield "directions of the proof by low rank", float(subject.directions), "figure-pair-singular-values-1"
    for part in subject.parts:
        name = subject.called(part.number)
        yield f"neurons of {name}", float(len(part.neurons)), "figure-pair-shares-1"
        yield f"share of {name} in what is written", part.out, "figure-pair-shares-1"
    yield "share of wrong inputs", 1.0 - subject.right / subject.total, "two-pair-proofs"
