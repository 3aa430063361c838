"""The page over many models: what they have in common, and whether understanding makes proofs tighter or shorter."""

from __future__ import annotations

from collections.abc import Sequence

from compactproofs.analysis.models import Summary
from compactproofs.analysis.waterfall import WATERFALLS
from compactproofs.report.page import Page, section
from compactproofs.report.sections import (
    ablations,
    bounds,
    budget,
    compression,
    faithfulness,
    head,
    mechanism,
    models,
    noise,
    noise_model,
    waterfall,
    words,
)
from compactproofs.report.subjects import Models

SECTIONS = (
    mechanism.of_models,
    bounds.of_models,
    faithfulness.of_models,
    compression.of_models,
    waterfall.of_models,
    budget.of_models,
    noise.of_models,
    noise_model.of_models,
    ablations.of_models,
    models.of_models,
    words.of_any,
)


def models_page(summaries: Sequence[Summary]) -> Page:
    """The page about these models; `summaries` as `analysis.summarise` makes them.  Raises ValueError for none."""
    if not summaries:
        raise ValueError("no models: there is nothing to report")
    subject = Models(summaries)
    sections = [section(find, subject) for find in SECTIONS]
    return Page(section(head.of_models, subject), sections, tuple(WATERFALLS.values()))
