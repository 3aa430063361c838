"""Training a network toward a proof: its weights are moved until a strategy's own condition holds.

The loss is the cross-entropy on random inputs, as in training, and a penalty on the condition of `conditions`: for
classes of inputs with shares w_i and leads r_i (in logits, negative where class i is certified),

    penalty = sum_i w'_i log(1 + max(r_i + room, 0) / room),    w'_i = w_i + 0.3 / (number of classes).

The logarithm keeps classes that fail by far from outweighing those that nearly hold; the even part of the weights,
small classes from being given up.  Directions that the proof takes out are hints: they are found anew now and then,
from the weights as they are, and no gradient goes through them.  AdamW with warm-up and a cosine.  In a subspace the
penalty counts nothing in the first tenth of the training, and grows to its full weight until half of it is done.

Nothing here is trusted.  What comes out is another network, with another hash; its certificate says how good its proof
is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.networks.attention_only.model import WEIGHTS, AttentionOnly
from compactproofs.theorems.max_of_k.few_dimensions.number_line import NUMBER_LINE
from compactproofs.theorems.max_of_k.few_dimensions.subspace import SUBSPACE
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES
from compactproofs.training.parameters import Free, Tensors, network_of, parameters_for
from compactproofs.training.recipe import cross_entropy, forward, one_thread

#: The paper's cheapest strategy: no table of queries and keys, and none of queries and outputs, is multiplied out.
CHEAPEST = "sub-cubic/mean_query+max_diff/mean_query+diff/mean_recursive+max_diff_subproduct_recursive"

_BETAS = (0.9, 0.99)
_WARM_UP = 50  # steps


class NotTrainable(CompactProofsError, ValueError):
    """This network or strategy is not among those that can be trained toward a proof; the message says which are."""


@dataclass(frozen=True)
class Tightening:
    """How a network is trained toward the proof by `strategy`.

    `room`, in logits: by how much a condition is to hold.  `penalty`: what the condition counts beside the
    cross-entropy; 0 for a control that is trained as long without it.  `distance_penalty`: what the squared relative
    distance from the first weights counts; None for 0, and for 10 on the line, where nothing else keeps weights small.
    `seed`: of the random inputs.
    """

    strategy: str = CHEAPEST
    steps: int = 1000
    learning_rate: float = 5e-3
    batch_size: int = 256
    penalty: float = 10.0
    room: float = 0.5
    distance_penalty: float | None = None
    dimensions: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in (*CHOICES, NUMBER_LINE.id, SUBSPACE.id):
            raise NotTrainable(
                f"{self.strategy!r} has no condition to train toward; choose {SUBSPACE.id}, {NUMBER_LINE.id} or one of "
                f"the {len(CHOICES)} sub-cubic strategies, such as {CHEAPEST} (others often gain too: prove them "
                "afterwards); for networks that add, pair-sum/few-directions"
            )
        if self.distance_penalty is None:
            object.__setattr__(self, "distance_penalty", 10.0 if self.strategy == NUMBER_LINE.id else 0.0)
        for name, least in (("steps", 1), ("batch_size", 1), ("dimensions", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        for name in ("learning_rate", "room"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        for name in ("penalty", "distance_penalty"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")


def tighten(
    model: AttentionOnly, how: Tightening | None = None, progress: Callable[[int], None] | None = None
) -> AttentionOnly:
    """The network after training; float32 weights.  `progress` is called with the number of steps done.

    On one thread; the same on every run on one machine.  Raises NotTrainable for networks with biases.
    """
    how = how or Tightening()
    if model.biases:
        raise NotTrainable(f"networks with biases ({', '.join(model.biases)}) cannot be trained toward a proof yet")
    first = {name: torch.tensor(getattr(model, name), dtype=torch.float32) for name in WEIGHTS}
    if how.strategy == SUBSPACE.id and how.dimensions > min(model.d_model, model.d_vocab + model.n_ctx):
        raise NotTrainable(f"dimensions: expected at most {min(model.d_model, model.d_vocab + model.n_ctx)}")
    parameters = parameters_for(model, how.strategy, how.dimensions) if how.penalty else Free(model, how.strategy)
    size = sum(float((value**2).sum()) for value in first.values())
    generator = torch.Generator().manual_seed(how.seed)
    optimiser = torch.optim.AdamW(
        parameters.tensors(), lr=how.learning_rate, betas=_BETAS, weight_decay=0.0, foreach=True
    )
    with one_thread(), torch.enable_grad():
        for step in range(how.steps):
            for group in optimiser.param_groups:
                cosine = 0.5 * (1.0 + math.cos(math.pi * step / how.steps))
                group["lr"] = how.learning_rate * min(1.0, (step + 1) / _WARM_UP) * cosine
            tokens = torch.randint(0, model.d_vocab, (how.batch_size, model.n_ctx), generator=generator)
            weights = parameters.weights()
            loss = cross_entropy(forward(_on_disk(weights), tokens), tokens.amax(dim=1))
            if how.penalty:
                leads, shares = parameters.conditions(weights, step)
                even = shares + 0.3 / len(shares)
                part = min(1.0, max(0.0, (step / how.steps - 0.1) / 0.4)) if parameters.patient else 1.0
                loss = (
                    loss + part * how.penalty * (even * torch.log1p((leads + how.room).clamp(min=0) / how.room)).sum()
                )
            if how.distance_penalty:
                changed = sum(((weights[name] - first[name]) ** 2).sum() for name in first)
                loss = loss + how.distance_penalty * changed / size
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if progress is not None:
                progress(step + 1)
    return network_of(parameters.weights())


def distance(one: AttentionOnly, other: AttentionOnly) -> float:
    """How far apart the weights are, relative to those of the first: norms of all weights as one vector."""
    moved = sum(float(((getattr(one, name) - getattr(other, name)) ** 2).sum()) for name in WEIGHTS)
    return math.sqrt(moved / sum(float((getattr(one, name) ** 2).sum()) for name in WEIGHTS))


def _on_disk(weights: Tensors) -> Tensors:
    """The names and axes that `forward` reads."""
    return {disk: weights[name][None] if has_head else weights[name] for name, (disk, _, has_head) in WEIGHTS.items()}
