"""The theorem of this plug-in on trial: on hostile networks N never exceeds the truth, and planted errors are found."""

import numpy as np
import pytest

from compactproofs.kernel.problem import Problem
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.testing import Change, Trial, Weights, assert_caught
from compactproofs.testing.truth import exact_correct
from compactproofs_min_of_k import PLUGIN
from compactproofs_min_of_k.brute_force import BRUTE_FORCE
from compactproofs_min_of_k.task import MinOfK, min_of_k


def draw(rng: np.random.Generator) -> Weights:
    """A small model that attends to small tokens and copies them, with some noise; positions matter a little.

    Coordinates: 0 the size of the token, 1 constant, 2 what the head writes, 3 the position.
    """
    v, n = [(2, 1), (2, 3), (3, 3), (4, 2), (5, 2)][rng.integers(5)]
    size = np.arange(v) - (v - 1) / 2.0
    shapes = {"W_E": (v, 4), "W_pos": (n, 4), "W_Q": (4, 2), "W_K": (4, 2), "W_V": (4, 2), "W_O": (2, 4), "W_U": (4, v)}
    weights = {name: np.zeros(shape) for name, shape in shapes.items()}
    weights["W_E"][:, 0], weights["W_E"][:, 1] = size, 1.0
    weights["W_pos"][:, 3] = rng.normal(size=n)
    weights["W_Q"][1, 0], weights["W_K"][0, 0], weights["W_K"][3, 0] = rng.uniform(0.5, 6.0), -1.0, 0.5
    weights["W_V"][0, 0], weights["W_V"][3, 0], weights["W_O"][0, 2] = 1.0, rng.choice([0.0, 0.5]), 1.0
    weights["W_U"][2], weights["W_U"][1] = 2.0 * size, -(size**2)
    noise = rng.choice([0.0, 0.02, 0.2])
    return {name: w + noise * rng.normal(size=w.shape) for name, w in weights.items()}


def smallest(network: AttentionOnly) -> int:
    """On how many inputs the smallest token certainly wins, by forward passes in ball arithmetic."""
    return exact_correct(network, min)


TRIAL = Trial(strategy=BRUTE_FORCE, draw=draw, network=AttentionOnly, task=min_of_k, truth=smallest)


def test_never_more_than_the_truth() -> None:
    """On spoiled networks, ties, and numbers at the ends of float64."""
    TRIAL.assert_sound(60)


def test_attack_finds_nothing() -> None:
    """A short hill climb."""
    assert TRIAL.attack(100).gap <= 0


MIDPOINTS = (
    ("brute_force", "import Array, IntArray, certainly_positive", "import Array, IntArray, midpoint"),
    ("brute_force", "certainly_positive(_sums(work, inputs, *lead))", "(midpoint(_sums(work, inputs, *lead)) >= 0)"),
)


@pytest.mark.parametrize(
    "changes",
    [
        (("brute_force", "inputs.min(axis=1) == m", "inputs.min(axis=1) >= m"),),
        (("brute_force", ".all(axis=1)", ".any(axis=1)"),),
        (("brute_force", " + of_tokens[inputs] + of_positions", " + of_tokens[inputs]"),),
        (("brute_force", "position_weights(work)[queries]", "1.0"),),
        (("brute_force", "inputs[:, -1]", "inputs[:, 0]"),),
        MIDPOINTS,
    ],
    ids=["inputs twice", "a rival only", "no positions written", "no positions scored", "another query", "ties"],
)
def test_planted_errors_are_found(changes: tuple[Change, ...]) -> None:
    """Each makes N exceed the truth somewhere, and the trial sees it."""
    assert_caught(TRIAL, *changes, number=60, steps=60)


def test_exact_where_nothing_is_close() -> None:
    """The bound is worth something: without noise it is the truth."""
    network = AttentionOnly(**draw(np.random.default_rng(3)))
    problem = Problem(network, min_of_k(network))
    assert BRUTE_FORCE.bound(MeasuredWorkspace(problem, "check"), {}) == smallest(network) > 0


def test_records() -> None:
    """A task is what its record says, and no other record is one."""
    task = MinOfK(3, 5)
    assert PLUGIN.tasks[MinOfK.name](task.record) == task
    for wrong in ({"n_ctx": 0}, {"n_ctx": True}, {"more": 1}, {"d_vocab": "5"}):
        with pytest.raises(ValueError, match="expected the keys"):
            MinOfK.of_record({**task.record, **wrong})


def test_too_many_inputs_are_refused() -> None:
    """There is a limit."""
    weights = draw(np.random.default_rng(0))
    long = AttentionOnly(**{**weights, "W_pos": np.zeros((40, 4))})
    assert "2^20" in str(BRUTE_FORCE.limit(Problem(long, min_of_k(long))))
