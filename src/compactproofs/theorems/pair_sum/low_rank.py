"""Low rank: a few directions of the hidden layer decide, and what the others can add is bounded by norms.

Scales.  For s_i > 0, ReLU(left_i + right_i) out_i is ReLU(s_i left_i + s_i right_i) out_i / s_i, so the network with
left_i, right_i, out_i replaced by s_i left_i, s_i right_i, out_i / s_i has the same logits.  Below it is meant, and h
are its ReLUs, out_z is column z of its table.

Theorem.  Let C (m, s) and B (s, k) be any matrices, R = out - C B, R_z its columns, and c any vector of length m.  An
input with label z is answered correctly if for every output o /= z, with d the direct part of its logits,

    d_z - d_o + (h C) (B_z - B_o) + c (R_z - R_o) - |h - c| |R_z - R_o|  >  0.

Proof.  The lead of z over o is d_z - d_o + h (out_z - out_o), and h (out_z - out_o) is the sum of h C (B_z - B_o),
c (R_z - R_o) and (h - c) (R_z - R_o), which by Cauchy and Schwarz is at least -|h - c| |R_z - R_o|.

For c floats near the mean of h over a group of inputs are taken, and for s, C and B what hints say; whatever these are,
it holds.  Columns of C and of B are multiplied without the rows in which they are zero.

Cost with m neurons, n values of an argument and k outputs: 2 n^2 m s + 2 n^2 s k (less where C or B is sparse) +
6 n^2 m + 2 m k^2 + 6 n^2 k, where brute force has 2 n^2 m k: the number m of neurons becomes the rank s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, FloatArray, IntArray, midpoint
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.networks.pair_sum.circuits import Tables, tables
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import NAMES
from compactproofs.theorems.pair_sum.by_label import direct, groups, hidden, number_right
from compactproofs.theorems.pair_sum.problem import PairProblem, Work


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that the theorem shows to be right."""
    network = rescaled(work, tables(work), hints["scales"])
    return count(work, network, hints["factors"])


def rescaled(work: Work, network: Tables, scales: FloatArray) -> Tables:
    """The same network with neurons of other sizes; a scale that is no positive number is 1."""
    size = work.constant(positive(scales))
    return network._replace(left=network.left * size, right=network.right * size, out=network.out / size[:, None])


def count(work: Work, network: Tables, factors: FloatArray) -> int:
    """The number of inputs that the theorem shows to be right."""
    chosen = directions(work, network.out.shape, factors)
    rest = chosen.rest(network)
    apart = distances(rest)
    right = 0
    for group in groups(work.task.table, max(rest.shape)):
        h = hidden(network, group)
        centre = work.constant(finite(midpoint(h.mean(axis=0))))
        off = h - centre
        distance = np.sqrt((off * off).sum(axis=1))
        slack = distance[:, None] * apart[group.label]
        logits = chosen.times(h[:, chosen.used]) + direct(network, group, centre @ rest)
        right += number_right(logits[:, group.label, None] - logits - slack, group.label)
    return right


class Directions(NamedTuple):
    """C, B, functions that multiply by them, the one by rows `used` of C alone, and no other row of it is not 0."""

    used: IntArray
    C: Array
    B: Array
    times_C: Callable[[Array], Array]
    times_B: Callable[[Array], Array]

    def times(self, h: Array) -> Array:
        """The product of h, of the neurons that are used, with C B."""
        return self.times_B(self.times_C(h))

    def rest(self, network: Tables) -> Array:
        """R = out - C B."""
        return network.out - self.times_B(self.C)


def directions(work: Work, shape: tuple[int, ...], factors: FloatArray) -> Directions:
    """What `factors` say, a column of C and a row of B in each row; `shape`: (m, k)."""
    m, k = shape
    C, B = finite(factors[:, :m].T), finite(factors[:, m:])
    if len(factors) == 0:
        C, B = np.zeros((m, 1)), np.zeros((1, k))
    used = nonzero(np.asarray((C != 0.0).any(axis=1)))
    return Directions(used, work.constant(C), work.constant(B), sparse_product(work, C[used]), sparse_product(work, B))


def centred(rows: Array) -> Array:
    """Each row less its mean."""
    return rows - rows.mean(axis=1, keepdims=True)


def distances(columns: Array) -> Array:
    """|R_z - R_o| for all columns z and o of R, shape (k, k).

    Their squares are R_z R_z + R_o R_o - 2 R_z R_o.  Less the mean of all columns these are the same, and lose fewer
    digits.
    """
    columns = centred(columns)
    return distances_of(columns.T @ columns)


def distances_of(products: Array) -> Array:
    """The same, from the products of all columns with each other."""
    squares = np.diagonal(products)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2.0 * products, 0.0))


def sparse_product(work: Work, matrix: FloatArray) -> Callable[[Array], Array]:
    """A function that multiplies by a matrix, columns that are zero in the same rows together and without these."""
    supports, which = np.unique(matrix != 0.0, axis=1, return_inverse=True)
    which = which.ravel()
    parts = []
    for i, support in enumerate(supports.T):
        rows = nonzero(support)
        parts.append((rows, work.constant(matrix[rows][:, which == i])))
    place = np.argsort(np.argsort(which, kind="stable"))

    def times(h: Array) -> Array:
        return np.concatenate([h[:, rows] @ part for rows, part in parts], axis=1)[:, place]

    return times


def nonzero(there: BoolArray) -> IntArray:
    """The places of what is there, or the first place if nothing is."""
    return np.flatnonzero(there) if there.any() else np.array([0])


def positive(numbers: FloatArray) -> FloatArray:
    """The numbers, with ones for those that are none or not positive."""
    return np.where(np.isfinite(numbers) & (numbers > 0.0), numbers, 1.0)


def finite(numbers: FloatArray) -> FloatArray:
    """The numbers, with zeros for those that are none."""
    return np.where(np.isfinite(numbers), numbers, 0.0)


def hints(problem: PairProblem) -> dict[str, HintSpec]:
    """Directions, each a column of C and a row of B; and the sizes of neurons."""
    m, k = problem.network.neurons, problem.network.outputs
    return {"factors": HintSpec(np.float64, (None, m + k)), "scales": HintSpec(np.float64, (m,))}


LOW_RANK = Strategy(
    id="pair-sum/low-rank",
    theorem="pair-sum/low-rank@1",
    family=PairSum.family,
    tasks=NAMES,
    bound=bound,
    hints=hints,
)
