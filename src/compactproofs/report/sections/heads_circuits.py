"""What each head of a network looks at and writes, and what is left without it."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.margins import PATHS
from compactproofs.analysis.mechanism import attention_gaps, copying
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import THIRD, pictures
from compactproofs.report.subjects import HeadsSubject

#: So many heads are drawn, those that add most.
_MOST = 8


def of_heads(subject: HeadsSubject) -> Found:
    """The two large tables of each head; how far rows of all span, and what the head does on the sample."""
    v, on_label = subject.model.d_vocab, subject.inputs == subject.labels[:, None]
    rows, spans = [], []
    for head, tables in enumerate(subject.heads):
        copied = copying(tables)
        spans.append({name: float(np.ptp(getattr(tables, name), axis=1).mean()) for name in PATHS})
        rows.append(
            (
                f"head {head}",
                f"{v - len(copied.failing)} of {v}",
                float(attention_gaps(tables).mean[0]) if v > 1 else 0.0,
                float((subject.attention[head] * on_label).sum(axis=1).mean()),
                float(subject.leads[1 + head]),
                subject.without(head),
                *(spans[head][name] for name in PATHS[1:]),
            )
        )
    drawn = sorted(np.argsort(-subject.leads[1:], kind="stable")[:_MOST].tolist())
    drawings = {
        f"{name}-{head}": charts.circuit(name, getattr(subject.heads[head], name))
        for head in drawn
        for name in ("EQKE", "EVOU")
    }
    return {
        "rows": rows,
        "drawn": drawn,
        "direct": float(subject.leads[0]),
        "span": spans[0]["EU"],
        "figures": pictures(drawings, THIRD),
    }
