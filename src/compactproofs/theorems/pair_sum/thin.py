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

Let d^ be the direct part of the logits for mid^, f = e(x) + e(y) + (g(x) + g(y)) |W|, and D twice the largest |W_U_w|.
Neurons may be in sets, each in one at most, and have weights q_i >= 0; G has q_i for neuron i and its set, and is 0
elsewhere.  C = G C', N = G N' and B are any such matrices, R = u^ - C B, h^ = ReLU(v^), and c, p and r are those of
`halves` for N, R and v^.

Theorem.  An input (x, y) with label z is answered correctly if for every output o /= z, with

    L = f |u^_z - u^_o| + 2 (|v^| + f) t + (g(x) + g(y)) D,

    d^_z - d^_o + (h^ C) (B_z - B_o) + v^ (R_z - R_o) / 2 - |p| |(N^T R)_z - (N^T R)_o| / 2 - r |R_z - R_o| / 2 - L > 0,

or if for every output o /= z

    d^_z - d^_o + h^ (u^_z - u^_o) - L > 0.

Proof.  The lead of z over o is d_z - d_o + h (u_z - u_o).  Direct parts differ by at most (g(x) + g(y)) D, as d_z -
d_o is mid (W_U_z - W_U_o) and what d^ has as well.  |v - v^| <= f, so |h - h^| <= f and |h| <= |v| <= |v^| + f.  Of
the three parts of h (u_z - u_o), (h - h^) (u^_z - u^_o) is at least -f |u^_z - u^_o|, h ((u - u^)_z - (u - u^)_o) is at
least -2 (|v^| + f) t, and h^ (u^_z - u^_o) stands in the second condition as it is; in the first as in `halves`.

How it is computed.  As q_i max(a, -b) = max(q_i a, -q_i b), the ReLUs times G are sums over sets, and only these are
multiplied: half of p is h^ N - v^ N / 2, as |a| = 2 ReLU(a) - a.  In the first condition inputs with label z have one
row of numbers for all o, as |p| is at most r max (|p| / r) and f at most r max (f / r), over these inputs.  What the
first condition leaves open is asked for the second, as in `halves`.

Whatever hints say, the theorem holds.  About perceptrons nothing is proved.

With s directions for what is read, t for what is written, r for heads of size (a h) together and m' neurons in sets,
the cost is 2 n^2 m' + 2 n^2 (entries of C', N' and B that are not 0; of even and odd rows of B the half) + 5 n^2 k, and
for tables 2 n d a h + 2 (n + d) a h r + 2 n d (r + k) + 4 n d s + 2 d m s + 4 n s m' + 2 m d t, and less than that for
norms; and for each input that is left open 2 m t + 2 s (m - m').
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
from compactproofs.theorems.pair_sum.by_label import groups, number_right, right
from compactproofs.theorems.pair_sum.halves import squares_of_sums
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
    known, found = parts(work, hints), 0
    for group in groups(work.task.table, max(work.network.neurons, work.network.outputs)):
        proved = right(leads(known, group.x, group.y, group.label), group.label)
        found += int(proved.sum())
        if not proved.all():
            left_open = group.x[~proved], group.y[~proved], group.label
            found += number_right(leads_of_neurons(known, *left_open), group.label)
    return found


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
    rows = seen @ -less
    return Thin(rows, Q.T @ Y, less, left_of_rows(X, seen, rows))


def left_of_rows(X: Array, seen: Array, rows: Array) -> Array:
    """|X'_i|^2 for each row, from X, X Q and (X Q) (2 I - Q^T Q)."""
    return np.maximum((X * X).sum(axis=1) - (rows * seen).sum(axis=1), 0.0)


def left_of_all(squares: Array, gram: Array, less: Array) -> Array:
    """|X'|, from |X|^2, (X Q)^T (X Q) and Q^T Q - 2 I: the sum over rows is that of entries of a product."""
    return np.sqrt(np.maximum(squares + (gram * less).sum(), 0.0))


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


class Means(NamedTuple):
    """p / 2 from sums over sets and tables for x and for y; 4 (2 - c); and all |(N^T R)_z - (N^T R)_o|."""

    times: Callable[[Array], Array]
    of_x: Array
    of_y: Array
    less: Array
    apart: Array


class Parts(NamedTuple):
    """What the conditions are made of.

    In the first: left and -right of neurons in sets, times weights, sums over sets, what these are multiplied with, all
    that is a table for x or for y, |v^|^2, |R_z - R_o|, and means.  In the second: what neurons write of the first
    columns of S, rows of Y, and the direct parts.  In both: f, |u^_z - u^_o|, and L without their product.
    """

    left: Array
    minus_right: Array
    sums: Callable[[Array], Array]
    times: Callable[[Array], Array]
    of_x: Array
    of_y: Array
    squares: Array
    apart: Array
    means: Means
    written: Callable[[IntArray, IntArray], Array]
    columns: Array
    direct_x: Array
    direct_y: Array
    off: Array
    apart_known: Array
    loss: Array


class OnInputs(NamedTuple):
    """For inputs the sums over sets, half of |p|, and half of r."""

    sums: Array
    half_p: Array
    half_r: Array


def on_inputs(parts: Parts, x: IntArray, y: IntArray) -> OnInputs:
    """For inputs (x[i], y[i])."""
    sums, means = parts.sums(np.maximum(parts.left[x], parts.minus_right[y])), parts.means
    half_p = means.times(sums) + (means.of_x[x] + means.of_y[y])
    squares = (half_p * half_p).sum(axis=1)
    half_r = 0.5 * np.sqrt(np.maximum(parts.squares[x, y] - means.less * squares, 0.0))
    return OnInputs(sums, np.sqrt(squares), half_r)


def leads(parts: Parts, x: IntArray, y: IntArray, label: int) -> Array:
    """Lower bounds of the lead of `label` over each output for inputs (x[i], y[i]), by the first condition."""
    sums, half_p, half_r = on_inputs(parts, x, y)
    of_means, of_off = (half_p / half_r).max(), (parts.off[x, y] / half_r).max()
    row = parts.apart[label] + of_means * parts.means.apart[label] + of_off * parts.apart_known[label]
    logits = parts.times(sums) + (parts.of_x[x] + parts.of_y[y])
    found: Array = (logits[:, label] - parts.loss[x, y])[:, None] - logits - half_r[:, None] * row
    return found


def leads_of_neurons(parts: Parts, x: IntArray, y: IntArray, label: int) -> Array:
    """The same by the second condition."""
    logits = parts.written(x, y) @ parts.columns + (parts.direct_x[x] + parts.direct_y[y])
    lost = parts.loss[x, y][:, None] + parts.off[x, y][:, None] * parts.apart_known[label]
    found: Array = logits[:, label, None] - logits - lost
    return found


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
    seen_of_output = attended.columns @ attended.columns.T
    g = np.sqrt(attended.rows_left) * left_of_all((output * output).sum(), seen_of_output, attended.less)
    g_x, g_y = (part[:, 0] for part in of_arguments(work, g[:, None]))

    # What neurons read: v^ = (x + y) K, where K has b as its last row.
    read = thin(np.concatenate([mid_x, mid_y + last]), W, Q)
    K = np.concatenate([read.columns, b[None]])
    x, y = (
        np.concatenate([read.rows[i], work.constant(np.full((n, 1), j))], axis=1)
        for i, j in ((np.s_[:n], 0.0), (np.s_[n:], 1.0))
    )
    gram, s, of_W = K @ K.T, Q.shape[1], (W * W).sum()
    e = np.sqrt(read.rows_left) * left_of_all(of_W, gram[:s, :s], read.less)

    # Of neurons in sets, times weights, the sums over sets: of what they read, of what they write, and of squares.
    out, t, weights = thin(T, W_U, P), P.shape[1], sets.weights[sets.used]
    of_used = K[:, sets.used]
    by_set, squares_by_set = sets.sums(of_used * weights), sets.sums((weights * weights)[None]).T
    written_by_set = sets.sums((out.rows[sets.used] * weights[:, None]).T)
    times_C, times_B = chosen.times_C, mirrored_product(work, B_of(hints["factors"], k))
    by_C, weighed_C = times_C(by_set[:, chosen.used]), squares_by_set * chosen.C

    # What neurons write: R = S Y, where u^ has the first columns of S, out.rows, and rows of Y; the others are C, -B.
    Y, own, mixed = centred(np.concatenate([out.columns, -chosen.B])), out.rows.T @ out.rows, written_by_set @ chosen.C
    rows = [own, mixed], [mixed.T, chosen.C.T @ weighed_C]
    products = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    half = 0.5 * np.concatenate([K @ out.rows, by_C], axis=1) @ Y
    left_of_U = left_of_rows(W_U.T, out.columns.T, out.columns.T @ -out.less)
    left_out = np.sqrt(out.rows_left.sum() * left_of_U.max())

    # What is lost.
    squares = squares_of_sums(x, y, x @ gram, y @ gram)
    size, direct = np.sqrt(of_W), 2.0 * np.sqrt((W_U * W_U).sum(axis=0).max())
    off = (e[:n] + g_x * size)[:, None] + (e[n:] + g_y * size)
    loss = 2.0 * left_out * (np.sqrt(np.maximum(squares, 0.0)) + off) + ((g_x * direct)[:, None] + g_y * direct)

    # Sets of neurons, whose sum of max(left, -right) is that of ReLUs less that of right, and means.
    N = work.constant(means_of(hints["means"]))
    of_N, by_N = (N * squares_by_set).T @ N, 0.5 * (by_set @ N)
    seen_R = N.T @ np.concatenate([written_by_set.T, weighed_C], axis=1) @ Y
    left, right_, others = x @ of_used, y @ of_used, np.setdiff1d(np.arange(work.network.neurons), sets.used)

    def times(sums: Array) -> Array:
        return times_B(times_C(sums[:, chosen.used]))

    def written(at_x: IntArray, at_y: IntArray) -> Array:
        found: Array = np.maximum(left[at_x] + right_[at_y], 0.0) @ out.rows[sets.used]
        if len(others) > 0:
            found = found + np.maximum((x[at_x] + y[at_y]) @ K[:, others], 0.0) @ out.rows[others]
        return found

    return Parts(
        left=left * weights,
        minus_right=right_ * -weights,
        sums=sets.sums,
        times=times,
        of_x=of_x + x @ half,
        of_y=of_y + y @ (half + times_B(by_C)),
        squares=squares,
        apart=distances_of(Y.T @ products @ Y),
        means=Means(
            times=sparse_product(work, means_of(hints["means"])),
            of_x=-(x @ by_N),
            of_y=y @ by_N,
            less=8.0 - 4.0 * np.abs(of_N).sum(axis=1).max(),
            apart=distances(seen_R),
        ),
        written=written,
        columns=out.columns,
        direct_x=of_x,
        direct_y=of_y,
        off=off,
        apart_known=distances_of(Y[:t].T @ own @ Y[:t]),
        loss=loss,
    )


def B_of(factors: FloatArray, k: int) -> FloatArray:
    """B, as `directions` has it."""
    return finite(factors[:, -k:]) if len(factors) else np.zeros((1, k))


class Mirrored(NamedTuple):
    """Rows of B in each of which the same columns are equal up to their signs: the numbers of the rows, of one column
    of each kind, and for each column its place among these or, if there are opposite ones, behind them.
    """

    rows: list[int]
    columns: IntArray
    places: IntArray
    opposite: bool


def mirrored(B: FloatArray) -> tuple[list[Mirrored], int]:
    """All rows of B so, and how many operations for an input it takes to multiply them."""
    alike: dict[bytes, list[int]] = {}
    for i, row in enumerate(B):
        _, first, which = np.unique(np.abs(row), return_index=True, return_inverse=True)
        same = first[which.ravel()]
        alike.setdefault(np.stack([same, (row < 0.0) != (row[same] < 0.0)]).astype(np.int64).tobytes(), []).append(i)
    found, operations = [], -B.shape[1]
    for key, rows in alike.items():
        same, opposite = np.frombuffer(key, np.int64).reshape(2, -1)
        columns, places = np.unique(same, return_inverse=True)
        found.append(Mirrored(rows, columns, places.ravel() + len(columns) * opposite, bool(opposite.any())))
        operations += (2 * len(rows) - 1 + opposite.any()) * len(columns) + B.shape[1]
    return found, int(operations)


def mirrored_product(work: Work, B: FloatArray) -> Callable[[Array], Array]:
    """A function that multiplies by B: if B has rows that are even and rows that are odd functions of the output, in
    half as many operations.  Where columns are not equal so often, it is `sparse_product`.
    """
    found, operations = mirrored(B)
    if operations >= 2 * np.count_nonzero(B):
        return sparse_product(work, B)
    parts = [(of, work.constant(B[of.rows][:, of.columns])) for of in found]

    def times(h: Array) -> Array:
        products = []
        for of, part in parts:
            one = h[:, of.rows] @ part
            products.append((np.concatenate([one, -one], axis=1) if of.opposite else one)[:, of.places])
        return sum(products[1:], products[0])

    return times


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
    theorem="pair-sum/thin-halves@3",
    family=PairSum.family,
    tasks=NAMES,
    bound=bound,
    hints=hints,
)
