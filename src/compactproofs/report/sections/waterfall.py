"""What each relaxation between the accuracy and a bound costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from compactproofs.analysis.waterfall import WATERFALLS
from compactproofs.kernel.decisions import FloatArray
from compactproofs.paper.rows import ROWS
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import picture
from compactproofs.report.subjects import Models, Subject
from compactproofs.report.wording import std


def of_model(subject: Subject) -> Found:
    """For the best strategy of each row that can be used for the model."""
    rows = {row.name: row.strategies for row in ROWS}
    members = {name: rows.get(name, (strategy,)) for name, strategy in WATERFALLS.items()}
    able = {name: subject.best(family) for name, family in members.items() if family[0] in subject.proofs}
    steps = {row: subject.waterfalls.of(strategy) for row, strategy in able.items()}
    found = _found({r: ([s.name for s in each], np.array([[s.left.value for s in each]])) for r, each in steps.items()})
    return {**found, "rows": [(row, name, loss, left) for row, name, loss, _, left, _ in found["rows"]]}


def of_models(models: Models) -> Found:
    """For one strategy of each row, means over the models."""
    falls = [summary["waterfalls"] for summary in models.summaries]
    return _found(
        {
            row: (
                [str(name) for name, _ in falls[0][row]],
                np.array([[left for _, left in fall[row]] for fall in falls]),
            )
            for row in WATERFALLS
        }
    )


def _found(falls: Mapping[str, tuple[list[str], FloatArray]]) -> Found:
    """What is left after each step and what it loses, by row and step, from the names and shares, (models, steps)."""
    left, loss, worst, rows, figures = {}, {}, {}, [], {}
    size = charts.waterfall_size(max((len(names) for names, _ in falls.values()), default=1))
    for row, (names, shares) in falls.items():
        losses = shares[:, :-1] - shares[:, 1:]
        left[row] = dict(zip(names, shares.mean(axis=0).tolist(), strict=True))
        loss[row] = dict(zip(names[1:], losses.mean(axis=0).tolist(), strict=True))
        worst[row] = max(loss[row].items(), key=lambda step: step[1])
        rows += [
            (row, name, loss[row][name], std(losses[:, i]), left[row][name], WATERFALLS[row])
            for i, name in enumerate(names[1:])
        ]
        stem = row.replace(",", "").replace("&", "-").replace(" ", "-").lower()
        drawing = charts.waterfall(list(left[row].items()))
        figures[row] = picture(f"waterfall-{stem}", drawing, size)
    return {"left": left, "loss": loss, "worst": worst, "rows": rows, "figures": figures}
