"""Ctrl-C at a moment of our choosing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
