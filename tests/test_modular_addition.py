"""Waves in networks that add: networks of exact waves have no error, and quadrature is as good as it says."""

from __future__ import annotations

import numpy as np
import pytest

from compactproofs.analysis.modular_addition import budgets, waves
from compactproofs.kernel.problem import Problem
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.tasks.pairs import add_mod
from compactproofs.theorems.pair_sum.brute_force import decide


def network_of_waves(p: int, ks: tuple[int, ...], each: int, rng: np.random.Generator, noise: float = 0.0) -> PairSum:
    """`each` neurons of each frequency, with phases spread evenly from a random one on."""
    k = np.repeat(ks, each)
    phase = np.concatenate([rng.uniform(0, 9) + 2 * np.pi * np.arange(each) / each for _ in ks])
    w, x = 2 * np.pi * k / p, np.arange(p)[:, None]
    read = rng.uniform(0.5, 2.0, len(ks)).repeat(each) * np.cos(w * x - phase)
    out = np.cos(w * x - 2 * phase).T
    clean = {"W_x": np.eye(p), "W_y": np.eye(p), "W": np.concatenate([read, read]), "W_U": out}
    return PairSum({name: part + noise * rng.normal(size=part.shape) for name, part in clean.items()})


@pytest.mark.parametrize(("p", "ks", "each"), [(7, (1, 2, 3), 40), (13, (2, 5, 6), 25)])
def test_waves(p: int, ks: tuple[int, ...], each: int) -> None:
    """There is no error where there is none, so every way proves all inputs, but for spacing with too few neurons."""
    network = network_of_waves(p, ks, each, np.random.default_rng(0))
    found = waves(network)
    assert max(found.error_x.max(), found.error_y.max(), *found.unexplained.values()) < 1e-9
    frequencies, ways = budgets(network)
    assert sorted(one.k for one in frequencies) == list(ks)
    for one in frequencies:
        assert one.neurons == each
        assert one.mean == pytest.approx(one.integral, rel=0.01)
        assert one.deviation <= one.by_spacing
        assert one.by_spacing == pytest.approx(one.integral * 3 * np.pi**2 / each, rel=0.05)  # as for even spacing
    assert {way.way: way.share for way in ways if way.way != "quadrature by spacing"} == dict.fromkeys(
        ("frequency tables", "quadrature table", "separable"), 1.0
    )
    margins = {way.way: way.margin for way in ways}
    assert margins["quadrature by spacing"] <= margins["quadrature table"] <= margins["frequency tables"]
    work = MeasuredWorkspace[PairSum, object](Problem(network, add_mod(p)), "value")
    assert decide(work).right == p * p  # type: ignore[arg-type]


def test_errors_are_bounds() -> None:
    """What differs from the waves is no more than the errors say, for each pair of arguments."""
    rng = np.random.default_rng(1)
    network = network_of_waves(7, (1, 3), 12, rng, 0.05)
    found = waves(network)
    left, right, out = (network.weight(name) for name in ("W_x", "W_y", "W_U"))
    angle = 2 * np.pi * np.outer(np.arange(7), found.frequency) / 7
    ideal = found.amplitude * np.cos(angle - found.phase)
    ideal_out = (found.written[:, 0] * np.cos(angle) + found.written[:, 1] * np.sin(angle)).T
    half = len(network.weight("W")) // 2
    left, right = left @ network.weight("W")[:half], right @ network.weight("W")[half:]
    ours = np.maximum(left[:, None] + right, 0.0) @ out
    near = np.maximum(ideal[:, None] + ideal, 0.0) @ ideal_out
    assert (np.ptp(ours - near, axis=2) <= found.error_x[:, None] + found.error_y + 1e-9).all()


def test_even() -> None:
    """There are no such waves for an even number."""
    with pytest.raises(ValueError, match="modulo an odd number"):
        waves(network_of_waves(6, (1,), 5, np.random.default_rng(0)))
