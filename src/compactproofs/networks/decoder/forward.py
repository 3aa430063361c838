"""The forward pass of `model`, for many inputs at once, on arrays of any reading.

Entry by entry, a radius grows by the sum of the sizes of a column in each product with a matrix, and after a few layers
nothing is known.  So uncertainty is carried from step to step as the Euclidean norm of rows, which a matrix stretches
by its spectral norm at most: `Rows` are floats `at`, chosen near the real rows, and `off`, bounds of the distances.

Lemma (steps).  Let real rows x be within w of floats a, and |f(x) - f(a)| <= L |x - a|.  Then f(x) is within
L w + |f(a) - b| of any floats b.  In each function below f(a) is computed on exact numbers, b is its midpoint, and L is

- for sums of rows 1 for each;
- for a product with W its spectral norm s(W), or more: G = W W^T or W^T W is symmetric, its largest eigenvalue is
  s(W)^2, and that of G^p, s(W)^2p, is at most the largest sum of a row of |G^p|;
- for N the greatest 1 / S between a and x: centring is an orthogonal projection, and c / S(c) with
  S(c) = sqrt(|c|^2 / d + eps) has the derivative (1 - c c^T / (d S^2)) / S, whose norm is 1 / S at most.  S is at
  least sqrt(eps), and at least S(a) - w / sqrt(d), as its own slope is at most 1 / sqrt(d).  The weights stretch by the
  largest of their sizes;
- for the activation its largest slope, from `functions`.

Attention.  Each head's part of a row is off by no more than the whole, so its scores q k are off by at most
|q| w_k + w_q (|k| + w_k), and the softmax p is computed of enclosures of scores.  The mixed values of all heads
together, sum_j p_j v_j, are off by at most sum_j (max over heads of p_j) w_j from those of the floats v.

A logit is off by at most w times the norm of its column of W_U.

Only what the logits at one position depend on is computed: with causal attention nothing behind that position, and in
the last layer nothing but that position.  Each softmax is shifted by a float near its largest score, which does not
change it.  The cap of the logits is left out: it is strictly increasing, so it changes no comparison of logits.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array, FloatArray, IntArray, max_where, midpoint
from compactproofs.kernel.workspace import Workspace, shared
from compactproofs.networks.decoder.functions import GATES, SLOPES, of_either_sign, sigmoid
from compactproofs.networks.decoder.model import Decoder

Work: TypeAlias = Workspace[Decoder, Any]
Places: TypeAlias = npt.NDArray[np.intp]

SQUARINGS = 4  # of G, so that p = 16


class Rows(NamedTuple):
    """Real rows whose distances from `at` are at most `off`; of shapes (..., d) and (...)."""

    at: FloatArray
    off: Array

    def there(self, places: Places) -> Rows:
        """Those at some positions, for shapes (inputs, positions, d)."""
        return Rows(self.at[:, places], self.off[:, places])


def uncapped_logits(work: Work, tokens: IntArray, at: int) -> Array:
    """The logits at position `at` before their cap, for sequences of shape (inputs, positions): (inputs, outputs)."""
    network = work.network
    if network.configuration.attention_dir == "causal":
        tokens = tokens[:, : at + 1]
    stream = _near(work.weight("embed.W_E")[tokens] + work.weight("pos_embed.W_pos")[: tokens.shape[1]])
    everywhere = np.arange(tokens.shape[1])
    for layer in range(network.n_layers):
        wanted = everywhere if layer < network.n_layers - 1 else everywhere[[at]]
        stream = _block(work, f"blocks.{layer}", stream, wanted)
    last = _normalised(work, "ln_final", stream.there(np.array([0 if network.n_layers else at])))
    W_U = work.weight("unembed.W_U")
    logits = work.constant(last.at[:, 0]) @ W_U + work.weight("unembed.b_U")
    return logits + of_either_sign(last.off * _norm(W_U.T))


def _near(computed: Array, off: Array | float = 0.0) -> Rows:
    """Rows that are within `off` of those computed."""
    at = midpoint(computed)
    at = np.where(np.isfinite(at), at, 0.0)
    return Rows(at, off + _norm(computed - at))


def _norm(x: Array) -> Array:
    """The Euclidean norm of rows."""
    return np.sqrt((x * x).sum(-1))


def _plus(work: Work, x: Rows, y: Rows) -> Rows:
    return _near(work.constant(x.at) + work.constant(y.at), x.off + y.off)


def _block(work: Work, block: str, stream: Rows, at: Places) -> Rows:
    """What a layer makes of the residual stream, at some positions."""
    here = stream.there(at)
    after = _plus(work, here, _attention(work, f"{block}.attn", _normalised(work, f"{block}.ln1", stream), at))
    if work.network.configuration.act_fn == "none":
        return after
    read = here if work.network.configuration.parallel_attn_mlp == "yes" else after
    return _plus(work, after, _mlp(work, f"{block}.mlp", _normalised(work, f"{block}.ln2", read)))


def _normalised(work: Work, name: str, x: Rows) -> Rows:
    """N."""
    kind, eps = work.network.configuration.normalization_type, work.network.configuration.eps
    if kind == "none":
        return x
    y = work.constant(x.at)
    if kind in ("LN", "LNPre"):
        y = y - y.mean(-1, keepdims=True)
    scale = np.sqrt((y * y).mean(-1, keepdims=True) + eps)
    least = scale[..., 0] - x.off / np.sqrt(work.constant(float(x.at.shape[-1])))
    off = x.off / np.maximum(least, np.sqrt(work.constant(eps)))
    y = y / scale
    if kind in ("LN", "RMS"):
        y, off = y * work.weight(f"{name}.w"), off * np.abs(work.weight(f"{name}.w")).max()
    return _near(y + work.weight(f"{name}.b") if kind == "LN" else y, off)


def _attention(work: Work, name: str, y: Rows, at: Places) -> Rows:
    """A of all positions, (inputs, positions, d), at some of them."""
    configuration, heads = work.network.configuration, work.network.n_heads
    q, k, v = (
        _times(work, rows, f"{name}.W_{letter}", f"{name}.b_{letter}")
        for letter, rows in (("Q", y.there(at)), ("K", y), ("V", y))
    )
    queries, keys, values = (work.constant(_by_head(rows.at, heads)) for rows in (q, k, v))
    off_q, off_k = q.off[:, None, :, None], k.off[:, None, None, :]
    off = _norm(queries)[..., None] * off_k + off_q * (_norm(keys)[:, :, None] + off_k)
    scores = (queries @ np.swapaxes(keys, -1, -2) + of_either_sign(off)) / configuration.attn_scale
    scores = _capped(scores, configuration.attn_scores_soft_cap)
    seen = np.ones(scores.shape[-2:], np.bool_)
    if configuration.attention_dir == "causal":
        seen = np.arange(scores.shape[-1]) <= at[:, None]
    top = midpoint(max_where(scores, seen, -1))[..., None]
    weights = np.where(seen, np.exp(scores - np.where(np.isfinite(top), top, 0.0)), 0.0)
    weights = weights / weights.sum(axis=-1, keepdims=True)
    mixed = np.transpose(weights @ values, (0, 2, 1, 3))
    mixed = np.reshape(mixed, (*mixed.shape[:2], v.at.shape[-1]))
    off = (weights.max(axis=1) * v.off[:, None]).sum(-1)
    return _times(work, _near(mixed, off), f"{name}.W_O", f"{name}.b_O")


def _by_head(rows: FloatArray, heads: int) -> FloatArray:
    """From (inputs, positions, heads times d_head) to (inputs, heads, positions, d_head)."""
    return rows.reshape(*rows.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def _mlp(work: Work, name: str, y: Rows) -> Rows:
    """M of (inputs, positions, d)."""
    inner = _times(work, y, f"{name}.W_in", f"{name}.b_in")
    x, act_fn = work.constant(inner.at), work.network.configuration.act_fn
    outer = np.maximum(x, 0.0) if act_fn == "relu" else x * GATES[act_fn](x)
    return _times(work, _near(outer, inner.off * SLOPES[act_fn]), f"{name}.W_out", f"{name}.b_out")


def _times(work: Work, y: Rows, matrix: str, bias: str) -> Rows:
    """A product with a matrix, all rows at once, and a bias."""
    weight = _joined(work, matrix)
    inputs, positions, width = y.at.shape
    b = np.reshape(work.weight(bias), (weight.shape[1],))
    rows = work.constant(y.at.reshape(inputs * positions, width)) @ weight + b
    return _near(np.reshape(rows, (inputs, positions, weight.shape[1])), y.off * _spectral_norm(work, matrix))


@shared
def _joined(work: Work, name: str) -> Array:
    """A matrix; those of all heads as one: of W_O below each other, of others side by side."""
    weight = work.weight(name)
    if len(weight.shape) == 2:
        return weight
    heads, rows, columns = weight.shape
    if name.endswith("W_O"):
        return np.reshape(weight, (heads * rows, columns))
    return np.reshape(np.transpose(weight, (1, 0, 2)), (rows, heads * columns))


@shared
def _spectral_norm(work: Work, name: str) -> Array:
    """A bound of the spectral norm of a matrix."""
    weight = _joined(work, name)
    largest = midpoint(np.abs(weight).max())
    unit = 2.0 ** np.clip(np.frexp(largest)[1], -500, 500)  # any number near the largest entry
    part = weight / float(unit)
    power = part @ part.T if part.shape[0] < part.shape[1] else part.T @ part
    for _ in range(SQUARINGS):
        power = power @ power
    bound: Array = np.abs(power).sum(-1).max()
    for _ in range(SQUARINGS + 1):
        bound = np.sqrt(bound)
    return bound * float(unit)


def _capped(s: Array, cap: float) -> Array:
    """c tanh(s / c), where tanh(z) is 2 sigmoid(2 z) - 1."""
    return cap * (2.0 * sigmoid(s * 2.0 / cap) - 1.0) if cap else s
