"""Ideal networks near a network: neurons that are translates of each other, and the cosets on which they depend.

A circuit is a set of neurons with left_i(x) = s_i l(g_i^-1 x), right_i(y) = s_i r(y h_i) and, about,
out_i(z) = w_i o(g_i^-1 z h_i) / s_i, for one l, r and o, up to what is the same for all outputs.  l is the same under a
subgroup from the left and r under one from the right, so neurons depend on cosets alone: the sets A and B of
`theorems.pair_sum.equivariant` are those of all circuits, one behind the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.search.companions import HintArrays

_FAR = 0.05  # squared distance, of neurons of size 1, from which on one is no translate of another
_SAME = 0.3  # share of a function by which it may differ from its translate under what leaves it alone
_SMALL = 1e-3  # of the largest neuron, below which one is in no circuit
_MISSING = 0.5  # share of pairs that may have no neuron

Plain = tuple[FloatArray, FloatArray, FloatArray]


class Circuit(NamedTuple):
    """Sets, functions on them, and the neurons at each pair; -1 stands for one that the network does not have."""

    left: IntArray
    right: IntArray
    left_values: FloatArray
    right_values: FloatArray
    outputs: FloatArray
    neurons: IntArray
    pairs: IntArray
    scales: FloatArray
    shares: FloatArray


def circuits(table: IntArray, network: Plain) -> list[Circuit]:
    """Those of a network (left, right, centred out), the largest neurons first."""
    left, right, out = network
    unit = int(np.flatnonzero((table == np.arange(len(table))).all(axis=1))[0])
    inverse = (table == unit).argmax(axis=1)
    size = np.sqrt((left**2).sum(axis=0) + (right**2).sum(axis=0))
    weight = size * np.linalg.norm(out, axis=1)
    todo = np.argsort(-weight)
    todo = todo[weight[todo] > _SMALL * weight.max()]
    lefts, rights, outs = left / np.maximum(size, 1e-300), right / np.maximum(size, 1e-300), out * size[:, None]
    found = []
    while len(todo):
        first = todo[0]
        # Row g: the function moved by g.
        moved_l, moved_r = lefts[:, first][table[inverse]], rights[:, first][table.T]
        like_l, like_r = moved_l @ lefts[:, todo], moved_r @ rights[:, todo]
        g, h = like_l.argmax(axis=0), like_r.argmax(axis=0)
        scale = (like_l.max(axis=0) + like_r.max(axis=0)) / ((moved_l[0] ** 2).sum() + (moved_r[0] ** 2).sum())
        far = ((lefts[:, todo] - scale * moved_l[g].T) ** 2).sum(axis=0)
        far += ((rights[:, todo] - scale * moved_r[h].T) ** 2).sum(axis=0)
        near = far < _FAR
        near[0] = True
        one = _circuit(table, inverse, (lefts, rights, outs), todo[near], g[near], h[near], size)
        if one is not None:
            found.append(one)
        todo = todo[~near]
    return found


def _circuit(
    table: IntArray, inverse: IntArray, network: Plain, neurons: IntArray, g: IntArray, h: IntArray, size: FloatArray
) -> Circuit | None:
    """The circuit of these neurons, which g and h move from their places; None if too many pairs have no neuron."""
    lefts, rights, outs = network
    n = len(table)
    mean_l = np.mean([lefts[:, i][table[a]] for i, a in zip(neurons, g, strict=True)], axis=0)
    mean_r = np.mean([rights[:, i][table[:, inverse[b]]] for i, b in zip(neurons, h, strict=True)], axis=0)
    fixed_l = _subgroup(table, [s for s in range(n) if _is_near(mean_l[table[s]], mean_l)])
    fixed_r = _subgroup(table, [s for s in range(n) if _is_near(mean_r[table[:, s]], mean_r)])
    mean_l, mean_r = mean_l[table[fixed_l]].mean(axis=0), mean_r[table[:, fixed_r]].mean(axis=1)
    A, B = _cosets(table, fixed_l), _cosets(table, fixed_r)
    first_a, first_b = (np.unique(labels, return_index=True)[1] for labels in (A, B))
    pairs = np.stack([A[g], B[h]])
    there = np.zeros((len(first_a), len(first_b)), bool)
    there[tuple(pairs)] = True
    if (~there).mean() > _MISSING:
        return None
    along = [
        mean_l[table[inverse[a]]] @ lefts[:, i] + mean_r[table[:, b]] @ rights[:, i]
        for i, a, b in zip(neurons, g, h, strict=True)
    ]
    scales = np.array(along) / (mean_l @ mean_l + mean_r @ mean_r)
    if (scales <= 0).any():
        return None
    # Sums over neurons at one pair, then means over pairs, and over double cosets: which a^-1 b are the same.
    double = _double_cosets(table, fixed_l, fixed_r)
    at_pairs = sum(s * outs[i][table[table[a], inverse[b]]] for i, a, b, s in zip(neurons, g, h, scales, strict=True))
    total = np.asarray(at_pairs) / there.sum()
    function = np.array([total[double == d].mean() for d in double])
    outputs = function[table[inverse[first_a]][:, first_b]]
    own = np.array([function[table[table[inverse[a]], b]] @ outs[i] for i, a, b in zip(neurons, g, h, strict=True)])
    shares = np.maximum(own * scales, 1e-9 * max(float(np.abs(own * scales).max()), 1e-300))
    none = np.argwhere(~there).T
    return Circuit(
        left=A[table[:, first_a]],
        right=B[table[:, first_b]],
        left_values=mean_l[inverse[first_a]],
        right_values=mean_r[first_b],
        outputs=outputs,
        neurons=np.concatenate([neurons, np.full(none.shape[1], -1)]),
        pairs=np.concatenate([pairs, none], axis=1),
        scales=np.concatenate([scales * size[neurons], np.ones(none.shape[1])]),
        shares=np.concatenate([shares, np.ones(none.shape[1])]),
    )


def _is_near(moved: FloatArray, mean: FloatArray) -> bool:
    return bool(np.linalg.norm(moved - mean) < _SAME * np.linalg.norm(mean))


def _subgroup(table: IntArray, members: list[int]) -> IntArray:
    """These elements if they are a subgroup, otherwise the unit alone."""
    unit = int(np.flatnonzero((table == np.arange(len(table))).all(axis=1))[0])
    inside = np.isin(table[np.ix_(members, members)], members).all() if members else False
    return np.array(members if inside else [unit])


def _cosets(table: IntArray, subgroup: IntArray) -> IntArray:
    """A label of the coset x S for each x, from 0."""
    return np.asarray(np.unique(table[:, subgroup].min(axis=1), return_inverse=True)[1].ravel())


def _double_cosets(table: IntArray, left: IntArray, right: IntArray) -> IntArray:
    """A label of S x S' for each x: its least element."""
    within = table[:, right].min(axis=1)
    return np.asarray(within[table[left]].min(axis=0))


def hints_of(table: IntArray, network: Plain, chosen: list[Circuit]) -> HintArrays:
    """The ideal network of some circuits, and the numbers with which norms bound the rest best."""
    n, m = len(table), network[0].shape[1]
    extra = sum(int((one.neurons < 0).sum()) for one in chosen)
    pairs, scales, shares = np.full((2, m + extra), -1), np.ones(m + extra), np.ones(m + extra)
    parts: dict[str, list[Any]] = {"left": [], "right": [], "left_values": [], "right_values": []}
    outputs = np.zeros((sum(one.left.shape[1] for one in chosen), sum(one.right.shape[1] for one in chosen)))
    a = b = 0
    next_extra = m
    for one in chosen:
        at = one.neurons.copy()
        new = int((at < 0).sum())
        at[at < 0] = next_extra + np.arange(new)
        next_extra += new
        pairs[:, at] = one.pairs + np.array([[a], [b]])
        scales[at], shares[at] = one.scales, one.shares
        parts["left"].append(one.left + a)
        parts["right"].append(one.right + b)
        parts["left_values"].append(one.left_values)
        parts["right_values"].append(one.right_values)
        outputs[a : a + one.left.shape[1], b : b + one.right.shape[1]] = one.outputs
        a, b = a + one.left.shape[1], b + one.right.shape[1]
    if not chosen:
        parts = {"left": [np.zeros((n, 1))], "right": [np.zeros((n, 1))], "left_values": [[0]], "right_values": [[0]]}
        outputs = np.zeros((1, 1))
    return {
        "left": np.concatenate(parts["left"], axis=1).astype(np.uint16),
        "right": np.concatenate(parts["right"], axis=1).astype(np.uint16),
        "left_values": np.concatenate(parts["left_values"]).astype(np.float64),
        "right_values": np.concatenate(parts["right_values"]).astype(np.float64),
        "outputs": outputs,
        "pairs": pairs.astype(np.int64),
        "sizes": np.stack([1.0 / scales, shares, np.ones(m + extra), np.ones(m + extra)]),
    }
