"""The model: a decoder-only transformer with learned positions, read strictly from safetensors.

Tensors have the names and axes of TransformerLens; their float32 or float64 entries are exact reals, and so are the
floats of the configuration, which says what tensors do not show.  Tokens x_0 ... x_{T-1} give the logits at each
position as follows, row by row where nothing else is said:

    r     = W_E[x] + W_pos                                          one row for each position
    r     = r + A(N1(r)),  then  r = r + M(N2(r))                   layer by layer; without MLPs only the first
            r + A(N1(r)) + M(N2(r))                                 with parallel_attn_mlp
    logits = N(r) W_U + b_U                                         capped by output_logits_soft_cap

    A(y)  = b_O + sum over heads of  softmax(S) (y W_V + b_V) W_O
    S     = (y W_Q + b_Q) (y W_K + b_K)^T / attn_scale              capped by attn_scores_soft_cap; "causal" leaves out
                                                                    of each softmax the later positions
    M(y)  = f(y W_in + b_in) W_out + b_out                          f is act_fn, see `functions`
    N(y)  = (y - mean y) / sqrt(mean of its squares + eps)          LNPre; LN: then times w, plus b
            y / sqrt(mean of its squares + eps)                     RMSPre; RMS: then times w
            y                                                       none

A cap c > 0 makes c tanh(s / c) of a number s; 0 is no cap.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.strict import shown
from compactproofs.kernel.tensors import Tensor, read_tensors
from compactproofs.networks.decoder.functions import GATES
from compactproofs.networks.weights import InvalidModel, exact_weights, float_arrays, hash_of, without_buffers

FloatArray = npt.NDArray[np.float64]

#: What each setting may be; the others are floats.
CHOICES: dict[str, tuple[str, ...]] = {
    "normalization_type": ("none", "LN", "LNPre", "RMS", "RMSPre"),
    "act_fn": ("none", "relu", *GATES),
    "attention_dir": ("causal", "bidirectional"),
    "parallel_attn_mlp": ("no", "yes"),
}
MAX_LAYERS = 1000


@dataclass(frozen=True)
class Configuration:
    """What the tensors do not show; floats are exact reals, positive, or 0 where there is none."""

    attn_scale: float
    eps: float = 0.0
    attn_scores_soft_cap: float = 0.0
    output_logits_soft_cap: float = 0.0
    normalization_type: str = "none"
    act_fn: str = "none"
    attention_dir: str = "causal"
    parallel_attn_mlp: str = "no"

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name in CHOICES:
                if value not in CHOICES[name]:
                    raise InvalidModel(f"{name} is {shown(value)}; supported: {', '.join(CHOICES[name])}")
            elif not (type(value) is float and 0.0 <= value < math.inf and math.copysign(1.0, value) > 0.0):
                raise InvalidModel(f"{name} is {shown(value)}; expected a finite float that is not negative")
        if self.attn_scale == 0.0 or (self.normalization_type != "none" and self.eps == 0.0):
            raise InvalidModel("attn_scale, and eps where something is normalised, must be positive")

    @property
    def record(self) -> dict[str, str]:
        """All of it as short texts, floats as Python writes them: equal configurations have equal records."""
        return {name: value if name in CHOICES else repr(value) for name, value in sorted(vars(self).items())}

    @classmethod
    def of_record(cls, record: Mapping[str, object]) -> Self:
        """The configuration with this record; ValueError unless it is exactly one."""
        names = [field.name for field in fields(cls)]
        if sorted(record) != sorted(names) or not all(isinstance(value, str) for value in record.values()):
            raise InvalidModel(f"expected texts under exactly the keys {', '.join(sorted(names))}")
        values: Any = {name: value if name in CHOICES else _float(name, value) for name, value in record.items()}
        found = cls(**values)
        if found.record != record:
            raise InvalidModel(f"expected floats as Python writes them, such as {shown(str(found.record))}")
        return found


def _float(name: str, text: object) -> float:
    try:
        return float(str(text))
    except ValueError:
        raise InvalidModel(f"{name} is {shown(text)}; expected a float") from None


# Axes: v tokens, c positions, d of the residual stream, a heads, h of a head, m of an MLP, o outputs.
_AXES = {"v": "d_vocab", "c": "n_ctx", "d": "d_model", "a": "n_heads", "h": "d_head", "m": "d_mlp", "o": "d_vocab_out"}
_ATTENTION = (
    *(("W_Q", "adh"), ("W_K", "adh"), ("W_V", "adh"), ("W_O", "ahd")),
    *(("b_Q", "ah"), ("b_K", "ah"), ("b_V", "ah"), ("b_O", "d")),
)
_MLP = (("W_in", "dm"), ("W_out", "md"), ("b_in", "m"), ("b_out", "d"))


def tensors_of(configuration: Configuration, n_layers: int) -> Iterator[tuple[str, str]]:
    """The names of a network's tensors, in the order of its hash, each with its axes."""
    weights = {"LN": ("w", "b"), "RMS": ("w",)}.get(configuration.normalization_type, ())
    yield from (("embed.W_E", "vd"), ("pos_embed.W_pos", "cd"))
    for layer in range(n_layers):
        block = f"blocks.{layer}"
        yield from ((f"{block}.ln1.{name}", "d") for name in weights)
        yield from ((f"{block}.attn.{name}", axes) for name, axes in _ATTENTION)
        if configuration.act_fn != "none":
            yield from ((f"{block}.ln2.{name}", "d") for name in weights)
            yield from ((f"{block}.mlp.{name}", axes) for name, axes in _MLP)
    yield from ((f"ln_final.{name}", "d") for name in weights)
    yield from (("unembed.W_U", "do"), ("unembed.b_U", "o"))


def is_bias(name: str) -> bool:
    """Whether a tensor may be left out together with all others of its kind, which are zero then."""
    return ".b_" in name


@dataclass(frozen=True, eq=False)
class Decoder:
    """Weights as float64 arrays, each holding exactly the number in the file, and a configuration.

    Raises InvalidModel unless the tensors are exactly those of the configuration and of `n_layers` layers, float32 or
    float64, finite, and of sizes that go together; and UnsuitableArithmetic where this thread does not compute as the
    proofs assume.
    """

    family: ClassVar[str] = "decoder"

    configuration: Configuration
    n_layers: int
    tensors: Mapping[str, FloatArray]

    def __post_init__(self) -> None:
        expected = dict(tensors_of(self.configuration, self.n_layers))
        _check_names(self.tensors, expected, self.configuration)
        kept = exact_weights({name: self.tensors.get(name) for name in expected}, expected, _AXES)
        if kept["unembed.b_U"].size < 2:
            raise InvalidModel("d_vocab_out is 1: with a single output there is no wrong answer to rule out")
        object.__setattr__(self, "tensors", MappingProxyType(kept))

    def weight(self, name: str) -> FloatArray:
        """The tensor of this name."""
        return self.tensors[name]

    def _size(self, name: str, axis: int) -> int:
        return int(self.tensors[name].shape[axis])

    d_vocab = property(lambda self: self._size("embed.W_E", 0))
    d_model = property(lambda self: self._size("embed.W_E", 1))
    n_ctx = property(lambda self: self._size("pos_embed.W_pos", 0))
    d_vocab_out = property(lambda self: self._size("unembed.W_U", 1))
    n_heads = property(lambda self: self._size("blocks.0.attn.W_Q", 0) if self.n_layers else 0)
    d_head = property(lambda self: self._size("blocks.0.attn.W_Q", 2) if self.n_layers else 0)
    d_mlp = property(lambda self: 0 if "blocks.0.mlp.W_in" not in self.tensors else self._size("blocks.0.mlp.W_in", 1))

    @cached_property
    def sha256(self) -> str:
        """Hash of the function: SHA-256 over the line "decoder", the configuration's record as JSON on a line (keys
        sorted, without spaces), then for each tensor in order a line of its name and sizes, in ASCII, and its entries
        row by row as little-endian float64, with zero always positive.
        """
        record = json.dumps(self.configuration.record, sort_keys=True, separators=(",", ":"))
        return hash_of(self.tensors, f"{self.family}\n{record}\n")

    @classmethod
    def from_bytes(cls, data: bytes, configuration: Configuration) -> Self:
        """The network in a safetensors file of these bytes, read with this configuration; its notes are not looked at.

        Raises ValueError with the reason.
        """
        tensors = without_buffers(read_tensors(data)[0])
        n_layers = count_layers(tensors)
        _check_names(tensors, dict(tensors_of(configuration, n_layers)), configuration)
        return cls(configuration, n_layers, float_arrays(tensors))


def count_layers(tensors: Mapping[str, Tensor | FloatArray]) -> int:
    """How many layers have tensors of these names: as many as there are different numbers of blocks."""
    layers = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    if not 1 <= layers <= MAX_LAYERS:
        raise InvalidModel(f"found {layers} layers, blocks.0 and so on; from 1 to {MAX_LAYERS} are supported")
    return layers


def _check_names(names: Mapping[str, object], expected: Mapping[str, str], configuration: Configuration) -> None:
    """InvalidModel unless these are the names that were expected, with all biases or none."""
    unknown = sorted(name for name in names if name not in expected)
    biased = any(is_bias(name) for name in names)
    missing = [name for name in expected if name not in names and (biased or not is_bias(name))]
    what = f"a decoder with normalization_type {configuration.normalization_type} and act_fn {configuration.act_fn}"
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise InvalidModel(f"found {shown(unknown[0])}{more}, which {what} does not have")
    if missing:
        raise InvalidModel(f"no tensor named {missing[0]}, which {what} has")
