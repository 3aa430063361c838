"""A strategy's number, computed by another process while this one works: claims and checks take equally long.

The process is a Python of its own, so that a caller's program needs no guard against being imported again.  Where it
cannot be started or dies, there is no number, and the caller computes it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from multiprocessing import parent_process
from typing import BinaryIO

from compactproofs.kernel.problem import Strategy
from compactproofs.opening.models import Model
from compactproofs.search.hints import HintArrays
from compactproofs.search.workspaces import Reading, run, workspace
from compactproofs.theorems import get_strategy

#: With -P, nothing is imported from the directory that the user happens to be in.
_COMMAND = [sys.executable, "-P", "-c", "from compactproofs.search.side_process import main; main()"]


@dataclass(frozen=True)
class Apart:
    """A strategy that another process runs."""

    process: subprocess.Popen[bytes] | None

    def result(self) -> tuple[int, float] | None:
        """Wait for the number and the seconds that it took; None if the process did not come that far."""
        if self.process is None or self.process.stdout is None:
            return None
        words = self.process.stdout.read().split()
        return (int(words[0]), float(words[1])) if len(words) == 2 else None


def another_core() -> bool:
    """Whether this process may use more than one core, and is not one of several workers itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores > 1 and parent_process() is None


@contextmanager
def running_apart(strategy: Strategy, model: Model, reading: Reading, hints: HintArrays) -> Iterator[Apart]:
    """Inside the block another process runs the strategy; it is killed at the end."""
    weights = {field.name: getattr(model, field.name) for field in fields(model) if field.init}
    try:
        process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        yield Apart(None)
        return
    with process, suppress(BrokenPipeError):  # from closing the pipe of one that died
        try:
            _send(process, pickle.dumps((strategy.id, weights, reading, dict(hints))))
            yield Apart(process)
        finally:
            process.kill()


def _send(process: subprocess.Popen[bytes], message: bytes) -> None:
    """Write to the process, if it is still there, and leave the pipe open."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(message)
        process.stdin.flush()


def main() -> None:
    """Read what to run, and write its number; Ctrl-C is for the process that waits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    strategy_id, weights, reading, hints = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    found = run(get_strategy(strategy_id), workspace(Model(**weights), reading), hints)
    print(found.certified, found.seconds, flush=True)
    os._exit(0)  # without waiting for the thread


def _end_with(pipe: BinaryIO) -> None:
    """The pipe ends with whoever waits at its other end, and so does this process."""
    pipe.read()
    os._exit(1)
