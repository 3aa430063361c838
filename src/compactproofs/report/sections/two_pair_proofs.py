"""What is proved of two networks of two arguments, how long the proofs are, and what each relaxation costs."""

from __future__ import annotations

from compactproofs.report import charts, pair_charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import picture, pictures
from compactproofs.report.sections.pair_waterfall import falls_of
from compactproofs.report.subjects import BothPairs


def of_pairs(both: BothPairs) -> Found:
    """A point for each strategy and network; the waterfalls of those that prove something of both."""
    points = {
        subject.name: sorted(
            (float(p.cost.flops), float(p.bound))
            for p in subject.proofs.values()
            if p.cost.flops and p.certificate.claim == "at least"
        )
        for subject in both
    }
    rows = []
    for strategy, first in both.first.proofs.items():
        second = both.second.proofs[strategy]
        if first.certificate.claim == "at most":
            continue
        bounds = [float(proof.bound) for proof in (first, second)]
        rows.append((strategy, *bounds, bounds[1] - bounds[0], first.cost.flops, second.cost.flops))
    falls = [falls_of(subject) for subject in both]
    figures = pictures({"pair-bounds": pair_charts.bounds(points, joined=False)})
    for name in falls[0]:
        steps = [fall[name] for fall in falls]
        low = min(map(charts.start_of_waterfall, steps))
        for number, each in enumerate(steps, 1):
            stem = f"pair-waterfall-{name}-{number}"
            figures[stem] = picture(stem, charts.waterfall(each, low), charts.waterfall_size(len(each)))
    return {"rows": rows, "falls": falls, "figures": figures}
