"""How well EVOU copies."""

from __future__ import annotations

from compactproofs.analysis.mechanism import certainly_copied, copying
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import pictures
from compactproofs.report.subjects import Subject


def of_model(subject: Subject) -> Found:
    """Every token's own output and the best other one."""
    copied = copying(subject.tables)
    return {
        "copied": copied,
        "good": len(copied.own) - len(copied.failing),
        "sure": int(certainly_copied(subject.tables).sum()),
        "rows": [(t, copied.own[t], copied.best_other[t], m) for t, m in enumerate(copied.margin)],
        "figures": pictures({"copying": charts.copying_by_token(copied), "diagonal": charts.copying_histogram(copied)}),
    }
