"""What the search for counts makes of made-up classes: it never decides whether a bound holds, but how good it is."""

from __future__ import annotations

from itertools import product
from typing import cast

import numpy as np
import pytest

from compactproofs import Model, Prover, TooMuchWork, load_model
from compactproofs.kernel.decisions import IntArray
from compactproofs.kernel.limits import LISTENER, spend
from compactproofs.search.allowance import Allowance, allowing
from compactproofs.search.families import counting
from compactproofs.search.families.branches import told
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.tasks.by_comparison import POSITION, ByComparison
from compactproofs.tasks.orders import WeightedLargest
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting.unions import BothEnds, Step
from soundness.models import random_weights


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


def test_where_histograms_miss_the_same_both_ends_are_tried() -> None:
    """That a finer histogram hardly gains anything does not say that there is nothing to gain."""
    margins = over_many_scales(9, 8, 4)
    truth = wrong(margins)
    failing = counting._Failing(some_work(), margins, margins.size // 10**5)
    size, (step,) = failing._count([0], [], failing._share(failing._fails[:, 0]), False)

    assert isinstance(step.how, BothEnds)
    assert truth * 0.9999 <= size <= truth


def planned(monkeypatch: pytest.MonkeyPatch, sizes: dict[tuple[int, int], int]) -> list[tuple[int, int]]:
    """Have ways to count come to these numbers, by tokens and points; which were tried is added to what is returned."""
    found = list[tuple[int, int]]()

    def how(ways: object, tokens: int, points: int) -> tuple[int, int]:
        return tokens, points

    def count(work: object, margins: object, outputs: object, less: object, step: Step, over: bool) -> int:
        way = cast("tuple[int, int]", step.how)
        found.append(way)
        return sizes[way]

    monkeypatch.setattr(counting._Ways, "how", how)
    monkeypatch.setattr(counting._Ways, "milliseconds", lambda ways, *way: 1.0 if way in sizes else float("inf"))
    monkeypatch.setattr(counting, "count_failing", count)
    monkeypatch.setattr(counting, "_COARSE", float("inf"))
    return found


@pytest.fixture(scope="module")
def of_pairs() -> counting._Failing:
    """Two outputs at 13 positions; 1 input is worth the trouble."""
    rng = np.random.default_rng(0)
    margins = made_up(rng.integers(-50, 51, (13, 4, 2)), np.array([3, 5]))
    return counting._Failing(some_work(), margins, 1)


def test_counts_are_made_finer_where_that_gains_most(
    of_pairs: counting._Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more tokens and more points what is better, until nothing more is to be had."""
    guess = of_pairs._size // 2
    parts = {(0, 0): 300, (1, 0): 400, (0, 1): 350, (2, 0): 410, (1, 1): 600, (2, 1): 650, (1, 2): 620, (3, 1): 700}
    sizes = {way: guess * part // 1000 for way, part in parts.items()}
    found = planned(monkeypatch, sizes)
    size, _ = of_pairs._count([0], [[1]], guess, False)

    assert size == sizes[3, 1]
    assert found == [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (2, 1), (1, 2), (3, 1)]


def test_counts_are_made_finer_while_the_sample_shows_that_there_is_more(
    of_pairs: counting._Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From below the first counts may be next to nothing, and what one gained says nothing then."""
    guess = of_pairs._size // 2
    sizes = {(0, 0): 0, (1, 0): 1, (0, 1): 0, (2, 0): guess * 6 // 10}
    found = planned(monkeypatch, sizes)
    size, _ = of_pairs._count([0], [[1]], guess, False)

    assert (size, found) == (sizes[2, 0], [(0, 0), (1, 0), (0, 1), (2, 0)])


def test_coarse_counts_are_left_out_where_much_is_to_be_counted(
    of_pairs: counting._Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first way has as many points as cost next to nothing beside what is counted."""
    guess = of_pairs._size // 2
    found = planned(monkeypatch, {(0, 0): 0, (0, 1): 0, (0, 2): guess, (0, 3): guess})
    monkeypatch.setattr(counting, "_COARSE", 2)
    monkeypatch.setattr(counting._Ways, "milliseconds", lambda ways, *way: guess / 8 if way[1] < 3 else guess)
    size, _ = of_pairs._count([0], [[1]], guess, False)

    assert (size, found) == (guess, [(0, 2)])


def test_counts_are_not_made_finer_where_they_hardly_gain(
    of_pairs: counting._Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within what a sample leaves open, the last gain says how much there is."""
    guess = of_pairs._size // 2
    near = guess + of_pairs._size // 500
    monkeypatch.setattr(counting, "_PER_MILLISECOND", 9.0)
    found = planned(monkeypatch, {(0, 0): near, (1, 0): near - 5, (0, 1): near - 4, (2, 0): 0, (1, 1): 0})
    size, _ = of_pairs._count([0], [[1]], guess, True)

    assert (size, found) == (near - 5, [(0, 0), (1, 0), (0, 1)])


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("histogram", WeightedLargest(1, 6, tuple(range(6)), (1000,) * 6)),
        ("by-comparison/histogram", ByComparison(POSITION, 1, 3, 0, (1, 2**20, 17))),
    ],
)
def test_no_position_is_left_where_inputs_count_much(kind: str, task: WeightedLargest | ByComparison) -> None:
    """The query and the label are all there is, and weights make it worth counting from both ends."""
    model = Model(**random_weights(np.random.default_rng(0), task.d_vocab, task.n_ctx, 4, 2, 1.0))
    prover = Prover(model, task)
    lower, upper = (prover.prove(f"{kind}{side}").certificate.certified for side in ("", "-upper"))

    assert 0 < lower <= upper < task.total


def test_limits_of_work_hold_while_branches_are_searched_for() -> None:
    """What a trial takes is told to who asks for it, and to those who asked before, who may stop it."""
    heard: list[int] = []
    token = LISTENER.set(heard.append)
    try:
        with told() as operations:
            spend(5)
        spend(7)
    finally:
        LISTENER.reset(token)
    assert (operations, heard) == ([5], [5, 7])
    with allowing(Allowance(10)), pytest.raises(TooMuchWork), told():
        spend(11)
