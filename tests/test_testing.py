"""What is offered to test strategies with: it finds what is wrong, changes nothing that it is given, and can fail."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.companions import no_hints
from compactproofs.search.hints import built_in_search
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.testing import HOSTILE, NotPlanted, Trial, assert_caught, mutated, planted, razor
from compactproofs.testing.trial import misfit
from compactproofs.testing.truth import exact_correct
from compactproofs_min_of_k.brute_force import BRUTE_FORCE
from compactproofs_min_of_k.task import min_of_k
from soundness.attack import draw
from soundness.models import working_weights

CUBIC = Trial(
    strategy=STRATEGIES["cubic"],
    draw=draw,
    network=Model,
    task=lambda network: max_of_k(network).task,
    truth=exact_correct,
    search=built_in_search,
)
HINTED = replace(CUBIC, strategy=STRATEGIES["sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact"])
ABOVE = replace(CUBIC, strategy=STRATEGIES["branch-and-bound-upper"])


@pytest.mark.parametrize("trial", [CUBIC, HINTED, ABOVE], ids=["no hints", "hints", "from above"])
def test_sound_strategies_pass(trial: Trial) -> None:
    """On some networks spoiled in each way, and in a short attack."""
    trial.assert_sound(len(HOSTILE), seed=1)
    assert trial.attack(20).gap <= 0


def with_bound(trial: Trial, bound: Any) -> Trial:
    """The trial of a strategy that counts otherwise."""
    return replace(trial, strategy=replace(trial.strategy, bound=bound))


def test_false_bounds_are_found() -> None:
    """Too many, too few where bounded from above, none below zero, and no other numbers than int."""
    total = lambda work, hints: work.task.total  # noqa: E731
    for trial in (with_bound(CUBIC, total), with_bound(ABOVE, lambda work, hints: 0)):
        with pytest.raises(AssertionError, match="claimed, "):
            trial.assert_sound(20)
        assert trial.attack(20).gap > 0
    with pytest.raises(AssertionError, match="-1 claimed"):
        with_bound(CUBIC, lambda work, hints: -1).assert_sound(5)
    with pytest.raises(AssertionError, match="N must be an int, not int64"):
        with_bound(CUBIC, lambda work, hints: np.int64(0)).assert_sound(5)


def test_claims_are_within_checks() -> None:
    """A claim may prove less than a check, and never more."""
    lower, upper = STRATEGIES["cubic"], STRATEGIES["histogram-upper"]
    assert misfit(lower, 3, 2, 4, 5) is None
    assert misfit(lower, 2, 3, 4, 5) is not None
    assert misfit(upper, 4, 5, 4, 5) is None
    assert misfit(upper, 5, 4, 4, 5) is not None
    assert misfit(upper, 6, 6, 4, 5) is not None


def test_planted_errors() -> None:
    """They are found, in a copy: the strategy itself stays as it is; text that is not there cannot be replaced."""
    smallest = replace(
        CUBIC,
        strategy=BRUTE_FORCE,
        task=min_of_k,
        truth=lambda network: exact_correct(network, min),
        search=no_hints,
        margins=None,
    )
    any_rival = ("brute_force", ".all(axis=1)", ".any(axis=1)")
    assert_caught(smallest, any_rival)
    assert planted(smallest, any_rival).strategy is not BRUTE_FORCE
    assert sys.modules[BRUTE_FORCE.bound.__module__].BRUTE_FORCE is BRUTE_FORCE
    with pytest.raises(AssertionError, match="passes the trial"):
        assert_caught(smallest, ("brute_force", ".all(axis=1)", ".all(axis=-1)"), number=3, steps=4)
    with pytest.raises(NotPlanted, match="0 times, not once"):
        planted(smallest, ("brute_force", "this is not there", ""))
    with pytest.raises(LookupError, match="has the strategy compactproofs-min-of-k:brute-force; name its home"):
        planted(smallest, home="compactproofs_min_of_k.task")


def test_a_search_beside_the_strategy_is_the_copys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it finds what a planted error lets through; the trial itself keeps its own."""
    (tmp_path / "own_margin.py").write_text(
        "from dataclasses import replace\n"
        "from compactproofs.search.builtin import STRATEGIES\n"
        "bound = lambda work, hints: 0\n"
        "OWN = replace(STRATEGIES['cubic'], id='own:margin', bound=bound)\n"
        "def search(strategy, work): return {'wrong': False}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("own_margin")
    trial = replace(CUBIC, strategy=own.OWN, search=own.search)
    wrong = planted(trial, ("", "False", "True"))
    no_work: Any = None
    assert wrong.search(trial.strategy, no_work) == {"wrong": True}
    assert trial.search(trial.strategy, no_work) == {"wrong": False}


def test_weights_are_not_changed_in_place() -> None:
    """Each way of spoiling gives weights of the same names and shapes, and leaves the others as they were."""
    weights = working_weights(np.random.default_rng(0), 3, 2)
    before = {name: w.copy() for name, w in weights.items()}
    rng = np.random.default_rng(1)
    for spoil in (*HOSTILE.values(), mutated):
        with np.errstate(all="ignore"):
            spoiled = spoil(rng, weights)
        assert {name: w.shape for name, w in spoiled.items()} == {name: w.shape for name, w in before.items()}
        assert all(np.array_equal(weights[name], w) for name, w in before.items())


def test_razors_have_two_sides() -> None:
    """Next to each other, one with the count of the beginning and one with fewer."""

    def count(weights: dict[str, Any]) -> int:
        return int((weights["w"] > 0.3).sum())

    near, far = {"w": np.array([1.0, 1.0])}, {"w": np.array([0.0, 1.0])}
    sides = razor(near, far, count)
    assert sides is not None
    assert [count(side) for side in sides] == [2, 1]
    assert np.abs(sides[0]["w"] - sides[1]["w"]).max() < 1e-15
    assert razor(far, near, count) is None
    assert razor({"w": np.zeros(2)}, far, count) is None


def test_no_network() -> None:
    """Weights that the network refuses are left out; if all are, nothing was tried, and that is said."""

    def refuse(**weights: Any) -> None:
        raise ValueError("no")

    trial = replace(CUBIC, network=refuse, draw=lambda rng: {"w": np.zeros((1, 1))})
    with pytest.raises(AssertionError, match="of 5 networks that were drawn, `network` could make none"):
        trial.assert_sound(5)
    with pytest.raises(ValueError, match="none of 10,000 networks"):
        trial.attack(1)
