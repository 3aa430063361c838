"""What a model computes and how well that is understood, as data: the figures of reports are drawn from it.

Everything here is plain float64 arithmetic and certifies nothing; certified bounds come from `compactproofs.prove`.
Regressions and correlations over many models are in `analysis.correlations`, which needs the extra `report`.

>>> import compactproofs as cp
>>> from compactproofs import analysis
>>> from compactproofs.search.workspaces import workspace
>>> work = workspace(cp.load_model("max-of-4/123"), "value")
>>> round(float(analysis.spectrum(work).values[0]))
7443
>>> analysis.copying(analysis.Tables.of(work)).failing.tolist()
[0, 1, 2, 3, 4]
"""

from compactproofs.analysis.ablations import Ablation, ablate, ablate_all
from compactproofs.analysis.inputs import Inputs, Share
from compactproofs.analysis.margins import PATHS, Tables, margin_terms
from compactproofs.analysis.mechanism import (
    AttentionGaps,
    Copying,
    Errors,
    answers,
    attention_gaps,
    certainly_copied,
    copying,
    errors,
)
from compactproofs.analysis.models import summarise
from compactproofs.analysis.noise_models import NoiseModel, noise_model
from compactproofs.analysis.remainder import (
    Budget,
    Comparison,
    Replaced,
    budgets,
    compare_with_noise,
    replace_residuals,
)
from compactproofs.analysis.spectra import (
    Factor,
    Fit,
    Spectrum,
    excess_kurtosis,
    factors,
    fit,
    simplest_fit,
    spectrum,
)
from compactproofs.analysis.waterfall import Step, Waterfalls

__all__ = [
    "PATHS",
    "Ablation",
    "AttentionGaps",
    "Budget",
    "Comparison",
    "Copying",
    "Errors",
    "Factor",
    "Fit",
    "Inputs",
    "NoiseModel",
    "Replaced",
    "Share",
    "Spectrum",
    "Step",
    "Tables",
    "Waterfalls",
    "ablate",
    "ablate_all",
    "answers",
    "attention_gaps",
    "budgets",
    "certainly_copied",
    "compare_with_noise",
    "copying",
    "errors",
    "excess_kurtosis",
    "factors",
    "fit",
    "margin_terms",
    "noise_model",
    "replace_residuals",
    "simplest_fit",
    "spectrum",
    "summarise",
]
