"""The model: a one-layer, one-head, attention-only transformer, read strictly from safetensors.

With v = d_vocab, n = n_ctx, d = d_model, h = d_head and the query q = x_n at the last position,

    logits(x) = (W_E[q] + W_pos[n]) W_U + sum_p a_p (W_E[x_p] + W_pos[p]) W_V W_O W_U
    a         = softmax_p( (W_E[q] + W_pos[n]) W_Q W_K^T (W_E[x_p] + W_pos[p])^T / sqrt(h) )

Weights are float32 or float64 numbers taken as exact reals.  Names and axes on disk are TransformerLens's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.machine import require_ieee_arithmetic
from compactproofs.kernel.strict import MAX_DIGITS, shown
from compactproofs.kernel.tensors import FLOATS, read_tensors

FloatArray = np.ndarray[tuple[int, int], np.dtype[np.float64]]

# Our name, the name on disk, the axes, and whether the disk has a leading axis for the single head.
WEIGHTS: dict[str, tuple[str, str, bool]] = {
    "W_E": ("embed.W_E", "vd", False),
    "W_pos": ("pos_embed.W_pos", "nd", False),
    "W_Q": ("blocks.0.attn.W_Q", "dh", True),
    "W_K": ("blocks.0.attn.W_K", "dh", True),
    "W_V": ("blocks.0.attn.W_V", "dh", True),
    "W_O": ("blocks.0.attn.W_O", "hd", True),
    "W_U": ("unembed.W_U", "dv", False),
}
_BIASES = (*(f"blocks.0.attn.b_{letter}" for letter in "QKVO"), "unembed.b_U")
_BUFFERS = ("blocks.0.attn.mask", "blocks.0.attn.IGNORE")
_AXES = {"v": "d_vocab", "n": "n_ctx", "d": "d_model", "h": "d_head"}
_SUPPORTED = (
    "supported: one layer, one head, attention only, no LayerNorm, no biases, learned positions, "
    "under the names of a TransformerLens state dict"
)


class InvalidModel(ValueError):
    """The file or arrays are not a model that this package supports; the message says what was found."""


@dataclass(frozen=True, eq=False)
class AttentionOnly:
    """Weights as float64 arrays, each holding exactly the number in the file.

    Shapes: W_E (v, d), W_pos (n, d), W_Q, W_K, W_V (d, h), W_O (h, d), W_U (d, v).  Arrays are copied and frozen.
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

    def __post_init__(self) -> None:
        require_ieee_arithmetic()  # where subnormal numbers are read as zero, these would be other weights
        sizes: dict[str, tuple[int, str]] = {}
        for name, (_, axes, _) in WEIGHTS.items():
            given = np.asarray(getattr(self, name))
            if given.dtype not in (np.float32, np.float64):
                raise InvalidModel(f"{name} has type {given.dtype}; weights must be float32 or float64")
            if given.ndim != len(axes) or 0 in given.shape:
                expected = ", ".join(_AXES[a] for a in axes)
                raise InvalidModel(f"{name} has shape {given.shape}; expected ({expected}), all at least 1")
            for axis, size in zip(axes, given.shape, strict=True):
                known, source = sizes.setdefault(axis, (size, name))
                if known != size:
                    found = "d_vocab_out" if (name, axis) == ("W_U", "v") else _AXES[axis]
                    raise InvalidModel(f"{name} has {found} = {size}, but {source} has {_AXES[axis]} = {known}")
            if not np.isfinite(given).all():
                raise InvalidModel(f"{name} contains NaN or infinity; a bound needs finite weights")
            copy = given.astype(np.float64) + 0.0  # + 0.0 turns -0.0, the same real number, into 0.0
            copy.flags.writeable = False
            object.__setattr__(self, name, copy)
        if self.d_vocab < 2:
            raise InvalidModel("d_vocab is 1: with a single token there is no wrong answer to rule out")
        # 2^(4 MAX_DIGITS) > 10^MAX_DIGITS, so no larger power is ever computed.
        if self.n_ctx > 4 * MAX_DIGITS or self.d_vocab**self.n_ctx >= 10**MAX_DIGITS:
            raise InvalidModel(
                f"W_pos is for n_ctx = {self.n_ctx} tokens, and there are {self.d_vocab}^{self.n_ctx} inputs; "
                f"fewer than 10^{MAX_DIGITS} are supported"
            )

    def weight(self, name: str) -> FloatArray:
        """The matrix of this name."""
        matrix: FloatArray = getattr(self, name)
        return matrix

    @property
    def d_vocab(self) -> int:
        """The number of tokens, v."""
        return self.W_E.shape[0]

    @property
    def n_ctx(self) -> int:
        """The length of an input, n = K."""
        return self.W_pos.shape[0]

    @property
    def d_model(self) -> int:
        """The width of the residual stream, d."""
        return self.W_E.shape[1]

    @property
    def d_head(self) -> int:
        """The width of the head, h."""
        return self.W_Q.shape[1]

    @cached_property
    def sha256(self) -> str:
        """Hash of the weights as real numbers: float32 and float64 files of equal numbers agree.

        SHA-256 over, for W_E, W_pos, W_Q, W_K, W_V, W_O, W_U in this order, the line "name rows columns" and a
        newline in ASCII, then the entries row by row as little-endian float64, with zero always positive.
        """
        digest = hashlib.sha256()
        for name in WEIGHTS:
            matrix = getattr(self, name)
            digest.update(f"{name} {matrix.shape[0]} {matrix.shape[1]}\n".encode("ascii"))
            digest.update(np.ascontiguousarray(matrix, dtype="<f8").tobytes())
        return digest.hexdigest()

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self:
        """A model from arrays under TransformerLens names; refuses everything that the model class does not have."""
        _check_names(tensors)
        weights = {}
        for name, (disk, _, has_head_axis) in WEIGHTS.items():
            weights[name] = tensors[disk]
            if has_head_axis:
                if weights[name].ndim != 3 or weights[name].shape[0] != 1:
                    raise InvalidModel(
                        f"{disk} has shape {weights[name].shape}; expected (1, rows, columns), where 1 is "
                        f"the number of heads; {_SUPPORTED}"
                    )
                weights[name] = weights[name][0]
        for name in _BIASES:
            bias = tensors.get(name)
            if bias is not None and not (bias == 0).all():
                raise InvalidModel(f"{name} is a non-zero bias (largest size {np.abs(bias).max():.3g}); {_SUPPORTED}")
        return cls(**weights)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The model in a safetensors file of these bytes.

        What is looked at first: the format, then names, types, shapes, values.  Raises ValueError with the reason.
        """
        tensors, _ = read_tensors(data)
        _check_names(tensors)
        kept = {name: tensor for name, tensor in tensors.items() if name not in _BUFFERS}
        for name, tensor in kept.items():
            if tensor.dtype not in FLOATS:
                raise InvalidModel(
                    f"{name} has type {tensor.dtype}; weights must be F32 or F64 (convert and save them first)"
                )
        return cls.from_state_dict({name: tensor.array() for name, tensor in kept.items()})


def _check_names(names: Collection[str]) -> None:
    """InvalidModel unless these are the names of a supported state dict, with or without biases and buffers."""
    weights = [disk for disk, _, _ in WEIGHTS.values()]
    unknown = sorted(set(names) - {*weights, *_BIASES, *_BUFFERS})
    missing = [disk for disk in weights if disk not in names]
    if unknown:
        raise InvalidModel(f"found {_describe(unknown)}; {_SUPPORTED}")
    if missing:
        raise InvalidModel(
            f"no tensor named {', '.join(missing)}; a TransformerLens state dict has all of {', '.join(weights)}"
        )


def _describe(unknown: list[str]) -> str:
    """What a state dict with these further tensors seems to be, in the user's words."""
    kinds = {
        "LayerNorm": [n for n in unknown if ".ln" in n or n.startswith("ln_") or "ln_final" in n],
        "an MLP": [n for n in unknown if ".mlp." in n],
        "further layers": [n for n in unknown if n.startswith("blocks.") and not n.startswith("blocks.0.")],
    }
    found = [f"{kind} ({shown(names[0])})" for kind, names in kinds.items() if names]
    rest = [n for n in unknown if not any(n in names for names in kinds.values())]
    if rest:
        more = f" and {len(rest) - 3} more" if len(rest) > 3 else ""
        found.append(f"unknown tensors {', '.join(map(shown, rest[:3]))}{more}")
    return ", ".join(found)
