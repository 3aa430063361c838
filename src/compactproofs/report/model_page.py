"""The report about one model: what it computes, how well that is understood, and what the understanding proves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import compactproofs as cp
from compactproofs.analysis.waterfall import WATERFALLS
from compactproofs.report.page import Page, section
from compactproofs.report.sections import (
    ablations,
    attention,
    bounds,
    budget,
    circuits,
    copying,
    errors,
    head,
    low_rank,
    noise,
    noise_model,
    waterfall,
    words,
)
from compactproofs.report.subjects import Subject

#: In the page's order, in which random numbers are drawn as well.
SECTIONS = (
    circuits.of_model,
    attention.of_model,
    low_rank.of_model,
    copying.of_model,
    bounds.of_model,
    waterfall.of_model,
    budget.of_model,
    errors.of_model,
    noise.of_model,
    noise_model.of_model,
    ablations.of_model,
    words.of_any,
)


def model_page(
    name: str, model: cp.Model, seed: int = 0, draws: int = 1000, done: Callable[[int, int], None] = lambda i, of: None
) -> Page:
    """The page about a model.

    `name`: how the page calls it.  `seed`: of all random draws, of which noise takes `draws`.  `done` is called with
    the number of finished sections and of all.  Raises ValueError if `draws` is less than 2.
    """
    if draws < 2:
        raise ValueError(f"draws: expected at least 2, found {draws}")
    with np.errstate(all="ignore"):
        subject = Subject(name, model, np.random.default_rng(seed), draws)
        sections = []
        for find in SECTIONS:
            sections.append(section(find, subject))
            done(len(sections), len(SECTIONS))
        return Page(section(head.of_model, subject), sections, [s for s in WATERFALLS.values() if s in subject.proofs])
