"""The shapes that the circuits' annotations say, in jaxtyping's notation, are those of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from jaxtyping import Float, jaxtyped

from compactproofs import Model
from compactproofs.networks.attention_only import circuits
from compactproofs.search.workspaces import MaxWorkspace, Reading, workspace

Step = Callable[[MaxWorkspace], Any]
AXES = {"v": 7, "n": 4, "d": 5, "h": 2}
STEPS: dict[str, Step] = {
    name: value for name, value in vars(circuits).items() if getattr(value, "__module__", "") == circuits.__name__
}


def axes_of(step: Step) -> str:
    """The axes that its annotation names."""
    _, axes = get_args(get_type_hints(step, include_extras=True)["return"])
    return str(axes)


def fits(table: Any, axes: str) -> bool:
    """Whether it has these axes, each as long as those of its letter before."""
    kind: Any = Float[type(table), axes]
    return isinstance(table, kind)


def misshapen(work: MaxWorkspace, steps: Iterable[tuple[Step, str]]) -> list[str]:
    """The axes of those whose table has another shape, each letter being one size throughout."""
    with jaxtyped("context"):
        for axis, size in AXES.items():
            assert fits(np.zeros(size), axis)
        return [axes for step, axes in steps if not fits(step(work), axes)]


@pytest.fixture(params=["value", "check"])
def work(request: pytest.FixtureRequest) -> MaxWorkspace:
    """Of a model whose axes are all of different lengths."""
    rng, reading = np.random.default_rng(0), request.param
    named: Reading = reading
    of = {"W_E": "vd", "W_pos": "nd", "W_Q": "dh", "W_K": "dh", "W_V": "dh", "W_O": "hd", "W_U": "dv"}
    weights = {name: rng.normal(size=[AXES[axis] for axis in axes]) for name, axes in of.items()}
    return workspace(Model(**weights), named)


def test_shapes(work: MaxWorkspace) -> None:
    """All that are defined there, in either reading."""
    assert set(STEPS) > {"EU", "EVOU", "PVOU", "EQKE", "EQKP"}
    assert misshapen(work, ((step, axes_of(step)) for step in STEPS.values())) == []


def test_other_shapes_are_found(work: MaxWorkspace) -> None:
    """Axes in another order, one more, and one less."""
    wrong = ["n v", "v n d", "v"]
    assert misshapen(work, ((circuits.EQKP, axes) for axes in wrong)) == wrong
