"""Small networks of two arguments, and what they answer, in rational numbers from their definition alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.networks.pair_sum.model import PairSum

Row = list[Fraction]
Weights = dict[str, npt.NDArray[np.float64]]


def logits(tensors: Mapping[str, npt.NDArray[np.float64]], x: int, y: int) -> Row:
    """The exact logits of a network with these tensors, all of its biases included."""
    w = {name: _exact(tensor.tolist()) for name, tensor in tensors.items()}
    if "W_x" in w:
        rows = [*w["W_x"][x], *w["W_y"][y]]
        return _sum(_times([max(h, Fraction(0)) for h in _times(rows, w["W"])], w["W_U"]), w["b"])
    tokens = [x, y, len(w["embed.W_E"]) - 1][: len(w["pos_embed.W_pos"])]
    stream = [_sum(w["embed.W_E"][t], p) for t, p in zip(tokens, w["pos_embed.W_pos"], strict=True)]
    mid = _sum(stream[-1], w["blocks.0.attn.b_O"])
    heads = (w[f"blocks.0.attn.{name}"] for name in ("W_V", "b_V", "W_O"))
    for W_V, b_V, W_O in zip(*heads, strict=True):
        values = [_sum(_times(row, W_V), b_V) for row in stream]
        mixed = [sum(column, Fraction(0)) / len(tokens) for column in zip(*values, strict=True)]
        mid = _sum(mid, _times(mixed, W_O))
    h = [max(a, Fraction(0)) for a in _sum(_times(mid, w["blocks.0.mlp.W_in"]), w["blocks.0.mlp.b_in"])]
    out = _sum(_sum(mid, w["blocks.0.mlp.b_out"]), _times(h, w["blocks.0.mlp.W_out"]))
    return _sum(_times(out, w["unembed.W_U"]), w["unembed.b_U"])


#: What was found: many strategies, and many planted errors, are tried on the same networks.
_RIGHT: dict[object, int] = {}


def exact_correct(network: PairSum, table: npt.NDArray[np.int64]) -> int:
    """The number of pairs whose label has the strictly largest logit."""
    weights = tuple((name, weight.shape, weight.tobytes()) for name, weight in network.tensors.items())
    key = weights, table.shape, table.tobytes()
    if key not in _RIGHT:
        _RIGHT[key] = 0
        for (x, y), label in np.ndenumerate(table):
            found = logits(network.tensors, x, y)
            _RIGHT[key] += all(found[label] > other for z, other in enumerate(found) if z != label)
    return _RIGHT[key]


def _exact(entries: Any) -> Any:
    return [_exact(entry) for entry in entries] if isinstance(entries, list) else Fraction(entries)


def _sum(a: Row, b: Row) -> Row:
    return [x + y for x, y in zip(a, b, strict=True)]


def _times(row: Row, matrix: Sequence[Row]) -> Row:
    return [sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0)) for column in zip(*matrix, strict=True)]


def neurons_of(table: npt.NDArray[np.int64], outputs: int) -> tuple[npt.NDArray[np.float64], ...]:
    """A neuron for each pair (a, b), which is 1 there and 0 elsewhere, and writes to T[a, b]: left, right, out."""
    n = len(table)
    a, b = np.divmod(np.arange(n * n), n)
    values = np.arange(n)[:, None]
    return 1.0 * (values == a), (values == b) - 1.0, np.eye(outputs)[table.ravel()]


def mlp(rng: np.random.Generator, table: npt.NDArray[np.int64], noise: float) -> Weights:
    """A perceptron that answers as the table says, but for the noise."""
    n, k = len(table), int(table.max()) + 1 + int(rng.integers(0, 2))
    left, right, out = neurons_of(table, max(k, 2))
    clean = {"W_x": np.eye(n), "W_y": np.eye(n), "W": np.concatenate([left, right]), "W_U": out}
    return noisy(rng, {**clean, "b": np.zeros(max(k, 2))}, noise)


def transformer(rng: np.random.Generator, table: npt.NDArray[np.int64], noise: float, positions: int = 2) -> Weights:
    """A transformer of two heads that does so, with two positions or three."""
    n, k = len(table), max(2, int(table.max()) + 1)
    left, right, out = neurons_of(table, k)
    m, d, last = left.shape[1], 2 * n + k, positions == 3
    E = np.eye(n + last, d) if not last else np.concatenate([np.eye(n, d), np.zeros((1, d))])
    W_V = np.zeros((2, d, n))
    W_V[0, :n] = W_V[1, :n] = np.eye(n)
    W_O = np.zeros((2, n, d))
    W_O[:, :, n : 2 * n] = positions / 2 * np.eye(n)
    if last:  # without y at the last position, all that is known of x and y is their sum, which only some tables need
        right = left
    W_in = np.concatenate([right - left, left, np.zeros((k, m))])
    clean = {
        "embed.W_E": E,
        "pos_embed.W_pos": np.zeros((positions, d)),
        "blocks.0.attn.W_V": W_V,
        "blocks.0.attn.W_O": W_O,
        "blocks.0.attn.b_V": np.zeros((2, n)),
        "blocks.0.attn.b_O": np.zeros(d),
        "blocks.0.mlp.W_in": W_in,
        "blocks.0.mlp.b_in": np.zeros(m),
        "blocks.0.mlp.W_out": np.concatenate([np.zeros((m, 2 * n)), out], axis=1),
        "blocks.0.mlp.b_out": np.zeros(d),
        "unembed.W_U": np.concatenate([np.zeros((2 * n, k)), np.eye(k)]),
        "unembed.b_U": np.zeros(k),
    }
    return noisy(rng, clean, noise)


def noisy(rng: np.random.Generator, weights: Weights, noise: float) -> Weights:
    """The same and normal noise."""
    return {name: w + noise * rng.normal(size=w.shape) for name, w in weights.items()}
