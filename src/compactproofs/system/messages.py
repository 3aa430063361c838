"""Text from files, file names and errors as one line that is safe to print.  Standard library only."""

from __future__ import annotations

import difflib
from contextlib import suppress
from pathlib import Path


def escaped(text: str) -> str:
    """The text with everything that is not printable spelt out: a name cannot break, move, hide or colour a line.

    That is control characters (newlines and escape sequences too), marks that turn the direction of writing, and
    bytes of a file name that are no text.  The rest stays as it is.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def close_files(name: str) -> list[str]:
    """The files with names most like this one's, in its directory."""
    path, close = Path(name), list[str]()
    with suppress(OSError, ValueError):  # what is no name of a file is close to none
        close = difflib.get_close_matches(path.name, [file.name for file in path.parent.iterdir()], cutoff=0.8)
    return [str(path.parent / found) for found in close]


def reason(error: BaseException) -> str:
    """What an error says, with the file that it is about, and files of names like that of one that is not there."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        close = close_files(str(error.filename)) if isinstance(error, FileNotFoundError) else []
        meant = f"; did you mean {' or '.join(close)}?" if close else ""
        return f"{error.filename}: {error.strerror}{meant}"
    if isinstance(error, MemoryError):
        return f"not enough memory for this model ({error})" if str(error) else "not enough memory"
    return str(error)
