"""Companions of strategies about pair sums: directions that matter, from singular values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.kernel.problem import Hints, Problem, Strategy
from compactproofs.networks.pair_sum.circuits import Tables, tables
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, HintArrays, Work, no_hints
from compactproofs.search.families import cosets
from compactproofs.search.families.attention_only import ROOM
from compactproofs.search.workspaces import MeasuredWorkspace, plain
from compactproofs.tasks.pairs import Pairs
from compactproofs.theorems.pair_sum import equivariant, low_rank, separable
from compactproofs.theorems.pair_sum.brute_force import decide
from compactproofs.theorems.pair_sum.by_label import BATCH_ENTRIES, groups, hidden
from compactproofs.theorems.pair_sum.low_rank import rescaled

PLACE = "compactproofs.theorems.pair_sum"
_TINY = 1e-12  # of the largest number, where a smaller one stands for it
_ALIKE = (0.3, 0.6, 0.9)  # cosines from which on two neurons write in the same space
_SMALL = 0.2  # of the largest neuron, below which one does not show that two sets are one
_SPANNED = 0.1  # of the largest singular value, from which on a direction belongs to a space

Values = MeasuredWorkspace[PairSum, Pairs]


def _task(network: PairSum) -> NoReturn:
    raise ValueError("a network of two arguments does not show what it is to do: name a task (tasks.pairs)")


def _low_rank(strategy: Strategy, work: Values) -> HintArrays:
    """Weighed by how much neurons vary about the means for labels."""
    return _cheapest(work, spreads(tables(work), work.task.table), low_rank.count)


def _separable(strategy: Strategy, work: Values) -> HintArrays:
    """Weighed by how large neurons may be."""
    network = tables(work)
    squares = [(np.maximum(plain(part), 0.0) ** 2).mean(axis=0) for part in (network.left, network.right)]
    return _cheapest(work, np.sqrt(squares[0] + squares[1]), separable.count)


def _cheapest(work: Values, spread: FloatArray, count: Callable[[Values, Tables, FloatArray], int]) -> HintArrays:
    """The cheapest directions that prove all right inputs, or those that prove most, for several sets of neurons."""
    network = tables(work)
    written = centred(plain(network.out))
    right = decide(work).right

    def proved(hints: HintArrays) -> int:
        with np.errstate(all="ignore"):
            return count(work, rescaled(work, network, hints["scales"]), hints["factors"])

    best: tuple[tuple[int, int], HintArrays] | None = None
    found_so_far = {1: [np.arange(len(spread))]}  # by how many sets there are
    found_so_far |= {len(sets): sets for sets in (spaces(written * spread[:, None], alike) for alike in _ALIKE)}
    for members in found_so_far.values():
        directions = Directions(written, spread, members)
        low, high = 0, directions.most
        while high - low > 1:  # `high` directions prove all that so many can
            middle = (low + high) // 2
            enough = proved(directions.hints(middle)) >= right
            low, high = (low, middle) if enough else (middle, high)
        found = directions.hints(high)
        merit = (proved(found), -_products(found["factors"], len(spread)))
        if best is None or merit > best[0]:
            best = merit, found
    assert best is not None
    return best[1]


def _products(factors: FloatArray, m: int) -> int:
    """How many numbers there are in the directions that each input is multiplied with."""
    return int(np.count_nonzero(factors[:, :m])) + factors[:, m:].size


def _equivariant(strategy: Strategy, work: Values) -> HintArrays:
    """The circuits that prove most together, the largest ones taken first."""
    network, table = tables(work), work.task.table
    if network.out.shape[1] != len(table):
        return cosets.hints_of(table, (plain(network.left), plain(network.right), plain(network.out)), [])
    parts = plain(network.left), plain(network.right), centred(plain(network.out))
    return _measured(work, cosets.hints_of(table, parts, cosets.circuits(table, parts)))


def _measured(work: Values, hints: HintArrays) -> HintArrays:
    """The hints with the weights by which norms bound best: how much is written, over how much is read."""
    parts = equivariant.parts(work, hints)
    if parts is None:
        return hints
    network, ideal = parts
    rest, out = centred(plain(network.out) - plain(ideal.out)), centred(plain(ideal.out))
    spread, apart = np.zeros(len(rest)), np.zeros(len(rest))
    for group in groups(work.task.table, max(rest.shape)):
        h = plain(hidden(network, group))
        spread += ((h - h.mean(axis=0)) ** 2).sum(axis=0)
        apart += ((h - np.maximum(plain(ideal.left)[group.x] + plain(ideal.right)[group.y], 0.0)) ** 2).sum(axis=0)
    weights = [_ratio(rest, spread / work.task.total), _ratio(out, apart / work.task.total)]
    return {**hints, "sizes": np.concatenate([hints["sizes"][:2], weights])}


def _ratio(written: FloatArray, squares: FloatArray) -> FloatArray:
    """Standard deviations of what is written over the roots of the squares, and no number too small."""
    spread = np.sqrt(squares)
    ratio = written.std(axis=1) / np.maximum(spread, _TINY * max(float(spread.max(initial=0.0)), _TINY))
    return np.asarray(np.maximum(ratio, _TINY * max(float(ratio.max(initial=0.0)), _TINY)))


class Directions:
    """Directions for the output of neurons, those of each set of neurons by singular values, the largest first."""

    def __init__(self, written: FloatArray, spread: FloatArray, members: list[IntArray]) -> None:
        """`written`: (m, k), what neurons write; `spread`: how much each varies about its mean for a label."""
        self._written, self._spread = written, np.maximum(spread, _TINY * spread.max(initial=_TINY))
        m, k = written.shape
        sizes, columns, rows = [], [], []
        for neurons in members:
            of = self._spread[neurons, None]
            left, size, right = np.linalg.svd(written[neurons] * of, full_matrices=False)
            block = np.zeros((m, len(size)))
            block[neurons] = left * size / of
            sizes.append(size)
            columns.append(block)
            rows.append(right)
        order = np.argsort(-np.concatenate(sizes), kind="stable")
        self._C, self._B = np.concatenate(columns, axis=1)[:, order], np.concatenate(rows)[order]
        self.most = min(len(order), m, k) if len(members) == 1 else len(order)

    def hints(self, number: int) -> HintArrays:
        """So many of them, and the sizes of neurons with which norms bound the rest best."""
        C, B = self._C[:, :number], self._B[:number]
        rest = (self._written - C @ B).std(axis=1)
        scales = np.sqrt(rest / self._spread)
        scales = np.maximum(scales, _TINY * max(float(scales.max(initial=0.0)), _TINY))
        return {"factors": np.concatenate([C.T / scales, B], axis=1), "scales": scales}


def centred(written: FloatArray) -> FloatArray:
    """Less what is the same for all outputs, and does not change a margin."""
    return np.asarray(written - written.mean(axis=1, keepdims=True))


def spreads(network: Tables, table: IntArray) -> FloatArray:
    """How much each neuron varies, about its mean over the inputs of one label, as a standard deviation."""
    squares = np.zeros(network.out.shape[0])
    for group in groups(table, network.out.shape[0]):
        h = plain(hidden(network, group))
        squares += ((h - h.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(np.sqrt(squares / table.size))


def spaces(written: FloatArray, least_alike: float) -> list[IntArray]:
    """Sets of neurons that write into nearly orthogonal spaces of outputs, as those of other frequencies do.

    Two large ones that are at least so much alike, by the cosine between what they write, are in one set, and a small
    one is in that whose space has most of what it writes.
    """
    size = np.linalg.norm(written, axis=1)
    unit = written / np.maximum(size, _TINY * size.max(initial=_TINY))[:, None]
    large = np.flatnonzero(size > _SMALL * size.max(initial=0.0))
    alike = np.abs(unit[large] @ unit[large].T) >= least_alike
    number, before = np.arange(len(large)), None
    while before is None or (number != before).any():
        before, number = number, np.where(alike, number, len(large)).min(axis=1, initial=len(large))
    sets = [large[number == i] for i in np.unique(number)] or [np.arange(0)]
    shares = np.stack([np.linalg.norm(unit @ _space(unit[one]), axis=1) for one in sets])
    shares[:, large] = [np.isin(large, one) for one in sets]
    best = shares.argmax(axis=0)
    return [np.flatnonzero(best == i) for i in range(len(sets))]


def _space(rows: FloatArray) -> FloatArray:
    """An orthonormal basis, in columns, of what rows span, up to small parts of them."""
    _, size, right = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(right[size > _SPANNED * size.max(initial=0.0)].T)


def _work(problem: Problem[PairSum, Pairs], hints: Hints) -> Work:
    """Folding, and what is done for each input."""
    network, n = problem.network, problem.task.n
    m, k = network.neurons, network.outputs
    weights = sum(tensor.size for tensor in network.tensors.values())
    d = max(max(tensor.shape) for tensor in network.tensors.values())
    directions = sum(len(hint) for name, hint in hints.items() if name == "factors") + 1
    folding = 8 * weights * (n + d) + 16 * n * (m + k)
    groups_ = k + 2 * n * n * max(m, k) // BATCH_ENTRIES + 2
    each = n * n * (2 * m * k if not hints else 4 * directions * (m + k)) + n * n * (40 * m + 40 * k)
    tables_ = groups_ * (12 * m * k) + 8 * directions * m * k
    calls = groups_ * (60 + 8 * min(directions, 64)) + 100
    more, sets, outputs = 0, 0, 0  # of an ideal network: neurons, elements of its sets and pairs of these
    if "pairs" in hints:
        more, outputs = hints["pairs"].shape[1], hints["outputs"].size
        sets = hints["left"].shape[1] + hints["right"].shape[1]
        folding += 40 * n * n * (more + sets) + 8 * more * (more + n) + 6 * n * outputs
        calls += 40 * n
    entries = 8 * weights + 8 * n * (m + k) + 8 * m * k + 4 * directions * (m + k) + 4 * n * n
    entries += 2 * more * more + 20 * n * (more + sets)
    return Work(4 * (folding + each + tables_) + CALL * calls, 8 * entries + ROOM)


def _companion(name: str, complexity: str, summary: str, search: Any = no_hints, **more: Any) -> Companion:
    return Companion(
        _task,
        search=search,
        work=_work,
        complexity=complexity,
        summary=summary,
        stated_in=f"{PLACE}.{name}",
        **more,
    )


def _every_logit(problem: Problem[PairSum, Pairs]) -> int:
    return int(problem.task.total * problem.network.outputs)


def _tables(problem: Problem[PairSum, Pairs]) -> int:
    """The entries of left, right and the table of outputs, and of the direct parts."""
    network, n = problem.network, problem.task.n
    return int(2 * n * network.neurons + network.neurons * network.outputs + 2 * n * network.outputs)


_CIRCUITS = "compactproofs.networks.pair_sum.circuits"
COMPANIONS = {
    **{
        f"pair-sum/brute-force{side}": _companion(
            "brute_force",
            "O(n^2 m k)",
            f"every pair of arguments is its own case{words}",
            lemmas=(_CIRCUITS, f"{PLACE}.by_label"),
            unexplained_dimension=_every_logit,
            by_input=True,
        )
        for side, words in (("", ""), ("-upper", "; from above"))
    },
    "pair-sum/low-rank": _companion(
        "low_rank",
        "O(n^2 (m + k) s)",
        "s directions of the neurons decide, norms bound the rest",
        _low_rank,
        lemmas=(_CIRCUITS, f"{PLACE}.by_label"),
        unexplained_dimension=_tables,
        by_input=True,
    ),
    "pair-sum/low-rank-separable": _companion(
        "separable",
        "O(n^2 (m + k) s)",
        "s directions of the neurons decide, a norm for x and one for y bound the rest",
        _separable,
        lemmas=(_CIRCUITS, f"{PLACE}.by_label", f"{PLACE}.low_rank"),
        unexplained_dimension=_tables,
        by_input=True,
    ),
    "pair-sum/equivariant-distance": _companion(
        "equivariant",
        "O(n^2 m + n^3)",
        "near a network with all of the group's symmetry, whose margins are one for all inputs",
        _equivariant,
        lemmas=(_CIRCUITS, f"{PLACE}.by_label", f"{PLACE}.low_rank"),
        unexplained_dimension=_tables,
        by_input=True,
    ),
}
