"""What neurons of two networks of two arguments read and write."""

from __future__ import annotations

from compactproofs.report import pair_charts
from compactproofs.report.page import Found
from compactproofs.report.side_by_side import paired
from compactproofs.report.subjects import BothPairs


def of_pairs(both: BothPairs) -> Found:
    """Singular values of what is written, and the neurons of the largest irrep of each."""
    largest = [next(iter(subject.places.items()), None) for subject in both]
    values = [pair_charts.singular_values(subject.neurons.values, subject.directions) for subject in both]
    drawings = {"pair-singular-values": values}
    if all(largest):
        drawings["pair-plane"] = [pair_charts.plane(place.sides, place.labels) for _, place in filter(None, largest)]
    return {
        "directions": [subject.directions for subject in both],
        "learned": [[subject.called(part.number) for part in subject.parts] for subject in both],
        "largest": [found[0] if found else "" for found in largest],
        "figures": paired(drawings),
    }
