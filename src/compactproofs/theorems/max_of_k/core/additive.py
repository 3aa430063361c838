"""The additive margin: without the softmax, a margin is a sum over positions of table entries.

Lemma.  Fix the query q and any real s, and put w(t, p) = exp(EQKE[q, t] + EQKP[q, p] - s) > 0.  For an input x with
x_n = q and outputs m and o,

    logit m > logit o  if and only if  sum_p w(x_p, p) ( EU_D[q] + EVOU_D[x_p] + PVOU_D[p] ) > 0,

where X_D[r] = X[r, m] - X[r, o].

Proof.  The attention to position p is w(x_p, p) / D with D = sum_p w(x_p, p) > 0, since a common factor exp(-s)
cancels in the softmax.  Attentions sum to 1, so the sum is D (logit m - logit o), and D > 0.

And the best other output, which margins are measured against: `max_of_others`.
"""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import Array, IntArray, midpoint
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.circuits import Work


@shared
def token_weights(work: Work) -> Array:
    """exp(EQKE[q, t] - s_q), shape (v, v) over (query, token), with s_q near the row's maximum.

    A factor exp(-s_q) common to a row changes no proof that multiplies by the softmax's denominator; s_q is a float,
    so it is the same number in every use.  It keeps exp from overflowing.  Cost 3 v^2.
    """
    scores = circuits.EQKE(work)
    shift = midpoint(scores.max(axis=1, keepdims=True))
    return np.exp(scores - np.where(np.isfinite(shift), shift, 0.0))


@shared
def position_weights(work: Work) -> Array:
    """exp(EQKP[q, p]), shape (v, n) over (query, position).  Cost v n."""
    return np.exp(circuits.EQKP(work))


def other_outputs(work: Work, m: int) -> IntArray:
    """The outputs o != m in order, shape (v - 1,)."""
    return np.delete(np.arange(work.network.d_vocab), m)


def values_of_maximum(work: Work, m: int, outputs: IntArray) -> Array:
    """EVOU_D[t] + PVOU_D[p] for tokens t <= m, shape (n, m + 1, outputs) over (position, token, output)."""
    tokens, positions = circuits.EVOU(work)[: m + 1], circuits.PVOU(work)
    return (tokens[:, m, None] - tokens[:, outputs]) + (positions[:, m, None] - positions[:, outputs])[:, None, :]


def additive_terms(work: Work, query: int, m: int, outputs: IntArray, values: Array) -> Array:
    """The terms of the lemma for one query and inputs of maximum m, shape (n, m + 1, outputs) like `values`.

    `values`: `values_of_maximum(work, m, outputs)`, which queries may share.  Cost 2 n m for each output.
    """
    direct = circuits.EU(work)[query]
    weights = position_weights(work)[query][:, None] * token_weights(work)[query, : m + 1]
    return weights[:, :, None] * (values + (direct[m] - direct[outputs]))


def max_of_others(table: Array) -> Array:
    """For each entry of each row, the maximum of the row's *other* entries.

    `table`: shape (r, v) with v >= 2.  Returns shape (r, v), entry [i, m] = max over o != m of table[i, o].

    Proof.  The others are those before m and those after m; a running maximum from the left and one from the right
    hold the maxima of both groups, and at the ends one group is empty.  Cost 3 r v instead of r v^2.
    """
    before = np.maximum.accumulate(table, axis=1)[:, :-1]
    after = np.flip(np.maximum.accumulate(np.flip(table, axis=1), axis=1), axis=1)[:, 1:]
    return np.concatenate([after[:, :1], np.maximum(before[:, :-1], after[:, 1:]), before[:, -1:]], axis=1)
