"""What is left of the attention scores: its true row spread, what each way of bounding it makes of it, and noise.

The row spread of a remainder R for the query q is max_k R[q, k] - min_k R[q, k]: by how much the scores of two keys can
differ in ways that the low-rank part does not explain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compactproofs.analysis.inputs import Inputs, Share
from compactproofs.analysis.margins import Tables, margin_terms
from compactproofs.analysis.spectra import searched_directions
from compactproofs.kernel.decisions import FloatArray, midpoint
from compactproofs.networks.attention_only import circuits
from compactproofs.search.workspaces import MaxWorkspace, plain
from compactproofs.theorems.max_of_k.subcubic.remainder import (
    EXACT,
    KINDS,
    RECURSIVE_KINDS,
    residual_factors,
    scores,
    spread_of_product,
)
from compactproofs.theorems.max_of_k.subcubic.spread import row_spread

BOUNDS = tuple(kind for kind in KINDS if kind != EXACT)
#: The bounds that need nothing but the four residual factors, so that noise can stand in for these: how each bounds
#: the product.  All are applied to what is left after all six directions, whatever the strategy of that name takes out.
NOISE_BOUNDS = {
    "norm bound": "svd",
    "best cut": "max_diff",
    "best cut, mean apart": "mean+max_diff",
    **dict(zip(("recursive", "recursive, mean apart", "recursive, means apart"), RECURSIVE_KINDS, strict=True)),
}
REPLACEMENTS = ("zero", "mean", "resample", "noise")


@dataclass(frozen=True)
class Budget:
    """One way of bounding the remainder: `true` and `bound` are row spreads, shape (v,) over queries.

    `flops`: what the low-rank part and the spread cost, as the checker counts them.
    """

    kind: str
    true: FloatArray
    bound: FloatArray
    flops: int

    @property
    def factor(self) -> float:
        """The mean bound over the mean true spread; 1 where that is nothing but rounding."""
        return max(1.0, float(self.bound.mean() / self.true.mean())) if self.true.mean() > 0 else 1.0


def budgets(work: MaxWorkspace, check: MaxWorkspace) -> list[Budget]:
    """Every way of bounding the remainder, cheapest last.  `work`: reading "value"; `check`: "check", for the cost."""
    result = []
    for kind in BOUNDS:
        directions = searched_directions(work, more="subproduct" in kind)
        key = ("analysis of the remainder", kind)
        bounded = check.once(key, lambda kind=kind, directions=directions: scores(check, kind, directions))  # type: ignore[misc]
        true = plain(row_spread(circuits.EQKE(work) - scores(work, kind, directions).approximation))
        result.append(Budget(kind, true, midpoint(bounded.spread), check.cost(key).flops))
    return sorted(result, key=lambda budget: -budget.flops)


@dataclass(frozen=True)
class Comparison:
    """A row spread (mean over queries) of the trained residual factors and of noise in their place.

    `name`: "true spread" or one of `NOISE_BOUNDS`.  `noise` (draws,).
    """

    name: str
    trained: float
    noise: FloatArray

    @property
    def deviations(self) -> float:
        """How many standard deviations of the noise the trained value lies above the noise's mean."""
        std = float(self.noise.std(ddof=1))
        return (self.trained - float(self.noise.mean())) / std if std > 0 else 0.0


def compare_with_noise(work: MaxWorkspace, rng: np.random.Generator, draws: int = 1000) -> list[Comparison]:
    """The remainder's spread and its bounds, against Gaussian factors with the same mean and variance of entries."""
    trained = tuple(map(plain, residual_factors(work, searched_directions(work, more=True))[0]))
    names = ("true spread", *NOISE_BOUNDS)
    samples = np.array([_spreads(_noise(trained, rng)) for _ in range(draws)])
    return [
        Comparison(name, value, samples[:, i])
        for i, (name, value) in enumerate(zip(names, _spreads(trained), strict=True))
    ]


def _noise(factors: tuple[FloatArray, ...], rng: np.random.Generator) -> tuple[FloatArray, ...]:
    return tuple(rng.normal(factor.mean(), factor.std(), factor.shape) for factor in factors)


def _spreads(factors: tuple[FloatArray, ...]) -> list[float]:
    kinds = ("max_diff_exact", *NOISE_BOUNDS.values())
    return [float(plain(spread_of_product(factors, kind)).mean()) for kind in kinds]


@dataclass(frozen=True)
class Replaced:
    """The accuracy of the model with its residual factors replaced, one share for each draw."""

    kind: str
    shares: tuple[Share, ...]

    @property
    def accuracy(self) -> float:
        """The mean over the draws."""
        return float(np.mean([share.value for share in self.shares]))


def replace_residuals(
    work: MaxWorkspace, inputs: Inputs, rng: np.random.Generator, draws: int = 5, kinds: tuple[str, ...] = REPLACEMENTS
) -> list[Replaced]:
    """Accuracy after replacing what the six directions leave of E_q, Q, K and Ē.

    zero: by nothing, so that only the low-rank part is left.  mean: each row by the factor's mean row.  resample: the
    rows by a random permutation of them.  noise: by Gaussian entries of the same mean and variance.  Rows are tokens
    for the embeddings, and directions of the residual stream for Q and K.
    """
    factors, approximation = residual_factors(work, searched_directions(work, more=True))
    tables = Tables.of(work)
    by_rows = tuple(map(plain, (factors[0], factors[1], factors[2].T, factors[3].T)))

    def accuracy(kind: str) -> Share:
        first, second, third, last = (_replaced(factor, kind, rng) for factor in by_rows)
        return inputs.count(
            margin_terms(tables._replace(EQKE=plain(approximation) + first @ second @ third.T @ last.T))
        )

    return [
        Replaced(kind, tuple(accuracy(kind) for _ in range(draws if kind in ("resample", "noise") else 1)))
        for kind in kinds
    ]


def _replaced(factor: FloatArray, kind: str, rng: np.random.Generator) -> FloatArray:
    if kind == "zero":
        return np.zeros_like(factor)
    if kind == "mean":
        return np.broadcast_to(factor.mean(axis=0), factor.shape)
    if kind == "resample":
        return rng.permutation(factor, axis=0)
    if kind == "noise":
        return rng.normal(factor.mean(), factor.std(), factor.shape)
    raise ValueError(f"unknown replacement {kind!r}; known: {', '.join(REPLACEMENTS)}")
