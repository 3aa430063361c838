"""Processes that work for this one: Ctrl-C does not reach them, and they end with it, whatever happens; loading."""

import gc
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import compactproofs as cp
from compactproofs.search import families, prover
from compactproofs.system import processes
from compactproofs.system.loading import load
from compactproofs.system.processes import cores, local_processes, submit
from test_analysis import random_model


def test_what_a_process_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another one, with one thread for BLAS, which Ctrl-C leaves alone, and which imports nothing from where we are."""
    before = dict(os.environ)
    for name in ("loky", "numpy", "pickle"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current directory')")
    monkeypatch.chdir(tmp_path)
    with local_processes(1) as executor:
        assert submit(executor, os.getpid).result() != os.getpid()
        assert submit(executor, os.getenv, "OPENBLAS_NUM_THREADS").result() == "1"
        assert submit(executor, signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
        assert submit(executor, cores).result() == 1
        assert submit(executor, cp.load_model, "max-of-4/50").result().sha256 == cp.load_model("max-of-4/50").sha256
    assert dict(os.environ) == before


def page_faults(arrays: int) -> int:
    """How often the system is asked for a page while so many arrays of 1 MiB come and go, eight at once."""
    import resource

    kept: list[bytearray] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(arrays):
        kept = [*kept[-7:], bytearray(2**20)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory is kept where the library is glibc")
def test_memory_is_kept() -> None:
    """What arrays leave behind is there for the next ones."""
    with local_processes(1) as executor:
        submit(executor, page_faults, 20).result()
        assert submit(executor, page_faults, 1000).result() < 10_000  # of 256,000 pages


def test_killed_at_the_end() -> None:
    """Whoever leaves the block leaves no process behind, and does not wait for what it does."""
    with local_processes(1) as executor:
        pid = submit(executor, os.getpid).result()
        submit(executor, time.sleep, 1000)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_is_killed() -> None:
    """Its work has no result, and nobody waits for it for ever."""
    with local_processes(1) as executor:
        killed = submit(executor, signal.raise_signal, signal.SIGKILL)
        with pytest.raises(BrokenExecutor):
            killed.result()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupts_come_at_the_end(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Of a block in which processes are started, and not in its middle."""
    reached = []

    def interrupted(got: int, frame: object) -> None:
        raise KeyboardInterrupt(got)

    before = signal.signal(number, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt) as caught, processes._interrupts_later():  # noqa: PT012
            signal.raise_signal(number)
            reached.append(True)
        assert (reached, caught.value.args) == ([True], (number,))
        assert signal.getsignal(number) == interrupted
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.signal(number, before)


PARENT = """
import os, time
from compactproofs.system.processes import local_processes, submit
with local_processes(1) as executor:
    print(submit(executor, os.getpid).result(), flush=True)
    submit(executor, time.sleep, 1000).result()
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_ends_with_its_parent() -> None:
    """When that is killed, in the middle of its work; the program that started it is not run again."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    until = time.monotonic() + 20
    while not is_dead(worker):
        assert time.monotonic() < until
        time.sleep(0.05)


def is_dead(pid: int) -> bool:
    """Whether there is no such process, other than as a name of the dead."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return True


def test_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that this process may use, and one for a worker."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    assert cores() == 2
    monkeypatch.setattr(processes, "parent_process", lambda: "a parent")
    assert cores() == 1
    monkeypatch.setattr(processes, "parent_process", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert cores() == 1


# A claim, computed by another process while this one checks


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Every strategy is taken for one that takes long, and there are two cores; notes that this was asked."""
    asked: list[bool] = []

    def ask() -> int:
        asked.append(True)
        return 2

    monkeypatch.setattr(prover, "_MANY_INPUTS", 0)
    slow = {key: replace(companion, long=True) for key, companion in families._COMPANIONS.items()}
    monkeypatch.setattr(families, "_COMPANIONS", slow)
    monkeypatch.setattr(prover, "cores", ask)
    return asked


@pytest.mark.parametrize("strategy_id", ["branch-and-bound", "failing-sets"])
def test_same_certificate(request: pytest.FixtureRequest, strategy_id: str) -> None:
    """Whether the claim is computed here or elsewhere, with hints and without."""
    model = random_model(5, 4)
    here = cp.prove(model, strategy_id)
    asked = request.getfixturevalue("apart")
    there = cp.prove(model, strategy_id)
    assert asked == [True]
    assert there.certificate.to_bytes() == here.certificate.to_bytes()
    assert there.cost == here.cost
    assert there.search_seconds > 0


def test_without_a_process(apart: list[bool], without_processes: Callable[[ModuleType], None]) -> None:
    """One that does not start or dies gives no number, and proving goes on here."""
    model = random_model(5, 4)
    without_processes(prover)
    proof = cp.prove(model, "cubic")
    assert apart == [True]
    assert proof.certificate.to_bytes() == cp.Prover(model).certify(cp.STRATEGIES["cubic"], {}).certificate.to_bytes()


def test_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module is there as after any import, a second time the same, and garbage is looked for as before."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "loaded_well.py").write_text("import gc\nwatched = gc.isenabled()\n")
    (tmp_path / "loaded_badly.py").write_text("raise ImportError('no luck')\n")
    for enabled in (True, False):
        monkeypatch.delitem(sys.modules, "loaded_well", raising=False)
        (gc.enable if enabled else gc.disable)()
        try:
            module = load("loaded_well")
            assert not module.watched
            assert module is load("loaded_well")
            assert gc.isenabled() == enabled
            with pytest.raises(ImportError, match="no luck"):
                load("loaded_badly")
            assert gc.isenabled() == enabled
        finally:
            gc.enable()
    monkeypatch.delitem(sys.modules, "loaded_well")
