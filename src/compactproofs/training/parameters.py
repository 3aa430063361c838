"""What training toward a proof moves, and what the proof asks of it.

For the sub-cubic strategies these are the weights themselves.  For `subspace` W_E and W_pos are products of coordinates
and a few axes.  For `number-line` W_E is a line with places of tokens on it, all rows of W_pos are one, and of W_U it
is trained how outputs cross along the line.
"""

from __future__ import annotations

import math
from typing import ClassVar, Protocol

import numpy as np
import torch

from compactproofs.kernel.problem import Hints
from compactproofs.networks.attention_only.model import WEIGHTS, AttentionOnly
from compactproofs.search.families.few_dimensions import coordinates
from compactproofs.search.workspaces import workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.max_of_k.few_dimensions.number_line import NUMBER_LINE, Line, room_on_line
from compactproofs.theorems.max_of_k.few_dimensions.subspace import SUBSPACE, Coordinates, Subspace
from compactproofs.training.conditions import as_tensor, conditions, known_hints
from compactproofs.training.gradients import DifferentiableWorkspace

_NEW_DIRECTIONS = 10  # steps
# What attention counts beside what the head writes, and what the whole embedding counts, where axes are chosen.
_ATTENTION, _LENGTH = 6.0, 1.0
# Logits by which outputs of neighbours change places at least from the one token to the other; and how outputs cross is
# learned so many times as fast as weights are.
_APART, _FASTER = 0.05, 5.0
# Neighbours on a line of 64 tokens differ by far less than a logit, so this part of the usual room is asked for.
_PART_OF_ROOM = 0.04

Tensors = dict[str, torch.Tensor]


class Parameters(Protocol):
    """What is trained."""

    #: Whether the penalty is to grow from nothing over the first half of the training.
    patient: ClassVar[bool]

    def tensors(self) -> list[torch.nn.Parameter]:
        """What the optimiser moves."""

    def weights(self) -> Tensors:
        """The network's weights, by the names that strategies know."""

    def conditions(self, weights: Tensors, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """By how much each condition of the proof fails, negative where it holds; and what each counts."""


class Free:
    """The weights themselves, toward a sub-cubic strategy."""

    patient: ClassVar[bool] = False

    def __init__(self, model: AttentionOnly, strategy: str) -> None:
        self._model, self._strategy = model, strategy
        self._weights = {name: _parameter(getattr(model, name)) for name in WEIGHTS}
        self._hints: Hints = {}

    def tensors(self) -> list[torch.nn.Parameter]:
        """All weights."""
        return list(self._weights.values())

    def weights(self) -> Tensors:
        """The same."""
        return dict(self._weights)

    def conditions(self, weights: Tensors, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of each class of inputs; directions are found anew now and then."""
        if step % _NEW_DIRECTIONS == 0:
            found = workspace(network_of(weights), "value")
            self._hints = known_hints(BUILT_IN.strategy(self._strategy), found)
        return conditions(self._strategy, DifferentiableWorkspace(max_of_k(self._model), weights), self._hints)


class OnLine:
    """A network whose tokens are on a line and whose positions are alike, toward `number-line`.

    It begins with the line that fits its embedding best.  Of each output only three numbers matter there: what W_U
    makes of what all inputs share, of the query's place, and of the place that is attended to.  Outputs of neighbours
    differ by so little that entries of W_U would have to agree to many digits.  So what is trained is by how much each
    output outgrows the one before it, and where between their tokens the two cross; W_U is changed as little as gives
    that.
    """

    patient: ClassVar[bool] = False

    def __init__(self, model: AttentionOnly) -> None:
        self._model = model
        v = model.d_vocab
        c = np.arange(v) * 2.0 / v - 1.0
        centred = c - c.mean()
        b = centred @ model.W_E / (centred @ centred)
        slope = float(centred @ (b @ model.W_V @ model.W_O @ model.W_U) / (centred @ centred))
        self._parts = {name: _parameter(getattr(model, name)) for name in WEIGHTS if name not in ("W_E", "W_pos")}
        self._parts |= {"e0": _parameter(model.W_E.mean(axis=0) - c.mean() * b), "b": _parameter(b)}
        self._parts |= {"position": _parameter(model.W_pos.mean(axis=0)), "gaps": _parameter(np.log(np.diff(c)))}
        apart = math.log(max(slope * (c[1] - c[0]) ** 2, _APART)) / _FASTER
        self._parts |= {"apart": _parameter(np.full(v - 1, apart)), "crossings": _parameter(np.zeros(v - 1))}

    def tensors(self) -> list[torch.nn.Parameter]:
        """The line, the logarithms of gaps between places, the one position, how outputs cross, and other weights."""
        return list(self._parts.values())

    def weights(self) -> Tensors:
        """W_E is the line, W_pos has equal rows, and outputs of neighbours cross where they are to."""
        e0, b, c = self._line()
        position = self._parts["position"]
        written = torch.stack([e0 + position, b]) @ self._parts["W_V"] @ self._parts["W_O"]
        seen = torch.stack([e0 + position + written[0], b, written[1]])
        gaps = c[1:] - c[:-1]
        slopes = (_APART + (_FASTER * self._parts["apart"]).exp()) / gaps
        at = c[:-1] + torch.sigmoid(_FASTER * self._parts["crossings"]) * gaps
        steps = torch.stack([-slopes * at, torch.zeros_like(slopes), slopes])
        wanted = torch.cat([steps.new_zeros(3, 1), steps.cumsum(1)], 1)
        change = wanted - seen @ self._parts["W_U"]
        weights = {
            "W_E": e0 + c[:, None] * b,
            "W_pos": position.expand(self._model.n_ctx, -1),
            "W_U": self._parts["W_U"] + torch.linalg.pinv(seen) @ (change - change.mean(1, keepdim=True)),
        }
        return {name: weights[name] if name in weights else self._parts[name] for name in WEIGHTS}

    def conditions(self, weights: Tensors, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of `number-line`, in parts of a logit, which all count alike."""
        work = DifferentiableWorkspace(max_of_k(self._model), weights)
        room = room_on_line(work, Line(*map(work.lifted, self._line())))
        leads = -torch.cat([as_tensor(x).reshape(-1) for x in room]) / _PART_OF_ROOM
        return leads, torch.full_like(leads, 1.0 / len(leads))

    def _line(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        gaps = self._parts["gaps"].exp()
        return self._parts["e0"], self._parts["b"], torch.cat([gaps.new_zeros(1), gaps.cumsum(0)]) - 1.0


class InSubspace:
    """A network whose embeddings have few dimensions, toward `subspace`.

    It begins with the axes that keep most of what the head writes of tokens, of what attention sees, and of lengths.
    Cut down so it does little right, and would learn to say nothing at all if the penalty did not wait.
    """

    patient: ClassVar[bool] = True

    def __init__(self, model: AttentionOnly, dimensions: int) -> None:
        self._model, self._turn = model, torch.eye(dimensions)
        writes = model.W_V @ model.W_O @ model.W_U
        attention = (model.W_E + model.W_pos[-1]).mean(axis=0) @ model.W_Q @ model.W_K.T / math.sqrt(model.d_head)
        seen = np.concatenate(
            [
                writes - writes.mean(axis=1, keepdims=True),
                _ATTENTION * attention[:, None],
                _LENGTH * np.eye(model.d_model),
            ],
            axis=1,
        )
        left, sizes, right = np.linalg.svd(np.concatenate([model.W_E, model.W_pos]) @ seen, full_matrices=False)
        axes = right[:dimensions] @ np.linalg.pinv(seen)
        lengths = np.linalg.norm(axes, axis=1)
        places = left[:, :dimensions] * sizes[:dimensions] * lengths
        self._parts = {name: _parameter(getattr(model, name)) for name in WEIGHTS if name not in ("W_E", "W_pos")}
        self._parts |= {"tokens": _parameter(places[: model.d_vocab]), "positions": _parameter(places[model.d_vocab :])}
        self._parts |= {"axes": _parameter(axes / lengths[:, None])}

    def tensors(self) -> list[torch.nn.Parameter]:
        """Coordinates of tokens and positions, axes, and the other weights."""
        return list(self._parts.values())

    def weights(self) -> Tensors:
        """W_E and W_pos are products of coordinates and axes."""
        axes = self._parts["axes"]
        weights = {"W_E": self._parts["tokens"] @ axes, "W_pos": self._parts["positions"] @ axes}
        return {name: weights[name] if name in weights else self._parts[name] for name in WEIGHTS}

    def conditions(self, weights: Tensors, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of `subspace` for all inputs, in logits; axes are those that its search finds, anew now and then."""
        v, n = self._model.d_vocab, self._model.n_ctx
        tokens, positions, axes = (self._parts[name] for name in ("tokens", "positions", "axes"))
        if step % _NEW_DIRECTIONS == 0:
            found = coordinates(workspace(network_of(weights), "value"), len(axes))[v + n :]
            self._turn = axes.detach() @ torch.tensor(found, dtype=axes.dtype)
        turned = (tokens @ self._turn, positions @ self._turn, torch.linalg.solve(self._turn, axes))
        work = DifferentiableWorkspace(max_of_k(self._model), weights)
        room = Subspace(work, Coordinates(*map(work.lifted, turned))).room(np.arange(v))
        steps, leads = as_tensor(room.steps), as_tensor(room.leads)
        up_to = torch.arange(v + 1, dtype=leads.dtype) / v
        return -torch.cat([steps, leads]), torch.cat([torch.full_like(steps, 1.0 / v), (up_to**n).diff()])


def network_of(weights: Tensors) -> AttentionOnly:
    """The network with these weights."""
    return AttentionOnly(**{name: value.detach().numpy().astype(np.float64) for name, value in weights.items()})


def parameters_for(model: AttentionOnly, strategy: str, dimensions: int) -> Parameters:
    """What is trained toward this strategy; `dimensions`: of a subspace."""
    if strategy == SUBSPACE.id:
        return InSubspace(model, dimensions)
    return OnLine(model) if strategy == NUMBER_LINE.id else Free(model, strategy)


def _parameter(values: object) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(np.asarray(values), dtype=torch.float32))
