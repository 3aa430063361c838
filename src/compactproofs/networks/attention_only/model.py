"""The model: a one-layer, one-head, attention-only transformer, read strictly from safetensors.

With v = d_vocab, n = n_ctx, d = d_model, h = d_head and the query q = x_n at the last position,

    logits(x) = (r_n + sum_p a_p (r_p W_V + b_V) W_O + b_O) W_U + b_U      with r_p = W_E[x_p] + W_pos[p]
    a         = softmax_p( (r_n W_Q + b_Q) (r_p W_K + b_K)^T / sqrt(h) )

Weights are float32 or float64 numbers taken as exact reals.  Names and axes on disk are TransformerLens's.  Theorems
are about networks without biases, whose W_V and W_O may be of any width, with the root of h: if some bias is not zero,
they are about the matrices of `biases`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.strict import MAX_DIGITS, shown
from compactproofs.kernel.tensors import read_tensors
from compactproofs.networks.attention_only.biases import folded
from compactproofs.networks.weights import InvalidModel, exact_weights, float_arrays

FloatArray = np.ndarray[tuple[int, int], np.dtype[np.float64]]
FloatVector = np.ndarray[tuple[int], np.dtype[np.float64]]

# Our name, the name on disk, the axes, and whether the disk has a leading axis for the single head.
_HEAD = "blocks.0.attn."
WEIGHTS: dict[str, tuple[str, str, bool]] = {
    "W_E": ("embed.W_E", "vd", False),
    "W_pos": ("pos_embed.W_pos", "nd", False),
    **{name: (_HEAD + name, "hd" if name == "W_O" else "dh", True) for name in ("W_Q", "W_K", "W_V", "W_O")},
    "W_U": ("unembed.W_U", "dv", False),
}
BIASES: dict[str, tuple[str, str, bool]] = {
    **{name: (_HEAD + name, "h", True) for name in ("b_Q", "b_K", "b_V")},
    "b_O": (_HEAD + "b_O", "d", False),
    "b_U": ("unembed.b_U", "v", False),
}
BUFFERS = (_HEAD + "mask", _HEAD + "IGNORE")
_ZERO: Any = None  # a bias that is not given
AXES = {"v": "d_vocab", "n": "n_ctx", "d": "d_model", "h": "d_head"}
_SUPPORTED = (
    "supported: one layer, one head, attention only, no LayerNorm, learned positions, "
    "under the names of a TransformerLens state dict"
)


@dataclass(frozen=True, eq=False)
class AttentionOnly:
    """Weights as float64 arrays, each holding exactly the number in the file.

    Shapes: W_E (v, d), W_pos (n, d), W_Q, W_K, W_V (d, h), W_O (h, d), W_U (d, v), and biases b_Q, b_K, b_V (h,),
    b_O (d,), b_U (v,), each of which is zero if it is not given.  Arrays are copied and frozen.
    Raises InvalidModel for wrong shapes or types, for NaN and infinity, and for 10^4000 inputs and more; and
    UnsuitableArithmetic where this thread does not compute as the proofs assume.
    """

    family: ClassVar[str] = "attention-only-1l1h"

    W_E: FloatArray
    W_pos: FloatArray
    W_Q: FloatArray
    W_K: FloatArray
    W_V: FloatArray
    W_O: FloatArray
    W_U: FloatArray
    b_Q: FloatVector = _ZERO
    b_K: FloatVector = _ZERO
    b_V: FloatVector = _ZERO
    b_O: FloatVector = _ZERO
    b_U: FloatVector = _ZERO

    def __post_init__(self) -> None:
        axes = {name: axes for name, (_, axes, _) in (WEIGHTS | BIASES).items()}
        for name, array in exact_weights({name: getattr(self, name) for name in axes}, axes, AXES).items():
            object.__setattr__(self, name, array)
        if self.d_vocab < 2:
            raise InvalidModel("d_vocab is 1: with a single token there is no wrong answer to rule out")
        # 2^(4 MAX_DIGITS) > 10^MAX_DIGITS, so no larger power is ever computed.
        if self.n_ctx > 4 * MAX_DIGITS or self.d_vocab**self.n_ctx >= 10**MAX_DIGITS:
            raise InvalidModel(
                f"W_pos is for n_ctx = {self.n_ctx} tokens, and there are {self.d_vocab}^{self.n_ctx} inputs; "
                f"fewer than 10^{MAX_DIGITS} are supported"
            )

    def weight(self, name: str) -> FloatArray:
        """The matrix of this name that theorems compute with, biases folded into it."""
        matrix: FloatArray = self._folded[name] if self.biases else getattr(self, name)
        return matrix

    @cached_property
    def biases(self) -> tuple[str, ...]:
        """The names of the biases that are not zero."""
        return tuple(name for name in BIASES if getattr(self, name).any())

    @cached_property
    def _folded(self) -> dict[str, npt.NDArray[np.float64]]:
        return folded(**{name: getattr(self, name) for name in (*WEIGHTS, *BIASES)})

    d_vocab = property(lambda self: int(self.W_E.shape[0]), doc="The number of tokens, v.")
    n_ctx = property(lambda self: int(self.W_pos.shape[0]), doc="The length of an input, n = K.")
    d_model = property(lambda self: int(self.W_E.shape[1]), doc="The width of the residual stream, d.")
    d_head = property(lambda self: int(self.W_Q.shape[1]), doc="The width of the head, h.")
    width = property(lambda self: int(self.weight("W_E").shape[1]), doc="That of the stream with biases folded in.")

    @cached_property
    def sha256(self) -> str:
        """Hash of the weights as real numbers: float32 and float64 files of equal numbers agree.

        SHA-256 over, for W_E, W_pos, W_Q, W_K, W_V, W_O, W_U in this order, the line "name rows columns" and a
        newline in ASCII, then the entries row by row as little-endian float64, with zero always positive; and, if some
        bias is not zero, the same, with the line "name length", for b_Q, b_K, b_V, b_O, b_U.
        """
        digest = hashlib.sha256()
        for name in (*WEIGHTS, *(BIASES if self.biases else ())):
            array = getattr(self, name)
            digest.update(" ".join([name, *map(str, array.shape)]).encode("ascii") + b"\n")
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self:
        """A model from arrays under TransformerLens names; refuses everything that the model class does not have."""
        _check_names(tensors)
        arrays = {}
        for name, (disk, axes, has_head_axis) in (WEIGHTS | BIASES).items():
            if disk in tensors:  # as all weights are
                array = tensors[disk]
                if has_head_axis and (array.ndim != 1 + len(axes) or len(array) != 1):
                    expected = ", ".join(["1", *(AXES[a] for a in axes)])
                    raise InvalidModel(
                        f"{disk} has shape {array.shape}; expected ({expected}), where 1 is the number of heads; "
                        f"{_SUPPORTED}"
                    )
                arrays[name] = array[0] if has_head_axis else array
        return cls(**arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The model in a safetensors file of these bytes.

        What is looked at first: the format, then names, types, shapes, values.  Raises ValueError with the reason.
        """
        tensors, _ = read_tensors(data)
        _check_names(tensors)
        kept = {name: tensor for name, tensor in tensors.items() if name not in BUFFERS}
        return cls.from_state_dict(float_arrays(kept))


def _check_names(names: Collection[str]) -> None:
    """InvalidModel unless these are the names of a supported state dict, with or without biases and buffers."""
    weights, biases = ([disk for disk, _, _ in table.values()] for table in (WEIGHTS, BIASES))
    unknown = sorted(shown(name) for name in set(names) - {*weights, *biases, *BUFFERS})
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise InvalidModel(f"found {', '.join(unknown[:3])}{more}; {_SUPPORTED}")
    missing = ", ".join(disk for disk in weights if disk not in names)
    if missing:
        raise InvalidModel(f"no tensor named {missing}; a TransformerLens state dict has all of {', '.join(weights)}")
