"""To and from TransformerLens: the same function, the same weights, and refusal of everything else."""

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from compactproofs import InvalidModel, Model, certify, load_model, verify
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.decoder.forward import uncapped_logits
from compactproofs.networks.decoder.model import Decoder
from compactproofs.opening import notes
from compactproofs.opening.configuration import of_file, unknown, unsaid
from compactproofs.opening.forward import logits_within
from compactproofs.opening.networks import File

transformer_lens = pytest.importorskip("transformer_lens", reason="needs the extra lens")
import torch  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

from compactproofs.lens import from_hooked_transformer, save, to_hooked_transformer  # noqa: E402

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
    """The formula of `networks.attention_only.model`, one input at a time: tokens (B, n) to logits (B, v)."""
    rows = []
    for x in tokens:
        query = model.W_E[x[-1]] + model.W_pos[-1]
        keys = model.W_E[x] + model.W_pos
        scores = (keys @ model.W_K + model.b_K) @ (model.W_Q.T @ query + model.b_Q) / np.sqrt(model.d_head)
        attention = np.exp(scores - scores.max())
        attention /= attention.sum()
        head = attention @ (keys @ model.W_V + model.b_V) @ model.W_O + model.b_O
        rows.append((query + head) @ model.W_U + model.b_U)
    return np.array(rows)


def assert_same_function(model: object, other: Any) -> None:
    """Both give the same logits at the last position, up to the rounding of the HookedTransformer's type."""
    assert isinstance(model, Model)
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
    assert isinstance(model, Model)
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


def test_certify() -> None:
    """A live model is certified like its weights, after the same comparison."""
    live = hooked(d_vocab=6, n_ctx=3)
    found = certify(live)
    assert verify(found.certificate, from_hooked_transformer(live)).accepted
    assert found.exact
    live.add_hook("hook_embed", lambda value, hook: 0.0 * value)
    with pytest.raises(InvalidModel, match="has hooks"):
        certify(live)


@pytest.mark.parametrize("how", ["live", "file", "saved"])
@pytest.mark.parametrize(
    ("name", "options", "right"),
    [
        ("biases", {}, 1000),
        ("argmax", {"task": "argmax"}, 975),
        ("bos", {"prefix": [10]}, 999),
        ("two_heads", {}, 973),
        ("min", {"task": "min"}, 999),
        ("mlp", {}, 999),
        ("ln", {}, 992),
    ],
)
def test_cases(name: str, options: dict[str, Any], right: int, how: str, tmp_path: Path) -> None:
    """Trained models from elsewhere are certified to the last input, as a file, live, and saved from what is live."""
    (path,) = (Path(__file__).parent / "cases").glob(f"{name}*_v10.safetensors")
    model: Any = path
    if how != "file":
        tensors = load_file(path)
        (heads, d_model, d_head), (n_ctx, _) = tensors["blocks.0.attn.W_Q"].shape, tensors["pos_embed.W_pos"].shape
        sizes = {"n_heads": heads, "d_model": d_model, "d_head": d_head, "n_ctx": n_ctx}
        sizes |= {"d_vocab": len(tensors["embed.W_E"]), "d_vocab_out": tensors["unembed.W_U"].shape[1]}
        kind: dict[str, dict[str, Any]] = {
            "mlp": {"attn_only": False, "act_fn": "relu", "d_mlp": 128},
            "ln": {"normalization_type": "LN"},
        }
        model = hooked(**sizes, **kind.get(name, {}))
        model.load_state_dict({key: torch.from_numpy(tensors[key]) for key in tensors}, strict=False)
    if how == "saved":
        live, model = model, tmp_path / "saved.safetensors"
        save(live, model)
    found = certify(model, **options)
    assert (found.exact, found.certificate.certified, found.certificate.total) == (True, right, 1000)
    assert verify(found.certificate, found.network).accepted


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
        ({"normalization_type": "LNPre", "final_rms": True}, "final_rms is True"),
        ({"post_embedding_ln": True}, "post_embedding_ln is True"),
        ({"positional_embedding_type": "rotary", "rotary_dim": 2}, "positional_embedding_type is 'rotary'"),
        ({"positional_embedding_type": "shortformer"}, "positional_embedding_type is 'shortformer'"),
        ({"positional_embedding_type": "alibi"}, "positional_embedding_type is 'alibi'"),
        ({"use_local_attn": True, "window_size": 2, "attn_types": ["local"]}, "use_local_attn is True"),
        ({"use_qk_norm": True}, "use_qk_norm is True"),
        ({"clip_qkv": 1.0}, "clip_qkv is 1.0"),
        ({"use_attention_sinks": True}, "use_attention_sinks is True"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings is True"),
        ({"n_key_value_heads": 1}, "n_key_value_heads is 1"),
        ({"scale_attn_by_inverse_layer_idx": True, "n_layers": 2}, "scale_attn_by_inverse_layer_idx is True"),
        ({"attn_only": False, "act_fn": "solu", "d_mlp": 8}, "act_fn is solu"),
        ({"attn_only": False, "act_fn": "relu", "d_mlp": 8, "gated_mlp": True}, "gated_mlp is True"),
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


def test_scale_changed_in_the_layer() -> None:
    """The number that the layer divides by counts, not only the one in the configuration."""
    model = hooked()
    model.blocks[0].attn.attn_scale = 2.0
    with pytest.raises(InvalidModel, match="the live model does not compute what its weights say"):
        from_hooked_transformer(model)


# Decoders

MLP = {"attn_only": False, "d_mlp": 8}
DECODERS: list[dict[str, Any]] = [
    {"n_layers": 2, "n_heads": 3},
    {"normalization_type": "LN", "n_layers": 2},
    {"normalization_type": "LNPre", "eps": 1e-3},
    {"normalization_type": "RMS", "attention_dir": "bidirectional", "n_layers": 2},
    {"normalization_type": "RMSPre"},
    {"use_attn_scale": False},
    {"attn_scale": 1.0, "n_heads": 2},
    {"attn_scores_soft_cap": 1.5, "output_logits_soft_cap": 2.0},
    {"d_vocab_out": V + 1},
    {"d_vocab_out": V - 2, "dtype": torch.float64},
    *({"act_fn": name, **MLP} for name in ("relu", "silu", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh")),
    {"act_fn": "gelu", "normalization_type": "LN", "n_layers": 2, "n_heads": 2, **MLP},
    {"act_fn": "relu", "normalization_type": "LNPre", "parallel_attn_mlp": True, "n_layers": 2, **MLP},
]


def biased(**changes: Any) -> Any:
    """A HookedTransformer with random weights and biases."""
    model = hooked(**changes)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".b" in name or name.endswith(".w"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("changes", DECODERS, ids=str)
def test_decoders(changes: dict[str, Any], tmp_path: Path) -> None:
    """What is no attention-only model is a decoder that computes the same, and so is its file."""
    path, model = tmp_path / "m.safetensors", biased(**changes)
    found = from_hooked_transformer(model)
    assert isinstance(found, Decoder)
    save(model, path)
    network, assumed = File(path).decoder()
    assert (network.sha256, assumed) == (found.sha256, {})
    work: Workspace[Decoder, Any] = Workspace(Problem(network, None))
    tokens = np.random.default_rng(1).integers(0, V, (20, N))
    with torch.no_grad():
        live = model(torch.from_numpy(tokens)).double().numpy()
    cap = network.configuration.output_logits_soft_cap
    for at in range(N):
        logits: Any = uncapped_logits(work, tokens, at)
        expected = cap * np.tanh(logits.mid / cap) if cap else logits.mid
        tolerance = 1e-9 if model.cfg.dtype == torch.float64 else 1e-3
        np.testing.assert_allclose(live[:, at], expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.blocks[0].attn, "attn_scale", 2.0),
        lambda model: setattr(model.blocks[1].ln1, "eps", 0.1),
        lambda model: setattr(model.blocks[1].mlp, "act_fn", torch.tanh),
        lambda model: setattr(model.ln_final, "forward", lambda x: x),
        lambda model: model.blocks[0].mlp.register_forward_hook(lambda *args: 1.001 * args[2]),
    ],
)
def test_decoders_that_are_something_else(change: Callable[[Any], Any]) -> None:
    """Are seen by their logits."""
    model = biased(act_fn="gelu", normalization_type="LN", n_layers=2, n_heads=2, **MLP)
    from_hooked_transformer(model)
    change(model)
    with pytest.raises(InvalidModel, match="the live model does not compute"):
        from_hooked_transformer(model)


def test_default_settings() -> None:
    """A model made without a thought about it has LayerNorm and MLPs."""
    cfg = transformer_lens.HookedTransformerConfig(
        n_layers=1, d_model=8, n_ctx=3, d_head=8, d_vocab=5, act_fn="relu", device="cpu"
    )
    found = from_hooked_transformer(transformer_lens.HookedTransformer(cfg))
    assert isinstance(found, Decoder)
    assert (found.configuration.normalization_type, found.configuration.act_fn) == ("LN", "relu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_biases(dtype: torch.dtype, tmp_path: Path) -> None:
    """They are read, there and back and through a file, and the function is the same."""
    original = biased(dtype=dtype)
    model = from_hooked_transformer(original)
    assert isinstance(model, Model)
    assert model.biases == ("b_Q", "b_K", "b_V", "b_O", "b_U")
    assert_same_function(model, original)
    assert_same_function(model, to_hooked_transformer(model))
    assert from_hooked_transformer(to_hooked_transformer(model)).sha256 == model.sha256
    save(original, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").sha256 == model.sha256


@pytest.mark.parametrize("name", ["blocks.0.attn.b_Q", "blocks.0.attn.b_V", "blocks.0.attn.b_O", "unembed.b_U"])
def test_other_biases_than_the_live_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live model that computes with another bias than its state dict says is found out."""
    model = biased()
    state = model.state_dict()
    state[name] = state[name] + 0.1 * torch.randn(state[name].shape)
    monkeypatch.setattr(model, "state_dict", lambda: state)
    with pytest.raises(InvalidModel, match="the live model does not compute what its weights say"):
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


# What the live model computes


def trained() -> Any:
    """A trained model, live."""
    return to_hooked_transformer(load_model("max-of-4/123"))


def scaled(factor: float, output: int | None = None) -> Callable[..., torch.Tensor]:
    """A hook of PyTorch that changes all logits, or those of one output, by a factor."""

    def hook(module: Any, args: Any, logits: torch.Tensor) -> torch.Tensor:
        changed = logits.clone()
        changed[..., slice(None) if output is None else output] *= factor
        return changed

    return hook


def other_class(model: Any) -> None:
    """The same object as one of a subclass that computes twice the logits."""
    known = type(model)
    twice = {"forward": lambda self, *args, **kwargs: 2 * known.forward(self, *args, **kwargs)}
    model.__class__ = type("Doubled", (known,), twice)


def replaced_forward(model: Any) -> None:
    """A forward that belongs to the object."""
    original = model.forward
    model.forward = lambda tokens: original(tokens) + 0.5


def replaced_forward_of_a_part(model: Any) -> None:
    """The same for the unembedding."""
    model.unembed.forward = lambda residual: residual @ model.unembed.W_U + 0.5


def replaced_method(model: Any) -> None:
    """One step of the attention."""
    attention = model.blocks[0].attn
    original = attention.calculate_attention_scores
    attention.calculate_attention_scores = lambda q, k: 1.1 * original(q, k)


def folded_layer_norm(model: Any) -> None:
    """A LayerNorm without weights that the configuration does not speak of."""
    model.blocks[0].ln1 = transformer_lens.components.LayerNormPre(model.cfg)


def inner_configuration(model: Any) -> None:
    """Settings of the attention that are not those of the model."""
    attention = model.blocks[0].attn
    attention.cfg = copy.deepcopy(attention.cfg)
    attention.cfg.attn_scores_soft_cap = 1.0


def scale_as_buffer(model: Any) -> None:
    """A scale where the check of settings does not look."""
    attention = model.blocks[0].attn
    del attention.attn_scale
    attention.register_buffer("attn_scale", torch.tensor(2.0), persistent=False)


def other_mask(model: Any) -> None:
    """A mask that hides the first position."""
    attention = model.blocks[0].attn

    def masked(scores: torch.Tensor, *rest: Any) -> torch.Tensor:
        hidden = torch.zeros_like(scores)
        hidden[..., 0] = -torch.inf
        return scores + hidden

    attention.apply_causal_mask = masked


def other_state_dict(model: Any) -> None:
    """A state dict that is not what the model uses."""
    original = model.state_dict
    model.state_dict = lambda: {name: tensor * 1.01 for name, tensor in original().items()}


DEVIATIONS: dict[str, Callable[[Any], Any]] = {
    "subclass": other_class,
    "forward": replaced_forward,
    "forward of a part": replaced_forward_of_a_part,
    "method": replaced_method,
    "LayerNorm": folded_layer_norm,
    "inner configuration": inner_configuration,
    "scale": scale_as_buffer,
    "mask": other_mask,
    "state dict": other_state_dict,
    "hook": lambda model: model.register_forward_hook(scaled(1.01)),
    "hook on one output": lambda model: model.register_forward_hook(scaled(1.01, 3)),
    "hook with keywords": lambda model: model.register_forward_hook(lambda m, a, k, out: 2 * out, with_kwargs=True),
    "hook on the unembedding": lambda model: model.unembed.register_forward_hook(scaled(0.99)),
    "hook on the attention": lambda model: model.blocks[0].attn.register_forward_hook(scaled(1.05)),
    "hook on a hook point": lambda model: model.blocks[0].hook_resid_post.register_forward_hook(scaled(0.9)),
    "hook before": lambda model: model.register_forward_pre_hook(lambda module, args: ((args[0] + 1) % 7,)),
    "hook before the block": lambda model: model.blocks[0].register_forward_pre_hook(lambda m, args: (1.1 * args[0],)),
    "hook before the unembedding": lambda model: model.unembed.register_forward_pre_hook(lambda m, a: (a[0] + 0.1,)),
}


@pytest.mark.parametrize("name", DEVIATIONS)
@pytest.mark.parametrize("make", [hooked, lambda: hooked(dtype=torch.float64), trained])
def test_deviations_are_seen(name: str, make: Callable[[], Any], tmp_path: Path) -> None:
    """Whatever changes what is computed: the input, both logits and the tolerance are named, and nothing is saved."""
    model = make()
    DEVIATIONS[name](model)
    with pytest.raises(InvalidModel, match="the live model does not compute what its weights say") as caught:
        from_hooked_transformer(model)
    assert "for the input [" in str(caught.value)
    assert "rounding explains at most" in str(caught.value)
    with pytest.raises(InvalidModel):
        save(model, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_refusal_is_true() -> None:
    """The input and the logits that it names are what the live model and the weights give."""
    model = trained()
    model.register_forward_hook(scaled(1.5, 17))
    with pytest.raises(InvalidModel) as caught:
        from_hooked_transformer(model)
    words = str(caught.value)
    tokens = np.array([[int(number) for number in words.partition("[")[2].partition("]")[0].split(", ")]])
    assert "its logit 17 is " in words
    live = float(words.partition("logit 17 is ")[2].partition(",")[0])
    weights = float(words.partition("with these weights has ")[2].partition(",")[0])
    assert live == pytest.approx(model(torch.tensor(tokens))[0, -1, 17].item())
    assert weights == pytest.approx(logits(load_model("max-of-4/123"), tokens)[0, 17])
    assert weights == pytest.approx(live / 1.5)


@pytest.mark.parametrize("factor", [1.01, 0.99, 1.001])
def test_small_shifts_are_seen(factor: float) -> None:
    """A hundredth of one logit is far more than rounding, in float32 as well."""
    model = trained()
    model.register_forward_hook(scaled(factor, 63))
    with pytest.raises(InvalidModel, match="its logit 63 is"):
        from_hooked_transformer(model)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_logits_that_are_no_numbers(value: float) -> None:
    """They are refused, even if for one output only."""
    model = hooked()
    model.register_forward_hook(lambda module, args, logits: logits.index_fill(-1, torch.tensor([2]), value))
    with pytest.raises(InvalidModel, match=f"its logit 2 is {value}"):
        from_hooked_transformer(model)


def test_overflow() -> None:
    """Weights that float64 can use, but not the live model."""
    model = hooked()
    with torch.no_grad():
        for name in ("W_Q", "W_K"):
            model.blocks[0].attn.get_parameter(name).mul_(1e30)
    with pytest.raises(InvalidModel, match="numbers beyond float32"):
        from_hooked_transformer(model)


def fails(tokens: torch.Tensor) -> torch.Tensor:
    """A forward that cannot be run."""
    raise RuntimeError("no such\nlayer \x1b[31m")


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (fails, r"RuntimeError: 'no such\nlayer \x1b[31m'"),
        (lambda: None, "TypeError: "),
        (lambda tokens: None, "AttributeError: "),
        (lambda tokens: torch.zeros(len(tokens), N + 1, V), "its logits have shape ("),
        (lambda tokens: torch.zeros(len(tokens), N, V + 1), "its logits have shape ("),
        (lambda tokens: torch.zeros(1, N, V), "its logits have shape (1, 4, 7)"),
        (lambda tokens: "logits", "AttributeError: "),
    ],
)
def test_models_that_cannot_be_called(forward: Any, found: str) -> None:
    """What the model raises is the reason, on one line."""
    model = hooked()
    model.forward = forward
    with pytest.raises(InvalidModel, match=r"the live model cannot be called with tokens of shape \(") as caught:
        from_hooked_transformer(model)
    assert found in str(caught.value)
    assert str(caught.value).isprintable()


def test_noise() -> None:
    """A model that draws random numbers computes no function; the caller's random numbers stay as they were."""
    model = hooked()
    model.register_forward_hook(lambda module, args, logits: logits + torch.randn_like(logits))
    state = torch.random.get_rng_state()
    with pytest.raises(InvalidModel, match="the live model does not compute"):
        from_hooked_transformer(model)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_model_is_left_as_it_was() -> None:
    """Modes of all parts, gradients, hooks of PyTorch, precision and random numbers, after success and failure."""
    model, calls = hooked(), []
    model.blocks[0].ln1 = torch.nn.Dropout(0.5)
    model.train()
    model.unembed.eval()
    model.embed.W_E.grad = torch.ones_like(model.embed.W_E)
    model.register_forward_hook(lambda module, args, logits: calls.append(torch.get_float32_matmul_precision()))
    modes = {name: module.training for name, module in model.named_modules()}
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    numbers, own = torch.random.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        for bad in (False, True):
            if bad:
                model.unembed.register_forward_hook(scaled(2.0))
                with pytest.raises(InvalidModel, match="the live model does not compute"):
                    from_hooked_transformer(model)
            else:
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    assert_same_function(from_hooked_transformer(model), copy.deepcopy(model).eval().double())
            assert {name: module.training for name, module in model.named_modules()} == modes
            assert all(torch.equal(tensor, tensors[name]) for name, tensor in model.state_dict().items())
            assert torch.equal(model.embed.W_E.grad, torch.ones_like(model.embed.W_E))
            assert len(model._forward_hooks) == 1
            assert torch.is_grad_enabled()
            assert torch.get_float32_matmul_precision() == "medium"
            assert torch.equal(torch.random.get_rng_state(), numbers)
            assert (np.random.get_state(legacy=False)["state"]["key"] == own).all()  # noqa: NPY002
    finally:
        torch.set_float32_matmul_precision(precision)
    assert set(calls[:1]) == {"highest"}


@pytest.mark.parametrize("changes", [{"attention_dir": "bidirectional"}, {"use_attn_result": True}, {"seed": 3}])
def test_settings_that_change_nothing(changes: dict[str, Any]) -> None:
    """Nothing comes after the last position, so both directions are the same; what is recorded does not matter."""
    model = hooked(**changes)
    assert_same_function(from_hooked_transformer(model), model)


def test_buffers_that_change_nothing() -> None:
    """At the last position nothing is masked, whatever stands in the mask."""
    model = hooked()
    model.blocks[0].attn.IGNORE.fill_(5.0)
    assert_same_function(from_hooked_transformer(model), model)


@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e-5, 1e-2, 0.3, 1.0, 3.0, 30.0, 1e3, 1e5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_honest_models(scale: float, dtype: torch.dtype) -> None:
    """Weights of any size are accepted: rounding, underflow, and softmax that turn on the last bit."""
    rng = np.random.default_rng(7)
    for v, n, d, h in ((3, 2, 4, 4), (20, 6, 50, 40), (6, 1, 1, 1), (2, 9, 8, 3), (600, 3, 8, 8)):
        model = hooked(d_vocab=v, n_ctx=n, d_model=d, d_head=h, dtype=dtype)
        with torch.no_grad():
            biased = rng.random() < 0.5
            for name, parameter in model.named_parameters():
                if biased or ".b_" not in name:
                    parameter.copy_(torch.from_numpy(rng.normal(size=parameter.shape) * scale))
        from_hooked_transformer(model)


def test_honest_trained_models() -> None:
    """Trained ones too, and their logits are well within what is allowed."""
    for name in ("max-of-4/50", "max-of-5/742", "max-of-10-v128/50", "max-of-20/50"):
        model = load_model(name)
        other = to_hooked_transformer(model)
        assert from_hooked_transformer(other).sha256 == model.sha256
        tokens = np.random.default_rng(8).integers(0, model.d_vocab, (50, model.n_ctx))
        expected, within = logits_within(model, tokens, np.float32)
        with torch.no_grad():
            found = other(torch.from_numpy(tokens))[:, -1].double().numpy()
        assert (abs(found - expected) < 0.2 * within).all()


# Files


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_save(dtype: torch.dtype, tmp_path: Path) -> None:
    """A file that TransformerLens and this package read, and that leaves nothing open."""
    path = tmp_path / "m.safetensors"
    model = hooked(dtype=dtype)
    save(model, path)
    loaded = load_model(path)

    assert loaded.sha256 == from_hooked_transformer(model).sha256
    assert "as the settings in its metadata say" in notes.in_full(str(path), loaded)["reading"]
    settings = of_file(path)
    assert settings is not None
    assert (settings["dtype"], settings["d_vocab"]) == (str(dtype), V)
    assert float(settings["attn_scale"]) == H**0.5
    again = hooked(dtype=dtype, seed=1)
    again.load_state_dict({name: torch.tensor(array) for name, array in load_file(path).items()})
    assert_same_function(loaded, again)


def test_every_setting_is_known() -> None:
    """A release of TransformerLens with a setting that nobody has looked at; say what it does to the logits."""
    settings = vars(hooked().cfg)
    assert unknown(settings) == []
    assert unsaid(settings) == []
