"""Neurons in the plane of their phase, for each of the largest irreps."""

from __future__ import annotations

from compactproofs.report import pair_charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import picture, size_of_each
from compactproofs.report.subjects import PairSubject


def of_pairs(subject: PairSubject) -> Found:
    """The planes of all but the largest irrep, which is at the top of the page."""
    size = size_of_each(len(subject.places) - 1)
    figures = {
        name: picture(f"pair-plane-{place.part.number}", pair_charts.plane(place.sides, place.labels), size)
        for name, place in list(subject.places.items())[1:]
    }
    return {"waves": not subject.task.group, "figures": figures}
