"""What the proofs certify of two models, and how long they are."""

from __future__ import annotations

from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import pictures
from compactproofs.report.sections.bounds import best_of_rows
from compactproofs.report.subjects import Both


def of_two(both: Both) -> Found:
    """A point for each strategy and model; for each row of the paper's table, and for ours, the best of each model."""
    points = {}
    for subject in both:
        share = max(subject.accuracy, 1e-300)
        points[subject.name] = [
            (float(p.cost.flops), float(p.bound) / share) for p in subject.proofs.values() if p.cost.flops
        ]
    first, second = ({row: subject.proofs[s] for row, s in best_of_rows(subject).items()} for subject in both)
    rows = [
        (row, float(a.bound), float(b.bound), float(b.bound - a.bound), a.cost.flops, b.cost.flops)
        for row, a in first.items()
        if (b := second.get(row))
    ]
    return {
        "rows": rows,
        "better": [sum(row[3] < 0 for row in rows), sum(row[3] > 0 for row in rows)],
        "figures": pictures({"bounds": charts.bounds(points)}),
    }
