"""Ctrl-C at a moment of our choosing, and processes that end with those that they work for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import parent_process


@contextmanager
def interrupts_noted() -> Iterator[Callable[[], None]]:
    """Inside the block Ctrl-C is only noted; calling what the block is given raises it as KeyboardInterrupt.

    An interrupt in the middle of `concurrent.futures.wait` can leave locks held for ever, so whoever waits for many
    processes asks between waits. Only the main thread can do this; in another thread nothing changes. An interrupt
    that nobody asked for is raised at the end of the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    noted = threading.Event()

    def ask() -> None:
        if noted.is_set():
            noted.clear()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, lambda number, frame: noted.set())
    try:
        yield ask
    finally:
        signal.signal(signal.SIGINT, before)
    ask()


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Inside the block Ctrl-C does nothing, and processes that are started there inherit that.

    Only the main thread can do this; in another thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def begin_worker() -> None:
    """What a worker process does first: it leaves Ctrl-C to the process that started it, and ends with that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot stop its processes, which would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def killed_workers_explained() -> Iterator[None]:
    """Inside the block, the death of a worker process is an OSError that says what to do."""
    try:
        yield
    except BrokenProcessPool as error:
        raise OSError("a process was killed, perhaps for want of memory; run the same command again") from error
