"""How neurons of one frequency add up: an integral in rectangles, and what four proofs by waves would lose."""

from __future__ import annotations

from compactproofs.analysis.modular_addition import budgets, waves
from compactproofs.analysis.pair_sums import boxes
from compactproofs.report import pair_charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import picture, size_of_each
from compactproofs.report.subjects import PairSubject

#: Frequencies that are drawn.
_MOST = 6


def of_pairs(subject: PairSubject) -> Found:
    """The frequencies with their sums and integrals, and the ways to a bound."""
    frequencies, ways = budgets(subject.network)
    found = waves(subject.network)
    figures, areas, size = {}, {}, size_of_each(min(len(frequencies), _MOST))
    for one in frequencies[:_MOST]:
        under = boxes(found, one.k)
        areas[one.k] = float((under.widths * under.heights).sum())
        figures[one.k] = picture(f"pair-rectangles-{one.k}", pair_charts.rectangles(under), size)
    return {
        "areas": areas,
        "unexplained": found.unexplained,
        "frequencies": [tuple(one) for one in frequencies],
        "ways": [tuple(way) for way in ways],
        "best": max(way.share for way in ways),
        "figures": figures,
    }
