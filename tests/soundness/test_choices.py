"""What the larger strategies choose for tightness and speed may be chosen anyhow: bounds stay bounds.

Numbers of cells, windows, grids, batches and limits are replaced by random ones.
"""

from __future__ import annotations

import numpy as np
import pytest

from compactproofs.lemmas import boxes, suspects, unions
from compactproofs.strategies import STRATEGIES, branch_and_bound, histogram
from compactproofs.workspace import Workspace

from .models import FAMILIES, cases
from .truth import exact_correct

CASES = [case for family in FAMILIES if family != "overflow" for case in cases(family)]


def choose(patch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Random choices, most of them bad."""
    for name in ("_COARSE", "_FINE", "_SMALL", "_MEDIUM", "_LARGE", "_LARGEST"):
        patch.setattr(unions, name, int(2 ** rng.uniform(0, 7)))
    patch.setattr(unions, "_BELOW", float(rng.choice([0.0, 0.1, 1.0, 3.0])))
    patch.setattr(unions, "_ABOVE", float(rng.choice([0.0, 0.1, 1.0, 3.0])))
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
            work, truth = Workspace(case.model, str(rng.choice(["check", "claim"]))), exact_correct(case.model)
            for strategy in ("branch-and-bound", "histogram"):
                assert STRATEGIES[strategy].bound(work, {}) <= truth, (case.name, strategy)
                assert STRATEGIES[f"{strategy}-upper"].bound(work, {}) >= truth, (case.name, strategy)
