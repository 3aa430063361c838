"""How the model finds the maximum: what it copies, where it looks, and where it fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compactproofs.analysis.inputs import Inputs
from compactproofs.analysis.margins import Tables, margin_terms
from compactproofs.kernel.decisions import BoolArray, FloatArray, IntArray
from compactproofs.theorems.max_of_k.core.additive import max_of_others


@dataclass(frozen=True)
class Copying:
    """What attending to a token does for that token, in logits.

    `own` (v,): EVOU[t, t].  `best_other` (v,): the largest other entry of the row.  `others` (v (v - 1),): all of them.
    """

    own: FloatArray
    best_other: FloatArray
    others: FloatArray

    @property
    def margin(self) -> FloatArray:
        """By how much a token's own output leads its row, shape (v,)."""
        return self.own - self.best_other

    @property
    def failing(self) -> IntArray:
        """The tokens that raise another output at least as much as their own."""
        return np.flatnonzero(self.margin <= 0.0)


def copying(tables: Tables) -> Copying:
    """How well EVOU copies."""
    own = np.diagonal(tables.EVOU)
    return Copying(own, np.diagonal(max_of_others(tables.EVOU)), tables.EVOU[~np.eye(len(own), dtype=bool)])


@dataclass(frozen=True)
class AttentionGaps:
    """How much higher the score of a token is than that of a smaller one, by how much smaller it is.

    All of shape (v - 1,), for the differences 1 ... v - 1: mean, 5th and 95th percentile, and least value of
    EQKE[q, m] - EQKE[q, m - difference] over all tokens m and queries q <= m (m can be the maximum for no others), and
    the share of them that is not positive.
    """

    difference: IntArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    least: FloatArray
    wrong: FloatArray


def attention_gaps(tables: Tables) -> AttentionGaps:
    """The attention that a token wins over smaller ones."""
    v = len(tables.EQKE)
    below = np.tri(v, dtype=bool).T  # query at most m
    gaps = [(tables.EQKE[:, d:] - tables.EQKE[:, :-d])[below[:, d:]] for d in range(1, v)]
    return AttentionGaps(
        difference=np.arange(1, v),
        mean=np.array([gap.mean() for gap in gaps]),
        low=np.array([np.quantile(gap, 0.05) for gap in gaps]),
        high=np.array([np.quantile(gap, 0.95) for gap in gaps]),
        least=np.array([gap.min() for gap in gaps]),
        wrong=np.array([(gap <= 0.0).mean() for gap in gaps]),
    )


@dataclass(frozen=True)
class Errors:
    """The wrongly answered inputs, or those of a sample.

    `inputs` (N, n); for each: `maximum`, `gap` to the largest other token (0 if there is none) and `query`, all (N,).
    `of`: how many inputs were looked at; `exact`: whether these are all.
    """

    inputs: IntArray
    maximum: IntArray
    gap: IntArray
    query: IntArray
    of: int
    exact: bool

    def groups(self) -> list[tuple[int, int, int, int, IntArray]]:
        """(maximum, gap, query, number, an example) for each combination that occurs, most frequent first."""
        if not len(self.inputs):
            return []
        keys, first, count = np.unique(
            np.stack([self.maximum, self.gap, self.query], axis=1), axis=0, return_index=True, return_counts=True
        )
        order = np.argsort(-count, kind="stable")
        return [(*keys[i].tolist(), int(count[i]), self.inputs[first[i]]) for i in order]


def errors(tables: Tables, inputs: Inputs) -> Errors:
    """Which inputs are answered wrongly."""
    return errors_among(inputs.failing(margin_terms(tables)), inputs.number, inputs.sample is None)


def errors_among(wrong: IntArray, of: int, exact: bool) -> Errors:
    """What these wrongly answered inputs, of so many, are like; `exact`: whether those are all inputs."""
    maximum = wrong.max(axis=1)
    others = np.where(wrong == maximum[:, None], -1, wrong).max(axis=1)
    gap = np.where(others < 0, 0, maximum - others)
    return Errors(wrong, maximum, gap, wrong[:, -1], of, exact)


def attended(tables: Tables, inputs: IntArray) -> tuple[FloatArray, FloatArray]:
    """For inputs (N, n) the attention that each position gets, (N, n), and the logits, (N, v)."""
    positions = np.arange(inputs.shape[1])
    query = inputs[:, -1]
    scores = tables.EQKE[query[:, None], inputs] + tables.EQKP[query[:, None], positions]
    attention = np.exp(scores - scores.max(axis=1, keepdims=True))
    attention /= attention.sum(axis=1, keepdims=True)
    written = attention[:, :, None] * (tables.EVOU[inputs] + tables.PVOU)
    return attention, tables.EU[query] + written.sum(axis=1)


def answers(tables: Tables, inputs: IntArray) -> IntArray:
    """The model's answer to each input, shape (N, n) to (N,)."""
    result: IntArray = attended(tables, inputs)[1].argmax(axis=1)
    return result


def certainly_copied(tables: Tables) -> BoolArray:
    """Which tokens win when all attention is on them, whatever the query and the position, shape (v,)."""
    v = len(tables.EU)
    good = np.zeros(v, bool)
    for m in range(v):
        worst = sum((table[:, m, None] - np.delete(table, m, axis=1)).min(axis=0) for table in (tables.EU, tables.PVOU))
        good[m] = (tables.EVOU[m, m] - np.delete(tables.EVOU[m], m) + worst > 0.0).all()
    return good
