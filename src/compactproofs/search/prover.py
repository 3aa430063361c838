"""The untrusted path: search for hints, claim a bound, and write a certificate that `verify` accepts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from compactproofs.kernel.checker import check_hints, verify
from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.library import Library
from compactproofs.kernel.problem import Claim, Network, Problem, Strategy, Task
from compactproofs.kernel.strict import shown
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.decoder.model import Decoder
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening.arguments import Misuse, expect, network_like
from compactproofs.opening.models import Model
from compactproofs.search.certificates import Certificate
from compactproofs.search.companions import Companion, HintArrays
from compactproofs.search.cost import Cost, power
from compactproofs.search.families import companion_of
from compactproofs.search.hints import search_hints, search_seconds
from compactproofs.search.workspaces import MeasuredWorkspace, run
from compactproofs.system.displays import Displayed, share_in_short
from compactproofs.system.log import PROGRESS, log
from compactproofs.system.places import check_directory
from compactproofs.system.processes import cores, local_processes, submit
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.tasks.pairs import Pairs
from compactproofs.tasks.sequences import Sequences
from compactproofs.tasks.with_tables import with_tables
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.enumerate.every_input import ENUMERATE, decide
from compactproofs.theorems.max_of_k.branching import branch_and_bound as by_boxes
from compactproofs.theorems.max_of_k.branching.boxes import Decided
from compactproofs.theorems.max_of_k.by_comparison import branch_and_bound as by_comparison
from compactproofs.theorems.max_of_k.by_comparison.branch_and_bound import BY_COMPARISON
from compactproofs.theorems.max_of_k.core.brute_force import BRUTE_FORCE
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM
from compactproofs.theorems.max_of_k.heads import branch_and_bound as of_heads
from compactproofs.theorems.pair_sum import brute_force as of_pairs
from compactproofs.theorems.trivial import TRIVIAL
from compactproofs.version import __version__

#: From so many inputs on, checking takes long, by strategies that may.
_MANY_INPUTS = 2**28
#: What decides every input of a family's tasks, and counts those that are right and wrong.
_DECIDING: dict[str, tuple[Strategy, Callable[[Any], Any]]] = {
    Decoder.family: (ENUMERATE, decide),
    PairSum.family: (of_pairs.BRUTE_FORCE, of_pairs.decide),
}
#: The same for tasks of attention-only networks, by boxes of inputs.
_BY_BOXES: tuple[tuple[Strategy, Callable[[Any], Decided]], ...] = (
    (of_heads.HEADS_BRANCH_AND_BOUND, of_heads.decide_inputs),
    (BY_COMPARISON, by_comparison.decide_inputs),
    (by_boxes.BRANCH_AND_BOUND, by_boxes.decide_inputs),
)
#: Strategies that tell the exact accuracy if they decide every input.
DECIDING = {
    *(BRUTE_FORCE.id, "heads/brute-force", "heads/branch-and-bound", "heads/branch-and-bound-upper"),
    *(f"{name}{side}" for name in (ENUMERATE.id, of_pairs.BRUTE_FORCE.id, BY_COMPARISON.id) for side in ("", "-upper")),
}
#: Of the wrong inputs, a claim by histograms leaves a share of 2^-16 to the check.
SPARED_BITS = 16


class ProofFailed(CompactProofsError, RuntimeError):
    """A certificate that was just made was not accepted; this is a bug of this package, and nothing was claimed."""


class Infeasible(CompactProofsError, ValueError):
    """The strategy cannot be run on a model of this size."""


class Bound(TypedDict):
    """What a strategy proves about a model, and what that takes: a line of JSON, of a table, of results that are kept.

    `certified` and `total` are inputs, as text, since they may have many digits; `normalised` is None where it is not
    known how many inputs are answered correctly.
    """

    model: str
    strategy: str
    claim: Claim
    certified: str
    total: str
    bound: float
    normalised: float | None
    flops: int
    int_ops: int
    unexplained_dimension: int
    complexity: str
    hint_bytes: int
    search_seconds: float
    verify_seconds: float


@dataclass(frozen=True, repr=False)
class Proof(Displayed):
    """A certificate with what it took to find and to check it."""

    certificate: Certificate
    cost: Cost
    unexplained_dimension: int
    complexity: str
    hint_bytes: int
    search_seconds: float
    verify_seconds: float

    @property
    def bound(self) -> Fraction:
        """The certified bound on the accuracy."""
        return Fraction(self.certificate.certified, self.certificate.total)

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Sorts the best bound from below first, then the best from above; of equal ones that of fewer operations."""
        above = self.certificate.claim == "at most"
        return above, self.certificate.certified * (1 if above else -1), self.cost.flops

    def facts(self) -> dict[str, str]:
        """What is proved, and what that takes."""
        certificate = self.certificate
        return {
            "strategy": certificate.strategy,
            "claim": certificate.facts()["claim"],
            "bound": share_in_short(self.bound, certificate.claim),
            "operations": power(self.cost.flops),
            "search": f"{self.search_seconds:.2f} s",
            "verify": f"{self.verify_seconds:.2f} s",
        }

    def as_dict(self, model: str, exact_correct: int | None) -> Bound:
        """The proof as `compactproofs prove --json` prints it.

        `exact_correct` is the number of inputs that the model answers correctly, where known; the normalised bound is
        the certified number divided by it.
        """
        certificate = self.certificate
        return {
            "model": model,
            "strategy": certificate.strategy,
            "claim": certificate.claim,
            "certified": str(certificate.certified),
            "total": str(certificate.total),
            "bound": float(self.bound),
            "normalised": certificate.certified / exact_correct if exact_correct else None,
            "flops": self.cost.flops,
            "int_ops": self.cost.int_ops,
            "unexplained_dimension": self.unexplained_dimension,
            "complexity": self.complexity,
            "hint_bytes": self.hint_bytes,
            "search_seconds": round(self.search_seconds, 6),
            "verify_seconds": round(self.verify_seconds, 6),
        }


def with_something_to_spare(strategy: Strategy, proved: int, total: int) -> int:
    """What to claim where so many of the inputs are proved: counts of histograms change a little with rounding."""
    if strategy.theorem != HISTOGRAM.theorem:
        return proved
    spared = -(-(total - proved) >> SPARED_BITS)
    return max(proved - spared, 0) if strategy.claim == "at least" else min(proved + spared, total)


def feasible_strategies(model: Model | ManyHeads | Decoder | PairSum, task: Task | None = None) -> list[str]:
    """The ids of all strategies that say something about such a model and task, and can be checked at this size."""
    problem = _problem(model, task)
    name = problem.task.record["name"]
    ours = [s for s in BUILT_IN.strategies.values() if s.family == model.family and name in s.tasks]
    return [s.id for s in ours if s.limit(problem) is None and companion_of(s).says_something(problem)]


def _problem(model: Any, task: Task | None) -> Problem[Any, Any]:
    if not network_like(model):
        raise InvalidModel(
            f"expected a network, such as load_model and load_network return, found {type(model).__name__}"
        )
    if task is not None and not all(hasattr(task, name) for name in ("record", "total", "misfit")):
        raise Misuse(f"task: expected a task, such as task_for returns, or None, found {type(task).__name__}")
    if task is None and isinstance(model, Decoder):
        raise Misuse("task: expected one that goes with a decoder, such as task_for(network, 'max'), found None")
    if task is None and not hasattr(model, "n_ctx"):
        raise Misuse(
            f"task: expected one that goes with a network of the family {model.family}; without one the question is "
            "max of K. certify asks a network of the zoo what it was trained for"
        )
    return max_of_k(model) if task is None else Problem(model, task)


class Prover:
    """Proves bounds on one model by any strategies, which share what they have in common.

    The task is the largest of K tokens unless there is another.  Times are those that a strategy takes alone: each
    includes all that was shared.  `library` and `companion`: other strategies than those of this package.

    `finer`: how many times as fine histograms count as usual, which takes longer.  `keep`: a folder where long searches
    for their hints keep what they have found, and from which they go on if they were interrupted.
    """

    def __init__(
        self,
        model: Network,
        task: Task | None = None,
        library: Library | None = None,
        companion: Callable[[Strategy], Companion] = companion_of,
        *,
        finer: float = 1.0,
        keep: str | Path | None = None,
    ) -> None:
        expect("library", library, Library | None, "a Library")
        expect("companion", companion, Callable, "a function from strategies to their companions")
        expect("finer", finer, int | float, "a positive number")
        expect("keep", keep, str | Path | None, "a folder")
        if not 0.0 < finer <= sys.float_info.max:
            raise Misuse(f"finer: expected a positive number, found {finer!r}")
        if keep == "":
            raise Misuse("keep: expected a folder, found ''")
        if keep is not None:
            try:
                check_directory(Path(keep), "keep")
            except ValueError as error:
                raise Misuse(f"keep: {str(error).removeprefix('keep: ')}") from None
        self.model: Any = model  # of one of these families
        self.problem = _problem(model, task)
        self.library = BUILT_IN if library is None else library
        table = task.table if isinstance(task, Sequences) else task.given if isinstance(task, Pairs) else None
        if table is not None:
            self.library = with_tables([table], self.library)
        self.companion = companion
        self.values: MeasuredWorkspace[Any, Any] = MeasuredWorkspace(self.problem, "value")
        self.values.haste, self.values.keep = 1.0 / finer, None if keep is None else Path(keep)
        self._claim: MeasuredWorkspace[Any, Any] = MeasuredWorkspace(self.problem, "claim")
        self._check: MeasuredWorkspace[Any, Any] = MeasuredWorkspace(self.problem, "check")

    def prove(self, strategy_id: str) -> Proof:
        """Find hints, claim the bound that they prove with room to spare, and check the certificate.

        Raises UnknownStrategy, Infeasible, or ProofFailed.
        """
        expect("strategy_id", strategy_id, str, "the id of a strategy")
        strategy = self.library.strategy(strategy_id)
        log.debug("search: %s begins", strategy_id)
        hints, seconds = self.search(strategy), search_seconds(strategy, self.values)
        log.debug("search: %s has hints of %d bytes after %.2f s", strategy_id, _bytes(hints), seconds)
        proof = self.certify(strategy, hints, seconds)
        log.info("search: %s, %s; %s operations", strategy_id, proof.certificate, power(proof.cost.flops))
        return proof

    def search(self, strategy: Strategy) -> HintArrays:
        """Good hints for the strategy; raises Infeasible."""
        self.require(strategy)
        return search_hints(strategy, self.values, self.companion(strategy).search)

    def require(self, strategy: Strategy) -> None:
        """Raise Infeasible unless the strategy is about this model and task, and can be checked."""
        expect("strategy", strategy, Strategy, "a strategy, such as those of STRATEGIES")
        record = self.problem.task.record
        if strategy.family != self.model.family or record["name"] not in strategy.tasks:
            family, task = self.model.family, record["name"]
            what, this = strategy.family, family
            if this == what:
                what, this = " or ".join(strategy.tasks), task
            known = [s for s in BUILT_IN.strategies.values() if s.family == family and s not in TRIVIAL]
            ours = [s.id for s in known if task in s.tasks]
            instead = f"; use {', '.join(ours[:4])}" if ours else ""
            raise Infeasible(f"{strategy.id} is about {what}, and this is {this}{instead}")
        reason = self.problem.task.misfit(self.model) or strategy.limit(self.problem)
        if reason is not None:
            raise Infeasible(f"{strategy.id}: {reason}")

    def cost(self, strategy: Strategy, hints: HintArrays) -> Cost:
        """What checking a certificate with these hints costs; raises as `certify` does."""
        self._expect(strategy, hints)
        return run(strategy, self._check, hints).cost

    def certify(self, strategy: Strategy, hints: HintArrays, seconds: float = 0.0) -> Proof:
        """Claim what these hints prove with room to spare, and check the certificate; `seconds`: to find the hints.

        Where that takes long and there is another core, the claim is computed by another process in the meantime.
        Raises Infeasible, MalformedCertificate for hints that are none of this strategy, or ProofFailed.
        """
        self._expect(strategy, hints)
        PROGRESS.get()("checking what was found")
        claimed, claim_seconds = self._claim_for(strategy, hints)
        claimed = with_something_to_spare(strategy, claimed, self.problem.task.total)
        certificate = Certificate(
            family=self.model.family,
            task=self.problem.task.record,
            model_sha256=self.model.sha256,
            strategy=strategy.id,
            theorem=strategy.theorem,
            certified=claimed,
            total=self.problem.task.total,
            hints=hints,
            tool=f"compactproofs {__version__}",
            claim=strategy.claim,
        )
        # The strategy as it is, but what it computes is kept, with its cost.
        measured = replace(strategy, bound=lambda work, hints: run(strategy, self._check, hints).certified)
        library = Library.of([measured], self.library.tasks)
        verdict = verify(Certificate.from_bytes(certificate.to_bytes()), self.model, library)
        if not verdict.accepted:
            raise ProofFailed(f"{strategy.id}: a fresh certificate was rejected: {verdict.reason}")
        check, companion = run(strategy, self._check, hints), self.companion(strategy)
        return Proof(
            certificate=certificate,
            cost=check.cost,
            unexplained_dimension=companion.unexplained_dimension(self.problem),
            complexity=companion.complexity,
            hint_bytes=_bytes(hints),
            search_seconds=seconds + claim_seconds,
            verify_seconds=check.seconds,
        )

    def _expect(self, strategy: Strategy, hints: HintArrays) -> None:
        """Raise Misuse, Infeasible or MalformedCertificate unless a proof by the strategy may have these hints."""
        self.require(strategy)
        expect("hints", hints, Mapping, "arrays by their names")
        for name, hint in hints.items():
            expect(f"hints[{name!r}]", hint, np.ndarray, "an array")
        check_hints(strategy, self.problem, hints)

    def _claim_for(self, strategy: Strategy, hints: HintArrays) -> tuple[int, float]:
        """What to claim, and the seconds that it took besides the check.

        That is what the check proves, unless it decides something with less to spare than claims ask for.
        """
        if self.companion(strategy).long and self.problem.task.total > _MANY_INPUTS and cores() > 1:
            with suppress(ImportError, OSError, BrokenExecutor), local_processes(1) as executor:
                claimed = submit(executor, _claimed, self.problem, strategy.id, hints)
                check = run(strategy, self._check, hints)  # kept for verification
                return claimed.result() if check.close else (check.certified, 0.0)
        check = run(strategy, self._check, hints)
        if not check.close:
            return check.certified, 0.0
        claim = run(strategy, self._claim, hints)
        return claim.certified, claim.seconds

    def exact_correct(self) -> int | None:
        """The number of inputs answered correctly, if brute force is feasible and decides every input."""
        if self.model.family in _DECIDING:
            strategy, decide_all = _DECIDING[self.model.family]
            if strategy.limit(self.problem) is not None:
                return None
            found = decide_all(self._check)
            return found.right if found.right + found.wrong == self.problem.task.total else None
        name = self.problem.task.record["name"]
        for strategy, decide_boxes in _BY_BOXES:
            if self.model.family == strategy.family and name in strategy.tasks:
                small = BRUTE_FORCE.limit(self.problem) is None or strategy is not by_boxes.BRANCH_AND_BOUND
                if small and strategy.limit(self.problem) is None:
                    boxes = decide_boxes(self._check)
                    return self.problem.task.total - boxes.wrong if boxes.undecided == 0 else None
        return None


def _bytes(hints: HintArrays) -> int:
    return sum(hint.nbytes for hint in hints.values())


def _claimed(problem: Problem[Any, Any], strategy_id: str, hints: HintArrays) -> tuple[int, float]:
    """What another process computes; where it cannot be started or dies, it is computed here."""
    found = run(BUILT_IN.strategy(strategy_id), MeasuredWorkspace(problem, "claim"), hints)
    return found.certified, found.seconds


def prove(model: Model, strategy_id: str) -> Proof:
    """A proof by one strategy; see `Prover.prove`."""
    return Prover(model).prove(strategy_id)


def prove_all(model: Model, strategy_ids: Sequence[str] | None = None) -> Iterator[Proof]:
    """One proof after the other for each strategy: those named, or all that are feasible."""
    prover = Prover(model)
    if strategy_ids is None:
        return map(prover.prove, feasible_strategies(model))
    if isinstance(strategy_ids, str) or not isinstance(strategy_ids, Iterable):
        raise Misuse(f"strategy_ids: expected the ids of strategies in a list, found {shown(repr(strategy_ids))}")
    return map(prover.prove, strategy_ids)
