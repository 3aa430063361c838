"""Branch and bound and histograms: on the right side of the truth, tight where that is known, and errors are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache, lru_cache
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from compactproofs.kernel.enclosure import Enclosure
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.families import counting
from compactproofs.search.hints import search_hints
from compactproofs.search.prover import with_something_to_spare
from compactproofs.search.workspaces import Reading, workspace
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.theorems.max_of_k.branching import branch_and_bound, class_margins
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting import histogram
from compactproofs.theorems.max_of_k.counting.some_sum import Branching
from compactproofs.theorems.max_of_k.counting.unions import Branches, Step
from compactproofs.zoo import load_model
from soundness.counting import (
    LOST,
    LOST_OF_KINDS,
    Problem,
    all_branches,
    apart,
    every_sum,
    exact_branches,
    problems,
    random_branches,
    random_branching,
    random_class,
    random_meeting,
    random_steps,
    wrong_inputs,
)
from soundness.models import Case, all_cases, cases, random_weights, verifying, working_weights
from soundness.planting import Change, Planted, showing
from soundness.truth import exact_correct

Bound = Callable[[Workspace[AttentionOnly, MaxOfK], dict[str, Any]], int]

PAIRS: dict[str, tuple[Bound, Bound]] = {
    "branch-and-bound": (branch_and_bound.bound, branch_and_bound.upper_bound),
    "histogram": (histogram.bound, histogram.upper_bound),
}
KINDS = pytest.mark.parametrize("kind", PAIRS)


@lru_cache(16)
def found_hints(kind: str, model: Model) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is searched for the lower and the upper bound."""
    values = workspace(model, "value")
    return search_hints(STRATEGIES[kind], values), search_hints(STRATEGIES[f"{kind}-upper"], values)


def brackets(kind: str, model: Model, reading: Reading = "check") -> tuple[int, int]:
    """The lower and the upper bound, or what is claimed for them."""
    work = verifying(model) if reading == "check" else workspace(model, reading)
    found = [bound(work, hints) for bound, hints in zip(PAIRS[kind], found_hints(kind, model), strict=True)]
    if reading == "claim":
        strategies = STRATEGIES[kind], STRATEGIES[f"{kind}-upper"]
        total = max_of_k(model).task.total
        found = [with_something_to_spare(s, n, total) for s, n in zip(strategies, found, strict=True)]
    return found[0], found[1]


@KINDS
@pytest.mark.parametrize("part", range(3))
def test_bounds_bracket_the_truth(kind: str, part: int) -> None:
    """On a share of hostile models of all kinds, fewer by histograms; claims leave something to the check."""
    for index, case in enumerate(all_cases()[part :: 7 if kind == "branch-and-bound" else 13]):
        truth = exact_correct(case.model)
        lower, upper = brackets(kind, case.model)
        claimed_lower, claimed_upper = (lower, upper) if index % 3 else brackets(kind, case.model, "claim")

        total = max_of_k(case.model).task.total
        assert 0 <= claimed_lower <= lower <= truth <= upper <= claimed_upper <= total, case.name
        assert {type(n) for n in (lower, upper, claimed_lower, claimed_upper)} == {int}, case.name


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("seed", range(8))
def test_bounds_bracket_the_truth_at_length(kind: str, seed: int) -> None:
    """The same on other collections."""
    for case in all_cases(seed):
        lower, upper = brackets(kind, case.model)

        assert lower <= exact_correct(case.model) <= upper, case.name


@KINDS
@pytest.mark.parametrize(
    "family",
    [
        "working",
        "moderate",
        "float32",
        *(pytest.param(f, marks=pytest.mark.slow) for f in ("positions", "rough", "contrary")),
    ],
)
def test_close_on_ordinary_models(kind: str, family: str) -> None:
    """Where no margin is as small as rounding errors, branch and bound is exact, and histograms are on average near."""
    widths = []
    for case in cases(family):
        lower, upper = brackets(kind, case.model)
        widths.append((upper - lower) / max_of_k(case.model).task.total)

        assert kind == "histogram" or lower == upper == exact_correct(case.model), case.name
    assert np.mean(widths) < 0.03


@pytest.mark.parametrize(
    ("name", "right", "histograms"),
    [("max-of-4/123", 16772438, True), pytest.param("max-of-4/50", 16729300, False, marks=pytest.mark.slow)],
)
def test_trained_models_with_four_positions(name: str, right: int, histograms: bool) -> None:
    """Exact by branch and bound, and within 2e-5 by histograms; the numbers are those of a full enumeration."""
    model = load_model(name)

    assert brackets("branch-and-bound", model) == (right, right)
    if histograms:
        lower, upper = brackets("histogram", model)
        assert lower <= right <= upper
        assert upper - lower < 2e-5 * max_of_k(model).task.total


def test_classes_that_are_not_looked_at_count_as_wrong() -> None:
    """Those of maxima below the largest number of a step without a query; nothing else depends on it."""
    lost = 0
    for case in all_cases()[::40]:
        hints, truth = found_hints("histogram", case.model)[0], exact_correct(case.model)
        all_of_them, v = histogram.bound(verifying(case.model), hints), case.model.d_vocab
        bounds = []
        for query, least in ((-1, -(2**62)), (-1, 0), (0, v), (-(2**63), 1), (-1, v // 2), (-7, v - 1), (-1, 2**62)):
            row = np.array([[query, least, *9 * [0]]])
            for steps in (np.concatenate([hints["steps"], row]), np.concatenate([row, hints["steps"]])):
                bounds.append(histogram.bound(verifying(case.model), {**hints, "steps": steps}))
        assert bounds[:6] == 6 * [all_of_them], case.name
        assert sorted(bounds, reverse=True) == bounds, case.name
        assert all_of_them - bounds[7] <= 1, case.name  # the one input whose largest token is 0
        assert all_of_them <= truth, case.name
        lost += bounds[-1] < bounds[0]
    assert lost > 3


@pytest.mark.parametrize("chunk", [1, 40, 1000])
def test_integers_of_blocks_of_positions(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """They are those of all positions at once, to the last number, and refused where those are."""
    rng, work, refused = np.random.default_rng(chunk), verifying(cases("working")[0].model), 0
    for _ in range(60):
        positions, tokens, outputs = (int(rng.integers(least, top)) for least, top in ((1, 71), (2, 9), (0, 7)))
        mid = rng.normal(size=(positions, tokens, outputs)) * 10.0 ** rng.integers(-9, 9, outputs)
        rad = np.abs(mid) * 10.0 ** rng.integers(-17, -3)
        if rng.random() < 0.2:
            rad[rng.integers(positions)] *= 1e20
        found: list[tuple[Any, ...]] = []
        for some in (chunk, 2**40):
            monkeypatch.setattr(class_margins, "_CHUNK", some)
            try:
                found.append(class_margins.grid(work, Enclosure(mid, rad), int(tokens - 1)))
            except OverflowError:
                found.append(())
        assert len(found[0]) == len(found[1])
        assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))
        refused += not found[0]
    assert 0 < refused < 30


def failing_sets(model: Model) -> int:
    """What is proved by failing sets."""
    strategy = STRATEGIES["failing-sets"]
    return strategy.bound(verifying(model), search_hints(strategy, workspace(model, "value")))


@pytest.mark.parametrize("histograms", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_trained_model_with_five_positions(histograms: bool) -> None:
    """Every one of 2^30 inputs is decided, and histograms agree."""
    model = load_model("max-of-5/742")
    exact, same = brackets("branch-and-bound", model)

    assert exact == same
    assert exact - 1e-3 * max_of_k(model).task.total < failing_sets(model) <= exact
    if histograms:
        lower, upper = brackets("histogram", model)
        assert lower <= exact <= upper
        assert upper - lower < 2e-5 * max_of_k(model).task.total


def right_and_tied(model: Model) -> tuple[int, int]:
    """Right answers, and inputs whose label only ties for the largest logit, of a model that attends evenly."""
    assert not model.W_Q.any()
    exact = np.vectorize(lambda x: Fraction(float(x)), otypes=[object])
    E, P, V, out, U = (exact(getattr(model, name)) for name in ("W_E", "W_pos", "W_V", "W_O", "W_U"))
    right = tied = 0
    for x in product(range(model.d_vocab), repeat=model.n_ctx):
        stream = E[list(x)] + P
        logits = list((stream[-1] + stream.sum(axis=0) / model.n_ctx @ V @ out) @ U)
        label = logits.pop(max(x))
        right, tied = right + (label > max(logits)), tied + (label == max(logits))
    return right, tied


def test_ties_are_wrong_but_not_proved_wrong() -> None:
    """Bounds from below do not count them, bounds from above do."""
    rng = np.random.default_rng(3)
    models = [case.model for case in cases("ties")]
    for v, n in ((4, 3), (3, 4), (3, 5)):
        weights = random_weights(rng, v, n, 3, 2, 1.0, integers=True)
        models.append(Model(**{**weights, "W_Q": 0.0 * weights["W_Q"], "W_U": np.sign(weights["W_U"])}))
    all_tied = 0
    for model in models:
        if not model.W_Q.any():
            right, tied = right_and_tied(model)
            all_tied += tied

            assert brackets("branch-and-bound", model) == (right, right + tied)
            lower, upper = brackets("histogram", model)
            assert lower <= right
            assert right + tied <= upper
    assert all_tied > 50


def test_limited_work_loses_inputs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer boxes than needed, the bounds move apart."""
    model = cases("rough")[-1].model
    right = exact_correct(model)
    widths = []
    for boxes in (0, 30, 10**6):
        monkeypatch.setattr(branch_and_bound, "MAX_BOXES", boxes)
        lower, upper = brackets("branch-and-bound", model)

        assert lower <= right <= upper
        widths.append(upper - lower)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > widths[-1] == 0


def test_sizes_that_are_refused() -> None:
    """With a reason, and not by trying."""
    rng = np.random.default_rng(0)
    long = Model(**working_weights(rng, 2, 1025))
    wide = Model(**working_weights(rng, 513, 2))
    many = Model(**working_weights(rng, 64, 8))

    assert "1025" in str(histogram.limit(max_of_k(long)))
    assert "v = 512" in str(histogram.limit(max_of_k(wide)))
    assert "v = 512" in str(branch_and_bound.limit(max_of_k(wide)))
    assert "64^8" in str(branch_and_bound.limit(max_of_k(many)))
    assert histogram.limit(max_of_k(many)) is None


# --- errors on purpose ---


def broken_counts(sums: ModuleType, number: int | None = None) -> bool:
    """Whether some count of a copy of `counting.sums` is on the wrong side."""
    work = verifying(cases("working")[0].model)

    def wrong(problem: Problem) -> bool:
        axis = sums.Axis(problem.entries[:, :, 0], int(problem.start[0]), *problem.window)
        conditions = problem.conditions(sums.Conditions)
        under, over = (sums.count_at_most_zero(work, axis, conditions, problem.counts, side) for side in (False, True))
        return not under <= problem.answer() <= over

    return any(wrong(problem) for problem in (*LOST_OF_KINDS, *problems(0, 500, axes=1)[:number]))


def broken_ends(ends: ModuleType) -> bool:
    """Whether some count of a copy of `counting.both_ends` is on the wrong side, or is not exact where it should be."""
    work = verifying(cases("working")[0].model)

    def wrong(problem: Problem, number: int) -> bool:
        rng = np.random.default_rng([0, number])
        how, exact = random_meeting(rng, problem), False
        if rng.random() < 0.02:
            how = how._replace(number=2**24)
        elif rng.random() < 0.5:
            points, exact = every_sum(problem)
            how = how._replace(labels=apart(problem), edges=points, number=500)
        arguments = problem.entries, problem.start, problem.conditions(ends.Conditions), problem.counts, how
        try:
            under, over = (ends.count_from_both_ends(work, *arguments, side) for side in (False, True))
        except (ValueError, IndexError):  # some errors fit no arrays
            return False
        return not under <= problem.answer() <= over or (exact and under != over)

    return any(wrong(problem, number) for number, problem in enumerate(ends_tried()))


@cache
def ends_tried() -> list[Problem]:
    """Problems with at most two sums where many points are, and with three."""
    lost = [problem for problem in LOST for _ in range(8)]
    return [*lost, *problems(1, 300, axes=2), *problems(2, 100), *problems(3, 30, axes=1, most=6)]


def broken_some(some: ModuleType) -> bool:
    """Whether some count of a copy of `counting.some_sum` is on the wrong side, or is not exact where it should be."""
    work = verifying(cases("working")[0].model)

    def wrong(problem: Problem, number: int) -> bool:
        rng = np.random.default_rng([0, number])
        how, exact = random_branching(rng, problem), False
        if rng.random() < 0.05:
            how = how._replace(number=2**40)
        elif rng.random() < 0.4 or number > 300:
            how, exact = all_branches(problem)
            how = how._replace(first=int(rng.integers(0, len(problem.entries) + 1)) if rng.random() < 0.5 else 0)
        if len(problem.counts) == 64:  # additions are lost in tables, which there are few of in branches
            how = Branching(0 * apart(problem), apart(problem), how.edges, 9, number % 2, 60, 0.0, 9)
        arguments = problem.entries, problem.start, problem.conditions(some.Conditions), problem.counts, how
        try:
            under, over = (some.count_where_some(work, *arguments, side) for side in (False, True))
        except (ValueError, IndexError):  # some errors fit no arrays
            return False
        return not under <= problem.answer(True) <= over or (exact and under != over)

    return any(wrong(problem, number) for number, problem in enumerate(some_tried()))


@cache
def some_tried() -> list[Problem]:
    """Problems with few sums and many, and such as have many equal sums."""
    found = [*LOST, *LOST, *problems(1, 200, axes=4), *problems(3, 60, axes=3, most=6)]
    for problem in problems(4, 100):
        found.append(replace(problem, entries=np.sign(problem.entries), start=np.sign(problem.start)))
    return found


@cache
def classes() -> list[tuple[ClassMargins, list[Step] | Branches, int, int]]:
    """Small classes, with what to count and their inputs that are certainly and possibly wrong."""
    rng, of_branches = np.random.default_rng(0), np.random.default_rng(1)
    found: list[tuple[ClassMargins, list[Step] | Branches, int, int]] = []
    for _ in range(500):
        margins = random_class(rng, int(rng.choice([2, 20])))
        counts = wrong_inputs(margins)[:2]
        found += [(margins, random_steps(rng, margins), *counts) for _ in range(3)]
        by_branches = random_branches(of_branches, margins)
        if of_branches.random() < 0.6:
            by_branches = exact_branches(of_branches)._replace(ranks=of_branches.integers(0, 4, 9))
        found.append((margins, by_branches, *counts))
    return found


def broken_unions(unions: ModuleType, number: int | None = None) -> bool:
    """Whether some bound of a copy of `counting.unions` is on the wrong side."""
    work = verifying(cases("working")[0].model)

    def wrong(margins: ClassMargins, steps: list[Step] | Branches, certainly: int, possibly: int) -> bool:
        # The copy has kinds of its own.
        own: Any
        if isinstance(steps, Branches):
            own = unions.Branches(*steps)
        else:
            own = [step._replace(how=getattr(unions, type(step.how).__name__)(*step.how)) for step in steps]
        try:
            under, over = (unions.wrong_inputs(work, margins, own, side) for side in (False, True))
        except (ValueError, IndexError):  # some errors fit no arrays
            return False
        return not (under <= certainly and possibly <= over)

    return any(wrong(*known) for known in classes()[:number])


def broken_bounds(planted: Planted, module: str, models: tuple[Case, ...], error: str = "") -> bool:
    """Whether a copy of a strategy is on the wrong side of the truth for some model."""
    kind = module.partition(".")[2].replace("_", "-")

    def wrong(case: Case) -> Iterator[str]:
        lower, upper = (
            planted.bound(strategy, case.model, hints=planted.search(strategy, case.model))
            for strategy in (kind, f"{kind}-upper")
        )
        if not lower <= exact_correct(case.model) <= upper:
            yield case.name

    return next(showing(models, wrong, error), None) is not None


COUNTING_ERRORS: dict[str, tuple[Change, ...]] = {
    "bins are rounded the wrong way": (
        (
            "counting.sums",
            "k = shifted // axis.width if over else",
            "k = shifted // axis.width if not over else",
        ),
    ),
    "the start is rounded down on both sides": (
        (
            "counting.sums",
            "first // axis.width if over else -(-first // axis.width)",
            "first // axis.width",
        ),
    ),
    "a sum of 0 counts as positive": (("counting.sums", "max(low - 1, -least)", "max(low - 1, -least - 1)"),),
    "a sum of 1 is done": (("counting.sums", "(-most, min(", "(1 - most, min("),),
    "what is above the window is dropped": (
        ("counting.sums", "max(low - 1, -least)", "max(low - 1, min(high, -least))"),
    ),
    "what is below the window is dropped": (("counting.sums", "max(low - 1, -least)", "-least"),),
    "what is below the window is done": (("counting.sums", "(-most, min(", "(max(low - 1, -most), min("),),
    "sets need not be met": (("counting.sums", "rounded(float(states[-1, 0])", "rounded(float(states[0, 0])"),),
    "sets are met by any token": (
        ("counting.sums", "import Conditions", "import Conditions"),
        ("branching.conditions", "groups & ~bits[:, None]", "groups & 0 * bits[:, None]"),
    ),
    "least and most of the steps as they are clipped": (
        (
            "counting.sums",
            "    smallest, largest = k.min(axis=1).tolist(), k.max(axis=1).tolist()",
            "    k = np.clip(k, axis.low - axis.high - 1, axis.high - axis.low + 1)\n"
            "    smallest, largest = k.min(axis=1).tolist(), k.max(axis=1).tolist()",
        ),
    ),
    "a token leads to none": (("counting.sums", "found[before < 0]", "found[before <= 0]"),),
    "tokens count 1": (("counting.sums", "moves[kind, move] += count", "moves[kind, move] += 1"),),
    "tokens in one bin count once": (("counting.sums", "numbers if times == 1 else", "numbers if True else"),),
    "nothing for rounding": (("counting.sums", "slack = Fraction(2 * passed, 2**53)", "slack = Fraction(0)"),),
    "nothing for rounding where tokens are added up": (("counting.sums", "passed += tokens + 8", "passed += 8"),),
}

ENDS_ERRORS: dict[str, Change] = {
    "clusters take the best of their tokens": (
        "counting.both_ends",
        "(np.minimum if over else np.maximum).reduceat",
        "(np.maximum if over else np.minimum).reduceat",
    ),
    "clusters from above only": (
        "counting.both_ends",
        "(np.minimum if over else np.maximum).reduceat",
        "np.minimum.reduceat",
    ),
    "clusters join tokens with other conditions before them": (
        "counting.both_ends",
        "len(rows) * label + kind",
        "len(rows) * label",
    ),
    "clusters of different kinds have equal numbers": (
        "counting.both_ends",
        "len(rows) * label + kind",
        "label + kind",
    ),
    "the kind of another token of the cluster": (
        "counting.both_ends",
        "before[:, kind[by_cluster[begin]]]",
        "before[:, kind[begin]]",
    ),
    "a cluster counts its number of tokens": (
        "counting.both_ends",
        "np.add.reduceat(counts[by_cluster], begin)",
        "sizes",
    ),
    "a cluster counts as one token": (
        "counting.both_ends",
        "np.add.reduceat(counts[by_cluster], begin)",
        "np.ones_like(begin)",
    ),
    "a cluster counts what its first token does": (
        "counting.both_ends",
        "np.add.reduceat(counts[by_cluster], begin)",
        "counts[by_cluster[begin]]",
    ),
    "the start is where it was": (
        "counting.both_ends",
        "start + np.sum(",
        "start + 0 * np.sum(",
    ),
    "offsets are taken away from the start": (
        "counting.both_ends",
        "start + np.sum(",
        "start - np.sum(",
    ),
    "offsets are added": (
        "counting.both_ends",
        "(extreme - offset).T",
        "(extreme + offset).T",
    ),
    "entries as they were": (
        "counting.both_ends",
        "(extreme - offset).T",
        "extreme.T",
    ),
    "nothing is left of sums of 0": (
        "counting.both_ends",
        ".sum()) > 0 for j in range(axes)",
        ".sum()) >= 0 for j in range(axes)",
    ),
    "the last of no positions is counted from the end": (
        "counting.both_ends",
        "first = min(max(how.first, 0), positions)",
        "first = min(how.first, positions)",
    ),
    "where too much is asked for there is nothing": (
        "counting.both_ends",
        "everything = int(counts.sum()) ** positions if over else 0",
        "everything = 0",
    ),
    "where too much is asked for there is everything, from below, too": (
        "counting.both_ends",
        "int(counts.sum()) ** positions if over else 0",
        "int(counts.sum()) ** positions",
    ),
    "where too much is asked for tokens count 1": (
        "counting.both_ends",
        "int(counts.sum()) ** positions",
        "len(counts) ** positions",
    ),
    "any condition is asked for": (
        "counting.both_ends",
        "len(conditions.empty) - 1, reach",
        "0, reach",
    ),
    "ways from the start have no numbers": (
        "counting.both_ends",
        "np.outer(ways.number, step.number).ravel()[kept]",
        "np.ones(len(kept))",
    ),
    "ways lead to other conditions": (
        "counting.both_ends",
        "step.before[ways.condition].ravel()",
        "np.repeat(ways.condition, len(step.number))",
    ),
    "ways to the first condition are forgotten": (
        "counting.both_ends",
        "(condition >= 0)",
        "(condition > 0)",
    ),
    "ways to sums of 0 are forgotten": (
        "counting.both_ends",
        "at + of_others[:, None] <= 0",
        "at + of_others[:, None] < 0",
    ),
    "ways are forgotten whatever the others are": (
        "counting.both_ends",
        "at + of_others[:, None] <= 0",
        "at <= 0",
    ),
    "the others' least sums in another order": (
        "counting.both_ends",
        "least[:-1][::-1]",
        "least[:-1]",
    ),
    "the others are the first ones only": (
        "counting.both_ends",
        "reach.least[left:])",
        "reach.least[: positions - left + 1])",
    ),
    "the largest sum is taken for the least": (
        "counting.both_ends",
        "step.entries.min(axis=1) for step",
        "step.entries.max(axis=1) for step",
    ),
    "the empty sequence meets everything": (
        "counting.both_ends",
        "np.append(empty, False)",
        "np.append(empty | True, False)",
    ),
    "there is a condition that is always met": (
        "counting.both_ends",
        "np.append(empty, False)",
        "np.append(empty, True)",
    ),
    "none leads to the first condition": (
        "counting.both_ends",
        "np.full((1, len(rows)), -1)",
        "np.full((1, len(rows)), 0)",
    ),
    "conditions before are those after": (
        "counting.both_ends",
        "met = met[step.before].transpose(0, 2, 1)",
        "met = met[np.arange(len(met))[:, None] + 0 * step.before].transpose(0, 2, 1)",
    ),
    "sequences have no numbers": (
        "counting.both_ends",
        "number = np.outer(number, step.number).ravel()",
        "number = np.outer(number, 0 * step.number + 1).ravel()",
    ),
    "sums at a point are beyond it": (
        "counting.both_ends",
        '-of_axis, side="right") - 1 for wanted',
        '-of_axis, side="left") - 1 for wanted',
    ),
    "sums count a point further": (
        "counting.both_ends",
        '-of_axis, side="right") - 1 for wanted',
        '-of_axis, side="right") for wanted',
    ),
    "sums are not turned around": (
        "counting.both_ends",
        'np.searchsorted(wanted, -of_axis, side="right")',
        'np.searchsorted(wanted, of_axis, side="right")',
    ),
    "what counts at the first point only is left out": (
        "counting.both_ends",
        "[one >= 0 for one in place]",
        "[one > 0 for one in place]",
    ),
    "counts are cumulative from the other end": (
        "counting.both_ends",
        "np.flip(np.cumsum(np.flip(table, axis), axis=axis), axis)",
        "np.cumsum(table, axis=axis)",
    ),
    "counts are not cumulative on the last axis": (
        "counting.both_ends",
        "range(1, axes + 1)",
        "range(1, axes)",
    ),
    "counts are not cumulative on the first axis": (
        "counting.both_ends",
        "range(1, axes + 1)",
        "range(2, axes + 1)",
    ),
    "conditions before are forgotten in between": (
        "counting.both_ends",
        "found = table[lead]",
        "found = table.copy()",
    ),
    "tokens in between count 1": (
        "counting.both_ends",
        "        found *= number\n",
        "",
    ),
    "tokens in between lead nowhere": (
        "counting.both_ends",
        "place_of(old, new + entry, over)",
        "place_of(old, new, over)",
    ),
    "entries in between are taken away": (
        "counting.both_ends",
        "place_of(old, new + entry, over)",
        "place_of(old, new - entry, over)",
    ),
    "of tokens in between the last is known": (
        "counting.both_ends",
        "result += found",
        "result = found",
    ),
    "numbers are rounded up from above": (
        "counting.both_ends",
        "- 1 if over else np.searchsorted(points, numbers)",
        "- 0 if over else np.searchsorted(points, numbers)",
    ),
    "numbers are rounded down from below": (
        "counting.both_ends",
        "else np.searchsorted(points, numbers)",
        'else np.searchsorted(points, numbers, side="right") - 1',
    ),
    "points are rounded down to those before": (
        "counting.both_ends",
        'numbers, side="right") - 1 if over',
        "numbers) - 1 if over",
    ),
    "points are rounded up to those after": (
        "counting.both_ends",
        "else np.searchsorted(points, numbers)",
        'else np.searchsorted(points, numbers, side="right")',
    ),
    "nothing is rounded to the first point": (
        "counting.both_ends",
        "np.clip(place, 0,",
        "np.clip(place, 1,",
    ),
    "nothing is rounded to the last point": (
        "counting.both_ends",
        "len(points) - 1)",
        "len(points) - 2)",
    ),
    "points at which nothing counts are points at which something does": (
        "counting.both_ends",
        "int(1 - least[p])",
        "int(-least[p])",
    ),
    "points at which all counts are points at which something does not": (
        "counting.both_ends",
        "int(-most[p])",
        "int(1 - most[p])",
    ),
    "additions are not rounded": (
        "counting.both_ends",
        "passed if value >= 2.0**53 else 0",
        "0",
    ),
    "sequences that come together are not rounded": (
        "counting.both_ends",
        "return table, number.size + sum(shape)",
        "return table, 1",
    ),
    "tokens in between are added up without rounding": (
        "counting.both_ends",
        "        passed += len(step.number)\n",
        "",
    ),
}

SOME_ERRORS: dict[str, Change] = {
    "clusters from above are those from below": (
        "counting.some_sum",
        "clusters(of_sum[:, :, None], conditions, counts, how.finer[order], over)",
        "clusters(of_sum[:, :, None], conditions, counts, how.finer[order], False)",
    ),
    "clusters of tables from below are those from above": (
        "counting.some_sum",
        "clusters(of_sum[:, :, None], conditions, counts, how.finer[order], over)",
        "clusters(of_sum[:, :, None], conditions, counts, how.finer[order], True)",
    ),
    "clusters of branches from above only": (
        "counting.some_sum",
        "how.labels[sums.order], over)",
        "how.labels[sums.order], True)",
    ),
    "clusters of branches from below only": (
        "counting.some_sum",
        "how.labels[sums.order], over)",
        "how.labels[sums.order], False)",
    ),
    "branches in another order than tables": (
        "counting.some_sum",
        "    return Sums(entries, start, order,",
        "    return Sums(entries[::-1], start, order,",
    ),
    "with too many positions there is nothing": (
        "counting.some_sum",
        "return int(counts.sum()) ** len(entries) if over else 0",
        "return 0",
    ),
    "with too many positions there is everything, from below, too": (
        "counting.some_sum",
        "return int(counts.sum()) ** len(entries) if over else 0",
        "return int(counts.sum()) ** len(entries)",
    ),
    "where too much is asked for tokens count 1": (
        "counting.some_sum",
        "int(counts.sum()) ** len(entries)",
        "len(counts) ** len(entries)",
    ),
    "sums of all axes take the largest entries": (
        "counting.some_sum",
        "np.minimum.accumulate(",
        "np.maximum.accumulate(",
    ),
    "sums of all axes are those of one": ("counting.some_sum", "(joint[:, :, j], int", "(entries[:, :, j], int"),
    "sums of all axes leave out the last": ("counting.some_sum", "(one[..., ::-1]", "(one[..., -2::-1]"),
    "sums of all axes are those of the axes before": (
        "counting.some_sum",
        "(one[..., ::-1], axis=-1)[..., ::-1]",
        "(one, axis=-1)",
    ),
    "sums of axes after one": ("counting.some_sum", "(joint[:, :, j], int", "(joint[:, :, j + 1], int"),
    "any condition is asked for": ("counting.some_sum", "np.array([len(conditions.empty) - 1])", "np.array([0])"),
    "the empty sequence meets nothing": (
        "counting.some_sum",
        "meeting = [np.append(conditions.empty, False)",
        "meeting = [np.append(conditions.empty & False, False)",
    ),
    "all sequences that meet a condition count 1": (
        "counting.some_sum",
        "(meeting[-1][step.before] * step.number)",
        "meeting[-1][step.before]",
    ),
    "sequences of one position less meet conditions": (
        "counting.some_sum",
        "bound = np.minimum(bound, meeting[p][condition])",
        "bound = np.minimum(bound, meeting[max(p - 1, 0)][condition])",
    ),
    "sequences of one position more meet conditions": (
        "counting.some_sum",
        "bound = np.minimum(bound, meeting[p][condition])",
        "bound = np.minimum(bound, meeting[p - positions][condition])",
    ),
    "what is met by all is what is met last": (
        "counting.some_sum",
        "bound = np.minimum(bound, meeting[p][condition])",
        "bound = np.minimum(bound, meeting[p][-2])",
    ),
    "sums of 0 are forgotten": ("counting.some_sum", "alive = z + least[p] <= 0", "alive = z + least[p] < 0"),
    "sums are forgotten whatever follows": ("counting.some_sum", "alive = z + least[p] <= 0", "alive = z <= 0"),
    "sums are forgotten where most is positive": (
        "counting.some_sum",
        "alive = z + least[p] <= 0",
        "alive = z + most[p] <= 0",
    ),
    "ways of sums of 0 are forgotten": (
        "counting.some_sum",
        "(z + least[p - 1] <= 0).any(axis=0)",
        "(z + least[p - 1] < 0).any(axis=0)",
    ),
    "ways are forgotten where one sum is positive": (
        "counting.some_sum",
        "(z + least[p - 1] <= 0).any(axis=0)",
        "(z + least[p - 1] <= 0).all(axis=0)",
    ),
    "ways are forgotten by what follows one position later": (
        "counting.some_sum",
        "(z + least[p - 1] <= 0).any(axis=0)",
        "(z + least[max(p - 2, 0)] <= 0).any(axis=0)",
    ),
    "tables of one position less": (
        "counting.some_sum",
        "_bounds([table[p] for table in tables]",
        "_bounds([table[max(p - 1, 0)] for table in tables]",
    ),
    "tables of one position more": (
        "counting.some_sum",
        "_bounds([table[p] for table in tables]",
        "_bounds([table[min(p + 1, positions)] for table in tables]",
    ),
    "settled ways count once": (
        "counting.some_sum",
        "settled = number * (bound if over else lowest)",
        "settled = 1.0 * (bound if over else lowest)",
    ),
    "settled ways count as from below": (
        "counting.some_sum",
        "settled = number * (bound if over else lowest)",
        "settled = number * lowest",
    ),
    "settled ways count as from above": (
        "counting.some_sum",
        "settled = number * (bound if over else lowest)",
        "settled = number * bound",
    ),
    "ways that are followed count twice": ("counting.some_sum", "        settled[follow] = 0.0\n", ""),
    "only ways of the last position count": (
        "counting.some_sum",
        "value += float(settled.sum())",
        "value = float(settled.sum())",
    ),
    "ways beyond the limit are lost": (
        "counting.some_sum",
        "        follow = follow[:",
        "        number[follow[max(min(how.most - made, _MOST_WAYS // axes), 0) // size :]] = 0.0\n"
        "        follow = follow[:",
    ),
    "ways that gain little are lost": (
        "counting.some_sum",
        "        size = len(rough[p - 1].number) if follow.size else 1\n",
        "        size = len(rough[p - 1].number) if follow.size else 1\n"
        "        number = np.where((bound - lowest) * number > how.threshold, number, 0.0)\n",
    ),
    "ways that gain nothing are lost": (
        "counting.some_sum",
        "        size = len(rough[p - 1].number) if follow.size else 1\n",
        "        size = len(rough[p - 1].number) if follow.size else 1\n"
        "        number = np.where(bound > lowest, number, 0.0)\n",
    ),
    "ways are rounded the other way": (
        "counting.some_sum",
        "shift.astype(np.int64), over)",
        "shift.astype(np.int64), not over)",
    ),
    "ways are rounded down on both sides": (
        "counting.some_sum",
        "shift.astype(np.int64), over)",
        "shift.astype(np.int64), True)",
    ),
    "ways are rounded up on both sides": (
        "counting.some_sum",
        "shift.astype(np.int64), over)",
        "shift.astype(np.int64), False)",
    ),
    "ways are rounded without the offset they lose": (
        "counting.some_sum",
        "z[:, follow] + offset, shift",
        "z[:, follow], shift",
    ),
    "offsets are forgotten in tables": ("counting.some_sum", "at + table.offset, over)", "at, over)"),
    "offsets of branches are forgotten": ("counting.some_sum", "(step.entries + step.offset[:, None])", "step.entries"),
    "offsets are those of all positions": ("counting.some_sum", "values, int(offset[p]))", "values, int(offset[-1]))"),
    "offsets are those of one position less": (
        "counting.some_sum",
        "values, int(offset[p]))",
        "values, int(offset[max(p - 1, 0)]))",
    ),
    "what is forgotten is not beyond all sums": (
        "counting.some_sum",
        "np.where(alive[:, follow], z, 1 - least[p])",
        "np.where(alive[:, follow], z, -least[p])",
    ),
    "what is alive is forgotten": (
        "counting.some_sum",
        "np.where(alive[:, follow], z, 1 - least[p])",
        "np.where(~alive[:, follow], z, 1 - least[p])",
    ),
    "entries are taken away from ways": (
        "counting.some_sum",
        "z = (z[:, :, None] + (step",
        "z = (z[:, :, None] - (step",
    ),
    "ways lead to the same condition": (
        "counting.some_sum",
        "step.before[condition].ravel()",
        "np.repeat(condition, len(step.number))",
    ),
    "ways have no numbers": (
        "counting.some_sum",
        "np.outer(number, step.number).ravel()",
        "np.repeat(number, len(step.number))",
    ),
    "clusters count one in branches": (
        "counting.some_sum",
        "np.outer(number, step.number).ravel()",
        "np.outer(number, 0 * step.number + 1).ravel()",
    ),
    "ways to the first condition are forgotten": ("counting.some_sum", "(condition >= 0) &", "(condition > 0) &"),
    "the step of another position": ("counting.some_sum", "step = rough[p - 1]", "step = rough[positions - p]"),
    "lowest sums count from above": (
        "counting.some_sum",
        "lowest: Floats = alone.max(axis=0)",
        "lowest: Floats = alone.sum(axis=0)",
    ),
    "from above the largest decides": (
        "counting.some_sum",
        "alone[j] + bound, looked_up",
        "np.maximum(alone[j], bound), looked_up",
    ),
    "sums of all axes are looked up at the largest": (
        "counting.some_sum",
        "closest = np.minimum(closest,",
        "closest = np.maximum(closest,",
    ),
    "the closest is that of one axis": (
        "counting.some_sum",
        "closest = np.minimum(closest, np.where(alive[j], z[j], _FAR))",
        "closest = np.where(alive[j], z[j], _FAR)",
    ),
    "the last sum is not the closest": (
        "counting.some_sum",
        "np.where(alive[-1], z[-1], _FAR)",
        "np.full(len(condition), _FAR)",
    ),
    "the last sum does not count": (
        "counting.some_sum",
        "bound, closest = alone[-1],",
        "bound, closest = 0 * alone[-1],",
    ),
    "the first of many sums does not count": (
        "counting.some_sum",
        "range(len(z) - 2, -1, -1)",
        "range(len(z) - 2, 0, -1)",
    ),
    "any condition is looked up": (
        "counting.some_sum",
        "table.values[condition, place_of",
        "table.values[-2, place_of",
    ),
    "rounded up in tables from above": (
        "counting.some_sum",
        "place_of(table.points, at + table.offset, over)",
        "place_of(table.points, at + table.offset, not over)",
    ),
    "rounded up in tables": (
        "counting.some_sum",
        "place_of(table.points, at + table.offset, over)",
        "place_of(table.points, at + table.offset, False)",
    ),
    "rounded down in tables": (
        "counting.some_sum",
        "place_of(table.points, at + table.offset, over)",
        "place_of(table.points, at + table.offset, True)",
    ),
    "one below 0 becomes 1": (
        "counting.some_sum",
        "np.where((z > 0) & (lower <= 0), 1, lower)",
        "np.where(lower <= 0, 1, lower)",
    ),
    "from below ways are rounded to the nearest": (
        "counting.some_sum",
        "return -((-z >> shift) << shift)",
        "return (z + (1 << shift >> 1) >> shift) << shift",
    ),
    "from above ways are rounded to the nearest": (
        "counting.some_sum",
        "lower = (z >> shift) << shift",
        "lower = ((z + (1 << shift >> 1)) >> shift) << shift",
    ),
    "ways of other conditions become one": ("counting.some_sum", " | (condition[1:] != condition[:-1]))", ")"),
    "ways of other sums become one": ("counting.some_sum", "(z[:, 1:] != z[:, :-1]).any(axis=0) |", ""),
    "ways of equal key become one": (
        "counting.some_sum",
        "np.append(True, (z[:, 1:] != z[:, :-1]).any(axis=0) | (condition[1:] != condition[:-1]))",
        "np.append(True, np.diff((z.sum(axis=0) + condition)) != 0)",
    ),
    "of equal ways one is kept": (
        "counting.some_sum",
        "np.add.reduceat(number[by_key], begin)",
        "number[by_key][begin]",
    ),
    "numbers of ways stay where they were": (
        "counting.some_sum",
        "np.add.reduceat(number[by_key], begin)",
        "np.add.reduceat(number, begin)",
    ),
    "sums of ways stay where they were": (
        "counting.some_sum",
        "z, condition = z[:, by_key], condition[by_key]",
        "condition = condition[by_key]",
    ),
    "conditions of ways stay where they were": (
        "counting.some_sum",
        "z, condition = z[:, by_key], condition[by_key]",
        "z = z[:, by_key]",
    ),
    "all counts at the first point only from above": (
        "counting.some_sum",
        "-most if over else 1 - least))",
        "1 - most if over else 1 - least))",
    ),
    "something counts at the last point": (
        "counting.some_sum",
        "-most if over else 1 - least))",
        "-most if over else -least))",
    ),
    "there is no first point": (
        "counting.some_sum",
        "np.unique(np.append(inner, -most if over else 1 - least))",
        "np.unique(inner)",
    ),
    "tables move on by another position": (
        "counting.some_sum",
        "steps[p - 1], [found[-1].points]",
        "steps[p - 2], [found[-1].points]",
    ),
    "tables move on the wrong way": ("counting.some_sum", "[points], over)", "[points], not over)"),
    "tables move on from below": ("counting.some_sum", "[points], over)", "[points], False)"),
    "tables move on from above": ("counting.some_sum", "[points], over)", "[points], True)"),
    "additions in tables are not rounded": (
        "counting.some_sum",
        "rounded(value, sums.passed + in_branches",
        "rounded(value, in_branches",
    ),
    "nothing is rounded": ("counting.some_sum", "rounded(value, sums.passed + in_branches", "rounded(value, 0"),
    "rounded the other way": ("counting.some_sum", "in_branches, over)", "in_branches, not over)"),
    "least is cumulative in another order": (
        "counting.some_sum",
        "entries.min(axis=1)]), axis=0)[:, :, None]",
        "entries[::-1].min(axis=1)]), axis=0)[:, :, None]",
    ),
    "the least sum is the largest": (
        "counting.some_sum",
        "least = np.cumsum(np.concatenate([nothing, entries.min",
        "least = np.cumsum(np.concatenate([nothing, entries.max",
    ),
}

UNIONS_ERRORS: dict[str, tuple[Change, ...]] = {
    "by branches, outputs of rank 0 cannot fail": (
        (
            "counting.unions",
            "rank = np.where(rank == 0, len(rank) + how.ranks.max(initial=0), rank)",
            "rank = rank.copy()",
        ),
    ),
    "by branches, outputs of rank 0 are those of the first": (
        ("counting.unions", "len(rank) + how.ranks.max(initial=0), rank)", "0 * rank, rank)"),
    ),
    "by branches, the first outputs cannot fail": (
        ("counting.unions", "in np.unique(rank[rank > 0])]", "in np.unique(rank[rank > 0])[1:]]"),
    ),
    "by branches, the last outputs cannot fail": (
        ("counting.unions", "in np.unique(rank[rank > 0])]", "in np.unique(rank[rank > 0])[:1]]"),
    ),
    "by branches, one output of a rank can fail": (
        ("counting.unions", "np.flatnonzero(rank == each)", "np.flatnonzero(rank == each)[:1]"),
    ),
    "by branches, the best output on both sides": (
        ("counting.unions", "np.minimum if over else np.maximum", "np.maximum"),
    ),
    "by branches, the worst output on both sides": (
        ("counting.unions", "np.minimum if over else np.maximum", "np.minimum"),
    ),
    "by branches, the best output from above": (
        ("counting.unions", "np.minimum if over else np.maximum", "np.maximum if over else np.minimum"),
    ),
    "by branches, all start at the best output": (
        ("counting.unions", "[extreme.reduce(last[these])", "[last[these].max()"),
    ),
    "by branches, all start at the first output": (
        ("counting.unions", "[extreme.reduce(last[these])", "[last[these[0]]"),
    ),
    "by branches, entries from below are the lower ones": (
        (
            "counting.unions",
            "(margins.low, margins.low_last) if over else (margins.high, margins.high_last)\n    extreme",
            "(margins.low, margins.low_last)\n    extreme",
        ),
    ),
    "by branches, entries from above are the higher ones": (
        (
            "counting.unions",
            "(margins.low, margins.low_last) if over else (margins.high, margins.high_last)\n    extreme",
            "(margins.high, margins.high_last)\n    extreme",
        ),
    ),
    "by branches, sets need not be met": (
        (
            "counting.unions",
            "of_class = margins.conditions, margins.counts\n",
            "of_class = type(margins.conditions).of_sets(margins.required[:0]), margins.counts\n",
        ),
    ),
    "by branches, what may fail fails": (
        (
            "counting.unions",
            "count_some_failing(work, margins, steps, over), ",
            "count_some_failing(work, margins, steps, True), ",
        ),
    ),
    "by branches, what need not fail does not": (
        (
            "counting.unions",
            "count_some_failing(work, margins, steps, over), ",
            "count_some_failing(work, margins, steps, False), ",
        ),
    ),
    "inputs of two outputs together are taken away": (
        ("counting.unions", "*([index] for index in alone)", "*([alone] if alone else [])"),
    ),
    "what others take away is forgotten": (("counting.unions", "*([others] if others else [])]", "]"),),
    "the joint count takes the best output": (
        ("counting.unions", "entries[:, :, outputs].min(axis=2)", "entries[:, :, outputs].max(axis=2)"),
    ),
    "the joint count starts at the best output": (
        ("counting.unions", "int(last[outputs].min())", "int(last[outputs].max())"),
    ),
    "inputs that fail for two outputs count twice": (
        ("counting.unions", "others = [] if over", "others = [] if True"),
    ),
    "inputs that fail for three outputs count twice": (
        (
            "counting.unions",
            "[index for index in counted.values() if index not in alone]",
            "list(counted.values())[-1:]",
        ),
    ),
    "the others that fail are not those that are left": (
        ("counting.unions", "for index in counted.values() if index not in alone]", "for index in alone]"),
    ),
    "from above, all earlier outputs are taken away together": (
        ("counting.unions", "others = [] if over else", "others = [] if over and len(counted) < 2 else"),
    ),
    "from below, what fails for all earlier outputs is left out": (
        ("counting.unions", "-entries[:, :, others].min(axis=2)", "-entries[:, :, others].max(axis=2)"),
    ),
    "from below, earlier outputs start at the best": (
        ("counting.unions", "1 - int(last[others].min())", "1 - int(last[others].max())"),
    ),
    "what was not counted is taken away": (
        (
            "counting.unions",
            "_taken_away(step, counted, over)",
            "_taken_away(step, counted | left if over else counted, over)",
        ),
    ),
    "outputs that fail elsewhere do not count": (("counting.unions", "if over and left:", "if over and not counted:"),),
    "all others are counted from below": (
        ("counting.unions", "if over and step.output == ALL_OTHERS:", "if step.output == ALL_OTHERS:"),
    ),
    "the opposite of at most 0 is at least 0": (
        ("counting.unions", "1 - int(last[others].min())", "-int(last[others].min())"),
    ),
    "differences from below take away too little": (
        ("counting.unions", "1 - int(last[others].min())", "-1 - int(last[others].min())"),
    ),
    "what fails elsewhere is taken away for nothing": (
        (
            "counting.unions",
            "total += count_failing(work, margins, list(these.values()), earlier, step, over)",
            "total += 0 if earlier and over else count_failing("
            "work, margins, list(these.values()), earlier, step, over)",
        ),
    ),
    "entries from below are the lower ones": (
        (
            "counting.unions",
            "(margins.low, margins.low_last) if over else (margins.high, margins.high_last)\n    work",
            "(margins.low, margins.low_last)\n    work",
        ),
    ),
    "entries from above are the higher ones": (
        (
            "counting.unions",
            "(margins.low, margins.low_last) if over else (margins.high, margins.high_last)\n    work",
            "(margins.high, margins.high_last)\n    work",
        ),
    ),
    "from below, histograms take away what they do not": (
        ("counting.unions", "if earlier and not over:", "if earlier and over is None:"),
    ),
    "sets need not be met": (
        (
            "counting.unions",
            "(margins.conditions, margins.counts)",
            "(type(margins.conditions).of_sets(margins.required[:0]), margins.counts)",
        ),
    ),
}

STRATEGY_ERRORS: dict[str, tuple[str, tuple[Change, ...]]] = {
    "screened by the largest term": (
        "counting.histogram",
        (("branching.class_margins", "low = g.min(axis=1)\n", "low = g.max(axis=1)\n"),),
    ),
    "a maximum where it helps most": (
        "counting.histogram",
        (("branching.class_margins", "place[:, : n - 1].min(axis=1)", "place[:, : n - 1].max(axis=1)"),),
    ),
    "a maximum at every position": (
        "branching.branch_and_bound",
        (
            (
                "branching.class_margins",
                "(low - least[:, None]).min(axis=0, initial=2**53)",
                "(low - least[:, None]).sum(axis=0)",
            ),
        ),
    ),
    "q = m needs another maximum": (
        "counting.histogram",
        (("branching.class_margins", "(0 if query == m else 1, m + 1)", "(1, m + 1)"),),
    ),
    "q < m needs no maximum": (
        "counting.histogram",
        (("branching.class_margins", "(0 if query == m else 1, m + 1)", "(0, m + 1)"),),
    ),
    "heavy tokens may be missing from their part": (
        "counting.histogram",
        (("branching.class_margins", "[: int(highest > level.min())]", "[:0]"),),
    ),
    "parts that no step is about are right": (
        "counting.histogram",
        (
            (
                "branching.class_margins",
                "part.size if part.could_win().any()",
                "part.size if not part.could_win().any()",
            ),
        ),
    ),
    "a heavy token where it is lightest, everywhere": (
        "counting.histogram",
        (
            (
                "branching.class_margins",
                "smallest + above[members].min(axis=0) <= 0",
                "smallest + above[members].max(axis=0) <= 0",
            ),
        ),
    ),
    "the query of a part is its maximum": (
        "counting.histogram",
        (("branching.class_margins", "np.append(kept, len(level))", "np.append(kept, kept[-1])"),),
    ),
    "unknown classes are right": (
        "counting.histogram",
        (
            (
                "counting.histogram",
                "wrong += found",
                "wrong += 0 * found",
            ),
        ),
    ),
    "boxes may have no maximum": (
        "branching.branch_and_bound",
        (("branching.class_margins", "(smaller,), (maximum,), either]", "(smaller,), either, either]"),),
    ),
    "a box is right if one output is": (
        "branching.branch_and_bound",
        (("branching.class_margins", "(least > 0).all(axis=1)", "(least > 0).any(axis=1)"),),
    ),
    "a box is wrong if it may be": (
        "branching.branch_and_bound",
        (("branching.class_margins", "(most <= 0).any(axis=1)", "(least <= 0).any(axis=1)"),),
    ),
}


@pytest.mark.parametrize("error", COUNTING_ERRORS)
def test_planted_error_in_counting_is_caught(error: str) -> None:
    """Enumeration of small problems finds it."""
    changes = COUNTING_ERRORS[error]
    planted = Planted(*changes)

    assert broken_counts(planted.module("counting.sums"))


@pytest.mark.parametrize("error", UNIONS_ERRORS)
def test_planted_error_in_unions_is_caught(error: str) -> None:
    """Enumeration of small classes finds it."""
    assert broken_unions(Planted(*UNIONS_ERRORS[error]).module("counting.unions"))


@pytest.mark.parametrize("error", SOME_ERRORS)
def test_planted_error_where_some_sum_is_at_most_zero_is_caught(error: str) -> None:
    """Enumeration of small problems finds it."""
    assert broken_some(Planted(SOME_ERRORS[error]).module("counting.some_sum"))


@pytest.mark.parametrize("error", ENDS_ERRORS)
def test_planted_error_from_both_ends_is_caught(error: str) -> None:
    """Enumeration of small problems finds it."""
    assert broken_ends(Planted(ENDS_ERRORS[error]).module("counting.both_ends"))


def test_unchanged_copy_counts_right() -> None:
    """It is the errors that are found; the package itself is tested on many more."""
    planted = Planted(
        ("counting.sums", "_MOST = 2**19", "_MOST = 2**19"),
        ("counting.both_ends", "MANTISSA = 9", "MANTISSA = 9"),
        ("counting.some_sum", "_FAR = 2**61", "_FAR = 2**61"),
        ("counting.unions", "ALL_OTHERS = -1", "ALL_OTHERS = -1"),
    )

    assert not broken_counts(planted.module("counting.sums"), 100)
    assert not broken_ends(planted.module("counting.both_ends"))
    assert not broken_some(planted.module("counting.some_sum"))
    assert not broken_unions(planted.module("counting.unions"), 200)


SEARCH_ERRORS: dict[str, Change] = {
    "the guess is taken for a bound": (
        "search.families.counting",
        "self.best, self.found = size, [step]",
        "self.best, self.found = self.guess, [step]",
    ),
    "other outputs fail only where they do in the sample": (
        "search.families.counting",
        "score[few] += max(rests[few][0] - float(missed[few]) - 10 * self.worth, 0)",
        "score[few] += 0",
    ),
    "outputs that fail elsewhere do not count": (
        "search.families.counting",
        "return total, steps + last",
        "return total, steps",
    ),
    "all fail as soon as one may": (
        "search.families.counting",
        "self.margins.high.max(axis=1)",
        "self.margins.high.min(axis=1)",
    ),
    "clusters join tokens inside and outside of a set": (
        "search.families.joining",
        "kind[:, None] != kind",
        "kind[:, None] < 0 * kind",
    ),
    "by branches, the guess is taken for a bound": (
        "search.families.branches",
        "best, most, ways = self._of(at)",
        "best, most, ways = self.guess, 1, 9",
    ),
    "by branches, others are the best outputs": (
        "search.families.branches",
        "extreme = np.minimum if self.over else np.maximum",
        "extreme = np.maximum if self.over else np.minimum",
    ),
    "by branches, outputs have the ranks of others": (
        "search.families.branches",
        "ranks[m.outputs[these]] = rank",
        "ranks[: len(these)] = rank",
    ),
}


@pytest.mark.parametrize("error", SEARCH_ERRORS)
def test_error_in_the_search_is_harmless(error: str) -> None:
    """Bounds are worse at most."""
    planted = Planted(SEARCH_ERRORS[error])

    assert not broken_bounds(planted, "counting.histogram", all_cases()[::31])


def test_sample_of_more_inputs_than_integers() -> None:
    """There are 64^19, of which those count that hold one of 8 tokens; all are as likely."""
    required = np.arange(64)[None] >= 56
    near = counting._Near(np.zeros((19, 64), np.int64), 0, required)
    drawn = near.drawn(4096)

    assert near.size == pytest.approx(64.0**19 - 56.0**19)
    assert required[0][drawn].any(axis=1).all()
    assert abs(drawn.mean() - 32.0) < 1.0


@pytest.mark.parametrize("error", STRATEGY_ERRORS)
def test_planted_error_in_a_strategy_is_caught(error: str) -> None:
    """The hostile models find it."""
    module, changes = STRATEGY_ERRORS[error]
    planted = Planted(*changes, *_loaded(module))

    assert broken_bounds(planted, module, all_cases(), error)


def _loaded(module: str) -> tuple[Change, ...]:
    """A change that is none, so that the strategy is loaded into the copy."""
    return ((module, "MAX_VOCABULARY = 512", "MAX_VOCABULARY = 512"),)
