"""branch-and-bound and histogram: how many inputs are answered correctly, between two numbers.

By the additive margin an input with last token q and label m is wrong if and only if for some output o != m

    sum_p h_o(p, x_p) <= 0,    h_o(p, t) = exp(EQKE[q, t] + EQKP[q, p]) (EU_D[q] + EVOU_D[t] + PVOU_D[p]),

with X_D = X[., m] - X[., o].  Each h_o is rounded to integers, down and up.  For either table of integers the inputs
with some sum at most 0 are counted without any further error: token by token, where beginnings with equal sums are
followed together.  Rounded down there are at least as many of them as wrong inputs, rounded up at most as many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain, groupby
from operator import add
from typing import Any, NamedTuple

from flint import arb, fmpz

from exactcheck.balls import largest
from exactcheck.paths import Paths
from exactcheck.reading import POSITION, Weights

FINE_BITS = 64  # integers are first rounded to a unit times 2 to minus this
RANGE_BITS = 1000  # and the unit is at least the largest term times 2 to minus this
COARSE_BITS = (None, 20, 14, 10, 7, 5, 3)  # then to these bits, the first that leaves few enough sums; None: not at all
MAX_SUMS = 2**16

Integers = list[list[list[int]]]  # over (position but the last, token, output)


class TooMany(Exception):
    """More different sums than can be followed."""


class Label(NamedTuple):
    """Which sequences of tokens have a label: a state that each token moves on, and states in which that is so."""

    start: Any
    move: Callable[[Any, int, int], Any]  # from a state, by a position and a token
    holds: Callable[[Any], bool]


class Class(NamedTuple):
    """The inputs with one last token and label: integer terms, and those of the last position."""

    terms: Integers
    last: list[int]
    label: Label
    counts: list[int]


def maximum(q: int, m: int) -> Label:
    """Whether m is the largest of these tokens, none of which is larger, and q."""

    def move(seen: bool, p: int, t: int) -> bool:
        return seen or t == m

    return Label(q == m, move, bool)


def by_comparison(task: dict[str, Any], q: int, m: int) -> Label:
    """Whether m is at position k of these tokens and q, as they stand or in descending order."""
    k = task["k"]

    def stand(so: bool, p: int, t: int) -> bool:
        return so and (p != k or t == m)

    def compare(found: tuple[int, int], p: int, t: int) -> tuple[int, int]:
        larger, equal = found
        return larger + (t > m), equal + (t == m)

    if task["name"] == POSITION:
        return Label(k < task["n_ctx"] - 1 or q == m, stand, bool)
    return Label((int(q > m), int(q == m)), compare, lambda found: found[0] <= k < sum(found))


def right_inputs(weights: Weights) -> tuple[int, int]:
    """At least and at most how many inputs are answered correctly."""
    paths = Paths(weights)
    v, n = paths.v, paths.n
    most_wrong = least_wrong = 0
    for m in range(v):
        for q in range(m + 1) if n > 1 else (m,):
            least, most = wrong_inputs_of_class(paths, q, m, maximum(q, m), [weights.count([t]) for t in range(m + 1)])
            of_query = weights.count([q])
            least_wrong, most_wrong = least_wrong + of_query * least, most_wrong + of_query * most
    every = weights.count(range(v)) ** n
    return every - most_wrong, every - least_wrong


def right_inputs_by_comparison(weights: Weights, task: dict[str, Any]) -> tuple[int, int]:
    """The same for the task of this record, whose label is a token's place among all, or a place in the sequence."""
    paths = Paths(weights)
    v, counts = paths.v, [weights.count([t]) for t in range(paths.v)]
    most_wrong = least_wrong = 0
    for m in range(v):
        for q in range(v):
            least, most = wrong_inputs_of_class(paths, q, m, by_comparison(task, q, m), counts)
            least_wrong, most_wrong = least_wrong + counts[q] * least, most_wrong + counts[q] * most
    every = sum(counts) ** paths.n
    return every - most_wrong, every - least_wrong


def sequences(counts: list[int], length: int, label: Label) -> list[dict[Any, int]]:
    """What the ways count in which sequences go on from each state at each position, so that they have the label.

    `counts`: what each token counts; a sequence counts the product.
    """
    reached = [{label.start}]
    for p in range(length):
        reached.append({label.move(state, p, t) for state in reached[-1] for t in range(len(counts))})
    found = [{state: int(label.holds(state)) for state in reached[-1]}]
    for p in range(length - 1, -1, -1):
        after = found[0]
        of_state = {
            state: sum(count * after[label.move(state, p, t)] for t, count in enumerate(counts)) for state in reached[p]
        }
        found.insert(0, of_state)
    return found


def wrong_inputs_of_class(paths: Paths, q: int, m: int, label: Label, counts: list[int]) -> tuple[int, int]:
    """At least and at most how many inputs with last token q, which counts 1, and label m are answered wrongly.

    `counts`: what each of the tokens counts that are to be looked at.
    """
    size = sequences(counts, paths.n - 1, label)[0][label.start]
    if not size:
        return 0, 0
    terms, last = margins(paths, q, m, len(counts))
    if not all(x.is_finite() for row in [last, *chain.from_iterable(terms)] for x in row):
        return 0, size
    scales = [arb(2) ** FINE_BITS / unit(terms, last, m, o) for o in range(len(last))]

    def wrong(up: bool) -> int | None:
        """The count for integers below, or above; None if there are too many different sums, however coarse."""
        integers = [[rounded(row, scales, up) for row in of_token] for of_token in terms]
        exact = Class(integers, rounded(last, scales, up), label, counts)
        for bits in COARSE_BITS:
            try:
                return count(exact if bits is None else coarser(exact, bits, up))
            except TooMany:
                continue
        return None

    most = wrong(up=False)
    least = wrong(up=True) if most != 0 else 0
    return (0 if least is None else least), (size if most is None else most)


def margins(paths: Paths, q: int, m: int, tokens: int) -> tuple[list[list[list[arb]]], list[arb]]:
    """The terms h_o of positions but the last, and those of the last one, up to a positive factor for the class.

    Of the first so many tokens, of which q is one.
    """
    n, others = paths.n, [o for o in range(paths.v) if o != m]
    top = largest(paths.EQKE[q][:tokens]).mid()
    w = [(x - top).exp() for x in paths.EQKE[q][:tokens]]
    direct = [paths.EU[q][m] - paths.EU[q][o] for o in others]
    place = [[row[m] - row[o] + x for o, x in zip(others, direct, strict=True)] for row in paths.PVOU]
    token = [[paths.EVOU[t][m] - paths.EVOU[t][o] for o in others] for t in range(tokens)]

    def term(p: int, t: int) -> list[arb]:
        weight = w[t] * paths.e[q][p]
        return [weight * (x + y) for x, y in zip(token[t], place[p], strict=True)]

    return [[term(p, t) for t in range(tokens)] for p in range(n - 1)], term(n - 1, q)


def unit(terms: list[list[list[arb]]], last: list[arb], m: int, o: int) -> arb:
    """The size of the terms of the maximum for an output, any positive number would do."""
    every = [abs(last[o]), *(abs(row[o]) for of_token in terms for row in of_token)]
    of_maximum = [abs(of_token[m][o]) for of_token in terms] or every
    found = largest([*of_maximum, largest(every) * arb(2) ** -RANGE_BITS]).mid()
    return found if found > 0 else arb(1)


def rounded(row: list[arb], scales: list[arb], up: bool) -> list[int]:
    """Integers below, or above, these numbers times the scales."""
    scaled = [x * scale for x, scale in zip(row, scales, strict=True)]
    return [int(integer(x.upper().ceil() if up else x.lower().floor())) for x in scaled]


def integer(x: arb) -> fmpz:
    """A ball that is one integer."""
    found = x.unique_fmpz()
    assert found is not None
    return found


def coarser(exact: Class, bits: int, up: bool) -> Class:
    """Fewer different integers: at each position those that differ from one of them by multiples of 2^-bits units."""
    width = 2 ** (FINE_BITS - bits)
    terms = []
    for of_token in exact.terms:
        middle = [sorted(column)[len(column) // 2] for column in zip(*of_token, strict=True)]
        terms.append(
            [
                [
                    b + width * (-((b - x) // width) if up else (x - b) // width)
                    for x, b in zip(row, middle, strict=True)
                ]
                for row in of_token
            ]
        )
    return exact._replace(terms=terms)


def count(inputs: Class) -> int:
    """What the inputs of the class count for which the sum of terms is at most 0 for some output."""
    terms, last, label, counts = inputs
    length, outputs = len(terms), range(len(last))
    ways = sequences(counts, length, label)
    # What the positions from p on add at the least and at the most, over the ways to go on; none from other states.
    ends: list[dict[Any, tuple[list[int], list[int]]]] = [{} for _ in range(length + 1)]
    ends[length] = {state: ([0 for _ in outputs], [0 for _ in outputs]) for state, n in ways[length].items() if n}
    for p in range(length - 1, -1, -1):
        after = ends[p + 1]
        for state in ways[p]:
            to = [(row, after[then]) for t, row in enumerate(terms[p]) if (then := label.move(state, p, t)) in after]
            if to:
                ends[p][state] = (
                    [min(row[o] + low[o] for row, (low, _) in to) for o in outputs],
                    [max(row[o] + high[o] for row, (_, high) in to) for o in outputs],
                )
    wrong = 0
    # How many beginnings lead to the same: the state, the outputs that may still win, their sums.
    beginnings = Counter({(label.start, tuple(outputs), tuple(last)): 1})

    def by_live(at: tuple[Any, tuple[int, ...], tuple[int, ...]]) -> tuple[int, ...]:
        return at[1]

    for p in range(length + 1):
        follow: Counter[tuple[Any, tuple[int, ...], tuple[int, ...]]] = Counter()
        for (state, live, sums), number in beginnings.items():
            if state not in ends[p]:
                continue
            least, most = ends[p][state]
            left = [i for i, o in enumerate(live) if sums[i] + least[o] <= 0]
            if any(sums[i] + most[live[i]] <= 0 for i in left):
                wrong += number * ways[p][state]
            elif left:
                follow[state, tuple(live[i] for i in left), tuple(sums[i] for i in left)] += number
        if len(follow) > MAX_SUMS:
            raise TooMany
        beginnings = Counter()
        for live, group in groupby(sorted(follow, key=by_live), key=by_live):
            steps = [(t, tuple(row[o] for o in live)) for t, row in enumerate(terms[p])]
            moves: dict[Any, Counter[tuple[Any, tuple[int, ...]]]] = {}
            for state, _, sums in group:
                number = follow[state, live, sums]
                if state not in moves:
                    moves[state] = Counter()
                    for t, step in steps:
                        moves[state][label.move(state, p, t), step] += counts[t]
                for (then, step), times in moves[state].items():
                    beginnings[then, live, tuple(map(add, sums, step))] += number * times
    return wrong
