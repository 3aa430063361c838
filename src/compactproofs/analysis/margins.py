"""Margins from the five paths, whole or ablated: the tables that an analysis changes, and the terms of their sums.

The margin of the maximum m over an output o, times the softmax's denominator, is a sum over positions
(`lemmas.additive`):  sum_p w(q, x_p) e(q, p) (EU_D[q] + EVOU_D[x_p] + PVOU_D[p]),  X_D[r] = X[r, m] - X[r, o].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs import circuits
from compactproofs.analysis.inputs import Terms
from compactproofs.arrays import FloatArray, IntArray
from compactproofs.workspace import Workspace

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
    def of(cls, work: Workspace) -> Tables:
        """The paths of the workspace's model; the reading must be "value"."""
        return cls(*(getattr(circuits, name)(work) for name in PATHS))


def leads(table: FloatArray, m: int) -> FloatArray:
    """table[r, m] - table[r, o] for the outputs o != m in order, shape (r, v) to (r, v - 1)."""
    return table[:, m, None] - np.delete(table, m, axis=1)


def weights(tables: Tables, m: int, queries: IntArray) -> tuple[FloatArray, FloatArray]:
    """(w, e): exp(EQKE - the row's maximum), shape (queries, m + 1), and exp(EQKP), shape (queries, n)."""
    scores = tables.EQKE[queries, : m + 1]
    return np.exp(scores - scores.max(axis=1, keepdims=True)), np.exp(tables.EQKP[queries])


def margin_terms(tables: Tables, pessimal: frozenset[str] = frozenset()) -> Terms:
    """The terms of all margins, one rival for each output o != m.

    A path in `pessimal` takes, in each margin, the worst value that it has anywhere: EU for any query up to m, EVOU
    for any token up to m, PVOU at any position, the attention weights of EQKE and EQKP for any token up to m and any
    position, apart for each position.
    """

    def worst(name: str, table: FloatArray) -> FloatArray:
        return table.min(axis=0, keepdims=True) if name in pessimal else table

    def terms(m: int, queries: IntArray) -> FloatArray:
        direct = worst("EU", leads(tables.EU[: m + 1], m))
        direct = direct if "EU" in pessimal else direct[queries]
        tokens = np.broadcast_to(worst("EVOU", leads(tables.EVOU[: m + 1], m)), (m + 1, tables.EVOU.shape[1] - 1))
        written = tokens + worst("PVOU", leads(tables.PVOU, m))[:, None]
        written = np.broadcast_to(written, (len(tables.PVOU), *tokens.shape))
        values = written + direct[:, None, None, :]
        w, e = weights(tables, m, queries)
        low, high = _range(w, "EQKE" in pessimal), _range(e, "EQKP" in pessimal)
        least = low[0][:, None, :, None] * high[0][:, :, None, None]
        if not pessimal & {"EQKE", "EQKP"}:
            return least * values
        most = low[1][:, None, :, None] * high[1][:, :, None, None]
        return np.where(values > 0.0, least, most) * values

    return terms


def _range(weight: FloatArray, pessimal: bool) -> tuple[FloatArray, FloatArray]:
    """The weights themselves twice, or each row's least and largest everywhere."""
    if not pessimal:
        return weight, weight
    low, high = weight.min(axis=1, keepdims=True), weight.max(axis=1, keepdims=True)
    return np.broadcast_to(low, weight.shape), np.broadcast_to(high, weight.shape)
