"""Neurons in the plane of their phase, for each of the largest irreps."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.pair_sums import plane
from compactproofs.kernel.decisions import FloatArray
from compactproofs.report import pair_charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import picture
from compactproofs.report.subjects import PairSubject

#: Irreps that are drawn.
_MOST = 6


def of_pairs(subject: PairSubject) -> Found:
    """What neurons of an irrep read of x and of y in a plane, and for addition the phases that they write."""
    read, written, figures, spread = {}, {}, {}, {}
    waves = not subject.task.group
    drawn = [part for part in subject.parts if len(part.neurons)][:_MOST]
    for part in drawn:
        name, neurons = subject.called(part.number), part.neurons
        sides = {"reads of x": subject.neurons.left, "reads of y": subject.neurons.right}
        sides = {side: plane(functions[:, neurons], part) for side, functions in sides.items()}
        labels = ("cosine", "sine") if waves else ("first direction", "second direction")
        figures[name] = picture(f"pair-plane-{part.number}", pair_charts.plane(sides, labels), (4.0, 4.1))
        if waves:
            phases = [
                _turns(side)
                for side in (*sides.values(), plane(subject.neurons.out[neurons, : subject.task.n].T, part))
            ]
            read[name] = (phases[0] + phases[1]) % 1.0
            off = (phases[2] - read[name] + 0.5) % 1.0 - 0.5
            written[name], spread[name] = read[name] + off, float(np.median(np.abs(off)))
    if waves:
        figures["phases"] = picture("pair-phases", pair_charts.phases(read, written), (4.0, 4.1))
    return {"drawn": drawn, "waves": waves, "spread": spread, "figures": figures}


def _turns(points: FloatArray) -> FloatArray:
    """The angles of points (2, m), from 0 to 1."""
    return np.asarray(np.arctan2(points[1], points[0]) / (2 * np.pi) % 1.0)
