"""The trusted path: a certificate and the weights in, a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from compactproofs.kernel.certificate import Certificate, MalformedCertificate
from compactproofs.kernel.library import Library, UnknownStrategy, UnknownTask
from compactproofs.kernel.machine import require_ieee_arithmetic
from compactproofs.kernel.problem import Network, Problem, Strategy
from compactproofs.kernel.strict import shown
from compactproofs.kernel.workspace import Workspace


@dataclass(frozen=True)
class Verdict:
    """Whether a certificate was accepted, and why; with the number that the check proves, where it came that far."""

    accepted: bool
    reason: str
    certified: int | None = None


def verify(
    certificate: Certificate,
    network: Network,
    library: Library,
    workspace: Callable[[Problem[Any, Any]], Workspace[Any, Any]] = Workspace,
    admit: Callable[[Strategy, Problem[Any, Any]], None] = lambda strategy, problem: None,
) -> Verdict:
    """Decide whether `certificate` proves its claim about `network`: whether N is at least (or at most) what it claims.

    Raises MalformedCertificate if the strategy or the task is unknown or the hints are not of the declared types and
    shapes, UnsuitableArithmetic if this process does not compute as the proofs assume, and ValueError or MemoryError if
    the network is so large that a sum is too long for the error bounds, or that tables do not fit into memory.

    `workspace`: makes one of the problem; whoever passes another than `Workspace`, to share tables among certificates,
    says that its numbers are enclosures.  `admit` is called right before the strategy runs, and may raise.
    """
    try:
        strategy = library.strategy(certificate.strategy)
        task = library.task(certificate.task)
    except (UnknownStrategy, UnknownTask) as error:
        what = "task" if isinstance(error, UnknownTask) else "strategy"
        raise MalformedCertificate(f"{what}: {error}") from error
    if certificate.model_sha256 != network.sha256:
        said, found = certificate.model_sha256[:12], network.sha256[:12]
        return _rejected(f"model_sha256: the certificate is about another model ({said}..., this one is {found}...)")
    for subject in (network, strategy):
        if certificate.family != subject.family:
            return _rejected(f"family: the certificate says {shown(certificate.family)}, but it is {subject.family}")
    if certificate.task["name"] not in strategy.tasks:
        return _rejected(f"task: {strategy.id} is not about {certificate.task['name']}")
    misfit = task.misfit(network)  # of the family that the strategy's tasks are about
    if misfit is not None:
        return _rejected(f"task: {misfit}")
    if certificate.total != task.total:
        said, found = shown(certificate.total), shown(task.total)
        return _rejected(f"total: the certificate says {said}, there are {found} inputs")
    if certificate.theorem != strategy.theorem:
        said = shown(certificate.theorem)
        return _rejected(f"theorem: {strategy.id} rests on {strategy.theorem}, not on {said!r}")
    if certificate.claim != strategy.claim:
        return _rejected(f"claim: {strategy.id} proves {strategy.claim!r}, not {certificate.claim!r}")
    problem = Problem(network, task)
    check_hints(strategy, problem, certificate.hints)
    reason = strategy.limit(problem)
    if reason is not None:
        return _rejected(f"strategy: cannot be checked, since {reason}")
    require_ieee_arithmetic()
    admit(strategy, problem)
    work = workspace(problem)
    if work.network is not network or work.task != task:
        raise ValueError("the workspace must be of this network and of the certificate's task")
    certified = strategy.bound(work, certificate.hints)
    at_least = strategy.claim == "at least"
    if certified >= certificate.certified if at_least else certified <= certificate.certified:
        return Verdict(True, str(certificate), certified)
    claimed = f"the certificate claims {certificate.claim} {certificate.certified} inputs"
    return _rejected(f"certified: {claimed}, the check proves {strategy.claim} {certified}", certified)


def _rejected(reason: str, certified: int | None = None) -> Verdict:
    return Verdict(False, reason, certified)


def check_hints(strategy: Strategy, problem: Problem[Any, Any], hints: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise MalformedCertificate unless the hints have the names, types and shapes that the strategy declares."""
    expected = strategy.hints(problem)
    for name in sorted(set(expected) | set(hints)):
        if name not in expected:
            known = ", ".join(expected) or "none"
            raise MalformedCertificate(f"hints.{name}: {strategy.id} has no such hint; its hints: {known}")
        spec = expected[name]
        if name not in hints:
            raise MalformedCertificate(f"hints.{name}: missing; {strategy.id} needs {spec}")
        hint = hints[name]
        if not spec.fits(hint):
            raise MalformedCertificate(f"hints.{name}: expected {spec}, found {hint.dtype} of shape {hint.shape}")
