"""Branch and bound and histograms: on the right side of the truth, tight where that is known, and errors are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from itertools import product
from types import ModuleType
from typing import Any, TypeVar

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
from soundness.counting import LOST, Problem, less_two, problems, random_class, random_steps, wrong_inputs
from soundness.models import Case, all_cases, cases, random_weights, verifying, working_weights
from soundness.planting import Change, Planted, showing
from soundness.truth import exact_correct

T = TypeVar("T")
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


#: Numbers of problems and of classes that show errors which few others do.
COUNTS_TELL = (0, 3, 11, 17, 40, 42, 46, 56, 61, 73, 500)
HALVES_TELL = (12, 0, 13, 7, 45, 70, 301)
UNIONS_TELL = (3, 5, 9, 15, 19, 22, 25, 32, 71, 91, 110, *range(1500, 1560))


def soon(tried: Sequence[T], telling: tuple[int, ...], number: int | None) -> list[T]:
    """What is tried, or so many of it, and first what tells most."""
    return [*(tried[i] for i in telling), *tried[:number]]


def broken_counts(sums: ModuleType, number: int | None = None) -> bool:
    """Whether some count of a copy of `counting.sums` is on the wrong side."""
    work = verifying(cases("working")[0].model)

    def wrong(problem: Problem) -> bool:
        entries, start = problem.entries, problem.start
        axes = [sums.Axis(entries[:, :, j], int(start[j]), *window) for j, window in enumerate(problem.windows)]
        sets = sums.Conditions.of_sets(problem.required)
        under, over = (sums.count_at_most_zero(work, axes, sets, problem.counts, side) for side in (False, True))
        return not under <= problem.answer() <= over

    return any(wrong(problem) for problem in (*LOST, *soon(problems(0, 500), COUNTS_TELL, number)))


def broken_halves(halves: ModuleType, number: int | None = None) -> bool:
    """Whether some count of a copy of `counting.half_sums` is on the wrong side."""
    work = verifying(cases("working")[0].model)

    def wrong(problem: Problem, number: int) -> bool:
        rng = np.random.default_rng([0, number])
        if problem.entries.shape[2] == 1 and rng.random() < 0.3:  # exactly
            labels = np.tile(np.arange(problem.entries.shape[1]), (len(problem.entries), 1))
            edges = np.arange(1000)[None]
        else:
            labels = rng.integers(0, rng.integers(1, 5), problem.entries.shape[:2])
            most = int(rng.choice([2**4, 2**16, 2**16, 2**16]))  # small problems have few bins
            edges = rng.integers(0, most, (problem.entries.shape[2], int(rng.integers(1, 40))))
        under, over = (
            halves.count_in_halves(
                work, problem.entries, problem.start, problem.required, problem.counts, labels, edges, side
            )
            for side in (False, True)
        )
        return not under <= problem.answer() <= over

    tried = problems(1, 300, axes=2) + problems(2, 30, axes=2, most=6)
    numbered = [(problem, i) for i, problem in enumerate(tried)]
    return any(wrong(*each) for each in soon(numbered, HALVES_TELL, number))


def broken_grids(grids: ModuleType, number: int | None = None) -> bool:
    """Whether some count of a copy of `counting.grids` is on the wrong side."""
    work = verifying(cases("working")[0].model)
    rng = np.random.default_rng(0)

    def wrong(problem: Problem) -> bool:
        axes = problem.entries.shape[2]
        vars(grids)["_BLOCK"] = int(rng.choice([1, 10, 2**20]))
        if rng.random() < 0.3:  # exactly
            points = [np.arange(-150, 150)] * axes
        else:
            edges = 2**15 + rng.integers(-3000, 3000, (axes, int(rng.integers(1, 30))))
            points = [grids.points_of(of_axis, int(rng.integers(0, 5))) for of_axis in edges]
        sets = grids.Conditions.of_sets(problem.required)
        under, over = (
            grids.count_on_grids(work, problem.entries, problem.start, sets, problem.counts, points, side)
            for side in (False, True)
        )
        return not under <= problem.answer() <= over

    tried = (*LOST, *problems(1, 300, axes=2), *problems(3, 30, most=6), *problems(4, 100, axes=1, most=6))
    return any(wrong(problem) for problem in tried[:number])


@cache
def classes() -> list[tuple[ClassMargins, list[Step], int, int]]:
    """Small classes, with steps to count and their inputs that are certainly and possibly wrong."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(500):
        margins = random_class(rng, int(rng.choice([2, 20])))
        counts = wrong_inputs(margins)[:2]
        found += [(margins, random_steps(rng, margins), *counts) for _ in range(3)]
    rng = np.random.default_rng(1)
    for _ in range(60):
        margins = random_class(rng, 2)
        found.append((margins, less_two(rng, margins), *wrong_inputs(margins)[:2]))
    return found


def broken_unions(unions: ModuleType, number: int | None = None) -> bool:
    """Whether some bound of a copy of `counting.unions` is on the wrong side."""
    work = verifying(cases("working")[0].model)

    def wrong(margins: ClassMargins, steps: list[Step], certainly: int, possibly: int) -> bool:
        # The copy has kinds of its own.
        own = [step._replace(how=step.how and getattr(unions, type(step.how).__name__)(*step.how)) for step in steps]
        try:
            under, over = (unions.wrong_inputs(work, margins, own, side) for side in (False, True))
        except ValueError:  # some errors fit no arrays
            return False
        return not (under <= certainly and possibly <= over)

    return any(wrong(*known) for known in soon(classes(), UNIONS_TELL, number))


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
    "sets need not be met": (("counting.sums", "value = float(states[(-1,)", "value = float(states[(0,)"),),
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
    "tokens count 1": (("counting.sums", "moves[tuple(move)] += count", "moves[tuple(move)] += 1"),),
    "tokens in one bin count once": (("counting.sums", "block if times == 1 else", "block if True else"),),
    "nothing for rounding": (("counting.sums", "slack = Fraction(2 * passed, 2**53)", "slack = Fraction(0)"),),
    "nothing for rounding where tokens are added up": (("counting.sums", "passed += tokens + 8", "passed += 8"),),
}

HALVES_ERRORS: dict[str, Change] = {
    "clusters take the best of their tokens": (
        "counting.half_sums",
        "(np.minimum if over else np.maximum).reduceat",
        "(np.maximum if over else np.minimum).reduceat",
    ),
    "clusters join tokens inside and outside of a set": (
        "counting.half_sums",
        "cluster = 4 * label + bits",
        "cluster = 4 * label",
    ),
    "a cluster counts its number of tokens": (
        "counting.half_sums",
        "np.add.reduceat(counts[order], first)",
        "np.diff(first, append=len(order))",
    ),
    "a cluster counts as one token": (
        "counting.half_sums",
        "np.add.reduceat(counts[order], first)",
        "np.ones_like(first)",
    ),
    "sets need not be met": ("counting.half_sums", "(2 ** len(required) - 1) & ~", "0 & ~"),
    "sets that are met besides make a sequence useless": (
        "counting.half_sums",
        "table[group] += table[group | one]",
        "table[group] += 0.0 * table[group | one]",
    ),
    "sets are to be met in both halves": (
        "counting.half_sums",
        "np.bitwise_or.outer(np.arange(2 ** len(required)), second.met)",
        "np.bitwise_or.outer(0 * np.arange(2 ** len(required)), 0 * second.met)",
    ),
    "the start is forgotten": (
        "counting.half_sums",
        "first.sums - start[:, None]",
        "first.sums",
    ),
    "a shared rank counts from below": (
        "counting.half_sums",
        "self.of_bin if over else self.of_bin - 1",
        "self.of_bin",
    ),
    "a shared rank does not count from above": (
        "counting.half_sums",
        "self.of_bin if over else self.of_bin - 1",
        "self.of_bin - 1",
    ),
    "a sum of 1 counts as 0 from below": (
        "counting.half_sums",
        "(0 if over else 1)",
        "(0 if over else 2)",
    ),
    "limits are a bin too low": ("counting.half_sums", ">> scale.shift, mode", "- 1 >> scale.shift, mode"),
    "counts are not cumulative on the last axis": (
        "counting.half_sums",
        "np.cumsum(table, axis=-1, out=table)",
        "table",
    ),
    "counts are not cumulative on the first axis": ("counting.half_sums", "if len(sizes) == 2:", "if len(sizes) == 3:"),
    "what some limit is out of reach for is left out": (
        "counting.half_sums",
        "second.sums.min(axis=1)",
        "second.sums.max(axis=1)",
    ),
    "a sum at the limit is out of reach": (
        "counting.half_sums",
        "reach >= width",
        "reach > width",
    ),
    "the second half has one position less": (
        "counting.half_sums",
        "single[half:last]",
        "single[half + 1 : last]",
    ),
}

GRIDS_ERRORS: dict[str, tuple[Change, ...]] = {
    "sums are rounded up from above": (("counting.grids", "int(leading and not over)", "int(leading)"),),
    "sums are rounded down from below": (("counting.grids", "int(leading and not over)", "0"),),
    "a sum of 0 is positive": (("counting.grids", "[-FAR, 1] if over", "[-FAR, 0] if over"),),
    "a sum of 1 is not": (("counting.grids", "else [0, FAR]", "else [1, FAR]"),),
    "the start is where it was": (("counting.grids", "start + offsets.sum(axis=0)", "start"),),
    "sets need not be met": (("counting.grids", "last[-1] = 1.0", "last[0] = 1.0"),),
    "sets are met by nothing": (("counting.grids", "conditions.empty[:, None]", "(conditions.empty[:, None] | True)"),),
    "tokens count 1": (("counting.grids", "np.outer(kind.counts[block],", "np.outer(kind.counts[block] > 0,"),),
    "other kinds of tokens lead there, too": (
        ("counting.grids", "np.flatnonzero(row == one)", "np.flatnonzero(row <= one)"),
    ),
    "of conditions that one leads to, the last alone is known": (
        ("counting.grids", "ways.number[after].sum(axis=0)", "ways.number[after[-1]]"),
    ),
    "beyond the points of those before there is nothing": (
        ("counting.grids", "np.clip(place, 1, len(on_axis))", "np.clip(place, 0, len(on_axis))"),
    ),
    "what leads nowhere leads to the last point": (("counting.grids", "(at > 0).all(", "(at >= 0).all("),),
    "what counts up to a point does not beyond it": (
        ("counting.grids", "np.append(one[1:], FAR + 1) - 1 if over else one", "one"),
    ),
    "from the end steps are added": (("counting.grids", "-steps[done], points", "steps[done], points"),),
    "ways count beyond their points": (
        ("counting.grids", "np.flip(np.cumsum(np.flip(ways, axis), axis=axis), axis)", "np.cumsum(ways, axis=axis)"),
    ),
    "blocks overlap": (("counting.grids", "slice(begin, begin + together)", "slice(begin, begin + together + 1)"),),
    "points of several axes are one": (("counting.grids", "cells * size + place", "cells + place"),),
    "ways that come together are not rounded": (
        ("counting.grids", "int(np.bincount(cells).max(initial=0)) + len(result)", "len(result)"),
    ),
}

UNIONS_ERRORS: dict[str, tuple[Change, ...]] = {
    "inputs of two outputs together are taken away, on grids": (
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
            "(margins.low, margins.low_last) if over else (margins.high, margins.high_last)",
            "(margins.low, margins.low_last)",
        ),
    ),
    "entries from above are the higher ones": (
        (
            "counting.unions",
            "(margins.low, margins.low_last) if over else (margins.high, margins.high_last)",
            "(margins.high, margins.high_last)",
        ),
    ),
    "sets need not be met": (
        (
            "counting.unions",
            "axes, margins.conditions, ",
            "axes, type(margins.conditions).of_sets(margins.required[:0]), ",
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


@pytest.mark.parametrize("error", HALVES_ERRORS)
def test_planted_error_in_halves_is_caught(error: str) -> None:
    """Enumeration of small problems finds it."""
    assert broken_halves(Planted(HALVES_ERRORS[error]).module("counting.half_sums"))


@pytest.mark.parametrize("error", GRIDS_ERRORS)
def test_planted_error_on_grids_is_caught(error: str) -> None:
    """Enumeration of small problems finds it."""
    assert broken_grids(Planted(*GRIDS_ERRORS[error]).module("counting.grids"))


def test_unchanged_copy_counts_right() -> None:
    """It is the errors that are found; the package itself is tested on many more."""
    planted = Planted(
        ("counting.sums", "_MOST = 2**19", "_MOST = 2**19"),
        ("counting.half_sums", "BINS = 2**16", "BINS = 2**16"),
        ("counting.grids", "FAR = 2**61", "FAR = 2**61"),
        ("counting.unions", "ALL_OTHERS = -1", "ALL_OTHERS = -1"),
    )

    assert not broken_counts(planted.module("counting.sums"), 100)
    assert not broken_halves(planted.module("counting.half_sums"), 50)
    assert not broken_grids(planted.module("counting.grids"))
    assert not broken_unions(planted.module("counting.unions"), 200)


SEARCH_ERRORS: dict[str, Change] = {
    "the guess is taken for a bound": (
        "search.families.counting",
        "best, found = size, [step]",
        "best, found = guess, [step]",
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
        "bits[:, None] != bits",
        "bits[:, None] < 0 * bits",
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
