"""How two numbers of many models go together; needs the extra `report`, as nothing else of the analysis does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # which imports its statistics, a second's work, when they are first used

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
    line = scipy.stats.linregress(x, y)
    error = float(scipy.stats.t.ppf(0.975, len(x) - 2) * line.stderr)
    middle, middle_error = float(x.mean()), error * float(x.std())
    return Regression(
        float(line.slope), error, float(line.intercept), float(line.rvalue), float(line.pvalue), middle, middle_error
    )


def explained(predictors: FloatArray, y: FloatArray) -> float:
    """The share of the variance of y (N,) that a linear function of the predictors (N, k) explains; 0 to 1."""
    centred, target = predictors - predictors.mean(axis=0), y - y.mean()
    rest = target - centred @ np.linalg.lstsq(centred, target, rcond=None)[0]
    variance = float((target**2).sum())
    return max(0.0, 1.0 - float((rest**2).sum()) / variance) if variance > 0.0 else 1.0


def rank_correlation(x: FloatArray, y: FloatArray) -> float:
    """Spearman's; 0 where one of them does not vary."""
    if np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return 0.0
    return float(scipy.stats.spearmanr(x, y).statistic)
