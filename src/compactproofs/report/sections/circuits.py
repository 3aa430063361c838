"""The five tables that a model is; the heat maps of those that are not at the top of the page."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.margins import PATHS
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import THIRD, pictures
from compactproofs.report.subjects import Subject


def of_model(subject: Subject) -> Found:
    """Each table, and how far apart the entries of its rows are on average."""
    tables = subject.tables._asdict()
    spans = {name: float(np.ptp(tables[name], axis=1).mean()) for name in PATHS}
    return {
        "tables": tables,
        "spans": spans,
        "small": [name for name in ("EU", "PVOU") if spans[name] < 0.25 * spans["EVOU"]],
        "figures": pictures({name: charts.circuit(name, tables[name]) for name in ("EU", "PVOU", "EQKP")}, THIRD),
    }
