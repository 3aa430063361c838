"""What accuracy is left when a path no longer carries what it carries.

Four ways of taking a path away, each applied to what the path reads (EU: the query; EVOU: the attended token; PVOU: the
attended position; EQKE: query and key token; EQKP: query and key position):

zero       the path adds nothing.
mean       the path adds its mean over all that it reads.  An attention score that is the same for all keys changes no
           attention, so for EQKE and EQKP this is the same as zero.
resample   the path reads something else: one random permutation of tokens or positions, the same for all inputs,
           stands between (for attention scores two, one of queries and one of keys).
pessimal   in every margin the path takes the worst value that it can take (`margins.margin_terms`).  This is what a
           proof does with a path that it does not look into: the accuracy left is what it could still certify.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from compactproofs.analysis.inputs import Inputs, Share
from compactproofs.analysis.margins import PATHS, Tables, margin_terms
from compactproofs.kernel.decisions import FloatArray

KINDS = ("zero", "mean", "resample", "pessimal")
_ATTENTION = {"EQKE", "EQKP"}


@dataclass(frozen=True)
class Ablation:
    """The accuracy that is left without these paths; one share for each draw (one draw if nothing is random)."""

    paths: tuple[str, ...]
    kind: str
    shares: tuple[Share, ...]

    @property
    def accuracy(self) -> float:
        """The mean over the draws."""
        return float(np.mean([share.value for share in self.shares]))

    @property
    def spread(self) -> float:
        """The standard deviation over the draws, 0 for a single one."""
        return float(np.std([share.value for share in self.shares], ddof=1)) if len(self.shares) > 1 else 0.0


def ablate(
    tables: Tables, inputs: Inputs, paths: Iterable[str], kind: str, rng: np.random.Generator, draws: int = 3
) -> Ablation:
    """Take these of `PATHS` away by one of `KINDS`; `draws` permutations for resampling.

    Raises ValueError for an unknown path or kind.
    """
    chosen = tuple(paths)
    unknown = [path for path in chosen if path not in PATHS]
    if unknown or kind not in KINDS:
        raise ValueError(f"unknown {[*unknown, kind][0]!r}; paths: {', '.join(PATHS)}; kinds: {', '.join(KINDS)}")
    if kind == "pessimal":
        return Ablation(chosen, kind, (inputs.count(margin_terms(tables, frozenset(chosen))),))
    shares = []
    for _ in range(draws if kind == "resample" and chosen else 1):
        changed = {path: _replaced(path, getattr(tables, path), kind, rng) for path in chosen}
        shares.append(inputs.count(margin_terms(tables._replace(**changed))))
    return Ablation(chosen, kind, tuple(shares))


def ablate_all(
    tables: Tables, inputs: Inputs, rng: np.random.Generator, size: int = 2, draws: int = 3
) -> list[Ablation]:
    """All sets of one to `size` paths, by all kinds; single paths with so many draws, larger sets with one."""
    sets = [paths for k in range(1, size + 1) for paths in combinations(PATHS, k)]
    result = []
    for paths in sets:
        zero = ablate(tables, inputs, paths, "zero", rng)
        same = set(paths) <= _ATTENTION  # then the mean is the same as zero
        result += [zero, replace(zero, kind="mean") if same else ablate(tables, inputs, paths, "mean", rng)]
        result += [
            ablate(tables, inputs, paths, kind, rng, draws if len(paths) == 1 else 1)
            for kind in ("resample", "pessimal")
        ]
    return result


def by_set(ablations: Iterable[Ablation], kind: str) -> Mapping[frozenset[str], Ablation]:
    """The ablations of one kind by their sets of paths."""
    return {frozenset(ablation.paths): ablation for ablation in ablations if ablation.kind == kind}


def _replaced(path: str, table: FloatArray, kind: str, rng: np.random.Generator) -> FloatArray:
    """The path's table as it is after a zero, mean or resample ablation, of the same shape."""
    if kind == "zero":
        return np.zeros_like(table)
    attention = path in _ATTENTION
    if kind == "mean":
        return np.broadcast_to(table.mean() if attention else table.mean(axis=0), table.shape)
    moved = table[rng.permutation(len(table))]
    return moved[:, rng.permutation(table.shape[1])] if attention else moved
