"""Thin halves: the proof by halves of a transformer whose tables are not multiplied out, but in a few directions.

Neurons are scaled as in `low_rank`, by sizes s_i: W is W_in with columns times s_i, b is s b_in, T is W_out with rows
over s_i, and W_U is less the mean of its columns.  With mid as in `networks.pair_sum.circuits`,
v = (mid(x) + mid(y)) W + b, h = ReLU(v) and u = T W_U.  |M| of a matrix is the root of the sum of all squares.

Lemma.  For any matrices X (a, d), Y (d, b) and Q (d, s), with X' = X - X Q Q^T and Y' = Y - Q Q^T Y, X Y is
(X Q) (2 I - Q^T Q) (Q^T Y) + X' Y', each row of X' Y' has at most the norm |X'_i| |Y'|, and the norm of a row of X' is
the root of |X'_i|^2 = |X_i|^2 + (X Q)_i (Q^T Q - 2 I) (X Q)_i.

Proof.  Multiply out, as for `failing_sets.low_rank`; and Cauchy and Schwarz.

Three products lose their X' Y', each with a matrix Q of its own from hints:

* what attention writes, of X the rows of W_E and W_pos times W_V, over c, and Y = W_O.  Let mid^ be mid without it, and
  g(x), g(y) be sums of |X'_i| |Y'| for the tokens and positions whose rows are in it, so that |mid - mid^| <= g;
* what neurons read, of X = mid^(x), mid^(y) and Y = W.  Let v^ be without it, and e be the sums of |X'_i| |Y'|;
* what they write, of X = T and Y = W_U.  Let u^ be without it, and t the largest |T'| |W_U'_z|.

Let d^ be the direct part of the logits for mid^, f = e(x) + e(y) + (g(x) + g(y)) |W|, M the largest |u^_w - u^_o| plus
2 t, and D twice the largest |W_U_w|.  Neurons may be in sets, each in one at most, and have weights q_i >= 0; G has q_i
for neuron i and its set, and is 0 elsewhere.  C = G C', N = G N' and B are any such matrices, R = u^ - C B, h^ =
ReLU(v^), and c, p and r are those of `halves` for N, R and v^.

Theorem.  An input (x, y) with label z is answered correctly if for every output o /= z

    d^_z - d^_o + (h^ C) (B_z - B_o) + v^ (R_z - R_o) / 2 - |p| max_wo |(N^T R)_w - (N^T R)_o| / 2 - r |R_z - R_o| / 2
    - 2 |v^| t - f M - (g(x) + g(y)) D  >  0.

Proof.  The lead of z over o is d_z - d_o + h (u_z - u_o).  Direct parts differ by at most (g(x) + g(y)) D, as d_z -
d_o is mid (W_U_z - W_U_o) and what d^ has as well.  |v - v^| <= f, so |h - h^| <= f and |h| <= |v| <= |v^| + f.  Of
the three parts of h (u_z - u_o), h^ (u^_z - u^_o) is as in `halves`, (h - h^) (u^_z - u^_o) is at least
-f |u^_z - u^_o|, and h ((u - u^)_z - (u - u^)_o) is at least -2 (|v^| + f) t.

How it is computed.  As q_i max(a, -b) = max(q_i a, -q_i b), the ReLUs times G are sums over sets, and only these are
multiplied: half of p is h^ N - v^ N / 2, as |a| = 2 ReLU(a) - a.

Whatever hints say, the theorem holds.  About perceptrons nothing is proved.

With s directions for what is read, t for what is written, r for heads of size (a h) together and m' neurons in sets,
the cost is 2 n^2 m' + 2 n^2 (entries of C', N' and B that are not 0) + 5 n^2 k, and for tables 2 n d a h +
2 (n + d) a h r + 2 n d (r + k) + 4 n d s + 2 d m s + 4 n s m' + 2 m d t, and less than that for norms.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, FloatArray, IntArray
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.networks.pair_sum.circuits import (
    last_position,
    of_arguments,
    same_for_all,
    tokens_and_positions,
    values_and_output,
)
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import NAMES
from compactproofs.theorems.pair_sum.halves import Means, Parts, shown, squares_of_sums
from compactproofs.theorems.pair_sum.low_rank import (
    centred,
    directions,
    distances,
    distances_of,
    finite,
    positive,
    sparse_product,
)
from compactproofs.theorems.pair_sum.problem import PairProblem, Work


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that the theorem shows to be right."""
    if not applies(work, hints):
        return 0
    return sum(int(proved.sum()) for _, proved in shown(work, parts(work, hints)))


def applies(work: Work, hints: Hints) -> bool:
    """Whether this is a transformer, and hints have sets and go together."""
    sets = hints["factors"].shape[1] - work.network.outputs
    return work.network.architecture != "mlp" and sets > 0 and hints["means"].shape[1] == sets


class Thin(NamedTuple):
    """(X Q) (2 I - Q^T Q), Q^T Y, Q^T Q - 2 I, and the squares of the norms of the rows of X'."""

    rows: Array
    columns: Array
    less: Array
    rows_left: Array


def thin(X: Array, Y: Array, Q: Array) -> Thin:
    """The lemma for a product."""
    less = Q.T @ Q - 2.0 * np.eye(Q.shape[1])
    seen = X @ Q
    return Thin(seen @ -less, Q.T @ Y, less, left_of_rows(X, seen, less))


def left_of_rows(X: Array, seen: Array, less: Array) -> Array:
    """|X'_i|^2 for each row, from X, X Q and Q^T Q - 2 I."""
    return np.maximum((X * X).sum(axis=1) + ((seen @ less) * seen).sum(axis=1), 0.0)


def left_of_all(X: Array, gram: Array, less: Array) -> Array:
    """|X'|, from X, (X Q)^T (X Q) and Q^T Q - 2 I: the sum over rows is that of entries of a product."""
    return np.sqrt(np.maximum((X * X).sum() + (gram * less).sum(), 0.0))


class Sets(NamedTuple):
    """The neurons that are in sets, one set after the other; for all of them the weight and the number of the set, or
    0 and any number; and a function that adds up columns for those that are in sets, to one for each set.
    """

    used: IntArray
    weights: Array
    of: IntArray
    sums: Callable[[Array], Array]


def sets_of(work: Work, hints: Hints, number: int) -> Sets:
    """The first so many sets that hints say."""
    of = hints["sets"]
    there = (of >= 0) & (of < number)
    used = np.flatnonzero(there)
    used = used[np.argsort(of[used], kind="stable")]
    ends = np.searchsorted(of[used], np.arange(number + 1))

    def sums(columns: Array) -> Array:
        return np.concatenate([columns[:, a:b].sum(axis=1, keepdims=True) for a, b in pairwise(ends)], axis=1)

    weights = np.where(there, np.maximum(finite(hints["weights"]), 0.0), 0.0)
    return Sets(used, work.constant(weights), np.where(there, of, 0), sums)


def parts(work: Work, hints: Hints) -> Parts:
    """What the theorem is made of, for a transformer."""
    scales = work.constant(positive(hints["scales"]))
    W, b = work.weight("blocks.0.mlp.W_in") * scales, work.weight("blocks.0.mlp.b_in") * scales
    T, W_U = work.weight("blocks.0.mlp.W_out") / scales[:, None], centred(work.weight("unembed.W_U"))
    H, Q, P = (work.constant(finite(hints[name])) for name in ("heads", "read", "written"))
    n, k = work.network.n, W_U.shape[1]
    chosen = directions(work, (hints["factors"].shape[1] - k, k), hints["factors"])
    sets = sets_of(work, hints, len(chosen.C))

    # What attention writes.
    values, output = values_and_output(work)
    attended = thin(tokens_and_positions(work) @ values / float(work.network.positions), output, H)
    (mid_x, mid_y), last = of_arguments(work, attended.rows @ attended.columns), last_position(work, output)
    of_x, of_y = of_arguments(work, attended.rows @ (attended.columns @ W_U))
    of_y = of_y + (last @ W_U + same_for_all(work))
    g = np.sqrt(attended.rows_left) * left_of_all(output, attended.columns @ attended.columns.T, attended.less)
    g_x, g_y = (part[:, 0] for part in of_arguments(work, g[:, None]))

    # What neurons read: v^ = (x + y) K, where K has b as its last row.
    read = thin(np.concatenate([mid_x, mid_y + last]), W, Q)
    K = np.concatenate([read.columns, b[None]])
    x, y = (
        np.concatenate([read.rows[i], work.constant(np.full((n, 1), j))], axis=1)
        for i, j in ((np.s_[:n], 0.0), (np.s_[n:], 1.0))
    )
    gram, s = K @ K.T, Q.shape[1]
    e = np.sqrt(read.rows_left) * left_of_all(W, gram[:s, :s], read.less)

    # What they write: R = S Y, of which u^ has the first columns of S and rows of Y.
    out, t = thin(T, W_U, P), P.shape[1]
    C = sets.weights[:, None] * chosen.C[sets.of]
    S, Y = np.concatenate([out.rows, C], axis=1), centred(np.concatenate([out.columns, -chosen.B]))
    products = S.T @ S
    left_out = np.sqrt(out.rows_left.sum() * left_of_rows(W_U.T, out.columns.T, out.less).max())
    most = distances_of(Y[:t].T @ products[:t, :t] @ Y[:t]).max() + 2.0 * left_out
    direct = 2.0 * np.sqrt((W_U * W_U).sum(axis=0).max())

    half, squares = 0.5 * (K @ S) @ Y, squares_of_sums(x, y, x @ gram, y @ gram)
    of_g = np.sqrt((W * W).sum()) * most + direct
    loss_x, loss_y = e[:n] * most + g_x * of_g, e[n:] * most + g_y * of_g

    # Sets of neurons, whose sum of max(left, -right) is that of ReLUs less that of right, and means.
    weights = sets.weights[sets.used]
    used = K[:, sets.used] * weights
    by_set = sets.sums(used)
    N = work.constant(means_of(hints["means"]))
    of_N = (N * sets.sums((weights * weights)[None]).T).T @ N
    seen_R = N.T @ sets.sums((S[sets.used] * weights[:, None]).T).T @ Y

    def times(sums: Array) -> Array:
        return chosen.times(sums[:, chosen.used])

    return Parts(
        left=x @ used,
        minus_right=-(y @ used),
        times=times,
        of_x=of_x + x @ half,
        of_y=of_y + y @ half + times(y @ by_set),
        squares=squares,
        apart=distances_of(Y.T @ products @ Y),
        sums=sets.sums,
        loss=loss_x[:, None] + loss_y + 2.0 * left_out * np.sqrt(np.maximum(squares, 0.0)),
        means=Means(
            times=sparse_product(work, means_of(hints["means"])),
            of_x=-(0.5 * (x @ by_set)) @ N,
            of_y=(0.5 * (y @ by_set)) @ N,
            less=8.0 - 4.0 * np.abs(of_N).sum(axis=1).max(),
            apart=distances(seen_R).max(),
        ),
    )


def means_of(hint: FloatArray) -> FloatArray:
    """A column for each row of the hint, or one of zeros if there is none."""
    return finite(hint.T) if len(hint) else np.zeros((hint.shape[1], 1))


def hints(problem: PairProblem) -> dict[str, HintSpec]:
    """Sets of neurons and their weights, C and B for sets, means, scales, and a matrix Q for each of three products."""
    network = problem.network
    stream = heads = 1
    if network.architecture != "mlp":
        stream = len(network.weight("unembed.W_U"))
        heads = network.weight("blocks.0.attn.b_V").size
    return {
        "sets": HintSpec(np.int64, (network.neurons,)),
        "weights": HintSpec(np.float64, (network.neurons,)),
        "factors": HintSpec(np.float64, (None, None)),
        "means": HintSpec(np.float64, (None, None)),
        "scales": HintSpec(np.float64, (network.neurons,)),
        "heads": HintSpec(np.float64, (heads, None)),
        "read": HintSpec(np.float64, (stream, None)),
        "written": HintSpec(np.float64, (stream, None)),
    }


THIN = Strategy(
    id="pair-sum/thin-halves",
    theorem="pair-sum/thin-halves@2",
    family=PairSum.family,
    tasks=NAMES,
    bound=bound,
    hints=hints,
)
