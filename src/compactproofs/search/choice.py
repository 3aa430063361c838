"""The best bounds that some seconds buy: one strategy after the other, the quickest first, until time is up.

Those that go through inputs come last, since their proofs are long.  When bounds meet, only what may prove the same
with fewer operations is still tried.  Strategies that another one surpasses, and that take fewer operations, are left
to `search.budget`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from compactproofs.kernel.problem import Strategy
from compactproofs.search.budget import least_cost
from compactproofs.search.certificates import Certificate
from compactproofs.search.companions import no_hints as no_search
from compactproofs.search.hints import no_hints
from compactproofs.search.prover import Infeasible, Proof, Prover
from compactproofs.search.questions import Question
from compactproofs.system.displays import Displayed, share_in_short
from compactproofs.system.log import log
from compactproofs.system.processes import interrupted_after

#: Seconds that a strategy may take where all are asked for, and all together where nothing is.
PATIENCE = 60.0
#: Seconds for a model that does not seem to do the task.
MOMENT = 10.0
#: Strategies are tried that may take so many times as long as there is left, since they may do much less.
_TOO_MUCH = 4.0
#: Seconds in which counts need be no coarser than without a limit.
_AT_LEISURE = 2400.0
#: More seconds than anybody waits, of which clocks still know.
_FOR_EVER = 1e9


@dataclass(frozen=True, repr=False)
class Certified(Displayed):
    """What is proved about a model: every proof that was found, best first, those from below before those from above.

    `stopped`: why no more was tried, after so many `seconds`; `short`: whether more of these might find more.  `name`:
    what the model is called.  `notes`: what else to know of it.
    """

    network: Any  # of a family of this package
    proofs: tuple[Proof, ...]
    stopped: str
    seconds: float = 0.0
    interrupted: bool = False
    short: bool = False
    name: str = ""
    notes: tuple[str, ...] = ()

    @property
    def lower(self) -> Proof:
        """The best proof that at least so many inputs are answered correctly."""
        return self.proofs[0]

    @property
    def upper(self) -> Proof | None:
        """The best proof that at most so many are, if there is one."""
        return next((proof for proof in self.proofs if proof.certificate.claim == "at most"), None)

    @property
    def certificate(self) -> Certificate:
        """That of the best bound from below."""
        return self.lower.certificate

    @property
    def bound(self) -> Fraction:
        """The best bound on the accuracy from below."""
        return self.lower.bound

    @property
    def exact(self) -> bool:
        """Whether the bounds meet, so that they are the accuracy."""
        if not self.proofs:
            return False
        return self.bound == 1 or (self.upper is not None and self.upper.bound == self.bound)

    @property
    def accuracy(self) -> float | None:
        """The accuracy, where the bounds meet."""
        return float(self.bound) if self.exact else None

    def save(self, path: str | Path) -> None:
        """Write the certificate of the best bound from below."""
        self.certificate.save(path)

    def facts(self) -> dict[str, str]:
        """The bounds, and why there are no better ones."""
        facts = self.lower.facts()
        upper = {} if self.upper is None else {"upper": share_in_short(self.upper.bound, "at most")}
        kept = {name: facts[name] for name in ("claim", "bound")}
        by = {name: facts[name] for name in ("strategy", "operations")}
        return {"model": self.name or self.network.sha256[:12], **kept, **upper, **by, "stopped": self.stopped}


def seconds_for(strategy: Strategy, prover: Prover) -> float:
    """How long it may take to prove by this strategy, about: a claim, a check, and a search that takes like both.

    Unless the companion knows better what a search takes, whose counts have to be checked as well.
    """
    companion = prover.companion(strategy)
    checks = 2 if companion.search is no_search else 4
    work = companion.work(prover.problem, no_hints(strategy, prover.problem))
    searching = 0.0 if companion.searching is None else companion.searching(prover.values)
    return max(checks * float(work.operations / companion.speed), searching)


def in_patience(prover: Prover, strategy_ids: Collection[str]) -> tuple[list[str], list[str]]:
    """Those of the strategies that may take a minute at most, each, and what is to be said of the others.

    Where there would be none that claim anything, they are all of them.
    """
    needed = {}
    for strategy_id in strategy_ids:
        strategy = prover.library.strategy(strategy_id)
        needed[strategy_id] = seconds_for(strategy, prover)
    quick = [strategy_id for strategy_id in strategy_ids if needed[strategy_id] <= PATIENCE]
    if not any(needed[strategy_id] for strategy_id in quick):
        return list(strategy_ids), []
    return quick, [
        f"{strategy_id} may take {seconds:.0f} s and was left out; ask for it by --strategy {strategy_id}"
        for strategy_id, seconds in needed.items()
        if seconds > PATIENCE
    ]


def _with(found: Certified, proof: Proof) -> Certified:
    """The same with one proof more."""
    return replace(found, proofs=tuple(sorted([*found.proofs, proof], key=lambda proof: proof.rank)))


def _may_cost_less(prover: Prover, strategy_id: str, best: Proof) -> bool:
    """Whether this strategy may prove what the best one does with fewer operations."""
    claims_alike = prover.library.strategy(strategy_id).claim == best.certificate.claim
    return claims_alike and least_cost(strategy_id, prover.problem) < best.cost.flops


def certify_within(
    prover: Prover, seconds: float, trying: Callable[[str], None] = lambda strategy_id: None
) -> Certified:
    """The best bounds by any strategy of this package, from below and from above, that are found in so many seconds.

    Calls `trying` with each strategy before it is tried.  The trivial one is always among what is found.  Ctrl-C ends
    the search, and leaves what was found.  Raises Infeasible, and KeyboardInterrupt where nothing was found, only of
    other libraries, which may have no trivial strategy.
    """
    start, seconds = time.monotonic(), min(seconds, _FOR_EVER)
    prover.values.haste = max(_AT_LEISURE / max(seconds, 1.0), 1.0)  # so that a minute may do for both sides
    about = [
        (strategy, companion)
        for strategy in prover.library.strategies.values()
        if strategy.family == prover.model.family
        and prover.problem.task.record["name"] in strategy.tasks
        and not (companion := prover.companion(strategy)).surpassed
        and companion.says_something(prover.problem)
    ]
    limits = {strategy.id: strategy.limit(prover.problem) for strategy, _ in about}
    by_time = sorted(
        (companion.by_input, seconds_for(strategy, prover), strategy.claim == "at most", strategy.id)
        for strategy, companion in about
        if limits[strategy.id] is None
    )
    reasons = dict.fromkeys(limit for limit in limits.values() if limit)
    if not by_time:
        raise Infeasible("; ".join(reasons) or "no strategy is about this model and task")

    def left() -> float:
        return max(start + seconds - time.monotonic(), 0.0)

    missing = list(reasons) if not any(needed for _, needed, *_ in by_time) else []
    found = Certified(prover.model, (), "every strategy was tried")
    while by_time and not by_time[0][1]:  # what claims nothing takes no time
        found = _with(found, prover.prove(by_time.pop(0)[-1]))
    trying_now = ""
    try:
        with interrupted_after(seconds):
            for _, needed, _, trying_now in by_time:
                if found.exact and not _may_cost_less(prover, trying_now, found.lower):
                    continue
                if needed > _TOO_MUCH * left():
                    found = replace(found, short=True)
                    missing.append(f"{trying_now} may take {needed:.0f} s")
                    log.info("search: %s, and %.0f are left", missing[-1], left())
                    continue
                trying(trying_now)
                try:
                    proof = prover.prove(trying_now)
                except MemoryError:
                    missing.append(f"{trying_now} needs more memory")
                    log.info("search: %s", missing[-1])
                    continue
                found = _with(found, proof)
    except KeyboardInterrupt:
        if left():
            if not found.proofs:
                raise
            found = replace(found, interrupted=True)
            missing.append("interrupted")
        else:
            found = replace(found, short=True)
            missing.append(f"the time was over before {trying_now or 'any strategy'} was finished")
    if found.exact and not found.interrupted:
        found, missing = replace(found, short=False), ["the bounds meet"]
    why = "; ".join(missing)
    if not found.proofs:
        more = "; give more (--seconds, seconds=)" if found.short else ""
        raise Infeasible(f"nothing was proved in {seconds:g} seconds: {why}{more}")
    return replace(found, stopped=why or found.stopped, seconds=time.monotonic() - start)


def answer(
    question: Question, prover: Prover, seconds: float | None, trying: Callable[[str], None] = lambda strategy_id: None
) -> Certified:
    """The same about what is asked: if nothing is said, in a minute, or less where the model seems to do another task.

    About such a model hardly anything is proved, however long boxes of inputs are split.
    """
    hurried = seconds is None and question.in_doubt
    found = certify_within(prover, MOMENT if hurried else PATIENCE if seconds is None else seconds, trying)
    if hurried and found.short and not found.interrupted:
        more = (
            f"no more than {MOMENT:.0f} s, since the model does not seem to do this task; --seconds, seconds= give more"
        )
        found = replace(found, stopped=f"{found.stopped}; {more}")
    return found
