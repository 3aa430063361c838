"""Smooth functions that NumPy does not have, on enclosures: from its exp alone.

Each function here is the *gate* of an activation f(x) = x gate(x).  A gate is computed at the midpoint a with a proven
error, and changes from there by at most its largest slope in the interval times the radius r.  The interval holds no
numbers nearer to 0 than c = max(|a| - r, 0), and slopes fall with the distance to 0.

`sigmoid`, of SiLU: s(x) = 1 / (1 + e^-x) = 1 - s(-x), whose slope s (1 - s) is at most 1/4 and at most e^-|x|.

`normal`, of GELU: the distribution function P of the normal distribution, whose slope p(x) = e^(-x^2/2) / sqrt(2 pi) is
less than 0.4 e^(-x^2/2).  The exponents of both bounds of slopes are computed to a relative 8 u, and below -800 the
exponential and what is lost are less than 2^-1022; above, twice the computed exponential is a bound.  For x > 0

    P(x) = 1/2 + p(x) x q_0,     q_k = 1 + y / (2k + 3) q_{k+1},     y = x^2,

since P(x) = 1/2 + p(x) S(x) for S = x + x^3 / 3 + x^5 / (3 * 5) + ...: both sides are 1/2 at 0, and as S' = 1 + x S,
(p S)' = p S' - x p S = p.  For |x| <= REACH = 8.5 the recursion starts with q_TERMS = 1, TERMS = 112.

  Truncation.  y <= 72.25, so y / (2k + 3) < 1/2 for k >= TERMS, and 1 <= q_TERMS < 2: the sum of terms is less than the
  real one by at most its term of number TERMS.  That is the term of number 35, which is less than S, times the product
  of y / (2k + 3) over k = 35 ... TERMS - 1, which is below 2^-70.
  Rounding, with u = 2^-53. All numbers are positive. The term t_k of number k goes through k products, k quotients and
  k + 1 sums, and has y, which is off by u, k times: it is off by a factor (1 + u)^(4 k + 1). Since (2 k + 3) t_{k+1} =
  y t_k, the sum of (4 k + 1) t_k is at most 2 y + 1 times that of t_k, so q_0 is off by (2 y + 1) u. exp(-y/2) has an
  exponent off by u y / 2, and errs by EXP_ULPS units, 8 u; products, the quotient by sqrt(2 pi) and that number add 5
  u. Together less than (2.5 y + 14) u (1 + 2^-40), of the real value; (4 y + 24) u of the computed one is more. Where y
  or a product underflows, that changes q by less than 2^-1000, and x q_0 p(x) is below 2^-500 off. The sum with 1/2
  adds u.

  For x > REACH, 0 < 1 - P(x) < p(x) / x < e^(-y/2): by parts, or as (p / x)' = -p (1 + 1/x^2) < -p.  Computed, e^(-y/2)
  is relatively off by at most 2 u y + 8 u, and y < 1500 or the result is subnormal or 0.  Twice it, and 2^-1022 more,
  is a bound.

`normal_by_tanh`, of the GELU of GPT-2: (1 + tanh z) / 2 = s(2 z) for z = sqrt(2 / pi) (x + 0.044715 x^3).

`normal_by_tanh_fast`: the same for z = 0.7978845608 (x + 0.044715 x^3).

The slope of an activation is gate(x) + x gate'(x), and the gate is between 0 and 1.  The other term has a size of at
most |x| e^-|x| <= 1/e < 0.37 for SiLU, and of |x| p(x) <= p(1) < 0.25 for GELU.  For GELU by tanh it is s'(2 z) 2 x z',
and |x z'| <= 3 |z|, so it is at most 3 |2 z| e^-|2 z| <= 3/e < 1.11.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.enclosure import TINY, UP, Enclosure, U
from compactproofs.kernel.limits import spend

REACH, TERMS = 8.5, 112
#: sqrt(2 pi), and sqrt(8 / pi), as near as floats come: each is relatively off by less than 2^-52.
_ROOT_2_PI, _ROOT_8_OVER_PI = 2.5066282746310002, 1.5957691216057308


@singledispatch
def sigmoid(x: Any) -> Array:
    """1 / (1 + e^-x)."""
    with np.errstate(all="ignore"):
        power: Any = np.exp(type(x)(-np.abs(x.mid), np.zeros(x.shape)))  # at most 1
        small = power / (1.0 + power)
        point = np.where(x.mid >= 0.0, 1.0 - small, small)
        slope = np.minimum(0.25, 2.0 * np.exp(-np.maximum(np.abs(x.mid) - x.rad, 0.0)) + TINY)
        gate: Array = type(x)(point.mid, (point.rad + slope * x.rad + TINY) * UP)
        return gate


@singledispatch
def normal(x: Any) -> Array:
    """The distribution function of the normal distribution, (1 + erf(x / sqrt 2)) / 2."""
    spend(3 * TERMS * x.size)
    with np.errstate(all="ignore"):
        size = np.abs(x.mid)
        y = size * size
        density = np.exp(-0.5 * y)
        series = np.ones(x.shape)
        for k in reversed(range(TERMS)):
            series = 1.0 + y * series / (2.0 * k + 3.0)
        half = size * series * density / _ROOT_2_PI
        far = ~(size <= REACH)
        half = np.where(far, 0.5, half)
        rad = np.where(far, 2.0 * density, half * U * (4.0 * y + 24.0) + U)
        slope = 0.4 * np.minimum(1.0, 2.0 * np.exp(-0.5 * np.maximum(size - x.rad, 0.0) ** 2) + TINY)
        rad = (rad + slope * x.rad + TINY) * UP + (x.mid - x.mid)
        gate: Array = type(x)(0.5 + np.copysign(half, x.mid), rad)
        return gate


@singledispatch
def normal_by_tanh(x: Any) -> Array:
    """(1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    factor = Enclosure(np.array(_ROOT_8_OVER_PI), np.array(2.0**-51))
    return sigmoid(_cubic(x) * factor)


@singledispatch
def normal_by_tanh_fast(x: Any) -> Array:
    """(1 + tanh(0.7978845608 (x + 0.044715 x^3))) / 2."""
    return sigmoid(_cubic(x) * (Enclosure.exact(2 * 7978845608.0) / 1e10))


def _cubic(x: Array) -> Array:
    """x + 0.044715 x^3."""
    small: Array = x * x * x * (Enclosure.exact(44715.0) / 1e6)
    return x + small


@singledispatch
def of_either_sign(x: Any) -> Array:
    """Numbers of which nothing is known but that their sizes are at most those of x."""
    sizes: Array = type(x)(np.zeros(x.shape), (np.abs(x.mid) + x.rad) * UP + (x.mid - x.mid))
    return sizes


#: Activations of the form f(x) = x gate(x), by their TransformerLens names.
GATES: dict[str, Callable[[Any], Array]] = {
    "silu": sigmoid,
    "gelu": normal,
    "gelu_new": normal_by_tanh,
    "gelu_pytorch_tanh": normal_by_tanh,
    "gelu_fast": normal_by_tanh_fast,
}
#: Bounds of the slopes of activations.
SLOPES = {
    "relu": 1.0,
    "silu": 1.375,
    "gelu": 1.25,
    **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_fast"), 2.125),
}
