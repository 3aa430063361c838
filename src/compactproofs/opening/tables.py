"""Tables of labels as files, and tables of what a function says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.strict import shown
from compactproofs.opening.arguments import Misuse, about_arguments, expect, integer, path_of
from compactproofs.opening.models import MAX_FILE_BYTES, write_tensors
from compactproofs.system.files import read_limited, write_atomically
from compactproofs.tasks.sequences import MAX_LENGTH
from compactproofs.tasks.tables import MAX_ENTRIES, Table

__all__ = ["LabelTable"]


class LabelTable(Table):
    """A table that can be made, loaded and saved; what it is, `Table` says.  Raises Misuse where that is no table."""

    def __init__(self, labels: npt.ArrayLike) -> None:
        with about_arguments():
            super().__init__(labels)

    @classmethod
    def of(cls, label: Callable[[tuple[int, ...]], int | None], d_vocab: int, n_ctx: int) -> LabelTable:
        """What a function says of each sequence of `n_ctx` tokens out of `d_vocab`; None for what is no input.

        Raises Misuse, a ValueError, if there are too many, or if it says anything but None and integers from 0.
        """
        expect("label", label, Callable, "a function of a sequence of tokens")
        d_vocab, n_ctx = integer("d_vocab", d_vocab), integer("n_ctx", n_ctx)
        if not (1 <= d_vocab <= MAX_ENTRIES and 1 <= n_ctx <= MAX_LENGTH and d_vocab**n_ctx <= MAX_ENTRIES):
            raise Misuse(f"there are {shown(d_vocab)}^{shown(n_ctx)} sequences; a table has from 1 to 2^26 labels")
        labels = np.empty(d_vocab**n_ctx, np.int64)
        for i, tokens in enumerate(product(range(d_vocab), repeat=n_ctx)):
            said = label(tokens)
            if said is not None and not (isinstance(said, int | np.integer) and 0 <= said < 2**31):
                raise Misuse(f"the label of {tokens} is {said!a:.60}; expected an integer from 0, or None for no input")
            labels[i] = -1 if said is None else int(said)
        return cls(labels)

    def save(self, path: str | Path) -> None:
        """Write the table to a safetensors file, atomically."""
        write_atomically(path_of("path", path), write_tensors({"labels": self.labels.astype(np.int32)}))

    @classmethod
    def load(cls, path: str | Path) -> LabelTable:
        """Read a table from a safetensors file; raises Misuse, a ValueError, with path and reason, or OSError."""
        file = path_of("path", path)
        try:
            return cls.from_bytes(read_limited(file, MAX_FILE_BYTES))
        except ValueError as error:
            raise Misuse(f"{path}: {error}") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelTable:
        """The table in a file of these bytes; raises Misuse, a ValueError, with the reason."""
        expect("data", data, bytes, "the bytes of a file")
        with about_arguments():
            return cls(super().from_bytes(data).labels)
