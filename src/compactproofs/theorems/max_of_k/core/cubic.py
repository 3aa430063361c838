"""The cubic strategy: one token stands for all non-maxima, and positions are taken at their worst.

Write v tokens, K = n positions, w(q, t) = exp(EQKE[q, t] - s_q) and e(q, p) = exp(EQKP[q, p]), so that the attention
from query q to token t at position p is proportional to w(q, t) e(q, p) > 0.  For outputs o != m let

    PV[m, o] = max_p ( PVOU[p, o] - PVOU[p, m] )
    A[t, m]  = max_{o != m} ( EVOU[t, o] - EVOU[t, m] + PV[m, o] )
    B[q, m]  = max_{o != m} ( EU[q, o] - EU[q, m] )
    f(q, m, t) = w(q, t) (B[q, m] + A[t, m]).

Classes.  The inputs with query q, maximum m, and exactly c of the first n - 1 positions holding a non-maximum; the
other n - 1 - c of these hold m.  Such inputs exist if q = m and c <= n - 1, or q < m and c <= n - 2.

Theorem (c >= 1).  Let S run over the two sets of n - 1 - c positions among the first n - 1 with the smallest and with
the largest e(q, .), T be the remaining c of these positions, and e(S), e(T) the sums of e(q, .).  Call k < m good if
for both choices of S

    e(S) f(q, m, m) + e(q, n) f(q, m, q) + e(T) f(q, m, k) < 0.

Then every input of the class whose non-maxima among the first n - 1 positions are all good is answered correctly.

Proof.  Let x be such an input, S' the positions of m and T' those of the good tokens among the first n - 1, and
D = sum_p w(q, x_p) e(q, p) > 0.  For o != m, using that attentions sum to 1 and are positive,

    logit o - logit m  <=  B[q, m] + sum_p a_p A[x_p, m]  =  (1/D) sum_p e(q, p) f(q, m, x_p)
                        =  (1/D) ( e(S') f(q, m, m) + e(q, n) f(q, m, q) + sum_{p in T'} e(q, p) f(q, m, x_p) ).

The last bracket is the average, with weights e(q, p) / e(T') over p in T', of the numbers
g(k) = e(S') f(q, m, m) + e(q, n) f(q, m, q) + e(T') f(q, m, k) at k = x_p.  For fixed k this is affine in e(S'),
since e(S') + e(T') is the same for every S', and e(S') lies between its values for the two extreme sets; there it is
negative because k is good.  So every g(x_p) < 0, their average is negative, and logit o < logit m.

Positions T are summed directly; as the total minus e(S) they would cancel.  e(T) > 0, so both conditions together
say f(q, m, k) < threshold(q, m) = the smaller of -(e(S) f(q, m, m) + e(q, n) f(q, m, q)) / e(T).

Theorem (c = 0).  Here the attention is known: the input is answered correctly if for every o != m

    sum_p u_p (EU[q, o] + EVOU[x_p, o] + PVOU[p, o])  <  the same at m,   u_p = w(q, x_p) e(q, p).

Proof.  The additive margin (`additive`).

Counting.  Classes are disjoint.  With G good tokens a class contributes C(n - 1, c) G^c inputs (c >= 1), or 1 (c = 0).
With weights of tokens (`tasks.weights`) it contributes C(n - 1, c) w_q w_m^(n-1-c) G^c, where G is the weight of all
good tokens.

The relaxations are those of the paper (section 4.2 and appendix of arXiv 2406.11779, with attention to the
non-maximum where its first implementation used attention to the query).  Multiplying by the denominator D costs no
tightness, and turns O(v^3 K^2) divisions into one comparison for each (q, m, k, c).  Cost O(v^3 K).
"""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import Array, certainly_positive, max_where
from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import ORDERS, sum_of_choices
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.core.additive import max_of_others, position_weights, token_weights


def bound(work: Work, hints: Hints) -> int:
    """Certified inputs, summed over the maximum m."""
    n, v = work.network.n_ctx, work.network.d_vocab
    direct = circuits.EU(work)
    lead_direct = max_of_others(direct) - direct
    certified = 0
    for m in range(v):
        certified += _only_maxima_and_query(work, m)
        if m > 0 and n > 1:
            f = token_weights(work)[: m + 1, : m + 1] * (lead_direct[: m + 1, m, None] + _lead_of_tokens(work, m))
            certified += _with_other_tokens(work, m, f)
    return certified


def _lead_of_tokens(work: Work, m: int) -> Array:
    """A[t, m] for the tokens t <= m, shape (m + 1,)."""
    positions = circuits.PVOU(work)
    worst_position = (positions - positions[:, m, None]).max(axis=0)
    tokens = circuits.EVOU(work)[: m + 1]
    return max_where(tokens + worst_position, np.arange(work.network.d_vocab) != m, axis=1) - tokens[:, m]


def _with_other_tokens(work: Work, m: int, f: Array) -> int:
    """Certified inputs with maximum m and c >= 1.  `f`: f(q, m, t), shape (m + 1, m + 1) over (query, token)."""
    n = work.network.n_ctx
    weights = position_weights(work)[: m + 1]
    ordered = np.sort(weights[:, : n - 1], axis=1)
    of_query = weights[:, n - 1] * np.diagonal(f)
    certified = 0
    for c in range(1, n):
        queries = slice(0, m + 1) if c <= n - 2 else slice(m, m + 1)
        thresholds = []
        for chosen, rest in (
            (ordered[queries, : n - 1 - c], ordered[queries, n - 1 - c :]),
            (ordered[queries, c:], ordered[queries, :c]),
        ):
            of_maximum = chosen.sum(axis=1) * f[queries, m]
            thresholds.append(-(of_maximum + of_query[queries]) / rest.sum(axis=1))
        threshold = np.minimum(*thresholds)
        good = certainly_positive(threshold[:, None] - f[queries, :m])
        work.charge(int_ops=good.size)
        counts = work.task.counts
        certified += sum_of_choices(good @ counts[:m], n - 1, c, counts[queries], counts[m])
    return certified


def _only_maxima_and_query(work: Work, m: int) -> int:
    """Certified inputs with maximum m and c = 0, one for each query q <= m (only q = m if n = 1)."""
    n = work.network.n_ctx
    queries = slice(0, m + 1) if n > 1 else slice(m, m + 1)
    weights, tokens = position_weights(work)[queries], token_weights(work)[queries]
    own_weight = np.diagonal(token_weights(work))[queries]
    of_maximum = weights[:, : n - 1] * tokens[:, m, None]
    of_query = weights[:, n - 1] * own_weight
    total = of_maximum.sum(axis=1)
    EVOU = circuits.EVOU(work)
    sums = (
        (total + of_query)[:, None] * circuits.EU(work)[queries]
        + total[:, None] * EVOU[m]
        + of_query[:, None] * EVOU[queries]
        + np.concatenate([of_maximum, of_query[:, None]], axis=1) @ circuits.PVOU(work)
    )
    rivals = max_where(sums, np.arange(work.network.d_vocab) != m, axis=1)
    right = certainly_positive(sums[:, m] - rivals)
    work.charge(int_ops=right.size)
    counts = work.task.counts
    return sum_of_choices(np.zeros(1, np.int64), n - 1, 0, counts[queries][right], counts[m])


CUBIC = Strategy(
    id="cubic",
    theorem="max-of-k/cubic@1",
    family=AttentionOnly.family,
    tasks=ORDERS,
    bound=bound,
)
