"""What a page about two networks of two arguments opens with: what is certified of each, and what they learned."""

from __future__ import annotations

from compactproofs.opening.pairs import in_words
from compactproofs.report import pair_charts
from compactproofs.report.page import Found
from compactproofs.report.side_by_side import paired
from compactproofs.report.subjects import BothPairs


def of_pairs(both: BothPairs) -> Found:
    """The cheapest proof of the best bound of each; shares of what is read and written."""
    below = [[p for p in subject.proofs.values() if p.certificate.claim == "at least"] for subject in both]
    drawings = (
        {"pair-shares": [pair_charts.shares(*subject.by_irrep) for subject in both]}
        if all(each.irreps for each in both)
        else {}
    )
    return {
        "answers": list(zip(both, [min(proofs, key=lambda p: p.rank) for proofs in below], strict=True)),
        "words": in_words(both.first.task),
        "figures": paired(drawings),
    }
