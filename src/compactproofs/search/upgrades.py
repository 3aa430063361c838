"""Certificates of theorems that have since been stated anew: what their hints lack is searched for.

Untrusted, as all that makes certificates: what is checked is the claim, with these hints, by today's theorem.
"""

from __future__ import annotations

from dataclasses import replace

from compactproofs.kernel.certificate import Certificate
from compactproofs.kernel.problem import Hints
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.families import counting
from compactproofs.search.hints import no_hints
from compactproofs.search.workspaces import workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM

#: By theorem: that of today which proves the same, with hints where the older one chose for itself.
SUCCESSORS = {"max-of-k/histogram@1": HISTOGRAM.theorem}
_FINER = (1, 100)  # how many times finer to count, one after the other, until the claim is reached


def upgraded(certificate: Certificate, model: AttentionOnly) -> Certificate:
    """The same claim by today's theorem, if there is one for it, with hints for this model; else as it is.

    Where the check is going to find that the certificate is not about this model, no hints are searched for.
    """
    strategy, problem = STRATEGIES.get(certificate.strategy), max_of_k(model)
    if certificate.theorem not in SUCCESSORS or strategy is None or strategy.theorem != SUCCESSORS[certificate.theorem]:
        return certificate
    certificate = replace(certificate, theorem=strategy.theorem)
    about = certificate.model_sha256 == model.sha256 and certificate.task == problem.task.record
    if certificate.hints or not about or certificate.claim != strategy.claim:
        return certificate
    if strategy.limit(problem) is not None:
        return replace(certificate, hints=no_hints(strategy, problem))
    work = workspace(model, "value")
    hints: Hints = {}
    for finer in _FINER:
        work.haste = 1.0 / finer
        hints = counting.plan(work, strategy.claim == "at least")
        gained = strategy.bound(work, hints) - certificate.certified
        if (gained if strategy.claim == "at least" else -gained) >= 0:
            break
    return replace(certificate, hints=hints)
