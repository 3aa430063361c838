"""Random small decoders, and what they compute, by Arb and from the definition alone, one number at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb, ctx

from compactproofs.networks.decoder.model import CHOICES, Configuration, Decoder, tensors_of

PRECISION = 200

Row = list[arb]
Rows = list[Row]


def configurations(rng: np.random.Generator) -> Configuration:
    """Any of them, with each choice as likely as each other."""
    settings: Any = {name: str(rng.choice(values)) for name, values in CHOICES.items()}
    kind = settings["normalization_type"]
    return Configuration(
        attn_scale=float(rng.choice([1.0, 2.0**0.5, 0.3])),
        eps=0.0 if kind == "none" else float(rng.choice([1e-5, 1e-12, 0.5])),
        attn_scores_soft_cap=float(rng.choice([0.0, 0.0, 1.5, 30.0])),
        output_logits_soft_cap=float(rng.choice([0.0, 0.0, 2.0])),
        **settings,
    )


def decoder(
    rng: np.random.Generator,
    configuration: Configuration | None = None,
    *,
    layers: int = 2,
    scale: float = 0.8,
    biased: bool = True,
    **sizes: int,
) -> Decoder:
    """A decoder with random weights; sizes by the letters of `networks.decoder.model`."""
    configuration = configurations(rng) if configuration is None else configuration
    of = {"v": 4, "c": 4, "d": 5, "a": 2, "h": 3, "m": 6, "o": 4} | sizes
    tensors = {
        name: scale * rng.normal(size=[of[axis] for axis in axes])
        for name, axes in tensors_of(configuration, layers)
        if biased or ".b_" not in name
    }
    return Decoder(configuration, layers, tensors)


def truth(network: Decoder, tokens: Sequence[int], at: int, *, capped: bool = True) -> Row:
    """The logits at position `at`, with their cap or before it."""
    ctx.prec = PRECISION
    w = {name: _exact(tensor) for name, tensor in network.tensors.items()}
    c = network.configuration
    stream = [_plus(w["embed.W_E"][token], w["pos_embed.W_pos"][p]) for p, token in enumerate(tokens)]
    for layer in range(network.n_layers):
        block = f"blocks.{layer}"
        heads = _attention(c, w, f"{block}.attn", [_norm(c, w, f"{block}.ln1", r) for r in stream])
        between = [_plus(r, a) for r, a in zip(stream, heads, strict=True)]
        if c.act_fn != "none":
            read = stream if c.parallel_attn_mlp == "yes" else between
            between = [
                _plus(r, _mlp(c, w, f"{block}.mlp", _norm(c, w, f"{block}.ln2", x)))
                for r, x in zip(between, read, strict=True)
            ]
        stream = between
    last = _norm(c, w, "ln_final", stream[at])
    cap = c.output_logits_soft_cap if capped else 0.0
    return [_cap(x, cap) for x in _plus(_times(last, w["unembed.W_U"]), w["unembed.b_U"])]


def answer(logits: Row) -> int:
    """The output whose logit is certainly the strictly largest, or -1."""
    for o, x in enumerate(logits):
        if all(x > y for i, y in enumerate(logits) if i != o):
            return o
    return -1


def _exact(tensor: Any) -> Any:
    return [_exact(part) for part in tensor] if np.ndim(tensor) else arb(float(tensor))


def _plus(a: Row, b: Row) -> Row:
    return [x + y for x, y in zip(a, b, strict=True)]


def _sum(terms: Sequence[arb]) -> arb:
    total = arb(0)
    for term in terms:
        total += term
    return total


def _times(row: Row, matrix: Rows) -> Row:
    return [_sum([x * matrix[i][j] for i, x in enumerate(row)]) for j in range(len(matrix[0]))]


def _cap(x: arb, cap: float) -> arb:
    return arb(cap) * (x / arb(cap)).tanh() if cap else x


def _norm(c: Configuration, w: dict[str, Any], name: str, row: Row) -> Row:
    kind = c.normalization_type
    if kind == "none":
        return row
    if kind.startswith("LN"):
        mean = _sum(row) / len(row)
        row = [x - mean for x in row]
    size = (_sum([x * x for x in row]) / len(row) + arb(c.eps)).sqrt()
    row = [x / size for x in row]
    if not kind.endswith("Pre"):
        row = [x * y for x, y in zip(row, w[f"{name}.w"], strict=True)]
    return _plus(row, w[f"{name}.b"]) if kind == "LN" else row


def _attention(c: Configuration, w: dict[str, Any], name: str, rows: Rows) -> Rows:
    result = [list(w[f"{name}.b_O"]) for _ in rows]
    for head, W_O in enumerate(w[f"{name}.W_O"]):
        q, k, v = ([_plus(_times(r, w[f"{name}.W_{x}"][head]), w[f"{name}.b_{x}"][head]) for r in rows] for x in "QKV")
        for i in range(len(rows)):
            seen = range(i + 1) if c.attention_dir == "causal" else range(len(rows))
            raw = [_sum([x * y for x, y in zip(q[i], k[j], strict=True)]) / arb(c.attn_scale) for j in seen]
            powers = [_cap(score, c.attn_scores_soft_cap).exp() for score in raw]
            mixed = [_sum([p * v[j][x] for j, p in zip(seen, powers, strict=True)]) for x in range(len(W_O))]
            result[i] = _plus(result[i], _times([x / _sum(powers) for x in mixed], W_O))
    return result


def _mlp(c: Configuration, w: dict[str, Any], name: str, row: Row) -> Row:
    inner = _plus(_times(row, w[f"{name}.W_in"]), w[f"{name}.b_in"])
    return _plus(_times([ACTIVATIONS[c.act_fn](x) for x in inner], w[f"{name}.W_out"]), w[f"{name}.b_out"])


def _by_tanh(x: arb, factor: arb) -> arb:
    return x / 2 * (1 + (factor * (x + arb("0.044715") * x * x * x)).tanh())


ACTIVATIONS: dict[str, Callable[[arb], arb]] = {
    "relu": lambda x: x.max(arb(0)),
    "silu": lambda x: x / (1 + (-x).exp()),
    "gelu": lambda x: x / 2 * (1 + (x / arb(2).sqrt()).erf()),
    "gelu_new": lambda x: _by_tanh(x, (2 / arb.pi()).sqrt()),
    "gelu_pytorch_tanh": lambda x: _by_tanh(x, (2 / arb.pi()).sqrt()),
    "gelu_fast": lambda x: _by_tanh(x, arb("0.7978845608")),
}
