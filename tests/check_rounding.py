"""Every operation of the arithmetic against Arb, at length: 10^8 scalar operations and 10^4 matrix products per kind.

    python tests/check_rounding.py [--operations 1e8] [--products 1e4] [--state rounding.json]
    python tests/check_rounding.py --planted     # after how many operations it finds errors made on purpose

Operands come from `arb.random_enclosure` and from makers here that bring about ties, cancellation, overflow and radii
as large as midpoints.  The operation runs as in a proof: on counted enclosures for a check, on cautious ones for a
claim, or on plain values, of which the radius says how far they may be off.  Then numbers that the operands contain
(corners, for the most part) go through Arb.  A result counts as enclosed if Arb proves it, with 128 bits or with up to
6000, where sums and products of floats are exact; anything else is a violation.

An operation is one entry of a result that has a finite radius, or for products one product of matrices with such an
entry.  Each batch has a seed of its own, so that with `--state` a run goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb as Ball
from flint import arb_mat, ctx

import arb
from compactproofs.kernel import enclosure
from compactproofs.kernel.decisions import certainly_positive, max_where, to_grid
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.search import workspaces  # noqa: F401 - registers what arrays do
from compactproofs.search.caution import CautiousEnclosure
from compactproofs.search.cost import Counted, Meter
from compactproofs.theorems.max_of_k.failing_sets.low_ends import lower

FloatArray = np.ndarray
READINGS = ("check", "claim", "value")
KINDS = {"check": Enclosure, "claim": CautiousEnclosure}
PRECISIONS = (128, 700, 6000)
EXACT = PRECISIONS[-1:]
SIZE = 4096  # entries of a batch
SAVE_EVERY = 20.0  # seconds

ZERO = Ball(0)
to_ball = np.frompyfunc(Ball, 1, 1)  # exact, whatever the precision
larger, smaller = np.frompyfunc(Ball.max, 2, 1), np.frompyfunc(Ball.min, 2, 1)


def balls(x: FloatArray) -> np.ndarray:
    """Floats or integers as an array of exact balls."""
    return np.asarray(to_ball(x), dtype=object)


@dataclass
class Tally:
    """What batches of one operation came to; `unknown` entries have no finite radius, so nothing is said of them."""

    batches: int = 0
    operations: int = 0
    comparisons: int = 0
    unknown: int = 0
    room: float = np.inf  # the least (radius - error) / radius
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in another tally."""
        self.batches += other.batches
        self.operations += other.operations
        self.comparisons += other.comparisons
        self.unknown += other.unknown
        self.room = min(self.room, other.room)
        self.seconds += other.seconds
        self.violations += other.violations


@dataclass(frozen=True)
class Trial:
    """An operation, how Arb does it on object arrays, and operands for it."""

    apply: Callable[..., Any]
    truth: Callable[..., Any]
    operands: list[Enclosure]
    precisions: tuple[int, ...] = PRECISIONS


# --- operands ---------------------------------------------------------------------------------------------------------


def known_or_not(mid: FloatArray, rad: FloatArray) -> Enclosure:
    """An enclosure, unknown where the midpoint is not finite."""
    return Enclosure(np.asarray(mid), np.where(np.isfinite(mid), rad, np.inf))


def varied(shape: tuple[int, ...], rng: np.random.Generator, parts: int = 16) -> Enclosure:
    """Random enclosures of several kinds, by parts of the first axis; some radii are close to the midpoint's size."""
    sizes = [len(part) for part in np.array_split(np.arange(shape[0]), min(parts, shape[0]))]
    x: Any = np.concatenate([arb.random_enclosure((size, *shape[1:]), rng) for size in sizes])
    edge = (rng.random(shape) < 0.05) & np.isfinite(x.mid)
    near = np.abs(x.mid) * (1.0 + rng.integers(-3, 4, size=shape) * 2.0**-52)
    near *= rng.choice([1.0, 1.0, 0.25], size=shape)
    return Enclosure(x.mid, np.where(edge, near, x.rad))


def related(x: Enclosure, rng: np.random.Generator) -> Enclosure:
    """Operands of which half are close to those of x, their negatives, their reciprocals, or halves of their units."""
    y = varied(x.shape, rng)
    sign = rng.choice([-1.0, 1.0], size=x.shape)
    few = rng.integers(-3, 4, size=x.shape)
    pick = rng.integers(0, 8, size=x.shape)
    near = x.mid * (1.0 + few * 2.0**-52)
    half = np.ldexp(1.0 + 2.0 * np.abs(few), np.frexp(x.mid)[1] - rng.integers(53, 56, size=x.shape))
    mid = np.select([pick <= 1, pick == 2, pick == 3], [sign * near, 1.0 / near, sign * half], y.mid)
    rad = np.where((pick <= 3) & (rng.random(x.shape) < 0.5), np.where(rng.random(x.shape) < 0.5, x.rad, 0.0), y.rad)
    return known_or_not(mid, rad)


def one(rng: np.random.Generator) -> list[Enclosure]:
    """A single operand."""
    return [varied((SIZE,), rng)]


def two(rng: np.random.Generator) -> list[Enclosure]:
    """Two operands, in either order."""
    x = varied((SIZE,), rng)
    y = related(x, rng)
    return [x, y] if rng.random() < 0.5 else [y, x]


def exponents(rng: np.random.Generator) -> list[Enclosure]:
    """Arguments of exp, of which half are where it underflows, overflows, or is near to 1."""
    x = varied((SIZE,), rng)
    ends = rng.choice([-745.14, -744.44, -708.4, 0.0, 709.79], size=SIZE)
    ends += rng.normal(size=SIZE) * 10.0 ** rng.uniform(-17, 0, size=SIZE)
    rad = rng.choice([0.0, 1.0], size=SIZE) * 10.0 ** rng.uniform(-20, 0, size=SIZE)
    pick = rng.integers(0, 4, size=SIZE)
    mid = np.select([pick == 0, pick == 1], [ends, rng.uniform(-745.2, 709.8, size=SIZE)], x.mid)
    return [known_or_not(mid, np.where(pick <= 1, rad, x.rad))]


def rounding_up(n: int, rng: np.random.Generator) -> FloatArray:
    """Terms whose rounding errors all have one sign if they are added up in this order, of any scale."""
    terms = np.array([1.0] + [2.0**-53 * (1.0 + 2.0**-20)] * (n - 1))
    return np.asarray(np.ldexp(rng.choice([-1.0, 1.0]) * terms, rng.choice([0, 0, 900, -900, -1010])))


def sequences(rng: np.random.Generator) -> Enclosure:
    """Rows to be summed or compared, shape (rows, length): also crafted ones, and rows that cancel."""
    n = int(rng.choice([1, 2, 3, 4, 5, 8, 9, 16, 33, 64, 130, 300], p=[0.05] * 2 + [0.15] * 4 + [0.05] * 6))
    x = varied((max(8, SIZE // (8 * n)), n), rng, parts=8)
    mid, rad = x.mid.copy(), x.rad.copy()
    for row in np.flatnonzero(rng.random(len(mid)) < 0.25):
        if rng.random() < 0.5:
            mid[row] = rounding_up(n, rng)
        else:
            mid[row, n // 2 : 2 * (n // 2)] = -mid[row, : n // 2] * (1.0 + rng.integers(-1, 2) * 2.0**-52)
        rad[row] = np.where(rng.random() < 0.5, 0.0, rad[row])
    return known_or_not(mid, rad)


SHAPES: dict[str, Callable[[int, int, int], tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "2 @ 2": lambda a, n, b: ((a, n), (n, b)),
    "2 @ 2 transposed": lambda a, n, b: ((a, n), (b, n)),
    "3 @ 2": lambda a, n, b: ((2, a, n), (n, b)),
    "3 @ 3": lambda a, n, b: ((2, a, n), (2, n, b)),
    "1 @ 1": lambda a, n, b: ((n,), (n,)),
    "1 @ 2": lambda a, n, b: ((n,), (n, b)),
    "2 @ 1": lambda a, n, b: ((a, n), (n,)),
}


def factors(kind: str, rng: np.random.Generator) -> list[Enclosure]:
    """Two matrices (or vectors, or stacks) to multiply; the other factor of a crafted row is of powers of two."""
    n = int(rng.choice([1, 2, 3, 5, 8, 17, 32, 64, 65, 200]))
    a, b = (64, 64) if rng.random() < 0.003 else (int(rng.integers(1, 7)), int(rng.integers(1, 7)))
    left, right = SHAPES[kind](a, n, b)
    x, y = arb.random_enclosure(left, rng), arb.random_enclosure(right, rng)
    choice = rng.random()
    if choice < 0.15:
        mid = np.array([rounding_up(n, rng) for _ in range(x.size // n)]).reshape(left)
        x = Enclosure(mid, np.zeros(left))
        y = Enclosure(np.full(right, 2.0 ** float(rng.integers(-40, 41))), np.zeros(right))
    elif choice < 0.3 and n > 1:  # pairs of terms that cancel, all but a few units in the last place
        half, axis = n // 2, -1 if kind == "2 @ 2 transposed" or len(right) == 1 else -2
        mid, other = x.mid.copy(), np.moveaxis(y.mid.copy(), axis, -1)
        mid[..., half : 2 * half] = -mid[..., :half]
        other[..., half : 2 * half] = other[..., :half] * (1.0 + rng.integers(-1, 2) * 2.0**-52)
        x, y = known_or_not(mid, x.rad), known_or_not(np.moveaxis(other, -1, axis), y.rad)
    return [x, y]


# --- the comparison ---------------------------------------------------------------------------------------------------


def offsets(operands: list[Enclosure], rng: np.random.Generator) -> Iterator[list[FloatArray]]:
    """By how much numbers differ from midpoints: corners mostly, and opposite ones; rounding keeps to the radius."""
    pattern = rng.integers(0, 4)
    shifts = []
    for x in operands:
        t = np.sign(x.mid) if pattern == 0 else rng.choice([-1.0, 1.0], size=x.shape)
        if pattern == 1:
            t = np.where(rng.random(x.shape) < 0.5, t, rng.uniform(-1.0, 1.0, size=x.shape))
        shifts.append(t * x.rad)
    yield shifts
    if any(shift.any() for shift in shifts):
        yield [-shift for shift in shifts]


def any_number(x: Enclosure, rng: np.random.Generator) -> Enclosure:
    """The same, but some number where nothing is known: the result must hold for any."""
    known = np.isfinite(x.mid) & np.isfinite(x.rad)
    with np.errstate(all="ignore"):
        return Enclosure(np.where(known, x.mid, rng.normal(size=x.shape)), np.where(known, x.rad, 1.0))


def compare(trial: Trial, result: Enclosure, rng: np.random.Generator) -> Tally:
    """Numbers from the operands through Arb, against the result."""
    known = np.asarray(np.isfinite(result.rad))
    tally = Tally(operations=int(known.sum()), unknown=int((~known).sum()))
    wrong = known & ~(np.isfinite(result.mid) & (result.rad >= 0.0))
    operands = [any_number(x, rng) for x in trial.operands]
    middles = [balls(x.mid) for x in operands]
    mid, rad = balls(result.mid), balls(result.rad)
    for shifts in offsets(operands, rng):
        todo = known & ~wrong
        tally.comparisons += int(todo.sum())
        for precision in trial.precisions:
            if not todo.any():
                break
            # Where entries do not depend on each other, those that are decided need not be done again.
            rows = np.flatnonzero(todo) if all(x.shape == result.shape and x.ndim == 1 for x in operands) else ...
            with ctx.workprec(precision):
                points = [
                    m[rows] + balls(shift[rows]) if shift.any() else m[rows]
                    for m, shift in zip(middles, shifts, strict=True)
                ]
                truth = np.asarray(trial.truth(*points), dtype=object)
                if not truth.shape == mid[rows].shape == rad[rows].shape:
                    tally.violations.append(f"shapes {mid.shape} and {rad.shape} where {truth.shape} is right")
                    return tally
                gap = np.asarray(rad[rows] - abs(truth - mid[rows]), dtype=object)
                inside = np.zeros(known.shape, np.bool_)
                inside[rows] = gap >= ZERO
                room = np.full(known.shape, np.inf)
                room[rows] = gap.astype(np.float64) / result.rad[rows]
            room = room[todo & inside & (result.rad > 0.0)]
            tally.room = min(tally.room, float(room.min(initial=np.inf)))
            todo = todo & ~inside
        wrong = wrong | todo
    for index in np.argwhere(wrong)[:3]:
        at = tuple(int(i) for i in index)
        tally.violations.append(f"entry {at} from {trial.operands!r}: {result.mid[at]!r} +- {result.rad[at]!r}")
    return tally


def read(trial: Trial, reading: str) -> tuple[Trial, Enclosure]:
    """Run the operation in a reading; returns the trial with the operands that it used, and the result."""
    if reading in KINDS:
        kind = KINDS[reading]
        result = trial.apply(*(Counted(kind(x.mid, x.rad), Meter()) for x in trial.operands)).inner
        assert type(result) is kind
        return trial, result
    exact = [Enclosure.exact(np.where(np.isfinite(x.mid), x.mid, 1.0)) for x in trial.operands]
    values = trial.apply(*(x.mid for x in exact))
    bound = trial.apply(*exact)
    return Trial(trial.apply, trial.truth, exact, trial.precisions), Enclosure(np.asarray(values), bound.rad)


Batch = Callable[[np.random.Generator, str], Tally]


def judged(draw: Callable[[np.random.Generator], Trial]) -> Batch:
    """A batch of an operation that has a result to enclose."""

    def batch(rng: np.random.Generator, reading: str) -> Tally:
        trial, result = read(draw(rng), reading)
        return compare(trial, result, rng)

    return batch


# --- operations -------------------------------------------------------------------------------------------------------


def entrywise(
    apply: Callable[..., Any], make: Callable[[np.random.Generator], list[Enclosure]], truth: Any = None
) -> Batch:
    """An operation entry by entry."""
    return judged(lambda rng: Trial(apply, truth or apply, make(rng)))


def root(rng: np.random.Generator) -> Trial:
    """Roots, of squares too: a number that may be 0 or more stands for such a number."""
    x = varied((SIZE,), rng)
    mid = np.where(x.mid < -x.rad, -x.mid, x.mid)
    mid = np.where(rng.random(SIZE) < 0.2, mid * mid, mid)
    return Trial(np.sqrt, np.frompyfunc(lambda p: p.max(ZERO).sqrt(), 1, 1), [known_or_not(mid, x.rad)])


def along(apply: Callable[..., Any], truth: Callable[..., Any], precisions: tuple[int, ...] = PRECISIONS) -> Batch:
    """An operation along rows, or along columns in memory by rows: there NumPy adds in another order."""

    def draw(rng: np.random.Generator) -> Trial:
        x = sequences(rng)
        if rng.random() < 0.5:
            return Trial(lambda y: apply(y, axis=1), lambda y: truth(y, 1), [x], precisions)
        x = Enclosure(np.ascontiguousarray(x.mid.T), np.ascontiguousarray(x.rad.T))
        return Trial(lambda y: apply(y, axis=0), lambda y: truth(y, 0), [x], precisions)

    return judged(draw)


def largest_of_some(rng: np.random.Generator) -> Trial:
    """Masked maxima, of at least one entry each."""
    x = sequences(rng)
    keep = rng.random(x.shape) < 0.5
    keep[:, 0] |= ~keep.any(axis=1)
    lowest = Ball(-(2.0**1023)) * 4
    return Trial(lambda y: max_where(y, keep, axis=1), lambda y: larger.reduce(np.where(keep, y, lowest), axis=1), [x])


def multiplied(kind: str, reading: str) -> Batch:
    """A product of matrices in this reading, which counts as one operation."""

    def truth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        y = y.T if kind == "2 @ 2 transposed" else y
        shape = np.matmul(np.zeros(x.shape), np.zeros(y.shape)).shape
        x, y = (x[None] if x.ndim == 1 else x), (y[:, None] if y.ndim == 1 else y)
        stack = range(len(x)) if x.ndim == 3 else (...,)
        found = [(arb_mat(x[i].tolist()) * arb_mat((y[i] if y.ndim == 3 else y).tolist())).entries() for i in stack]
        return np.array(found, dtype=object).reshape(shape)

    def batch(rng: np.random.Generator, _: str) -> Tally:
        apply = (lambda x, y: x @ y.T) if kind == "2 @ 2 transposed" else np.matmul
        trial, result = read(Trial(apply, truth, factors(kind, rng)), reading)
        tally = compare(trial, result, rng)
        tally.operations = min(tally.operations, 1)
        return tally

    return batch


def decided(rng: np.random.Generator, reading: str) -> Tally:
    """`certainly_positive` says exactly that midpoint > radius, or 4 radii."""
    kind = KINDS.get(reading, Enclosure)
    x = varied((SIZE,), rng)
    x = Enclosure(x.mid, np.zeros(SIZE)) if reading == "value" else x
    x = Enclosure(np.where(np.isfinite(x.mid), x.mid, 1.0), np.where(np.isfinite(x.rad), x.rad, arb.LARGEST))
    said = certainly_positive(x.mid if reading == "value" else Counted(kind(x.mid, x.rad), Meter()))
    with ctx.workprec(EXACT[0]):
        right = balls(x.mid) > Ball(kind.doubt) * balls(x.rad)
    wrong = [f"{x.mid[i]!r} +- {x.rad[i]!r}: {said[i]}" for i in np.flatnonzero(said != right)[:3]]
    return Tally(operations=SIZE, comparisons=SIZE, violations=wrong)


def low_ends(rng: np.random.Generator, reading: str) -> Tally:
    """`lower` is at most midpoint - radius, or 4 radii."""
    kind = KINDS.get(reading, Enclosure)
    x = varied((SIZE,), rng)
    x = Enclosure(x.mid, np.zeros(SIZE)) if reading == "value" else x
    low = lower(x.mid if reading == "value" else Counted(kind(x.mid, x.rad), Meter()))
    known = ~np.isneginf(low)
    with ctx.workprec(EXACT[0]):
        fine = balls(low[known]) <= balls(x.mid[known]) - Ball(kind.doubt) * balls(x.rad[known])
    at = np.flatnonzero(known)[~fine.astype(np.bool_)][:3]
    wrong = [f"lower({x.mid[i]!r} +- {x.rad[i]!r}) = {low[i]!r}" for i in at]
    count = int(known.sum())
    return Tally(operations=count, comparisons=count, unknown=SIZE - count, violations=wrong)


def on_grid(rng: np.random.Generator, reading: str) -> Tally:
    """Integers enclose the entries times a power of two."""
    tally = Tally()
    for _ in range(32):
        x = arb.random_enclosure((16,), rng)
        x = Enclosure(x.mid, np.zeros(x.shape)) if reading == "value" else x
        # The largest entry becomes a number with up to 40 binary digits; or the scale is any.
        top = np.where(np.isfinite(x.mid), np.abs(x.mid), 0.0).max() + 2.0**-1000
        near = int(rng.integers(0, 41)) - int(np.frexp(top)[1])
        scale = 2.0 ** int(np.clip(near if rng.random() < 0.9 else rng.integers(-1000, 1001), -1000, 1000))
        try:
            operand = x.mid if reading == "value" else Counted(KINDS[reading](x.mid, x.rad), Meter())
            low, high = to_grid(operand, scale)
        except OverflowError:
            tally.unknown += x.size
            continue
        reach = x.rad * KINDS.get(reading, Enclosure).doubt
        with ctx.workprec(EXACT[0]):
            least, most = ((balls(x.mid) + balls(end)) * Ball(scale) for end in (-reach, reach))
            fine = ((balls(low) <= least) & (most <= balls(high))).astype(np.bool_)
        tally.operations += x.size
        tally.comparisons += 2 * x.size
        tally.violations += [f"{x!r} times {scale!r} in {low}, {high}"] * int(not fine.all())
    return tally


def all_by_fractions(rng: np.random.Generator, reading: str) -> Tally:
    """Every operation that enclosures offer, those that move entries about too, by rational numbers (`arb.check`)."""
    tally = Tally()
    for operation in arb.operations():
        operands = [arb.random_enclosure(shape, rng) for shape in operation.shapes]
        try:
            count = arb.check(operation, operands, rng)
        except arb.NotEnclosed as error:
            tally.violations.append(f"{operation.name}: {error}")
            continue
        tally.operations += count // 5  # patterns of `arb.choices`
        tally.comparisons += count
    return tally


def running(lifted: np.ufunc) -> Callable[..., Any]:
    """Running maxima by Arb."""
    return lambda y, axis: lifted.accumulate(y, axis=axis, dtype=object)


# Of a hundred operations so many are of this kind.
SCALARS: dict[str, tuple[float, Batch]] = {
    "add": (11.0, entrywise(np.add, two)),
    "subtract": (11.0, entrywise(np.subtract, two)),
    "multiply": (11.0, entrywise(np.multiply, two)),
    "divide": (11.0, entrywise(np.divide, two)),
    "exp": (9.0, entrywise(np.exp, exponents, np.frompyfunc(Ball.exp, 1, 1))),
    "sqrt": (9.0, judged(root)),
    "maximum": (6.0, entrywise(np.maximum, two, larger)),
    "minimum": (6.0, entrywise(np.minimum, two, smaller)),
    "absolute": (3.0, entrywise(np.absolute, one)),
    "negative": (3.0, entrywise(np.negative, one)),
    "sum": (2.0, along(np.sum, lambda y, axis: y.sum(axis=axis))),
    "mean": (1.0, along(np.mean, lambda y, axis: y.sum(axis=axis) / y.shape[axis])),
    "max": (1.0, along(np.max, lambda y, axis: larger.reduce(y, axis=axis))),
    "min": (1.0, along(np.min, lambda y, axis: smaller.reduce(y, axis=axis))),
    "max_where": (1.0, judged(largest_of_some)),
    "running max": (1.0, along(np.maximum.accumulate, running(larger))),
    "running min": (0.5, along(np.minimum.accumulate, running(smaller))),
    "sort": (1.0, along(np.sort, lambda y, axis: np.sort(y, axis=axis), EXACT)),
    "certainly_positive": (5.0, decided),
    "lower": (4.0, low_ends),
    "to_grid": (2.0, on_grid),
    "all, by fractions": (0.5, all_by_fractions),
}
PRODUCTS = {f"{kind}, {reading}": multiplied(kind, reading) for kind in SHAPES for reading in READINGS}
BATCHES: dict[str, Batch] = {name: batch for name, (_, batch) in SCALARS.items()} | PRODUCTS


def run_batch(name: str, seed: int, number: int) -> Tally:
    """The batch of this number, the same every time; readings take turns."""
    started = time.perf_counter()
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    with np.errstate(all="ignore"):
        tally = BATCHES[name](rng, READINGS[number % len(READINGS)])
    tally.batches, tally.seconds = 1, time.perf_counter() - started
    return tally


# --- at length --------------------------------------------------------------------------------------------------------


def run(tallies: dict[str, Tally], wanted: dict[str, float], seed: int, save: Callable[[], None]) -> None:
    """Do batches until each operation was done as often as wanted, saving now and then."""
    saved = time.monotonic()
    while todo := [name for name in wanted if tallies[name].operations < wanted[name]]:
        name = min(todo, key=lambda name: tallies[name].operations / wanted[name])
        tallies[name].add(run_batch(name, seed, tallies[name].batches))
        if time.monotonic() - saved > SAVE_EVERY:
            save()
            saved = time.monotonic()
    save()


def table(tallies: dict[str, Tally]) -> str:
    """What came out, an operation a line."""
    total = Tally()
    lines = [f"{'':22}{'operations':>13}{'compared':>13}{'unknown':>12}{'violations':>12}{'least room':>12}{'s':>7}"]
    for name, tally in tallies.items():
        total.add(tally)
        lines.append(_line(name, tally))
    return "\n".join([*lines, _line("all", total)])


def _line(name: str, tally: Tally) -> str:
    room = "" if np.isinf(tally.room) else f"{tally.room:.2g}"
    counts = f"{tally.operations:13,}{tally.comparisons:13,}{tally.unknown:12,}{len(tally.violations):12,}"
    return f"{name:22}{counts}{room:>12}{tally.seconds:7.0f}"


#: Which batches use a function of `kernel.enclosure`; the others are found by rational numbers.
USED_BY = {
    "_add": ["add"],
    "_subtract": ["subtract"],
    "_multiply": ["multiply"],
    "_divide": ["divide"],
    "_sqrt": ["sqrt"],
    "_exp": ["exp"],
    "_matmul": list(PRODUCTS),
    "_sum": ["sum", "mean"],
    "_negative": ["negative"],
    "_absolute": ["absolute"],
    "_excess": ["max", "maximum", "minimum"],
    "_max": ["max"],
    "_maximum": ["maximum"],
    "_minimum": ["minimum"],
    "_running_max": ["running max"],
    "_running_min": ["running min"],
    "_where": ["all, by fractions"],
    "_sort": ["sort"],
    "U": ["add", "multiply", "divide", "sqrt"],
    "TINY": ["multiply", "divide", "exp", *PRODUCTS],
    "UP": ["add", "multiply", "divide", "sqrt", "sum"],
    "EXP_ULPS": ["exp"],
    "gamma": ["sum", *PRODUCTS],
}


def first_violation(names: list[str], seed: int, most: int) -> tuple[str, int] | None:
    """The operation that is found to be wrong and how many were done until then; None after `most` rounds."""
    done = 0
    for number in range(most):
        for name in names:
            tally = run_batch(name, seed, number)
            done += tally.operations
            if tally.violations:
                return name, done
    return None


def main() -> None:
    """Run at length, or plant errors; exit code 1 for a violation, or an error that is not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=float, default=1e8, help="scalar ones, of all kinds together")
    parser.add_argument("--products", type=float, default=1e4, help="of matrices, for each kind and reading")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path, help="a file to go on from, and to keep what was done")
    parser.add_argument("--planted", action="store_true", help="find errors made on purpose instead")
    chosen = parser.parse_args()
    if chosen.planted:
        raise SystemExit(0 if find_planted(chosen.seed) else 1)

    tallies = {name: Tally() for name in BATCHES}
    if chosen.state and chosen.state.exists():
        kept = json.loads(chosen.state.read_text())
        if kept["seed"] != chosen.seed:
            parser.error(f"{chosen.state} is of seed {kept['seed']}")
        tallies |= {name: Tally(**tally) for name, tally in kept["tallies"].items()}

    def save() -> None:
        if chosen.state:
            content = {"seed": chosen.seed, "tallies": {name: asdict(tally) for name, tally in tallies.items()}}
            fresh = chosen.state.with_suffix(".new")
            fresh.write_text(json.dumps(content))
            fresh.replace(chosen.state)

    shares = sum(share for share, _ in SCALARS.values())
    wanted = {name: share / shares * chosen.operations for name, (share, _) in SCALARS.items()}
    run(tallies, wanted | dict.fromkeys(PRODUCTS, chosen.products), chosen.seed, save)
    print(table(tallies))
    violations = [f"{name}: {violation}" for name, tally in tallies.items() for violation in tally.violations]
    print("\n".join(violations[:20]))
    raise SystemExit(1 if violations else 0)


def find_planted(seed: int) -> bool:
    """Plant each error of `test_planted_arithmetic` and print when it is found; False if one is not."""
    import pytest

    import test_planted_arithmetic as planted

    missed = 0
    errors = [(name, f"{old} -> {new}", (old, new)) for name, old, new, _ in planted.ERRORS]
    constants = [
        (name, "= something smaller" if callable(value) else f"= {value}", value)
        for name, value, _ in planted.CONSTANTS
    ]
    for name, what, change in dict.fromkeys(errors + constants):
        with pytest.MonkeyPatch.context() as patch:
            if isinstance(change, tuple):
                planted.plant(patch, name, *change)
            else:
                patch.setattr(enclosure, name, change)
            found = first_violation(USED_BY[name], seed, most=300)
        missed += found is None
        says = f"found in '{found[0]}' within {found[1]:,} operations" if found else "NOT FOUND"
        print(f"{name}: {what}: {says}", flush=True)
    return missed == 0


if __name__ == "__main__":
    main()
