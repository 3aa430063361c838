"""Hostile hints, made from nothing but what a strategy declares about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.model import Model
from compactproofs.search import search_hints
from compactproofs.strategies import HintSpec, Strategy
from compactproofs.workspace import Workspace

Hint = npt.NDArray[Any]

#: How hints can be made; a strategy without hints knows only the first kind.
KINDS = ("searched", "spoiled", "plausible", "flat", "extreme", "unreal")

_EXTREME_FLOATS = np.array([0.0, -0.0, 5e-324, 1e-310, 1e-160, 1e160, -1e300, 1.7e308, -1.7e308])
_EXTREME_INTS = np.array([0, -1, 2, 2**31, 2**53 + 1, 2**62, -(2**31), 2**63 - 1, -(2**63)], np.int64)


def hints_of(
    strategy: Strategy, model: Model, kind: str, rng: np.random.Generator, values: Workspace | None = None
) -> dict[str, Hint]:
    """Hints of the declared types and shapes.

    `values`: a workspace of the model with the reading "value", on which searches share their work.

    `searched`: what the package finds (plausible where its linear algebra fails); `spoiled`: that with a third of the
    entries replaced; `plausible`: small integers, normal floats; `flat`: one number everywhere; `extreme`: the ends of
    the type; `unreal`: NaN and infinity (integers: plausible).
    """
    specs = strategy.hints(model)
    if kind in ("searched", "spoiled") and specs:
        try:
            with np.errstate(all="ignore"):
                searched = search_hints(strategy, values or Workspace(model, "value"))
        except np.linalg.LinAlgError:
            return hints_of(strategy, model, "plausible", rng)
        found = {name: np.array(hint) for name, hint in searched.items()}
        if kind == "spoiled":
            for name, hint in found.items():
                spoil = rng.random(hint.shape) < 1 / 3
                found[name] = np.where(spoil, _plausible(specs[name], model, rng), hint).astype(hint.dtype)
        return found
    return {name: _MAKERS[kind](spec, model, rng) for name, spec in specs.items()}


def kinds_of(strategy: Strategy, model: Model) -> Iterator[str]:
    """The kinds of hints that differ for this strategy."""
    yield from KINDS if strategy.hints(model) else KINDS[:1]


def _is_integer(spec: HintSpec) -> bool:
    return bool(np.issubdtype(spec.dtype, np.integer))


def _plausible(spec: HintSpec, model: Model, rng: np.random.Generator) -> Hint:
    if _is_integer(spec):
        return rng.integers(-1, model.d_vocab + 1, spec.shape).astype(spec.dtype)
    return rng.normal(size=spec.shape).astype(spec.dtype)


def _flat(spec: HintSpec, model: Model, rng: np.random.Generator) -> Hint:
    return np.full(spec.shape, rng.choice([0, 1, 1]), spec.dtype)


def _extreme(spec: HintSpec, model: Model, rng: np.random.Generator) -> Hint:
    return rng.choice(_EXTREME_INTS if _is_integer(spec) else _EXTREME_FLOATS, spec.shape).astype(spec.dtype)


def _unreal(spec: HintSpec, model: Model, rng: np.random.Generator) -> Hint:
    if _is_integer(spec):
        return _plausible(spec, model, rng)
    pool = np.array([np.nan, np.inf, -np.inf, 1.0])
    return rng.choice(pool, spec.shape).astype(spec.dtype)


_MAKERS = {"plausible": _plausible, "flat": _flat, "extreme": _extreme, "unreal": _unreal}
