"""Companions of the core: nothing is hinted."""

from __future__ import annotations

import math

from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion
from compactproofs.search.families.attention_only import PLACE, Beyond, every_output, lemmas, tables, task
from compactproofs.search.workspaces import MaxWorkspace
from compactproofs.theorems.max_of_k.branching.boxes import decide
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, class_margins


def _cubic(v: int, n: int) -> int:
    return 8 * v**3 + 6 * v**2 * n**2 + CALL * v * (10 + 16 * n)


def _brute_force(v: int, n: int) -> int:
    sums: int = v ** (n + 1)
    at_once: int = v ** max(1, int(18 / math.log2(v)))  # of the 2^18 that there is room for
    return 3 * sums + 8 * n * v**3 + CALL * (v**2 * (8 + 6 * n) + 8 * sums // at_once)


def _branch_and_bound(v: int, n: int) -> int:
    inputs: int = v**n
    # Some calls for each class, and for the boxes of those that need any.
    return 2 * v**4 + 2 * CALL * v**2 + min(2**32, 2**9 * inputs)


def right_inputs(work: MaxWorkspace) -> int | None:
    """How many inputs are answered correctly, if a box for every 512 of them is enough to decide all."""
    wrong, left = 0, work.task.size // 512
    for found in class_margins(work):
        decided = decide(work, found, left) if isinstance(found, ClassMargins) else None
        if decided is None or decided.undecided or decided.boxes > left:
            return None
        wrong, left = wrong + decided.wrong, left - decided.boxes
    return work.task.total - wrong


COMPANIONS = {
    "brute-force": Companion(
        task,
        work=Beyond(_brute_force),
        unexplained_dimension=every_output,
        complexity="O(v^{K+1} K d)",
        summary="every input is its own case",
        stated_in=f"{PLACE}.core.brute_force",
        lemmas=lemmas(),
        shortcut=right_inputs,
        by_input=True,
    ),
    "cubic": Companion(
        task,
        work=Beyond(_cubic),
        unexplained_dimension=tables,
        complexity="O(v^3 K)",
        summary="one token stands for all non-maxima, worst positions",
        stated_in=f"{PLACE}.core.cubic",
        lemmas=lemmas(),
    ),
    **{
        f"branch-and-bound{side}": Companion(
            task,
            work=Beyond(_branch_and_bound),
            unexplained_dimension=every_output,
            complexity="O(v^4) + O(K v) per box",
            summary=f"boxes of inputs, split until they are decided{words}",
            stated_in=f"{PLACE}.branching.branch_and_bound",
            lemmas=lemmas("branching.class_margins", "branching.boxes"),
            by_input=True,
            long=True,
        )
        for side, words in (("", ""), ("-upper", "; from above"))
    },
}
