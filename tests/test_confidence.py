"""Claims with confidence: draws, tails, the counted set, what is concluded, and that nothing of it is certified."""

from __future__ import annotations

import inspect
import io
import json
import os
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from itertools import product
from math import comb
from pathlib import Path

import numpy as np
import pytest

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs.cli import sampling as command
from compactproofs.confidence import binomial, checker, deciding, importance, inside, randomness, sampling
from compactproofs.confidence.binomial import few_is_unlikely, many_is_unlikely
from compactproofs.confidence.claim import THEOREMS, ClaimWithConfidence, MalformedClaim
from compactproofs.confidence.sampling import Drawn, Method
from compactproofs.kernel.certificate import MalformedCertificate
from compactproofs.kernel.decisions import IntArray
from compactproofs.kernel.problem import Claim, Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.tasks.orders import MinOfK
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins
from soundness.heads import alone
from soundness.models import Case, cases, hidden_ties, inputs_of, verifying
from soundness.truth import exact_correct, exact_correct_set
from test_trusted import OUTSIDE, ROOT, imports, module_name, trusted_modules

#: Of hostile models; others take long to make.
FAMILIES = ("random", "rough", "contrary", "ties", "extreme", "overflow", "folded")


@cache
def small_cases() -> tuple[Case, ...]:
    """Hostile models with few inputs, every third."""
    of_families = (case for family in FAMILIES for case in cases(family))
    return tuple(case for case in of_families if case.model.d_vocab**case.model.n_ctx <= 128)[::3]


def tied() -> cp.Model:
    """A model with exact ties that float64 does not show."""
    return cp.Model(**hidden_ties(np.random.default_rng(0), 4, 3))


@pytest.fixture
def same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system's bytes are the same in each run of the tests."""
    monkeypatch.setattr(os, "urandom", np.random.default_rng(7).bytes)


# What each piece must do, as functions that planted errors can be shown to


def check_small_integers() -> None:
    """All values are as frequent as they should be, and a word at which they would begin anew is not used."""
    numbers = randomness.small_integers(5, 10**4)
    assert numbers.min() >= 0
    assert ((np.bincount(numbers, minlength=5) - 2000) ** 2 / 2000).sum() < 30
    words = io.BytesIO(np.array([2**64 - 1, 7, 2**64 - 2, 8], "<u8").tobytes())  # 2^64 is 1 above a multiple of 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", words.read)
        assert randomness.small_integers(3, 3).tolist() == [1, (2**64 - 2) % 3, 2]


def check_large_integers() -> None:
    """The same, at a bound at which remainders would be far from uniform, and at one that needs many bytes."""
    counts = np.bincount(randomness.large_integers(11, 11000), minlength=11)
    assert len(counts) == 11
    assert ((counts - 1000) ** 2 / 1000).sum() < 45
    below = 3 * 2**130
    thirds = np.bincount([3 * number // below for number in randomness.large_integers(below, 3000)])
    assert len(thirds) == 3
    assert ((thirds - 1000) ** 2 / 1000).sum() < 30
    assert randomness.large_integers(1, 3) == [0, 0, 0]


def lower_tail(k: int, n: int, p: Fraction) -> Fraction:
    """P[Bin(n, p) <= k] in rational numbers."""
    a, b = p.as_integer_ratio()
    return Fraction(sum(comb(n, i) * a**i * (b - a) ** (n - i) for i in range(k + 1)), b**n)


def check_tails() -> None:
    """Whatever is said to be unlikely is, and what clearly is unlikely is said to be."""
    said = 0
    for n, p in product((1, 2, 7, 40), (Fraction(1, 3), Fraction(1, 2), Fraction(3, 100), Fraction(97, 100))):
        for k in range(n + 1):
            below, above = lower_tail(k, n, p), 1 - lower_tail(k - 1, n, p)
            for bits in (1, 3, 10, 20):
                few, many = (tail(k, n, p, bits) for tail in (binomial.few_is_unlikely, binomial.many_is_unlikely))
                assert not few or below <= Fraction(1, 2**bits)
                assert not many or above <= Fraction(1, 2**bits)
                clearly = Fraction(1 - Fraction(1, 2**40)) / 2**bits
                assert few or below > clearly or k >= (n + 1) * p
                assert many or above > clearly or n - k >= (n + 1) * (1 - p)
                said += few + many
    assert said > 100


def check_deciding(model: cp.Model) -> None:
    """What is certain is so, and no more is left undecided than ties and what is beyond float64."""
    truth = exact_correct_set(model)
    right, wrong = deciding.decide(verifying(model), inputs_of(model.d_vocab, model.n_ctx))
    assert not (right & ~truth).any()
    assert not (wrong & truth).any()


def check_inside(model: cp.Model, cells: int = 2048) -> None:
    """The members' numbers are those of distinct inputs, as many as the definition has, and every wrong one is one.

    Those that are said to be surely wrong are wrong, and as many as were counted.
    """
    work = verifying(model)
    truth = exact_correct_set(model)
    v, n = model.d_vocab, model.n_ctx
    place = v ** np.arange(n)[::-1]
    found: list[int] = []
    for part in inside.parts(work):
        if isinstance(part, int):
            return  # nothing is known of some part
        members = inside.possibly_wrong(work, part, cells)
        drawn = members.by_number(list(range(members.size)))
        assert sorted(map(tuple, drawn.tolist())) == by_definition(part, members)
        numbers = np.column_stack([part.tokens[drawn], np.full(len(drawn), part.query)]) @ place
        found += numbers.tolist()
        surely = inside.surely_wrong(work, part, members, cells)
        if surely is not None:
            among = surely.among(drawn)
            assert not truth[numbers[among]].any()
            assert surely.by_number(list(range(surely.size))).tolist() == drawn[among].tolist()
    assert len(set(found)) == len(found)
    assert set(np.flatnonzero(~truth).tolist()) <= set(found)


def by_definition(part: ClassMargins, members: inside.Members) -> list[tuple[int, ...]]:
    """All members in order, found by looking at all sequences; the steps must not exceed what they stand for."""
    a, s = part.low.min(axis=2), int(part.low_last.min())
    positions, tokens = a.shape
    every = list(product(range(tokens), repeat=positions))
    sums = [members.first + sum(int(members.steps[p, t]) for p, t in enumerate(x)) for x in every]
    met = [all(bool(required[list(x)].any()) for required in part.required) for x in every]
    for x, total, meets in zip(every, sums, met, strict=True):
        failing = s + sum(int(a[p, t]) for p, t in enumerate(x)) <= 0
        assert not (failing and meets) or total <= 0
    return [x for x, total, meets in zip(every, sums, met, strict=True) if total <= 0 and meets]


def check_surely_wrong() -> None:
    """Where margins are known badly, only what loses for all that they may be is surely wrong; and some of it is."""
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(40):
        low = rng.integers(-1000, 1000, (4, 5, 2))
        high = low + rng.integers(0, 800, low.shape)
        ones, none = np.ones(5, np.int64), np.zeros((0, 5), np.bool_)
        part = ClassMargins(
            0, np.arange(5), np.arange(2), low[:3], high[:3], low[3, 0], high[3, 0], none, low.astype(float), ones, 1
        )
        members = inside.possibly_wrong(verifying(tied()), part, 64)
        surely = inside.surely_wrong(members.work, part, members, 64)
        if surely is not None:
            sequences = surely.by_number(list(range(surely.size)))
            assert ((high[np.arange(3), sequences].sum(axis=1) + high[3, 0] <= 0).any(axis=1)).all()
            found += surely.size
    assert found > 100


def coarse(patch: pytest.MonkeyPatch) -> None:
    """Steps so coarse that not all is known of the model below."""
    for name in ("possibly_wrong", "surely_wrong"):
        patch.setattr(inside, name, partial(getattr(inside, name), cells=3))


def check_draws() -> None:
    """What is known to be wrong is not open, and a draw that is open is uniform on what is."""
    model = imperfect()
    work = verifying(model)
    wrong = work.task.total - exact_correct(model)
    with pytest.MonkeyPatch.context() as patch:
        coarse(patch)
        urn = 2 * sampling.urn_size(work, "inside")  # half of it is padding
        drawn = sampling.draw(work, "inside", urn, 4000)
    assert drawn is not None
    assert drawn.samples == 4000
    assert 0 < drawn.known < wrong
    for found, of, share in (
        (drawn.open, 4000, 1 - drawn.known / urn),
        (drawn.not_right, drawn.open, (wrong - drawn.known) / (urn - drawn.known)),
        (drawn.wrong, drawn.open, (wrong - drawn.known) / (urn - drawn.known)),
    ):
        assert abs(found - of * share) < 5 * (of * share * (1 - share)) ** 0.5


def check_inputs_of_a_class() -> None:
    """All inputs of a class are as frequent as they should be."""
    work = verifying(imperfect())
    v = work.network.d_vocab
    for q, m in ((v - 1, v - 1), (0, v - 1), (1, 1)):
        size = work.task.class_size(q, m)
        drawn = importance._of_class(work, q, m, 50 * size)
        assert (drawn[:, -1] == q).all()
        assert (drawn.max(axis=1) == m).all()
        counts = np.unique(drawn, axis=0, return_counts=True)[1]
        assert len(counts) == size
        assert ((counts - 50) ** 2 / 50).sum() < size + 6 * (2 * size) ** 0.5


def check_fortunes() -> None:
    """Whatever is rejected has lost the bet in rational numbers, and what has lost it clearly is rejected."""
    rng = np.random.default_rng(0)
    said = 0
    for _ in range(300):
        elements, least, bits = int(rng.integers(50, 400)), int(rng.integers(1, 4)), int(rng.integers(1, 9))
        counts = {g: int(rng.integers(0, 12)) for g in (least, least + 2)}
        points = [Fraction(0), *(Fraction(1, g) for g in counts)]
        scores = importance.Scores(40, elements, counts, counts)
        bet = Fraction(int(rng.integers(1, 5)), 4) * least
        right = int(rng.integers(0, 51))
        for claim, sign, most in (("at least", -1, 50 - right + 1), ("at most", 1, 50 - right - 1)):
            found = importance.rejects(claim, right, 50, scores, bet, bits)  # type: ignore[arg-type]
            factors = {x: 1 + sign * bet * (x - Fraction(most, elements)) for x in points}
            if most < 0 or min(factors.values()) < 0:
                assert found == (most < 0)
                continue
            fortune = factors[Fraction(0)] ** (40 - sum(counts.values()))
            for g, number in counts.items():
                fortune *= factors[Fraction(1, g)] ** number
            assert not found or fortune >= 2**bits
            assert found or fortune < 2 ** (bits + Fraction(1, 2**20))
            said += found
    assert said > 40
    debts = importance.Scores(40, 50, {}, {})  # (1 - 3 49 / 50)^40 would be large
    assert not importance.rejects("at most", 0, 50, debts, Fraction(3), 1)


def check_scores() -> None:
    """Their mean is the share of wrong inputs among the elements: each class is drawn by its importance and size."""
    work = verifying(imperfect())
    of = importance.classes(work)
    fixed = importance.Design({c: 1 + i % 5 for i, c in enumerate(of)}, Fraction(1))
    scores = importance.draw(work, fixed, 20000)
    assert scores.elements == sum(g * work.task.class_size(*c) for c, g in fixed.importance.items())
    wrong = work.task.total - exact_correct(imperfect())
    for counts in (scores.not_right, scores.wrong):
        mean = sum(number / g for g, number in counts.items()) / scores.samples
        assert abs(mean - wrong / scores.elements) < 6 * (mean / scores.samples) ** 0.5


# The pieces


def test_importance(same_bytes: None) -> None:
    """Inputs of a class, the test, and what draws score."""
    check_inputs_of_a_class()
    check_fortunes()
    check_scores()


def test_draws_from_inside(same_bytes: None) -> None:
    """Those that are open, and those that are not."""
    check_surely_wrong()
    check_draws()


def test_classes_that_hold_no_wrong_input() -> None:
    """Only those are left out of the urn."""

    def check(model: cp.Model) -> None:
        inputs = inputs_of(model.d_vocab, model.n_ctx)[~exact_correct_set(model)]
        try:
            known = set(importance.classes(verifying(model)))
        except ValueError:
            return
        assert {(int(x[-1]), int(x.max())) for x in inputs} <= known

    over(check)()


def test_small_integers(same_bytes: None) -> None:
    """Uniform, by rejection."""
    check_small_integers()


def test_large_integers(same_bytes: None) -> None:
    """Uniform, by rejection."""
    check_large_integers()


def test_bytes_are_fresh() -> None:
    """Nobody chose them."""
    assert randomness.large_integers(2**200, 2) != randomness.large_integers(2**200, 2)


def test_tails() -> None:
    """Against rational numbers."""
    check_tails()


def check_tails_of_few_digits() -> None:
    """Whatever is said to be unlikely is, however coarse the numbers; and something is said."""
    said = 0
    for n, a in product((1, 2, 3, 5, 8, 13, 21, 34), range(1, 48)):
        p = Fraction(a, 48)
        for k in range(n):
            below = lower_tail(k, n, p)
            for bits in range(1, 7):
                few = binomial.few_is_unlikely(k, n, p, bits)
                assert not few or below <= Fraction(1, 2**bits), (k, n, p, bits)
                said += few
    assert said > 0


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_tails_of_few_digits(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rounding is to the safe side, which numbers of 256 bits do not show."""
    monkeypatch.setattr(binomial, "_BITS", bits)
    monkeypatch.setattr(binomial, "_ONE", 2**bits)
    monkeypatch.setattr(binomial, "_SPARE", 1)
    binomial._binomial.cache_clear()
    check_tails_of_few_digits()
    binomial._binomial.cache_clear()


def test_powers_of_few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the products of scores are found to be is no more than they are."""
    monkeypatch.setattr(importance, "_BITS", 4)
    for a, exponent in product(range(0, 90, 7), range(12)):
        m, e = importance._power(Fraction(a, 48), exponent)
        assert m * Fraction(2) ** e <= Fraction(a, 48) ** exponent


@pytest.mark.parametrize(("k", "n", "p"), [(3, 2000, Fraction(1, 100)), (900, 2000, Fraction(1, 2))])
def test_tails_are_sharp(k: int, n: int, p: Fraction) -> None:
    """The threshold lies where the rational tail has it, to within a millionth."""
    tail = lower_tail(k, n, p)
    bits = next(b for b in range(1, 200) if Fraction(1, 2**b) < tail)
    assert few_is_unlikely(k, n, p, bits - 1)
    assert not few_is_unlikely(k, n, p, bits)
    assert many_is_unlikely(n - k, n, 1 - p, bits - 1)
    assert not many_is_unlikely(n - k, n, 1 - p, bits)


def test_tails_at_the_ends() -> None:
    """Shares of 0, of 1, of more and of almost nothing; counts of none and of all."""
    assert few_is_unlikely(4, 5, Fraction(1), 256)
    assert few_is_unlikely(4, 5, Fraction(3, 2), 256)
    assert not few_is_unlikely(5, 5, Fraction(1), 1)
    assert not few_is_unlikely(0, 5, Fraction(0), 1)
    assert not few_is_unlikely(0, 10**6, Fraction(1, 10**90), 1)
    assert many_is_unlikely(1, 5, Fraction(0), 256)
    assert not many_is_unlikely(0, 5, Fraction(0), 1)
    assert few_is_unlikely(0, 2**24, Fraction(1, 2**16), 256)


def test_deciding() -> None:
    """On hostile models, against balls."""
    over(check_deciding)()


def test_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """On hostile models, with coarse and fine steps, and with limbs so small that there are many."""
    over(check_inside)()
    over(lambda model: check_inside(model, 3))()
    monkeypatch.setattr(inside, "_BITS", 3)
    monkeypatch.setattr(inside, "_MASK", 7)
    over(lambda model: check_inside(model, 64))()


@pytest.mark.parametrize("required", [0, 1, 2])
def test_counting_many_positions(required: int) -> None:
    """Counts beyond 64 bits, against Python's integers; and members of random numbers are members in order."""
    rng = np.random.default_rng(required)
    positions, tokens = 14, 40
    low = rng.integers(-(10**6), 10**6, (positions, tokens, 2))
    low[:, :20] = rng.integers(-100, 10, (positions, 20, 2)) - np.arange(2)
    sets = rng.random((required, tokens)) < 0.1
    last, ones = np.array([5, 9]), np.ones(tokens, np.int64)
    terms = low.astype(np.float64)
    part = ClassMargins(0, np.arange(tokens), np.arange(2), low, low, last, last, sets, terms, ones, 1)
    members = inside.possibly_wrong(verifying(tied()), part, 200)
    states = {(members.first, 0): 1}
    for step in members.steps.tolist():
        after: dict[tuple[int, int], int] = {}
        for (z, met), number in states.items():
            for k, more in zip(step, members.sets.tolist(), strict=True):
                after[z + k, met | more] = after.get((z + k, met | more), 0) + number
        states = after
    size = sum(number for (z, met), number in states.items() if z <= 0 and met == 2**required - 1)
    assert size == members.size > 2**64
    numbers = [*sorted(randomness.large_integers(size, 50)), size - 1]
    drawn = members.by_number([0, *numbers]).tolist()
    assert drawn == sorted(drawn)
    for x in drawn:
        assert members.first + sum(members.steps[p, t] for p, t in enumerate(x)) <= 0
        assert all(row[x].any() for row in sets)


# What is concluded


def claim_of(
    model: cp.Model, method: Method, claim: Claim, claimed: int, bits: int, samples: int
) -> ClaimWithConfidence:
    """A claim about this model."""
    task = verifying(model).task
    urn = sampling.urn_size(verifying(model), method)
    return ClaimWithConfidence(
        model.family, task.record, model.sha256, THEOREMS[method], claim, claimed, task.total, urn, samples, bits
    )


def imperfect() -> cp.Model:
    """A small model that is mostly right, and not always."""
    for family in ("rough", "working", "positions"):
        for case in cases(family):
            total = case.model.d_vocab**case.model.n_ctx
            if 20 < total <= 1500 and 0.6 < exact_correct(case.model) / total < 0.95:
                return case.model
    raise AssertionError("no model is")


@pytest.mark.parametrize("method", ["plain", "inside"])
@pytest.mark.parametrize("claim", ["at least", "at most"])
def test_a_false_claim_is_accepted_as_rarely_as_stated(
    method: Method, claim: Claim, same_bytes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one input false, which is as hard to see as can be; and one that is clearly true is accepted."""
    model = imperfect()
    work, truth = verifying(model), exact_correct(model)
    parts = list(inside.parts(work))  # once, since it takes a while
    monkeypatch.setattr(inside, "parts", lambda work: iter(parts))
    coarse(monkeypatch)
    false = truth + 1 if claim == "at least" else truth - 1
    runs, bits = 150, 2
    tested = claim_of(model, method, claim, false, bits, 60)
    accepted = sum(checker.check(tested, work).passed for _ in range(runs))
    assert accepted <= runs / 4 + 4 * (runs * 3 / 16) ** 0.5
    assert accepted > 0  # the test is no stricter than it says
    true = truth // 2 if claim == "at least" else (truth + work.task.total + 1) // 2
    if method == "plain":
        assert checker.check(claim_of(model, method, claim, true, 3, 400), work).passed


def test_bounds_hold_as_often_as_stated(same_bytes: None) -> None:
    """Those that are found after a run."""
    model = imperfect()
    work, truth, total = verifying(model), exact_correct(model), model.d_vocab**model.n_ctx
    outside = 0
    for _ in range(200):
        drawn = sampling.draw(work, "plain", total, 50)
        assert drawn is not None
        low, high = (checker.bound(claim, total, total, drawn, 3) for claim in ("at least", "at most"))
        assert checker.passes("at least", low, total, total, drawn, 3) or low == 0
        assert checker.passes("at most", high, total, total, drawn, 3) or high == total
        outside += not low <= truth <= high
    assert outside <= 50 + 4 * 7


def test_intervals_by_importance_hold_as_often_as_stated(same_bytes: None) -> None:
    """However bad the importances and the bet are; and the interval says something."""
    model = imperfect()
    work, truth, total = verifying(model), exact_correct(model), model.d_vocab**model.n_ctx
    of = importance.classes(work)
    outside, widths = 0, []
    for run in range(150):
        fixed = importance.Design({c: 1 + (i * run) % 7 for i, c in enumerate(of)}, Fraction(1 + run % 8, 8))
        scores = importance.draw(work, fixed, 200)
        low, high = (importance.bound(claim, total, scores, fixed.bet, 3) for claim in ("at least", "at most"))
        outside += not low <= truth <= high
        widths.append((high - low) / total)
    assert outside <= 150 / 4
    assert np.mean(widths) < 0.5
    assert importance.bound("at least", 9, importance.Scores(5, 0, {}, {}), Fraction(1), 3) == 9


def test_ties_are_not_right() -> None:
    """No input that is tied counts for "at least"."""
    model = tied()
    work, total = verifying(model), model.d_vocab**model.n_ctx
    right, _ = deciding.decide(work, inputs_of(model.d_vocab, model.n_ctx))
    assert right.sum() <= exact_correct(model) < total


def test_networks_and_tasks_that_it_is_not_about() -> None:
    """Several heads, and other orders of tokens."""
    model = tied()
    for problem in (max_of_k(alone(model)), Problem(model, MinOfK(model.n_ctx, model.d_vocab))):
        with pytest.raises(ValueError, match="about max-of-K"):
            checker.require_fitting(Workspace(problem), "plain")


def test_the_largest_bet() -> None:
    """However few the draws, no bet is larger than the least importance, with which a factor could be negative."""
    work = verifying(imperfect())
    fixed = importance.design(work, importance.classes(work), pilot=4, samples=1, bits=256)
    assert fixed.bet == min(fixed.importance.values())


def test_undecided_inputs_score_against_both_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not certainly right, and not certainly wrong."""
    work = verifying(imperfect())
    fixed = importance.Design(dict.fromkeys(importance.classes(work), 2), Fraction(1))
    nothing = np.zeros(1, np.bool_)
    monkeypatch.setattr(importance, "decide", lambda work, inputs: (nothing.repeat(len(inputs)),) * 2)
    scores = importance.draw(work, fixed, 30)
    assert (scores.not_right, scores.wrong) == ({2: 30}, {})


def test_a_part_of_which_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its inputs is an element, which is neither right nor certainly wrong."""
    work = verifying(tied())
    monkeypatch.setattr(inside, "parts", lambda work: iter([work.task.total - 3, 3]))
    assert sampling.urn_size(work, "inside") == work.task.total
    assert sampling.draw(work, "inside", work.task.total, 50) == Drawn(50, 50, 50, 0, 0)
    assert sampling.draw(work, "inside", work.task.total - 1, 50) is None


def test_an_urn_must_be_large_enough() -> None:
    """A claim that understates how many inputs could be wrong is rejected, whatever is drawn."""
    model = imperfect()
    claim = claim_of(model, "inside", "at least", 0, 1, 10)
    smaller = replace(claim, urn=claim.urn - 1)
    larger = replace(claim, urn=3 * claim.urn)
    assert not checker.check(smaller, verifying(model)).passed
    assert checker.check(larger, verifying(model)).passed
    assert not checker.check(replace(claim, urn=10**4000), verifying(model)).passed
    plain = claim_of(model, "plain", "at least", 0, 1, 10)
    for urn in (plain.urn - 1, plain.urn + 1):
        assert not checker.check(replace(plain, urn=urn), verifying(model)).passed


def test_claims_about_something_else() -> None:
    """Another model, task, total or family."""
    model = imperfect()
    claim = claim_of(model, "plain", "at least", 0, 1, 10)
    assert checker.check(claim, verifying(model)).passed
    for field, value in {
        "model_sha256": "0" * 64, "family": "decoder", "task": {**claim.task, "n_ctx": 99}, "total": claim.total + 1
    }.items():  # fmt: skip
        conclusion = checker.check(ClaimWithConfidence(**{**vars(claim), field: value}), verifying(model))
        assert not conclusion.passed
        assert conclusion.reason.startswith(field)


# Planted errors


def planted(module: types.ModuleType, old: str, new: str) -> types.ModuleType:
    """A copy of a module with an error in it."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, old
    copy = types.ModuleType(module.__name__)
    exec(compile(source.replace(old, new), module.__name__, "exec"), copy.__dict__)
    return copy


def over(check: Callable[[cp.Model], None]) -> Callable[[], None]:
    """The check on all small models."""

    def run() -> None:
        for case in small_cases():
            check(case.model)

    return run


inside_finely, inside_coarsely = over(check_inside), over(lambda model: check_inside(model, 8))


def ties() -> None:
    """Ties are undecided."""
    check_deciding(tied())
    over(check_deciding)()


def false_claims() -> None:
    """No claim that is false by one input passes where everything that can be drawn was drawn in its proportion."""
    total, wrong = 1000, 200
    drawn = Drawn(100, 100, 20, 20)
    for claim, truth in (("at least", total - wrong), ("at most", total - wrong)):
        assert abs(checker.bound(claim, total, total, drawn, 10) - truth) > 80  # type: ignore[arg-type]
        assert (checker.bound(claim, total, total, drawn, 10) < truth) == (claim == "at least")  # type: ignore[arg-type]
    none = Drawn(3, 3, 0, 0)
    for claimed in range(11):  # of 10, where one draw of three: (1 - w / 10)^3 <= 1/4
        allowed = (1 - Fraction(10 - claimed + 1, 10)) ** 3 <= Fraction(1, 4)
        assert checker.passes("at least", claimed, 10, 10, none, 2) == (allowed or claimed == 0)
    every = Drawn(3, 3, 3, 3)
    for claimed in range(10):  # (w / 10)^3 <= 1/4
        allowed = Fraction(10 - claimed - 1, 10) ** 3 <= Fraction(1, 4)
        assert checker.passes("at most", claimed, 10, 10, every, 2) == allowed
    for claimed, open_, known in product(range(11), (0, 3), (2, 6)):  # the same, of an urn of 6
        left = 6 - known
        more, fewer = 10 - claimed + 1 - known, 10 - claimed - 1 - known
        allowed = more > left or (open_ > 0 and more > 0 and (1 - Fraction(more, left)) ** open_ <= Fraction(1, 4))
        assert checker.passes("at least", claimed, 10, 6, Drawn(5, open_, 0, 0, known), 2) == allowed
        allowed = fewer < 0 or (open_ > 0 and 0 <= fewer < left and Fraction(fewer, left) ** open_ <= Fraction(1, 4))
        assert checker.passes("at most", claimed, 10, 6, Drawn(5, open_, open_, open_, known), 2) == allowed


ERRORS: list[tuple[str, types.ModuleType, str, str, tuple[str, ...], Callable[[], None]]] = [
    ("modulo bias", randomness, "words[words <= largest]", "words", ("small_integers",), check_small_integers),
    ("no bound", randomness, "if word < below]", "]", ("large_integers",), check_large_integers),
    ("modulo bias, large", randomness,
     "[word for word in (word & ((1 << bits) - 1) for word in words) if word < below]",
     "[(word & ((1 << bits) - 1)) % below for word in words]", ("large_integers",), check_large_integers),
    ("ties are right", deciding, "(certainly_positive(margins) | own)", "(~certainly_positive(-margins) | own)",
     ("decide",), ties),
    ("no label", deciding, "inputs.max(axis=1)", "inputs[:, 0]", ("decide",), ties),
    ("no query", deciding, "query, label = inputs[:, -1]", "query, label = inputs[:, 0]", ("decide",), ties),
    ("the other tail", binomial, "few_is_unlikely(n - k, n, 1 - p, bits)", "few_is_unlikely(k, n, p, bits)",
     ("many_is_unlikely",), check_tails),
    ("one fewer counts", binomial, "for i in range(k, -1, -1)", "for i in range(k - 1, -1, -1)", ("few_is_unlikely",),
     check_tails),
    ("one term only", binomial, "if units <= 1:", "if units > 0:", ("few_is_unlikely",), check_tails),
    ("no binomial", binomial, "return _rounded(comb(n, k), 0)", "return (1, 0)", ("few_is_unlikely",), check_tails),
    ("off by one, least", checker, "total - claimed + 1", "total - claimed + 2", ("passes",), false_claims),
    ("off by one, most", checker, "total - claimed - 1", "total - claimed - 2", ("passes",), false_claims),
    ("sides exchanged", checker, 'if claim == "at least":\n        wrong =',
     'if claim != "at least":\n        wrong =', ("passes",), false_claims),
    ("known ones count twice", checker, "total - claimed + 1 - drawn.known", "total - claimed + 1", ("passes",),
     false_claims),
    ("known ones are left", checker, "left = urn - drawn.known", "left = urn", ("passes",), false_claims),
    ("all are open", sampling, "samples - shut, not_right", "samples, not_right", ("_inside",), check_draws),
    ("known ones are drawn", sampling, "drawn = drawn[~surely.among(drawn)]", "pass", ("_inside",), check_draws),
    ("what is known is forgotten", sampling, "known += surely.size", "pass", ("_inside",), check_draws),
    ("steps to the other side", inside, "-1 if up else 1", "1 if up else -1", ("_steps",),
     inside_coarsely),
    ("both steps down", inside, "-1 if up else 1", "1", ("_steps",), inside_coarsely),
    ("what could lose", inside, "part.high[:, :, o], int(part.high_last[o])",
     "part.low[:, :, o], int(part.low_last[o])", ("surely_wrong",), check_surely_wrong),
    ("another output's last", inside, "int(part.high_last[o])", "int(part.high_last[1 - o])", ("surely_wrong",),
     check_surely_wrong),
    ("another than was counted", inside, ".sum(axis=1) + self.first <= 0)", ".sum(axis=1) + self.first < 0)",
     ("Members",), inside_finely),
    ("a table too short", inside, "max(1 - sum(largest[p:]),", "max(2 - sum(largest[p:]),", ("Members",),
     inside_coarsely),
    ("no set need be met", inside, "int(group == self.groups[-1])", "1", ("Members",), inside_finely),
    ("another output", inside, "part.low.min(axis=2)", "part.low.max(axis=2)", ("possibly_wrong",), inside_finely),
    ("no first place", importance, "place < first, below", "place < 0, below", ("_of_class",), check_inputs_of_a_class),
    ("sizes forgotten", importance, "fixed.importance[c] * work.task.class_size(*c)", "fixed.importance[c]", ("draw",),
     check_scores),
    ("off by one, importance", importance, "total - right + (1", "total - right + (2", ("rejects",), check_fortunes),
    ("fortunes rounded up", importance, "return m >> excess,", "return (m >> excess) + 2**120,", ("_times",),
     check_fortunes),
    ("debts", importance, "if sign > 0 and bet * mean > 1:", "if sign > 1:", ("rejects",), check_fortunes),
    ("the token after", inside, "_at_most(upto, rest[:, :, None]).sum(axis=1)",
     "np.minimum(_at_most(upto, rest[:, :, None]).sum(axis=1) + 1, len(step) - 1)", ("Members",), inside_finely),
]  # fmt: skip


@cache
def without_error(check: Callable[[], None]) -> None:
    """It passes, which is looked at once."""
    check()


@pytest.mark.parametrize(
    ("module", "old", "new", "names", "check"), [error[1:] for error in ERRORS], ids=[error[0] for error in ERRORS]
)
def test_planted_errors_are_found(
    module: types.ModuleType,
    old: str,
    new: str,
    names: tuple[str, ...],
    check: Callable[[], None],
    same_bytes: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So the checks above can fail."""
    without_error(check)
    wrong = planted(module, old, new)
    for name in names:
        monkeypatch.setattr(module, name, getattr(wrong, name))
    with pytest.raises((AssertionError, IndexError, pytest.fail.Exception)):
        check()


# Files


def fields_of(claim: ClaimWithConfidence) -> dict[str, object]:
    """As JSON has them."""
    fields = json.loads(claim.to_bytes())
    assert isinstance(fields, dict)
    return fields


def test_files() -> None:
    """A claim is read as it was written; no certificate is a claim, and no claim a certificate."""
    claim = claim_of(imperfect(), "inside", "at least", 5, 20, 10)
    assert ClaimWithConfidence.from_bytes(claim.to_bytes()) == claim
    with pytest.raises(MalformedCertificate, match="format"):
        cp.Certificate.from_bytes(claim.to_bytes())
    with pytest.raises(MalformedClaim, match="format"):
        ClaimWithConfidence.from_bytes(cp.prove(imperfect(), "trivial").certificate.to_bytes())


BROKEN: list[tuple[str, object]] = [
    ("format", "compactproofs certificate"), ("version", 2), ("version", True), ("family", 3), ("task", []),
    ("task", {"n_ctx": 3}), ("task", {"name": "max-of-k", "n": None}), ("model_sha256", "x" * 64),
    ("theorem", "trivial"), ("theorem", ["confidence/plain@1"]), ("theorem", {}), ("claim", "exactly"),
    ("claimed", "-1"), ("claimed", 5), ("claimed", "1000000"),
    ("total", "01"), ("urn", "0"), ("urn", ""), ("samples", 0), ("samples", 2**22 + 1), ("samples", True),
    ("error_bits", 0), ("error_bits", 257), ("error_bits", "20"), ("tool", "\n"), ("seed", 7),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), BROKEN, ids=str)
def test_broken_files(key: str, value: object) -> None:
    """Each is refused, and the field is named; a seed has no place."""
    fields = {**fields_of(claim_of(imperfect(), "inside", "at least", 5, 20, 10)), key: value}
    with pytest.raises(MalformedClaim, match=key):
        ClaimWithConfidence.from_bytes(json.dumps(fields).encode())


def test_missing_fields() -> None:
    """Each is named."""
    fields = fields_of(claim_of(imperfect(), "inside", "at least", 5, 20, 10))
    for key in fields:
        less = {name: value for name, value in fields.items() if name != key}
        with pytest.raises(MalformedClaim, match=f"{key}: missing"):
            ClaimWithConfidence.from_bytes(json.dumps(less).encode())


# The command line


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in a directory of its own that holds a model."""
    monkeypatch.chdir(tmp_path)
    imperfect().save("mine.safetensors")

    def call(*words: object) -> tuple[int, str, str]:
        code = entry.run(list(map(str, words)))
        return (code, *capsys.readouterr())

    return call


SAMPLE = ("sample", "mine.safetensors", "--samples", 2000)


@pytest.mark.parametrize("more", [(), ("--inside",)])
def test_commands(run: Callable[..., tuple[int, str, str]], more: tuple[str, ...], same_bytes: None) -> None:
    """A claim is made, says that it is not certified, and passes a test by other draws; but not without the option."""
    code, out, err = run(*SAMPLE, *more, "--out", "c.confidence.json")
    assert (code, err) == (0, "")
    assert "with error at most 2^-20, assuming that" in out
    assert "not certified" in out
    code, out, err = run("verify", "c.confidence.json", "mine.safetensors", "--confidence")
    assert (code, err) == (0, "")
    assert out.startswith("accepted with error at most 2^-20, assuming that the operating system's random bytes")
    assert out.endswith("; not certified\n")
    code, out, _ = run("verify", "c.confidence.json", "mine.safetensors", "--confidence", "--json")
    said = json.loads(out)
    assert (code, said["outcome"], said["certified"], said["error"]) == (0, "accepted with error", False, "2^-20")
    code, out, _ = run("verify", "c.confidence.json", "mine.safetensors")
    assert code == 2
    assert out.startswith("malformed: ")
    assert "never certified, with --confidence" in out
    code, out, _ = run("verify", "c.confidence.json", "max-of-4/50", "--confidence")
    assert code == 1
    assert out.startswith("rejected: model_sha256")


def test_sampling_by_importance(run: Callable[..., tuple[int, str, str]], same_bytes: None) -> None:
    """It says that nothing is certified, and holds the truth."""
    code, out, err = run(*SAMPLE, "--importance")
    assert (code, err) == (0, "")
    assert "not certified" in out
    assert "from classes by their importance" in out
    code, out, _ = run(*SAMPLE, "--importance", "--json")
    said = json.loads(out)
    assert (code, said["certified"], said["method"]) == (0, False, "importance")
    assert int(said["at_least"]) <= exact_correct(imperfect()) <= int(said["at_most"])


def test_a_claim_too_high(run: Callable[..., tuple[int, str, str]], same_bytes: None) -> None:
    """Ends in 1, and says that a true claim could have met the same fate."""
    false = claim_of(imperfect(), "plain", "at least", imperfect().d_vocab ** imperfect().n_ctx, 20, 1000)
    Path("c.confidence.json").write_bytes(false.to_bytes())
    code, out, _ = run("verify", "c.confidence.json", "mine.safetensors", "--confidence")
    assert code == 1
    assert out.startswith("rejected: ")
    assert "by chance" in out


def test_show(run: Callable[..., tuple[int, str, str]]) -> None:
    """A claim is shown as one, and never as a certificate; what is none is said with its file's name."""
    run("sample", "max-of-4/123", "--samples", 100, "--out", "x.confidence.json")
    code, out, err = run("show", "x.confidence.json")
    assert (code, err) == (0, "")
    assert "says (untested) that at least" in out
    assert "2^-20" in out
    code, out, _ = run("show", "x.confidence.json", "--json")
    assert (code, json.loads(out)["kind"]) == (0, "claim with confidence")
    Path("y.confidence.json").write_text("{")
    code, _, err = run("show", "y.confidence.json")
    assert code == 2
    assert err.startswith("error: y.confidence.json: not valid JSON: ")
    assert err.count("\n") == 1


def test_errors_of_commands(run: Callable[..., tuple[int, str, str]]) -> None:
    """Exit code 2, and one line that says what to do."""
    claim = claim_of(imperfect(), "plain", "at least", 0, 10, 10)
    Path("lax.confidence.json").write_bytes(claim.to_bytes())
    cp.prove(imperfect(), "trivial").certificate.save("t.cert.json")
    verify = ("verify", "lax.confidence.json", "mine.safetensors")
    for words, said in (
        ((*verify, "--confidence"), "give --error 2^-10"),
        ((*verify, "--confidence", "--error", "2"), "--error"),
        ((*verify, "--error", "0.1"), "give --confidence too"),
        ((*verify, "--confidence", "--error", "0.01", "--max-ops", "1"), "limit of operations"),
        (
            ("verify", "t.cert.json", "mine.safetensors", "--confidence"),
            "malformed: t.cert.json: format: expected 'compact",
        ),
        (("verify", "t.cert.json", "mine.safetensors", "--confidence"), "; it is checked without --confidence\n"),
        (("verify", "lax.confidence.json", "mine.safetensors"), "malformed: lax.confidence.json: format: expected "),
        (
            ("verify", "mine.safetensors", "lax.confidence.json", "--confidence"),
            "no certificate; the order is: verify CERT",
        ),
        (("verify", ".", "mine.safetensors", "--confidence"), "is a directory"),
        (("verify", "none", "mine.safetensors", "--confidence"), "No such file"),
        ((*SAMPLE, "--out", "c.cert.json"), "no certificate; name the file *.confidence.json"),
        ((*SAMPLE, "--out", "none/c.confidence.json"), "does not exist"),
        ((*SAMPLE, "--error", "0"), "--error"),
        ((*SAMPLE, "--error", "1e-99"), "--error"),
        (("sample", "mine.safetensors", "--samples", 0), "--samples"),
        ((*SAMPLE, "--importance", "--inside"), "--importance: leave out --inside and --out"),
        (("sample", "mine.safetensors", "--samples", 3, "--importance"), "takes at least"),
    ):
        code, out, err = run(*words)
        assert code == 2, words
        assert said in out + err, words
        assert "Traceback" not in out + err
    assert run(*verify, "--confidence", "--error", "0.01")[0] == 0


def test_the_command_that_tests_a_claim(run: Callable[..., tuple[int, str, str]], same_bytes: None) -> None:
    """It is printed as it can be run: with the error, where that is more than is accepted unasked."""
    for error, more in (("2^-10", " --error 2^-10"), ("2^-20", ""), ("2^-30", "")):
        _, out, _ = run(*SAMPLE, "--error", error, "--out", "c.confidence.json")
        words = out.splitlines()[-1].partition("test it with: compactproofs ")[2]
        assert words == f"verify c.confidence.json mine.safetensors --confidence{more}"
        assert run(*words.split())[0] == 0


def test_error_bits() -> None:
    """The error is never larger than asked for."""
    for text, bits in (("1e-6", 20), ("2^-20", 20), ("0.5", 1), ("0.25", 2), ("0.2499", 3)):
        assert command.error_bits("--error", text) == bits
    for text in ("0", "1", "-1", "x", "2^-999", "1e-999999999", "nan", "1/0", ""):
        with pytest.raises(ValueError, match=r"--error: expected a probability from 2\^-255 to 1/2"):
            command.error_bits("--error", text)


def test_a_perfect_model(run: Callable[..., tuple[int, str, str]]) -> None:
    """If no input could be wrong there is nothing to draw from, and the claim is all inputs."""
    models = [case.model for case in cases("working")]
    model = next(model for model in models if not sampling.urn_size(verifying(model), "inside"))
    model.save("perfect.safetensors")
    total = model.d_vocab**model.n_ctx
    code, out, _ = run("sample", "perfect.safetensors", "--inside", "--samples", 20, "--out", "p.confidence.json")
    assert code == 0
    assert f"at least {total} and at most {total} of" in out
    assert run("verify", "p.confidence.json", "perfect.safetensors", "--confidence")[0] == 0


# What knows what


def test_imports() -> None:
    """This tier imports what is trusted, the standard library and NumPy; no trusted module imports it."""
    trusted = trusted_modules(ROOT)
    own = {module_name(ROOT, file): file for file in (ROOT / "confidence").glob("*.py")}
    for file in own.values():
        for _, target in imports(ROOT, file):
            top = target.partition(".")[0]
            assert target in trusted or target in own or top in OUTSIDE or top in sys.stdlib_module_names, target
    for file in trusted.values():
        assert not [target for _, target in imports(ROOT, file) if "confidence" in target]


def test_no_verdict_comes_of_it() -> None:
    """What is concluded is no verdict of the kernel's, and cannot be taken for one."""
    assert not hasattr(checker.Conclusion(True, ""), "accepted")
    assert not hasattr(checker.Conclusion(True, ""), "certified")


def test_inputs_of_draws(same_bytes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs that are decided are uniform on the members, counted on a model of few."""
    model = imperfect()
    work = verifying(model)
    seen: list[IntArray] = []
    decide = deciding.decide

    def watched(work: Work, inputs: IntArray) -> object:
        seen.append(inputs)
        return decide(work, inputs)

    monkeypatch.setattr(sampling, "decide", watched)
    coarse(monkeypatch)
    urn = sampling.urn_size(work, "inside")
    drawn = sampling.draw(work, "inside", urn, 40 * urn)
    assert drawn is not None
    assert drawn.samples == 40 * urn
    counts = np.unique(np.concatenate(seen), axis=0, return_counts=True)[1]
    assert counts.sum() == drawn.open
    assert len(counts) == urn - drawn.known > 1
    assert ((counts - 40) ** 2 / 40).sum() < urn + 6 * (2 * urn) ** 0.5
