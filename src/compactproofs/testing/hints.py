"""Hostile hints, made from nothing but what a strategy declares about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.problem import HintSpec, Problem, Strategy

Hint: TypeAlias = npt.NDArray[Any]

#: How hints can be made; a strategy without hints knows only the first kind.
KINDS = ("searched", "spoiled", "plausible", "flat", "extreme", "unreal")

_EXTREME_FLOATS = np.array([0.0, -0.0, 5e-324, 1e-310, 1e-160, 1e160, -1e300, 1.7e308, -1.7e308])
_EXTREME_INTS = np.array([0, -1, 2, 2**31, 2**53 + 1, 2**62, -(2**31), 2**63 - 1, -(2**63)], np.int64)


@dataclass(frozen=True)
class _Sized:
    dtype: type[np.generic]
    shape: tuple[int, ...]


def hostile_hints(
    strategy: Strategy,
    problem: Problem[Any, Any],
    kind: str,
    rng: np.random.Generator,
    search: Callable[[], Mapping[str, Hint]] = dict,
    tokens: int = 8,
) -> dict[str, Hint]:
    """Hints of the declared types and shapes.

    `searched`: what `search` finds (plausible where its linear algebra fails); `spoiled`: that with a third of the
    entries replaced; `plausible`: integers up to `tokens`, normal floats; `flat`: one number everywhere; `extreme`: the
    ends of the type; `unreal`: NaN and infinity (integers: plausible).
    """
    specs = strategy.hints(problem)
    if kind in ("searched", "spoiled") and specs:
        try:
            with np.errstate(all="ignore"):
                searched = search()
        except np.linalg.LinAlgError:
            return hostile_hints(strategy, problem, "plausible", rng, search, tokens)
        found = {name: np.array(hint) for name, hint in searched.items()}
        if kind == "spoiled":
            for name, hint in found.items():
                spoil = rng.random(hint.shape) < 1 / 3
                other = _plausible(_Sized(hint.dtype.type, hint.shape), tokens, rng)
                found[name] = np.where(spoil, other, hint).astype(hint.dtype)
        return found
    common = None if rng.random() < 0.2 else int(rng.integers(0, 3 * tokens))
    return {name: _MAKERS[kind](_sized(spec, tokens, rng, common), tokens, rng) for name, spec in specs.items()}


def kinds_of(strategy: Strategy, problem: Problem[Any, Any]) -> Iterator[str]:
    """The kinds of hints that differ for this strategy."""
    yield from KINDS if strategy.hints(problem) else KINDS[:1]


def _sized(spec: HintSpec, tokens: int, rng: np.random.Generator, common: int | None) -> _Sized:
    """The spec with a length for every axis of any length: `common`, or each its own."""
    own = (int(rng.integers(0, 3 * tokens)) if common is None else common for _ in spec.shape)
    return _Sized(spec.dtype, tuple(new if size is None else size for size, new in zip(spec.shape, own, strict=True)))


def _is_integer(spec: _Sized) -> bool:
    return bool(np.issubdtype(spec.dtype, np.integer))


def _plausible(spec: _Sized, tokens: int, rng: np.random.Generator) -> Hint:
    if _is_integer(spec):
        return rng.integers(-1, tokens + 1, spec.shape).astype(spec.dtype)
    return rng.normal(size=spec.shape).astype(spec.dtype)


def _flat(spec: _Sized, tokens: int, rng: np.random.Generator) -> Hint:
    return np.full(spec.shape, rng.choice([0, 1, 1]), spec.dtype)


def _extreme(spec: _Sized, tokens: int, rng: np.random.Generator) -> Hint:
    return rng.choice(_EXTREME_INTS if _is_integer(spec) else _EXTREME_FLOATS, spec.shape).astype(spec.dtype)


def _unreal(spec: _Sized, tokens: int, rng: np.random.Generator) -> Hint:
    if _is_integer(spec):
        return _plausible(spec, tokens, rng)
    pool = np.array([np.nan, np.inf, -np.inf, 1.0])
    return rng.choice(pool, spec.shape).astype(spec.dtype)


_MAKERS = {"plausible": _plausible, "flat": _flat, "extreme": _extreme, "unreal": _unreal}
