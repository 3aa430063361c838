"""What a strategy asks of each class of inputs, as numbers that training can lower: negative where it is certified."""

from __future__ import annotations

from math import comb

import numpy as np
import torch

from compactproofs.kernel.decisions import FloatArray
from compactproofs.kernel.problem import Hints
from compactproofs.search.families.subcubic import known_hints
from compactproofs.theorems.max_of_k.core.additive import position_weights
from compactproofs.theorems.max_of_k.subcubic.extreme_positions import worst_positions
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, Classes, pairs, possible_gaps
from compactproofs.training.gradients import Differentiable, DifferentiableWorkspace

#: Gaps between the maximum and other tokens at which a class is to be certified: all its inputs, and all but few.
GAPS = (1, 2)

__all__ = ["GAPS", "as_tensor", "conditions", "known_hints"]


def conditions(strategy: str, work: DifferentiableWorkspace, hints: Hints) -> tuple[torch.Tensor, torch.Tensor]:
    """For each class of the sub-cubic theorem and each of `GAPS`: by how many logits it fails, and its share of inputs.

    The first is the left side of the theorem's condition over what the maximum weighs, so that it is of the size of a
    logit; the proof's own program computes it.  Shapes (classes,) both.
    """
    task = work.task
    q, m = pairs(task.d_vocab)
    classes = Classes(work, CHOICES[strategy], hints)
    least, _ = worst_positions(work)
    last = np.where((q == m)[:, None], position_weights(work)[:, -1][q][:, None], 0.0)
    scale = as_tensor(least[q] + last)  # (pairs, c)
    leads, shares = [], []

    def note(tested: list[torch.Tensor], counted: FloatArray, of: torch.Tensor) -> None:
        chosen = np.nonzero(counted > 0)
        worst = -torch.cat(tested).amin(-1)  # over the lines
        leads.append(worst[chosen] / of[chosen])
        shares.append(torch.tensor(counted[chosen], dtype=worst.dtype))

    with work.comparisons() as tested:
        classes.without_others()
    note(tested, ((q == m) | (task.n_ctx > 1)).astype(float), scale[:, 0])
    c = np.arange(1, task.n_ctx)
    choices = np.array([comb(task.n_ctx - 1, k) for k in c], float)
    for gap, wider in zip(GAPS, [*GAPS[1:], None], strict=True):
        allowed, gaps = possible_gaps(task, np.full((len(m), len(c)), gap))
        inputs = choices * (m[:, None] - gap + 1.0) ** c
        left = choices * np.maximum(m[:, None] - wider + 1.0, 0.0) ** c if wider else 0.0
        with work.comparisons() as tested:
            classes.with_others(gaps)
        note(tested, np.where(allowed, inputs - left, 0.0), scale[:, 1:])
    return torch.cat(leads), torch.cat(shares) / float(task.total)


def as_tensor(x: object) -> torch.Tensor:
    """The tensor of an array of the differentiable reading."""
    assert isinstance(x, Differentiable)
    return x.tensor
