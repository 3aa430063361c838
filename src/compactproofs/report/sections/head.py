"""What the page opens with: what is certified, and one picture of how the models do it."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.margins import Tables
from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import THIRD, pictures
from compactproofs.report.sections.circuits import AXES
from compactproofs.report.subjects import Models, Subject
from compactproofs.tasks.max_of_k import max_of_k


def of_model(subject: Subject) -> Found:
    """The best proof; the tables that attention and copying are, and what they do with one input."""
    task, proofs = max_of_k(subject.model).task, subject.proofs
    # Tokens far apart, and the largest not where the query is.
    tokens = np.roll(np.linspace(0, task.d_vocab - 1, task.n_ctx + 2).astype(np.int64)[1:-1], 2)
    attention, logits = _answered(subject.tables, tokens)
    maps = {name: charts.heat_map(getattr(subject.tables, name), *AXES[name]) for name in ("EQKE", "EVOU")}
    best = proofs[subject.best(list(proofs))]
    return {
        "inputs": task.total,
        "best": best,
        "bound": float(best.bound),
        "every": task.total * task.d_vocab,
        "tokens": tokens.tolist(),
        "most": int(tokens[attention.argmax()]),
        "attention": float(attention.max()),
        "answer": int(logits.argmax()),
        "lead": float(np.diff(np.sort(logits)[-2:])[0]),
        "figures": pictures({**maps, "example": charts.example(tokens.tolist(), attention, logits)}, THIRD),
    }


def _answered(tables: Tables, tokens: IntArray) -> tuple[FloatArray, FloatArray]:
    """The attention that each position gets, and the logits."""
    scores = tables.EQKE[tokens[-1], tokens] + tables.EQKP[tokens[-1]]
    attention = np.exp(scores - scores.max())
    attention /= attention.sum()
    return attention, tables.EU[tokens[-1]] + attention @ (tables.EVOU[tokens] + tables.PVOU)


def of_models(models: Models) -> Found:
    """The strategy that certifies most on average; what is alike in all models."""
    best = max(models.proofs, key=lambda s: (models.bounds(s).mean(), -models.proofs[s][:, 1].mean()))
    certified = models.bounds(best) * models.accuracy
    fails = np.zeros(models.problem.task.d_vocab)
    for summary in models.summaries:
        fails[summary["not_copied"]] += 1
    drawings = {
        "ratio": charts.histogram(models.ratio, "σ₁ / σ₂ of EQKE"),
        "size-fit": charts.histogram(models.column("size_fit"), "R² of a line through the size direction"),
        "copied": charts.copied(1.0 - fails / len(models.summaries)),
    }
    return {
        "certificates": len(models.proofs) * len(models.summaries),
        "best": best,
        "bound": float(certified.mean()),
        "least": float(certified.min()),
        "inputs": models.problem.task.total,
        "every": models.problem.task.total * models.problem.task.d_vocab,
        "flops": int(models.proofs[best][:, 1].mean()),
        "always": int((fails == 0).sum()),
        "figures": pictures(drawings, THIRD),
    }
