"""What the larger strategies choose for tightness and speed may be chosen anyhow: bounds stay bounds.

Numbers of cells, windows, grids, batches and limits are replaced by random ones.
"""

from __future__ import annotations

import numpy as np
import pytest

from compactproofs.search.workspaces import workspace
from compactproofs.theorems import STRATEGIES
from compactproofs.theorems.max_of_k.core import boxes, branch_and_bound
from compactproofs.theorems.max_of_k.core import class_margins as suspects
from compactproofs.theorems.max_of_k.counting import half_sums as halves
from compactproofs.theorems.max_of_k.counting import histogram, unions

from .models import FAMILIES, cases
from .truth import exact_correct

CASES = [case for family in FAMILIES if family != "overflow" for case in cases(family)]


def choose(patch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Random choices, most of them bad."""
    for name in ("_CELLS_ONE", "_CELLS_TWO"):
        cells = sorted(int(n) for n in 2 ** rng.uniform(0, 7, 3))
        patch.setattr(unions, name, tuple((float(rng.choice([0.0, 3.0])), n) for n in cells))
    halves_two = [
        (float(rng.choice([0.0, 3.0])), int(10 ** rng.uniform(0, 4)), int(rng.integers(1, 90))) for _ in range(3)
    ]
    patch.setattr(unions, "_HALVES_TWO", tuple(halves_two))
    patch.setattr(unions, "_MOST_HALVES", int(rng.choice([0, 2, 11])))
    for name, value in zip(("_TRIED", "_SAMPLE", "_FEW"), rng.choice([1, 3, 40, 300], 3), strict=True):
        patch.setattr(unions, name, int(value))
    for name in ("_TAIL_ONE", "_TAIL_TWO"):
        patch.setattr(unions, name, float(rng.choice([0.0, 0.1, 0.5])))
    patch.setattr(halves, "_BLOCK", int(rng.choice([1, 30, 2**15])))
    patch.setattr(halves, "_EVEN", float(rng.choice([1e-9, 0.2, 100.0])))
    patch.setattr(histogram, "WORTH", float(rng.choice([0.0, 1e-9, 10.0, 1000.0])))
    patch.setattr(suspects, "_UNIT_BITS", int(rng.choice([2, 5, 12, 36])))
    patch.setattr(suspects, "_EDGES", np.sort(10.0 ** rng.uniform(-3, 3, int(rng.integers(1, 6)))))
    patch.setattr(suspects, "_CHUNK", int(rng.choice([1, 100, 2**15])))
    patch.setattr(boxes, "_BATCH", int(rng.choice([1, 7, 2**14])))
    patch.setattr(boxes, "_MAX_SINGLES", int(rng.choice([0, 3, 2**14])))
    patch.setattr(branch_and_bound, "MAX_BOXES", int(rng.choice([0, 20, 2**22])))


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow if seed else ()) for seed in range(20)])
def test_any_choice_is_sound(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides of both strategies, on the hostile models."""
    rng = np.random.default_rng(seed)
    for case in CASES[seed % 4 :: 4]:
        with monkeypatch.context() as patch:
            choose(patch, rng)
            unions._random.cache_clear()
            work, truth = workspace(case.model, str(rng.choice(["check", "claim"]))), exact_correct(case.model)
            for strategy in ("branch-and-bound", "histogram"):
                assert STRATEGIES[strategy].bound(work, {}) <= truth, (case.name, strategy)
                assert STRATEGIES[f"{strategy}-upper"].bound(work, {}) >= truth, (case.name, strategy)
    unions._random.cache_clear()
