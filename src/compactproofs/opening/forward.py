"""The forward pass in plain float64, for many inputs at once (`networks.attention_only.model` has the formula).

Biases are folded, as there: a bias that is added is a product with 1 more in the sum, and is bounded like one.

Nothing here is trusted or proves anything: it serves to compare a model with what another program computes, and to say
how often a model gives some answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import WEIGHTS, AttentionOnly
from compactproofs.opening.models import Model
from compactproofs.tasks.max_of_k import max_of_k

__all__ = ["answers", "logits", "logits_within", "some_inputs"]

_BLOCK_ENTRIES = 2**20  # of the largest array


def some_inputs(model: AttentionOnly | ManyHeads, most: int, rng: np.random.Generator) -> IntArray:
    """All inputs if there are at most `most`, otherwise `most` random ones, shape (N, n).

    Each position of the random ones takes all tokens equally often, up to one; apart from that they are uniform.
    """
    v, n = model.d_vocab, model.n_ctx
    if max_of_k(model).task.total <= most:
        return np.stack(np.unravel_index(np.arange(v**n), [v] * n), axis=1)
    first = rng.permutation(v)  # if there are fewer inputs than tokens, not the same ones each time
    return rng.permuted(np.tile(first[np.arange(most) % v][:, None], n), axis=0)


def logits(model: AttentionOnly | ManyHeads, tokens: IntArray) -> FloatArray:
    """The logits of inputs: shape (N, n) to (N, v).  They are infinite or NaN where float64 overflows."""
    if isinstance(model, ManyHeads):  # whose heads have one direct path
        with np.errstate(all="ignore"):
            direct = (model.W_E[tokens[:, -1]] + model.W_pos[-1]) @ model.W_U
            return np.asarray(direct + sum(logits(head, tokens) - direct for head in model.heads))
    found = [np.zeros((0, model.d_vocab))]
    with np.errstate(all="ignore"):
        OV = model.weight("W_V") @ model.weight("W_O") @ model.weight("W_U")
        QK = model.weight("W_Q") @ model.weight("W_K").T / np.sqrt(model.d_head)
        for some in _blocks(tokens, model.width):
            x = model.weight("W_E")[some] + model.weight("W_pos")
            scores = np.einsum("id,ipd->ip", x[:, -1] @ QK, x)
            attention = np.exp(scores - scores.max(axis=1, keepdims=True))
            attention /= attention.sum(axis=1, keepdims=True)
            found.append(x[:, -1] @ model.weight("W_U") + np.einsum("ip,ipd->id", attention, x) @ OV)
    return np.concatenate(found)


def answers(model: AttentionOnly | ManyHeads, tokens: IntArray) -> IntArray:
    """The output with the strictly largest logit for each input, shape (N, n) to (N,); -1 where there is none."""
    found = logits(model, tokens)
    ties = np.count_nonzero(found == found.max(axis=1, keepdims=True), axis=1)  # none where one is NaN
    return np.where(ties == 1, found.argmax(axis=1), -1)


def logits_within(model: Model, tokens: IntArray, dtype: type[np.floating]) -> tuple[FloatArray, FloatArray]:
    """The logits of inputs, shape (N, n) to (N, v), and how far from them those of another program can be, same shape.

    The other program computes in `dtype` what the model does, step by step: residuals, queries, keys and values,
    scores, softmax, their mean value, its output, logits; sums in any order, subnormal numbers kept or not.  If it
    overflows nowhere, each of its logits is within the bound.

    This is running error analysis to first order and beyond: with unit roundoff u, a sum of k products of numbers
    a + da and b + db is off by at most |a||db| + |da||b| + |da||db| + γ(k) (|a| + |da|)(|b| + |db|), summed, where
    γ(k) = k u / (1 - k u), and by `least` more for each product, which may underflow.  u is the sum of both programs'.

    Softmax: if scores are off by e_p, and exponents by u (max s - s_p + 2 max e) more for the subtraction and 4 u for
    exp, then log a_p is off by at most D_p = e_p + log sum_r a_r exp(e_r) + γ(n + 2), since
    1 / sum_r a_r exp(-e_r) <= sum_r a_r exp(e_r).  No attention exceeds 1.  What attention that is off by E_p writes is
    measured from the mean output, since attentions sum to 1 up to γ(n + 4).
    """
    found, within = [np.zeros((0, model.d_vocab))], [np.zeros((0, model.d_vocab))]
    with np.errstate(all="ignore"):
        for some in _blocks(tokens, max(model.d_vocab, model.d_model, model.d_head)):
            value, error = _running(model, some, np.finfo(dtype))
            found.append(value)
            within.append(error)
    return np.concatenate(found), np.concatenate(within)


def _running(model: Model, tokens: IntArray, kind: np.finfo) -> tuple[FloatArray, FloatArray]:
    """`logits_within` for one block."""
    u, least = float(kind.eps) / 2 + 2.0**-53, float(kind.tiny)
    W_E, W_pos, W_Q, W_K, W_V, W_O, W_U = map(model.weight, WEIGHTS)
    (d, h), n = W_V.shape, model.n_ctx

    def gamma(k: int) -> float:
        return k * u / (1 - k * u)

    def times(a: FloatArray, da: FloatArray, weights: FloatArray) -> FloatArray:
        """How far a product with weights, which are exact, is off."""
        k = len(weights)
        return np.asarray((da + gamma(k) * (abs(a) + da)) @ abs(weights) + k * least)

    def paired(a: FloatArray, b: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("ih,iph->ip", a, b))

    def mixed(a: FloatArray, b: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("ip,ipx->ix", a, b))

    x = W_E[tokens] + W_pos
    dx = u * abs(x)
    q, k, v = x[:, -1] @ W_Q, x @ W_K, x @ W_V
    dq, dk, dv = times(x[:, -1], dx[:, -1], W_Q), times(x, dx, W_K), times(x, dx, W_V)

    root = np.sqrt(model.d_head)
    s = paired(q, k) / root
    ds = paired(abs(q), dk) + paired(dq, abs(k) + dk) + gamma(h + 2) * paired(abs(q) + dq, abs(k) + dk) + h * least
    ds = ds / root + least
    top = s.max(axis=1, keepdims=True)
    off = ds + u * (top - s + 2 * ds.max(axis=1, keepdims=True) + 4)
    log_a = s - top - _log_sum(s - top)
    D = off + _log_sum(log_a + off) + gamma(n + 2)
    a = np.exp(log_a)
    da = np.maximum(np.minimum(np.exp(np.minimum(log_a + D, 1.0)), 1 + gamma(n)) - a, a - np.exp(log_a - D)) + 2 * least

    y = v @ W_O
    mean = mixed(a, y)
    unequal = gamma(n + 4) + 2 * n * least
    apart = y - mean[:, None]
    head = mixed(a + da, abs(v) + dv)  # at least the size of the mean value
    dz = mixed(a + da, dv) + gamma(n) * head + n * least  # but for attention that is off
    do = (dz + gamma(h + n) * head) @ abs(W_O) + h * least
    r = x[:, -1] + mean
    dr = dx[:, -1] + do
    size = abs(r) + dr + mixed(da, abs(apart)) + unequal * abs(mean)
    error = (dr + (u + gamma(d + 1)) * size) @ abs(W_U) + d * least
    error += mixed(da, abs(apart @ W_U)) + unequal * abs(mean @ W_U)
    return r @ W_U, error


def _log_sum(exponents: FloatArray) -> FloatArray:
    """log of the sum of exponentials along the last axis, which is kept."""
    top = exponents.max(axis=-1, keepdims=True)
    result: FloatArray = top + np.log(np.exp(exponents - top).sum(axis=-1, keepdims=True))
    return result


def _blocks(tokens: IntArray, width: int) -> Iterator[IntArray]:
    """The inputs in blocks for which an array of (inputs, positions, width) stays small."""
    step = max(1, _BLOCK_ENTRIES // (tokens.shape[1] * width))
    return (tokens[start : start + step] for start in range(0, len(tokens), step))
