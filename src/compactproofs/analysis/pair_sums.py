"""What a network of two arguments has learned, and where the proofs about it lose inputs.

Neurons are scaled so that each reads as much as it writes, which changes no logit: ReLU is homogeneous.  What they
write is less its mean over outputs, which changes no margin.  Plain float64: these are measurements and no proofs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from compactproofs.analysis.irreps import Irrep, unit_and_inverse
from compactproofs.analysis.modular_addition import Waves
from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.kernel.problem import Hints
from compactproofs.networks.pair_sum.circuits import Tables, tables
from compactproofs.search.families.pair_sum import Values, centred, spreads
from compactproofs.search.workspaces import plain
from compactproofs.theorems.pair_sum import equivariant, few_directions, thin
from compactproofs.theorems.pair_sum.by_label import Group, direct, groups, hidden, number_right
from compactproofs.theorems.pair_sum.low_rank import finite, positive, rescaled

__all__ = [
    "Boxes",
    "Neurons",
    "Part",
    "Step",
    "boxes",
    "curve",
    "equivariant_steps",
    "few_steps",
    "low_rank_steps",
    "neurons",
    "parts",
    "plane",
    "separable_steps",
    "thin_steps",
]

_TINY = 1e-300
_FOUND = 0.01  # of all squares, from which on an irrep is one that the network has learned


class Neurons(NamedTuple):
    """What they read of each argument, (n, m), and write, (m, k); and the singular values of this, by what varies."""

    left: FloatArray
    right: FloatArray
    out: FloatArray
    values: FloatArray


class Part(NamedTuple):
    """An irrep that was learned: which neurons have most of it, and its shares of what is read and written."""

    number: int
    irrep: Irrep
    neurons: IntArray
    left: float
    right: float
    out: float


class Step(NamedTuple):
    """How many inputs are still right after one relaxation of a proof."""

    name: str
    right: int


class Boxes(NamedTuple):
    """Rectangles under a curve: their left edges, widths and heights, and phases in the same order."""

    edges: FloatArray
    widths: FloatArray
    heights: FloatArray
    phases: FloatArray


def neurons(work: Values) -> Neurons:
    """Those of the network, scaled."""
    found = tables(work)
    left, right, out = plain(found.left), plain(found.right), centred(plain(found.out))
    read = np.sqrt((left**2).sum(axis=0) + (right**2).sum(axis=0))
    written = np.linalg.norm(out, axis=1)
    scale = np.sqrt(written / np.maximum(read, _TINY))
    scale[~((read > 0) & (written > 0))] = 1.0
    values = np.linalg.svd(out * spreads(found, work.task.table)[:, None], compute_uv=False)
    return Neurons(left * scale, right * scale, out / scale[:, None], np.asarray(values, np.float64))


def parts(found: Neurons, known: list[Irrep]) -> tuple[list[Part], FloatArray]:
    """The irreps that were learned, the largest first; and the shares of left, right and out of each, (irreps, 3).

    Outputs that are no element of the group have no part in this.
    """
    written = found.out[:, : len(found.left)]
    squares = [
        np.stack([((one.projection @ part) ** 2).sum(axis=0) for one in known])
        for part in (found.left, found.right, written.T)
    ]
    for each in squares:
        each[0] = 0.0  # constants: what all arguments have in common
    shares = np.stack([each.sum(axis=1) / max(float(each.sum()), _TINY) for each in squares], axis=1)
    best = sum(each / np.maximum(each.sum(axis=0), _TINY) for each in squares)
    of = np.asarray(best).argmax(axis=0)
    of[~(np.linalg.norm(written, axis=1) > 0)] = -1
    order = np.argsort(-shares.mean(axis=1), kind="stable")
    learned = [i for i in order.tolist() if shares[i].mean() > _FOUND]
    return [Part(i, known[i], np.flatnonzero(of == i), *shares[i].tolist()) for i in learned], shares


def plane(functions: FloatArray, part: Part) -> FloatArray:
    """Where functions, in columns, lie in the plane that has most of them in the irrep's space: coordinates (2, m).

    For addition it is that of cosine and sine, so that the angle is the phase.
    """
    n = len(functions)
    if part.irrep.frequency is not None:
        angle = 2 * np.pi * part.irrep.frequency * np.arange(n) / n
        return np.asarray(np.stack([np.cos(angle), np.sin(angle)]) @ functions * 2 / n)
    inside = part.irrep.projection @ functions
    axes = np.linalg.svd(inside, full_matrices=False)[0][:, :2]
    found = axes.T @ inside / np.sqrt(n)
    return np.asarray(np.concatenate([found, np.zeros((2 - len(found), found.shape[1]))]))


def boxes(found: Waves, k: int) -> Boxes:
    """The sum over the neurons of a frequency, at angle 0, as an integral of ReLU(cos t) cos 2t in rectangles.

    Each is as wide as its neuron's share of 2 pi, and as high as the curve at its phase; they lie in order of phases,
    as near to these as one shift of all allows.
    """
    of_k = found.frequency == k
    phase, written = found.phase[of_k], found.written[of_k]
    size = found.amplitude[of_k] * (written * np.stack([np.cos(2 * phase), np.sin(2 * phase)], axis=1)).sum(axis=1)
    kept = np.flatnonzero(size > 0)
    order = kept[np.argsort(phase[kept])]
    widths = 2 * np.pi * size[order] / max(float(size[order].sum()), _TINY)
    edges = np.concatenate([[0.0], np.cumsum(widths)])[: len(widths)]
    edges = edges + np.median(phase[order] - edges - widths / 2)
    return Boxes(edges, widths, curve(phase[order]), phase[order])


def curve(t: FloatArray) -> FloatArray:
    """ReLU(cos t) cos 2t, whose integral over a turn is 2/3."""
    return np.asarray(np.maximum(np.cos(t), 0.0) * np.cos(2 * t))


def low_rank_steps(work: Values, hints: Hints) -> list[Step]:
    """From all logits to the bound of `pair-sum/low-rank` with these hints."""
    network, C, B, rest = _directions(work, hints)

    def leads(group: Group, h: FloatArray) -> list[FloatArray]:
        centre = h.mean(axis=0)
        directions = h @ C @ B + plain(direct(network, group)) + centre @ rest
        slack = np.linalg.norm(h - centre, axis=1)[:, None] * np.linalg.norm(rest[:, [group.label]] - rest, axis=0)
        few = directions[:, [group.label]] - directions
        return [few, few - slack]

    names = (f"{len(hints['factors'])} directions, the rest at its mean for the label", "the rest bounded by a norm")
    return _steps(work, network, names, leads)


def separable_steps(work: Values, hints: Hints) -> list[Step]:
    """From all logits to the bound of `pair-sum/low-rank-separable` with these hints."""
    network, C, B, rest = _directions(work, hints)
    most = 2 * float(np.linalg.norm(centred(rest), axis=0).max())
    of_x, of_y = (np.linalg.norm(np.maximum(plain(part), 0.0), axis=1) for part in (network.left, network.right))

    def leads(group: Group, h: FloatArray) -> list[FloatArray]:
        logits = h @ C @ B + plain(direct(network, group))
        few = logits[:, [group.label]] - logits
        largest = np.linalg.norm(h, axis=1)
        return [few, few - most * largest[:, None], few - most * (of_x[group.x] + of_y[group.y])[:, None]]

    names = (
        f"{len(hints['factors'])} directions and nothing else",
        "the rest bounded by the norm of neurons",
        "this norm bounded apart for x and y",
    )
    return _steps(work, network, names, leads)


def thin_steps(work: Values, hints: Hints) -> list[Step]:
    """From all logits to the bound of `pair-sum/thin-halves` with these hints, of a transformer.

    Halves lose nothing: an input that they leave open is asked for its neurons.
    """
    names = ("products of weights in few directions", "what these leave out bounded by norms")
    known = thin.parts(work, hints)
    exact = known._replace(off=np.zeros_like(known.off), loss=np.zeros_like(known.loss))

    def leads(group: Group, h: FloatArray) -> list[FloatArray]:
        return [plain(thin.leads_of_neurons(one, group.x, group.y, group.label)) for one in (exact, known)]

    return _steps(work, tables(work), names, leads)


def few_steps(work: Values, hints: Hints) -> list[Step]:
    """From all logits to the bound of `pair-sum/few-directions` with these hints, of a transformer."""
    known = few_directions.parts(work, hints)
    names = (
        f"{len(hints['stream'])} coordinates of the stream and {len(hints['logits'])} of the outputs",
        "the rest of the coordinates bounded by norms",
        "what else outputs read bounded by norms",
        "largest against least bias of an output",
    )
    both = [2.0 * float(plain(part)) for part in (known.of_coordinates, known.of_outputs)]
    losses = both[0], sum(both), float(plain(known.loss))

    def leads(group: Group, h: FloatArray) -> list[FloatArray]:
        logits = plain(few_directions.logits_of(known, group))
        few = logits[:, [group.label]] - logits
        return [few, *(few - loss for loss in losses)]

    return _steps(work, tables(work), names, leads)


def _directions(work: Values, hints: Hints) -> tuple[Tables, FloatArray, FloatArray, FloatArray]:
    """The scaled network, C, B and what they leave of what is written."""
    network = rescaled(work, tables(work), hints["scales"])
    m = len(plain(network.out))
    C, B = finite(hints["factors"][:, :m].T), finite(hints["factors"][:, m:])
    return network, C, B, plain(network.out) - C @ B


def equivariant_steps(work: Values, hints: Hints) -> list[Step]:
    """From all logits to the bound of `pair-sum/equivariant-distance` with these hints."""
    compared, table = equivariant.parts(work, hints), work.task.table
    names = (
        "the ideal network, the rest at its mean for the label",
        "what else is written bounded by a norm",
        "distance of hidden layers bounded by a norm",
    )
    if compared is None:
        none = np.full((1, work.network.outputs), -1.0)
        return _steps(work, tables(work), names, lambda group, h: [none] * len(names))
    network, ideal = compared
    left, right, out = map(plain, ideal)
    rest = plain(network.out) - out
    unit, inverse = unit_and_inverse(table)
    at_unit = np.maximum(left[unit] + right[unit], 0.0) @ out
    of_rest, of_hidden = map(positive, hints["sizes"][2:])

    def leads(group: Group, h: FloatArray) -> list[FloatArray]:
        centre = h.mean(axis=0)
        logits = at_unit[table[table[inverse[group.x]], inverse[group.y][:, None]]]
        logits = logits + plain(direct(network, group)) + centre @ rest
        off = (h - centre, h - np.maximum(left[group.x] + right[group.y], 0.0))
        slacks = [
            np.sqrt(apart**2 @ weight)[:, None]
            * np.sqrt((((columns[:, [group.label]] - columns) ** 2) / weight[:, None]).sum(axis=0))
            for apart, columns, weight in zip(off, (rest, out), (of_rest, of_hidden), strict=True)
        ]
        few = logits[:, [group.label]] - logits
        return [few, few - slacks[0], few - slacks[0] - slacks[1]]

    return _steps(work, network, names, leads)


def _steps(
    work: Values, network: Tables, names: tuple[str, ...], leads: Callable[[Group, FloatArray], list[FloatArray]]
) -> list[Step]:
    """How many inputs are right, and how many are after each of these relaxations."""
    counts = np.zeros(1 + len(names), np.int64)
    for group in groups(work.task.table, max(network.out.shape)):
        h = plain(hidden(network, group))
        logits = h @ plain(network.out) + plain(direct(network, group))
        all_leads = [logits[:, [group.label]] - logits, *leads(group, h)]
        counts += [number_right(each, group.label) for each in all_leads]
    return [Step(name, int(count)) for name, count in zip(("all logits", *names), counts, strict=True)]
