"""What the larger strategies and their search choose for tightness and speed may be chosen anyhow: bounds stay bounds.

Numbers of cells, windows, grids, batches and limits are replaced by random ones.
"""

from __future__ import annotations

import numpy as np
import pytest

from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.families import counting as plans
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import Reading, workspace
from compactproofs.theorems.max_of_k.branching import boxes, branch_and_bound, class_margins

from .models import FAMILIES, cases
from .truth import exact_correct

READINGS: tuple[Reading, ...] = ("check", "claim")
CASES = [case for family in FAMILIES if family != "overflow" for case in cases(family)]


def choose(patch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Random choices, most of them bad."""
    patch.setattr(plans, "_GAINS_ONE", [float(rng.choice([0.0, 3.0])) for _ in range(3)])
    patch.setattr(plans, "_CELLS_ONE", [int(2 ** rng.uniform(0, 7)) for _ in range(3)])
    patch.setattr(plans, "_TOKENS", [*(int(rng.integers(1, 9)) for _ in range(int(rng.integers(2, 4)))), None])
    patch.setattr(plans, "_NUMBERS", [rng.integers(0, 50, int(rng.integers(1, 4))).tolist() for _ in range(3)])
    patch.setattr(plans, "_EXACTLY", float(rng.choice([0.0, 0.1, 2.0, 1e6])))
    patch.setattr(plans, "_PER_MILLISECOND", float(rng.choice([0.0, 0.25, 100.0])))
    for name, values in (
        ("_PRICE", (0, 2, 100)),
        ("_SURE", (0, 50, 10**6)),
        ("_SURE_ENOUGH", (0, 40, 10**6)),
        ("_PART", (1, 32)),
    ):
        patch.setattr(plans, name, int(rng.choice(values)))
    patch.setattr(plans, "_OFTEN", float(rng.choice([0.0, 0.2, 2.0])))
    patch.setattr(plans, "_CELLS_NEAR", int(rng.choice([1, 20, 2**12])))
    for name, value in zip(("_TRIED", "_SAMPLE", "_FEW", "_NEAR"), rng.choice([1, 3, 40, 300], 4), strict=True):
        patch.setattr(plans, name, int(value))
    patch.setattr(plans, "_TAIL_ONE", float(rng.choice([0.0, 0.1, 0.5])))
    patch.setattr(plans, "_EVENLY", float(rng.choice([1e-9, 0.4, 100.0])))
    patch.setattr(class_margins, "_UNIT_BITS", int(rng.choice([2, 5, 12, 36])))
    patch.setattr(class_margins, "_CHUNK", int(rng.choice([1, 100, 2**15])))
    patch.setattr(boxes, "_BATCH", int(rng.choice([1, 7, 2**14])))
    patch.setattr(boxes, "_MAX_SINGLES", int(rng.choice([0, 3, 2**14])))
    patch.setattr(branch_and_bound, "MAX_BOXES", int(rng.choice([0, 20, 2**22])))


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow if seed else ()) for seed in range(20)])
def test_any_choice_is_sound(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides of both strategies, on the hostile models."""
    rng = np.random.default_rng(seed)
    for case in CASES[seed % 8 :: 8]:
        with monkeypatch.context() as patch:
            choose(patch, rng)
            plans._random.cache_clear()
            work, truth = workspace(case.model, READINGS[rng.integers(2)]), exact_correct(case.model)
            patch.setattr(plans, "WORTH", float(rng.choice([0.0, 1e-9, 10.0, 1000.0])))
            values = workspace(case.model, "value")
            for strategy in ("branch-and-bound", "histogram"):
                least, most = STRATEGIES[strategy], STRATEGIES[f"{strategy}-upper"]
                assert least.bound(work, search_hints(least, values)) <= truth, (case.name, strategy)
                assert most.bound(work, search_hints(most, values)) >= truth, (case.name, strategy)
    plans._random.cache_clear()
