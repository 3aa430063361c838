"""How a TransformerLens model uses its weights: the settings that decide it, and those that this package supports.

A state dict does not say how its weights are used: a model whose LayerNorm has been folded, or whose attention is
scaled or clipped, has the same tensors as a plain one.  A live model has its settings in `cfg`; a file can carry them
as text under `KEY` in its metadata.  Both are held against the one table here.  Not trusted: a certificate is about
weights, and a wrong setting let through means that these are not used as the certificate says.

The text is a JSON object from names of settings to null, true, false, integers, strings and lists of these.  Floats are
strings that Python's `float` reads, as `repr` writes them, so that nothing is rounded on the way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compactproofs.kernel.strict import shown, strict_json
from compactproofs.kernel.tensors import read_tensors
from compactproofs.networks.decoder.model import Configuration
from compactproofs.opening.models import MAX_FILE_BYTES
from compactproofs.system.files import read_limited

__all__ = [
    "KEY",
    "as_settings",
    "as_text",
    "check",
    "from_text",
    "of_bytes",
    "of_decoder",
    "of_file",
    "unknown",
    "unsaid",
    "unsupported",
]

KEY = "transformer_lens_config"

# What each setting may be in any family.
_ANYWHERE: dict[str, tuple[object, ...]] = {
    "final_rms": (False,),
    "post_embedding_ln": (False,),
    "use_normalization_before_and_after": (False,),
    "positional_embedding_type": ("standard",),
    "attention_dir": ("causal", "bidirectional"),  # nothing comes after the last position
    "use_local_attn": (False,),
    "use_qk_norm": (False,),
    "use_attention_sinks": (False,),
    "use_logn_attn": (False,),
    "clip_qkv": (None,),
    "n_key_value_heads": (None,),
    "tie_word_embeddings": (False,),
    "load_in_4bit": (False,),
    "original_architecture": (None,),
}
# And for the model to compute at the last position what `Model` does.
_SUPPORTED: dict[str, tuple[object, ...]] = {
    "n_layers": (1,),
    "n_heads": (1,),
    "attn_only": (True,),
    "normalization_type": (None,),
    "use_attn_scale": (True,),
    **_ANYWHERE,
}
_OF_DECODERS: dict[str, tuple[object, ...]] = {
    **_ANYWHERE,
    "gated_mlp": (False,),
    "num_experts": (None,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "attention_dir": ("causal", "bidirectional"),
}
_OF_PAIR_SUMS: dict[str, tuple[object, ...]] = {
    **_ANYWHERE,
    "n_layers": (1,),
    "attn_only": (False,),
    "act_fn": ("relu",),
    "normalization_type": (None,),
    "gated_mlp": (False,),
    "num_experts": (None,),
    "parallel_attn_mlp": (False,),
}
_CAPS = ("attn_scores_soft_cap", "output_logits_soft_cap")  # none if not positive
_SCALE = "attn_scale"
_SIZES = ("d_vocab", "n_ctx", "d_model", "d_head")

# Settings whose other values leave no trace in the tensors, and what they would mean.
_HIDDEN = {
    "normalization_type": "LayerNorm or RMSNorm without weights (LNPre, RMSPre)",
    "positional_embedding_type": "positions for queries and keys only (shortformer)",
    "use_attn_scale": "scores without a scale",
    _SCALE: "scores with another scale than sqrt(d_head)",
    "attn_scores_soft_cap": "capped scores",
    "output_logits_soft_cap": "capped logits",
    "clip_qkv": "clipped queries, keys and values",
    "use_local_attn": "attention to the nearest positions only",
    "use_logn_attn": "scores that grow with the length",
}

# Settings that cannot change the logits of a supported model: how it was made, where it runs, what is recorded, what
# belongs to parts that it does not have, and text.
_IRRELEVANT = """
model_name tokenizer_name init_mode init_weights initializer_range seed n_params dtype device n_devices
from_checkpoint checkpoint_index checkpoint_label_type checkpoint_value trust_remote_code quantization_method
use_attn_result use_attn_in use_split_qkv_input use_hook_mlp_in use_hook_tokens ungroup_grouped_query_attention
d_mlp act_fn eps gated_mlp uses_rms_norm layer_norm_folding parallel_attn_mlp num_experts experts_per_token
norm_topk_prob window_size attn_types scale_attn_by_inverse_layer_idx train_seq_length use_dynamic_ntk_rope
rotary_dim rotary_base rotary_base_local rotary_scaling_factor rotary_adjacent_pairs use_NTK_by_parts_rope
NTK_by_parts_low_freq_factor NTK_by_parts_high_freq_factor NTK_by_parts_factor NTK_original_ctx_len
use_yarn_rope yarn_factor yarn_attention_factor yarn_beta_fast yarn_beta_slow
yarn_original_max_position_embeddings yarn_truncate yarn_global_attn_only
relative_attention_max_distance relative_attention_num_buckets decoder_start_token_id
default_prepend_bos tokenizer_prepends_bos
"""


def unsupported(settings: Mapping[str, Any], sizes: Any) -> str | None:
    """Why a model with these settings is not supported, starting with the name of one; None if it is.

    A setting that is not there is not looked at: releases of TransformerLens differ.  `sizes`: a model or anything else
    that has the sizes of the tensors as `d_vocab`, `n_ctx`, `d_model` and `d_head`, and `n_heads` if not 1.
    """
    reason = _not_among({**_SUPPORTED, "n_heads": (getattr(sizes, "n_heads", 1),)}, settings)
    if reason is not None:
        return reason
    for name in _CAPS:
        cap = settings.get(name)
        if cap is not None and not _number(cap) <= 0:
            return f"{name} is {_shown(cap)}; soft caps are not supported (-1.0 is none)"
    root = math.sqrt(sizes.d_head)
    if _SCALE in settings and _number(settings[_SCALE]) != root:
        return f"{_only(_SCALE, settings[_SCALE], f'sqrt(d_head) = {root!r}')} (rescale W_Q and use that)"
    for name in _SIZES:
        size = getattr(sizes, name)
        if settings.get(name, size) != size:
            return f"{name} is {_shown(settings[name])}, but the tensors have {name} = {size}"
    outputs = settings.get("d_vocab_out", sizes.d_vocab)
    if outputs != sizes.d_vocab:
        return _only("d_vocab_out", outputs, f"d_vocab_out = d_vocab = {sizes.d_vocab}")
    return None


def no_pair_sum(settings: Mapping[str, Any]) -> str | None:
    """Why a model with these settings is no pair sum, whatever its attention pays to each position; None if it is."""
    reason = _not_among(_OF_PAIR_SUMS, settings)
    cap = settings.get("output_logits_soft_cap")
    if reason is None and cap is not None and not _number(cap) <= 0:
        return f"output_logits_soft_cap is {_shown(cap)}; soft caps are not supported (-1.0 is none)"
    return reason


def _not_among(table: Mapping[str, tuple[object, ...]], settings: Mapping[str, Any]) -> str | None:
    for name, allowed in table.items():
        found = settings.get(name, allowed[0])
        if not any(type(found) is type(value) and found == value for value in allowed):
            return _only(name, found, " or ".join(f"{name} = {value!r}" for value in allowed))
    return None


def of_decoder(
    settings: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Configuration, dict[str, object]]:
    """How a decoder with tensors of these shapes uses them, and what was assumed of it, since no setting says it.

    What is assumed are TransformerLens's defaults.  Raises ValueError if a setting is not supported.
    """
    reason = _not_among(_OF_DECODERS, settings)
    if reason is not None:
        raise ValueError(reason)
    assumed: dict[str, object] = {}

    def said(name: str, default: object) -> Any:
        if name not in settings:
            assumed[name] = default
        return settings.get(name, default)

    def number(name: str, found: object) -> float:
        if math.isnan(_number(found)):
            raise ValueError(f"{name} is {_shown(found)}; expected a number")
        return _number(found) + 0.0

    for name in ("use_attn_scale", "attn_only", "parallel_attn_mlp"):
        if not isinstance(settings.get(name, False), bool | None):
            raise ValueError(f"{name} is {_shown(settings[name])}; expected true or false")
    scaled = said("use_attn_scale", True)
    root = math.sqrt(next((shape[-1] for name, shape in shapes.items() if name.endswith(".attn.W_Q") and shape), 1))
    scale = number(_SCALE, settings.get(_SCALE, -1.0))
    weights = {name.rpartition(".")[2] for name in shapes if name.startswith("ln_final.")}
    kind = said("normalization_type", "LN" if "b" in weights else "RMS" if weights else None)
    has_mlp = settings.get("attn_only", not any(".mlp." in name for name in shapes)) is False
    caps = {name: cap if (cap := number(name, settings.get(name) or 0)) > 0 else 0.0 for name in _CAPS}
    return Configuration(
        attn_scale=1.0 if not scaled else root if scale == -1.0 else scale,
        eps=0.0 if kind is None else number("eps", said("eps", 1e-5)),
        normalization_type="none" if kind is None else kind,
        act_fn=said("act_fn", "relu") if has_mlp else "none",
        attention_dir=said("attention_dir", "causal"),
        parallel_attn_mlp="yes" if has_mlp and settings.get("parallel_attn_mlp") else "no",
        **caps,
    ), assumed


def as_settings(configuration: Configuration) -> dict[str, Any]:
    """Settings that `of_decoder` reads as this."""
    record: dict[str, Any] = configuration.record
    return {
        **record,
        "normalization_type": None if record["normalization_type"] == "none" else record["normalization_type"],
        "attn_only": record["act_fn"] == "none",
        "use_attn_scale": True,
        "parallel_attn_mlp": record["parallel_attn_mlp"] == "yes",
    }


def unsaid(settings: Mapping[str, Any]) -> list[str]:
    """What a model may do of which neither tensors nor these settings say anything, in words."""
    return [words for name, words in _HIDDEN.items() if name not in settings]


def unknown(settings: Mapping[str, Any]) -> list[str]:
    """The settings of which nothing is known here, so that they may mean anything."""
    known = {*_SUPPORTED, *_OF_DECODERS, *_CAPS, _SCALE, *_SIZES, "d_vocab_out", *_IRRELEVANT.split()}
    return sorted(name for name in settings if name not in known)


def as_text(settings: Mapping[str, Any]) -> str:
    """Plain settings as the text that a file carries under `KEY`."""
    return json.dumps({name: _without_floats(value) for name, value in settings.items()}, sort_keys=True)


def from_text(text: str) -> dict[str, Any]:
    """The settings in a text that anybody may have written, floats still as text.

    Raises ValueError with what is wrong.
    """
    try:
        settings = strict_json(text.encode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise ValueError(f"the metadata {KEY}: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"the metadata {KEY} is no JSON object")
    return settings


def of_file(path: Path) -> dict[str, Any] | None:
    """The settings that a safetensors file carries, None if it carries none; only a regular file is looked into.

    Raises ValueError with what is wrong with them, and OSError if the file cannot be read.
    """
    return of_bytes(read_limited(path, MAX_FILE_BYTES)) if path.is_file() else None


def of_bytes(data: bytes) -> dict[str, Any] | None:
    """The settings that a safetensors file of these bytes carries, or None; raises ValueError likewise."""
    text = read_tensors(data)[1].get(KEY)
    return None if text is None else from_text(text)


def check(data: bytes, sizes: Any) -> None:
    """Raise ValueError, with the reason, if a file of these bytes carries settings and they are not supported.

    `sizes`: as for `unsupported`.
    """
    reason = unsupported(of_bytes(data) or {}, sizes)
    if reason is not None:
        raise ValueError(f"in the metadata {KEY}, {reason}")


def _without_floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_floats(item) for item in value]
    return repr(float(value)) if isinstance(value, float) else value


def _number(value: object) -> float:
    """A setting as a float; NaN if it is neither a number nor the text of one."""
    try:
        return math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _only(name: str, found: object, supported: str) -> str:
    return f"{name} is {_shown(found)}; only {supported} is supported"


def _shown(value: object) -> str:
    """A setting as a message can hold it; the text of a number like the number."""
    number = _number(value)
    return shown(repr(value) if math.isnan(number) or not isinstance(value, str) else repr(number))
