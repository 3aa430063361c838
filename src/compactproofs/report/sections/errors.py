"""Which inputs are answered wrongly."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.mechanism import answers, errors
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import pictures
from compactproofs.report.subjects import Subject


def of_model(subject: Subject) -> Found:
    """Wrong answers by maximum, gap to the next token and query, at most 200 classes of them with an example."""
    found = errors(subject.tables, subject.inputs)
    groups = found.groups()
    k, v = subject.model.n_ctx, subject.model.d_vocab
    if (sample := subject.inputs.sample) is None:
        by_maximum = np.array([float((m + 1) ** k - m**k) for m in range(v)])
    else:
        by_maximum = np.bincount(sample.max(axis=1), minlength=v).astype(np.float64)
    top = groups[:200]
    given = answers(subject.tables, np.array([group[-1] for group in top], np.int64).reshape(-1, k))
    return {
        "wrong": len(found.inputs),
        "close": float((found.gap <= 1).mean()) if len(found.inputs) else 0.0,
        "classes": len(groups),
        "rows": [
            (m, gap, q, count, " ".join(map(str, example.tolist())), ("tie", float(m)) if answer == m else answer)
            for (m, gap, q, count, example), answer in zip(top, given.tolist(), strict=True)
        ],
        "figures": pictures(
            {
                "errors-by-maximum": charts.errors_by_maximum(found, v, by_maximum),
                "errors-by-gap": charts.errors_by_gap(found),
            }
        ),
    }
