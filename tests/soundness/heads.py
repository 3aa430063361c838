"""Hostile networks with several heads, and the truth about them by forward passes in ball arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
from flint import arb, ctx

from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.opening.models import Model
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.tasks.orders import LargestInOrder, MinOfK, WeightedLargest
from compactproofs.testing.truth import PRECISIONS, Input, _Tables

from .models import FAMILIES, NAMES, Case, cases
from .truth import largest_in

OF_HEADS = ("W_Q", "W_K", "W_V", "W_O")


@dataclass(frozen=True)
class HeadsCase:
    """A network with several heads and how it was made."""

    name: str
    model: ManyHeads


def of_heads(model: Model, *heads: dict[str, Any]) -> ManyHeads:
    """What a one-head model shares, with these heads."""
    shared = {name: getattr(model, name) for name in NAMES if name not in OF_HEADS}
    return ManyHeads(**shared, **{name: np.stack([head[name] for head in heads]) for name in OF_HEADS})


def head_of(model: Model, **changed: Any) -> dict[str, Any]:
    """The head of a one-head model, with some matrices changed."""
    return {name: getattr(model, name) for name in OF_HEADS} | changed


def alone(model: Model) -> ManyHeads:
    """The same function with one head."""
    return of_heads(model, head_of(model))


def halved(model: Model) -> ManyHeads:
    """The same function with two heads that write a half each, unless that underflows."""
    half = head_of(model, W_O=model.W_O / 2)
    return of_heads(model, half, half)


def _made_of(rng: np.random.Generator, case: Case) -> Iterator[tuple[str, ManyHeads]]:
    """Networks with 1 to 3 heads made of the head of this model."""
    model = case.model
    first = head_of(model)
    yield "alone", alone(model)
    yield "halved", halved(model)
    for size in (0.1, 1.0, 30.0):
        noise = {name: size * rng.normal(size=weights.shape) for name, weights in first.items()}
        yield f"and noise {size:g}", of_heads(model, first, noise)
    near = {name: weights * (1 + 0.05 * rng.normal(size=weights.shape)) for name, weights in first.items()}
    yield "against a neighbour", of_heads(model, first, near | {"W_O": -near["W_O"]}, first)
    back = first | {"W_Q": -model.W_Q}
    yield "two that look away from each other", of_heads(model, first, back)
    yield "taken back", of_heads(model, first, back | {"W_O": -model.W_O}, first)


@lru_cache(maxsize=8)
def heads_cases(seed: int = 0, every: int = 1) -> tuple[HeadsCase, ...]:
    """A network of each `every`-th model of every family, the kinds in turn."""
    rng = np.random.default_rng(seed)
    found: list[HeadsCase] = []
    for family in FAMILIES:
        for number, case in enumerate(cases(family, seed)[seed % every :: every]):
            largest = max(np.abs(getattr(case.model, name)).max() for name in OF_HEADS)
            if case.model.d_vocab**case.model.n_ctx > 300 or largest > 1e300:
                continue
            made = list(_made_of(rng, case))
            kind, network = made[(number + len(found)) % len(made)]
            found.append(HeadsCase(f"{case.name}, {kind}", network))
    return tuple(found)


def right_and_ties(network: ManyHeads, task: MaxOfK | None = None) -> tuple[int, int]:
    """What the inputs count on which the label's logit is strictly the largest, and those on which that stays open."""
    return _right_and_ties(_Same(network), task)


class _Same:
    def __init__(self, network: ManyHeads) -> None:
        self.network = network

    def __hash__(self) -> int:
        return hash(self.network.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.network.sha256 == other.network.sha256


@lru_cache(maxsize=4096)
def _right_and_ties(key: _Same, task: MaxOfK | None) -> tuple[int, int]:
    network, label = key.network, label_of(task)
    weights = task.weights if isinstance(task, WeightedLargest) else (1,) * network.d_vocab
    undecided = list(product(range(network.d_vocab), repeat=network.n_ctx))
    right = 0
    for precision in PRECISIONS:
        if not undecided:
            break
        with ctx.workprec(precision):
            tables = [_Tables(head) for head in network.heads]
            verdicts = [_verdict(tables, tokens, label(tokens)) for tokens in undecided]
        decided = zip(undecided, verdicts, strict=True)
        right += sum(prod(weights[t] for t in x) for x, verdict in decided if verdict)
        undecided = [x for x, verdict in zip(undecided, verdicts, strict=True) if verdict is None]
    return right, sum(prod(weights[t] for t in x) for x in undecided)


def label_of(task: MaxOfK | None) -> Callable[[Input], int]:
    """Which answer is right, in plain Python."""
    if isinstance(task, LargestInOrder):
        return largest_in(task.order)
    return min if isinstance(task, MinOfK) else max


def _verdict(tables: list[_Tables], tokens: Input, label: int) -> bool | None:
    """Whether the label wins: yes, no, or unknown at this precision."""
    n, v, query = len(tokens), tables[0].v, tokens[-1]
    rows = [t * n + p for p, t in enumerate(tokens)]
    logits = list(tables[0].direct[query])
    for table in tables:
        scores = [table.scores[query][i] for i in rows]
        shift = scores[max(range(n), key=lambda p: float(scores[p].mid()))]
        weights = [(score - shift).exp() for score in scores]
        total = sum(weights, arb(0))
        for o in range(v):
            logits[o] += sum((w / total * table.writes[i][o] for w, i in zip(weights, rows, strict=True)), arb(0))
    margins = [logits[label] - logits[o] for o in range(v) if o != label]
    if any(margin <= 0 for margin in margins):
        return False
    return True if all(margin > 0 for margin in margins) else None
