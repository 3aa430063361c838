"""The report about two models of the same family: their answers, mechanisms and proofs beside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

import compactproofs as cp
from compactproofs.analysis.waterfall import WATERFALLS
from compactproofs.report.page import Page, Section, section
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


Named = tuple[str, cp.Model]
Made = TypeVar("Made", Subject, Section)


def two_page(first: Named, second: Named, seed: int = 0, done: Callable[[int, int], None] = lambda i, of: None) -> Page:
    """The page about two models and what it calls them.

    `seed`: of all random draws.  `done` is called with the number of finished parts and of all.  Raises ValueError if
    the models have other numbers of tokens or positions.
    """
    sizes = [f"{model.n_ctx} of {model.d_vocab} tokens" for _, model in (first, second)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{first[0]} and {second[0]} are not of one family: inputs are {sizes[0]} and {sizes[1]}; "
            "only models with equal inputs can be compared"
        )
    if first[0] == second[0]:
        second = f"{second[0]} (2)", second[1]
    parts, finished = 2 + len(SECTIONS), 0

    def made(part: Made) -> Made:
        nonlocal finished
        finished += 1
        done(finished, parts)
        return part

    with np.errstate(all="ignore"):
        both = Both(*(made(Subject(name, model, np.random.default_rng(seed), 0)) for name, model in (first, second)))
        sections = [made(section(find, both)) for find in SECTIONS]
        proved = [s for s in WATERFALLS.values() if any(s in subject.proofs for subject in both)]
        return Page(section(two_head.of_two, both), sections, proved)
