"""What stands above the contents: what the page is about, and its most important numbers."""

from __future__ import annotations

from compactproofs.report.page import Found
from compactproofs.report.subjects import Models, Subject
from compactproofs.tasks.max_of_k import max_of_k


def of_model(subject: Subject) -> Found:
    """The number of inputs, and the best bound."""
    best = max(subject.proofs.values(), key=lambda proof: proof.certificate.certified)
    return {"inputs": max_of_k(subject.model).task.total, "best": float(best.bound)}


def of_models(models: Models) -> Found:
    """The number of certificates."""
    return {"certificates": sum(len(summary["proofs"]) for summary in models.summaries)}
