"""To and from TransformerLens's `HookedTransformer`; comes with the extra `lens`.

A state dict does not say how its weights are used: a model whose LayerNorm has been folded, or whose attention is
scaled or clipped, has the same tensors as a plain one.  So convert a live model here, where its configuration is
checked and its logits are compared with those of its weights, or save it here, with its configuration.  Nothing here is
trusted: a certificate is about the weights of the `Model`, `ManyHeads` or `Decoder`.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    import safetensors.numpy
    import torch
    from transformer_lens import HookedTransformer, HookedTransformerConfig
except ModuleNotFoundError as error:
    if error.name not in ("safetensors", "torch", "transformer_lens"):
        raise
    raise ImportError(
        'live models need transformer-lens, PyTorch and safetensors: pip install "compactproofs[lens]"'
    ) from error

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.strict import shown
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.decoder import model as decoder
from compactproofs.networks.decoder.forward import uncapped_logits
from compactproofs.networks.weights import InvalidModel, without_buffers
from compactproofs.opening.configuration import KEY, as_text, of_decoder, unsupported
from compactproofs.opening.forward import logits_within, some_inputs
from compactproofs.opening.models import Decoder, Model
from compactproofs.system.files import write_atomically

__all__ = ["from_hooked_transformer", "save", "to_hooked_transformer"]

_FLOATS = (torch.float32, torch.float64)
_COMPARED = 512  # inputs, unless that takes more than about so many operations
_OPERATIONS = 2**32
_FEWEST = 8
_COMPARED_DECODERS = 32
_RADII = 8.0  # that a live decoder may be off
_CALL_ENTRIES = 2**22  # of the live model's largest array in one call


def from_hooked_transformer(model: HookedTransformer) -> Model | ManyHeads | Decoder:
    """The weights of a HookedTransformer, exactly: a `Model` or `ManyHeads` if that has all of it, else a `Decoder`.

    No hooks may be attached to its hook points.  The live model's logits on some inputs, in evaluation mode, must be
    those of the weights up to rounding, so that a replaced `forward`, a hook of PyTorch or a changed buffer is seen if
    it changes them; the model is left as it was.  Raises InvalidModel, which names the setting, tensor or input, for
    everything that neither has.
    """
    if not isinstance(model, HookedTransformer):
        raise InvalidModel(f"expected a HookedTransformer, found {type(model).__name__}")
    hooked = sorted(name for name, point in model.hook_dict.items() if point.has_hooks(dir="fwd"))
    if hooked:
        raise InvalidModel(
            f"{', '.join(hooked)} has hooks, which may change the logits; "
            "call model.reset_hooks(including_permanent=True) first"
        )
    tensors, settings = _tensors(model), _settings(model)
    attention_only = unsupported(settings, model.cfg) is None
    if attention_only and model.cfg.n_heads == 1:
        converted = Model.from_state_dict(tensors)
        _compare(model, converted)
        return converted
    try:
        read_as, _ = of_decoder(settings, {name: tensor.shape for name, tensor in tensors.items()})
        weights = without_buffers(tensors)
        network = Decoder(read_as, len(model.blocks), weights)
    except ValueError as error:
        raise InvalidModel(f"cfg: {error}") from error
    _compare_decoder(model, network)
    if attention_only:
        with contextlib.suppress(InvalidModel):  # for biases
            return ManyHeads.from_state_dict(weights)
    return network


def save(model: HookedTransformer, path: str | Path) -> None:
    """Write a model's state dict and its configuration to a safetensors file, atomically.

    The model is checked as by `from_hooked_transformer`.  The settings stand in the file's metadata, as
    `compactproofs.opening.configuration` says, and whoever loads the file here has them checked.
    """
    from_hooked_transformer(model)
    write_atomically(Path(path), safetensors.numpy.save(_tensors(model), {KEY: as_text(_settings(model))}))


def _settings(model: HookedTransformer) -> dict[str, Any]:
    """The configuration as plain values."""
    return {name: _plain(value) for name, value in vars(model.cfg).items()}


def _plain(value: object) -> Any:
    """A setting as JSON can hold it; what is no number, text or list becomes its text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _tensors(model: HookedTransformer) -> dict[str, npt.NDArray[Any]]:
    """The state dict."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.dtype not in _FLOATS:
            raise InvalidModel(f"{name} has type {tensor.dtype}; convert the model with model.to(torch.float32) first")
        tensors[name] = tensor.detach().cpu().numpy()
    return tensors


def _compare(live: HookedTransformer, model: Model) -> None:
    """Refuse a live model whose logits at the last position are not those of the weights."""
    entries = model.n_ctx * max(model.n_ctx, model.d_vocab, model.d_model, model.d_head)  # for one input
    number = min(_COMPARED, max(_FEWEST, _OPERATIONS // (entries * max(model.d_model, 64))))
    tokens = some_inputs(model, number, np.random.default_rng(0))
    found = _live_logits(live, model.d_vocab, tokens, max(1, _CALL_ENTRIES // entries))
    exact = all(parameter.dtype == torch.float64 for parameter in live.parameters())
    dtype = np.float64 if exact else np.float32
    expected, within = logits_within(model, tokens, dtype)
    difference = abs(found - expected)
    wrong = ~(difference <= within) | ~np.isfinite(found)  # also where one is not a number
    if wrong.any():
        difference[np.isnan(difference)] = np.inf
        i, o = np.unravel_index(np.where(wrong, difference, -1.0).argmax(), wrong.shape)
        raise InvalidModel(
            f"the live model does not compute what its weights say: for the input {shown(str(tokens[i].tolist()))} its "
            f"logit {o} is {found[i, o]:.9g}, but a one-layer attention-only model with these weights has "
            f"{expected[i, o]:.9g}, and rounding explains at most {within[i, o]:.2g}; look for a replaced forward or "
            f"module, hooks of PyTorch, changed attributes, and numbers beyond {dtype.__name__}"
        )


def _compare_decoder(live: HookedTransformer, network: Decoder) -> None:
    """Refuse a live model that does not compute what a decoder does, at some positions of some sequences.

    A copy of it computes in float64, and may be off by some of the radii of enclosures: these bound what any
    evaluation of the same operations in float64 errs by.
    """
    try:
        exact = torch.nn.Module.to(copy.deepcopy(live), torch.float64)
        exact.cfg.dtype = torch.float64  # layers convert to it
    except Exception as error:
        raise InvalidModel(
            f"the live model cannot be copied: {type(error).__name__}: {shown(str(error), 200)}"
        ) from error
    work: Workspace[decoder.Decoder, None] = Workspace(Problem(network, None))
    rng = np.random.default_rng(0)
    cap = network.configuration.output_logits_soft_cap
    for length in {network.n_ctx, (network.n_ctx + 1) // 2}:
        tokens = rng.integers(0, network.d_vocab, (_COMPARED_DECODERS, length))
        found = _live_logits(exact, network.d_vocab_out, tokens, _COMPARED_DECODERS, every=True)
        for at in sorted({0, length // 2, length - 1}):
            logits: Any = uncapped_logits(work, tokens, at)
            expected = cap * np.tanh(logits.mid / cap) if cap else logits.mid
            within = _RADII * (logits.rad + 2.0**-50 * abs(expected))
            wrong = ~(abs(found[:, at] - expected) <= within)
            if wrong.any():
                i, o = np.argwhere(wrong)[0]
                raise InvalidModel(
                    f"the live model does not compute what its weights and settings say: for the input "
                    f"{shown(str(tokens[i].tolist()))} its logit {o} at position {at} is {found[i, at, o]:.9g}, but a "
                    f"decoder with these has {expected[i, o]:.9g}, and rounding explains at most {within[i, o]:.2g}; "
                    "look for a replaced forward or module, hooks of PyTorch, and changed attributes"
                )


def _live_logits(
    live: HookedTransformer, outputs: int, tokens: IntArray, step: int, *, every: bool = False
) -> FloatArray:
    """What the live model answers at the last position, shape (N, n) to (N, v), in calls with `step` inputs each.

    With `every` at all positions, (N, n, v).
    """
    found = []
    with _evaluating(live):
        for start in range(0, len(tokens), step):
            some = torch.tensor(tokens[start : start + step], device=next(live.parameters()).device)
            try:
                logits = live(some)
                if logits.shape != (*some.shape, outputs):
                    raise ValueError(f"its logits have shape {tuple(logits.shape)}")
                found.append((logits if every else logits[:, -1]).double().cpu().numpy())
            except Exception as error:
                raise InvalidModel(
                    f"the live model cannot be called with tokens of shape {tuple(some.shape)}: "
                    f"{type(error).__name__}: {shown(str(error), 200)}"
                ) from error
    return np.concatenate(found)


@contextlib.contextmanager
def _evaluating(model: HookedTransformer) -> Iterator[None]:
    """Evaluation mode without gradients and lower precision; afterwards all is as before, random numbers too."""
    training = {module: module.training for module in model.modules()}
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    precision = torch.get_float32_matmul_precision()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng([device for device in devices if device.type == "cuda"]))
        for kind in {device.type for device in devices}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        try:
            if precision != "highest":
                torch.set_float32_matmul_precision("highest")
            for module in training:
                module.training = False
            yield
        finally:
            if precision != "highest":
                torch.set_float32_matmul_precision(precision)
            for module, mode in training.items():
                module.training = mode


def to_hooked_transformer(model: Model) -> HookedTransformer:
    """A HookedTransformer on the CPU with exactly these weights: float32 if that holds them, else float64.

    Its logits at the last position are the model's, up to rounding.
    """
    try:
        tensors, dtype = model.state_dict(np.float32), torch.float32
    except ValueError:
        tensors, dtype = model.state_dict(np.float64), torch.float64
    cfg = HookedTransformerConfig(
        n_layers=1,
        n_heads=1,
        d_model=model.d_model,
        d_head=model.d_head,
        n_ctx=model.n_ctx,
        d_vocab=model.d_vocab,
        attn_only=True,
        normalization_type=None,
        init_weights=False,
        device="cpu",
        dtype=dtype,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TransformerLens 3 announces 4, which the extra excludes.
        hooked = HookedTransformer(cfg)
    state: dict[str, Any] = dict(hooked.state_dict())
    state |= {name: torch.from_numpy(array) for name, array in tensors.items()}
    hooked.load_state_dict(state)
    return hooked
