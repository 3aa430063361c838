"""Branch and bound and histograms: on the right side of the truth, tight where that is known, and errors are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.opening.models import Model
from compactproofs.search.prover import prove
from compactproofs.search.workspaces import workspace
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.theorems.max_of_k.core import branch_and_bound
from compactproofs.theorems.max_of_k.core.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting import histogram
from compactproofs.zoo import load_model
from soundness.counting import Problem, problems, random_class, wrong_inputs
from soundness.models import Case, all_cases, cases, random_weights, verifying, working_weights
from soundness.planting import Change, Planted, showing
from soundness.truth import exact_correct

Bound = Callable[[Workspace[AttentionOnly, MaxOfK], dict[str, Any]], int]

PAIRS: dict[str, tuple[Bound, Bound]] = {
    "branch-and-bound": (branch_and_bound.bound, branch_and_bound.upper_bound),
    "histogram": (histogram.bound, histogram.upper_bound),
}
KINDS = pytest.mark.parametrize("kind", PAIRS)


def brackets(kind: str, model: Model, reading: str = "check") -> tuple[int, int]:
    """The lower and the upper bound."""
    work = verifying(model) if reading == "check" else workspace(model, reading)
    lower, upper = PAIRS[kind]
    return lower(work, {}), upper(work, {})


@KINDS
@pytest.mark.parametrize("part", range(3))
def test_bounds_bracket_the_truth(kind: str, part: int) -> None:
    """On hostile models of all kinds; on each third, claims leave something to the check."""
    for index, case in enumerate(all_cases()[part::3]):
        truth = exact_correct(case.model)
        lower, upper = brackets(kind, case.model)
        claimed_lower, claimed_upper = (lower, upper) if index % 3 else brackets(kind, case.model, "claim")

        total = max_of_k(case.model).task.total
        assert 0 <= claimed_lower <= lower <= truth <= upper <= claimed_upper <= total, case.name
        assert {type(n) for n in (lower, upper, claimed_lower, claimed_upper)} == {int}, case.name


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("seed", range(1, 8))
def test_bounds_bracket_the_truth_at_length(kind: str, seed: int) -> None:
    """The same on other collections."""
    for case in all_cases(seed):
        lower, upper = brackets(kind, case.model)

        assert lower <= exact_correct(case.model) <= upper, case.name


@KINDS
@pytest.mark.parametrize("family", ["working", "positions", "moderate", "rough", "contrary", "float32"])
def test_close_on_ordinary_models(kind: str, family: str) -> None:
    """Where no margin is as small as rounding errors, branch and bound is exact, and histograms are on average near."""
    widths = []
    for case in cases(family):
        lower, upper = brackets(kind, case.model)
        widths.append((upper - lower) / max_of_k(case.model).task.total)

        assert kind == "histogram" or lower == upper == exact_correct(case.model), case.name
    assert np.mean(widths) < 0.03


@pytest.mark.parametrize(
    ("name", "right", "histograms"), [("max-of-4/123", 16772438, True), ("max-of-4/50", 16729300, False)]
)
def test_trained_models_with_four_positions(name: str, right: int, histograms: bool) -> None:
    """Exact by branch and bound, and within 2e-5 by histograms; the numbers are those of a full enumeration."""
    model = load_model(name)

    assert brackets("branch-and-bound", model) == (right, right)
    if histograms:
        lower, upper = brackets("histogram", model)
        assert lower <= right <= upper
        assert upper - lower < 2e-5 * max_of_k(model).task.total


def test_trained_model_with_five_positions() -> None:
    """Every one of 2^30 inputs is decided, and histograms agree."""
    model = load_model("max-of-5/742")
    exact, same = brackets("branch-and-bound", model)

    assert exact == same
    assert exact - 1e-3 * max_of_k(model).task.total < prove(model, "failing-sets").certificate.certified <= exact
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


def broken_counts(sums: ModuleType) -> bool:
    """Whether some count of a copy of `counting.sums` is on the wrong side."""
    work = verifying(cases("working")[0].model)

    def wrong(problem: Problem) -> bool:
        entries, start = problem.entries, problem.start
        axes = [sums.Axis(entries[:, :, j], int(start[j]), *window) for j, window in enumerate(problem.windows)]
        under = sums.count_at_most_zero(work, axes, problem.required, False)
        over = sums.count_at_most_zero(work, axes, problem.required, True)
        return not under <= problem.answer() <= over

    return any(wrong(problem) for problem in problems(0, 500))


def broken_halves(halves: ModuleType) -> bool:
    """Whether some count of a copy of `counting.half_sums` is on the wrong side."""
    work = verifying(cases("working")[0].model)
    rng = np.random.default_rng(0)

    def wrong(problem: Problem) -> bool:
        exact = problem.entries.shape[2] == 1 and rng.random() < 0.3
        clusters, ranks = int(rng.integers(1, 5)), 2**20 if exact else int(rng.integers(1, 40))
        under, over = (
            halves.count_in_halves(work, problem.entries, problem.start, problem.required, clusters, ranks, side)
            for side in (False, True)
        )
        return not under <= problem.answer() <= over

    return any(wrong(problem) for problem in problems(1, 300, axes=2) + problems(2, 30, axes=2, most=6))


@cache
def classes() -> list[tuple[ClassMargins, int, int]]:
    """Small classes, with their inputs that are certainly and possibly wrong."""
    rng = np.random.default_rng(0)
    found = [random_class(rng, int(rng.choice([2, 20]))) for _ in range(500)]
    return [(margins, *wrong_inputs(margins)[:2]) for margins in found]


def broken_unions(unions: ModuleType) -> bool:
    """Whether some bound of a copy of `counting.unions` is on the wrong side."""
    work = verifying(cases("working")[0].model)

    def wrong(margins: ClassMargins, certainly: int, possibly: int) -> bool:
        failing = [unions.Failing(work, part, 0) for part in margins.parts(work)]
        return not sum(f.at_least() for f in failing) <= certainly or not possibly <= sum(f.at_most() for f in failing)

    return any(wrong(*known) for known in classes())


def broken_bounds(planted: Planted, module: str, models: tuple[Case, ...]) -> bool:
    """Whether a copy of a strategy is on the wrong side of the truth for some model."""
    strategy = planted.module(module)

    def wrong(case: Case) -> Iterator[str]:
        work = planted.workspace(case.model, "check")
        if not strategy.bound(work, {}) <= exact_correct(case.model) <= strategy.upper_bound(work, {}):
            yield case.name

    return next(showing(models, wrong), None) is not None


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
    "a sum of 0 counts as positive": (
        (
            "counting.sums",
            "dropped = below(max(low, 1 - least))",
            "dropped = below(max(low, -least))",
        ),
    ),
    "a sum of 1 is done": (
        ("counting.sums", "done = min(below(1 - most), kept)", "done = min(below(2 - most), kept)"),
    ),
    "what is above the window is dropped": (
        ("counting.sums", "dropped = below(max(low, 1 - least))", "dropped = below(top + 1)"),
    ),
    "what is below the window is done": (
        ("counting.sums", "done = min(below(1 - most), kept)", "done = min(below(bottom), kept)"),
    ),
    "sets need not be met": (("counting.sums", "value = float(states[(-1,)", "value = float(states[(0,)"),),
    "sets are met by any token": (("counting.sums", "met = (required * 2", "met = (np.ones_like(required) * 2"),),
    "least and most of the steps as they are clipped": (
        (
            "counting.sums",
            "    smallest, largest = k.min(axis=1).tolist(), k.max(axis=1).tolist()",
            "    k = np.clip(k, axis.low - axis.high - 1, axis.high - axis.low + 1)\n"
            "    smallest, largest = k.min(axis=1).tolist(), k.max(axis=1).tolist()",
        ),
    ),
    "tokens in one bin count once": (("counting.sums", "block if times == 1 else", "block if True else"),),
}

HALVES_ERRORS: dict[str, Change] = {
    "clusters take the best of their tokens": (
        "counting.half_sums",
        "(np.minimum if over else np.maximum).reduceat",
        "(np.maximum if over else np.minimum).reduceat",
    ),
    "clusters join tokens inside and outside of a set": (
        "counting.half_sums",
        "apart = bits[:, None] != bits",
        "apart = bits[:, None] < 0 * bits",
    ),
    "a cluster counts as one token": (
        "counting.half_sums",
        "np.diff(first, append=len(order))",
        "np.ones_like(first)",
    ),
    "sets need not be met": ("counting.half_sums", "(2 ** len(required) - 1) & ~", "0 & ~"),
    "sets are to be met in both halves": (
        "counting.half_sums",
        "& ~int(outer.met[0] | inner.met[0])",
        "& ~0",
    ),
    "the start is forgotten": (
        "counting.half_sums",
        "sums=first.sums + start[:, None]",
        "sums=first.sums",
    ),
    "a shared rank counts from below": (
        "counting.half_sums",
        "else np.maximum(rank - 1, 0)",
        "else np.minimum(rank, ranks)",
    ),
    "a shared rank does not count from above": (
        "counting.half_sums",
        "np.minimum(rank, ranks) if over",
        "np.maximum(rank - 1, 0) if over",
    ),
    "a sum of 1 counts as 0 from below": (
        "counting.half_sums",
        "(0 if over else 1)",
        "(0 if over else 2)",
    ),
    "limits are a bin too low": ("counting.half_sums", "bins += 1", "bins += 0"),
    "counts are not cumulative on the first axis": (
        "counting.half_sums",
        "table[row] += table[row - 1]",
        "table[row] += 0.0 * table[row - 1]",
    ),
    "what some limit is out of reach for is left out": (
        "counting.half_sums",
        "inner.sums.min(axis=1)",
        "inner.sums.max(axis=1)",
    ),
    "a sum at the limit is out of reach": (
        "counting.half_sums",
        "[:, None] < np.array(",
        "[:, None] <= np.array(",
    ),
    "the second half has one position less": (
        "counting.half_sums",
        "single[half:last]",
        "single[half + 1:last]",
    ),
}

FEW_INPUTS = (
    "counting.unions",
    "_TRIED, _SAMPLE, _FEW = 2**15, 4096, 256",
    "_TRIED, _SAMPLE, _FEW = 6, 3, 1",
)
UNIONS_ERRORS: dict[str, tuple[Change, ...]] = {
    "the joint count takes the best output": (
        (
            "counting.unions",
            "low = self.margins.low[:, :, outputs].min(axis=2)\n        self.work.charge",
            "low = self.margins.low[:, :, outputs].max(axis=2)\n        self.work.charge",
        ),
    ),
    "the joint count starts at the best output": (
        (
            "counting.unions",
            "joint = low, int(self.margins.low_last[outputs].min())",
            "joint = low, int(self.margins.low_last[outputs].max())",
        ),
    ),
    "inputs that fail for two outputs count twice": (
        (
            "counting.unions",
            "sizes = [self._difference(head, i, False)",
            "sizes = [self._single(head, False)",
        ),
    ),
    "inputs that fail for three outputs count twice": (
        ("counting.unions", "((j - 1) * self._single(head, True) if j > 1 else 0)", "0"),
    ),
    "outputs that fail elsewhere do not count": (
        ("counting.unions", "heads, others = heads + others[:more]", "heads, others = heads"),
        FEW_INPUTS,
    ),
    "other outputs fail only where they do in the sample": (
        ("counting.unions", "if rest <= missed + 10 * self.worth:", "if True:"),
        ("counting.unions", "total += rest", "total += missed"),
        FEW_INPUTS,
    ),
    "the opposite of at most 0 is at least 0": (
        ("counting.unions", "return -entries, 1 - last", "return -entries, -last"),
    ),
    "what fails elsewhere is taken away for nothing": (
        ("counting.unions", "total += self._difference(head, parent, True)", "total += 0"),
    ),
    "all fail as soon as one may": (
        ("counting.unions", "self.margins.high.max(axis=1)", "self.margins.high.min(axis=1)"),
    ),
    "the guess is taken for a bound": (
        (
            "counting.unions",
            "before, best = best, (min if over else max)(best, count())",
            "before, best = best, guess",
        ),
        FEW_INPUTS,
    ),
    "differences from below take away too little": (
        (
            "counting.unions",
            "self._opposite(b, over)], guess, over)",
            "(self._opposite(b, over)[0], self._opposite(b, over)[1] - 2)], guess, over)",
        ),
    ),
}

STRATEGY_ERRORS: dict[str, tuple[str, tuple[Change, ...]]] = {
    "screened by the largest term": (
        "counting.histogram",
        (("core.class_margins", "low = g.min(axis=1)\n", "low = g.max(axis=1)\n"),),
    ),
    "a maximum where it helps most": (
        "counting.histogram",
        (("core.class_margins", "place[:, : n - 1].min(axis=1)", "place[:, : n - 1].max(axis=1)"),),
    ),
    "a maximum at every position": (
        "core.branch_and_bound",
        (
            (
                "core.class_margins",
                "(low[:-1, m] - least).min(axis=0)",
                "(low[:-1, m] - least).sum(axis=0)",
            ),
        ),
    ),
    "q = m needs another maximum": (
        "counting.histogram",
        (("core.class_margins", "(0 if query == m else 1, m + 1)", "(1, m + 1)"),),
    ),
    "q < m needs no maximum": (
        "counting.histogram",
        (("core.class_margins", "(0 if query == m else 1, m + 1)", "(0, m + 1)"),),
    ),
    "heavy tokens may be missing from their part": (
        "counting.histogram",
        (
            (
                "core.class_margins",
                "required = np.concatenate([required, (weight > below)[None, kept]])",
                "pass",
            ),
        ),
    ),
    "a heavy token where it is lightest, everywhere": (
        "counting.histogram",
        (
            (
                "core.class_margins",
                "smallest + above[members].min(axis=0) <= 0",
                "smallest + above[members].max(axis=0) <= 0",
            ),
        ),
    ),
    "the query of a part is its maximum": (
        "counting.histogram",
        (("core.class_margins", "np.append(tokens, self.query)", "np.append(tokens, tokens[-1])"),),
    ),
    "unknown classes are right": (
        "counting.histogram",
        (
            (
                "counting.histogram",
                "_wrong(work, Failing.at_most, work.task.class_size)",
                "_wrong(work, Failing.at_most, lambda *_: 0)",
            ),
        ),
    ),
    "boxes may have no maximum": (
        "core.branch_and_bound",
        (("core.boxes", "[self.smaller] * p + [self.maximum]", "[self.smaller] * p + [self.root]"),),
    ),
    "a box is right if one output is": (
        "core.branch_and_bound",
        (("core.boxes", "(least <= 0).any(axis=1)", "(least <= 0).all(axis=1)"),),
    ),
    "a box is wrong if it may be": (
        "core.branch_and_bound",
        (("core.boxes", "fails = (most <= 0)", "fails = (least <= 0)"),),
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


def test_unchanged_copy_counts_right() -> None:
    """It is the errors that are found."""
    planted = Planted(
        ("counting.sums", "patterns = list(", "patterns = list("),
        ("counting.half_sums", "_BINS = 2**16", "_BINS = 2**16"),
        FEW_INPUTS,
    )

    assert not broken_counts(planted.module("counting.sums"))
    assert not broken_halves(planted.module("counting.half_sums"))
    assert not broken_unions(planted.module("counting.unions"))


@pytest.mark.parametrize("error", STRATEGY_ERRORS)
def test_planted_error_in_a_strategy_is_caught(error: str) -> None:
    """The hostile models find it."""
    module, changes = STRATEGY_ERRORS[error]
    planted = Planted(*changes, *_loaded(module))

    assert broken_bounds(planted, module, all_cases())


def _loaded(module: str) -> tuple[Change, ...]:
    """A change that is none, so that the strategy is loaded into the copy."""
    return ((module, "MAX_VOCABULARY = 512", "MAX_VOCABULARY = 512"),)
