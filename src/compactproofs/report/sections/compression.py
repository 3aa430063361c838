"""Whether a more compressed account gives shorter proofs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from compactproofs.analysis.correlations import rank_correlation
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF, pictures
from compactproofs.report.subjects import Models, by_family, with_remainder
from compactproofs.report.wording import std
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, Choice
from compactproofs.theorems.max_of_k.subcubic.remainder import KINDS

_FLOPS, _NUMBERS, _BOUND = "operations to verify (FLOPs)", "unexplained dimension", "normalised bound"


def of_models(models: Models) -> Found:
    """Unexplained dimension, operations and bound of each strategy, means over the models, and how they go together."""
    bound, flops, unexplained = models.mean_proofs
    ways = {kind: with_remainder(kind) for kind in KINDS}
    best = max(ways, key=lambda kind: bound[ways[kind]])
    drawings = {
        "compression-flops": charts.labelled_points(by_family(unexplained, flops), _NUMBERS, _FLOPS, log_y=True),
        "compression-bound": charts.labelled_points(by_family(unexplained, bound), _NUMBERS, _BOUND),
    }
    return {
        **{"bound": bound, "flops": flops, "unexplained": unexplained, "ways": ways, "best": best},
        "fewer": sum(flops[s] > flops[ways[best]] for s in ways.values()),
        "family": [(unexplained[s], flops[s]) for s in CHOICES],
        "over_all": _correlation(unexplained, flops, CHOICES),
        "tighter": _correlation(unexplained, bound, CHOICES),
        **{part: np.mean([_correlation(unexplained, flops, of) for of in _differing(part)]) for part in Choice._fields},
        "rows": [(k, unexplained[s], flops[s], bound[s], std(models.bounds(s))) for k, s in ways.items()],
        "figures": pictures(drawings, (HALF[0], 3.9)),
    }


def _correlation(x: Mapping[str, float], y: Mapping[str, float], of: Iterable[str]) -> float:
    return rank_correlation(*np.array([(x[strategy], y[strategy]) for strategy in of]).T)


def _differing(part: str) -> list[list[str]]:
    """Groups of strategies that differ in nothing but this part of their choice."""
    groups: dict[Choice, list[str]] = {}
    for strategy, choice in CHOICES.items():
        groups.setdefault(choice._replace(**{part: ""}), []).append(strategy)
    return list(groups.values())
