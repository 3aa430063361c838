"""What the larger strategies and their search choose for tightness and speed may be chosen anyhow: bounds stay bounds.

Numbers of cells, windows, grids, batches and limits are replaced by random ones, and so are hints of branches.
"""

from __future__ import annotations

import numpy as np
import pytest

from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.families import branches, joining
from compactproofs.search.families import counting as plans
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import Reading, workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems.max_of_k.branching import boxes, branch_and_bound, class_margins

from .hints import by_branches, hints_of
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
    patch.setattr(joining, "_EVENLY", float(rng.choice([1e-9, 0.4, 100.0])))
    for name, some in (("_MANY", (0, 2, 8)), ("_CLOSE", (0, 20, 10**6)), ("_NEARLY", (1, 50))):
        patch.setattr(plans, name, int(rng.choice(some)))
    for name, among in (
        ("_NUMBERS", (0, 9, 40)),
        ("_TOKENS", (1, 2, None)),
        ("_FINER", (1, 2, None)),
        ("_THRESHOLDS", (0.0, 0.1, 10.0)),
        ("_BITS", (0, 8, 60)),
    ):
        patch.setattr(branches, name, [among[i] for i in rng.integers(0, 3, len(getattr(branches, name)))])
    for name, some in (("_MOST_SETS", (1, 3)), ("_ALIKE", (1, 99)), ("_AT_MOST", (0, 9, 1000)), ("_NEAR", (1, 40))):
        patch.setattr(branches, name, int(rng.choice(some)))
    patch.setattr(branches, "_PER_MILLISECOND", float(rng.choice([0.0, 1.0, 100.0])))
    patch.setattr(class_margins, "_UNIT_BITS", int(rng.choice([2, 5, 12, 36])))
    patch.setattr(class_margins, "_CHUNK", int(rng.choice([1, 100, 2**15])))
    patch.setattr(boxes, "_BATCH", int(rng.choice([1, 7, 2**14])))
    patch.setattr(boxes, "_MAX_SINGLES", int(rng.choice([0, 3, 2**14])))
    patch.setattr(branch_and_bound, "MAX_BOXES", int(rng.choice([0, 20, 2**22])))


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow if seed > 1 else ()) for seed in range(16)])
def test_any_branches_are_sound(seed: int) -> None:
    """Both sides, on the hostile models, by nothing but branches."""
    rng = np.random.default_rng(seed)
    gained = 0
    for case in CASES[seed % 16 :: 16]:
        truth, total = exact_correct(case.model), max_of_k(case.model).task.total
        least, most = STRATEGIES["histogram"], STRATEGIES["histogram-upper"]
        for reading in READINGS:
            work = workspace(case.model, reading)
            for _ in range(3):
                low, high = (hints_of(each, case.model, "plausible", rng) for each in (least, most))
                below, above = least.bound(work, by_branches(rng, low)), most.bound(work, by_branches(rng, high))
                assert 0 <= below <= truth <= above <= total, case.name
                gained += (below > 0) + (above < total)
    assert gained > 50


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
