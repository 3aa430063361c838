"""The number line: tokens as points on a line, and everything else through that line and the positions.

Any hints will do: vectors e0 and b of the network's width d, and numbers c_0 <= ... <= c_{v-1}.  (Where they are not in
this order, N = 0.)  Write |.| for Euclidean norms of vectors and for the root of the sum of squares of matrices, which
bounds |x A| by |x| |A|; M = Q K^T / sqrt(h); E, P, V, O and U for the weights, P^ for the mean row of P, and

    r_t = E[t] - e0 - c_t b,   eps = max_t |r_t|        what the line leaves out of tokens,
    s_p = P[p] - P^,           eta = max_p |s_p|        and what it leaves out of positions,
    u = e0 + P[n]                                       so that a query q is u + c_q b + r_q.

Let x be an input with query q = x_n and maximum m, a_p its attentions, and X = sum_p a_p c_{x_p}, the mean place on the
line.

Lemma (attention).  Let  sigma = min_q (u + c_q b) M b^T - eps |M b^T|  and
tau = 2 (eps + eta) (|u M| + max_q |c_q| |b M| + eps |Q| |K| / sqrt(h)).  Then for tokens k < m, any positions p and p',

    score(q, k at p) - score(q, m at p')  <=  tau - sigma (c_m - c_k).

Proof.  What is in front of the minus, less what is behind it, is (u + c_q b + r_q) M y^T with
y = -(c_m - c_k) b + r_k - r_m + s_p - s_p'.  As c_m >= c_k, the part along b is at most -(c_m - c_k) sigma, for
r_q M b^T >= -eps |M b^T|.  The rest of y has norm at most 2 (eps + eta), and
|(u + c_q b + r_q) M| <= |u M| + |c_q| |b M| + eps |Q| |K| / sqrt(h).

Lemma (mean place).  Let sigma > 0, and for j = 0 ... v - 2 let far_j = max(c_{j+1} - c_j, 1 / sigma) and

    low_j = c_{j+1} - (n - 1) e^tau far_j e^{-sigma far_j}.

Then X <= c_m, and X >= low_j for all j < m.

Proof.  No token of x exceeds m, so X is a mean of numbers up to c_m.  Some position holds m, and its attention is at
most 1, so another that holds k <= j < m has attention at most e^{tau - sigma (c_m - c_k)} <= e^{tau - sigma delta} with
delta = c_{j+1} - c_k >= c_{j+1} - c_j.  There are at most n - 1 such, and they alone are below c_{j+1}, by delta: so
c_{j+1} - X is at most the sum of their attentions times delta.  The function delta e^{-sigma delta} of delta >= 0 rises
up to delta = 1 / sigma and falls from there, so from c_{j+1} - c_j on its maximum is at far_j.

Lemma (differences).  With alpha = (u + (e0 + P^) V O) U, gamma = b U, beta = b V O U, each of v numbers, and
alpha_j standing for alpha[j] - alpha[j + 1], and so on,

    |logit j - logit j+1 - (alpha_j + c_q gamma_j + X beta_j)|  <=  err_j = (eps + (eps + eta) |V| |O|) |U_j - U_{j+1}|.

Proof.  As attentions sum to 1, the stream ends as u + c_q b + (e0 + P^ + X b) V O and, besides,
r_q + sum_p a_p (r_{x_p} + s_p) V O, of norm at most eps + (eps + eta) |V| |O|.  Columns of U turn it into logits.

Theorem.  Let sigma > 0, and for j = 0 ... v - 2

    up_j:    min of alpha_j + y gamma_j + z beta_j over y and z in [c_0, c_j]                          >  err_j,
    down_j:  min of -(alpha_j + y gamma_j + z beta_j) over y in [c_0, c_{v-1}], z in [low_j, c_{v-1}]  >  err_j.

If up_j holds for all j >= m, and down_j for all j < m, then every input with maximum m is answered correctly; and there
are (m + 1)^n - m^n of these; with weights of tokens (`tasks.weights`) they count (w_0 + ... + w_m)^n less
(w_0 + ... + w_{m-1})^n.

Proof.  Let j >= m.  Then c_q <= c_m <= c_j and X <= c_m <= c_j, and neither is below c_0, so logit j > logit j+1.  Let
j < m.  Then low_j <= X <= c_{v-1}, so logit j < logit j+1.  So logits rise up to m and fall from there.

Minima of linear functions are at ends of intervals.  Cost O(v d + d h): no table of v x v entries is multiplied out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, certainly_positive
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import ORDERS
from compactproofs.theorems.max_of_k import MaxProblem, Work
from compactproofs.theorems.max_of_k.few_dimensions.norms import lengths, longest, size


class Line(NamedTuple):
    """The hints: the token t is about at e0 + c[t] b."""

    e0: Array
    b: Array
    c: Array


class Room(NamedTuple):
    """What the theorem asks to be positive: sigma, and for each j by how much up_j and down_j hold."""

    sigma: Array
    up: Array
    down: Array


def bound(work: Work, hints: Hints) -> int:
    """Certified inputs, summed over the maximum m."""
    e0, b, c = (np.where(np.isfinite(hints[name]), hints[name], 0.0) for name in Line._fields)
    if not (c[:-1] <= c[1:]).all():
        return 0
    room = room_on_line(work, Line(work.constant(e0), work.constant(b), work.constant(c)))
    sigma, up, down = (certainly_positive(x) for x in room)
    if not sigma:
        return 0
    n, up_to = work.network.n_ctx, [0, *work.task.counts.cumsum().tolist()]
    falls = np.logical_and.accumulate(np.append(up, True)[::-1])[::-1]
    rises = np.logical_and.accumulate(np.append(True, down))
    work.charge(int_ops=4 * len(c))
    return sum(up_to[m + 1] ** n - up_to[m] ** n for m in np.flatnonzero(falls & rises).tolist())


def room_on_line(work: Work, line: Line) -> Room:
    """By how much the conditions hold, for places in order."""
    e0, b, c = line
    eps = longest(work.weight("W_E") - e0 - c[:, None] * b)
    eta = longest(work.weight("W_pos") - circuits.mean_position(work))
    query = e0 + work.weight("W_pos")[-1]
    sigma, tau = _attention(work, line, query, eps, eta)

    key = e0 + circuits.mean_position(work)
    written = np.stack([key, b]) @ work.weight("W_V") @ work.weight("W_O")
    outputs = np.stack([query + written[0], b, written[1]]) @ work.weight("W_U")
    alpha, gamma, beta = (row[:-1] - row[1:] for row in (outputs[0], outputs[1], outputs[2]))
    apart = lengths((work.weight("W_U")[:, :-1] - work.weight("W_U")[:, 1:]).T)
    err = (eps + (eps + eta) * (size(work.weight("W_V")) * size(work.weight("W_O")))) * apart

    far = np.maximum(c[1:] - c[:-1], 1.0 / sigma)
    low = c[1:] - (work.network.n_ctx - 1.0) * np.exp(tau) * far * np.exp(-(sigma * far))
    up = alpha + np.minimum(gamma * c[0], gamma * c[:-1]) + np.minimum(beta * c[0], beta * c[:-1])
    down = alpha + np.maximum(gamma * c[0], gamma * c[-1]) + np.maximum(beta * low, beta * c[-1])
    return Room(sigma, up - err, -down - err)


def _attention(work: Work, line: Line, query: Array, eps: Array, eta: Array) -> tuple[Array, Array]:
    """sigma and tau.  `query`: u."""
    root = np.sqrt(work.constant(work.network.d_head))
    Q, K = work.weight("W_Q") / root, work.weight("W_K")
    queries = np.stack([query, line.b]) @ Q
    key = line.b @ K
    slopes = queries @ key
    sigma = (slopes[0] + line.c * slopes[1]).min() - eps * size(Q @ key)
    through = lengths(queries @ K.T)
    tau = 2.0 * (eps + eta) * (through[0] + np.abs(line.c).max() * through[1] + eps * (size(Q) * size(K)))
    return sigma, tau


def _hints(problem: MaxProblem) -> dict[str, HintSpec]:
    width = problem.network.width
    shapes = {"e0": (width,), "b": (width,), "c": (problem.network.d_vocab,)}
    return {name: HintSpec(np.float64, shape) for name, shape in shapes.items()}


NUMBER_LINE = Strategy(
    id="number-line",
    theorem="max-of-k/number-line@1",
    family=AttentionOnly.family,
    tasks=ORDERS,
    bound=bound,
    hints=_hints,
)
