"""Many models: what is kept of each."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

import compactproofs as cp
from compactproofs.analysis.ablations import ablate_all
from compactproofs.analysis.inputs import Inputs
from compactproofs.analysis.margins import Tables
from compactproofs.analysis.mechanism import attention_gaps, copying
from compactproofs.analysis.noise_models import noise_model
from compactproofs.analysis.remainder import budgets, compare_with_noise, replace_residuals
from compactproofs.analysis.spectra import fit, spectrum
from compactproofs.analysis.waterfall import WATERFALLS, Waterfalls
from compactproofs.search.workspaces import workspace
from compactproofs.theorems.max_of_k.failing_sets.strategies import KINDS
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES

#: The strategies whose certificates are made for each model.
STRATEGIES = ("cubic", *CHOICES, *(strategy for strategy in WATERFALLS.values() if strategy in KINDS))


class Summary(TypedDict):
    """The numbers of one model that a page over many models needs, as JSON can hold them.

    Of budgets: true, bound, operations; of noise: the trained model's, mean and deviation of noise, deviations between
    them; of the noise model: row spreads, means over queries, and what `NoiseModel` says of them; of waterfalls: names
    of steps, and what is left after each; of proofs: normalised bound, operations, unexplained dimension.
    """

    model: str
    draws: int
    accuracy: float
    singular_values: list[float]
    size_fit: float
    not_copied: list[int]
    wrong_next: float
    budgets: dict[str, list[float]]
    noise: dict[str, list[float]]
    noise_model: dict[str, float]
    replaced: dict[str, float]
    ablations: dict[str, float]
    waterfalls: dict[str, list[list[str | float]]]
    proofs: dict[str, list[float]]


def summarise(name: str, draws: int = 1000) -> Summary:
    """The summary of one model.

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
    scores, gaps, modelled = spectrum(work), attention_gaps(tables), noise_model(work)
    return {
        "model": name,
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
        "noise_model": {
            "true": float(modelled.true.mean()),
            "promised": float(modelled.promised.mean()),
            "proved": float(modelled.proved.mean()),
            "excess": modelled.excess,
            "broken": float(modelled.broken),
            "normality": min(modelled.normality.values()),
        },
        "replaced": {r.kind: r.accuracy for r in replace_residuals(work, inputs, rng, draws=3)},
        "ablations": {f"{a.paths[0]} {a.kind}": a.accuracy for a in ablate_all(tables, inputs, rng, size=1, draws=1)},
        "waterfalls": {row: [[step.name, step.left.value] for step in each] for row, each in steps.items()},
        "proofs": {
            strategy: [float(proof.bound) / exact.value, proof.cost.flops, proof.unexplained_dimension]
            for strategy, proof in ((s, prover.prove(s)) for s in STRATEGIES)
        },
    }
