"""branch-and-bound and histogram: how many inputs are answered correctly, between two numbers.

By the additive margin an input with last token q and maximum m is wrong if and only if for some output o != m

    sum_p h_o(p, x_p) <= 0,    h_o(p, t) = exp(EQKE[q, t] + EQKP[q, p]) (EU_D[q] + EVOU_D[t] + PVOU_D[p]),

with X_D = X[., m] - X[., o].  Each h_o is rounded to integers, down and up.  For either table of integers the inputs
with some sum at most 0 are counted without any further error: token by token, where beginnings with equal sums are
followed together.  Rounded down there are at least as many of them as wrong inputs, rounded up at most as many.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from operator import add
from typing import NamedTuple

from flint import arb, fmpz

from exactcheck.balls import largest
from exactcheck.paths import Paths
from exactcheck.reading import Weights

FINE_BITS = 64  # integers are first rounded to a unit times 2 to minus this
RANGE_BITS = 1000  # and the unit is at least the largest term times 2 to minus this
COARSE_BITS = (None, 20, 14, 10, 7, 5, 3)  # then to these bits, the first that leaves few enough sums; None: not at all
MAX_SUMS = 2**16

Integers = list[list[list[int]]]  # over (position but the last, token, output)


class TooMany(Exception):
    """More different sums than can be followed."""


class Class(NamedTuple):
    """The inputs with one last token and maximum: integer terms, and those of the last position."""

    terms: Integers
    last: list[int]
    maximum_is_last: bool
    counts: list[int]


def right_inputs(weights: Weights) -> tuple[int, int]:
    """At least and at most how many inputs are answered correctly."""
    paths = Paths(weights)
    v, n = paths.v, paths.n
    most_wrong = least_wrong = 0
    for m in range(v):
        for q in range(m + 1) if n > 1 else (m,):
            least, most = wrong_inputs_of_class(paths, q, m, [weights.count([t]) for t in range(m + 1)])
            of_query = weights.count([q])
            least_wrong, most_wrong = least_wrong + of_query * least, most_wrong + of_query * most
    every = weights.count(range(v)) ** n
    return every - most_wrong, every - least_wrong


def sequences(counts: list[int], length: int, seen: bool) -> int:
    """How many sequences of tokens up to m there are, with an m among them unless it was seen before.

    `counts`: what each of these tokens counts; a sequence counts the product.
    """
    return int(sum(counts) ** length - (0 if seen else sum(counts[:-1]) ** length))


def wrong_inputs_of_class(paths: Paths, q: int, m: int, counts: list[int]) -> tuple[int, int]:
    """At least and at most how many inputs with last token q, which counts 1, and maximum m are answered wrongly."""
    terms, last = margins(paths, q, m)
    if not all(x.is_finite() for of_token in terms for row in of_token for x in row):
        return 0, sequences(counts, paths.n - 1, q == m)
    scales = [arb(2) ** FINE_BITS / unit(terms, last, m, o) for o in range(len(last))]

    def wrong(up: bool) -> int | None:
        """The count for integers below, or above; None if there are too many different sums, however coarse."""
        integers = [[rounded(row, scales, up) for row in of_token] for of_token in terms]
        exact = Class(integers, rounded(last, scales, up), q == m, counts)
        for bits in COARSE_BITS:
            try:
                return count(exact if bits is None else coarser(exact, bits, up))
            except TooMany:
                continue
        return None

    most = wrong(up=False)
    least = wrong(up=True) if most != 0 else 0
    return (0 if least is None else least), (sequences(counts, paths.n - 1, q == m) if most is None else most)


def margins(paths: Paths, q: int, m: int) -> tuple[list[list[list[arb]]], list[arb]]:
    """The terms h_o of positions but the last, and those of the last one, up to a positive factor for the class."""
    n, others = paths.n, [o for o in range(paths.v) if o != m]
    top = largest(paths.EQKE[q][: m + 1]).mid()
    w = [(x - top).exp() for x in paths.EQKE[q][: m + 1]]
    direct = [paths.EU[q][m] - paths.EU[q][o] for o in others]
    place = [[row[m] - row[o] + x for o, x in zip(others, direct, strict=True)] for row in paths.PVOU]
    token = [[paths.EVOU[t][m] - paths.EVOU[t][o] for o in others] for t in range(m + 1)]

    def term(p: int, t: int) -> list[arb]:
        weight = w[t] * paths.e[q][p]
        return [weight * (x + y) for x, y in zip(token[t], place[p], strict=True)]

    return [[term(p, t) for t in range(m + 1)] for p in range(n - 1)], term(n - 1, q)


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
    terms, last, seen_at_start, counts = inputs
    length, m, outputs = len(terms), len(terms[0]) - 1 if terms else 0, range(len(last))
    # What the positions from p on add at the least and at the most: if the maximum was seen before, and if not.
    ends: dict[tuple[int, bool, bool], list[int]] = {}
    for largest_wanted in (False, True):
        pick = max if largest_wanted else min
        free, forced = [0 for _ in outputs], [0 for _ in outputs]
        ends[length, True, largest_wanted] = free
        for p in range(length - 1, -1, -1):
            any_token = [pick(row[o] for row in terms[p]) for o in outputs]
            here = [free[o] + terms[p][m][o] for o in outputs]  # the maximum is here, or farther on
            forced = [pick(here[o], forced[o] + any_token[o]) for o in outputs] if p < length - 1 else here
            free = [x + y for x, y in zip(free, any_token, strict=True)]
            ends[p, True, largest_wanted], ends[p, False, largest_wanted] = free, forced
    wrong = 0
    # How many beginnings lead to the same: whether the maximum was seen, the outputs that may still win, their sums.
    beginnings = Counter({(seen_at_start, tuple(outputs), tuple(last)): 1})

    def by_live(state: tuple[bool, tuple[int, ...], tuple[int, ...]]) -> tuple[int, ...]:
        return state[1]

    for p in range(length + 1):
        follow: Counter[tuple[bool, tuple[int, ...], tuple[int, ...]]] = Counter()
        for (seen, live, sums), number in beginnings.items():
            if not seen and p == length:
                continue
            least, most = ends[p, seen, False], ends[p, seen, True]
            left = [i for i, o in enumerate(live) if sums[i] + least[o] <= 0]
            if any(sums[i] + most[live[i]] <= 0 for i in left):
                wrong += number * sequences(counts, length - p, seen)
            elif left:
                follow[seen, tuple(live[i] for i in left), tuple(sums[i] for i in left)] += number
        if len(follow) > MAX_SUMS:
            raise TooMany
        beginnings = Counter()
        for live, group in groupby(sorted(follow, key=by_live), key=by_live):
            by_step: Counter[tuple[bool, tuple[int, ...]]] = Counter()
            for t, row in enumerate(terms[p]):
                by_step[t == m, tuple(row[o] for o in live)] += counts[t]
            steps = by_step.items()
            for seen, _, sums in group:
                number = follow[seen, live, sums]
                for (is_maximum, step), times in steps:
                    beginnings[seen or is_maximum, live, tuple(map(add, sums, step))] += number * times
    return wrong
