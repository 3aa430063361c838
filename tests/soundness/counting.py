"""Small random problems of counting sums and sizes of unions, and their answers by enumeration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.counting.both_ends import Meeting, numbers_of
from compactproofs.theorems.max_of_k.counting.some_sum import Branching
from compactproofs.theorems.max_of_k.counting.unions import ALL_OTHERS, BothEnds, Branches, Step, Window

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NO_RANK = 64  # at most so many tokens are above one


@dataclass(frozen=True)
class Problem:
    """Which sequences meet all sets of `required`, and a rank, and have start plus entries at most 0?

    On all axes, or on some.
    """

    entries: IntArray  # (positions, tokens, axes)
    start: IntArray  # (axes,)
    required: BoolArray  # (sets, tokens)
    window: tuple[int, int, int]  # width, low, high
    counts: IntArray  # (tokens,)
    sign: IntArray | None = None  # (tokens,): of each less the one of the rank, if there is one
    above: int = NO_RANK
    least: int = 0

    def conditions(self, of: Any = Conditions) -> Any:
        """What is to be met, as the class `of` says it."""
        sets = of.of_sets(self.required)
        return sets if self.sign is None else sets.with_rank(self.sign, self.above, self.least)

    def answer(self, some: bool = False) -> int:
        """By enumeration, on all axes or on `some`."""
        return self._answers[some]

    @cached_property
    def _answers(self) -> tuple[int, int]:
        positions, tokens, _ = self.entries.shape
        chosen = sequences(tokens, positions)
        met = self.required[:, chosen].any(axis=2).all(axis=0)
        if self.sign is not None:
            signs = self.sign[chosen]
            met &= ((signs > 0).sum(axis=1) <= self.above) & ((signs >= 0).sum(axis=1) >= self.least)
        sums = self.start + self.entries[np.arange(positions), chosen].sum(axis=1)
        on_all, on_some = (
            sum(map(prod, self.counts[chosen[met & holds]].tolist()))
            for holds in ((sums <= 0).all(axis=1), (sums <= 0).any(axis=1))
        )
        return on_all, on_some


@cache
def sequences(tokens: int, positions: int) -> IntArray:
    """All of them, one a row."""
    return np.array(list(product(range(tokens), repeat=positions)), np.int64).reshape(tokens**positions, positions)


@cache
def problems(seed: int, number: int, axes: int = 3, most: int = 4) -> tuple[Problem, ...]:
    """Problems with windows of all kinds: empty, too short, on one side of 0, coarse; some with far outlying entries.

    `axes` and `most`: there are at most so many axes and positions.  Some entries are as large as they may be, and some
    tokens count nothing, or more than floats hold exactly.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        positions, tokens, r = (int(rng.integers(a, b)) for a, b in ((0, most + 1), (1, 5), (1, axes + 1)))
        reach = int(rng.integers(1, 40))
        entries, start = rng.integers(-reach, reach + 2, (positions, tokens, r)), rng.integers(-reach, reach, r)
        if positions and rng.random() < 0.2:
            entries[rng.integers(positions), rng.integers(tokens)] *= 10**6
        elif rng.random() < 0.1:
            entries, start = (numbers * (2**52 // (reach + 1)) for numbers in (entries, start))
        required = rng.random((int(rng.integers(0, 4)), tokens)) < 0.5
        low = int(rng.integers(-60, 10))
        window = (int(rng.integers(1, 6)), low, low + int(rng.integers(-9, 80)))
        counts = np.ones(tokens, np.int64)
        if rng.random() < 0.5:
            counts = rng.choice([0, 1, 2, 17, *([2**53 + 1] if rng.random() < 0.2 else [])], tokens)
        rank: tuple[IntArray, int, int] | tuple[()] = ()
        if rng.random() < 0.3:
            rank = rng.integers(-1, 2, tokens), int(rng.integers(0, 3)), int(rng.integers(0, 3))
        found.append(Problem(entries, start, required, window, counts, *rank))
    return (*found, LONG_STEPS)


#: A step that is clipped to the window and a longer one back: sums are -50 or 150, and on the way -1 or 1.
LONG_STEPS = Problem(
    np.array([[-100, 100], [50, 50]])[..., None],
    np.array([0]),
    np.zeros((0, 2), np.bool_),
    (1, 0, 0),
    np.ones(2, np.int64),
)

#: Most sequences count: one token 2^53, and 63 others are added to it one by one, where floats are even.  So each is
#: lost, or counts for one more than it does; and windows are so small that they leave no room for that.
LOST = tuple(
    Problem(
        np.stack(np.divmod(np.arange(64), 8), axis=1)[None],
        np.array([-16, -16]),
        np.zeros((0, 64), np.bool_),
        (1, -8, 8),
        np.array([2**53] + [each] * 63),
    )
    for each in (1, 3)
)

#: The same with one sum, whose tokens make no more than 8 steps, but are of 8 kinds; one of them meets all sets.
LOST_OF_KINDS = tuple(
    Problem(
        np.tile(np.arange(64) % 8, (2, 1))[..., None],
        problem.start[:1],
        (7 - np.arange(64) // 8) >> np.arange(3)[:, None] & 1 == 1,
        problem.window,
        problem.counts,
    )
    for problem in LOST
)


def random_edges(rng: np.random.Generator, axes: int) -> list[IntArray]:
    """On each axis none, few, close to 0 or as far away as they may be."""
    found = []
    for _ in range(axes):
        kind = rng.integers(5)
        number = int(rng.integers(0, 30))
        if kind == 0:
            found.append(np.sort(rng.integers(-60, 60, number)))
        elif kind == 1:
            found.append(np.sort(rng.choice([-(2**59), -(2**54), -1, 0, 1, 2**54, 2**59], number)))
        else:
            reach = int(rng.choice([3 * 2**9, 2**13, 2**15]))
            found.append(numbers_of(2**15 + rng.integers(-reach, reach, number)))
    return found


def every_sum(problem: Problem) -> tuple[list[IntArray], bool]:
    """On each axis all numbers up to 200 in size, and whether that makes counts exact where tokens are alone."""
    positions, _, axes = problem.entries.shape
    small = positions <= 4 and np.abs(problem.entries).max(initial=0) < 45
    few = axes <= 2 and len(problem.conditions().empty) < 50
    return [np.arange(-200, 200)] * axes, bool(small and few and problem.answer() < 2**53)


def random_meeting(rng: np.random.Generator, problem: Problem) -> Meeting:
    """Any labels and points, and any numbers of positions, also negative and too large ones."""
    positions, tokens, axes = problem.entries.shape
    first, last = rng.integers(-1, positions + 2, 2).tolist()
    labels = rng.integers(0, rng.integers(1, 7), (positions, tokens))
    if rng.random() < 0.3:
        labels = apart(problem)
    return Meeting(labels, random_edges(rng, axes), int(rng.integers(-1, 60)), first, last)


def random_branching(rng: np.random.Generator, problem: Problem) -> Branching:
    """Any labels and points, and any numbers, also negative and too large ones."""
    positions, tokens, _ = problem.entries.shape

    def labels() -> IntArray:
        if rng.random() < 0.4:
            return apart(problem)
        return rng.integers(0, rng.integers(1, 7), (positions, tokens))

    return Branching(
        labels(),
        labels(),
        random_edges(rng, 1)[0],
        int(rng.choice([-1, 1, 2, 5, 40, 200, 2**40], p=[0.05, 0.1, 0.15, 0.25, 0.25, 0.17, 0.03])),
        int(rng.integers(-1, positions + 2)),
        int(rng.choice([-3, 8, 9, 12, 60, 2**40])),
        float(rng.choice([-1.0, 0.0, 0.5, 1.0, 5.0, 100.0, np.inf])),
        int(rng.choice([-1, 0, 3, 50, 10**6, 2**40])),
    )


def all_branches(problem: Problem) -> tuple[Branching, bool]:
    """Every way, with all numbers up to 300 as points, and whether that makes counts exact."""
    small = len(problem.entries) <= 6 and np.abs(problem.entries).max(initial=0) < 45
    how = Branching(apart(problem), apart(problem), np.arange(-300, 300), 700, 0, 60, 0.0, 10**7)
    return how, bool(small and problem.answer(True) < 2**53)


def apart(problem: Problem) -> IntArray:
    """Every token in a cluster of its own."""
    return np.tile(np.arange(problem.entries.shape[1]), (len(problem.entries), 1))


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
    high_last = last + rng.integers(0, 2, outputs)
    terms = np.zeros((positions + 1, tokens + 1, outputs))
    names = rng.permutation(9)[:outputs]
    return ClassMargins(
        tokens, np.arange(tokens), names, low, high, last, high_last, required, terms, np.ones(tokens, np.int64), 1
    )


def random_steps(rng: np.random.Generator, margins: ClassMargins) -> list[Step]:
    """What to count, and how: anything, or all outputs one after the other, exactly if the integers are small."""
    outputs = margins.low.shape[2]
    steps = []
    names = rng.permutation(margins.outputs).tolist()
    if rng.random() < 0.5:
        less, second = rng.choice(names, (2, len(names))).tolist()
        return [Step(*each, exactly(rng, margins)) for each in zip(names, less, second, strict=True)]
    for _ in range(int(rng.integers(0, outputs + 3))):
        output, less, second = rng.choice([*margins.outputs, ALL_OTHERS, 9], 3).tolist()
        low = int(rng.integers(-60, 10))
        how: Window | BothEnds = Window(int(2 ** rng.uniform(0, 12)), low, low + int(rng.integers(-9, 80)))
        if rng.random() < 0.7:
            how = anyhow(rng, margins)
        steps.append(Step(output, less, second, how))
    if rng.random() < 0.5:
        steps.append(Step(ALL_OTHERS, names[0], names[-1], exactly(rng, margins)))
    return steps


def random_branches(rng: np.random.Generator, margins: ClassMargins) -> Branches:
    """All outputs at once, anyhow."""
    positions, tokens, _ = margins.low.shape
    labels, finer = (
        rng.integers(0, rng.integers(1, 9), (positions, tokens)) if rng.random() < 0.5 else None for _ in range(2)
    )
    reach = int(rng.choice([3 * 2**9, 2**13]))
    return Branches(
        rng.integers(0, rng.integers(1, 7), 9),
        labels,
        finer,
        2**15 + rng.integers(-reach, reach, int(rng.integers(1, 65))),
        int(rng.choice([-1, 2, 9, 60, 200])),
        int(rng.integers(-1, 6)),
        int(rng.choice([-1, 8, 60, 2**40])),
        int(rng.choice([-1, 0, 4, 1000, 2**40])),
        int(rng.choice([-1, 0, 40, 10**6, 2**40])),
    )


def exact_branches(rng: np.random.Generator) -> Branches:
    """All outputs at once, each one sum, with a point for every sum up to 64 in size, and every token alone."""
    edges = 2**15 + np.arange(-(2**9) * 6, 2**9 * 6 + 1, 2**5)
    return Branches(rng.permutation(9) + 1, None, None, edges, 10**4, int(rng.integers(0, 4)), 60, -1, 10**6)


def exactly(rng: np.random.Generator, margins: ClassMargins) -> BothEnds:
    """From both ends, with a point for every sum up to 16 in size, and every token alone."""
    first, last = rng.integers(0, len(margins.low) + 1, 2).tolist()
    edges = np.tile(2**15 + np.array([*range(-(2**11), 2**11)]), (3, 1))  # from -16 to 16
    return BothEnds(None, edges, 32, first, last)


def anyhow(rng: np.random.Generator, margins: ClassMargins) -> BothEnds:
    """From both ends, with edges that stand for numbers up to 8 or to 2^16, few or many."""
    positions, tokens, _ = margins.low.shape
    reach = int(rng.choice([3 * 2**9, 2**13]))
    edges = 2**15 + rng.integers(-reach, reach, (3, int(rng.integers(1, 65))))
    labels = rng.integers(0, rng.integers(1, 9), (positions, tokens)) if rng.random() < 0.7 else None
    first, last = rng.integers(-1, 6, 2).tolist()
    return BothEnds(labels, edges, int(rng.integers(-1, 60)), first, last)


def wrong_inputs(margins: ClassMargins) -> tuple[int, int, int]:
    """Certainly and possibly wrong inputs, and all inputs, by enumeration."""
    positions, tokens, _ = margins.low.shape
    chosen = sequences(tokens, positions)
    chosen = chosen[margins.required[:, chosen].any(axis=2).all(axis=0)]
    certainly, possibly = (
        int((last + terms[np.arange(positions), chosen].sum(axis=1) <= 0).any(axis=1).sum())
        for terms, last in ((margins.high, margins.high_last), (margins.low, margins.low_last))
    )
    return certainly, possibly, len(chosen)
