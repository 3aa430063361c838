"""Hostile hints, made from nothing but what a strategy declares about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.problem import HintSpec, Strategy
from compactproofs.opening.models import Model
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.tasks.max_of_k import max_of_k

Hint = npt.NDArray[Any]
Search = Callable[[Strategy, MaxWorkspace], dict[str, Hint]]

#: How hints can be made; a strategy without hints knows only the first kind.
KINDS = ("searched", "spoiled", "plausible", "flat", "extreme", "unreal")

_EXTREME_FLOATS = np.array([0.0, -0.0, 5e-324, 1e-310, 1e-160, 1e160, -1e300, 1.7e308, -1.7e308])
_EXTREME_INTS = np.array([0, -1, 2, 2**31, 2**53 + 1, 2**62, -(2**31), 2**63 - 1, -(2**63)], np.int64)


@dataclass(frozen=True)
class _Sized:
    dtype: type[np.generic]
    shape: tuple[int, ...]


def hints_of(
    strategy: Strategy,
    model: Model,
    kind: str,
    rng: np.random.Generator,
    values: MaxWorkspace | None = None,
    search: Search = search_hints,
) -> dict[str, Hint]:
    """Hints of the declared types and shapes.

    `values`: a workspace of the model with the reading "value", on which searches share their work.

    `searched`: what the package finds (plausible where its linear algebra fails); `spoiled`: that with a third of the
    entries replaced; `plausible`: small integers, normal floats; `flat`: one number everywhere; `extreme`: the ends of
    the type; `unreal`: NaN and infinity (integers: plausible).
    """
    specs = strategy.hints(max_of_k(model))
    if kind in ("searched", "spoiled") and specs:
        try:
            with np.errstate(all="ignore"):
                searched = search(strategy, values or workspace(model, "value"))
        except np.linalg.LinAlgError:
            return hints_of(strategy, model, "plausible", rng)
        found = {name: np.array(hint) for name, hint in searched.items()}
        if kind == "spoiled":
            for name, hint in found.items():
                spoil = rng.random(hint.shape) < 1 / 3
                other = _plausible(_Sized(hint.dtype.type, hint.shape), model, rng)
                found[name] = np.where(spoil, other, hint).astype(hint.dtype)
        return found
    common = None if rng.random() < 0.2 else int(rng.integers(0, 3 * model.d_vocab))
    return {name: _MAKERS[kind](_sized(spec, model, rng, common), model, rng) for name, spec in specs.items()}


def kinds_of(strategy: Strategy, model: Model) -> Iterator[str]:
    """The kinds of hints that differ for this strategy."""
    yield from KINDS if strategy.hints(max_of_k(model)) else KINDS[:1]


def _sized(spec: HintSpec, model: Model, rng: np.random.Generator, common: int | None) -> _Sized:
    """The spec with a length for every axis of any length: `common`, or each its own."""
    own = (int(rng.integers(0, 3 * model.d_vocab)) if common is None else common for _ in spec.shape)
    return _Sized(spec.dtype, tuple(new if size is None else size for size, new in zip(spec.shape, own, strict=True)))


def _is_integer(spec: _Sized) -> bool:
    return bool(np.issubdtype(spec.dtype, np.integer))


def _plausible(spec: _Sized, model: Model, rng: np.random.Generator) -> Hint:
    if _is_integer(spec):
        return rng.integers(-1, model.d_vocab + 1, spec.shape).astype(spec.dtype)
    return rng.normal(size=spec.shape).astype(spec.dtype)


def _flat(spec: _Sized, model: Model, rng: np.random.Generator) -> Hint:
    return np.full(spec.shape, rng.choice([0, 1, 1]), spec.dtype)


def _extreme(spec: _Sized, model: Model, rng: np.random.Generator) -> Hint:
    return rng.choice(_EXTREME_INTS if _is_integer(spec) else _EXTREME_FLOATS, spec.shape).astype(spec.dtype)


def _unreal(spec: _Sized, model: Model, rng: np.random.Generator) -> Hint:
    if _is_integer(spec):
        return _plausible(spec, model, rng)
    pool = np.array([np.nan, np.inf, -np.inf, 1.0])
    return rng.choice(pool, spec.shape).astype(spec.dtype)


_MAKERS = {"plausible": _plausible, "flat": _flat, "extreme": _extreme, "unreal": _unreal}
