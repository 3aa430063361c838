"""Few directions: a transformer whose stream and outputs have few coordinates, looked at in these coordinates alone.

Let R have the rows of W_E and, below, of W_pos, and let W_U be less the mean of its columns.  Neurons with zero rows of
W_out and entries of heads with zero rows of W_O write nothing whatever they read, so they are left out: V, O, W, b and
T are W_V, W_O, W_in, b_in and W_out without them, b' = b_V O + b_O, and c is the number of positions.  |M| of a matrix
is the root of the sum of all squares, M_i is a row, and M_z a column.

Let Z (v + c, s), Q (s, d), P (d, t), C (m', t) and B (t, k) be any matrices, for m' neurons that are not left out.  Let
mid^ be mid with Z Q for R, v^ = mid^ W + b, h^ = ReLU(v^), and q^ = (mid^ + b_out) P + h^ C: t coordinates.

Lemma.  With r the largest |(R - Z Q)_i|, g = 2 r (1 + |V| |O|), and H and M at least all |v^| and |mid^|,

    |mid - mid^| <= g,   |h - h^| <= |v - v^| <= g |W|,   |h| <= |v| <= H + g |W|,
    |(mid + h T + b_out) P - q^| <= e = g |P| + g |W| |C| + (H + g |W|) |T P - C|.

Proof.  The stream at a position is the sum of two rows of R.  Attention writes V O times the mean of it over all
positions, and the norm of a mean is at most the largest norm.  ReLU is 1-Lipschitz and 0 at 0, entry by entry.  What
the last line is about is (mid - mid^) P + (h - h^) C + h (T P - C).

Theorem.  An input with label z is answered correctly if for every output o /= z, with U' = W_U - P B,

    q^ (B_z - B_o)  >  2 e max_w |B_w| + 2 (M + g + (H + g |W|) |T| + |b_out|) max_w |U'_w| + max_w b_U - min_w b_U.

Proof.  With F = mid + h T + b_out the lead of z over o is F (W_U_z - W_U_o) and a difference of two entries of b_U.
F W_U is F P B + F U'; F P is q^ up to e; and |F| is at most what |U'_w| is multiplied with.

How it is computed.  mid^ is never written down: with A = Q V O / c it is Z_x A + Z_y A + Z' Q + b', where Z_x and Z_y
are sums of rows of Z and Z' those of the last position, so M is a sum of products of norms.  H is the largest norm of
what neurons read of x, plus that of y.  As ReLU(a + b) = max(a, -b) + b, h^ C is max(left, -right) C and a table for y.

About perceptrons nothing is proved.  With m' neurons and a entries of heads the cost is n^2 m' + 2 n^2 (entries of C
that are not 0) + 2 n^2 t k for inputs, and 2 (v + c) s d + 4 s d (a + m') + 6 n s m' + 2 d t (m' + k) and norms for
tables: no tensor is multiplied by more than s + t vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, FloatArray
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.networks.pair_sum.circuits import of_arguments, tokens_and_positions, values_and_output
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import NAMES
from compactproofs.theorems.pair_sum.by_label import Group, groups, right
from compactproofs.theorems.pair_sum.low_rank import centred, directions, finite, nonzero
from compactproofs.theorems.pair_sum.problem import PairProblem, Work


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that the theorem shows to be right."""
    if work.network.architecture == "mlp":
        return 0
    return sum(int(proved.sum()) for _, proved in shown(work, parts(work, hints)))


class Parts(NamedTuple):
    """What the condition is made of: left and -right of neurons that C uses, what is multiplied of their maxima, the
    coordinates that are tables for x and for y, B, and what a lead has to exceed: biases, and twice what coordinates
    may be off and what outputs read besides.
    """

    left: Array
    minus_right: Array
    times: Callable[[Array], Array]
    of_x: Array
    of_y: Array
    B: Array
    loss: Array
    of_coordinates: Array
    of_outputs: Array


def shown(work: Work, parts: Parts) -> Iterator[tuple[Group, BoolArray]]:
    """Inputs in groups, and which of them the theorem shows to be right."""
    for group in groups(work.task.table, max(parts.left.shape[1], parts.B.shape[1])):
        logits = logits_of(parts, group)
        yield group, right((logits[:, group.label] - parts.loss)[:, None] - logits, group.label)


def logits_of(parts: Parts, group: Group) -> Array:
    """q^ B for each input of a group, shape (inputs, k)."""
    maxima = np.maximum(parts.left[group.x], parts.minus_right[group.y])
    logits: Array = (parts.times(maxima) + (parts.of_x[group.x] + parts.of_y[group.y])) @ parts.B
    return logits


def parts(work: Work, hints: Hints) -> Parts:
    """What the theorem is made of, for a transformer."""
    weight, network = work.weight, work.network
    R, (values, output), c = tokens_and_positions(work), values_and_output(work), network.positions
    W_out, W_U = weight("blocks.0.mlp.W_out"), centred(weight("unembed.W_U"))
    heads = nonzero(np.asarray(np.reshape(network.weight("blocks.0.attn.W_O"), output.shape).any(axis=1)))
    used = nonzero(np.asarray(network.weight("blocks.0.mlp.W_out").any(axis=1)))
    work.charge(int_ops=output.size + W_out.size)
    V, W_O, W, T = values[:, heads], output[heads], weight("blocks.0.mlp.W_in")[:, used], W_out[used]
    b_V = np.reshape(weight("blocks.0.attn.b_V"), (1, output.shape[0]))[:, heads]
    b_in, b_out, b_U = weight("blocks.0.mlp.b_in")[used], weight("blocks.0.mlp.b_out")[None], weight("unembed.b_U")

    stream, written = rows(hints["stream"]), rows(hints["logits"])
    Z, Q = work.constant(stream[:, : len(R)].T), work.constant(stream[:, len(R) :])
    d, m, k = R.shape[1], network.neurons, network.outputs
    P, factors = work.constant(written[:, :d].T), written[:, d:]
    chosen = directions(work, (len(used), k), np.concatenate([factors[:, used], factors[:, m:]], axis=1))

    # What neurons and coordinates get of x and of y.
    A, constant = Q @ V @ W_O / float(c), b_V @ W_O + weight("blocks.0.attn.b_O")
    (Z_x, Z_y), into = of_arguments(work, Z), np.concatenate([W, P], axis=1)
    last = Z_y if c == 2 else (Z[network.n] + Z[-1])[None]
    of_A = A @ into
    of_all = constant @ into + np.concatenate([b_in[None], b_out @ P], axis=1)
    x, y, number = Z_x @ of_A, Z_y @ of_A + (last @ (Q @ into) + of_all), len(used)
    left, right_ = x[:, :number], y[:, :number]

    # What this leaves out.
    size_W = size(W)
    g = 2.0 * longest(R - Z @ Q) * (1.0 + size(V) * size(W_O))
    h = longest(left) + longest(right_) + g * size_W
    e = g * size(P) + g * size_W * size(chosen.C) + h * size(T @ P - chosen.C)
    mid = (longest(Z_x) + longest(Z_y)) * size(A) + longest(last) * size(Q) + size(constant)
    F = mid + g + h * size(T) + size(b_out)
    of_coordinates, of_outputs = e * longest(chosen.B.T), F * longest((W_U - P @ chosen.B).T)
    return Parts(
        left=left[:, chosen.used],
        minus_right=-right_[:, chosen.used],
        times=chosen.times_C,
        of_x=x[:, number:],
        of_y=y[:, number:] + chosen.times_C(right_[:, chosen.used]),
        B=chosen.B,
        loss=2.0 * (of_coordinates + of_outputs) + (b_U.max() - b_U.min()),
        of_coordinates=of_coordinates,
        of_outputs=of_outputs,
    )


def rows(hint: FloatArray) -> FloatArray:
    """The hint, or a row of zeros if it has none; and zeros for what is no number."""
    return finite(hint) if len(hint) else np.zeros((1, hint.shape[1]))


def size(M: Array) -> Array:
    """The root of the sum of all squares."""
    found: Array = np.sqrt((M * M).sum())
    return found


def longest(M: Array) -> Array:
    """The largest norm of a row."""
    found: Array = np.sqrt((M * M).sum(axis=1).max())
    return found


def hints(problem: PairProblem) -> dict[str, HintSpec]:
    """For each direction of the stream a column of Z and a row of Q; for each coordinate of what is written a column of
    P, one of C, with a number for every neuron, and a row of B.
    """
    network = problem.network
    d = rows_ = 1
    if network.architecture != "mlp":
        d, rows_ = len(network.weight("unembed.W_U")), len(network.weight("embed.W_E")) + network.positions
    return {
        "stream": HintSpec(np.float64, (None, rows_ + d)),
        "logits": HintSpec(np.float64, (None, d + network.neurons + network.outputs)),
    }


FEW_DIRECTIONS = Strategy(
    id="pair-sum/few-directions",
    theorem="pair-sum/few-directions@1",
    family=PairSum.family,
    tasks=NAMES,
    bound=bound,
    hints=hints,
)
