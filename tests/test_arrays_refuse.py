"""Whatever would lose a radius, or stop the counting, in silence raises instead."""

from __future__ import annotations

import copy
import math
import operator
import random
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from compactproofs.kernel.decisions import Array, certainly_positive, midpoint, to_grid
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.search.caution import CautiousEnclosure
from compactproofs.search.cost import Counted, Meter

VALUES = np.array([1.0, 2.0, 3.0])
SQUARE = np.array([[1.0, 2.0], [3.0, 4.0]])
REFUSALS = (TypeError, ValueError, IndexError, AttributeError)


def _set(x: Any, index: Any, value: Any) -> None:
    x[index] = value


def _in_place(x: Any, y: Any, operation: Callable[[Any, Any], Any]) -> Any:
    return operation(x, y)


# Each takes an array b of three numbers and a square one s.
Misuse = Callable[[Any, Any], Any]


def beside(name: str, left: bool) -> Misuse:
    """A function of `operator` of an array and a number, the array on this side."""
    return lambda b, s: getattr(operator, name)(*((b, 0.5) if left else (0.5, b)))


def method(name: str) -> Misuse:
    """A method of the array."""
    return lambda b, s: getattr(b, name)()


def of_numpy(name: str, *others: Any) -> Misuse:
    """A function of NumPy of the array and others."""
    return lambda b, s: getattr(np, name)(b, *others)


MISUSES: dict[str, Misuse] = {
    # Python's own functions.
    "bool": lambda b, s: bool(b),
    "if": lambda b, s: 1 if b[0] else 2,
    "not": lambda b, s: not b[0],
    "and": lambda b, s: b[0] and b[1],
    "float": lambda b, s: float(b[0]),
    "int": lambda b, s: int(b[0]),
    "complex": lambda b, s: complex(b[0]),
    "operator.index": lambda b, s: operator.index(b[0]),
    "round": lambda b, s: round(b[0]),
    "math.exp": lambda b, s: math.exp(b[0]),
    "math.floor": lambda b, s: math.floor(b[0]),
    "math.isnan": lambda b, s: math.isnan(b[0]),
    "math.fsum": lambda b, s: math.fsum(b),
    "statistics.mean": lambda b, s: statistics.mean(b),
    "iter": lambda b, s: iter(b),
    "for": lambda b, s: [x for x in b],  # noqa: C416
    "unpacking": lambda b, s: (lambda x, y, z: x)(*b),
    "list": lambda b, s: list(b),
    "tuple": lambda b, s: tuple(b),
    "sorted": lambda b, s: sorted(b),
    "reversed": lambda b, s: reversed(b),
    "enumerate": lambda b, s: enumerate(b),
    "zip": lambda b, s: list(zip(b, b, strict=True)),
    "map": lambda b, s: list(map(abs, b)),
    "max of one": lambda b, s: max(b),
    "min of one": lambda b, s: min(b),
    "max of two": lambda b, s: max(b[0], b[1]),
    "max of a list": lambda b, s: max([b[0], b[1]]),
    "sum": lambda b, s: sum(b),
    "any": lambda b, s: any(b),
    "all": lambda b, s: all(b),
    "in": lambda b, s: 1.0 in b,
    "in a list": lambda b, s: b[0] in [b[1], b[2]],
    "hash": lambda b, s: hash(b),
    "as a key": lambda b, s: {b: 1},
    "range": lambda b, s: range(b[0]),
    "index of a list": lambda b, s: [1, 2, 3][b[0]],
    "slice of a list": lambda b, s: [1, 2, 3][: b[0]],
    "format": lambda b, s: f"{b[0]:.3f}",
    "percent": lambda b, s: "%f" % b[0],  # noqa: UP031
    "shuffle": lambda b, s: random.Random(0).shuffle(b),
    # Comparisons and operators.
    **{
        f"{name} {side}": beside(name, side == "left")
        for name in ("lt", "le", "gt", "ge", "eq", "ne", "floordiv", "mod", "pow")
        for side in ("left", "right")
    },
    "b == b": lambda b, s: b == b,
    "b > array": lambda b, s: b > VALUES,
    "array > b": lambda b, s: VALUES > b,  # noqa: SIM300
    "float64 < b": lambda b, s: np.float64(0.0) < b,
    "divmod": lambda b, s: divmod(b, 2.0),
    "power": lambda b, s: b**2,
    "unary plus": lambda b, s: +b,
    "invert": lambda b, s: ~b,
    "and bits": lambda b, s: b & b,
    "shift": lambda b, s: b << 1,
    "b += b": lambda b, s: _in_place(b, b, operator.iadd),
    "b -= 1": lambda b, s: _in_place(b, 1.0, operator.isub),
    "b *= array": lambda b, s: _in_place(b, VALUES, operator.imul),
    "b /= b": lambda b, s: _in_place(b, b, operator.itruediv),
    "s @= s": lambda b, s: _in_place(s, s, operator.imatmul),
    "array += b": lambda b, s: _in_place(VALUES.copy(), b, operator.iadd),
    # Making plain or object arrays.
    "np.array": lambda b, s: np.array(b),
    "np.array of a list": lambda b, s: np.array([b, b]),
    "np.array of objects": lambda b, s: np.array([b[0], 1.0]),
    "np.array dtype": lambda b, s: np.array(b, dtype=np.float64),
    "np.asarray": lambda b, s: np.asarray(b),
    "np.asanyarray": lambda b, s: np.asanyarray(b),
    "np.ascontiguousarray": lambda b, s: np.ascontiguousarray(b),
    "np.asfortranarray": lambda b, s: np.asfortranarray(b),
    "np.atleast_1d": lambda b, s: np.atleast_1d(b),
    "np.copy": lambda b, s: np.copy(b),
    "np.float64": lambda b, s: np.float64(b[0]),
    "np.fromiter": lambda b, s: np.fromiter(b, np.float64),
    "np.full": lambda b, s: np.full(3, b[0]),
    "np.zeros_like": lambda b, s: np.zeros_like(b),
    "np.ones_like": lambda b, s: np.ones_like(b),
    "np.nditer": lambda b, s: np.nditer(b),
    "np.broadcast": lambda b, s: np.broadcast(b, VALUES),
    "np.frompyfunc": lambda b, s: np.frompyfunc(abs, 1, 1)(b),
    "np.vectorize": lambda b, s: np.vectorize(abs)(b),
    "memoryview": lambda b, s: memoryview(b),
    "bytes": lambda b, s: bytes(b),
    # Assignment.
    "b[0] = 1": lambda b, s: _set(b, 0, 1.0),
    "b[:] = b": lambda b, s: _set(b, slice(None), b),
    "array[0] = b[0]": lambda b, s: _set(VALUES.copy(), 0, b[0]),
    "array[:] = b": lambda b, s: _set(VALUES.copy(), slice(None), b),
    "np.copyto": lambda b, s: np.copyto(VALUES.copy(), b),
    "np.put": lambda b, s: np.put(VALUES.copy(), [0], b[0]),
    "np.place": lambda b, s: np.place(VALUES.copy(), VALUES > 1, b),
    "np.fill_diagonal": lambda b, s: np.fill_diagonal(s, 0.0),
    # Indices and conditions.
    "array[b]": lambda b, s: VALUES[b],
    "array[b[0]]": lambda b, s: VALUES[b[0]],
    "b[b]": lambda b, s: b[b],
    "b[[b[0]]]": lambda b, s: b[[b[0]]],
    "s[0, b]": lambda b, s: s[0, b[0]],
    "take_along_axis(b, b)": lambda b, s: np.take_along_axis(b, b, axis=0),
    "take_along_axis(array, b)": lambda b, s: np.take_along_axis(VALUES, b, axis=0),
    "np.take": lambda b, s: np.take(b, [0]),
    "where(b, array, array)": lambda b, s: np.where(b, VALUES, VALUES),
    "where(b, b, b)": lambda b, s: np.where(b, b, b),
    "where(b > 0, b, b)": lambda b, s: np.where(b > 0.0, b, b),
    "where(b)": lambda b, s: np.where(b),
    "where(mask, b)": lambda b, s: np.where(VALUES > 1.0, b),
    "np.nonzero": lambda b, s: np.nonzero(b),
    "np.select": lambda b, s: np.select([VALUES > 1.0], [b]),
    "np.choose": lambda b, s: np.choose([0, 0, 0], [b, b]),
    "np.compress": lambda b, s: np.compress([True, False, True], b),
    # Options of ufuncs.
    "add out": lambda b, s: np.add(b, b, out=VALUES.copy()),
    "add out=b": lambda b, s: np.add(VALUES, VALUES, out=b),
    "exp out": lambda b, s: np.exp(b, VALUES.copy()),
    "add where": lambda b, s: np.add(b, b, where=VALUES > 1.0),
    "add where=b": lambda b, s: np.add(VALUES, VALUES, where=b),
    "add dtype": lambda b, s: np.add(b, b, dtype=np.float32),
    "add casting": lambda b, s: np.add(b, b, casting="unsafe"),
    "matmul axes": lambda b, s: np.matmul(s, s, axes=[(0, 1), (0, 1), (0, 1)]),
    "add.reduce": lambda b, s: np.add.reduce(b),
    "add.accumulate": lambda b, s: np.add.accumulate(b),
    "add.outer": lambda b, s: np.add.outer(b, b),
    "add.at": lambda b, s: np.add.at(b, [0], 1.0),
    "add.reduceat": lambda b, s: np.add.reduceat(b, [0]),
    "maximum.reduce": lambda b, s: np.maximum.reduce(b),
    "maximum.accumulate out": lambda b, s: np.maximum.accumulate(b, out=VALUES.copy()),
    "maximum.accumulate dtype": lambda b, s: np.maximum.accumulate(b, dtype=np.float32),
    # Options of reductions.
    "max initial": lambda b, s: np.max(b, initial=0.0),
    "max where": lambda b, s: np.max(b, where=VALUES > 1.0, initial=0.0),
    "max out": lambda b, s: np.max(s, 0, np.empty(2)),
    "max out=": lambda b, s: np.max(s, axis=0, out=np.empty(2)),
    ".max(0, out)": lambda b, s: s.max(0, np.empty(2)),
    "sum dtype": lambda b, s: np.sum(b, 0, np.float32),
    "sum dtype=": lambda b, s: np.sum(b, dtype=np.float32),
    "sum initial": lambda b, s: np.sum(b, initial=1.0),
    "sum of a list": lambda b, s: np.sum([b, b]),
    "max of a list of arrays": lambda b, s: np.max([b, b]),
    "mean without axis": lambda b, s: np.mean(b),
    "mean where": lambda b, s: np.mean(b, axis=0, where=VALUES > 1.0),
    "sum over two axes": lambda b, s: np.sum(s, axis=(0, 1)),
    "sort kind": lambda b, s: np.sort(b, kind="stable"),
    "sort flat": lambda b, s: np.sort(s, axis=None),
    "concatenate out": lambda b, s: np.concatenate([b, b], out=np.empty(6)),
    "concatenate dtype": lambda b, s: np.concatenate([b, b], dtype=np.float32, casting="unsafe"),
    "concatenate one": lambda b, s: np.concatenate(s),
    "stack one": lambda b, s: np.stack(s),
    # Methods that plain arrays have.
    **{
        f".{name}": method(name)
        for name in ("argmax", "argsort", "any", "all", "item", "tolist", "copy", "sort", "cumsum", "prod", "std")
    },
    ".astype": lambda b, s: b.astype(np.float32),
    ".dot": lambda b, s: s.dot(s),
    ".clip": lambda b, s: b.clip(0.0, 1.0),
    "array.dot": lambda b, s: SQUARE.dot(s),
    "array.clip": lambda b, s: VALUES.clip(b, b),
    # The rest of NumPy.
    **{
        f"np.{name}": of_numpy(name)
        for name in (
            *("isnan", "isfinite", "isinf", "sign", "floor", "ceil", "rint", "trunc", "log", "log1p", "expm1", "exp2"),
            *("square", "cbrt", "reciprocal", "tanh", "sin", "positive", "fabs", "signbit", "spacing", "frexp", "modf"),
            *("argmax", "argmin", "argsort", "nanmax", "nanmin", "nansum", "prod", "cumsum", "cumprod", "diff", "ptp"),
            *(
                "median",
                "var",
                "std",
                "average",
                "any",
                "all",
                "count_nonzero",
                "unique",
                "ravel",
                "nan_to_num",
                "roll",
            ),
            *("logical_not", "conj", "real", "round", "around", "lexsort", "flatnonzero", "trapezoid", "gradient"),
        )
        if hasattr(np, name)
    },
    **{
        f"np.{name}": of_numpy(name, VALUES)
        for name in (
            *("fmax", "fmin", "less", "greater", "equal", "not_equal", "less_equal", "greater_equal", "hypot", "power"),
            *(
                "float_power",
                "logaddexp",
                "arctan2",
                "copysign",
                "nextafter",
                "heaviside",
                "remainder",
                "fmod",
                "ldexp",
            ),
            *("dot", "vdot", "inner", "outer", "cross", "convolve", "allclose", "isclose", "array_equal", "append"),
            *("searchsorted", "digitize", "logical_and", "logical_or", "floor_divide", "kron", "tensordot"),
        )
        if hasattr(np, name)
    },
    "np.clip": lambda b, s: np.clip(b, 0.0, 1.0),
    "np.clip by b": lambda b, s: np.clip(VALUES, b, b),
    "np.interp": lambda b, s: np.interp(0.5, VALUES, b),
    "np.roll": lambda b, s: np.roll(b, 1),
    "np.einsum": lambda b, s: np.einsum("ij,jk->ik", s, s),
    "np.einsum array": lambda b, s: np.einsum("i,i", VALUES, b),
    "np.percentile": lambda b, s: np.percentile(b, 50),
    "np.partition": lambda b, s: np.partition(b, 1),
    "np.histogram": lambda b, s: np.histogram(b),
    "np.bincount": lambda b, s: np.bincount(b),
    "np.vstack": lambda b, s: np.vstack([b, b]),
    "np.hstack": lambda b, s: np.hstack([b, b]),
    "np.block": lambda b, s: np.block([b, b]),
    "np.tile": lambda b, s: np.tile(b, 2),
    "np.repeat": lambda b, s: np.repeat(b, 2),
    "np.trace": lambda b, s: np.trace(s),
    "np.tril": lambda b, s: np.tril(s),
    "np.delete": lambda b, s: np.delete(b, 0),
    "np.insert": lambda b, s: np.insert(b, 0, 1.0),
    "np.piecewise": lambda b, s: np.piecewise(b, [VALUES > 1.0], [1.0]),
    "np.apply_along_axis": lambda b, s: np.apply_along_axis(np.sum, 0, b),
    "np.linalg.norm": lambda b, s: np.linalg.norm(b),
    "np.linalg.inv": lambda b, s: np.linalg.inv(s),
    "np.linalg.svd": lambda b, s: np.linalg.svd(s),
    "np.fft.fft": lambda b, s: np.fft.fft(b),
    "np.random permutation": lambda b, s: np.random.default_rng(0).permutation(b),
    "np.testing": lambda b, s: np.testing.assert_array_equal(b, b),
    # Decisions are no arrays of the reading, and cannot be undone.
    "certainly_positive of a list": lambda b, s: certainly_positive([b]),
    "to_grid of a list": lambda b, s: to_grid([b], 1.0),
    "write to the midpoint": lambda b, s: _set(midpoint(b), 0, 1.0),
}

KINDS: dict[str, Callable[[Any], Array]] = {
    "enclosure": Enclosure.exact,
    "cautious enclosure": CautiousEnclosure.exact,
    "counted enclosure": lambda x: Counted(Enclosure.exact(x), Meter()),
    "counted array": lambda x: Counted(np.array(x), Meter()),
}
# Counted plain arrays serve figures and tests: there is no radius that could be lost.
HARMLESS_FOR_PLAIN = {"write to the midpoint", "sort flat"}


@contextmanager
def named(kind: str) -> Iterator[None]:
    """Says which kind of array it was, if nothing is raised."""
    yield
    pytest.fail(f"{kind}: no error")


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_raises(misuse: str) -> None:
    """No misuse gives a result, and none changes its operands."""
    for kind, lifted in KINDS.items():
        if kind == "counted array" and misuse in HARMLESS_FOR_PLAIN:
            continue
        b, s = lifted(VALUES), lifted(SQUARE)
        with pytest.raises(REFUSALS), named(kind):
            MISUSES[misuse](b, s)
        assert midpoint(b).tolist() == VALUES.tolist(), kind
        assert midpoint(s).tolist() == SQUARE.tolist(), kind


@pytest.mark.parametrize("kind", ["enclosure", "cautious enclosure", "counted enclosure"])
@pytest.mark.parametrize(
    "constant",
    [
        *(np.nan, np.inf, -np.inf, np.array([1.0, np.nan, 2.0]), 2**53 + 1, -(2**53) - 1, 2**64, 2**200),
        *(np.array([0, 0, 2**53 + 1]), np.array([2**63 + 5] * 3, np.uint64), 1j, "1.0", None, [1.0, None, 2.0]),
        *(np.array([1, 2, 3], dtype=object), np.array(["a", "b", "c"]), np.longdouble(1) / 3, np.datetime64("2020")),
        VALUES.astype(">f8"),
    ],
    ids=repr,
)
def test_constants_that_are_not_exact_are_refused(kind: str, constant: Any) -> None:
    """An operand that is no finite float64 number, exactly, raises on either side of every operation."""
    b = KINDS[kind](VALUES)
    for operation in (np.add, np.multiply, np.maximum):
        with pytest.raises((TypeError, ValueError)):
            operation(b, constant)
        with pytest.raises((TypeError, ValueError)):
            operation(constant, b)
    with pytest.raises((TypeError, ValueError)):
        np.where(VALUES > 1.0, b, constant)
    with pytest.raises((TypeError, ValueError)):
        np.concatenate([b, np.broadcast_to(np.asarray(constant), 3)])
    with pytest.raises((TypeError, ValueError)):
        Enclosure.exact(constant)


@pytest.mark.parametrize("kind", KINDS)
def test_reading_offers_what_proofs_need(kind: str) -> None:
    """The tests above would pass if everything raised."""
    b: Any = KINDS[kind](VALUES)
    s = KINDS[kind](SQUARE)
    assert midpoint(1.0 - b + VALUES * np.float64(2.0) / 2).tolist() == [1.0, 1.0, 1.0]
    assert midpoint(np.max(s @ s.T, axis=1)).tolist() == [11.0, 25.0]
    assert midpoint(np.where(VALUES > 1.0, b, 0.0)).tolist() == [0.0, 2.0, 3.0]
    assert midpoint(np.concatenate([b, [5, 6]])).tolist() == [1.0, 2.0, 3.0, 5.0, 6.0]
    assert certainly_positive(b - 2).tolist() == [False, False, True]
    assert len(b) == 3
    assert (b.shape, b.ndim, b.size, b.dtype) == ((3,), 1, 3, np.float64)
    assert type(b).__name__ in repr(b)
    assert midpoint(copy.copy(b)).tolist() == VALUES.tolist()


@pytest.mark.filterwarnings("ignore")
def test_misuses_are_tempting() -> None:
    """Nearly all of the misuses give a result for plain arrays, so it is the reading that refuses them."""
    refused = []
    for name, misuse in MISUSES.items():
        try:
            misuse(VALUES.copy(), SQUARE.copy())
        except REFUSALS:
            refused.append(name)
    assert len(MISUSES) - len(refused) > 250


def test_conditions_must_be_booleans() -> None:
    """Numbers are no conditions, not even plain ones."""
    b = Enclosure.exact(VALUES)
    for condition in (VALUES, np.array([0, 1, 2]), np.array([None] * 3)):
        with pytest.raises(TypeError, match="booleans"):
            np.where(condition, b, b)
