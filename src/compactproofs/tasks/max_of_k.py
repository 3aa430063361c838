"""Max-of-K: the inputs are the sequences of K = n_ctx tokens in 0 ... v-1, and the label is the largest token.

Theorems about it cover other tasks with the same classes of inputs: tokens may stand in another order (`tasks.orders`),
and an input may count the product of what its tokens count (`tasks.weights`); here each token counts 1.

Proofs certify whole classes of inputs; this file says how many inputs a class has, or what they count.  All counts are
Python integers: v^K exceeds 64 bits from v = 64, K = 11 on.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import IntArray
from compactproofs.kernel.problem import Network, Problem

N = TypeVar("N", bound=Network)
C = TypeVar("C")

#: The names of the tasks that theorems about the largest of K tokens cover.
ORDERS = ("max-of-k", "min-of-k", "largest-in-order", "weighted-largest-in-order")


class OneOfTheTokens:
    """Name one of `n_ctx` tokens out of 0 ... d_vocab - 1, whichever: all sequences of them are inputs."""

    n_ctx: int
    d_vocab: int

    @property
    def size(self) -> int:
        """The number v^K of inputs."""
        return math.prod([self.d_vocab] * self.n_ctx)

    total = size  # what all inputs count together

    @cached_property
    def counts(self) -> IntArray:
        """What each token counts, shape (v,)."""
        return np.ones(self.d_vocab, np.int64)

    def misfit(self, network: Any) -> str | None:
        """Networks of this task read K tokens and name one of v."""
        if (network.n_ctx, network.d_vocab) == (self.n_ctx, self.d_vocab):
            return None
        found = f"{network.n_ctx} out of {network.d_vocab}"
        return f"the certificate says {self.n_ctx} tokens out of {self.d_vocab}, the model has {found}"


@dataclass(frozen=True)
class MaxOfK(OneOfTheTokens):
    """Name the largest of `n_ctx` tokens out of 0 ... d_vocab - 1."""

    n_ctx: int
    d_vocab: int
    name: ClassVar[str] = "max-of-k"

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

    def class_size(self, query: int, m: int) -> int:
        """What the inputs with this last token and maximum count: without weights, their number."""
        before, below = self.n_ctx - 1, int(self.counts[:m].sum())
        up_to = below + int(self.counts[m])
        return int(self.counts[query]) * int(up_to**before - (0 if query == m else below**before))


def max_of_k(network: N) -> Problem[N, MaxOfK]:
    """The question how often this network names the largest of its tokens."""
    sizes: Any = network
    return Problem(network, MaxOfK(sizes.n_ctx, sizes.d_vocab))


def too_heavy(task: OneOfTheTokens) -> str | None:
    """Why what inputs with one last token count together is no number of 64 bits, or None."""
    if int(task.counts.sum()) ** (task.n_ctx - 1) < 2**62:
        return None
    return "by their weights, inputs with one last token count 2^62 and more together; less is supported"


def boxes_of_class(positions: int, seen: bool, smaller: C, maximum: C, either: C) -> list[list[C]]:
    """The inputs with one query and maximum, in disjoint boxes: by the first of these positions that holds the maximum.

    What a box allows at a position are smaller tokens, the maximum, or either.  `seen`: the maximum is the query, so no
    other position need hold it.
    """
    if seen:
        return [[either] * positions]
    return [[smaller] * p + [maximum] + [either] * (positions - 1 - p) for p in range(positions)]


def sum_of_choices(
    choices: IntArray, positions: int, others: int, of_query: npt.ArrayLike = 1, of_maximum: npt.ArrayLike = 1
) -> int:
    """Sum over classes of C(positions, others) * of_query * of_maximum^(positions - others) * choices^others; 0^0 = 1.

    A class of inputs fixes the query and the maximum m, puts copies of m in all but `others` of the first
    `positions` = K - 1 places, and any of some tokens in each of the rest: what these count together is `choices`, and
    the query and m count `of_query` and `of_maximum`: non-negative and below 2^62, an entry per class or one for all.
    """
    if not 0 <= others <= positions:
        raise ValueError(f"{others} of {positions} positions cannot be chosen")
    classes = (each.ravel().tolist() for each in np.broadcast_arrays(choices, of_maximum, of_query))
    chosen = 0
    for (choice, maximum, query), number in Counter(zip(*classes, strict=True)).items():
        if min(choice, maximum, query) < 0:
            raise ValueError("a class cannot offer a negative number of tokens")
        chosen += number * query * maximum ** (positions - others) * choice**others
    return _binomials(positions)[others] * chosen


@functools.lru_cache(4)
def _binomials(n: int) -> list[int]:
    """C(n, k) for k = 0 ... n, each from the one before; thousands of calls of math.comb would take a minute."""
    row = [1]
    for k in range(n):
        row.append(row[k] * (n - k) // (k + 1))
    return row
