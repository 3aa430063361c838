"""Inputs are sequences of n tokens in 0 ... v-1 between fixed tokens, and a named rule says which output is right.

The network reads the prefix, the n tokens, and the suffix, and answers at one position.  Counted from 0, the rules are

    max, min                the largest, the smallest token
    argmax, argmin          the position of that token among the n, the first one where there are several
    first, last             the first, the last token
    kth-largest, sorted     the token at position k in descending order, in ascending order
    parity, sum-mod         the sum modulo 2, modulo k
    table                   what a table says, by the number of the input

Unless something else is said every sequence is an input and counts 1.  `inputs` can be "distinct", all tokens
different, or "ascending", no token smaller than the one before it.  With weights w_0 ... w_{v-1} of tokens, which are
integers from 0, an input counts the product of the weights of its tokens.  What a table has no label for is no input.

The record of a task also holds the configuration of the networks that it is about: it is what their tensors do not
show, and must be known to read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.kernel.strict import shown
from compactproofs.networks.decoder.model import Configuration, Decoder
from compactproofs.tasks.tables import Table


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
TABLE = "table"
NAMES = (*RULES, TABLE)
#: Which sequences are inputs, by what `inputs` says; sequences of shape (number, n).
INPUTS: dict[str, Callable[[IntArray], BoolArray]] = {
    "all": lambda x: np.full(len(x), True),
    "distinct": lambda x: np.all(np.diff(np.sort(x, axis=1), axis=1) > 0, axis=1),
    "ascending": lambda x: np.all(np.diff(x, axis=1) >= 0, axis=1),
}
MAX_LENGTH, MAX_TOKENS, MAX_WEIGHT = 100, 2**31 - 1, 2**62
_DIGITS = len(str(MAX_WEIGHT))
_AT_ONCE = 2**16


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
    inputs: str = "all"
    weights: tuple[int, ...] = ()
    table: Table | None = None

    def __post_init__(self) -> None:
        if (self.name == TABLE) != (self.table is not None):
            raise ValueError("a table of labels belongs to the task 'table', and to no other")
        uses = "" if self.table else RULES[self.name].uses
        if not (1 <= self.n <= MAX_LENGTH and 1 <= self.v <= MAX_TOKENS):
            raise ValueError(f"expected n from 1 to {MAX_LENGTH} and v from 1 to {MAX_TOKENS}")
        if not {"position": 0 <= self.k < self.n, "modulus": 1 < self.k <= MAX_TOKENS}.get(uses, self.k == 0):
            raise ValueError(f"k is {self.k}; expected {_K.get(uses, '0, since this rule has none')}")
        if not 0 <= self.read_out < self.length:
            raise ValueError(f"read_out is {self.read_out}; there are {self.length} positions, counted from 0")
        if not all(0 <= token <= MAX_TOKENS for token in (*self.prefix, *self.suffix)):
            raise ValueError("a token is negative or too large")
        if self.inputs not in INPUTS:
            raise ValueError(f"inputs is {shown(self.inputs)}; expected {', '.join(INPUTS)}")
        if self.weights and (len(self.weights) != self.v or min(self.weights) < 0):
            raise ValueError(f"there are {len(self.weights)} weights; expected {self.v}, one for each token, from 0 on")
        if sum(self.weights) ** self.n >= MAX_WEIGHT:
            raise ValueError(f"the weights are too large: their sum to the power of {self.n} must be below 2^62")
        if self.table and self.table.labels.size != self.size:
            labels = self.table.labels.size
            raise ValueError(f"the table has {labels} labels; {self.n} tokens out of {self.v} need {self.v}^{self.n}")
        if self.total == 0:
            raise ValueError("there are no inputs, or all of them count 0")

    @property
    def length(self) -> int:
        """The number of positions, fixed ones included."""
        return len(self.prefix) + self.n + len(self.suffix)

    @property
    def size(self) -> int:
        """The number v^n of sequences."""
        return math.prod([self.v] * self.n)

    @cached_property
    def total(self) -> int:
        """What all inputs count together: without weights, how many there are.

        If all ways to choose j of some tokens count s_j, then with one more token, of weight w, they count
        s_j + w s_{j-1}: with the s_{j-1} before it where it can be chosen once, and after it where any number of
        times.  Distinct tokens can be put in n! orders, ascending ones in one.
        """
        if self.table:
            starts = range(0, self.size, _AT_ONCE)
            return sum(int(self.counts(self.batch(i, min(i + _AT_ONCE, self.size))).sum()) for i in starts)
        if self.inputs == "all":
            return math.prod([sum(self.weights) if self.weights else self.v] * self.n)
        distinct = self.inputs == "distinct"
        if not self.weights:
            return math.perm(self.v, self.n) if distinct else math.comb(self.v + self.n - 1, self.n)
        s = [1] + [0] * self.n
        for w in self.weights:
            for j in range(self.n, 0, -1) if distinct else range(1, self.n + 1):
                s[j] += w * s[j - 1]
        return s[self.n] * (math.factorial(self.n) if distinct else 1)

    @property
    def record(self) -> dict[str, str | int]:
        """The task as certificates name it."""
        fixed = {"prefix": _text(self.prefix), "suffix": _text(self.suffix)}
        sizes = {"n": self.n, "v": self.v, "k": self.k, "read_out": self.read_out}
        more = {
            **({} if self.inputs == "all" else {"inputs": self.inputs}),
            **({"weights": _text(self.weights)} if self.weights else {}),
            **({"table": self.table.sha256} if self.table else {}),
        }
        return {"name": self.name, **sizes, **fixed, **self.configuration.record, **more}

    @classmethod
    def of_record(cls, record: Mapping[str, str | int], tables: Collection[Table] = ()) -> Sequences:
        """The task of a certificate, with one of these tables if it names any; ValueError if it is not one of these."""
        numbers: Any = {key: record[key] for key in ("n", "v", "k", "read_out") if type(record.get(key)) is int}
        texts = [record.get("prefix"), record.get("suffix"), record.get("weights", "")]
        if len(numbers) < 4 or not all(isinstance(text, str) and _is_tokens(text) for text in texts):
            raise ValueError(
                "expected integers n, v, k and read_out, and prefix, suffix and weights as integers with one space "
                f"between them, each of at most {_DIGITS} digits"
            )
        prefix, suffix, weights = (tuple(map(int, str(text).split())) for text in texts)
        table = next((each for each in tables if each.sha256 == record.get("table")), None)
        if "table" in record and table is None:
            raise ValueError(
                f"the labels stand in a table with the SHA-256 {shown(record['table'], 64)}, and none like it is given"
            )
        own = {"name", "n", "v", "k", "read_out", "prefix", "suffix", "inputs", "weights", "table"}
        found = cls(
            name=str(record["name"]),
            configuration=Configuration.of_record({key: value for key, value in record.items() if key not in own}),
            prefix=prefix,
            suffix=suffix,
            inputs=str(record.get("inputs", "all")),
            weights=weights,
            table=table,
            **numbers,
        )
        if found.record != record:
            raise ValueError("expected integers in decimal with one space between them, and nothing that says nothing")
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
        outputs = self.outputs
        if outputs > network.d_vocab_out:
            return f"its labels are 0 to {outputs - 1}, the model's outputs 0 to {network.d_vocab_out - 1}"
        return None

    @property
    def outputs(self) -> int:
        """Labels are smaller than this."""
        if self.table:
            return int(self.table.labels.max()) + 1
        return RULES[self.name].outputs(self.n, self.v, self.k)

    def batch(self, start: int, stop: int) -> IntArray:
        """Sequences by their numbers, without the fixed tokens, shape (stop - start, n); the last runs fastest."""
        digits = np.arange(start, stop)
        return np.stack([digits // self.v ** (self.n - 1 - i) % self.v for i in range(self.n)], axis=1)

    def labels(self, inputs: IntArray) -> IntArray:
        """Which output is right for each; -1 where a table has none."""
        if self.table:
            found: IntArray = self.table.labels[inputs @ self.v ** np.arange(self.n - 1, -1, -1)]
            return found
        return RULES[self.name].label(inputs, self.k)

    def counts(self, inputs: IntArray) -> IntArray:
        """How much each counts, 0 for sequences that are no inputs."""
        weight = np.array(self.weights, np.int64)[inputs].prod(1) if self.weights else np.ones(len(inputs), np.int64)
        return np.where(INPUTS[self.inputs](inputs) & (self.labels(inputs) >= 0), weight, 0)

    def sequences(self, inputs: IntArray) -> IntArray:
        """What the network reads for each, with the fixed tokens, shape (inputs, positions)."""
        before, after = (np.broadcast_to(fixed, (len(inputs), len(fixed))) for fixed in (self.prefix, self.suffix))
        return np.concatenate([before, inputs, after], axis=1).astype(np.int64)


_K = {"position": "a position from 0 to n - 1", "modulus": f"a number from 2 to {MAX_TOKENS}"}


def _text(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))


def _is_tokens(text: str) -> bool:
    return all(part.isascii() and part.isdigit() and len(part) <= _DIGITS for part in text.split())
