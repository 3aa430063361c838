"""To and from TransformerLens: the same function, the same weights, and refusal of everything else."""

import inspect
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from compactproofs import InvalidModel, Model, load_model

transformer_lens = pytest.importorskip("transformer_lens", reason="needs the extra lens")
import torch  # noqa: E402

from compactproofs.lens import from_hooked_transformer, to_hooked_transformer  # noqa: E402

# TransformerLens 3 announces the end of HookedTransformer with every one that is made.
pytestmark = pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated:DeprecationWarning")

V, N, D, H = 7, 4, 6, 3


def hooked(**changes: Any) -> Any:
    """A HookedTransformer of the supported kind with random weights, but for these settings."""
    settings: dict[str, Any] = {
        "n_layers": 1,
        "n_heads": 1,
        "d_model": D,
        "d_head": H,
        "n_ctx": N,
        "d_vocab": V,
        "attn_only": True,
        "normalization_type": None,
        "device": "cpu",
        "init_weights": False,
    }
    model = transformer_lens.HookedTransformer(transformer_lens.HookedTransformerConfig(**settings | changes))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".b_" not in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def small(factor: float = 1.0) -> Model:
    """A model with random weights; with a factor like 1/3, float32 does not hold them."""
    generator = np.random.default_rng(0)
    shapes = {"W_E": (V, D), "W_pos": (N, D), "W_Q": (D, H), "W_K": (D, H), "W_V": (D, H), "W_O": (H, D), "W_U": (D, V)}
    return Model(**{n: generator.normal(size=s).astype(np.float32) * np.float64(factor) for n, s in shapes.items()})


def logits(model: Model, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The formula at the top of `compactproofs.model`, one input at a time: tokens (B, n) to logits (B, v)."""
    rows = []
    for x in tokens:
        query = model.W_E[x[-1]] + model.W_pos[-1]
        keys = model.W_E[x] + model.W_pos
        scores = keys @ (model.W_K @ (model.W_Q.T @ query)) / np.sqrt(model.d_head)
        attention = np.exp(scores - scores.max())
        attention /= attention.sum()
        rows.append(query @ model.W_U + attention @ keys @ model.W_V @ model.W_O @ model.W_U)
    return np.array(rows)


def assert_same_function(model: Model, other: Any) -> None:
    """Both give the same logits at the last position, up to the rounding of the HookedTransformer's type."""
    tokens = np.random.default_rng(1).integers(0, model.d_vocab, (50, model.n_ctx))
    with torch.no_grad():
        found = other(torch.from_numpy(tokens))[:, -1].double().numpy()
    expected = logits(model, tokens)
    tolerance = 1e-12 if other.cfg.dtype == torch.float64 else 1e-4
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_from_hooked_transformer(dtype: torch.dtype) -> None:
    """The model computes the same function, and going back gives the same state."""
    original = hooked(dtype=dtype)
    model = from_hooked_transformer(original)
    again = to_hooked_transformer(model)

    assert (model.d_vocab, model.n_ctx, model.d_model, model.d_head) == (V, N, D, H)
    assert_same_function(model, original)
    assert_same_function(model, again)
    assert from_hooked_transformer(again).sha256 == model.sha256
    assert original.state_dict().keys() == again.state_dict().keys()
    for name, tensor in original.state_dict().items():
        assert name.endswith("IGNORE") or torch.equal(tensor.double(), again.state_dict()[name].double())


@pytest.mark.parametrize("factor", [1.0, 1.0 / 3.0])
def test_to_hooked_transformer(factor: float) -> None:
    """Weights that float32 does not hold go to float64, so that nothing is rounded."""
    model = small(factor)
    other = to_hooked_transformer(model)

    assert other.cfg.dtype == (torch.float32 if factor == 1.0 else torch.float64)
    assert_same_function(model, other)
    assert from_hooked_transformer(other).sha256 == model.sha256


def test_zoo_model() -> None:
    """A trained model there and back, answering alike."""
    model = load_model("max-of-4/123")
    other = to_hooked_transformer(model)

    assert_same_function(model, other)
    assert from_hooked_transformer(other).sha256 == model.sha256


def test_nothing_is_shared_or_drawn() -> None:
    """Neither side sees later changes of the other, and no random numbers are used."""
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    other = to_hooked_transformer(small())
    model = from_hooked_transformer(other)
    with torch.no_grad():
        other.embed.W_E.zero_()

    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.sha256 == small().sha256


@pytest.mark.filterwarnings("default")
def test_no_deprecation_warning(recwarn: pytest.WarningsRecorder) -> None:
    """The warning that TransformerLens gives is about our choice, not the caller's."""
    to_hooked_transformer(small())
    assert not [warning for warning in recwarn if warning.category is DeprecationWarning]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"n_layers": 2}, "n_layers is 2; only n_layers = 1"),
        ({"n_heads": 2}, "n_heads is 2; only n_heads = 1"),
        ({"attn_only": False, "act_fn": "relu", "d_mlp": 8}, "attn_only is False"),
        ({"normalization_type": "LN"}, "normalization_type is 'LN'"),
        ({"normalization_type": "LNPre"}, "normalization_type is 'LNPre'"),
        ({"normalization_type": "RMS"}, "normalization_type is 'RMS'"),
        ({"normalization_type": "LNPre", "final_rms": True}, "normalization_type is 'LNPre'"),
        ({"final_rms": True}, "final_rms is True"),
        ({"post_embedding_ln": True}, "post_embedding_ln is True"),
        ({"positional_embedding_type": "rotary", "rotary_dim": 2}, "positional_embedding_type is 'rotary'"),
        ({"positional_embedding_type": "shortformer"}, "positional_embedding_type is 'shortformer'"),
        ({"positional_embedding_type": "alibi"}, "positional_embedding_type is 'alibi'"),
        ({"attention_dir": "bidirectional"}, "attention_dir is 'bidirectional'"),
        ({"use_attn_scale": False}, "use_attn_scale is False"),
        ({"attn_scale": 1.0}, "cfg.attn_scale is 1.0; only sqrt(d_head) = 1.732"),
        ({"use_local_attn": True, "window_size": 2, "attn_types": ["local"]}, "use_local_attn is True"),
        ({"attn_scores_soft_cap": 5.0}, "attn_scores_soft_cap is 5.0; soft caps"),
        ({"output_logits_soft_cap": 5.0}, "output_logits_soft_cap is 5.0; soft caps"),
        ({"use_qk_norm": True}, "use_qk_norm is True"),
        ({"clip_qkv": 1.0}, "clip_qkv is 1.0"),
        ({"use_attention_sinks": True}, "use_attention_sinks is True"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings is True"),
        ({"n_key_value_heads": 1}, "n_key_value_heads is 1"),
        ({"d_vocab_out": V + 1}, f"W_U has d_vocab = {V + 1}, but W_E has d_vocab = {V}"),
        ({"dtype": torch.float16}, "embed.W_E has type torch.float16; convert the model"),
        ({"dtype": torch.bfloat16}, "embed.W_E has type torch.bfloat16; convert the model"),
        ({"d_vocab": 1}, "d_vocab is 1"),
    ],
)
def test_other_settings(changes: dict[str, Any], found: str) -> None:
    """The setting is named, with what it is and what it would have to be."""
    known = inspect.signature(transformer_lens.HookedTransformerConfig).parameters
    if not changes.keys() <= known.keys():
        pytest.skip(f"this release of TransformerLens has no {', '.join(changes.keys() - known.keys())}")
    with pytest.raises(InvalidModel) as caught:
        from_hooked_transformer(hooked(**changes))
    assert found in str(caught.value)


def test_default_settings() -> None:
    """A model made without a thought about it has LayerNorm and MLPs."""
    cfg = transformer_lens.HookedTransformerConfig(
        n_layers=1, d_model=8, n_ctx=3, d_head=8, d_vocab=5, act_fn="relu", device="cpu"
    )
    with pytest.raises(InvalidModel, match=r"cfg\.attn_only is False; only attn_only = True is supported"):
        from_hooked_transformer(transformer_lens.HookedTransformer(cfg))


def test_scale_changed_in_the_layer() -> None:
    """The number that the layer divides by counts, not only the one in the configuration."""
    model = hooked()
    model.blocks[0].attn.attn_scale = 2.0
    with pytest.raises(InvalidModel, match=r"blocks\.0\.attn\.attn_scale is 2\.0; only sqrt"):
        from_hooked_transformer(model)


@pytest.mark.parametrize(
    "name", ["blocks.0.attn.b_Q", "blocks.0.attn.b_K", "blocks.0.attn.b_V", "blocks.0.attn.b_O", "unembed.b_U"]
)
def test_biases(name: str) -> None:
    """A bias that is not zero is refused."""
    model = hooked()
    with torch.no_grad():
        model.get_parameter(name).view(-1)[-1] = 1e-30
    with pytest.raises(InvalidModel, match=f"{name} is a non-zero bias"):
        from_hooked_transformer(model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_must_be_finite(value: float) -> None:
    """As for files."""
    model = hooked()
    with torch.no_grad():
        model.unembed.W_U[0, 0] = value
    with pytest.raises(InvalidModel, match="W_U contains NaN or infinity"):
        from_hooked_transformer(model)


def test_hooks() -> None:
    """A hook can change the logits, so a model with one is not its weights."""
    model = hooked()
    model.add_perma_hook("blocks.0.attn.hook_pattern", lambda pattern, hook: 0.0 * pattern)
    with pytest.raises(InvalidModel, match=r"blocks\.0\.attn\.hook_pattern has hooks.*reset_hooks"):
        from_hooked_transformer(model)
    model.reset_hooks(including_permanent=True)
    assert_same_function(from_hooked_transformer(model), model)


@pytest.mark.parametrize("other", [None, "max-of-4/123", {}, torch.nn.Linear(2, 2)])
def test_other_objects(other: object) -> None:
    """What is no HookedTransformer is named by its type."""
    with pytest.raises(InvalidModel, match=f"expected a HookedTransformer, found {type(other).__name__}"):
        from_hooked_transformer(other)
