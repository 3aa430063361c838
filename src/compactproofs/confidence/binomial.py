"""Tails of the binomial distribution, bounded from above by integers alone (Clopper and Pearson's test).

Lemma.  If `few_is_unlikely(k, n, p, bits)` is true, then n independent draws, each of which counts with a probability
of at least p whatever the others do, have at most k that count with a probability of at most 2^-bits.

Proof.  The probability that at most k count falls where one of the draws becomes likelier to count; so all may be taken
to count with probability r, for any r <= p: below, p rounded down to a multiple of 2^-256.  It is then the sum of

    t_i = C(n, i) r^i (1 - r)^(n - i)   over i = 0 ... k,     and t_(i-1) = t_i * i (1 - r) / ((n - i + 1) r).

Numbers are written as m 2^e with integers m < 2^256 and e, and each operation on these non-negative numbers rounds up;
sums, products and quotients by known integers do not fall where an operand rises.  So each computed t_i is at least
t_i, and so is it in units of 2^-(bits + 64), rounded up.  Where i < (n + 1) r, the t_i fall with i, so once one is at
most one unit, all i that are left are.  The answer is true only if the sum is at most 2^64 units, which is 2^-bits.
Where k >= (n + 1) r, the answer is false, which claims nothing.

For r = 1 the sum is 0 if k < n; for r = 0, and for k = n, the answer is false.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import comb, floor
from typing import TypeAlias

_BITS = 256
_ONE = 1 << _BITS
_SPARE = 64

Number: TypeAlias = tuple[int, int]  # m and e


def few_is_unlikely(k: int, n: int, p: Fraction, bits: int) -> bool:
    """Whether it is shown that at most k of n draws count with a probability of at most 2^-bits."""
    r = min(floor(p * _ONE), _ONE)
    if k < 0 or (r == _ONE and k < n):
        return True
    if r <= 0 or k * _ONE >= (n + 1) * r or k >= n:
        return False
    term = _times(_times(_binomial(n, k), _power((r, -_BITS), k)), _power((_ONE - r, -_BITS), n - k))
    most = 1 << _SPARE
    total = 0
    for i in range(k, -1, -1):
        units = _in_units(term, bits + _SPARE)
        total += units
        if total > most:
            return False
        if units <= 1:
            return total + i <= most
        m, e = term
        term = _rounded(-((-m * i * (_ONE - r) << 2 * _BITS) // ((n - i + 1) * r)), e - 2 * _BITS)
    return True


def many_is_unlikely(k: int, n: int, p: Fraction, bits: int) -> bool:
    """Whether it is shown that at least k of n draws count with a probability of at most 2^-bits, each at most p."""
    return few_is_unlikely(n - k, n, 1 - p, bits)


def _rounded(m: int, e: int) -> Number:
    """m 2^e, or a little more."""
    excess = max(m.bit_length() - _BITS, 0)
    return -(-m >> excess), e + excess


def _times(a: Number, b: Number) -> Number:
    return _rounded(a[0] * b[0], a[1] + b[1])


def _power(base: Number, exponent: int) -> Number:
    result = (1, 0)
    for bit in bin(exponent)[2:]:
        result = _times(result, result)
        if bit == "1":
            result = _times(result, base)
    return result


@lru_cache(4)
def _binomial(n: int, k: int) -> Number:
    return _rounded(comb(n, k), 0)


def _in_units(number: Number, bits: int) -> int:
    """In units of 2^-bits, rounded up."""
    m, shift = number[0], number[1] + bits
    return m << shift if shift >= 0 else -(-m >> -shift)
