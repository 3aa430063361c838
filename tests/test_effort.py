"""What strategies declare of their work, and what `verify` does with it."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compactproofs as cp
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.kernel.problem import Hints, Problem, Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.networks.pair_sum.model import TENSORS, PairSum
from compactproofs.search import effort, families
from compactproofs.search.allowance import CALL, Allowance, allowing
from compactproofs.search.builtin import get_strategy
from compactproofs.search.companions import MAX_OPS
from compactproofs.search.families import companion_of
from compactproofs.search.families.attention_only import ROOM, Beyond
from compactproofs.tasks.by_comparison import RANK, ByComparison
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.tasks.pairs import pair_table
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.counting.both_ends import Meeting, count_from_both_ends
from compactproofs.theorems.max_of_k.counting.some_sum import Branching, count_where_some

BOUNDED = ("trivial", "brute-force", "cubic", *(id for id in cp.STRATEGIES if id.startswith("sub-cubic")))
#: v, n, d, h
SIZES = [(2, 1, 1, 1), (4, 2, 4, 4), (4, 8, 4, 4), (16, 3, 16, 8), (64, 4, 32, 32), (32, 20, 32, 32), (96, 2, 4, 4)]
#: All strategies, but of the 100 sub-cubic ones three.
STRATEGIES = [
    *(s for s in cp.STRATEGIES.values() if not s.id.startswith("sub-cubic")),
    *[s for s in cp.STRATEGIES.values() if s.id.startswith("sub-cubic")][::37],
]
LADDER = str(Path(__file__).parent / "certificates" / "models" / "ladder.safetensors")
LIMIT = 2**26  # operations until strategies that no size bounds are stopped here


def model_of(v: int, n: int, d: int = 2, h: int = 2, scale: float = 0.3) -> cp.Model:
    """A random model of these sizes, or one of zeros."""
    rng = np.random.default_rng(0)
    shapes = {"W_E": (v, d), "W_pos": (n, d), "W_Q": (d, h), "W_K": (d, h), "W_V": (d, h), "W_O": (h, d), "W_U": (d, v)}
    return cp.Model(**{name: scale * rng.normal(size=shape) for name, shape in shapes.items()})


def hints_of(strategy: Strategy, model: cp.Model, rank: int = 3) -> Hints:
    """Hints of the right types and sizes, of which windows say that everything is to be told apart."""
    return {
        name: np.zeros([rank if size is None else size for size in spec.shape], spec.dtype)
        for name, spec in strategy.hints(max_of_k(model)).items()
    }


def claim(strategy: Strategy, model: cp.Model, hints: Hints) -> cp.Certificate:
    """A certificate that claims nothing much."""
    certified = 0 if strategy.claim == "at least" else max_of_k(model).task.total
    names = max_of_k(model).task.record, model.sha256, strategy.id, strategy.theorem
    return cp.Certificate(*names, certified, max_of_k(model).task.total, hints, "", strategy.claim, family=model.family)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_strategies_take_no_more_than_they_declare(size: tuple[int, ...]) -> None:
    """Neither operations, where these are bounded by sizes, nor memory; others are stopped.

    Memory is traced, which triples the time, where there are most tokens.  There it stays below what is declared even
    without the room for blocks, which the tables of a small model would fit into; and what is declared is not out of
    all proportion either.
    """
    model, traced = model_of(*size), size == SIZES[-1]
    peaks, declared = [], []
    for strategy in STRATEGIES:
        if strategy.limit(max_of_k(model)) is not None or (strategy.id == "brute-force" and size[0] >= 64):
            continue
        if strategy.id == "trivial":  # which computes nothing
            continue
        hints = hints_of(strategy, model)
        needed = effort.declared(strategy, max_of_k(model), hints)
        work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(model))
        allowance = Allowance(needed.operations if strategy.id in BOUNDED else LIMIT)
        if traced:
            tracemalloc.start()
        try:
            with allowing(allowance):
                strategy.bound(work, hints)
        except cp.TooMuchWork:
            assert strategy.id not in BOUNDED
        if traced:
            peaks.append(tracemalloc.get_traced_memory()[1])
            declared.append(needed.memory - ROOM)
            tracemalloc.stop()
            assert peaks[-1] <= declared[-1], strategy.id
    assert min(declared, default=0) <= 8 * max(peaks, default=0)


def test_memory_that_hints_cause() -> None:
    """A megabyte of directions."""
    model = model_of(64, 4, 32, 32)
    strategy = get_strategy("failing-sets/strict-QK+EU")
    hints = hints_of(strategy, model, 2000)
    needed = effort.declared(strategy, max_of_k(model), hints)
    work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(model))
    tracemalloc.start()
    with allowing(Allowance(LIMIT)), pytest.raises(cp.TooMuchWork):
        strategy.bound(work, hints)
    assert tracemalloc.get_traced_memory()[1] <= needed.memory - ROOM
    tracemalloc.stop()
    huge = hints_of(strategy, model_of(4096, 2, 1, 1), 500_000)
    assert effort.declared(strategy, max_of_k(model_of(4096, 2, 1, 1)), huge).operations > MAX_OPS


@pytest.mark.parametrize("kind", ["low-rank", "low-rank-separable", "low-rank-halves", "thin-halves", "few-directions"])
def test_memory_that_directions_cause(kind: str) -> None:
    """All of a group's inputs in all directions: many where a network has few outputs and neurons."""
    n, count = 80, 300
    sizes = {"n": n, "v": n, "c": 2, "d": 1, "m": 3, "k": 2, "a": 1, "h": 1}
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.normal(size=tuple(sizes[axis] for axis in axes)) for name, axes in TENSORS["transformer"].items()
    }
    strategy, problem = get_strategy(f"pair-sum/{kind}"), Problem(PairSum(tensors), pair_table(np.zeros((n, n), int)))
    hints = {
        name: np.ones([count if size is None else size for size in spec.shape]).astype(spec.dtype)
        for name, spec in strategy.hints(problem).items()
    }
    if "means" in hints:  # for as many sets as there are in `factors`
        hints["means"] = hints["means"][:, 2:]
    declared = effort.declared(strategy, problem, hints).memory - ROOM
    work = Workspace[Any, Any](problem)
    tracemalloc.start()
    strategy.bound(work, hints)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 2**23 < peak <= declared


@pytest.mark.parametrize(
    ("strategy_id", "model"),
    [
        ("branch-and-bound", model_of(128, 3, scale=0.0)),
        ("failing-sets", model_of(300, 3, scale=0.0)),
        ("histogram", model_of(64, 6)),
    ],
    ids=["zeros of 128 tokens", "zeros of 300 tokens", "random numbers of 64 tokens"],
)
def test_what_would_take_a_minute_is_stopped(strategy_id: str, model: cp.Model) -> None:
    """At what the strategy declared, which is some seconds: here at a fiftieth of that, of which these need more."""
    strategy = get_strategy(strategy_id)
    hints = hints_of(strategy, model, 0)
    operations = effort.declared(strategy, max_of_k(model), hints).operations
    assert operations <= MAX_OPS
    work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(model))
    allowance = Allowance(operations // 50)
    with allowing(allowance), pytest.raises(cp.TooMuchWork):
        strategy.bound(work, hints)
    assert allowance.spent <= operations // 50 + 2**26


def test_what_a_size_shows_to_be_too_much_is_refused_at_once() -> None:
    """Operations and memory, each with the estimate and what to do."""
    long = model_of(2, 13000, scale=0.0)
    with pytest.raises(cp.TooMuchWork, match=r"^cubic may take 2\^34\.0 operations on this model, and 2\^33\.0 are"):
        cp.verify(claim(get_strategy("cubic"), long, {}), long)
    wide = model_of(2000, 2)
    with pytest.raises(
        cp.TooMuchWork, match=r"^cubic may take 6\.\d GiB of memory on this model, and 4\.0 GiB are all"
    ):
        cp.verify(claim(get_strategy("cubic"), wide, {}), wide, max_ops=2**50)


def test_limits_can_be_raised_and_lowered() -> None:
    """`max_ops` and `max_memory` replace the defaults, for refusals and while working."""
    model = cp.load_model("max-of-4/123")
    certificate = cp.prove(model, "cubic").certificate
    assert cp.verify(certificate, model).accepted
    assert cp.verify(certificate, model, max_ops=2**40, max_memory=2**40).accepted
    with pytest.raises(cp.TooMuchWork, match=r"allow more with --max-ops 2\^N \(max_ops= in Python\)$"):
        cp.verify(certificate, model, max_ops=2**20)
    with pytest.raises(cp.TooMuchWork, match=r"allow more with --max-memory GIB \(max_memory= in Python\)$"):
        cp.verify(certificate, model, max_memory=2**20)


def test_work_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a strategy does more than it declared; and the workspace can be used afterwards."""
    model = model_of(8, 3)
    strategy = get_strategy("branch-and-bound")
    work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(model))
    with monkeypatch.context() as patch:
        companion = replace(companion_of(strategy), work=Beyond(lambda v, n: -CALL * 900))
        patch.setitem(families._COMPANIONS, strategy.id, companion)
        with pytest.raises(cp.TooMuchWork, match=r"^branch-and-bound was stopped after 2\^2\d\.\d operations; allow"):
            cp.verify(claim(strategy, model, {}), model, work)
    assert cp.verify(claim(strategy, model, {}), model, work).accepted
    assert cp.verify(claim(get_strategy("cubic"), model, {}), model, work).accepted


def test_other_verdicts_come_first() -> None:
    """A certificate about another model is rejected as such, whatever it would take to check it."""
    long = model_of(2, 13000, scale=0.0)
    certificate = claim(get_strategy("cubic"), long, {})
    assert not cp.verify(certificate, model_of(2, 12000, scale=0.0)).accepted


def test_allowance() -> None:
    """Operations, and what a call counts; nothing is booked outside."""
    allowance = Allowance()
    x = Enclosure.exact(np.ones((3, 4)))
    with allowing(allowance):
        x + x
    x + x
    assert allowance.spent == 12 + CALL
    with allowing(allowance):
        x @ x.T
    assert 9 * 7 <= allowance.spent - 12 - 3 * CALL <= 9 * 8 + 12
    allowance.limit = allowance.spent + CALL + 12
    with allowing(allowance):
        x + x
        with pytest.raises(cp.TooMuchWork):
            x + x


def test_a_trained_model_needs_no_more() -> None:
    """A model of the zoo, by a strategy whose work no size tells; those with hints are in `test_exactcheck`."""
    model = cp.load_model("max-of-4/742")
    work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(model))
    allowance = Allowance()
    with allowing(allowance):
        get_strategy("branch-and-bound").bound(work, {})
    assert 2 * allowance.spent <= effort.declared(get_strategy("branch-and-bound"), max_of_k(model), {}).operations


@pytest.mark.parametrize(
    "name",
    [
        LADDER,
        pytest.param("max-of-4/742", marks=pytest.mark.slow),
        pytest.param("max-of-20/519", marks=pytest.mark.slow),
    ],
)
def test_no_more_is_needed_for_histograms(name: str) -> None:
    """Whose work the hints tell."""
    model = cp.load_model(name)
    prover = cp.Prover(model)
    for strategy in (get_strategy("histogram"), get_strategy("histogram-upper")):
        hints = prover.search(strategy)
        allowance = Allowance()
        with allowing(allowance):
            strategy.bound(Workspace(max_of_k(model)), hints)
        assert allowance.spent <= effort.declared(strategy, max_of_k(model), hints).operations


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize(
    ("labels", "first", "last", "number"), [(1, 4, 4, 9), (16, 4, 0, 9), (16, 0, 4, 9), (16, 0, 0, 200)]
)
def test_what_counts_from_both_ends_take_is_booked(labels: int, first: int, last: int, number: int, far: bool) -> None:
    """Sequences, ways and points count, also where nothing is found, as what takes as long elsewhere does.

    That is some 10^9 operations in a second; a sequence takes a tenth of a millionth, a point a nanosecond.
    """
    entries = np.random.default_rng(0).integers(-(2**30), 2**30, (8, 16, 2))
    start, required = np.array([-(2**40 if far else 2**30)] * 2), np.zeros((2, 16), np.bool_)
    required[:, :2] = True
    allowance = Allowance()
    with allowing(allowance):
        work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(model_of(2, 2)))
        how = Meeting(np.tile(np.arange(16) % labels, (8, 1)), [np.zeros(0, np.int64)] * 2, number, first, last)
        count_from_both_ends(work, entries, start, Conditions.of_sets(required), np.ones(16, np.int64), how, True)
    exactly = 100 * (labels**first + labels**last)
    assert allowance.spent >= 8 * 2**15 + exactly + (0 if far or first + last else 8 * labels * number**2)


def spent_where_some(
    shape: tuple[int, int, int], labels: int, finer: int, number: int, first: int, most: int, over: bool = True
) -> tuple[int, int]:
    """What is booked, and bytes, where all ways are followed that may be, with entries of this shape and two sets."""
    positions, tokens, axes = shape
    entries = np.random.default_rng(0).integers(-(2**30), 2**30, shape)
    required = np.zeros((2, tokens), np.bool_)
    required[:, :2] = True
    every = np.tile(np.arange(tokens), (positions, 1))
    how = Branching(every % labels, every % finer, np.zeros(0, np.int64), number, first, 64, -1.0, most)
    of_class = np.array([-(2**40)] * axes), Conditions.of_sets(required), np.ones(tokens, np.int64)
    allowance = Allowance()
    work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(model_of(2, 2)))
    tracemalloc.start()
    with allowing(allowance):
        count_where_some(work, entries, *of_class, how, over)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return allowance.spent, peak


@pytest.mark.parametrize("over", [False, True])
def test_what_counts_where_some_sum_is_at_most_zero_take_is_booked(over: bool) -> None:
    """Points of each sum for each cluster, all sequences of the first positions, and ways for each sum.

    A point takes some nanoseconds, as five conditions are looked up there, and a way some ten for each sum.
    """
    sums = 5 if over else 3
    points, _ = spent_where_some((8, 16, 3), 1, 16, 200, 0, 0, over)
    assert points >= sums * 5 * 200 * 8 * 16
    sequences, _ = spent_where_some((8, 4, 3), 1, 4, 1, 8, 0, over)
    assert sequences >= 100 * sums * 4**8
    ways, _ = spent_where_some((8, 4, 3), 4, 4, 1, 0, 10**6, over)
    assert ways >= 20 * sums * sum(4**p for p in range(1, 9))


def test_clusters_where_some_sum_is_at_most_zero_are_booked() -> None:
    """Those of each sum and position take a tenth of a millisecond, with many tokens two, whatever is counted then."""
    spent, _ = spent_where_some((16, 256, 8), 1, 1, 1, 0, 0)
    assert spent >= 15 * 16 * (2**16 + 2**7 * 256)


def test_sequences_where_some_sum_is_at_most_zero_are_booked() -> None:
    """Each takes some microsecond for each sum, with five conditions."""
    spent, _ = spent_where_some((16, 2, 4), 1, 2, 1, 16, 0)
    assert spent >= 7 * 750 * 2**16


def test_memory_of_clusters_for_many_conditions() -> None:
    """As many tokens, sums and conditions as are too much together, if each is joined to none."""
    entries = np.zeros((64, 128, 40), np.int64)
    required = np.zeros((1, 128), np.bool_)
    conditions = Conditions.of_sets(required).with_rank(np.sign(np.arange(128) - 64), 7, 8)
    every = np.tile(np.arange(128), (64, 1))
    how = Branching(every, every, np.zeros(0, np.int64), 1, 0, 64, 0.0, 0)
    work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(model_of(2, 2)))
    tracemalloc.start()
    with allowing(Allowance(2**30)), suppress(cp.TooMuchWork):
        count_where_some(work, entries, np.ones(40, np.int64), conditions, np.ones(128, np.int64), how, True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**29


def test_nothing_is_begun_that_is_too_much_where_some_sum_is_at_most_zero() -> None:
    """No copies of all entries for each sum."""
    _, peak = spent_where_some((16, 256, 60), 1, 256, 2**40, 0, 0)
    assert peak <= 3 * 8 * 16 * 256 * 60


@pytest.mark.parametrize("over", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_memory_of_branches(over: bool) -> None:
    """As much as `histogram` declares for steps, with the most points there may be, and all ways."""
    number = 2**25 // (5 * 11 * 2 * 2) if over else 2**25 // (5 * 11 * 2)
    spent, peak = spent_where_some((10, 8, 2), 8, 1, number - 9, 0, 2**40, over)
    assert 2**28 < peak < 2**30
    assert spent >= 2**23 * 100


def branches_everywhere(strategy: Strategy, problem: Problem[Any, Any], number: int, first: int, most: int) -> Hints:
    """Hints that count all parts of level 0 at once, which are all there are."""
    forms, v = strategy.hints(problem), problem.network.d_vocab
    hints = {name: np.zeros([size or 0 for size in spec.shape], spec.dtype) for name, spec in forms.items()}
    rows = [[q, m, 0, 0, 0, 0, 0, number, first, 60, -1, most] for q in range(v) for m in range(v)]
    return hints | {"branches": np.array(rows, np.int64), "ranks": np.arange(1, v + 1, dtype=np.uint8)[None]}


@pytest.mark.parametrize(
    ("rank", "number", "first", "most"),
    [
        *((rank, 300, 0, 0) for rank in (None, 0, 7)),
        *((rank, *how) for rank in (None, 7) for how in ((3, 4, 10**5), (3, 0, 10**6))),
    ],
)
def test_branches_are_declared(rank: int | None, number: int, first: int, most: int) -> None:
    """As many as rows, with more conditions where the task names a rank."""
    model = model_of(5, 9, scale=1.0)
    problem: Problem[Any, Any] = max_of_k(model) if rank is None else Problem(model, ByComparison(RANK, 9, 5, rank))
    for side in ("", "-upper"):
        strategy = get_strategy(("" if rank is None else "by-comparison/") + f"histogram{side}")
        hints = branches_everywhere(strategy, problem, number, first, most)
        allowance = Allowance()
        with allowing(allowance):
            strategy.bound(Workspace(problem), hints)
        assert allowance.spent <= effort.declared(strategy, problem, hints).operations


def test_each_step_is_declared() -> None:
    """Also where many share one array of labels, or name one that is not there."""
    strategy, model = get_strategy("histogram"), model_of(8, 5)
    needed = []
    for steps in ([], [1] * 10, [0] * 10, [7] * 10):
        hints = hints_of(strategy, model, 1)
        rows = [[0, 1, 0, 2, 3, -1, joined, 0, 300, 1, 1] for joined in steps]
        hints = {**hints, "steps": np.array(rows, np.int64).reshape(-1, 11)}
        needed.append(effort.declared(strategy, max_of_k(model), hints).operations)
    assert needed[1] - needed[0] >= 10 * 10**7
    assert needed[0] < needed[1] < needed[2] == needed[3]
