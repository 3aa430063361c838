"""Min-of-K: the inputs are the sequences of K = n_ctx tokens in 0 ... v-1, and the label is the smallest token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from compactproofs.networks.attention_only.model import AttentionOnly


@dataclass(frozen=True)
class MinOfK:
    """Name the smallest of `n_ctx` tokens out of 0 ... d_vocab - 1."""

    n_ctx: int
    d_vocab: int
    name: ClassVar[str] = "compactproofs-min-of-k:min-of-k"

    @property
    def total(self) -> int:
        """The number v^K of inputs."""
        return int(self.d_vocab**self.n_ctx)

    @property
    def record(self) -> dict[str, str | int]:
        """The task as certificates name it."""
        return {"name": self.name, "n_ctx": self.n_ctx, "d_vocab": self.d_vocab}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> MinOfK:
        """The task of a certificate; ValueError unless the record is that of one: nothing else, and small numbers."""
        sizes = [record.get(key) for key in ("n_ctx", "d_vocab")]
        if len(record) != 3 or not all(type(size) is int and 1 <= size < 2**16 for size in sizes):
            raise ValueError("expected the keys name, n_ctx and d_vocab, the last two with integers from 1 to 65535")
        return cls(*sizes)  # type: ignore[arg-type]

    def misfit(self, network: AttentionOnly) -> str | None:
        """Networks of this task read K tokens and name one of the v that there are."""
        if (network.n_ctx, network.d_vocab) == (self.n_ctx, self.d_vocab):
            return None
        return f"it has {self.n_ctx} tokens out of {self.d_vocab}, the model {network.n_ctx} out of {network.d_vocab}"


def min_of_k(network: AttentionOnly) -> MinOfK:
    """The task for this network."""
    return MinOfK(network.n_ctx, network.d_vocab)
