"""Counts of sums, sizes of unions and boxes, against enumeration: on the safe side, without tolerance."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from compactproofs.kernel.decisions import IntArray
from compactproofs.search.families import counting as plans
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.tasks.max_of_k import sum_of_choices
from compactproofs.theorems.max_of_k.branching.boxes import decide
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.counting.grids import count_on_grids, points_of
from compactproofs.theorems.max_of_k.counting.half_sums import count_in_halves
from compactproofs.theorems.max_of_k.counting.sums import Axis, count_at_most_zero, rounded
from compactproofs.theorems.max_of_k.counting.unions import wrong_inputs as count_wrong

from .counting import LOST, Problem, problems, random_class, random_steps, wrong_inputs
from .models import cases


def some_work() -> MaxWorkspace:
    """Counting needs a workspace for its meter only."""
    return workspace(cases("working")[0].model, "check")


def counts(problem: Problem, axes: list[Axis]) -> tuple[int, int]:
    """From below and from above."""
    work = some_work()
    return (
        count_at_most_zero(work, axes, Conditions.of_sets(problem.required), problem.counts, False),
        count_at_most_zero(work, axes, Conditions.of_sets(problem.required), problem.counts, True),
    )


@pytest.mark.parametrize("seed", range(4))
def test_counts_bracket_the_truth_in_any_window(seed: int) -> None:
    """Whatever bins and window are chosen."""
    for problem in problems(seed, 300) + LOST:
        if seed == 0:  # beyond exact floats
            problem = replace(problem, counts=problem.counts * (2**57 - 1))
        axes = [
            Axis(problem.entries[:, :, j], int(problem.start[j]), *window) for j, window in enumerate(problem.windows)
        ]
        under, over = counts(problem, axes)

        assert under <= problem.answer() <= over, (problem, axes)


@pytest.mark.parametrize("seed", range(2))
def test_counts_bracket_the_truth_in_chosen_windows(seed: int) -> None:
    """With the choice of the search."""
    rng = np.random.default_rng(seed)
    for problem in problems(seed + 10, 300):
        axes = []
        for j, start in enumerate(problem.start):
            one = problem.entries[:, :, j], int(start)
            axes.append(Axis(*one, *plans.bins(*one, int(rng.integers(1, 60)), *rng.integers(-99, 99, 2))))
        under, over = counts(problem, axes)

        assert under <= problem.answer() <= over, (problem, axes)


def in_halves(problem: Problem, labels: IntArray, edges: IntArray) -> tuple[int, int]:
    """From below and from above."""
    under, over = (
        count_in_halves(
            some_work(), problem.entries, problem.start, problem.required, problem.counts, labels, edges, side
        )
        for side in (False, True)
    )
    return under, over


def apart(problem: Problem) -> IntArray:
    """Every token in a cluster of its own."""
    return np.tile(np.arange(problem.entries.shape[1]), (len(problem.entries), 1))


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_counts_in_halves_bracket_the_truth(seed: int) -> None:
    """With clusters and ranks as the search chooses them, or any."""
    rng = np.random.default_rng(seed)
    for problem in problems(seed + 30, 120, axes=2) + problems(seed + 60, 15, axes=2, most=6):
        edges = rng.integers(0, 2**16, (problem.entries.shape[2], int(rng.integers(1, 40))))
        if seed == 1:  # beyond exact floats
            problem = replace(problem, counts=problem.counts * (2**57 - 1))
        for labels in (
            plans.Joining(problem.entries, problem.required).labels(int(rng.integers(1, 100))),
            rng.integers(0, 7, problem.entries.shape[:2]),
        ):
            under, over = in_halves(problem, labels, edges)

            assert under <= problem.answer() <= over, problem


@pytest.mark.parametrize(("shape", "sets"), [((3, 4, 3), 0), ((3, 4, 1), 3)])
def test_counts_in_halves_refuse_what_they_do_not_cover(shape: tuple[int, ...], sets: int) -> None:
    """Three sums have no table, and more sets were not thought of."""
    required, ones = np.ones((sets, shape[1]), np.bool_), np.ones(shape[1], np.int64)
    labels, edges = np.zeros(shape[:2], np.int64), np.zeros((shape[2], 4), np.int64)
    with pytest.raises(ValueError, match="at most two sums"):
        count_in_halves(
            some_work(), np.zeros(shape, np.int64), np.zeros(shape[2], np.int64), required, ones, labels, edges, True
        )


def on_grids(problem: Problem, grids: list[IntArray]) -> tuple[int, int]:
    """From below and from above."""
    sets = Conditions.of_sets(problem.required)
    under, over = (
        count_on_grids(some_work(), problem.entries, problem.start, sets, problem.counts, grids, side)
        for side in (False, True)
    )
    return under, over


@pytest.mark.parametrize("seed", range(4))
def test_counts_on_grids_bracket_the_truth(seed: int) -> None:
    """On points that lie anywhere, none, or far too many; in no order."""
    rng = np.random.default_rng(seed)
    for problem in problems(seed + 70, 200) + problems(seed + 80, 20, axes=2, most=6):
        axes = problem.entries.shape[2]
        if seed == 0:  # beyond exact floats
            problem = replace(problem, counts=problem.counts * (2**57 - 1))
        edges = rng.integers(0, 2**16, (axes, 7)), 2**15 + rng.integers(-3000, 3000, (axes, 20))
        for grids in (
            [rng.integers(-60, 60, int(rng.integers(0, 30))) for _ in range(axes)],
            *([points_of(one, int(rng.integers(0, 5))) for one in some] for some in edges),
        ):
            under, over = on_grids(problem, grids)

            assert under <= problem.answer() <= over, (problem, grids)


def test_counts_on_grids_are_exact_without_rounding() -> None:
    """Where every sum is a point."""
    for problem in problems(90, 200, axes=2, most=3):
        if np.abs(problem.entries).max(initial=0) < 100:
            grids = [np.arange(-300, 300)] * problem.entries.shape[2]

            assert on_grids(problem, grids) == (problem.answer(), problem.answer()), problem


def test_points_of_grids() -> None:
    """Edges stand for numbers on a logarithmic scale; in between points are evenly spaced."""
    assert points_of(2**15 + np.array([1024, 0, -1536]), 2).tolist() == [-8, -4, 0, 2, 4]
    assert points_of(np.array([0, 2**16 - 1]), 1).tolist() == [-(2**52), (2**10 - 1) << 43]
    assert points_of(np.array([0, 2**16 - 1]), 0).size == 0
    numbers = np.array([-(2.0**50), -5.0, 0.0, 1.0, 3.0, 1000.0, 2.0**40])
    assert points_of(plans.codes_of(numbers), 1).tolist() == numbers.tolist()


def test_where_too_much_is_asked_for_nothing_is_counted() -> None:
    """Neither sequences of clusters nor cells of a window or points, nor more positions than were thought of."""
    long = Problem(
        np.zeros((65, 2, 2), np.int64), np.zeros(2, np.int64), np.zeros((0, 2), np.bool_), [], np.ones(2, np.int64)
    )
    assert in_halves(long, np.zeros((65, 2), np.int64), np.zeros((2, 1), np.int64)) == (0, 2**65)
    assert on_grids(long, [np.arange(9)] * 2) == (0, 2**65)
    entries, start, required = np.zeros((12, 64, 2), np.int64), np.zeros(2, np.int64), np.zeros((0, 64), np.bool_)
    problem = Problem(entries, start, required, [], np.ones(64, np.int64))
    assert in_halves(problem, apart(problem), np.zeros((2, 1), np.int64)) == (0, 64**12)
    assert on_grids(problem, [np.arange(5000)] * 2) == (0, 64**12)
    axes = [Axis(entries[:, :, j], 0, 1, -(2**40), 2**40) for j in range(2)]
    assert counts(problem, axes) == (0, 64**12)


def test_counts_in_halves_are_exact_without_rounding() -> None:
    """Where no tokens are joined, and every sum has a rank of its own."""
    for problem in problems(50, 50, axes=1):
        if np.abs(problem.entries).max(initial=0) < 100:
            assert in_halves(problem, apart(problem), np.arange(1000)[None]) == (problem.answer(), problem.answer())


def test_counts_are_exact_without_rounding() -> None:
    """With bins of width 1 and a window that holds all sums, nothing is lost."""
    for problem in problems(20, 200, axes=1):
        if problem.entries.size == 0 or np.abs(problem.entries).max() < 100:
            axes = [Axis(problem.entries[:, :, 0], int(problem.start[0]), 1, -400, 400)]

            assert counts(problem, axes) == (problem.answer(), problem.answer())


def test_offsets_may_add_up_beyond_64_bits() -> None:
    """Bins of the largest width, at many positions; the only sum is 0."""
    for entry in (1, -1):
        entries = np.full((600, 1), entry)
        assert counts(
            Problem(entries, entries[:1], np.zeros((0, 1), np.bool_), [], np.ones(1, np.int64)),
            [Axis(entries, -600 * entry, 2**62, -700, 700)],
        ) == (1, 1)


def test_counts_beyond_exact_floats() -> None:
    """Where counts exceed 2^53, bounds are still on their sides, and next to each other: here for a known count."""
    positions, tokens = 19, 64
    entries = np.zeros((positions, tokens), np.int64)
    entries[:, 0] = 1
    required, ones = np.arange(tokens)[None] == tokens - 1, np.ones(tokens, np.int64)
    # At most 4 of the 19 tokens are 0, and one is 63.
    truth = sum(
        comb(positions, zeros) * ((tokens - 1) ** (positions - zeros) - (tokens - 2) ** (positions - zeros))
        for zeros in range(5)
    )
    work = some_work()
    axis = Axis(entries, -4, 1, -30, 30)
    under, over = (count_at_most_zero(work, [axis], Conditions.of_sets(required), ones, side) for side in (False, True))

    assert under <= truth <= over
    assert over - under < truth * 1e-9

    problem = Problem(entries[:, :, None], np.array([-4]), required, [], ones)
    under, over = on_grids(problem, [np.arange(-30, 30)])
    assert under <= truth <= over
    assert over - under < truth * 1e-9

    problem = Problem(entries[:11, :, None], np.array([-4]), required, [], ones)
    under, over = in_halves(problem, np.minimum(apart(problem), 1), np.arange(1000)[None])
    truth = sum(comb(11, zeros) * (63 ** (11 - zeros) - 62 ** (11 - zeros)) for zeros in range(5))
    assert under <= truth <= over
    assert over - under < truth * 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_unions_are_bracketed(seed: int) -> None:
    """Between what is certainly wrong and what may be, the bounds leave room for every truth, whatever is counted."""
    rng = np.random.default_rng(seed)
    work = some_work()
    for _ in range(150):
        margins = random_class(rng)
        certainly, possibly, size = wrong_inputs(margins)

        assert size == margins.size
        for _ in range(3):
            steps = random_steps(rng, margins)
            assert count_wrong(work, margins, steps, False) <= certainly, steps
            assert possibly <= count_wrong(work, margins, steps, True) <= size, steps


def test_parts_are_a_partition() -> None:
    """Every input is in exactly one part, whatever the levels, with the terms of its tokens."""
    rng = np.random.default_rng(0)
    work = some_work()
    for _ in range(100):
        margins = random_class(rng)
        last = margins.low_last[None, None, :] + np.zeros((len(margins.low), 1, 1))
        of_tokens = np.concatenate([margins.low, last], axis=1)
        terms = work.constant(np.concatenate([of_tokens, of_tokens[:1]]).astype(np.float64))
        margins = replace(margins, terms=terms)
        level = rng.choice([0, 1, 5, -(2**62), 2**62], margins.tokens.shape)
        parts = []
        for _, part in margins.by_highest_level(work, level):
            assert isinstance(part, ClassMargins)
            parts.append(part)

        assert margins.size == sum(part.size for part in parts)
        wrong = [wrong_inputs(part) for part in parts]
        certainly, possibly, size = (sum(numbers) for numbers in zip(*wrong, strict=True))
        assert size == margins.size
        assert certainly <= wrong_inputs(margins)[1] <= possibly


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


def test_counts_too_large_for_floats_are_refused() -> None:
    """What overflows is infinite, or the largest float where results are rounded to zero."""
    assert rounded(2.0**999, 0, over=True) == 2**999
    for value in (2.0**1000, float(np.finfo(np.float64).max), np.inf, np.nan):
        with pytest.raises(OverflowError):
            rounded(value, 0, over=True)


def test_choices_that_there_are_not() -> None:
    """More positions than there are, or fewer than none, cannot be chosen."""
    assert sum_of_choices(np.array([2, 3]), 3, 2) == 3 * (4 + 9)
    for others in (-1, 4):
        with pytest.raises(ValueError, match="of 3 positions cannot be chosen"):
            sum_of_choices(np.array([2]), 3, others)
