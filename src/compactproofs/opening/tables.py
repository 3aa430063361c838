"""Tables of labels as files, and tables of what a function says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np

from compactproofs.opening.models import MAX_FILE_BYTES, write_tensors
from compactproofs.system.files import read_limited, write_atomically
from compactproofs.tasks.tables import MAX_ENTRIES, Table

__all__ = ["LabelTable"]


class LabelTable(Table):
    """A table that can be made, loaded and saved; what it is, `Table` says."""

    @classmethod
    def of(cls, label: Callable[[tuple[int, ...]], int | None], d_vocab: int, n_ctx: int) -> LabelTable:
        """What a function says of each sequence of `n_ctx` tokens out of `d_vocab`; None for what is no input.

        Raises ValueError if there are too many, or if it says anything but None and integers from 0.
        """
        if not (d_vocab >= 1 and n_ctx >= 1 and d_vocab**n_ctx <= MAX_ENTRIES):
            raise ValueError(f"there are {d_vocab}^{n_ctx} sequences; a table has from 1 to 2^26 labels")
        labels = np.empty(d_vocab**n_ctx, np.int64)
        for i, tokens in enumerate(product(range(d_vocab), repeat=n_ctx)):
            said = label(tokens)
            if said is not None and not (isinstance(said, int | np.integer) and 0 <= said < 2**31):
                raise ValueError(
                    f"the label of {tokens} is {said!a:.60}; expected an integer from 0, or None for no input"
                )
            labels[i] = -1 if said is None else int(said)
        return cls(labels)

    def save(self, path: str | Path) -> None:
        """Write the table to a safetensors file, atomically."""
        write_atomically(Path(path), write_tensors({"labels": self.labels.astype(np.int32)}))

    @classmethod
    def load(cls, path: str | Path) -> LabelTable:
        """Read a table from a safetensors file; raises ValueError with the path and the reason, or OSError."""
        try:
            return cls(cls.from_bytes(read_limited(Path(path), MAX_FILE_BYTES)).labels)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
