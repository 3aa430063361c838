"""Margins of a network with several heads: the direct path, and for each head an average over positions.

Fix the last token q.  For each head h write w^h(q, t) and e^h(q, p) for the positive weights of `core.additive`, so
that its attention to token t at position p is proportional to u^h_p(t) = w^h(q, t) e^h(q, p), and for outputs m and o

    f^h_o(p, t) = EVOU^h_D[t] + PVOU^h_D[p]        with X_D[r] = X[r, m] - X[r, o].

Lemma (averages).  For an input x with x_n = q,

    logit m - logit o = EU_D[q] + sum_h R^h_o(x),    R^h_o(x) = sum_p u^h_p(x_p) f^h_o(p, x_p) / sum_p u^h_p(x_p).

Proof.  The logits are the direct path plus what each head writes, and what head h writes is sum_p a^h_p (EVOU^h[x_p] +
PVOU^h[p]) with a^h_p = u^h_p(x_p) / sum_r u^h_r(x_r): the paths of `circuits` and the weights of `core.additive`, for
the one-head network of h, whose direct path is the same for all h.

Lemma (thresholds).  For any number s: R^h_o(x) >= s if and only if sum_p u^h_p(x_p) (f^h_o(p, x_p) - s) >= 0, and
likewise for <=, > and <.

Proof.  The sum is (R^h_o(x) - s) sum_p u^h_p(x_p), and u^h_p > 0.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias, TypeVar

import numpy.typing as npt

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.theorems.max_of_k import Work

HeadsProblem: TypeAlias = Problem[ManyHeads, MaxOfK]
HeadsWork: TypeAlias = Workspace[ManyHeads, MaxOfK]
R = TypeVar("R")


class _OfHead(Workspace[Any, MaxOfK]):
    """The workspace of one head's network: results are kept, and work is booked, by the workspace of the whole."""

    def __init__(self, work: HeadsWork, number: int) -> None:
        self.network, self.task = work.network.heads[number], work.task
        self._problem = Problem(self.network, self.task)
        self._work, self._number = work, number

    def constant(self, values: npt.ArrayLike) -> Array:
        return self._work.constant(values)

    def once(self, key: Hashable, compute: Callable[[], R]) -> R:
        return self._work.once(("head", self._number, key), compute)

    def charge(self, flops: int = 0, int_ops: int = 0) -> None:
        self._work.charge(flops, int_ops)


def heads(work: HeadsWork) -> list[Work]:
    """For each head a workspace of its one-head network."""
    return [_OfHead(work, number) for number in range(len(work.network.heads))]


def direct_path(work: HeadsWork) -> Array:
    """EU, shape (v, v) over (query, output)."""
    return circuits.EU(heads(work)[0])
