"""What stands above the contents of a page about a network of two arguments."""

from __future__ import annotations

from compactproofs.opening.pairs import in_words
from compactproofs.report.page import Found
from compactproofs.report.subjects import PairSubject


def of_pairs(subject: PairSubject) -> Found:
    """The best bound, and the cheapest proof of it."""
    below = [proof for proof in subject.proofs.values() if proof.certificate.claim == "at least"]
    best = min(below, key=lambda proof: proof.rank)
    return {
        "best": best,
        "brute": subject.proofs["pair-sum/brute-force"],
        "name": subject.name,
        "words": in_words(subject.task),
    }
