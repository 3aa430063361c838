"""Exact oracles for enclosures, through python-flint: rational numbers, and Arb's balls for exp and sqrt.

A check runs the same NumPy code twice: on enclosures, and on arrays of exact numbers chosen from these enclosures (both
end points, in random patterns, and points inside).  Every exact result must lie in the enclosure of the result,
compared without any tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import flint
import numpy as np

from compactproofs.kernel.decisions import max_where
from compactproofs.kernel.enclosure import Enclosure

flint.ctx.prec = 400

LARGEST = float(np.finfo(np.float64).max)


class NotEnclosed(AssertionError):
    """An exact result lies outside the enclosure that was computed."""


def exact(x: float) -> flint.fmpq:
    """The float as a rational number."""
    return flint.fmpq(*float(x).as_integer_ratio())


def exact_array(x: Any) -> np.ndarray:
    """Floats as an object array of rational numbers."""
    array = np.asarray(x, dtype=np.float64)
    result = np.empty(array.size, dtype=object)
    result[:] = [flint.fmpq(*entry.as_integer_ratio()) for entry in array.ravel().tolist()]
    return result.reshape(array.shape)


def choices(x: Enclosure, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Arrays of rational numbers that the enclosure contains: end points in several patterns, and points inside."""
    mid, rad = np.atleast_1d(x.mid), np.atleast_1d(x.rad)
    known = np.isfinite(mid) & np.isfinite(rad)
    middle = exact_array(np.where(known, mid, rng.normal(size=mid.shape)))
    reach = exact_array(np.where(known, rad, 1.0))
    low, high = middle - reach, middle + reach
    mixed = [rng.choice([-1.0, 1.0], size=mid.shape) for _ in range(2)]
    inside = rng.uniform(-1.0, 1.0, size=mid.shape)
    for ends in (high, low, *(np.where(signs > 0.0, high, low) for signs in mixed)):
        yield ends.reshape(x.shape)
    yield (middle + exact_array(inside) * reach).reshape(x.shape)


def known_entries(result: Enclosure) -> list[tuple[int, float, float, flint.fmpq, flint.fmpq]]:
    """The entries with a finite radius: number, midpoint and radius, as floats and as rational numbers."""
    found = []
    for number, (m, r) in enumerate(zip(np.ravel(result.mid).tolist(), np.ravel(result.rad).tolist(), strict=True)):
        if r == r and r != math.inf:
            if not (math.isfinite(m) and r >= 0.0):
                raise NotEnclosed(f"the midpoint {m} is not finite or the radius {r} is negative")
            found.append((number, m, r, exact(m), exact(r)))
    return found


def assert_encloses(result: Enclosure, *truths: Any) -> int:
    """Compare entry by entry with each of these exact results; returns the number of entries with a finite radius.

    `None`: must not be known.
    """
    known, compared = known_entries(result), 0
    for truth in (np.asarray(truth, dtype=object) for truth in truths):
        if not np.shape(result.mid) == np.shape(result.rad) == truth.shape:
            raise NotEnclosed(f"shapes differ: {np.shape(result.mid)}, {np.shape(result.rad)}, expected {truth.shape}")
        values = truth.ravel()
        for number, m, r, mid, rad in known:
            value = values[number]
            if value is None:
                raise NotEnclosed(f"{m} +- {r} is claimed where there is no value")
            if not abs(value - mid) <= rad:
                raise NotEnclosed(f"{value} is not in {m} +- {r}")
        compared += len(known)
    return compared


def enclosure(mid: Any, rad: Any) -> Enclosure:
    """An enclosure of these floats."""
    mid, rad = np.broadcast_arrays(np.asarray(mid, np.float64), np.asarray(rad, np.float64))
    return Enclosure(mid.copy(), rad.copy())


# --- operands ---------------------------------------------------------------------------------------------------------

SPECIAL = np.array([0.0, 2.0**-1074, 2.0**-1022, 2.0**-537, 1.0 - 2.0**-53, 1.0, 1.0 + 2.0**-52, 2.0**512, LARGEST])


def _midpoints(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    sign = rng.choice([-1.0, 1.0], size=shape)
    fraction = rng.uniform(1.0, 2.0, size=shape)
    if kind == "special":
        return np.asarray(sign * rng.choice(SPECIAL, size=shape))
    low, high = {
        "plain": (-3, 4),
        "close": (0, 0),
        "tiny": (-1074, -1015),
        "small": (-560, -480),
        "huge": (990, 1023),
        "any": (-1074, 1023),
        "exponents": (4, 9),
    }[kind]
    if kind == "close":
        return np.asarray(sign * (1.0 + rng.integers(0, 8, size=shape) * 2.0**-52))
    return np.asarray(sign * np.ldexp(fraction, rng.integers(low, high + 1, size=shape)))


def _radii(kind: str, mid: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = np.abs(mid)
    if kind == "zero":
        return np.zeros(mid.shape)
    if kind == "ulps":
        return np.asarray(np.ldexp(rng.uniform(0.0, 2.0, size=mid.shape), -52) * size)
    if kind == "wide":
        return np.asarray(np.minimum(size * rng.uniform(0.0, 1.5, size=mid.shape), LARGEST / 4))
    if kind == "some":
        return np.where(rng.random(mid.shape) < 0.5, 0.0, size * 10.0 ** rng.uniform(-17, -1, size=mid.shape))
    if kind == "unit":
        return rng.uniform(0.0, 1.3, size=mid.shape)
    if kind == "unknown":
        return np.where(rng.random(mid.shape) < 0.3, rng.choice([np.inf, np.nan], size=mid.shape), 0.0)
    raise ValueError(kind)


MIDPOINTS = ("plain", "plain", "close", "tiny", "small", "huge", "any", "special", "exponents")
RADII = ("zero", "ulps", "wide", "some", "unit", "unknown")


def random_enclosure(shape: tuple[int, ...], rng: np.random.Generator) -> Enclosure:
    """An ordinary or extreme enclosure: one kind of midpoints and one of radii for the whole array."""
    with np.errstate(all="ignore"):
        mid = _midpoints(MIDPOINTS[rng.integers(len(MIDPOINTS))], shape, rng)
        rad = _radii(RADII[rng.integers(len(RADII))], mid, rng)
        # An unknown entry may have any midpoint at all.
        lost = ~np.isfinite(rad) & (rng.random(shape) < 0.5)
        mid = np.where(lost, rng.choice([np.inf, -np.inf, np.nan], size=shape), mid)
    return enclosure(mid, rad)


# --- operations -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """NumPy code on arrays of the given shapes, and what to compare it with if not with itself."""

    name: str
    apply: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    truth: Callable[..., Any] | None = None
    only_from_zero: bool = False

    def true_value(self, operands: Sequence[Enclosure], values: Sequence[np.ndarray]) -> Any:
        """The exact result for these values, which the operands contain."""
        if self.only_from_zero:
            # An operand that contains 0 or more stands for such a number; where it contains none, there is no result.
            values = [
                np.where(np.asarray(x.mid) < -np.asarray(x.rad), np.array(None), np.where(v < 0, exact(0.0), v))
                for x, v in zip(operands, values, strict=True)
            ]
        return (self.truth or self.apply)(*values)


def _elementwise(function: Callable[..., Any], count: int) -> Callable[..., np.ndarray]:
    lifted = np.frompyfunc(function, count, 1)
    return lambda *arrays: np.asarray(lifted(*arrays), dtype=object)


_exact_exp = _elementwise(lambda x: flint.arb(x).exp(), 1)
_exact_sqrt = _elementwise(lambda x: None if x is None else flint.arb(x).sqrt(), 1)
_exact_divide = _elementwise(lambda x, y: x / y if y != 0 else None, 2)


def _exact_mean(axis: int, keepdims: bool) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: x.sum(axis=axis, keepdims=keepdims) / flint.fmpq(x.shape[axis])


KEEP = np.array([[True, False, True, True], [False, False, False, True], [True, True, True, True]])
PICK = np.array([[3, 0], [1, 1], [2, 0]])


def _max_of_kept(x: np.ndarray) -> np.ndarray:
    return np.array([max(e for e, k in zip(row, keep, strict=True) if k) for row, keep in zip(x, KEEP, strict=True)])


def operations() -> list[Operation]:
    """Every operation that enclosures offer."""
    flat, pair = ((24,),), ((24,), (24,))
    grid = ((3, 4),)
    found = [
        Operation("add", np.add, pair),
        Operation("subtract", np.subtract, pair),
        Operation("multiply", np.multiply, pair),
        Operation("divide", np.divide, pair, _exact_divide),
        Operation("divide by scalar", np.divide, ((4,), ()), _exact_divide),
        Operation("maximum", np.maximum, pair),
        Operation("minimum", np.minimum, pair),
        Operation("negative", np.negative, flat),
        Operation("absolute", np.absolute, flat),
        Operation("exp", np.exp, flat, _exact_exp),
        Operation("sqrt", np.sqrt, flat, _exact_sqrt, only_from_zero=True),
        Operation("x - x", lambda x: x - x, flat),
        Operation("broadcast +", lambda x, y: x[:, None] + y, ((3,), (4,))),
        Operation("scalar *", lambda x, y: x[()] * y, ((), (4,))),
        Operation("operators", lambda x, y: -(abs(x) - y) * y + x, pair),
        Operation("2 @ 2", np.matmul, ((3, 4), (4, 2))),
        Operation("2 @ 2 transposed", lambda x, y: x @ y.T, ((3, 4), (2, 4))),
        Operation("3 @ 2", np.matmul, ((2, 2, 3), (3, 2))),
        Operation("3 @ 3", np.matmul, ((2, 2, 3), (2, 3, 2))),
        Operation("1 @ 1", np.matmul, ((5,), (5,))),
        Operation("1 @ 2", np.matmul, ((3,), (3, 4))),
        Operation("2 @ 1", np.matmul, ((4, 3), (3,))),
        Operation("where", lambda x, y: np.where(KEEP, x, y), ((3, 4), (3, 4))),
        Operation("concatenate", lambda x, y: np.concatenate([x, y], axis=1), ((3, 4), (3, 2))),
        Operation("stack", lambda x, y: np.stack([x, y], axis=1), ((3, 4), (3, 4))),
        Operation("take_along_axis", lambda x: np.take_along_axis(x, PICK, axis=1), grid),
        Operation("diagonal", np.diagonal, grid),
        Operation("reshape", lambda x: np.reshape(x, (2, 6)), grid),
        Operation(".reshape", lambda x: x.reshape(4, -1), grid),
        Operation("transpose", lambda x: np.transpose(x, (2, 0, 1)), ((2, 3, 4),)),
        Operation("T", lambda x: x.T, grid),
        Operation("swapaxes", lambda x: np.swapaxes(x, 0, 1), grid),
        Operation("expand_dims", lambda x: np.expand_dims(x, 1), grid),
        Operation("squeeze", lambda x: np.squeeze(x, 1), ((4, 1, 2),)),
        Operation("flip", lambda x: np.flip(x, axis=1), grid),
        Operation("broadcast_to", lambda x: np.broadcast_to(x, (3, 2, 4)), ((2, 4),)),
        Operation("[mask]", lambda x: x[KEEP], grid),
        Operation("[slices]", lambda x: x[1:, None, ::-1], grid),
        Operation("[numbers]", lambda x: x[[0, 2, 2], 1:], grid),
        Operation("[entry]", lambda x: x[-1, 2], grid),
        Operation("max_where", lambda x: max_where(x, KEEP, axis=1), grid, _max_of_kept),
    ]
    for axis in (0, 1, -1):
        for keepdims in (False, True):
            options = {"axis": axis, "keepdims": keepdims}
            label = f"{axis} {keepdims}"
            for name, function in (("sum", np.sum), ("max", np.max), ("min", np.min)):
                found.append(Operation(f"{name} {label}", lambda x, f=function, o=options: f(x, **o), grid))
            found.append(
                Operation(f"mean {label}", lambda x, o=options: np.mean(x, **o), grid, _exact_mean(axis, keepdims))
            )
        found.append(Operation(f"sort {axis}", lambda x, a=axis: np.sort(x, axis=a), grid))
        found.append(Operation(f"running max {axis}", lambda x, a=axis: np.maximum.accumulate(x, axis=a), grid))
        found.append(Operation(f"running min {axis}", lambda x, a=axis: np.minimum.accumulate(x, axis=a), grid))
    for name in ("sum", "max", "min"):
        found.append(Operation(f".{name}()", lambda x, n=name: getattr(x, n)(), grid))
    return found


def check(operation: Operation, operands: Sequence[Enclosure], rng: np.random.Generator) -> int:
    """Run an operation on enclosures and on exact numbers from them; returns the number of comparisons."""
    with np.errstate(all="ignore"):
        result = operation.apply(*operands)
    chosen = zip(*(choices(x, rng) for x in operands), strict=True)
    return assert_encloses(result, *(operation.true_value(operands, values) for values in chosen))


def check_random(operation: Operation, rounds: int = 80) -> int:
    """Check an operation on random operands of all kinds, the same ones for each check of so many."""
    rng = np.random.default_rng(1)
    return sum(
        check(operation, [random_enclosure(shape, rng) for shape in operation.shapes], rng) for _ in range(rounds)
    )
