"""Decoders: a forward pass in ball arithmetic for every input, or for some of them where there are many.

The definition is that of `docs/certificate-format.md`.  Some inputs cannot confirm a claim; they can refute it, if more
of them are wrong than there may be (for "at most": right), and otherwise there is no verdict.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb, ctx

from exactcheck.balls import Table, balls, mean, product, total, transposed
from exactcheck.reading import Certificate, entries, expect, tensors_of, without_buffers

FAMILY = "decoder"
STRATEGIES = {  # theorem, claim
    "decoder/trivial": ("decoder/trivial@1", "at least"),
    "enumerate": ("decoder/enumerate@1", "at least"),
    "enumerate-upper": ("decoder/enumerate@1", "at most"),
}
MOST_INPUTS, FEW_INPUTS, SOME_INPUTS = 10**7, 2**12, 2**10
PRECISIONS = (128, 512, 2048)

WORDS = {
    "normalization_type": {"none", "LN", "LNPre", "RMS", "RMSPre"},
    "act_fn": {"none", "relu", "silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast"},
    "attention_dir": {"causal", "bidirectional"},
    "parallel_attn_mlp": {"no", "yes"},
}
NUMBERS = ("eps", "attn_scale", "attn_scores_soft_cap", "output_logits_soft_cap")
SETTINGS = {*WORDS, *NUMBERS}

Input = tuple[int, ...]
# Which output is right for an input, and how many labels there are for n, v, k.
RULES: dict[str, tuple[Callable[[Input, int], int], Callable[[int, int, int], int]]] = {
    "max": (lambda x, k: max(x), lambda n, v, k: v),
    "min": (lambda x, k: min(x), lambda n, v, k: v),
    "argmax": (lambda x, k: x.index(max(x)), lambda n, v, k: n),
    "argmin": (lambda x, k: x.index(min(x)), lambda n, v, k: n),
    "first": (lambda x, k: x[0], lambda n, v, k: v),
    "last": (lambda x, k: x[-1], lambda n, v, k: v),
    "kth-largest": (lambda x, k: sorted(x, reverse=True)[k], lambda n, v, k: v),
    "sorted": (lambda x, k: sorted(x)[k], lambda n, v, k: v),
    "parity": (lambda x, k: sum(x) % 2, lambda n, v, k: 2),
    "sum-mod": (lambda x, k: sum(x) % k, lambda n, v, k: k),
}


@dataclass(frozen=True)
class Task:
    """A rule, what stands around the n tokens, and where the answer is read."""

    name: str
    n: int
    v: int
    k: int
    read_out: int
    prefix: Input
    suffix: Input
    settings: dict[str, Any]  # texts, and floats for NUMBERS
    inputs: str
    weights: Input
    labels: list[int]  # by the number of the input; empty unless the name is "table"

    @property
    def length(self) -> int:
        """All positions."""
        return len(self.prefix) + self.n + len(self.suffix)

    @property
    def outputs(self) -> int:
        """All labels are smaller."""
        return max(self.labels) + 1 if self.labels else RULES[self.name][1](self.n, self.v, self.k)

    def label(self, x: Input) -> int:
        """Which output is right, -1 if this is no input."""
        if not self.labels:
            return RULES[self.name][0](x, self.k)
        number = 0
        for token in x:
            number = number * self.v + token
        return self.labels[number]

    def count(self, x: Input) -> int:
        """How much it counts."""
        pairs = list(itertools.pairwise(x))
        out_of_order = self.inputs == "ascending" and any(a > b for a, b in pairs)
        if out_of_order or (self.inputs == "distinct" and len(set(x)) < len(x)) or self.label(x) < 0:
            return 0
        return math.prod(self.weights[t] for t in x) if self.weights else 1

    @property
    def total(self) -> int:
        """What all count together: of few by going through them, of many by the polynomials of their weights."""
        if self.labels or self.v**self.n <= FEW_INPUTS:
            return sum(map(self.count, itertools.product(range(self.v), repeat=self.n)))
        if self.inputs == "all":
            return int((sum(self.weights) if self.weights else self.v) ** self.n)
        distinct = self.inputs == "distinct"
        orders = math.factorial(self.n) if distinct else 1
        if not self.weights:
            return orders * math.comb(self.v if distinct else self.v + self.n - 1, self.n)
        # Newton's identities, from the sums of powers: sum_t log(1 + w_t z), or its like with signs, exponentiated.
        powers = [sum(w**j for w in self.weights) for j in range(self.n + 1)]
        found = [Fraction(1)]
        for j in range(1, self.n + 1):
            terms = (found[j - i] * powers[i] * ((-1) ** (i - 1) if distinct else 1) for i in range(1, j + 1))
            found.append(sum(terms, Fraction(0)) / j)
        return int(found[self.n] * orders)


def read_task(record: dict[str, Any], labels: list[int], table: str) -> Task:
    """The task of a certificate, with the network's configuration; `labels`: those of a table, and its hash."""
    name = record["name"]
    expect(isinstance(name, str) and (name in RULES or name == "table"), f"task.name: {name!a:.80}")
    expect((name == "table") == ("table" in record), "task.table")
    if name == "table":
        expect(record["table"] == table, "task.table: the labels are not those of the table that is given")
    for key in ("n", "v", "k", "read_out"):
        expect(type(record[key]) is int and 0 <= record[key] < 2**31, f"task.{key}")
    n, v, k = record["n"], record["v"], record["k"]
    expect(1 <= n <= 100 and v >= 1, "task.n or task.v")
    positions, modulus = name in ("kth-largest", "sorted"), name == "sum-mod"
    expect(k < n if positions else k >= 2 if modulus else k == 0, "task.k")
    settings: dict[str, Any] = {}
    for key in sorted(SETTINGS):
        text = record[key]
        expect(isinstance(text, str), f"task.{key}")
        if key in WORDS:
            expect(text in WORDS[key], f"task.{key}")
            settings[key] = text
        else:
            expect(re.fullmatch(r"[0-9.e+-]{1,30}", text) is not None, f"task.{key}")
            try:
                settings[key] = float(text)
            except ValueError:
                expect(False, f"task.{key}")
            expect(repr(settings[key]) == text and 0.0 <= settings[key] < math.inf, f"task.{key}")
            expect(math.copysign(1.0, settings[key]) == 1.0, f"task.{key}")
    expect(settings["attn_scale"] > 0.0, "task.attn_scale")
    expect(settings["eps"] > 0.0 or settings["normalization_type"] == "none", "task.eps")
    fixed = []
    for key in ("prefix", "suffix", "weights"):
        text = record.get(key, "")
        expect(isinstance(text, str) and re.fullmatch(r"(?a:(\d{1,19}( \d{1,19})*)?)", text) is not None, f"task.{key}")
        tokens = tuple(map(int, text.split()))
        expect(" ".join(map(str, tokens)) == text, f"task.{key}")
        expect(key == "weights" or all(token < 2**31 for token in tokens), f"task.{key}")
        fixed.append(tokens)
    prefix, suffix, weights = fixed
    inputs = record.get("inputs", "all")
    expect(inputs in ("all", "distinct", "ascending") and record.get("inputs") != "all", "task.inputs")
    expect(len(weights) == (v if "weights" in record else 0) and sum(weights) ** n < 2**62, "task.weights")
    labels = labels if name == "table" else []
    expect(not labels or len(labels) == v**n, "task: the table is not of this many tokens")
    task = Task(name, n, v, k, record["read_out"], prefix, suffix, settings, inputs, weights, labels)
    expect(task.read_out < task.length, "task.read_out")
    expect(task.total > 0, "task: nothing counts")
    return task


def names(settings: dict[str, Any], layers: int) -> list[tuple[str, str]]:
    """All tensors in the order of the hash, with a letter for each axis."""
    norm = {"LN": ["w", "b"], "RMS": ["w"]}.get(settings["normalization_type"], [])
    found = [("embed.W_E", "vd"), ("pos_embed.W_pos", "cd")]
    for layer in range(layers):
        here = f"blocks.{layer}."
        found += [(f"{here}ln1.{name}", "d") for name in norm]
        found += [(f"{here}attn.W_{letter}", "adh") for letter in "QKV"] + [(f"{here}attn.W_O", "ahd")]
        found += [(f"{here}attn.b_{letter}", "ah") for letter in "QKV"] + [(f"{here}attn.b_O", "d")]
        if settings["act_fn"] != "none":
            found += [(f"{here}ln2.{name}", "d") for name in norm]
            found += [(f"{here}mlp.W_in", "dm"), (f"{here}mlp.W_out", "md")]
            found += [(f"{here}mlp.b_in", "m"), (f"{here}mlp.b_out", "d")]
    return [*found, *((f"ln_final.{name}", "d") for name in norm), ("unembed.W_U", "do"), ("unembed.b_U", "o")]


class Network:
    """The tensors of a file, nested as they are, and the hash of the network that they and the settings make."""

    def __init__(self, data: bytes, settings: dict[str, Any]) -> None:
        found = without_buffers(tensors_of(data))
        self.settings = settings
        self.layers = len({name.split(".")[1] for name in found if name.startswith("blocks.")})
        expect(1 <= self.layers <= 1000, "the number of layers")
        expected = names(settings, self.layers)
        unknown = sorted(set(found) - {name for name, _ in expected})
        expect(not unknown, f"tensors that this configuration does not have: {unknown!a:.200}")
        biased = any(".b_" in name for name in found)
        missing = sorted(name for name, _ in expected if name not in found and (biased or ".b_" not in name))
        expect(not missing, f"missing tensors: {missing!a:.200}")
        self.sizes: dict[str, int] = {}
        for name, axes in expected:
            if name in found:
                dtype, shape, _ = found[name]
                expect(dtype in ("F32", "F64"), f"{name}: the type {dtype}")
                expect(len(shape) == len(axes), f"{name}: the axes")
                for axis, size in zip(axes, shape, strict=True):
                    expect(size >= 1 and self.sizes.setdefault(axis, size) == size, f"{name}: the size {axis}")
        expect(self.sizes["o"] >= 2, "a single output")
        text = {key: value if key in WORDS else repr(value) for key, value in settings.items()}
        line = json.dumps(text, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(f"{FAMILY}\n{line}\n".encode("ascii"))
        self.tensors: dict[str, Any] = {}
        for name, axes in expected:
            shape = [self.sizes[axis] for axis in axes]
            flat = [x + 0.0 for x in entries(found[name])] if name in found else [0.0] * math.prod(shape)
            expect(all(map(math.isfinite, flat)), f"{name}: not finite")
            digest.update(
                f"{name} {' '.join(map(str, shape))}\n".encode("ascii") + struct.pack(f"<{len(flat)}d", *flat)
            )
            self.tensors[name] = _nested(flat, shape)
        self.sha256 = digest.hexdigest()


def _nested(flat: list[float], shape: Sequence[int]) -> Any:
    if len(shape) == 1:
        return flat
    size = len(flat) // shape[0]
    return [_nested(flat[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


class Forward:
    """Forward passes at the precision of now."""

    def __init__(self, network: Network) -> None:
        self.settings, self.layers = network.settings, network.layers
        self.w = {name: _balls(tensor) for name, tensor in network.tensors.items()}

    def logits(self, tokens: Input, at: int) -> list[arb]:
        """At one position."""
        parallel = self.settings["parallel_attn_mlp"] == "yes"
        rows = [_sum(self.w["embed.W_E"][t], self.w["pos_embed.W_pos"][p]) for p, t in enumerate(tokens)]
        for layer in range(self.layers):
            here = f"blocks.{layer}"
            after = _add(rows, self.attention(f"{here}.attn", self.norm(f"{here}.ln1", rows)))
            if self.settings["act_fn"] != "none":
                read = rows if parallel else after
                after = _add(after, self.mlp(f"{here}.mlp", self.norm(f"{here}.ln2", read)))
            rows = after
        (last,) = product(self.norm("ln_final", [rows[at]]), self.w["unembed.W_U"])
        cap = self.settings["output_logits_soft_cap"]
        return [_capped(x, cap) for x in _sum(last, self.w["unembed.b_U"])]

    def norm(self, name: str, rows: Table) -> Table:
        """Normalised rows."""
        kind = self.settings["normalization_type"]
        if kind == "none":
            return rows
        found = []
        for row in rows:
            centre = mean(row) if kind.startswith("LN") else arb(0)
            off = [x - centre for x in row]
            size = (mean([x * x for x in off]) + arb(self.settings["eps"])).sqrt()
            row = [x / size for x in off]
            if kind in ("LN", "RMS"):
                row = [x * y for x, y in zip(row, self.w[f"{name}.w"], strict=True)]
            found.append(_sum(row, self.w[f"{name}.b"]) if kind == "LN" else row)
        return found

    def attention(self, name: str, rows: Table) -> Table:
        """What all heads write."""
        found = [self.w[f"{name}.b_O"]] * len(rows)
        for head, W_O in enumerate(self.w[f"{name}.W_O"]):
            q, k, v = (
                [_sum(row, self.w[f"{name}.b_{x}"][head]) for row in product(rows, self.w[f"{name}.W_{x}"][head])]
                for x in "QKV"
            )
            pattern = []
            for i, row in enumerate(product(q, transposed(k))):
                until = i + 1 if self.settings["attention_dir"] == "causal" else len(rows)
                cap, scale = self.settings["attn_scores_soft_cap"], arb(self.settings["attn_scale"])
                scores = [_capped(score / scale, cap) for score in row[:until]]
                top = max((score.mid() for score in scores), key=float)  # any number will do
                powers = [(score - top).exp() for score in scores]
                whole = total(powers)
                pattern.append([*(power / whole for power in powers), *([arb(0)] * (len(rows) - until))])
            found = _add(found, product(pattern, v, W_O))
        return found

    def mlp(self, name: str, rows: Table) -> Table:
        """What the MLP writes."""
        act = ACTIVATIONS[self.settings["act_fn"]]
        inner = [_sum(row, self.w[f"{name}.b_in"]) for row in product(rows, self.w[f"{name}.W_in"])]
        outer = product([[act(x) for x in row] for row in inner], self.w[f"{name}.W_out"])
        return [_sum(row, self.w[f"{name}.b_out"]) for row in outer]


def _balls(tensor: Any) -> Any:
    if not isinstance(tensor[0], list):
        return [arb(x) for x in tensor]
    return [_balls(part) for part in tensor] if isinstance(tensor[0][0], list) else balls(tensor)


def _sum(a: Sequence[arb], b: Sequence[arb]) -> list[arb]:
    return [x + y for x, y in zip(a, b, strict=True)]


def _add(a: Table, b: Table) -> Table:
    return [_sum(x, y) for x, y in zip(a, b, strict=True)]


def _capped(x: arb, cap: float) -> arb:
    return (x / arb(cap)).tanh() * arb(cap) if cap > 0.0 else x


def _gelu_by_tanh(x: arb, factor: arb) -> arb:
    return x * (1 + (factor * (x + 44715 * x * x * x / 10**6)).tanh()) / 2


ACTIVATIONS: dict[str, Callable[[arb], arb]] = {
    "relu": lambda x: x.max(arb(0)),
    "silu": lambda x: x / (1 + (-x).exp()),
    "gelu": lambda x: x * (1 + (x / arb(2).sqrt()).erf()) / 2,
    "gelu_new": lambda x: _gelu_by_tanh(x, (2 / arb.pi()).sqrt()),
    "gelu_pytorch_tanh": lambda x: _gelu_by_tanh(x, (2 / arb.pi()).sqrt()),
    "gelu_fast": lambda x: _gelu_by_tanh(x, arb(7978845608) / 10**10),
}


def counted(network: Network, task: Task, inputs: Sequence[Input]) -> tuple[int, int]:
    """What those of the inputs count that are certainly right, and certainly wrong; ties that are exact are wrong."""
    right, wrong, still = 0, 0, list(inputs)
    before = ctx.prec
    try:
        for bits in PRECISIONS:
            ctx.prec = bits
            forward, todo, still = Forward(network), still, []
            for x in todo:
                label = task.label(x)
                logits = forward.logits((*task.prefix, *x, *task.suffix), task.read_out)
                leads = [logits[label] - logit for o, logit in enumerate(logits) if o != label]
                if all(lead > 0 for lead in leads):
                    right += task.count(x)
                elif any(lead <= 0 for lead in leads):
                    wrong += task.count(x)
                else:
                    still.append(x)
    finally:
        ctx.prec = before
    return right, wrong


def verdict(certificate: Certificate, data: bytes, labels: list[int], table: str) -> tuple[bool | None, str]:
    """True if the certificate is accepted, False if it is rejected, None if that is not known; and why."""
    strategy = certificate.strategy
    expect(strategy in STRATEGIES, f"strategy: {strategy!a:.80} is not one that this checker knows for decoders")
    theorem, claim = STRATEGIES[strategy]
    task = read_task(certificate.task, labels, table)
    network = Network(data, task.settings)
    inputs, total = task.v**task.n, task.total
    for name, claimed, actual in (
        ("model_sha256", certificate.model_sha256, network.sha256),
        ("family", certificate.family, FAMILY),
        ("total", certificate.total, total),
        ("theorem", certificate.theorem, theorem),
        ("claim", certificate.claim, claim),
    ):
        if claimed != actual:
            return False, f"{name}: the certificate says {claimed!a:.80}, expected {actual!a:.80}"
    largest = max([task.v - 1, *task.prefix, *task.suffix])
    sizes = network.sizes
    if task.length > sizes["c"] or largest >= sizes["v"] or task.outputs > sizes["o"]:
        return False, "task: its positions, tokens or labels are more than the model has"
    expect(not certificate.hints, f"hints: {strategy} has none")
    if strategy == "decoder/trivial":
        return certificate.certified == 0, "0 is proved"
    if inputs > MOST_INPUTS:
        return False, "more than 10^7 inputs"
    every = inputs <= FEW_INPUTS
    numbers = range(inputs) if every else random.SystemRandom().sample(range(inputs), SOME_INPUTS)
    drawn = [tuple(i // task.v**p % task.v for p in reversed(range(task.n))) for i in numbers]
    tried = [x for x in drawn if task.count(x) > 0]
    right, wrong = counted(network, task, tried)
    text = f"claimed {certificate.claim} {certificate.certified} of {total}; of "
    text += "all" if every else f"{len(tried)} that were drawn"
    text += f" {right} are right, {wrong} wrong, {sum(map(task.count, tried)) - right - wrong} undecided"
    at_least = certificate.claim == "at least"
    if certificate.certified > total - wrong if at_least else certificate.certified < right:
        return False, text
    proved = every and (certificate.certified <= right if at_least else certificate.certified >= total - wrong)
    return (True if proved else None), text
