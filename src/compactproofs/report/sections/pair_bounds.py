"""What the proofs about a network of two arguments certify, and how long they are."""

from __future__ import annotations

from compactproofs.report import pair_charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import WIDE, pictures
from compactproofs.report.subjects import PairSubject
from compactproofs.search.builtin import get_strategy
from compactproofs.search.families.pair_sum import Values
from compactproofs.search.workspaces import MeasuredWorkspace, run

_LOW_RANK = "pair-sum/low-rank"
#: Shares of the directions of the proof by low rank, with which it is tried as well.
_FEWER = (0.5, 0.75, 0.9)


def of_pairs(subject: PairSubject) -> Found:
    """A point for each strategy, and those of low rank with fewer directions."""
    proofs, total = subject.proofs, subject.total
    points = {s: [(float(p.cost.flops), float(p.bound))] for s, p in proofs.items() if p.cost.flops}
    hints, low_rank = proofs[_LOW_RANK].certificate.hints, get_strategy(_LOW_RANK)
    check: Values = MeasuredWorkspace(subject.prover.problem, "check")
    most, fewer = len(hints["factors"]), []
    for number in sorted({round(share * most) for share in _FEWER} - {0, most}):
        found = run(low_rank, check, {**hints, "factors": hints["factors"][:number]})
        fewer.append((number, found.certified / total, found.cost.flops))
    points[_LOW_RANK] = [(float(flops), share) for _, share, flops in fewer] + points[_LOW_RANK]
    rows = [
        (
            f"{'≤ ' if p.certificate.claim == 'at most' else ''}{p.certificate.certified:,}",
            float(p.bound),
            p.cost.flops,
            p.unexplained_dimension,
            p.hint_bytes,
            s,
        )
        for s, p in sorted(proofs.items(), key=lambda each: each[1].rank)
    ]
    return {
        "rows": rows,
        "most": most,
        "fewer": fewer,
        "proofs": proofs,
        "figures": pictures({"pair-bounds": pair_charts.bounds(points)}, WIDE),
    }
