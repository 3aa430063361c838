"""The untrusted path: search for hints, claim a bound, and write a certificate that `verify` accepts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from compactproofs.arrays import Cost
from compactproofs.certificate import Certificate
from compactproofs.checker import run, verify
from compactproofs.model import Model
from compactproofs.search import search_hints
from compactproofs.strategies import STRATEGIES, Strategy, get_strategy
from compactproofs.task import task_of, total_inputs
from compactproofs.version import __version__
from compactproofs.workspace import Workspace


class ProofFailed(RuntimeError):
    """A certificate that was just made was not accepted; this is a bug of this package, and nothing was claimed."""


class Infeasible(ValueError):
    """The strategy cannot be run on a model of this size."""


@dataclass(frozen=True)
class Proof:
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
        """The certified lower bound on the accuracy."""
        return Fraction(self.certificate.certified, self.certificate.total)

    def as_dict(self, model: str, exact_correct: int | None) -> dict[str, Any]:
        """The proof as `compactproofs prove --json` prints it.

        `exact_correct` is the number of inputs that the model answers correctly, where known; the normalised bound is
        the certified number divided by it.
        """
        certificate = self.certificate
        return {
            "model": model,
            "strategy": certificate.strategy,
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


def feasible_strategies(model: Model) -> list[str]:
    """The ids of all strategies that can be checked on a model of this size."""
    return [strategy.id for strategy in STRATEGIES.values() if strategy.limit(model) is None]


def prove(model: Model, strategy_id: str) -> Proof:
    """Find hints, claim the bound that they prove with room to spare, and check the certificate.

    Raises UnknownStrategy, Infeasible, or ProofFailed.
    """
    strategy = get_strategy(strategy_id)
    reason = strategy.limit(model)
    if reason is not None:
        raise Infeasible(f"{strategy.id}: {reason}")
    start = time.perf_counter()
    certificate = _claim(model, strategy)
    search_seconds = time.perf_counter() - start
    verdict = verify(certificate, model)
    if not verdict.accepted or verdict.cost is None:
        raise ProofFailed(f"{strategy.id}: a fresh certificate was rejected: {verdict.reason}")
    return Proof(
        certificate=certificate,
        cost=verdict.cost,
        unexplained_dimension=strategy.unexplained_dimension(model),
        complexity=strategy.complexity,
        hint_bytes=sum(hint.nbytes for hint in certificate.hints.values()),
        search_seconds=search_seconds,
        verify_seconds=verdict.seconds,
    )


def prove_all(model: Model, strategy_ids: Sequence[str] | None = None) -> list[Proof]:
    """One proof for each strategy: those named, or all that are feasible."""
    return [prove(model, s) for s in (feasible_strategies(model) if strategy_ids is None else strategy_ids)]


def _claim(model: Model, strategy: Strategy) -> Certificate:
    hints = search_hints(strategy, Workspace(model, "value"))
    certified, _ = run(strategy, Workspace(model, "claim"), hints)
    return Certificate(
        task=task_of(model),
        model_sha256=model.sha256,
        strategy=strategy.id,
        theorem=strategy.theorem,
        certified=certified,
        total=total_inputs(model),
        hints=hints,
        tool=f"compactproofs {__version__}",
    )
