"""Importance sampling: look more often where the network is often wrong, and an interval that this does not spoil.

Urn.  Inputs are split by last token q and maximum m.  A class that `class_margins` leaves out holds no wrong input.
Each other class c has t_c inputs and an importance g_c, any positive integer, fixed before the draws; the urn holds
each of its inputs g_c times, so G = sum_c g_c t_c elements in all.  A uniform element scores 1 / g_c if its input is
answered wrongly, else 0.  With w wrong inputs the mean of a score is sum_c w_c (g_c / G) (1 / g_c) = w / G.

Theorem.  Let W and 0 < b <= min_c g_c be fixed before the draws too, and X_1 ... X_n be scores of independent draws.

    If w >= W, then  prod_i (1 + b (W / G - X_i)) >= 2^k  with a probability of at most 2^-k.
    If w <= W, then  prod_i (1 + b (X_i - W / G)) >= 2^k  with a probability of at most 2^-k, if b W <= G.

Proof.  No factor is negative, since X_i <= 1 / min g and b <= min g (in the second line since b W <= G).  The factors
are independent with means 1 + b (W - w) / G and 1 + b (w - W) / G, both at most 1; so is the mean of the product, and
Markov's inequality says the rest.  (It is the fortune of who bets a share against the hypothesis at fair odds.)

Interval.  Each factor of the first product rises with W, so what it rejects at the true w it rejects above; and that it
does so has a probability of at most 2^-k.  So w is below the smallest W that is rejected, except with that
probability; likewise above the largest that the second product rejects.

What is not certain.  For the first line inputs that are not certainly right score, for the second those that are
certainly wrong: the former are at least, the latter at most as many as are wrong, so both lines hold as they are.

Which importances and b are good is guessed from a pilot of other draws, which nothing rests on.  Draws are integers,
and the products are rounded down.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import log, sqrt

import numpy as np

from compactproofs.confidence.deciding import batch_size, decide
from compactproofs.confidence.randomness import large_integers, small_integers
from compactproofs.confidence.sampling import Tell
from compactproofs.kernel.decisions import BoolArray, IntArray
from compactproofs.kernel.problem import Claim
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.class_margins import class_margins

Class = tuple[int, int]  # last token and maximum

_BITS = 128
_FINEST = 64  # the largest importance
_PILOT = 4  # draws of each class, at least


@dataclass(frozen=True)
class Scores:
    """How many of so many draws scored 1 / g, for each g: not certainly right, and certainly wrong."""

    samples: int
    elements: int
    not_right: Mapping[int, int]
    wrong: Mapping[int, int]


@dataclass(frozen=True)
class Design:
    """What is fixed before the draws: the importance of each class that may hold a wrong input, and b."""

    importance: Mapping[Class, int]
    bet: Fraction


def sample(work: Work, samples: int, bits: int, tell: Tell = lambda share: None) -> tuple[Scores, Fraction]:
    """Of so many draws a third for the pilot; the scores of the others, and b.  `bits`: k, for which b is chosen.

    Raises ValueError where these are too few, or too little is known of the network.
    """
    of = classes(work)
    if not of:
        return Scores(samples, 0, {}, {}), Fraction(1)
    pilot = samples // (3 * len(of))
    if pilot < _PILOT:
        needed = 3 * _PILOT * len(of)
        raise ValueError(f"sampling by importance takes at least {needed} draws for this model, found {samples}")
    left = samples - pilot * len(of)
    fixed = design(work, of, pilot, left, bits)
    tell(1 / 3)
    return draw(work, fixed, left, lambda share: tell((1 + 2 * share) / 3)), fixed.bet


def classes(work: Work) -> list[Class]:
    """Those that may hold a wrong input."""
    found = []
    for part in class_margins(work):
        if isinstance(part, int):
            raise ValueError("too little is known of this network for importance sampling; sample plainly")
        found.append((part.query, int(part.tokens[-1])))
    return found


def design(work: Work, of: list[Class], pilot: int, samples: int, bits: int) -> Design:
    """A guess of a good one, from so many draws of each class."""
    right = _decided(work, [(c, pilot) for c in of])[0].reshape(len(of), pilot)
    hits = (~right).sum(axis=1)
    share = (hits + 0.5) / (pilot + 1)
    importance = np.maximum(1, np.rint(_FINEST * np.sqrt(share / share.max()))).astype(int).tolist()
    sizes = [work.task.class_size(q, m) for q, m in of]
    elements = sum(g * t for g, t in zip(importance, sizes, strict=True))
    chance = [float(Fraction(t, elements)) * h / pilot for t, h in zip(sizes, hits.tolist(), strict=True)]  # w_c / G
    mean = sum(chance)
    variance = sum(p / g for p, g in zip(chance, importance, strict=True)) - mean**2
    best = sqrt(2 * bits * log(2) / (samples * max(variance, 1e-12)))
    return Design(dict(zip(of, importance, strict=True)), Fraction(round(min(best, min(importance)) * 2**32), 2**32))


def draw(work: Work, fixed: Design, samples: int, tell: Tell = lambda share: None) -> Scores:
    """So many independent uniform elements of the urn, and what they score."""
    of = list(fixed.importance)
    upto = list(accumulate(fixed.importance[c] * work.task.class_size(*c) for c in of))
    drawn = Counter(bisect_right(upto, number) for number in large_integers(upto[-1], samples))
    chosen = sorted(drawn.items())
    right, wrong = _decided(work, [(of[i], number) for i, number in chosen], tell)
    value = np.repeat([fixed.importance[of[i]] for i, _ in chosen], [number for _, number in chosen])
    return Scores(samples, upto[-1], Counter(value[~right].tolist()), Counter(value[wrong].tolist()))


def _decided(
    work: Work, wanted: list[tuple[Class, int]], tell: Tell = lambda share: None
) -> tuple[BoolArray, BoolArray]:
    """Which of so many uniform inputs of each class are certainly right, and which certainly wrong."""
    inputs = np.concatenate([_of_class(work, *c, number) for c, number in wanted])
    batch = batch_size(work)
    found = []
    for at in range(0, len(inputs), batch):
        found.append(decide(work, inputs[at : at + batch]))
        tell(at / len(inputs))
    return np.concatenate([right for right, _ in found]), np.concatenate([wrong for _, wrong in found])


def _of_class(work: Work, q: int, m: int, number: int) -> IntArray:
    """Independent uniform inputs with this last token and maximum.

    Where q < m, those of which m is first at position f are m^f (m + 1)^(n - 2 - f); before f all tokens below m are
    as likely, after it all up to m.
    """
    before = work.network.n_ctx - 1
    inputs = np.full((number, before + 1), q)
    inputs[:, :-1] = small_integers(m + 1, number * before).reshape(number, before)
    if q < m:
        upto = list(accumulate(m**f * (m + 1) ** (before - 1 - f) for f in range(before)))
        first = np.array([bisect_right(upto, number) for number in large_integers(upto[-1], number)])[:, None]
        below = small_integers(m, number * before).reshape(number, before)
        place = np.arange(before)
        inputs[:, :-1] = np.where(place < first, below, np.where(place == first, m, inputs[:, :-1]))
    return inputs


def rejects(claim: Claim, right: int, total: int, scores: Scores, bet: Fraction, bits: int) -> bool:
    """Whether the draws reject that fewer ("at least") or more ("at most") than so many inputs are right."""
    most = total - right + (1 if claim == "at least" else -1)  # W of the theorem
    sign, counts = (-1, scores.not_right) if claim == "at least" else (1, scores.wrong)
    if most < 0:
        return True  # fewer than no inputs cannot be wrong
    mean = Fraction(most, scores.elements)
    if sign > 0 and bet * mean > 1:
        return False
    m, e = _power(1 - sign * bet * mean, scores.samples - sum(counts.values()))
    for g, number in counts.items():
        m, e = _times((m, e), _power(1 + sign * bet * (Fraction(1, g) - mean), number))
    return m > 0 and m.bit_length() - 1 + e >= bits


def bound(claim: Claim, total: int, scores: Scores, bet: Fraction, bits: int) -> int:
    """The most that the draws show: the largest number of right inputs "at least", or the smallest "at most"."""
    if not scores.elements:
        return total  # no class may hold a wrong input
    good, bad = (0, total + 1) if claim == "at least" else (total, -1)
    while abs(good - bad) > 1:
        middle = (good + bad) // 2
        if rejects(claim, middle, total, scores, bet, bits):
            good = middle
        else:
            bad = middle
    return good


def _times(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The product of numbers m 2^e, or a little less."""
    m = a[0] * b[0]
    excess = max(m.bit_length() - _BITS, 0)
    return m >> excess, a[1] + b[1] + excess


def _power(base: Fraction, exponent: int) -> tuple[int, int]:
    """base^exponent as m 2^e, or a little less, for a base that is not negative."""
    result, square = (1, 0), (int(base * 2**_BITS), -_BITS)
    for bit in bin(exponent)[2:]:
        result = _times(result, result)
        if bit == "1":
            result = _times(result, square)
    return result
