"""Equivariant distance: near a network whose logits depend on x^-1 z y^-1 alone, the group's symmetry decides.

T is the table of a group G, e its unit; G acts on a finite set A if e a = a and (x y) a = x (y a) for all a.

Ideal networks.  Let G act on A and B, let L and P be functions on A and B, W one on A x B with W(x a, x b) = W(a, b),
and S a set of pairs (a, b) with (x a, y b) in S for all x and y.  Neuron i is at a pair (a_i, b_i) in S, each pair has
one at least, and weights w_i > 0 of neurons at the same pair add up to 1.  Let

    h^_i(x, y) = ReLU(L(x^-1 a_i) + P(y b_i))    out^_i(z) = w_i W(a_i, z b_i)    f^(x, y)_z = sum_i h^_i out^_i(z)

Lemma.  f^(x, y)_z = F(x^-1 z y^-1), where F(g) = f^(e, e)_g.

Proof.  As weights add up to 1, f^(x, y)_z is the sum over (a, b) in S of W(a, z b) ReLU(L(x^-1 a) + P(y b)).  Put
a = x a', b = y^-1 b', which permutes S: the term is W(x a', z y^-1 b') ReLU(L(a') + P(b')), and W does not change when
x^-1 is applied to both of its arguments.

Theorem.  Scale the neurons as in `low_rank`, let h be their ReLUs, R = out - out^, c any vector, and let v_i, v'_i > 0.
An input (x, y) with label z is answered correctly if for every output o /= z, with d the direct part of its logits,

    F(e) - F(x^-1 o y^-1) + d_z - d_o + c (R_z - R_o) - n(h - c) |R_z - R_o|_v - n'(h - h^) |out^_z - out^_o|_v'  >  0

where n(t)^2 = sum_i v_i t_i^2, |t|_v^2 = sum_i t_i^2 / v_i, and likewise with v'.

Proof.  h out = h^ out^ + (h - h^) out^ + c R + (h - c) R, column by column.  The difference of columns z and o of the
first term is F(e) - F(x^-1 o y^-1) by the lemma, as z = x y; Cauchy and Schwarz bound those of the second and fourth.

A neuron at no pair has h^_i = 0 and out^_i = 0.  Neurons may be added to the network whose tables are all zero.

Hints are actions, L, P and W, the pairs, scales, weights, v and v'.  That actions, W and S are as above is checked with
integers and by equality, n^2 look-ups for each element of A and B and n for each pair of them; otherwise N = 0.

With m neurons the cost is some 20 n^2 m + 7 n^3: no product of n^2 m and another size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, IntArray, midpoint
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.networks.pair_sum.circuits import Tables, tables
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.theorems.pair_sum.by_label import direct, groups, hidden, number_right
from compactproofs.theorems.pair_sum.low_rank import finite, positive, rescaled
from compactproofs.theorems.pair_sum.problem import PairProblem, Work


class Ideal(NamedTuple):
    """An ideal network: ReLUs of sums of exact rows of `left` and `right` (n, M), times `out` (M, n)."""

    left: Array
    right: Array
    out: Array


def bound(work: Work, hints: Hints) -> int:
    """The number of inputs that the theorem shows to be right."""
    table = work.task.table
    unit, inverse = _unit(table)
    compared = parts(work, hints)
    if compared is None:
        return 0
    network, ideal = compared
    rest = network.out - ideal.out
    of_rest, of_hidden = (work.constant(positive(hints["sizes"][i])) for i in (2, 3))
    apart, apart_ideal = rest / np.sqrt(of_rest)[:, None], ideal.out / np.sqrt(of_hidden)[:, None]
    at_unit = np.maximum(ideal.left[unit] + ideal.right[unit], 0.0) @ ideal.out
    right = 0
    for group in groups(table, max(rest.shape)):
        h = hidden(network, group)
        centre = work.constant(finite(midpoint(h.mean(axis=0))))
        off, off_ideal = h - centre, h - np.maximum(ideal.left[group.x] + ideal.right[group.y], 0.0)
        slack = _norms(off, of_rest)[:, None] * _distances(apart, group.label)
        slack = slack + _norms(off_ideal, of_hidden)[:, None] * _distances(apart_ideal, group.label)
        moved = table[table[inverse[group.x]], inverse[group.y][:, None]]
        logits = at_unit[moved] + direct(network, group, centre @ rest)
        right += number_right(logits[:, group.label, None] - logits - slack, group.label)
    return right


def parts(work: Work, hints: Hints) -> tuple[Tables, Ideal] | None:
    """The scaled network, and the ideal one; None if the hints describe none."""
    unit, inverse = _unit(work.task.table)
    if not is_ideal(work, unit, hints):
        return None
    network = _with_more(work, tables(work), hints["pairs"].shape[1])
    return rescaled(work, network, hints["sizes"][0]), _ideal(work, inverse, hints)


def _unit(table: IntArray) -> tuple[int, IntArray]:
    """The number of the unit, and of each element's inverse."""
    unit = int(np.flatnonzero((table == np.arange(len(table))).all(axis=1))[0])
    return unit, (table == unit).argmax(axis=1)


def _norms(rows: Array, weights: Array) -> Array:
    return np.sqrt((rows * rows) @ weights)


def _distances(columns: Array, label: int) -> Array:
    """Of each column from that of the label."""
    apart = columns[:, label, None] - columns
    return np.sqrt((apart * apart).sum(axis=0))


def is_ideal(work: Work, unit: int, hints: Hints) -> bool:
    """Whether the hints describe an ideal network for at least as many neurons as there are."""
    n, network = work.task.n, work.network
    actions, pairs, outputs = (hints["left"], hints["right"]), hints["pairs"], hints["outputs"]
    sizes = [action.shape[1] for action in actions]
    if (
        network.outputs != n
        or 0 in sizes
        or pairs.shape[1] < network.neurons
        or hints["sizes"].shape != (4, pairs.shape[1])
        or [len(hints["left_values"]), len(hints["right_values"])] != sizes
        or list(outputs.shape) != sizes
        or not all(((row >= -1) & (row < size)).all() for row, size in zip(pairs, sizes, strict=True))
    ):
        return False
    work.charge(int_ops=n * n * sum(sizes) + 3 * n * outputs.size)
    if not all(_is_action(work.task.table, unit, action) for action in actions):
        return False
    there = np.zeros(outputs.shape, np.bool_)
    there[tuple(pairs[:, _placed(pairs)])] = True
    return all(
        (outputs[left][:, right] == outputs).all() and (there[left] == there).all() and (there[:, right] == there).all()
        for left, right in zip(*actions, strict=True)
    )


def _is_action(table: IntArray, unit: int, action: IntArray) -> bool:
    """Whether row x of `action` is what x makes of each element of a set, for an action of the group."""
    if not (action < action.shape[1]).all() or (action[unit] != np.arange(action.shape[1])).any():
        return False
    return all((action[table[x]] == action[x][action]).all() for x in range(len(table)))


def _placed(pairs: IntArray) -> BoolArray:
    """Which neurons are at a pair."""
    return np.asarray((pairs >= 0).all(axis=0))


def _ideal(work: Work, inverse: IntArray, hints: Hints) -> Ideal:
    """The ideal network that the hints describe."""
    a, b = hints["pairs"]
    placed = _placed(hints["pairs"])
    left = np.where(placed, finite(hints["left_values"])[hints["left"][inverse][:, a]], 0.0)
    right = np.where(placed, finite(hints["right_values"])[hints["right"][:, b]], 0.0)
    out = np.where(placed, finite(hints["outputs"])[a, hints["right"][:, b]], 0.0).T
    together = placed & (a == a[:, None]) & (b == b[:, None])
    share = work.constant(positive(hints["sizes"][1]))
    weights = share / (work.constant((together | np.eye(len(a), dtype=bool)).astype(np.float64)) @ share)
    return Ideal(work.constant(left), work.constant(right), work.constant(out) * weights[:, None])


def _with_more(work: Work, network: Tables, neurons: int) -> Tables:
    """The network with neurons added that read and write nothing, so that there are so many."""
    n, m = network.left.shape
    more = work.constant(np.zeros((n, neurons - m)))
    return network._replace(
        left=np.concatenate([network.left, more], axis=1),
        right=np.concatenate([network.right, more], axis=1),
        out=np.concatenate([network.out, work.constant(np.zeros((neurons - m, network.out.shape[1])))]),
    )


def hints(problem: PairProblem) -> dict[str, HintSpec]:
    """Actions, functions, pairs, and for each neuron its scale, its share of a pair, and v, v'."""
    n = problem.task.n
    return {
        "left": HintSpec(np.uint16, (n, None)),
        "right": HintSpec(np.uint16, (n, None)),
        "left_values": HintSpec(np.float64, (None,)),
        "right_values": HintSpec(np.float64, (None,)),
        "outputs": HintSpec(np.float64, (None, None)),
        "pairs": HintSpec(np.int64, (2, None)),
        "sizes": HintSpec(np.float64, (4, None)),
    }


EQUIVARIANT = Strategy(
    id="pair-sum/equivariant-distance",
    theorem="pair-sum/equivariant-distance@1",
    family=PairSum.family,
    tasks=("add-mod", "group"),
    bound=bound,
    hints=hints,
)
