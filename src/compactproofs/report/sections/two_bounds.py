"""What the proofs certify of two models, and how long they are."""

from __future__ import annotations

from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import WIDE, pictures
from compactproofs.report.sections.bounds import FAMILIES
from compactproofs.report.subjects import Both


def of_two(both: Both) -> Found:
    """A point for each strategy and model; for each row of the paper's table, and for ours, the best of each model."""
    points = {}
    for subject in both:
        share = max(subject.accuracy, 1e-300)
        points[subject.name] = [
            (float(p.cost.flops), float(p.bound) / share) for p in subject.proofs.values() if p.cost.flops
        ]
    rows = []
    for name, family in FAMILIES.items():
        cells: list[float | int] = []
        for subject in both:
            able = [s for s in family if s in subject.proofs]
            if able:
                best = subject.proofs[subject.best(able)]
                cells += [float(best.bound), best.cost.flops]
        if len(cells) == 4:
            rows.append((name, cells[0], cells[2], cells[2] - cells[0], cells[1], cells[3]))
    return {
        "rows": rows,
        "better": [sum(row[3] < 0 for row in rows), sum(row[3] > 0 for row in rows)],
        "figures": pictures({"bounds": charts.bounds(points, wide=True)}, WIDE),
    }
