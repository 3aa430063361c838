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

Lemma 3.  Let O_1, O_2, ... be sets of outputs that together are all of them, and for each j let I(j) be some outputs of
earlier sets.  The union of the A_o has at most sum_j |A(O_j) minus all A_i with i in I(j)| inputs.

Proof.  An input of the union is in some A_o, and first, say, for an o in O_j.  So it is in A(O_j), and in no A_i of an
earlier set.

Lemma 4.  Let 1, 2, ... be some of the outputs, in any order, and for each j let P_1, P_2, ... be sets that together are
{1, ..., j - 1}.  The union of the B_o has at least sum_j |B_j minus B(P_1), B(P_2), ...| inputs.

Proof.  By lemma 2 the j-th of these sets is a part of B_j minus (B_1, ..., B_{j-1}); these are disjoint.

With weights (`tasks.weights`) all this holds of what inputs count instead of how many they are.

Theorem.  For every list of steps, `wrong_inputs` returns at least (`over`), or at most (not over), the number of wrong
inputs.  For a step is skipped that names no output, and a set that is missing from those of lemma 3 counts as the whole
class; and `sums`, `half_sums` and `grids` err to the same side whatever a step says about how to count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import IntArray
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from compactproofs.theorems.max_of_k.counting.grids import count_on_grids, points_of
from compactproofs.theorems.max_of_k.counting.half_sums import count_in_halves
from compactproofs.theorems.max_of_k.counting.sums import Axis, count_at_most_zero

ALL_OTHERS = -1


class Halves(NamedTuple):
    """How to meet in the middle: the labels of all tokens at each position, and edges of ranks on both axes."""

    labels: IntArray
    edges: IntArray


class Grids(NamedTuple):
    """On which points to count: for each of three axes edges, shape (3, any), and how many parts to make between two.

    `second`: an output more that is taken away from above, besides `Step.less`, if it has been counted.  From below all
    that have been are taken away, `Step.less` alone, and the others together.
    """

    edges: IntArray
    between: tuple[int, int, int]
    second: int


class Step(NamedTuple):
    """What to count next, and how.

    `output`: on how many inputs it fails, or one of `ALL_OTHERS`, those not counted yet; `less`: but not this one, if
    it has been counted.  `windows`: width, low and high for each axis of a histogram; `how`: used instead, halves only
    for two axes.
    """

    output: int
    less: int
    windows: tuple[tuple[int, int, int], tuple[int, int, int]]
    how: Halves | Grids | None


def wrong_inputs(work: Work, margins: ClassMargins, steps: Iterable[Step], over: bool) -> int:
    """A bound on the number of wrong inputs: from above if `over`, by lemma 3, else from below, by lemma 4."""
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
    names = [step.less] if over or isinstance(step.how, Grids) else []
    names += [step.how.second] if over and isinstance(step.how, Grids) else []
    alone = [counted[output] for output in dict.fromkeys(names) if output in counted]
    others = [] if over else [index for index in counted.values() if index not in alone]
    return [*([index] for index in alone), *([others] if others else [])]


def count_failing(
    work: Work, margins: ClassMargins, outputs: list[int], earlier: list[list[int]], step: Step, over: bool
) -> int:
    """A bound on |A(outputs) minus all A(E) with E in `earlier`|, from above, or on the same with B, from below.

    Outputs are told by index.  From above each E is one output.
    """
    entries, last = (margins.low, margins.low_last) if over else (margins.high, margins.high_last)
    sums = [(entries[:, :, outputs].min(axis=2), int(last[outputs].min()))]
    for others in earlier:  # these sums are at most 0 where those of B(others) are positive
        sums.append((-entries[:, :, others].min(axis=2), 1 - int(last[others].min())))
    work.charge(int_ops=entries[:, :, 0].size * (len(outputs) + sum(map(len, earlier))))
    if isinstance(step.how, Grids) or (isinstance(step.how, Halves) and earlier and margins.by_sets):
        both, start = np.stack([one for one, _ in sums], axis=2), np.array([at for _, at in sums])
        if isinstance(step.how, Halves):
            of_sets = margins.required, margins.counts, step.how.labels[:, margins.tokens], step.how.edges
            return margins.of_query * count_in_halves(work, both, start, *of_sets, over)
        grids = [points_of(*of_axis) for of_axis in zip(step.how.edges, step.how.between, strict=True)]
        found = count_on_grids(work, both, start, margins.conditions, margins.counts, grids[: len(sums)], over)
        return margins.of_query * found
    axes = [Axis(*one, *window) for one, window in zip(sums, step.windows, strict=False)]
    return margins.of_query * count_at_most_zero(work, axes, margins.conditions, margins.counts, over)
