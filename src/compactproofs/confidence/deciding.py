"""Which of some inputs are certainly answered correctly, and which certainly not: an enclosure of each margin.

By the additive margin (`theorems.max_of_k.core.additive`), logit m > logit o if and only if

    sum_p w(x_p, p) (EU[q, m] + EVOU[x_p, m] + PVOU[p, m])  >  sum_p w(x_p, p) (EU[q, o] + EVOU[x_p, o] + PVOU[p, o]).

An input is right if this is certain for the largest token m and all outputs o != m, and wrong if for some output the
contrary, with < in place of >, is certain.  What is neither, such as a tie, is undecided.
"""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, IntArray, certainly_positive
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.core.additive import position_weights, token_weights

_ENTRIES = 2**18  # inputs x positions x outputs held at once


def batch_size(work: Work) -> int:
    """How many inputs are best decided at once."""
    entries: int = work.network.n_ctx * work.network.d_vocab
    return max(16, _ENTRIES // entries)


def decide(work: Work, inputs: IntArray) -> tuple[BoolArray, BoolArray]:
    """Which of the inputs, shape (inputs, n), are certainly right, and which are certainly wrong."""
    query, label = inputs[:, -1], inputs.max(axis=1)
    weights = token_weights(work)[query[:, None], inputs] * position_weights(work)[query]
    written = _writing(work)[np.arange(inputs.shape[1]), inputs]
    direct = weights.sum(axis=1)[:, None] * circuits.EU(work)[query]
    scores = (weights[:, :, None] * written).sum(axis=1) + direct
    margins = scores[np.arange(len(inputs)), label][:, None] - scores
    own = np.arange(work.network.d_vocab) == label[:, None]
    right = (certainly_positive(margins) | own).all(axis=1)
    wrong = (certainly_positive(-margins) & ~own).any(axis=1)
    return np.asarray(right), np.asarray(wrong)


@shared
def _writing(work: Work) -> Array:
    """EVOU[t, o] + PVOU[p, o], shape (n, v, v) over (position, token, output)."""
    return circuits.EVOU(work) + circuits.PVOU(work)[:, None]
