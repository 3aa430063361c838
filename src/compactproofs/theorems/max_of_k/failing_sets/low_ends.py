"""Floats below what an array stands for: another way to decide, for sums of which there are too many to make."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from compactproofs.kernel.decisions import FloatArray


@singledispatch
def lower(x: Any) -> FloatArray:
    """Floats that are certainly at most x, -inf where nothing is known; to decide by comparing them.

    If lower(x) > -lower(y), an exact comparison, then x + y > 0.
    """
    # The computed difference is within half a unit in the last place of mid - doubt * rad (the product by 1 or 4 is
    # exact), so the next float below is at most that.
    with np.errstate(all="ignore"):
        low = np.nextafter(x.mid - x.doubt * x.rad, -np.inf)
    return np.where(np.isnan(low), -np.inf, low)
