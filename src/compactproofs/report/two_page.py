"""The report about two models of the same family: their answers, mechanisms and proofs beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

import compactproofs as cp
from compactproofs.analysis.waterfall import WATERFALLS
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening.pairs import in_words
from compactproofs.report.page import Page, section
from compactproofs.report.sections import (
    differences,
    two_bounds,
    two_circuits,
    two_head,
    two_mechanisms,
    two_pair_head,
    two_pair_mechanisms,
    two_pair_proofs,
    two_waterfalls,
    words,
)
from compactproofs.report.subjects import Both, BothPairs, PairSubject, Subject
from compactproofs.tasks.pairs import Pairs

SECTIONS = (
    differences.of_two,
    two_circuits.of_two,
    two_mechanisms.of_two,
    two_bounds.of_two,
    two_waterfalls.of_two,
    words.of_any,
)


Made = TypeVar("Made")

OF_PAIRS = (differences.of_two, two_pair_mechanisms.of_pairs, two_pair_proofs.of_pairs)

Named = tuple[str, cp.Model]
NamedPair = tuple[str, PairSum, Pairs]
Done = Callable[[int, int], None]


def two_page(first: Named, second: Named, seed: int = 0, done: Done = lambda i, of: None) -> Page:
    """The page about two models and what it calls them.

    `seed`: of all random draws.  `done` is called with the number of finished parts and of all.  Raises ValueError if
    the models have other numbers of tokens or positions.
    """
    sizes = [f"inputs are {model.n_ctx} of {model.d_vocab} tokens" for _, model in (first, second)]
    names = _one_family((first[0], second[0]), sizes)
    progress = _Progress(done, 2 + len(SECTIONS))
    with np.errstate(all="ignore"):
        subjects = zip(names, (first[1], second[1]), strict=True)
        both = Both(*(progress.made(Subject(name, model, np.random.default_rng(seed), 0)) for name, model in subjects))
        sections = [progress.made(section(find, both)) for find in SECTIONS]
        proved = [s for s in WATERFALLS.values() if any(s in subject.proofs for subject in both)]
        return Page(section(two_head.of_two, both), sections, proved)


def two_pair_page(first: NamedPair, second: NamedPair, done: Done = lambda i, of: None) -> Page:
    """The same about two networks of two arguments; raises ValueError if their tasks are not the same."""
    names = _one_family((first[0], second[0]), [f"the task is {in_words(task)}" for _, _, task in (first, second)])
    progress = _Progress(done, 2 + len(OF_PAIRS))
    with np.errstate(all="ignore"):
        subjects = zip(names, (first[1:], second[1:]), strict=True)
        both = BothPairs(*(progress.made(PairSubject(name, *network)) for name, network in subjects))
        sections = [progress.made(section(find, both)) for find in OF_PAIRS]
        return Page(section(two_pair_head.of_pairs, both), sections, list(both.first.proofs))


def _one_family(names: tuple[str, str], asked: Sequence[str]) -> tuple[str, str]:
    """Names that differ; ValueError if the models are not asked the same."""
    first, second = names
    if asked[0] != asked[1]:
        raise ValueError(f"{first} and {second} are not of one family: of one {asked[0]}, of the other {asked[1]}")
    return first, f"{second} (2)" if second == first else second


class _Progress:
    """Tells how many parts are finished."""

    def __init__(self, done: Done, parts: int) -> None:
        self._done, self._parts, self._finished = done, parts, 0

    def made(self, part: Made) -> Made:
        self._finished += 1
        self._done(self._finished, self._parts)
        return part
