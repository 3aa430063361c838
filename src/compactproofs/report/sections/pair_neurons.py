"""Neurons in the plane of their phase, for each of the largest irreps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.analysis.pair_sums import Part, plane
from compactproofs.kernel.decisions import FloatArray
from compactproofs.report import pair_charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import picture, size_of_each
from compactproofs.report.subjects import PairSubject

#: Irreps that are drawn, the largest at the top of the page.
_MOST = 7


class Place(NamedTuple):
    """Neurons of a part: what they read of x and of y in a plane, (2, m); of waves, the phases read and written."""

    part: Part
    sides: dict[str, FloatArray]
    labels: tuple[str, str]
    turns: tuple[FloatArray, FloatArray] | None

    @property
    def off(self) -> float:
        """By how much half of the neurons write less beside the phases that they read, in turns."""
        return float(np.median(np.abs(self.turns[1] - self.turns[0]))) if self.turns else 0.0


def placed(subject: PairSubject) -> dict[str, Place]:
    """The neurons of the largest irreps, by what these are called."""
    found = {}
    for part in [part for part in subject.parts if len(part.neurons)][:_MOST]:
        sides = {"reads of x": subject.neurons.left, "reads of y": subject.neurons.right}
        sides = {side: plane(functions[:, part.neurons], part) for side, functions in sides.items()}
        turns, labels = None, ("first direction", "second direction")
        if not subject.task.group:
            written = plane(subject.neurons.out[part.neurons, : subject.task.n].T, part)
            read = (_turns(sides["reads of x"]) + _turns(sides["reads of y"])) % 1.0
            turns, labels = (read, read + (_turns(written) - read + 0.5) % 1.0 - 0.5), ("cosine", "sine")
        found[subject.called(part.number)] = Place(part, sides, labels, turns)
    return found


def of_pairs(subject: PairSubject) -> Found:
    """The planes of all but the largest irrep."""
    places = placed(subject)
    size = size_of_each(len(places) - 1)
    figures = {
        name: picture(f"pair-plane-{place.part.number}", pair_charts.plane(place.sides, place.labels), size)
        for name, place in list(places.items())[1:]
    }
    return {"places": places, "waves": not subject.task.group, "figures": figures}


def _turns(points: FloatArray) -> FloatArray:
    """The angles of points (2, m), from 0 to 1."""
    return np.asarray(np.arctan2(points[1], points[0]) / (2 * np.pi) % 1.0)
