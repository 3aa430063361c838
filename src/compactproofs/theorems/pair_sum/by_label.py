"""Inputs in groups that have their label in common, and which of them are right.

Every input is in one group once.  A group is small enough for its arrays of (inputs, neurons) and (inputs, outputs) to
stay below `BATCH_ENTRIES`, or has a single input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import Array, BoolArray, IntArray, certainly_positive
from compactproofs.networks.pair_sum.circuits import Tables

BATCH_ENTRIES = 2**18


class Group(NamedTuple):
    """Inputs (x[i], y[i]) with one label."""

    label: int
    x: IntArray
    y: IntArray


def groups(table: IntArray, width: int) -> Iterator[Group]:
    """All inputs, those of each label together; `width`: of the widest row that is computed for an input."""
    step = max(1, BATCH_ENTRIES // width)
    order = np.argsort(table, axis=None, kind="stable")
    labels, starts = np.unique(table.ravel()[order], return_index=True)
    for label, inputs in zip(labels, np.split(order, starts[1:]), strict=True):
        for start in range(0, len(inputs), step):
            x, y = np.unravel_index(inputs[start : start + step], table.shape)
            yield Group(int(label), x, y)


def hidden(tables: Tables, group: Group) -> Array:
    """What the ReLUs of `tables` are for each input of a group, shape (inputs, m)."""
    neurons: Array = np.maximum(tables.left[group.x] + tables.right[group.y], 0.0)
    return neurons


def direct(tables: Tables, group: Group, row: Array | None = None) -> Array:
    """What the logits are besides the ReLUs' part, shape (inputs, k) or (1, k); `row` (k,) is added to each."""
    of_y = tables.of_y if len(tables.of_y) == 1 else tables.of_y[group.y]
    of_y = of_y if row is None else of_y + row
    return of_y if tables.of_x is None else tables.of_x[group.x] + of_y


def right(leads: Array, label: int) -> BoolArray:
    """Of which rows all entries but that of the label are certainly positive."""
    own = np.arange(leads.shape[1]) == label
    return np.asarray((certainly_positive(leads) | own).all(axis=1))


def number_right(leads: Array, label: int) -> int:
    """Of how many rows this is so."""
    return int(right(leads, label).sum())
