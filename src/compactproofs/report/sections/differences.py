"""Where two models differ: the numbers of the other sections with the largest differences, the largest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from compactproofs.analysis.margins import PATHS
from compactproofs.analysis.mechanism import attention_gaps, copying
from compactproofs.analysis.spectra import fit, spectrum
from compactproofs.analysis.waterfall import WATERFALLS
from compactproofs.report.page import Found
from compactproofs.report.subjects import Both, Subject

#: How many of each kind are listed.
_MOST = 6
Measure = tuple[str, float, str]  # what it is, the number, and the picture or section where it is seen


def of_two(both: Both) -> Found:
    """Shares of inputs by their difference, and other numbers by the difference over the larger one."""
    return {"shares": _largest(both, _shares), "others": _largest(both, _others, relative=True)}


def _largest(
    both: Both, measures: Callable[[Subject], Iterator[Measure]], relative: bool = False
) -> list[tuple[str, float, float, float, str]]:
    """What it is, of the first, of the second, the difference, and where it is seen, of what can be said of both."""
    second = {what: number for what, number, _ in measures(both.second)}
    rows = []
    for what, a, where in measures(both.first):
        b = second.get(what, np.inf)
        larger = max(abs(a), abs(b)) or 1.0
        if np.isfinite(larger) and abs(b - a) >= 5e-7:
            rows.append((what, a, b, (b - a) / larger if relative else b - a, where))
    return sorted(rows, key=lambda row: -abs(row[3]))[:_MOST]


def _shares(subject: Subject) -> Iterator[Measure]:
    """Of all inputs: what is right, and what is certified."""
    yield "accuracy", subject.accuracy, "two-mechanisms"
    for row, strategy in WATERFALLS.items():
        if strategy in subject.proofs:
            yield f"certified, {row}", float(subject.proofs[strategy].bound), "two-bounds"


def _others(subject: Subject) -> Iterator[Measure]:
    """What the mechanism is like."""
    tables, found = subject.tables, spectrum(subject.work)
    gaps, copied = attention_gaps(tables), copying(tables)
    for name in PATHS:
        yield f"how far a row of {name} spans", float(np.ptp(getattr(tables, name), axis=1).mean()), f"figure-{name}-1"
    yield "σ₁ / σ₂ of the scores", found.ratio, "figure-size-direction-1"
    yield "how straight the size direction is (R²)", fit(found.size, 1).explained, "figure-size-direction-1"
    yield "lead in attention over the next token", float(gaps.mean[0]), "figure-attention-gap-1"
    yield "share of next tokens not led", float(gaps.wrong[0]), "figure-attention-gap-1"
    yield "tokens that are not copied", float(len(copied.failing)), "figure-copying-1"
    yield "lead of a token in its row of EVOU", float(copied.margin.mean()), "figure-copying-1"
    yield "share of wrong inputs", 1.0 - subject.exact.value, "figure-errors-by-maximum-1"
