"""The singular values and directions of EQKE, and what is left of its four factors."""

from __future__ import annotations

import math

from compactproofs.analysis.spectra import excess_kurtosis, factors, fit, simplest_fit, spectrum
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import pictures
from compactproofs.report.subjects import Subject


def of_model(subject: Subject) -> Found:
    """The spectrum, how straight the size direction is, and the factors before and after."""
    found = spectrum(subject.work)
    first, squares = found.values[0], (found.values**2).sum()
    size, parts = simplest_fit(found.size), factors(subject.work)
    return {
        "found": found,
        "several": math.isfinite(found.ratio),
        "share": float(first**2 / squares) if first > 0.0 else 0.0,
        "line": fit(found.size, 1),
        "size": size,
        "formula": charts.formula(size),
        "growth": float(found.size[-1] - found.size[0]),
        "parts": parts,
        "kurtosis": {part.name: excess_kurtosis(part.residual) for part in parts},
        "figures": {
            **pictures(
                {
                    "singular-values": charts.singular_values(found.values),
                    "size-direction": charts.direction(found.size, size, "size direction (keys)"),
                    "query-direction": charts.direction(found.query, fit(found.query, 2), "query direction (queries)"),
                    "second-directions": charts.two_directions(
                        found.second_query, found.second_key, ("queries", "keys")
                    ),
                    "factor-spectra": charts.factor_spectra(parts),
                    "residual-entries": charts.normal_quantiles(parts),
                }
            ),
        },
    }
