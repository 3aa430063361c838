"""Companions of strategies for several heads: nothing is hinted."""

from __future__ import annotations

from compactproofs.kernel.problem import Hints, Problem
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, Work
from compactproofs.search.families.attention_only import PLACE, ROOM, every_output, lemmas
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.theorems.max_of_k.heads.brute_force import BLOCK_ENTRIES

_PLACE = f"{PLACE}.heads"
_LEMMAS = (*lemmas(), f"{_PLACE}.averages")


def _task(network: ManyHeads) -> MaxOfK:
    return max_of_k(network).task


def _with_circuits(network: ManyHeads, beyond: int, entries: int = 0) -> Work:
    """What the circuits of all heads take, and so many operations and numbers in memory besides."""
    v, n, d, h, heads = network.d_vocab, network.n_ctx, network.d_model, network.d_head, network.n_heads
    circuits = heads * (8 * ((v + n) * (d * h + v * (d + h)) + d * d * h) + CALL * 100)
    entries += heads * (v * v * (200 + 40 * n) + 16 * (v + n + h) * (d + h))
    return Work(circuits + beyond, 8 * entries + ROOM)


def _brute_force(problem: Problem[ManyHeads, MaxOfK], hints: Hints) -> Work:
    v, n, heads = problem.network.d_vocab, problem.network.n_ctx, problem.network.n_heads
    blocks = v * -(-(v ** max(n - 2, 0)) // max(1, BLOCK_ENTRIES // v**2))
    sums = (6 * heads + 12) * (v ** (n + 1) + n * v**3)
    return _with_circuits(problem.network, sums + CALL * (blocks + v) * (heads * (2 * n + 10) + 12))


def _cubic(problem: Problem[ManyHeads, MaxOfK], hints: Hints) -> Work:
    v, n, heads = problem.network.d_vocab, problem.network.n_ctx, problem.network.n_heads
    beyond = (40 * heads + 8 * heads**2) * (n * v**3 + CALL * v * (n + 1)) + CALL * 20 * v
    return _with_circuits(problem.network, beyond)


def _branch_and_bound(problem: Problem[ManyHeads, MaxOfK], hints: Hints) -> Work:
    v, n, heads = problem.network.d_vocab, problem.network.n_ctx, problem.network.n_heads
    beyond = heads * (30 * v**4 + 2**6 * CALL * v**2) + min(2**34, 2**12 * problem.task.size)
    return _with_circuits(problem.network, beyond, 100 * heads * n * v * v)


def _tables(problem: Problem[ManyHeads, MaxOfK]) -> int:
    v, n = problem.task.d_vocab, problem.task.n_ctx
    return int(v**2 + problem.network.n_heads * (2 * v**2 + 2 * n * v))


COMPANIONS = {
    "heads/brute-force": Companion(
        _task,
        work=_brute_force,
        unexplained_dimension=every_output,
        complexity="O(v^{K+1} H)",
        summary="several heads: the softmax of each on every input",
        stated_in=f"{_PLACE}.brute_force",
        lemmas=_LEMMAS,
        by_input=True,
        speed=2.0**30,
    ),
    "heads/cubic": Companion(
        _task,
        work=_cubic,
        unexplained_dimension=_tables,
        complexity="O(v^3 K H)",
        summary="several heads: each at its worst by itself, tokens that none of them minds",
        stated_in=f"{_PLACE}.cubic",
        lemmas=_LEMMAS,
    ),
    **{
        f"heads/branch-and-bound{side}": Companion(
            _task,
            work=_branch_and_bound,
            unexplained_dimension=every_output,
            complexity="O(v^4 H) + O(K v H) per box",
            summary=f"several heads: boxes of inputs, split until they are decided{words}",
            stated_in=f"{_PLACE}.branch_and_bound",
            lemmas=(*_LEMMAS, f"{_PLACE}.class_margins", f"{PLACE}.branching.boxes"),
            by_input=True,
        )
        for side, words in (("", ""), ("-upper", "; from above"))
    },
}
