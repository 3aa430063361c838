"""Max-of-K: the inputs are the sequences of K = n_ctx tokens in 0 ... v-1, and the label is the largest token.

Proofs certify whole classes of inputs; this file says how many inputs a class has.  All counts are Python integers:
v^K exceeds 64 bits from v = 64, K = 11 on.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.networks.attention_only.model import Model


def total_inputs(model: Model) -> int:
    """The number v^K of inputs."""
    return math.prod([model.d_vocab] * model.n_ctx)


def task_of(model: Model) -> dict[str, Any]:
    """The task as certificates name it."""
    return {"name": "max", "n_ctx": int(model.n_ctx), "d_vocab": int(model.d_vocab)}


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
