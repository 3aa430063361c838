"""Deciding all inputs of a class by boxes of tokens: branch and bound.

A box allows at each of P positions the tokens of one node of a binary tree over the tokens.  With the integers
L and H of `class_margins`, let lo be the sum over positions of the node's smallest L, and hi that of its largest
H, with those of the last position.

Lemma.  If lo > 0 for every output, all inputs of the box are answered correctly.  If hi <= 0 for some output, all are
answered wrongly.

Proof.  Each S_o(x), times the positive factor that `class_margins` allows, lies between lo and hi.  (Outputs that it
leaves out never win.)

Other kinds of `ClassMargins` may have other integers, and conclude other things from lo and hi.

A box that is neither is split at one position into the two children of its node, which are disjoint and together hold
the same inputs.  A box of single tokens cannot be split: the integers are too coarse for its input.  It is decided by
enclosures of the S_o themselves, as right if all are certainly positive, as wrong if one is certainly negative, or not
at all: never if the least S_o is 0, a tie.

Start.  A class says which disjoint boxes it is made of: at each position any token of one or more disjoint parts of the
tokens.  So there is a node for each part, and one above those that stand together.

Any tree and any choice of positions would do.  Here neighbours in the tree have similar sums of L over all positions.

The work is limited: boxes left when it is spent, and single inputs beyond 2^14, are undecided.  Sums and sizes are
64-bit integers: entries are at most 2^52 (`class_margins`), and classes of 2^62 inputs and more are left undecided.

With weights (`tasks.weights`) the size of a node is the weight of its tokens, and that of a box the product of those
of its nodes, times the query's: what its inputs count together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from compactproofs.kernel.decisions import Array, IntArray, certainly_positive
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, Parts

_BATCH = 2**14  # boxes handled at once
_BATCH_ENTRIES = 2**21  # and sums for them
_MAX_SINGLES = 2**14  # inputs of a class that are decided one by one; more are given up


@dataclass(frozen=True)
class Decided:
    """What inputs count that are certainly wrong, and those that could not be decided; and the boxes that it took."""

    wrong: int
    undecided: int
    boxes: int


def decide(work: Work, margins: ClassMargins, limit: int) -> Decided:
    """Decide the inputs of a class with at most about `limit` boxes."""
    positions = len(margins.low)
    if int(margins.counts.sum()) ** positions >= 2**62:
        return Decided(0, margins.size, 0)
    at_once = max(1, min(_BATCH, _BATCH_ENTRIES // margins.low.shape[2]))
    tree = _Tree(work, margins)
    todo = [tree.start]
    wrong = undecided = boxes = 0
    singles = []
    while todo:
        batch = todo.pop()
        if len(batch) > at_once:
            todo.append(batch[at_once:])
            batch = batch[:at_once]
        sizes = tree.sizes[batch].prod(axis=1)
        if boxes > limit:
            undecided += int(sizes.sum())
            continue
        boxes += len(batch)
        least, most = tree.ends(batch, margins)
        work.charge(flops=2 * positions * least.size, int_ops=2 * least.size)
        fails, holds = margins.decided(work, least, most)
        left = ~fails & ~holds
        wrong += int(sizes[fails].sum())
        batch = batch[left]
        spread = np.where(tree.children[batch, 0] >= 0, tree.spread[np.arange(positions), batch], -1)
        position = spread.argmax(axis=1) if positions else np.zeros(len(batch), np.int64)
        rows = np.arange(len(batch))
        single = spread[rows, position] < 0 if positions else np.ones(len(batch), np.bool_)
        singles.append(batch[single])
        batch, position = batch[~single], position[~single]
        if len(batch):
            halves = np.repeat(batch[None], 2, axis=0)
            rows = np.arange(len(batch))
            for child in (0, 1):
                halves[child, rows, position] = tree.children[batch[rows, position], child]
            todo.append(halves.reshape(-1, positions))
    # A node that cannot be split is a leaf, and leaves are numbered like the tokens.
    inputs = np.concatenate(singles) if singles else np.zeros((0, positions), np.int64)
    sizes = tree.sizes[inputs].prod(axis=1)
    tried = inputs[:_MAX_SINGLES], len(margins.tokens)  # the query
    sums_right, sums_wrong = _decided_by_signs(margins.signs, *tried, sizes[:_MAX_SINGLES])
    undecided += int(sizes.sum()) - sums_right - sums_wrong
    return Decided(margins.of_query * (wrong + sums_wrong), margins.of_query * undecided, boxes)


def _decided_by_signs(
    margins: Callable[[IntArray], Array], inputs: IntArray, last: int, counts: IntArray
) -> tuple[int, int]:
    """What these inputs count whose margins are all certainly positive, and those with a certainly negative one.

    `margins`: what has the signs of the margins of inputs, shape (N, n) to (N, outputs); `inputs`: shape (N, n - 1);
    `last`: what all have at position n; `counts`: what each input counts, shape (N,).
    """
    right = wrong = 0
    for start in range(0, len(inputs), 1024):
        chunk, each = inputs[start : start + 1024], counts[start : start + 1024]
        found = margins(np.concatenate([chunk, np.full((len(chunk), 1), last)], axis=1))
        holds = certainly_positive(found).all(axis=1)
        right += int(each[holds].sum())
        wrong += int(each[~holds][certainly_positive(-found[~holds]).any(axis=1)].sum())
    return right, wrong


class _Tree:
    """Binary trees over tokens: arrays over nodes, children before parents, the tokens' leaves first.

    `start`: the boxes of the class, shape (boxes, positions).
    """

    def __init__(self, work: Work, margins: ClassMargins) -> None:
        low, high, tokens = margins.low, margins.high, margins.low.shape[1]
        lows, highs = list(np.moveaxis(low, 1, 0)), list(np.moveaxis(high, 1, 0))
        sizes, children = margins.counts.tolist(), [(-1, -1)] * tokens

        def join(a: int, b: int) -> int:
            lows.append(np.minimum(lows[a], lows[b]))
            highs.append(np.maximum(highs[a], highs[b]))
            sizes.append(sizes[a] + sizes[b])
            children.append((a, b))
            return len(sizes) - 1

        def build(ordered: IntArray, gaps: IntArray) -> int:
            if len(ordered) == 1:
                return int(ordered[0])
            cut = int(gaps.argmax()) + 1
            return join(build(ordered[:cut], gaps[: cut - 1]), build(ordered[cut:], gaps[cut:]))

        @lru_cache(None)
        def node(parts: Parts) -> int:
            part = np.arange(parts[-1].start, parts[-1].stop)
            ordered = part[np.argsort(line[part], kind="stable")]
            last = build(ordered, np.diff(line[ordered]))
            return last if len(parts) == 1 else join(node(parts[:-1]), last)

        line = np.abs(low.sum(axis=0)).max(axis=1)
        boxes = [[node(parts) for parts in box] for box in margins.boxes()]
        self.start: IntArray = np.array(boxes, np.int64).reshape(len(boxes), len(low))
        self.children: IntArray = np.array(children, np.int64)
        self.sizes: IntArray = np.array(sizes, np.int64)
        self._lows, self._highs = np.stack(lows, axis=1), np.stack(highs, axis=1)
        self.spread: IntArray = (self._highs - self._lows).max(axis=2)
        work.charge(flops=6 * len(sizes) * low[:, 0].size)

    def ends(self, boxes: IntArray, margins: ClassMargins) -> tuple[IntArray, IntArray]:
        """lo and hi of boxes, shape (boxes, outputs)."""
        least = np.repeat(margins.low_last[None], len(boxes), axis=0)
        most = np.repeat(margins.high_last[None], len(boxes), axis=0)
        for position, nodes in enumerate(boxes.T):
            least += self._lows[position, nodes]
            most += self._highs[position, nodes]
        return least, most
