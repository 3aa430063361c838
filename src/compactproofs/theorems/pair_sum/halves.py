"""Halves: of what a few directions leave, half is linear and looked at exactly, and a norm bounds the other half.

Neurons are scaled as in `low_rank`; left, right and out are those of the scaled network, h its ReLUs, and v is
left(x) + right(y), so h_i = ReLU(v_i).  |v| without an index is the norm of v.

Theorem.  Let C (m, s) and B (s, k) be any matrices, R = out - C B, and R_z its columns.  An input (x, y) with label z
is answered correctly if for every output o /= z, with d the direct part of its logits,

    d_z - d_o + (h C) (B_z - B_o) + v (R_z - R_o) / 2 - |v| |R_z - R_o| / 2  >  0,

or if its logits, computed from h and out, say so.

Proof.  ReLU(t) = (t + |t|) / 2, so with w the vector of all |v_i| the lead of z over o is d_z - d_o + h C (B_z - B_o) +
v (R_z - R_o) / 2 + w (R_z - R_o) / 2.  As w and v have the same norm, the last term is at least -|v| |R_z - R_o| / 2 by
Cauchy and Schwarz.

Means.  Let N (m, f) be any matrix, p = w N, and c the largest sum of absolute values in a row of N^T N.  Then instead
of |v| |R_z - R_o| one may take |p| |(N^T R)_z - (N^T R)_o| + r |R_z - R_o| with r^2 = |v|^2 - (2 - c) |p|^2.

Proof.  w (R_z - R_o) is the sum of p N^T (R_z - R_o) and (w - p N^T) (R_z - R_o).  |w - p N^T|^2 is |w|^2 - 2 |p|^2 +
p N^T N p^T, of which the last term is at most c |p|^2: row sums bound the eigenvalues of a symmetric matrix.

How it is computed.  v R = left(x) R + right(y) R are tables for x and for y, and |v|^2 is |left(x)|^2 + |right(y)|^2 +
2 left(x) right(y).  As ReLU(a + b) = max(a, -b) + b, h C B is max(left(x), -right(y)) C B and a table for y.  Inputs
that the first condition leaves open are asked for the second.  For scales, C and B what hints say is taken; whatever
these are, the theorem holds.

With m neurons, of which C has m' that are not 0, and n values of an argument the cost is n^2 m' + 2 n^2 (entries of C
and B that are not 0) + 5 n^2 k + 4 n m k + 2 n^2 m + 2 m k^2, and 2 m k for each input that is left open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, FloatArray
from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.networks.pair_sum.circuits import Tables, tables
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import NAMES
from compactproofs.theorems.pair_sum.by_label import Group, direct, groups, hidden, right
from compactproofs.theorems.pair_sum.low_rank import directions, distances, rescaled
from compactproofs.theorems.pair_sum.low_rank import hints as hints_of_low_rank
from compactproofs.theorems.pair_sum.problem import Work


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that the theorem shows to be right."""
    return count(work, rescaled(work, tables(work), hints["scales"]), hints["factors"])


def count(work: Work, network: Tables, factors: FloatArray) -> int:
    """The number of inputs that the theorem shows to be right; `factors`: a column of C and a row of B in each row."""
    found = 0
    for group, proved in by_norms(work, network, factors):
        found += int(proved.sum())
        if not proved.all():
            left_open = Group(group.label, group.x[~proved], group.y[~proved])
            logits = hidden(network, left_open) @ network.out + direct(network, left_open)
            found += int(right(logits[:, group.label, None] - logits, group.label).sum())
    return found


class Parts(NamedTuple):
    """What the first condition is made of: left and -right of the neurons that are used, the product of their maxima
    with C B, all that is a table for x or for y, |v|^2, and |R_z - R_o|.
    """

    left: Array
    minus_right: Array
    times: Callable[[Array], Array]
    of_x: Array
    of_y: Array
    squares: Array
    apart: Array


def by_norms(work: Work, network: Tables, factors: FloatArray) -> Iterator[tuple[Group, BoolArray]]:
    """Inputs in groups, and which of them the first condition shows to be right."""
    chosen = directions(work, network.out.shape, factors)
    rest, minus_right = chosen.rest(network), -network.right[:, chosen.used]
    of_x, of_y = 0.5 * (network.left @ rest), 0.5 * (network.right @ rest) - chosen.times(minus_right)
    return shown(
        work,
        Parts(
            left=network.left[:, chosen.used],
            minus_right=minus_right,
            times=chosen.times,
            of_x=of_x if network.of_x is None else network.of_x + of_x,
            of_y=network.of_y + of_y,
            squares=squares_of_sums(network.left, network.right, network.left, network.right),
            apart=distances(rest),
        ),
    )


def shown(work: Work, parts: Parts) -> Iterator[tuple[Group, BoolArray]]:
    """Inputs in groups, and which of them the first condition shows to be right."""
    for group in groups(work.task.table, max(parts.left.shape[1], len(parts.apart))):
        logits = parts.times(np.maximum(parts.left[group.x], parts.minus_right[group.y]))
        logits = logits + (parts.of_x[group.x] + parts.of_y[group.y])
        size = 0.5 * np.sqrt(np.maximum(parts.squares[group.x, group.y], 0.0))
        leads = logits[:, group.label, None] - logits - size[:, None] * parts.apart[group.label]
        yield group, right(leads, group.label)


def squares_of_sums(left: Array, right: Array, left_also: Array, right_also: Array) -> Array:
    """|left(x) + right(y)|^2 for all x and y, from rows and from the same rows again, or times a matrix in between."""
    return (left * left_also).sum(axis=1)[:, None] + (right * right_also).sum(axis=1) + 2.0 * (left_also @ right.T)


HALVES = Strategy(
    id="pair-sum/low-rank-halves",
    theorem="pair-sum/low-rank-halves@1",
    family=PairSum.family,
    tasks=NAMES,
    bound=bound,
    hints=hints_of_low_rank,
)
