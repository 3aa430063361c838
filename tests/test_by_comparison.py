"""The first, the last, the k-th largest token: boxes, bounds against exact truths, planted errors, both checkers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compactproofs as cp
from compactproofs import STRATEGIES, Model, __main__
from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.search import effort
from compactproofs.search.allowance import Allowance, allowing
from compactproofs.search.prover import Prover
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.tasks.by_comparison import NAMES, POSITION, RANK, ByComparison
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.tasks.orders import MinOfK
from compactproofs.testing.planting import Planted
from compactproofs.testing.truth import Label
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.max_of_k.branching import branch_and_bound
from compactproofs.theorems.max_of_k.by_comparison import branch_and_bound as by_comparison
from exactcheck import checking, whole_classes
from exactcheck.reading import read_weights
from records import refused_by_both
from soundness.models import all_cases, cases
from soundness.truth import exact_correct_set
from test_weights import near_the_limit

PLACE = "by-comparison/branch-and-bound"
LOWER, UPPER = BUILT_IN.strategies[PLACE], BUILT_IN.strategies[f"{PLACE}-upper"]


def right_answer(task: ByComparison, x: tuple[int, ...]) -> int:
    """In plain Python."""
    return x[task.k] if task.name == POSITION else sorted(x, reverse=True)[task.k]


@cache
def label_of(task: ByComparison) -> Label:
    """Which answer is right; one function for each task, since truths are remembered by functions."""
    return partial(right_answer, task)


def truth(model: Model, task: ByComparison) -> int:
    """How many inputs are answered correctly, or what they count, from the definition of the network."""
    right = exact_correct_set(model, label_of(replace(task, weights=())))
    every = product(range(task.d_vocab), repeat=task.n_ctx)
    return sum(
        prod(task.weights[t] for t in x) if task.weights else 1
        for x, correct in zip(every, right, strict=True)
        if correct
    )


def weighted(rng: np.random.Generator, task: ByComparison) -> ByComparison:
    """The same, or with weights, some of which are 0 or large."""
    weights = rng.choice([0, 1, 1, 2, 3, 17], task.d_vocab)
    weights[rng.integers(task.d_vocab)] = rng.integers(1, 6)
    return replace(task, weights=tuple(weights.tolist())) if rng.random() < 0.4 else task


def tasks_of(n: int, v: int) -> list[ByComparison]:
    """All of them."""
    return [ByComparison(name, n, v, k) for name in NAMES for k in range(n)]


def at_work(rng: np.random.Generator, task: ByComparison) -> Model:
    """A model that does the task for many inputs, spoiled a little.

    It attends to the position, or more to tokens the nearer they are to a size of their own for each query.
    """
    n, v = task.n_ctx, task.d_vocab
    d = v + n
    weights = {name: np.zeros(shape) for name, shape in (("W_E", (v, d)), ("W_pos", (n, d)), ("W_U", (d, v)))}
    weights["W_E"][:, :v], weights["W_pos"][:, v:], weights["W_U"][:v] = np.eye(v), np.eye(n), np.eye(v)
    weights |= {name: np.eye(d) for name in ("W_K", "W_V")}
    weights["W_Q"], weights["W_O"] = np.zeros((d, d)), np.eye(d) * rng.choice([3.0, 8.0])
    if task.name == POSITION:
        weights["W_Q"][v + n - 1, v + task.k] = rng.choice([4.0, 12.0, 40.0])
        weights["W_E"][:, :v] *= 1.0 if task.k == n - 1 else rng.choice([0.3, 1.0])
    else:
        wanted = (np.arange(v)[:, None] + (1.0 - 2.0 * task.k / max(n - 1, 1)) * v) / 2
        weights["W_Q"][:v, :v] = -rng.choice([1.0, 3.0]) * np.abs(np.arange(v) - wanted)
    noise = rng.choice([0.0, 0.03, 0.3])
    return Model(**{name: w + noise * rng.normal(size=w.shape) for name, w in weights.items()})


def some(seed: int, number: int) -> Iterator[tuple[str, Model, ByComparison]]:
    """Hostile models of all families, and as many that do a task, each with a task."""
    rng = np.random.default_rng(seed)
    few = [case for case in all_cases() if case.model.d_vocab**case.model.n_ctx <= 130]
    for i in rng.permutation(len(few))[:number]:
        tasks = tasks_of(few[i].model.n_ctx, few[i].model.d_vocab)
        yield few[i].name, few[i].model, weighted(rng, tasks[rng.integers(len(tasks))])
        n, v = ((2, 5), (3, 3), (3, 4), (4, 3))[rng.integers(4)]
        task = tasks_of(n, v)[rng.integers(2 * n)]
        yield f"at work {i}", at_work(rng, task), weighted(rng, task)


def test_boxes() -> None:
    """Every input is in one box of its class, and in none of another label; the rules are those of plain Python."""
    for n, v in product((1, 2, 3, 4), (1, 2, 4)):
        for task in tasks_of(n, v):
            for x in product(range(v), repeat=n):
                assert task.label(np.array(x)) == right_answer(task, x)
                found = [
                    label
                    for label in range(v)
                    for box in task.boxes(x[-1], label)
                    if all(np.sign(t - label) in signs for t, signs in zip(x, box, strict=False))
                ]
                assert found == [right_answer(task, x)], (task, x)


def test_few_boxes() -> None:
    """Signs that do not matter are not told apart: a box for a position, and as many as there are places for ranks."""
    assert len(ByComparison(POSITION, 8, 9, 3).boxes(2, 5)) == 1
    assert ByComparison(POSITION, 3, 9, 2).boxes(4, 4) == (((-1, 0, 1), (-1, 0, 1)),)
    assert len(ByComparison(RANK, 8, 9, 0).boxes(2, 5)) == 7
    assert len(ByComparison(RANK, 4, 9, 1).boxes(2, 5)) < 3**3


def test_bounds_hold() -> None:
    """No bound exceeds the truth, or falls short of it where it is one from above; claims are within checks."""
    met = 0
    for name, model, task in some(0, 35):
        right = truth(model, task)
        problem: Any = Problem(model, task)
        check: Any = Workspace(problem)
        claim: Any = MeasuredWorkspace(problem, "claim")
        low, high = (strategy.bound(check, {}) for strategy in (LOWER, UPPER))
        assert 0 <= LOWER.bound(claim, {}) <= low <= right <= high <= UPPER.bound(claim, {}) <= task.total, (name, task)
        met += 0 < low == right == high
    assert met > 29


def test_with_little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer boxes and coarser integers than needed, bounds are worse and true."""
    from compactproofs.theorems.max_of_k.branching import boxes, class_margins

    rng = np.random.default_rng(1)
    for _, model, task in some(1, 25):
        monkeypatch.setattr(class_margins, "_UNIT_BITS", int(rng.choice([2, 5, 12, 36])))
        monkeypatch.setattr(by_comparison, "_CHUNK", int(rng.choice([1, 2**15])))
        monkeypatch.setattr(boxes, "_BATCH", int(rng.choice([1, 7, 2**14])))
        monkeypatch.setattr(boxes, "_MAX_SINGLES", int(rng.choice([0, 3, 2**14])))
        monkeypatch.setattr(branch_and_bound, "MAX_BOXES", int(rng.choice([0, 20, 2**22])))
        work: Any = Workspace(Problem(model, task))
        assert LOWER.bound(work, {}) <= truth(model, task) <= UPPER.bound(work, {})


def test_weights_near_the_limit() -> None:
    """Where the sums and products of 64 bits are as large as they get, no bound is false."""
    rng = np.random.default_rng(2)
    for name, model, plain in some(2, 25):
        task = replace(plain, weights=near_the_limit(rng, plain.d_vocab, plain.n_ctx))
        work: Any = Workspace(Problem(model, task))
        assert 0 <= LOWER.bound(work, {}) <= truth(model, task) <= UPPER.bound(work, {}) <= task.total, name


@pytest.mark.parametrize("end", [0, 1], ids=["largest", "smallest"])
def test_the_ends_are_known(end: int) -> None:
    """Of the largest and the smallest token the same is proved as by branch and bound."""
    for case in (*cases("working")[::9], *cases("folded")[::13], *cases("contrary")[::13], *cases("wide")[::13]):
        n, v = case.model.n_ctx, case.model.d_vocab
        known: Any = Problem(case.model, (MaxOfK, MinOfK)[end](n, v))
        task: Any = Problem(case.model, ByComparison(RANK, n, v, (0, n - 1)[end]))
        for strategy, name in ((LOWER, "branch-and-bound"), (UPPER, "branch-and-bound-upper")):
            assert strategy.bound(Workspace(task), {}) == STRATEGIES[name].bound(Workspace(known), {}), case.name


TASK, THEOREM = "tasks.by_comparison", "theorems.max_of_k.by_comparison.branch_and_bound"
BOXES = "theorems.max_of_k.branching.boxes"
#: The module, what stands there, and what is put there instead.
ERRORS: dict[str, tuple[str, str, str]] = {
    "ascending order": (TASK, "[..., ::-1] if", " if"),
    "another position": (TASK, "else tokens)[..., self.k]", "else tokens)[..., self.k - 1]"),
    "the query compared the other way": (TASK, "np.sign(query - label)", "np.sign(label - query)"),
    "signs turned": (TASK, "tuple(i - 1 for i in same)", "tuple(1 - i for i in same)"),
    "the first of the signs that are alike": (TASK, "for i in same), *box)", "for i in same[:1]), *box)"),
    "what is alike in number": (TASK, "setdefault(after.tobytes(), [])", "setdefault(bytes([bool(after.any())]), [])"),
    "no token above": (THEOREM, "1: range(label + 1, v)}", "1: range(label + 2, v)}"),
    "the label is below itself": (THEOREM, "{-1: range(label),", "{-1: range(label + 1),"),
    "another label's direct path": (THEOREM, "return direct[..., label, None]", "return direct[..., label - 1, None]"),
    "another label's values": (THEOREM, "tokens[:, label, None] - tokens", "tokens[:, label - 1, None] - tokens"),
    "the query counts 1": (THEOREM, "int(work.task.counts[query])", "1"),
    "tokens count 1": (THEOREM, "work.task.counts[kept]", "work.task.counts[kept].clip(1, 1)"),
    "another query": (THEOREM, "np.append(kept, query)", "np.append(kept, query - 1)"),
    "positions at their best": (THEOREM, "values.min(axis=0)", "values.max(axis=0)"),
    "the largest of tokens": (THEOREM, "min(axis=1) for parts in", "max(axis=1) for parts in"),
    "the largest of three sets": (THEOREM, "part in parts]).min(", "part in parts]).max("),
    "screened by another query": (THEOREM, "np.arange(len(some)), some]", "np.arange(len(some)), some - 1]"),
    "screened without the query": (THEOREM, "len(allowed)] for", "0] for"),
    "screened by another query's positions": (
        THEOREM,
        "position_weights(work)[some]",
        "position_weights(work)[some - 1]",
    ),
    "screened by the best of boxes": (THEOREM, "doubtful[numbers].any(", "doubtful[numbers].all("),
    "the largest of parts": (THEOREM, "stop].min(axis=1) for part in places", "stop].max(axis=1) for part in places"),
    "the best of boxes": (THEOREM, "np.min(smallest, axis=0)", "np.max(smallest, axis=0)"),
    "the best of parts": (THEOREM, "np.min([least[part]", "np.max([least[part]"),
    "without the last position": (THEOREM, "+ low[-1, -1] <= 0", "<= 0"),
    "known without integers": (THEOREM, "return of_query * _weight_of", "return 0 * _weight_of"),
    "the first box only": (THEOREM, "of_class=boxes", "of_class=boxes[:1]"),
    "unsorted tokens of a part": (BOXES, "ordered = part[np.argsort(", "ordered = 0 * part[np.argsort("),
    "a part alone": (BOXES, "join(node(parts[:-1]), last)", "node(parts[:-1])"),
    "nothing below a part": (BOXES, "np.minimum(lows[a], lows[b])", "np.maximum(lows[a], lows[b])"),
}

#: Numbers of models that show these errors; others show in the first.
SHOWN_BY = {
    error: number
    for number, errors in {
        1: ("another label's values",),
        2: (
            "the first of the signs that are alike",
            "the label is below itself",
            "another label's direct path",
            "the query counts 1",
            "tokens count 1",
            "unsorted tokens of a part",
            "a part alone",
        ),
        3: ("positions at their best",),
        4: ("no token above",),
        6: (
            "the largest of three sets",
            "the best of parts",
        ),
        7: (
            "what is alike in number",
            "the first box only",
        ),
        12: ("known without integers",),
        17: (
            "the largest of tokens",
            "the largest of parts",
        ),
        19: (
            "screened by the best of boxes",
            "the best of boxes",
        ),
        121: ("screened by another query's positions",),
    }.items()
    for error in errors
}


@cache
def tried() -> tuple[tuple[str, Model, ByComparison], ...]:
    """Models that are to show errors."""
    return tuple(some(2, 90))


@pytest.mark.parametrize("error", ERRORS)
def test_planted_errors(error: str) -> None:
    """Each makes more proved than true on some model, from below or from above."""
    names = ("theorems", "kernel.workspace", "tasks.by_comparison")
    planted = Planted("compactproofs", [ERRORS[error]], names, sparing=True)
    strategies = planted.module("theorems").BUILT_IN.strategies
    cases = tried()
    for _, model, task in (cases[SHOWN_BY.get(error, 0)], *cases):
        copy = planted.module("tasks.by_comparison").ByComparison(
            task.name, task.n_ctx, task.d_vocab, task.k, task.weights
        )
        work = planted.module("kernel.workspace").Workspace(Problem(model, copy))
        right = truth(model, task)
        try:
            if not strategies[LOWER.id].bound(work, {}) <= right <= strategies[UPPER.id].bound(work, {}):
                return
        except (IndexError, ValueError):  # some errors fit no arrays
            continue
    raise AssertionError("no model shows it")


def test_both_checkers(tmp_path: Path, capsys: Any) -> None:
    """What is proved is accepted by both, one more is not, and no other k unless that is true as well."""
    proof, path = tmp_path / "p.cert.json", tmp_path / "m.safetensors"
    for name, model, task in list(some(3, 8))[1::2]:
        model.save(path)
        prover = Prover(model, task)
        for strategy in (LOWER, UPPER):
            certificate = cp.Certificate.from_bytes(prover.prove(strategy.id).certificate.to_bytes())
            assert ByComparison.of_record(certificate.task) == task
            more = 1 if strategy.claim == "at least" else -1
            other = replace(task, k=(task.k + 1) % task.n_ctx)
            for claim in (
                certificate,
                replace(certificate, certified=certificate.certified + more),
                replace(certificate, task=other.record),
                replace(certificate, task=MaxOfK(task.n_ctx, task.d_vocab).record),
            ):
                if 0 <= claim.certified <= claim.total:
                    claim.save(proof)
                    accepted = effort.verify(cp.Certificate.load(proof), model).accepted
                    assert accepted or claim is not certificate
                    work: Any = Workspace(
                        Problem(model, ByComparison.of_record(claim.task) if "k" in claim.task else task)
                    )
                    ties = LOWER.bound(work, {}) < UPPER.bound(work, {})  # of which what is claimed may stay open
                    codes = (0,) if accepted else (1, 3) if ties else (1,)
                    assert checking.main([str(proof), str(path)]) in codes, (name, capsys.readouterr())


def test_the_second_checker_counts(tmp_path: Path) -> None:
    """By classes it finds what it finds by forward passes, which is the truth; and less sharply with few sums."""
    path = tmp_path / "m.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        for number, (name, model, task) in enumerate(list(some(4, 12))[1::2]):
            model.save(path)
            weights = read_weights(path.read_bytes()).in_order_of(dict(task.record))
            right = truth(model, task)
            if number % 2:
                patch.setattr(whole_classes, "MAX_SUMS", 3)
            least, most = whole_classes.right_inputs_by_comparison(weights, dict(task.record))
            patch.undo()
            assert least <= right <= most, name
            assert number % 2 or least == right


@pytest.mark.parametrize(
    "change",
    [
        *({"k": k} for k in (-1, 3, 2**31, "1", True, None)),
        *(
            {"weights": "1 2 3"},
            {"weights": "0 0 0 0"},
            {"weights": "1 2 3 -4"},
            {"weights": "01 2 3 4"},
            {"weights": 7},
        ),
        *({"n_ctx": 0}, {"d_vocab": 0}, {"d_vocab": "4"}, {"more": 1}, {"order": "0 1 2 3"}, {"name": "first"}),
    ],
    ids=str,
)
def test_records_that_are_none(change: dict[str, Any], tmp_path: Path) -> None:
    """Are malformed to both checkers."""
    task = ByComparison(POSITION, 3, 4, 2)
    refused_by_both(at_work(np.random.default_rng(0), task), task, change, tmp_path, LOWER.id)


@pytest.mark.parametrize("strategy", [LOWER, UPPER], ids=lambda strategy: strategy.id)
def test_work_is_declared(strategy: Strategy) -> None:
    """Checks do no more than was declared."""
    for _, model, task in some(5, 10):
        problem: Any = Problem(model, task)
        allowance = Allowance()
        with allowing(allowance):
            strategy.bound(Workspace(problem), {})
        assert allowance.spent <= effort.declared(strategy, problem, {}).operations


def test_limits() -> None:
    """What would take too long is refused, and a single position is decided."""
    rng = np.random.default_rng(6)
    long = ByComparison(RANK, 13, 2, 5)
    assert "at most 12" in str(LOWER.limit(Problem(at_work(rng, long), long)))
    alone = ByComparison(POSITION, 1, 4, 0)
    assert LOWER.bound(Workspace(Problem(at_work(rng, alone), alone)), {}) == 4


def test_on_the_command_line(tmp_path: Path, capsys: Any) -> None:
    """Tasks by their names; what is proved without a strategy is exact; a model that does something else is told so."""
    proof, path = tmp_path / "p.cert.json", tmp_path / "m.safetensors"
    for words, task in (
        (("first",), ByComparison(POSITION, 3, 5, 0)),
        (("last",), ByComparison(POSITION, 3, 5, 2)),
        (("kth-largest", "-k", "1"), ByComparison(RANK, 3, 5, 1)),
        (("sorted", "-k", "0"), ByComparison(RANK, 3, 5, 2)),
    ):
        model = at_work(np.random.default_rng(7), task)
        model.save(path)
        right = truth(model, task)
        assert __main__.run(["prove", str(path), "--task", *words, "--out", str(proof)]) == 0
        out, _ = capsys.readouterr()
        assert (f" {right} " in out and f"≤ {right} " in out) or right == 125
        assert "1.0000" in out
        assert __main__.run(["verify", str(proof), str(path)]) == 0
        assert checking.main([str(proof), str(path)]) == 0
        capsys.readouterr()
        assert cp.certify(path, words[0], k=int(words[2]) if len(words) > 1 else None).certificate.certified == right
    assert __main__.run(["prove", "max-of-4/123", "--task", "first", "--strategy", "enumerate"]) == 2
    capsys.readouterr()
    assert __main__.run(["prove", "max-of-4/123", "--task", "first", "--strategy", "cubic"]) == 2
    assert f"; use {LOWER.id}, {UPPER.id}, by-comparison/histogram, " in capsys.readouterr().err
    for wrong in (("first", "-k", "1"), ("last", "-k", "2"), ("kth-largest", "-k", "3")):
        assert __main__.run(["prove", str(path), "--task", *wrong]) == 2
        assert capsys.readouterr().err.count("error: -k: expected") == 1
    assert __main__.run(["prove", str(path), "--task", "first", "--all"]) == 0
    assert "warning: the label is the first token, which this model names" in capsys.readouterr().err
    assert __main__.run(["prove", str(path), "--task", "first", "--strategy", "enumerate"]) == 0
    assert "decoder" in capsys.readouterr().out
