"""The model: a one-layer, one-head, attention-only transformer, read strictly from safetensors.

With v = d_vocab, n = n_ctx, d = d_model, h = d_head and the query q = x_n at the last position,

    logits(x) = (r_n + sum_p a_p r_p W_V W_O) W_U      with r_p = W_E[x_p] + W_pos[p]
    a         = softmax_p( r_n W_Q (r_p W_K)^T / sqrt(h) )

Weights are float32 or float64 numbers taken as exact reals.  Names and axes on disk are TransformerLens's.  `biases`
makes networks without biases of those that have some; there W_V and W_O are wider than h, and the root is that of h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.strict import MAX_DIGITS, shown
from compactproofs.kernel.tensors import Tensor, read_tensors
from compactproofs.networks.weights import InvalidModel, exact_weights, float_arrays, hash_of, without_buffers

FloatArray = np.ndarray[tuple[int, int], np.dtype[np.float64]]

#: Our name, the name on disk, the axes, and whether the disk has a leading axis for the single head.
Layout: TypeAlias = Mapping[str, tuple[str, str, bool]]
HEAD = "blocks.0.attn."
WEIGHTS: Layout = {
    "W_E": ("embed.W_E", "vd", False),
    "W_pos": ("pos_embed.W_pos", "nd", False),
    **{name: (HEAD + name, "hd" if name == "W_O" else "dh", True) for name in ("W_Q", "W_K", "W_V", "W_O")},
    "W_U": ("unembed.W_U", "dv", False),
}
BUFFERS = (HEAD + "mask", HEAD + "IGNORE")
AXES = {"v": "d_vocab", "n": "n_ctx", "d": "d_model", "h": "d_head"}
_SUPPORTED = "supported: one layer, one head, attention only, no LayerNorm, learned positions, TransformerLens's names"


@dataclass(frozen=True, eq=False)
class AttentionOnly:
    """Weights as float64 arrays, each holding exactly the number in the file.

    Shapes: W_E (v, d), W_pos (n, d), W_Q, W_K, W_V (d, h), W_O (h, d), W_U (d, v).  Arrays are copied and frozen.
    Raises what `exact_weights` raises, and InvalidModel for 10^4000 inputs and more.
    """

    family: ClassVar[str] = "attention-only-1l1h"
    tensors: ClassVar[Layout] = WEIGHTS

    W_E: FloatArray
    W_pos: FloatArray
    W_Q: FloatArray
    W_K: FloatArray
    W_V: FloatArray
    W_O: FloatArray
    W_U: FloatArray

    def __post_init__(self) -> None:
        axes = {name: axes for name, (_, axes, _) in self.tensors.items()}
        for name, array in exact_weights({name: getattr(self, name) for name in axes}, axes, AXES).items():
            object.__setattr__(self, name, array)
        if self.d_vocab < 2:
            raise InvalidModel("d_vocab is 1: with a single token there is no wrong answer to rule out")
        # 2^(4 MAX_DIGITS) > 10^MAX_DIGITS, so no larger power is ever computed.
        if self.n_ctx > 4 * MAX_DIGITS or self.d_vocab**self.n_ctx >= 10**MAX_DIGITS:
            inputs = f"{self.d_vocab}^{self.n_ctx} inputs; fewer than 10^{MAX_DIGITS} are supported"
            raise InvalidModel(f"W_pos is for n_ctx = {self.n_ctx} tokens, and there are {inputs}")

    def weight(self, name: str) -> FloatArray:
        """The matrix of this name that theorems compute with."""
        matrix: FloatArray = getattr(self, name)
        return matrix

    d_vocab = property(lambda self: int(self.W_E.shape[0]), doc="The number of tokens, v.")
    n_ctx = property(lambda self: int(self.W_pos.shape[0]), doc="The length of an input, n = K.")
    d_model = property(lambda self: int(self.W_E.shape[1]), doc="The width of the residual stream, d.")
    d_head = property(lambda self: int(self.W_Q.shape[1]), doc="The width of the head, h.")
    width = property(lambda self: int(self.weight("W_E").shape[1]), doc="The same, as theorems have it.")
    biases = property(lambda self: (), doc="The names of the biases that are not zero: none, but for `biases`.")

    @cached_property
    def sha256(self) -> str:
        """`hash_of` W_E, W_pos, W_Q, W_K, W_V, W_O, W_U in this order."""
        return hash_of({name: getattr(self, name) for name in WEIGHTS})

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, Tensor | npt.NDArray[Any]]) -> Self:
        """A model from arrays under TransformerLens names, maybe with buffers; InvalidModel if it is none.

        What is looked at first: names, types, shapes, values.
        """
        weights, known = ([disk for disk, _, _ in layout.values()] for layout in (WEIGHTS, cls.tensors))
        unknown = sorted(shown(name) for name in set(tensors) - {*known, *BUFFERS})
        if unknown:
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise InvalidModel(f"found {', '.join(unknown[:3])}{more}; {_SUPPORTED}")
        missing = ", ".join(disk for disk in weights if disk not in tensors)
        if missing:
            all_of = ", ".join(weights)
            raise InvalidModel(f"no tensor named {missing}; a TransformerLens state dict has all of {all_of}")
        on_disk = float_arrays(without_buffers(tensors))
        arrays = {}
        for name, (disk, axes, has_head_axis) in cls.tensors.items():
            if disk in on_disk:  # as all weights are
                array = on_disk[disk]
                if has_head_axis and (array.ndim != 1 + len(axes) or len(array) != 1):
                    expected = ", ".join(["1", *(AXES[a] for a in axes)])
                    heads = f"({expected}), where 1 is the number of heads; {_SUPPORTED}"
                    raise InvalidModel(f"{disk} has shape {array.shape}; expected {heads}")
                arrays[name] = array[0] if has_head_axis else array
        return cls(**arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The model in a safetensors file of these bytes; raises ValueError with the reason."""
        return cls.from_state_dict(read_tensors(data)[0])
