"""The worst places for the copies of the maximum.

Lemma.  Let e(q, p) = exp(EQKP[q, p]) > 0.  Among all ways of putting n - 1 - c copies of the maximum in the first n - 1
positions, the sum of e(q, .) over the copies is least, and over the other c positions largest, when the copies have
the n - 1 - c smallest values.  Proof.  Exchange.

Both sums are formed from their own terms: as a difference from the total the second would cancel.
"""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.workspace import shared
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.core.additive import position_weights


@shared
def worst_positions(work: Work) -> tuple[Array, Array]:
    """(least sum over the copies, largest over the others), each (v, n) over (query, c), for c = 0 ... n - 1."""
    n = work.network.n_ctx
    ordered = np.sort(position_weights(work)[:, : n - 1], axis=1) if n > 1 else None
    copies, others = [], []
    for c in range(n):
        copies.append(_sum(work, ordered, 0, n - 1 - c))
        others.append(_sum(work, ordered, n - 1 - c, n - 1))
    return np.stack(copies, axis=1), np.stack(others, axis=1)


def _sum(work: Work, ordered: Array | None, start: int, stop: int) -> Array:
    if ordered is None or start == stop:
        return work.constant(np.zeros(work.network.d_vocab))
    return ordered[:, start:stop].sum(axis=1)
