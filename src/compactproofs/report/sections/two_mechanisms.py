"""How two models find the maximum: leads in attention, the size direction, copying, and where they fail."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.mechanism import attention_gaps, copying, errors
from compactproofs.analysis.spectra import simplest_fit, spectrum
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.side_by_side import paired
from compactproofs.report.subjects import Both


def of_two(both: Both) -> Found:
    """The pictures of each, and the numbers below them."""
    gaps = [attention_gaps(subject.tables) for subject in both]
    spectra = [spectrum(subject.work) for subject in both]
    fits = [simplest_fit(one.size) for one in spectra]
    copied = [copying(subject.tables) for subject in both]
    failing = [errors(subject.tables, subject.inputs) for subject in both]
    tokens = np.arange(both.first.model.d_vocab + 1.0)
    at_most = tokens**both.first.model.n_ctx  # inputs whose tokens are all smaller
    inputs = [np.diff(at_most) * (found.of / at_most[-1]) for found in failing]
    return {
        "gaps": gaps,
        "ratios": [one.ratio for one in spectra],
        "fits": fits,
        "copied": copied,
        "failing": failing,
        "figures": paired(
            {
                "attention-gap": [charts.attention_gap(each) for each in gaps],
                "size-direction": [
                    charts.direction(one.size, fitted, "size direction (keys)")
                    for one, fitted in zip(spectra, fits, strict=True)
                ],
                "copying": [charts.copying_by_token(each) for each in copied],
                "errors-by-maximum": [
                    charts.errors_by_maximum(found, len(number), number)
                    for found, number in zip(failing, inputs, strict=True)
                ],
            }
        ),
    }
