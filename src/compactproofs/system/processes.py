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

from compactproofs.system.memory import keep_memory

R = TypeVar("R")

#: What ends a command in an orderly way, where something handles it.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
#: What interrupts a block that has its time.
_ALARM = getattr(signal, "SIGALRM", None)
#: What a terminal sends to all its processes.
_OF_TERMINALS = [number for number in _SIGNALS if number != signal.SIGTERM]
_ENVIRONMENT = {
    "LOKY_MAX_MEMORY_LEAK_SIZE": "1e18",  # jobs differ in size, and that is no leak
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
#: With it Python imports nothing from the current directory; loky's own helpers have it from our environment.
_SAFE_PATH = "PYTHONSAFEPATH"


@contextmanager
def local_processes(number: int) -> Iterator[Executor]:
    """Inside the block an executor of this many processes; they are killed at its end, whatever they do then.

    Raises BrokenExecutor, where a result is asked for, if one of them is killed.
    """
    from loky import ProcessPoolExecutor

    if hasattr(signal, "pthread_sigmask"):
        from multiprocessing import resource_tracker

        with warnings.catch_warnings(action="ignore"):  # of what a tracker knew that somebody killed
            resource_tracker.ensure_running()  # later it would unblock Ctrl-C while processes are started
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    with _interrupts_later():
        executor = ProcessPoolExecutor(number, initializer=_begin, initargs=(os.getpid(),), env=_ENVIRONMENT)
    try:
        yield executor
    finally:
        with _interrupts_later():
            executor.shutdown(wait=True, kill_workers=True)
            if before is None:
                del os.environ[_SAFE_PATH]
            else:
                os.environ[_SAFE_PATH] = before


def submit(executor: Executor, function: Callable[..., R], *arguments: Any) -> Future[R]:
    """Have it called by an executor, which may start its processes now: Ctrl-C waits until that is done."""
    with _interrupts_later():
        return executor.submit(function, *arguments)


def cores() -> int:
    """How many cores this process may use; one, if it is one of several workers itself."""
    if parent_process() is not None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def interrupts_noted() -> Iterator[Callable[[], None]]:
    """Inside the block signals such as Ctrl-C are only noted; calling what the block is given lets them interrupt.

    An interrupt at any other moment could leave a lock held for ever by code that knows of none.  What nobody asked for
    interrupts at the end of the block, also of one that ends by an error.  Only the main thread handles signals.
    """
    noted: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [*_SIGNALS, *([] if _ALARM is None else [_ALARM])]
        handlers = {number: signal.getsignal(number) for number in numbers if callable(signal.getsignal(number))}

    def ask() -> None:
        while noted:
            number = noted.pop()
            handlers[number](number, None)

    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: noted.append(number))
        yield ask
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        ask()


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Inside the block KeyboardInterrupt is raised after so many seconds.

    Nothing is where there are no alarms, in threads that get none, and where somebody else uses them.
    """
    main = threading.current_thread() is threading.main_thread()
    if _ALARM is None or not main or signal.getsignal(_ALARM) != signal.SIG_DFL:
        yield
        return
    running = True

    def ring(number: int, frame: object) -> None:
        if running:
            raise KeyboardInterrupt

    signal.signal(_ALARM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
    try:
        yield
    finally:
        running = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(_ALARM, signal.SIG_DFL)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Inside the block signals wait for its end; processes that are started there have those of a terminal blocked."""
    with interrupts_noted():
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(parent: int) -> None:
    """What a process does first: it leaves Ctrl-C to the one that started it, ends with that one, and keeps memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_memory()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A parent that is killed cannot stop its processes, which would wait for ever."""
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(1)
