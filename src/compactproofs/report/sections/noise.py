"""Whether what the principal parts leave of EQKE is noise, and whether a model uses it."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.remainder import REPLACEMENTS, compare_with_noise, replace_residuals
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import THIRD, pictures
from compactproofs.report.subjects import Models, Subject
from compactproofs.report.wording import std

_DRAWN = {"noise-true": "true spread", "noise-svd": "norm bound"}


def of_model(subject: Subject) -> Found:
    """How many standard deviations of noise the trained values are above its mean, and accuracies without them."""
    compared = {c.name: c for c in compare_with_noise(subject.work, subject.rng, subject.draws)}
    replaced = replace_residuals(subject.work, subject.inputs, subject.rng)
    exact, deviations = subject.exact.value, {name: c.deviations for name, c in compared.items()}
    return {
        "compared": compared,
        "deviations": deviations,
        "accuracy": {r.kind: r.accuracy for r in replaced},
        "rows": [(name, c.trained, c.noise.mean(), c.noise.std(ddof=1), c.deviations) for name, c in compared.items()],
        "replaced_rows": [(r.kind, r.accuracy, r.accuracy - exact, len(r.shares)) for r in replaced],
        "figures": {
            **pictures({stem: charts.noise_histogram(compared[name]) for stem, name in _DRAWN.items()}, THIRD),
            **pictures({"noise-deviations": charts.deviations({n: [d] for n, d in deviations.items()})}, THIRD),
        },
    }


def of_models(models: Models) -> Found:
    """The same over the models."""
    by_name = {name: models.column("noise", name) for name in models.summaries[0]["noise"]}
    deviations = {name: found[:, 3] for name, found in by_name.items()}
    replaced = {kind: models.column("replaced", kind) for kind in REPLACEMENTS}
    change = {kind: accuracy - models.accuracy for kind, accuracy in replaced.items()}
    axis, mark = "standard deviations above noise", (4.0, "the paper's about 4")
    return {
        "deviations": deviations,
        "change": change,
        "quantiles": np.quantile(deviations["true spread"], [0.05, 0.95]).tolist(),
        "rows": [
            (name, *by_name[name][:, :2].mean(axis=0), d.mean(), std(d), d.min(), d.max())
            for name, d in deviations.items()
        ],
        "replaced_rows": [(kind, replaced[kind].mean(), c.mean(), c.min(), c.max()) for kind, c in change.items()],
        "figures": {
            **pictures({stem: charts.histogram(deviations[name], axis, *mark) for stem, name in _DRAWN.items()}, THIRD),
            **pictures({"noise-deviations": charts.deviations(deviations)}, THIRD),
        },
    }
