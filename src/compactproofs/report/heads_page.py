"""The report about one network with several heads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.report.page import Page, section
from compactproofs.report.sections import errors, heads_bounds, heads_circuits, heads_head
from compactproofs.report.subjects import HeadsSubject

SECTIONS = (heads_circuits.of_heads, heads_bounds.of_heads, errors.of_heads)


def heads_page(
    name: str, network: ManyHeads, seed: int = 0, done: Callable[[int, int], None] = lambda i, of: None
) -> Page:
    """The page about a network that is to name the largest of its tokens.

    `name`: how the page calls it.  `seed`: of the sample of inputs.  `done` is called with the number of finished parts
    and of all.
    """
    with np.errstate(all="ignore"):
        subject = HeadsSubject(name, network, np.random.default_rng(seed))
        sections = []
        for number, find in enumerate(SECTIONS, 1):
            sections.append(section(find, subject))
            done(number, len(SECTIONS))
        strategies = [proof.certificate.strategy for proof in subject.found.proofs]
        return Page(section(heads_head.of_heads, subject), sections, strategies)
