"""Counts of sums, sizes of unions and boxes, against enumeration: on the safe side, without tolerance."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from compactproofs.lemmas.boxes import decide
from compactproofs.lemmas.sums import Axis, count_at_most_zero
from compactproofs.lemmas.suspects import ClassMargins
from compactproofs.lemmas.unions import Failing
from compactproofs.workspace import Workspace

from .counting import Problem, problems
from .models import cases


def some_work() -> Workspace:
    """Counting needs a workspace for its meter only."""
    return Workspace(cases("working")[0].model, "check")


def counts(problem: Problem, axes: list[Axis]) -> tuple[int, int]:
    """From below and from above."""
    work = some_work()
    return (
        count_at_most_zero(work, axes, problem.required, False),
        count_at_most_zero(work, axes, problem.required, True),
    )


@pytest.mark.parametrize("seed", range(4))
def test_counts_bracket_the_truth_in_any_window(seed: int) -> None:
    """Whatever bins and window are chosen."""
    for problem in problems(seed, 300):
        axes = [
            Axis(problem.entries[:, :, j], int(problem.start[j]), *window) for j, window in enumerate(problem.windows)
        ]
        under, over = counts(problem, axes)

        assert under <= problem.answer() <= over, (problem, axes)


@pytest.mark.parametrize("seed", range(2))
def test_counts_bracket_the_truth_in_chosen_windows(seed: int) -> None:
    """With the package's own choice."""
    rng = np.random.default_rng(seed)
    for problem in problems(seed + 10, 300):
        axes = [
            Axis.choose(problem.entries[:, :, j], int(start), int(rng.integers(1, 60)), *rng.uniform(0, 5, 2))
            for j, start in enumerate(problem.start)
        ]
        under, over = counts(problem, axes)

        assert under <= problem.answer() <= over, (problem, axes)


def test_counts_are_exact_without_rounding() -> None:
    """With bins of width 1 and a window that holds all sums, nothing is lost."""
    for problem in problems(20, 200, axes=1):
        if problem.entries.size == 0 or np.abs(problem.entries).max() < 100:
            axes = [Axis(problem.entries[:, :, 0], int(problem.start[0]), 1, -400, 400)]

            assert counts(problem, axes) == (problem.answer(), problem.answer())


def test_opposite_counts_the_rest() -> None:
    """What is not at most 0 is at least 1."""
    for problem in problems(21, 200, axes=1):
        axis = Axis(problem.entries[:, :, 0], int(problem.start[0]), *problem.windows[0])
        everything = [Axis(0 * problem.entries[:, :, 0], 0, 1, -1, 1)]
        total, same = counts(problem, everything)
        under, over = counts(problem, [axis.opposite()])

        assert total == same
        assert under <= total - problem.answer() <= over


def test_counts_beyond_exact_floats() -> None:
    """Where counts exceed 2^53, bounds are still on their sides, and next to each other: here for a known count."""
    positions, tokens = 19, 64
    entries = np.zeros((positions, tokens), np.int64)
    entries[:, 0] = 1
    required = np.arange(tokens)[None] == tokens - 1
    # At most 4 of the 19 tokens are 0, and one is 63.
    truth = sum(
        comb(positions, zeros) * ((tokens - 1) ** (positions - zeros) - (tokens - 2) ** (positions - zeros))
        for zeros in range(5)
    )
    work = some_work()
    axis = Axis(entries, -4, 1, -30, 30)
    under, over = (count_at_most_zero(work, [axis], required, side) for side in (False, True))

    assert under <= truth <= over
    assert over - under < truth * 1e-9


def random_class(rng: np.random.Generator, reach: int = 20) -> ClassMargins:
    """A class of a few hundred inputs with random integers, some of them far apart."""
    positions, tokens, outputs = (int(rng.integers(1, top)) for top in (5, 5, 5))
    low = rng.integers(-reach, reach, (positions, tokens, outputs))
    low[:, -1] += rng.integers(0, reach)
    if rng.random() < 0.3:
        low[:, rng.integers(tokens)] *= 1000
    high = low + rng.integers(0, 2, low.shape)
    last = rng.integers(-reach, reach, outputs)
    required = np.zeros((int(rng.integers(0, 2)) if tokens > 1 else 0, tokens), np.bool_)
    required[:, -1] = True
    weight = np.exp(rng.normal(size=tokens) * 2)
    return ClassMargins(low, high, last, last + rng.integers(0, 2, outputs), required, weight)


def wrong_inputs(margins: ClassMargins) -> tuple[int, int, int]:
    """Certainly and possibly wrong inputs, and all inputs, by enumeration."""
    positions, tokens, _ = margins.low.shape
    certainly = possibly = size = 0
    for sequence in product(range(tokens), repeat=positions):
        chosen = list(sequence)
        if margins.required[:, chosen].any(axis=1).all():
            places = np.arange(positions)
            certainly += bool((margins.high_last + margins.high[places, chosen].sum(axis=0) <= 0).any())
            possibly += bool((margins.low_last + margins.low[places, chosen].sum(axis=0) <= 0).any())
            size += 1
    return certainly, possibly, size


@pytest.mark.parametrize("worth", [0, 3])
def test_unions_are_bracketed(worth: int) -> None:
    """Between what is certainly wrong and what may be, the bounds leave room for every truth."""
    rng = np.random.default_rng(worth)
    work = some_work()
    for _ in range(150):
        margins = random_class(rng)
        certainly, possibly, size = wrong_inputs(margins)
        below = sum(Failing(work, part, worth).at_least() for part in margins.parts(some_work()))
        above = sum(Failing(work, part, worth).at_most() for part in margins.parts(some_work()))

        assert size == margins.size
        assert below <= certainly
        assert possibly <= above


def test_parts_are_a_partition() -> None:
    """Every input is in exactly one part, whatever the weights."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        margins = random_class(rng)
        odd = rng.choice([np.nan, np.inf, 0.0, 1.0, 1e300, 5.0], margins.weight.shape)
        weight = np.where(rng.random(odd.shape) < 0.3, odd, margins.weight)
        margins = ClassMargins(margins.low, margins.high, margins.low_last, margins.high_last, margins.required, weight)

        assert margins.size == sum(part.size for part in margins.parts(some_work()))


@pytest.mark.parametrize("limit", [10**6, 3, 0])
def test_boxes_decide(limit: int) -> None:
    """All that is called wrong is, and all that is neither wrong nor undecided is right; a limit only loses inputs."""
    rng = np.random.default_rng(limit)
    work = some_work()
    for _ in range(150):
        margins = random_class(rng)
        certainly, possibly, size = wrong_inputs(margins)
        decided = decide(work, margins, limit)

        assert decided.wrong <= certainly
        assert possibly <= decided.wrong + decided.undecided <= size
        if limit == 10**6:
            assert decided.wrong == certainly
            assert decided.wrong + decided.undecided == possibly
