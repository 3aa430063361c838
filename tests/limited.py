"""Runs `compactproofs` commands, each in a process of its own with limits: a gigabyte of memory, five seconds.

As a program it reads one JSON list of words from each line of its input, runs that command in a fork of itself, which
has the package loaded already, and prints what came of it as one line of JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
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
    """A process that runs commands under these limits."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *words: object) -> Outcome:
        """What the command line does with these words."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(word) for word in words]) + "\n")
        self._process.stdin.flush()
        return Outcome(*json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def limited() -> Iterator[Limited]:
    """Starts such a process, and ends it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Limited(process)
        assert process.stdin is not None
        process.stdin.close()


def _run(words: list[str]) -> list[Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _become(words, out.fileno(), err.fileno())
        _, status, used = os.wait4(child, 0)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return [os.waitstatus_to_exitcode(status), *texts, used.ru_utime + used.ru_stime, 1024 * used.ru_maxrss]


def _become(words: list[str], out: int, err: int) -> None:
    from compactproofs.__main__ import run

    code = 70
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        code = run(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _load() -> None:
    """Load whatever a command loads, once for all forks."""
    from compactproofs.__main__ import run

    with contextlib.redirect_stdout(io.StringIO()):
        run(["verify", os.devnull, os.devnull])


if __name__ == "__main__":
    _load()
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)
