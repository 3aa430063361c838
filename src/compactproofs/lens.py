"""To and from TransformerLens's `HookedTransformer`; comes with the extra `lens`.

A state dict does not say how its weights are used: a model whose LayerNorm has been folded, or whose attention is
scaled or clipped, has the same tensors as a plain one.  So convert a live model here, where its configuration is
checked, rather than saving its state dict.  Nothing here is trusted: a certificate is about the weights of the `Model`.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

try:
    import torch
    from transformer_lens import HookedTransformer, HookedTransformerConfig
except ModuleNotFoundError as error:
    if error.name not in ("torch", "transformer_lens"):
        raise
    raise ImportError(
        'models of TransformerLens need transformer-lens, which is not installed: pip install "compactproofs[lens]"'
    ) from error

from compactproofs.model import InvalidModel, Model

__all__ = ["from_hooked_transformer", "to_hooked_transformer"]

# What each setting must be for the model to compute what `Model` does.  A setting that this version of TransformerLens
# does not have cannot be wrong.
_REQUIRED: dict[str, object] = {
    "n_layers": 1,
    "n_heads": 1,
    "attn_only": True,
    "normalization_type": None,
    "final_rms": False,
    "post_embedding_ln": False,
    "use_normalization_before_and_after": False,
    "positional_embedding_type": "standard",
    "attention_dir": "causal",
    "use_attn_scale": True,
    "use_local_attn": False,
    "use_qk_norm": False,
    "use_attention_sinks": False,
    "use_logn_attn": False,
    "clip_qkv": None,
    "n_key_value_heads": None,
    "tie_word_embeddings": False,
    "load_in_4bit": False,
    "original_architecture": None,
}
_CAPS = ("attn_scores_soft_cap", "output_logits_soft_cap")
_FLOATS = (torch.float32, torch.float64)


def from_hooked_transformer(model: HookedTransformer) -> Model:
    """The weights of a one-layer, one-head, attention-only HookedTransformer, exactly.

    Biases must be zero, and no hooks may be attached, since they can change what the model computes.  Raises
    InvalidModel, which names the setting or tensor, for everything that a `Model` does not have.
    """
    if not isinstance(model, HookedTransformer):
        raise InvalidModel(f"expected a HookedTransformer, found {type(model).__name__}")
    cfg = model.cfg
    for name, required in _REQUIRED.items():
        found = getattr(cfg, name, required)
        if found != required:
            raise InvalidModel(f"cfg.{name} is {found!r}; only {name} = {required!r} is supported")
    for name in _CAPS:
        if getattr(cfg, name, -1.0) > 0:
            raise InvalidModel(f"cfg.{name} is {getattr(cfg, name)!r}; soft caps are not supported (-1.0 is none)")
    scale = float(model.blocks[0].attn.attn_scale)
    for source, value in (("cfg.attn_scale", float(cfg.attn_scale)), ("blocks.0.attn.attn_scale", scale)):
        if value != math.sqrt(cfg.d_head):
            raise InvalidModel(
                f"{source} is {value!r}; only sqrt(d_head) = {math.sqrt(cfg.d_head)!r} is supported "
                "(rescale W_Q and use that)"
            )
    hooked = sorted(name for name, point in model.hook_dict.items() if point.has_hooks(dir="fwd"))
    if hooked:
        raise InvalidModel(
            f"{', '.join(hooked)} has hooks, which may change the logits; "
            "call model.reset_hooks(including_permanent=True) first"
        )
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.dtype not in _FLOATS:
            raise InvalidModel(f"{name} has type {tensor.dtype}; convert the model with model.to(torch.float32) first")
        tensors[name] = tensor.detach().cpu().numpy()
    return Model.from_state_dict(tensors)


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
