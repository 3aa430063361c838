"""Jobs and their results: what is kept and taken for finished, what is computed, and what ends a run."""

import json
import math
import operator
import os
import signal
import subprocess
import sys
import time
import types
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import pytest

from compactproofs import __main__ as entry
from compactproofs.kernel.problem import Claim
from compactproofs.runs import store
from compactproofs.runs.runner import WorkersLost, run
from compactproofs.runs.store import Job, Results, is_of
from compactproofs.system.files import seal
from compactproofs.version import __version__
from test_processes import is_dead


class Pair(TypedDict):
    """Something that has parts."""

    name: str
    numbers: list[float] | None


def jobs_of(*numbers: int) -> list[Job]:
    """Their factorials, which other processes can compute too."""
    return [Job(f"number/{n}", math.factorial, (n,)) for n in numbers]


def results(directory: Path) -> Results[int]:
    """Of these jobs."""
    return Results(directory / "new" / "results", int)


# What is kept


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (int, [1, 10**30], [1.0, True, "1", None]),
        (float, [1, 1.5], [True, "1", None]),
        (str, ["", "a"], [1, None, ["a"]]),
        (Claim, ["at least", "at most"], ["", "At least", 1, None, ["at most"]]),
        (float | None, [None, 2], ["", False]),
        (list[str | float], [[], ["a", 1, 1.5]], [{}, "a", [None]]),
        (dict[str, list[int]], [{}, {"a": [1]}], [[], {"a": 1}, {"a": [1, "b"]}]),
        (Pair, [{"name": "a", "numbers": None}, {"numbers": [1.5], "name": ""}],
         [{"name": "a"}, {"name": "a", "numbers": None, "more": 1}, {"name": 1, "numbers": []}, [], None]),
        (list[Pair], [[{"name": "a", "numbers": []}]], [[{"name": "a", "numbers": ["b"]}]]),
    ],
)  # fmt: skip
def test_types(kind: Any, good: list[Any], bad: list[Any]) -> None:
    """All the way down, and an integer is a float, but true is no number."""
    assert [is_of(kind, value) for value in good] == [True] * len(good)
    assert [is_of(kind, value) for value in bad] == [False] * len(bad)


def test_kept_and_found(tmp_path: Path) -> None:
    """What is put is got, by another store and for an equal job, and its file has a name that people can read."""
    kept = results(tmp_path)
    kept.open()
    first, second = jobs_of(5, 6)
    assert kept.get(first) is None
    assert kept.put(first, 120) == 120
    assert results(tmp_path).get(jobs_of(5)[0]) == 120
    assert kept.get(second) is None
    assert kept.path(first).name.startswith("number-5-")
    assert kept.path(first) != kept.path(Job("number/5", math.factorial, (6,)))


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"\xff", b"[" * 10**5, b"[]", b"null", b"{}", b'"result"', "version", "function", "arguments",
        "model_sha256", "no result", "a result of another type", "a directory",
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_computed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | str
) -> None:
    """A file that is cut, another version, other weights, a wrong type: as good as none, and replaced."""
    kept, (job,) = results(tmp_path), jobs_of(5)
    assert dict(run([job], kept)) == {job: 120}
    path = kept.path(job)
    found = json.loads(path.read_bytes())
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    elif damage == "a directory":
        path.unlink()
        path.mkdir()
    elif damage == "no result":
        path.write_text(json.dumps({"computed": found["computed"]}))
    elif damage == "a result of another type":
        path.write_text(json.dumps(found | {"result": "120"}))
    else:
        path.write_text(json.dumps(found | {"computed": found["computed"] | {damage: "another"}}))
    assert kept.get(job) is None
    if damage != "a directory":
        assert dict(run([job], kept)) == {job: 120}
        assert json.loads(path.read_bytes()) == found


def test_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces what is there."""
    kept, (job,) = results(tmp_path), jobs_of(5)
    assert dict(run([job], kept)) == {job: 120}
    monkeypatch.setattr(store, "__version__", "99")
    assert kept.get(job) is None
    assert dict(run([job], kept)) == {job: 120}
    assert len(list(kept.directory.iterdir())) == 1


def test_places(tmp_path: Path) -> None:
    """A file in the way is left alone; what a killed process left is removed."""
    kept = results(tmp_path)
    (tmp_path / "new").write_text("mine")
    with pytest.raises(ValueError, match=r"--out: cannot make the directory .*results: Not a directory"):
        list(run(jobs_of(5), kept))
    (tmp_path / "new").unlink()
    kept.directory.mkdir(parents=True)
    left_behind = kept.directory / f".{'0' * 16}-{seal('0' * 16)}.tmp"
    left_behind.write_text("half a resu")
    list(run(jobs_of(5), kept))
    assert not left_behind.exists()


# What is computed


@pytest.mark.parametrize("workers", [1, 2])
def test_results(tmp_path: Path, workers: int) -> None:
    """All of them, wherever they are computed; those that are there come first and are not computed again."""
    kept, jobs = results(tmp_path), jobs_of(*range(8))
    assert dict(run(jobs[:2], kept, workers=workers)) == {jobs[0]: 1, jobs[1]: 1}
    kept.put(jobs[5], 7)
    found = list(run(jobs, kept, workers=workers))
    assert dict(found) == {job: 7 if n == 5 else math.factorial(n) for n, job in enumerate(jobs)}
    assert [job for job, _ in found[:3]] == [jobs[0], jobs[1], jobs[5]]
    assert {kept.get(job) for job in jobs} == set(dict(found).values())


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_job(tmp_path: Path, workers: int) -> None:
    """It reaches the caller, and what was finished before is kept."""
    jobs = [*jobs_of(3), Job("bad", operator.truediv, (1, 0)), Job("worse", operator.truediv, (1, 0))]
    with pytest.raises(ZeroDivisionError):
        list(run(jobs, results(tmp_path), workers=workers))


def test_no_jobs(tmp_path: Path) -> None:
    """Nothing is started for them, nor is a scheduler asked."""
    assert list(run([], results(tmp_path), workers=2)) == []
    list(run(jobs_of(3), results(tmp_path)))
    assert len(list(run(jobs_of(3), results(tmp_path), scheduler="tcp://nowhere:1"))) == 1


# What ends a run


def interrupt(*arguments: Any) -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


def test_interrupted(tmp_path: Path) -> None:
    """It says how much is finished; two jobs about one thing are one of that."""
    jobs = [*jobs_of(3), Job("b", math.factorial, (4,)), Job("b", interrupt, ())]
    said = f"interrupted: 1 of 2 models are finished in {results(tmp_path).directory}; run the same command again to"
    with pytest.raises(KeyboardInterrupt, match=said):
        list(run(jobs, results(tmp_path)))
    assert [results(tmp_path).get(job) for job in jobs] == [6, 24, None]


KILLED = "__import__('signal').raise_signal(9)"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_process_that_is_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As for want of memory: one line says so, and its work is begun again, once."""
    once = f"(been := __import__('pathlib').Path({str(tmp_path / 'been here')!r})).exists() or (been.touch(), {KILLED})"
    jobs = [Job("first", eval, (once,)), *jobs_of(3, 4, 5)]
    assert sorted(dict(run(jobs, results(tmp_path), workers=2)).values()) == [True, 6, 24, 120]
    reason = "a process was killed, perhaps for want of memory"
    assert capsys.readouterr().err == f"note: {reason}; its work is begun again\n"
    jobs = [Job("first", eval, (KILLED,)), Job("second", eval, (KILLED,))]
    with pytest.raises(WorkersLost, match=f"{reason}; run the same command again: 0 of 2 models are finished in "):
        list(run(jobs, results(tmp_path), workers=2))
    assert capsys.readouterr().err.count("\n") == 1


PROGRAM = """
import sys, time
from pathlib import Path
from compactproofs.__main__ import _explain, _take_charge
from compactproofs.runs.runner import run
from compactproofs.runs.store import Job, Results
try:
    _take_charge()
    jobs = [Job(str(i), time.sleep, (i and 1000,)) for i in range(3)]
    list(run(jobs, Results(Path(sys.argv[1]), type(None)), workers=2))
except BaseException as error:
    sys.exit(_explain(error, True))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_at_once(tmp_path: Path, number: int) -> None:
    """Also where they reach the workers too, and whatever those do; nothing is left."""
    directory = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, directory],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(
            signal.signal, number, signal.SIG_DFL
        ),  # also where it is ignored here, as in the background
    )
    until = time.monotonic() + 60
    while not list(directory.glob("0-*")):
        assert time.monotonic() < until
        time.sleep(0.02)
    workers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and is_in(process, entry)]
    assert len(workers) >= 2
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    # A tracker of loky's that the signal reached may say after this that what it was to remove is gone.
    assert f"interrupted: 1 of 3 models are finished in {directory}; run the same command again to do the rest" in said
    assert "Traceback" not in said
    assert all(map(is_dead, workers))


def is_in(process: "subprocess.Popen[str]", entry: Path) -> bool:
    """Whether this is a worker of the process."""
    try:
        parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        return parent == str(process.pid) and "popen_loky" in (entry / "cmdline").read_text()
    except OSError:
        return False


# Clusters


def test_cluster_without_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r'pip install "compactproofs\[cluster\]"'):
        list(run(jobs_of(3), results(tmp_path), scheduler="tcp://127.0.0.1:1"))


# What may happen to a cluster, with what stands for Dask's client


class Cluster:
    """A client of a scheduler that may be missing or lose its workers, or be lost."""

    def __init__(self, address: str, timeout: float) -> None:
        if "missing" in address:
            raise OSError("Timed out trying to connect")
        self.address = address

    def wait_for_workers(self, number: int, timeout: float) -> None:
        """There are none."""
        if "empty" in self.address:
            raise TimeoutError("Only 0/1 workers arrived")

    def get_executor(self) -> Any:
        """Whose first result is that the scheduler is gone, or that workers were killed."""
        return self

    def submit(self, function: Any, *arguments: Any) -> "Future[Any]":
        """It takes all jobs."""
        future: Future[Any] = Future()
        lost = {"lost": CancelledError(), "strange": ModuleNotFoundError("No module named 'compactproofs'")}
        future.set_exception(lost.get(self.address) or KilledWorker("prove_model", None, [], 3))
        return future

    def nthreads(self) -> dict[str, int]:
        """A worker with two threads."""
        return {"worker": 2}

    def close(self, timeout: float) -> None:
        """Nothing to close."""


class KilledWorker(Exception):
    """As Dask calls it."""


class CommClosedError(OSError):
    """As Dask calls it."""


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("missing", "there is no Dask scheduler at missing; start one"),
        ("empty", "the Dask scheduler at empty has no workers; start some"),
        ("lost", "the Dask scheduler at lost went away; start it anew"),
        ("killed", "workers of the cluster were killed, perhaps for want of memory"),
        ("strange", f"the workers of the cluster need compactproofs {__version__}: No module named 'compactproofs'"),
    ],
)
def test_a_cluster_that_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str, reason: str
) -> None:
    """One line that says what is done and what to do."""
    pytest.importorskip("polars", reason="needs the extra report")
    monkeypatch.setitem(sys.modules, "distributed", types.SimpleNamespace(Client=Cluster))
    monkeypatch.setitem(sys.modules, "distributed.comm", types.SimpleNamespace(CommClosedError=CommClosedError))
    monkeypatch.setitem(sys.modules, "distributed.scheduler", types.SimpleNamespace(KilledWorker=KilledWorker))
    code = entry.run(["table1", "--out", str(tmp_path), "--seeds", "2", "--scheduler", address])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {reason}")
    assert err.endswith(f"run the same command again: 0 of 2 models are finished in {tmp_path}\n")
