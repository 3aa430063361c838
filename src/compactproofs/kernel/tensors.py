"""The safetensors format, read strictly.

A file is the length of its header (8 bytes, little-endian), the header, which is a JSON object, and the tensors' bytes,
row by row and little-endian.  The header has for each tensor an object of its type, its shape and the range of its
bytes, and may have notes under `__metadata__`, an object of text.  The ranges tile the bytes that follow the header.

What the format leaves open, or other readers let pass, is refused here; `docs/certificate-format.md` lists it.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.strict import shown, strict_json

MAX_HEADER_BYTES = 2**20
MAX_AXES = 8
MAX_ENTRIES = 2**31  # of a tensor, where sizes of 0 count as 1: products stay small

#: The types of weights, as NumPy has them.
FLOATS: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_BITS = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
_BAD = "not a valid safetensors file"


class Tensor(NamedTuple):
    """A tensor of any type as it stands in the file; the bytes are as many as type and shape say."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview

    def array(self) -> npt.NDArray[Any]:
        """The entries of a tensor whose type is one of `FLOATS`, or of bytes."""
        dtype = FLOATS.get(self.dtype, np.dtype("u1"))
        return np.frombuffer(self.data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(self.shape)


def read_tensors(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, in the order of their bytes, and the notes in its `__metadata__`.

    Raises ValueError with what is wrong.
    """
    if data[8:9] != b"{":
        raise ValueError(f"not a safetensors file: no JSON object begins at byte 8 of {len(data)} bytes")
    length, follow = int.from_bytes(data[:8], "little"), len(data) - 8
    if length > follow:
        raise ValueError(f"not a whole safetensors file: its header claims {length} bytes of {follow} that follow")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header is larger than {MAX_HEADER_BYTES} bytes (1 MiB), the most that is read")
    header = strict_json(data[8 : 8 + length])  # an object, since it begins like one
    notes = header.pop("__metadata__", {})
    if not (isinstance(notes, dict) and all(_is_text(name) and _is_text(note) for name, note in notes.items())):
        raise ValueError(f"{_BAD}: its __metadata__ is no object whose values are all text")
    entries = [(*_range(name, entry), name) for name, entry in header.items()]
    body = memoryview(data)[8 + length :]
    tensors, end = {}, 0
    for start, stop, name in sorted(entries):
        if start != end:
            raise ValueError(
                f"{_BAD}: {shown(name)} begins at byte {shown(start)} of the data, not at byte {end}; "
                "tensors must neither overlap nor leave a gap"
            )
        tensors[name] = Tensor(header[name]["dtype"], tuple(header[name]["shape"]), body[start:stop])
        end = stop
    if end != len(body):
        raise ValueError(f"{_BAD}: its tensors have {end} bytes, but {len(body)} follow the header")
    return tensors, notes


def _range(name: str, entry: Any) -> tuple[int, int]:
    """Where the bytes of an entry of the header are; ValueError unless the entry is what the format says."""
    where = f"{_BAD}: {shown(name)}"
    if not (_is_text(name) and isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}):
        raise ValueError(f"{where} is no object with exactly the keys dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not (isinstance(dtype, str) and dtype in _BITS):
        found = shown(dtype) if isinstance(dtype, str) else "that is no text"
        raise ValueError(f"{where} has type {found}; the format has {', '.join(_BITS)}")
    for key, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not (isinstance(numbers, list) and all(type(number) is int and number >= 0 for number in numbers)):
            raise ValueError(f"{where}: {key} must be a list of integers, none negative")
    if len(shape) > MAX_AXES or prod(max(size, 1) for size in shape) > MAX_ENTRIES:
        raise ValueError(f"{where}: its shape {shown(shape)} is too large; {MAX_AXES} axes and 2^31 entries are read")
    if len(offsets) != 2 or 8 * (offsets[1] - offsets[0]) != prod(shape) * _BITS[dtype]:
        raise ValueError(
            f"{where}: data_offsets {shown(offsets)} is not the begin and end of {dtype} of shape {shown(shape)}"
        )
    return offsets[0], offsets[1]


def _is_text(value: Any) -> bool:
    """Whether it is a string of Unicode characters: JSON can also spell the halves of surrogate pairs."""
    return isinstance(value, str) and value.encode("utf-8", "ignore").decode() == value
