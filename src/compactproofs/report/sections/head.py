"""What the page opens with: what is certified, and one picture of how the models do it."""

from __future__ import annotations

import numpy as np

from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import THIRD, pictures
from compactproofs.report.subjects import Models, Subject


def of_model(subject: Subject) -> Found:
    """The best proof; the tables that attention and copying are, and what they do with one input."""
    tokens, attention, logits = subject.example
    maps = {name: charts.circuit(name, getattr(subject.tables, name)) for name in ("EQKE", "EVOU")}
    return {
        "best": subject.proofs[subject.best(list(subject.proofs))],
        "task": subject.prover.problem.task,
        "tokens": tokens.tolist(),
        "most": int(tokens[attention.argmax()]),
        "attention": float(attention.max()),
        "answer": int(logits.argmax()),
        "lead": float(np.diff(np.sort(logits)[-2:])[0]),
        "figures": pictures({**maps, "example": charts.example(tokens.tolist(), attention, logits)}, THIRD),
    }


def of_models(models: Models) -> Found:
    """The strategy that certifies most on average; what is alike in all models."""
    best = max(models.proofs, key=lambda s: (models.bounds(s).mean(), -models.proofs[s][:, 1].mean()))
    certified = models.bounds(best) * models.accuracy
    drawings = {
        "ratio": charts.histogram(models.ratio, "σ₁ / σ₂ of EQKE"),
        "size-fit": charts.histogram(models.column("size_fit"), "R² of a line through the size direction"),
        "copied": charts.copied(models.copied),
    }
    return {
        "best": best,
        "bound": float(certified.mean()),
        "least": float(certified.min()),
        "task": models.problem.task,
        "flops": int(models.proofs[best][:, 1].mean()),
        "always": int((models.copied == 1.0).sum()),
        "figures": pictures(drawings, THIRD),
    }
