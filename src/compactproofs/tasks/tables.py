"""Which output is right for each of few inputs, as a table in a file of its own.

A file is in the safetensors format and has one tensor, `labels`, of any integers of up to 64 bits: one label for each
input, in lexicographic order, the last token running fastest.  Its axes do not matter.  The label -1 says that this is
no input at all.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import IntArray
from compactproofs.kernel.tensors import read_tensors

MAX_ENTRIES = 2**26
TYPES: dict[str, np.dtype[Any]] = {
    f"{kind}{bits}": np.dtype(f"<{kind.lower()}{bits // 8}") for kind in "IU" for bits in (8, 16, 32, 64)
}


class Table:
    """Labels by the number of the input, copied and frozen; tables are equal if their labels are.

    Raises ValueError unless there are 1 to 2^26 integers, none below -1 and not all of them -1.
    """

    def __init__(self, labels: npt.ArrayLike) -> None:
        given = np.asarray(labels)
        if given.dtype.kind not in "iu" or not 1 <= given.size <= MAX_ENTRIES:
            raise ValueError(f"a table has from 1 to 2^26 integers; found {given.size} of type {given.dtype}")
        if int(given.min()) < -1 or not 0 <= int(given.max()) < 2**31:
            raise ValueError(
                f"labels are outputs, from 0, or -1 for what is no input; found {given.min()} to {given.max()}"
            )
        self.labels: IntArray = given.reshape(-1).astype(np.int64)
        self.labels.flags.writeable = False

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over the labels as little-endian int64."""
        return hashlib.sha256(self.labels.astype("<i8").tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @classmethod
    def from_bytes(cls, data: bytes) -> Table:
        """The table in a file of these bytes; raises ValueError with the reason."""
        tensors, _ = read_tensors(data)
        if list(tensors) != ["labels"] or tensors["labels"].dtype not in TYPES:
            found = ", ".join(f"{name} of type {tensor.dtype}" for name, tensor in tensors.items())[:200]
            raise ValueError(f"a table has one tensor named labels, of type {', '.join(TYPES)}; found {found!a}")
        return cls(np.frombuffer(tensors["labels"].data, TYPES[tensors["labels"].dtype]))
