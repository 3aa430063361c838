"""What is said about strategies beside their theorems: what they do, cost, and leave unexplained."""

from __future__ import annotations

from typing import Any

from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.networks.decoder.model import Decoder
from compactproofs.theorems.max_of_k.subcubic import direct_path, remainder
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, Choice


def summary(strategy: Strategy) -> str:
    """What the strategy does, in a line."""
    return _SUMMARIES.get(strategy.id, "a gap between the maximum and the other tokens")


def complexity(strategy: Strategy) -> str:
    """How its cost grows."""
    choice = CHOICES.get(strategy.id)
    return (
        _COMPLEXITIES.get(strategy.id.removesuffix("-upper"), "O(?)")
        if choice is None
        else _subcubic_complexity(choice)
    )


def tier(strategy: Strategy) -> str:
    """The tier of theorems that the strategy needs, beside the core."""
    parts = STATEMENTS.get(strategy.theorem, "..unknown").split(".")
    return parts[3] if parts[2] == "max_of_k" else parts[2]


def unexplained_dimension(strategy: Strategy, problem: Problem[Any, Any]) -> int:
    """How many numbers of the model the proof looks at, one by one."""
    if strategy.family == Decoder.family:
        return int(problem.task.total * problem.network.d_vocab_out)
    n: int = problem.task.n_ctx
    v: int = problem.task.d_vocab
    d: int = problem.network.width
    family = strategy.id.partition("/")[0].removesuffix("-upper")
    if family == "sub-cubic":
        return _subcubic_dimension(CHOICES[strategy.id], v, d)
    if family in ("brute-force", "branch-and-bound"):
        return int(problem.task.total) * v
    return {"trivial": 0, "histogram": n * v**4}.get(family, 3 * v**2 + 2 * n * v)


def _subcubic_dimension(choice: Choice, v: int, d: int) -> int:
    direct = {"global_max_diff_exact": 2, "max_diff_exact": 2 * v, "max_diff": v * d + 2}
    scores = {remainder.EXACT: v**2, "max_diff_exact": 4 * v, "svd": 2 * v}
    of_scores = scores.get(choice.remainder, 2 * v + 2 * d + (v if choice.remainder.startswith("mean") else 0))
    return direct.get(choice.direct, v + v * d + 2) + of_scores + v + v**2


def _subcubic_complexity(choice: Choice) -> str:
    direct = "v^2 d" if choice.direct in direct_path.EXACT_KINDS else "v d"
    if choice.remainder in (remainder.EXACT, "max_diff_exact"):
        scores = "v^2 d"
    elif choice.remainder in remainder.RECURSIVE_KINDS:
        scores = "v d + d^2"
    else:
        scores = "v d^2"
    return f"O(v^2 K^2 + {direct} (EU) + {scores} (QK) + v^2 d (OV))"


_SUMMARIES = {
    "trivial": "claims nothing",
    "brute-force": "every input is its own case",
    "enumerate": "a forward pass for every input, of any decoder and task",
    "enumerate-upper": "a forward pass for every input, of any decoder and task; from above",
    "cubic": "one token stands for all non-maxima, worst positions",
    "branch-and-bound": "boxes of inputs, split until they are decided",
    "branch-and-bound-upper": "boxes of inputs, split until they are decided; from above",
    "histogram": "histograms of margins, rounded so that wrong inputs are overcounted",
    "histogram-upper": "histograms of margins, rounded so that wrong inputs are undercounted",
    "failing-sets": "rules out outputs for many queries at once, counts the rest exactly",
    "failing-sets/low-rank-QK": "failing sets with attention scores of low rank, and single scores where they matter",
    "failing-sets/low-rank-EU": "failing sets with a direct path of low rank, and single "
    "entries of it where they matter",
    "failing-sets/low-rank-QK+EU": "failing sets with scores and direct path of low rank, and "
    "single entries where they matter",
    "failing-sets/quadratic-QK": "failing sets with scores from directions, norms and the product of W_Q and W_K",
    "failing-sets/strict-QK": "failing sets with scores from directions and norms, without the product of W_Q and W_K",
    "failing-sets/strict-QK+EU": "failing sets with scores and direct path from directions and norms, without the "
    "product of W_Q and W_K",
}
_COMPLEXITIES = {
    "trivial": "O(1)",
    "brute-force": "O(v^{K+1} K d)",
    "enumerate": "O(v^K) forward passes",
    "cubic": "O(v^3 K)",
    "branch-and-bound": "O(v^4) + O(K v) per box",
    "histogram": "O(v^4) + O(K v) histograms per class",
    "failing-sets": "O(v^2 d)",
    "failing-sets/low-rank-QK": "O(v^2 d)",
    "failing-sets/low-rank-EU": "O(v^2 d)",
    "failing-sets/low-rank-QK+EU": "O(v^2 d)",
    "failing-sets/quadratic-QK": "O(v^2 d) for EU and EVOU; O(v^2 + v d + d^3) for QK",
    "failing-sets/strict-QK": "O(v^2 d) for EU and EVOU; O(v^2 + v d + d^2) for QK",
    "failing-sets/strict-QK+EU": "O(v^2 d) for EVOU; O(v^2 + v d + d^2) for QK and EU",
}

#: Where the statement and the proof of each theorem stand.
STATEMENTS = {
    "decoder/enumerate@1": "compactproofs.theorems.enumerate.every_input",
} | {
    f"max-of-k/{name}": f"compactproofs.theorems.max_of_k.{module}"
    for name, module in (
        ("trivial@1", "core.trivial"),
        ("brute-force@1", "core.brute_force"),
        ("cubic@1", "core.cubic"),
        ("branch-and-bound@1", "core.branch_and_bound"),
        ("sub-cubic@1", "subcubic.gaps"),
        ("failing-sets@1", "failing_sets.strategies"),
        ("histogram@2", "counting.histogram"),
    )
}
