"""Companions of strategies for answers that comparisons tell: nothing is hinted."""

from __future__ import annotations

from typing import NoReturn

from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion
from compactproofs.search.families.attention_only import PLACE, Beyond, every_output, lemmas

_PARTS = 7  # of a class: some of the three sets of tokens


def _task(network: AttentionOnly) -> NoReturn:
    raise ValueError("the network does not show which token it is to name: name a task")


def _branch_and_bound(v: int, n: int) -> int:
    screening = v**2 * (5 * v**2 + 3**n * n * v + CALL * 40)  # of 3^(n-1) boxes at most
    integers = v**2 * _PARTS * (12 * n * v**2 + CALL * 20)
    return int(screening + integers + v * (8 * n * v**2 + 8 * CALL) + min(2**34, 2**12 * v**n) + 2**6 * CALL * v**2)


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
}
