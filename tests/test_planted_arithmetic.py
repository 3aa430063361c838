"""Errors on purpose in the arithmetic of enclosures: the checks against exact numbers find each of them.

An error is a replacement in the source of one function, or another value of one constant; the checks are those of
`test_enclosure`, which pass without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

import arb
import test_enclosure
import test_products
from compactproofs.kernel import decisions, enclosure
from compactproofs.kernel.decisions import Array
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.search.builtin import STRATEGIES
from compactproofs.theorems.max_of_k.failing_sets import low_ends
from modes import needs_x86
from soundness.models import BEYOND, cases, verifying
from soundness.truth import exact_correct

BY_NAME = {operation.name: operation for operation in arb.operations()}


@cache
def random(*names: str) -> Callable[[], None]:
    """Check these operations on random operands; the same check for the same names."""

    def check() -> None:
        for name in names:
            arb.check_random(BY_NAME[name])

    return check


def gamma_checks() -> None:
    """Sums and products whose rounding errors all have one sign."""
    for n in (64, 1000):
        test_enclosure.check_sum_of_one_sign(n)
        test_enclosure.check_product_of_one_sign(n)


def running() -> None:
    """Running maxima and minima."""
    random("running max 0", "running max 1", "running min 0", "running min 1")()


MAXIMA = random("max 0 False", "max 1 True", ".max()", "maximum", "min 0 False", "minimum", "max_where")
PRODUCTS = random("2 @ 2", "3 @ 3", "1 @ 2", "2 @ 1", "1 @ 1")
SUMS = random("sum 0 False", "sum 1 True", ".sum()", "mean 0 False")
ANY = random("add", "subtract", "multiply", "divide", "exp", "sqrt", "x - x", "2 @ 2", ".sum()")

# Function, what stands there, what is put there instead, and the check that must fail.
ERRORS: list[tuple[str, str, str, Callable[[], object]]] = [
    ("_add", " + U * np.abs(mid)", "", random("add")),
    ("_add", "a.rad + b.rad", "np.maximum(a.rad, b.rad)", random("add")),
    ("_add", "U * np.abs(mid)", "0.5 * U * np.abs(mid)", random("add")),
    ("_subtract", "a.rad + b.rad", "np.abs(a.rad - b.rad)", random("subtract")),
    ("_subtract", " + U * np.abs(mid)", "", random("subtract")),
    ("_multiply", "(np.abs(b.mid) + b.rad)", "np.abs(b.mid)", random("multiply")),
    ("_multiply", " + U * np.abs(mid)", "", random("multiply")),
    ("_multiply", " + TINY", "", random("multiply")),
    ("_multiply", "np.abs(a.mid)", "a.mid", random("multiply")),
    ("_divide", "low = size * (1.0 - 2.0 * U) - b.rad * (1.0 + 2.0 * U)", "low = size", random("divide")),
    ("_divide", "(q * U + TINY) * size + TINY) / low + U * q", "TINY) / low", random("divide")),
    ("_divide", "q * b.rad", "b.rad", random("divide")),
    ("_divide", "np.where(low > 0.0, rad, np.inf)", "np.abs(rad)", random("divide")),
    ("_divide", "rad, np.inf", "rad, 0.0", random("divide")),
    ("_sqrt", "np.where(a.mid > a.rad, near, far)", "0.5 * a.rad / mid", random("sqrt")),
    ("_sqrt", " + U * mid", "", random("sqrt")),
    ("_sqrt", "np.where(a.mid < -a.rad, np.inf, rad)", "rad", random("sqrt")),
    ("_exp", "* (1.0 + a.rad)", "", random("exp")),
    ("_exp", "np.where(a.rad <= 1.0, rad, np.inf)", "rad", random("exp")),
    ("_exp", " + TINY", "", random("exp")),
    ("_exp", "2.0 * U * EXP_ULPS", "2.0 * U * 0.2", random("exp")),
    ("_matmul", "_product(a.rad + TINY, size_b + b.rad + TINY)", "_product(a.rad + TINY, size_b + TINY)", PRODUCTS),
    ("_matmul", "b.rad + g * size_b", "b.rad", PRODUCTS),
    ("_matmul", "g * size_b + 2.0 * TINY", "g * size_b", PRODUCTS),
    ("_matmul", " + 24.0 * n * TINY", "", PRODUCTS),
    ("_matmul", "np.where(known, ", "np.where(True, ", PRODUCTS),
    ("_matmul", "np.where(known, ", "np.where(True, ", test_enclosure.check_overflowing_product),
    ("_matmul", "if a.rad.any():", "if False:", PRODUCTS),
    ("_matmul", "g = gamma(2 * n)", "g = gamma(2 * n) / 40.0", gamma_checks),
    ("_sum", "g = gamma(n)", "g = gamma(n) / 2.0", gamma_checks),
    ("_sum", " + g * size", "", SUMS),
    ("_sum", "a.rad.sum(axis=axis, keepdims=keepdims)", "a.rad.max(axis=axis, keepdims=keepdims)", SUMS),
    ("_negative", "a.rad", "-a.rad", random("negative")),
    ("_absolute", "np.abs(a.mid), a.rad", "np.abs(a.mid), np.minimum(a.rad, np.abs(a.mid))", random("absolute")),
    ("_excess", "a.rad + (a.mid - top) * (1.0 - 4.0 * U)", "np.where(a.mid == top, a.rad, 0.0)", MAXIMA),
    ("_excess", "(1.0 - 4.0 * U)", "2.0", MAXIMA),
    ("_max", "_excess(a, top)", "np.broadcast_to(a.rad[..., :1], a.shape)", MAXIMA),
    ("_maximum", "_excess(b, top)", "_excess(a, top)", MAXIMA),
    ("_minimum", "return -top, rad", "return top, rad", MAXIMA),
    ("_running_max", "np.maximum.accumulate(a.rad, axis)", "a.rad", running),
    ("_running_min", "np.maximum.accumulate(a.rad, axis)", "np.minimum.accumulate(a.rad, axis)", running),
    ("_where", "np.where(condition, a.rad, b.rad)", "np.where(condition, b.rad, a.rad)", random("where")),
    (
        "_sort",
        "np.broadcast_to(rad, a.shape).copy()",
        "np.take_along_axis(a.rad, np.argsort(a.mid, axis), axis)",
        random("sort 0", "sort 1"),
    ),
]

# Errors that only show where the threads that multiply matrices are in another mode.
IN_OTHER_MODES = [
    ("g = gamma(2 * n)", "g = gamma(n)"),
    ("size_a + TINY / g", "size_a"),
    ("g * size_b + 2.0 * TINY", "g * size_b + 2.0**-1074"),
    ("a.rad + TINY, size_b", "a.rad, size_b"),
    ("size_b + b.rad + TINY", "size_b + b.rad"),
    (" + 24.0 * n * TINY", " + 2.0 * n * 2.0**-1074"),
    ("np.where(known, ", "np.where(np.isfinite(mid), "),
]

NEXT_TO_NOTHING = 2.0**-100
CONSTANTS: list[tuple[str, object, Callable[[], object]]] = [
    ("U", 2.0**-55, ANY),
    ("TINY", 0.0, ANY),
    ("UP", 1.0, ANY),
    ("UP", 1.0 - 2.0**-48, ANY),
    ("EXP_ULPS", 0.4, random("exp")),
    ("gamma", lambda n: NEXT_TO_NOTHING, SUMS),
    ("gamma", lambda n: NEXT_TO_NOTHING, PRODUCTS),
    ("gamma", lambda n: n * enclosure.U / 20.0, gamma_checks),
]

# Each process that runs tests must give them the same names, so no addresses.
CONSTANT_IDS = [f"{n} = {'another function' if callable(v) else v}" for n, v, _ in CONSTANTS]


def plant(monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Replace `old` by `new` in the source of a function of the module, wherever the module refers to the function."""
    original = getattr(enclosure, name)
    source = inspect.getsource(original)
    assert old in source, f"{name} no longer contains {old!r}"
    namespace = dict(vars(enclosure))
    exec("from __future__ import annotations\n" + source.replace(old, new), namespace)  # its globals are a copy
    planted = namespace[name]
    monkeypatch.setattr(enclosure, name, planted)
    for table in (enclosure._UFUNCS, enclosure._ACCUMULATIONS, enclosure._FUNCTIONS):
        for key, function in table.items():
            if function is original:
                monkeypatch.setitem(table, key, planted)


def caught(check: Callable[[], object]) -> bool:
    """Whether the check fails."""
    try:
        with np.errstate(all="ignore"):
            check()
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize(
    ("name", "old", "new", "check"), ERRORS, ids=[f"{name}: {old} -> {new}" for name, old, new, _ in ERRORS]
)
def test_planted_error_is_caught(
    monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str, check: Callable[[], object]
) -> None:
    """Each error makes some result miss an exact value."""
    plant(monkeypatch, name, old, new)
    assert caught(check)


@needs_x86
@pytest.mark.parametrize(("old", "new"), IN_OTHER_MODES)
def test_planted_error_is_caught_in_another_mode(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """The same for what a product allows its threads."""
    plant(monkeypatch, "_matmul", old, new)
    assert not caught(test_products.check_worst)
    assert caught(test_products.check_all)


@pytest.mark.parametrize(("name", "value", "check"), CONSTANTS, ids=CONSTANT_IDS)
def test_planted_constant_is_caught(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, check: Callable[[], object]
) -> None:
    """The same for constants of the error model."""
    monkeypatch.setattr(enclosure, name, value)
    assert caught(check)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outward", lambda mid, rad, scale: (np.floor(mid * scale).astype(np.int64),) * 2),
        (
            "outward",
            lambda mid, rad, scale: (
                np.floor((mid - rad) * scale).astype(np.int64) + 1,
                np.ceil((mid + rad) * scale).astype(np.int64),
            ),
        ),
    ],
    ids=["midpoints only", "one too high"],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_planted_grid_is_caught(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """The same for the integer grid."""
    monkeypatch.setattr(decisions, name, value)
    assert caught(test_enclosure.check_grid)


def test_planted_masked_maximum_is_caught() -> None:
    """A masked maximum that keeps the radii of what is left out is sound; one that drops all radii is not."""
    original = decisions.max_where.dispatch(Enclosure)

    def without_radii(x: Enclosure, keep: np.ndarray, axis: int) -> Array:
        return original(Enclosure(x.mid, np.zeros(x.shape)), keep, axis)

    try:
        decisions.max_where.register(Enclosure, without_radii)
        assert caught(random("max_where"))
    finally:
        decisions.max_where.register(Enclosure, original)


def test_planted_lower_end_is_caught() -> None:
    """A lower end that is rounded to nearest is too high at times."""
    original = low_ends.lower.dispatch(Enclosure)
    try:
        low_ends.lower.register(Enclosure, lambda x: np.nan_to_num(x.mid - x.doubt * x.rad, nan=-np.inf))
        assert caught(lambda: test_enclosure.check_lower(Enclosure))
    finally:
        low_ends.lower.register(Enclosure, original)


def false_bounds(every: int = 1) -> Iterator[str]:
    """Names of the models at the ends of what float64 holds on which a bound is false, without their sizes."""
    for case in [case for family in BEYOND for case in cases(family)][::every]:
        for strategy in ("brute-force", "cubic", "branch-and-bound"):
            with np.errstate(all="ignore"):
                bound = STRATEGIES[strategy].bound(verifying(case.model), {})
            if bound > exact_correct(case.model):
                yield case.name.partition(", v=")[0]


def test_models_at_the_ends_of_float64_show_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most errors in one radius make no bound false, as others are large enough; here some do."""
    with monkeypatch.context() as patch:
        plant(patch, "_exp", "np.where(a.rad <= 1.0, rad, np.inf)", "np.where(a.rad <= 1.0, rad, TINY)")
        assert "brink: equal scores" in false_bounds()
    with monkeypatch.context() as patch:
        patch.setattr(enclosure, "TINY", 0.0)
        assert "brink: ties through the softmax, times 8e-320" in false_bounds()
    for name, value in (("U", 0.0), ("EXP_ULPS", 0.0), ("gamma", lambda n: NEXT_TO_NOTHING)):
        monkeypatch.setattr(enclosure, name, value)
    assert "brink: ties through the softmax, times 1e+00" in false_bounds()


def test_nothing_is_caught_without_an_error() -> None:
    """Checks pass on the code as it is; `test_enclosure` has the random ones, `test_strategies` the other models."""
    assert not any(caught(check) for check in (gamma_checks, random("add", "2 @ 2"), test_enclosure.check_grid))
    assert next(false_bounds(every=8), None) is None
