"""How much work it is to check a certificate: declared before, from sizes and hints, and limited while it goes on.

Untrusted: a wrong figure makes somebody wait, or refuses what could have been checked, and proves nothing.

Work is a number of operations on numbers, where each call of NumPy counts as `CALL` more, whatever the arrays' size.
For strategies that do as hints and sizes say, it is an upper bound.  Others stop when a class of inputs is decided,
which no size tells; they may do what trained models need many times over, and then are stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

from compactproofs.kernel import checker
from compactproofs.kernel.certificate import Certificate
from compactproofs.kernel.library import Library
from compactproofs.kernel.problem import Hints, Network, Problem, Strategy
from compactproofs.kernel.strict import shown
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.opening.arguments import Misuse, expect, network_like
from compactproofs.search.allowance import Allowance, TooMuchWork, allowing
from compactproofs.search.companions import MAX_OPS, MAX_OPS_OF_INPUTS, Work
from compactproofs.search.cost import Cost, power
from compactproofs.search.families import companion_of
from compactproofs.search.upgrades import SUCCESSORS, upgraded
from compactproofs.system.displays import Displayed, in_short
from compactproofs.system.log import log
from compactproofs.tasks.tables import Table
from compactproofs.tasks.with_tables import with_tables
from compactproofs.theorems import BUILT_IN

#: Bytes that a strategy may declare unless the caller allows more.
MAX_MEMORY = 2**32


class Verdict(Displayed, checker.Verdict):
    """A verdict that shows itself; what it says, `kernel.checker` says."""

    def facts(self) -> dict[str, str]:
        """What was decided, and why."""
        proved = {} if self.certified is None else {"certified": in_short(self.certified)}
        return {"accepted": str(self.accepted), "reason": shown(self.reason, 300), **proved}


def verify(
    certificate: Certificate,
    model: Network,
    work: Workspace[Any, Any] | None = None,
    *,
    max_ops: int | None = None,
    max_memory: int = MAX_MEMORY,
    allowance: Allowance | None = None,
    library: Library | None = None,
    declare: Callable[[Strategy, Problem[Any, Any], Hints], Work] | None = None,
    tables: Collection[Table] = (),
) -> Verdict:
    """Decide whether `certificate` proves its claim about `model`, as `checker.verify` does, with limited work.

    Refuses where the strategy declares more operations than `max_ops` (by default 2^33, or 2^40 for brute-force,
    branch-and-bound and histogram) or more bytes than `max_memory`, and stops when it has done `max_ops` (by default:
    what it declared).  A call of NumPy counts as 2^15 operations.  Both are a TooMuchWork, a ValueError; what else can
    be raised is said there.  Certificates of older theorems are checked by today's, with hints that are searched for,
    within `max_ops` too (`search.upgrades`).  `work`: tables that certificates of one task share.  `allowance`: what is
    done is booked on it.  `library` and `declare`: other strategies than those of this package, and
    what they declare.  `tables`: of labels, for tasks that name one.
    """
    expect("certificate", certificate, Certificate, "a certificate, such as Certificate.load returns")
    if not network_like(model):
        raise Misuse(f"model: expected a network, such as load_network returns, found {type(model).__name__}")
    expect("work", work, Workspace | None, "a workspace")
    expect("max_ops", max_ops, int | None, "an integer from 0")
    expect("max_memory", max_memory, int | float, "a number of bytes")
    if not max_memory >= 0:
        raise Misuse(f"max_memory: expected a number of bytes from 0, found {max_memory}")
    if max_ops is not None and max_ops < 0:
        raise Misuse(f"max_ops: expected an integer from 0, found {max_ops}")
    expect("allowance", allowance, Allowance | None, "an Allowance")
    expect("library", library, Library | None, "a Library")
    expect("declare", declare, Callable | None, "a function")
    expect("tables", tables, Collection, "tables of labels")
    for table in tables:
        expect("tables", table, Table, "tables of labels")
    library = BUILT_IN if library is None else library
    library = with_tables(tables, library) if tables else library
    allowance = Allowance() if allowance is None else allowance
    more = "allow more with --max-ops 2^N (max_ops= in Python)"

    def admit(strategy: Strategy, problem: Problem[Any, Any]) -> None:
        needed = (declare or declared)(strategy, problem, certificate.hints)
        allowed = default_max_ops(strategy) if max_ops is None else max_ops
        if needed.operations > allowed:
            raise TooMuchWork(
                f"{strategy.id} may take {power(needed.operations)} operations on this model, and {power(allowed)} are "
                f"allowed; {more}"
            )
        if needed.memory > max_memory:
            raise TooMuchWork(
                f"{strategy.id} may take {needed.memory / 2**30:.1f} GiB of memory on this model, and "
                f"{max_memory / 2**30:.1f} GiB are allowed; allow more with --max-memory GIB (max_memory= in Python)"
            )
        allowance.limit = allowance.spent + needed.operations if max_ops is None else max_ops
        log.debug("verify: %s may take %s operations", strategy.id, power(needed.operations))

    if work is not None and work.network is not model:
        raise Misuse("work: expected a workspace of this network, found one of another")
    shared = None if work is None or work.task.record != certificate.task else work
    try:
        with allowing(allowance):
            if certificate.theorem in SUCCESSORS and isinstance(model, AttentionOnly):
                allowance.limit = max_ops or MAX_OPS_OF_INPUTS
                certificate = upgraded(certificate, model)
            found = checker.verify(certificate, model, library, lambda problem: shared or Workspace(problem), admit)
    except TooMuchWork as error:
        if allowance.limit is None:
            raise
        raise TooMuchWork(
            f"{certificate.strategy} was stopped after {power(allowance.limit)} operations; {more}"
        ) from error
    word = "accepted" if found.accepted else "rejected"
    log.info("verify: %s, %s: %s; %s operations", certificate.strategy, word, found.reason, power(allowance.spent))
    return Verdict(found.accepted, found.reason, found.certified)


def to_allow(strategy: Strategy, needed: Work, cost: Cost) -> str | None:
    """What `max_ops` must be for `verify` to check what needs this at that cost, as a power of two; None: the default.

    `needed`: what the strategy declares.
    """
    if needed.operations <= default_max_ops(strategy) and cost.work <= needed.operations:
        return None
    return f"2^{math.ceil(math.log2(max(needed.operations, cost.work)))}"


def default_max_ops(strategy: Strategy) -> int:
    """How many operations a strategy may declare unless somebody allows more."""
    return MAX_OPS_OF_INPUTS if companion_of(strategy).by_input else MAX_OPS


def declared(strategy: Strategy, problem: Problem[Any, Any], hints: Hints) -> Work:
    """What checking may take: from the sizes of model and task, and from the types and sizes of the hints."""
    return companion_of(strategy).work(problem, hints)
