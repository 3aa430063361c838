"""Where two models differ: the numbers of the other sections with the largest differences, the largest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from compactproofs.report import measures
from compactproofs.report.measures import Measure
from compactproofs.report.page import Found
from compactproofs.report.subjects import Both, BothPairs, PairSubject

#: How many of each kind are listed.
_MOST = 6


def of_two(both: Both | BothPairs) -> Found:
    """Shares of inputs by their difference, and other numbers by the difference over the larger one."""
    first, second = (one.network if isinstance(one, PairSubject) else one.model for one in both)
    return {
        "same": first.sha256 == second.sha256,
        "shares": _largest(both, measures.shares),
        "others": _largest(both, measures.mechanism, relative=True),
    }


def _largest(
    both: Both | BothPairs, of: Callable[..., Iterator[Measure]], relative: bool = False
) -> list[tuple[str, float, float, float, str]]:
    """What it is, of the first, of the second, the difference, and where it is seen, of what can be said of both."""
    second = {what: number for what, number, _ in of(both.second)}
    rows = []
    for what, a, where in of(both.first):
        b = second.get(what, np.inf)
        larger = max(abs(a), abs(b)) or 1.0
        difference = (b - a) / larger if relative else b - a
        if np.isfinite(larger) and abs(difference) >= (0.005 if relative else 5e-7):  # what a reader would see
            rows.append((what, a, b, difference, where))
    return sorted(rows, key=lambda row: -abs(row[3]))[:_MOST]
