"""What the proofs certify, and how long they are."""

from __future__ import annotations

from compactproofs.paper.rows import ROWS
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import WIDE, pictures
from compactproofs.report.subjects import FAILING_SETS, OWN, Models, Subject, by_family
from compactproofs.report.wording import std

#: The strategies of the rows of the paper's table, and our own.
FAMILIES = {row.name: row.strategies for row in ROWS} | {name: (strategy,) for name, strategy in OWN.items()}


def best_of_rows(subject: Subject) -> dict[str, str]:
    """The strategy that certifies most, for each row of the paper's table and of ours that has one."""
    members = {name: [s for s in family if s in subject.proofs] for name, family in FAMILIES.items()}
    return {name: subject.best(able) for name, able in members.items() if able}


def of_model(subject: Subject) -> Found:
    """A point for each strategy, and the best strategy of each row."""
    proofs = subject.proofs
    flops = {strategy: proof.cost.flops for strategy, proof in proofs.items()}
    bound = {strategy: float(proof.bound) for strategy, proof in proofs.items()}
    normalised = {strategy: share / max(subject.accuracy, 1e-300) for strategy, share in bound.items()}
    cheapest = min(proofs, key=lambda s: flops[s])
    return {
        "count": len(proofs),
        "low": (bound[cheapest], flops[cheapest]),
        "own": (bound[FAILING_SETS], flops[FAILING_SETS]) if FAILING_SETS in proofs else None,
        "obstacle": subject.obstacle(FAILING_SETS),
        "others": [s for s in ("branch-and-bound", "histogram") if subject.obstacle(s) is None],
        "rows": [
            (name, bound[s], normalised[s], flops[s], proofs[s].unexplained_dimension, s)
            for name, s in best_of_rows(subject).items()
        ],
        "figures": pictures({"bounds": charts.bounds(by_family(flops, normalised), wide=True)}, WIDE),
    }


def of_models(models: Models) -> Found:
    """The same, means over the models."""
    bound, flops, unexplained = models.mean_proofs
    members = {name: [s for s in family if s in bound] for name, family in FAMILIES.items()}
    best = {name: max(able, key=lambda s: bound[s]) for name, able in members.items() if able}
    return {
        "low": min(flops, key=lambda s: flops[s]),
        "bound": bound,
        "flops": flops,
        "rows": [
            (name, bound[s], std(models.bounds(s)), models.bounds(s).min(), flops[s], unexplained[s], s)
            for name, s in best.items()
        ],
        "figures": pictures({"bounds": charts.bounds(by_family(flops, bound), wide=True)}, WIDE),
    }
