"""How far the maximum's attention score leads those of smaller tokens."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.mechanism import attention_gaps
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF, pictures
from compactproofs.report.subjects import Subject


def of_model(subject: Subject) -> Found:
    """Leads by the difference of the tokens, and the difference from which on the larger one always wins."""
    gaps = attention_gaps(subject.tables)
    always = np.flatnonzero(gaps.least <= 0.0)
    return {
        "gaps": gaps,
        "reliable": int(gaps.difference[always[-1]]) + 1 if len(always) else 1,
        "figures": pictures({"attention-gap": charts.attention_gap(gaps)}, (HALF[0], 2.0)),
    }
