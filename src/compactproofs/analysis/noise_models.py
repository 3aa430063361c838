"""What one would say of the remainder of EQKE if three of its factors were noise: a diagnosis, and never a claim.

Model.  Of the four residual factors (`spectra`), E_q is as it is; the entries of Q, K and Ē are independent Gaussian
numbers of mean 0 and, for each factor, of the mean square that it has.

Under the model the row spread for query q is |E_q[q]| s_Q s_K s_Ē times |g| |h| (max_k n_k - min_k n_k), with standard
normal vectors g in R^h, h in R^d and n in R^v: a fixed vector times a Gaussian matrix is the vector's length times a
Gaussian vector, three times over.  So all v rows spread by no more than |E_q[q]| s_Q s_K s_Ē times the quantile at
1 - error / v with a probability of at least 1 - error.  The quantile is that of draws.

Nothing of this is proved of a model: its factors are not drawn, and that the entries of each look normal one by one
says nothing about how the factors fit together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count, takewhile
from math import erf, exp, sqrt

import numpy as np

from compactproofs.analysis.spectra import FACTORS, searched_directions
from compactproofs.kernel.decisions import FloatArray
from compactproofs.search.workspaces import MaxWorkspace, plain
from compactproofs.theorems.max_of_k.subcubic.remainder import RECURSIVE_KINDS, residual_factors, spread_of_product

ERROR = 0.01
_DRAWS = 2**15


@dataclass(frozen=True)
class NoiseModel:
    """Row spreads (v,): `true`, as the model has it that they are at most, and as the cheapest proof bounds them.

    `normality`: of each factor that is taken for noise, how probable a normal sample is that looks as little normal.
    """

    true: FloatArray
    promised: FloatArray
    proved: FloatArray
    normality: dict[str, float]

    @property
    def broken(self) -> int:
        """How many rows spread by more than the model promises of all of them."""
        return int((self.true > self.promised).sum())

    @property
    def excess(self) -> float:
        """The largest true spread over the promised one; above 1 the promise is broken."""
        ratio = np.divide(self.true, self.promised, out=np.zeros_like(self.true), where=self.promised > 0)
        return float(ratio.max())


def noise_model(work: MaxWorkspace) -> NoiseModel:
    """What the noise model says of a model, and what is true.  The workspace's reading must be "value"."""
    return of_factors(tuple(map(plain, residual_factors(work, searched_directions(work, more=True))[0])))


def of_factors(factors: tuple[FloatArray, ...]) -> NoiseModel:
    """The same of any four factors."""
    first, *noise = factors
    scale = float(np.prod([np.sqrt((factor**2).mean()) for factor in noise]))
    (v, d), h = first.shape, noise[0].shape[1]
    return NoiseModel(
        true=plain(spread_of_product(factors, "max_diff_exact")),
        promised=np.linalg.norm(first, axis=1) * scale * _quantile(h, d, v),
        proved=np.broadcast_to(plain(spread_of_product(factors, RECURSIVE_KINDS[0])), (v,)),
        normality={name: normality(factor.ravel()) for name, factor in zip(FACTORS[1:], noise, strict=True)},
    )


@cache
def _quantile(h: int, d: int, v: int) -> float:
    """Of |g| |h| (max n - min n), that which all of v rows exceed with a probability of at most `ERROR`."""
    rng = np.random.default_rng(0)
    lengths = np.sqrt(rng.chisquare(h, _DRAWS) * rng.chisquare(d, _DRAWS))
    ranges = np.concatenate([np.ptp(rng.standard_normal((_DRAWS // 32, v)), axis=1) for _ in range(32)])
    return float(np.quantile(lengths * ranges, 1 - ERROR / v))


def normality(values: FloatArray) -> float:
    """The p-value of Kolmogorov and Smirnov's test against a normal distribution with mean 0 and this mean square."""
    size, spread = len(values), float(np.sqrt((values**2).mean()))
    if spread == 0.0:
        return 1.0
    expected = np.array([(1 + erf(x / spread / sqrt(2))) / 2 for x in np.sort(values)])
    steps = np.arange(size + 1) / size
    distance = max(float((steps[1:] - expected).max()), float((expected - steps[:-1]).max()))
    x = (sqrt(size) + 0.12 + 0.11 / sqrt(size)) * distance
    if x < 0.2:  # where the series converges slowly, and is 1 to ten digits
        return 1.0
    terms = takewhile(lambda term: abs(term) > 1e-300, ((-1) ** (j + 1) * exp(-2 * (j * x) ** 2) for j in count(1)))
    return min(1.0, 2 * float(sum(terms)))
