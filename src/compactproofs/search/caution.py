"""Claims that hold on other machines as well: decided only where there is room to spare."""

from __future__ import annotations

import numpy as np

from compactproofs.kernel.decisions import BoolArray, IntArray, certainly_positive, to_grid
from compactproofs.kernel.enclosure import Enclosure


class CautiousEnclosure(Enclosure):
    """The reading with which claims are made: it certifies only what has four times the radius to spare.

    If this machine's midpoint exceeds 4 r1, the true value exceeds 3 r1, and a midpoint computed elsewhere (another
    BLAS, another exp) with radius r2 exceeds 3 r1 - r2.  That is more than r2 whenever r2 <= 1.5 r1, so another
    machine certifies it too.
    """

    __slots__ = ()
    doubt = 4.0


def close(x: Enclosure, decided: BoolArray) -> bool:
    """Whether a cautious reading of x decides anything in another way than `certainly_positive(x)`, which is given."""
    return not np.array_equal(certainly_positive(CautiousEnclosure(x.mid, x.rad)), decided)


def close_on_grid(x: Enclosure, scale: float, found: tuple[IntArray, IntArray]) -> bool:
    """Whether a cautious reading of x gives other integers than `to_grid(x, scale)`, which is given."""
    if CautiousEnclosure.doubt * float(x.rad.max(initial=0.0)) * scale <= 1.0:
        return False  # of 0 and of up to 1, what is rounded up is the same: 0 and 1
    try:
        cautious = to_grid(CautiousEnclosure(x.mid, x.rad), scale)
    except OverflowError:
        return True
    return not all(map(np.array_equal, cautious, found))
