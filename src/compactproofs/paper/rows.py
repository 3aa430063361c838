"""The rows of the paper's Table 1: which strategies belong to each, and the published figures.

The figures are those of Table 1 and its appendix in arXiv 2406.11779 (June 2024), K = 4, 64 tokens, 151 models, and of
the tables that the authors published later, also for larger K.  The first cubic figure came from a check with an error.
"""

from __future__ import annotations

import csv
import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass

from compactproofs.theorems.max_of_k.subcubic import direct_path, own_output, remainder
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, Choice

_EXACT_REMAINDERS = (remainder.EXACT, "max_diff_exact")
_LOW_RANK_REMAINDERS = tuple(k for k in remainder.KINDS if k not in (*_EXACT_REMAINDERS, *remainder.RECURSIVE_KINDS))


@dataclass(frozen=True)
class PaperRow:
    """A row of the table: the best of these strategies, for each model."""

    name: str
    complexity: str
    strategies: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """A published normalised bound, mean and standard deviation over models, and operations where stated."""

    mean: float
    std: float
    flops: float | None


def _choices(wanted: Callable[[Choice], bool]) -> tuple[str, ...]:
    return tuple(strategy_id for strategy_id, choice in CHOICES.items() if wanted(choice))


def _group(direct: tuple[str, ...], remainders: tuple[str, ...]) -> tuple[str, ...]:
    return _choices(lambda c: c.direct in direct and c.remainder in remainders)


ROWS = (
    PaperRow("brute force", "v^{K+1} K d", ("brute-force",)),
    PaperRow("cubic", "v^3 K^2", ("cubic",)),
    PaperRow("sub-cubic", "v^2 K^2 + v^2 d", _group(direct_path.EXACT_KINDS, _EXACT_REMAINDERS)),
    PaperRow(
        "sub-cubic without mean+diff",
        "v^2 K^2 + v^2 d",
        _choices(
            lambda c: (
                c.direct in direct_path.EXACT_KINDS
                and c.remainder in _EXACT_REMAINDERS
                and c.attention != own_output.KINDS[0]
            )
        ),
    ),
    PaperRow("low-rank QK", "v^2 K^2 + v d^2 + v^2 d", _group(direct_path.EXACT_KINDS, _LOW_RANK_REMAINDERS)),
    PaperRow("low-rank QK (SVD only)", "v^2 K^2 + v d^2 + v^2 d", _group(direct_path.EXACT_KINDS, ("svd",))),
    PaperRow("low-rank EU", "v^2 K^2 + v d + v^2 d", _group(direct_path.FACTORED_KINDS, _EXACT_REMAINDERS)),
    PaperRow("low-rank QK&EU", "v^2 K^2 + v d^2 + v^2 d", _group(direct_path.FACTORED_KINDS, _LOW_RANK_REMAINDERS)),
    PaperRow("quadratic QK", "v^2 K^2 + v d + v^2 d", _group(direct_path.EXACT_KINDS, remainder.RECURSIVE_KINDS)),
    PaperRow("quadratic QK&EU", "v^2 K^2 + v d + v^2 d", _group(direct_path.FACTORED_KINDS, remainder.RECURSIVE_KINDS)),
)

#: The table's strategies: the paper's 102.
TABLE_STRATEGIES = ("brute-force", "cubic", *CHOICES)


def published(n_ctx: int = 4, d_vocab: int = 64) -> dict[str, dict[str, Published]]:
    """The published figures for models of this K and so many tokens, by source and row."""
    text = importlib.resources.files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    result: dict[str, dict[str, Published]] = {}
    for entry in csv.DictReader(text.splitlines()):
        if (int(entry["n_ctx"]), int(entry["d_vocab"])) != (n_ctx, d_vocab):
            continue
        base, _, exponent = entry["flops"].partition("^")
        flops = None if not base else float(base) ** float(exponent) if exponent else float(base)
        figures = Published(float(entry["normalised_mean"]), float(entry["normalised_std"]), flops)
        result.setdefault(entry["source"], {})[entry["row"]] = figures
    return result
