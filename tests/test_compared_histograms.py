"""Histograms for the first, the last, the k-th largest token: conditions, bounds by any hints, errors, checkers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compactproofs as cp
from compactproofs import Model
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.search import effort
from compactproofs.search.allowance import Allowance, allowing
from compactproofs.search.choice import certify_within
from compactproofs.search.hints import search_hints
from compactproofs.search.prover import Prover
from compactproofs.search.upgrades import upgraded
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.tasks.by_comparison import POSITION, RANK, ByComparison
from compactproofs.tasks.orders import WeightedLargest
from compactproofs.testing.hints import KINDS, Hint, hostile_hints
from compactproofs.testing.planting import Planted
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.max_of_k.branching import class_margins
from compactproofs.theorems.max_of_k.branching.conditions import Conditions
from compactproofs.theorems.max_of_k.counting.sums import Axis, count_at_most_zero
from exactcheck import checking
from soundness.counting import IntArray, sequences
from soundness.hints import by_branches
from soundness.test_counting import some_work
from test_by_comparison import at_work, some, truth
from test_weights import near_the_limit

PLACE = "by-comparison/histogram"
LOWER, UPPER = BUILT_IN.strategies[PLACE], BUILT_IN.strategies[f"{PLACE}-upper"]


CONDITIONS, HISTOGRAM = "theorems.max_of_k.branching.conditions", "theorems.max_of_k.by_comparison.histogram"
SUMS = "theorems.max_of_k.counting.sums"


def met(chosen: IntArray, required: Any, sign: IntArray, above: int, least: int) -> Any:
    """Which of these sequences meet the sets and the rank, from their definition."""
    sets = required[:, chosen].any(axis=2).all(axis=0)
    return sets & ((sign[chosen] > 0).sum(axis=1) <= above) & ((sign[chosen] >= 0).sum(axis=1) >= least)


def conditions(seed: int, number: int) -> Iterator[tuple[Conditions, Any, IntArray, IntArray]]:
    """Conditions, those of all short sequences that meet them, all of these, and what tokens count."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        positions, tokens, above, least, sets = (int(rng.integers(0, top)) for top in (5, 4, 4, 4, 3))
        required, sign = rng.random((sets, tokens + 1)) < 0.5, rng.integers(-1, 2, tokens + 1)
        chosen = sequences(tokens + 1, positions)
        found = Conditions.of_sets(required).with_rank(sign, above, least)
        yield found, met(chosen, required, sign, above, least), chosen, rng.choice([0, 1, 2, 17], tokens + 1)


def check_conditions(of: Any = None) -> None:
    """What meets them is counted, and the least sum of it is found."""
    rng = np.random.default_rng(0)
    for found, meets, chosen, counts in conditions(0, 120):
        these = found if of is None else of(found.before, found.empty)
        positions, tokens = chosen.shape[1], len(counts)
        assert these.weight(counts, positions) == counts[chosen[meets]].prod(axis=1).sum()
        entries, last = rng.integers(-(2**52), 2**52, (positions, tokens, 2)), rng.integers(-9, 9, 2)
        sums = last + entries[np.arange(positions), chosen[meets]].sum(axis=1)
        least = these.least(entries, last)
        assert (least == sums.min(axis=0)).all() if meets.any() else (least > 2**59).all()


def test_conditions() -> None:
    """In short sequences."""
    check_conditions()


def check_counts(count: Callable[..., int] = count_at_most_zero, of: Any = Conditions, axis: Any = Axis) -> None:
    """Are on the safe side whatever the windows, and exact in bins of width 1."""
    rng, work = np.random.default_rng(1), some_work()
    for found, meets, chosen, counts in conditions(1, 120):
        positions = chosen.shape[1]
        entries, start = rng.integers(-20, 20, (positions, len(counts))), int(rng.integers(-20, 20))
        sums = start + entries[np.arange(positions), chosen].sum(axis=1)
        right = counts[chosen[meets & (sums <= 0)]].prod(axis=1).sum()
        low = int(rng.integers(-60, 10))
        for window in ((1, -99, 99), (int(rng.integers(1, 6)), low, low + int(rng.integers(-9, 80)))):
            one = axis(entries, start, *window)
            under, over = (count(work, one, of(found.before, found.empty), counts, side) for side in (False, True))
            assert under <= right <= over
            if window[1] == -99:
                assert right - 1 <= under
                assert over <= right + 1


def test_counts_under_conditions() -> None:
    """With any of them."""
    check_counts()


def some_hints(rng: np.random.Generator, problem: Any, kind: str) -> list[dict[str, Hint]]:
    """Hints for both strategies: those of a kind, or for all outputs of all classes, from both ends or at once."""
    found, values = [], MeasuredWorkspace[Any, Any](problem, "value")
    for strategy in (LOWER, UPPER):
        searched = partial(search_hints, strategy, values)
        of_kind = {"both ends": "searched", "branches": "plausible"}.get(kind, kind)
        hints = hostile_hints(strategy, problem, of_kind, rng, searched, 4)
        if kind == "branches":
            hints = by_branches(rng, hints)
        if kind == "both ends":
            shape = (1, *hints["labels"].shape[1:])
            every = product(*[range(shape[2])] * 2, range(3), rng.permutation(shape[2]))
            exactly = rng.random() < 0.5
            joined, number, first, last = (0, 99, 2, 4) if exactly else (1, *rng.integers(0, 5, 3).tolist())
            how = joined, 0, number, first, last
            hints["steps"] = np.array([[*part, *rng.integers(shape[2], size=2), *how] for part in every])
            hints["labels"] = rng.integers(0, 4, shape).astype(np.uint8)
            hints["edges"] = np.sort(rng.integers(0, 2**16, (3, 64)), axis=1).astype(np.uint16)
        found.append(hints)
    return found


@pytest.mark.parametrize("kind", [*KINDS, "both ends", "branches"])
def test_bounds_hold(kind: str) -> None:
    """No bound exceeds the truth, or falls short of it where it is one from above; claims are within checks."""
    rng = np.random.default_rng(3)
    found = 0
    for name, model, task in some(10 + len(kind), 20 if kind == "searched" else 7):
        right, problem = truth(model, task), Problem(model, task)
        check: Any = Workspace(problem)
        claim: Any = MeasuredWorkspace(problem, "claim")
        below, above = some_hints(rng, problem, kind)
        low, high = LOWER.bound(check, below), UPPER.bound(check, above)
        assert LOWER.bound(claim, below) <= low <= right <= high <= UPPER.bound(claim, above), (name, task)
        assert 0 <= low <= high <= task.total
        found += 0 < low == right == high
    assert kind != "searched" or found > 25


def test_with_coarse_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds are worse and true, with large weights too."""
    rng = np.random.default_rng(4)
    for _, model, plain in some(4, 12):
        task = replace(plain, weights=near_the_limit(rng, plain.d_vocab, plain.n_ctx)) if rng.random() < 0.5 else plain
        monkeypatch.setattr(class_margins, "_UNIT_BITS", int(rng.choice([2, 5, 12])))
        below, above = some_hints(rng, Problem(model, task), "searched")
        work: Any = Workspace(Problem(model, task))
        assert LOWER.bound(work, below) <= truth(model, task) <= UPPER.bound(work, above)


#: The module, what stands there, and what is put there instead.
ERRORS: dict[str, tuple[str, str, str]] = {
    "equal is above": (CONDITIONS, "a - (sign[:, None] > 0)", "a - (sign[:, None] >= 0)"),
    "above alone counts": (CONDITIONS, "b - (sign[:, None] >= 0)", "b - (sign[:, None] > 0)"),
    "any number above": (CONDITIONS, "np.where(fewer >= 0, fewer", "np.where(fewer >= -1, fewer.clip(0)"),
    "all met by nothing": (CONDITIONS, "(b == 0)[:, None]", "(b >= 0)[:, None]"),
    "sets that are never met": (CONDITIONS, "groups & ~bits[:, None]", "groups | 0 * bits[:, None]"),
    "weights of none": (CONDITIONS, "if row[g] >= 0", "if row[g] >= -1"),
    "the largest sum": (CONDITIONS, ".min(axis=0) for kind", ".max(axis=0) for kind"),
    "sums of none": (CONDITIONS, "known[row] +", "least[row] +"),
    "the wrong start": (CONDITIONS, "np.where(self.empty[:, None], 0", "np.where(~self.empty[:, None], 0"),
    "without the last position": (CONDITIONS, "least[-1] + last", "least[-1] + 0 * last"),
    "counts of none": (SUMS, "found[before < 0]", "found[before < -1]"),
    "counts from any start": (SUMS, "states[conditions.empty, 1]", "states[:, 1]"),
    "the query is not above": (HISTOGRAM, "task.k - int(query > label)", "task.k"),
    "the query is not equal": (HISTOGRAM, "int(query >= label), 0)", "int(query > label), 0)"),
    "ranks are sets": (HISTOGRAM, "return self.task.name == POSITION", "return True"),
    "no label's term": (HISTOGRAM, "last + first[always, -1]", "last"),
    "another position left out": (
        HISTOGRAM,
        "np.delete(first, always, axis=0)",
        "np.delete(first, always - 1, axis=0)",
    ),
    "the label counts 1": (HISTOGRAM, "int(task.counts[label]))", "1)"),
    "the query counts 1": (HISTOGRAM, "int(task.counts[query])", "1"),
    "tokens count 1": (HISTOGRAM, "counts=task.counts[tokens]", "counts=task.counts[tokens].clip(1, 1)"),
    "nothing above": (HISTOGRAM, "label)[0] == 0", "label)[0] <= 1"),
    "nothing above on the cover": (HISTOGRAM, "every if above else", "every if above > 1 else"),
    "no class of the largest query": (HISTOGRAM, "if above < 0 or", "if above < 1 or"),
    "the query holds the label": (HISTOGRAM, "if sign == 0:", "if sign == 2:"),
    "doubtful everywhere": (HISTOGRAM, "doubtful.any(axis=0)", "doubtful.all(axis=0)"),
    "the last token is always named": (HISTOGRAM, "return [] if sign else", "return [] if True else"),
    "sums of H": (HISTOGRAM, "least(self.low, self.low_last)", "least(self.high + 2**30, self.high_last)"),
    "another query": (HISTOGRAM, "np.append(tokens, query)", "np.append(tokens, query - 1)"),
    "scaled by nothing known": (HISTOGRAM, "return self.size\n        work", "return 0\n        work"),
}


#: Of the models that are drawn, some on which these errors make a difference.
TELLING = (3, 4, 5, 12, 22, 24, 30, 36, 39, 48, 51, 53, 55, 62, 63, 66)
#: Of these, one that shows the error; errors that are not here show in sequences.
SHOWN_BY = {
    error: number
    for number, errors in {
        4: ("the query holds the label",),
        5: ("the last token is always named", "sums of H"),
        12: ("scaled by nothing known",),
        24: (
            *("equal is above", "above alone counts", "any number above", "sets that are never met"),
            *("the query is not above", "ranks are sets", "the query counts 1", "tokens count 1", "nothing above"),
            *("nothing above on the cover", "no class of the largest query"),
        ),
        36: ("all met by nothing", "the query is not equal", "doubtful everywhere", "another query"),
        62: ("no label's term", "another position left out", "the label counts 1"),
    }.items()
    for error in errors
}


@cache
def drawn() -> list[tuple[str, Model, ByComparison]]:
    """Models that are drawn, with tasks."""
    return list(some(6, 40))


@cache
def with_hints(number: int) -> tuple[Model, ByComparison, int, list[dict[str, Hint]]]:
    """One of these, how many inputs are right, and hints for both strategies."""
    _, model, task = drawn()[number]
    hints = some_hints(np.random.default_rng([5, number]), Problem(model, task), "searched")
    return model, task, truth(model, task), hints


def wrong_with(planted: Planted, first: int | None) -> bool:
    """Whether a bound of the copy is false of some model; `first`: the one to begin with."""
    library = planted.module("theorems").BUILT_IN.strategies
    for number in (*([] if first is None else [first]), *TELLING):
        model, task, right, (below, above) = with_hints(number)
        copy = planted.module("tasks.by_comparison").ByComparison(
            task.name, task.n_ctx, task.d_vocab, task.k, task.weights
        )
        work = planted.module("kernel.workspace").Workspace(Problem(model, copy))
        try:
            if not library[LOWER.id].bound(work, below) <= right <= library[UPPER.id].bound(work, above):
                return True
        except (IndexError, ValueError):  # some errors fit no arrays
            continue
    return False


@pytest.mark.parametrize("error", ERRORS)
def test_planted_errors(error: str) -> None:
    """Short sequences show it, or more is proved than true on some model, from below or from above."""
    names = ("theorems", "kernel.workspace", "tasks.by_comparison", CONDITIONS, SUMS)
    planted = Planted("compactproofs", [ERRORS[error]], names, sparing=True)
    if error not in SHOWN_BY and wrong_with_sequences(planted):
        return
    assert wrong_with(planted, SHOWN_BY.get(error))


def wrong_with_sequences(planted: Planted) -> bool:
    """Whether the copy's conditions, or counts of sequences by them, are not what they should be."""
    of = planted.module(CONDITIONS).Conditions
    try:
        check_conditions(of)
        check_counts(planted.module(SUMS).count_at_most_zero, of, planted.module(SUMS).Axis)
    except (AssertionError, IndexError):
        return True
    return False


def test_both_checkers(tmp_path: Path, capsys: Any) -> None:
    """What is proved is accepted by both, one more than is true by none; hints of the other shape are malformed."""
    proof, path = tmp_path / "p.cert.json", tmp_path / "m.safetensors"
    for name, model, task in list(some(7, 8))[1::2]:
        model.save(path)
        right, prover = truth(model, task), Prover(model, task)
        for strategy in (LOWER, UPPER):
            certificate = cp.Certificate.from_bytes(prover.prove(strategy.id).certificate.to_bytes())
            more = 1 if strategy.claim == "at least" else -1
            for claim in (certificate, replace(certificate, certified=right + more)):
                if 0 <= claim.certified <= claim.total:
                    claim.save(proof)
                    accepted = effort.verify(cp.Certificate.load(proof), model).accepted
                    assert accepted == (claim is certificate), name
                    assert checking.main([str(proof), str(path)]) in ((0,) if accepted else (1, 3)), name
            labels: Mapping[str, Any] = {"labels": np.zeros((1, task.n_ctx + 1, task.d_vocab), np.uint8)}
            replace(certificate, hints={**certificate.hints, **labels}).save(proof)
            assert checking.main([str(proof), str(path)]) == 2
            assert cp.__main__.run(["verify", str(proof), str(path)]) == 2
            capsys.readouterr()


@pytest.mark.parametrize("kind", ["searched", "extreme"])
def test_work_is_declared(kind: str) -> None:
    """Checks do no more than was declared."""
    rng = np.random.default_rng(8)
    for _, model, task in some(8, 8):
        problem: Any = Problem(model, task)
        for strategy, hints in zip((LOWER, UPPER), some_hints(rng, problem, kind), strict=True):
            allowance = Allowance()
            with allowing(allowance):
                strategy.bound(Workspace(problem), hints)
            assert allowance.spent <= effort.declared(strategy, problem, hints).operations


def test_many_positions() -> None:
    """Where boxes are refused, histograms prove; beyond their own limits they are refused too."""
    rng = np.random.default_rng(9)
    task = ByComparison(POSITION, 16, 8, 0)
    found = certify_within(Prover(at_work(rng, task), task), 600.0)
    assert found.certificate.strategy == PLACE
    assert found.bound == 1
    second = ByComparison(RANK, 13, 3, 1)
    prover = Prover(at_work(rng, second), second)
    below, above = (prover.prove(each.id) for each in (LOWER, UPPER))
    assert below.bound <= above.bound
    for wrong, words in ((ByComparison(RANK, 20, 2, 8), "k = 7"), (ByComparison(POSITION, 65, 2, 0), "64")):
        model: Model = at_work(rng, wrong)
        assert words in str(LOWER.limit(Problem(model, wrong)))


def test_orders_are_ranks() -> None:
    """The largest and the smallest token, as ranks: within histograms of their own, about, and within boxes."""
    for _, model, task in some(9, 6):
        ranked = ByComparison(RANK, task.n_ctx, task.d_vocab, 0)
        boxes = [BUILT_IN.strategies[f"by-comparison/branch-and-bound{side}"] for side in ("", "-upper")]
        problem: Any = Problem(model, ranked)
        work: Any = Workspace(problem)
        below, above = some_hints(np.random.default_rng(0), problem, "searched")
        assert LOWER.bound(work, below) <= boxes[0].bound(work, {}) + 1
        assert UPPER.bound(work, above) >= boxes[1].bound(work, {}) - 1


def test_every_class_is_looked_at() -> None:
    """Without steps nothing is known of classes in doubt, and nothing is wrong for certain."""
    for name, model, task in some(10, 10):
        problem: Any = Problem(model, task)
        work: Any = Workspace(problem)
        empty = {each: hint[:0] for each, hint in some_hints(np.random.default_rng(0), problem, "flat")[0].items()}
        empty["weights"] = np.zeros((task.d_vocab, task.d_vocab), np.uint16)
        assert 0 <= LOWER.bound(work, empty) <= truth(model, task), name
        assert UPPER.bound(work, empty) == task.total


def test_signs_of_all_ranks() -> None:
    """A sequence's label is t exactly where it meets the condition of t."""
    for n, v, k in ((1, 3, 0), (2, 3, 1), (3, 3, 1), (4, 3, 2)):
        for x in product(range(v), repeat=n):
            for t in range(v):
                above, least = k - int(x[-1] > t), k + 1 - int(x[-1] >= t)
                sign, before = np.sign(np.arange(v) - t), np.array([x[:-1]], np.int64).reshape(1, n - 1)
                holds = above >= 0 and bool(met(before, np.zeros((0, v), np.bool_), sign, above, least)[0])
                assert holds == (sorted(x, reverse=True)[k] == t)


def former(certificate: cp.Certificate, rows: int, before: int) -> cp.Certificate:
    """The same as by so many theorems before: with the hints that there were, or such as said nothing."""
    number = int(certificate.theorem[-1]) - before
    hints = {name: hint for name, hint in certificate.hints.items() if name not in ("branches", "ranks")}
    if before == 2:
        hints |= {"steps": np.zeros((rows, 12), np.int64), "edges": np.zeros((0, 2, 64), np.uint16)}
    return replace(certificate, theorem=f"{certificate.theorem[:-1]}{number}", hints=hints)


def test_older_certificates(tmp_path: Path, capsys: Any) -> None:
    """By theorems before, whose hints had other forms, are accepted by both checkers if those still have them."""
    proof, path, added = tmp_path / "p.cert.json", tmp_path / "m.safetensors", {"branches": 0, "ranks": 0}
    for (_, model, task), rows in zip(list(some(11, 6))[1::2], (0, 1, 9), strict=False):
        model.save(path)
        tokens = (3, *[1] * (task.d_vocab - 1))
        largest = WeightedLargest(task.n_ctx, task.d_vocab, tuple(range(task.d_vocab))[::-1], tokens)
        for about, place in (task, PLACE), (replace(task, weights=tokens), PLACE), (largest, "histogram"):
            for side in ("", "-upper"):
                certificate = Prover(model, about).prove(f"{place}{side}").certificate
                older, before = former(certificate, rows, 2), former(certificate, rows, 1)
                kept = upgraded(before, model).hints
                assert {name: len(hint) for name, hint in kept.items() if name not in before.hints} == added
                assert all(kept[name] is hint for name, hint in before.hints.items())
                mixed = [replace(old, hints=new.hints) for old, new in ((older, before), (before, certificate))]
                for each, code in (older, 0), (before, 0), *((one, 2) for one in mixed):
                    each.save(proof)
                    assert cp.__main__.run(["verify", str(proof), str(path)]) == code
                    assert checking.main([str(proof), str(path)]) == code
                    assert code == 0 or "hints" in capsys.readouterr().out
                more = replace(older, certified=about.total if older.claim == "at least" else 0)
                if more.certified != certificate.certified:
                    more.save(proof)
                    assert cp.__main__.run(["verify", str(proof), str(path)]) == 1
                    assert "the check proves" in capsys.readouterr().out
