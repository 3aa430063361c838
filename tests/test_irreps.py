"""Characters of groups from their tables, and what networks of two arguments have of them."""

from __future__ import annotations

import numpy as np
import pytest

from compactproofs import Prover
from compactproofs.analysis.irreps import classes, irreps
from compactproofs.analysis.modular_addition import waves
from compactproofs.analysis.pair_sums import (
    boxes,
    equivariant_steps,
    few_steps,
    low_rank_steps,
    neurons,
    parts,
    separable_steps,
    thin_steps,
)
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.search.builtin import get_strategy
from compactproofs.tasks.pairs import Pairs, add_mod, group_products, pair_table
from compactproofs.theorems.pair_sum.thin import THIN
from pair_sums import mlp, transformer
from test_modular_addition import network_of_waves


@pytest.mark.parametrize(
    ("task", "dimensions"),
    [
        (group_products("S4"), [1, 1, 2, 3, 3]),
        (group_products("A5"), [1, 3, 3, 4, 5]),
        (group_products("D6"), [1, 1, 1, 1, 2, 2]),
        (group_products("F7"), [1, 1, 1, 1, 6]),  # of six of dimension 1, two pairs are conjugates
        (add_mod(7), [1, 1, 1, 1]),
        (add_mod(8), [1, 1, 1, 1, 1]),
    ],
)
def test_irreps(task: Pairs, dimensions: list[int]) -> None:
    """Their dimensions; each projects to a space that translations keep, and together they are everything."""
    found = irreps(task)
    assert [one.dimension for one in found] == dimensions
    np.testing.assert_allclose(sum(one.projection for one in found), np.eye(task.n), atol=1e-12)
    for one in found:
        np.testing.assert_allclose(one.projection @ one.projection, one.projection, atol=1e-12)
        moved = one.projection[task.table[1]]  # of all functions, moved
        np.testing.assert_allclose(moved[:, task.table[1]], one.projection, atol=1e-12)
    assert sum(one.functions for one in found) == task.n


def test_classes_and_characters() -> None:
    """Those of A5, with the golden ratio; orthogonal over classes."""
    table = group_products("A5").table
    found = classes(table)
    assert sorted(found.size.tolist()) == [1, 12, 12, 15, 20]
    characters = np.array([one.character for one in irreps(group_products("A5"))])
    np.testing.assert_allclose((characters * found.size) @ characters.conj().T / 60, np.eye(5), atol=1e-12)
    golden = (1 + 5**0.5) / 2
    assert np.abs(characters - golden).min() < 1e-12
    with pytest.raises(ValueError, match="a table that a user gives"):
        irreps(pair_table(np.arange(9) % 3))


def test_parts_and_boxes() -> None:
    """The frequencies of waves are found with their neurons, and rectangles have nearly the curve's area."""
    network = network_of_waves(13, (2, 5), 40, np.random.default_rng(0), 1e-3)
    found, shares = parts(neurons(Prover(network, add_mod(13)).values), irreps(add_mod(13)))
    assert sorted((one.irrep.frequency, len(one.neurons)) for one in found) == [(2, 40), (5, 40)]
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    for k in (2, 5):
        under = boxes(waves(network), k)
        assert under.widths.sum() == pytest.approx(2 * np.pi)
        assert (under.widths * under.heights).sum() == pytest.approx(2 / 3, rel=0.05)


@pytest.mark.parametrize("task", [group_products("S3"), add_mod(5)])
def test_steps_end_in_the_bound(task: Pairs) -> None:
    """What is left after the last relaxation is what the strategy proves, and no step gives anything back."""
    prover = Prover(PairSum(mlp(np.random.default_rng(2), task.table, 0.08)), task)
    for name, steps_of in (
        ("low-rank", low_rank_steps),
        ("low-rank-separable", separable_steps),
        ("equivariant-distance", equivariant_steps),
    ):
        strategy = get_strategy(f"pair-sum/{name}")
        hints = prover.search(strategy)
        if "factors" in hints:
            hints = {**hints, "factors": hints["factors"][: len(hints["factors"]) // 2]}
        counts = [step.right for step in steps_of(prover.values, hints)]
        assert counts[-1] == prover.certify(strategy, hints).certificate.certified
        assert counts[0] == prover.exact_correct()
        assert counts[1:] == sorted(counts[1:], reverse=True)


def test_steps_of_transformers() -> None:
    """So it is for thin halves, which are about transformers."""
    prover, strategy = Prover(PairSum(transformer(np.random.default_rng(2), add_mod(3).table, 0.08)), add_mod(3)), THIN
    hints = prover.search(strategy)
    for less in (hints, {**hints, "heads": hints["heads"][:, :2]}):
        counts = [step.right for step in thin_steps(prover.values, less)]
        assert counts[-1] == prover.certify(strategy, less).certificate.certified
        assert counts == sorted(counts, reverse=True)
        assert counts[0] == prover.exact_correct()


def test_steps_of_few_directions() -> None:
    """And for few directions, with those of the search and where more is left out."""
    network = PairSum(transformer(np.random.default_rng(2), add_mod(3).table, 0.08))
    prover, strategy = Prover(network, add_mod(3)), get_strategy("pair-sum/few-directions")
    hints = prover.search(strategy)
    for less in (hints, {**hints, "stream": hints["stream"][:1]}):
        counts = [step.right for step in few_steps(prover.values, less)]
        assert counts[-1] == prover.certify(strategy, less).certificate.certified
        assert counts[1:] == sorted(counts[1:], reverse=True)
        assert counts[0] == prover.exact_correct()
