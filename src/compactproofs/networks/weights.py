"""Weights of any family as exact float64 arrays of sizes that go together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.machine import require_ieee_arithmetic
from compactproofs.kernel.strict import shown
from compactproofs.kernel.tensors import FLOATS, Tensor


class InvalidModel(CompactProofsError, ValueError):
    """The file or arrays are not a model that this package supports; the message says what was found."""


def float_arrays(tensors: Mapping[str, Tensor | npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The entries of these tensors of a file, if not arrays already; InvalidModel unless all are float32 or float64."""
    for name, tensor in tensors.items():
        if isinstance(tensor, Tensor) and tensor.dtype not in FLOATS:
            found = f"{shown(name)} has type {tensor.dtype}"
            raise InvalidModel(f"{found}; weights must be F32 or F64 (convert and save them)")
    return {name: tensor.array() if isinstance(tensor, Tensor) else tensor for name, tensor in tensors.items()}


def without_buffers(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """All but what TransformerLens saves besides weights; InvalidModel for a mask with which it computes otherwise."""
    for name, mask in tensors.items():
        if name.endswith(".attn.mask") and len(mask.shape) == 2 and mask.shape[0] == mask.shape[1]:
            known = not isinstance(mask, Tensor) or mask.dtype in ("BOOL", "U8", *FLOATS)
            entries = mask.array() if known and isinstance(mask, Tensor) else mask
            if not known or ((entries != 0) != np.tri(len(entries), dtype=np.bool_)).any():
                raise InvalidModel(f"{shown(name)} is not the mask of causal attention, and no other is supported")
    return {name: tensor for name, tensor in tensors.items() if not name.endswith((".attn.mask", ".attn.IGNORE"))}


def exact_weights(
    given: Mapping[str, npt.NDArray[Any] | None], axes: Mapping[str, str], called: Mapping[str, str]
) -> dict[str, npt.NDArray[np.float64]]:
    """Frozen copies of these arrays, each entry exactly the number that was given; those that are None are zero.

    `axes`: a letter for each axis of each array; equal letters have equal sizes, and `called` names them.  Raises
    InvalidModel for wrong shapes or types, for NaN and infinity; and UnsuitableArithmetic where this thread does not
    compute as the proofs assume.
    """
    require_ieee_arithmetic()  # where subnormal numbers are read as zero, these would be other weights
    sizes: dict[str, tuple[int, str]] = {}
    arrays = {name: np.asarray(array) for name, array in given.items() if array is not None}
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            raise InvalidModel(f"{name} has type {array.dtype}; weights must be float32 or float64")
        if array.ndim != len(axes[name]) or 0 in array.shape:
            expected = ", ".join(called[axis] for axis in axes[name])
            raise InvalidModel(f"{name} has shape {array.shape}; expected ({expected}), all at least 1")
        for axis, size in zip(axes[name], array.shape, strict=True):
            known, source = sizes.setdefault(axis, (size, name))
            if known != size:
                raise InvalidModel(f"{name} has {called[axis]} = {size}, but {source} has {called[axis]} = {known}")
        if not np.isfinite(array).all():
            raise InvalidModel(f"{name} contains NaN or infinity; a bound needs finite weights")
    exact = {}
    for name in given:
        array = arrays[name] if name in arrays else np.zeros([sizes[axis][0] for axis in axes[name]])
        exact[name] = array.astype(np.float64) + 0.0  # + 0.0 turns -0.0, the same real number, into 0.0
        exact[name].flags.writeable = False
    return exact


def hash_of(arrays: Mapping[str, npt.NDArray[np.float64]], before: str = "") -> str:
    """SHA-256 over this text, then for each array the line "name sizes" and its entries, row by row, as little-endian
    float64: text in ASCII, zero always positive (`exact_weights`), so files of equal numbers agree.
    """
    digest = hashlib.sha256(before.encode("ascii"))
    for name, array in arrays.items():
        digest.update(" ".join([name, *map(str, array.shape)]).encode("ascii") + b"\n")
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
