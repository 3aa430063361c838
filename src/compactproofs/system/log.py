"""What the package logs, of its search and of verification; nobody sees it who does not ask for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar

#: Told how far a long search has come, in words; what shows that somebody waits says it.
PROGRESS: ContextVar[Callable[[str], None]] = ContextVar("PROGRESS", default=lambda words: None)

log = logging.getLogger("compactproofs")
log.addHandler(logging.NullHandler())


def show(level: int) -> None:
    """Show it on stderr from now on: what was done, and from level 2 what is being done."""
    from compactproofs.system import terminal

    class Lines(logging.Handler):
        """Writes a line for each record, above a progress bar if there is one."""

        def emit(self, record: logging.LogRecord) -> None:
            """Write it."""
            terminal.say(f"{record.levelname.lower()}: {record.getMessage()}", to=terminal.err)

    for handler in log.handlers[1:]:
        log.removeHandler(handler)
    log.addHandler(Lines())
    log.setLevel(logging.DEBUG if level > 1 else logging.INFO)
