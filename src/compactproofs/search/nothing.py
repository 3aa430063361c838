"""What to say where nothing is proved: for which networks a strategy is, as companions know, and what proves more."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from compactproofs.kernel.problem import Problem
from compactproofs.search.budget import Within, least_cost
from compactproofs.search.companions import Companion
from compactproofs.search.cost import power
from compactproofs.search.prover import Proof, Prover
from compactproofs.theorems.trivial import TRIVIAL

_NAMED = 3  # strategies in a line


def says_nothing(proof: Proof) -> bool:
    """Whether a proof by a strategy that might say something says that at least 0 inputs are answered correctly."""
    certificate = proof.certificate
    nothing = certificate.claim == "at least" and certificate.certified == 0
    return nothing and certificate.strategy not in {strategy.id for strategy in TRIVIAL}


def by_strategies(proofs: Iterable[tuple[Prover, Proof]], model: str) -> list[str]:
    """Lines about the proofs that say nothing; `model`: what the network is called on the command line."""
    for_others, ids = [], list[str]()
    for prover, proof in proofs:
        if says_nothing(proof):
            strategy_id = proof.certificate.strategy
            companion = prover.companion(prover.library.strategy(strategy_id))
            whom = _whom(strategy_id, companion, prover.problem, model)
            if whom is None:
                ids.append(strategy_id)
            else:
                for_others.append(f"nothing proved by {strategy_id}, which is for {whom}")
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    what = "the best strategy is looked for without --strategy, and every one tried with --all"
    return [*for_others, *([f"nothing proved by {', '.join(ids[:_NAMED])}{more}; {what}"] if ids else [])]


def within_budget(prover: Prover, found: Within, budget: int, model: str) -> list[str]:
    """Lines about the least that proves anything, where no strategy does with so many operations."""
    if found.best.certificate.certified:
        return []
    first, *lines = _dearer(prover.problem, found)
    lines = [f"nothing proved with {power(budget)} operations; {first}", *lines]
    for proof in found.tried:
        strategy_id = proof.certificate.strategy
        companion = prover.companion(prover.library.strategy(strategy_id))
        if proof.cost.flops <= budget and companion.trained_toward is not None:
            whom = _whom(strategy_id, companion, prover.problem, model)
            lines.append(f"{strategy_id} takes {power(proof.cost.flops)}, and is for {whom}")
    return lines


def _dearer(problem: Problem[Any, Any], found: Within) -> list[str]:
    """What proves anything with the fewest operations, and what proves most; else what was too dear to be tried."""
    say_something = [proof for proof in found.tried if proof.certificate.certified]
    if say_something:
        best = min(say_something, key=lambda proof: proof.rank)
        cheapest = min(say_something, key=lambda proof: proof.cost.flops)
        lines = [f"the cheapest proof of anything that was found {_in_words(cheapest)}"]
        return lines if best is cheapest else [*lines, f"the best one {_in_words(best)}"]
    if not found.untried:
        return ["no strategy proves anything of this network"]
    needed, strategy_id = min((least_cost(each, problem), each) for each in found.untried)
    return [f"what was not tried needs more, such as {strategy_id} {power(needed)} at the least"]


def _in_words(proof: Proof) -> str:
    certificate = proof.certificate
    what = f"{certificate.claim} {certificate.certified} of {certificate.total}"
    return f"takes {power(proof.cost.flops)}: {what} by {certificate.strategy}"


def _whom(strategy_id: str, companion: Companion, problem: Problem[Any, Any], model: str) -> str | None:
    """The networks of which the strategy proves anything, in words, if there is something to say."""
    if not companion.says_something(problem):
        return f"other networks: {companion.summary}"
    if companion.trained_toward is None:
        return None
    training = f"compactproofs tighten {shlex.quote(model)} --strategy {strategy_id} --out DIR"
    return f"networks trained toward it{f': {training}' if companion.trained_toward(problem) else ''}"
