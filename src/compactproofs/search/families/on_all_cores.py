"""The search for what histograms shall count, on all cores: classes have nothing in common, and their hints add up.

What is found about some classes may be kept in a folder, so that a search that was interrupted goes on where it was.
Several that keep it in the same folder, on any machines, share the work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from random import shuffle
from time import process_time
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.checker import check_hints
from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.opening.arguments import Misuse
from compactproofs.search.companions import HintArrays
from compactproofs.search.workspaces import MaxWorkspace, MeasuredWorkspace
from compactproofs.system.files import write_atomically
from compactproofs.system.log import PROGRESS, log
from compactproofs.system.processes import cores, local_processes, submit
from compactproofs.theorems.max_of_k.branching.class_margins import class_margins

Plan: TypeAlias = Callable[..., HintArrays]  # `counting.plan`

MANY_INPUTS = 2**40  # up to so many a search takes seconds
FEW = 16  # queries that are searched together with one maximum, or a quarter of them
_SECONDS = "seconds"


class Piece(NamedTuple):
    """The classes of one maximum and some queries, which are searched together; `path`: where what is found is kept."""

    maximum: int
    queries: range
    path: Path | None

    def kept(self, strategy: Strategy, problem: Problem[Any, Any]) -> tuple[HintArrays, float] | None:
        """Hints of the strategy that were found before, and the seconds that it took, if they were kept."""
        if self.path is None:
            return None
        try:
            with np.load(BytesIO(self.path.read_bytes()), allow_pickle=False) as arrays:
                found = {name: np.asarray(arrays[name]) for name in arrays.files}
            seconds = float(found.pop(_SECONDS))
            check_hints(strategy, problem, found)
        except Exception:  # whatever can be wrong with a file that anybody may have written
            return None
        return (found, seconds) if 0.0 <= seconds < float("inf") else None

    def keep(self, hints: HintArrays, seconds: float) -> None:
        """Write what was found; raises Misuse if that is impossible, which says nothing of processes."""
        if self.path is not None:
            file = BytesIO()
            arrays: dict[str, Any] = {**hints, _SECONDS: np.array(seconds)}
            np.savez_compressed(file, **arrays)
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(self.path, file.getvalue())
            except OSError as error:
                why = error.strerror or error
                raise Misuse(
                    f"cannot keep what was found, as {self.path}: {why}; what is there already is taken up next time"
                ) from error


def search(plan: Plan, strategy: Strategy, work: MaxWorkspace, least: int = 0) -> HintArrays:
    """The hints that the plan makes for maxima from `least` on, by as many processes as there are cores.

    They are the same, to the last number, as those of one process, or of a search that was interrupted.
    """
    over = strategy.claim == "at least"
    if work.task.total <= MANY_INPUTS:
        return plan(work, over)
    pieces = _pieces(strategy, work, least)
    found = {piece: kept for piece in pieces if (kept := piece.kept(strategy, work.problem)) is not None}
    # Most of the work is in classes with a large maximum, so these come first.
    missing = [piece for piece in reversed(pieces) if piece not in found]
    if work.keep is not None:
        for piece in missing:
            if piece.path is not None and piece.path.exists() and piece.kept(strategy, work.problem) is None:
                log.warning("search: %s is damaged, and searched for again", piece.path)
        shuffle(missing)  # others that keep what they find there hardly ever do the same at the same time
    how = partial(of_piece, plan, strategy, work.problem, work.haste)
    for piece, hints, seconds in _found(missing, how):
        found[piece] = hints, seconds
        PROGRESS.get()(f"searched {len(found)} of {len(pieces)} groups of classes")
    seconds = sum(seconds for _, seconds in found.values())
    log.info("search: %s, %d groups of classes, found in %.1f processor seconds", strategy.id, len(pieces), seconds)
    return joined([found[piece][0] for piece in pieces])


def _pieces(strategy: Strategy, work: MaxWorkspace, least: int) -> list[Piece]:
    """All classes with maxima from `least` on; names of files say what was searched for, and how finely."""
    v, task = work.network.d_vocab, json.dumps(work.problem.task.record, sort_keys=True)
    about = [work.network.sha256, task, strategy.id, strategy.theorem, repr(work.haste)]
    name = hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]
    few = max(FEW, v // 4)
    classes = [(m, range(first, min(first + few, m + 1))) for m in range(least, v) for first in range(0, m + 1, few)]
    files = (f"{name}-{m}-{queries.start}-{queries.stop}.npz" for m, queries in classes)
    return [Piece(*of, work.keep and work.keep / file) for of, file in zip(classes, files, strict=True)]


def _found(
    missing: Sequence[Piece], how: Callable[[Piece], tuple[HintArrays, float]]
) -> Iterator[tuple[Piece, HintArrays, float]]:
    """What is found about each piece, in any order, by other processes; where there are none, by this one."""
    left = dict.fromkeys(missing)
    if cores() > 1 and left:
        with suppress(ImportError, OSError, BrokenExecutor), local_processes(cores()) as executor:
            begun = {submit(executor, how, piece): piece for piece in missing}
            for one in as_completed(begun):
                found = one.result()
                del left[begun[one]]
                yield begun[one], *found
    for piece in left:
        yield piece, *how(piece)


def of_piece(
    plan: Plan, strategy: Strategy, problem: Problem[Any, Any], haste: float, piece: Piece
) -> tuple[HintArrays, float]:
    """Hints for these classes, as another process searches for and keeps them, and the seconds that it took."""
    kept = piece.kept(strategy, problem)
    if kept is not None:  # in the meantime
        return kept
    start = process_time()
    work: MaxWorkspace = MeasuredWorkspace(problem, "value")
    work.haste = haste
    wanted = {(query, piece.maximum) for query in piece.queries}
    with np.errstate(all="ignore"):
        hints = plan(
            work, strategy.claim == "at least", classes=lambda work: class_margins(work, wanted, [piece.maximum])
        )
    seconds = process_time() - start
    piece.keep(hints, seconds)
    return hints, seconds


def joined(parts: Sequence[HintArrays]) -> HintArrays:
    """Hints about different classes of one network as those about all of them."""
    found: dict[str, list[npt.NDArray[np.int64]]] = {"steps": [], "branches": []}
    labels, edges, ranks = 0, 0, 0
    for part in parts:
        steps, branches = part["steps"].copy(), part["branches"].copy()
        joined, first_edges = steps[:, 6], steps[:, 7]
        first_edges += np.where(joined >= 0, edges, 0)
        joined += np.where(joined > 0, labels, 0)
        branches[:, 3] += ranks
        branches[:, 4:6] += np.where(branches[:, 4:6] > 0, labels, 0)
        branches[:, 6] += edges
        found["steps"].append(steps)
        found["branches"].append(branches)
        labels, edges, ranks = labels + len(part["labels"]), edges + len(part["edges"]), ranks + len(part["ranks"])
    return {
        "weights": parts[0]["weights"],
        **{name: np.concatenate(arrays) for name, arrays in found.items()},
        **{name: np.concatenate([part[name] for part in parts]) for name in ("labels", "edges", "ranks")},
    }
