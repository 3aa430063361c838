"""Every operation of enclosures against exact arithmetic, on ordinary and on extreme operands."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import arb
from compactproofs.kernel.decisions import certainly_positive, max_where, midpoint, to_grid
from compactproofs.kernel.enclosure import EXP_ULPS, MAX_TERMS, UP, Enclosure, U, exact_float64, gamma
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.caution import CautiousEnclosure
from compactproofs.search.workspaces import workspace
from compactproofs.theorems.max_of_k.core.additive import max_of_others
from compactproofs.theorems.max_of_k.failing_sets.low_ends import lower

OPERATIONS = arb.operations()
BY_NAME = {operation.name: operation for operation in OPERATIONS}


# --- containment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_encloses_exact_results(operation: arb.Operation) -> None:
    """Exact results lie in the enclosure, for random operands of all kinds."""
    assert arb.check_random(operation) > 150


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_encloses_exact_results_at_length(operation: arb.Operation) -> None:
    """The same many times."""
    assert arb.check_random(operation, rounds=2000) > 3000


mids = st.floats(allow_nan=False, allow_infinity=False)
radii = st.one_of(st.just(0.0), st.floats(min_value=0.0, allow_nan=False))
entries = st.lists(st.tuples(mids, radii), min_size=2, max_size=6)
ELEMENTWISE = (
    *("add", "subtract", "multiply", "divide", "maximum", "minimum"),
    *("negative", "absolute", "exp", "sqrt", "operators"),
)
WHOLE = ("1 @ 1", ".sum()", ".max()", ".min()")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(left=entries, right=entries)
def test_encloses_whatever_hypothesis_finds(left: list[tuple[float, float]], right: list[tuple[float, float]]) -> None:
    """The same for any finite midpoints and any radii: entry by entry, and for operations that combine entries."""
    size = min(len(left), len(right))
    operands = [arb.enclosure(*zip(*side[:size], strict=True)) for side in (left, right)]
    for name in (*ELEMENTWISE, *WHOLE):
        note(name)
        operation = BY_NAME[name]
        arb.check(operation, operands[: len(operation.shapes)], np.random.default_rng(0))


def test_softmax_of_a_huge_range() -> None:
    """Exponentials shifted by their own maximum, which is an enclosure and not a float."""
    rng = np.random.default_rng(3)
    for scale in (1.0, 30.0, 700.0, 1e5, 1e300):
        scores = arb.enclosure(rng.normal(size=(3, 5)) * scale, rng.choice([0.0, 1e-12, 0.3], size=(3, 5)))
        operation = arb.Operation(
            "softmax",
            lambda x: np.exp(x - np.max(x, axis=1, keepdims=True)),
            ((3, 5),),
            lambda x: np.frompyfunc(lambda y: flint.arb(y).exp(), 1, 1)(x - x.max(axis=1, keepdims=True)),
        )
        arb.check(operation, [scores], rng)


def test_unequal_kinds_of_operands() -> None:
    """A plain operand stands for its exact numbers, on either side."""
    rng = np.random.default_rng(4)
    exact = rng.normal(size=(3, 4))

    def lift(x: npt.NDArray[np.float64] | Enclosure) -> Enclosure:
        return x if isinstance(x, Enclosure) else Enclosure.exact(x)

    for left, right in ((exact, arb.random_enclosure((3, 4), rng)), (arb.random_enclosure((3, 4), rng), exact)):
        for function in (np.add, np.subtract, np.multiply, np.maximum):
            result = function(left, right)
            assert isinstance(result, Enclosure)
            lifted: Any = function(lift(left), lift(right))
            np.testing.assert_array_equal(result.mid, lifted.mid)
            np.testing.assert_array_equal(result.rad, lifted.rad)


# --- crafted worst cases ----------------------------------------------------------------------------------------------


def rounding_up(n: int) -> np.ndarray:
    """Terms whose sum, formed from the first on, is rounded up by nearly half a unit n - 1 times."""
    return np.array([1.0] + [2.0**-53 * (1.0 + 2.0**-20)] * (n - 1))


def check_sum_of_one_sign(n: int) -> None:
    """A sum along the first axis adds row by row, so its error comes close to gamma_n."""
    terms = np.stack([rounding_up(n), -rounding_up(n)], axis=1)
    truth = arb.exact_array(terms).sum(axis=0)
    total = np.sum(Enclosure.exact(terms), axis=0)
    assert abs(truth[0] - arb.exact(total.mid[0])) > arb.exact(0.45 * n * U)
    assert arb.assert_encloses(total, truth) == 2
    mean = np.mean(Enclosure.exact(terms), axis=0)
    assert arb.assert_encloses(mean, truth / flint.fmpq(n)) == 2


def check_product_of_one_sign(n: int) -> None:
    """The same for products of matrices, in whatever order this machine adds."""
    left, right = np.stack([rounding_up(n), -rounding_up(n), rounding_up(n)[::-1]]), np.ones((n, 3))
    truth = arb.exact_array(left) @ arb.exact_array(right)
    assert arb.assert_encloses(Enclosure.exact(left) @ Enclosure.exact(right), truth) == 9
    assert arb.assert_encloses(Enclosure.exact(right.T) @ Enclosure.exact(left.T), truth.T) == 9
    assert arb.assert_encloses(Enclosure.exact(left[0]) @ Enclosure.exact(right), truth[0]) == 3


@pytest.mark.parametrize("n", [3, 64, 1000, 5000])
def test_sums_of_one_sign_stay_within_gamma(n: int) -> None:
    """Sums whose rounding errors all add up, which random terms never show."""
    check_sum_of_one_sign(n)
    check_product_of_one_sign(n)


def check_gamma() -> None:
    """The closed form that the code uses is an upper bound of n u / (1 - n u)."""
    for n in (0, 1, 2, 3, 64, 4096, MAX_TERMS - 1):
        assert Fraction(gamma(n)) >= n * Fraction(U) / (1 - n * Fraction(U))


def test_gamma() -> None:
    """The error bound of sums, and its limit."""
    check_gamma()
    with pytest.raises(ValueError, match="too long"):
        gamma(MAX_TERMS)


def test_the_factor_up_outweighs_thirty_roundings() -> None:
    """UP makes up for thirty roundings and for its own."""
    # One more for the product with UP itself.
    assert Fraction(UP) * (1 - Fraction(U)) ** 31 > 1


def check_product_with_subnormal_factor() -> None:
    """gamma |B| may underflow, and |A| then makes up for it: no radius may be lost on the way."""
    n = 65
    large = np.append(rounding_up(n - 1) * 2.0**1000, 0.0)[None]
    subnormal = np.full((n, 1), 2.0**-1030)
    truth = arb.exact_array(large) @ arb.exact_array(subnormal)
    assert arb.assert_encloses(Enclosure.exact(large) @ Enclosure.exact(subnormal), truth) == 1
    large, subnormal = np.array([[2.0**1000 * (1.0 + 2.0**-52)]]), np.array([[(2.0**40 + 1.0) * 2.0**-1074]])
    truth = arb.exact_array(large) @ arb.exact_array(subnormal)
    assert arb.assert_encloses(Enclosure.exact(large) @ Enclosure.exact(subnormal), truth) == 1


def test_product_with_subnormal_factor() -> None:
    """A large factor finds no radius that underflowed."""
    check_product_with_subnormal_factor()


def check_overflowing_product() -> None:
    """A product may overflow although its error bound does not: nothing must be known then."""
    left, right = np.array([[4.0, 1.0, 1.0]]), np.array([[2.0**1022], [-1.7e308], [-1.7e308]])
    assert (arb.exact_array(left) @ arb.exact_array(right))[0, 0] < 0  # but computed as +infinity
    for sign in (1.0, -1.0):
        product = Enclosure.exact(left) @ Enclosure.exact(sign * right)
        assert np.isfinite(product.mid) | ~np.isfinite(product.rad)
        assert not certainly_positive(product)
        assert not certainly_positive(-product)
        # It must not drop out of a maximum either.
        assert not np.isfinite(np.concatenate([product, Enclosure.exact([[1.0]])], axis=1).max(axis=1).rad)
        others: Any = max_of_others(np.concatenate([product, Enclosure.exact([[1.0, 2.0]])], axis=1))
        assert not np.isfinite(others.rad[0, 1])


def test_overflowing_product() -> None:
    """Overflow loses the entry, for both signs, and so does a maximum over it."""
    check_overflowing_product()


def test_overflowing_sum() -> None:
    """A sum that overflows is unknown."""
    for terms in ([1e308, 1e308], [-1e308, -1e308, 1e308], [arb.LARGEST, 2.0**970]):
        total = Enclosure.exact(terms).sum()
        assert np.isfinite(total.mid) | ~np.isfinite(total.rad)
        assert not certainly_positive(total)


def test_a_rival_that_overflows_is_no_weaker() -> None:
    """A model where output 0 always wins, though its logit is computed as -infinity."""
    embedding = np.array([[4.0, 1.0, 1.0, 1.0]] * 3)
    unembedding = np.array([[-(2.0**1022), 0, 0], [1.7e308, 0, 0], [1.7e308, 0, 0], [0, -1e300, 4e307]])
    logits = arb.exact_array(embedding[:1]) @ arb.exact_array(unembedding)
    assert logits[0, 0] > max(logits[0, 1:])
    none = np.zeros((4, 1))
    model = Model(embedding, np.zeros((2, 4)), none, none, none, none.T, unembedding)
    for strategy in ("brute-force", "cubic"):
        assert STRATEGIES[strategy].bound(workspace(model, "check"), {}) <= 1  # only (0, 0) has the label 0


def test_maximum_uses_every_radius() -> None:
    """An entry below the largest counts with what its radius reaches above it, no more and no less."""
    x = arb.enclosure([1.0, 0.9], [0.0, 0.5])
    top = x.max()
    assert top.mid == 1.0
    assert top.rad >= 0.4
    assert arb.enclosure([1.0, -100.0], [0.25, 50.0]).max().rad < 0.2500001


def test_absolute_value_of_an_enclosure_around_zero() -> None:
    """All sizes that the entry may have are enclosed."""
    x: Any = np.abs(arb.enclosure([0.5], [2.0]))
    assert x.mid - x.rad <= 0.0
    assert x.mid + x.rad >= 2.5


def test_roots_of_what_is_certainly_negative_are_unknown() -> None:
    """There is no root to enclose."""
    roots: Any = np.sqrt(arb.enclosure([-1.0, -1.0, -0.0], [0.5, 1.0, 0.0]))
    assert not np.isfinite(roots.rad[0])
    assert np.isfinite(roots.rad[1:]).all()


def test_division_by_what_may_be_zero_is_unknown() -> None:
    """A divisor that may be 0 loses the entry."""
    for mid, rad in ((0.0, 0.0), (1.0, 1.0), (-1.0, 1.0), (2.0**-1074, 2.0**-1074), (1.0, 1.0 - 2.0**-53)):
        assert not np.isfinite((Enclosure.exact([1.0]) / arb.enclosure([mid], [rad])).rad) or mid > rad


def test_exp_that_overflows_or_is_too_uncertain_is_unknown() -> None:
    """Overflow and radii above 1 lose the entry."""
    powers: Any = np.exp(arb.enclosure([710.0, 0.0, -1e300, 1e300], [0.0, 1.5, np.inf, 0.0]))
    assert not np.isfinite(powers.rad).any()


# --- exp --------------------------------------------------------------------------------------------------------------


def exp_errors(x: np.ndarray) -> np.ndarray:
    """Upper bounds of the errors of NumPy's exp, in units in the last place of e^x."""
    values = np.exp(x)
    errors = np.empty(x.size)
    for i, (point, value) in enumerate(zip(x.tolist(), values.tolist(), strict=True)):
        error = abs(flint.arb(point).exp() - flint.arb(value))
        unit = max(np.frexp(value)[1] - 54, -1074)  # of the binade below, if e^x lies there and value is a power of two
        errors[i] = float((error * flint.arb(2) ** int(-unit)).upper()) * (1.0 + 1e-9)
    return errors


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 1.0), (-40.0, 0.0), (-745.0, 709.7), (-745.1, -707.0), (700.0, 709.7)]
)
def test_numpys_exp_is_as_accurate_as_assumed(low: float, high: float) -> None:
    """The assumption about exp holds here with room to spare."""
    rng = np.random.default_rng(5)
    # Measured in units of the binade below: half of what is assumed.
    assert exp_errors(rng.uniform(low, high, size=20_000)).max() < EXP_ULPS / 2.0


def test_exp_of_strided_and_small_arrays() -> None:
    """And also where vector instructions do not divide the array evenly."""
    # SIMD kernels treat remainders and strides apart.
    x = np.random.default_rng(6).uniform(-30.0, 5.0, size=4096)
    for part in (x[::3], x[5:8], x[::-1], np.asfortranarray(x.reshape(64, 64)).ravel("K")):
        assert exp_errors(part).max() < EXP_ULPS / 2.0


# --- decisions --------------------------------------------------------------------------------------------------------

ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.0**-1074, arb.LARGEST)


@pytest.mark.parametrize("kind", [Enclosure, CautiousEnclosure])
def test_nothing_unknown_is_certainly_positive(kind: type[Enclosure]) -> None:
    """Decisions are exact, and false for NaN and infinite radii."""
    for mid, rad in itertools.product(ODD, (0.0, 2.0**-1074, 1.0, arb.LARGEST, np.inf, np.nan)):
        decided = certainly_positive(kind(np.array([mid]), np.array([rad])))
        assert decided.dtype == np.bool_
        if np.isfinite(mid) and np.isfinite(rad):
            assert decided[0] == (Fraction(mid) > Fraction(kind.doubt) * Fraction(rad))
        elif not (mid == np.inf and np.isfinite(rad)):  # which the invariant excludes
            assert not decided[0]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_is_unknown_stays_unknown(operation: arb.Operation) -> None:
    """A midpoint that is not finite has an infinite or NaN radius, before an operation and after it."""
    rng = np.random.default_rng(7)
    for _ in range(30):
        operands = []
        for shape in operation.shapes:
            mid = rng.choice(ODD, size=shape)
            rad = np.where(np.isfinite(mid), rng.choice([0.0, 1.0, arb.LARGEST, np.inf], size=shape), np.nan)
            rad = np.where(np.isinf(mid) & (rng.random(shape) < 0.5), np.inf, rad)
            operands.append(arb.enclosure(mid, rad))
        result = operation.apply(*operands)
        assert (np.isfinite(result.mid) | ~np.isfinite(result.rad)).all()
        assert not (certainly_positive(result) & ~np.isfinite(result.mid)).any()
        lost = [np.isnan(x.rad).all() for x in operands]
        if any(lost) and len(operands) == 1:
            assert not certainly_positive(result).any()


def test_claims_need_four_times_the_radius() -> None:
    """Claims are made with four times the radius, strictly."""
    mid, rad = np.array([4.0, np.nextafter(4.0, 5.0), 1.5, 1.0, np.nextafter(1.0, 2.0)]), np.ones(5)
    assert certainly_positive(CautiousEnclosure(mid, rad)).tolist() == [False, True, False, False, False]
    assert certainly_positive(Enclosure(mid, rad)).tolist() == [True, True, True, False, True]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_caution_survives_every_operation(operation: arb.Operation) -> None:
    """One cautious operand makes a cautious result with the same numbers."""
    rng = np.random.default_rng(8)
    plain = [Enclosure.exact(rng.uniform(1.0, 2.0, size=shape)) for shape in operation.shapes]
    cautious = [CautiousEnclosure(x.mid, x.rad) for x in plain]
    expected = operation.apply(*plain)
    assert type(expected) is Enclosure
    for operands in (cautious, [*plain[:-1], cautious[-1]], [cautious[0], *plain[1:]]):
        result = operation.apply(*operands)
        assert type(result) is CautiousEnclosure
        np.testing.assert_array_equal(result.mid, expected.mid)
        np.testing.assert_array_equal(result.rad, expected.rad)


def test_plain_values_decide_by_their_sign() -> None:
    """Without a radius, positive means above 0."""
    assert certainly_positive(np.array([1.0, 0.0, -1.0, np.nan])).tolist() == [True, False, False, False]


def check_lower(kind: type[Enclosure]) -> int:
    """Compare lower ends with exact differences; returns the number of comparisons."""
    rng = np.random.default_rng(11)
    compared = 0
    for _ in range(300):
        x = arb.random_enclosure((8,), rng)
        for m, r, low in zip(x.mid, x.rad, lower(kind(x.mid, x.rad)), strict=True):
            if low == -np.inf:
                continue
            if not (np.isfinite(low) and np.isfinite(m) and np.isfinite(r)):
                raise arb.NotEnclosed(f"{low} for the unknown {m} +- {r}")
            if not Fraction(low) <= Fraction(m) - Fraction(kind.doubt) * Fraction(r):
                raise arb.NotEnclosed(f"{low} is not below {m} +- {r}")
            compared += 1
    return compared


@pytest.mark.parametrize("kind", [Enclosure, CautiousEnclosure])
def test_lower_ends(kind: type[Enclosure]) -> None:
    """Lower ends are floats at or below every number of the enclosure, and -infinity where nothing is known."""
    assert check_lower(kind) > 1000
    for mid, rad in itertools.product(ODD, (0.0, 2.0**-1074, 1.0, arb.LARGEST, np.inf, np.nan)):
        if np.isfinite(mid) or not np.isfinite(rad):
            low = lower(kind(np.array([mid]), np.array([rad])))[0]
            if np.isfinite(mid) and np.isfinite(rad):
                assert low == -np.inf or Fraction(low) <= Fraction(mid) - Fraction(kind.doubt) * Fraction(rad)
            else:
                assert low == -np.inf


# --- masked maxima and grids ------------------------------------------------------------------------------------------


def test_masked_maximum_of_nothing_is_unknown() -> None:
    """Nothing is known about the maximum of no entries."""
    x = arb.enclosure([[1.0, 2.0], [3.0, 4.0]], 0.0)
    top: Any = max_where(x, np.array([[False, False], [True, False]]), axis=1)
    assert not np.isfinite(top.rad[0])
    assert not certainly_positive(top)[0]
    assert (top.mid[1], certainly_positive(top)[1]) == (3.0, True)


def test_masked_maximum_keeps_what_overflowed() -> None:
    """Only entries that are masked drop out: an overflow to -infinity does not."""
    x = Enclosure(np.array([[-np.inf, 1.0, 5.0]]), np.array([[np.inf, 0.0, 0.0]]))
    lost: Any = max_where(x, np.array([True, True, False]), axis=1)
    kept: Any = max_where(x, np.array([False, True, True]), axis=1)
    assert not np.isfinite(lost.rad)
    assert np.isfinite(kept.rad)


def test_maximum_of_others() -> None:
    """The maximum of a row's other entries, for rows from length 2 on."""
    rng = np.random.default_rng(9)
    for width in (2, 3, 4, 7):
        operation = arb.Operation(
            "max_of_others",
            max_of_others,
            ((3, width),),
            lambda x: np.array([[max(np.delete(row, m)) for m in range(len(row))] for row in x]),
        )
        for _ in range(40):
            arb.check(operation, [arb.random_enclosure((3, width), rng)], rng)


def check_grid(kind: type[Enclosure] = Enclosure) -> int:
    """Compare `to_grid` with exact products, for all scales; returns the number of comparisons."""
    rng = np.random.default_rng(10)
    compared = 0
    for _ in range(300):
        x = arb.random_enclosure((6,), rng)
        x = kind(x.mid, x.rad)
        scale = 2.0 ** int(rng.integers(-1000, 1001))
        if rng.random() < 0.8:
            with np.errstate(all="ignore"):
                top = np.abs(x.mid[np.isfinite(x.mid)]).max(initial=2.0**-1000)
            scale = 2.0 ** int(np.clip(int(rng.integers(0, 40)) - np.frexp(top)[1], -1000, 1000))
        try:
            low, high = to_grid(x, scale)
        except OverflowError:
            continue
        assert low.dtype == high.dtype == np.int64
        for values in arb.choices(x, rng):
            for lo, value, hi in zip(low.tolist(), values * arb.exact(scale), high.tolist(), strict=True):
                if not lo <= value <= hi:
                    raise arb.NotEnclosed(f"{value} is not between {lo} and {hi}")
                compared += 1
    return compared


def test_grid() -> None:
    """Integers enclose the scaled entries."""
    assert check_grid() > 1000
    assert check_grid(CautiousEnclosure) > 1000


def test_grid_refuses_what_does_not_fit() -> None:
    """Entries beyond 2^52, NaN, and scales that are no powers of two raise."""
    for mid, rad in (
        (2.0**52, 0.0),
        (0.0, 2.0**52),
        (-(2.0**60), 0.0),
        (np.nan, np.nan),
        (np.inf, np.inf),
        (0.0, np.nan),
    ):
        with pytest.raises(OverflowError):
            to_grid(arb.enclosure([1.0, mid], [0.0, rad]), 1.0)
    with pytest.raises(OverflowError):
        to_grid(np.array([np.nan]), 1.0)
    for scale in (0.0, -1.0, 3.0, np.inf, np.nan, 0.1):
        with pytest.raises(ValueError, match="power of two"):
            to_grid(Enclosure.exact([1.0]), scale)


def test_grid_of_caution_is_wider() -> None:
    """The grid of a claim holds four times the radius."""
    x = arb.enclosure([10.0], [3.0])
    low, high = to_grid(x, 1.0)
    wide_low, wide_high = to_grid(CautiousEnclosure(x.mid, x.rad), 1.0)
    assert wide_low <= -2 < low
    assert high < 22 <= wide_high


# --- exact input ------------------------------------------------------------------------------------------------------


def test_exact_input_is_taken_without_rounding() -> None:
    """Float32, integers and booleans are the numbers they are."""
    single = np.float32(0.1)
    assert Fraction(float(exact_float64(single))) == Fraction(float(single))
    assert exact_float64(2**53) == 2.0**53
    assert exact_float64(np.array([True, False])).tolist() == [1.0, 0.0]
    assert exact_float64(np.uint64(7)) == 7.0
    root: Any = np.sqrt(Enclosure.exact(32))
    assert root.rad > 0.0
    assert arb.assert_encloses(root, flint.arb(32).sqrt()) == 1


def test_enclosures_share_no_memory_with_their_input() -> None:
    """Later changes to the input, or to midpoints, do not reach an enclosure."""
    values = np.ones(3)
    x = Enclosure.exact(values)
    values[:] = 7.0
    assert x.mid.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        midpoint(x)[0] = 5.0
    with pytest.raises(ValueError, match="read-only"):
        midpoint(x[1:]).sort()
