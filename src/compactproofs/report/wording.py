"""How numbers and lists are put into words: the filters of the templates."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from compactproofs.kernel.decisions import FloatArray, IntArray

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def with_minus(text: str) -> str:
    """The text with minus signs in place of hyphens before numbers."""
    return re.sub(r"(?<![\w^])-(?=[\d.])", "−", text)


def form(value: float, spec: str = "") -> str:
    """The number in this format."""
    return with_minus(format(value, spec))


def percent(value: float) -> str:
    """A share as a percentage, with three digits."""
    return f"{100 * value:.3g}%"


def proved(share: float | Fraction) -> str:
    """A certified share as a percentage: what is proved is never rounded up."""
    return f"{math.floor(share * 10_000) / 100:.2f}".removesuffix(".00") + "%"


def large(number: int) -> str:
    """All its digits, or the first three, which say no more than there is, and a power of ten."""
    digits = str(number)
    if number < 10**12:
        return f"{number:,}"
    return f"{digits[0]}.{digits[1:3]} · 10{str(len(digits) - 1).translate(_RAISED)}"


def probability(p: float) -> str:
    """As p = ..., two digits or one digit and a power of ten."""
    if p >= 0.001:
        return f"p = {p:.2g}"
    leading, exponent = f"{max(p, 1e-100):.0e}".split("e-")
    power = f"10⁻{str(int(exponent)).translate(_RAISED)}"
    return f"p = {leading}·{power}" if p > 1e-100 else f"p < {power}"


def std(values: FloatArray) -> float:
    """The standard deviation over models, 0 for a single one."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def mean_std(values: FloatArray, digits: int = 4) -> str:
    """The mean ± the standard deviation."""
    return with_minus(f"{values.mean():.{digits}f} ± {std(values):.{digits}f}")


def listed(names: Sequence[str], word: str = "and") -> str:
    """a, b and c."""
    return f" {word} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def numbers(values: IntArray, most: int = 12) -> str:
    """The first of them, and how many more there are."""
    shown = ", ".join(map(str, np.asarray(values)[:most].tolist()))
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


FILTERS = {f.__name__: f for f in (form, percent, proved, large, probability, mean_std, listed, numbers, math.log2)}
