"""The weights of a model as exact dyadic numbers: integers, times one power of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.networks.attention_only.model import WEIGHTS, AttentionOnly

MAX_EXPONENT = 200


@dataclass(frozen=True)
class Weights:
    """Matrices of Python integers under the names of `AttentionOnly`; each weight is one of them times 2^-exponent."""

    integers: dict[str, npt.NDArray[Any]]
    exponent: int
    d_head: int

    @property
    def d_vocab(self) -> int:
        """The number of tokens."""
        return len(self.integers["W_E"])

    @property
    def n_ctx(self) -> int:
        """The length of an input."""
        return len(self.integers["W_pos"])

    @property
    def d_model(self) -> int:
        """The width of the residual stream."""
        return int(self.integers["W_E"].shape[1])


def exact_weights(model: AttentionOnly) -> Weights:
    """The weights of a model, exactly; ValueError if the smallest ones are too small for that to be sensible."""
    if model.biases:
        raise ValueError(
            f"the model has biases ({', '.join(model.biases)}); the statement in Coq is about models without"
        )
    as_ratios = np.vectorize(float.as_integer_ratio, otypes=[object, object])
    ratios = {name: as_ratios(model.weight(name)) for name in WEIGHTS}
    exponent = max(int(d).bit_length() - 1 for _, denominators in ratios.values() for d in denominators.ravel())
    if exponent > MAX_EXPONENT:
        raise ValueError(f"weights are multiples of 2^-{exponent}; at most 2^-{MAX_EXPONENT} can be exported")
    integers = {name: top * 2**exponent // bottom for name, (top, bottom) in ratios.items()}
    return Weights(integers, exponent, model.d_head)
