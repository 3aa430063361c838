"""The trusted path: a certificate and the weights in, a verdict out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy.typing as npt

from compactproofs.kernel.arrays import Cost
from compactproofs.kernel.certificate import Certificate, MalformedCertificate
from compactproofs.kernel.machine import require_ieee_arithmetic
from compactproofs.kernel.strict import shown
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import Model
from compactproofs.tasks.max_of_k import task_of, total_inputs
from compactproofs.theorems import Strategy, UnknownStrategy, get_strategy


@dataclass(frozen=True)
class Verdict:
    """Whether a certificate was accepted, and why; with what the check recomputed, where it came that far."""

    accepted: bool
    reason: str
    certified: int | None = None
    cost: Cost | None = None
    seconds: float = 0.0


class Run(NamedTuple):
    """What a strategy's `bound` returned, what it cost, and how long that takes when nothing is shared."""

    certified: int
    cost: Cost
    seconds: float


def verify(
    certificate: Certificate,
    model: Model,
    work: Workspace | None = None,
    admit: Callable[[Strategy], None] = lambda strategy: None,
) -> Verdict:
    """Decide whether `certificate` proves its claim about `model`.

    Recomputes N from the weights and the certificate's hints and accepts if it is at least the claimed number (for
    claims "at most": at most).
    Raises MalformedCertificate if the strategy is unknown or the hints are not of the declared types and shapes,
    UnsuitableArithmetic if this process does not compute as the proofs assume, and ValueError or MemoryError if the
    model is so large that a sum is too long for the error bounds, or that tables do not fit into memory.

    `work`: a workspace of this model with the reading "check", to share tables between many certificates.  `admit` is
    called right before the strategy runs, and may raise: for limits on work (`effort.verify`).
    """
    if work is None:
        work = Workspace(model, "check")
    elif work.model is not model or work.reading != "check":
        raise ValueError('the workspace must be of this model and have the reading "check"')
    try:
        strategy = get_strategy(certificate.strategy)
    except UnknownStrategy as error:
        raise MalformedCertificate(f"strategy: {error}") from error
    if certificate.model_sha256 != model.sha256:
        return Verdict(
            False,
            f"model_sha256: the certificate is about another model ({certificate.model_sha256[:12]}..., "
            f"this one is {model.sha256[:12]}...)",
        )
    if dict(certificate.task) != task_of(model):
        return Verdict(False, f"task: the certificate says {dict(certificate.task)}, the model has {task_of(model)}")
    if certificate.total != total_inputs(model):
        return Verdict(
            False,
            f"total: the certificate says {shown(certificate.total)}, there are {shown(total_inputs(model))} inputs",
        )
    if certificate.theorem != strategy.theorem:
        return Verdict(
            False, f"theorem: {strategy.id} rests on {strategy.theorem}, not on {certificate.theorem[:80]!a}"
        )
    if certificate.claim != strategy.claim:
        return Verdict(False, f"claim: {strategy.id} proves {strategy.claim!r}, not {certificate.claim!r}")
    check_hints(strategy, model, certificate.hints)
    reason = strategy.limit(model)
    if reason is not None:
        return Verdict(False, f"strategy: cannot be checked, since {reason}")
    require_ieee_arithmetic()
    admit(strategy)
    result = run(strategy, work, certificate.hints)
    holds = (
        result.certified >= certificate.certified
        if strategy.claim == "at least"
        else result.certified <= certificate.certified
    )
    if holds:
        return Verdict(True, str(certificate), *result)
    return Verdict(
        False,
        f"certified: the certificate claims {certificate.claim} {certificate.certified} inputs, "
        f"the check proves {strategy.claim} {result.certified}",
        *result,
    )


def run(strategy: Strategy, work: Workspace, hints: Mapping[str, npt.NDArray[Any]]) -> Run:
    """The strategy's N on this workspace for these hints."""
    given = tuple((name, hint.dtype.str, hint.shape, hint.tobytes()) for name, hint in sorted(hints.items()))
    key = ("bound", strategy.id, given)
    certified = work.once(key, lambda: strategy.bound(work, hints))
    return Run(certified, work.cost(key), work.seconds(key))


def check_hints(strategy: Strategy, model: Model, hints: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise MalformedCertificate unless the hints have the names, types and shapes that the strategy declares."""
    expected = strategy.hints(model)
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
