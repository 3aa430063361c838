"""The tables from which margins are bounded, with common parts moved and scores taken relative to the maximum.

For a query q, a maximum m and a wrong output o, divide the additive margin (`lemmas.additive`) by the attention weight
that a token m has at the least attended of the first n - 1 positions.  Since sums of weights times a constant may be
moved freely between the three paths, an input x with x_n = q is right about o if and only if, with X_D[r] standing
for X[r, m] - X[r, o],

    sum_p rho[q, p] w(x_p) ( value_D[x_p] + direct_D[q] + position_D[p] ) > 0,

    value    = EVOU + mean_q EU + mean_p PVOU,   direct = EU - mean_q EU,   position = PVOU - mean_p PVOU,
    rho[q,p] = exp(EQKP[q, p] - min_{p < n} EQKP[q, p]),  at least 1 for p < n,
    w(t)     = exp(EQKE[q, t] - EQKE[q, m]),  which is 1 for t = m.

Proof.  For each output the three added constants are the same on both sides of the bracket: value gains what direct and
position lose, and the sum over p of rho w (constant) cancels because every term carries the same bracket.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs import circuits
from compactproofs.arrays import Array
from compactproofs.workspace import Workspace, shared


class MarginTables(NamedTuple):
    """Enclosed or bounded tables; where a table is known exactly its two bounds are the same array.

    score_high, score_low: at least and at most EQKE up to a constant for each query, (v, v) over (query, token).
    direct_high, direct_low: at least and at most `direct`, (v, v) over (query, output).
    value (v, v) over (token, output); position (n, v) over (position, output); rho (v, n) over (query, position).
    """

    score_high: Array
    score_low: Array
    direct_high: Array
    direct_low: Array
    value: Array
    position: Array
    rho: Array


@shared
def exact_tables(work: Workspace) -> MarginTables:
    """All tables multiplied out."""
    EU, PVOU = circuits.EU(work), circuits.PVOU(work)
    typical, mean_position = EU.mean(axis=0), PVOU.mean(axis=0)
    direct = EU - typical
    scores = circuits.EQKE(work)
    return MarginTables(
        score_high=scores,
        score_low=scores,
        direct_high=direct,
        direct_low=direct,
        value=circuits.EVOU(work) + (typical + mean_position),
        position=PVOU - mean_position,
        rho=relative_position_weights(work),
    )


@shared
def relative_position_weights(work: Workspace) -> Array:
    """rho, shape (v, n) over (query, position); needs n >= 2.  Cost about 3 v n."""
    scores = circuits.EQKP(work)
    return np.exp(scores - scores[:, :-1].min(axis=1, keepdims=True))
