"""Separable low rank: a few directions decide, and the others are bounded by one norm for x and one for y.

Neurons are scaled as in `low_rank`; left, right and out_z are those of the scaled network, h its ReLUs.

Lemma.  |h(x, y)| <= |left(x)+| + |right(y)+|, where v+ has the entries max(v_i, 0).

Proof.  0 <= ReLU(a + b) <= ReLU(a) + ReLU(b), entry by entry, and the norm of a sum is at most the sum of norms.

Theorem.  Let C (m, s) and B (s, k) be any matrices, R = out - C B, R_z its columns, and a any vector of length m.  An
input (x, y) with label z is answered correctly if for every output o /= z, with d the direct part of its logits,

    d_z - d_o + (h C) (B_z - B_o) - 2 (|left(x)+| + |right(y)+|) max_w |R_w - a|  >  0.

Proof.  The lead of z over o is d_z - d_o + h (out_z - out_o), and h (out_z - out_o) = h C (B_z - B_o) + h (R_z - R_o).
As R_z - R_o = (R_z - a) - (R_o - a), the last term is at least -|h| (|R_z - a| + |R_o - a|) by Cauchy and Schwarz, and
the lemma bounds |h|.

For a the mean of the columns is taken, and for scales, C and B what hints say; whatever these are, the theorem holds.

With m neurons and n values of an argument the cost is 2 n^2 m + 2 n^2 (entries of C that are not 0) + 2 n^2 s k +
4 n^2 k + 2 m k s + 4 m k: of all products of n^2 m no more than ReLUs and directions are left.
"""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import Array, FloatArray
from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.networks.pair_sum.circuits import Tables, tables
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import NAMES
from compactproofs.theorems.pair_sum.by_label import direct, groups, hidden, number_right
from compactproofs.theorems.pair_sum.low_rank import centred, directions, rescaled
from compactproofs.theorems.pair_sum.low_rank import hints as hints_of_low_rank
from compactproofs.theorems.pair_sum.problem import Work


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that the theorem shows to be right."""
    return count(work, rescaled(work, tables(work), hints["scales"]), hints["factors"])


def count(work: Work, network: Tables, factors: FloatArray) -> int:
    """The number of inputs that the theorem shows to be right; `factors`: a column of C and a row of B in each row."""
    chosen = directions(work, network.out.shape, factors)
    rest = centred(chosen.rest(network))
    most = 2.0 * np.sqrt((rest * rest).sum(axis=0).max())
    of_x, of_y = (most * _norms(np.maximum(part, 0.0)) for part in (network.left, network.right))
    right = 0
    for group in groups(work.task.table, max(rest.shape)):
        logits = chosen.times(hidden(network, group)[:, chosen.used]) + direct(network, group)
        least = logits[:, group.label] - (of_x[group.x] + of_y[group.y])
        right += number_right(least[:, None] - logits, group.label)
    return right


def _norms(table: Array) -> Array:
    found: Array = np.sqrt((table * table).sum(axis=1))
    return found


SEPARABLE = Strategy(
    id="pair-sum/low-rank-separable",
    theorem="pair-sum/low-rank-separable@1",
    family=PairSum.family,
    tasks=NAMES,
    bound=bound,
    hints=hints_of_low_rank,
)
