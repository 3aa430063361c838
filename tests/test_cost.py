"""Counting: what each operation costs by the convention, who is charged, and that counting changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import arb
from compactproofs.kernel.decisions import certainly_positive, max_where, to_grid
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only.model import WEIGHTS
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.cost import Cost, Counted, Meter
from compactproofs.search.workspaces import MaxWorkspace, Reading, workspace
from compactproofs.theorems.max_of_k.failing_sets.low_ends import lower

ROW, GRID = (4,), (3, 4)
KEEP = np.array([[True, False, True, True], [False, False, False, True], [False, False, False, False]])

# (operation, shapes of its operands, floating-point operations, integer operations), by the convention alone.
COSTS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...], int, int]] = {
    **{name: (getattr(np, name), (GRID, GRID), 12, 0) for name in ("add", "subtract", "multiply", "divide")},
    **{name: (getattr(np, name), (GRID, GRID), 12, 0) for name in ("maximum", "minimum")},
    **{name: (getattr(np, name), (GRID,), 12, 0) for name in ("negative", "absolute", "exp", "sqrt")},
    "broadcast": (lambda x, y: x[:, None] * y, ((3,), (5,)), 15, 0),
    "plain operand": (lambda x: x + np.ones((2, 3, 4)), (GRID,), 24, 0),
    "plain left operand": (lambda x: 1.0 - x, (GRID,), 12, 0),
    "empty": (lambda x: x[:0] + 1.0, (GRID,), 0, 0),
    "entry": (lambda x: x[0] * 2.0, (ROW,), 1, 0),
    "two steps": (lambda x, y: x * y + y, (GRID, ROW), 24, 0),
    "matrix @ matrix": (np.matmul, ((3, 4), (4, 2)), 3 * 2 * 7, 0),
    "matrix @ plain": (lambda x: x @ np.ones((4, 2)), ((3, 4),), 3 * 2 * 7, 0),
    "plain @ matrix": (lambda x: np.ones((5, 3)) @ x, ((3, 4),), 5 * 4 * 5, 0),
    "inner size 1": (np.matmul, ((3, 1), (1, 2)), 6, 0),
    "row @ matrix": (np.matmul, (ROW, (4, 3)), 3 * 7, 0),
    "matrix @ column": (np.matmul, (GRID, ROW), 3 * 7, 0),
    "row @ column": (np.matmul, (ROW, ROW), 7, 0),
    "stack @ matrix": (np.matmul, ((2, 3, 4), (4, 5)), 2 * 3 * 5 * 7, 0),
    "stack @ stack": (np.matmul, ((2, 3, 4), (2, 4, 5)), 2 * 3 * 5 * 7, 0),
    **{name: (getattr(np, name), (GRID,), 11, 0) for name in ("sum", "max", "min")},
    **{f"{name} rows": (lambda x, n=name: getattr(x, n)(axis=1), (GRID,), 9, 0) for name in ("sum", "max", "min")},
    **{
        f"{name} columns": (lambda x, n=name: getattr(x, n)(axis=0, keepdims=True), (GRID,), 8, 0)
        for name in ("sum", "max", "min")
    },
    "sum of one": (lambda x: x.sum(axis=0), ((1, 4),), 0, 0),
    "sum of none": (lambda x: x[:, :0].sum(axis=1), (GRID,), 0, 0),
    "mean of rows": (lambda x: x.mean(axis=1), (GRID,), 9 + 3, 0),
    "mean of columns": (lambda x: np.mean(x, axis=0, keepdims=True), (GRID,), 8 + 4, 0),
    "running max of rows": (lambda x: np.maximum.accumulate(x, axis=1), (GRID,), 9, 0),
    "running min of columns": (lambda x: np.minimum.accumulate(x, axis=0), (GRID,), 8, 0),
    "sort rows": (np.sort, (GRID,), 9, 0),
    "sort columns": (lambda x: np.sort(x, axis=0), (GRID,), 8, 0),
    "max_where": (lambda x: max_where(x, KEEP, axis=1), (GRID,), 2, 0),
    "max_where of columns": (lambda x: max_where(x, KEEP[:1], axis=0), (GRID,), 6, 0),
    "where": (lambda x, y: np.where(KEEP, x, y), (GRID, GRID), 0, 12),
    "where with a number": (lambda x: np.where(KEEP, x, 0.0), (ROW,), 0, 12),
    "certainly_positive": (certainly_positive, (GRID,), 0, 12),
    "to_grid": (lambda x: to_grid(x, 1.0), (GRID,), 12, 0),
    # Moving entries about is free.
    "reshape": (lambda x: np.reshape(x, 12), (GRID,), 0, 0),
    ".reshape": (lambda x: x.reshape(2, 6), (GRID,), 0, 0),
    "transpose": (np.transpose, (GRID,), 0, 0),
    "T": (lambda x: x.T, (GRID,), 0, 0),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 1), (GRID,), 0, 0),
    "expand_dims": (lambda x: np.expand_dims(x, 0), (GRID,), 0, 0),
    "squeeze": (np.squeeze, ((1, 4),), 0, 0),
    "broadcast_to": (lambda x: np.broadcast_to(x, (5, 4)), (ROW,), 0, 0),
    "diagonal": (np.diagonal, (GRID,), 0, 0),
    "take_along_axis": (lambda x: np.take_along_axis(x, np.array([3, 0]), axis=0), (ROW,), 0, 0),
    "flip": (lambda x: np.flip(x, axis=1), (GRID,), 0, 0),
    "concatenate": (lambda x, y: np.concatenate([x, y], axis=1), (GRID, (3, 2)), 0, 0),
    "concatenate with plain": (lambda x: np.concatenate([np.ones(2), x]), (ROW,), 0, 0),
    "stack": (lambda x, y: np.stack([x, y]), (GRID, GRID), 0, 0),
    "index": (lambda x: x[1, ::2], (GRID,), 0, 0),
    "mask": (lambda x: x[KEEP], (GRID,), 0, 0),
}
READINGS: dict[str, Callable[[Any], Any]] = {"array": np.array, "enclosure": Enclosure.exact}


def operands_of(name: str) -> list[np.ndarray]:
    """Positive numbers of the right shapes."""
    rng = np.random.default_rng(1)
    return [rng.uniform(1.0, 2.0, size=shape) for shape in COSTS[name][1]]


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("name", COSTS)
def test_cost_of_an_operation(reading: str, name: str) -> None:
    """The cost follows from shapes alone, for every reading."""
    operation, _, flops, int_ops = COSTS[name]
    meter = Meter()
    lifted = [Counted(READINGS[reading](x), meter) for x in operands_of(name)]
    with meter.step("operation"):
        result = operation(*lifted)
    assert meter.total("operation").cost == Cost(flops, int_ops)
    if isinstance(result, Counted):
        assert result.meter is meter
    else:
        assert name in ("certainly_positive", "to_grid")


def same(left: Any, right: Any) -> bool:
    """Whether two results are equal bit by bit."""
    if isinstance(left, tuple):
        return len(left) == len(right) and all(same(x, y) for x, y in zip(left, right, strict=True))
    if isinstance(left, Enclosure):
        return type(left) is type(right) and same(left.mid, right.mid) and same(left.rad, right.rad)
    return np.array_equal(left, right, equal_nan=True) and np.shape(left) == np.shape(right)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("name", COSTS)
def test_counting_changes_no_value(reading: str, name: str) -> None:
    """With and without counting, the results agree bit by bit."""
    operation = COSTS[name][0]
    lifted = [READINGS[reading](x) for x in operands_of(name)]
    counted = operation(*(Counted(x, Meter()) for x in lifted))
    plain = operation(*lifted)
    inner = counted.inner if isinstance(counted, Counted) else counted
    assert same(inner, plain) or (name.startswith("mean") and reading == "array" and np.allclose(inner, plain))


@pytest.mark.parametrize("operation", arb.operations(), ids=lambda operation: operation.name)
def test_counting_changes_no_enclosure(operation: arb.Operation) -> None:
    """The same for extreme enclosures, unknown ones among them."""
    rng = np.random.default_rng(2)
    for _ in range(10):
        operands = [arb.random_enclosure(shape, rng) for shape in operation.shapes]
        counted = operation.apply(*(Counted(x, Meter()) for x in operands))
        assert same(counted.inner, operation.apply(*operands))


# --- who is charged ---------------------------------------------------------------------------------------------------


def random_model(v: int = 5, n: int = 3, d: int = 4, h: int = 2) -> Model:
    """A model of these sizes."""
    rng = np.random.default_rng(3)
    shapes = ((v, d), (n, d), (d, h), (d, h), (d, h), (h, d), (d, v))
    return Model(*(rng.normal(size=shape) for shape in shapes))


def test_a_step_costs_what_it_used_each_once() -> None:
    """A step that is reached on two ways counts once; two users are both charged in full."""
    work = workspace(random_model(), "check")
    calls = []

    def base() -> Any:
        calls.append("base")
        return work.weight("W_E") * 2.0  # 20

    def left() -> Any:
        return work.once("base", base) + 1.0  # 20

    def right() -> Any:
        return work.once("base", base).sum()  # 19

    work.once("both", lambda: (work.once("left", left), work.once("right", right), work.once("left", left)))
    work.once("other", lambda: -work.once("right", right))  # 1
    assert calls == ["base"]
    expected = {"base": 20, "left": 40, "right": 39, "both": 59, "other": 40, ("weight", "W_E"): 0}
    assert {key: work.cost(key) for key in expected} == {key: Cost(flops, 0) for key, flops in expected.items()}


def test_what_is_done_outside_a_step_is_not_charged_to_it() -> None:
    """Operations are booked where they happen, also when a step hands out a result that is used later."""
    work = workspace(random_model(), "check")
    result = work.once("step", lambda: work.weight("W_E") * 2.0)
    _ = result + result
    work.once("later", lambda: result + 1.0)
    assert work.cost("step") == Cost(20, 0)
    assert work.cost("later") == Cost(20, 0)
    _ = work.once("step", lambda: pytest.fail("a kept result is not computed again"))
    assert work.cost("step") == Cost(20, 0)


def test_a_step_that_fails_is_not_kept() -> None:
    """An exception leaves no result, and operations before it are not charged twice."""
    work = workspace(random_model(), "check")
    attempts = []

    def compute() -> Any:
        result = work.weight("W_E") * 2.0
        attempts.append(result)
        if len(attempts) == 1:
            raise OverflowError
        return result

    with pytest.raises(OverflowError):
        work.once("step", compute)
    work.once("step", compute)
    work.once("user", lambda: work.once("step", compute) + 1.0)
    assert (len(attempts), work.cost("step"), work.cost("user")) == (2, Cost(20, 0), Cost(40, 0))


def test_what_is_decided_narrowly_is_noted() -> None:
    """Where a claim, which asks for four radii, may go another way; also for all that uses it."""

    def close(compute: Callable[[Any], Any], mid: float, rad: float) -> bool:
        work = workspace(random_model(), "check")
        counted = Counted(Enclosure(np.array([1.0, mid]), np.array([0.0, rad])), work.meter)
        work.once("step", lambda: compute(counted))
        work.once("user", lambda: work.once("step", dict) is None)
        work.once("other", dict)
        assert not work.meter.total("other").close
        assert work.meter.total("step").close == work.meter.total("user").close
        return work.meter.total("user").close

    assert not close(certainly_positive, 9.0, 2.0)
    assert not close(certainly_positive, 1.0, 2.0)
    assert not close(certainly_positive, np.nan, np.nan)
    assert close(certainly_positive, 7.0, 2.0)
    assert close(certainly_positive, 8.0, 2.0)
    assert close(lambda x: to_grid(x, 1.0), 9.0, 2.0)
    assert close(lambda x: to_grid(x, 2.0**50), 1.0, 0.5)  # beyond the grid, with four radii
    assert not close(lambda x: to_grid(x, 1.0), 9.0, 0.25)
    assert not close(lambda x: to_grid(x, 4.0), 9.0, 2.0**-4)
    assert close(lower, 9.0, 2.0)
    assert not close(lambda x: np.maximum(x, 0.0).sum(), 7.0, 2.0)


def test_unknown_steps_have_no_cost() -> None:
    """Asking for the cost of a step that was never computed is an error."""
    with pytest.raises(KeyError):
        workspace(random_model(), "check").cost("never")


def test_shared_functions() -> None:
    """A shared function runs once for each of its arguments and each workspace."""
    calls = []

    @shared
    def scaled(work: MaxWorkspace, factor: float) -> Any:
        """The unembedding, scaled."""
        calls.append(factor)
        return work.weight("W_U") * factor

    work, other = workspace(random_model(), "check"), workspace(random_model(), "check")
    assert scaled(work, 2.0) is scaled(work, 2.0)
    assert scaled(work, 2.0) is not scaled(work, 3.0)
    assert scaled(other, 2.0) is not scaled(work, 2.0)
    assert calls == [2.0, 3.0, 2.0]
    assert scaled.__doc__ == "The unembedding, scaled."
    work.once("twice", lambda: scaled(work, 2.0) + scaled(work, 2.0))
    assert work.cost("twice") == Cost(40, 0)


def bound(work: MaxWorkspace, strategy: str) -> int:
    """A strategy's bound as a step of the workspace."""
    return work.once(strategy, lambda: STRATEGIES[strategy].bound(work, {}))


@pytest.mark.parametrize("reading", ["check", "claim"])
def test_strategies_that_share_are_each_charged_in_full(reading: Reading) -> None:
    """A strategy's cost does not depend on what else ran in its workspace, nor on the order."""
    model = random_model()
    names = ("trivial", "brute-force", "cubic")
    alone = {}
    for name in names:
        work = workspace(model, reading)
        alone[name] = (bound(work, name), work.cost(name))
    for order in (names, names[::-1]):
        work = workspace(model, reading)
        together = {name: bound(work, name) for name in order}
        assert {name: (together[name], work.cost(name)) for name in names} == alone
    assert alone["trivial"] == (0, Cost(0, 0))
    assert alone["brute-force"][1].flops > alone["cubic"][1].flops > 0
    assert alone["cubic"][1].int_ops > 0


def test_cost_is_that_of_the_algorithm() -> None:
    """The same for all weights of one shape, unless a proof branches: the cubic one does not."""
    costs = set()
    for scale in (0.0, 1e-200, 1.0, 1e100):
        weights = {name: getattr(random_model(), name) * scale for name in WEIGHTS}
        work = workspace(Model(**weights), "check")
        try:
            bound(work, "cubic")
        except ValueError:  # the shift of the softmax overflows
            continue
        costs.add(work.cost("cubic"))
    assert len(costs) == 1


def test_values_are_not_counted() -> None:
    """The reading for search and figures hands out plain arrays."""
    work = workspace(random_model(), "value")
    assert type(work.weight("W_E")) is np.ndarray
    unknown: Any = "guess"
    with pytest.raises(ValueError, match="unknown reading"):
        workspace(random_model(), unknown)
