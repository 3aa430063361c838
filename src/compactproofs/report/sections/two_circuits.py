"""The five tables of two models, and how far they are from each other."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.margins import PATHS
from compactproofs.kernel.decisions import FloatArray
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF
from compactproofs.report.side_by_side import paired
from compactproofs.report.subjects import Both


def of_two(both: Both) -> Found:
    """Those that are not at the top of the page; how large each is, how far apart and how alike both are."""
    rows: list[tuple[str, float, float, float, float]] = []
    for name in PATHS:
        first, second = (_centred(getattr(subject.tables, name)) for subject in both)
        sizes = [float(np.linalg.norm(table)) for table in (first, second)]
        product = sizes[0] * sizes[1]
        alike = float((first * second).sum()) / product if product else 0.0
        spans = [float(np.ptp(table, axis=1).mean()) for table in (first, second)]
        rows.append((name, spans[0], spans[1], float(np.linalg.norm(first - second)) / (max(sizes) or 1.0), alike))
    return {
        "rows": rows,
        "least": min(rows, key=lambda row: row[4]),
        "figures": paired(
            {
                name: [charts.circuit(name, getattr(subject.tables, name)) for subject in both]
                for name in ("EU", "PVOU", "EQKP")
            },
            HALF,
        ),
    }


def _centred(table: FloatArray) -> FloatArray:
    """Less the mean of each row, which changes no answer."""
    result: FloatArray = table - table.mean(axis=1, keepdims=True)
    return result
