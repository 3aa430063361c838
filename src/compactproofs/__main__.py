"""Where the command line begins and ends: `compactproofs` and `python -m compactproofs`.

Exit codes:

    0    done, or accepted
    1    rejected; nothing else ends in 1
    2    malformed or unusable input, wrong usage, output that could not be written, a bug
    130  interrupted by Ctrl-C; 143 and 129: ended by SIGTERM or SIGHUP

Whatever can end a command is caught here, so that this holds also where an import fails: this module imports nothing
but the standard library until then.
"""

from __future__ import annotations

import _thread
import codecs
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from compactproofs.system.loading import load
from compactproofs.system.memory import keep_memory
from compactproofs.system.messages import escaped, reason

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_SIGNALS = {
    getattr(signal, name): word
    for name, word in {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}.items()
    if hasattr(signal, name)
}
_received: list[int] = []

#: For encodings that lack them.
_IN_ASCII = {"≤": "<=", "≥": ">=", "−": "-", "–": "-", "—": "-", "─": "-", "…": "...", "×": "x", "±": "+-"}


def main() -> None:
    """What the shell calls: take charge of the process, run the command, and leave with its exit code."""
    try:
        code = run(sys.argv[1:], _take_charge)
    except KeyboardInterrupt:  # while it was being said what ended the command
        code = 128 + (_received or [signal.SIGINT])[-1]
    sys.exit(code)


def run(arguments: list[str], begin: Callable[[], None] = lambda: None) -> int:
    """Run a command, and if it fails say why; the exit code."""
    loaded = False
    try:
        begin()
        if 0 < sys.get_int_max_str_digits() < sys.int_info.default_max_str_digits:
            sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)  # counts may have 4000 digits
        execute: Callable[[list[str]], int] = load("compactproofs.cli.app").execute
        loaded = True
        code = execute(arguments)
        sys.stdout.flush()
        _let_signals_end_the_process()
        return code
    except BaseException as error:
        _let_signals_end_the_process()
        return _explain(error, loaded)


def _take_charge() -> None:
    keep_memory()
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _lost
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which no other file may have
    codecs.register_error("in-ascii", _in_ascii)
    sys.stdout = _guarded(sys.stdout, 1, "standard output")
    sys.stderr = _guarded(sys.stderr, 2, "standard error")


def _let_signals_end_the_process() -> None:
    """All is done but for a few words; a signal may end what Python does at its end."""
    for number in _SIGNALS:
        if signal.getsignal(number) == _interrupt:
            signal.signal(number, signal.SIG_DFL)


def _explain(error: BaseException, loaded: bool) -> int:
    """Say on stderr what ended the command; the exit code, which is not 1."""
    if _received or isinstance(error, KeyboardInterrupt):  # an import may have made another error of it
        number = _received[-1] if _received else signal.SIGINT
        said = str(error) if isinstance(error, KeyboardInterrupt) else ""
        print(escaped(said or _SIGNALS[number]), file=sys.stderr)
        return 128 + number
    if hasattr(error, "format_message"):  # wrong usage, as Typer calls it
        usage = " ".join(error.format_message().split()).removesuffix(".")
        command = getattr(getattr(error, "ctx", None), "command_path", "compactproofs")
        print(f"error: {escaped(usage)}; see '{escaped(command)} --help'", file=sys.stderr)
    elif isinstance(error, SystemExit):
        return 2 if error.code else 0
    elif not loaded and isinstance(error, Exception):
        cause = escaped(" ".join(str(error).split()))
        print(
            f"error: this package, or one that it needs, cannot be loaded; install it anew ({cause})", file=sys.stderr
        )
    elif _is_expected(error):
        print(f"error: {escaped(reason(error))}", file=sys.stderr)
    else:
        traceback.print_exception(error)
    return 2


def _is_expected(error: BaseException) -> bool:
    """Whether the error is one that users can cause, which needs no traceback."""
    from compactproofs.kernel.machine import UnsuitableArithmetic

    return isinstance(error, ValueError | OSError | MemoryError | ImportError | UnsuitableArithmetic)


def _lost(unraisable: sys.UnraisableHookArgs) -> None:
    """An interrupt in the middle of a finaliser, which swallows it, comes again; other errors there are printed."""
    if _received and isinstance(unraisable.exc_value, KeyboardInterrupt):
        again = threading.Timer(0.1, _thread.interrupt_main, _received[-1:])  # when this function has long ended
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(unraisable)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """All signals that end a command do it like Ctrl-C, so that it tidies up."""
    _received.append(number)
    raise KeyboardInterrupt


class _Descriptor(io.FileIO):
    """A descriptor to write to.  That its reader goes away is no error; another error is raised the first time."""

    def __init__(self, number: int, label: str, silent: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._label = label
        self._silent = silent

    def write(self, data: ReadableBuffer) -> int:
        """Write, or pretend to."""
        try:
            return super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            if not self._silent:
                self._silent = True
                raise OSError(error.errno, error.strerror, self._label) from None
        return memoryview(data).nbytes


def _guarded(stream: TextIO | None, number: int, label: str) -> TextIO:
    """A stream that writes what its encoding lacks in ASCII, and on which a reader that went away is no error.

    On stderr nothing is an error, since there is nowhere to say so.
    """
    if isinstance(stream, io.TextIOWrapper) and stream.isatty():
        stream.reconfigure(errors="in-ascii")
        return stream
    encoding = "utf-8" if stream is None else stream.encoding
    buffer = io.BufferedWriter(_Descriptor(number, label, silent=number == 2))
    return io.TextIOWrapper(buffer, encoding, "in-ascii", line_buffering=number == 2)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text), error.end


if __name__ == "__main__":
    main()
