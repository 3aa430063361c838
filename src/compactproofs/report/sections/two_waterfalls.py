"""What each relaxation between the accuracy and a bound costs, for two models."""

from __future__ import annotations

from compactproofs.analysis.waterfall import WATERFALLS
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import picture
from compactproofs.report.subjects import Both


def of_two(both: Both) -> Found:
    """For the same strategy of each row that can be used for both."""
    left, figures = {}, {}
    rows: list[tuple[str, str, float, float, float]] = []
    for row, strategy in WATERFALLS.items():
        if any(strategy not in subject.proofs for subject in both):
            continue
        falls = left[row] = [
            [(step.name, step.left.value) for step in subject.waterfalls.of(strategy)] for subject in both
        ]
        low = min(charts.start_of_waterfall(steps) for steps in falls)
        stem = row.replace(",", "").replace("&", "-").replace(" ", "-").lower()
        for number, steps in enumerate(falls, 1):
            name = f"waterfall-{stem}-{number}"
            figures[f"{row}-{number}"] = picture(
                name, charts.waterfall(steps, low), charts.waterfall_size(len(falls[0]))
            )
        first, second = falls
        for i in range(1, len(first)):
            losses = [fall[i - 1][1] - fall[i][1] for fall in (first, second)]
            rows.append((row, first[i][0], losses[0], losses[1], losses[1] - losses[0]))
    return {
        "left": left,
        "rows": rows,
        "most": max(rows, key=lambda row: abs(row[4])) if rows else None,
        "figures": figures,
    }
