"""What accuracy is left when a path no longer carries what it carries."""

from __future__ import annotations

import math

import numpy as np

from compactproofs.analysis.ablations import KINDS, ablate_all, by_set
from compactproofs.analysis.margins import PATHS
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF, pictures
from compactproofs.report.subjects import Models, Subject
from compactproofs.report.wording import std


def of_model(subject: Subject) -> Found:
    """Without one path and without two."""
    found = ablate_all(subject.tables, subject.inputs, subject.rng)
    left = {
        kind: np.array([[known[frozenset((a, b))].accuracy for b in PATHS] for a in PATHS])
        for kind, known in ((kind, by_set(found, kind)) for kind in KINDS)
    }
    single = {kind: dict(zip(PATHS, np.diagonal(matrix).tolist(), strict=True)) for kind, matrix in left.items()}
    accuracy, noise = subject.exact.value, 2 * math.sqrt(2) * subject.exact.error
    drawings = {f"ablations-{kind}": charts.matrix(matrix, PATHS) for kind, matrix in left.items()}
    return {
        "single": single,
        "needed": [p for p in PATHS if single["resample"][p] < 0.5 * accuracy],
        "spare": [p for p in PATHS if single["zero"][p] > 0.99 * accuracy],
        "improved": [p for p in PATHS if single["zero"][p] > accuracy + noise],
        "rows": [
            (" + ".join(a.paths), a.kind, a.accuracy, a.accuracy - accuracy, a.spread if len(a.shares) > 1 else None)
            for a in found
        ],
        "figures": pictures({"ablations": _bars(single), **drawings}, (HALF[0], 2.4)),
    }


def of_models(models: Models) -> Found:
    """Without one path, over the models."""
    left = {kind: {path: models.column("ablations", f"{path} {kind}") for path in PATHS} for kind in KINDS}
    carry = [path for path in PATHS if left["zero"][path].mean() < 0.5 * models.accuracy.mean()]
    return {
        "left": left,
        "carry": carry,
        "spare": [path for path in PATHS if path not in carry],
        "rows": [
            (path, kind, v.mean(), std(v), v.min(), v.max())
            for path, kind, v in ((path, kind, left[kind][path]) for path in PATHS for kind in KINDS)
        ],
        "figures": pictures({"ablations": _bars({k: {p: v.mean() for p, v in x.items()} for k, x in left.items()})}),
    }


def _bars(left: dict[str, dict[str, float]]) -> charts.Draw:
    return charts.grouped_bars({kind: list(by_path.values()) for kind, by_path in left.items()}, PATHS, "accuracy")
