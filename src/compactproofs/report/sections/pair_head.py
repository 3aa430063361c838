"""What a page about a network of two arguments opens with: what is certified, and one picture of how it does it."""

from __future__ import annotations

from compactproofs.opening.pairs import in_words
from compactproofs.report import pair_charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import WIDE, pictures, size_of_each
from compactproofs.report.subjects import PairSubject


def of_pairs(subject: PairSubject) -> Found:
    """The cheapest proof of the best bound; what was learned, the largest part of it, and the phases of waves."""
    below = [proof for proof in subject.proofs.values() if proof.certificate.claim == "at least"]
    best = min(below, key=lambda proof: proof.rank)
    places, drawings = subject.places, {}
    if subject.irreps:
        drawings["pair-shares"] = pair_charts.shares(*subject.by_irrep)
    for name, place in list(places.items())[:1]:
        drawings["pair-plane"] = pair_charts.plane(place.sides, place.labels)
        if place.turns is not None:
            turns = {name: each.turns for name, each in places.items() if each.turns is not None}
            drawings["pair-phases"] = pair_charts.phases(turns)
    if not places:
        drawings["pair-singular-values"] = pair_charts.singular_values(subject.neurons.values, subject.directions)
    return {
        "best": best,
        "brute": subject.proofs["pair-sum/brute-force"],
        "name": subject.name,
        "words": in_words(subject.task),
        "largest": next(iter(places), ""),
        "group": subject.task.group,
        "figures": pictures(drawings, WIDE if len(drawings) == 1 else size_of_each(len(drawings))),
    }
