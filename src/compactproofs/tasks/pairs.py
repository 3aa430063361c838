"""Inputs are pairs (x, y) of numbers in 0 ... n-1, and entry T[x, y] of a table says which output is right.

    add-mod       T[x, y] = (x + y) mod n
    group         T[x, y] is the number of the product x y in a group whose elements are numbered in the order below
    pair-table    any table; `tasks.tables`

Elements of groups are maps g of 0 ... d-1 to itself, and (x y)(i) = x(y(i)):

    S<d>, A<d>    all permutations, the even ones, in lexicographic order of (g(0), ..., g(d-1))
    D<d>          first i -> a + i mod d for a = 0 ... d-1, the rotations, then i -> a - i mod d for these a; d >= 3
    F<d>          i -> a i + b mod d for a = 1 ... d-1, and for each a all b = 0 ... d-1; d prime
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import IntArray
from compactproofs.kernel.strict import shown
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.tasks.tables import Table

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
    """Name the entry of a table for two arguments out of 0 ... n - 1; made by the functions below."""

    name: str
    n: int
    group: str = ""
    given: Table | None = None

    @cached_property
    def table(self) -> IntArray:
        """T, which nobody can write to."""
        if self.given is not None:
            table = self.given.labels.reshape(self.n, self.n)
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
        more = {"group": self.group, "table": self.given.sha256 if self.given else ""}
        return {"name": self.name, "n": self.n, **{key: value for key, value in more.items() if value}}

    @classmethod
    def of_record(cls, record: Mapping[str, str | int], tables: Collection[Table] = ()) -> Pairs:
        """The task of a certificate, with one of these tables if it names any; ValueError if it is not one of these."""
        n, group, sha256 = record.get("n"), record.get("group", ""), record.get("table", "")
        if type(n) is not int or not isinstance(group, str) or not isinstance(sha256, str):
            raise ValueError("expected an integer n, and texts group and table where there are any")
        if record["name"] == "pair-table":
            table = next((each for each in tables if each.sha256 == sha256), None)
            if table is None:
                raise ValueError(
                    f"the labels stand in a table with the SHA-256 {shown(sha256, 64)}, and none like it is given"
                )
            found = pair_table(table)
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


def pair_table(table: Table | npt.ArrayLike) -> Pairs:
    """The task of a table with n^2 labels, that of (x, y) at place x n + y."""
    given = table if isinstance(table, Table) else Table(table)
    n = math.isqrt(given.labels.size)
    if n * n != given.labels.size or not 2 <= n <= MOST or int(given.labels.min()) < 0:
        raise ValueError(
            f"expected a label for each of n^2 pairs, n from 2 to {MOST}; found {given.labels.size} labels"
        )
    return Pairs("pair-table", n, given=given)


TABLE = "pair-table"
NAMES = ("add-mod", "group", TABLE)
