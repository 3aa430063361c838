"""A plain second implementation of the cubic strategy, as the paper's appendix says it: float64, with divisions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compactproofs.opening.models import Model

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CubicClasses:
    """What the cubic strategy certifies.

    `alone[q, m]`: the input of maximum m whose last token is q, all others m.  `good[c][q, m, k]`: k may stand at any
    of the c places among the first n - 1 that hold no maximum.
    """

    n: int
    alone: BoolArray
    good: dict[int, BoolArray]

    def count(self) -> int:
        """The number of certified inputs."""
        total = int(self.alone.sum())
        for c, good in self.good.items():
            for number in good.sum(axis=2).ravel():
                total += math.comb(self.n - 1, c) * int(number) ** c
        return total

    def certifies(self, tokens: tuple[int, ...]) -> bool:
        """Whether this input is among them."""
        query, m = tokens[-1], max(tokens)
        others = [t for t in tokens[:-1] if t != m]
        if not others:
            return bool(self.alone[query, m])
        return all(bool(self.good[len(others)][query, m, k]) for k in others)


def cubic_classes(model: Model) -> CubicClasses:
    """Decide every class (q, m, c, k) by the lead of the best wrong logit."""
    v, n = model.d_vocab, model.n_ctx
    E, P, U = model.W_E, model.W_pos, model.W_U
    last, average = E + P[-1], P.mean(axis=0)
    OV = model.W_V @ model.W_O @ U
    EU, EVOU, PVOU = last @ U, E @ OV, P @ OV
    QK = model.W_Q @ model.W_K.T / math.sqrt(model.d_head)
    EQKE, EQKP = last @ QK @ (E + average).T, last @ QK @ (P - average).T

    alone = np.zeros((v, v), np.bool_)
    for m in range(v):
        wrong = np.arange(v) != m
        for q in range(m + 1) if n > 1 else (m,):
            tokens = [m] * (n - 1) + [q]
            attention = _softmax(EQKE[q, tokens] + EQKP[q])
            logits = EU[q] + attention @ (EVOU[tokens] + PVOU)
            alone[q, m] = (logits[wrong] < logits[m]).all()

    good = {c: np.zeros((v, v, v), np.bool_) for c in range(1, n)}
    ordered = np.sort(EQKP[:, :-1], axis=1)
    for m in range(1, v):
        wrong = np.arange(v) != m
        lead = (EU - EU[:, [m]])[:, wrong].max(axis=1)
        worst = (PVOU - PVOU[:, [m]]).max(axis=0)
        A = (EVOU - EVOU[:, [m]] + worst)[:, wrong].max(axis=1)
        for c in range(1, n):
            ends = []
            for places in (ordered, ordered[:, ::-1]):
                of_m, of_k = places[:, : n - 1 - c], places[:, n - 1 - c :]
                scores = np.concatenate(  # shape (q, k, position)
                    [
                        np.broadcast_to((EQKE[:, [m]] + of_m)[:, None, :], (v, v, n - 1 - c)),
                        EQKE[:, :, None] + of_k[:, None, :],
                        np.broadcast_to((np.diagonal(EQKE) + EQKP[:, -1])[:, None, None], (v, v, 1)),
                    ],
                    axis=2,
                )
                attention = _softmax(scores)
                to_m = attention[:, :, : n - 1 - c].sum(axis=2)
                to_k = attention[:, :, n - 1 - c : n - 1].sum(axis=2)
                to_q = attention[:, :, n - 1]
                ends.append(to_m * A[m] + to_q * A[:, None] + to_k * A)
            certified = lead[:, None] + np.maximum(*ends) < 0
            certified[:, m:] = False
            certified[m + 1 :] = False
            if c == n - 1:
                certified[:m] = False
            good[c][:, m] = certified
    return CubicClasses(n, alone, good)


def _softmax(scores: FloatArray) -> FloatArray:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
