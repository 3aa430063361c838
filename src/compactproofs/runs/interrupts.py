"""Ctrl-C at a moment of our choosing, and processes that end with those that they work for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import parent_process
from types import FrameType
from typing import Any

#: What ends a command in an orderly way, where something handles it.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def _signals_left_to(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[dict[int, Any]]:
    """Inside the block signals that something handles are handled like this; gives the handlers that there were.

    Only the main thread can do this; in another thread nothing changes.
    """
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in _SIGNALS if callable(signal.getsignal(number))}
    try:
        for number in handlers:
            signal.signal(number, handler)
        yield handlers
    finally:
        for number, before in handlers.items():
            signal.signal(number, before)


@contextmanager
def interrupts_noted() -> Iterator[Callable[[], None]]:
    """Inside the block signals such as Ctrl-C are only noted; calling what the block is given lets them interrupt.

    An interrupt in the middle of `concurrent.futures.wait` can leave locks held for ever, so whoever waits for many
    processes asks between waits. A signal that nobody asked for interrupts at the end of the block, also one that
    ends by an error: that processes die may be due to the same signal.
    """
    noted: list[int] = []

    def ask() -> None:
        while noted:
            number = noted.pop()
            handlers[number](number, None)

    with _signals_left_to(lambda number, frame: noted.append(number)) as handlers:
        try:
            yield ask
        finally:
            ask()


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Inside the block signals such as Ctrl-C do nothing, and processes that are started there inherit that."""
    with _signals_left_to(signal.SIG_IGN):
        yield


def begin_worker() -> None:
    """What a worker process does first: it leaves Ctrl-C to the process that started it, and ends with that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which a pool ends its processes
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot stop its processes, which would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class WorkersLost(OSError):
    """Processes or machines that did the work are gone, or were never there; the message says what to do."""


@contextmanager
def killed_workers_explained() -> Iterator[None]:
    """Inside the block, the death of a worker process is a WorkersLost."""
    try:
        yield
    except BrokenProcessPool as error:
        raise WorkersLost("a process was killed, perhaps for want of memory; run the same command again") from error
