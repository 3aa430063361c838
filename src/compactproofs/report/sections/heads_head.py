"""What a page about a network with several heads opens with: what is certified, and what each head is good for."""

from __future__ import annotations

import numpy as np

from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import THIRD, pictures
from compactproofs.report.subjects import HeadsSubject


def of_heads(subject: HeadsSubject) -> Found:
    """The best proof; what each part adds to the lead of the right answer; two tables of the head that adds most."""
    most = int(np.argmax(subject.leads[1:]))
    names = ["direct", *(f"{head}" for head in range(subject.model.n_heads))]
    maps = {name: charts.circuit(name, getattr(subject.heads[most], name)) for name in ("EQKE", "EVOU")}
    return {
        "best": subject.found.lower,
        "total": subject.found.lower.certificate.total,
        "most": most,
        "leads": subject.leads,
        "figures": pictures(
            {"leads": charts.bars(names, subject.leads, "head", "mean lead of the label, in logits"), **maps}, THIRD
        ),
    }
