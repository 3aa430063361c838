"""What goes with a strategy and proves nothing: its search for hints, what checking costs, and words about it.

Untrusted: a bad companion makes a bound poor, a check slow or a description wrong, and never a bound false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy.typing as npt

from compactproofs.kernel.problem import Hints, Problem, Strategy, Task
from compactproofs.search.workspaces import MeasuredWorkspace

#: Operations that a strategy may declare unless the caller allows more: one that goes through inputs, and any other.
MAX_OPS_OF_INPUTS, MAX_OPS = 2**40, 2**33

HintArrays: TypeAlias = dict[str, npt.NDArray[Any]]
Search: TypeAlias = Callable[[Strategy, MeasuredWorkspace[Any, Any]], HintArrays]


def no_hints(strategy: Strategy, work: MeasuredWorkspace[Any, Any]) -> HintArrays:
    """The search of strategies that need no hints."""
    return {}


class Work(NamedTuple):
    """What checking takes: operations, and bytes of memory for arrays."""

    operations: int
    memory: int


@dataclass(frozen=True)
class Companion:
    """Help for whoever proves by a strategy, or asks what it does.

    `task`: the task that claims about this network are to be about.  `search`: good hints, from a workspace with the
    reading "value".  `work`: what checking may take, in operations and bytes of memory; beyond it `verify` stops.
    """

    task: Callable[[Any], Task]
    search: Search = no_hints
    work: Callable[[Problem[Any, Any], Hints], Work] = lambda problem, hints: Work(MAX_OPS, 0)
    #: How many numbers of the network the proof looks at, one by one; without this, one for each input.
    unexplained_dimension: Callable[[Problem[Any, Any]], int] = lambda problem: problem.task.total
    complexity: str = "O(?)"
    summary: str = ""
    #: The module whose docstring has the theorem and its proof.
    stated_in: str = ""
    #: The modules whose docstrings have the lemmas that it rests on, with their proofs.
    lemmas: tuple[str, ...] = ()
    #: Whether checking goes through inputs, or boxes of them, so that more operations are allowed.
    by_input: bool = False
    #: Whether another strategy proves as much or more, and this one is for its fewer operations.
    surpassed: bool = False
    #: Whether it may prove anything: some strategies are about a part of a family only, and claim 0 of all others.
    says_something: Callable[[Problem[Any, Any]], bool] = lambda problem: True
    #: Whether `tighten` trains such a network toward it, if it proves next to nothing of those that were not.
    trained_toward: Callable[[Problem[Any, Any]], bool] | None = None
    #: Whether checking may take long where there are many inputs.
    long: bool = False
    #: Where a search may be finer or coarser, and what it finds is kept piece by piece: how many processor seconds it
    #: takes on such a workspace, about.  Others are taken to last as long as a claim and a check.
    searching: Callable[[MeasuredWorkspace[Any, Any]], float] | None = None
    #: How many of the declared operations a second sees, most of which are usually not done.
    speed: float = 2.0**32
