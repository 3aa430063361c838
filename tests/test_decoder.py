"""Decoders and their enumeration against Arb, the definition, and plain Python: bounds hold, and errors are found."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from safetensors.numpy import save

import decoders
from compactproofs import Certificate, InvalidModel, __main__
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.decoder import forward, functions
from compactproofs.networks.decoder.functions import REACH, TERMS
from compactproofs.networks.decoder.model import CHOICES, Configuration, Decoder
from compactproofs.opening.configuration import KEY, as_settings, as_text
from compactproofs.opening.networks import load_decoder, task_for
from compactproofs.search import guesses
from compactproofs.search.allowance import Allowance, allowing
from compactproofs.search.builtin import get_strategy
from compactproofs.search.effort import declared, verify
from compactproofs.search.prover import Prover
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.tasks.sequences import RULES, Sequences
from compactproofs.theorems.enumerate import every_input
from exactcheck import checking
from exactcheck import decoders as second

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))


LOWER, UPPER = (get_strategy(name) for name in ("enumerate", "enumerate-upper"))


# The gates, with x = mid +- rad


def gates() -> dict[str, tuple[Callable[[Enclosure], Any], Callable[[arb], arb]]]:
    """Ours and Arb's, by name."""

    def by_tanh(x: arb, factor: arb) -> arb:
        return 1 / (1 + (-2 * factor * (x + arb("0.044715") * x * x * x)).exp())

    return {
        "sigmoid": (functions.sigmoid, lambda x: 1 / (1 + (-x).exp())),
        "normal": (functions.normal, lambda x: (-x / arb(2).sqrt()).erfc() / 2),
        "normal_by_tanh": (functions.normal_by_tanh, lambda x: by_tanh(x, (2 / arb.pi()).sqrt())),
        "normal_by_tanh_fast": (functions.normal_by_tanh_fast, lambda x: by_tanh(x, arb("0.7978845608"))),
    }


def arguments(rng: np.random.Generator) -> Iterator[Enclosure]:
    """Ordinary ones, where they change their form, at the ends of what float64 holds; known and less so."""
    ends = [0.0, REACH, 8.499999, 1e-300, 5e-324, 1e-160, 38.5, 37.0, 708.0, 745.2, 800.0, 1e10, 1e150, 1e300, 1.7e308]
    ends += list(np.nextafter(REACH, [0, 9])) + list(2.0 ** np.arange(-30, 12))
    mid = np.concatenate([rng.normal(size=600), 6 * rng.normal(size=600), 40 * rng.normal(size=100), ends])
    mid = np.concatenate([mid, -mid])
    for size in (0.0, 1e-17, 1e-12, 1e-3, 0.5, 3.0):
        with np.errstate(over="ignore"):
            rad = size * rng.uniform(0.0, 1.0, mid.shape) * (1.0 if size < 0.1 else np.abs(mid))
        yield Enclosure(mid, rad)


def check_gate(name: str, rounds: int = 1) -> None:
    """Values at both ends and inside are in the enclosure, without any tolerance."""
    ours, exact = gates()[name]
    rng = np.random.default_rng(0)
    ctx.prec = 2100  # sums of the smallest and largest floats
    for _ in range(rounds):
        for x in arguments(rng):
            y = ours(x)
            some = rng.integers(0, x.size, 60) if rounds == 1 and not x.rad.any() else rng.integers(0, x.size, 40)
            for i in (*some, *range(1299, 1361), *range(x.size - 62, x.size)):
                for t in (-1.0, 1.0, rng.uniform(-1.0, 1.0)):
                    at = arb(float(x.mid[i])) + arb(float(t)) * arb(float(x.rad[i]))
                    ctx.prec = 400
                    if np.isfinite(y.rad[i]) and abs(at) < 1e6:
                        off = abs(exact(at) - arb(float(y.mid[i])))
                        assert off <= arb(float(y.rad[i])), (name, x.mid[i], x.rad[i], t)
                    ctx.prec = 2100


@pytest.mark.parametrize("name", ["sigmoid", "normal", "normal_by_tanh", "normal_by_tanh_fast"])
def test_gates(name: str) -> None:
    """They enclose, and tightly: within 3e-14 where the argument is known."""
    check_gate(name)
    x = np.linspace(-50.0, 50.0, 4001)
    assert gates()[name][0](Enclosure.exact(x)).rad.max() < 3e-14


def test_the_numbers_in_the_proof() -> None:
    """What the docstring of `functions` says of its constants."""
    ctx.prec = 200
    product = arb(1)
    for k in range(35, TERMS):
        product *= arb(REACH) ** 2 / (2 * k + 3)
    assert product < arb(2) ** -70
    assert arb(REACH) ** 2 / (2 * TERMS + 3) < 0.5
    assert arb(REACH) ** 2 < 2 * 35 + 3
    for ours, exact in (
        (functions._ROOT_2_PI, (2 * arb.pi()).sqrt()),
        (functions._ROOT_8_OVER_PI, (8 / arb.pi()).sqrt()),
    ):
        assert abs(arb(ours) - exact) < exact * arb(2) ** -52
    assert abs(arb(functions._ROOT_8_OVER_PI) - (8 / arb.pi()).sqrt()) < arb(2) ** -51


@pytest.mark.parametrize("name", ["sigmoid", "normal", "normal_by_tanh"])
def test_gates_of_the_unknown(name: str) -> None:
    """Nothing is known of them, and no warning is given."""
    mid, rad = [np.inf, -np.inf, np.nan, 1.0, 0.0], [np.inf, np.nan, np.nan, np.inf, np.nan]
    unknown = Enclosure(np.array(mid), np.array(rad))
    assert not np.isfinite(gates()[name][0](unknown).rad).any()


# The forward pass


def check_forward(module: ModuleType = forward, number: int = 40, seed: int = 0) -> None:
    """The logits of random decoders of all configurations are in their enclosures."""
    rng = np.random.default_rng(seed)
    for i in range(number):
        network = decoders.decoder(rng, layers=int(rng.integers(1, 4)), biased=i % 4 > 0)
        length = int(rng.integers(1, 5))
        tokens, at = rng.integers(0, 4, (2, length)), int(rng.integers(0, length))
        found = module.uncapped_logits(Workspace(Problem(network, None)), tokens, at)
        for x, mid, rad in zip(tokens.tolist(), found.mid, found.rad, strict=True):
            for truth, middle, radius in zip(decoders.truth(network, x, at, capped=False), mid, rad, strict=True):
                assert abs(arb(float(middle)) - truth) <= arb(float(radius)), network.configuration


def test_forward() -> None:
    """As the definition has it, with one and more layers, read at any position."""
    check_forward()


def test_readings() -> None:
    """Plain numbers are near the enclosures, and counted operations change nothing."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        network = decoders.decoder(rng)
        problem: Problem[Decoder, Any] = Problem(network, task_for(network, "max"))
        tokens = rng.integers(0, 4, (3, 4))
        check: Any
        check, value = (
            forward.uncapped_logits(MeasuredWorkspace(problem, reading), tokens, 2) for reading in ("check", "value")
        )
        assert (abs(check.inner.mid - value) <= check.inner.rad).all()
        assert (check.inner.rad < 1e-2).all()


def test_forward_at_the_ends_of_float64() -> None:
    """Overflow anywhere makes unknown logits, never wrong ones."""
    rng = np.random.default_rng(2)
    known = 0
    for i in range(60):
        network = decoders.decoder(rng, scale=10.0 ** rng.choice([3, 30, 80, 160]), layers=1 + i % 2)
        tokens = rng.integers(0, 4, (1, 3))
        found: Any = forward.uncapped_logits(Workspace(Problem(network, None)), tokens, 2)
        for truth, mid, rad in zip(
            decoders.truth(network, tokens[0].tolist(), 2, capped=False), found.mid[0], found.rad[0], strict=True
        ):
            if np.isfinite(rad):
                known += 1
                assert abs(arb(float(mid)) - truth) <= arb(float(rad)) or not truth.is_finite(), network.configuration
    assert known > 20


#: What stands in `networks.decoder.forward`, and what is put there instead.
ERRORS = {
    "eps": (".mean(-1, keepdims=True) + eps)", ".mean(-1, keepdims=True) + 1e-5)"),
    "no eps": (".mean(-1, keepdims=True) + eps)", ".mean(-1, keepdims=True))"),
    "mask turned": ("<= at[:, None]", ">= at[:, None]"),
    "mask strict": ("<= at[:, None]", "< np.maximum(at[:, None], 1)"),
    "mask ignored": ("seen = np.arange(scores.shape[-1]) <= at[:, None]", "pass"),
    "no scale": (" / configuration.attn_scale", ""),
    "no bias": (" @ weight + b", " @ weight"),
    "no b_U": (' + work.weight("unembed.b_U")', ""),
    "b_Q for all": ('f"{name}.b_{letter}"', 'f"{name}.b_Q"'),
    "order of heads": ("np.transpose(weight, (1, 0, 2)), (rows", "np.transpose(weight, (1, 2, 0)), (rows"),
    "heads joined wrongly": ("weights @ values, (0, 2, 1, 3)", "weights @ values, (0, 2, 3, 1)"),
    "norm after": (
        '_mlp(work, f"{block}.mlp", _normalised(work, f"{block}.ln2", read))',
        '_normalised(work, f"{block}.ln2", _mlp(work, f"{block}.mlp", read))',
    ),
    "no final norm": ('_normalised(work, "ln_final", stream', '("", stream'),
    "ln1 for ln2": ('f"{block}.ln2"', 'f"{block}.ln1"'),
    "RMS centred": ('if kind in ("LN", "LNPre"):', "if True:"),
    "LN not centred": ('if kind in ("LN", "LNPre"):', "if False:"),
    "RMS without weights": ('if kind in ("LN", "RMS"):', 'if kind in ("LN",):'),
    "parallel ignored": ('.parallel_attn_mlp == "yes"', '.parallel_attn_mlp == "no"'),
    "cap ignored": ("if cap else s", "if False else s"),
    "cap halved": ("s * 2.0 / cap", "s / cap"),
    "another position": ("everywhere[[at]]", "everywhere[[at - 1]]"),
    "positions turned": ('work.weight("pos_embed.W_pos")[: tokens', 'work.weight("pos_embed.W_pos")[::-1][: tokens'),
    "one layer": ("range(network.n_layers)", "range(1)"),
    "relu": ('if act_fn == "relu"', 'if act_fn != "none"'),
    "softmax not normed": ("weights = weights / weights.sum(axis=-1, keepdims=True)", "pass"),
    "values for keys": ('("K", y), ("V", y)', '("V", y), ("K", y)'),
}


def planted(replacement: tuple[str, str]) -> ModuleType:
    """A copy of `networks.decoder.forward` with an error."""
    source = inspect.getsource(forward)
    assert source.count(replacement[0]) >= 1
    spec = importlib.util.spec_from_loader("planted_forward", loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["planted_forward"] = module
    exec(source.replace(*replacement), module.__dict__)
    return module


@pytest.mark.parametrize("name", ERRORS)
def test_planted_errors(name: str) -> None:
    """Each is found, by a wrong logit or by an exception."""
    with pytest.raises((AssertionError, ValueError, KeyError, IndexError, AttributeError)):
        check_forward(planted(ERRORS[name]), number=60)


# Its steps, with rows that are off by much


def moved(rng: np.random.Generator, x: forward.Rows) -> Any:
    """Rows at the distances that are allowed, in random directions and in those of single entries."""
    way = rng.normal(size=x.at.shape)
    way = np.where(rng.random(x.at.shape[:-1])[..., None] < 0.3, np.eye(x.at.shape[-1])[0], way)
    off: Any = x.off
    away = (off.mid + off.rad) * rng.choice([1.0, 0.99999], x.off.shape)
    return x.at + way / np.linalg.norm(way, axis=-1, keepdims=True) * away[..., None] * (1 - 1e-12)


def check_steps(module: ModuleType = forward, number: int = 150) -> None:
    """What a step makes of rows as far away as they may be is as near as it says."""
    ctx.prec, rng = decoders.PRECISION, np.random.default_rng(14)
    for i in range(number):
        network = decoders.decoder(rng, layers=1, scale=float(rng.choice([0.1, 0.5, 2.0])))
        work: Workspace[Decoder, None] = Workspace(Problem(network, None))
        c, w = network.configuration, {name: decoders._exact(tensor) for name, tensor in network.tensors.items()}
        off = 10.0 ** rng.uniform(-3, 0.3, (1, 3)) * (rng.random((1, 3)) < 0.7)
        x = forward.Rows(rng.normal(size=(1, 3, 5)) * 10.0 ** rng.integers(-3, 2), Enclosure(np.zeros((1, 3)), off))
        rows = decoders._exact(moved(rng, x)[0])
        if i % 4 == 0:
            found, truth = module._normalised(work, "ln_final", x), [decoders._norm(c, w, "ln_final", r) for r in rows]
        elif i % 4 == 1:
            name = "blocks.0.attn"
            found, truth = module._attention(work, name, x, np.arange(3)), decoders._attention(c, w, name, rows)
        elif i % 4 == 2 and c.act_fn != "none":
            name = "blocks.0.mlp"
            found, truth = module._mlp(work, name, x), [decoders._mlp(c, w, name, r) for r in rows]
        else:
            found, truth = module._plus(work, x, x), [[2 * y for y in r] for r in rows]
        for at, mid, rad, row in zip(found.at[0], found.off.mid[0], found.off.rad[0], truth, strict=True):
            if np.isfinite(rad):
                square = decoders._sum([(y - arb(float(z))) ** 2 for y, z in zip(row, at, strict=True)])
                assert square <= (arb(float(mid)) + arb(float(rad))) ** 2, (i % 4, c)


def test_steps() -> None:
    """Rows that are off stay as near as is said."""
    check_steps()


def of_zeros(act_fn: str = "none", layers: int = 1, **sizes: Any) -> tuple[Configuration, dict[str, Any]]:
    """A configuration without normalisation, and tensors of zeros for it."""
    plain = Configuration(attn_scale=1.0, act_fn=act_fn)
    shapes = decoders.decoder(np.random.default_rng(0), plain, layers=layers, **sizes).tensors
    return plain, {name: np.zeros(tensor.shape) for name, tensor in shapes.items()}


def attended(module: ModuleType, tensors: tuple[Configuration, dict[str, Any]], at: Any, off: Any) -> Any:
    """What attention writes at the second of two positions, and how far it may be off."""
    work: Workspace[Decoder, None] = Workspace(Problem(Decoder(tensors[0], 1, tensors[1]), None))
    rows = forward.Rows(np.array([at], np.float64), Enclosure(np.zeros((1, 2)), np.array([off])))
    found = module._attention(work, "blocks.0.attn", rows, np.array([1]))
    return found.at[0, 0], (found.off.mid + found.off.rad)[0, 0]


def check_values_of_one_head(module: ModuleType = forward) -> None:
    """A value that is off in the part of a head that attends to it alone moves what is written by all of that."""
    plain, tensors = of_zeros(d=4, h=2, c=2)
    parts = np.eye(4).reshape(4, 2, 2).transpose(1, 0, 2)  # of the stream: two numbers for each head
    tensors["blocks.0.attn.W_V"], tensors["blocks.0.attn.W_O"] = parts * [1.0, 0.0], parts.transpose(0, 2, 1)
    tensors["blocks.0.attn.W_K"][:, 1, 0] = 1.0
    tensors["blocks.0.attn.b_Q"][:, 0] = [10.0, -10.0]  # the first head to the first position, the second to the second
    at, off = attended(module, (plain, tensors), [[0.0, 10.0, 0.0, 0.0], [0.0, -10.0, 0.0, 0.0]], [0.01, 0.0])
    assert np.linalg.norm(at - [0.01, 0.0, 0.0, 0.0]) < off < 0.015


def check_scores_of_zero(module: ModuleType = forward) -> None:
    """A query and a key that are near 0 have a product that is not 0."""
    plain, tensors = of_zeros(d=3, h=1, a=1, c=2)
    for letter, number in (("Q", 0), ("K", 1), ("V", 2)):
        tensors[f"blocks.0.attn.W_{letter}"][0, number] = 1.0
    tensors["blocks.0.attn.W_O"][0, 0, 2] = 1.0
    at, off = attended(module, (plain, tensors), [[0.0, 0.0, 100.0], [0.0, 0.0, -100.0]], [0.5, 0.5])
    assert np.linalg.norm(at - [0.0, 0.0, 100.0 * np.tanh(0.125)]) < off < 100.0  # a query and a key of 1/2


def check_steepest_places(module: ModuleType = forward) -> None:
    """Activations that are steeper than 1 somewhere stretch distances there."""
    for act_fn, x in (("silu", 2.4), ("gelu", 1.4), ("gelu_new", 1.4), ("gelu_pytorch_tanh", 1.4), ("gelu_fast", 1.4)):
        plain, tensors = of_zeros(act_fn, d=1, m=1)
        tensors["blocks.0.mlp.W_in"][:] = tensors["blocks.0.mlp.W_out"][:] = 1.0
        work: Workspace[Decoder, None] = Workspace(Problem(Decoder(plain, 1, tensors), None))
        rows = forward.Rows(np.array([[[x]]]), Enclosure(np.zeros((1, 1)), np.array([[0.05]])))
        found = module._mlp(work, "blocks.0.mlp", rows)
        moved = float(decoders.ACTIVATIONS[act_fn](arb(x + 0.05)).mid()) - found.at[0, 0, 0]
        assert 0.052 < moved < found.off.mid[0, 0] + found.off.rad[0, 0] < 0.11, act_fn


def check_what_the_unembedding_stretches(module: ModuleType = forward) -> None:
    """A stream that is off by a little, since much was added to it and taken away."""
    plain, tensors = of_zeros(layers=2, d=1)
    tensors["embed.W_E"][:], tensors["unembed.W_U"][0, 0] = 0.1, 2.0**10
    tensors["blocks.0.attn.b_O"][:], tensors["blocks.1.attn.b_O"][:] = 2.0**30, -(2.0**30)
    work: Workspace[Decoder, None] = Workspace(Problem(Decoder(plain, 2, tensors), None))
    found = module.uncapped_logits(work, np.array([[0]]), 0)
    assert 1e-6 < abs(found.mid[0, 0] - 2.0**10 * 0.1) < found.rad[0, 0] < 1e-3


ALONE = {
    check_what_the_unembedding_stretches: ("last.off * _norm(W_U.T)", "last.off"),
    check_values_of_one_head: ("weights.max(axis=1) * v.off", "weights.mean(axis=1) * v.off"),
    check_scores_of_zero: ("off_q * (_norm(keys)[:, :, None] + off_k)", "off_q * _norm(keys)[:, :, None]"),
    check_steepest_places: ("inner.off * SLOPES[act_fn]", "inner.off"),
}


@pytest.mark.parametrize("check", ALONE, ids=lambda check: check.__name__)
def test_single_distances(check: Callable[..., None]) -> None:
    """Those that count little at random count where nothing else does."""
    check()
    with pytest.raises(AssertionError):
        check(planted(ALONE[check]))


#: Distances that are forgotten or too small.
FORGOTTEN = {
    "off": ("return Rows(at, off + _norm(computed - at))", "return Rows(at, 0.0 * off + _norm(computed - at))"),
    "sum": ("x.off + y.off", "x.off"),
    "spectral norm": ("y.off * _spectral_norm(work, matrix)", "y.off"),
    "slope": ("inner.off * SLOPES[act_fn]", "inner.off * 0.3"),
    "scale": ("np.maximum(least, np.sqrt(work.constant(eps)))", "scale[..., 0]"),
    "weights": (' * np.abs(work.weight(f"{name}.w")).max()', ""),
    "values": ("(weights.max(axis=1) * v.off[:, None]).sum(-1)", "0.0 * v.off[:, at]"),
    "scores": (" + of_either_sign(off)) / conf", ") / conf"),
}


@pytest.mark.parametrize("name", FORGOTTEN)
def test_planted_distances(name: str) -> None:
    """Each is found."""
    with pytest.raises(AssertionError):
        check_steps(planted(FORGOTTEN[name]), number=1500)


def check_spectral_norms(module: ModuleType = forward) -> None:
    """They are bounded from above, and within a fifth."""
    rng = np.random.default_rng(15)
    for _ in range(20):
        d, m, scale = int(rng.integers(1, 40)), int(rng.integers(1, 90)), 10.0 ** rng.integers(-9, 9)
        network = decoders.decoder(rng, d=d, m=m, scale=scale)
        work: Workspace[Decoder, None] = Workspace(Problem(network, None))
        for name in (name for name in network.tensors if ".W_" in name and "embed" not in name):
            found = module._spectral_norm(work, name)
            joined: Any = forward._joined(work, name)
            norm = np.linalg.norm(joined.mid, 2)
            assert norm <= found.mid + found.rad <= 1.2 * norm


def test_spectral_norms() -> None:
    """Of all matrices."""
    check_spectral_norms()
    with pytest.raises(AssertionError):
        check_spectral_norms(planted(("for _ in range(SQUARINGS + 1)", "for _ in range(SQUARINGS + 2)")))


def test_slopes() -> None:
    """No activation is steeper than is said, at any of many places."""
    ctx.prec = 200
    for name, slope in functions.SLOPES.items():
        for x in np.linspace(-9.0, 9.0, 2001):
            here, there = (decoders.ACTIVATIONS[name](arb(x) + step) for step in (0, arb(2) ** -60))
            assert abs(there - here) <= arb(slope) * arb(2) ** -60


#: The same in `networks.decoder.functions`, with the gate that it spoils.
ROUNDING = {
    "point of the series": ("half * U * (4.0 * y + 24.0) + U", "half * U * 0.1", "normal"),
    "terms": ("TERMS = 8.5, 112", "TERMS = 8.5, 30", "normal"),
    "reach": ("REACH, TERMS = 8.5", "REACH, TERMS = 16.5", "normal"),
    "tail": ("2.0 * density", "0.0 * density", "normal"),
    "slope of normal": ("0.4 * np.minimum(1.0", "0.3 * np.minimum(1.0", "normal"),
    "radius of normal": ("rad + slope * x.rad", "rad", "normal"),
    "slope of sigmoid": ("np.minimum(0.25", "np.minimum(0.2", "sigmoid"),
    "distance of sigmoid": ("np.abs(x.mid) - x.rad", "np.abs(x.mid)", "sigmoid"),
    "point of sigmoid": ("point.rad + slope", "slope", "sigmoid"),
    "factor": ("np.array(_ROOT_8_OVER_PI)", "np.array(1.5957)", "normal_by_tanh"),
    "cubic": ("44715.0", "44714.0", "normal_by_tanh"),
    "fast": ("7978845608.0", "7978845607.0", "normal_by_tanh_fast"),
}


@pytest.mark.parametrize("name", ROUNDING)
def test_planted_rounding_errors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is found."""
    old, new, gate = ROUNDING[name]
    source = inspect.getsource(functions)
    assert source.count(old) >= 1
    module = ModuleType("planted_functions")
    sys.modules["planted_functions"] = module
    exec(source.replace(old, new), module.__dict__)
    monkeypatch.setattr(functions, gate, getattr(module, gate))
    with pytest.raises(AssertionError):
        check_gate(gate, rounds=6)


# The theorem and the tasks


def labels(task: Sequences, x: tuple[int, ...]) -> int:
    """The rules in plain Python."""
    return {
        "max": max(x),
        "min": min(x),
        "argmax": x.index(max(x)),
        "argmin": x.index(min(x)),
        "first": x[0],
        "last": x[-1],
        "kth-largest": sorted(x, reverse=True)[task.k % task.n],
        "sorted": sorted(x)[task.k % task.n],
        "parity": sum(x) & 1,
        "sum-mod": sum(x) % max(task.k, 1),
    }[task.name]


def some_task(rng: np.random.Generator, network: Decoder, name: str) -> Sequences:
    """A task of this name that fits a network of four tokens, positions and outputs."""
    n = int(rng.integers(1, 4))
    prefix = tuple(rng.integers(0, 4, int(rng.integers(0, 5 - n))).tolist())
    suffix = tuple(rng.integers(0, 4, int(rng.integers(0, 5 - n - len(prefix)))).tolist())
    at = int(rng.integers(0, len(prefix) + n + len(suffix)))
    k = {"position": int(rng.integers(0, n)), "modulus": int(rng.integers(2, 5))}.get(RULES[name].uses, 0)
    return Sequences(name, n, int(rng.integers(1, 5)), network.configuration, prefix, suffix, at, k)


@pytest.mark.parametrize("name", RULES)
def test_bounds(name: str) -> None:
    """The bounds from below and above surround the truth, and are equal where nothing ties; certificates say so."""
    rng = np.random.default_rng(list(RULES).index(name))
    for _ in range(3):
        network = decoders.decoder(rng, layers=1)
        task = some_task(rng, network, name)
        inputs = list(itertools.product(range(task.v), repeat=task.n))
        right = sum(
            decoders.answer(decoders.truth(network, (*task.prefix, *x, *task.suffix), task.read_out)) == labels(task, x)
            for x in inputs
        )
        prover = Prover(network, task)
        proofs = [prover.prove(strategy.id) for strategy in (LOWER, UPPER)]
        assert [proof.certificate.certified for proof in proofs] == [right, right]
        assert prover.exact_correct() == right
        assert proofs[0].certificate.total == len(inputs)
        for proof, more in zip(proofs, (1, -1), strict=True):
            again = Certificate.from_bytes(proof.certificate.to_bytes())
            assert Sequences.of_record(again.task) == task
            assert verify(again, network).accepted
            if 0 <= right + more <= len(inputs):
                assert not verify(replace(again, certified=right + more), network).accepted


def test_second_checker(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the same hash and the same verdicts; of a part of the inputs it says no more than they show."""
    rng = np.random.default_rng(13)
    path, proof = tmp_path / "m.safetensors", tmp_path / "p.cert.json"
    for i, name in enumerate([*RULES, *RULES]):
        network = decoders.decoder(rng, layers=1 + i % 2, biased=i % 3 > 0)
        task = some_task(rng, network, name)
        path.write_bytes(save({n: tensor for n, tensor in network.tensors.items() if i % 3 or ".b_" not in n}))
        for strategy, more in ((LOWER, 1), (UPPER, -1)):
            certificate = Prover(network, task).prove(strategy.id).certificate
            for certified, expected in ((certificate.certified, 0), (certificate.certified + more, 1)):
                if 0 <= certified <= task.total:
                    replace(certificate, certified=certified).save(proof)
                    assert checking.main([str(proof), str(path)]) == expected, capsys.readouterr()
    monkeypatch.setattr(second, "FEW_INPUTS", 1)
    monkeypatch.setattr(second, "SOME_INPUTS", 1)
    task = task_for(network, "max", n=3)
    certificate = Prover(network, task).prove("enumerate").certificate
    for certified, expected in ((0, 3), (certificate.certified, 3), (task.total, 1)):
        replace(certificate, certified=certified).save(proof)
        assert checking.main([str(proof), str(path)]) in (expected, 3)
    for change in (
        {"eps": "1e-5"},
        {"prefix": "01"},
        {"n": True},
        {"name": "biggest"},
        {"more": 1},
        {"act_fn": "RELU"},
    ):
        fields = json.loads(certificate.to_bytes())
        fields["task"] |= change
        proof.write_text(json.dumps(fields))
        assert checking.main([str(proof), str(path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_numbers_of_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each input is in one batch once, whatever its size."""
    rng = np.random.default_rng(3)
    network = decoders.decoder(rng, layers=1)
    task = Sequences("max", 3, 4, network.configuration, read_out=2)
    expected = every_input.decide(Workspace(Problem(network, task)))
    for size in (1, 7, 63, 64, 100):
        monkeypatch.setattr(every_input, "batch_size", lambda problem, size=size: size)
        assert every_input.decide(Workspace(Problem(network, task))) == expected
    assert [tuple(x) for x in task.batch(0, 64).tolist()] == list(itertools.product(range(4), repeat=3))


def test_ties_are_wrong() -> None:
    """With weights of zero nothing is right, and nothing is certainly wrong."""
    rng = np.random.default_rng(4)
    for kind in CHOICES["normalization_type"]:
        settings = Configuration(attn_scale=1.0, eps=1e-5, normalization_type=kind, act_fn="gelu")
        network = decoders.decoder(rng, settings, scale=0.0)
        task = task_for(network, "max", n=2)
        assert every_input.decide(Workspace(Problem(network, task))) == (0, 0)


def test_work_is_declared() -> None:
    """No check does more than it declared, for networks of all kinds and sizes."""
    rng = np.random.default_rng(5)
    for i in range(12):
        sizes = {axis: int(rng.integers(1, 40)) for axis in "dahm"} | {"a": int(rng.integers(1, 4))}
        network = decoders.decoder(
            rng, None, layers=1 + i % 3, scale=0.8, biased=True, **sizes | {"o": int(rng.choice([4, 90]))}
        )
        work: Workspace[Decoder, Sequences] = Workspace(Problem(network, task_for(network, "max", n=1 + i % 4)))
        allowance = Allowance()
        with allowing(allowance):
            every_input.decide(work)
        assert allowance.spent <= declared(LOWER, Problem(network, work.task), {}).operations


def test_too_many_inputs() -> None:
    """Are refused in words."""
    network = decoders.decoder(np.random.default_rng(6), layers=1, v=60, o=60, c=5)
    with pytest.raises(ValueError, match=r"enumerate: it would take a forward pass for each of 60\^5 inputs"):
        Prover(network, task_for(network)).prove("enumerate")


def test_misfits() -> None:
    """A task that does not go with a network is rejected, not run."""
    network = decoders.decoder(np.random.default_rng(7), layers=1)
    task = task_for(network)
    other = replace(network.configuration, attn_scale=7.0)
    for wrong, words in (
        (replace(task, v=5), "token 4"),
        (replace(task, n=5), "5 positions"),
        (replace(task, prefix=(1,)), "5 positions"),
        (replace(task, n=3, prefix=(4,)), "token 4"),
        (replace(task, name="sum-mod", k=5), "labels are 0 to 4"),
        (replace(task, configuration=other), "attn_scale = 7.0"),
    ):
        assert words in str(wrong.misfit(network))
        certificate = replace(Prover(network, task).prove("enumerate").certificate, task=wrong.record)
        verdict = verify(certificate, network)
        assert not verdict.accepted
        assert verdict.reason.startswith("task: ")


@pytest.mark.parametrize(
    "change",
    [
        *({"n": n} for n in (0, 101, True)),
        *({"v": v} for v in (0, -1, 2**40)),
        *({"k": 1}, {"read_out": 3}, {"read_out": -1}),
        *({"prefix": tokens} for tokens in ("1  2", "-1", "²", "01")),
        *({"suffix": tokens} for tokens in (3, "99999999999")),
        *({"eps": eps} for eps in ("1e-5", "nan", "-1.0", "inf", 1, "x", None)),
        *({"attn_scale": "0.0"}, {"attn_scores_soft_cap": "-0.0"}, {"parallel_attn_mlp": 1}),
        *({"act_fn": "RELU"}, {"normalization_type": "LayerNorm"}, {"attention_dir": ""}),
        *({"more": 1}, {"name": "maximum"}),
    ],
    ids=str,
)
def test_records_that_are_none(change: dict[str, Any]) -> None:
    """Are malformed, with one line."""
    network = decoders.decoder(np.random.default_rng(8), layers=1)
    certificate = Prover(network, task_for(network, n=3)).prove("enumerate").certificate
    fields = json.loads(certificate.to_bytes())
    fields["task"] = {key: value for key, value in (fields["task"] | change).items() if value is not None}
    with pytest.raises(ValueError, match=r"^task: ") as caught:
        verify(Certificate.of_fields(fields), network)
    assert "\n" not in str(caught.value)


def test_hash() -> None:
    """Every weight and every setting is in it; what is the same function is the same."""
    rng = np.random.default_rng(9)
    settings = Configuration(attn_scale=2.0, eps=1e-5, normalization_type="LN", act_fn="relu")
    network = decoders.decoder(rng, settings)
    hashes = {network.sha256}
    for name, tensor in network.tensors.items():
        changed = tensor.copy()
        changed.flat[-1] += 1.0
        hashes.add(Decoder(settings, 2, {**network.tensors, name: changed}).sha256)
    others: list[dict[str, Any]] = [
        *({"attn_scale": 3.0}, {"eps": 1e-6}, {"attn_scores_soft_cap": 1.0}, {"output_logits_soft_cap": 1.0}),
        *({"act_fn": "gelu"}, {"attention_dir": "bidirectional"}, {"parallel_attn_mlp": "yes"}),
    ]
    for other in others:
        hashes.add(Decoder(replace(settings, **other), 2, network.tensors).sha256)
    assert len(hashes) == 1 + len(network.tensors) + 7
    zeros = {name: 0.0 * tensor for name, tensor in network.tensors.items()}
    signed = {name: -tensor for name, tensor in zeros.items()}
    without = {name: tensor for name, tensor in zeros.items() if ".b_" not in name and not name.endswith("b_in")}
    without = {name: tensor for name, tensor in without.items() if not name.endswith("b_out")}
    assert len({Decoder(settings, 2, tensors).sha256 for tensors in (zeros, signed, without)}) == 1


# Files


def state_dict(**changes: Any) -> dict[str, Any]:
    """Of a small decoder with LayerNorm and MLPs, as float32."""
    settings = Configuration(attn_scale=3.0**0.5, eps=1e-5, normalization_type="LN", act_fn="relu")
    network = decoders.decoder(np.random.default_rng(10), settings)
    tensors = {name: tensor.astype(np.float32) for name, tensor in network.tensors.items()}
    return {name: tensor for name, tensor in (tensors | changes).items() if tensor is not None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"embed.W_E": np.full((4, 5), np.nan)}, "embed.W_E contains NaN or infinity"),
        ({"blocks.1.mlp.b_in": np.full(6, np.inf)}, "blocks.1.mlp.b_in contains NaN or infinity"),
        ({"blocks.0.attn.b_Q": None}, "no tensor named blocks.0.attn.b_Q"),
        ({"ln_final.w": None}, "no tensor named ln_final.w"),
        ({"blocks.0.ln1.b": None}, "no tensor named blocks.0.ln1.b"),
        ({"blocks.0.mlp.W_gate": np.ones((5, 6))}, "found blocks.0.mlp.W_gate, which a decoder"),
        ({"blocks.3.attn.W_Q": np.ones((2, 5, 3))}, "found blocks.3.attn.W_Q"),
        ({"blocks.1.attn.W_O": np.ones((2, 5, 3))}, "blocks.1.attn.W_O has d_head = 5"),
        ({"unembed.W_U": np.ones((5, 1)), "unembed.b_U": np.ones(1)}, "d_vocab_out is 1"),
        ({"unembed.b_U": np.ones(5)}, "unembed.b_U has d_vocab_out = 5"),
        ({"embed.W_E": np.ones((0, 5))}, "embed.W_E has shape (0, 5)"),
        ({"embed.W_E": np.ones((4, 5), np.int32)}, "embed.W_E has type I32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_are_none(changes: dict[str, Any], words: str, tmp_path: Path, capsys: Any) -> None:
    """Are refused by every command with exit code 2 and one line."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(save(state_dict(**changes)))
    for arguments in (("show", path), ("prove", path, "--strategy", "enumerate"), ("verify", path, path)):
        assert __main__.run(list(map(str, arguments))) == 2
        said = "".join(capsys.readouterr())
        assert said.count("\n") == 1
        assert arguments[0] == "verify" or words in said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"positional_embedding_type": "rotary"}, "positional_embedding_type is 'rotary'"),
        ({"gated_mlp": True}, "gated_mlp is True"),
        ({"act_fn": "solu_ln"}, "act_fn is solu_ln"),
        ({"act_fn": ["relu"]}, "act_fn is ['relu']"),
        ({"act_fn": None}, "act_fn is None"),
        ({"eps": "-1.0"}, "eps is -1.0"),
        ({"eps": "1e400"}, "eps is inf"),
        ({"eps": {}}, "eps is {}; expected a number"),
        ({"attn_scores_soft_cap": "much"}, "attn_scores_soft_cap is 'much'; expected a number"),
        ({"use_attn_scale": "no"}, "use_attn_scale is 'no'; expected true or false"),
        ({"attn_only": 1}, "attn_only is 1; expected true or false"),
        ({"attn_scale": "0.0"}, "attn_scale, and eps"),
        ({"normalization_type": "LNPre"}, "found blocks.0.ln1.b and 9 more"),
        ({"normalization_type": {}}, "normalization_type is {}"),
        ({"attention_dir": 1}, "attention_dir is 1"),
        ({"attn_only": True}, "found blocks.0.ln2.b"),
        ({"n_heads": 1}, "n_heads is 1, but the tensors have n_heads = 2"),
        ({"n_key_value_heads": 1}, "n_key_value_heads is 1"),
        ({"final_rms": True}, "final_rms is True"),
        ({"use_local_attn": True}, "use_local_attn is True"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_configurations_that_are_refused(settings: dict[str, Any], words: str, tmp_path: Path, capsys: Any) -> None:
    """Whatever stands in the metadata: exit code 2 and one line."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(save(state_dict(), {KEY: as_text(settings)}))
    for arguments in (("show", path), ("prove", path, "--strategy", "enumerate")):
        assert __main__.run(list(map(str, arguments))) == 2
        said = "".join(capsys.readouterr())
        assert said.count("\n") == 1
        assert words in said


def test_settings(tmp_path: Path, capsys: Any) -> None:
    """Of a file come first, then those that are given, then defaults; and a certificate carries them."""
    path, proof = tmp_path / "m.safetensors", tmp_path / "p.cert.json"
    path.write_bytes(save(state_dict()))
    assert load_decoder(path).configuration == Configuration(3.0**0.5, 1e-5, normalization_type="LN", act_fn="relu")
    given = ("--setting", "act_fn=gelu", "--setting", "eps=1e-6", "--setting", "attention_dir=bidirectional")
    prove = ("prove", str(path), "--strategy", "enumerate", "--out", str(proof))
    assert __main__.run([*prove, *given]) == 0
    assert "act_fn" not in capsys.readouterr().err
    certificate = Certificate.load(proof)
    read_as = Configuration(3.0**0.5, 1e-6, normalization_type="LN", act_fn="gelu", attention_dir="bidirectional")
    assert certificate.model_sha256 == load_decoder(path, **as_settings(read_as)).sha256
    assert __main__.run(["verify", str(proof), str(path)]) == 0
    assert "gelu" in capsys.readouterr().err
    # a file that says something else is another model
    path.write_bytes(save(state_dict(), {KEY: as_text({"act_fn": "relu", "eps": 1e-5})}))
    assert __main__.run(["verify", str(proof), str(path)]) == 1
    assert "about another model" in capsys.readouterr().out
    for wrong in ("act_fn=gelu", "act_fn", "d_model=3"):
        assert __main__.run([*prove, "--setting", wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    path.write_bytes(save(state_dict()))
    with pytest.raises(InvalidModel, match="act_fn is tanh"):
        load_decoder(path, act_fn="tanh")
    with pytest.raises(ValueError, match=r"expected a setting of TransformerLens, such as .*; found activation"):
        load_decoder(path, activation="relu")


def test_every_configuration_comes_back() -> None:
    """From its record and from the settings that TransformerLens would have for it."""
    rng = np.random.default_rng(11)
    for _ in range(50):
        found = decoders.configurations(rng)
        assert Configuration.of_record(found.record) == found
    for wrong in ({}, {"eps": "1e-05"}, found.record | {"more": "1"}):
        with pytest.raises(InvalidModel):
            Configuration.of_record(wrong)


def test_guesses() -> None:
    """A model that does another task is told so, one that does its own is not."""
    rng = np.random.default_rng(12)
    network = decoders.decoder(rng, Configuration(attn_scale=1.0), layers=1)
    task = task_for(network, "max")
    found = guesses.shares(network, task)
    assert found["max"] == every_input.decide(Workspace(Problem(network, task))).right / task.total
    assert "does not seem to do this task" in str(guesses.warning(network, task))


def test_flipped_bits(tmp_path: Path, capsys: Any) -> None:
    """Whatever a bit of a certificate or a model becomes, there is an exit code and one line."""
    rng = np.random.default_rng(16)
    network = decoders.decoder(rng, Configuration(2.0, 1e-5, normalization_type="LN", act_fn="gelu"), layers=1)
    certificate = Prover(network, task_for(network, "min", n=2)).prove("enumerate").certificate
    model, proof = tmp_path / "m.safetensors", tmp_path / "p.cert.json"
    whole = {model: save(dict(network.tensors)), proof: certificate.to_bytes()}
    codes = set()
    for i in range(120):
        for path, data in whole.items():
            path.write_bytes(data)
        path = model if i % 3 == 0 else proof
        changed = bytearray(whole[path])
        changed[rng.integers(0, len(changed) if path == proof else 3000)] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(changed)
        code = __main__.run(["verify", str(proof), str(model)])
        out, err = capsys.readouterr()
        assert out.count("\n") == 1
        assert "Traceback" not in err
        codes.add(code)
    assert codes == {0, 1, 2}
