"""No strategy, on any model and with any hints, claims more inputs than are answered correctly.

There is no tolerance in that direction.  That the bounds are also worth something is tested separately below.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from compactproofs.kernel.problem import HintSpec, Strategy
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.prover import prove
from compactproofs.search.workspaces import Reading, run, workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.testing.trial import misfit
from compactproofs.theorems.max_of_k.core.cubic import CUBIC
from compactproofs.zoo import load_model

from .attack import attack, check_bound
from .hints import KINDS, hints_of, kinds_of
from .models import BEYOND, FAMILIES, Case, all_cases, cases, ordinary_cases, razor, verifying, weights_of
from .reference import cubic_classes
from .truth import all_inputs, exact_correct, exact_correct_set

LOWER = {name: strategy for name, strategy in STRATEGIES.items() if strategy.claim == "at least"}
MODEL_LIMIT = 1500  # pairs of a model and hints in the default run, shared among the strategies
ATTACK_STEPS = 1500  # likewise
SHORTEST_ATTACK = 12


@cache
def work_of(case: Case, reading: Reading) -> Any:
    """One workspace for all strategies, as in a real run: what they share is computed once."""
    return verifying(case.model) if reading == "check" else workspace(case.model, reading)


def assert_sound(strategy: Strategy, case: Case, kind: str, seed: int = 0, claims: bool = True) -> None:
    """What a check finds on this model stays within the truth, and with `claims` a claim within what a check finds."""
    if strategy.limit(max_of_k(case.model)) is not None:
        return
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    hints = hints_of(strategy, case.model, kind, rng, work_of(case, "value"))
    checked = strategy.bound(work_of(case, "check"), hints)
    claimed = strategy.bound(work_of(case, "claim"), hints) if claims else checked

    wrong = misfit(strategy, checked, claimed, exact_correct(case.model), max_of_k(case.model).task.total)
    assert wrong is None, f"{strategy.id} on '{case.name}' with hints '{kind}', seed {seed}: {wrong}"


def cubic_of(weights: dict[str, Any]) -> int:
    """How many inputs cubic certifies."""
    return CUBIC.bound(verifying(Model(**weights)), {})


def pairs(strategy: Strategy, seed: int = 0) -> list[tuple[Case, str]]:
    """All models with all kinds of hints."""
    return [(case, kind) for case in ordinary_cases(seed) for kind in kinds_of(strategy, case.model)]


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_never_more_than_the_truth(strategy: Strategy) -> None:
    """Each strategy gets its own part of all models of the collection, and all kinds of hints in turn.

    Claims, which no bound rests on, are made on a third.
    """
    first = list(STRATEGIES).index(strategy.id)
    everything = ordinary_cases()
    stride = -(-len(everything) * len(STRATEGIES) // MODEL_LIMIT)
    for index, case in enumerate(everything[first % stride :: stride]):
        kinds = list(kinds_of(strategy, case.model))
        assert_sound(strategy, case, kinds[(first + index) % len(kinds)], claims=index % 3 == 0)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_overflow_only_loses_inputs(strategy: Strategy) -> None:
    """Where float64 overflows a strategy still answers, with a number that holds: a third of the models for each."""
    first = list(STRATEGIES).index(strategy.id)
    for index, case in enumerate(cases("overflow")[first % 3 :: 3]):
        kinds = list(kinds_of(strategy, case.model))
        assert_sound(strategy, case, kinds[(first + index) % len(kinds)], claims=(first + index) % 3 == 0)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_sound_at_the_brink(strategy: Strategy) -> None:
    """Softmax weights over 300 orders of magnitude, exact ties, overflow in exp and in margins: a share for each."""
    first = list(STRATEGIES).index(strategy.id)
    for index, case in enumerate(cases("brink")[first % 9 :: 9]):
        kinds = list(kinds_of(strategy, case.model))
        assert_sound(strategy, case, kinds[(first + index) % len(kinds)], claims=index % 3 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("family", BEYOND)
@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_sound_beyond_float64_at_length(strategy: Strategy, family: str) -> None:
    """All such models with all kinds of hints, for each strategy."""
    for seed in range(2):
        for case in cases(family, seed):
            for kind in kinds_of(strategy, case.model):
                assert_sound(strategy, case, kind, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_never_more_than_the_truth_at_length(strategy: Strategy, seed: int) -> None:
    """A third of the models and hints for each strategy, from other collections."""
    work_of.cache_clear()
    for case, kind in pairs(strategy, seed)[list(STRATEGIES).index(strategy.id) % 3 :: 3]:
        assert_sound(strategy, case, kind, seed)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_attack_finds_nothing(strategy: Strategy) -> None:
    """A short hill climb over weights and hints; `soundness.attack` is the long one."""
    steps = ATTACK_STEPS // len(STRATEGIES)
    starts = max(1, min(8, steps // 100))
    for seed in range(starts):
        found = attack(
            check_bound(strategy), strategy, np.random.default_rng(seed), max(SHORTEST_ATTACK, steps // starts)
        )

        assert found.gap <= 0, f"{strategy.id}, seed {seed}: {found} with {found.weights} and {found.hints}"


@pytest.mark.parametrize("seed", [pytest.param(s, marks=pytest.mark.slow if s % 3 else ()) for s in range(12)])
def test_sound_where_the_bound_itself_drops(seed: int) -> None:
    """Two models on either side of where cubic loses an input: its own limits of rounding."""
    rng = np.random.default_rng(seed)
    pool = [case for family in ("working", "positions", "moderate", "rough") for case in cases(family)]
    start = weights_of(pool[int(rng.integers(len(pool)))].model)
    for side in razor(rng, start, count=cubic_of) or ():
        case = Case(f"drop of cubic, seed {seed}", Model(**side))
        for strategy in list(STRATEGIES.values())[:12]:
            assert_sound(strategy, case, "searched")


# --- claims ---


@pytest.mark.parametrize(("family", "step"), [("working", 9), ("rough", 15), ("razors", 8), ("brink", 18)])
def test_a_check_that_decides_nothing_narrowly_is_a_claim(family: str, step: int) -> None:
    """So it need not be computed again by cautious enclosures, which is what is done where something is close."""
    kept = 0
    for case in cases(family)[::step]:
        measured = workspace(case.model, "check")
        for strategy in STRATEGIES.values():
            if strategy.limit(max_of_k(case.model)) is not None:
                continue
            hints = hints_of(strategy, case.model, "searched", np.random.default_rng(0), work_of(case, "value"))
            check = run(strategy, measured, hints)
            claimed = strategy.bound(work_of(case, "claim"), hints)

            assert check.close or check.certified == claimed, f"{strategy.id} on '{case.name}'"
            kept += not check.close

    assert kept > 0


def test_claims_are_cautious_where_a_check_decides_narrowly() -> None:
    """Between two models cubic loses an input, so on one it is decided narrowly, and a claim there is without it."""
    found = 0
    for seed, case in enumerate(cases("working")[:8]):
        pair = razor(np.random.default_rng(seed), weights_of(case.model), count=cubic_of)
        if pair is not None:
            models = [Model(**weights) for weights in pair]
            checks = [run(CUBIC, workspace(model, "check"), {}) for model in models]
            more = int(checks[1].certified > checks[0].certified)

            assert checks[more].close
            assert prove(models[more], "cubic").certificate.certified < checks[more].certified
            found += 1

    assert found >= 3


# --- brute force is exact ---


def test_brute_force_is_exact_on_ordinary_models() -> None:
    """Where no margin is as small as rounding errors, brute force finds all that is right."""
    for family in ("working", "positions", "moderate", "rough", "contrary", "float32"):
        for case in cases(family):
            assert STRATEGIES["brute-force"].bound(work_of(case, "check"), {}) == exact_correct(case.model), case.name


# --- the bounds are worth something ---


@pytest.mark.parametrize(
    ("strategy_id", "share"),
    [
        ("cubic", 0.6),
        ("sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact", 0.5),
        ("sub-cubic/max_diff_exact/mean_query+diff/max_diff", 0.4),
        ("sub-cubic/svd_query+max_diff/drop_average_query_per_output_logit_reasoning/svd", 0.02),
    ],
)
@pytest.mark.parametrize("family", ["working", "positions", "moderate", "rough"])
def test_bounds_are_not_vacuous(strategy_id: str, share: float, family: str) -> None:
    """On the models that work, strategies certify a good part of what is right, on average over models."""
    strategy, rng = STRATEGIES[strategy_id], np.random.default_rng(0)
    shares = []
    for case in cases(family):
        hints = hints_of(strategy, case.model, "searched", rng, work_of(case, "value"))
        shares.append(strategy.bound(work_of(case, "check"), hints) / exact_correct(case.model))

    assert share < np.mean(shares)


@pytest.mark.parametrize("family", ["working", "positions", "moderate", "rough", "contrary", "float32"])
def test_cubic_classes_hold_right_inputs_only(family: str) -> None:
    """Input by input: all that the plain implementation certifies is right, and cubic certifies as many."""
    for case in cases(family):
        classes = cubic_classes(case.model)
        certified = np.array([classes.certifies(tokens) for tokens in all_inputs(case.model)])

        assert not (certified & ~exact_correct_set(case.model)).any(), case.name
        assert certified.sum() == classes.count() == CUBIC.bound(work_of(case, "check"), {}), case.name


@pytest.mark.parametrize("name", ["max-of-4/123", "max-of-4/50"])
def test_cubic_equals_the_plain_implementation_on_trained_models(name: str) -> None:
    """Rounding and the missing divisions cost not one input."""
    model = load_model(name)
    expected = cubic_classes(model).count()

    assert expected == CUBIC.bound(verifying(model), {})
    assert expected == CUBIC.bound(workspace(model, "claim"), {})
    assert 0.9 * max_of_k(model).task.total < expected


# --- the tests' own parts ---


def test_hints_have_the_declared_form() -> None:
    """Every kind of hints is of the declared type and shape, for integers and floats."""
    specs = {"gaps": HintSpec(np.int64, (3, 3, 2)), "direction": HintSpec(np.float64, (4,))}
    strategy = Strategy("hinted", "", "", (), lambda work, hints: 0, lambda problem: specs)
    model = cases("working")[0].model

    assert list(kinds_of(strategy, model)) == list(KINDS)
    assert list(kinds_of(CUBIC, model)) == ["searched"]
    for kind in KINDS[2:]:
        hints = hints_of(strategy, model, kind, np.random.default_rng(0))
        assert {name: HintSpec(hint.dtype.type, hint.shape) for name, hint in hints.items()} == specs


def test_every_family_is_used() -> None:
    """No family is empty, and only two are kept apart."""
    assert all(cases(family) for family in FAMILIES)
    assert len(all_cases()) == len(ordinary_cases()) + sum(len(cases(family)) for family in BEYOND)
