"""How two numbers of many models go together; needs the extra `report`, as nothing else of the analysis does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special  # all of its statistics would take a second to import

from compactproofs.kernel.decisions import FloatArray


@dataclass(frozen=True)
class Regression:
    """A least-squares line through points, with confidence bands at 95%.

    `slope`, `slope_error` (half the width of its interval), `intercept`, `correlation` (Pearson's r), and `p`, the
    probability of so large a correlation if there is none.
    """

    slope: float
    slope_error: float
    intercept: float
    correlation: float
    p: float
    _middle: float
    _middle_error: float

    def at(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(the line, half the width of the confidence band of the mean) at these places."""
        return self.intercept + self.slope * x, np.hypot(self._middle_error, self.slope_error * (x - self._middle))


def regress(x: FloatArray, y: FloatArray) -> Regression | None:
    """The regression of y on x, both (N,); None for fewer than 6 points or where x or y does not vary."""
    if len(x) < 6 or x.std() == 0.0 or y.std() == 0.0:
        return None
    free, ratio, r = len(x) - 2, float(y.std() / x.std()), _pearson(x, y)
    unexplained = (1.0 - r) * (1.0 + r)
    error = float(special.stdtrit(free, 0.975)) * ratio * math.sqrt(unexplained / free)
    p = 0.0 if unexplained == 0.0 else 2.0 * float(special.stdtr(free, -abs(r) * math.sqrt(free / unexplained)))
    slope, middle = r * ratio, float(x.mean())
    return Regression(slope, error, float(y.mean()) - slope * middle, r, p, middle, error * float(x.std()))


def explained(predictors: FloatArray, y: FloatArray) -> float:
    """The share of the variance of y (N,) that a linear function of the predictors (N, k) explains; 0 to 1."""
    centred, target = predictors - predictors.mean(axis=0), y - y.mean()
    rest = target - centred @ np.linalg.lstsq(centred, target, rcond=None)[0]
    variance = float((target**2).sum())
    return max(0.0, 1.0 - float((rest**2).sum()) / variance) if variance > 0.0 else 1.0


def rank_correlation(x: FloatArray, y: FloatArray) -> float:
    """Spearman's; 0 where one of them does not vary."""
    return _pearson(_ranks(x), _ranks(y)) if np.ptp(x) > 0.0 and np.ptp(y) > 0.0 else 0.0


def _pearson(x: FloatArray, y: FloatArray) -> float:
    """The correlation of two series (N,) that vary."""
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))


def _ranks(x: FloatArray) -> FloatArray:
    """The places (N,) of numbers in their order, from 1; equal ones share the mean of theirs."""
    _, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return ranks
