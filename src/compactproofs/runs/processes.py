"""Processes that work for this one: none outlives it, and Ctrl-C is for it alone.

They are those of loky, each a Python of its own with one thread for BLAS, which imports nothing from the directory that
the user happens to be in and does not run the caller's program again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any, TypeVar

R = TypeVar("R")

#: What ends a command in an orderly way, where something handles it.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONSAFEPATH": "1",
}


@contextmanager
def local_processes(number: int) -> Iterator[Executor]:
    """Inside the block an executor of this many processes; they are killed at its end, whatever they do then.

    Raises BrokenExecutor, where a result is asked for, if one of them is killed.
    """
    from loky import ProcessPoolExecutor

    executor = ProcessPoolExecutor(number, initializer=_begin, initargs=(os.getpid(),), env=_ENVIRONMENT)
    try:
        yield executor
    finally:
        with _interrupts_later(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Failed to kill subprocesses", UserWarning)  # which ours do not have
            executor.shutdown(wait=True, kill_workers=True)


def submit(executor: Executor, function: Callable[..., R], *arguments: Any) -> Future[R]:
    """Have it called by an executor, which may start its processes now: Ctrl-C waits until that is done."""
    with _interrupts_later():
        return executor.submit(function, *arguments)


def another_core() -> bool:
    """Whether this process may use more than one core, and is not one of several workers itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores > 1 and parent_process() is None


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Inside the block signals such as Ctrl-C are only noted, and come at its end, also if it ends by an error.

    Processes that are started there have Ctrl-C blocked from the beginning.  Only the main thread handles signals; in
    another thread that is all that happens.
    """
    noted: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in _SIGNALS if callable(signal.getsignal(number))}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]) if hasattr(signal, "pthread_sigmask") else None
    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: noted.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in noted:
            handlers[number](number, None)


def _begin(parent: int) -> None:
    """What a process does first: it leaves Ctrl-C to the one that started it, and ends with that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A parent that is killed cannot stop its processes, which would wait for ever."""
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(1)
