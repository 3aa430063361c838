"""The recipe: seeds, first weights, data, forward pass, loss and the loop that trains one model.

Shapes use v = d_vocab, K = n_ctx, d = d_model, H = n_heads, h = d_head and B = batch_size. All of it runs on the CPU
in float32 and on one thread, so that on one machine a seed always gives the same bytes, whichever seeds are trained
beside it. Another processor or another release of PyTorch may round differently, and over 3000 steps such differences
grow: models then agree in distribution, not to the bit.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch

RECIPE = "max-of-K of arXiv 2406.11779"
"""Name of the recipe, as recorded in every model file. A change that alters the weights needs a new name."""

_BETAS = (0.9, 0.999)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """What is trained and how long. The defaults are those of the paper; only the task has to be named.

    `n_ctx` is the number K of tokens, `d_vocab` the number v of different tokens; the label is the largest token.
    """

    n_ctx: int
    d_vocab: int
    d_model: int = 32
    d_head: int = 32
    steps: int = 3000
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    n_heads: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError for a field that is not a usable number."""
        for name in ("n_ctx", "d_vocab", "d_model", "d_head", "steps", "batch_size", "n_heads"):
            value, least = getattr(self, name), 2 if name == "d_vocab" else 1
            if type(value) is not int or value < least:
                raise ValueError(f"TrainingConfig.{name}: expected an integer of at least {least}, got {value!r}")
        for name, may_be_zero in (("learning_rate", False), ("weight_decay", True)):
            value = getattr(self, name)
            if type(value) not in (int, float) or not math.isfinite(value) or value < 0 or not (value or may_be_zero):
                least_text = "0 or more" if may_be_zero else "more than 0"
                raise ValueError(f"TrainingConfig.{name}: expected a finite number, {least_text}, got {value!r}")
            object.__setattr__(self, name, float(value))

    def as_dict(self) -> dict[str, int | float]:
        """All fields by name, in the order of their definition; a single head, which the recipe has, goes unsaid."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.n_heads == 1:
            del said["n_heads"]
        return said


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """Weights after training, under TransformerLens's names, float32.

    `weights` holds embed.W_E (v, d), pos_embed.W_pos (K, d), blocks.0.attn.W_Q, W_K, W_V (H, d, h),
    blocks.0.attn.W_O (H, h, d) and unembed.W_U (d, v). `final_loss` is the mean loss of the last batch,
    taken before the last update.
    """

    weights: dict[str, npt.NDArray[np.float32]]
    final_loss: float


def derive_seeds(seed: int) -> tuple[int, int, int]:
    """The model seed, dataset seed and train seed that belong to an experiment seed.

    Each is the first four bytes, read little-endian, of a zero byte followed by the MD5 of a pair written as compact
    JSON: [seed, "model"], [seed, "dataset_seed"] and [dataset seed, "train"].

    >>> derive_seeds(123)
    (613947648, 1914904320, 3402695680)
    """
    if type(seed) is not int or seed < 0:
        raise ValueError(f"seed: expected an integer of at least 0, got {seed!r}")
    dataset_seed = _hash_pair(seed, "dataset_seed")
    return _hash_pair(seed, "model"), dataset_seed, _hash_pair(dataset_seed, "train")


def _hash_pair(number: int, word: str) -> int:
    text = json.dumps([number, word], separators=(",", ":"))
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes((b"\x00" + digest)[:4], "little")


def initial_weights(config: TrainingConfig, model_seed: int) -> dict[str, torch.Tensor]:
    """Normal weights with mean 0 and standard deviation 0.8/√d, drawn in the order of TransformerLens 1.12.1.

    A generator of its own gives the same numbers as PyTorch's global one after `torch.manual_seed(model_seed)`, and
    leaves the global one alone. PyTorch fills tensors of 16 or more elements differently from smaller ones, so the
    matrices are drawn one by one and never as one vector.
    """
    v, n, d, heads, h = config.d_vocab, config.n_ctx, config.d_model, config.n_heads, config.d_head
    shapes = {
        "embed.W_E": (v, d),
        "pos_embed.W_pos": (n, d),
        "blocks.0.attn.W_Q": (heads, d, h),
        "blocks.0.attn.W_K": (heads, d, h),
        "blocks.0.attn.W_V": (heads, d, h),
        "blocks.0.attn.W_O": (heads, h, d),
        "unembed.W_U": (d, v),
    }
    generator = torch.Generator().manual_seed(model_seed)
    return {
        name: torch.empty(shape, dtype=torch.float32).normal_(std=0.8 / math.sqrt(d), generator=generator)
        for name, shape in shapes.items()
    }


def batches(config: TrainingConfig, train_seed: int) -> Iterator[torch.Tensor]:
    """Uniform token sequences, int64 of shape (B, K), without end.

    One draw of a whole batch gives the same tokens, and leaves the generator in the same state, as drawing its
    sequences one after the other.
    """
    generator = torch.Generator().manual_seed(train_seed)
    while True:
        yield torch.randint(0, config.d_vocab, (config.batch_size, config.n_ctx), generator=generator)


def forward(weights: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """Logits (B, v) at the last position for tokens (B, K).

    The last position attends to all positions, so the causal mask plays no part and only this one query is computed.
    """
    residual = weights["embed.W_E"][tokens] + weights["pos_embed.W_pos"]  # (B, K, d)
    last = residual[:, -1]  # (B, d)
    written = last
    for query_weights, key_weights, value_weights, output_weights in zip(
        *(weights[f"blocks.0.attn.W_{letter}"] for letter in "QKVO"), strict=True
    ):
        query_in_model_space = (last @ query_weights) @ key_weights.T  # (B, d)
        scores = (residual @ query_in_model_space.unsqueeze(-1)).squeeze(-1) / math.sqrt(query_weights.shape[1])
        pattern = torch.softmax(scores, dim=-1)  # (B, K)
        mixed = (pattern.unsqueeze(1) @ residual).squeeze(1)  # (B, d)
        written = written + (mixed @ value_weights) @ output_weights
    return written @ weights["unembed.W_U"]


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of logits (B, v) for labels (B,), accurate when it is tiny.

    The loss of one input is log1p(Σ_{j≠y} exp(x_j - x_y)). With t the log-sum-exp of the differences over j ≠ y this is
    log1p(exp(t)), the softplus of t, which neither overflows where a wrong logit leads nor rounds to zero where the
    right one leads by much. A log-softmax cannot resolve float32 losses below about 6e-8.
    """
    at_label = labels.unsqueeze(-1)
    differences = logits - logits.gather(-1, at_label)
    is_label = torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, at_label, True)
    leads = torch.logsumexp(differences.masked_fill(is_label, -math.inf), dim=-1)
    return torch.nn.functional.softplus(leads).mean()


def train_one(config: TrainingConfig, seed: int) -> TrainedModel:
    """Train the model of one experiment seed."""
    model_seed, _, train_seed = derive_seeds(seed)
    weights = {name: torch.nn.Parameter(value) for name, value in initial_weights(config, model_seed).items()}
    optimiser = torch.optim.AdamW(
        weights.values(), lr=config.learning_rate, betas=_BETAS, weight_decay=config.weight_decay, foreach=True
    )
    final_loss = math.nan
    with one_thread(), torch.enable_grad():
        for step, tokens in zip(range(1, config.steps + 1), batches(config, train_seed), strict=False):
            loss = cross_entropy(forward(weights, tokens), tokens.amax(dim=1))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step == config.steps:
                final_loss = loss.item()
    return TrainedModel({name: value.detach().numpy() for name, value in weights.items()}, final_loss)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread inside the block: it is fastest here, and sums the same on any number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
