"""Certificates of theorems that have since been stated anew: hints as today's theorems have them.

They are those of the certificate, where others were only added to them; else they are searched for.

Untrusted, as all that makes certificates: what is checked is the claim, with these hints, by today's theorem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from compactproofs.kernel.certificate import Certificate
from compactproofs.kernel.checker import check_hints
from compactproofs.kernel.library import UnknownTask
from compactproofs.kernel.problem import Hints, HintSpec, Problem, Strategy
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.search.families import companion_of, counting
from compactproofs.search.hints import no_hints
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.max_of_k.by_comparison.histogram import COMPARED_HISTOGRAM
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM

Forms = Callable[[Problem[Any, Any]], dict[str, HintSpec]]
_FINER = (1, 100)  # how many times finer to count, one after the other, until the claim is reached


_ADDED = ("branches", "ranks")  # hints that came to those of histograms


def _without_branches(strategy: Strategy) -> Forms:
    """Hints of histograms when there were no branches."""
    return lambda problem: {name: form for name, form in strategy.hints(problem).items() if name not in _ADDED}


def _in_pairs(strategy: Strategy) -> Forms:
    """Hints of histograms when two windows, and edges of two sums, stood together."""

    def forms(problem: Problem[Any, Any]) -> dict[str, HintSpec]:
        today = _without_branches(strategy)(problem)
        (_, most) = today["edges"].shape
        return {**today, "steps": HintSpec(np.int64, (None, 12)), "edges": HintSpec(np.uint16, (None, 2, most))}

    return forms


#: By theorem: that of today which proves the same, and what hints were like.
SUCCESSORS: dict[str, tuple[str, Forms]] = {
    "max-of-k/histogram@1": (HISTOGRAM.theorem, lambda problem: {}),
    "max-of-k/histogram@2": (HISTOGRAM.theorem, _in_pairs(HISTOGRAM)),
    "max-of-k/histogram@3": (HISTOGRAM.theorem, _without_branches(HISTOGRAM)),
    "by-comparison/histogram@1": (COMPARED_HISTOGRAM.theorem, _in_pairs(COMPARED_HISTOGRAM)),
    "by-comparison/histogram@2": (COMPARED_HISTOGRAM.theorem, _without_branches(COMPARED_HISTOGRAM)),
}


def upgraded(certificate: Certificate, model: AttentionOnly) -> Certificate:
    """The same claim by today's theorem, if there is one for it, with hints for this model; else as it is.

    Where the check is going to find that the certificate is not about this model, no hints are searched for.  Raises
    MalformedCertificate if the hints are not what they were at the time.
    """
    strategy = BUILT_IN.strategies.get(certificate.strategy)
    theorem, forms = SUCCESSORS.get(certificate.theorem, (None, None))
    if forms is None or strategy is None or strategy.theorem != theorem:
        return certificate
    certificate = replace(certificate, theorem=strategy.theorem)
    try:
        task = BUILT_IN.task(certificate.task)
    except UnknownTask:
        return certificate
    about = certificate.model_sha256, certificate.family, certificate.claim
    if about != (model.sha256, model.family, strategy.claim) or certificate.task["name"] not in strategy.tasks:
        return certificate
    if task.misfit(model) is not None or task.total != certificate.total:
        return certificate
    problem: Problem[Any, Any] = Problem(model, task)
    check_hints(replace(strategy, hints=forms), problem, certificate.hints)
    hints: Hints = no_hints(strategy, problem)
    then, today = forms(problem), strategy.hints(problem)
    if then and all(today[name] == form for name, form in then.items()):
        return replace(certificate, hints={**hints, **certificate.hints})  # what is added says nothing
    if strategy.limit(problem) is not None:
        return replace(certificate, hints=hints)
    work: Any = MeasuredWorkspace(problem, "value")
    for finer in _FINER:
        work.haste = 1.0 / finer
        hints = _searched(strategy, work)
        gained = strategy.bound(work, hints) - certificate.certified
        if (gained if strategy.claim == "at least" else -gained) >= 0:
            break
    return replace(certificate, hints=hints)


def _searched(strategy: Strategy, work: Any) -> Hints:
    """Hints that are found by this process alone, so that its limit of work is kept."""
    with np.errstate(all="ignore"):
        if strategy.theorem == HISTOGRAM.theorem:
            return counting.plan(work, strategy.claim == "at least")
        return companion_of(strategy).search(strategy, work)
