"""A strategy in a process of its own gives the same number, or none at all, and ends with whoever waits for it."""

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

import compactproofs as cp
from compactproofs.search import prover
from compactproofs.search import side_process as apart
from compactproofs.search.side_process import another_core, running_apart
from compactproofs.search.workspaces import run, workspace
from compactproofs.theorems import get_strategy
from test_analysis import random_model

HINTED = "failing-sets"


@pytest.mark.parametrize("reading", ["check", "claim"])
@pytest.mark.parametrize("strategy_id", ["histogram", "cubic", HINTED])
def test_same_number(strategy_id: str, reading: str) -> None:
    """As computed here."""
    model, strategy = random_model(5, 4), get_strategy(strategy_id)
    hints = cp.Prover(model).search(strategy)
    with running_apart(strategy, model, reading, hints) as process:
        found = process.result()
    assert found is not None
    assert found[0] == run(strategy, workspace(model, reading), hints).certified
    assert found[1] > 0


@pytest.mark.parametrize("strategy_id", ["branch-and-bound", "histogram-upper"])
def test_same_certificate(monkeypatch: pytest.MonkeyPatch, strategy_id: str) -> None:
    """Whether the claim is computed here or elsewhere."""
    model = random_model(5, 4)
    here = cp.prove(model, strategy_id)
    asked = []
    monkeypatch.setattr(prover, "_MANY_INPUTS", 0)
    monkeypatch.setattr(prover, "another_core", lambda: asked.append(True) or True)
    there = cp.prove(model, strategy_id)
    assert asked == [True]
    assert there.certificate.to_bytes() == here.certificate.to_bytes()
    assert there.cost == here.cost


@pytest.mark.parametrize(
    "command", [["/nowhere/python"], [sys.executable, "-c", "raise SystemExit(1)"], [sys.executable, "-c", "print(1)"]]
)
def test_without_a_process(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """One that does not start, dies at once, or says something else: there is no number, and proving goes on."""
    model = random_model(5, 4)
    expected = cp.prove(model, "histogram").certificate.certified
    monkeypatch.setattr(apart, "_COMMAND", command)
    with running_apart(get_strategy("histogram"), model, "claim", {}) as process:
        assert process.result() is None
    monkeypatch.setattr(prover, "_MANY_INPUTS", 0)
    monkeypatch.setattr(prover, "another_core", lambda: True)
    assert cp.prove(model, "histogram").certificate.certified == expected


def test_nothing_is_imported_from_the_current_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file there that is called like a module is not run."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('imported from the current directory')")
    monkeypatch.chdir(tmp_path)
    with running_apart(get_strategy("histogram"), random_model(5, 4), "claim", {}) as process:
        assert process.result() is not None


def test_killed_at_the_end() -> None:
    """Whoever leaves the block, such as by Ctrl-C, leaves no process behind."""
    with (
        pytest.raises(KeyboardInterrupt),
        running_apart(get_strategy("histogram"), cp.load_model("max-of-10/104"), "claim", {}) as found,
    ):
        raise KeyboardInterrupt
    assert found.process is not None
    assert found.process.returncode == -9


def test_ends_with_its_parent() -> None:
    """When the pipe from its parent closes, the process ends in the middle of its work."""
    process = subprocess.Popen(apart._COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    model = cp.load_model("max-of-10/104")
    weights = {name: getattr(model, name) for name in ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U")}
    process.stdin.write(pickle.dumps(("histogram", weights, "claim", {})))
    process.stdin.flush()
    time.sleep(0.5)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(timeout=60) == 1
    assert process.stdout is not None
    assert process.stdout.read() == b""
    process.stdout.close()


def test_another_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if there is one, and if this process is not one of several workers."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    assert another_core()
    monkeypatch.setattr(apart, "parent_process", lambda: "a parent")
    assert not another_core()
    monkeypatch.setattr(apart, "parent_process", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert not another_core()
