"""What the proofs about a network with several heads certify, and how long they are."""

from __future__ import annotations

from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import pictures
from compactproofs.report.subjects import HeadsSubject


def of_heads(subject: HeadsSubject) -> Found:
    """A point for each proof that says something, those from above apart."""
    said = [proof for proof in subject.found.proofs if proof.cost.flops]
    share = max(float(subject.found.bound) if subject.found.exact else subject.exact.value, 1e-300)
    below, above = dict[str, list[tuple[float, float]]](), list[tuple[float, float]]()
    for proof in said:
        point = float(proof.cost.flops), float(proof.bound) / share
        if proof.certificate.claim == "at most":
            above.append(point)
        else:
            below[proof.certificate.strategy] = [point]
    return {
        "found": subject.found,
        "rows": [
            (
                f"{'≤ ' if p.certificate.claim == 'at most' else ''}{p.certificate.certified:,}",
                float(p.bound),
                p.cost.flops,
                p.unexplained_dimension,
                p.hint_bytes,
                p.certificate.strategy,
            )
            for p in said
        ],
        "figures": pictures({"bounds": charts.bounds(below, above)} if below else {}),
    }
