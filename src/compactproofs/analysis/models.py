"""Many models: what is kept of each, and how two of its numbers go together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

import compactproofs as cp
from compactproofs.analysis.ablations import ablate_all
from compactproofs.analysis.inputs import Inputs
from compactproofs.analysis.margins import Tables
from compactproofs.analysis.mechanism import attention_gaps, copying
from compactproofs.analysis.remainder import budgets, compare_with_noise, replace_residuals
from compactproofs.analysis.spectra import fit, spectrum
from compactproofs.analysis.waterfall import WATERFALLS, Waterfalls
from compactproofs.kernel.decisions import FloatArray
from compactproofs.search.workspaces import workspace
from compactproofs.theorems.max_of_k.failing_sets.strategies import KINDS
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES

#: The strategies whose certificates are made for each model.
STRATEGIES = ("cubic", *CHOICES, *(strategy for strategy in WATERFALLS.values() if strategy in KINDS))


def summarise(name: str, draws: int = 1000) -> dict[str, Any]:
    """The numbers of one model that a page over many models needs, as JSON can hold them.

    `draws`: of structureless noise.  Random draws are seeded by the model, so the same numbers come again.
    """
    model = cp.load_model(name)
    rng = np.random.default_rng(int(model.sha256[:8], 16))
    prover = cp.Prover(model)
    work = prover.values
    tables = Tables.of(work)
    inputs = Inputs.of(model, rng)
    waterfalls = Waterfalls(work, inputs)
    steps = {row: waterfalls.of(strategy) for row, strategy in WATERFALLS.items()}
    exact = steps["cubic"][0].left
    scores, gaps = spectrum(work), attention_gaps(tables)
    return {
        "model": name,
        "model_sha256": model.sha256,
        "version": cp.__version__,
        "draws": draws,
        "accuracy": exact.value,
        "singular_values": scores.values[:3].tolist(),
        "size_fit": fit(scores.size, 1).explained,
        "not_copied": copying(tables).failing.tolist(),
        "wrong_next": float(gaps.wrong[0]),
        "budgets": {
            b.kind: [float(b.true.mean()), float(b.bound.mean()), b.flops]
            for b in budgets(work, workspace(model, "check"))
        },
        "noise": {
            c.name: [c.trained, float(c.noise.mean()), float(c.noise.std(ddof=1)), c.deviations]
            for c in compare_with_noise(work, rng, draws)
        },
        "replaced": {r.kind: r.accuracy for r in replace_residuals(work, inputs, rng, draws=3)},
        "ablations": {f"{a.paths[0]} {a.kind}": a.accuracy for a in ablate_all(tables, inputs, rng, size=1, draws=1)},
        "waterfalls": {row: [[step.name, step.left.value] for step in each] for row, each in steps.items()},
        "proofs": {
            strategy: [float(proof.bound) / exact.value, proof.cost.flops, proof.unexplained_dimension]
            for strategy, proof in ((s, prover.prove(s)) for s in STRATEGIES)
        },
    }


@dataclass(frozen=True)
class Regression:
    """A least-squares line through points, with confidence bands at 95%.

    `slope`, `slope_error` (half the width of its interval), `intercept`, `correlation` (Pearson's r), and `p`, the
    probability of so large a correlation if there is none (Fisher's transformation).
    """

    slope: float
    slope_error: float
    intercept: float
    correlation: float
    p: float
    _middle: float
    _scatter: float
    _squares: float
    _count: int

    def at(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(the line, half the width of the confidence band of the mean) at these places."""
        band = student(self._count - 2) * self._scatter
        return self.intercept + self.slope * x, band * np.sqrt(
            1 / self._count + (x - self._middle) ** 2 / self._squares
        )


def regress(x: FloatArray, y: FloatArray) -> Regression | None:
    """The regression of y on x, both (N,); None for fewer than 6 points or where x or y does not vary."""
    if len(x) < 6 or x.std() == 0.0 or y.std() == 0.0:
        return None
    squares = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / squares
    intercept = float(y.mean() - slope * x.mean())
    scatter = float(np.sqrt(((y - intercept - slope * x) ** 2).sum() / (len(x) - 2)))
    correlation = float(np.clip(np.corrcoef(x, y)[0, 1], -1 + 1e-15, 1 - 1e-15))
    p = 2 * NormalDist().cdf(-abs(math.atanh(correlation)) * math.sqrt(len(x) - 3))
    error = student(len(x) - 2) * scatter / math.sqrt(squares)
    return Regression(slope, error, intercept, correlation, p, float(x.mean()), scatter, squares, len(x))


def explained(predictors: FloatArray, y: FloatArray) -> float:
    """The share of the variance of y (N,) that a linear function of the predictors (N, k) explains; 0 to 1."""
    centred, target = predictors - predictors.mean(axis=0), y - y.mean()
    rest = target - centred @ np.linalg.lstsq(centred, target, rcond=None)[0]
    variance = float((target**2).sum())
    return max(0.0, 1.0 - float((rest**2).sum()) / variance) if variance > 0.0 else 1.0


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's t, by its expansion in 1 / freedom: to 1% from 4 on, to 1e-4 from 20 on."""
    z = NormalDist().inv_cdf(0.975)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def ranks(values: FloatArray) -> FloatArray:
    """The rank of each value, ties by their mean: with these, a correlation is Spearman's."""
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    result: FloatArray = (count.cumsum() - (count - 1) / 2)[index]
    return result
