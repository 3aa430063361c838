"""Files as a command line names them: what is read, and where something may be written."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

from compactproofs.system.files import lock, seal

#: Standard input or output, as it is typed.
STANDARD = "-"

_TEMPORARY = re.compile(r"\.([0-9a-f]{16})-([0-9a-f]{16})\.tmp", re.ASCII)


def readable(name: str | Path) -> str | Path:
    """What to open for this name, unless it is that of a pipe, from which nothing might ever come."""
    if name == STANDARD:
        return Path("/dev/stdin")
    with contextlib.suppress(OSError):  # of which whoever opens it will say more
        if Path(name).is_fifo() and not str(name).startswith(("/dev/", "/proc/")):
            raise ValueError(f"{name} is a pipe; to read from one use - and standard input")
    return name


def check_file(path: Path) -> None:
    """Raises ValueError if no file can be written there; nothing is said about replacing one."""
    if not path.parent.is_dir():
        raise ValueError(f"--out: the directory {path.parent} does not exist")
    _check_kind(path)
    if path.is_dir():
        raise ValueError(f"--out: {path} is a directory; name a file")
    _check_writable(path.parent)


def check_directory(path: Path, option: str = "--out") -> None:
    """Raises ValueError if nothing can be written to a directory of this name, which need not be there yet.

    `option`: what names it.
    """
    _check_kind(path, option)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{option}: {path} is a file, not a directory")
    if path.is_dir():
        _check_writable(path, option)


def _check_kind(path: Path, option: str = "--out") -> None:
    """Raises ValueError for what is neither a file nor a directory, such as a pipe."""
    if str(path) == STANDARD:
        raise ValueError(f"{option}: nothing can be written to standard output here; name a file or directory")
    if os.path.realpath(path.parent).startswith(("/dev/fd", "/proc")) or os.path.realpath(path.parent) == "/dev":
        raise ValueError(f"{option}: {path} is not a place for files")
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ValueError(f"{option}: {path} is a pipe, a socket or a device; name a file")


def _check_writable(directory: Path, option: str = "--out") -> None:
    if not os.access(directory, os.W_OK):
        raise ValueError(f"{option}: cannot write to the directory {directory}")
    remove_left_behind(directory)


def remove_left_behind(directory: Path) -> None:
    """Remove the temporary files of processes of this machine that were killed while they wrote.

    Such a file has a name that only this machine gives, and no process has the lock that a writer holds until the end.
    """
    for path in directory.glob(".*.tmp"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and seal(found[1]) == found[2]:
            with contextlib.suppress(OSError), path.open("rb") as stream:
                if lock(stream, wait=False):
                    path.unlink()
