"""The smallest token and the largest in any order: theorems about the largest one are about them, and errors show."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import compactproofs as cp
from compactproofs import STRATEGIES, Certificate, Model, __main__
from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.search.effort import verify
from compactproofs.search.prover import Prover
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.tasks import orders as module
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.tasks.orders import LargestInOrder, MinOfK, order_of
from compactproofs.testing.hints import hostile_hints
from exactcheck import checking
from records import refused_by_both
from soundness.heads import label_of
from soundness.models import Case, all_cases, cases, weights_of
from soundness.truth import exact_correct

CASE = Path(__file__).parent / "cases" / "min3_v10.safetensors"
BY_NAME = {task.name: task for task in module.TASKS}
EXACT = ("brute-force", "branch-and-bound", "branch-and-bound-upper")


def moved(case: Case, task: MaxOfK) -> Model:
    """The model that does of the order what the case does of the tokens as they are."""
    weights = weights_of(case.model)
    order = order_of(task)
    back = np.argsort(order)
    changed = {"W_E": weights["W_E"][back], "W_U": weights["W_U"][:, back]}
    if "b_U" in weights:
        changed["b_U"] = weights["b_U"][back]
    return Model(**(weights | changed))


def some_order(rng: np.random.Generator, model: Model, space: Any = module) -> Any:
    """An order of the model's tokens."""
    if rng.random() < 0.4:
        return space.MinOfK(model.n_ctx, model.d_vocab)
    return space.LargestInOrder(model.n_ctx, model.d_vocab, tuple(rng.permutation(model.d_vocab).tolist()))


def small(seed: int, number: int) -> list[tuple[Case, Model, Any]]:
    """Models of all families with few inputs, moved to an order or as they are."""
    rng = np.random.default_rng(seed)
    few = [case for case in all_cases() if case.model.d_vocab**case.model.n_ctx <= 130]
    found = []
    for i in rng.permutation(len(few))[:number]:
        task = some_order(rng, few[i].model)
        found.append((few[i], moved(few[i], task) if rng.random() < 0.8 else few[i].model, task))
    return found


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_as_of_the_moved_model(strategy: Strategy) -> None:
    """Whatever the hints, each strategy proves of an order what it proves of the largest token for the moved model."""
    rng = np.random.default_rng(list(STRATEGIES).index(strategy.id))
    some = cases("working")[::7] + cases("folded")[::9]
    for case in (some[i] for i in rng.permutation(len(some))[:2]):
        task = some_order(rng, case.model)
        here: Any = Problem(moved(case, task), task)
        there: Any = Problem(case.model, MaxOfK(task.n_ctx, task.d_vocab))
        if strategy.limit(there) is None:
            hints = hostile_hints(strategy, there, "plausible", rng, dict, case.model.d_vocab)
            assert strategy.bound(Workspace(here), hints) == strategy.bound(Workspace(there), hints)


def test_bounds_hold() -> None:
    """Those of exact strategies are the truth, from the definition of the network, and no other exceeds it."""
    for case, model, task in small(0, 40):
        truth = exact_correct(model, label_of(task))
        work: Any = Workspace(Problem(model, task))
        plain = model.d_vocab**model.n_ctx
        for name in EXACT[:2]:
            assert STRATEGIES[name].bound(work, {}) <= truth, case.name
        assert truth <= STRATEGIES[EXACT[2]].bound(work, {}) <= plain
        assert STRATEGIES["cubic"].bound(work, {}) <= truth
    for case in cases("folded")[::6]:
        task = some_order(np.random.default_rng(1), case.model)
        model = moved(case, task)
        truth = exact_correct(model, label_of(task))
        assert truth == exact_correct(case.model)
        for name in EXACT:
            assert STRATEGIES[name].bound(Workspace(Problem(model, task)), {}) == truth


#: What stands in `tasks.orders`, and what is put there instead.
ERRORS = {
    "rows as they are": ('weight[self.places] if name == "W_E" else', ""),
    "columns as they are": ('weight[:, self.places] if name == "W_U" else', ""),
    "columns of W_E": ("weight[self.places] if", "weight[:, ::-1] if"),
    "rows of W_U": ("weight[:, self.places] if", "weight[::-1] if"),
    "positions too": ('if name == "W_E"', 'if name in ("W_E", "W_pos") and len(weight) == self.d_vocab'),
    "the order turned": ("return np.array(self.order, np.int64)", "return np.array(self.order, np.int64)[::-1]"),
    "places for tokens": ("return np.array(self.order, np.int64)", "return np.argsort(self.order)"),
    "the smallest is the largest": ("return slice(None, None, -1)", "return slice(None)"),
    "rotated": ("return slice(None, None, -1)", "return np.roll(np.arange(self.d_vocab)[::-1], 1)"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_planted_errors(name: str) -> None:
    """Each makes brute force claim more than the truth."""
    old, new = ERRORS[name]
    source = inspect.getsource(module)
    assert source.count(old) == 1
    planted: Any = ModuleType("planted_orders")
    sys.modules["planted_orders"] = planted
    exec(source.replace(old, new), planted.__dict__)
    rng = np.random.default_rng(2)
    for case in (*cases("working"), *cases("contrary"), *cases("random"), *cases("folded")):
        if case.model.d_vocab**case.model.n_ctx > 300:
            continue
        task = some_order(rng, case.model, planted)
        truth = exact_correct(case.model, label_of(some_like(task)))
        if STRATEGIES["brute-force"].bound(Workspace(Problem(case.model, task)), {}) > truth:
            return
    raise AssertionError("no model shows it")


def some_like(task: Any) -> MaxOfK:
    """The real task with the record of a planted one."""
    return BY_NAME[task.name].of_record(task.record)


def test_weights_are_read_in_one_place() -> None:
    """Theorems see weights as the task arranges them, so nothing else of the trusted part may ask a network for any."""
    root = Path(cp.__file__).parent
    for folder in ("networks/attention_only", "tasks", "theorems/max_of_k", "kernel"):
        for file in (root / folder).rglob("*.py"):
            if file.name not in ("workspace.py", "problem.py", "model.py"):
                text = file.read_text(encoding="utf-8")
                assert not re.search(r"network\.(weight\(|W_|b_|state_dict|tensors|_folded)", text), file


def test_both_checkers(tmp_path: Path, capsys: Any) -> None:
    """Certificates with searched hints are accepted by both, and with one more input rejected; so is another order."""
    proof, path = tmp_path / "p.cert.json", tmp_path / "m.safetensors"
    subcubic = "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact"
    rng = np.random.default_rng(4)
    some = [case for case in cases("working") if case.model.n_ctx > 1][:1] + [
        case for case in cases("folded") if case.model.n_ctx > 1 and case.model.b_U.any()
    ][:1]
    for case in some:
        for task in (MinOfK(case.model.n_ctx, case.model.d_vocab), some_order(rng, case.model)):
            model = moved(case, task)
            model.save(path)
            prover = Prover(model, task)
            for name in (*EXACT, "cubic", "failing-sets", "failing-sets/strict-QK+EU", "histogram", subcubic):
                certificate = Certificate.from_bytes(prover.prove(name).certificate.to_bytes())
                assert BY_NAME[task.name].of_record(certificate.task) == task
                more = 1 if certificate.claim == "at least" else -1
                for certified, code in ((certificate.certified, 0), (certificate.certified + more, 1)):
                    if 0 <= certified <= task.total:
                        claim = replace(certificate, certified=certified)
                        claim.save(proof)
                        assert verify(claim, model).accepted == (code == 0), name
                        found = checking.main([str(proof), str(path)])
                        assert found == code or (code == 1 and name not in EXACT), capsys.readouterr()
            best = prover.prove("brute-force").certificate
            other = replace(best, task=MaxOfK(task.n_ctx, task.d_vocab).record)
            if exact_correct(model) < best.certified:
                assert not verify(other, model).accepted


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"order": text}
            for text in ("0 1 2", "0 1 2 3 4", "0 1 2 2", "0 1 2 4", "3 2 1  0", "3 2 1 00", "", 0, "a b c d")
        ),
        *({"d_vocab": 3}, {"d_vocab": 2**31 - 1}, {"name": "max-of-k"}, {"name": "min-of-k"}, {"more": 1}),
    ],
    ids=str,
)
def test_records_that_are_none(change: dict[str, Any], tmp_path: Path) -> None:
    """Are malformed to both checkers."""
    model = next(case.model for case in cases("random") if case.model.d_vocab == 4)
    task = LargestInOrder(model.n_ctx, 4, (3, 1, 2, 0))
    refused_by_both(model, task, change, tmp_path)


def test_readings() -> None:
    """The search sees weights arranged alike: its plain numbers are the middles of the checker's."""
    case = cases("working")[3]
    task = some_order(np.random.default_rng(5), case.model)
    problem: Any = Problem(case.model, task)
    value: Any = MeasuredWorkspace(problem, "value").weight("W_E")
    check: Any = Workspace(problem).weight("W_E")
    assert (value == check.mid).all()
    assert (value == case.model.W_E[task.places]).all()


def test_on_the_command_line(tmp_path: Path, capsys: Any) -> None:
    """A model that names the smallest token, by all kinds of strategies; and one that does not is told so."""
    proof = tmp_path / "p.cert.json"
    for words in (("--task", "min"), ("--order", "9 8 7 6 5 4 3 2 1 0")):
        assert __main__.run(["prove", str(CASE), *words, "--strategy", "cubic", "--out", str(proof)]) == 0
        out, err = capsys.readouterr()
        assert "999" in out
        assert "warning" not in err
        assert __main__.run(["verify", str(proof), str(CASE)]) == 0
        assert "accepted: at least 999 of 1000" in capsys.readouterr().out
        assert checking.main([str(proof), str(CASE)]) == 0
        capsys.readouterr()
    assert __main__.run(["prove", str(CASE), "--task", "min", "--budget", "2^20"]) == 0
    assert " 999 " in capsys.readouterr().out
    assert __main__.run(["prove", str(CASE), "--task", "min", "--strategy", "enumerate"]) == 0
    assert "decoder" in capsys.readouterr().out
    assert __main__.run(["prove", str(CASE), "--order", "0 1 2 3 4 5 6 7 8 9", "--strategy", "cubic"]) == 0
    assert "and the smallest token for 99.9%" in capsys.readouterr().err
    assert __main__.run(["prove", "max-of-4/123", "--task", "min", "--strategy", "cubic"]) == 0
    assert "warning: the label is the smallest token, which this model names" in capsys.readouterr().err
    for wrong in (("--order", "1 2"), ("--order", "9 8 7 6 5 4 3 2 1 0", "--task", "min"), ("--order", "x")):
        assert __main__.run(["prove", str(CASE), *wrong, "--strategy", "cubic"]) == 2
        assert capsys.readouterr().err.startswith("error: --order: ")


def test_orders_of_many_tokens(tmp_path: Path) -> None:
    """One of 400 tokens takes more than a thousand characters, and both checkers read it."""
    rng = np.random.default_rng(6)
    v, n = 400, 2
    shapes = {"W_E": (v, 2), "W_pos": (n, 2), **dict.fromkeys(("W_Q", "W_K", "W_V", "W_O"), (2, 2)), "W_U": (2, v)}
    model = Model(**{name: rng.normal(size=shape) for name, shape in shapes.items()})
    task = LargestInOrder(n, v, tuple(rng.permutation(v).tolist()))
    certificate = Prover(model, task).prove("trivial").certificate
    path, proof = tmp_path / "m.safetensors", tmp_path / "p.cert.json"
    model.save(path)
    certificate.save(proof)
    assert len(str(certificate.task["order"])) > 1000
    assert verify(Certificate.from_bytes(proof.read_bytes()), model).accepted
    assert checking.main([str(proof), str(path)]) == 0
