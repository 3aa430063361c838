"""How many inputs of a class are answered wrongly: bounds on the size of a union, from counting sums.

Let F_o be the inputs of a class, or a part of it, with S_o <= 0, so that the union of the F_o over outputs o is the set
of wrong inputs (`branching.class_margins`: outputs that are left out have F_o empty).  Let L and H be the integers
given there, which bound the terms of S_o times a positive number.

Lemma 1.  Let A_o be the inputs with sum_p L_o[p, x_p] <= 0, and B_o those with sum_p H_o[p, x_p] <= 0.  Then B_o is a
part of F_o, and F_o a part of A_o.  So the union of the A_o has at least, and that of the B_o at most, as many inputs
as there are wrong ones.  (No tie, S_o = 0, is in B_o.)

Lemma 2.  For every set O of outputs, the union of the A_o over O is a part of the set A(O) of inputs with
sum_p min_{o in O} L_o[p, x_p] <= 0; and so with H, B_o and B(O).

Proof.  If o in O and sum_p L_o[p, x_p] <= 0, then sum_p min L[p, x_p] <= sum_p L_o[p, x_p] <= 0.

So where O_1, O_2, ... are sets that together are all outputs, the union of the A_o is a part of that of the
A(O_j).  And for any sets the inputs with sum_p max_{o in O_j} H_o[p, x_p] <= 0 are in all B_o with o in O_j; so the
union of these, over j, is a part of the union of the B_o.  `some_sum` bounds the size of such unions.

Lemma 3.  Let O_1, O_2, ... be sets of outputs that together are all of them, and for each j let I(j) be some outputs of
earlier sets.  The union of the A_o has at most sum_j |A(O_j) minus all A_i with i in I(j)| inputs.

Proof.  An input of the union is in some A_o, and first, say, for an o in O_j.  So it is in A(O_j), and in no A_i of an
earlier set.

Lemma 4.  Let 1, 2, ... be some of the outputs, in any order, and for each j let P_1, P_2, ... be sets that together are
{1, ..., j - 1}.  The union of the B_o has at least sum_j |B_j minus B(P_1), B(P_2), ...| inputs.

Proof.  By lemma 2 the j-th of these sets is a part of B_j minus (B_1, ..., B_{j-1}); these are disjoint.

With weights (`tasks.weights`) all this holds of what inputs count instead of how many they are.

Theorem.  For every list of steps, and all branches, `wrong_inputs` returns at least (`over`), or at most (not over),
the number of wrong inputs.  For a step is skipped that names no output, and a set that is missing from those of lemma 3
counts as the whole class; and `sums`, `both_ends` and `some_sum` err to the same side whatever is said about how to
count.  A histogram takes nothing away: from above that is allowed, and from below it counts nothing where there is
something to take away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import IntArray
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting.both_ends import Meeting, count_from_both_ends, numbers_of
from compactproofs.theorems.max_of_k.counting.some_sum import Branching, count_where_some
from compactproofs.theorems.max_of_k.counting.sums import Axis, count_at_most_zero

ALL_OTHERS = -1


class Window(NamedTuple):
    """The bins of a histogram of a sum, which takes nothing away."""

    width: int
    low: int
    high: int


class BothEnds(NamedTuple):
    """How to count from both ends: which tokens to join at each position, points, and how much is put together exactly.

    `labels`: shape (positions, v), or None, so that every token is alone; `edges`: for each of three axes, shape
    (3, any); `number`: of points on each axis; `first`, `last`: of positions.
    """

    labels: IntArray | None
    edges: IntArray
    number: int
    first: int
    last: int


class Step(NamedTuple):
    """What to count next, and how.

    `output`: on how many inputs it fails, or one of `ALL_OTHERS`, those not counted yet; but not these, if they have
    been counted: from above `less`, and `second`; from below all that have been, `less` alone, and the others together.
    """

    output: int
    less: int
    second: int
    how: Window | BothEnds


class Branches(NamedTuple):
    """How to count all outputs at once: which are taken together, and how far branches are followed.

    `ranks`: shape (v,): outputs of equal rank are one sum, the lower the earlier; those of rank 0 are the last one from
    above, and left out from below.  `labels`, `finer`: as in `BothEnds`, for branches and for tables; `edges`: codes;
    `threshold`: of what a way has to gain, as a logarithm to base 2; the others are those of `some_sum.Branching`.
    """

    ranks: IntArray
    labels: IntArray | None
    finer: IntArray | None
    edges: IntArray
    number: int
    first: int
    bits: int
    threshold: int
    most: int


def wrong_inputs(work: Work, margins: ClassMargins, steps: Iterable[Step] | Branches, over: bool) -> int:
    """A bound on the number of wrong inputs: from above if `over`, by lemma 3, else from below, by lemma 4.

    Or, by branches, by lemma 2.
    """
    if isinstance(steps, Branches):
        return min(count_some_failing(work, margins, steps, over), margins.size)
    left = {int(output): index for index, output in enumerate(margins.outputs)}
    counted: dict[int, int] = {}
    total = 0
    for step in steps:
        if over and step.output == ALL_OTHERS:
            these = dict(left)
        else:
            these = {output: left[output] for output in (step.output,) if output in left}
        if these:
            earlier = _taken_away(step, counted, over)
            total += count_failing(work, margins, list(these.values()), earlier, step, over)
            counted |= these
            left = {output: index for output, index in left.items() if output not in these}
    if over and left:
        return margins.size
    return min(total, margins.size)


def _taken_away(step: Step, counted: dict[int, int], over: bool) -> list[list[int]]:
    """Those of the outputs that have been counted whose inputs do not count again, in sets that have an axis each."""
    names = dict.fromkeys((step.less, step.second) if over else (step.less,))
    alone = [counted[output] for output in names if output in counted]
    others = [] if over else [index for index in counted.values() if index not in alone]
    return [*([index] for index in alone), *([others] if others else [])]


def count_failing(
    work: Work, margins: ClassMargins, outputs: list[int], earlier: list[list[int]], step: Step, over: bool
) -> int:
    """A bound on |A(outputs) minus all A(E) with E in `earlier`|, from above, or on the same with B, from below.

    Outputs are told by index.  From above each E is one output.
    """
    entries, last = (margins.low, margins.low_last) if over else (margins.high, margins.high_last)
    work.charge(int_ops=entries[:, :, 0].size * (len(outputs) + sum(map(len, earlier))))
    of_outputs, at = entries[:, :, outputs].min(axis=2), int(last[outputs].min())
    how, of_class = step.how, (margins.conditions, margins.counts)
    if isinstance(how, Window):
        if earlier and not over:
            return 0
        return margins.of_query * count_at_most_zero(work, Axis(of_outputs, at, *how), *of_class, over)
    sums = [(of_outputs, at)]
    for others in earlier:  # these sums are at most 0 where those of B(others) are positive
        sums.append((-entries[:, :, others].min(axis=2), 1 - int(last[others].min())))
    both, start = np.stack([one for one, _ in sums], axis=2), np.array([at for _, at in sums])
    meeting = Meeting(
        _clusters(how.labels, margins),
        [numbers_of(edges) for edges in how.edges[: len(sums)]],
        how.number,
        how.first,
        how.last,
    )
    return margins.of_query * count_from_both_ends(work, both, start, *of_class, meeting, over)


def count_some_failing(work: Work, margins: ClassMargins, how: Branches, over: bool) -> int:
    """A bound on the size of the union of all A(O_j), from above, or of their like with H, from below."""
    rank = how.ranks[margins.outputs]
    if over:
        rank = np.where(rank == 0, len(rank) + how.ranks.max(initial=0), rank)
    sets = [np.flatnonzero(rank == each) for each in np.unique(rank[rank > 0])]
    if not sets:
        return 0
    entries, last = (margins.low, margins.low_last) if over else (margins.high, margins.high_last)
    extreme = np.minimum if over else np.maximum
    work.charge(int_ops=entries.size)
    branching = Branching(
        _clusters(how.labels, margins),
        _clusters(how.finer, margins),
        numbers_of(how.edges),
        how.number,
        how.first,
        how.bits,
        2.0 ** min(how.threshold, 1000),
        how.most,
    )
    both = np.stack([extreme.reduce(entries[:, :, these], axis=2) for these in sets], axis=2)
    start = np.array([extreme.reduce(last[these]) for these in sets])
    of_class = margins.conditions, margins.counts
    return margins.of_query * count_where_some(work, both, start, *of_class, branching, over)


def _clusters(labels: IntArray | None, margins: ClassMargins) -> IntArray:
    """Labels of the tokens of a class, shape (positions, T); every token alone where there are none."""
    if labels is None:
        return np.tile(np.arange(len(margins.tokens)), (len(margins.low), 1))
    return labels[:, margins.tokens]
