"""How far a network that adds modulo p is from waves, and what that would leave of a proof.

Neuron i of an *ideal* network is a wave of one frequency k, w = 2 pi k / p:

    left^_i(x) = A_i cos(w x - f_i)    right^_i(y) = A_i cos(w y - f_i)    out^_i(z) = (cos w z, sin w z) . v_i

With d = x - y and s = x + y its input is 2 A_i cos(w d / 2) cos(w s / 2 - f_i), so with
t = w s / 2, plus pi where cos(w d / 2) is negative,

    S_k(t) = sum over neurons of k of 2 A_i ReLU(cos(t - f_i)) v_i
    f^(x, y)_z = sum over k of |cos(w d / 2)| S_k(t) . (cos w z, sin w z)

and the margin of s over s + g is the sum over k of |cos(w d / 2)| (c_k (1 - cos w g) - s_k sin w g), where (c_k, s_k)
is S_k turned back by 2 t.  Were the phases spread evenly, with v_i = b_i (cos 2 f_i, sin 2 f_i), this would not depend
on t: c_k = Omega / (3 pi), Omega = sum 2 A_i b_i, and s_k = 0, an integral for which neurons are a quadrature.

The distance is bounded apart for x and y, since ReLU does not stretch: with range(v) = max v - min v,

    e(x) = sum_i range(out^_i) |left_i - left^_i| + range(out_i - out^_i) ReLU(left_i),      likewise for y,

plus the ranges of the direct parts.  Four ways to a bound, from dear to cheap, look at e(x) + e(y) against

- the margins of f^ for each (x, y, z): frequency tables, O(p m + p^3 K);
- the least over g of sum_k |cos(w d / 2)| (q_k (1 - cos w g) - 2 delta_k |sin(w g / 2)|), with q_k the mean of c_k and
  delta_k the largest distance of (c_k, s_k) from (q_k, 0) over all t: quadrature table, O(p m + p^2 K);
- the same with q_k = Omega / (3 pi) and delta_k from the spacing of phases alone, 2 Omega D / (2 pi), where D is the
  integral of the distance of points of the circle from the phase in whose box they lie, boxes being as long as shares
  of Omega, and what v_i has besides: quadrature by spacing, O(p m + m log m);
- the least of these margins over all inputs: separable.

Plain float64: these are measurements and no proofs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.kernel.problem import Problem
from compactproofs.networks.pair_sum.circuits import tables
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.search.workspaces import MeasuredWorkspace, plain
from compactproofs.tasks.pairs import Pairs, add_mod

__all__ = ["Budget", "Frequency", "Waves", "budgets", "waves"]

_SMALL = 1e-3  # of the largest neuron, below which one has no frequency worth naming


class Frequency(NamedTuple):
    """A frequency k: how many neurons have it, the mean of c_k, Omega / (3 pi), and both bounds of the deviation."""

    k: int
    neurons: int
    mean: float
    integral: float
    deviation: float
    by_spacing: float


class Waves(NamedTuple):
    """The ideal network, by neuron; its errors by x and by y; and shares of squares that are not of the waves."""

    frequency: IntArray
    amplitude: FloatArray
    phase: FloatArray
    written: FloatArray
    error_x: FloatArray
    error_y: FloatArray
    unexplained: dict[str, float]


class Budget(NamedTuple):
    """A way to a bound: what there is to lose and what is lost, as medians over inputs, and how often it is less."""

    way: str
    margin: float
    error: float
    share: float


def waves(network: PairSum) -> Waves:
    """The nearest waves; raises ValueError where p is even."""
    p = network.n
    if p % 2 == 0 or network.outputs != p:
        raise ValueError(f"waves are for addition modulo an odd number, with as many outputs, not {p}")
    left, right, out, of_x, of_y = _plain(network)
    spectra = [np.abs(np.fft.rfft(part, axis=0))[1:] ** 2 for part in (left, right, out.T)]
    shares = sum(spectrum / np.maximum(spectrum.sum(axis=0), 1e-300) for spectrum in spectra)
    k = np.asarray(shares).argmax(axis=0) + 1
    angle = 2 * np.pi * np.outer(np.arange(p), k) / p

    def wave(part: FloatArray) -> tuple[FloatArray, FloatArray]:
        return (part * np.cos(angle)).sum(axis=0) * 2 / p, (part * np.sin(angle)).sum(axis=0) * 2 / p

    (lc, ls), (rc, rs), (uc, us) = wave(left), wave(right), wave(out.T)
    amplitude, phase = np.hypot(lc + rc, ls + rs) / 2, np.arctan2(ls + rs, lc + rc)
    ideal = amplitude * np.cos(angle - phase)
    written = np.stack([uc, us], axis=1)
    ideal_out = (uc * np.cos(angle) + us * np.sin(angle)).T
    of_ideal, of_rest = np.ptp(ideal_out, axis=1), np.ptp(out - ideal_out, axis=1)
    errors = [np.abs(part - ideal) @ of_ideal + np.maximum(part, 0.0) @ of_rest for part in (left, right)]
    unexplained = {
        name: float(((part - near) ** 2).sum() / max((part**2).sum(), 1e-300))
        for name, part, near in (("left", left, ideal), ("right", right, ideal), ("out", out, ideal_out))
    }
    return Waves(
        k, amplitude, phase, written, errors[0] + np.ptp(of_x, axis=1), errors[1] + np.ptp(of_y, axis=1), unexplained
    )


def _plain(network: PairSum) -> tuple[FloatArray, ...]:
    """left, right, out less its means, of_x and of_y, both with a row for each value."""
    found = tables(MeasuredWorkspace[PairSum, Pairs](Problem(network, add_mod(network.n)), "value"))
    out = plain(found.out)
    of_x = np.zeros((network.n, network.outputs)) if found.of_x is None else plain(found.of_x)
    of_y = np.broadcast_to(plain(found.of_y), (network.n, network.outputs))
    return plain(found.left), plain(found.right), out - out.mean(axis=1, keepdims=True), of_x, of_y


def budgets(network: PairSum) -> tuple[list[Frequency], list[Budget]]:
    """The frequencies, the most written ones first, and what each way to a bound would have, and lose."""
    p, found = network.n, waves(network)
    error = found.error_x[:, None] + found.error_y
    weight = found.amplitude * np.linalg.norm(found.written, axis=1)
    x = np.arange(p)
    d, g = np.arange(1 - p, p), np.arange(1, p)
    frequencies, logits = [], np.zeros((p, p, p))
    by_table, by_spacing = np.zeros((len(d), len(g))), np.zeros((len(d), len(g)))
    for k in np.unique(found.frequency):
        of_k = found.frequency == k
        w, A, f, v = 2 * np.pi * k / p, found.amplitude[of_k], found.phase[of_k], found.written[of_k]
        t = np.pi * k * np.arange(2 * p) / p
        turned = (2 * A * np.maximum(np.cos(t[:, None] - f), 0.0)) @ (v[:, 0] + 1j * v[:, 1]) * np.exp(-2j * t)
        half = np.cos(w * (x[:, None] - x) / 2)
        angle = w * (x[:, None] + x) / 2 + np.pi * (half < 0)
        now = (2 * A * np.maximum(np.cos(angle[..., None] - f), 0.0)) @ v
        logits += np.abs(half)[..., None] * (now[..., :1] * np.cos(w * x) + now[..., 1:] * np.sin(w * x))
        b = (v * np.stack([np.cos(2 * f), np.sin(2 * f)], axis=1)).sum(axis=1)
        mean, deviation = turned.mean().real, float(np.abs(turned - turned.mean().real).max())
        integral, spacing = _quadrature(f, 2 * A * b)
        loss = np.linalg.norm(v - b[:, None] * np.stack([np.cos(2 * f), np.sin(2 * f)], axis=1), axis=1)
        spacing += float((2 * A * loss).sum())
        far, turn = np.abs(np.cos(w * d / 2))[:, None], 1 - np.cos(w * g)
        by_table += far * (mean * turn - 2 * deviation * np.abs(np.sin(w * g / 2)))
        by_spacing += far * (integral * turn - 2 * spacing * np.abs(np.sin(w * g / 2)))
        if weight[of_k].max() > _SMALL * weight.max():
            frequencies.append(Frequency(int(k), int(of_k.sum()), float(mean), integral, deviation, spacing))
    label = (x[:, None] + x) % p
    leads = np.take_along_axis(logits, label[..., None], axis=2) - logits
    margin = np.where(x == label[..., None], np.inf, leads).min(axis=2)
    of_pair = (x[:, None] - x) + p - 1
    ways = (
        ("frequency tables", margin),
        ("quadrature table", by_table.min(axis=1)[of_pair]),
        ("quadrature by spacing", by_spacing.min(axis=1)[of_pair]),
        ("separable", np.full((p, p), margin.min())),
    )
    found_budgets = [
        Budget(way, float(np.median(have)), float(np.median(error)), float((have > error).mean())) for way, have in ways
    ]
    return sorted(frequencies, key=lambda one: -abs(one.mean)), found_budgets


def _quadrature(phases: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Omega / (3 pi), and how far a sum over these phases may be from it, with the best place of the first box."""
    omega = float(weights.sum())
    if omega <= 0 or (weights < 0).any():  # a negative weight has no box
        weights = np.maximum(weights, 0.0)
        lost = omega - float(weights.sum())
        omega = float(weights.sum())
        if omega == 0.0:
            return 0.0, abs(lost)
        integral, spacing = _quadrature(phases, weights)
        return integral, spacing + abs(lost)
    order = np.argsort(phases)
    f, size = phases[order], 2 * np.pi * weights[order] / omega
    edges = np.concatenate([[0.0], np.cumsum(size)])
    best = np.inf
    for shift in np.median(f - edges[:-1] - size / 2) + np.linspace(-0.5, 0.5, 41):
        low, high = edges[:-1] + shift, edges[1:] + shift
        inside = ((f - low) ** 2 + (high - f) ** 2) / 2
        outside = np.abs((low + high) / 2 - f) * size
        best = min(best, float(np.where((f > low) & (f < high), inside, outside).sum()))
    return omega / (3 * np.pi), omega / np.pi * best
