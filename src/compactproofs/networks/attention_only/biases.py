"""Biases as rows of matrices: a network with biases is one without, of other matrices, which theorems are about.

With the notation of `model`,

    logits(x) = (r_n + sum_p a_p (r_p W_V + b_V) W_O + b_O) W_U + b_U      with r_p = W_E[x_p] + W_pos[p]
    a         = softmax_p( (r_n W_Q + b_Q) (r_p W_K + b_K)^T / sqrt(h) )

A column of ones adds the biases (a comma sets matrices side by side, a semicolon below each other):

    W_E'   = [W_E, 1],      W_Q' = [W_Q; b_Q],    W_V' = [W_V, 0; b_V, 1],    W_U' = [W_U; b_U],
    W_pos' = [W_pos, 0],    W_K' = [W_K; b_K],    W_O' = [W_O, 0; b_O, 0].

Lemma.  The network of these matrices without biases, with the same h under the root, has the same logits.

Proof.  r'_p = (r_p, 1), so r'_p W_Q' = r_p W_Q + b_Q, and likewise for K: scores and attentions a are the same.
r'_p W_V' W_O' = (r_p W_V + b_V, 1) W_O' = ((r_p W_V + b_V) W_O + b_O, 0), and since the a_p add up to 1, the residual
stream ends as (r_n + sum_p a_p (r_p W_V + b_V) W_O + b_O, 1); times W_U' these are the logits.

The matrices hold weights, zeros and ones, so nothing is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from compactproofs.networks.attention_only.model import HEAD, WEIGHTS, AttentionOnly, FloatArray, Layout
from compactproofs.networks.weights import hash_of

Weight = npt.NDArray[np.float64]
FloatVector = np.ndarray[tuple[int], np.dtype[np.float64]]

BIASES: Layout = {
    **{name: (HEAD + name, "h", True) for name in ("b_Q", "b_K", "b_V")},
    "b_O": (HEAD + "b_O", "d", False),
    "b_U": ("unembed.b_U", "v", False),
}
_ZERO: Any = None  # a bias that is not given


@dataclass(frozen=True, eq=False)
class WithBiases(AttentionOnly):
    """The same with biases b_Q, b_K, b_V (h,), b_O (d,), b_U (v,), each of which is zero if it is not given."""

    tensors: ClassVar[Layout] = {**WEIGHTS, **BIASES}

    b_Q: FloatVector = _ZERO
    b_K: FloatVector = _ZERO
    b_V: FloatVector = _ZERO
    b_O: FloatVector = _ZERO
    b_U: FloatVector = _ZERO

    @cached_property
    def biases(self) -> tuple[str, ...]:
        """The names of the biases that are not zero; if there are none, this is the network without them."""
        return tuple(name for name in BIASES if getattr(self, name).any())

    def weight(self, name: str) -> FloatArray:
        """The matrix of this name that theorems compute with, biases folded into it."""
        matrix: FloatArray = self._folded[name] if self.biases else super().weight(name)
        return matrix

    @cached_property
    def _folded(self) -> dict[str, Weight]:
        return folded(**{name: getattr(self, name) for name in self.tensors})

    @cached_property
    def sha256(self) -> str:
        """`hash_of` the weights in their order and, if some bias is not zero, b_Q, b_K, b_V, b_O, b_U."""
        return hash_of({name: getattr(self, name) for name in (self.tensors if self.biases else WEIGHTS)})


def folded(
    *, W_E: Weight, W_pos: Weight, W_Q: Weight, W_K: Weight, W_V: Weight, W_O: Weight, W_U: Weight,
    b_Q: Weight, b_K: Weight, b_V: Weight, b_O: Weight, b_U: Weight,
) -> dict[str, Weight]:  # fmt: skip
    """The matrices of the lemma, frozen."""
    blocks: dict[str, list[list[Any]]] = {
        "W_E": [[W_E, np.ones((len(W_E), 1))]],
        "W_pos": [[W_pos, np.zeros((len(W_pos), 1))]],
        "W_Q": [[W_Q], [b_Q]],
        "W_K": [[W_K], [b_K]],
        "W_V": [[W_V, np.zeros((len(W_V), 1))], [b_V, 1.0]],
        "W_O": [[W_O, np.zeros((len(W_O), 1))], [b_O, 0.0]],
        "W_U": [[W_U], [b_U]],
    }
    matrices = {name: np.block(parts) for name, parts in blocks.items()}
    for matrix in matrices.values():
        matrix.flags.writeable = False
    return matrices
