"""Inputs are sequences of n tokens in 0 ... v-1 between fixed tokens, and a named rule says which output is right.

The network reads the prefix, the n tokens, and the suffix, and answers at one position.  Counted from 0, the rules are

    max, min                the largest, the smallest token
    argmax, argmin          the position of that token among the n, the first one where there are several
    first, last             the first, the last token
    kth-largest, sorted     the token at position k in descending order, in ascending order
    parity, sum-mod         the sum modulo 2, modulo k

The record of a task also holds the configuration of the networks that it is about: it is what their tensors do not
show, and must be known to read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compactproofs.kernel.decisions import IntArray
from compactproofs.networks.decoder.model import Configuration, Decoder


@dataclass(frozen=True)
class Rule:
    """Labels of inputs of shape (inputs, n), how many there can be for n, v and k, and whether k counts positions."""

    label: Callable[[IntArray, int], IntArray]
    outputs: Callable[[int, int, int], int]
    uses: str = ""  # "position" or "modulus"


def _tokens(n: int, v: int, k: int) -> int:
    return v


RULES: dict[str, Rule] = {
    "max": Rule(lambda x, k: x.max(axis=1), _tokens),
    "min": Rule(lambda x, k: x.min(axis=1), _tokens),
    "argmax": Rule(lambda x, k: x.argmax(axis=1), lambda n, v, k: n),
    "argmin": Rule(lambda x, k: x.argmin(axis=1), lambda n, v, k: n),
    "first": Rule(lambda x, k: x[:, 0], _tokens),
    "last": Rule(lambda x, k: x[:, -1], _tokens),
    "kth-largest": Rule(lambda x, k: np.sort(x, axis=1)[:, -1 - k], _tokens, "position"),
    "sorted": Rule(lambda x, k: np.sort(x, axis=1)[:, k], _tokens, "position"),
    "parity": Rule(lambda x, k: x.sum(axis=1) % 2, lambda n, v, k: 2),
    "sum-mod": Rule(lambda x, k: x.sum(axis=1) % k, lambda n, v, k: k, "modulus"),
}
MAX_LENGTH, MAX_TOKENS = 100, 2**31 - 1


@dataclass(frozen=True)
class Sequences:
    """A rule of this name for n tokens out of v, between fixed tokens, read out at a position of the whole.

    Raises ValueError unless all of it goes together.
    """

    name: str
    n: int
    v: int
    configuration: Configuration
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    read_out: int = 0
    k: int = 0

    def __post_init__(self) -> None:
        uses = RULES[self.name].uses
        if not (1 <= self.n <= MAX_LENGTH and 1 <= self.v <= MAX_TOKENS):
            raise ValueError(f"expected n from 1 to {MAX_LENGTH} and v from 1 to {MAX_TOKENS}")
        if not {"position": 0 <= self.k < self.n, "modulus": 1 < self.k <= MAX_TOKENS}.get(uses, self.k == 0):
            raise ValueError(f"k is {self.k}; expected {_K.get(uses, '0, since this rule has none')}")
        if not 0 <= self.read_out < self.length:
            raise ValueError(f"read_out is {self.read_out}; there are {self.length} positions, counted from 0")
        if not all(0 <= token <= MAX_TOKENS for token in (*self.prefix, *self.suffix)):
            raise ValueError("a token is negative or too large")

    @property
    def length(self) -> int:
        """The number of positions, fixed ones included."""
        return len(self.prefix) + self.n + len(self.suffix)

    @property
    def total(self) -> int:
        """The number v^n of inputs."""
        return math.prod([self.v] * self.n)

    @property
    def record(self) -> dict[str, str | int]:
        """The task as certificates name it."""
        fixed = {"prefix": " ".join(map(str, self.prefix)), "suffix": " ".join(map(str, self.suffix))}
        sizes = {"n": self.n, "v": self.v, "k": self.k, "read_out": self.read_out}
        return {"name": self.name, **sizes, **fixed, **self.configuration.record}

    @classmethod
    def of_record(cls, record: Mapping[str, str | int]) -> Sequences:
        """The task of a certificate; ValueError if it is not one of these."""
        numbers: Any = {key: record[key] for key in ("n", "v", "k", "read_out") if type(record.get(key)) is int}
        texts = [record.get("prefix"), record.get("suffix")]
        if len(numbers) < 4 or not all(isinstance(text, str) and _is_tokens(text) for text in texts):
            raise ValueError("expected integers n, v, k and read_out, and prefix and suffix as tokens with spaces")
        prefix, suffix = (tuple(map(int, str(text).split())) for text in texts)
        own = {"name", "n", "v", "k", "read_out", "prefix", "suffix"}
        configuration = Configuration.of_record({key: value for key, value in record.items() if key not in own})
        found = cls(configuration=configuration, prefix=prefix, suffix=suffix, name=str(record["name"]), **numbers)
        if found.record != record:
            raise ValueError("expected tokens in decimal, with one space between them")
        return found

    def misfit(self, network: Decoder) -> str | None:
        """Networks of this task have its configuration, its tokens, its positions, and an output for each label."""
        for key, value in self.configuration.record.items():
            found = network.configuration.record[key]
            if found != value:
                return f"it is about networks with {key} = {value}, this one has {found}"
        if self.length > network.n_ctx:
            return f"it has {self.length} positions, the model {network.n_ctx}"
        largest = max((self.v - 1, *self.prefix, *self.suffix))
        if largest >= network.d_vocab:
            return f"it has the token {largest}, the model has 0 to {network.d_vocab - 1}"
        outputs = RULES[self.name].outputs(self.n, self.v, self.k)
        if outputs > network.d_vocab_out:
            return f"its labels are 0 to {outputs - 1}, the model's outputs 0 to {network.d_vocab_out - 1}"
        return None

    def inputs(self, start: int, stop: int) -> IntArray:
        """Inputs by their numbers, without the fixed tokens, shape (stop - start, n); the first token counts most."""
        digits = np.arange(start, stop)
        return np.stack([digits // self.v ** (self.n - 1 - i) % self.v for i in range(self.n)], axis=1)

    def labels(self, inputs: IntArray) -> IntArray:
        """Which output is right for each."""
        return RULES[self.name].label(inputs, self.k)

    def sequences(self, inputs: IntArray) -> IntArray:
        """What the network reads for each, with the fixed tokens, shape (inputs, positions)."""
        before, after = (np.broadcast_to(fixed, (len(inputs), len(fixed))) for fixed in (self.prefix, self.suffix))
        return np.concatenate([before, inputs, after], axis=1).astype(np.int64)


_K = {"position": "a position from 0 to n - 1", "modulus": f"a number from 2 to {MAX_TOKENS}"}


def _is_tokens(text: str) -> bool:
    return all(part.isascii() and part.isdigit() and len(part) <= 10 for part in text.split())
