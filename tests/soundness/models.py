"""Hostile models: small enough that the truth is known, and chosen so that a wrong proof is likely to show.

Random weights answer few inputs correctly and certify nothing, so most models here are built to work at max-of-K and
then spoiled: by noise, strong positions, ties, extreme scales, or by moving one weight to where an input just fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs import testing
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.opening.models import Model
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k

FloatArray = npt.NDArray[np.float64]
Weights = dict[str, FloatArray]

NAMES = ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U")
BIASES = ("b_Q", "b_K", "b_V", "b_O", "b_U")


@dataclass(frozen=True)
class Case:
    """A model and how it was made."""

    name: str
    model: Model


def verifying(model: Model) -> Workspace[AttentionOnly, MaxOfK]:
    """A workspace as verification makes one, on which nothing is counted."""
    return Workspace(max_of_k(model))


def weights_of(model: Model) -> Weights:
    """Writable copies of the weights, with biases if some are not zero."""
    return {name: np.array(getattr(model, name)) for name in (*NAMES, *(BIASES if model.biases else ()))}


# --- plain forward passes in float64: for the search, never for a verdict ---


@cache
def inputs_of(v: int, n: int) -> npt.NDArray[np.int64]:
    """All inputs, shape (v^n, n), the last token running fastest."""
    return np.array(list(product(range(v), repeat=n)), np.int64)


def float_logits(weights: Weights) -> FloatArray:
    """The logits of all inputs, shape (v^n, v)."""
    E, P = weights["W_E"], weights["W_pos"]
    b_Q, b_K, b_V, b_O, b_U = (weights.get(name, 0.0) for name in BIASES)
    tokens = inputs_of(len(E), len(P))
    with np.errstate(all="ignore"):
        x = E[tokens] + P
        query = x[:, -1]
        keys, values = x @ weights["W_K"] + b_K, x @ weights["W_V"] + b_V
        scores = np.einsum("ih,iph->ip", query @ weights["W_Q"] + b_Q, keys) / np.sqrt(weights["W_Q"].shape[1])
        attention = np.exp(scores - scores.max(axis=1, keepdims=True))
        attention /= attention.sum(axis=1, keepdims=True)
        head = np.einsum("ip,iph->ih", attention, values) @ weights["W_O"] + b_O
        return np.asarray((query + head) @ weights["W_U"] + b_U)


def float_margins(weights: Weights) -> FloatArray:
    """The label's logit minus the best other one, as a share of the largest logit; NaN counts as -1."""
    with np.errstate(all="ignore"):
        logits = float_logits(weights)
        label = inputs_of(len(weights["W_E"]), len(weights["W_pos"])).max(axis=1)[:, None]
        own = np.take_along_axis(logits, label, axis=1)[:, 0]
        rest = logits.copy()
        np.put_along_axis(rest, label, -np.inf, axis=1)
        margins = (own - rest.max(axis=1)) / np.abs(logits).max()
        return np.asarray(np.nan_to_num(margins, nan=-1.0, posinf=1.0, neginf=-1.0))


# --- building blocks ---


def random_weights(
    rng: np.random.Generator, v: int, n: int, d: int, h: int, scale: float = 1.0, integers: bool = False
) -> Weights:
    """Unstructured weights: normal, or integers in -1 ... 1, times a scale."""
    shapes = {"W_E": (v, d), "W_pos": (n, d), "W_Q": (d, h), "W_K": (d, h), "W_V": (d, h), "W_O": (h, d), "W_U": (d, v)}
    return {
        name: scale * (rng.integers(-1, 2, shape).astype(np.float64) if integers else rng.normal(size=shape))
        for name, shape in shapes.items()
    }


def working_weights(
    rng: np.random.Generator,
    v: int,
    n: int,
    h: int = 1,
    *,
    sharpness: float = 4.0,
    gain: float = 1.0,
    position: float = 0.0,
    position_write: float = 0.0,
    query: float = 0.0,
    noise: float = 0.0,
    rough: float = 0.0,
    d: int = 6,
    rotate: bool = True,
) -> Weights:
    """A model that does max-of-K: attention grows with the token, and what is attended to is copied.

    Coordinates: 0 the size of the token, 1 constant, 2 what the head writes, 3 the position's score, 4 and 5 spare.
    The logit of o is gain (2 s o - o^2) with s the average token attended to, largest at the o nearest to s.

    `sharpness`: score of a token over that of the next smaller one; `position`, `position_write`: how much the place
    changes score and value; `query`: how much the query changes its sharpness; `noise`: relative, on every weight;
    `rough`: how much scores and outputs depend on what else a token is, so that no circuit has low rank.
    """
    size = np.arange(v) - (v - 1) / 2.0
    E, P = np.zeros((v, d)), np.zeros((n, d))
    E[:, 0], E[:, 1] = size, 1.0
    P[:, 3 if d > 3 else 0] = position * rng.normal(size=n)
    P[:, 2] = position_write * rng.normal(size=n)
    towards = rng.normal(size=h)
    towards /= np.linalg.norm(towards)
    Q, K, V, W_O = np.zeros((d, h)), np.zeros((d, h)), np.zeros((d, h)), np.zeros((h, d))
    Q[1] = sharpness * np.sqrt(h) * towards
    Q[0] = query * np.sqrt(h) * towards
    K[0] = towards
    if d > 3:
        K[3] = towards
    V[0], V[2] = towards, towards
    W_O[:, 2] = gain * towards
    U = np.zeros((d, v))
    U[2], U[1] = 2.0 * size, -gain * size**2
    weights = {"W_E": E, "W_pos": P, "W_Q": Q, "W_K": K, "W_V": V, "W_O": W_O, "W_U": U}
    if rough:
        E[:, 4:] = rng.normal(size=(v, d - 4))
        for of_spare in (Q[4:], K[4:], V[4:], U[4:]):
            of_spare += rough * rng.normal(size=of_spare.shape)
        W_O += rough * rng.normal(size=W_O.shape)
    if noise:
        weights = {name: w + noise * np.abs(w).mean() * 2.0 * rng.normal(size=w.shape) for name, w in weights.items()}
    return rotated(rng, weights) if rotate else weights


def one_hot_weights(
    rng: np.random.Generator, v: int, n: int, h: int, *, sharpness: float, gain: float, noise: float
) -> Weights:
    """A model that does max-of-K by one-hot embeddings and a copying OV circuit; needs h >= v for perfect copying."""
    d = v
    size = np.arange(v) - (v - 1) / 2.0
    towards = np.ones(h) / np.sqrt(h)
    basis = np.linalg.qr(rng.normal(size=(max(d, h), max(d, h))))[0][:d, :h]
    weights = {
        "W_E": np.eye(v),
        "W_pos": np.zeros((n, d)),
        "W_Q": sharpness * np.sqrt(h) * np.ones((d, 1)) * towards,
        "W_K": size[:, None] * towards,
        "W_V": gain * basis,
        "W_O": basis.T.copy(),
        "W_U": np.eye(v),
    }
    return {name: w + noise * rng.normal(size=w.shape) for name, w in weights.items()}


def tabulated_weights(
    scores: FloatArray,
    writes: FloatArray,
    direct: FloatArray,
    position_scores: FloatArray,
    position_writes: FloatArray | None = None,
) -> Weights:
    """A model whose circuits are these tables: EQKE, EVOU, EU, EQKP, PVOU; d_head is a power of 4, with an exact root.

    `scores` is of (query, token), `writes` of (token, output), `direct` of (query, output), the others of (query,
    position) and (position, output).  What positions score on average moves from EQKP to EQKE.
    """
    (v, n), none = position_scores.shape, np.zeros((position_scores.shape[1], len(scores)))
    h = 4
    while h < v + n:
        h *= 4
    tokens, positions, outputs = slice(0, v), slice(v, v + n), slice(v + n, 2 * v + n)
    E, P, U = np.zeros((v, 2 * v + n)), np.zeros((n, 2 * v + n)), np.zeros((2 * v + n, v))
    Q, K, V, W_O = (np.zeros(shape) for shape in ((2 * v + n, h),) * 3 + ((h, 2 * v + n),))
    E[:, tokens], P[:, positions] = np.eye(v), np.eye(n)
    Q[tokens, tokens], Q[tokens, positions] = scores * np.sqrt(h), position_scores * np.sqrt(h)
    K[: v + n, : v + n] = np.eye(v + n)
    V[tokens, :v], V[positions, :v] = writes, none if position_writes is None else position_writes
    W_O[:v, outputs] = np.eye(v)
    U[tokens], U[outputs] = direct, np.eye(v)
    return {"W_E": E, "W_pos": P, "W_Q": Q, "W_K": K, "W_V": V, "W_O": W_O, "W_U": U}


def constant_weights(rng: np.random.Generator, v: int, n: int, answer: int, *, bias: float, **options: Any) -> Weights:
    """A working model with a bias towards one answer, whatever the input."""
    weights = working_weights(rng, v, n, rotate=False, **options)
    weights["W_U"][1, answer] += bias
    return rotated(rng, weights)


def with_biases(rng: np.random.Generator, weights: Weights, size: float = 1.0) -> Weights:
    """A model with biases that does what this one does, but for rounding.

    A vector t is taken out of all embeddings.  Biases put back what is then missing from queries, keys, values and
    logits; b_K is off by something more, which changes all scores of a query alike, and b_U all logits.
    """
    d, h = weights["W_Q"].shape
    t, b_O = size * rng.normal(size=(2, d))
    return {
        **weights,
        "W_E": weights["W_E"] - t,
        "b_Q": t @ weights["W_Q"],
        "b_K": t @ weights["W_K"] + size * rng.normal(size=h),
        "b_V": t @ weights["W_V"],
        "b_O": b_O,
        "b_U": (t - b_O) @ weights["W_U"] + size * rng.normal(),
    }


def rotated(rng: np.random.Generator, weights: Weights) -> Weights:
    """The same function, but for rounding, with all coordinates of the residual stream mixed."""
    d = weights["W_E"].shape[1]
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return {name: w @ turn if name in ("W_E", "W_pos", "W_O") else turn.T @ w for name, w in weights.items()}


def hidden_ties(rng: np.random.Generator, v: int, n: int) -> Weights:
    """A working model where two outputs tie exactly on all inputs, but not in floating point.

    Each coordinate is there three times, and the unembeddings of two outputs hold the same three numbers in another
    order; so equal sums are added up in different orders.
    """
    base = working_weights(rng, v, n, d=3, sharpness=3.0, noise=0.1)
    weights = {
        name: np.repeat(w, 3, axis=1) if name in ("W_E", "W_pos", "W_O") else np.repeat(w, 3, axis=0) / 3.0
        for name, w in base.items()
    }
    split = weights["W_U"] * rng.uniform(0.5, 1.5, weights["W_U"].shape)
    first, second = rng.choice(v, size=2, replace=False)
    split[:, first] = np.concatenate([rng.permutation(block) for block in split[:, second].reshape(3, 3)])
    weights["W_U"] = split
    return weights


def razor(
    rng: np.random.Generator,
    weights: Weights,
    spoil: Callable[[Weights], Weights] | None = None,
    count: Callable[[Weights], int] | None = None,
) -> tuple[Weights, Weights] | None:
    """Two models that differ by next to nothing, on either side of where the number of right answers drops.

    `spoil` leads away from `weights` (default: a random move of one weight matrix) and `count` says how many answers
    are right (default: by float64).  None if the move spoils nothing.
    """
    if spoil is None:
        name = str(rng.choice(NAMES))
        move = np.abs(weights[name]).max() * rng.normal(size=weights[name].shape)

        def spoil(w: Weights) -> Weights:
            return {**w, name: w[name] + move}

    def right(w: Weights) -> int:
        return int((float_margins(w) > 0).sum()) if count is None else count(w)

    return testing.razor(weights, spoil(weights), right)


# --- the collection ---


def _scaled(weights: Weights, **factors: float) -> Weights:
    return {name: w * factors.get(name, 1.0) for name, w in weights.items()}


def _sizes(rng: np.random.Generator, largest: int = 700) -> tuple[int, int]:
    """A vocabulary and a context length with at most `largest` inputs."""
    while True:
        v, n = int(rng.integers(2, 7)), int(rng.integers(1, 5))
        if v**n <= largest:
            return v, n


def _random(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for scale in (1e-3, 0.1, 1.0, 3.0, 30.0, 1e3):
        for _ in range(2):
            v, n = _sizes(rng, 300)
            d, h = int(rng.integers(1, 7)), int(rng.integers(1, 5))
            yield f"scale {scale:g}", random_weights(rng, v, n, d, h, scale)
    for integers in (False, True):
        yield "K=5", random_weights(rng, 3, 5, 3, 2, 1.0, integers)


def _working(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for sharpness in (1.0, 2.0, 4.0, 8.0, 50.0):
        for noise in (0.0, 0.03, 0.2):
            v, n = _sizes(rng)
            h = int(rng.integers(1, 5))
            yield (
                f"sharpness {sharpness:g} noise {noise:g}",
                working_weights(rng, v, n, h, sharpness=sharpness, noise=noise, query=float(rng.normal()) * 0.2),
            )
    for v, n, h in ((3, 3, 3), (4, 3, 4), (2, 4, 2), (3, 4, 4), (5, 2, 4)):
        yield f"one-hot v={v}", one_hot_weights(rng, v, n, h, sharpness=4.0, gain=4.0, noise=0.05)
    for sharpness in (5.0, 15.0):
        yield "v=6 K=4", working_weights(rng, 6, 4, 2, sharpness=sharpness, noise=0.02)
    yield "v=3 K=5", working_weights(rng, 3, 5, 2, sharpness=4.0, noise=0.02)
    yield "v=2 K=5", working_weights(rng, 2, 5, 1, sharpness=2.0)


def _positions(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for position in (0.5, 1.5, 4.0):
        for write in (0.0, 0.5):
            for v, n in ((2, 3), (3, 3), (3, 4), (2, 4)):
                yield (
                    f"position {position:g} write {write:g} v={v} K={n}",
                    working_weights(
                        rng, v, n, 2, sharpness=2.0, position=position / 2.0, position_write=write, noise=0.02
                    ),
                )


def _moderate(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for v, n in ((2, 3), (2, 4), (3, 3), (3, 4), (4, 3)):
        for sharpness in (0.3, 0.6, 0.9, 1.2, 1.6, 2.2):
            position = float(rng.choice([0.0, 0.2]))
            query = float(rng.choice([-0.3, 0.0, 0.3])) * sharpness
            yield (
                f"sharpness {sharpness:g} v={v} K={n}",
                working_weights(rng, v, n, 2, sharpness=sharpness, position=position, query=query, noise=0.02),
            )


def _rough(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for v, n in ((3, 2), (3, 3), (3, 4), (4, 3), (5, 2), (6, 3)):
        for rough in (0.1, 0.3, 0.6):
            for sharpness in (1.5, 4.0, 12.0):
                h, position = int(rng.integers(2, 5)), float(rng.choice([0.0, 0.3]))
                yield (
                    f"{rough:g} sharpness {sharpness:g} v={v} K={n}",
                    working_weights(rng, v, n, h, sharpness=sharpness, position=position, rough=rough, query=0.2),
                )


def _wide(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    # Vocabularies large enough that proofs which tell near tokens from far ones have both.
    for v, n in ((8, 2), (8, 3), (9, 3), (12, 2)):
        for rough in (0.0, 0.3, 1.0):
            for sharpness, position in ((0.7, 0.3), (3.0, 0.0), (6.0, 1.0)):
                yield (
                    f"rough {rough:g} sharpness {sharpness:g} v={v} K={n}",
                    working_weights(rng, v, n, 3, sharpness=sharpness, position=position, rough=rough, noise=0.01),
                )


def _contrary(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    # Attention does harm: the head writes against what it attends to, or attends to small tokens.
    for v, n in ((2, 2), (2, 3), (2, 4), (3, 3)):
        for sharpness, gain in ((1.0, -1.0), (-1.0, 1.0), (3.0, -1.0)):
            for bias in (0.3, 0.8, 1.5, 2.5):
                yield (
                    f"sharpness {sharpness:g} gain {gain:g} bias {bias:g} v={v} K={n}",
                    constant_weights(
                        rng, v, n, v - 1, bias=bias, sharpness=sharpness, gain=gain, position=1.0, noise=0.02
                    ),
                )


def _biased(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for v, n in ((2, 1), (3, 1), (2, 2), (3, 2), (3, 3), (4, 3)):
        for bias in (1.0, 100.0):
            answer = int(rng.integers(1, v))
            yield f"bias {bias:g} v={v} K={n}", constant_weights(rng, v, n, answer, bias=bias, noise=0.02)


def _ties(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for v, n in ((2, 1), (2, 3), (4, 2)):
        yield "all zero", random_weights(rng, v, n, 2, 2, 0.0)
    for _ in range(3):
        yield "integers", random_weights(rng, *_sizes(rng, 100), 3, 2, 1.0, integers=True)
    for v, n in ((3, 2), (3, 3), (4, 2)):
        weights = working_weights(rng, v, n, rotate=False)
        twin = {name: w.copy() for name, w in weights.items()}
        twin["W_E"][v - 1] = twin["W_E"][v - 2]
        yield "equal tokens", twin
        twin = {name: w.copy() for name, w in weights.items()}
        twin["W_U"][:, v - 1] = twin["W_U"][:, v - 2]
        yield "equal outputs", twin
        yield "no attention", _scaled(weights, W_Q=0.0)
        yield "half way", _scaled({**weights, "W_U": weights["W_U"] * np.array([[1.0], [0.0]] * 3)}, W_Q=0.0)
    for v, n in ((2, 2), (3, 2), (3, 3), (4, 3)):
        for _ in range(2):
            yield "hidden", hidden_ties(rng, v, n)


def _extreme(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for v, n in ((3, 2), (3, 3)):
        base = working_weights(rng, v, n, 2, sharpness=4.0, noise=0.02)
        for factor in (1e-300, 1e-200, 1e150, 1e300):
            yield f"U {factor:g}", _scaled(base, W_U=factor)
        for factor in (1e-310, 1e-12, 1e2, 1e3, 1e10, 1e150, 1e306):
            yield f"Q {factor:g}", _scaled(base, W_Q=factor)
        yield "Q up K down", _scaled(base, W_Q=1e200, W_K=1e-200)
        yield "V down O up", _scaled(base, W_V=1e-170, W_O=1e170)
        yield "V and O down, U up", _scaled(base, W_V=1e-160, W_O=1e-160, W_U=1e300)
        yield "E down, subnormal", _scaled(base, W_E=1e-310, W_pos=1e-310)
        yield "E up, V down", _scaled(base, W_E=1e150, W_pos=1e150, W_Q=1e-150, W_K=1e-150)
        mixed = {name: w * 10.0 ** rng.integers(-60, 60, w.shape) for name, w in base.items()}
        yield "mixed", mixed
        yield "softmax over 300 orders", working_weights(rng, v, n, sharpness=400.0, noise=0.01)
        yield "softmax over 3000 orders", working_weights(rng, v, n, sharpness=4000.0, noise=0.01, query=100.0)
    for size in (5e-324, 1e-160, 1e17, 1e150):
        base = with_biases(rng, working_weights(rng, 3, 3, 2, sharpness=4.0, noise=0.02))
        yield f"biases times {size:g}", {**base, **{name: size * base[name] for name in BIASES}}
    yield "biases that cancel", with_biases(rng, working_weights(rng, 3, 3, 2, noise=0.02), 1e6)


def _overflow(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for v, n in ((2, 1), (3, 2), (3, 3)):
        base = working_weights(rng, v, n, 2, sharpness=4.0, noise=0.02)
        yield "scores, but for small tokens", _scaled(base, W_E=1e-160, W_pos=1e-160, W_U=1e150, W_Q=1e155, W_K=1e155)
        yield "scores", _scaled(base, W_Q=1e200, W_K=1e200)
        yield "what tokens write", _scaled(base, W_V=1e200, W_O=1e200)
        yield "direct path", _scaled(base, W_E=1e200, W_pos=1e200, W_U=1e200, W_Q=1e-250, W_K=1e-150, W_V=1e-200)
        yield "everything", {name: 1e150 * w for name, w in base.items()}


def _brink(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    # Softmax weights from 1 to 1e-300 that all matter, logits that tie exactly, and overflow in exp and in margins.
    for v, n in ((3, 2), (3, 3), (4, 3)):
        size = np.arange(v)
        copying = np.where(np.eye(v) > 0, 2.0 * n ** size[:, None], rng.uniform(-0.5, 0.5, (v, v)))
        level, none = np.zeros((v, n)), np.zeros((v, v))
        steep = np.tile(690.0 / (v - 1) * size, (v, 1))
        far = 690.0 * np.tile(rng.permutation(n) / (n - 1) - 0.5, (v, 1))
        of_query = rng.normal(size=(v, 1)) * 1e5

        # What a token writes is as large as the softmax weight that it gets is small: all terms are of one size.
        for sign, rough in ((1.0, 0.0), (-1.0, 0.0), (1.0, 1.0), (-1.0, 1.0)):
            large = copying + rough * n ** size[:, None] * rng.normal(size=(v, v))
            large *= np.exp(-sign * (steep[0] - 345.0))[:, None]
            yield f"all of 300 orders count, v={v} K={n}", tabulated_weights(sign * steep, large, none, level)
        yield f"positions over 300 orders, v={v} K={n}", tabulated_weights(steep / 10.0, copying, copying / 2.0, far)
        yield (
            f"exp of positions overflows, v={v} K={n}",
            tabulated_weights(of_query + steep, copying, copying, 3.0 * far, rng.normal(size=(n, v))),
        )

        # Whatever is attended to, the head makes the last output win over the one before by just what EU takes away.
        tied = np.round(copying * 4.0)
        tied[:, -1] = tied[:, -2] + 3.0
        against = np.zeros((v, v))
        against[:, -2] = 3.0
        for scale in (1.0, 2.0**1010, 2.0**-1060):
            for sharp in (steep / 690.0, steep):
                weights = tabulated_weights(sharp, tied * scale, against * scale, far / 690.0)
                yield f"ties through the softmax, times {scale:.0e}, v={v} K={n}", weights
        coins: FloatArray = rng.integers(0, 3, (v, v)) + 2.0 * np.eye(v)
        signs = np.where(rng.integers(0, 2, (v, v)) > 0, 0.0, -1.0)
        yield f"ties of sums, v={v} K={n}", tabulated_weights(none, coins, signs, level)
        # Scores that are equal, but only as exact numbers: the rest of the residual stream is mixed into them.
        for even in (np.eye(v), coins):
            equal = tabulated_weights(np.full((v, v), 2.0**60), even, none, level)
            yield f"equal scores, v={v} K={n}", rotated(rng, equal)

        top = 1.7e308
        apart = np.where(np.eye(v) > 0, top, -top)
        yield f"margins overflow, v={v} K={n}", tabulated_weights(steep, apart, none, level)
        yield f"margins overflow and cancel, v={v} K={n}", tabulated_weights(steep, apart, -apart, level)
        wrong_side = tabulated_weights(none, apart / 1.7, -0.75 * apart / 1.7, level)
        yield f"margins overflow to the wrong side, v={v} K={n}", wrong_side
        few = tabulated_weights(steep / 100.0, copying, none, level)
        few["W_V"][0] *= 1e200
        few["W_O"][0] *= 1e200
        yield f"one circuit's entry overflows, v={v} K={n}", few


def _razors(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    made = 0
    while made < 12:
        v, n = _sizes(rng, 130)
        position = float(rng.choice([0.0, 0.7]))
        weights = working_weights(rng, v, n, 2, sharpness=float(rng.uniform(2, 6)), position=position, noise=0.03)
        pair = razor(rng, weights)
        if pair is not None:
            made += 1
            yield f"v={v} K={n} before", pair[0]
            yield f"v={v} K={n} after", pair[1]


def _folded(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    # With biases, which proofs fold into the weights.
    for v, n in ((2, 1), (3, 2), (3, 3), (4, 3), (2, 4)):
        for size in (0.3, 3.0):
            h = int(rng.integers(1, 5))
            base = working_weights(rng, v, n, h, sharpness=3.0, position=0.3, query=0.2, noise=0.02)
            yield f"size {size:g} v={v} K={n}", with_biases(rng, base, size)
            contrary = constant_weights(rng, v, n, v - 1, bias=1.0, sharpness=-1.0, h=h, position=0.5, noise=0.02)
            yield f"size {size:g} against attention v={v} K={n}", with_biases(rng, contrary, size)
        for name in BIASES:
            size = float(rng.choice([0.3, 1.0, 3.0]))
            base = working_weights(rng, v, n, 2, sharpness=2.0, position=0.5, noise=0.02)
            shape = with_biases(rng, base)[name].shape
            yield f"{name} alone v={v} K={n}", {**base, name: size * rng.normal(size=shape)}
            mixed = with_biases(rng, base, size)
            yield f"{name} astray v={v} K={n}", {**mixed, name: mixed[name] + size * rng.normal(size=shape)}
    for scale in (0.1, 0.5, 1.0):
        weights = random_weights(rng, 3, 3, 3, 2, scale)
        spread = {name: scale * rng.normal(size=b.shape) for name, b in with_biases(rng, weights).items()}
        yield f"random, scale {scale:g}", {**weights, **{name: spread[name] for name in BIASES}}


def _single(rng: np.random.Generator) -> Iterator[tuple[str, Weights]]:
    for v, n in ((3, 3), (4, 2), (2, 4), (3, 4)):
        weights = working_weights(rng, v, n, 2, sharpness=4.0, position=0.5, noise=0.05)
        yield f"v={v} K={n}", {name: w.astype(np.float32) for name, w in weights.items()}


FAMILIES: dict[str, Callable[[np.random.Generator], Iterator[tuple[str, Weights]]]] = {
    "random": _random,
    "working": _working,
    "positions": _positions,
    "moderate": _moderate,
    "rough": _rough,
    "wide": _wide,
    "contrary": _contrary,
    "biased": _biased,
    "ties": _ties,
    "extreme": _extreme,
    "overflow": _overflow,
    "brink": _brink,
    "razors": _razors,
    "float32": _single,
    "folded": _folded,
}


#: Families at the ends of what float64 holds, where much is lost to overflow: each strategy meets them in tests apart.
BEYOND = ("overflow", "brink")


@lru_cache(maxsize=64)
def cases(family: str, seed: int = 0) -> tuple[Case, ...]:
    """The models of one family."""
    rng = np.random.default_rng([seed, *family.encode("ascii")])
    return tuple(Case(f"{family}: {name}", Model(**weights)) for name, weights in FAMILIES[family](rng))


def all_cases(seed: int = 0) -> tuple[Case, ...]:
    """The models of all families."""
    return tuple(case for family in FAMILIES for case in cases(family, seed))


def ordinary_cases(seed: int = 0) -> tuple[Case, ...]:
    """The models of all families but those of `BEYOND`."""
    return tuple(case for family in FAMILIES if family not in BEYOND for case in cases(family, seed))
