"""Uniform integers from the operating system's random bytes, without a bias and without floating point.

Assumption: the bytes that `os.urandom` gives are independent and uniform, and independent of model and claim.

Lemma.  If words are independent and uniform on 0 ... w - 1, then those of them below c, in their order, are independent
and uniform on 0 ... c - 1; and if b divides c, so are their remainders by b on 0 ... b - 1.

Proof.  Given which of the words are below c, each of these has each of the c values with the same probability, whatever
the others are.  Each remainder comes from c / b of the values.
"""

from __future__ import annotations

import os

import numpy as np

from compactproofs.kernel.decisions import IntArray


def small_integers(below: int, number: int) -> IntArray:
    """So many independent uniform integers in 0 ... below - 1, for 1 <= below <= 2^32."""
    if not 1 <= below <= 2**32:
        raise ValueError(f"expected a bound from 1 to 2^32, found {below}")
    largest = np.uint64(2**64 // below * below - 1)  # of the words that are kept
    kept = np.zeros(0, np.uint64)
    while len(kept) < number:
        words = np.frombuffer(os.urandom(8 * (number - len(kept))), "<u8")
        kept = np.concatenate([kept, words[words <= largest]])
    return (kept % np.uint64(below)).astype(np.int64)


def large_integers(below: int, number: int) -> list[int]:
    """The same for any bound from 1 on: Python's integers."""
    bits = (below - 1).bit_length()
    width = (bits + 7) // 8
    kept: list[int] = []
    while len(kept) < number:
        missing = min(number - len(kept), 2**16)
        data = os.urandom(width * missing)
        words = (int.from_bytes(data[width * i : width * (i + 1)], "little") for i in range(missing))
        kept += [word for word in (word & ((1 << bits) - 1) for word in words) if word < below]
    return kept
