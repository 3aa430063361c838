"""Runs `compactproofs` commands under limits: each has a gigabyte of memory and five seconds of the processor.

As a program it reads one JSON list of words from each line of its input, runs that command, and prints what came of it
as one line of JSON.  Each command runs in a fork of the program, which has the package loaded already; or, where this
is asked for, in the program itself, one after the other, which takes a third of the time.  Then one that exceeds the
limits ends the program, and a new one is started for the next.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

SECONDS = 5  # of the processor
MEMORY = 2**30  # bytes of address space


class Outcome(NamedTuple):
    """What a command did, and what it took."""

    code: int
    out: str
    err: str
    seconds: float
    peak_bytes: int


class Limited:
    """A process that runs commands under these limits; `forks`: each in a fork of it, where nothing was run before."""

    def __init__(self, forks: bool) -> None:
        self._words = [sys.executable, __file__, *(["--forks"] if forks else [])]
        self._process: subprocess.Popen[str] | None = None

    def run(self, *words: object) -> Outcome:
        """What the command line does with these words."""
        if self._process is None:
            environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200"}
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(word) for word in words]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        return Outcome(*json.loads(line)) if line else Outcome(self.end(), "", "ended by a limit", SECONDS, MEMORY)

    def end(self) -> int:
        """End the process, if there is one; its exit code."""
        if self._process is None:
            return 0
        self._process.communicate()
        code, self._process = self._process.returncode, None
        return code


@contextlib.contextmanager
def limited(forks: bool) -> Iterator[Limited]:
    """Such a process."""
    process = Limited(forks)
    try:
        yield process
    finally:
        process.end()


def _run(words: list[str], forks: bool) -> list[Any]:
    """Run a command with files for stdout and stderr: exit code, what it wrote, and what it took."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if forks:
            child = os.fork()
            if child == 0:
                code = 70
                try:
                    code = _under_limits(words, out.fileno(), err.fileno())
                finally:
                    os._exit(code)
            _, status, used = os.wait4(child, 0)
            code, seconds = os.waitstatus_to_exitcode(status), _seconds(used)
        else:
            before = _seconds(resource.getrusage(resource.RUSAGE_SELF))
            code = _under_limits(words, out.fileno(), err.fileno())
            used = resource.getrusage(resource.RUSAGE_SELF)
            seconds = _seconds(used) - before
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return [code, *texts, seconds, 1024 * used.ru_maxrss]


def _seconds(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


def _under_limits(words: list[str], out: int, err: int) -> int:
    from compactproofs.__main__ import run

    os.dup2(out, 1)
    os.dup2(err, 2)
    end = math.ceil(time.process_time()) + SECONDS
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))
    try:
        return run(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _serve(forks: bool) -> None:
    from compactproofs.__main__ import run

    with contextlib.redirect_stdout(io.StringIO()):
        run(["verify", os.devnull, os.devnull])  # loads what a command loads
    gc.freeze()  # forks share what is there, for nothing looks at it again
    with os.fdopen(os.dup(1), "w") as answers:
        for line in sys.stdin:
            print(json.dumps(_run(json.loads(line), forks)), file=answers, flush=True)


if __name__ == "__main__":
    _serve("--forks" in sys.argv)
