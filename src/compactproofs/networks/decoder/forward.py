"""The forward pass of `model`, for many inputs at once, on arrays of any reading.

Only what the logits at one position depend on is computed: with causal attention nothing behind that position, and in
the last layer nothing but that position.  Each softmax is shifted by a float near its largest score, which does not
change it.  The cap of the logits is left out: it is strictly increasing, so it changes no comparison of logits.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array, IntArray, max_where, midpoint
from compactproofs.kernel.workspace import Workspace, shared
from compactproofs.networks.decoder.functions import GATES, sigmoid
from compactproofs.networks.decoder.model import Decoder

Work: TypeAlias = Workspace[Decoder, Any]


def uncapped_logits(work: Work, tokens: IntArray, at: int) -> Array:
    """The logits at position `at` before their cap, for sequences of shape (inputs, positions): (inputs, outputs)."""
    network = work.network
    if network.configuration.attention_dir == "causal":
        tokens = tokens[:, : at + 1]
    stream = work.weight("embed.W_E")[tokens] + work.weight("pos_embed.W_pos")[: tokens.shape[1]]
    everywhere = np.arange(tokens.shape[1])
    for layer in range(network.n_layers):
        wanted = everywhere if layer < network.n_layers - 1 else everywhere[[at]]
        stream = _block(work, f"blocks.{layer}", stream, wanted)
    last = stream[:, 0 if network.n_layers else at]
    return _normalised(work, "ln_final", last) @ work.weight("unembed.W_U") + work.weight("unembed.b_U")


def _block(work: Work, block: str, stream: Array, at: npt.NDArray[np.intp]) -> Array:
    """What a layer makes of the residual stream, at some positions."""
    here = stream[:, at]
    after = here + _attention(work, f"{block}.attn", _normalised(work, f"{block}.ln1", stream), at)
    if work.network.configuration.act_fn == "none":
        return after
    read = here if work.network.configuration.parallel_attn_mlp == "yes" else after
    return after + _mlp(work, f"{block}.mlp", _normalised(work, f"{block}.ln2", read))


def _normalised(work: Work, name: str, y: Array) -> Array:
    """N of the last axis."""
    kind = work.network.configuration.normalization_type
    if kind == "none":
        return y
    if kind in ("LN", "LNPre"):
        y = y - y.mean(-1, keepdims=True)
    y = y / np.sqrt((y * y).mean(-1, keepdims=True) + work.network.configuration.eps)
    if kind in ("LN", "RMS"):
        y = y * work.weight(f"{name}.w")
    return y + work.weight(f"{name}.b") if kind == "LN" else y


def _attention(work: Work, name: str, y: Array, at: npt.NDArray[np.intp]) -> Array:
    """A of all positions, (inputs, positions, d), at some of them."""
    configuration = work.network.configuration
    queries, keys, values = (_heads(work, name, letter, part) for letter, part in (("Q", y[:, at]), ("K", y), ("V", y)))
    scores = _capped(queries @ np.swapaxes(keys, -1, -2) / configuration.attn_scale, configuration.attn_scores_soft_cap)
    seen = np.ones(scores.shape[-2:], np.bool_)
    if configuration.attention_dir == "causal":
        seen = np.arange(scores.shape[-1]) <= at[:, None]
    top = midpoint(max_where(scores, seen, -1))[..., None]
    weights = np.where(seen, np.exp(scores - np.where(np.isfinite(top), top, 0.0)), 0.0)
    mixed = weights / weights.sum(axis=-1, keepdims=True) @ values
    joined = np.transpose(mixed, (0, 2, 1, 3))
    joined = np.reshape(joined, (*joined.shape[:2], joined.shape[2] * joined.shape[3]))
    return _times(joined, _joined(work, f"{name}.W_O")) + work.weight(f"{name}.b_O")


def _heads(work: Work, name: str, letter: str, y: Array) -> Array:
    """Queries, keys or values: (inputs, positions, d) to (inputs, heads, positions, d_head)."""
    heads, size = work.network.n_heads, work.network.d_head
    bias = np.reshape(work.weight(f"{name}.b_{letter}"), (heads * size,))
    rows = _times(y, _joined(work, f"{name}.W_{letter}")) + bias
    return np.transpose(np.reshape(rows, (*y.shape[:2], heads, size)), (0, 2, 1, 3))


@shared
def _joined(work: Work, name: str) -> Array:
    """The matrices of all heads as one: of W_O below each other, of others side by side."""
    weight = work.weight(name)
    heads, rows, columns = weight.shape
    if name.endswith("W_O"):
        return np.reshape(weight, (heads * rows, columns))
    return np.reshape(np.transpose(weight, (1, 0, 2)), (rows, heads * columns))


def _mlp(work: Work, name: str, y: Array) -> Array:
    """M of (inputs, positions, d)."""
    inner = _times(y, work.weight(f"{name}.W_in")) + work.weight(f"{name}.b_in")
    act_fn = work.network.configuration.act_fn
    outer = np.maximum(inner, 0.0) if act_fn == "relu" else inner * GATES[act_fn](inner)
    return _times(outer, work.weight(f"{name}.W_out")) + work.weight(f"{name}.b_out")


def _times(y: Array, weight: Array) -> Array:
    """A product with a matrix, all rows at once."""
    inputs, positions, width = y.shape
    return np.reshape(np.reshape(y, (inputs * positions, width)) @ weight, (inputs, positions, weight.shape[1]))


def _capped(s: Array, cap: float) -> Array:
    """c tanh(s / c), where tanh(z) is 2 sigmoid(2 z) - 1."""
    return cap * (2.0 * sigmoid(s * 2.0 / cap) - 1.0) if cap else s
