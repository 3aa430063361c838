"""Inputs are pairs (x, y) of numbers in 0 ... n-1, and entry T[x, y] of a table says which output is right.

    add-mod       T[x, y] = (x + y) mod n
    group         T[x, y] is the number of the product x y in a group whose elements are numbered in the order below
    pair-table    any table; the record has a hash of it, and whoever checks must know the table

Elements of groups are maps g of 0 ... d-1 to itself, and (x y)(i) = x(y(i)):

    S<d>, A<d>    all permutations, the even ones, in lexicographic order of (g(0), ..., g(d-1))
    D<d>          first i -> a + i mod d for a = 0 ... d-1, the rotations, then i -> a - i mod d for these a; d >= 3
    F<d>          i -> a i + b mod d for a = 1 ... d-1, and for each a all b = 0 ... d-1; d prime
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import IntArray
from compactproofs.kernel.strict import shown
from compactproofs.networks.pair_sum.model import PairSum

Elements = npt.NDArray[np.int64]

MOST = 1024  # values of an argument


def _symmetric(d: int) -> Elements:
    return np.array(list(itertools.permutations(range(d))))


def _alternating(d: int) -> Elements:
    g = _symmetric(d)
    inversions = np.array([g[:, i] > g[:, j] for i, j in itertools.combinations(range(d), 2)]).sum(axis=0)
    even: Elements = g[inversions % 2 == 0]
    return even


def _affine(d: int, factors: range) -> Elements:
    i = np.arange(d)
    return np.array([(a * i + b) % d for a in factors for b in range(d)])


def _is_prime(d: int) -> bool:
    return d > 1 and all(d % factor for factor in range(2, math.isqrt(d) + 1))


# By letter: the number of elements, the elements, and which d there can be.
_GROUPS: dict[str, tuple[Callable[[int], int], Callable[[int], Elements], Callable[[int], bool]]] = {
    "S": (math.factorial, _symmetric, lambda d: 2 <= d <= 6),
    "A": (lambda d: math.factorial(d) // 2, _alternating, lambda d: 3 <= d <= 6),
    "D": (
        lambda d: 2 * d,
        lambda d: np.concatenate([_affine(d, range(1, 2)), _affine(d, range(-1, 0))]),
        lambda d: d > 2,
    ),
    "F": (lambda d: d * (d - 1), lambda d: _affine(d, range(1, d)), _is_prime),
}
_NAME = re.compile(r"([SADF])([1-9][0-9]{0,3})", re.ASCII)


def elements(group: str) -> Elements:
    """The elements of the group of this name in their order, one map a row; ValueError if there is none."""
    found = _NAME.fullmatch(group)
    if found is not None:
        (order, maps, exists), d = _GROUPS[found[1]], int(found[2])
        if exists(d) and 2 <= order(d) <= MOST:
            return maps(d)
    raise ValueError(
        f"unknown group {shown(group)}; there are S2 to S6, A3 to A6, D3 to D512 and F2 to F31 (of prime numbers), "
        f"with {MOST} elements at most"
    )


def products(group: str) -> IntArray:
    """The table of a group."""
    maps = elements(group).astype(np.uint16)
    number = {g.tobytes(): i for i, g in enumerate(maps)}
    return np.array([[number[product.tobytes()] for product in x[maps]] for x in maps])


@dataclass(frozen=True)
class Pairs:
    """Name the entry of a table for two arguments out of 0 ... n - 1.

    Made by `add_mod`, `group` and `pair_table`; `sha256` is empty but for tables.
    """

    name: str
    n: int
    group: str = ""
    sha256: str = ""
    given: IntArray | None = field(default=None, compare=False, repr=False)

    @cached_property
    def table(self) -> IntArray:
        """T, which nobody can write to."""
        if self.given is not None:
            table = self.given.copy()
        elif self.group:
            table = products(self.group)
        else:
            table = np.add.outer(np.arange(self.n), np.arange(self.n)) % self.n
        table.flags.writeable = False
        return table

    @property
    def total(self) -> int:
        """The number n^2 of inputs."""
        return self.n**2

    @property
    def record(self) -> dict[str, str | int]:
        """The task as certificates name it."""
        more = {"group": self.group, "sha256": self.sha256}
        return {"name": self.name, "n": self.n, **{key: value for key, value in more.items() if value}}

    @classmethod
    def of_record(cls, record: Mapping[str, str | int], table: npt.NDArray[Any] | None = None) -> Pairs:
        """The task of a certificate, with the table if it is about one; ValueError if it is not one of these."""
        n, group, sha256 = record.get("n"), record.get("group", ""), record.get("sha256", "")
        if type(n) is not int or not isinstance(group, str) or not isinstance(sha256, str):
            raise ValueError("expected an integer n, and texts group and sha256 where there are any")
        if record["name"] == "pair-table":
            if table is None:
                raise ValueError(
                    f"it is about a table, which must be given (--table FILE); its hash is {shown(sha256)}"
                )
            found = pair_table(table)
            if found.sha256 != sha256:
                raise ValueError(f"it is about a table with the hash {shown(sha256)}, this one has {found.sha256}")
        else:
            found = add_mod(n) if record["name"] == "add-mod" else group_products(group)
        if found.record != record:
            raise ValueError(f"expected exactly {shown(str(found.record), 200)}")
        return found

    def misfit(self, network: PairSum) -> str | None:
        """Networks of this task have two arguments out of as many, and an output for each label."""
        if network.n != self.n:
            return f"its arguments are 0 to {self.n - 1}, the model's 0 to {network.n - 1}"
        largest = int(self.table.max())
        if largest >= network.outputs:
            return f"it has the label {largest}, the model's outputs are 0 to {network.outputs - 1}"
        return None


def add_mod(n: int) -> Pairs:
    """Addition modulo n."""
    if not 2 <= n <= MOST:
        raise ValueError(f"expected n from 2 to {MOST}, not {shown(n)}")
    return Pairs("add-mod", n)


def group_products(group: str) -> Pairs:
    """Products in the group of this name."""
    return Pairs("group", len(elements(group)), group)


def pair_table(table: npt.NDArray[Any]) -> Pairs:
    """The task of a table (n, n) of integers from 0 to 65535.

    Its hash is SHA-256 over the entries row by row as little-endian uint16, in base64.
    """
    integers = table.dtype.kind in "iu"
    if not (integers and table.ndim == 2 and 2 <= len(table) == table.shape[1] <= MOST):
        raise ValueError(f"expected a square table of integers with 2 to {MOST} rows, not {table.dtype} {table.shape}")
    if not 0 <= int(table.min()) <= int(table.max()) < 2**16:
        raise ValueError("expected labels from 0 to 65535")
    digest = hashlib.sha256(np.ascontiguousarray(table, dtype="<u2").tobytes()).digest()
    return Pairs(
        "pair-table", len(table), sha256=base64.b64encode(digest).decode("ascii"), given=table.astype(np.int64)
    )


NAMES = ("add-mod", "group", "pair-table")
