"""Counting sequences by sums of table entries, without enumerating them.

Given integers a[p, t] of shape (P, T) over (position, token), a start s and conditions (`branching.conditions`),
consider the sequences x of P tokens that meet the last of these, such that

    s + sum_p a[p, x_p] <= 0.                                                                                     (*)

`count_at_most_zero` returns an integer that is at least (`over`), or at most (not over), what these count together:
each the product of what its tokens do, integers from 0.  Where it says "number" below, this is meant.

Bins.  For any integer width D > 0 and any integers b[p], let k = floor((a - b) / D) and c = floor((s + sum_p b) / D) if
over, and the same with ceil if not.  Then D (c + sum_p k) <= s + sum_p a if over, and >= if not.  So (*) implies
c + sum_p k <= 0 if over, and is implied by it if not.

States.  Positions are added one after the other.  A state says either a number in a window low ... high, or DONE, and
holds the number of beginnings of sequences that came to it.  Let least and most be the sums over the positions still to
come of the smallest and the largest k.  A new number z is settled in this order:

    over:      z >= low and z > -least: dropped;  z > high: becomes high;  then z < low or z <= -most: DONE.
    not over:  z > high or z > -least:  dropped;  z <= -most: DONE;  z < low: becomes low, dropped if low > high or
               low > -least.

Here "dropped" forgets the sequence, and DONE stays DONE.  The start is settled in the same way, before any position.
So what is a number after settling is in the window.

Theorem.  For any window, also an empty one (low > high), the number of sequences that end DONE is at least (over), or
at most (not over), the number of those for which c + sum_p k <= 0.

Proof.  Over: numbers only move down, so by induction a state's number is at most the partial sum of its sequences.  One
is dropped only where the number plus least is positive, and then its total is; so a sequence with a total <= 0 is
never dropped.  At the end least = most = 0, and a number that is not dropped has z < low or z <= 0: DONE.
Not over: numbers only move up, so a state's number is at least the partial sum.  It becomes DONE only where the number
plus most is 0 or less, and then the total is; so what ends DONE has a total <= 0.  At the end what is not dropped has
z <= 0: DONE.

An empty window never holds a number: all that is settled is dropped or DONE.  Over, a z above high becomes high, and
everything up to high is below low; not over, a z up to high is below low, and what becomes low is above high.

Long steps.  Any k may be replaced by its nearest in low - high - 1 ... high - low + 1 when it is added, provided that
least and most are those of the k themselves.  If the window is empty there is no number that a step is added to.  Else,
over: a smaller step moves the number down, which the proof allows; one made larger is low - high - 1, and leads from a
number <= high to one below low, as k does, and both are DONE, since nothing below low is dropped.  Not over: a larger
step moves the number up, which the proof allows; one made smaller is high - low + 1, and leads from a number >= low to
one above high, as k does, and both are dropped.

Conditions.  A state also says a condition, and counts the beginnings that meet it.  A token leads there from the
condition before, if there is one, and the end is the last of them.  So nothing is ever taken away.

Floating point.  Counts are float64 sums of products of integers from 0, rounded, so nothing underflows; what
overflows stays as large as 2^1023 in every mode of arithmetic, and counts from 2^1000 on are refused.  Each operation
that a count passes through changes it by a factor in [1 - u, 1 + u], u = 2^-53.  If there are at most M <= 2^50 in a
row, the result is the count times a factor between (1 - u)^M >= 1 - M u and (1 + u)^M <= 1 / (1 - M u), so the count is
the result times a factor in [1 - M u, 1 + 2 M u], as M u <= 1/8.  The final step to an integer is exact.

Cost: about 2 P (distinct steps) (cells of the window), booked as floating-point operations.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import IntArray
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.conditions import Conditions

Floats = npt.NDArray[np.float64]

_MOST = 2**19  # cells of a window


class Axis(NamedTuple):
    """The integers of a sum, and into which bins and window to put them: any, of widths up to 2^62.

    `entries`: a[p, t], shape (P, T), below 2^53; `start`: s; `width`: D; `low`, `high`: the window, in bins, below
    2^53; it may be empty.
    """

    entries: IntArray
    start: int
    width: int
    low: int
    high: int


class _Steps(NamedTuple):
    """The bins of a sum.

    For each position, the steps k, clipped, as `moves` beyond the `shortest` of them, up to `spans`; `first` is c; and
    over 0 ... P positions done, what `least` and `most` are, of the steps as they were before clipping.
    """

    moves: list[list[int]]
    shortest: list[int]
    spans: list[int]
    first: int
    least: list[int]
    most: list[int]


def count_at_most_zero(work: Work, axis: Axis, conditions: Conditions, counts: IntArray, over: bool) -> int:
    """A bound on what sequences with a sum of at most 0 count: from above if `over`, else from below.

    `conditions`: on T tokens, the last of which must be met.  `counts`: what each token counts, shape (T,).
    """
    positions, tokens = axis.entries.shape
    if axis.start + int(axis.entries.min(axis=1).sum()) > 0:
        return 0
    cells, number = max(axis.high - axis.low, 0) + 2, len(conditions.empty)
    if cells > _MOST or cells * number > 4 * _MOST:
        return int(counts.sum()) ** positions if over else 0
    step = _bins(axis, over)
    work.charge(int_ops=3 * positions * tokens)
    before, kinds = conditions.kinds()
    same = (before == np.arange(number)).all(axis=1)
    # One axis says which condition is met.  On the other index 0 is DONE, and index 1 is the number `lowest`.
    states: Floats = np.zeros((number, 2))
    states[conditions.empty, 1] = 1.0
    lowest, passed = step.first, 0
    for position in range(positions + 1):
        passed += states.shape[1]
        states, lowest = _settle(states, lowest, axis.low, axis.high, step.least[position], step.most[position], over)
        if position < positions:
            lowest += step.shortest[position]
            moves = Counter[tuple[int, int]]()
            for kind, move, count in zip(kinds.tolist(), step.moves[position], counts.tolist(), strict=True):
                moves[kind, move] += count
            by_kind = {
                kind: states if same[kind] else _before(states, before[kind]) for kind in {kind for kind, _ in moves}
            }
            states = _add_position(by_kind, moves, step.spans[position])
            passed += tokens + 8
            work.charge(flops=2 * states.size * len(moves))
    return rounded(float(states[-1, 0]), passed, over)


def rounded(value: float, passed: int, over: bool) -> int:
    """An integer on the safe side of a count that passed through that many operations."""
    if not (value < 2.0**1000 and passed <= 2**50):
        raise OverflowError("a count is too large")
    slack = Fraction(2 * passed, 2**53)
    return floor(Fraction(value) * (1 + slack)) if over else ceil(Fraction(value) * (1 - slack))


def _bins(axis: Axis, over: bool) -> _Steps:
    offsets = offsets_of(axis.entries, axis.width) if over else -offsets_of(-axis.entries, axis.width)
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


def offsets_of(entries: IntArray, width: int) -> IntArray:
    """For each position an offset that puts one entry on a bin's lower edge, such that little is rounded down."""
    rest = np.sort(entries % width, axis=1)
    # Moving the edge to the i-th of the sorted remainders costs the smaller ones a turn.
    loss = np.arange(rest.shape[1]) * (width / rest.shape[1]) - rest
    return np.take_along_axis(rest, loss.argmin(axis=1)[:, None], axis=1)[:, 0]


def _settle(states: Floats, lowest: int, low: int, high: int, least: int, most: int, over: bool) -> tuple[Floats, int]:
    """Settle numbers, of which the first is `lowest`; returns the states and their first number."""
    # Numbers are in order: first those that are done, then others up to `kept`, which stay, but for those that become
    # `high`, or `low`.  A number z comes before index z - lowest + 2.
    done, kept = (max(low - 1, -most), max(low - 1, -least)) if over else (-most, min(high, -least))
    if high <= done if over else kept < low:
        done, kept = (kept, kept) if over else (done, min(done, kept))
    end = max(1, min(kept - lowest + 2, states.shape[1]))
    first, before, beyond = (max(1, min(z - lowest + 2, end)) for z in (done, high - 1, low))
    start, stop = (max(first, before), end) if over else (first, max(first, beyond))
    cells = [states[:, a:b] for a, b in ((0, first), (first, start), (start, stop), (stop, end))]
    cells[::2] = [np.add.reduceat(some, [0], axis=1) if some.shape[1] else some for some in cells[::2]]
    number = lowest + first - 1 if first < end else low
    return np.concatenate(cells, axis=1), min(number, high) if over and first < end else max(number, low)


def _before(states: Floats, before: IntArray) -> Floats:
    """From each of the states to the same of another condition, or to none."""
    found = states[before]
    found[before < 0] = 0.0
    return found


def _add_position(by_kind: dict[int, Floats], moves: Counter[tuple[int, int]], span: int) -> Floats:
    """The states after one more position, not settled yet; their first number is moved by the shortest step.

    `moves`: what tokens count that are of a kind, and move so far; `by_kind`: the states from which tokens of a kind
    lead to each.
    """
    groups, length = next(iter(by_kind.values())).shape
    result = np.zeros((groups, length + span))
    for (of, shift), times in moves.items():
        numbers = by_kind[of][:, 1:]
        result[:, 1 + shift : length + shift] += numbers if times == 1 else numbers * float(times)
    each = np.array([by_kind[of][:, 0] for of, _ in moves]) * np.array([*map(float, moves.values())])[:, None]
    result[:, 0] = np.add.accumulate(each)[-1]
    return result
