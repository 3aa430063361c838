"""Text from files, file names and errors as one line that is safe to print.  Standard library only."""

from __future__ import annotations


def escaped(text: str) -> str:
    """The text with everything that is not printable spelt out: a name cannot break, move, hide or colour a line.

    That is control characters (newlines and escape sequences too), marks that turn the direction of writing, and
    bytes of a file name that are no text.  The rest stays as it is.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def reason(error: BaseException) -> str:
    """What an error says, with the file that it is about."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory for this model ({error})" if str(error) else "not enough memory"
    return str(error)
