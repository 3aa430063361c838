"""Untrusted search for hints: whatever it returns, a bound from it holds."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from compactproofs.model import Model
from compactproofs.strategies import Strategy


def search_hints(model: Model, strategy: Strategy) -> dict[str, npt.NDArray[Any]]:
    """Good hints for this strategy on this model."""
    if not strategy.hints(model):
        return {}
    raise NotImplementedError(f"no search for {strategy.id}")
