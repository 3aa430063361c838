"""What would hold if the rest were noise, and whether it does: no claim."""

from __future__ import annotations

from compactproofs.analysis.noise_models import ERROR, noise_model
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF, pictures
from compactproofs.report.subjects import Models, Subject

_SEEMS = 0.05  # factors that look less normal than this are said not to


def of_model(subject: Subject) -> Found:
    """Row by row, what the noise model promises, what is true and what is proved."""
    found = noise_model(subject.work)
    drawing = charts.spreads({"proved": found.proved, "if it were noise": found.promised, "true": found.true})
    return {
        "found": found,
        "error": ERROR,
        "odd": [name for name, p in found.normality.items() if p < _SEEMS],
        "rows": list(found.normality.items()),
        "figures": pictures({"noise-model": drawing}, (HALF[0], 2.6)),
    }


def of_models(models: Models) -> Found:
    """How often the promise is broken, and by models of which each factor looks normal."""
    by_name = {name: models.column("noise_model", name) for name in models.summaries[0]["noise_model"]}
    broken, normal = by_name["broken"] > 0, by_name["normality"] >= _SEEMS
    return {
        "error": ERROR,
        "broken": broken,
        "broken_normal": broken & normal,
        "normal": normal,
        "rows": [(name, values.mean(), values.min(), values.max()) for name, values in by_name.items()],
        "figures": pictures(
            {"noise-model": charts.histogram(by_name["excess"], "true row spread over promised", 1.0, "the promise")}
        ),
    }
