"""A subspace: embeddings by r coordinates, and all tables of queries, keys and outputs through these.

Hints: numbers A (v, r), C (n, r) and B (r, d), so that the embedding of token t is about A_t B and that of position p
about C_p B; and for each maximum m a number l_m of tokens.  Nothing is assumed of them.  Norms are those of `norms`, M
is Q K^T / sqrt(h), and E, P, V, O and U are the other weights.  Spread is the maximum of a row minus its minimum.

    omega = max_t |E[t] - A_t B| + max_p |P[p] - C_p B|                 what r dimensions leave out,
    z_q = (A_q + C_n) B M B^T                                           a query, by what it attends to,
    G[k, o] = A_k B V O U [o] + g[o],   g = (A^ + C_n) B U + C^ B V O U  a token, by what it writes,
    D[k, m] = max_{o != m} G[k, o] - G[k, m],

with the mean rows A^ and C^ of A and C.  Let x be an input with query q = x_n and maximum m, and a_p its attentions.

Lemma (scores).  With extent = (max_t |A_t| + max_p |C_p|) |B| and tau = 2 |Q| |K| omega (2 extent + omega) / sqrt(h),

    score(q, k at p) - score(q, m at p')  <=  z_q (A_k - A_m) + z_q (C_p - C_p') + tau.

Proof.  With X = (A_q + C_n) B and Y = (A_k - A_m + C_p - C_p') B the left side is (X + x) M (Y + y)^T where |X| and
|Y| / 2 are at most the extent, |x| <= omega and |y| <= 2 omega.  X M Y^T is what is on the right but for tau, and the
rest, X M y^T + x M (Y + y)^T, is at most |M| (2 omega extent + omega (2 extent + 2 omega)), with
|M| <= |Q| |K| / sqrt(h).

Lemma (logits).  For o != m,   logit o - logit m  <=  sum_p a_p D[x_p, m] + slack_q   with

    slack_q = sum_j |A_qj - A^_j| spread((B U)_j) + max_p sum_j |C_pj - C^_j| spread((B V O U)_j)
              + 2 omega (1 + |V| |O|) max_o |U_o|.

Proof.  As attentions sum to 1, the logits are, but for what the subspace leaves out,

    (A_q + C_n) B U + sum_p a_p (A_{x_p} + C_p) B V O U
        = sum_p a_p G[x_p] + (A_q - A^) B U + sum_p a_p (C_p - C^) B V O U.

Differences of two entries are at most D[x_p, m] in the first term.  In a combination of rows they are at most the same
combination of spreads with absolute values.  What is left out changes the stream by a vector of norm at most
omega + omega |V| |O|, of which U makes differences by columns U_o - U_m.

Lemma (attention).  Let `kappa` be the maximum over q of sum_p exp(z_q C_p - min_p' z_q C_p') - 1.  For l > 0, let

    rise = sum_j min over y of y (A_mj - A_{l-1,j}),   step_k = sum_j min over y of y (A_{k+1,j} - A_kj),

with y in [min_q z_qj, max_q z_qj], for the rise over queries q <= m.  If step_k >= 0 for all k < l - 1, the tokens of x
other than m are among 0 ... l - 1, and a is the attention to tokens m, then 1 - a <= kappa e^{tau - rise} a.

Proof.  As q <= m, z_q (A_m - A_{l-1}) is at least the rise, and z_q (A_{k+1} - A_k) at least step_k.  So
z_q (A_k - A_m) <= -rise for all k < l, as A_k - A_m is A_{l-1} - A_m less steps.  Let p' be a position that holds m.
By the lemma on scores the attentions of all positions that do not are together at most e^{tau - rise} times
sum_{p != p'} exp(z_q C_p - z_q C_p') <= kappa times that of p', which is at most a.

Theorem.  With slack = max_{q <= m} slack_q let

    F_m = D[m, m] + slack,   F_l = max_{k < l} D[k, m] + slack.

If l_m = l <= m, step_k > 0 for k < l - 1, and  F_m + kappa e^{tau - rise} max(F_l, 0) < 0  (for l = 0: F_m < 0), then
every input whose tokens are m at least once, and else among 0 ... l - 1, is answered correctly.  There are
(l + 1)^n - l^n of these; with weights of tokens (`tasks.weights`) they count (w_0 + ... + w_{l-1} + w_m)^n less
(w_0 + ... + w_{l-1})^n.

Proof.  For o != m, logit o - logit m <= sum_p a_p D[x_p, m] + slack <= a F_m + (1 - a) max(F_l, 0), by the lemma on
logits, where slack = a slack + (1 - a) slack.  By that on attention this is at most a times the left side of the
condition, and a > 0.  For l = 0, a = 1.

The cost is O((v + n) d r + d h r + v^2 r): of tables with v x v entries only G is multiplied out, in r dimensions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array, BoolArray, certainly_positive
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import ORDERS
from compactproofs.theorems.max_of_k import MaxProblem, Work
from compactproofs.theorems.max_of_k.core.additive import max_of_others
from compactproofs.theorems.max_of_k.few_dimensions.norms import longest, size


class Coordinates(NamedTuple):
    """The hints A, C and B: the token t is about at tokens[t] @ axes, the position p at positions[p] @ axes."""

    tokens: Array
    positions: Array
    axes: Array


class Room(NamedTuple):
    """What the theorem asks to be positive: step_k, and for each m less than 0 by how much the left side is."""

    steps: Array
    leads: Array


def bound(work: Work, hints: Hints) -> int:
    """Certified inputs, summed over the maximum m."""
    m, below = np.arange(work.network.d_vocab), hints["below"].astype(np.int64)
    allowed = below <= m
    below = np.where(allowed, below, 0)
    certain = allowed & holds(Subspace(work, coordinates_of(work, hints["coordinates"])).room(below), below)
    counts = work.task.counts
    up_to = np.append(0, counts.cumsum())[below].tolist()
    work.charge(int_ops=4 * len(m))
    n = work.network.n_ctx
    return sum((up_to[m] + int(counts[m])) ** n - up_to[m] ** n for m in np.flatnonzero(certain).tolist())


def holds(room: Room, below: npt.NDArray[np.int64]) -> BoolArray:
    """For which m the theorem's condition holds."""
    in_order = np.logical_and.accumulate(np.append([True, True], certainly_positive(room.steps)))
    return np.asarray(in_order[below] & certainly_positive(room.leads))


def coordinates_of(work: Work, hint: npt.NDArray[Any]) -> Coordinates:
    """A, C and the transpose of B, one under the other.

    Any numbers are allowed, so: entries that are NaN or infinite count as 0, no more than d columns are used, and no
    column is one column of zeros.
    """
    v, n, d = work.network.d_vocab, work.network.n_ctx, work.network.width
    columns = np.where(np.isfinite(hint), hint, 0.0)[:, :d]
    if columns.shape[1] == 0:
        columns = np.zeros((v + n + d, 1))
    return Coordinates(*map(work.constant, (columns[:v], columns[v : v + n], columns[v + n :].T)))


class Subspace:
    """What the condition needs of the network, before numbers of tokens are chosen; names are those of the theorem."""

    def __init__(self, work: Work, coordinates: Coordinates) -> None:
        self._A, C, B = coordinates
        E, P, Q, K, V, W_O, U = map(work.weight, ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U"))
        omega = longest(E - self._A @ B) + longest(P - C @ B)
        root = np.sqrt(work.constant(work.network.d_head))
        extent = (longest(self._A) + longest(C)) * size(B)
        self._tau = 2.0 * (size(Q) * size(K) / root) * omega * (2.0 * extent + omega)

        z = (self._A + C[-1]) @ (((B @ Q) / root) @ (B @ K).T)
        self._low, self._high = np.minimum.accumulate(z, axis=0), np.maximum.accumulate(z, axis=0)
        places = z @ C.T
        self._kappa = np.exp(places - places.min(axis=1, keepdims=True)).sum(axis=1).max() - 1.0

        BU, BVOU = B @ U, B @ V @ W_O @ U
        mean, middle = self._A.mean(axis=0), C.mean(axis=0)
        shared = np.stack([mean + C[-1], middle])
        G = self._A @ BVOU + (shared[0] @ BU + shared[1] @ BVOU)
        D = max_of_others(G) - G
        of_query = np.abs(self._A - mean) @ _spread(BU)
        of_positions = (np.abs(C - middle) @ _spread(BVOU)).max()
        besides = 2.0 * omega * (1.0 + size(V) * size(W_O)) * longest(U.T)
        self._slack = np.maximum.accumulate(of_query, axis=0) + (of_positions + besides)
        self._own = np.diagonal(D) + self._slack
        self._worst = np.maximum.accumulate(D, axis=0)

    def room(self, below: npt.NDArray[np.int64]) -> Room:
        """By how much the conditions hold, where tokens beside m are among the first below[m] <= m."""
        m, last = np.arange(len(below)), np.maximum(below - 1, 0)
        rise = _least(self._A - self._A[last], self._low, self._high)
        pull = np.maximum(self._worst[last, m] + self._slack, 0.0)
        others = self._kappa * np.exp(self._tau - rise) * pull
        steps = _least(self._A[1:] - self._A[:-1], self._low[-1], self._high[-1])
        return Room(steps, -np.where(below > 0, self._own + others, self._own))


def _least(rows: Array, low: Array, high: Array) -> Array:
    """For each row the minimum of its product with any vector between low and high."""
    least: Array = np.minimum(rows * low, rows * high)
    return least.sum(axis=1)


def _spread(table: Array) -> Array:
    """max - min of each row."""
    return table.max(axis=1) - table.min(axis=1)


def _hints(problem: MaxProblem) -> dict[str, HintSpec]:
    rows = problem.network.d_vocab + problem.network.n_ctx + problem.network.width
    return {
        "coordinates": HintSpec(np.float64, (rows, None)),
        "below": HintSpec(np.uint16, (problem.network.d_vocab,)),
    }


SUBSPACE = Strategy(
    id="subspace",
    theorem="max-of-k/subspace@1",
    family=AttentionOnly.family,
    tasks=ORDERS,
    bound=bound,
    hints=_hints,
)
