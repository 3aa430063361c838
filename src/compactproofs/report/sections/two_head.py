"""What a page about two models opens with: what is certified of each, and the two tables that matter most."""

from __future__ import annotations

from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF
from compactproofs.report.side_by_side import paired
from compactproofs.report.subjects import Both
from compactproofs.tasks.max_of_k import max_of_k

#: Shares of what is right, for each of which the shortest proof is looked for.
SHARES = (0.5, 0.9, 0.99, 1.0)


def of_two(both: Both) -> Found:
    """For each the best proof and the shortest ones; the scores and what is copied."""
    best = [subject.proofs[subject.best(list(subject.proofs))] for subject in both]
    shortest = [
        [
            min(
                (proof.cost.flops for proof in subject.proofs.values() if proof.bound >= share * subject.accuracy),
                default=None,
            )
            for share in SHARES
        ]
        for subject in both
    ]
    words = [f"{share:.0%} of what is right" for share in SHARES[:-1]] + ["everything that is right"]
    return {
        "inputs": max_of_k(both.first.model).task.total,
        "answers": list(zip(both, best, strict=True)),
        "rows": list(zip(words, *shortest, strict=True)),
        "figures": paired(
            {
                name: [charts.circuit(name, getattr(subject.tables, name)) for subject in both]
                for name in ("EQKE", "EVOU")
            },
            HALF,
        ),
    }
