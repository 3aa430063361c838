"""What goes with a strategy and proves nothing: its search for hints, what checking costs, and words about it.

Untrusted: a bad companion makes a bound poor, a check slow or a description wrong, and never a bound false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from compactproofs.kernel.problem import Hints, Problem, Strategy, Task
from compactproofs.search import effort, words
from compactproofs.search.effort import MAX_OPS, Work
from compactproofs.search.hints import HintArrays, built_in_search
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.tasks.max_of_k import max_of_k

Search: TypeAlias = Callable[[Strategy, MeasuredWorkspace[Any, Any]], HintArrays]


def no_hints(strategy: Strategy, work: MeasuredWorkspace[Any, Any]) -> HintArrays:
    """The search of strategies that need no hints."""
    return {}


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


def built_in(strategy: Strategy) -> Companion:
    """The companion of a strategy of this package."""
    return Companion(
        task=lambda network: max_of_k(network).task,
        search=built_in_search,
        work=lambda problem, hints: effort.declared(strategy, problem.network, hints, problem.task),
        unexplained_dimension=lambda problem: words.unexplained_dimension(strategy, problem),
        complexity=words.complexity(strategy),
        summary=words.summary(strategy),
        stated_in=words.STATEMENTS.get(strategy.theorem, ""),
    )
