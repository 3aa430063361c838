"""The right answer is one of the tokens, and how every token compares with it tells that: by its position or its rank.

The inputs are the sequences of K = n_ctx tokens in 0 ... v-1, and the label is

    token-at-position     the token at position k, counted from 0: the first one with k = 0, the last with k = K - 1
    kth-largest-token     the token at position k in descending order: the largest one with k = 0

Lemma.  For an input x and a token t let s be the signs, -1, 0 or 1, of x_1 - t ... x_K - t.  The label of x is t if
and only if the same rule makes 0 of s.

Proof.  The sign of z - t does not fall as z grows.  So an input in descending order becomes signs in descending order,
and either rule makes of s the sign of its label less t, which is 0 for the label t only.

So the inputs with last token q and label t are those whose signs are such, and these depend on the sign of q - t alone.
`boxes` says which: position by position, those signs are put together that leave the same choice to the positions
after.  Boxes are disjoint, since two of them differ in the signs at the first position where they part.  If there are
weights, an input counts the product of its tokens', as in `tasks.weights`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.tasks.weights import Weighted, read_weights

Box: TypeAlias = tuple[tuple[int, ...], ...]  # which of the signs, at each of the first K - 1 positions
POSITION, RANK = "token-at-position", "kth-largest-token"
NAMES = (POSITION, RANK)


@dataclass(frozen=True)
class ByComparison(Weighted):
    """Name the token at position `k` of `n_ctx` tokens out of 0 ... d_vocab - 1, by the rule of this name."""

    name: str
    n_ctx: int
    d_vocab: int
    k: int
    weights: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.k < self.n_ctx or self.d_vocab < 1:
            raise ValueError(f"k is {self.k}; expected a position from 0 to n_ctx - 1 = {self.n_ctx - 1}")
        if self.weights:
            self.check_weights()

    @property
    def record(self) -> dict[str, str | int]:
        """The task as certificates name it."""
        weights = {"weights": " ".join(map(str, self.weights))} if self.weights else {}
        return {"name": self.name, "n_ctx": self.n_ctx, "d_vocab": self.d_vocab, "k": self.k, **weights}

    @classmethod
    def of_record(cls, record: Mapping[str, str | int]) -> ByComparison:
        """The task of a certificate; ValueError if it is not one of these."""
        numbers: Any = [record.get(key) for key in ("n_ctx", "d_vocab", "k")]
        if len(record) != 4 + ("weights" in record) or not all(type(n) is int and 0 <= n < 2**31 for n in numbers):
            raise ValueError("expected the keys name, n_ctx, d_vocab and k, the last three with integers below 2^31")
        weights = read_weights(str(record["weights"])) if "weights" in record else ()
        n_ctx, d_vocab, k = numbers
        return cls(str(record["name"]), n_ctx, d_vocab, k, weights)

    def label(self, tokens: IntArray) -> IntArray:
        """What the rule makes of tokens, or of signs, along the last axis."""
        found: IntArray = (np.sort(tokens, axis=-1)[..., ::-1] if self.name == RANK else tokens)[..., self.k]
        return found

    def boxes(self, query: int, label: int) -> tuple[Box, ...]:
        """The inputs with this last token and label, in disjoint boxes: which signs each position may have."""
        return _boxes(self, int(np.sign(query - label)))


@functools.lru_cache(64)
def _boxes(task: ByComparison, of_query: int) -> tuple[Box, ...]:
    """Over signs of the first K - 1 positions, where that of the last one is this."""
    before = np.moveaxis(np.indices((3,) * (task.n_ctx - 1)), 0, -1) - 1
    signs = np.concatenate([before, np.full((*before.shape[:-1], 1), of_query)], axis=-1)
    return tuple(_split(task.label(signs) == 0))


def _split(holds: BoolArray) -> list[Box]:
    """Where this holds, of shape (3, ..., 3) over the sign at each position, in disjoint boxes."""
    if holds.ndim == 0:
        return [()] if holds else []
    alike: dict[bytes, list[int]] = {}
    for index, after in enumerate(holds):
        alike.setdefault(after.tobytes(), []).append(index)
    return [(tuple(i - 1 for i in same), *box) for same in alike.values() for box in _split(holds[same[0]])]
