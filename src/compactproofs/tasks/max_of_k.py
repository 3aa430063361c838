"""Max-of-K: the inputs are the sequences of K = n_ctx tokens in 0 ... v-1, and the label is the largest token.

Min-of-K: the smallest one.  The largest in an order: the one that comes last in an order of all tokens.

Theorems know of an order nothing but the place of each token: they are about places r = 0 ... v-1 and the network
whose W_E has the rows, and W_U the columns, in the order of places.

Lemma.  If token t(r) has place r, W_E'[r] = W_E[t(r)] and W_U'[:, r] = W_U[:, t(r)], and all other weights are the
same, then the network of W_E' and W_U' has for places r_1 ... r_n the logit at place o that the network has for the
tokens t(r_1) ... t(r_n) at the output t(o).  So it names the largest of the places exactly where the network names the
token that comes last in the order, and of both as many inputs are answered correctly.

Proof.  The residual streams r_p = W_E'[r_p] + W_pos[p] are those of the tokens, and so is all that is computed from
them before W_U, of which each column makes one logit.  Places and tokens correspond one to one.  Where biases are
folded into the weights, W_E and W_U are matrices of such a network like others.

Weights.  With integers from 0 as weights of tokens an input counts the product of the weights of its tokens, in what is
certified as in the total; otherwise it counts 1, which is the product of weights 1.  So if a class of inputs allows at
each position any token of a set, whatever the others are, its inputs together count the product of the sums of weights
of these sets: the product of sums is the sum of all products.

Proofs certify whole classes of inputs; this file says how many inputs a class has.  All counts are Python integers:
v^K exceeds 64 bits from v = 64, K = 11 on.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.strict import MAX_DIGITS
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
    def size(self) -> int:
        """The number v^K of inputs."""
        return math.prod([self.d_vocab] * self.n_ctx)

    @property
    def total(self) -> int:
        """What all inputs count together: v^K without weights."""
        return self.size

    @cached_property
    def counts(self) -> IntArray:
        """The weight of the token at each place, shape (v,)."""
        return np.ones(self.d_vocab, np.int64)

    @property
    def places(self) -> slice | IntArray:
        """The token at each place of the order, as an index."""
        return slice(None)

    def rearranged(self, name: str, weight: FloatArray) -> FloatArray:
        """The weights of this name with tokens in the order of places, as in the lemma."""
        return weight[self.places] if name == "W_E" else weight[:, self.places] if name == "W_U" else weight

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
        """What the inputs with this last token and maximum count: without weights, their number."""
        before, below = self.n_ctx - 1, int(self.counts[:m].sum())
        up_to = below + int(self.counts[m])
        return int(self.counts[query]) * int(up_to**before - (0 if query == m else below**before))


class MinOfK(MaxOfK):
    """Name the smallest of `n_ctx` tokens out of 0 ... d_vocab - 1: the largest in their reversed order."""

    name: ClassVar[str] = "min-of-k"

    @property
    def places(self) -> slice:
        """The tokens, the largest first."""
        return slice(None, None, -1)


@dataclass(frozen=True)
class LargestInOrder(MaxOfK):
    """Name the one of `n_ctx` tokens that comes last in `order`, which has each of 0 ... d_vocab - 1 once."""

    order: tuple[int, ...]
    name: ClassVar[str] = "largest-in-order"

    def __post_init__(self) -> None:
        if len(self.order) != self.d_vocab or sorted(self.order) != list(range(self.d_vocab)):
            raise ValueError(f"an order has each token from 0 to {self.d_vocab - 1} once, with one space between them")

    @property
    def places(self) -> IntArray:
        """The tokens in their order."""
        return np.array(self.order)

    @property
    def record(self) -> dict[str, str | int]:
        """The task as certificates name it."""
        return {**super().record, "order": " ".join(map(str, self.order))}

    @classmethod
    def of_record(cls, record: Mapping[str, str | int]) -> LargestInOrder:
        """The task of a certificate; ValueError if it is not one of these."""
        sizes = MaxOfK.of_record({key: value for key, value in record.items() if key != "order"})
        tokens = str(record.get("order")).split(" ")
        by_name = {str(token): token for token in range(len(tokens))}
        return cls(sizes.n_ctx, sizes.d_vocab, tuple(by_name.get(token, -1) for token in tokens))


@dataclass(frozen=True)
class WeightedLargest(LargestInOrder):
    """The same, where an input counts the product of the `weights` of its tokens, one for each of 0 ... d_vocab - 1."""

    weights: tuple[int, ...]
    name: ClassVar[str] = "weighted-largest-in-order"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.weights) != self.d_vocab or min(self.weights) < 0 or not 0 < sum(self.weights) < MAX_WEIGHTS:
            raise ValueError(
                f"there must be {self.d_vocab} weights from 0, which add up to less than 2^62 and not to 0"
            )

    @property
    def total(self) -> int:
        """What all inputs count together."""
        return math.prod([sum(self.weights)] * self.n_ctx)

    @cached_property
    def counts(self) -> IntArray:
        """The weight of the token at each place, shape (v,)."""
        return np.array(self.weights)[self.places]

    def misfit(self, network: AttentionOnly | ManyHeads) -> str | None:
        """The same, and certificates hold no larger total."""
        found = super().misfit(network)
        if found is None and self.total >= 10**MAX_DIGITS:
            return f"by their weights its inputs count 10^{MAX_DIGITS} and more together; less is supported"
        return found

    @property
    def record(self) -> dict[str, str | int]:
        """The task as certificates name it."""
        return {**super().record, "weights": " ".join(map(str, self.weights))}

    @classmethod
    def of_record(cls, record: Mapping[str, str | int]) -> WeightedLargest:
        """The task of a certificate; ValueError if it is not one of these."""
        order = LargestInOrder.of_record({key: value for key, value in record.items() if key != "weights"})
        texts = str(record.get("weights")).split(" ")
        if not all(re.fullmatch("0|[1-9][0-9]{0,18}", text, re.ASCII) for text in texts):
            raise ValueError("expected weights as integers in decimal, with one space between them")
        return cls(order.n_ctx, order.d_vocab, order.order, tuple(map(int, texts)))


#: The tasks that theorems about the largest of K tokens are about, by their names.
ORDERS: dict[str, type[MaxOfK]] = {task.name: task for task in (MaxOfK, MinOfK, LargestInOrder)}
#: And those of them, with that one, that count inputs by weights.
WEIGHTED: dict[str, type[MaxOfK]] = {**ORDERS, WeightedLargest.name: WeightedLargest}
MAX_WEIGHTS = 2**62


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


def sum_of_choices(
    choices: IntArray, positions: int, others: int, of_query: npt.ArrayLike = 1, of_maximum: npt.ArrayLike = 1
) -> int:
    """Sum over classes of C(positions, others) * of_query * of_maximum^(positions - others) * choices^others; 0^0 = 1.

    A class of inputs fixes the query and the maximum m, puts copies of m in all but `others` of the first
    `positions` = K - 1 places, and any of some tokens in each of the rest: what these count together is `choices`, and
    the query and m count `of_query` and `of_maximum`.

    All non-negative and below 2^62, with one entry per class or one for all.
    """
    classes = np.stack(np.broadcast_arrays(choices, of_maximum, of_query), axis=-1).reshape(-1, 3)
    if classes.size and classes.min() < 0:
        raise ValueError("a class cannot offer a negative number of tokens")
    if not 0 <= others <= positions:
        raise ValueError(f"{others} of {positions} positions cannot be chosen")
    kinds, numbers = np.unique(classes, axis=0, return_counts=True)
    chosen: int = sum(
        number * query * maximum ** (positions - others) * choice**others
        for (choice, maximum, query), number in zip(kinds.tolist(), numbers.tolist(), strict=True)
    )
    return _binomials(positions)[others] * chosen


@functools.lru_cache(4)
def _binomials(n: int) -> list[int]:
    """C(n, k) for k = 0 ... n, each from the one before; thousands of calls of math.comb would take a minute."""
    row = [1]
    for k in range(n):
        row.append(row[k] * (n - k) // (k + 1))
    return row
