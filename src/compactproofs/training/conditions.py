"""What a strategy asks of each class of inputs, as numbers that training can lower: negative where it is certified."""

from __future__ import annotations

from functools import cache
from math import comb
from typing import NamedTuple

import numpy as np
import torch

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.kernel.problem import Hints
from compactproofs.search.families.subcubic import known_hints
from compactproofs.tasks.max_of_k import MaxOfK
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
    q, m = pairs(work.task.d_vocab)
    alone, cases = _cases(work.task)
    classes = Classes(work, CHOICES[strategy], hints)
    least, _ = worst_positions(work)
    last = np.where((q == m)[:, None], position_weights(work)[:, -1][q][:, None], 0.0)
    scale = as_tensor(least[q] + last)  # (pairs, c)
    with work.comparisons() as tested:
        classes.without_others()
    leads = [_leads(tested, scale[:, 0], alone)]
    for case in cases:
        with work.comparisons() as tested:
            classes.with_others(case.gaps)
        leads.append(_leads(tested, scale[:, 1:], case))
    return torch.cat(leads), torch.cat([case.shares for case in (alone, *cases)]).to(scale.dtype)


class _Cases(NamedTuple):
    """Classes of one gap: which of the rows of the proof's program, with which gaps, and shares of inputs."""

    chosen: tuple[torch.Tensor, ...]
    gaps: IntArray
    shares: torch.Tensor


@cache
def _cases(task: MaxOfK) -> tuple[_Cases, list[_Cases]]:
    """Those without tokens beside the maximum, and those of each gap: these are the same at every step."""

    def kept(inputs: FloatArray, gaps: IntArray) -> _Cases:
        chosen = np.nonzero(inputs > 0)
        shares = torch.tensor(inputs[chosen] / float(task.total))
        return _Cases(tuple(map(torch.as_tensor, chosen)), gaps, shares)

    q, m = pairs(task.d_vocab)
    c = np.arange(1, task.n_ctx)
    choices = np.array([comb(task.n_ctx - 1, k) for k in c], float)
    cases = []
    for gap, wider in zip(GAPS, [*GAPS[1:], None], strict=True):
        allowed, gaps = possible_gaps(task, np.full((len(m), len(c)), gap))
        inputs = choices * (m[:, None] - gap + 1.0) ** c
        left = choices * np.maximum(m[:, None] - wider + 1.0, 0.0) ** c if wider else 0.0
        cases.append(kept(np.where(allowed, inputs - left, 0.0), gaps))
    return kept(((q == m) | (task.n_ctx > 1)).astype(float), m), cases


def _leads(tested: list[torch.Tensor], scale: torch.Tensor, case: _Cases) -> torch.Tensor:
    """By how many logits these classes fail, on the worst of their lines."""
    return -torch.cat(tested).amin(-1)[case.chosen] / scale[case.chosen]


def as_tensor(x: object) -> torch.Tensor:
    """The tensor of an array of the differentiable reading."""
    assert isinstance(x, Differentiable)
    return x.tensor
