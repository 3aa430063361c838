"""The model: a network of two arguments x, y in 0 ... n-1 and k outputs, read strictly from safetensors.

There are two architectures, with ReLU entry by entry.  A bias that is not given is zero.  The tensors of "mlp" are

    W_x, W_y (n, e), W (2e, m), W_U (m, k), b (k)        logits = ReLU([W_x[x] W_y[y]] W) W_U + b

and "transformer" is one of a single layer whose attention is *constant*: every position pays the same attention to
each.  Its tensors have the names and axes of TransformerLens, and those from which a pattern would be computed are not
looked at.  Its c positions are x, y and, if c = 3, the token n:

    r_p    = W_E[token at p] + W_pos[p]
    mid    = r_c + sum over heads of (sum_p r_p W_V / c + b_V) W_O + b_O
    logits = (mid + ReLU(mid W_in + b_in) W_out + b_out) W_U + b_U

Entries are float32 or float64 numbers taken as exact reals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.strict import shown
from compactproofs.kernel.tensors import read_tensors
from compactproofs.networks.weights import InvalidModel, exact_weights, float_arrays, hash_of

_ATTENTION, _MLP = "blocks.0.attn.", "blocks.0.mlp."
#: The tensors of each architecture, and a letter for each axis.
TENSORS: dict[str, dict[str, str]] = {
    "mlp": {"W_x": "ne", "W_y": "ne", "W": "im", "W_U": "mk", "b": "k"},
    "transformer": {
        **{"embed.W_E": "vd", "pos_embed.W_pos": "cd"},
        **{f"{_ATTENTION}W_V": "adh", f"{_ATTENTION}W_O": "ahd", f"{_ATTENTION}b_V": "ah", f"{_ATTENTION}b_O": "d"},
        **{f"{_MLP}W_in": "dm", f"{_MLP}b_in": "m", f"{_MLP}W_out": "md", f"{_MLP}b_out": "d"},
        **{"unembed.W_U": "dk", "unembed.b_U": "k"},
    },
}
_NO_PATTERN = tuple(_ATTENTION + name for name in ("W_Q", "W_K", "b_Q", "b_K", "mask", "IGNORE"))
_CALLED = {
    **{"n": "arguments", "e": "d_embed", "i": "2 d_embed", "m": "d_mlp", "k": "outputs"},
    **{"v": "d_vocab", "c": "n_ctx", "d": "d_model", "a": "n_heads", "h": "d_head"},
}


def is_bias(name: str) -> bool:
    """Whether this tensor may be left out, as zero."""
    return name.rpartition(".")[2].startswith("b")


def architecture_of(names: Mapping[str, object]) -> str:
    """The architecture that has tensors of these names."""
    return "mlp" if "W_x" in names else "transformer"


@dataclass(frozen=True, eq=False)
class PairSum:
    """Weights as float64 arrays, each holding exactly the number in the file.

    Raises InvalidModel unless the tensors are exactly those of their architecture, up to biases and what a pattern of
    attention would be computed from, float32 or float64, finite, and of sizes that go together; and
    UnsuitableArithmetic where this thread does not compute as the proofs assume.
    """

    family: ClassVar[str] = "pair-sum"

    tensors: Mapping[str, npt.NDArray[np.float64]] = field(repr=False)

    def __post_init__(self) -> None:
        axes = TENSORS[self.architecture]
        _check_names(self.tensors)
        kept = exact_weights({name: self.tensors.get(name) for name in axes}, axes, _CALLED)
        object.__setattr__(self, "tensors", MappingProxyType(kept))
        if self.outputs < 2:
            raise InvalidModel("there is 1 output: without another one there is no wrong answer to rule out")
        if self.architecture == "mlp":
            if len(kept["W"]) != 2 * kept["W_x"].shape[1]:
                raise InvalidModel(f"W has {len(kept['W'])} rows, but W_x and W_y have {kept['W_x'].shape[1]} columns")
        elif self.positions not in (2, 3) or self.n < 1:
            raise InvalidModel(
                f"W_pos is for {self.positions} positions and W_E for {len(kept['embed.W_E'])} tokens; expected "
                "2 positions, for two tokens, or 3 positions, for two tokens and one more token, the last one of W_E"
            )

    @cached_property
    def architecture(self) -> str:
        """The name of its architecture: "mlp" or "transformer"."""
        return architecture_of(self.tensors)

    def weight(self, name: str) -> npt.NDArray[np.float64]:
        """The tensor of this name."""
        return self.tensors[name]

    @cached_property
    def positions(self) -> int:
        """The number of positions of a transformer; 0 for a perceptron."""
        return 0 if self.architecture == "mlp" else len(self.tensors["pos_embed.W_pos"])

    @cached_property
    def n(self) -> int:
        """How many values an argument has."""
        return len(self.tensors["W_x"]) if self.positions == 0 else len(self.tensors["embed.W_E"]) + 2 - self.positions

    @cached_property
    def neurons(self) -> int:
        """The number of ReLUs, m."""
        return int(self.tensors["W" if self.architecture == "mlp" else f"{_MLP}W_in"].shape[1])

    @cached_property
    def outputs(self) -> int:
        """The number of outputs, k."""
        return int(self.tensors["W_U" if self.architecture == "mlp" else "unembed.W_U"].shape[1])

    @cached_property
    def sha256(self) -> str:
        """Hash of the function: SHA-256 over the line "pair-sum ARCHITECTURE", then for each tensor in the order of
        `TENSORS`, zero ones included, a line of its name and sizes, in ASCII, and its entries row by row as
        little-endian float64, with zero always positive.
        """
        return hash_of(self.tensors, f"{self.family} {self.architecture}\n")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The network in a safetensors file of these bytes, whatever its notes say; ValueError with the reason."""
        tensors, _ = read_tensors(data)
        _check_names(tensors)
        kept = {name: tensor for name, tensor in tensors.items() if name not in _NO_PATTERN}
        return cls(float_arrays(kept))


def _check_names(names: Mapping[str, Any]) -> None:
    """InvalidModel unless these are the names of one architecture's tensors."""
    architecture = architecture_of(names)
    expected = TENSORS[architecture]
    ignored = _NO_PATTERN if architecture == "transformer" else ()
    unknown = sorted(name for name in names if name not in expected and name not in ignored)
    what = "a pair-sum perceptron" if architecture == "mlp" else "a pair-sum transformer (one layer, no LayerNorm)"
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise InvalidModel(f"found {shown(unknown[0])}{more}, which {what} does not have; it has {', '.join(expected)}")
    missing = [name for name in expected if name not in names and not is_bias(name)]
    if missing:
        raise InvalidModel(f"no tensor named {missing[0]}, which {what} has")
