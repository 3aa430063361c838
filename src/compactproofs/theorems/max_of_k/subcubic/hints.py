"""Hinted vectors: any numbers will do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array
from compactproofs.theorems.max_of_k import Work


@dataclass(frozen=True)
class HintedVector:
    """A vector from a hint, hashable so that strategies with equal hints share what is computed from it.

    Entries that are NaN or infinite count as 0: every vector is allowed, so this one is.
    """

    data: bytes

    @classmethod
    def of(cls, vector: npt.NDArray[np.float64]) -> HintedVector:
        """The vector of these entries, shape (k,)."""
        return cls(np.where(np.isfinite(vector), vector, 0.0).astype(np.float64).tobytes())

    def lift(self, work: Work) -> Array:
        """The entries as an array of the workspace's reading."""
        return work.constant(np.frombuffer(self.data, np.float64))
