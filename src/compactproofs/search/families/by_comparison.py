"""Companions of strategies for answers that comparisons tell: nothing is hinted to boxes, much to histograms."""

from __future__ import annotations

from typing import Any, NoReturn

from compactproofs.kernel.problem import Hints, Problem, Strategy
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, HintArrays, Work
from compactproofs.search.families import counting
from compactproofs.search.families.attention_only import PLACE, Beyond, every_output, lemmas
from compactproofs.tasks.by_comparison import RANK, ByComparison
from compactproofs.theorems.max_of_k.by_comparison.histogram import (
    COMPARED_HISTOGRAM,
    COMPARED_HISTOGRAM_UPPER,
    class_margins,
)

_WORTH = 1.0 / 6400.0  # of what a class has on average is not worth the trouble
_PARTS = 7  # of a class: some of the three sets of tokens


def _task(network: AttentionOnly) -> NoReturn:
    raise ValueError("the network does not show which token it is to name: name a task")


def _branch_and_bound(v: int, n: int) -> int:
    screening = v**2 * (5 * v**2 + 3**n * n * v + CALL * 40)  # of 3^(n-1) boxes at most
    integers = v**2 * _PARTS * (12 * n * v**2 + CALL * 20)
    return int(screening + integers + v * (8 * n * v**2 + 8 * CALL) + min(2**34, 2**12 * v**n) + 2**6 * CALL * v**2)


def _search(strategy: Strategy, work: Any) -> HintArrays:
    (_, positions, _) = strategy.hints(work.problem)["labels"].shape
    worth = _WORTH / work.network.d_vocab**2
    return counting.plan(work, strategy.claim == "at least", worth, class_margins, positions)


def _work(problem: Problem[AttentionOnly, ByComparison], hints: Hints) -> Work:
    conditions = (problem.task.k + 1) * (problem.task.k + 2) if problem.task.name == RANK else 1

    def classes(v: int, n: int) -> int:  # their boxes, integers, and least sums
        return v**2 * (v**2 * (32 + (24 + conditions) * n) + 8 * n**2 * v + CALL * (64 + 2 * n))

    found = counting.work_of(problem, hints, classes)
    without = counting.work_of(problem, {**hints, **{name: hints[name][:0] for name in ("steps", "branches")}}, classes)
    of_steps = found.operations - without.operations
    return Work(found.operations + (conditions - 1) * of_steps, found.memory)


COMPANIONS = {
    f"by-comparison/branch-and-bound{side}": Companion(
        _task,
        work=Beyond(_branch_and_bound),
        unexplained_dimension=every_output,
        complexity="O(v^4 K) + O(K v) per box",
        summary=f"first, last, k-th largest token: boxes of inputs, split until they are decided{words}",
        stated_in=f"{PLACE}.by_comparison.branch_and_bound",
        lemmas=lemmas("branching.class_margins", "branching.boxes"),
        by_input=True,
        long=True,
    )
    for side, words in (("", ""), ("-upper", "; from above"))
} | {
    strategy.id: Companion(
        _task,
        search=_search,
        work=_work,
        unexplained_dimension=lambda problem: int(problem.task.n_ctx * problem.task.d_vocab**4),
        complexity="O(v^4 K) + O(K v) histograms per class",
        summary=f"first, last, k-th largest token: histograms of margins, wrong inputs are {counted}",
        stated_in=f"{PLACE}.by_comparison.histogram",
        lemmas=lemmas(
            *("branching.class_margins", "branching.conditions", "by_comparison.branch_and_bound"),
            *("counting.histogram", "counting.unions"),
            *("counting.sums", "counting.both_ends", "counting.some_sum"),
        ),
        by_input=True,
        long=True,
    )
    for strategy, counted in ((COMPARED_HISTOGRAM, "overcounted"), (COMPARED_HISTOGRAM_UPPER, "undercounted"))
}
