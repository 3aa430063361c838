"""Tasks like max-of-K: the smallest of K tokens, the largest in any order of them, and inputs that count by weights.

Theorems know of an order nothing but the place of each token: they are about places r = 0 ... v-1 and the network
whose W_E has the rows, and W_U the columns, in the order of places.

Lemma.  If token t(r) has place r, W_E'[r] = W_E[t(r)] and W_U'[:, r] = W_U[:, t(r)], and all other weights are the
same, then the network of W_E' and W_U' has for places r_1 ... r_n the logit at place o that the network has for the
tokens t(r_1) ... t(r_n) at the output t(o).  So it names the largest of the places exactly where the network names the
token that comes last in the order, and of both as many inputs are answered correctly.

Proof.  The residual streams r_p = W_E'[r_p] + W_pos[p] are those of the tokens, and so is all that is computed from
them before W_U, of which each column makes one logit.  Places and tokens correspond one to one.  Where biases are
folded into the weights, W_E and W_U are matrices of such a network like others.

With weights of tokens an input counts the product of those of its tokens, as in `tasks.weights`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.tasks.weights import Weighted, read_weights


class InOrder(MaxOfK):
    """Name the one of `n_ctx` tokens that comes last in some order of 0 ... d_vocab - 1."""

    @property
    def places(self) -> Any:
        """The token at each place of the order, as an index."""
        raise NotImplementedError

    def rearranged(self, name: str, weight: FloatArray) -> FloatArray:
        """The weights of this name with tokens in the order of places, as in the lemma."""
        return weight[self.places] if name == "W_E" else weight[:, self.places] if name == "W_U" else weight


class MinOfK(InOrder):
    """Name the smallest of `n_ctx` tokens out of 0 ... d_vocab - 1: the largest in their reversed order."""

    name: ClassVar[str] = "min-of-k"

    @property
    def places(self) -> slice:
        """The tokens, the largest first."""
        return slice(None, None, -1)


@dataclass(frozen=True)
class LargestInOrder(InOrder):
    """Name the one of `n_ctx` tokens that comes last in `order`, which has each of 0 ... d_vocab - 1 once."""

    order: tuple[int, ...]
    name: ClassVar[str] = "largest-in-order"

    def __post_init__(self) -> None:
        if len(self.order) != self.d_vocab or sorted(self.order) != list(range(self.d_vocab)):
            raise ValueError(f"an order has each token from 0 to {self.d_vocab - 1} once, with one space between them")

    @property
    def places(self) -> IntArray:
        """The tokens in their order."""
        return np.array(self.order, np.int64)

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
class WeightedLargest(Weighted, LargestInOrder):
    """The same, where an input counts the product of the `weights` of its tokens, one for each of 0 ... d_vocab - 1."""

    weights: tuple[int, ...]
    name: ClassVar[str] = "weighted-largest-in-order"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_weights()

    @cached_property
    def counts(self) -> IntArray:
        """The weight of the token at each place, shape (v,)."""
        return np.array(self.weights, np.int64)[self.places]

    @property
    def record(self) -> dict[str, str | int]:
        """The task as certificates name it."""
        return {**super().record, "weights": " ".join(map(str, self.weights))}

    @classmethod
    def of_record(cls, record: Mapping[str, str | int]) -> WeightedLargest:
        """The task of a certificate; ValueError if it is not one of these."""
        order = LargestInOrder.of_record({key: value for key, value in record.items() if key != "weights"})
        return cls(order.n_ctx, order.d_vocab, order.order, read_weights(str(record.get("weights"))))


TASKS: tuple[type[MaxOfK], ...] = (MinOfK, LargestInOrder, WeightedLargest)


def order_of(task: MaxOfK) -> IntArray:
    """All tokens in the order of which the last one that an input has is its label, shape (v,)."""
    tokens = np.arange(task.d_vocab)
    return tokens[task.places] if isinstance(task, InOrder) else tokens
