"""Max-of-K: the inputs are the sequences of K = n_ctx tokens in 0 ... v-1, and the label is the largest token.

Proofs certify whole classes of inputs; this file says how many inputs a class has.  All counts are Python integers:
v^K exceeds 64 bits from v = 64, K = 11 on.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.problem import Problem
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import AttentionOnly

#: Networks that read K tokens out of v and name one of these.
N = TypeVar("N", bound=AttentionOnly | ManyHeads)
C = TypeVar("C")


@dataclass(frozen=True)
class MaxOfK:
    """Name the largest of `n_ctx` tokens out of 0 ... d_vocab - 1."""

    n_ctx: int
    d_vocab: int
    name: ClassVar[str] = "max-of-k"

    @property
    def total(self) -> int:
        """The number v^K of inputs."""
        return math.prod([self.d_vocab] * self.n_ctx)

    @property
    def record(self) -> dict[str, str | int]:
        """The task as certificates name it."""
        return {"name": self.name, "n_ctx": self.n_ctx, "d_vocab": self.d_vocab}

    @classmethod
    def of_record(cls, record: Mapping[str, str | int]) -> MaxOfK:
        """The task of a certificate; ValueError if it is not one of these."""
        sizes = [record.get(key) for key in ("n_ctx", "d_vocab")]
        if len(record) != 3 or not all(isinstance(size, int) and 1 <= size < 2**31 for size in sizes):
            raise ValueError("expected the keys name, n_ctx and d_vocab, the last two with integers from 1 to 2^31 - 1")
        return cls(*sizes)  # type: ignore[arg-type]

    def misfit(self, network: AttentionOnly | ManyHeads) -> str | None:
        """Networks of this task read K tokens and name one of the v that there are."""
        if (network.n_ctx, network.d_vocab) == (self.n_ctx, self.d_vocab):
            return None
        return (
            f"the certificate says {self.n_ctx} tokens out of {self.d_vocab}, "
            f"the model has {network.n_ctx} out of {network.d_vocab}"
        )

    def class_size(self, query: int, m: int) -> int:
        """The number of inputs with this last token and maximum."""
        before = self.n_ctx - 1
        return int((m + 1) ** before - (0 if query == m else m**before))


def max_of_k(network: N) -> Problem[N, MaxOfK]:
    """The question how often this network names the largest of its tokens."""
    return Problem(network, MaxOfK(network.n_ctx, network.d_vocab))


def boxes_of_class(positions: int, seen: bool, smaller: C, maximum: C, either: C) -> list[list[C]]:
    """The inputs with one query and maximum, in disjoint boxes: by the first of these positions that holds the maximum.

    What a box allows at a position are smaller tokens, the maximum, or either.  `seen`: the maximum is the query, so no
    other position need hold it.
    """
    if seen:
        return [[either] * positions]
    return [[smaller] * p + [maximum] + [either] * (positions - 1 - p) for p in range(positions)]


def sum_of_choices(choices: npt.NDArray[np.int64], positions: int, others: int) -> int:
    """Sum over classes of C(positions, others) * choices^others, with 0^0 = 1.

    A class of inputs fixes the query and the maximum m, puts copies of m in all but `others` of the first
    `positions` = K - 1 places, and any of `choices` tokens in each of the rest.

    `choices`: any shape, one non-negative entry per class.
    """
    sizes, classes = np.unique(choices, return_counts=True)
    if sizes.size and sizes[0] < 0:
        raise ValueError("a class cannot offer a negative number of tokens")
    if not 0 <= others <= positions:
        raise ValueError(f"{others} of {positions} positions cannot be chosen")
    chosen: int = sum(int(size) ** others * int(number) for size, number in zip(sizes, classes, strict=True))
    return _binomials(positions)[others] * chosen


@functools.lru_cache(4)
def _binomials(n: int) -> list[int]:
    """C(n, k) for k = 0 ... n, each from the one before; thousands of calls of math.comb would take a minute."""
    row = [1]
    for k in range(n):
        row.append(row[k] * (n - k) // (k + 1))
    return row
