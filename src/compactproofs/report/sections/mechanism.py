"""What many models have in common."""

from __future__ import annotations

from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF, pictures
from compactproofs.report.subjects import Models


def of_models(models: Models) -> Found:
    """Distributions of accuracy; and of ratios of singular values and straightness of the size direction, in words."""
    fails = [summary["not_copied"] for summary in models.summaries]
    ratio, straight = models.ratio, models.column("size_fit")
    return {
        "ratio": ratio,
        "straight": straight,
        "first": models.column("singular_values")[:, 0],
        "fails": sum(map(len, fails)) / len(fails),
        "smallest": 1 + max((token for tokens in fails for token in tokens), default=-1),
        "wrong": models.column("wrong_next"),
        "figures": pictures({"accuracy": charts.histogram(models.accuracy, "accuracy")}, (HALF[0], 2.2)),
    }
