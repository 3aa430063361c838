"""Writing files so that a reader never sees half of one. Standard library only."""

import contextlib
import os
import secrets
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` at `path` so that the file there is at every moment the old one or the whole new one.

    The bytes go to a temporary file in the same directory, are flushed to the disk, and take the final name in one
    step (`os.replace`). If anything fails, or the write is interrupted, the temporary file is removed and what was at
    `path` stays. A process that is killed outright can leave a file `.<hex>.tmp` behind; it is safe to delete.
    A symbolic link at `path` is replaced, not followed. An OSError names `path`, not the temporary file.
    """
    target = Path(path)
    temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename = str(target)
        raise
