"""Counts of sums, sizes of unions and boxes, against enumeration: on the safe side, without tolerance."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from math import comb
from typing import Any

import numpy as np
import pytest

from compactproofs.kernel.decisions import IntArray
from compactproofs.search.families import counting as plans
from compactproofs.search.families.joining import Joining, codes_of
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.tasks.max_of_k import sum_of_choices
from compactproofs.theorems.max_of_k.branching.boxes import decide
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.counting.both_ends import Meeting, count_from_both_ends, numbers_of, spread
from compactproofs.theorems.max_of_k.counting.some_sum import Branching, count_where_some
from compactproofs.theorems.max_of_k.counting.sums import Axis, count_at_most_zero, rounded
from compactproofs.theorems.max_of_k.counting.unions import wrong_inputs as count_wrong

from .counting import (
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
    random_edges,
    random_meeting,
    random_steps,
    wrong_inputs,
)
from .models import cases


def some_work() -> MaxWorkspace:
    """Counting needs a workspace for its meter only."""
    return workspace(cases("working")[0].model, "check")


def heavy(counts: IntArray) -> IntArray:
    """The same numbers up to 17, times as much as that their sum has still 62 bits."""
    small = counts.clip(0, 17)
    return small * ((2**62 - 1) // max(int(small.sum()), 1))


def counts(problem: Problem, axis: Axis) -> tuple[int, int]:
    """From below and from above."""
    work, conditions = some_work(), problem.conditions()
    return (
        count_at_most_zero(work, axis, conditions, problem.counts, False),
        count_at_most_zero(work, axis, conditions, problem.counts, True),
    )


@pytest.mark.parametrize("seed", range(4))
def test_counts_bracket_the_truth_in_any_window(seed: int) -> None:
    """Whatever bins and window are chosen."""
    for problem in problems(seed, 300, axes=1) + LOST_OF_KINDS:
        if seed == 0:  # beyond exact floats
            problem = replace(problem, counts=heavy(problem.counts))
        under, over = counts(problem, Axis(problem.entries[:, :, 0], int(problem.start[0]), *problem.window))

        assert under <= problem.answer() <= over, problem


@pytest.mark.parametrize("seed", range(2))
def test_counts_bracket_the_truth_in_chosen_windows(seed: int) -> None:
    """With the choice of the search."""
    rng = np.random.default_rng(seed)
    for problem in problems(seed + 10, 300, axes=1):
        one = problem.entries[:, :, 0], int(problem.start[0])
        under, over = counts(
            problem, Axis(*one, *plans.bins(*one, int(rng.integers(1, 60)), *rng.integers(-99, 99, 2)))
        )

        assert under <= problem.answer() <= over, problem


def from_both_ends(problem: Problem, how: Meeting) -> tuple[int, int]:
    """From below and from above."""
    under, over = (
        count_from_both_ends(
            some_work(), problem.entries, problem.start, problem.conditions(), problem.counts, how, side
        )
        for side in (False, True)
    )
    return under, over


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_counts_from_both_ends_bracket_the_truth(seed: int) -> None:
    """With clusters as the search chooses them, or any; points that lie anywhere; and any numbers of positions."""
    rng = np.random.default_rng(seed)
    for problem in problems(seed + 30, 200) + problems(seed + 60, 15, axes=2, most=6) + LOST:
        if seed == 1:  # beyond exact floats
            problem = replace(problem, counts=heavy(problem.counts))
        how = random_meeting(rng, problem)
        joined = Joining(problem.entries, problem.conditions().kinds()[1]).labels(int(rng.integers(1, 100)))
        for each in (how, how._replace(labels=joined), random_meeting(rng, problem)):
            under, over = from_both_ends(problem, each)

            assert under <= problem.answer() <= over, (problem, each)
            assert {type(under), type(over)} == {int}


@pytest.mark.parametrize("seed", range(2))
def test_counts_from_both_ends_are_exact_without_rounding(seed: int) -> None:
    """Where every sum is a point, or all positions are put together exactly, and no tokens are joined."""
    rng = np.random.default_rng(seed)
    for problem in problems(seed + 90, 200, axes=2):
        positions = len(problem.entries)
        first = int(rng.integers(0, positions + 1))
        points, exact = every_sum(problem)
        for how in (
            Meeting(apart(problem), random_edges(rng, len(points)), 1, 0, positions),
            Meeting(apart(problem), points, 500, first, int(rng.integers(0, positions + 1))),
        ):
            if problem.answer() < 2**53 and (exact or how.last == positions):
                assert from_both_ends(problem, how) == (problem.answer(), problem.answer()), (problem, how)


def where_some(problem: Problem, how: Branching) -> tuple[int, int]:
    """From below and from above, where some axis is at most 0."""
    under, over = (
        count_where_some(some_work(), problem.entries, problem.start, problem.conditions(), problem.counts, how, side)
        for side in (False, True)
    )
    return under, over


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 16))])
def test_counts_where_some_sum_is_at_most_zero_bracket_the_truth(seed: int) -> None:
    """With any clusters, points, limits and thresholds; branches and tables are about clusters of their own."""
    rng = np.random.default_rng(seed)
    for problem in problems(seed + 400, 150, axes=4) + problems(seed + 430, 30, axes=3, most=6) + LOST:
        if seed == 1:  # beyond exact floats
            problem = replace(problem, counts=heavy(problem.counts))
        joined = Joining(problem.entries, problem.conditions().kinds()[1]).labels(int(rng.integers(1, 100)))
        how = random_branching(rng, problem)
        for each in (how, how._replace(labels=joined), random_branching(rng, problem)):
            under, over = where_some(problem, each)

            assert under <= problem.answer(True) <= over, (problem, each)
            assert {type(under), type(over)} == {int}


@pytest.mark.parametrize("seed", range(2))
def test_counts_where_some_sum_is_at_most_zero_are_exact_without_rounding(seed: int) -> None:
    """Where every sum is a point, no tokens are joined, and all ways are followed that two sums may decide.

    Also where all points are sums of the first positions, and nothing else is known in between.
    """
    rng = np.random.default_rng(seed)
    found = 0
    for problem in problems(seed + 470, 200, axes=4, most=5):
        how, exact = all_branches(problem)
        positions = len(problem.entries)
        every = how._replace(edges=how.edges[:0], number=1, first=positions)
        if exact:
            for each in (how, how._replace(first=int(rng.integers(0, positions + 1))), every):
                truth = problem.answer(True)
                assert where_some(problem, each) == (truth, truth), (problem, each)
            found += 1
        if problem.entries.shape[2] == 1 and exact:  # nothing is followed
            assert where_some(problem, how._replace(most=0)) == (problem.answer(True), problem.answer(True))
    assert found > 100


def test_one_sum_is_counted_as_on_all_axes() -> None:
    """Where there is one, some are all."""
    rng = np.random.default_rng(5)
    for problem in problems(490, 100, axes=1):
        assert problem.answer(True) == problem.answer()
        under, over = where_some(problem, random_branching(rng, problem))
        assert under <= problem.answer() <= over


def test_fewer_ways_lose_only_inputs() -> None:
    """The fewer may be made, and the more each has to gain, the further bounds are apart: on average, at each step."""
    widths = np.zeros(5)
    for problem in problems(495, 100, axes=3):
        how, exact = all_branches(problem)
        if exact:
            limits = ((0, 0.0), (20, 0.0), (10**6, 1e9), (10**6, 4.0), (10**6, 0.0))
            for index, (most, threshold) in enumerate(limits):
                under, over = where_some(problem, how._replace(most=most, threshold=threshold))
                assert under <= problem.answer(True) <= over
                widths[index] += over - under
    assert widths[0] == widths[2] > widths[1] > widths[4] == 0
    assert widths[2] > widths[3] > 0


def test_positions_in_any_order_where_some_sum_is_at_most_zero() -> None:
    """As for sums on all axes."""
    rng = np.random.default_rng(4)
    for problem in problems(496, 100):
        order = rng.permutation(len(problem.entries))
        how = random_branching(rng, problem)
        other = replace(problem, entries=problem.entries[order])
        under, over = where_some(other, how._replace(labels=how.labels[order], finer=how.finer[order]))

        assert under <= problem.answer(True) <= over
        if len(set(np.ptp(problem.entries, axis=1).sum(axis=1).tolist())) == len(order):
            assert (under, over) == where_some(problem, how)


def test_positions_in_any_order() -> None:
    """Bounds hold for the same positions in another order, and are the same where their entries differ by as much."""
    rng = np.random.default_rng(4)
    for problem in problems(96, 200):
        order = rng.permutation(len(problem.entries))
        how = random_meeting(rng, problem)
        other = replace(problem, entries=problem.entries[order])
        under, over = from_both_ends(other, how._replace(labels=how.labels[order]))

        assert other.answer() == problem.answer()
        assert under <= problem.answer() <= over
        if len(set(np.ptp(problem.entries, axis=1).sum(axis=1).tolist())) == len(order):
            assert (under, over) == from_both_ends(problem, how)


def test_edges() -> None:
    """They stand for numbers on a logarithmic scale."""
    assert numbers_of(2**15 + np.array([1024, 0, -1536])).tolist() == [-8, 0, 4]
    assert numbers_of(np.array([0, 2**16 - 1])).tolist() == [-(2**52), (2**10 - 1) << 43]
    numbers = np.array([-(2.0**50), -5.0, 0.0, 1.0, 3.0, 1000.0, 2.0**40])
    assert numbers_of(codes_of(numbers)).tolist() == numbers.tolist()


def nothing_but(tokens: int, positions: int, axes: int) -> Problem:
    """All sequences, with sums of 0."""
    entries, start = np.zeros((positions, tokens, axes), np.int64), np.zeros(axes, np.int64)
    return Problem(entries, start, np.zeros((0, tokens), np.bool_), (1, -(2**40), 2**40), np.ones(tokens, np.int64))


def test_where_too_much_is_asked_for_nothing_is_counted() -> None:
    """Neither sequences of clusters nor cells of a window or points, nor more positions than were thought of."""
    none = [np.zeros(0, np.int64)] * 2
    long = nothing_but(2, 65, 2)
    assert from_both_ends(long, Meeting(apart(long), none, 9, 0, 0)) == (0, 2**65)
    wide = nothing_but(64, 12, 2)
    for number, first, last in ((9, 4, 0), (9, 0, 4), (2**24, 0, 0)):
        assert from_both_ends(wide, Meeting(apart(wide), none, number, first, last)) == (0, 64**12)
    wide.entries[:, 0] = 1000
    wide.entries[:, 1] = -1000
    assert from_both_ends(wide, Meeting(apart(wide), none, 6000, 0, 0)) == (0, 64**12)
    one = replace(wide, entries=wide.entries[:, :, :1], start=wide.start[:1])
    assert counts(one, Axis(one.entries[:, :, 0], 0, *one.window)) == (0, 64**12)


def test_what_is_too_much_is_not_begun() -> None:
    """Neither sequences for many conditions, nor many points on axes, nor points of two grids on different axes."""
    many = np.array([0, 2**40])
    narrow_at_first = np.zeros((3, 2, 2), np.int64)
    narrow_at_first[0, :, 1] = many
    narrow_at_first[1] = many[:, None] * 2
    narrow_at_first[2, :, 0] = many * 7
    wide = np.tile(many[:, None], (64, 1, 1)) * np.arange(1, 65)[:, None, None]
    conditions = Conditions.of_sets(np.ones((1, 2), np.bool_)).with_rank(np.array([-1, 1]), 7, 31)
    nothing = Conditions.of_sets(np.zeros((0, 2), np.bool_))
    for entries, met, number, first, last in (
        (narrow_at_first, nothing, 2**18, 0, 1),
        (wide, nothing, 2**18, 0, 0),
        (wide, conditions, 9, 20, 0),
    ):
        axes = entries.shape[2]
        how = Meeting(np.tile(np.arange(2), (len(entries), 1)), [np.zeros(0, np.int64)] * axes, number, first, last)
        tracemalloc.start()
        found = count_from_both_ends(
            some_work(), entries, np.array([-(2**43), -(2**41)][:axes]), met, np.ones(2, np.int64), how, True
        )
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found == 2 ** len(entries)
        assert peak < 2**25


def test_counts_are_exact_without_rounding() -> None:
    """With bins of width 1 and a window that holds all sums, nothing is lost."""
    for problem in problems(20, 200, axes=1):
        if np.abs(problem.entries).max(initial=0) < 100:
            under, over = counts(problem, Axis(problem.entries[:, :, 0], int(problem.start[0]), 1, -400, 400))

            assert problem.answer() >= 2**50 or (under, over) == (problem.answer(), problem.answer()), problem


def test_offsets_may_add_up_beyond_64_bits() -> None:
    """Bins of the largest width, at many positions; the only sum is 0."""
    for entry in (1, -1):
        entries = np.full((600, 1), entry)
        problem = Problem(
            entries[..., None], entries[:1, 0], np.zeros((0, 1), np.bool_), (0, 0, 0), np.ones(1, np.int64)
        )
        assert counts(problem, Axis(entries, -600 * entry, 2**62, -700, 700)) == (1, 1)


def some_how(problem: Problem, **others: Any) -> Branching:
    """All tokens apart, no edges, and what is named."""
    none = np.zeros(0, np.int64)
    return Branching(apart(problem), apart(problem), none, 9, 0, 60, 0.0, 10**6)._replace(**others)


def test_where_some_sum_is_asked_for_too_much_nothing_is_counted() -> None:
    """Neither more positions than were thought of, nor too many points or sequences; with no sum there is nothing."""
    for positions in (64, 65):
        long = replace(nothing_but(2, positions, 2), counts=np.array([0, 1]))
        assert where_some(long, some_how(long)) == (int(positions == 64), 1)
        long = replace(long, start=np.array([1, 1]))
        assert where_some(long, some_how(long)) == (0, int(positions == 65))
    longest = nothing_but(3, 1023, 2)
    assert where_some(longest, some_how(longest)) == (0, 3**1023)
    wide = nothing_but(64, 12, 2)
    wide = replace(wide, start=np.array([1, 1]), counts=2 * wide.counts)
    assert where_some(wide, some_how(wide)) == (0, 0)
    for much in ({"number": 2**20}, {"number": 2**40}, {"first": 3}, {"first": 2**40}):
        assert where_some(wide, some_how(wide, **much)) == (0, 128**12)
    no_sums = replace(wide, entries=wide.entries[:, :, :0], start=wide.start[:0])
    assert where_some(no_sums, some_how(no_sums, number=2**40)) == (0, 0)


def test_no_positions_where_some_sum_is_at_most_zero() -> None:
    """There is one sequence, which fails or not, and meets some conditions."""
    rng = np.random.default_rng(8)
    for required in (np.zeros((0, 2), np.bool_), np.ones((1, 2), np.bool_)):
        for start in ([0], [1], [1, 0], [1, 1, 1], [2**53 - 1, 1 - 2**53]):
            entries = np.zeros((0, 2, len(start)), np.int64)
            problem = Problem(entries, np.array(start), required, (1, 0, 0), np.ones(2, np.int64))
            truth = int(min(start) <= 0 and not len(required))
            assert where_some(problem, random_branching(rng, problem)) == (truth, truth)


@pytest.mark.parametrize("start", [0, 1, 2**53 - 1, 1 - 2**53])
def test_largest_entries_where_some_sum_is_at_most_zero(start: int) -> None:
    """Sums of 2^59 in size at 64 positions, which are opposite on two axes, and points beyond them; any bits."""
    most = 2**53 - 1
    entries = np.zeros((64, 2, 3), np.int64)
    entries[:, :, 0] = most * np.array([1, -1])
    entries[:, :, 1:] = -entries[:, :, :1]
    for others in ([start] * 3, [start, -start, -start], [most] * 3):
        problem = replace(nothing_but(2, 64, 3), entries=entries, start=np.array(others))
        # Where n tokens are 1, the first sum is 64 - 2 n times `most`, and the others are the opposite.
        ones = range(65)
        failing = [
            any(at + sign * most * (64 - 2 * n) <= 0 for at, sign in zip(others, (1, -1, -1), strict=True))
            for n in ones
        ]
        truth = sum(comb(64, n) for n in ones if failing[n])
        for edges in ([-(2**59), 0, 2**59], np.arange(-9, 10) * most):
            for bits in (-(2**40), 9, 2**40):
                for ways in (3, 2000):
                    points = np.array(edges, np.int64)
                    how = some_how(problem, edges=points, number=len(points) + 3, bits=bits, most=ways)
                    under, over = where_some(problem, how)
                    assert under <= truth <= over


def test_what_is_too_much_is_not_begun_where_some_sum_is_at_most_zero() -> None:
    """Neither many points nor many sequences; of tokens and positions no more is made than was there before."""
    wide = nothing_but(512, 64, 2)
    for much in ({"number": 2**40}, {"number": 2**17}, {"first": 64}, {"first": 2}):
        tracemalloc.start()
        assert where_some(wide, some_how(wide, **much)) == (0, 512**64)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**25


@pytest.mark.parametrize("side", [False, True])
def test_ways_at_once_are_limited(side: bool) -> None:
    """However many may be made, and where a table says little: so memory is."""
    rng = np.random.default_rng(0)
    entries = rng.integers(-(2**30), 2**30, (12, 8, 2))
    problem = Problem(entries, np.array([2**31] * 2), np.zeros((0, 8), np.bool_), (1, 0, 0), np.ones(8, np.int64))
    how = some_how(problem, number=30 if side else 5, most=2**40, threshold=0.0)
    tracemalloc.start()
    found = count_where_some(
        some_work(), problem.entries, problem.start, problem.conditions(), problem.counts, how, side
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 < found < 8**12
    assert 2**26 < peak < 2**29


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("first", "last"), [(0, 0), (1, 0), (0, 1), (2, 12)])
def test_largest_entries_at_the_most_positions(sign: int, first: int, last: int) -> None:
    """Sums of 2^59 in size, far from and close to 0, and points beyond them."""
    most = 2**53 - 1
    entries = np.zeros((64, 2, 2), np.int64)
    entries[:, :, 0] = sign * most * np.array([1, -1])
    entries[:, :, 1] = -entries[:, :, 0]
    problem = nothing_but(2, 64, 2)
    for start in (0, most, -most):
        problem = replace(problem, entries=entries, start=np.array([start, -start]))
        # Sums are even multiples of `most`, and 0 where as many tokens are 0 as are 1.
        truth = comb(64, 32) if start == 0 else 0
        for points in ([], [-(2**59), 0, 2**59], [-most, most], np.arange(-100, 101) * most):
            how = Meeting(apart(problem), [np.array(points, np.int64)] * 2, len(points) + 3, first, last)
            under, over = from_both_ends(problem, how)
            assert under <= truth <= over


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
    problem = Problem(entries[:, :, None], np.array([-4]), required, (1, -30, 30), ones)
    joined = np.minimum(apart(problem), 1)
    for under, over in (
        counts(problem, Axis(entries, -4, 1, -30, 30)),
        *(
            from_both_ends(problem, Meeting(joined, [np.arange(-30, 30)], 99, *each))
            for each in ((0, 0), (7, 7), (10, 9))
        ),
    ):
        assert under <= truth <= over
        assert over - under < truth * 1e-9


def test_counts_beyond_exact_floats_where_some_sum_is_at_most_zero() -> None:
    """The same for two sums, which count two tokens: at most 4 of the 19 are 0, or at most 2 are 1."""
    positions, tokens = 19, 64
    entries = np.zeros((positions, tokens, 2), np.int64)
    entries[:, 0, 0] = entries[:, 1, 1] = 1
    required, ones = np.arange(tokens)[None] == tokens - 1, np.ones(tokens, np.int64)

    def placed(zeros: int, of_one: int) -> int:
        """Sequences with so many tokens 0 and 1, of which one is 63."""
        rest = positions - zeros - of_one
        among_others = int((tokens - 2) ** rest) - int((tokens - 3) ** rest)
        return comb(positions, zeros) * comb(positions - zeros, of_one) * among_others

    each = range(positions + 1)
    truth = sum(placed(a, b) for a in each for b in each if a + b <= positions and (a <= 4 or b <= 2))
    problem = Problem(entries, np.array([-4, -2]), required, (1, 0, 0), ones)
    joined = np.minimum(apart(problem), 2)
    for first, bits in ((0, 60), (5, 60), (3, 8)):
        how = Branching(joined, joined, np.arange(-30, 30), 99, first, bits, 0.0, 10**6)
        under, over = where_some(problem, how)
        assert under <= truth <= over
        assert over - under < truth * 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_unions_by_branches_are_bracketed(seed: int) -> None:
    """Whichever outputs are one sum; exactly where each is one of its own, but for ties of the two kinds."""
    rng = np.random.default_rng(seed)
    work = some_work()
    for _ in range(150):
        margins = random_class(rng)
        certainly, possibly, size = wrong_inputs(margins)
        for _ in range(3):
            branches = random_branches(rng, margins)
            assert 0 <= count_wrong(work, margins, branches, False) <= certainly, branches
            assert possibly <= count_wrong(work, margins, branches, True) <= size, branches
        branches = exact_branches(rng)
        if max(np.abs(margins.low).max(), np.abs(margins.high).max()) < 50:
            assert count_wrong(work, margins, branches, False) == certainly
            assert count_wrong(work, margins, branches, True) == possibly


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
    for number in range(100):
        margins = random_class(rng)
        last = margins.low_last[None, None, :] + np.zeros((len(margins.low), 1, 1))
        of_tokens = np.concatenate([margins.low, last], axis=1)
        terms = work.constant(np.concatenate([of_tokens, of_tokens[:1]]).astype(np.float64))
        margins = replace(margins, terms=terms)
        if number % 10 == 0:  # an input is its last token
            nothing = margins.low[:0]
            margins = replace(margins, low=nothing, high=nothing, required=margins.required[:0], terms=terms[-1:])
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


def test_so_many_points() -> None:
    """As many between any two edges, but each integer once."""
    edges = np.array([-1000, -10, -5, 0, 3, 900])
    for number in (1, 2, 10, 100, 10**4):
        found = spread(edges, -2000, 1000, number).tolist()
        assert {-2000, 1000} <= set(found) <= set(range(-2000, 1001))
        assert found == sorted(set(found))
        assert len(found) <= number + 1
        assert number < 100 or set(range(-10, 3)) <= set(found)
    assert found == list(range(-2000, 1001))
    assert spread(edges[:0], 7, 7, 9).tolist() == [7]
    assert spread(edges[:0], 0, 100, 10).tolist() == list(range(0, 101, 10))
    assert spread(np.array([10, 20]), 0, 120, 6).tolist() == [0, 5, 10, 15, 20, 70, 120]
    far = 2**60
    assert spread(np.array([0]), -far, far, 2**20).tolist()[:: 2**17] == list(range(-far, far + 1, far // 4))
