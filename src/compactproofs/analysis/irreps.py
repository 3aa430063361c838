"""Irreducible characters of a finite group, from its table alone, and what part of a function belongs to each.

Burnside's method: with z_k in class k and C_i the sum of class i in the group algebra, C_i C_j = sum_k a_ijk C_k, and
omega(C_i) = |C_i| chi(C_i) / chi(e) is an eigenvalue of the matrix (a_ijk)_jk for each character chi, with the vector
(omega(C_j))_j for all i.  A random combination of these matrices has simple eigenvalues.

Functions here are real, so a character and its conjugate stand for one space, of dimension chi(e)^2 or twice that.
Plain float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.tasks.pairs import Pairs

__all__ = ["Classes", "Irrep", "classes", "irreps", "unit_and_inverse"]


@dataclass(frozen=True)
class Classes:
    """Conjugacy classes by their numbers, the unit's first: of each element, of the smallest element, and sizes."""

    of: IntArray
    first: IntArray
    size: IntArray


@dataclass(frozen=True)
class Irrep:
    """A character and its conjugate, by class; and for addition the frequency, from 0 to n / 2."""

    character: FloatArray  # complex
    projection: FloatArray  # (n, n): of functions on the group to what belongs to these
    frequency: int | None = None

    @property
    def dimension(self) -> int:
        """The dimension d of the representation."""
        return round(float(self.character[0].real))

    @property
    def functions(self) -> int:
        """How many independent functions belong to it: d^2, twice that where it is not its own conjugate."""
        return round(float(np.trace(self.projection)))


def classes(table: IntArray) -> Classes:
    """The classes of the group with this table."""
    unit, inverse = unit_and_inverse(table)
    least = np.array([table[table[:, x], inverse].min() for x in range(len(table))])
    least[unit] = -1
    _, of = np.unique(least, return_inverse=True)
    return Classes(of.ravel(), np.unique(of, return_index=True)[1], np.bincount(of.ravel()))


def irreps(task: Pairs) -> list[Irrep]:
    """Those of the group that a task is about, the trivial one first, then by dimension; ValueError if it is none."""
    if task.given is not None:
        raise ValueError("a table that a user gives is not taken for that of a group")
    table, n = task.table, task.n
    if not task.group:
        turns = np.exp(2j * np.pi * np.outer(np.arange(n // 2 + 1), np.arange(n)) / n)
        return [Irrep(turn, _projection(turn, table, 1), k) for k, turn in enumerate(turns)]
    found = classes(table)
    characters = _characters(table, found)
    kept = [chi for i, chi in enumerate(characters) if not any(_same(chi.conj(), before) for before in characters[:i])]
    return [Irrep(chi, _projection(chi[found.of], table, round(chi[0].real))) for chi in kept]


def _characters(table: IntArray, found: Classes) -> FloatArray:
    """All irreducible characters by class, a row each, in order."""
    _, inverse = unit_and_inverse(table)
    weight = np.random.default_rng(0).normal(size=len(found.size))
    combined = np.zeros((len(found.size), len(found.size)))
    for k, z in enumerate(found.first):
        np.add.at(combined[:, k], found.of[table[inverse, z]], weight[found.of])
    omega = np.linalg.eig(combined)[1].T
    omega = omega / omega[:, :1]
    dimension = np.sqrt(len(table) / (np.abs(omega) ** 2 / found.size).sum(axis=1))
    characters = omega * dimension[:, None] / found.size
    distance = np.abs(characters - 1.0).max(axis=1)
    rounded = np.round(characters, 6)
    keys = [*rounded.imag.T[::-1], *-rounded.real.T[:0:-1], rounded.real.T[0], distance > 1e-6]
    return np.asarray(characters[np.lexsort(keys)])


def unit_and_inverse(table: IntArray) -> tuple[int, IntArray]:
    """The number of the unit, and of each element's inverse."""
    unit = int(np.flatnonzero((table == np.arange(len(table))).all(axis=1))[0])
    return unit, (table == unit).argmax(axis=1)


def _projection(character: FloatArray, table: IntArray, dimension: int) -> FloatArray:
    """f becomes d / n sum_g conj(chi(g)) f(g^-1 x), and the same for the conjugate if that is another one."""
    _, inverse = unit_and_inverse(table)
    once = 1 if _same(character, character.conj()) else 2
    return np.asarray(once * dimension / len(table) * character.real[table[:, inverse]])


def _same(a: FloatArray, b: FloatArray) -> bool:
    return bool(np.abs(a - b).max() < 1e-6)
