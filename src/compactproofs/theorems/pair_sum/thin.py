"""Thin halves: the proof by halves of a transformer whose tables are not multiplied out, but in a few directions.

Neurons are scaled as in `low_rank`, by sizes s_i: W is W_in with columns times s_i, b is s b_in, and T is W_out with rows
over s_i.  mid(x), mid(y) are those of `networks.pair_sum.circuits`, v = (mid(x) + mid(y)) W + b, h = ReLU(v), and
u = T W_U.  |M| of a matrix is the root of the sum of all squares.

Lemma.  For any matrices X (a, d), Y (d, b), Q (d, s), with X' = X - X Q Q^T and Y' = Y - Q Q^T Y, X Y is
(X Q) (2 I - Q^T Q) (Q^T Y) + X' Y', and |X'_i|^2 = |X_i|^2 + (X Q)_i (Q^T Q - 2 I) (X Q)_i for each row i.

Proof.  Both by multiplying out, as for `failing_sets.low_rank`.

Let v^ be v without the part X' Y' for X = mid(x) + mid(y), Y = W and a matrix Q, and u^ be u without it for X = T,
Y = W_U and a matrix P, where W_U is less the mean of its columns.  Let e(x, y) = (|mid(x)'| + |mid(y)'|) |W'|,
t_z = |T'| |W_U'_z|, and R = u^ - C B for any C and B.

Theorem.  An input (x, y) with label z is answered correctly if for every output o /= z, with d the direct part of its
logits and h^ = ReLU(v^),

    d_z - d_o + (h^ C) (B_z - B_o) + v^ (R_z - R_o) / 2 - |v^| (|R_z - R_o| / 2 + t_z + t_o) - e(x, y) M  >  0,

where M is the largest of all |u^_w - u^_o| + t_w + t_o.

Proof.  |v - v^| <= e by the lemma and Cauchy and Schwarz, so |h - h^| <= e and |h| <= |v| <= |v^| + e.  The lead of z
over o is d_z - d_o + h (u_z - u_o).  Of this h^ (u^_z - u^_o) is as in `halves`; (h - h^) (u^_z - u^_o) is at least
-e |u^_z - u^_o|, and h ((u - u^)_z - (u - u^)_o) at least -(|v^| + e) (t_z + t_o).

Q is the hint `read` and P is `written`; whatever hints say, the theorem holds.  About perceptrons nothing is proved.

With s columns of Q and t of P the cost is that of `halves` without its tables, 4 n d a h + 4 n d k for mid and direct
parts, 4 n d s + 2 d m s + 4 n s m' for what neurons read, 2 m d t for what they write, and less than that for norms.
"""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.networks.pair_sum.circuits import direct_parts, streams
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import NAMES
from compactproofs.theorems.pair_sum import PairProblem, Work
from compactproofs.theorems.pair_sum.halves import Parts, norms_of_sums, shown
from compactproofs.theorems.pair_sum.low_rank import centred, directions, distances_of, finite, positive
from compactproofs.theorems.pair_sum.low_rank import hints as hints_of_low_rank


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that the theorem shows to be right."""
    if work.network.architecture == "mlp":
        return 0
    return sum(int(proved.sum()) for _, proved in shown(work, parts(work, hints)))


def parts(work: Work, hints: Hints) -> Parts:
    """What the theorem is made of, for a transformer."""
    mid_x, mid_y = streams(work)
    scales = work.constant(positive(hints["scales"]))
    W, b = work.weight("blocks.0.mlp.W_in") * scales, work.weight("blocks.0.mlp.b_in") * scales
    Q, P = (work.constant(finite(hints[name])) for name in ("read", "written"))
    T, W_U = work.weight("blocks.0.mlp.W_out") / scales[:, None], centred(work.weight("unembed.W_U"))
    chosen = directions(work, (T.shape[0], W_U.shape[1]), hints["factors"])

    # What neurons read: v^ = (x + y) K, where K has b as its last row.
    (x, x_rest), (y, y_rest), (columns, W_rest) = thin(mid_x, Q), thin(mid_y, Q), thin(W.T, Q)
    kernel = 2.0 * np.eye(Q.shape[1]) - Q.T @ Q
    one = work.constant(np.ones((len(y), 1)))
    x, y = np.concatenate([x @ kernel, 0.0 * one], axis=1), np.concatenate([y @ kernel, one], axis=1)
    K = np.concatenate([columns.T, b[None]])

    # What they write: R = S Y, the first rows of Y and columns of S being those of u^.
    (rows, T_rest), (outputs, U_rest) = thin(T, P), thin(W_U.T, P)
    t = P.shape[1]
    S = np.concatenate([rows @ (2.0 * np.eye(t) - P.T @ P), chosen.C], axis=1)
    Y = centred(np.concatenate([outputs.T, -chosen.B]))
    products = S.T @ S
    left_out = np.sqrt(T_rest.sum()) * np.sqrt(U_rest)
    both = left_out[:, None] + left_out
    apart = distances_of(Y.T @ products @ Y)
    steepest = (distances_of(Y[:t].T @ products[:t, :t] @ Y[:t]) + both).max()

    half = 0.5 * (K @ S) @ Y
    used = K[:, chosen.used]
    minus_right = -(y @ used)
    of_x, of_y = direct_parts(work)
    gram = K @ K.T
    loss = np.sqrt(W_rest.sum()) * steepest
    return Parts(
        left=x @ used,
        minus_right=minus_right,
        times=chosen.times,
        of_x=of_x + x @ half,
        of_y=of_y + y @ half - chosen.times(minus_right),
        size=0.5 * norms_of_sums(x, y, x @ gram, y @ gram),
        apart=apart + 2.0 * both,
        loss=(np.sqrt(x_rest) * loss, np.sqrt(y_rest) * loss),
    )


def thin(rows: Array, Q: Array) -> tuple[Array, Array]:
    """X Q, and the squares of the norms of the rows of X'."""
    found = rows @ Q
    return found, np.maximum(
        (rows * rows).sum(axis=1) + ((found @ (Q.T @ Q - 2.0 * np.eye(Q.shape[1]))) * found).sum(axis=1), 0.0
    )


def hints(problem: PairProblem) -> dict[str, HintSpec]:
    """Those of low rank, and directions in which a transformer's neurons read, and write."""
    network = problem.network
    d = 1 if network.architecture == "mlp" else network.weight("unembed.W_U").shape[0]
    basis = HintSpec(np.float64, (d, None))
    return {**hints_of_low_rank(problem), "read": basis, "written": basis}


THIN = Strategy(
    id="pair-sum/thin-halves",
    theorem="pair-sum/thin-halves@1",
    family=PairSum.family,
    tasks=NAMES,
    bound=bound,
    hints=hints,
)
