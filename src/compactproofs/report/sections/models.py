"""The table of all models."""

from __future__ import annotations

from compactproofs.report.page import Found
from compactproofs.report.subjects import DRAWN_KINDS, Models, with_remainder


def of_models(models: Models) -> Found:
    """The numbers of each."""
    strategies = ("cubic", *map(with_remainder, DRAWN_KINDS))
    return {
        "rows": [
            (
                summary["model"],
                summary["accuracy"],
                *summary["singular_values"][:2],
                ratio,
                summary["size_fit"],
                len(summary["not_copied"]),
                summary["noise"]["true spread"][3],
                *(summary["proofs"][strategy][0] for strategy in strategies),
            )
            for summary, ratio in zip(models.summaries, models.ratio, strict=True)
        ]
    }
