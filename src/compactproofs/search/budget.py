"""The best bound for a given number of operations: untrusted search among all strategies and their cheaper variants.

Failing sets cost little until they count the inputs of single classes, and each class can be given up on its own.  So
where the whole count is too dear, the classes that gain the most inputs for their operations are counted.  Low rank
takes as many directions as the budget pays for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.search.builtin import get_strategy
from compactproofs.search.companions import HintArrays
from compactproofs.search.prover import Infeasible, Proof, Prover, feasible_strategies
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems.max_of_k.failing_sets.failing_inputs import ClassesInDoubt
from compactproofs.theorems.max_of_k.failing_sets.strategies import (
    GIVEN_UP,
    KINDS,
    HintedPlan,
    Kind,
    possible_winners_by_query,
)
from compactproofs.theorems.pair_sum.brute_force import BRUTE_FORCE
from compactproofs.theorems.pair_sum.low_rank import LOW_RANK
from compactproofs.theorems.pair_sum.separable import SEPARABLE

_TRIMMED = 2  # kinds of failing sets, those that exceed the budget least, of which classes are given up


class Within(NamedTuple):
    """What a search within a budget found: the best proof, each strategy's own, and which ones are too dear to try.

    `seconds`: how long it took.
    """

    best: Proof
    tried: list[Proof]
    untried: list[str]
    seconds: float = 0.0


def prove_within(prover: Prover, budget: int, trying: Callable[[str], None] = lambda what: None) -> Within:
    """The proof of the highest lower bound that this search finds among those of at most `budget` operations.

    Calls `trying` with what is tried next.  Raises Infeasible if every strategy costs more.
    """
    start = time.monotonic()
    best: Proof | None = None
    tried, untried = list[Proof](), list[str]()
    too_dear: list[Proof] = []

    def consider(proof: Proof) -> None:
        nonlocal best
        if proof.cost.flops <= budget and (best is None or proof.rank < best.rank):
            best = proof

    for strategy_id in feasible_strategies(prover.model, prover.problem.task):
        strategy = get_strategy(strategy_id)
        if strategy.claim == "at least" and least_cost(strategy_id, prover.problem) > budget:
            untried.append(strategy_id)
        elif strategy.claim == "at least":
            trying(strategy_id)
            proof = prover.prove(strategy_id)
            tried.append(proof)
            consider(proof)
            if strategy_id in KINDS and proof.cost.flops > budget:
                too_dear.append(proof)
            if strategy in (LOW_RANK, SEPARABLE) and proof.cost.flops > budget:
                trying(f"{strategy_id} with fewer directions")
                fewer = _with_fewer_directions(prover, strategy, dict(proof.certificate.hints), budget)
                if fewer is not None:
                    consider(prover.certify(strategy, fewer, proof.search_seconds))
    for proof in sorted(too_dear, key=lambda proof: proof.cost.flops)[:_TRIMMED]:
        kind = KINDS[proof.certificate.strategy]
        trying(f"{kind.id} with fewer classes")
        hints = _trimmed(prover, kind, dict(proof.certificate.hints), budget)
        if hints is not None:
            consider(prover.certify(get_strategy(kind.id), hints, proof.search_seconds))
    if best is None:
        raise Infeasible(f"every strategy needs more than {budget} operations")
    return Within(best, tried, untried, time.monotonic() - start)


def least_cost(strategy_id: str, problem: Problem[Any, Any]) -> int:
    """What checking costs at the least, of strategies that are far from cheap; of others 0."""
    model = problem.network
    if isinstance(model, PairSum):
        of_all_logits = 2 * problem.task.total * model.neurons * model.outputs
        return of_all_logits if strategy_id == BRUTE_FORCE.id else 0
    v: int = model.d_vocab
    known = {"brute-force": max_of_k(model).task.total * v, "branch-and-bound": v**4, "histogram": v**4}
    known["by-comparison/histogram"] = 16 * v**4
    return known.get(strategy_id.removeprefix("heads/"), 0)


def _trimmed(prover: Prover, kind: Kind, hints: HintArrays, budget: int) -> HintArrays | None:
    """The hints with as many classes given up as the budget demands, the least rewarding first; None if even all."""
    classes = _by_reward(prover, kind, hints)

    def keeping(count: int) -> HintArrays:
        window = hints["window"].copy()
        for q, m in classes[count:]:
            window[q, m] = GIVEN_UP
        return {**hints, "window": window}

    return _most_within(prover, get_strategy(kind.id), keeping, len(classes), budget)


def _with_fewer_directions(prover: Prover, strategy: Strategy, hints: HintArrays, budget: int) -> HintArrays | None:
    """The hints of low rank with as many directions as the budget pays for, the largest first; None if for none."""
    factors = hints["factors"]
    return _most_within(prover, strategy, lambda count: {**hints, "factors": factors[:count]}, len(factors), budget)


def _most_within(
    prover: Prover, strategy: Strategy, keeping: Callable[[int], HintArrays], all_of_it: int, budget: int
) -> HintArrays | None:
    """The hints that keep as much as the budget pays for, where all of it is too dear; None if none of it is."""
    low, high = -1, all_of_it  # keeping `low` is within the budget
    while high - low > 1:
        middle = (low + high) // 2
        within = prover.cost(strategy, keeping(middle)).flops <= budget
        low, high = (middle, high) if within else (low, middle)
    return keeping(low) if low >= 0 else None


def _by_reward(prover: Prover, kind: Kind, hints: HintArrays) -> list[tuple[int, int]]:
    """The classes (q, m) that are counted, by inputs gained for the operations that counting takes, best first."""
    work = prover.values
    n, v = prover.model.n_ctx, prover.model.d_vocab
    tables, plan = kind.tables_of(work, hints), HintedPlan(hints["skip"])
    reward: dict[tuple[int, int], float] = {}
    with np.errstate(all="ignore"):
        for m in range(v):
            found = possible_winners_by_query(work, tables, m, plan)
            if found:
                group = ClassesInDoubt(work, tables, m, np.unique(np.concatenate(list(found.values()))), [0, m])
                for q, outputs in found.items():
                    window = min(max(int(hints["window"][q, m]) - 1, 0), m)
                    gain = work.task.class_size(q, m) - group.count(q, outputs, window)
                    # Brackets, weights, sums and far cells of each position, for each output.
                    cost = len(outputs) * (window + 2) * (4 * n - 6)
                    reward[q, m] = gain / cost
    return sorted(reward, key=lambda pair: -reward[pair])
