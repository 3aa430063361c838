"""Whether a more faithful account of attention gives tighter bounds."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.correlations import explained, rank_correlation, regress
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF, QUARTER, picture
from compactproofs.report.subjects import DRAWN_KINDS, Models, with_remainder
from compactproofs.theorems.max_of_k.subcubic import remainder


def of_models(models: Models) -> Found:
    """Bounds, and what they lose to the exact remainder, against the ratio of singular values."""
    ratio, sigmas = np.log10(models.ratio), np.log(models.column("singular_values")[:, :2])
    bounds = {kind: models.bounds(with_remainder(kind)) for kind in remainder.KINDS}
    exact = bounds[remainder.EXACT]
    lines = {kind: regress(ratio, bound) for kind, bound in bounds.items()}
    losses = {kind: regress(ratio, exact - bound) for kind, bound in bounds.items()}
    known = {kind: line for kind, line in lines.items() if line and kind != remainder.EXACT}
    rows = []
    for kind, line in lines.items():
        about: tuple[float | None, ...] = (None,) * 6
        if line:
            numbers = (line.slope, line.slope_error, line.correlation, line.correlation**2, line.p)
            about = (*numbers, rank_correlation(ratio, bounds[kind]))
        lost = losses[kind]
        rows.append((kind, bounds[kind].mean(), *about, lost.correlation if lost else None))
    return {
        "lines": lines,
        "lost": losses["svd"],
        "known": len(known),
        "supported": [kind for kind, line in known.items() if line.slope > line.slope_error],
        "against": [kind for kind, line in known.items() if line.slope < -line.slope_error],
        "falls": [kind for kind in known if (lost := losses[kind]) and lost.correlation < 0],
        "exact": lines[remainder.EXACT],
        "strength": regress(sigmas[:, 0], exact),
        "shares": [line.correlation**2 for line in known.values()],
        "both": explained(sigmas, bounds["svd"]),
        "rows": rows,
        "figures": {
            kind: picture(
                f"faithfulness-{kind}".replace("+", "-").replace("_", "-").lower(),
                charts.regression(models.ratio, bounds[kind], lines[kind], "σ₁ / σ₂ of EQKE", "normalised bound"),
                (HALF[0], 4.0) if kind == "svd" else QUARTER,
            )
            for kind in DRAWN_KINDS
        },
    }
