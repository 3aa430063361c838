"""Few directions of a network of two arguments: no lead is less than what the theorem says, for any hints."""

from __future__ import annotations

import csv
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import compactproofs as cp
import pair_sums
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.runs.inputs import open_file
from compactproofs.search.prover import Prover
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.tasks.pairs import add_mod, pair_table
from compactproofs.testing import Planted
from compactproofs.theorems.pair_sum import few_directions, thin
from compactproofs.theorems.pair_sum.by_label import Group
from compactproofs.theorems.pair_sum.few_directions import FEW_DIRECTIONS

SHIPPED = Path(__file__).parent.parent / "docs" / "tighten" / "pairs"
NAME = "theorems.pair_sum.few_directions"
Case = tuple[Problem[Any, Any], dict[str, Any], npt.NDArray[np.float64]]


def drawn(rng: np.random.Generator, number: int) -> tuple[PairSum, dict[str, Any]]:
    """A network of few dimensions, where norms are nearly what they bound, and hints.

    In half of them, the aligned ones, tensors and hints have rank 1 and nothing cancels: there the norm of a product is
    the product of the norms, and the largest norm of a row or column is not.  Parts are zero now and then, so that each
    that hints leave out is all that is left out in some networks, and now and then one row alone is not zero.
    """
    n, c, k, aligned = 2, 2 + number % 2, 2 + number // 2 % 2, rng.random() < 0.5
    d, a, m, s, t = (int(x) for x in rng.integers((1, 1, 2, 1, 1), 4))
    heads, v = int(rng.integers(1, 3)), n + c - 2

    def way(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        return np.full(shape, rng.choice([-1.0, 1.0])) if aligned else rng.choice([-1.0, 1.0], shape)

    def some(length: int) -> npt.NDArray[np.float64]:
        """A column of ones, or with a single one, or with ones here and there."""
        one = np.arange(length) == rng.integers(length)
        kinds = np.ones(length), np.ones(length), one, rng.choice([0.0, 1.0], length)
        return kinds[rng.integers(4)][:, None] * 1.0

    shapes = {
        **{"embed.W_E": (v, d), "pos_embed.W_pos": (c, d), "unembed.W_U": (d, k), "unembed.b_U": (k,)},
        **{"blocks.0.attn.W_V": (heads, d, a), "blocks.0.attn.W_O": (heads, a, d)},
        **{"blocks.0.attn.b_V": (heads, a), "blocks.0.attn.b_O": (d,)},
        **{"blocks.0.mlp.W_in": (d, m), "blocks.0.mlp.b_in": (m,)},
        **{"blocks.0.mlp.W_out": (m, d), "blocks.0.mlp.b_out": (d,)},
    }
    apart = np.array([1.0, -1.0, 0.0])[:k]
    weights = {
        name: float(rng.choice([0.0, 0.5, 3.0])) * (np.ones(shape) if aligned else way(shape))
        for name, shape in shapes.items()
    }
    weights["unembed.W_U"], weights["unembed.b_U"] = weights["unembed.W_U"] * apart, weights["unembed.b_U"] * apart
    weights["embed.W_E"] *= some(v)
    weights["pos_embed.W_pos"] *= some(c)
    W_out, W_O = weights["blocks.0.mlp.W_out"], weights["blocks.0.attn.W_O"]
    faint = rng.random() < 0.5
    if faint:  # the first neuron, a large one, writes nothing, little or what others do, and C leaves it out
        W_out[0] *= rng.choice([0.0, 2.0**-10, 1.0])
        W_O[0, 0] = 0.0
        weights["blocks.0.mlp.W_in"][:, 0] *= 10.0
        weights["blocks.0.mlp.b_in"][0] *= 10.0
    if rng.random() < 0.5:  # rows with a zero that still write something
        W_out[:, 0] *= rng.integers(0, 2)
        W_O[:, :, 0] *= rng.integers(0, 2)
    W_U = weights["unembed.W_U"] - weights["unembed.W_U"].mean(axis=1, keepdims=True)
    R = np.concatenate([weights["embed.W_E"], weights["pos_embed.W_pos"]])
    Z, Q, P, C, B = R, np.eye(d), np.eye(d), W_out, W_U
    if aligned:
        Z, Q = np.repeat(R[:, :1], s, axis=1) / s, np.ones((s, d))
        P = np.ones((d, t))
        C, B = W_out @ P, np.repeat(W_U[:1], t, axis=0) / t
    wrong = rng.random(3) < (0.5 if aligned else 0.2)
    if wrong[0]:
        Z = Z + rng.choice([0.125, 1.0]) * way(Z.shape) * some(len(Z))
    if wrong[1]:
        C = rng.choice([0.0, 1.0]) * C + rng.choice([0.0, 0.125, 1.0]) * way(C.shape)
    if wrong[2]:
        B = rng.choice([0.0, 0.0, 1.0]) * B + rng.choice([0.0, 0.125, 1.0]) * way((len(B), 1)) * apart
    if faint:
        C = C * (np.arange(m) > 0)[:, None]
    hints = {
        "stream": np.concatenate([Z, Q.T]).T.copy(),
        "logits": np.concatenate([P, C, B.T]).T.copy(),
    }
    if rng.random() < 0.05:
        name = str(rng.choice(["stream", "logits"]))
        hints[name] = hints[name][: int(rng.integers(0, 2))]
    if rng.random() < 0.05:
        hints["logits"][:, -1] = rng.choice([np.nan, np.inf, 0.5])
    return PairSum(weights), hints


def leads(problem: Problem[Any, Any]) -> npt.NDArray[np.float64]:
    """By how much outputs lead others, by definition, to the nearest floats, shape (n n, k, k)."""
    n, tensors = problem.network.n, problem.network.tensors
    logits = [pair_sums.logits(tensors, x, y) for x in range(n) for y in range(n)]
    return np.array([[[float(Fraction(a - b)) for b in row] for a in row] for row in logits])


@cache
def cases() -> list[Case]:
    """Networks with hints, and their leads."""
    rng, found = np.random.default_rng(9), list[Case]()
    for number in range(300):
        network, hints = drawn(rng, number)
        problem: Problem[Any, Any] = Problem(network, pair_table(add_mod(network.n).table % 2))
        found.append((problem, hints, leads(problem)))
    return found


def own_module(name: str) -> Any:
    """The module of the package."""
    assert name == NAME
    return few_directions


def false_leads(module: Callable[[str], Any] = own_module) -> bool:
    """Whether in one of these networks a lead is less than what the theorem says."""
    theorem = module(NAME)
    for problem, hints, true in cases():
        n = problem.network.n
        with np.errstate(all="ignore"):
            parts = theorem.parts(Workspace(problem), hints)
            logits = theorem.logits_of(parts, Group(0, np.repeat(np.arange(n), n), np.tile(np.arange(n), n)))
            least = logits[:, :, None] - logits[:, None] - parts.loss
            # Numbers rounded to a nearest float: those next to it are on the safe side of what it stands for.
            low = np.nextafter(least.mid - least.rad, -np.inf)
        if (low > np.nextafter(true, np.inf))[:, ~np.eye(true.shape[-1], dtype=bool)].any():
            return True
    return False


def test_leads() -> None:
    """All leads are at least what the theorem says, and in many networks it says much."""
    assert not false_leads()
    some = 0
    for problem, hints, true in cases():
        with np.errstate(all="ignore"):
            proved = few_directions.bound(Workspace(problem), hints)
        assert proved <= sum((np.delete(true[i, z], z) > 0).all() for i, z in enumerate(problem.task.table.ravel()))
        some += proved > 0
    assert some > 40


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("g = 2.0 * longest", "g = longest"),
        (" * (1.0 + size(V) * size(W_O))", ""),
        ("(1.0 + size(V) * size(W_O))", "(size(V) * size(W_O))"),
        ("longest(R - Z @ Q)", "size(R[:1] - Z[:1] @ Q)"),
        ("longest(left) + longest(right_) +", "longest(right_) +"),
        ("longest(left) + longest(right_) +", "longest(left) +"),
        ("longest(right_) + g * size_W", "longest(right_)"),
        ("e = g * size(P) +", "e ="),
        (" + g * size_W * size(chosen.C)", ""),
        (" + h * size(T @ P - chosen.C)", ""),
        ("(longest(Z_x) + longest(Z_y)) * size(A)", "longest(Z_x) * size(A)"),
        ("(longest(Z_x) + longest(Z_y)) * size(A)", "longest(Z_y) * size(A)"),
        (" + longest(last) * size(Q)", ""),
        (" + size(constant)", ""),
        ("F = mid + g +", "F = mid +"),
        (" + h * size(T) + size(b_out)", " + size(b_out)"),
        (" + size(b_out)", ""),
        ("2.0 * (of_coordinates + of_outputs)", "2.0 * of_coordinates + of_outputs"),
        ("of_coordinates + of_outputs)", "of_outputs)"),
        (" + of_outputs)", ")"),
        ("+ (b_U.max() - b_U.min())", ""),
        ("(b_U.max() - b_U.min())", "b_U.max()"),
        ("loss=2.0 * (of", "loss=1.0 * (of"),
        (" / float(c)", ""),
        ("b_V @ W_O + weight", "weight"),
        ("np.concatenate([b_in[None], b_out @ P], axis=1)", "np.concatenate([b_in[None], 0.0 * b_out @ P], axis=1)"),
        ("np.concatenate([b_in[None], b_out @ P], axis=1)", "np.concatenate([0.0 * b_in[None], b_out @ P], axis=1)"),
        ("last = Z_y if c == 2 else (Z[network.n] + Z[-1])[None]", "last = Z_y"),
        ("last = Z_y if c == 2 else (Z[network.n] + Z[-1])[None]", "last = Z_x if c == 2 else (Z[-2] + Z[-1])[None]"),
        ("last = Z_y if c == 2 else (Z[network.n] + Z[-1])[None]", "last = Z_y if c == 2 else (Z[0] + Z[-1])[None]"),
        (" + (last @ (Q @ into) + of_all)", " + of_all"),
        (" + chosen.times_C(right_[:, chosen.used])", ""),
        ("parts.of_x[group.x] + parts.of_y[group.y]", "parts.of_x[group.y] + parts.of_y[group.y]"),
        ("parts.minus_right[group.y]", "parts.minus_right[group.x]"),
        ("output.shape).any(axis=1)", "output.shape).all(axis=1)"),
        ('weight("blocks.0.mlp.W_out").any(axis=1)', 'weight("blocks.0.mlp.W_out").all(axis=1)'),
        ('weight("blocks.0.mlp.W_out").any(axis=1)', 'weight("blocks.0.mlp.W_out").max(axis=1) > 0'),
        ("size_W = size(W)", "size_W = longest(W.T)"),
        ("size_W = size(W)", "size_W = size(W[:, chosen.used])"),
        ("size(V) * size(W_O))", "longest(V) * size(W_O))"),
        ("g * size(P)", "g * longest(P.T)"),
        ("size(chosen.C)", "longest(chosen.C.T)"),
        ("size(T @ P - chosen.C)", "longest(T @ P - chosen.C)"),
        ("h * size(T)", "h * longest(T.T)"),
        ("h * size(T)", "(longest(left) + longest(right_)) * size(T)"),
        ("* size(A)", "* longest(A.T)"),
        ("longest(last) * size(Q)", "longest(last) * longest(Q.T)"),
        ("longest(last) * size(Q)", "longest(last[:1]) * size(Q)"),
        ("longest(R - Z @ Q)", "longest((R - Z @ Q)[:-1])"),
        ("longest(R - Z @ Q)", "longest((R - Z @ Q)[-c:])"),
        ("e * longest(chosen.B.T)", "e * longest(chosen.B)"),
        ("longest((W_U - P @ chosen.B).T)", "longest(W_U - P @ chosen.B)"),
        ('np.reshape(weight("blocks.0.attn.b_V"), ', 'np.reshape(weight("blocks.0.attn.b_V").T, '),
        ('weight("blocks.0.mlp.b_in")[used]', 'weight("blocks.0.mlp.b_in")[: len(used)]'),
        ("left=left[:, chosen.used]", "left=left[:, : len(chosen.used)]"),
        ("minus_right=-right_[:, chosen.used]", "minus_right=-right_[:, : len(chosen.used)]"),
    ],
)  # fmt: skip
def test_planted(old: str, new: str) -> None:
    """Each of these mistakes makes such a lead false."""
    assert false_leads(Planted("compactproofs", [(NAME, old, new)], (NAME,)).module)


def test_shipped_networks() -> None:
    """Of each all pairs are proved right in fewer than 2^22 operations, and nothing of the network that it was."""
    with (SHIPPED / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(list(SHIPPED.glob("*.safetensors"))) == 10
    for row in rows:
        seed = row["model"].removeprefix("add-59/")
        network = open_file(str(SHIPPED / f"{seed}.safetensors")).pair_sum()
        certificate, prover = cp.Certificate.load(SHIPPED / f"{seed}.cert.json"), Prover(network, add_mod(59))
        assert (certificate.strategy, certificate.certified) == (FEW_DIRECTIONS.id, int(row["proved"]))
        assert prover.cost(FEW_DIRECTIONS, dict(certificate.hints)).flops == int(row["flops"]) < 2**22
        assert cp.verify(certificate, network).accepted
        assert not cp.verify(certificate, open_file(row["model"]).pair_sum()).accepted


def test_mirrored_products() -> None:
    """Even and odd rows, with zeros, and any others, are multiplied as they are, in fewer operations."""
    rng = np.random.default_rng(0)
    back = -np.arange(9)
    for number in range(30):
        B = rng.normal(size=(6, 9))
        B[:3], B[3:] = B[:3] + B[:3][:, back], B[3:] - B[3:][:, back]
        B[rng.integers(6)] = rng.choice([-1.0, 0.0, 1.0, 2.0], 9) if number % 2 else 0.0
        h, work = rng.normal(size=(4, 6)), MeasuredWorkspace[Any, Any](Problem(add_mod(3), add_mod(3)), "value")
        np.testing.assert_allclose(thin.mirrored_product(work, B)(h), h @ B, atol=1e-12)
        assert number % 2 or thin.mirrored(B)[1] < 2 * np.count_nonzero(B)
