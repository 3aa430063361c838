"""The report about one network of two arguments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.report.page import Page, section
from compactproofs.report.sections import (
    pair_bounds,
    pair_head,
    pair_neurons,
    pair_quadrature,
    pair_spectra,
    pair_waterfall,
)
from compactproofs.report.subjects import PairSubject
from compactproofs.tasks.pairs import Pairs


def pair_page(name: str, network: PairSum, task: Pairs, done: Callable[[int, int], None] = lambda i, of: None) -> Page:
    """The page about a network and its task.

    `name`: how the page calls it.  `done` is called with the number of finished sections and of
    all.
    """
    with np.errstate(all="ignore"):
        subject = PairSubject(name, network, task)
        finds = [pair_spectra.of_pairs]
        finds += [pair_neurons.of_pairs] if subject.parts else []
        finds += [pair_quadrature.of_pairs] if subject.adds and subject.parts else []
        finds += [pair_bounds.of_pairs, pair_waterfall.of_pairs]
        sections = []
        for find in finds:
            sections.append(section(find, subject))
            done(len(sections), len(finds))
        return Page(section(pair_head.of_pairs, subject), sections, list(subject.proofs))
