"""What a proof strategy is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import Model

Hints: TypeAlias = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class HintSpec:
    """The type and shape that a hint must have, None for any length; nothing is assumed of its content."""

    dtype: type[np.uint8] | type[np.uint16] | type[np.int64] | type[np.float64]
    shape: tuple[int | None, ...]

    def fits(self, hint: npt.NDArray[Any]) -> bool:
        """Whether the hint has this type and shape."""
        return (
            hint.dtype == self.dtype
            and hint.ndim == len(self.shape)
            and all(want in (None, size) for want, size in zip(self.shape, hint.shape, strict=True))
        )

    def __str__(self) -> str:
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{self.dtype.__name__} of shape ({sizes})"


def no_hints(model: Model) -> dict[str, HintSpec]:
    """For strategies that need none."""
    return {}


def no_limit(model: Model) -> None:
    """For strategies that refuse no size."""


@dataclass(frozen=True)
class Strategy:
    """A map from weights and hints to a bound N on the number of inputs that are answered correctly.

    The contract: for *every* model and *every* hints of the declared types and shapes, `bound` on a workspace with the
    reading "check" returns an integer N that is at least 0 and at most (with the claim "at most": at least) the number
    of inputs on which the label's logit is strictly the largest, in exact arithmetic.  `theorem` names the statement
    and proof of this.
    """

    id: str
    summary: str
    theorem: str
    complexity: str
    bound: Callable[[Workspace, Hints], int]
    unexplained_dimension: Callable[[Model], int]
    hints: Callable[[Model], dict[str, HintSpec]] = no_hints
    #: Why the check is infeasible for a model of this size, or None.
    limit: Callable[[Model], str | None] = no_limit
    #: What N is: "at least" so many inputs are answered correctly, or "at most" so many.
    claim: str = "at least"
