"""The tables from which margins are bounded, with common parts moved and scores taken relative to the maximum.

For a query q, a maximum m and a wrong output o, divide the sum of the additive margin (`core.additive`) by the
weight exp(EQKE[q, m] + min_{p < n} EQKP[q, p]) that a token m has at the least attended of the first n - 1 positions.
So, with X_D[r] standing for X[r, m] - X[r, o], an input x with x_n = q has logit m > logit o if and only if

    sum_p rho[q, p] w(x_p) ( value_D[x_p] + direct_D[q] + position_D[p] ) > 0,

    value    = EVOU + mean_q EU + mean_p PVOU,   direct = EU - mean_q EU,   position = PVOU - mean_p PVOU,
    rho[q,p] = exp(EQKP[q, p] - min_{p < n} EQKP[q, p]),  at least 1 for p < n,
    w(t)     = exp(EQKE[q, t] - EQKE[q, m]),  which is 1 for t = m.

Proof.  The means depend on the output alone, and value has more by them what direct and position have less, so each
bracket is EVOU_D[x_p] + EU_D[q] + PVOU_D[p].  Dividing by a positive number changes no sign.

Bounds.  Of the scores and of the direct path no more need be known than upper and lower bounds, up to a constant for
each query.  Let there be numbers s_q and d_q, which may be anything, such that for all queries, tokens and outputs

    score_low[q, t]  <=  EQKE[q, t] + s_q   <=  score_high[q, t],
    direct_low[q, o] <=  direct[q, o] + d_q <=  direct_high[q, o].

Lemma (one query).  Whatever s_q and d_q are, for all tokens t and outputs m and o

    exp(score_low[q, t] - score_high[q, m])  <=  w(t)  <=  exp(score_high[q, t] - score_low[q, m]),
    direct[q, m] - direct[q, o]  >=  direct_low[q, m] - direct_high[q, o].

Proof.  The constant of q is the same in both terms of a difference and cancels.

Lemma (many queries).  Whatever the constants are, for every set Q of queries and each q in Q

    w(t)  <=  exp( max_{r in Q} (score_high[r, t] - score_low[r, m]) ),
    direct[q, m] - direct[q, o]  >=  min_{r in Q} (direct_low[r, m] - direct_high[r, o])
                                 >=  min_{r in Q} direct_low[r, m] - max_{r in Q} direct_high[r, o].

Proof.  The lemma before, since a maximum over Q is at least, and a minimum at most, its term for q; and each term
direct_low[r, m] - direct_high[r, o] is at least the last difference.

That last difference takes rows of different queries, so other constants give another number.  It is a lower bound for
all of them; how good it is depends on them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, IntArray
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.failing_sets.low_rank import Bounds, Entries


class MarginTables(NamedTuple):
    """Tables, or bounds of them; where a table is known exactly its two bounds are the same array.

    score_high, score_low: at least and at most EQKE plus a constant s_q for each query, (v, v) over (query, token).
    direct_high, direct_low: at least and at most `direct` plus a constant d_q for each query, over (query, output).
    value (v, v) over (token, output); position (n, v) over (position, output); rho (v, n) over (query, position).
    scores, directs: single entries of the tables that are only bounded, EQKE plus s_q and `direct` plus d_q with the
    same constants, where available: they may stand for either bound.
    """

    score_high: Array
    score_low: Array
    direct_high: Array
    direct_low: Array
    value: Array
    position: Array
    rho: Array
    scores: Entries | None = None
    directs: Entries | None = None

    @property
    def has_entries(self) -> bool:
        """Whether some entries are known better than their bounds."""
        return self.scores is not None or self.directs is not None

    def best_scores(self, queries: IntArray, tokens: IntArray) -> Bounds:
        """The best bounds of the scores of these pairs (arrays of one shape), computing entries where possible."""
        if self.scores is None:
            return _at(self.score_high, self.score_low, queries, tokens)
        entries = self.scores.at(queries, tokens)
        return Bounds(entries, entries)

    def best_directs(self, queries: IntArray, outputs: IntArray) -> Bounds:
        """The same for the direct path."""
        if self.directs is None:
            return _at(self.direct_high, self.direct_low, queries, outputs)
        entries = self.directs.at(queries, outputs)
        return Bounds(entries, entries)


def _at(high: Array, low: Array, rows: IntArray, columns: IntArray) -> Bounds:
    entries = high[rows, columns]
    return Bounds(entries, entries if low is high else low[rows, columns])


@shared
def exact_tables(work: Work) -> MarginTables:
    """All tables multiplied out."""
    scores = circuits.EQKE(work)
    return margin_tables(work, Bounds(scores, scores), exact_direct(work), relative_position_weights(work))


class Direct(NamedTuple):
    """The direct path less its mean over queries: the mean, and bounds up to a constant for each query."""

    typical: Array
    bounds: Bounds
    entries: Entries | None = None


@shared
def exact_direct(work: Work) -> Direct:
    """The direct path multiplied out.  Cost 2 v^2 d."""
    EU = circuits.EU(work)
    typical = EU.mean(axis=0)
    direct = EU - typical
    return Direct(typical, Bounds(direct, direct))


def margin_tables(
    work: Work, scores: Bounds, direct: Direct, rho: Array, entries: Entries | None = None
) -> MarginTables:
    """The tables from bounds of the scores and of the direct path; everything else is multiplied out."""
    PVOU = circuits.PVOU(work)
    mean_position = PVOU.mean(axis=0)
    return MarginTables(
        score_high=scores.high,
        score_low=scores.low,
        direct_high=direct.bounds.high,
        direct_low=direct.bounds.low,
        value=circuits.EVOU(work) + (direct.typical + mean_position),
        position=PVOU - mean_position,
        rho=rho,
        scores=entries,
        directs=direct.entries,
    )


@shared
def relative_position_weights(work: Work) -> Array:
    """rho, shape (v, n) over (query, position); needs n >= 2.  Cost about 3 v n."""
    return relative_weights(circuits.EQKP(work))


def relative_weights(scores: Array) -> Array:
    """rho from EQKP."""
    return np.exp(scores - scores[:, :-1].min(axis=1, keepdims=True))
