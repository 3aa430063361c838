"""Networks of two arguments: what they compute, in rational numbers; tasks, loading, and that no bound is false."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import cache, partial
from itertools import chain, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save

import pair_sums
from compactproofs import InvalidModel
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.kernel.library import UnknownTask
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.pair_sum.circuits import tables
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.search.families import companion_of
from compactproofs.search.prover import Prover
from compactproofs.search.workspaces import MeasuredWorkspace, Reading, plain, run
from compactproofs.tasks.pairs import Pairs, add_mod, elements, group_products, pair_table
from compactproofs.tasks.tables import Table
from compactproofs.tasks.with_tables import with_tables
from compactproofs.testing import Planted, Weights, hostile_hints
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.pair_sum.by_label import groups
from compactproofs.theorems.pair_sum.halves import squares_of_sums

FAMILY = [s for s in BUILT_IN.strategies.values() if s.family == PairSum.family]
STRATEGIES = [s for s in FAMILY if "pair-table" in s.tasks]
TABLES = (
    *(add_mod(n).table for n in (2, 3, 4)),
    np.array([[0, 0, 0], [0, 0, 0], [0, 0, 2]]),  # labels of very unequal numbers, and one that there is not
    np.array([[1, 0], [1, 1]]),
    np.array([[0, 1, 2], [2, 1, 0], [0, 0, 1]]),
)

#: What networks of these kinds know, and are asked: two that answer something else, and one that is nearly right.
CYCLIC = ("cyclic", "lopsided", "scrambled", "sparse", "uneven")  # for equivariant distance
KNOWN = {"turned": TABLES[4].T, "opposite": 1 - TABLES[0], "aligned": np.zeros((2, 2), np.int64)}
ASKED = {"turned": TABLES[4], "opposite": TABLES[0], "aligned": np.zeros((2, 2), np.int64)}


def network_of(weights: Mapping[str, npt.NDArray[np.float64]]) -> PairSum:
    """A network with these tensors."""
    return PairSum(weights)


# Networks


@pytest.mark.parametrize("kind", ["mlp", "two", "three"])
def test_logits(kind: str) -> None:
    """The two tables that are added give the logits of the definition, in enclosures that are not wide."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        weights = drawn(rng, kind, noise=1.0)
        network = network_of(weights)
        found = tables(Workspace(Problem(network, add_mod(network.n))))
        for x in range(network.n):
            for y in range(network.n):
                h = np.maximum(found.left[x] + found.right[y], 0.0)
                ours: Any = h @ found.out + found.of_y[y if len(found.of_y) > 1 else 0]
                ours = ours if found.of_x is None else ours + found.of_x[x]
                for mid, rad, exact in zip(ours.mid, ours.rad, pair_sums.logits(network.tensors, x, y), strict=True):
                    assert abs(exact - Fraction(mid)) <= Fraction(rad) <= 1e-9


def drawn(rng: np.random.Generator, kind: str, noise: float | None = None) -> Weights:
    """Tensors of a network of this kind that knows one of the tables, more or less."""
    table = KNOWN[kind] if kind in KNOWN else TABLES[rng.integers(len(TABLES))]
    noise = float(rng.choice([0.0, 0.03, 0.1, 0.3])) if noise is None else noise
    if kind in CYCLIC:
        return ideal(rng, kind)
    if kind == "aligned":
        return aligned(rng)
    if kind in ("two", "three"):
        return pair_sums.transformer(rng, table, noise, {"two": 2, "three": 3}[kind])
    return pair_sums.mlp(rng, table, noise)


#: Of each kind, the hints that go with the network that was drawn last.
PLANNED: dict[str, dict[str, npt.NDArray[Any]]] = {}


def ideal(rng: np.random.Generator, kind: str) -> Weights:
    """Nearly an ideal network for addition modulo n, or one that is ideal but for one of the conditions.

    "lopsided": what is written is not the same for translates; "scrambled": the group does not act on the sets;
    "sparse": pairs are missing; "uneven": weights do not add up to 1.
    """
    n = 3 if kind == "scrambled" else int(rng.integers(2, 4))
    table = add_mod(n).table
    action = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0]]) if kind == "scrambled" else table
    a, b = np.divmod(np.arange(n * n), n)
    if kind == "sparse":
        keep = (rng.random(n * n) < 0.6) | ((a == 0) & (b == 0))
        a, b = a[keep], b[keep]
    L, P = np.eye(n)[0] + 0.1 * rng.normal(size=n), np.eye(n)[0] - 1.0 + 0.1 * rng.normal(size=n)
    W = np.eye(n)
    if kind == "lopsided":
        W[1:] = rng.normal(size=(n - 1, n))
    elif kind != "scrambled":
        W = (rng.normal(size=n) + 2 * np.eye(n)[0])[table[:, -np.arange(n) % n]]  # of a - b
    left, right, out = L[action[-np.arange(n) % n][:, a]], P[action[:, b]], W[a, action[:, b]].T
    scales = 10.0 ** rng.uniform(-1, 1, len(a))
    more = rng.choice([0.1, 1.0, 10.0], (3, len(a)))
    if kind == "uneven":
        out = out * more[0][:, None]
    clean = {"W": np.concatenate([left, right]) * scales, "W_U": out / scales[:, None], "b": np.zeros(n)}
    weights = pair_sums.noisy(rng, {"W_x": np.eye(n), "W_y": np.eye(n), **clean}, float(rng.choice([0.0, 0.003, 0.03])))
    weights["b"] += float(rng.choice([0.0, 0.3])) * rng.normal(size=n)
    PLANNED[kind] = {
        "left": action.astype(np.uint16),
        "right": action.astype(np.uint16),
        "left_values": L,
        "right_values": P,
        "outputs": W,
        "pairs": np.stack([a, b]).astype(np.int64),
        "sizes": np.concatenate([1.0 / scales[None], more]),
    }
    return weights


def aligned(rng: np.random.Generator) -> Weights:
    """A perceptron whose neurons all vary alike, about a mean that gives the right answer, and just too much."""
    m, apart = 5, float(rng.uniform(0.1, 0.9))
    W = np.zeros((4, m))
    W[2:] = 1.0 + apart * np.array([[-1.0], [1.0]])
    lead = m * (1.0 - apart * rng.uniform(0.9, 1.0))  # between the least sum of neurons and the mean one
    out = np.stack([np.ones(m), np.zeros(m)], axis=1)
    return {"W_x": np.eye(2), "W_y": np.eye(2), "W": W, "W_U": out, "b": np.array([-lead, 0.0])}


def test_reading() -> None:
    """Files give the same network, with biases left out where they are zero, and whatever a pattern is made of."""
    for kind in ("mlp", "two", "three"):
        weights = drawn(np.random.default_rng(1), kind, 0.0)
        network = network_of(weights)
        kept = {name: w.astype(np.float32) for name, w in weights.items() if ".b_" not in name and name != "b"}
        more = (
            {} if kind == "mlp" else {"blocks.0.attn.W_Q": np.ones((2, 3)), "blocks.0.attn.mask": np.ones(1, np.bool_)}
        )
        assert PairSum.from_bytes(save({**kept, **more})).sha256 == network.sha256
        other = {**weights, next(iter(weights)): next(iter(weights.values())) * 2}
        assert network_of(other).sha256 != network.sha256
        with pytest.raises(ValueError, match="read-only"):
            network.weight(next(iter(weights)))[0] = 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W_E": np.eye(2)}, "found W_E, which a pair-sum perceptron does not have"),
        ({"W_U": None}, "no tensor named W_U"),
        ({"W": np.ones((5, 9))}, "W has 5 rows, but W_x and W_y have 3 columns"),
        ({"W_U": np.ones((8, 3))}, "W_U has d_mlp = 8"),
        ({"W_U": np.full((9, 3), np.nan)}, "W_U contains NaN"),
        ({"W_x": np.ones((3, 3), np.int64)}, "W_x has type I64"),
        ({"W_U": np.ones((9, 1)), "b": None}, "there is 1 output"),
    ],
)
def test_refused(change: dict[str, Any], message: str) -> None:
    """What is no such network, with the reason."""
    weights = {**pair_sums.mlp(np.random.default_rng(0), TABLES[1], 0.0), **change}
    weights["b"] = np.zeros(weights["W_U"].shape[1]) if "W_U" not in change else None
    data = save({name: w for name, w in weights.items() if w is not None})
    with pytest.raises(InvalidModel, match=message):
        PairSum.from_bytes(data)
    four = pair_sums.transformer(np.random.default_rng(0), TABLES[1], 0.0)
    four["pos_embed.W_pos"] = np.zeros((4, four["pos_embed.W_pos"].shape[1]))
    with pytest.raises(InvalidModel, match="W_pos is for 4 positions"):
        network_of(four)


# Tasks


@pytest.mark.parametrize("group", ["S2", "S4", "A3", "A4", "A5", "D3", "D7", "F2", "F5", "F7"])
def test_groups(group: str) -> None:
    """The tables are those of groups, with the elements in the order that is stated."""
    task = group_products(group)
    table, maps = task.table, elements(group)
    everyone = np.arange(task.n)
    assert [sorted(row) for row in (*table, *table.T)] == [list(everyone)] * (2 * task.n)
    assert (table[table] == table[:, table]).all()  # (x y) z = x (y z)
    x, y = np.random.default_rng(0).integers(task.n, size=(2, 50))
    assert (maps[table[x, y]] == np.take_along_axis(maps[x], maps[y].astype(np.int64), axis=1)).all()
    if group[0] in "SA":
        assert maps.tolist() == sorted(maps.tolist())
    if group[0] == "D":
        d = task.n // 2
        assert maps[1].tolist() == [*range(1, d), 0]
        assert maps[d].tolist() == [0, *range(d - 1, 0, -1)]
    if group[0] == "F":
        d = maps.shape[1]
        assert maps[1].tolist() == [*range(1, d), 0]
        assert maps[0].tolist() == list(range(d))


def test_records() -> None:
    """Each task is what its record says, and nothing else is a record."""
    table = np.array([[0, 1], [1, 1]], np.uint8)
    tasks = (add_mod(5), group_products("S3"), pair_table(table))
    for task in tasks:
        again = Pairs.of_record(task.record, [Table(table.T), Table(table)])
        assert again == task
        assert (again.table == task.table).all()
        for key in task.record:
            if key != "name":
                with pytest.raises(ValueError, match=r"expected|unknown group|none like it is given"):
                    Pairs.of_record({**task.record, key: "2"}, [Table(table)])
        with pytest.raises(ValueError, match="expected exactly"):
            Pairs.of_record({**task.record, "more": 1}, [Table(table)])
    for library in (BUILT_IN, with_tables([Table(table + 1)], BUILT_IN)):
        with pytest.raises(UnknownTask, match="none like it is given"):
            library.task(tasks[-1].record)
    assert with_tables([Table(table)], BUILT_IN).task(tasks[-1].record) == tasks[-1]
    for name in ("S7", "S1", "A2", "D2", "D513", "F4", "F37", "C0", "Q8", "S05"):
        with pytest.raises(ValueError, match="unknown group"):
            group_products(name)
    for bad in (
        np.eye(3),
        np.zeros((2, 3), int),
        np.zeros((1, 1), int),
        -np.eye(3, dtype=int),
        -2 * np.eye(2, dtype=int),
    ):
        with pytest.raises(ValueError, match=r"expected|found"):
            pair_table(bad)
    for n in (1, 1025):
        with pytest.raises(ValueError, match="expected n"):
            add_mod(n)


def test_groups_of_inputs() -> None:
    """Every input is in one group, with its label, whatever the table and the size of groups."""
    rng = np.random.default_rng(0)
    for width in (1, 2**16, 2**17, 2**30):
        table = rng.integers(0, 4, (7, 7))
        seen = np.zeros((7, 7), int)
        for group in groups(table, width):
            assert (table[group.x, group.y] == group.label).all()
            assert len(group.x) <= max(1, 2**18 // width)
            seen[group.x, group.y] += 1
        assert (seen == 1).all()


# Bounds

#: What a trial is made of.
MODULES = (
    *(
        "theorems",
        "theorems.pair_sum.low_rank",
        "theorems.pair_sum.separable",
        "theorems.pair_sum.halves",
        "theorems.pair_sum.thin",
        "testing.trial",
        "search.families",
        "tasks.pairs",
    ),
    *("networks.pair_sum.model", "networks.pair_sum.circuits"),
)


def table_of(weights: Mapping[str, npt.NDArray[np.float64]], kind: str) -> npt.NDArray[np.int64]:
    """Of the tables that fit a network, the one that it knows best; or the one that networks of its kind are asked."""
    if kind in ASKED:
        return ASKED[kind]
    if kind in CYCLIC:
        return add_mod(len(weights["W_x"])).table
    network = network_of(weights)
    fitting = [t for t in TABLES if len(t) == network.n and t.max() < network.outputs]
    with np.errstate(all="ignore"):
        return max(fitting, key=lambda table: int((margins_of(network, table) > 0).sum()))


def task_of(pairs: Any, weights: Mapping[str, npt.NDArray[np.float64]], kind: str) -> Any:
    """The task that networks of a kind are asked about; `pairs`: the module of tasks."""
    return pairs.add_mod(len(weights["W_x"])) if kind in CYCLIC else pairs.pair_table(table_of(weights, kind))


def margins_of(network: PairSum, table: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The least lead of the label for each pair, in plain floats."""
    found = tables(MeasuredWorkspace(Problem(network, add_mod(network.n)), "value"))
    left, right, out, of_y = (plain(part) for part in (found.left, found.right, found.out, found.of_y))
    of_x = np.zeros((1, 1)) if found.of_x is None else plain(found.of_x)
    all_logits = np.maximum(left[:, None] + right, 0.0) @ out + of_x[:, None] + of_y
    leads = np.take_along_axis(all_logits, table[..., None], axis=2) - all_logits
    return np.asarray(np.where(np.arange(leads.shape[2]) == table[..., None], np.inf, leads).min(axis=2))


def own_module(name: str) -> Any:
    """A module of the package."""
    return importlib.import_module(f"compactproofs.{name}")


def trial(strategy_id: str, kind: str, module: Callable[[str], Any] = own_module) -> Any:
    """A strategy on networks of a kind; `module`: of which copy of the package, by names relative to it."""

    def margins(weights: Weights) -> npt.NDArray[np.float64]:
        return margins_of(network_of(weights), table_of(weights, kind)).ravel()

    def search(strategy: Any, work: Any) -> Any:
        """What the companion finds; or no directions at all; or all of them, with scales of any size and sign."""
        m, k = work.network.neurons, work.network.outputs
        way = int(work.network.sha256, 16) % 4 if strategy.hints(work.problem) else 0
        if kind in CYCLIC and PLANNED[kind]["pairs"].shape[1] == m and PLANNED[kind]["left"].shape[0] == k and way:
            return PLANNED[kind]
        forms = strategy.hints(work.problem)
        if way > 1 or kind in CYCLIC or "stream" in forms:
            return module("search.families").companion_of(strategy).search(strategy, work)
        # In the first columns of the unit matrix all is seen, or nothing but a part.
        bases = {
            name: np.eye(forms[name].shape[0])[:, : None if way == 3 else 3] for name in OF_STREAM if name in forms
        }
        if way == 1 or kind == "aligned":
            return known_of({"factors": np.zeros((0, m + k)), "scales": np.ones(m), **bases}, forms)
        scales = np.random.default_rng(m).choice([-2.0, -1.0, 1.0, 0.5, 1e9, 1e-9, np.nan, 0.0], m)
        low_rank = module("theorems.pair_sum.low_rank")
        out = low_rank.rescaled(work, module("networks.pair_sum.circuits").tables(work), scales).out
        return known_of({"factors": np.concatenate([out.T, np.eye(k)], axis=1), "scales": scales, **bases}, forms)

    def known_of(hints: Any, forms: Any) -> Any:
        """The same, where hints have sets, with a set for each neuron, or two in one, and any means."""
        if "sets" not in forms:
            return hints
        m, rng = len(hints["scales"]), np.random.default_rng(len(hints["factors"]))
        sets, weights = np.arange(m), rng.choice([-1.0, 1.0, 1.0, 0.5, np.nan], m)
        sets[m // 2 :] = rng.integers(-1, m, m - m // 2)
        return {**hints, "sets": sets, "weights": weights, "means": rng.normal(size=(rng.integers(0, 3), m)) / m}

    strategy = module("theorems").BUILT_IN.strategy(strategy_id)
    return module("testing.trial").Trial(
        strategy=strategy,
        draw=lambda rng: drawn(rng, kind),
        network=lambda **weights: module("networks.pair_sum.model").PairSum(weights),
        task=lambda network: task_of(module("tasks.pairs"), network.tensors, kind),
        truth=lambda network: pair_sums.exact_correct(network, table_of(network.tensors, kind)),
        search=search,
        margins=margins,
    )


@pytest.mark.parametrize("kind", CYCLIC)
def test_equivariant_never_more_than_the_truth(kind: str) -> None:
    """No bound is false for networks that are nearly ideal, or not at all."""
    trial("pair-sum/equivariant-distance", kind).assert_sound(6)


@pytest.mark.parametrize("kind", ["mlp", "two", "three", *KNOWN])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.id)
def test_never_more_than_the_truth(strategy: Any, kind: str) -> None:
    """No bound is false: weights as drawn, ties, the ends of float64, razors; all kinds of hints; no tolerance."""
    trial(strategy.id, kind).assert_sound(6 if kind == "mlp" else 2)


def test_squares_of_sums() -> None:
    """They are those of rational numbers, also where sums are small, or 0."""
    rng = np.random.default_rng(0)
    left = rng.normal(size=(3, 4))
    right = np.concatenate([rng.normal(size=(2, 4)), -left[:1], 1e-9 - left[1:2], left[2:]])
    found: Any = squares_of_sums(*2 * [Workspace(Problem(None, None)).constant(part) for part in (left, right)])
    for (x, y), mid in np.ndenumerate(found.mid):
        square = sum((Fraction(a) + Fraction(b)) ** 2 for a, b in zip(left[x], right[y], strict=True))
        rad = Fraction(found.rad[x, y])
        assert abs(Fraction(mid) - square) <= rad <= 1e-12


def test_attacks_find_nothing() -> None:
    """Nor does a hill climb over weights and hints find one."""
    for strategy_id in ("pair-sum/low-rank", SEPARABLE, HALVES, "pair-sum/brute-force-upper"):
        assert trial(strategy_id, "mlp").attack(40).gap <= 0


def test_tight() -> None:
    """Networks that know their table are proved to, from either side; ties are wrong and never proved to be."""
    for kind in ("mlp", "two"):
        for i, table in enumerate(TABLES):
            rng = np.random.default_rng(i)
            weights = pair_sums.mlp(rng, table, 0.01) if kind == "mlp" else pair_sums.transformer(rng, table, 0.01)
            prover = Prover(network_of(weights), pair_table(table))
            found = {s.id: prover.prove(s.id).certificate for s in STRATEGIES}
            assert [c.certified for c in found.values()] == [0, *[table.size] * 5, *[table.size * (kind == "two")] * 2]
            assert prover.exact_correct() == table.size
    tied = {name: np.zeros_like(w) for name, w in pair_sums.mlp(np.random.default_rng(0), TABLES[1], 0.0).items()}
    prover = Prover(network_of(tied), add_mod(3))
    assert [prover.prove(s.id).certificate.certified for s in STRATEGIES] == [0, 0, 9, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("strategy", FAMILY, ids=lambda strategy: strategy.id)
def test_effort(strategy: Any) -> None:
    """What companions declare is enough, also where hints are larger than they need be."""
    rng = np.random.default_rng(0)
    for task in (add_mod(3), add_mod(11), group_products("S3")):
        network = network_of(pair_sums.mlp(rng, task.table, 0.01))
        problem = Problem(network, task)
        for kind in ("searched", "plausible", "flat"):
            values = MeasuredWorkspace[PairSum, Pairs](problem, "value")
            search = partial(companion_of(strategy).search, strategy, values)
            hints = hostile_hints(strategy, problem, kind, rng, search, 40)
            found = run(strategy, MeasuredWorkspace[PairSum, Pairs](problem, "check"), hints)
            assert found.cost.work <= companion_of(strategy).work(problem, hints).operations


SEPARABLE, APART = "pair-sum/low-rank-separable", "theorems.pair_sum.separable"
HALVES, HALVED = "pair-sum/low-rank-halves", "theorems.pair_sum.halves"
OF_STREAM, THIN, THINNER = ("heads", "read", "written"), "pair-sum/thin-halves", "theorems.pair_sum.thin"
BY_LABEL, LOW_RANK, CIRCUITS = "theorems.pair_sum.by_label", "theorems.pair_sum.low_rank", "networks.pair_sum.circuits"
EQUIVARIANT, IDEAL = "pair-sum/equivariant-distance", "theorems.pair_sum.equivariant"
#: A strategy, networks, the module, what stands there, what is put there instead, and a draw that shows it.
ERRORS = [
    ("pair-sum/low-rank", "mlp", LOW_RANK, "right=network.right * size, ", "", 6),
    ("pair-sum/low-rank", "mlp", LOW_RANK, "left=network.left * size, ", "", 1),
    ("pair-sum/low-rank", "opposite", LOW_RANK, "network.out / size[:", "network.out * size[:", 19),
    ("pair-sum/low-rank", "mlp", LOW_RANK, " - slack", "", 0),
    ("pair-sum/low-rank", "mlp", LOW_RANK, "centre @ rest", "(centre - off[0]) @ rest", 1),
    ("pair-sum/low-rank", "aligned", LOW_RANK, "(off * off).sum(axis=1)", "(off * off).max(axis=1)", 0),
    ("pair-sum/low-rank", "opposite", LOW_RANK, "axis=1)[:, place]", "axis=1)", 3),
    ("pair-sum/low-rank", "aligned", LOW_RANK, "[:, None] + squares - 2.0 *", "[:, None] - 2.0 *", 0),
    (SEPARABLE, "mlp", APART, " - (of_x[group.x] + of_y[group.y])", "", 12),
    (SEPARABLE, "aligned", APART, "of_x[group.x] + of_y[group.y]", "of_x[group.x]", 0),
    (SEPARABLE, "mlp", APART, "of_x[group.x] + of_y[group.y]", "of_y[group.y]", 20),
    (SEPARABLE, "opposite", APART, "2.0 * np.sqrt((rest", "np.sqrt((rest", 7),
    (HALVES, "mlp", HALVED, " - size[:, None] * parts.apart[group.label]", "", 0),
    (HALVES, "mlp", HALVED, "0.5 * (network.right @ rest)", "1.5 * (network.right @ rest)", 3),
    (HALVES, "mlp", HALVED, " - chosen.times(minus_right)", " + chosen.times(minus_right)", 1),
    (HALVES, "mlp", HALVED, "size[:, None] * parts.apart", "0.5 * size[:, None] * parts.apart", 8),
    (HALVES, "mlp", HALVED, " + (right * right_also).sum(axis=1)", "", 6),
    (HALVES, "mlp", HALVED, "group.x[~proved], group.y[~proved]", "group.x[proved], group.y[proved]", 1),
    (EQUIVARIANT, "lopsided", IDEAL, "(outputs[left][:, right] == outputs).all() and ", "", 3),
    (EQUIVARIANT, "sparse", IDEAL, "and (there[left] == there).all() and (there[:, right] == there).all()", "", 6),
    (EQUIVARIANT, "scrambled", IDEAL, "return all((action[table[x]] ==", "return True or all((action[table[x]] ==", 0),
    (EQUIVARIANT, "uneven", IDEAL, "weights = share / ", "weights = share + 0.0 * ", 3),
    (EQUIVARIANT, "cyclic", IDEAL, "_norms(off, of_rest)[:, None] *", "0.0 * _norms(off, of_rest)[:, None] *", 15),
    (EQUIVARIANT, "cyclic", IDEAL, ", inverse[group.y][:, None]]", ", group.y[:, None]]", 8),
    (EQUIVARIANT, "cyclic", IDEAL, "off, off_ideal = h - centre, h - ", "off, off_ideal = h - h, h - ", 15),
    ("pair-sum/brute-force", "mlp", BY_LABEL, ".all(axis=1)", ".any(axis=1)", 0),
    ("pair-sum/brute-force", "mlp", BY_LABEL, "tables.right[group.y]", "tables.right[group.x]", 1),
    ("pair-sum/brute-force", "turned", BY_LABEL, "x, y = np", "y, x = np", 0),
    ("pair-sum/brute-force", "mlp", CIRCUITS, "W[half:]", "W[:half]", 1),
    ("pair-sum/brute-force", "mlp", CIRCUITS, 'work.weight("b")[None]', '0.0 * work.weight("b")[None]', 28),
    ("pair-sum/brute-force", "two", CIRCUITS, "float(work.network.positions)", "float(work.network.positions + 1)", 3),
    ("pair-sum/brute-force", "two", CIRCUITS, "E[:n] + P[1]", "E[:n] + P[0]", 4),
    ("pair-sum/brute-force", "three", CIRCUITS, "+ (tokens[n] + positions[2])", "+ (tokens[0] + positions[2])", 1),
    ("pair-sum/brute-force", "two", CIRCUITS, ' + work.weight("blocks.0.mlp.b_in")', "", 3),
]  # fmt: skip
#: Those that take longer to be found.
LONGER = [
    (HALVES, "mlp", HALVED, "0.5 * (network.left @ rest)", "0.0 * (network.left @ rest)", 0),
    (HALVES, "mlp", HALVED, "parts.squares[group.x, group.y]", "parts.squares[group.y, group.x]", 0),
    (SEPARABLE, "mlp", APART, "sum(axis=0).max()", "sum(axis=0).min()", 0),
    ("pair-sum/low-rank", "opposite", LOW_RANK, " & (numbers > 0.0)", "", 0),
    ("pair-sum/low-rank", "mlp", LOW_RANK, "nonzero(support)", "nonzero(support)[: max(1, sum(support) - 1)]", 0),
    (EQUIVARIANT, "cyclic", IDEAL, "slack + _norms(off_ideal", "slack + 0.0 * _norms(off_ideal", 0),
    (EQUIVARIANT, "cyclic", IDEAL, " + direct(network, group, centre @ rest)", "", 0),
    ("pair-sum/brute-force", "two", BY_LABEL, "tables.of_x[group.x]", "tables.of_x[group.y]", 0),
    ("pair-sum/brute-force", "two", CIRCUITS, "tokens[:n] + positions[1]", "tokens[:n] + positions[0]", 0),
    ("pair-sum/brute-force", "three", CIRCUITS, "(E[n] + P[2])[None]", "(E[0] + P[2])[None]", 0),
]  # fmt: skip


def tiny(rng: np.random.Generator, positions: int, neurons: int) -> PairSum:
    """A transformer of one neuron, or few, and a stream of two numbers, where bounds by norms are nearly what they
    bound.
    """
    n, c, d, m, k = 3, positions, 2, neurons, 2
    shapes = {
        **{"embed.W_E": (n + c - 2, d), "pos_embed.W_pos": (c, d), "unembed.W_U": (d, k), "unembed.b_U": (k,)},
        **{f"blocks.0.attn.{name}": shape for name, shape in (("W_V", (1, d, d)), ("W_O", (1, d, d)))},
        **{"blocks.0.attn.b_V": (1, d), "blocks.0.attn.b_O": (d,)},
        **{
            "blocks.0.mlp.W_in": (d, m),
            "blocks.0.mlp.b_in": (m,),
            "blocks.0.mlp.W_out": (m, d),
            "blocks.0.mlp.b_out": (d,),
        },
    }
    sizes = {name: 0.3 * rng.integers(0, 8) for name in shapes}
    return network_of({name: sizes[name] * rng.normal(size=shape) for name, shape in shapes.items()})


@cache
def tiny_cases() -> list[tuple[Problem[PairSum, Pairs], dict[str, Any], npt.NDArray[np.float64]]]:
    """Tiny networks with any hints, and by how much outputs lead others, shape (n, n, k, k)."""
    rng, cases = np.random.default_rng(0), []
    for number in range(700):
        network = tiny(rng, 2 + number % 2, m := (1, 1, 1, 1, 3, 4)[number % 6])
        problem, k = Problem(network, add_mod(network.n)), network.outputs
        hints = {}
        for name in OF_STREAM:
            # All is seen, by bases that are orthonormal or any, or nothing, or a part.
            basis = np.linalg.qr(rng.normal(size=(2, 2)))[0]
            hints[name] = basis[:, : rng.choice([0, 1, 2, 2, 2])] * rng.choice([1.0, 1.0, 0.9])
        hints["scales"] = rng.uniform(0.5, 2.0, m)
        found = tables(MeasuredWorkspace(problem, "value"))
        # A set for each neuron, or as it comes; all of what they write is seen, or anything; means are any.
        one, out = rng.random() < 0.6, plain(found.out).T / hints["scales"]
        hints["sets"] = np.arange(m) if one else rng.integers(-1, m + 1, m)
        hints["weights"] = (
            rng.uniform(0.5, 2.0, m) * rng.choice([1.0, 1.0, 1.0, -1.0], m)
            if one
            else rng.choice([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan], m)
        )
        exact = np.concatenate([out / np.where(one, hints["weights"], 1.0), np.eye(k)], axis=1)
        hints["factors"] = exact if rng.random() < 0.5 else rng.normal(size=(rng.integers(0, 3), m + k))
        even, way = np.full((rng.integers(1, 3), m), 0.7), rng.random()
        opposite = np.outer([1.0, -0.5], even[0])
        hints["means"] = even if way < 0.3 else opposite if way < 0.5 else rng.normal(size=(rng.integers(0, 3), m))
        cases.append((problem, hints, leads(problem)))
    none: dict[str, Any] = {"factors": np.zeros((0, 3)), "means": np.zeros((0, 1)), "written": np.zeros((2, 0))}
    none |= {"sets": np.zeros(4, np.int64), "weights": np.zeros(4), "scales": np.ones(4)}
    equal = Problem(of_equal_neurons(), add_mod(3))
    return [*cases, (equal, {**none, "heads": np.eye(2), "read": np.eye(2)}, leads(equal))]


def leads(problem: Problem[PairSum, Pairs]) -> npt.NDArray[np.float64]:
    """By how much outputs lead others, shape (n, n, k, k)."""
    found = tables(MeasuredWorkspace(problem, "value"))
    left, right, out, of_x, of_y = (plain(part) for part in found if part is not None)
    logits = np.maximum(left[:, None] + right, 0.0) @ out + of_x[:, None] + of_y
    return np.asarray(logits[..., None] - logits[:, :, None])


def of_equal_neurons() -> PairSum:
    """Four equal neurons that outweigh what the last position writes, if what they write is added up."""
    weights = {"embed.W_E": np.zeros((3, 2)), "pos_embed.W_pos": np.array([[0.0, 0.0], [-3.0, 1.0]])}
    weights |= {"unembed.W_U": np.array([[1.0, -1.0], [0.0, 0.0]]), "unembed.b_U": np.zeros(2)}
    weights |= {f"blocks.0.attn.{name}": np.zeros((1, 2, 2)) for name in ("W_V", "W_O")}
    weights |= {"blocks.0.attn.b_V": np.zeros((1, 2)), "blocks.0.attn.b_O": np.zeros(2)}
    weights |= {"blocks.0.mlp.W_in": np.array([[0.0] * 4, [1.0] * 4]), "blocks.0.mlp.b_in": np.zeros(4)}
    weights |= {"blocks.0.mlp.W_out": np.array([[1.0, 0.0]] * 4), "blocks.0.mlp.b_out": np.zeros(2)}
    return network_of(weights)


#: Of the tiny networks, those on which mistakes make a difference.
TELLING = (
    0,
    1,
    2,
    3,
    6,
    7,
    8,
    9,
    12,
    13,
    14,
    15,
    19,
    21,
    22,
    32,
    43,
    48,
    54,
    68,
    84,
    87,
    108,
    109,
    172,
    230,
    248,
    667,
    700,
)


def thin_fails(
    module: Callable[[str], Any] = own_module, some: Iterable[int] = range(701), reading: Reading = "value"
) -> bool:
    """Whether a lead that thin halves bound from below is less than that, on tiny networks, with any hints.

    Plain numbers tell what the theorem says; what rounding does to its bounds is in tests of the truth.
    """
    thin = module(THINNER)
    for problem, hints, true in map(tiny_cases().__getitem__, some):
        work: Any = MeasuredWorkspace(problem, reading) if reading == "value" else Workspace(problem)
        parts = thin.parts(work, hints)
        for condition in (thin.leads, thin.leads_of_neurons):
            if (leads_of(condition, parts, problem.network.n) > true + 1e-9).any():
                return True
    return False


def leads_of(condition: Any, parts: Any, n: int) -> npt.NDArray[np.float64]:
    """Lower bounds of the lead of each output over each other for all pairs, each of these taken alone."""
    with np.errstate(all="ignore"):
        rows = [
            condition(parts, np.array([x]), np.array([y]), label)
            for x, y, label in product(range(n), range(n), range(parts.apart.shape[0]))
        ]
    found = [row.mid - row.rad if isinstance(row, Enclosure) else row for row in rows]
    return np.reshape(found, (n, n, len(parts.apart), -1))


def test_thin_leads() -> None:
    """All leads are at least what thin halves say, for any hints."""
    assert not thin_fails()
    assert not thin_fails(some=TELLING, reading="check")


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (THINNER, "(e[:n] + g_x * size)", "(0.0 * e[:n] + g_x * size)"),
        (THINNER, "(e[n:] + g_y * size)", "(0.0 * e[n:] + g_y * size)"),
        (THINNER, "g_x * size", "0.0 * g_x"),
        (THINNER, "g_y * size", "0.0 * g_y"),
        (THINNER, "(g_x * direct)", "(0.0 * g_x)"),
        (THINNER, " + g_y * direct", ""),
        (THINNER, "0.0)) + off)", "0.0)))"),
        (THINNER, "2.0 * left_out * (np.sqrt(np.maximum(squares, 0.0)) + off)", "2.0 * left_out * off"),
        (THINNER, " - half_r[:, None] * row", ""),
        (THINNER, " + of_means * parts.means.apart[label]", ""),
        (THINNER, " + of_off * parts.apart_known[label]", ""),
        (THINNER, " + parts.off[x, y][:, None] * parts.apart_known[label]", ""),
        (THINNER, "@ parts.columns + (parts.direct_x[x] + parts", "@ parts.columns + (parts.direct_x[y] + parts"),
        (THINNER, "left[at_x] + right_[at_y]", "left[at_y] + right_[at_x]"),
        (THINNER, "(x[at_x] + y[at_y]) @ K[:, others]", "y[at_y] @ K[:, others]"),
        (THINNER, "y @ (half + times_B(by_C))", "y @ half"),
        (THINNER, 'np.maximum(finite(hints["weights"]), 0.0)', 'finite(hints["weights"])'),
        (THINNER, "less=8.0 - 4.0 * np.abs", "less=8.0 - 2.0 * np.abs"),
        (THINNER, "np.abs(of_N).sum(axis=1)", "np.abs(of_N).max(axis=1)"),
        (THINNER, "apart=distances(seen_R)", "apart=0.2 * distances(seen_R)"),
        (THINNER, "of_x=-(x @ by_N)", "of_x=x @ by_N"),
        (THINNER, "sparse_product(work, means_of", "sparse_product(work, 2.0 * means_of"),
        (THINNER, "np.abs(of_N).sum(axis=1)", "of_N.sum(axis=1)"),
        (THINNER, "out.rows_left.sum()", "out.rows_left.max()"),
        (THINNER, "(weights * weights)[None]", "weights[None]"),
        (THINNER, " - means.less * squares", " - 2.0 * means.less * squares"),
        (THINNER, "Q.T @ Q - 2.0 * np.eye", "Q.T @ Q - 3.0 * np.eye"),
        (THINNER, "half = 0.5 *", "half = 1.5 *"),
        (THINNER, "(last @ W_U + same_for_all(work))", "last @ W_U"),
        (THINNER, "squares + (gram * less).sum()", "squares + 2.0 * (gram * less).sum()"),
    ],
)
def test_planted_in_thin(module: str, old: str, new: str) -> None:
    """Each of these mistakes makes such a lead false."""
    assert thin_fails(Planted("compactproofs", [(module, old, new)], MODULES, sparing=True).module, TELLING)


@pytest.mark.parametrize(
    ("strategy_id", "kind", "module", "old", "new", "draw"),
    [*ERRORS, *(pytest.param(*error, marks=pytest.mark.slow) for error in LONGER)],
)
def test_planted(strategy_id: str, kind: str, module: str, old: str, new: str, draw: int) -> None:
    """Each of these mistakes makes a bound false, and the trial finds it: soonest from a draw that is known to."""
    wrong = trial(strategy_id, kind, Planted("compactproofs", [(module, old, new)], MODULES, sparing=True).module)
    found = chain(wrong.violations(1, first=draw), wrong.violations(60))
    assert next(found, None) is not None or wrong.attack(200).gap > 0
