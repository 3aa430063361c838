"""Biases as rows of matrices: a network with biases is one without, of other matrices, which theorems are about.

A column of ones adds the biases (names as in `model`):

    W_E'   = [W_E   1]    W_Q' = [W_Q]    W_K' = [W_K]    W_V' = [W_V 0]    W_O' = [W_O 0]    W_U' = [W_U]
    W_pos' = [W_pos 0]           [b_Q]           [b_K]           [b_V 1]           [b_O 0]           [b_U]

Lemma.  The network of these matrices without biases, with the same h under the root, has the same logits.

Proof.  r'_p = (r_p, 1), so r'_p W_Q' = r_p W_Q + b_Q, and likewise for K: scores and attentions a are the same.
r'_p W_V' W_O' = (r_p W_V + b_V, 1) W_O' = ((r_p W_V + b_V) W_O + b_O, 0), and since the a_p add up to 1, the residual
stream ends as (r_n + sum_p a_p (r_p W_V + b_V) W_O + b_O, 1); times W_U' these are the logits.

The matrices hold weights, zeros and ones, so nothing is rounded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Weight = npt.NDArray[np.float64]


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
