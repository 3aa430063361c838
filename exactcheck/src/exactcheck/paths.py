"""The paths of the model, from their definition."""

from __future__ import annotations

from functools import cached_property

from flint import arb

from exactcheck.balls import Table, balls, largest, mean_row, negated, product, shifted, transposed
from exactcheck.reading import Weights


class Paths:
    """Tables over tokens q, t, outputs o and positions p (from 0, so that the query is at n - 1).

    logit o = EU[q][o] + sum_p a_p (EVOU[x_p][o] + PVOU[p][o]),  a = softmax_p (EQKE[q][x_p] + EQKP[q][p]).
    """

    def __init__(self, weights: Weights) -> None:
        self.v, self.n = weights.v, weights.n
        W = {name: balls(matrix) for name, matrix in weights.folded.items()}
        self.W = W
        middle = mean_row(W["W_pos"])
        self.E_q = shifted(W["W_E"], W["W_pos"][-1])
        self.E_k = shifted(W["W_E"], middle)
        root = arb(weights.h).sqrt()
        self.scaled_E_q = [[x / root for x in row] for row in self.E_q]
        query_side = product(self.scaled_E_q, W["W_Q"], transposed(W["W_K"]))
        write = product(W["W_V"], W["W_O"], W["W_U"])
        self.EU = product(self.E_q, W["W_U"])
        self.EVOU = product(W["W_E"], write)
        self.PVOU = product(W["W_pos"], write)
        self.EQKE = product(query_side, transposed(self.E_k))
        self.EQKP = product(query_side, transposed(shifted(W["W_pos"], negated(middle))))

    @cached_property
    def e(self) -> Table:
        """exp(EQKP)."""
        return [[x.exp() for x in row] for row in self.EQKP]

    @cached_property
    def worst_position(self) -> Table:
        """max_p (PVOU[p][o] - PVOU[p][m]) over (m, o)."""
        return [[largest(row[o] - row[m] for row in self.PVOU) for o in range(self.v)] for m in range(self.v)]
