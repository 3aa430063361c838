"""One-layer, attention-only transformers with any number of heads, as one-head networks that share what is not theirs.

With the notation of `networks.attention_only.model`, and matrices W_Q^h, W_K^h, W_V^h, W_O^h for each head h,

    logits(x) = (W_E[q] + W_pos[n]) W_U + sum_h sum_p a^h_p (W_E[x_p] + W_pos[p]) W_V^h W_O^h W_U,

where a^h are the attentions of the one-head network of these matrices: sum_h runs over what the heads of these write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.strict import shown
from compactproofs.kernel.tensors import read_tensors
from compactproofs.networks.attention_only.biases import BIASES
from compactproofs.networks.attention_only.model import AXES, WEIGHTS, AttentionOnly
from compactproofs.networks.weights import InvalidModel, exact_weights, float_arrays, hash_of, without_buffers

FloatArray = npt.NDArray[np.float64]

_OF_HEADS = [name for name, (_, _, has_head_axis) in WEIGHTS.items() if has_head_axis]
_AXES = {name: "H" * has_head_axis + axes for name, (_, axes, has_head_axis) in {**WEIGHTS, **BIASES}.items()}
_CALLED = {**AXES, "H": "n_heads"}


@dataclass(frozen=True, eq=False)
class ManyHeads:
    """Weights as float64 arrays, each holding exactly the number in the file.

    Shapes: W_E (v, d), W_pos (n, d), W_Q, W_K, W_V (H, d, h), W_O (H, h, d), W_U (d, v).  `heads`: the H one-head
    networks.  Raises what `AttentionOnly` raises.
    """

    family: ClassVar[str] = "attention-only-1l"

    W_E: FloatArray
    W_pos: FloatArray
    W_Q: FloatArray
    W_K: FloatArray
    W_V: FloatArray
    W_O: FloatArray
    W_U: FloatArray
    heads: tuple[AttentionOnly, ...] = field(init=False)

    def __post_init__(self) -> None:
        weights = exact_weights({name: getattr(self, name) for name in WEIGHTS}, _AXES, _CALLED)
        for name, array in weights.items():
            object.__setattr__(self, name, array)
        each = [{name: x[h] if name in _OF_HEADS else x for name, x in weights.items()} for h in range(len(self.W_Q))]
        object.__setattr__(self, "heads", tuple(AttentionOnly(**of_head) for of_head in each))

    def weight(self, name: str) -> FloatArray:
        """The array of this name."""
        array: FloatArray = getattr(self, name)
        return array

    @property
    def n_heads(self) -> int:
        """The number of heads, H."""
        return len(self.heads)

    @property
    def d_vocab(self) -> int:
        """The number of tokens, v."""
        return int(self.heads[0].d_vocab)

    @property
    def n_ctx(self) -> int:
        """The length of an input, n = K."""
        return int(self.heads[0].n_ctx)

    @property
    def d_model(self) -> int:
        """The width of the residual stream, d."""
        return int(self.heads[0].d_model)

    @property
    def d_head(self) -> int:
        """The width of each head, h."""
        return int(self.heads[0].d_head)

    @cached_property
    def sha256(self) -> str:
        """`hash_of` the line "attention-only-1l", and W_E, W_pos, W_Q, W_K, W_V, W_O, W_U in this order."""
        return hash_of({name: self.weight(name) for name in WEIGHTS}, f"{self.family}\n")

    @classmethod
    def from_state_dict(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self:
        """A network from arrays under TransformerLens names; refuses all others, and biases that are not zero."""
        names = {name: disk for name, (disk, _, _) in WEIGHTS.items()}
        biases = {name: disk for name, (disk, _, _) in BIASES.items()}
        unknown = sorted(shown(name) for name in set(tensors) - {*names.values(), *biases.values()})
        missing = [disk for disk in names.values() if disk not in tensors]
        biased = [disk for disk in biases.values() if disk in tensors and (tensors[disk] != 0).any()]
        for what, which in (
            ("unknown tensor", unknown),
            ("no tensor named", missing),
            ("a bias that is not 0:", biased),
        ):
            if which:
                raise InvalidModel(f"{what} {which[0]}; of the family {cls.family} are {', '.join(names.values())}")
        exact = exact_weights({name: tensors.get(disk) for name, disk in (names | biases).items()}, _AXES, _CALLED)
        return cls(**{name: exact[name] for name in names})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The network in a safetensors file of these bytes; raises ValueError with the reason."""
        return cls.from_state_dict(float_arrays(without_buffers(read_tensors(data)[0])))
