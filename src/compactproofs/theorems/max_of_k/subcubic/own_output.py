"""What attending to the maximum does, as a few straight lines in the attention.

For a maximum m, a vector `typical` and attention a in [0, 1] to m, let

    phi_m(a) = max_{o != m} ( typical[o] - typical[m] + max_p (PVOU[p, o] - PVOU[p, m]) + a (EVOU[m, o] - EVOU[m, m]) ).

Each choice gives lines with phi_m(a) <= max_j ( intercept[j, m] + a slope[j, m] ) for all a in [0, 1].

mean_query+diff (the chord bound).  At nodes 0 = t_0 < ... < t_r = 1, line j passes through phi_m at t_j and t_{j+1}.
    Proof: phi_m is a maximum of affine functions, so it is convex, and on [t_j, t_{j+1}] it lies below its chord.
    The paper takes one average attention for all queries here, with a correction that is not an upper bound; the
    chords need no average.  Cost O(v^2) for each node.

drop_average_query_per_output_logit_reasoning.  One line: the maximum over o of the constants plus a times the maximum
    over o of the slopes.  Proof: a >= 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, max_where
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.subcubic.direct_path import direct_path
from compactproofs.theorems.max_of_k.subcubic.hints import HintedVector

KINDS = ("mean_query+diff", "drop_average_query_per_output_logit_reasoning")
SEGMENTS = 4


class Lines(NamedTuple):
    """Affine upper bounds, both of shape (lines, v) over (line, maximum)."""

    intercept: Array
    slope: Array


@shared
def own_output(work: Work, kind: str, direct_kind: str, centre: HintedVector | None) -> Lines:
    """The lines of one of `KINDS` for the `typical` vector of this direct path."""
    typical = direct_path(work, direct_kind, centre).typical
    others = ~np.eye(work.network.d_vocab, dtype=bool)
    constants = worst_position(work) + (typical - typical[:, None])
    if kind == "drop_average_query_per_output_logit_reasoning":
        return Lines(max_where(constants, others, 1)[None], max_where(_copying(work), others, 1)[None])
    if kind != "mean_query+diff":
        raise ValueError(f"unknown treatment of attention {kind!r}")
    nodes = [j / SEGMENTS for j in range(SEGMENTS + 1)]
    values = np.stack([max_where(constants + node * _copying(work), others, 1) for node in nodes])
    slope = (values[1:] - values[:-1]) * float(SEGMENTS)
    return Lines(values[:-1] - work.constant(nodes[:-1])[:, None] * slope, slope)


@shared
def worst_position(work: Work) -> Array:
    """max_p (PVOU[p, o] - PVOU[p, m]), shape (v, v) over (maximum, output)."""
    positions = circuits.PVOU(work)
    return (positions[:, None, :] - positions[:, :, None]).max(axis=0)


@shared
def _copying(work: Work) -> Array:
    """EVOU[m, o] - EVOU[m, m], shape (v, v) over (maximum, output)."""
    table = circuits.EVOU(work)
    return table - np.diagonal(table)[:, None]
