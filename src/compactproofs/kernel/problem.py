"""What is proved, and about what: networks, tasks, and strategies whose theorems cover them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.workspace import Workspace

Claim: TypeAlias = Literal["at least", "at most"]
Hints: TypeAlias = Mapping[str, npt.NDArray[Any]]


class Network(Protocol):
    """Weights as exact real numbers, and a name for the function that they define."""

    @property
    def family(self) -> str:
        """Which function of its weights and inputs this is; theorems are about families."""

    @property
    def sha256(self) -> str:
        """A hash of the family and the weights, 64 hexadecimal digits."""

    def weight(self, name: str) -> npt.NDArray[np.float64]:
        """A matrix of weights, which nobody can write to."""


class Task(Protocol):
    """Finitely many inputs, and the right answer to each."""

    @property
    def total(self) -> int:
        """The number of inputs."""

    @property
    def record(self) -> Mapping[str, str | int]:
        """The task as certificates name it: all that defines it, its name under "name"."""

    def misfit(self, network: Any) -> str | None:
        """Why no network like this one is about the task, or None."""


N = TypeVar("N", bound=Network)
T = TypeVar("T", bound=Task)


@dataclass(frozen=True)
class Problem(Generic[N, T]):
    """On how many of the task's inputs is the network right?"""

    network: N
    task: T

    def weight(self, name: str) -> npt.NDArray[np.float64]:
        """The weights of this name as theorems about the task have them: the network's, in another arrangement where
        the task has a method `rearranged(name, weight)`, which says and proves it.
        """
        rearranged: Any = getattr(self.task, "rearranged", None)
        weight: npt.NDArray[np.float64] = self.network.weight(name)
        return weight if rearranged is None else rearranged(name, weight)


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


@dataclass(frozen=True)
class Strategy:
    """A map from weights and hints to a bound N on the number of inputs that are answered correctly.

    The contract: for *every* network of the family, task of these names that fits it, and hints of the declared types
    and shapes, `bound` on a workspace of enclosures returns an integer N that is at least 0 and at most (with the claim
    "at most": at least) the number of inputs on which the right answer's logit is strictly the largest, in exact
    arithmetic.  `theorem` names the statement and proof of this, with its version: "max-of-k/cubic@1".
    """

    id: str
    theorem: str
    family: str
    tasks: tuple[str, ...]
    bound: Callable[[Workspace[Any, Any], Hints], int]
    hints: Callable[[Problem[Any, Any]], dict[str, HintSpec]] = lambda problem: {}
    #: Why the check is infeasible for a problem of this size, or None.
    limit: Callable[[Problem[Any, Any]], str | None] = lambda problem: None
    #: What N is: "at least" so many inputs are answered correctly, or "at most" so many.
    claim: Claim = "at least"
