"""Companions of the core: nothing is hinted."""

from __future__ import annotations

import math

from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion
from compactproofs.search.families.attention_only import PLACE, Beyond, every_output, lemmas, tables, task


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


COMPANIONS = {
    "brute-force": Companion(
        task,
        work=Beyond(_brute_force),
        unexplained_dimension=every_output,
        complexity="O(v^{K+1} K d)",
        summary="every input is its own case",
        stated_in=f"{PLACE}.core.brute_force",
        lemmas=lemmas(),
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
