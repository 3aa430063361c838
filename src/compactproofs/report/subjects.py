"""What pages are about: a model, one of two arguments, or many models, and what several sections need of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

import compactproofs as cp
from compactproofs.analysis import pair_sums
from compactproofs.analysis.inputs import Inputs, Share
from compactproofs.analysis.irreps import irreps
from compactproofs.analysis.margins import Tables
from compactproofs.analysis.mechanism import attended
from compactproofs.analysis.models import Summary
from compactproofs.analysis.waterfall import WATERFALLS, Waterfalls
from compactproofs.kernel.decisions import BoolArray, FloatArray, IntArray
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.paper.rows import ROWS
from compactproofs.search.builtin import get_strategy
from compactproofs.search.choice import certify_within
from compactproofs.search.workspaces import MaxWorkspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.tasks.pairs import Pairs
from compactproofs.theorems.max_of_k import MaxProblem
from compactproofs.theorems.pair_sum.brute_force import decide as pairs_decide

#: The best of the failing sets.
FAILING_SETS = "failing-sets"
#: Our own strategies, beside those of the paper's table.
OWN = {row: strategy for row, strategy in WATERFALLS.items() if row not in {paper.name for paper in ROWS}}
#: The kinds of remainder that are looked at one by one; the tables have all.
DRAWN_KINDS = ("exact_EQKE+max_diff_exact", "svd", "max_diff", "max_diff_subproduct", "max_diff_subproduct_recursive")

#: Seconds for the proofs about a network with several heads, and the size of the sample of its inputs.
PATIENCE_WITH_HEADS, SAMPLE_WITH_HEADS = 120.0, 2**13

#: Irreps whose neurons are drawn, the largest at the top of the page.
MOST_PLACES = 7


@dataclass
class Subject:
    """One model.  `name`: how the page calls it; `rng`: of all random draws, of which noise takes `draws`."""

    name: str
    model: cp.Model
    rng: np.random.Generator
    draws: int

    def __post_init__(self) -> None:
        self.prover = cp.Prover(self.model)
        self.work: MaxWorkspace = self.prover.values
        self.tables = Tables.of(self.work)
        self.inputs = Inputs.of(self.model, self.rng)
        self.waterfalls = Waterfalls(self.work, self.inputs)
        self.exact: Share = self.waterfalls.exact()
        #: The accuracy, as well as it is known: a certified bound may be above an estimate.
        self.accuracy = max(self.exact.value, *(float(proof.bound) for proof in self.proofs.values()))
        #: Whether what it does can be called the task.
        self.works = self.accuracy > 0.5

    @cached_property
    def example(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """An input with its tokens far apart, the largest not where the query is; its attention, and its logits."""
        tokens = np.linspace(0, self.model.d_vocab - 1, self.model.n_ctx + 2).astype(np.int64)[1:-1]
        attention, logits = attended(self.tables, np.roll(tokens, 2)[None])
        return np.roll(tokens, 2), attention[0], logits[0]

    @cached_property
    def proofs(self) -> dict[str, cp.Proof]:
        """A certificate for each strategy of the paper's table but brute force, and for our own."""
        ids = [s for row in ROWS for s in row.strategies if s != "brute-force"] + [*OWN.values()]
        return {s: self.prover.prove(s) for s in dict.fromkeys(ids) if self.obstacle(s) is None}

    def obstacle(self, strategy: str) -> str | None:
        """Why the strategy cannot be run on this model, None if it can."""
        return get_strategy(strategy).limit(max_of_k(self.model))

    def best(self, strategies: Sequence[str]) -> str:
        """The strategy of these that certifies most, the cheapest of several."""
        proofs = self.proofs
        return max(strategies, key=lambda s: (proofs[s].certificate.certified, -proofs[s].cost.flops))


class Both(NamedTuple):
    """Two models beside each other."""

    first: Subject
    second: Subject


@dataclass
class HeadsSubject:
    """One network with several heads; what it does is looked at on a sample of inputs, drawn by `rng`."""

    name: str
    model: ManyHeads
    rng: np.random.Generator

    def __post_init__(self) -> None:
        problem = max_of_k(self.model)
        self.found = certify_within(cp.Prover(self.model, problem.task), PATIENCE_WITH_HEADS)
        #: The paths of each head's one-head network; EU is the same in all.
        self.heads = [Tables.of(cp.Prover(head).values) for head in self.model.heads]
        self.inputs: IntArray = self.rng.integers(0, self.model.d_vocab, (SAMPLE_WITH_HEADS, self.model.n_ctx))
        self.labels: IntArray = self.inputs.max(axis=1)
        self.direct: FloatArray = self.heads[0].EU[self.inputs[:, -1]]
        both = [attended(tables, self.inputs) for tables in self.heads]
        #: What each head looks at, (H, N, n), and writes, (H, N, v).
        self.attention = np.stack([attention for attention, _ in both])
        self.written = np.stack([logits - self.direct for _, logits in both])
        self.right = self.answered(self.direct + self.written.sum(axis=0))
        self.exact = Share(int(self.right.sum()), len(self.right), False)
        #: Whether what it does can be called the task.
        self.works = max(self.exact.value, float(self.found.bound)) > 0.5

    def answered(self, logits: FloatArray) -> BoolArray:
        """For logits (N, v) of the sample, whether the label leads."""
        label = np.take_along_axis(logits, self.labels[:, None], axis=1)
        right: BoolArray = (logits >= label).sum(axis=1) == 1
        return right

    @cached_property
    def leads(self) -> FloatArray:
        """What the direct path and each head add to the label's lead over the best other output, means, (1 + H,)."""
        parts = np.concatenate([self.direct[None], self.written])
        others = parts.sum(axis=0)
        np.put_along_axis(others, self.labels[:, None], -np.inf, axis=1)
        rival = others.argmax(axis=1)
        rows = np.arange(len(rival))
        means: FloatArray = (parts[:, rows, self.labels] - parts[:, rows, rival]).mean(axis=1)
        return means

    def without(self, head: int) -> float:
        """The share of the sample that is right if this head writes its mean."""
        rest = self.direct + self.written.sum(axis=0) - self.written[head] + self.written[head].mean(axis=0)
        return float(self.answered(rest).mean())


class Place(NamedTuple):
    """Neurons of a part: what they read of x and of y in a plane, (2, m); of waves, the phases read and written."""

    part: pair_sums.Part
    sides: dict[str, FloatArray]
    labels: tuple[str, str]
    turns: tuple[FloatArray, FloatArray] | None

    @property
    def off(self) -> float:
        """By how much half of the neurons write less beside the phases that they read, in turns."""
        return float(np.median(np.abs(self.turns[1] - self.turns[0]))) if self.turns else 0.0


def _turns(points: FloatArray) -> FloatArray:
    """The angles of points (2, m), from 0 to 1."""
    return np.asarray(np.arctan2(points[1], points[0]) / (2 * np.pi) % 1.0)


@dataclass
class PairSubject:
    """One network of two arguments and its task."""

    name: str
    network: PairSum
    task: Pairs

    def __post_init__(self) -> None:
        self.prover = cp.Prover(self.network, self.task)
        self.neurons = pair_sums.neurons(self.prover.values)
        #: The irreps of the group that the task is about, and what the network has of each; none of other tables.
        self.irreps = [] if self.task.given else irreps(self.task)
        self.parts, self.shares = pair_sums.parts(self.neurons, self.irreps) if self.irreps else ([], np.zeros((0, 3)))
        #: Whether there are waves to compare with.
        self.adds = self.task.record["name"] == "add-mod" and self.network.n % 2 == 1
        self.adds = self.adds and self.network.outputs == self.network.n
        self.right: int = pairs_decide(self.prover.values).right

    @cached_property
    def proofs(self) -> dict[str, cp.Proof]:
        """A certificate for each strategy that claims something."""
        feasible = cp.feasible_strategies(self.network, self.task)
        return {s: self.prover.prove(s) for s in feasible if s != "pair-sum/trivial"}

    @property
    def by_irrep(self) -> tuple[FloatArray, list[str], str]:
        """The shares of irreps, what these are called, and what they are; constants left out."""
        first, label = (1, "character") if self.task.group else (0, "frequency k")
        return self.shares[first:], [self.called(i) for i in range(first, len(self.irreps))], label

    @cached_property
    def places(self) -> dict[str, Place]:
        """The neurons of the largest irreps, by what these are called."""
        found = {}
        for part in [part for part in self.parts if len(part.neurons)][:MOST_PLACES]:
            sides = {"reads of x": self.neurons.left, "reads of y": self.neurons.right}
            sides = {side: pair_sums.plane(functions[:, part.neurons], part) for side, functions in sides.items()}
            turns, labels = None, ("first direction", "second direction")
            if not self.task.group:
                written = pair_sums.plane(self.neurons.out[part.neurons, : self.task.n].T, part)
                read = (_turns(sides["reads of x"]) + _turns(sides["reads of y"])) % 1.0
                turns, labels = (read, read + (_turns(written) - read + 0.5) % 1.0 - 0.5), ("cosine", "sine")
            found[self.called(part.number)] = Place(part, sides, labels, turns)
        return found

    @property
    def directions(self) -> int:
        """How many the proof by low rank computes of what neurons write."""
        return len(self.proofs["pair-sum/low-rank"].certificate.hints["factors"])

    @property
    def total(self) -> int:
        """The number of inputs."""
        return self.task.total

    def called(self, number: int) -> str:
        """What the irrep of this number is called."""
        one = self.irreps[number]
        return f"χ{number}" if one.frequency is None else f"k\u00a0=\u00a0{one.frequency}"


class BothPairs(NamedTuple):
    """Two networks of the same two arguments beside each other."""

    first: PairSubject
    second: PairSubject


class Models:
    """Many models, by their summaries as `analysis.summarise` makes them."""

    def __init__(self, summaries: Sequence[Summary]) -> None:
        self.summaries = summaries
        self.accuracy = self.column("accuracy")
        self.ratio = np.array([s["singular_values"][0] / max(s["singular_values"][1], 1e-300) for s in summaries])
        #: Normalised bound, operations and unexplained dimension of each strategy, (N, 3).
        self.proofs = {strategy: self.column("proofs", strategy) for strategy in summaries[0]["proofs"]}

    def column(self, *keys: str) -> FloatArray:
        """A number of each model, (N,), or several, (N, ...)."""
        found: list[Any] = list(self.summaries)
        for key in keys:
            found = [summary[key] for summary in found]
        return np.array(found, np.float64)

    def bounds(self, strategy: str) -> FloatArray:
        """The strategy's normalised bounds."""
        return self.proofs[strategy][:, 0]

    @cached_property
    def problem(self) -> MaxProblem:
        """What the first is asked, and so all."""
        return max_of_k(cp.load_model(self.summaries[0]["model"]))

    @cached_property
    def copied(self) -> FloatArray:
        """By token, the share of the models that copy it."""
        fails = [token for summary in self.summaries for token in summary["not_copied"]]
        return 1.0 - np.bincount(fails, minlength=self.problem.task.d_vocab) / len(self.summaries)

    @property
    def mean_proofs(self) -> tuple[dict[str, float], ...]:
        """Normalised bounds, operations and unexplained dimensions by strategy, means over the models."""
        bound, flops, unexplained = ({s: float(p[:, i].mean()) for s, p in self.proofs.items()} for i in range(3))
        return bound, flops, unexplained


def with_remainder(kind: str) -> str:
    """The proof that knows EU exactly and bounds the remainder of EQKE by this kind."""
    return f"sub-cubic/max_diff_exact/mean_query+diff/{kind}"


#: The row of the paper's table that a strategy belongs to.
_FAMILIES = {
    strategy: row.name
    for row in ROWS
    if "without" not in row.name and "only" not in row.name
    for strategy in row.strategies
}


def family_of(strategy: str) -> str:
    """The row of the paper's table that a strategy belongs to, or that it is ours; of a plug-in, its own name."""
    return strategy if ":" in strategy else _FAMILIES.get(strategy, "ours")


def by_family(x: Mapping[str, float], y: Mapping[str, float]) -> dict[str, list[tuple[float, float]]]:
    """(x, y) of each strategy, by the row of the paper's table that it belongs to, or as ours."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for strategy in x:
        groups.setdefault(family_of(strategy), []).append((x[strategy], y[strategy]))
    return groups
