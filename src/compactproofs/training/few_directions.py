"""Training a transformer that adds modulo n until it has few directions, toward `pair-sum/few-directions`.

What is trained are factors: places of tokens and positions along a few axes, values and outputs of a few entries of
heads, what a few neurons read, numbers that each of these writes along the two axes of one frequency, these axes, and
rows of outputs for them.  The network has the products, and zeros for all other neurons and entries of heads: its
tensors have the shapes that they had, and it is a smaller network.

It begins with what the network has most of: the frequencies that its outputs have most of; of the neurons that write in
each of these as many at all phases, the strongest ones; and singular vectors.  Cut down so it does little right, and a
few seconds of cross-entropy on all pairs make up for it.  The proof's condition needs no penalty: it leaves next to
nothing of the leads.

Nothing here is trusted.  What comes out is another network, with another hash; its certificate says how good its proof
is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.pairs import add_mod
from compactproofs.theorems.pair_sum.few_directions import FEW_DIRECTIONS
from compactproofs.training.recipe import one_thread
from compactproofs.training.toward_proof import NotTrainable

Tensors = dict[str, torch.Tensor]

_BETAS = (0.9, 0.98)
_WARM_UP = 50  # steps
_HEAD, _MLP = "blocks.0.attn.", "blocks.0.mlp."


@dataclass(frozen=True)
class FewDirections:
    """How a network is trained toward the proof in few directions.

    `frequencies`: how many of addition it keeps, with two coordinates each; `dimensions`: how many tokens and positions
    keep, and entries of heads; `neurons`: how many, shared among the frequencies; `decay`: of AdamW, without which what
    neurons write grows for as long as training goes on.
    """

    strategy: ClassVar[str] = FEW_DIRECTIONS.id

    steps: int = 1000
    learning_rate: float = 5e-3
    frequencies: int = 3
    dimensions: int = 8
    neurons: int = 48
    decay: float = 0.5

    def __post_init__(self) -> None:
        for name in ("steps", "frequencies", "dimensions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.neurons < self.frequencies:
            raise ValueError(f"neurons: expected at least one for each of {self.frequencies} frequencies")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate: expected a number above 0, got {self.learning_rate}")
        if not (math.isfinite(self.decay) and self.decay >= 0):
            raise ValueError(f"decay: expected 0 or more, got {self.decay}")


def keep_few(network: PairSum, how: FewDirections, progress: Callable[[int], None] | None = None) -> PairSum:
    """The network after training; float32 weights.  `progress` is called with the number of steps done.

    On one thread and on all pairs at each step; the same on every run on one machine.  Raises NotTrainable for networks
    that are not transformers on two tokens with an output for each, or too small for what they are to keep.
    """
    _check(network, how)
    factors, own = _first(network, how)
    labels = torch.tensor(add_mod(network.n).table.ravel())
    optimiser = torch.optim.AdamW(
        list(factors.values()), lr=how.learning_rate, betas=_BETAS, weight_decay=how.decay, foreach=True
    )
    with one_thread(), torch.enable_grad():
        for step in range(how.steps):
            for group in optimiser.param_groups:
                cosine = 0.5 * (1.0 + math.cos(math.pi * step / how.steps))
                group["lr"] = how.learning_rate * min(1.0, (step + 1) / _WARM_UP) * cosine
            loss = torch.nn.functional.cross_entropy(_logits(factors, own), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if progress is not None:
                progress(step + 1)
    with torch.no_grad():
        return _network(network, factors, own)


def distance(one: PairSum, other: PairSum) -> float:
    """How far apart the weights are, relative to those of the first: norms of all weights as one vector."""
    moved = sum(float(((one.weight(name) - other.weight(name)) ** 2).sum()) for name in one.tensors)
    return math.sqrt(moved / sum(float((tensor**2).sum()) for tensor in one.tensors.values()))


def as_float32(network: PairSum) -> dict[str, npt.NDArray[np.float32]]:
    """Tensors for a file, biases that are zero left out."""
    return {
        name: np.ascontiguousarray(tensor, np.float32)
        for name, tensor in network.tensors.items()
        if tensor.any() or not name.rpartition(".")[2].startswith("b")
    }


def _check(network: PairSum, how: FewDirections) -> None:
    if network.positions != 2 or network.outputs != network.n:
        raise NotTrainable(
            f"{how.strategy} is trained toward by transformers on two tokens that have an output for each of them, as "
            "those that add modulo n; for others prove what there is"
        )
    n, (d, m) = network.n, network.weight(f"{_MLP}W_in").shape
    entries = network.weight(f"{_HEAD}b_V").size
    for name, most in (
        ("frequencies", min((n - 1) // 2, d // 2)),
        ("dimensions", min(n + 2, d, entries)),
        ("neurons", m),
    ):
        if getattr(how, name) > most:
            raise NotTrainable(f"{name}: expected at most {most} for this network, got {getattr(how, name)}")


def _first(network: PairSum, how: FewDirections) -> tuple[Tensors, torch.Tensor]:
    """Factors to begin with, and which of all coordinates, two for each frequency, each neuron writes."""
    n, weight = network.n, network.weight
    angles = 2.0 * math.pi * np.arange(n) / n
    power = (np.abs(np.fft.rfft(weight("unembed.W_U"), axis=1)) ** 2).sum(axis=0)
    kept = 1 + np.argsort(-power[1 : (n + 1) // 2], kind="stable")[: how.frequencies]
    waves = math.sqrt(2.0 / n) * np.concatenate([[np.cos(k * angles), np.sin(k * angles)] for k in kept])
    axes, turn = np.linalg.qr(weight("unembed.W_U") @ waves.T)

    rows = np.concatenate([weight("embed.W_E"), weight("pos_embed.W_pos")])
    left, sizes, along = (part[..., : how.dimensions] for part in _svd(rows))
    along = along.T
    values = np.concatenate(list(weight(f"{_HEAD}W_V")), axis=1)
    outputs = np.concatenate(list(weight(f"{_HEAD}W_O")))
    moved = [part[..., : how.dimensions] for part in _svd(along @ values @ outputs)]

    W_in, C = weight(f"{_MLP}W_in"), weight(f"{_MLP}W_out") @ axes
    shares = (C.reshape(len(C), -1, 2) ** 2).sum(axis=2)
    of = shares.argmax(axis=1)
    size = (weight("embed.W_E") @ (values @ outputs @ W_in)).std(axis=0) * np.linalg.norm(C, axis=1)
    neurons = np.concatenate(
        [_at_all_phases(np.flatnonzero(of == f), C[:, 2 * f : 2 * f + 2], size, how, f) for f in range(how.frequencies)]
    )
    own = np.repeat(of[neurons, None] == np.arange(how.frequencies), 2, axis=1)
    factors = {
        "places": left * sizes,
        "along": along,
        "values": along.T @ (moved[0] * np.sqrt(moved[1])),
        "outputs": np.sqrt(moved[1])[:, None] * moved[2].T,
        "W_in": W_in[:, neurons],
        "b_in": weight(f"{_MLP}b_in")[neurons],
        "C": C[neurons] * own * (len(C) / len(neurons)),
        "axes": axes,
        "waves": turn @ waves,
    }
    parameters = {name: torch.tensor(value, dtype=torch.float32).requires_grad_() for name, value in factors.items()}
    return parameters, torch.tensor(own, dtype=torch.float32)


def _svd(matrix: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
    """Singular vectors and values, both kinds of vectors in columns."""
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    return left, sizes, right.T


def _at_all_phases(
    there: npt.NDArray[np.int64],
    C: npt.NDArray[np.float64],
    size: npt.NDArray[np.float64],
    how: FewDirections,
    number: int,
) -> npt.NDArray[np.int64]:
    """The strongest neuron in each of equal sectors of phases, and of the others those that make up the number."""
    wanted = how.neurons // how.frequencies + (number < how.neurons % how.frequencies)
    there = there[np.argsort(-size[there], kind="stable")]
    turns = np.arctan2(C[there, 1], C[there, 0]) / (2.0 * math.pi) + 0.5
    sectors = np.minimum((turns * wanted).astype(np.int64), wanted - 1)
    first = np.unique(sectors, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(there)), first)
    chosen: npt.NDArray[np.int64] = there[np.concatenate([first, others])[:wanted]]
    return chosen


def _stream(factors: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """W_E and W_pos, one below the other; and what the stream is after attention, of x and of y."""
    rows = factors["places"] @ factors["along"]
    x, y = rows[:-2] + rows[-2], rows[:-2] + rows[-1]
    moved = 0.5 * factors["values"] @ factors["outputs"]
    return rows, x @ moved, y + y @ moved


def _logits(factors: Mapping[str, torch.Tensor], own: torch.Tensor) -> torch.Tensor:
    """For all pairs, x n + y, shape (n n, n)."""
    _, of_x, of_y = _stream(factors)
    axes = torch.linalg.qr(factors["axes"])[0]
    left, right = of_x @ factors["W_in"], of_y @ factors["W_in"] + factors["b_in"]
    neurons = torch.relu(left[:, None] + right).flatten(0, 1)
    direct = ((of_x @ axes)[:, None] + of_y @ axes).flatten(0, 1)
    return (neurons @ (factors["C"] * own) + direct) @ factors["waves"]


def _network(before: PairSum, factors: Mapping[str, torch.Tensor], own: torch.Tensor) -> PairSum:
    """The products as tensors of the shapes that the network had."""
    exact = {name: value.detach().double() for name, value in factors.items()}
    axes, rows = torch.linalg.qr(exact["axes"])[0], _stream(exact)[0]
    tensors = {name: np.zeros(tensor.shape, np.float32) for name, tensor in before.tensors.items()}
    heads, h, d = before.weight(f"{_HEAD}W_O").shape
    values, outputs = np.zeros((d, heads * h), np.float32), np.zeros((heads * h, d), np.float32)
    entries, number = exact["values"].shape[1], exact["W_in"].shape[1]
    values[:, :entries], outputs[:entries] = exact["values"], exact["outputs"]
    tensors[f"{_HEAD}W_V"][:] = values.reshape(d, heads, h).transpose(1, 0, 2)
    tensors[f"{_HEAD}W_O"][:] = outputs.reshape(heads, h, d)
    tensors["embed.W_E"][:], tensors["pos_embed.W_pos"][:] = rows[:-2], rows[-2:]
    tensors[f"{_MLP}W_in"][:, :number], tensors[f"{_MLP}b_in"][:number] = exact["W_in"], exact["b_in"]
    tensors[f"{_MLP}W_out"][:number] = (exact["C"] * own) @ axes.T
    tensors["unembed.W_U"][:] = axes @ exact["waves"]
    return PairSum({name: tensor.astype(np.float64) for name, tensor in tensors.items()})
