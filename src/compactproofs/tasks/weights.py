"""Weights of tokens: an input counts the product of what its tokens count, integers from 0.

If a class of inputs allows at each position any token of a set, whatever the others are, then its inputs together count
the product over positions of what the tokens of these sets count: the product of sums is the sum of all products.
"""

from __future__ import annotations

import math
import re
from functools import cached_property
from typing import Any

import numpy as np

from compactproofs.kernel.decisions import IntArray
from compactproofs.kernel.strict import MAX_DIGITS
from compactproofs.tasks.max_of_k import OneOfTheTokens

MAX_WEIGHTS = 2**62


class Weighted(OneOfTheTokens):
    """The same with `weights`: what each token counts, a number for each of 0 ... d_vocab - 1; if there are none, 1."""

    weights: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """What all inputs count together: v^K without weights."""
        return math.prod([sum(self.weights)] * self.n_ctx) if self.weights else self.size

    @cached_property
    def counts(self) -> IntArray:
        """What each token counts, shape (v,)."""
        return np.array(self.weights, np.int64) if self.weights else np.ones(self.d_vocab, np.int64)

    def check_weights(self) -> None:
        """Raise ValueError unless there is a weight for each token, and their sum is a number of 64 bits."""
        if len(self.weights) != self.d_vocab or min(self.weights) < 0 or not 0 < sum(self.weights) < MAX_WEIGHTS:
            raise ValueError(
                f"there must be {self.d_vocab} weights from 0, which add up to less than 2^62 and not to 0"
            )

    def misfit(self, network: Any) -> str | None:
        """Certificates hold no larger total."""
        unlike = super().misfit(network)
        if unlike is None and self.weights and self.total >= 10**MAX_DIGITS:
            return f"by their weights its inputs count 10^{MAX_DIGITS} and more together; less is supported"
        return unlike


def read_weights(text: str) -> tuple[int, ...]:
    """The weights as certificates have them; ValueError if these are none."""
    texts = text.split(" ")
    if not all(re.fullmatch("0|[1-9][0-9]{0,18}", each, re.ASCII) for each in texts):
        raise ValueError("expected weights as integers in decimal, with one space between them")
    return tuple(map(int, texts))
