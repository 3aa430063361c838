"""The low rank of the attention scores: singular values, directions, and what is left of the four factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compactproofs.kernel.decisions import FloatArray
from compactproofs.networks.attention_only import circuits
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import MaxWorkspace, plain
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, SUBCUBIC, directions_of
from compactproofs.theorems.max_of_k.subcubic.remainder import Directions, residual_factors

FACTORS = ("E_q", "Q", "K", "Ē")


@dataclass(frozen=True)
class Fit:
    """A polynomial through values over tokens: `coefficients`, constant first, and the share of variance explained."""

    coefficients: tuple[float, ...]
    explained: float

    def at(self, x: FloatArray) -> FloatArray:
        """The polynomial's values."""
        return np.asarray(np.polynomial.polynomial.polyval(x, self.coefficients), np.float64)


def fit(values: FloatArray, degree: int) -> Fit:
    """The least-squares polynomial over 0, 1, ..., len(values) - 1."""
    x = np.arange(len(values), dtype=np.float64)
    coefficients = np.polynomial.polynomial.polyfit(x, values, min(degree, len(values) - 1))
    rest = values - np.polynomial.polynomial.polyval(x, coefficients)
    variance = float(((values - values.mean()) ** 2).sum())
    return Fit(tuple(map(float, coefficients)), 1.0 - float((rest**2).sum()) / variance if variance > 0 else 1.0)


def simplest_fit(values: FloatArray, wanted: float = 0.98, most: int = 4) -> Fit:
    """The polynomial of the lowest degree, from 1 to `most`, that explains so much; that of degree `most` if none."""
    fits = [fit(values, degree) for degree in range(1, most + 1)]
    return next((one for one in fits if one.explained >= wanted), fits[-1])


@dataclass(frozen=True)
class Spectrum:
    """EQKE without the division by sqrt(h), decomposed.

    `values` (v,): its singular values, largest first.  `query` and `size` (v,): the first left and right singular
    vector times the root of the first singular value, with the sign for which `size` grows with the token.
    `second_query`, `second_key`: the same for the second singular value.
    """

    values: FloatArray
    query: FloatArray
    size: FloatArray
    second_query: FloatArray
    second_key: FloatArray

    @property
    def ratio(self) -> float:
        """sigma_1 / sigma_2: how nearly the scores have rank one."""
        return float(self.values[0] / self.values[1]) if self.values[1] > 0.0 else float("inf")


def spectrum(work: MaxWorkspace) -> Spectrum:
    """The singular value decomposition of the attention scores; the workspace's reading must be "value"."""
    left, values, right = np.linalg.svd(circuits.EQKE(work) * np.sqrt(work.network.d_head))
    tokens = np.arange(len(values)) - (len(values) - 1) / 2

    def vectors(i: int) -> tuple[FloatArray, FloatArray]:
        sign = np.sqrt(values[i]) * (-1.0 if right[i] @ tokens < 0 else 1.0)
        return sign * left[:, i], sign * right[i]

    return Spectrum(values, *vectors(0), *vectors(1))


def searched_directions(work: MaxWorkspace, more: bool) -> Directions:
    """The directions that the search for proofs takes: one for queries and one for keys, or `more`, six in all."""
    kind = "max_diff_subproduct" if more else "max_diff"
    strategy = next(s for s in SUBCUBIC if CHOICES[s.id] == ("max_diff_exact", "mean_query+diff", kind))
    directions = directions_of(search_hints(strategy, work))
    assert directions is not None
    return directions


@dataclass(frozen=True)
class Factor:
    """One of the four factors of EQKE: its spectrum and its entries before and after the principal parts are out."""

    name: str
    before: FloatArray  # singular values
    after: FloatArray
    residual: FloatArray  # entries, (v, d), (d, h), (d, h) or (v, d)


def factors(work: MaxWorkspace) -> list[Factor]:
    """E_q, Q, K and Ē, and what is left of them in the proofs of kind `max_diff_subproduct`.

    E_q is as in the paper, without the division by sqrt(h) that the proofs book on it.
    """
    left, _ = residual_factors(work, searched_directions(work, more=True))
    whole = (circuits.query_embedding(work), work.weight("W_Q"), work.weight("W_K"), circuits.key_embedding(work))
    rest = map(plain, (left[0] * np.sqrt(work.network.d_head), left[1], left[2].T, left[3].T))
    return [
        Factor(name, plain(np.linalg.svd(a, compute_uv=False)), plain(np.linalg.svd(b, compute_uv=False)), b)
        for name, a, b in zip(FACTORS, whole, rest, strict=True)
    ]


def excess_kurtosis(values: FloatArray) -> float:
    """How much heavier the tails of some numbers are than a normal distribution's: 0 for one, and for a constant."""
    deviations = values - values.mean()
    variance = float((deviations**2).mean())
    return float((deviations**4).mean()) / variance**2 - 3.0 if variance > 0.0 else 0.0
