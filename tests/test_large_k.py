"""Branch and bound and histograms: on the right side of the truth, tight where that is known, and errors are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache, lru_cache
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.families import counting
from compactproofs.search.hints import search_hints
from compactproofs.search.prover import with_something_to_spare
from compactproofs.search.workspaces import Reading, workspace
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.theorems.max_of_k.branching import branch_and_bound
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting import histogram
from compactproofs.theorems.max_of_k.counting.unions import Step
from compactproofs.zoo import load_model
from soundness.counting import (
    LOST,
    LOST_OF_KINDS,
    Problem,
    apart,
    every_sum,
    problems,
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


@cache
def classes() -> list[tuple[ClassMargins, list[Step], int, int]]:
    """Small classes, with steps to count and their inputs that are certainly and possibly wrong."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(500):
        margins = random_class(rng, int(rng.choice([2, 20])))
        counts = wrong_inputs(margins)[:2]
        found += [(margins, random_steps(rng, margins), *counts) for _ in range(3)]
    return found


def broken_unions(unions: ModuleType, number: int | None = None) -> bool:
    """Whether some bound of a copy of `counting.unions` is on the wrong side."""
    work = verifying(cases("working")[0].model)

    def wrong(margins: ClassMargins, steps: list[Step], certainly: int, possibly: int) -> bool:
        # The copy has kinds of its own.
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

UNIONS_ERRORS: dict[str, tuple[Change, ...]] = {
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
        (("branching.class_margins", "[: highest > levels[0]]", "[:0]"),),
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


@pytest.mark.parametrize("error", ENDS_ERRORS)
def test_planted_error_from_both_ends_is_caught(error: str) -> None:
    """Enumeration of small problems finds it."""
    assert broken_ends(Planted(ENDS_ERRORS[error]).module("counting.both_ends"))


def test_unchanged_copy_counts_right() -> None:
    """It is the errors that are found; the package itself is tested on many more."""
    planted = Planted(
        ("counting.sums", "_MOST = 2**19", "_MOST = 2**19"),
        ("counting.both_ends", "MANTISSA = 9", "MANTISSA = 9"),
        ("counting.unions", "ALL_OTHERS = -1", "ALL_OTHERS = -1"),
    )

    assert not broken_counts(planted.module("counting.sums"), 100)
    assert not broken_ends(planted.module("counting.both_ends"))
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
        "return steps + last",
        "return steps",
    ),
    "all fail as soon as one may": (
        "search.families.counting",
        "self.margins.high.max(axis=1)",
        "self.margins.high.min(axis=1)",
    ),
    "clusters join tokens inside and outside of a set": (
        "search.families.counting",
        "kind[:, None] != kind",
        "kind[:, None] < 0 * kind",
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
