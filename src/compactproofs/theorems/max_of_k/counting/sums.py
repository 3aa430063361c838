"""Counting sequences by sums of table entries, without enumerating them.

Given integers a[p, t, j] of shape (P, T, r) over (position, token, axis), a start s[j] and sets of tokens, consider the
sequences x of P tokens that hold a token of each of the sets, such that on every axis j

    s[j] + sum_p a[p, x_p, j] <= 0.                                                                               (*)

`count_at_most_zero` returns an integer that is at least (`over`), or at most (not over), the number of them.

Bins.  For an integer width D > 0 and any integers b[p], let k = floor((a - b) / D) and c = floor((s + sum_p b) / D) if
over, and the same with ceil if not.  Then D (c + sum_p k) <= s + sum_p a if over, and >= if not.  So (*) implies
c + sum_p k <= 0 if over, and is implied by it if not.

States.  Positions are added one after the other.  A state says on each axis either a number in a window low ... high,
or DONE, and holds the number of beginnings of sequences that came to it.  Let least and most be the sums over the
positions still to come of the smallest and the largest k.  A new number z is settled on an axis in this order:

    over:      z >= low and z > -least: dropped;  z > high: becomes high;  then z < low or z <= -most: DONE.
    not over:  z > high or z > -least:  dropped;  z <= -most: DONE;  z < low: becomes low, dropped if low > high or
               low > -least.

Here "dropped" forgets the sequence, and DONE stays DONE.  The start is settled in the same way, before any position.
So what is a number after settling is in the window.

Theorem.  For any window, also an empty one (low > high), the number of sequences that end DONE on all axes is at least
(over), or at most (not over), the number of those for which c + sum_p k <= 0 on all axes.

Proof.  Over: numbers only move down, so by induction a state's number is at most the partial sum of its sequences.  One
is dropped only where the number plus least is positive, and then its total is; so a sequence with all totals <= 0 is
never dropped.  At the end least = most = 0, and a number that is not dropped has z < low or z <= 0: DONE.
Not over: numbers only move up, so a state's number is at least the partial sum.  An axis becomes DONE only where the
number plus most is 0 or less, and then the total is; so what ends DONE on all axes has all totals <= 0.  At the end
what is not dropped has z <= 0: DONE.

An empty window never holds a number: all that is settled is dropped or DONE.  Over, a z above high becomes high, and
everything up to high is below low; not over, a z up to high is below low, and what becomes low is above high.

Long steps.  Any k may be replaced by its nearest in low - high - 1 ... high - low + 1 when it is added, provided that
least and most are those of the k themselves.  If the window is empty there is no number that a step is added to.  Else,
over: a smaller step moves the number down, which the proof allows; one made larger is low - high - 1, and leads from a
number <= high to one below low, as k does, and both are DONE, since nothing below low is dropped.  Not over: a larger
step moves the number up, which the proof allows; one made smaller is high - low + 1, and leads from a number >= low to
one above high, as k does, and both are dropped.

Which of the sets have been met is a further part of the state; at the end all must have been.

Floating point.  Counts are float64 sums of products of numbers that are 0 or at least 1, so nothing underflows; what
overflows stays as large as 2^1023 in every mode of arithmetic, and counts from 2^1000 on are refused.  Each operation
that a count passes through changes it by a factor in [1 - u, 1 + u], u = 2^-53.  If there are at most M <= 2^50 in a
row, the result is the count times a factor between (1 - u)^M >= 1 - M u and (1 + u)^M <= 1 / (1 - M u), so the count is
the result times a factor in [1 - M u, 1 + 2 M u], as M u <= 1/8.  The final step to an integer is exact.

Cost: about 2 P (distinct steps) (cells of the window), booked as floating-point operations.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.theorems.max_of_k import Work

Floats = npt.NDArray[np.float64]

_DONE, _NUMBERS = slice(0, 1), slice(1, None)  # of an axis of states


@dataclass(frozen=True)
class Axis:
    """The integers of one axis, and into which bins and window to put them: any, of widths up to 2^62.

    `entries`: a[p, t], shape (P, T), below 2^53; `start`: s; `width`: D; `low`, `high`: the window, in bins;
    it may be empty.
    """

    entries: IntArray
    start: int
    width: int
    low: int
    high: int

    @classmethod
    def choose(cls, entries: IntArray, start: int, cells: int, low: int, high: int) -> Axis:
        """An axis whose window holds the start, 0 and two numbers, as far as sums reach.

        It has about `cells` cells, up to twice as many, or a cell for each number if these are fewer.
        """
        smallest, largest = int(entries.min(axis=1).sum()), int(entries.max(axis=1).sum())
        # Beyond -largest and -smallest sums are decided; but what is still to come may also be nothing.
        bottom = max(min(low, start, 0), min(-largest, 0), start + min(smallest, 0))
        top = max(min(max(high, start, 0), max(-smallest, 0), start + max(largest, 0)), bottom)
        width = max(1, (top - bottom) // cells)
        return cls(entries, start, width, bottom // width - 1, top // width + 1)


class _Steps(NamedTuple):
    """The bins of one axis.

    For each position, the steps k, clipped, as `moves` beyond the `shortest` of them, up to `spans`; `first` is c; and
    over 0 ... P positions done, what `least` and `most` are, of the steps as they were before clipping.
    """

    moves: list[list[int]]
    shortest: list[int]
    spans: list[int]
    first: int
    least: list[int]
    most: list[int]


def count_at_most_zero(work: Work, axes: list[Axis], required: BoolArray, over: bool) -> int:
    """A bound on the number of sequences with all sums at most 0: from above if `over`, else from below.

    `required`: shape (sets, T), which tokens are in which of the sets that must be met.
    """
    if len(required) > 2:
        raise ValueError("at most two sets of tokens can be required")
    positions, tokens = axes[0].entries.shape
    if any(axis.start + int(axis.entries.min(axis=1).sum()) > 0 for axis in axes):
        return 0
    steps = [_bins(axis, over) for axis in axes]
    work.charge(int_ops=3 * len(axes) * positions * tokens)
    met = (required * 2 ** np.arange(len(required))[:, None]).sum(axis=0, dtype=np.int64).tolist()
    # The leading axis says which sets have been met, as bits.  On each other axis index 0 is DONE, and index 1 is the
    # number `lowest`.
    states: Floats = np.zeros((2 ** len(required),) + (2,) * len(axes))
    states[(0,) + (1,) * len(axes)] = 1.0
    lowest = [step.first for step in steps]
    passed = 0
    for position in range(positions + 1):
        for j, (axis, step) in enumerate(zip(axes, steps, strict=True)):
            passed += states.shape[j + 1]
            states, lowest[j] = _settle(
                states, j + 1, lowest[j], axis.low, axis.high, step.least[position], step.most[position], over
            )
        if position < positions:
            lowest = [first + step.shortest[position] for first, step in zip(lowest, steps, strict=True)]
            moves = Counter(zip(met, *(step.moves[position] for step in steps), strict=True))
            states = _add_position(states, moves, [step.spans[position] for step in steps])
            passed += tokens + len(states) + 8
            work.charge(flops=2 * states.size * len(moves))
    value = float(states[(-1,) + (0,) * len(axes)])
    return rounded(value, passed, over)


def rounded(value: float, passed: int, over: bool) -> int:
    """An integer on the safe side of a count that passed through that many operations."""
    if not (value < 2.0**1000 and passed <= 2**50):
        raise OverflowError("a count is too large")
    slack = Fraction(2 * passed, 2**53)
    return floor(Fraction(value) * (1 + slack)) if over else ceil(Fraction(value) * (1 - slack))


def _bins(axis: Axis, over: bool) -> _Steps:
    offsets = _offsets(axis.entries, axis.width) if over else -_offsets(-axis.entries, axis.width)
    shifted, first = axis.entries - offsets[:, None], axis.start + sum(offsets.tolist())
    k = shifted // axis.width if over else -(-shifted // axis.width)
    smallest, largest = k.min(axis=1).tolist(), k.max(axis=1).tolist()
    clipped = np.clip(k, axis.low - axis.high - 1, axis.high - axis.low + 1)
    shortest = clipped.min(axis=1)
    return _Steps(
        (clipped - shortest[:, None]).tolist(),
        shortest.tolist(),
        (clipped.max(axis=1) - shortest).tolist(),
        first // axis.width if over else -(-first // axis.width),
        [sum(smallest[done:]) for done in range(len(smallest) + 1)],
        [sum(largest[done:]) for done in range(len(largest) + 1)],
    )


def _offsets(entries: IntArray, width: int) -> IntArray:
    """For each position an offset that puts one entry on a bin's lower edge, such that little is rounded down."""
    rest = np.sort(entries % width, axis=1)
    # Moving the edge to the i-th of the sorted remainders costs the smaller ones a turn.
    loss = np.arange(rest.shape[1]) * (width / rest.shape[1]) - rest
    return np.take_along_axis(rest, loss.argmin(axis=1)[:, None], axis=1)[:, 0]


def _settle(
    states: Floats, axis: int, lowest: int, low: int, high: int, least: int, most: int, over: bool
) -> tuple[Floats, int]:
    """Settle the numbers of one axis, of which the first is `lowest`; returns the states and their first number."""
    states = states.swapaxes(0, axis)
    cells = states[1:]

    def below(number: int) -> int:
        """How many cells hold smaller numbers."""
        return min(max(number - lowest, 0), len(cells))

    bottom, top = max(low, 1 - most), min(high, -least)
    first = min(max(lowest, bottom), top)
    last = max(min(lowest + len(cells) - 1, top), bottom)
    settled = np.zeros((1 + max(last - first + 1, 0) if bottom <= top else 1, *states.shape[1:]))
    settled[0] = states[0]
    if over:
        dropped = below(max(low, 1 - least))
        done = min(below(bottom), dropped)
        kept = max(min(below(top + 1), dropped), done)
        # Above the window: high, where the window is not empty.
        where = top - first + 1 if bottom <= top else 0
        if kept < dropped:
            settled[where] += cells[kept:dropped].sum(axis=0)
        start = done
    else:
        kept = below(top + 1)
        done = min(below(1 - most), kept)
        start = max(min(below(bottom), kept), done)
        if done < start and bottom <= top:
            settled[bottom - first + 1] += cells[done:start].sum(axis=0)
    if done:
        settled[0] += cells[:done].sum(axis=0)
    if start < kept:
        at = lowest + start - first + 1
        settled[at : at + kept - start] += cells[start:kept]
    return settled.swapaxes(0, axis), first


def _add_position(states: Floats, moves: Counter[tuple[int, ...]], spans: list[int]) -> Floats:
    """The states after one more position, not settled yet; their first numbers are moved by the shortest steps.

    `moves`: how many tokens meet these sets, and move so far along each axis.
    """
    lengths = states.shape[1:]
    result = np.zeros((len(states), *(length + span for length, span in zip(lengths, spans, strict=True))))
    patterns = list(product((False, True), repeat=len(lengths)))  # on which axes there is a number, and not DONE
    for bits in {move[0] for move in moves}:
        source = _merged(states, bits)
        target = result[_with(len(states), bits)]
        blocks = [source[(..., *(_NUMBERS if d else _DONE for d in pattern))] for pattern in patterns]
        room = [np.empty_like(block) for block in blocks]
        for (met, *shifts), times in moves.items():
            if met == bits:
                numbers = [slice(1 + s, n + s) for s, n in zip(shifts, lengths, strict=True)]
                for pattern, block, scaled in zip(patterns, blocks, room, strict=True):
                    to = (..., *(of if d else _DONE for d, of in zip(pattern, numbers, strict=True)))
                    target[to] += block if times == 1 else np.multiply(block, float(times), out=scaled)
    return result


def _with(count: int, bits: int) -> slice:
    """The indices below `count`, a power of 2, in which all of these bits are set; bits is none, one set, or all."""
    if bits == 0:
        return slice(0, count)
    if bits == count - 1:
        return slice(count - 1, count)
    return slice(1, 4, 2) if bits == 1 else slice(2, 4)


def _merged(states: Floats, bits: int) -> Floats:
    """For each index of `_with`, the states that come to it when these bits are set."""
    indices = range(len(states))[_with(len(states), bits)]
    if bits == 0:
        return states
    return np.stack([states[[i for i in range(len(states)) if i | bits == index]].sum(axis=0) for index in indices])
