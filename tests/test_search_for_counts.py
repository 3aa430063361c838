"""What the search for counts makes of made-up classes: it never decides whether a bound holds, but how good it is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from compactproofs import load_model
from compactproofs.kernel.decisions import IntArray
from compactproofs.search.families import counting
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting.unions import Grids, Step


def some_work() -> MaxWorkspace:
    """Counting needs a workspace for its meter and the number of tokens only."""
    return workspace(load_model("max-of-4/123"), "check")


def made_up(entries: IntArray, last: IntArray) -> ClassMargins:
    """A class with exact entries of shape (positions, tokens, outputs), where the last token has to be met."""
    positions, tokens, outputs = entries.shape
    terms = some_work().constant(np.zeros((positions + 1, tokens + 1, outputs)))
    required, ones = np.arange(tokens)[None] == tokens - 1, np.ones(tokens, np.int64)
    numbers = np.arange(tokens), np.arange(outputs)
    return ClassMargins(0, *numbers, entries, entries, last, last, required, terms, ones, 1)


def over_many_scales(seed: int, positions: int, tokens: int) -> ClassMargins:
    """One output, with sums over many orders of magnitude and of both signs."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(0, 8.0, (1, tokens, 1))) * np.exp(rng.normal(0, 0.3, (positions, tokens, 1)))
    entries = np.round(size * np.sign(rng.normal(0.3, 1.0, (1, tokens, 1))) * 2**20).astype(np.int64)
    return made_up(entries, np.round(rng.normal(0, 1, 1) * 2**20).astype(np.int64))


def wrong(margins: ClassMargins) -> int:
    """How many inputs have a sum of at most 0, by enumeration."""
    positions, tokens, _ = margins.low.shape
    inputs = np.array(list(product(range(tokens), repeat=positions)))
    sums = margins.low[np.arange(positions), inputs, 0].sum(axis=1) + margins.low_last[0]
    return int(np.count_nonzero((sums <= 0) & (inputs == tokens - 1).any(axis=1)))


def test_where_histograms_miss_the_same_a_grid_is_tried() -> None:
    """That a finer histogram hardly gains anything does not say that there is nothing to gain."""
    margins = over_many_scales(9, 8, 4)
    truth = wrong(margins)
    failing = counting._Failing(some_work(), margins, margins.size // 10**5)
    size, (step,) = failing._count([0], [], failing._share(failing._fails[:, 0]), False)

    assert isinstance(step.how, Grids)
    assert truth * 0.9999 <= size <= truth


def planned(monkeypatch: pytest.MonkeyPatch, on_grids: list[int], in_halves: list[int]) -> list[int]:
    """Have counts come to these numbers, one after the other; which they were is added to what is returned."""
    sizes, found = {True: iter(on_grids), False: iter(in_halves)}, list[int]()

    def count(work: object, margins: object, outputs: object, less: object, step: Step, over: bool) -> int:
        found.append(next(sizes[isinstance(step.how, Grids)]))
        return found[-1]

    monkeypatch.setattr(counting, "count_failing", count)
    return found


@pytest.fixture(scope="module")
def of_pairs() -> counting._Failing:
    """Two outputs at 13 positions, where pairs are counted on grids and in halves; 1 input is worth the trouble."""
    rng = np.random.default_rng(0)
    margins = made_up(rng.integers(-50, 51, (13, 4, 2)), np.array([3, 5]))
    return counting._Failing(some_work(), margins, 1)


def test_counts_are_made_finer_while_the_sample_shows_that_there_is_more(
    of_pairs: counting._Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From below the first counts may be next to nothing, and which of them is ahead says nothing then."""
    guess = of_pairs._size // 2
    small = [guess * part // 1000 for part in (400, 600, 700)]
    found = planned(monkeypatch, [0, 9, 10, *small], [1])
    size, _ = of_pairs._count([0], [[1]], guess, False)

    assert size == small[-1]
    assert found == [0, 1, 9, 10, *small]


def test_counts_are_not_made_finer_where_they_hardly_gain(
    of_pairs: counting._Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within what a sample leaves open, the last gain says how much there is; and what is far behind is given up."""
    guess = of_pairs._size // 2
    far, near = of_pairs._size * 9 // 10, guess + of_pairs._size // 500
    found = planned(monkeypatch, [near, near - 5], [far])
    size, _ = of_pairs._count([0], [[1]], guess, True)

    assert (size, found) == (near - 5, [near, far, near - 5])


def test_a_third_sum_is_given_up_where_two_do_better(
    of_pairs: counting._Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count has to come near to what is known, or no finer one is tried."""
    guess, known = of_pairs._size // 10, of_pairs._size // 5
    found = planned(monkeypatch, [of_pairs._size * 9 // 10], [])
    size, steps = of_pairs._count([0], [[1], [1]], guess, True, known=known)

    assert (size, steps, len(found)) == (known, [], 1)
