"""What each way of bounding the remainder makes of its true row spread, and what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from compactproofs.analysis.remainder import BOUNDS, budgets
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import WIDE, pictures
from compactproofs.report.subjects import Models, Subject
from compactproofs.report.wording import std
from compactproofs.search.workspaces import workspace


def of_model(subject: Subject) -> Found:
    """Means over queries."""
    found = budgets(subject.work, workspace(subject.model, "check"))
    return {
        "whole": float(np.ptp(subject.tables.EQKE, axis=1).mean()),
        "dear": found[0],
        "cheap": found[-1],
        **_means({b.kind: (b.true.mean(), b.bound.mean(), b.bound.max(), b.factor, b.flops) for b in found}),
        "figures": pictures({"error-against-budget": charts.budget(found)}, (WIDE[0], 3.2)),
    }


def of_models(models: Models) -> Found:
    """Means over queries and models."""
    by_kind = {kind: models.column("budgets", kind) for kind in BOUNDS}
    factor = {kind: float((found[:, 1] / found[:, 0]).mean()) for kind, found in by_kind.items()}
    points = {kind: [tuple(one) for one in found[:, [2, 1]].tolist()] for kind, found in by_kind.items()}
    drawing = charts.labelled_points(
        points, "operations for the scores (FLOPs)", "row spread of the remainder", log_y=True, wide=True
    )
    return {
        **_means(
            {
                kind: (true.mean(), bound.mean(), std(bound), factor[kind], flops.mean())
                for kind, (true, bound, flops) in ((kind, found.T) for kind, found in by_kind.items())
            }
        ),
        "figures": pictures({"error-against-budget": drawing}, (WIDE[0], 3.2)),
    }


def _means(by_kind: dict[str, tuple[Any, ...]]) -> Found:
    """True spread, bound, how the bound varies, bound over truth, and operations by kind, and as rows."""
    names = ("true", "bound", "variation", "factor", "flops")
    return {
        "kinds": {kind: dict(zip(names, row, strict=True)) for kind, row in by_kind.items()},
        "rows": [(kind, *row) for kind, row in by_kind.items()],
    }
