"""Margins from the five paths, whole or ablated: the tables that an analysis changes, and the terms of their sums.

The margin of the maximum m over an output o, times the softmax's denominator, is a sum over positions
(`core.additive`):  sum_p w(q, x_p) e(q, p) (EU_D[q] + EVOU_D[x_p] + PVOU_D[p]),  X_D[r] = X[r, m] - X[r, o].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.analysis.inputs import Terms
from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.networks.attention_only import circuits
from compactproofs.search.workspaces import MaxWorkspace
from compactproofs.theorems.max_of_k.failing_sets.low_rank import Bounds

PATHS = ("EU", "EVOU", "PVOU", "EQKE", "EQKP")


class Tables(NamedTuple):
    """The paths of a model (`circuits`) as plain float64 arrays.

    EU (v, v) over (query, output), EVOU (v, v) over (key token, output), PVOU (n, v) over (position, output), in
    logits; EQKE (v, v) over (query, key token) and EQKP (v, n) over (query, position), attention scores.
    """

    EU: FloatArray
    EVOU: FloatArray
    PVOU: FloatArray
    EQKE: FloatArray
    EQKP: FloatArray

    @classmethod
    def of(cls, work: MaxWorkspace) -> Tables:
        """The paths of the workspace's model; the reading must be "value"."""
        return cls(*(getattr(circuits, name)(work) for name in PATHS))


def leads(table: FloatArray, m: int) -> FloatArray:
    """table[r, m] - table[r, o] for the outputs o != m in order, shape (r, v) to (r, v - 1)."""
    return table[:, m, None] - np.delete(table, m, axis=1)


def weights(tables: Tables, m: int) -> tuple[FloatArray, FloatArray]:
    """(w, e) for queries up to m: exp(EQKE - the row's maximum), shape (m + 1, m + 1), and exp(EQKP), (m + 1, n)."""
    scores = tables.EQKE[: m + 1, : m + 1]
    return np.exp(scores - scores.max(axis=1, keepdims=True)), np.exp(tables.EQKP[: m + 1])


def weigh(w: FloatArray, e: FloatArray, queries: IntArray, tokens: IntArray, values: FloatArray) -> FloatArray:
    """Values (N, n or 1, T, rivals) of `tokens` times attention weights (`weights`), as `Terms` give them."""
    terms: FloatArray = (e[queries][:, :, None] * w[queries[:, None, None], tokens])[..., None] * values
    return terms


def margin_terms(tables: Tables, pessimal: frozenset[str] = frozenset(), scores: Bounds | None = None) -> Terms:
    """The terms of all margins, one rival for each output o != m.

    A path in `pessimal` takes, in each margin, the worst value that it has anywhere: EU for any query up to m, EVOU
    for any token up to m, PVOU at any position, the attention weights of EQKE and EQKP for any token up to m and any
    position, apart for each position.  With bounds of EQKE (up to a constant for each query) as `scores`, its
    weights relative to that of m take the worst values within them.
    """

    def worst(name: str, table: FloatArray) -> FloatArray:
        least = table.min(axis=0, keepdims=True) if name in pessimal else table
        return np.broadcast_to(least, table.shape)

    def terms(m: int, queries: IntArray, tokens: IntArray) -> FloatArray:
        direct = worst("EU", leads(tables.EU[: m + 1], m))[queries]
        written = worst("EVOU", leads(tables.EVOU[: m + 1], m))[tokens]
        values = written + worst("PVOU", leads(tables.PVOU, m))[:, None] + direct[:, None, None]
        w, e = weights(tables, m)
        least_w, most_w = _range(w, "EQKE" in pessimal) if scores is None else _relative_weights(scores, m)
        least_e, most_e = _range(e, "EQKP" in pessimal)
        terms = weigh(least_w, least_e, queries, tokens, values)
        if scores is not None or pessimal & {"EQKE", "EQKP"}:
            np.copyto(terms, weigh(most_w, most_e, queries, tokens, values), where=values <= 0.0)
        return terms

    return terms


def _range(weight: FloatArray, pessimal: bool) -> tuple[FloatArray, FloatArray]:
    """The weights themselves twice, or each row's least and largest everywhere."""
    if not pessimal:
        return weight, weight
    low, high = weight.min(axis=1, keepdims=True), weight.max(axis=1, keepdims=True)
    return np.broadcast_to(low, weight.shape), np.broadcast_to(high, weight.shape)


def _relative_weights(scores: Bounds, m: int) -> tuple[FloatArray, FloatArray]:
    """The least and largest weights, over that of m, for scores within these bounds; shape (m + 1, m + 1)."""
    high, low = (table[: m + 1, : m + 1] for table in scores)
    least, most = np.exp(low - high[:, m, None]), np.exp(high - low[:, m, None])
    least[:, m] = most[:, m] = 1.0
    return least, most
