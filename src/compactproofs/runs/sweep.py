"""Proofs of many strategies on many models, in a directory:

    results/<model>-<hash>.json     the bounds by a group of strategies
    certificates/<model>/           one certificate for each strategy; each file appears as a whole

A model is finished when its results are there; certificates are written before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import compactproofs as cp
from compactproofs import zoo
from compactproofs.runs.runner import run
from compactproofs.runs.store import Job, Results
from compactproofs.search.certificates import certificate_name
from compactproofs.search.prover import Bound
from compactproofs.system.files import write_atomically
from compactproofs.system.places import remove_left_behind


def sweep(
    models: Sequence[str],
    groups: Sequence[Sequence[str]],
    directory: Path,
    workers: int = 1,
    scheduler: str | None = None,
) -> list[Bound]:
    """The bounds of all models by these groups of strategies, in this order; what is not there is proved."""
    jobs = [job(model, strategies) for model in models for strategies in groups]
    found = dict(run(jobs, Proofs(directory), workers=workers, scheduler=scheduler, doing="proving"))
    return [bound for each in jobs for bound in found[each]]


def job(model: str, strategies: Sequence[str]) -> Job:
    """To prove bounds on a model of the zoo by a group of strategies."""
    return Job(
        model, prove_model, (model, tuple(strategies)), next(r.model_sha256 for r in zoo.table() if r.name == model)
    )


def prove_model(name: str, strategies: Sequence[str]) -> list[tuple[Bound, bytes]]:
    """Bounds on one model, each with its certificate."""
    model = cp.load_model(name)
    prover = cp.Prover(model)
    proofs = [prover.prove(strategy) for strategy in strategies]
    exact = zoo.known_correct(model)
    if exact is None and "brute-force" in strategies:
        exact = prover.exact_correct()
    return [(proof.as_dict(name, exact), proof.certificate.to_bytes()) for proof in proofs]


class Proofs(Results[list[Bound]]):
    """The bounds of each job of `prove_model`; the certificates are written beside them."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "results", list[Bound])

    @property
    def place(self) -> Path:
        """The directory with results and certificates."""
        return self.directory.parent

    def put(self, job: Job, made: Any) -> list[Bound]:
        """Write the certificates, then the bounds."""
        folder = self.place / "certificates" / job.name.replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        remove_left_behind(folder)
        for bound, certificate in made:
            write_atomically(folder / certificate_name(bound["strategy"]), certificate)
        return super().put(job, [bound for bound, _ in made])
