"""The best other output: what every margin is measured against."""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import Array


def max_of_others(table: Array) -> Array:
    """For each entry of each row, the maximum of the row's *other* entries.

    `table`: shape (r, v) with v >= 2.  Returns shape (r, v), entry [i, m] = max over o != m of table[i, o].

    Proof.  The others are those before m and those after m; a running maximum from the left and one from the right
    hold the maxima of both groups, and at the ends one group is empty.  Cost 3 r v instead of r v^2.
    """
    before = np.maximum.accumulate(table, axis=1)[:, :-1]
    after = np.flip(np.maximum.accumulate(np.flip(table, axis=1), axis=1), axis=1)[:, 1:]
    return np.concatenate([after[:, :1], np.maximum(before[:, :-1], after[:, 1:]), before[:, -1:]], axis=1)
