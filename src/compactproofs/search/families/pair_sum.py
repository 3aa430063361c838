"""Companions of strategies about pair sums: directions that matter, from singular values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NoReturn

import numpy as np

from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.kernel.problem import Hints, Problem, Strategy
from compactproofs.networks.pair_sum.circuits import (
    Tables,
    last_position,
    of_arguments,
    tables,
    tokens_and_positions,
    values_and_output,
)
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, HintArrays, Work, no_hints
from compactproofs.search.families import cosets
from compactproofs.search.families.attention_only import ROOM
from compactproofs.search.workspaces import MeasuredWorkspace, plain
from compactproofs.tasks.pairs import Pairs
from compactproofs.theorems.pair_sum import equivariant, halves, low_rank, separable, thin
from compactproofs.theorems.pair_sum.brute_force import decide
from compactproofs.theorems.pair_sum.by_label import BATCH_ENTRIES, Group, groups, hidden
from compactproofs.theorems.pair_sum.low_rank import rescaled

PLACE = "compactproofs.theorems.pair_sum"
_TINY = 1e-12  # of the largest number, where a smaller one stands for it
_ALIKE = (0.3, 0.6, 0.9)  # cosines from which on two neurons write in the same space
_SMALL = 0.2  # of the largest neuron, below which one does not show that two sets are one
#: Shares of a set and of a neuron with which sparse directions are tried, how many sets a neuron has at most, and how
#: many directions more.
_LEAST, _TOLERANCES, _MOST_SETS = 0.02, (1e-2, 1e-3, 1e-4), 20
_NUMBERS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, *range(20, 64, 4), *range(64, 512, 16))
_OF_ALL = 0.25  # a share of what neurons write, for their sizes
#: Of a thin proof: directions at most, parts that are left out, sets for a direction, and by how many inputs plans are
#: tried; columns of bases at least, where plans are put in order, and at most; how often sets and bases are improved.
_MOST_THIN, _SMALL_PARTS, _SETS_EACH, _SAMPLE = 16, (0.1, 0.02), (4, 6, 8, 10, 12, 16), 500
_RANGE, _FEWER = {"heads": range(4, 29), "read": range(4, 29, 2), "written": range(4, 29, 2)}, 3
_LEAST_THIN = {"heads": 10, "read": 10, "written": 6}
_MOST_THIN_COLUMNS = {"heads": 28, "read": 28, "written": 28}
_ROUNDS = 6
_OF_STREAM = ("heads", "read", "written")
#: Of the largest singular value or number, those below which a direction is left out, or 0 stands for a number; and how
#: many directions are few.
_PARTS_OF_LARGEST, _TINY_PART, _MOST_CONDITION, _MOST_FEW = (0.3, 0.1, 1e-2, 1e-4), 1e-5, 1e4, 28
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


def _halves(strategy: Strategy, work: Values) -> HintArrays:
    """The cheapest of several sets of directions, inputs that they leave open included: each proves as much."""
    network, table = tables(work), work.task.table
    written, spread = centred(plain(network.out)), _root_mean_square(plain(network.left), plain(network.right)) / 2.0
    m, k = written.shape
    whole = [np.arange(m)]
    starts = [(*sparse(written, spread, tolerance), whole) for tolerance in _TOLERANCES]
    starts += [(np.zeros((m, 0)), np.zeros((0, k)), sets) for sets in _sets(written, spread)]
    best: tuple[int, HintArrays] | None = None
    for C, B, members in starts:
        directions = Directions(written, spread, members, (C, B))
        for number in (number for number in _NUMBERS if number <= directions.most):
            found = directions.hints(number)
            cost = 2 * table.size * _products(found["factors"])
            if best is not None and cost >= best[0]:
                break
            with np.errstate(all="ignore"):
                pairs = halves.by_norms(work, rescaled(work, network, found["scales"]), found["factors"])
                cost += 2 * m * (k + 1) * sum(int((~proved).sum()) for _, proved in pairs)
            if best is None or cost < best[0]:
                best = cost, found
    assert best is not None
    return best[1]


def _thin(strategy: Strategy, work: Values) -> HintArrays:
    """The cheapest of several ways to take neurons together that prove all right inputs, or that which proves most."""
    network, m = work.network, work.network.neurons
    if network.architecture == "mlp":
        none = {"factors": np.zeros((0, network.outputs)), "means": np.zeros((0, 0)), "scales": np.ones(m)}
        return {"sets": np.full(m, -1), "weights": np.zeros(m), **none, **dict.fromkeys(_OF_STREAM, np.zeros((1, 0)))}
    whole = tables(work)
    written, spread = centred(plain(whole.out)), _root_mean_square(plain(whole.left), plain(whole.right)) / 2.0
    every = list(groups(work.task.table, max(written.shape)))
    some = every[:: -(-len(every) * work.task.total // (len(every) * _SAMPLE))]

    ends, plans = _Ends(work, np.sqrt(written.std(axis=1) / np.maximum(spread, _TINY))), list[HintArrays]()
    for members, mirrored in product(_sets(written, spread), (False, True)):
        directions = Directions(written, spread, members, mirrored=mirrored)
        numbers = [number for number in _NUMBERS if 0 < number <= min(directions.most, _MOST_THIN)]
        most = [directions.in_sets(number, _SETS_EACH[-1], 0.0) for number in numbers]
        shown = [_Trial(ends, plan, some).proved(_MOST_THIN_COLUMNS)[0] for plan in most]
        first = int(np.argmax(shown)) if shown else 0
        plans += [directions.in_sets(*plan) for plan in product(numbers[first : first + 3], _SETS_EACH, _SMALL_PARTS)]
    costs = [_thin_cost(work, plan) for plan in plans]

    best: tuple[tuple[int, int], HintArrays, dict[str, int]] | None = None
    for i in np.argsort([cost(_LEAST_THIN) for cost in costs], kind="stable"):
        if best is not None and costs[i]({name: number - _FEWER for name, number in best[2].items()}) >= -best[0][1]:
            continue
        trial = _Trial(ends, plans[i], some)
        columns, merit = trial.fewest(_near(trial.fewest(_RANGE)[0]))
        if best is not None and not _promises(merit, sum(len(group.x) for group in some), best[0], work.task.total):
            continue
        columns, merit = _Trial(ends, plans[i], every).fewest(_near(columns))
        if best is None or merit > best[0]:
            best = merit, plans[i], columns
    assert best is not None
    _, plan, columns = best
    return {**plan, **ends.bases(columns)}


class _Trial:
    """A plan on groups of inputs, and what proves them with so many columns of bases, nearly: all but what is lost is
    computed with many.
    """

    def __init__(self, ends: _Ends, plan: HintArrays, of: list[Group]) -> None:
        work, of_groups = ends.work, []
        self._ends, self._plan, self._inputs = ends, plan, work.task.total
        with np.errstate(all="ignore"):
            known = thin.parts(work, {**plan, **ends.bases(_MOST_THIN_COLUMNS)})
            known = known._replace(off=np.zeros_like(known.off), loss=np.zeros_like(known.loss))
            for group in of:
                both = (condition(known, *group[1:], group.label) for condition in (thin.leads, thin.leads_of_neurons))
                apart = np.broadcast_to(plain(known.apart_known)[group.label], (len(group.x), work.network.outputs))
                of_groups.append([*(_others(plain(one), group.label) for one in (*both, apart)), group.x, group.y])
                of_groups[-1].append(plain(thin.on_inputs(known, group.x, group.y).half_r))
        columns = (np.concatenate(parts) for parts in zip(*of_groups, strict=True))
        self._first, self._second, self._apart, self._x, self._y, self._half_r = columns
        self._starts = np.cumsum([0, *(len(group.x) for group in of)])
        self._lost, self._cost = ends.losses(plan, plain(known.squares)), _thin_cost(work, plan)

    def proved(self, columns: dict[str, int]) -> tuple[int, int]:
        """How many inputs are by the first condition, and by both."""
        off, loss = (part[self._x, self._y] for part in self._lost(columns))
        with np.errstate(all="ignore"):
            most = np.maximum.reduceat(off / self._half_r, self._starts[:-1])
            shares = self._half_r * np.repeat(most, np.diff(self._starts))
            first = (self._first - shares[:, None] * self._apart > loss[:, None]).all(axis=1)
        second = (self._second - off[:, None] * self._apart > loss[:, None]).all(axis=1)
        return int(first.sum()), int((first | second).sum())

    def fewest(self, ranges: dict[str, range]) -> tuple[dict[str, int], tuple[int, int]]:
        """The cheapest of those that prove most, among so many columns of each; and what they prove and cost less 0."""
        most = {name: numbers[-1] for name, numbers in ranges.items()}
        best = self._merit(most), most
        for names in (("written", "read"), ("heads",), ("read",)):
            for numbers in product(*(ranges[name] for name in names)):
                columns = {**best[1], **dict(zip(names, numbers, strict=True))}
                if self._cost(columns) < -best[0][1]:
                    best = max(best, (self._merit(columns), columns), key=lambda one: one[0])
        return best[1], best[0]

    def _merit(self, columns: dict[str, int]) -> tuple[int, int]:
        first, both = self.proved(columns)
        work, there = self._ends.work, self._starts[-1]
        m, k, used = work.network.neurons, work.network.outputs, int(np.count_nonzero(self._plan["sets"] >= 0))
        each = 2 * m * (columns["written"] + 1) + 2 * columns["read"] * (m - used) + 2 * k * columns["written"]
        return both, -self._cost(columns) - (there - first) * each * self._inputs // there


def _near(columns: dict[str, int]) -> dict[str, range]:
    """Some more columns or fewer."""
    return {name: range(max(1, number - 2), number + 3) for name, number in columns.items()}


def _promises(merit: tuple[int, int], of: int, best: tuple[int, int], total: int) -> bool:
    """Whether a plan may be better than the best one, from what it proves of some inputs."""
    return merit[0] * total > best[0] * of or (merit[0] * total == best[0] * of and merit[1] > best[1])


def _others(rows: FloatArray, label: int) -> FloatArray:
    """All columns but that of the label."""
    return np.delete(rows, label, axis=1)


def _few_directions(strategy: Strategy, work: Values) -> HintArrays:
    """As many directions as singular values are above some part of the largest: the cheapest of those that prove most.

    Coordinates of what is written are chosen so that each neuron writes in few of them.
    """
    network = work.network
    if network.architecture == "mlp":
        return {"stream": np.zeros((0, 2)), "logits": np.zeros((0, 1 + network.neurons + network.outputs))}
    R, W_out = plain(tokens_and_positions(work)), network.weight("blocks.0.mlp.W_out")
    places, of_R, Q = np.linalg.svd(R, full_matrices=False)
    P, of_U, B = np.linalg.svd(centred(network.weight("unembed.W_U")), full_matrices=False)

    best: tuple[tuple[int, int], HintArrays] | None = None
    for part in _PARTS_OF_LARGEST:
        s, t = (min(max(1, int((sizes > part * sizes[0]).sum())), _MOST_FEW) for sizes in (of_R, of_U))
        stream = np.concatenate([(places[:, :s] * of_R[:s]).T, Q[:s]], axis=1)
        for logits in _coordinates(W_out, P[:, :t] * of_U[:t], B[:t]):
            hints = {"stream": stream, "logits": logits}
            with np.errstate(all="ignore"):
                proved = strategy.bound(work, hints)
            merit = proved, -int(np.count_nonzero(logits)) - s * (network.neurons + len(R))
            if best is None or merit > best[0]:
                best = merit, hints
    assert best is not None
    return best[1]


def _coordinates(W_out: FloatArray, P: FloatArray, B: FloatArray) -> Iterator[FloatArray]:
    """P, W_out P and B for B with orthonormal rows, and the same turned so that sets of neurons have their own rows."""
    yield np.concatenate([P.T, (W_out @ P).T, B], axis=1)
    for alike in _ALIKE:
        turn = np.concatenate([_space(W_out[one] @ P).T for one in spaces(W_out @ P, alike)])
        if turn.shape == (len(B), len(B)) and np.linalg.cond(turn) < _MOST_CONDITION:
            turned = P @ np.linalg.inv(turn)
            C = W_out @ turned
            yield np.concatenate([turned.T, np.where(np.abs(C) < _TINY_PART * np.abs(C).max(), 0.0, C).T, turn @ B], 1)


class _Ends:
    """Directions in which attention writes, neurons read what there is, and write what is read."""

    def __init__(self, work: Values, scales: FloatArray) -> None:
        """`scales`: about how large neurons will be."""
        self.work, weight = work, work.network.weight
        values, output = (plain(part) for part in values_and_output(work))
        ends = plain(tokens_and_positions(work)) @ values / work.network.positions
        mid_x, mid_y = (plain(part) for part in of_arguments(work, ends @ output))
        mid = np.concatenate([mid_x, mid_y + plain(last_position(work, output))])
        scales = np.where(scales > 0.0, scales, 1.0)
        W, T, W_U = weight("blocks.0.mlp.W_in"), weight("blocks.0.mlp.W_out"), centred(weight("unembed.W_U"))
        self._factors = {"heads": (ends, output), "read": (mid, W), "written": (T, W_U)}
        weighed = {**self._factors, "read": (mid, W * scales), "written": (T / scales[:, None], W_U)}
        self._sides = {name: (X.T @ X, Y @ Y.T) for name, (X, Y) in weighed.items()}
        self._found: dict[tuple[str, int], FloatArray] = {}
        self._left: dict[tuple[str, int], tuple[FloatArray, FloatArray]] = {}

    def bases(self, columns: dict[str, int]) -> HintArrays:
        """So many for each product."""
        return {name: self._basis(name, number) for name, number in columns.items()}

    def _basis(self, name: str, number: int) -> FloatArray:
        if (name, number) not in self._found:
            self._found[name, number] = _in_common(*self._sides[name], number)
        return self._found[name, number]

    def _squares_left(self, name: str, number: int) -> tuple[FloatArray, FloatArray]:
        """Of rows of the one and of columns of the other factor, neurons as they are, outside of so many directions."""
        if (name, number) not in self._left:
            (X, Y), Q = self._factors[name], self._basis(name, number)
            X, Y = X - X @ Q @ Q.T, Y - Q @ (Q.T @ Y)
            self._left[name, number] = (X * X).sum(axis=1), (Y * Y).sum(axis=0)
        return self._left[name, number]

    def losses(
        self, plan: HintArrays, squares: FloatArray
    ) -> Callable[[dict[str, int]], tuple[FloatArray, FloatArray]]:
        """For so many columns, and |v|^2 for each input, f and L without the product with it, as in the theorem."""
        scales, read = plan["scales"] ** 2, np.sqrt(np.maximum(squares, 0.0))
        size = float(np.sqrt((self._factors["read"][1] ** 2).sum(axis=0) @ scales))
        n, direct = self.work.task.n, 2.0 * float(np.sqrt((self._factors["written"][1] ** 2).sum(axis=0).max()))

        def losses(columns: dict[str, int]) -> tuple[FloatArray, FloatArray]:
            (heads, output), (of_mid, of_W), (of_T, of_U) = (
                self._squares_left(name, columns[name]) for name in _OF_STREAM
            )
            t = np.sqrt((of_T / scales).sum() * of_U.max())
            e, g = np.sqrt(of_mid * (of_W @ scales)), np.sqrt(heads * output.sum())[:, None]
            g_x, g_y = (plain(part)[:, 0] for part in of_arguments(self.work, g))
            off = (e[:n] + g_x * size)[:, None] + (e[n:] + g_y * size)
            return off, 2.0 * t * (read + off) + direct * (g_x[:, None] + g_y)

        return losses


def _in_common(a: FloatArray, b: FloatArray, columns: int) -> FloatArray:
    """So many directions outside of which rows of one matrix times those of another are small; `a`, `b`: A^T A, B^T B.

    Of each as much is left as before, and both are weighed by that.
    """
    sizes, best = [float(np.trace(a)), float(np.trace(b))], (np.inf, np.eye(len(a))[:, :columns])
    for _ in range(_ROUNDS):
        sizes = [max(size, _TINY) for size in sizes]
        found = np.linalg.eigh(a / sizes[0] + b / sizes[1])[1][:, len(a) - min(columns, len(a)) :]
        sizes = [float(np.trace(one) - np.trace(found.T @ one @ found)) for one in (a, b)]
        if sizes[0] * sizes[1] < best[0]:
            best = sizes[0] * sizes[1], found
    return best[1]


def _thin_cost(work: Values, plan: HintArrays) -> Callable[[dict[str, int]], int]:
    """The operations that depend on these hints, about, for so many columns of bases."""
    n, m, k = work.task.n, work.network.neurons, work.network.outputs
    d, heads = len(work.network.weight("unembed.W_U")), work.network.weight("blocks.0.attn.b_V").size
    B, used, rows = plan["factors"][:, -k:], int(np.count_nonzero(plan["sets"] >= 0)), 2 * n
    in_C = _products(plan["factors"]) - _products(B)
    in_B = min(2 * _products(B), thin.mirrored(B)[1])
    inputs = n * n * (2 * used + 2 * in_C + 2 * _products(plan["means"]) + in_B)

    def cost(columns: dict[str, int]) -> int:
        r, s, t = columns["heads"], columns["read"] + 1, columns["written"]
        return int(
            inputs
            + 2 * s * (d * m + rows * d + rows * used + d * s + m * s + 2 * rows * s + rows * k + m * t + n * n)
            + 2 * t * (m * d + 2 * m * t + k * d + 2 * k * k)
            + 2 * r * (2 * d * heads + rows * d + d * k + 2 * d * r)
        )

    return cost


def _root_mean_square(left: FloatArray, right: FloatArray) -> FloatArray:
    """Of what each neuron reads, over all inputs."""
    squares = (left**2).mean(axis=0) + (right**2).mean(axis=0) + 2.0 * left.mean(axis=0) * right.mean(axis=0)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def _cheapest(work: Values, spread: FloatArray, count: Callable[[Values, Tables, FloatArray], int]) -> HintArrays:
    """The cheapest directions that prove all right inputs, or those that prove most, for several sets of neurons."""
    network = tables(work)
    written = centred(plain(network.out))
    right = decide(work).right

    def proved(hints: HintArrays) -> int:
        with np.errstate(all="ignore"):
            return count(work, rescaled(work, network, hints["scales"]), hints["factors"])

    best: tuple[tuple[int, int], HintArrays] | None = None
    for members in _sets(written, spread):
        directions = Directions(written, spread, members)
        low, high = 0, directions.most
        while high - low > 1:  # `high` directions prove all that so many can
            middle = (low + high) // 2
            enough = proved(directions.hints(middle)) >= right
            low, high = (low, middle) if enough else (middle, high)
        found = directions.hints(high)
        merit = (proved(found), -_products(found["factors"]))
        if best is None or merit > best[0]:
            best = merit, found
    assert best is not None
    return best[1]


def _sets(written: FloatArray, spread: FloatArray) -> list[list[IntArray]]:
    """Ways to see neurons as sets that write into spaces of their own; the first is one set."""
    found = {1: [np.arange(len(spread))]}  # by how many sets there are
    found |= {len(sets): sets for sets in (spaces(written * spread[:, None], alike) for alike in _ALIKE)}
    return list(found.values())


def _products(factors: FloatArray) -> int:
    """How many numbers there are in the directions that each input is multiplied with."""
    return int(np.count_nonzero(factors))


def sparse(written: FloatArray, spread: FloatArray, tolerance: float) -> tuple[FloatArray, FloatArray]:
    """Matrices C and B with few numbers that are not 0, and C B near what neurons write.

    Rows of B are sets of outputs: those where a neuron writes more than midway between its least and its most, or the
    others if they are fewer.  Sets are left out whose neurons have a small part of the squares that those of another
    have, and each neuron takes, one after the other, the sets that explain most of it, as long as each adds `tolerance`
    times the squares of a neuron on average.
    """
    m, k = written.shape
    squares = (spread**2) * (written**2).sum(axis=1)
    neurons_of: dict[bytes, list[int]] = {}
    for i, row in enumerate(written):
        inside = row > (row.max() + row.min()) / 2.0
        turned = 2 * inside.sum() > k or (2 * inside.sum() == k and inside[0])
        neurons_of.setdefault((~inside if turned else inside).tobytes(), []).append(i)
    sizes = {key: float(squares[neurons].sum()) for key, neurons in neurons_of.items()}
    keys = [key for key, size in sizes.items() if size > _LEAST * max(sizes.values())]
    B = np.array([np.frombuffer(key, bool) for key in keys], np.float64).reshape(len(keys), k)
    sets = B - B.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(sets, axis=1)
    B, sets, norms = B[norms > 0.0], sets[norms > 0.0], norms[norms > 0.0]
    C = np.zeros((m, len(B)))
    if len(B) == 0:
        return C, B
    for i, row in enumerate(written):
        taken: list[int] = []
        rest = row
        while len(taken) < _MOST_SETS:
            chosen = [*taken, int(np.abs(sets @ rest / norms).argmax())]
            share = np.linalg.lstsq(sets[chosen].T, row, rcond=None)[0]
            left = row - share @ sets[chosen]
            if spread[i] ** 2 * (rest @ rest - left @ left) <= tolerance * squares.mean():
                break
            taken, rest, C[i, chosen] = chosen, left, share
    there = C.any(axis=0)
    return C[:, there], B[there]


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

    def __init__(
        self,
        written: FloatArray,
        spread: FloatArray,
        members: list[IntArray],
        first: tuple[FloatArray, FloatArray] | None = None,
        mirrored: bool = False,
    ) -> None:
        """`written`: (m, k), what neurons write; `spread`: how much each varies; `first`: C and B that all have.

        `mirrored`: each direction is an even or an odd function of the output, modulo their number.
        """
        self._members = members
        self._written, self._spread = written, np.maximum(spread, _TINY * spread.max(initial=_TINY))
        m, k = written.shape
        self._first = (np.zeros((m, 0)), np.zeros((0, k))) if first is None else first
        written = centred(written - self._first[0] @ self._first[1])
        sizes, columns, rows = [], [], []
        back = written[:, -np.arange(k)]
        kinds = [((written + back) / 2.0, 1.0), ((written - back) / 2.0, -1.0)] if mirrored else [(written, 0.0)]
        for neurons, (kind, sign) in product(members, kinds):
            of = self._spread[neurons, None]
            left, size, right = np.linalg.svd(kind[neurons] * of, full_matrices=False)
            right = (right + sign * right[:, -np.arange(k)]) / (1.0 + abs(sign))  # to the last bit
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
        C = np.concatenate([self._first[0], self._C[:, :number]], axis=1)
        B = np.concatenate([self._first[1], self._B[:number]])
        scales = np.sqrt((self._written - C @ B).std(axis=1) / self._spread)
        scales = np.maximum(scales, _TINY * max(float(scales.max(initial=0.0)), _TINY))
        return {"factors": np.concatenate([C.T / scales, B], axis=1), "scales": scales}

    def in_sets(self, number: int, each: int, small: float) -> HintArrays:
        """So many of them where neurons are taken together, `each` sets for a direction, with means of what they read.

        Neurons are left out that have less than the part `small` of the squares that one has on average.
        """
        C, B = self._C[:, :number], self._B[:number]
        m = len(C)
        squares = (C**2).sum(axis=1) * self._spread**2
        squares = np.where(squares < small * squares.mean(), 0.0, squares)
        of, weights, rows = np.full(m, -1), np.zeros(m), list[FloatArray]()
        for neurons in self._members:
            neurons = neurons[squares[neurons] > 0.0]
            if len(neurons) == 0:
                continue
            sizes = np.linalg.norm(C[neurons], axis=1)
            number_of = min(each * int(C[neurons].any(axis=0).sum()), len(neurons))
            set_of, middles = _alike_sets(C[neurons] / sizes[:, None], squares[neurons], number_of)
            of[neurons] = set_of + len(rows)
            weights[neurons] = np.maximum((C[neurons] * middles[set_of]).sum(axis=1), 0.0)
            rows += list(middles)
        units = np.array(rows).reshape(len(rows), number)
        rest = self._written - weights[:, None] * np.where(of[:, None] < 0, 0.0, units[of]) @ B
        scales = rest.std(axis=1) + _OF_ALL * self._written.std(axis=1)
        scales = np.sqrt(scales / self._spread)
        scales = np.maximum(scales, _TINY * max(float(scales.max(initial=0.0)), _TINY))
        weights = weights / scales
        means = [self._mean(neurons, of, weights, scales, len(units)) for neurons in self._members]
        return {
            "sets": of,
            "weights": weights,
            "factors": np.concatenate([units.T, B], axis=1),
            "means": np.array([mean for mean in means if mean.any()]).reshape(-1, len(units)),
            "scales": scales,
        }

    def _mean(
        self, neurons: IntArray, of: IntArray, weights: FloatArray, scales: FloatArray, number: int
    ) -> FloatArray:
        """The direction in which |v| of these neurons is large, as a number for each set."""
        mean = np.zeros(number)
        neurons = neurons[of[neurons] >= 0]
        if len(neurons) == 0:
            return mean
        there, which = np.unique(of[neurons], return_inverse=True)
        norms = np.sqrt(np.bincount(which, weights[neurons] ** 2))
        norms = np.maximum(norms, _TINY * max(float(norms.max()), _TINY))
        along = np.bincount(which, weights[neurons] * self._spread[neurons] * scales[neurons]) / norms
        mean[there] = along / max(float(np.linalg.norm(along)), _TINY) / norms
        return mean


def _alike_sets(unit: FloatArray, sizes: FloatArray, number: int) -> tuple[IntArray, FloatArray]:
    """So many sets of rows of length 1 that are nearly the same, large ones above all, and a unit row for each set."""
    chosen = [int(sizes.argmax())]
    while len(chosen) < number:
        chosen.append(int((sizes * (1.0 - (unit @ unit[chosen].T).max(axis=1))).argmax()))
    middles = unit[chosen]
    for _ in range(_ROUNDS):
        of = np.asarray((unit @ middles.T).argmax(axis=1))
        sums = np.zeros_like(middles)
        np.add.at(sums, of, sizes[:, None] * unit)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        middles = np.where(length > 0.0, sums / np.maximum(length, _TINY), middles)
    return of, middles


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
    directions = sum(len(hint) for name, hint in hints.items() if name in ("factors", "stream", "logits")) + 1
    folding = 8 * weights * (n + d) + 16 * n * (m + k)
    groups_ = k + 2 * n * n * max(m, k) // BATCH_ENTRIES + 2
    each = n * n * (2 * m * k if not hints else 4 * directions * (m + k)) + n * n * (40 * m + 40 * k)
    tables_ = groups_ * (12 * m * k) + 8 * directions * m * k
    if "sets" in hints:
        directions += len(hints["means"]) + len(hints["factors"]) + hints["read"].shape[1] + hints["written"].shape[1]
    supports = {column.tobytes() for column in hints["factors"].T[-k:] != 0.0} if "factors" in hints else set()
    calls = groups_ * (60 + 8 * min(directions, 64) + 4 * len(supports)) + 100
    more, sets, outputs = 0, 0, 0  # of an ideal network: neurons, elements of its sets and pairs of these
    if "pairs" in hints:
        more, outputs = hints["pairs"].shape[1], hints["outputs"].size
        sets = hints["left"].shape[1] + hints["right"].shape[1]
        folding += 40 * n * n * (more + sets) + 8 * more * (more + n) + 6 * n * outputs
        calls += 40 * n
    entries = 8 * weights + 8 * n * (m + k) + 8 * m * k + 4 * directions * (m + k) + 4 * n * n
    entries += 2 * more * more + 20 * n * (more + sets)
    entries += 10 * directions * min(n * n, BATCH_ENTRIES // k + 1)  # of a group, in all directions at once
    return Work(4 * (folding + each + tables_) + CALL * calls, 8 * entries + ROOM)


def _every_logit(problem: Problem[PairSum, Pairs]) -> int:
    return int(problem.task.total * problem.network.outputs)


def _tables(problem: Problem[PairSum, Pairs]) -> int:
    """The entries of left, right and the table of outputs, and of the direct parts."""
    network, n = problem.network, problem.task.n
    return int(2 * n * network.neurons + network.neurons * network.outputs + 2 * n * network.outputs)


def _is_transformer(problem: Problem[PairSum, Pairs]) -> bool:
    return bool(problem.network.positions)


def _adds(problem: Problem[PairSum, Pairs]) -> bool:
    """Whether it is a transformer on two tokens that adds, with an output for each."""
    return problem.network.positions == 2 and _names_elements(problem) and problem.task.record["name"] == "add-mod"


def _names_elements(problem: Problem[PairSum, Pairs]) -> bool:
    """Whether each output stands for an element of the group."""
    return bool(problem.network.outputs == problem.task.n)


def _companion(
    name: str,
    complexity: str,
    summary: str,
    search: Any = no_hints,
    lemmas: tuple[str, ...] = (),
    unexplained_dimension: Any = _tables,
    says_something: Any = lambda problem: True,
    trained_toward: Any = None,
) -> Companion:
    """Of a theorem that rests on these lemmas besides the two of all."""
    return Companion(
        _task,
        search=search,
        work=_work,
        complexity=complexity,
        summary=summary,
        stated_in=f"{PLACE}.{name}",
        lemmas=(
            "compactproofs.networks.pair_sum.circuits",
            *(f"{PLACE}.{lemma}" for lemma in ("by_label", *lemmas)),
        ),
        unexplained_dimension=unexplained_dimension,
        by_input=True,
        says_something=says_something,
        trained_toward=trained_toward,
    )


COMPANIONS = {
    **{
        f"pair-sum/brute-force{side}": _companion(
            "brute_force",
            "O(n^2 m k)",
            f"every pair of arguments is its own case{words}",
            unexplained_dimension=_every_logit,
        )
        for side, words in (("", ""), ("-upper", "; from above"))
    },
    "pair-sum/low-rank": _companion(
        "low_rank",
        "O(n^2 (m + k) s)",
        "s directions of the neurons decide, norms bound the rest",
        _low_rank,
    ),
    "pair-sum/low-rank-separable": _companion(
        "separable",
        "O(n^2 (m + k) s)",
        "s directions of the neurons decide, a norm for x and one for y bound the rest",
        _separable,
        ("low_rank",),
    ),
    "pair-sum/low-rank-halves": _companion(
        "halves",
        "O(n^2 (m + k) s)",
        "s directions of the neurons decide; of the rest one half is linear, a norm bounds the other",
        _halves,
        ("low_rank",),
    ),
    "pair-sum/thin-halves": _companion(
        "thin",
        "O(n^2 m + n d^2)",
        "low-rank-halves for a transformer, and few directions of the residual stream",
        _thin,
        ("halves", "low_rank"),
        says_something=_is_transformer,
    ),
    "pair-sum/few-directions": _companion(
        "few_directions",
        "O(n^2 (m + k))",
        "a transformer that is small outside of a few directions, computed in these alone",
        _few_directions,
        ("low_rank",),
        says_something=_is_transformer,
        trained_toward=_adds,
    ),
    "pair-sum/equivariant-distance": _companion(
        "equivariant",
        "O(n^2 m + n^3)",
        "near a network with all of the group's symmetry, whose margins are one for all inputs",
        _equivariant,
        ("low_rank",),
        says_something=_names_elements,
    ),
}
