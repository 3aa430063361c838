"""Which sequences of tokens are meant, told token by token.

There are some conditions that sequences can meet, numbered from 0, and the last one is what is asked for.  For each
token t and condition g there is a condition, `before`, such that a sequence with t at its end meets g if and only if
what is before t meets that one; or none, -1, if no sequence with t at its end meets g.  `empty` says which conditions
the empty sequence meets.  So what the sequences of P tokens are like that meet g is known from those of P - 1 tokens:
each of them is one such sequence with one token t more, for the t's that have a condition before g.

Conditions are of two kinds, which are met together.  Both say nothing of the order of tokens: a sequence meets one if
and only if all others of the same tokens do.

Sets.  A condition names some sets of tokens, and is met by the sequences that hold a token of each.  A sequence with t
at its end is one of these if and only if those before t hold one of each of these sets but those that t is in.  The
empty sequence meets the condition of no sets.

Rank.  The condition (a, b) is met by the sequences in which at most a tokens are above some token, and at least b are
that token or above it, a and b >= 0.  With one token more it is met if and only if before it is met (a, b), where the
token is below; (a, b - 1), or (a, 0) if b = 0, where it is the same; (a - 1, b - 1), or (a - 1, 0), where it is above,
and by none if a = 0.  The empty sequence meets those with b = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import BoolArray, IntArray

_FAR = 2**60
MAX_POSITIONS = 64


class Conditions(NamedTuple):
    """The conditions of this module; `before`: shape (T, conditions), `empty`: shape (conditions,)."""

    before: IntArray
    empty: BoolArray

    @classmethod
    def of_sets(cls, required: BoolArray) -> Conditions:
        """That a token of each set is there; `required`: shape (sets, T)."""
        groups = np.arange(2 ** len(required))  # of sets, as bits
        bits = (required * 2 ** np.arange(len(required))[:, None]).sum(axis=0, dtype=np.int64)
        return cls(groups & ~bits[:, None], groups == 0)

    def with_rank(self, sign: IntArray, most_above: int, least: int) -> Conditions:
        """And that at most so many tokens are above one, and at least so many are it or above; `sign`: of t less it."""
        a, b = np.divmod(np.arange((most_above + 1) * (least + 1)), least + 1)
        fewer = a - (sign[:, None] > 0)
        ranks = np.where(fewer >= 0, fewer * (least + 1) + np.maximum(b - (sign[:, None] >= 0), 0), -1)
        both = ranks[:, :, None] * len(self.empty) + self.before[:, None]
        before = np.where((ranks[:, :, None] >= 0) & (self.before[:, None] >= 0), both, -1)
        return Conditions(before.reshape(len(sign), -1), ((b == 0)[:, None] & self.empty).ravel())

    def kinds(self) -> tuple[IntArray, IntArray]:
        """The rows of `before` that there are, in order, and which of them each token has."""
        of_token = [tuple(row) for row in self.before.tolist()]
        rows = sorted(set(of_token))  # few; `np.unique` along an axis takes longer than all that is done with them
        which = np.array([rows.index(row) for row in of_token], np.int64)
        return np.array(rows, np.int64).reshape(-1, len(self.empty)), which

    def weight(self, counts: IntArray, positions: int) -> int:
        """What all sequences of so many tokens count together; `counts`: what tokens do, shape (T,)."""
        rows, of_token = self.kinds()
        weights = [int(counts[of_token == kind].sum()) for kind in range(len(rows))]
        met: list[int] = self.empty.astype(int).tolist()
        for _ in range(positions):
            met = [
                sum(weight * met[row[g]] for weight, row in zip(weights, rows.tolist(), strict=True) if row[g] >= 0)
                for g in range(len(met))
            ]
        return met[-1]

    def least(self, entries: IntArray, last: IntArray) -> IntArray:
        """The least sum of entries, and `last`, over sequences, shape (r,); more than 0 if there are none.

        `entries`: shape (P, T, r), with P up to 64; all up to 2^53.  So sums are less than 2^59 + 2^53 in size, and
        those that start at 2^60, where a condition is not met, stay above 0.
        """
        rows, of_token = self.kinds()
        least = np.where(self.empty[:, None], 0, np.full((len(self.empty), len(last)), _FAR))
        for of_position in entries:
            known = np.concatenate([least, np.full((1, len(last)), _FAR)])
            each = [known[row] + of_position[of_token == kind].min(axis=0) for kind, row in enumerate(rows)]
            least = np.minimum.reduce(each)
        found: IntArray = least[-1] + last
        return found
