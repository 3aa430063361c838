"""The cubic strategy for several heads: each head at its worst by itself, and sets of tokens that no head minds.

The classes are those of `core.cubic`: query q, maximum m, and exactly c of the first n - 1 positions without m.  With
w^h, e^h and the tables of each head as in `averages`, and outputs o != m, let

    B[q, m]   = max_o ( EU[q, o] - EU[q, m]
                        + sum_h ( EVOU^h[m, o] - EVOU^h[m, m] + max_p ( PVOU^h[p, o] - PVOU^h[p, m] ) ) )
    A^h[t, m] = max_o ( (EVOU^h[t, o] - EVOU^h[t, m]) - (EVOU^h[m, o] - EVOU^h[m, m]) ),        so A^h[m, m] = 0.

For c >= 1 let S run over the two sets of n - 1 - c of the first n - 1 positions with the smallest and with the largest
e^h(q, .), T be the remaining c, e^h(S) and e^h(T) the sums of e^h(q, .), and for k < m

    r^h(k) = max_S  (                        e^h(q, n) w^h(q, q) A^h[q, m] + e^h(T) w^h(q, k) A^h[k, m] )
                  / ( e^h(S) w^h(q, m)     + e^h(q, n) w^h(q, q)           + e^h(T) w^h(q, k)           ).

Theorem (c >= 1).  Let G be a set of tokens below m with B[q, m] + sum_h max_{k in G} r^h(k) < 0.  Then every input of
the class whose non-maxima among the first n - 1 positions are all in G is answered correctly.

Proof.  Let x be such an input, S' the positions of m and T' those of tokens of G among the first n - 1, and a^h the
attentions of head h, which are positive and add up to 1.  For o != m, by the lemma on averages,

    logit o - logit m  =  EU[q, o] - EU[q, m] + sum_h ( EVOU^h[m, o] - EVOU^h[m, m] )
                          + sum_h sum_p a^h_p ( PVOU^h[p, o] - PVOU^h[p, m] )
                          + sum_h sum_p a^h_p ( (EVOU^h[x_p, o] - EVOU^h[x_p, m]) - (EVOU^h[m, o] - EVOU^h[m, m]) )
                      <=  B[q, m] + sum_h sum_p a^h_p A^h[x_p, m].

In the last sum positions of m add 0, so for one head it is a quotient Q / D, with D = sum_p e(q, p) w(q, x_p) and in
Q the terms e(q, p) w(q, x_p) A[x_p, m] of T' and of position n.  The pair (Q, D) is the average over p in T', with
weights e(q, p) / e(T'), of the numerator and the denominator of r for S = S' at k = x_p.  Denominators are positive, so
Q / D is at most the largest of these quotients.  For fixed k such a quotient changes with e(S') as a quotient of affine
functions with positive denominator does, since e(S') + e(T') is the same for every S': monotonically.  So it lies
between its values for the two extreme sets, and is at most r(k).  Hence Q^h / D^h <= max_{k in G} r^h(k).

What m itself writes is in B, with the direct path: there one output has to be the worst for all of it, while each A^h
may have an output of its own.

Which G.  Tokens are put in an order; G may be any number of the first ones, and the largest that the theorem allows is
taken.  The orders are by sum_h r^h, and by each r^h, computed roughly: any order proves what it proves.

Theorem (c = 0).  Here the attentions are known: the input is answered correctly if EU_D[q] + sum_h R^h_o > 0 for every
o != m.  Proof.  The lemma on averages.

Counting.  Classes are disjoint.  With G of g tokens a class contributes C(n - 1, c) g^c inputs (c >= 1), or 1 (c = 0);
with weights (`tasks.weights`) g is what the tokens of G count, and the query and each m count what they do.
Cost O(H v^3 n), and H + 1 sorts of v^2 n rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compactproofs.kernel.decisions import Array, IntArray, certainly_positive, max_where, midpoint
from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.tasks.max_of_k import ORDERS, sum_of_choices
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.core.additive import position_weights, token_weights
from compactproofs.theorems.max_of_k.heads.averages import HeadsWork, direct_path, heads


def bound(work: HeadsWork, hints: Hints) -> int:
    """Certified inputs, summed over the maximum m."""
    n, v, counts = work.network.n_ctx, work.network.d_vocab, work.task.counts
    certified = 0
    for m in range(v):
        certified += _only_maxima_and_query(work, m)
        if m > 0 and n > 1:
            lead = _lead_of_query(work, m)
            leads = [_lead_of_tokens(head, m) for head in heads(work)]
            for c in range(1, n):
                queries = np.arange(m + 1) if c <= n - 2 else np.array([m])
                worst = [_worst(head, m, c, queries, A) for head, A in zip(heads(work), leads, strict=True)]
                allowed = _allowed(work, lead[queries], worst)
                certified += sum_of_choices(allowed, n - 1, c, counts[queries], counts[m])
    return certified


def _lead_of_query(work: HeadsWork, m: int) -> Array:
    """B[q, m] for the queries q <= m, shape (m + 1,)."""
    direct = direct_path(work)[: m + 1]
    lead = direct - direct[:, m, None]
    for head in heads(work):
        token, positions = circuits.EVOU(head)[m], circuits.PVOU(head)
        lead = lead + ((token - token[m]) + (positions - positions[:, m, None]).max(axis=0))
    return max_where(lead, np.arange(work.network.d_vocab) != m, axis=1)


def _lead_of_tokens(work: Work, m: int) -> Array:
    """A[t, m] of one head for the tokens t <= m, shape (m + 1,); its last entry, which is 0, is not used."""
    tokens = circuits.EVOU(work)[: m + 1]
    lead = tokens - tokens[:, m, None]
    return max_where(lead - lead[m], np.arange(work.network.d_vocab) != m, axis=1)


def _worst(work: Work, m: int, c: int, queries: IntArray, lead: Array) -> Array:
    """r(k) of one head, shape (queries, m) over (query, token below m).  `lead`: A[t, m], shape (m + 1,)."""
    n = work.network.n_ctx
    places = position_weights(work)[queries]
    tokens = token_weights(work)[queries, : m + 1]
    ordered = np.sort(places[:, : n - 1], axis=1)
    of_query = (places[:, n - 1] * tokens[np.arange(len(queries)), queries])[:, None]
    at_query = of_query * np.where(queries < m, lead[queries], 0.0)[:, None]
    quotients: list[Any] = []
    for chosen, rest in (
        (ordered[:, : n - 1 - c], ordered[:, n - 1 - c :]),
        (ordered[:, c:], ordered[:, :c]),
    ):
        of_maximum = chosen.sum(axis=1, keepdims=True) * tokens[:, m:]
        of_token = rest.sum(axis=1, keepdims=True) * tokens[:, :m]
        quotients.append((at_query + of_token * lead[:m]) / (of_maximum + of_query + of_token))
    largest: Array = np.maximum(*quotients)
    return largest


def _allowed(work: HeadsWork, lead: Array, worst: list[Array]) -> IntArray:
    """What the tokens in G count for each query, shape (queries,).  `worst`: for each head, shape (queries, m)."""
    rough = [midpoint(r) for r in worst]
    with np.errstate(all="ignore"):
        keys = [np.sum(rough, axis=0), *rough] if len(worst) > 1 else rough
    best = np.zeros(len(lead), np.int64)
    for key in keys:
        order = np.argsort(key, axis=1, kind="stable")
        total = lead[:, None]
        for r in worst:
            total = total + np.maximum.accumulate(np.take_along_axis(r, order, axis=1), axis=1)
        allowed = certainly_positive(-total)
        work.charge(int_ops=2 * allowed.size)
        best = np.maximum(best, (allowed * work.task.counts[order].cumsum(axis=1)).max(axis=1))
    return best


def _only_maxima_and_query(work: HeadsWork, m: int) -> int:
    """Certified inputs with maximum m and c = 0, one for each query q <= m (only q = m if n = 1)."""
    n = work.network.n_ctx
    queries = np.arange(m + 1) if n > 1 else np.array([m])
    logits = direct_path(work)[queries]
    for head in heads(work):
        weights, tokens = position_weights(head)[queries], token_weights(head)[queries]
        of_maximum = weights[:, : n - 1] * tokens[:, m, None]
        of_query = weights[:, n - 1] * tokens[np.arange(len(queries)), queries]
        total = of_maximum.sum(axis=1)
        written = (
            total[:, None] * circuits.EVOU(head)[m]
            + of_query[:, None] * circuits.EVOU(head)[queries]
            + np.concatenate([of_maximum, of_query[:, None]], axis=1) @ circuits.PVOU(head)
        )
        logits = logits + written / (total + of_query)[:, None]
    rivals = max_where(logits, np.arange(work.network.d_vocab) != m, axis=1)
    right = certainly_positive(logits[:, m] - rivals)
    work.charge(int_ops=right.size)
    counts = work.task.counts
    return sum_of_choices(np.zeros(1, np.int64), n - 1, 0, counts[queries][right], counts[m])


HEADS_CUBIC = Strategy(
    id="heads/cubic",
    theorem="max-of-k/heads-cubic@1",
    family=ManyHeads.family,
    tasks=ORDERS,
    bound=bound,
)
