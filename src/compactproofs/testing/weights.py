"""Hostile weights of any network: spoiled, mutated, and on either side of where a count drops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Weights: TypeAlias = dict[str, npt.NDArray[np.float64]]
Spoil: TypeAlias = Callable[[np.random.Generator, Weights], Weights]


def _one(change: Callable[[np.random.Generator, npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Spoil:
    """The change to one of the matrices."""

    def spoil(rng: np.random.Generator, weights: Weights) -> Weights:
        name = str(rng.choice(list(weights)))
        return {**weights, name: change(rng, weights[name])}

    return spoil


def _all(change: Callable[[np.random.Generator, npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Spoil:
    """The change to all of them."""
    return lambda rng, weights: {name: change(rng, matrix) for name, matrix in weights.items()}


def _twins(rng: np.random.Generator, w: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Two slices along one axis become equal."""
    axis = int(rng.integers(w.ndim))
    first, second = rng.integers(w.shape[axis], size=2)
    twin = np.moveaxis(w.copy(), axis, 0)
    twin[first] = twin[second]
    return np.moveaxis(twin, 0, axis)


def _up_and_down(rng: np.random.Generator, weights: Weights) -> Weights:
    first, second = (str(name) for name in rng.choice(list(weights), size=2, replace=len(weights) < 2))
    factor = 10.0 ** rng.uniform(100, 250)
    return {**weights, first: weights[first] * factor, second: weights[second] / factor}


#: Ways to spoil weights: ties, and the ends of what float64 holds.
HOSTILE: Mapping[str, Spoil] = {
    "as drawn": lambda rng, weights: weights,
    "integers": _all(lambda rng, w: np.rint(w)),
    "noise": _all(lambda rng, w: w + 0.3 * np.abs(w).mean() * rng.normal(size=w.shape)),
    "twins": _one(_twins),
    "no weights in one matrix": _one(lambda rng, w: np.zeros_like(w)),
    "next to nothing": _one(lambda rng, w: np.nextafter(w, np.inf)),
    "large": _one(lambda rng, w: w * 10.0 ** rng.uniform(1, 4)),
    "huge": _one(lambda rng, w: w * 10.0 ** rng.uniform(100, 300)),
    "tiny": _one(lambda rng, w: w * 10.0 ** -rng.uniform(100, 320)),
    "one up, one down": _up_and_down,
    "float32": _all(lambda rng, w: w.astype(np.float32).astype(np.float64)),
    "all orders of magnitude": _all(lambda rng, w: w * 10.0 ** rng.integers(-60, 60, w.shape)),
    "all huge": _all(lambda rng, w: 1e150 * w),
    "all tiny": _all(lambda rng, w: 1e-150 * w),
}


def mutated(rng: np.random.Generator, weights: Weights) -> Weights:
    """A small change of one matrix: of all entries, its size, a row, a column or one entry."""
    changed = {name: w.copy() for name, w in weights.items()}
    name = str(rng.choice(list(weights)))
    w = changed[name]
    size = np.abs(w).mean() + 1e-3
    step = size * 10.0 ** rng.uniform(-4, 0.5)
    kind = rng.integers(0, 6)
    index = tuple(int(rng.integers(0, length)) for length in w.shape)
    if kind == 0:
        changed[name] = w + step * rng.normal(size=w.shape)
    elif kind == 1:
        changed[name] = w * (1.0 + 10.0 ** rng.uniform(-4, 0) * rng.choice([-0.5, 1.0]))
    elif kind == 2:
        w[index[0]] += step * rng.normal(size=w.shape[1:])
    elif kind == 3:
        w[..., index[-1]] += step * rng.normal(size=w.shape[:-1])
    else:
        w[index] += step * rng.normal()
    return changed


def razor(near: Weights, far: Weights, count: Callable[[Weights], int]) -> tuple[Weights, Weights] | None:
    """Two weights that differ by next to nothing, on the way from near to far, on either side of where a count drops.

    None if nothing counts at `near`, or if `far` is no worse.
    """

    def mixed(t: float) -> Weights:
        return {name: w + t * (far[name] - w) for name, w in near.items()}

    low, high = 0.0, 1.0
    best = count(near)
    if best == 0 or count(far) >= best:
        return None
    for _ in range(60):
        middle = 0.5 * (low + high)
        if count(mixed(middle)) >= best:
            low = middle
        else:
            high = middle
    return mixed(low), mixed(high)
