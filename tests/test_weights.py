"""Weights of tokens for theorems about the largest one: what inputs count, against plain Python, and errors show."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compactproofs import STRATEGIES, Certificate, Model, __main__, feasible_strategies
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.search.effort import verify
from compactproofs.search.prover import Infeasible, Prover
from compactproofs.tasks.max_of_k import ORDERS, MaxOfK, sum_of_choices
from compactproofs.tasks.orders import WeightedLargest
from compactproofs.testing.hints import hostile_hints
from compactproofs.testing.planting import Planted
from compactproofs.theorems.max_of_k.branching import boxes
from compactproofs.theorems.max_of_k.core import brute_force
from exactcheck import checking
from records import refused_by_both
from soundness.models import all_cases, cases
from soundness.truth import exact_correct_set, largest_in

CASE = Path(__file__).parent / "cases" / "min3_v10.safetensors"
COUNTING = {s.id: s for s in STRATEGIES.values() if WeightedLargest.name in s.tasks}
SOME = (
    *("trivial", "brute-force", "cubic", "branch-and-bound", "branch-and-bound-upper"),
    *("histogram", "histogram-upper"),
)
FAILING = ("failing-sets", "failing-sets/low-rank-QK+EU")
SUBCUBIC = "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact"


def some_task(rng: np.random.Generator, model: Model) -> WeightedLargest:
    """An order of the model's tokens, or none, with weights, some of which are 0 or large."""
    v = model.d_vocab
    order = rng.permutation(v) if rng.random() < 0.3 else np.arange(v)
    weights = rng.choice([0, 1, 1, 2, 3, 17], v)
    weights[rng.integers(v)] = rng.integers(1, 6)
    return WeightedLargest(model.n_ctx, v, tuple(order.tolist()), tuple(weights.tolist()))


def near_the_limit(rng: np.random.Generator, v: int, n: int) -> tuple[int, ...]:
    """Weights whose sum is the largest there is, or about the largest with which boxes are counted, in any shares."""
    total = 2**62 - 1 if rng.random() < 0.4 else 2 ** (62 // max(n - 1, 1)) - int(rng.integers(2))
    cuts = [0, *sorted(rng.integers(0, min(total, 2**62 - 1), v - 1).tolist()), min(total, 2**62 - 1)]
    return tuple(b - a for a, b in itertools.pairwise(cuts))


def truth(model: Model, task: WeightedLargest) -> int:
    """What the inputs count that are answered correctly, from the definition of the network."""
    right = exact_correct_set(model, largest_in(task.order))
    every = itertools.product(range(task.d_vocab), repeat=task.n_ctx)
    return sum(prod(task.weights[t] for t in x) for x, correct in zip(every, right, strict=True) if correct)


def few(limit: int = 130) -> list[Model]:
    """Small models of all families."""
    return [case.model for case in all_cases() if case.model.d_vocab**case.model.n_ctx <= limit]


@pytest.mark.parametrize("strategy", COUNTING.values(), ids=COUNTING)
def test_bounds_hold(strategy: Strategy) -> None:
    """Whatever the hints, no bound exceeds the truth, or falls short of it where it is one from above."""
    rng = np.random.default_rng(list(COUNTING).index(strategy.id))
    models = few()
    for i in rng.permutation(len(models))[: 20 if "/" not in strategy.id else 3]:
        task = some_task(rng, models[i])
        problem: Any = Problem(models[i], task)
        hints = hostile_hints(strategy, problem, "plausible", rng, dict, task.d_vocab)
        found, right = strategy.bound(Workspace(problem), hints), truth(models[i], task)
        assert found <= right if strategy.claim == "at least" else right <= found <= task.total


def test_exact_strategies_find_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is near a tie; sums are made in blocks that have some of the positions."""
    rng = np.random.default_rng(1)
    for case in (*cases("working")[::3], *cases("folded")[::5], *cases("contrary")[::3]):
        if case.model.d_vocab**case.model.n_ctx <= 300:
            task = some_task(rng, case.model)
            monkeypatch.setattr(brute_force, "_BLOCK_ENTRIES", int(rng.choice([1, 64])))
            for name in ("brute-force", "branch-and-bound", "branch-and-bound-upper"):
                bound = STRATEGIES[name].bound(Workspace(Problem(case.model, task)), {})
                assert bound == truth(case.model, task), case.name


def test_classes_that_are_not_looked_at_count_what_their_inputs_do() -> None:
    """No bound exceeds the truth, whatever else the hints say, and the more is left out, the less is proved."""
    rng, strategy, lost = np.random.default_rng(6), COUNTING["histogram"], 0
    models = few()
    for i in rng.permutation(len(models))[:60]:
        task = some_task(rng, models[i])
        problem: Any = Problem(models[i], task)
        hints = hostile_hints(strategy, problem, str(rng.choice(["plausible", "extreme"])), rng, dict, task.d_vocab)
        hints["steps"] = hints["steps"][hints["steps"][:, 0] >= 0]
        found = []
        for least in range(task.d_vocab + 1):
            row = [[int(rng.choice([-1, -(2**63)])), least, *rng.choice([-(2**63), 0, 2**63 - 1], 9).tolist()]]
            found.append(strategy.bound(Workspace(problem), {**hints, "steps": np.concatenate([hints["steps"], row])}))
        assert 0 <= found[-1] <= found[0] <= truth(models[i], task)
        assert sorted(found, reverse=True) == found
        lost += found[-1] < found[0]
    assert lost > 3


@pytest.mark.parametrize("entries", [1, 8, 2**18])
def test_inputs_that_integers_do_not_tell(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are tried one by one: each is the one that is meant, in whatever block it is, and counts what it counts."""
    monkeypatch.setattr(brute_force, "_BLOCK_ENTRIES", entries)
    rng, n, m, v = np.random.default_rng(entries), 4, 2, 4
    network = next(case.model for case in cases("working") if (case.model.n_ctx, case.model.d_vocab) == (n, v))
    task = WeightedLargest(n, v, tuple(range(v)), (2, 3, 5, 7))
    work: Any = Workspace(Problem(network, task))
    for query in range(m + 1):
        terms = 1e-12 * (rng.normal(size=(n, m + 1, 2)) + 0.3)
        terms[0, 0] = [1.0, -1.0]  # beside which the others are nothing to integers of 30 bits
        right = sum(
            prod(task.weights[t] for t in x)
            for x in itertools.product(range(m + 1), repeat=n)
            if x[-1] == query and max(x) == m and all(sum(map(Fraction, terms[range(n), x, j])) > 0 for j in (0, 1))
        )
        assert brute_force.count_class(work, Enclosure.exact(terms), query) == right > 0


def test_what_single_inputs_count() -> None:
    """Those that are right, and those that are wrong, are told by signs, of which 0 says nothing, and count as such."""
    signs = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0], [0.0, 1.0], [-1.0, 0.0]])

    def margins(inputs: Any) -> Any:
        assert (inputs[:, 1] == 9).all()
        return Enclosure.exact(signs[inputs[:, 0]])

    assert boxes._decided_by_signs(margins, np.arange(5)[:, None], 9, np.array([3, 0, 5, 7, 11])) == (3, 16)
    assert boxes._decided_by_signs(margins, np.arange(1200)[:, None] % 5, 9, np.arange(1200) % 5) == (240, 240 * 6)


def test_weights_of_one_change_nothing() -> None:
    """All strategies that count find what they find without weights; and copies of tokens are weights."""
    rng = np.random.default_rng(2)
    for case in cases("working")[::4]:
        n, v = case.model.n_ctx, case.model.d_vocab
        ones: Any = Problem(case.model, WeightedLargest(n, v, tuple(range(v)), (1,) * v))
        twos: Any = Problem(case.model, WeightedLargest(n, v, tuple(range(v)), (2,) * v))
        plain: Any = Problem(case.model, MaxOfK(n, v))
        for name in (*(name for name in COUNTING if "/" not in name), SUBCUBIC):
            hints = hostile_hints(COUNTING[name], plain, "plausible", rng, dict, v)
            found = COUNTING[name].bound(Workspace(plain), hints)
            assert COUNTING[name].bound(Workspace(ones), hints) == found
            assert COUNTING[name].bound(Workspace(twos), hints) == 2**n * found


TASK, IN_ORDER, _CORE = "tasks.max_of_k", "tasks.orders", "theorems.max_of_k.core"
CUBIC = f"{_CORE}.cubic"
UNIONS = "theorems.max_of_k.counting.unions"
ENUMERATION = f"{_CORE}.brute_force"
FAILING_INPUTS = "theorems.max_of_k.failing_sets.failing_inputs"
BOXES, CLASSES = (f"theorems.max_of_k.branching.{name}" for name in ("boxes", "class_margins"))
GAPS = "theorems.max_of_k.subcubic.gaps"

#: A strategy that shows it, the module, what stands there, and what is put there instead.
ERRORS = {
    "number of good tokens": ("cubic", CUBIC, "good @ counts[:m]", "good.sum(axis=1)"),
    "weights of others": ("cubic", CUBIC, "good @ counts[:m]", "good @ counts[1 : m + 1]"),
    "another query": ("cubic", CUBIC, "counts[queries], counts[m])", "counts.max(), counts[m])"),
    "another maximum": ("cubic", CUBIC, "counts[queries][right], counts[m])", "counts[queries][right], counts.max())"),
    "powers": ("cubic", TASK, "maximum ** (positions - others)", "maximum ** (positions + 1 - others)"),
    "one token more": (SUBCUBIC, GAPS, "np.append(0, counts.cumsum())", "np.append(counts.cumsum(), 0)"),
    "maximum for query": (SUBCUBIC, GAPS, "counts[q[alone]], counts[m[alone]]", "counts[m[alone]], counts[m[alone]]"),
    "inputs counted once": ("brute-force", ENUMERATION, "int(work.task.counts[query]) * certain", "certain"),
    "other tokens counted": (
        "brute-force",
        ENUMERATION,
        "of_token[box[outer].start : box[outer].stop]",
        "of_token[: len(box[outer])]",
    ),
    "too heavy to add": ("failing-sets", TASK, "** (task.n_ctx - 1) < 2**62", "** (task.n_ctx - 1) >= 0"),
    "a query of histograms": ("histogram", UNIONS, "return margins.of_query * count_at", "return count_at"),
    "a query of both ends": ("histogram", UNIONS, "return margins.of_query * count_from", "return count_from"),
    "cells of one": ("failing-sets", FAILING_INPUTS, "*counts[m - window : m + 1]]", "*[1] * (window + 1)]"),
    "what is below": ("failing-sets", FAILING_INPUTS, "counts[: m - window].sum()", "counts[: m - window].max()"),
    "a failing query": ("failing-sets", FAILING_INPUTS, "int(counts[q]) * self", "int(counts.min()) * self"),
    "number of tokens": ("branch-and-bound", BOXES, "margins.counts.tolist()", "[1] * tokens"),
    "no query": ("branch-and-bound", BOXES, "Decided(margins.of_query * (wrong", "Decided(1 * (wrong"),
    "undecided": (
        "branch-and-bound",
        CLASSES,
        "return _weight_of_sequences(len(terms)",
        "return 0 * _weight_of_sequences(len(terms)",
    ),
    "sizes of any length": ("branch-and-bound", BOXES, "** positions >= 2**62", "** positions < 0"),
    "order of weights": (
        "branch-and-bound",
        IN_ORDER,
        "np.array(self.weights, np.int64)[self.places]",
        "np.array(self.weights)",
    ),
    "total": ("branch-and-bound", "tasks.weights", "[sum(self.weights)] *", "[sum(self.weights) + 1] *"),
}

#: Numbers of trials that show these errors; others show in the first.
SHOWN_BY = {
    error: number
    for number, errors in {
        3: (
            "weights of others",
            "another maximum",
            "powers",
            "one token more",
            "number of tokens",
        ),
        5: (
            "too heavy to add",
            "cells of one",
            "a failing query",
            "sizes of any length",
        ),
        9: ("undecided",),
        14: ("maximum for query",),
        19: (
            "another query",
            "other tokens counted",
        ),
        38: ("order of weights",),
        45: ("what is below",),
        62: ("number of good tokens",),
        196: ("a query of both ends",),
        687: ("a query of histograms",),
    }.items()
    for error in errors
}


@pytest.mark.parametrize("name", ERRORS)
def test_planted_errors(name: str) -> None:
    """Each makes the strategy claim more than the truth on some model."""
    strategy_id, module, old, new = ERRORS[name]
    names = ("theorems", "kernel.workspace", "kernel.problem", "tasks.max_of_k", IN_ORDER)
    planted = Planted("compactproofs", [(module, old, new)], names, sparing=True)
    strategy = planted.module("theorems").BUILT_IN.strategies[strategy_id]
    tasks, problems = planted.module(IN_ORDER), planted.module("kernel.problem")
    models = few(260)
    for number in (SHOWN_BY.get(name, 0), *range(3 * len(models))):
        model, rng = models[number % len(models)], np.random.default_rng([5, number])
        task = some_task(rng, model)
        if name in ("sizes of any length", "too heavy to add"):
            task = replace(task, weights=near_the_limit(rng, task.d_vocab, task.n_ctx))
        copy = tasks.WeightedLargest(task.n_ctx, task.d_vocab, task.order, task.weights)
        problem = problems.Problem(model, copy)
        hints = hostile_hints(strategy, problem, "plausible", rng, dict, task.d_vocab)
        if "gap" in hints:
            hints["gap"] = np.ones_like(hints["gap"])
        if strategy.bound(planted.module("kernel.workspace").Workspace(problem), hints) > truth(model, task):
            return
    raise AssertionError("no model shows it")


def test_both_checkers(tmp_path: Path, capsys: Any) -> None:
    """What is proved with searched hints is accepted by both, and more is not."""
    proof, path = tmp_path / "p.cert.json", tmp_path / "m.safetensors"
    rng = np.random.default_rng(4)
    for case in [case for case in (*cases("working"), *cases("contrary")) if case.model.n_ctx in (2, 3)][::6]:
        task = some_task(rng, case.model)
        case.model.save(path)
        prover = Prover(case.model, task)
        for name in (
            "trivial",
            "brute-force",
            "cubic",
            "branch-and-bound",
            "branch-and-bound-upper",
            SUBCUBIC,
            *FAILING,
        ):
            certificate = Certificate.from_bytes(prover.prove(name).certificate.to_bytes())
            assert WeightedLargest.of_record(certificate.task) == task
            assert "by their weights" in str(certificate)
            more = 1 if certificate.claim == "at least" else -1
            for certified, code in ((certificate.certified, 0), (certificate.certified + more, 1)):
                if 0 <= certified <= task.total:
                    claim = replace(certificate, certified=certified)
                    claim.save(proof)
                    assert verify(claim, case.model).accepted == (code == 0), name
                    assert checking.main([str(proof), str(path)]) == code, (name, capsys.readouterr())
        assert set(feasible_strategies(case.model, task)) <= COUNTING.keys()


@pytest.mark.parametrize(
    "change",
    [
        *({"weights": text} for text in ("1 2 3", "1 2 3 4 5", "1 2 3 -4", "01 2 3 4", "1  2 3 4", "", 7)),
        *({"weights": text} for text in ("0 0 0 0", "a b c d")),
        *({"weights": f"{2**61} {2**61} 0 0"}, {"weights": "9" * 20 + " 1 1 1"}, {"order": "0 1 2 2"}, {"more": 1}),
        *({"name": name} for name in ORDERS if name != WeightedLargest.name),
    ],
    ids=str,
)
def test_records_that_are_none(change: dict[str, Any], tmp_path: Path) -> None:
    """Are malformed to both checkers."""
    model = next(case.model for case in cases("random") if case.model.d_vocab == 4)
    task = WeightedLargest(model.n_ctx, 4, (0, 1, 2, 3), (1, 2, 3, 4))
    refused_by_both(model, task, change, tmp_path)


def test_sums_of_choices() -> None:
    """As the definition has them, with large numbers."""
    rng = np.random.default_rng(6)
    for _ in range(30):
        classes = rng.integers(0, rng.choice([3, 2**61]), (3, int(rng.integers(0, 6))))
        positions = int(rng.integers(0, 5))
        for others in range(positions + 1):
            choose = len(list(itertools.combinations(range(positions), others)))
            expected = sum(choose * q * m ** (positions - others) * c**others for c, q, m in classes.T.tolist())
            assert sum_of_choices(classes[0], positions, others, classes[1], classes[2]) == expected


def test_large_weights() -> None:
    """What does not fit 64 bits is undecided by boxes, and exact elsewhere."""
    case = next(case for case in cases("working") if case.model.n_ctx == 3)
    v = case.model.d_vocab
    task = WeightedLargest(3, v, tuple(range(v)), (2**40,) * v)
    ones = WeightedLargest(3, v, tuple(range(v)), (1,) * v)
    works: list[Any] = [Workspace(Problem(case.model, each)) for each in (task, ones)]
    large, small = (STRATEGIES["cubic"].bound(work, {}) for work in works)
    assert large == 2**120 * small
    for name in ("branch-and-bound", "branch-and-bound-upper"):
        bound = STRATEGIES[name].bound(works[0], {})
        right = truth(case.model, task)
        assert bound <= right if name == "branch-and-bound" else bound >= right


@pytest.mark.parametrize("name", [*(name for name in COUNTING if "/" not in name), SUBCUBIC, *FAILING[1:]])
def test_weights_near_the_limit(name: str) -> None:
    """Where the sums and products of 64 bits are as large as they get, no bound is false."""
    rng, strategy = np.random.default_rng(8), COUNTING[name]
    models = [model for model in few() if model.n_ctx <= 4]
    for i in rng.permutation(len(models))[:25]:
        n, v = models[i].n_ctx, models[i].d_vocab
        task = WeightedLargest(n, v, tuple(range(v)), near_the_limit(rng, v, n))
        problem: Any = Problem(models[i], task)
        hints = hostile_hints(strategy, problem, "plausible", rng, dict, v)
        found, right = strategy.bound(Workspace(problem), hints), truth(models[i], task)
        assert found <= right if strategy.claim == "at least" else right <= found <= task.total


def test_both_checkers_add_up_to_the_same_limit(tmp_path: Path) -> None:
    """Inputs that count 2^62 and more together, though those with one last token do not."""
    model = next(case.model for case in cases("working") if case.model.n_ctx == 3)
    n, v = model.n_ctx, model.d_vocab
    model.save(tmp_path / "m")
    for total, code in ((2**31 - 1, 0), (2**31, 1)):
        task = WeightedLargest(n, v, tuple(range(v)), (total - v + 1,) + (1,) * (v - 1))
        assert task.total >= 2**62
        work: Any = Workspace(Problem(model, task))
        certified = truth(model, task) if code == 0 else 0
        assert COUNTING["brute-force"].bound(work, {}) == certified
        claim = replace(
            Prover(model, task).prove("cubic").certificate,
            strategy="brute-force",
            theorem="max-of-k/brute-force@1",
            certified=certified,
        )
        claim.save(tmp_path / "p")
        assert verify(claim, model).accepted == (code == 0)
        assert checking.main([str(tmp_path / "p"), str(tmp_path / "m")]) == code


def test_totals_of_too_many_digits(tmp_path: Path) -> None:
    """Are rejected by both checkers, with a reason, and refused where something is to be proved."""
    rng, n = np.random.default_rng(0), 300
    shapes = {"W_E": (2, 1), "W_pos": (n, 1), "W_Q": (1, 1), "W_K": (1, 1), "W_V": (1, 1), "W_O": (1, 1), "W_U": (1, 2)}
    model = Model(**{name: rng.normal(size=shape) for name, shape in shapes.items()})
    task = WeightedLargest(n, 2, (0, 1), (2**61, 1))
    proved = Prover(model).prove("trivial").certificate
    claim = replace(proved, task=task.record)
    assert "by their weights" in verify(claim, model).reason
    claim.save(tmp_path / "p")
    model.save(tmp_path / "m")
    assert checking.main([str(tmp_path / "p"), str(tmp_path / "m")]) == 1
    with pytest.raises(Infeasible, match="by their weights"):
        Prover(model, task).prove("trivial")


def test_on_the_command_line(tmp_path: Path, capsys: Any) -> None:
    """Proved, verified by both, and refused where nobody counts weights."""
    proof = tmp_path / "p.cert.json"
    asked = ("--task", "min", "--weights", "5 1 1 1 1 1 1 1 1 3")
    assert __main__.run(["prove", str(CASE), *asked, "--strategy", "cubic", "--out", str(proof)]) == 0
    out, _ = capsys.readouterr()
    assert "inputs that count 4096 by their weights; the label is the smallest token" in out
    assert "normalised: ?, since the exact accuracy is not known (there is no bound by brute-force)" in out
    assert __main__.run(["verify", str(proof), str(CASE)]) == 0
    assert "of 4096 inputs, by their weights, are answered correctly" in capsys.readouterr().out
    assert checking.main([str(proof), str(CASE)]) == 0
    assert __main__.run(["prove", str(CASE), *asked, "--budget", "2^20"]) == 0
    for wrong in (("--weights", "1 2"), ("--weights", "0 0 0 0 0 0 0 0 0 0"), (*asked, "--strategy", "heads/cubic")):
        assert __main__.run(["prove", str(CASE), "--strategy", "cubic", *wrong]) == 2
        assert capsys.readouterr().err.count("error: ") == 1
