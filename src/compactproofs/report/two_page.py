"""The report about two models of the same family: their answers, mechanisms and proofs beside each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import compactproofs as cp
from compactproofs.analysis.waterfall import WATERFALLS
from compactproofs.report.page import Page, section
from compactproofs.report.sections import (
    differences,
    two_bounds,
    two_circuits,
    two_head,
    two_mechanisms,
    two_waterfalls,
    words,
)
from compactproofs.report.subjects import Both, Subject

SECTIONS = (
    differences.of_two,
    two_circuits.of_two,
    two_mechanisms.of_two,
    two_bounds.of_two,
    two_waterfalls.of_two,
    words.of_any,
)


def two_page(
    names: tuple[str, str],
    models: tuple[cp.Model, cp.Model],
    seed: int = 0,
    done: Callable[[int, int], None] = lambda i, of: None,
) -> Page:
    """The page about these models, by the names that the page calls them.

    `seed`: of all random draws.  `done` is called with the number of finished parts and of all.  Raises ValueError if
    the models have other numbers of tokens or positions.
    """
    sizes = [f"{model.n_ctx} of {model.d_vocab} tokens" for model in models]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{names[0]} and {names[1]} are not of one family: inputs are {sizes[0]} and {sizes[1]}; "
            "only models with equal inputs can be compared"
        )
    with np.errstate(all="ignore"):
        subjects = []
        for name, model in zip(names, models, strict=True):
            subjects.append(Subject(name, model, np.random.default_rng(seed), 0))
            done(len(subjects), 2 + len(SECTIONS))
        both, sections = Both(*subjects), []
        for find in SECTIONS:
            sections.append(section(find, both))
            done(2 + len(sections), 2 + len(SECTIONS))
        proved = [s for s in WATERFALLS.values() if any(s in subject.proofs for subject in subjects)]
        return Page(section(two_head.of_two, both), sections, proved)
