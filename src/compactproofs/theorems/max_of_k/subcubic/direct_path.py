"""Bounding the direct path: EU[q, o] = typical[o] + deviation[q, o].

Each choice below gives a vector `typical` of shape (v,) and numbers delta, shape (v, v) or broadcasting to it, with

    deviation[q, o] - deviation[q, m] <= delta[q, m]     for all q, m and o != m.

max_diff_exact.  typical = mean_q EU, and delta[q, m] = max_{o != m} deviation[q, o] - deviation[q, m], from EU itself.
    Cost O(v^2 d).

global_max_diff_exact.  The same, with the one number delta = max_q spread(deviation[q]).

mean_query+max_diff, svd_query+max_diff, max_diff.  typical = c U for a vector c, and
    delta[q] = sum_j |E_q[q, j] - c[j]| spread(U[j]).  Proof: deviation = (E_q - 1 c) U, and the product lemma of
    `spread`.  c is the mean row of E_q; or any hinted vector (the paper: the top right singular vector of E_q
    scaled by the mean projection onto it); or 0.  Cost O(v d).

Source: appendix on the direct path in arXiv 2406.11779; taking the mean out of the exact choices, and delta for each
m instead of the row's spread, is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.core.additive import max_of_others
from compactproofs.theorems.max_of_k.subcubic.hints import HintedVector
from compactproofs.theorems.max_of_k.subcubic.spread import row_spread

EXACT_KINDS = ("max_diff_exact", "global_max_diff_exact")
FACTORED_KINDS = ("mean_query+max_diff", "svd_query+max_diff", "max_diff")
KINDS = EXACT_KINDS + FACTORED_KINDS


class DirectPath(NamedTuple):
    """`typical`, shape (v,) over outputs; `delta`, shape (v, v), (v, 1) or (1, 1) over (query, maximum)."""

    typical: Array
    delta: Array


@shared
def direct_path(work: Work, kind: str, centre: HintedVector | None) -> DirectPath:
    """The direct path by one of `KINDS`; `centre`, with d entries, is used by svd_query+max_diff only."""
    if kind in EXACT_KINDS:
        typical = circuits.EU(work).mean(axis=0)
        deviation = circuits.EU(work) - typical
        if kind == "max_diff_exact":
            return DirectPath(typical, max_of_others(deviation) - deviation)
        return DirectPath(typical, row_spread(deviation).max()[None, None])
    query = circuits.query_embedding(work)
    if kind == "max_diff":
        return DirectPath(work.constant(np.zeros(work.network.d_vocab)), _factored(work, query))
    if kind == "svd_query+max_diff" and centre is not None:
        vector = centre.lift(work)
    elif kind == "mean_query+max_diff":
        vector = query.mean(axis=0)
    else:
        raise ValueError(f"unknown direct path {kind!r}")
    return DirectPath((vector[None, :] @ work.weight("W_U"))[0], _factored(work, query - vector))


@shared
def _unembedding_spread(work: Work) -> Array:
    return row_spread(work.weight("W_U"))


def _factored(work: Work, rows: Array) -> Array:
    return (np.abs(rows) @ _unembedding_spread(work))[:, None]
