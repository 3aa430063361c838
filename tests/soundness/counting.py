"""Small random problems of counting sums and sizes of unions, and their answers by enumeration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from math import prod

import numpy as np
import numpy.typing as npt

from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting.unions import ALL_OTHERS, Grids, Halves, Step

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Problem:
    """Which sequences meet all sets of `required` and have, on every axis, start plus entries at most 0?"""

    entries: IntArray  # (positions, tokens, axes)
    start: IntArray  # (axes,)
    required: BoolArray  # (sets, tokens)
    windows: list[tuple[int, int, int]]  # of each axis: width, low, high
    counts: IntArray  # (tokens,)

    def answer(self) -> int:
        """By enumeration."""
        return self._answer

    @cached_property
    def _answer(self) -> int:
        positions, tokens, _ = self.entries.shape
        chosen = sequences(tokens, positions)
        met = self.required[:, chosen].any(axis=2).all(axis=0)
        sums = self.start + self.entries[np.arange(positions), chosen].sum(axis=1)
        return sum(map(prod, self.counts[chosen[met & (sums <= 0).all(axis=1)]].tolist()))


@cache
def sequences(tokens: int, positions: int) -> IntArray:
    """All of them, one a row."""
    return np.array(list(product(range(tokens), repeat=positions)), np.int64).reshape(tokens**positions, positions)


@cache
def problems(seed: int, number: int, axes: int = 3, most: int = 4) -> tuple[Problem, ...]:
    """Problems with windows of all kinds: empty, too short, on one side of 0, coarse; some with far outlying entries.

    `axes` and `most`: there are at most so many axes and positions.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        positions, tokens, r = (int(rng.integers(a, b)) for a, b in ((0, most + 1), (1, 5), (1, axes + 1)))
        reach = int(rng.integers(1, 40))
        entries = rng.integers(-reach, reach + 2, (positions, tokens, r))
        if positions and rng.random() < 0.2:
            entries[rng.integers(positions), rng.integers(tokens)] *= 10**6
        required = rng.random((int(rng.integers(0, 3)), tokens)) < 0.4
        windows = []
        for _ in range(r):
            low = int(rng.integers(-60, 10))
            windows.append((int(rng.integers(1, 6)), low, low + int(rng.integers(-9, 80))))
        counts = np.ones(tokens, np.int64) if rng.random() < 0.5 else rng.choice([0, 1, 2, 17], tokens)
        found.append(Problem(entries, rng.integers(-reach, reach, r), required, windows, counts))
    return (*found, LONG_STEPS)


#: A step that is clipped to the window and a longer one back: sums are -50 or 150, and on the way -1 or 1.
LONG_STEPS = Problem(
    np.array([[-100, 100], [50, 50]])[..., None],
    np.array([0]),
    np.zeros((0, 2), np.bool_),
    [(1, 0, 0)],
    np.ones(2, np.int64),
)

#: All sequences count: one of 2^53, and 63 that go elsewhere and are added to it one by one, where floats are even.  So
#: each is lost, or counts for one more than it does; and windows are so small that they leave no room for that.
LOST = tuple(
    Problem(
        np.stack(np.divmod(np.arange(64), 8), axis=1)[None],
        np.array([-16, -16]),
        np.zeros((0, 64), np.bool_),
        [(1, -8, 8)] * 2,
        np.array([2**53] + [each] * 63),
    )
    for each in (1, 3)
)


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
    positions, tokens, outputs = margins.low.shape
    steps = []
    exactly = (1, -250, 250), (1, -250, 250)
    if rng.random() < 0.5:
        names = [int(output) for output in rng.permutation(margins.outputs)]
        return [Step(output, int(rng.choice(names)), exactly, None) for output in names]
    for _ in range(int(rng.integers(0, outputs + 3))):
        windows = []
        for _ in range(2):
            low = int(rng.integers(-60, 10))
            windows.append((int(2 ** rng.uniform(0, 12)), low, low + int(rng.integers(-9, 80))))
        how: Halves | Grids | None = None
        kind = rng.random()
        if kind < 0.4:
            edges = rng.integers(0, 2**16, (2, int(rng.integers(1, 65))))
            how = Halves(rng.integers(0, rng.integers(1, 9), (positions, tokens)), edges)
        elif kind < 0.8:
            how = random_grids(rng, int(rng.choice([3 * 2**9, 2**13])))
        output, less = (int(rng.choice([*margins.outputs, ALL_OTHERS, 9])) for _ in range(2))
        steps.append(Step(output, less, (windows[0], windows[1]), how))
    if rng.random() < 0.5:
        steps.append(Step(ALL_OTHERS, int(rng.choice(margins.outputs)), exactly, None))
    return steps


def less_two(rng: np.random.Generator, margins: ClassMargins) -> list[Step]:
    """One output after the other, less the two before it, on grids with a point for every sum that is small."""
    names = [int(output) for output in rng.permutation(margins.outputs)]
    edges = np.tile(2**15 + np.array([-(2**11), 0, 2**11]), (3, 1))  # from -16 to 16
    return [
        Step(output, names[i - 1], ((1, 0, 0), (1, 0, 0)), Grids(edges, (16, 16, 16), names[max(i - 2, 0)]))
        for i, output in enumerate(names)
    ]


def random_grids(rng: np.random.Generator, reach: int) -> Grids:
    """Grids with edges that stand for numbers up to 2^(reach / 2^9), few or many."""
    edges = 2**15 + rng.integers(-reach, reach, (3, int(rng.integers(1, 65))))
    one, two, three = rng.integers(0, 6, 3).tolist()
    return Grids(edges, (one, two, three), int(rng.integers(-1, 10)))


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
