"""Models as files: reading with the path in messages, and writing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.strict import shown
from compactproofs.kernel.tensors import FLOATS, Tensor
from compactproofs.networks.attention_only import heads
from compactproofs.networks.attention_only.biases import WithBiases
from compactproofs.networks.attention_only.model import WEIGHTS
from compactproofs.networks.decoder import model as decoder
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening.arguments import Misuse, expect, path_of
from compactproofs.system.displays import Displayed
from compactproofs.system.files import read_limited, write_atomically
from compactproofs.tasks.tables import TYPES

MAX_FILE_BYTES = 2**28
_TYPES = FLOATS | TYPES


class Model(Displayed, WithBiases):
    """A model that can be loaded and saved; what it is and computes, `AttentionOnly` and `WithBiases` say."""

    def __post_init__(self) -> None:
        missing = [name for name in WEIGHTS if getattr(self, name) is None]
        if missing:
            raise InvalidModel(f"{', '.join(missing)}: expected an array, found None")
        super().__post_init__()

    def facts(self) -> dict[str, str]:
        """Sizes, and the hash that certificates name it by."""
        sizes = {name: str(getattr(self, name)) for name in ("n_ctx", "d_vocab", "d_model", "d_head")}
        biases = {"biases": " ".join(self.biases)} if self.biases else {}
        return {"family": self.family, **sizes, **biases, "sha256": self.sha256[:12]}

    def state_dict(self, dtype: npt.DTypeLike = np.float64) -> dict[str, npt.NDArray[Any]]:
        """The weights under their TransformerLens names and axes, with biases if some are not zero.

        Raises Misuse, a ValueError, if `dtype` (float32 or float64) cannot hold them exactly.
        """
        known = False
        with suppress(TypeError, ValueError):
            known = np.dtype(dtype) in (np.float32, np.float64)
        if not known:
            raise Misuse(f"dtype: expected float32 or float64, found {shown(str(dtype))}")
        tensors = {}
        for name, (disk, _, has_head_axis) in (self.tensors if self.biases else WEIGHTS).items():
            with np.errstate(over="ignore"):
                matrix = getattr(self, name).astype(dtype)
            if not (matrix == getattr(self, name)).all():
                raise Misuse(f"{name} does not fit {np.dtype(dtype)} without rounding, which would change the model")
            tensors[disk] = np.ascontiguousarray(matrix[None] if has_head_axis else matrix)
        return tensors

    def save(self, path: str | Path) -> None:
        """Write the weights to a safetensors file (float32 if that is exact), atomically."""
        try:
            tensors = self.state_dict(np.float32)
        except ValueError:
            tensors = self.state_dict(np.float64)
        write_atomically(path_of("path", path), write_tensors(tensors))

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor | npt.NDArray[Any]]) -> Self:
        """A model from arrays under TransformerLens names, maybe with buffers; InvalidModel if it is none."""
        expect("tensors", tensors, Mapping, "a mapping from names to arrays")
        for name, tensor in tensors.items():
            if not isinstance(name, str) or not isinstance(tensor, Tensor | np.ndarray):
                expected = "expected names and their arrays"
                raise InvalidModel(f"{expected}, found {shown(name)} and {type(tensor).__name__}")
        return super().from_state_dict(tensors)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The model in a safetensors file of these bytes; raises InvalidModel with the reason."""
        expect("data", data, bytes, "the bytes of a file")
        try:
            return super().from_bytes(data)
        except ValueError as error:
            raise InvalidModel(str(error)) from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model from a safetensors file.

        Raises InvalidModel with the path and the reason, and OSError if the file cannot be read.
        """
        file = path_of("path", path)
        try:
            return cls.from_bytes(read_limited(file, MAX_FILE_BYTES))
        except ValueError as error:
            raise InvalidModel(f"{path}: {error}") from error


class ManyHeads(Displayed, heads.ManyHeads):
    """A network that shows itself; what it is and computes, `networks.attention_only.heads` says."""

    def facts(self) -> dict[str, str]:
        """Sizes, and the hash that certificates name it by."""
        names = ("n_heads", "n_ctx", "d_vocab", "d_model", "d_head")
        return {"family": self.family, **{name: str(getattr(self, name)) for name in names}, "sha256": self.sha256[:12]}


class Decoder(Displayed, decoder.Decoder):
    """A decoder that shows itself; what it is and computes, `networks.decoder.model` says."""

    def facts(self) -> dict[str, str]:
        """Sizes, how the tensors are used, and the hash that certificates name it by."""
        names = ("n_layers", "n_heads", "n_ctx", "d_vocab", "d_vocab_out", "d_model", "d_mlp")
        sizes = {name: str(getattr(self, name)) for name in names}
        used = {name: text for name, text in self.configuration.record.items() if text not in ("none", "no", "0.0")}
        return {"family": self.family, **sizes, **used, "sha256": self.sha256[:12]}


def write_tensors(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """A file of arrays of floats or integers, by name; equal arrays give equal bytes."""
    header: dict[str, Any] = {}
    body = bytearray()
    for name, array in sorted(arrays.items()):
        dtype = next(dtype for dtype, known in _TYPES.items() if known == array.dtype.newbyteorder("<"))
        start = len(body)
        body += array.astype(_TYPES[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [start, len(body)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the bytes of the tensors are aligned
    return len(text).to_bytes(8, "little") + text + bytes(body)
