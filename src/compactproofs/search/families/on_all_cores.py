"""The search for what histograms shall count, on all cores: classes have nothing in common, and their hints add up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.search.companions import HintArrays
from compactproofs.search.workspaces import MaxWorkspace, MeasuredWorkspace
from compactproofs.system.log import PROGRESS
from compactproofs.system.processes import cores, local_processes, submit
from compactproofs.theorems.max_of_k.branching.class_margins import class_margins

Plan: TypeAlias = Callable[..., HintArrays]  # `counting.plan`

MANY_INPUTS = 2**40  # up to so many a search takes seconds
FEW = 16  # queries that are searched together with one maximum, or a quarter of them


def search(plan: Plan, strategy: Strategy, work: MaxWorkspace) -> HintArrays:
    """The hints that the plan makes, to the last number, by as many processes as there are cores; or by this one."""
    over, v = strategy.claim == "at least", work.network.d_vocab
    if work.task.total > MANY_INPUTS and cores() > 1:
        few = max(FEW, v // 4)
        tasks = [(m, range(first, min(first + few, m + 1))) for m in range(v) for first in range(0, m + 1, few)]
        with suppress(ImportError, OSError, BrokenExecutor), local_processes(cores()) as executor:
            # Most of the work is in classes with a large maximum, so these come first.
            every = plan, work.problem, over, work.haste
            begun = [submit(executor, of_classes, *every, *task) for task in reversed(tasks)]
            for number, one in enumerate(as_completed(begun), 1):
                one.result()
                PROGRESS.get()(f"searched {number} of {len(begun)} groups of classes")
            return joined([one.result() for one in reversed(begun)])
    return plan(work, over)


def of_classes(plan: Plan, problem: Problem[Any, Any], over: bool, haste: float, m: int, queries: range) -> HintArrays:
    """Hints for the classes of one maximum and these queries, as another process searches for them."""
    work: MaxWorkspace = MeasuredWorkspace(problem, "value")
    work.haste = haste
    wanted = {(query, m) for query in queries}
    with np.errstate(all="ignore"):
        return plan(work, over, classes=lambda work: class_margins(work, wanted, [m]))


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
