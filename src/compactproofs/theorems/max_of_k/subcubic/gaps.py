"""The sub-cubic family: 5 x 2 x 10 strategies, each three independent relaxations.

Write v tokens, n = K positions, q = x_n for the query and m for the maximum.  The three choices give

* a direct path (`direct_path`): a vector `typical` and delta with, for o != m,
      EU[q, o] - EU[q, m]  <=  delta[q, m] + typical[o] - typical[m];
* lines (`own_output`): for every a in [0, 1] and o != m,
      typical[o] - typical[m] + max_p (PVOU[p, o] - PVOU[p, m]) + a (EVOU[m, o] - EVOU[m, m])
        <=  max_j ( intercept[j, m] + a slope[j, m] );
* scores (`remainder`): approximation and spread with, for all k,
      EQKE[q, k] - EQKE[q, m]  <=  approximation[q, k] - approximation[q, m] + spread[q].

Besides, with rival[k, m] = max_{o != m} EVOU[k, o] - EVOU[k, m], let others[m, l] = max_{k <= l} rival[k, m].

Classes.  The inputs with query q, maximum m, exactly c of the first n - 1 positions holding a token other than m, and
these tokens all at most l = m - g, for a hinted gap g.  They exist if q = m and c <= n - 1, or q < m and c <= n - 2.

Theorem.  Let S and T be the least sum over n - 1 - c positions among the first n - 1, and the largest over c, of
e(q, p) = exp(EQKP[q, p]) (`extreme_positions`), and for each line j, with base = delta[q, m] + intercept[j, m],

    F_m = base + slope[j, m]
    F_q = max(base + rival[q, m], 0),    w_q = exp(approximation[q, q] - approximation[q, m] + spread[q])
    F_k = max(base + others[m, l], 0),   w_k = exp(max_{k <= l} approximation[q, k] - approximation[q, m] + spread[q]).

If for every line j    S F_m + e(q, n) w_q F_q + T w_k F_k < 0    (for q = m with F_m in place of w_q F_q, and without
the last term for c = 0), then every input of the class is answered correctly.

Proof.  Let x be such an input, a_p its attentions, a_m the sum of those to tokens m, and o != m.  The choices give

    logit o - logit m
      <=  delta[q, m] + max_j (intercept[j, m] + a_m slope[j, m]) + sum_{p: x_p != m} a_p rival[x_p, m],

since positions contribute at most max_p (PVOU[p, o] - PVOU[p, m]) as attentions sum to 1.  So for some j, and using
sum_p a_p = 1 again, it is at most sum_p a_p G_p with G_p = base + slope[j, m] = F_m where x_p = m, and
G_p = base + rival[x_p, m] elsewhere.  Multiply by the softmax denominator over exp(EQKE[q, m] - s): a_p becomes
e(q, p) for x_p = m, and e(q, p) exp(EQKE[q, x_p] - EQKE[q, m]) elsewhere, where the exponential is at most w_q at the
query (if q < m) and at most w_k at the c other positions.  There G_p is at most F_q and F_k, which are not negative.
With S' and T' the sums of e(q, .) for this input, the sum is therefore at most
S' F_m + e(q, n) w_q F_q + T' w_k F_k.  The condition can hold only if F_m < 0 (S >= 0, and the other terms are not
negative; for q = m, (S + e(q, n)) F_m < 0).  Then S' >= S and T' <= T give the condition's left side as an upper
bound, which is negative.  So logit o < logit m.  For c = 0 there are no other positions and T' = 0.

Hints.  The gap of each class, and directions and a centre for the low-rank choices; nothing is assumed of them.  A gap
that is not in 1 ... m makes no claim.  Classes with equal (q, m, c) are not added up: there is one gap for each.

Counting.  A class contributes C(n - 1, c) (m - g + 1)^c inputs, and 1 for c = 0.  Classes are disjoint.

Source: section 4.3 of arXiv 2406.11779.  Different from it, and why: the chord bound replaces an average attention
whose correction is not an upper bound; the query is its own known token, and the gap limits only the others; the
direct path and the other tokens are bounded for each m; m - g + 1 tokens are counted instead of m - g.  Tokens and
queries that pull towards m are counted as 0 instead of as help: this replaces two ends of the attention by one.  The
inputs (m, ..., m) are a class like any other instead of being done as in the cubic strategy.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array, BoolArray, IntArray, certainly_positive
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import ORDERS, MaxOfK, sum_of_choices
from compactproofs.theorems.max_of_k import MaxProblem, Work
from compactproofs.theorems.max_of_k.core.additive import max_of_others, position_weights
from compactproofs.theorems.max_of_k.subcubic import direct_path, own_output, remainder
from compactproofs.theorems.max_of_k.subcubic.extreme_positions import worst_positions
from compactproofs.theorems.max_of_k.subcubic.hints import HintedVector
from compactproofs.theorems.max_of_k.subcubic.remainder import Directions


class Choice(NamedTuple):
    """One strategy of the family."""

    direct: str
    attention: str
    remainder: str

    @property
    def id(self) -> str:
        """The strategy's id."""
        return f"sub-cubic/{self.direct}/{self.attention}/{self.remainder}"


def pairs(v: int) -> tuple[IntArray, IntArray]:
    """All (q, m) with q <= m, ordered by m, then q: the rows of the gap hint."""
    m, q = np.tril_indices(v)
    return q, m


class Classes:
    """What the condition needs of every class, before a gap is chosen; arrays over (pair, c, line)."""

    def __init__(self, work: Work, choice: Choice, hints: Hints) -> None:
        centre = HintedVector.of(hints["centre"]) if "centre" in hints else None
        delta = direct_path.direct_path(work, choice.direct, centre).delta
        lines = own_output.own_output(work, choice.attention, choice.direct, centre)
        self._scores = _score_tables(work, choice.remainder, directions_of(hints))
        self._q, self._m = q, m = pairs(work.network.d_vocab)
        self._others = _others(work)
        self._base = np.broadcast_to(delta, (work.network.d_vocab,) * 2)[q, m][:, None] + lines.intercept.T[m]
        own = self._base + lines.slope.T[m]
        pull = np.maximum(self._base + _rival(work)[q, m][:, None], 0.0)
        last = position_weights(work)[:, -1][q][:, None]
        of_query = last * np.where((q == m)[:, None], own, self._scores.of_query[q, m][:, None] * pull)
        least, self._largest = worst_positions(work)
        self._fixed = least[q][:, :, None] * own[:, None, :] + of_query[:, None, :]

    def without_others(self) -> BoolArray:
        """Which classes with c = 0 are certified, shape (pairs,)."""
        return np.asarray(certainly_positive(-self._fixed[:, 0]).all(axis=1))

    def with_others(self, gap: IntArray) -> BoolArray:
        """Which classes with c >= 1 are certified at these gaps, both of shape (pairs, n - 1); 1 <= gap <= m."""
        q, m = self._q[:, None], self._m[:, None]
        pull = np.maximum(self._base[:, None, :] + self._others[m, m - gap][:, :, None], 0.0)
        weight = self._largest[:, 1:][self._q] * np.exp(self._scores.running[q, m - gap] + self._scores.against[q, m])
        return np.asarray(certainly_positive(-(self._fixed[:, 1:] + weight[:, :, None] * pull)).all(axis=2))


def possible_gaps(task: MaxOfK, gap: npt.NDArray[Any]) -> tuple[BoolArray, IntArray]:
    """Which classes with c >= 1 exist and have a gap in 1 ... m, and the gaps, with 1 where there is none."""
    q, m = pairs(task.d_vocab)
    c = np.arange(1, task.n_ctx)
    wide = gap.astype(np.int64)
    allowed = (wide >= 1) & (wide <= m[:, None]) & (c <= np.where(q == m, task.n_ctx - 1, task.n_ctx - 2)[:, None])
    # Pairs with m = 0 have no gap; gap 0 keeps their index m - gap in range, and they are not allowed.
    return allowed, np.where(allowed, wide, np.minimum(m[:, None], 1))


def _bound(work: Work, choice: Choice, hints: Hints) -> int:
    task = work.task
    classes = Classes(work, choice, hints)
    q, m = pairs(task.d_vocab)
    alone = classes.without_others() & ((q == m) | (task.n_ctx > 1))
    counts = task.counts
    certified = sum_of_choices(np.zeros(1, np.int64), task.n_ctx - 1, 0, counts[q[alone]], counts[m[alone]])
    work.charge(int_ops=alone.size)
    if task.n_ctx > 1:
        allowed, gap = possible_gaps(task, hints["gap"])
        good = allowed & classes.with_others(gap)
        work.charge(int_ops=3 * good.size)
        tokens = m[:, None] - gap + 1
        of_first = np.append(0, counts.cumsum())
        for c in range(1, task.n_ctx):
            here = good[:, c - 1]
            others = of_first[tokens[here, c - 1]]
            certified += sum_of_choices(others, task.n_ctx - 1, c, counts[q[here]], counts[m[here]])
    return certified


class _ScoreTables(NamedTuple):
    running: Array  # (v, v): max over k <= l of approximation[q, k], over (q, l)
    against: Array  # (v, v): spread[q] - approximation[q, m], over (q, m)
    of_query: Array  # (v, v): w_q, over (q, m)


@shared
def _score_tables(work: Work, kind: str, directions: Directions | None) -> _ScoreTables:
    approximation, spread = remainder.scores(work, kind, directions)
    against = spread[:, None] - approximation
    of_query = np.exp(np.diagonal(approximation)[:, None] + against)
    return _ScoreTables(np.maximum.accumulate(approximation, axis=1), against, of_query)


@shared
def _rival(work: Work) -> Array:
    """max_{o != m} EVOU[k, o] - EVOU[k, m], shape (v, v) over (k, m)."""
    table = circuits.EVOU(work)
    return max_of_others(table) - table


@shared
def _others(work: Work) -> Array:
    """The largest rival among the tokens up to l, shape (v, v) over (m, l)."""
    return np.maximum.accumulate(_rival(work), axis=0).T


def directions_of(hints: Hints) -> Directions | None:
    """The directions among the hints; None where a strategy needs none."""
    names = [name for name in Directions._fields if name in hints]
    return Directions(*(HintedVector.of(hints[name]) for name in names)) if names else None


def _hints(choice: Choice, problem: MaxProblem) -> dict[str, HintSpec]:
    n, v, d = problem.task.n_ctx, problem.task.d_vocab, problem.network.width
    result = {"gap": HintSpec(np.uint8 if v <= 256 else np.uint16, (v * (v + 1) // 2, n - 1))}
    if choice.direct == "svd_query+max_diff":
        result["centre"] = HintSpec(np.float64, (d,))
    if choice.remainder != remainder.EXACT:
        result["query"] = result["key"] = HintSpec(np.float64, (v,))
    if "subproduct" in choice.remainder:
        result["second_query"] = result["second_key"] = HintSpec(np.float64, (v,))
        result["of_Q"] = result["of_K"] = HintSpec(np.float64, (d,))
    return result


CHOICES = {
    choice.id: choice for choice in (Choice(*c) for c in product(direct_path.KINDS, own_output.KINDS, remainder.KINDS))
}


def _strategy(choice: Choice) -> Strategy:
    return Strategy(
        id=choice.id,
        theorem="max-of-k/sub-cubic@1",
        family=AttentionOnly.family,
        tasks=ORDERS,
        bound=lambda work, hints: _bound(work, choice, hints),
        hints=partial(_hints, choice),
    )


SUBCUBIC = [_strategy(choice) for choice in CHOICES.values()]
