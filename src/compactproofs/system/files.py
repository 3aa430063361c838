"""Files: no more read than a limit, and written so that a reader never sees half of one. Standard library only."""

import contextlib
import hashlib
import os
import platform
import secrets
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]


def read_limited(path: Path, limit: int) -> bytes:
    """The bytes of a file, of which at most `limit` are ever read.

    Raises OSError if it cannot be read and ValueError if it is longer.
    """
    with path.open("rb") as stream:
        # Of pipes and the like no length is known beforehand.
        data = stream.read(limit + 1) if os.fstat(stream.fileno()).st_size <= limit else None
    if data is None or len(data) > limit:
        raise ValueError(f"the file is larger than {limit} bytes, the most that is read")
    return data


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` at `path` so that the file there is at every moment the old one or the whole new one.

    The bytes go to a temporary file in the same directory, are flushed to the disk, and take the final name in one
    step (`os.replace`). If anything fails, or the write is interrupted, the temporary file is removed and what was at
    `path` stays. A process that is killed outright can leave its temporary file behind, `.<hex>-<seal>.tmp`, without
    the lock that a writer holds on it. A symbolic link at `path` is replaced, not followed. An OSError names `path`,
    not the temporary file.
    """
    target = Path(path)
    token = secrets.token_hex(8)
    temporary = target.parent / f".{token}-{seal(token)}.tmp"
    try:
        with temporary.open("xb") as stream:
            lock(stream)
            if not temporary.exists():  # taken for left behind before it was locked
                return write_atomically(path, data)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            if fcntl is None:
                stream.close()  # where open files cannot be renamed
            temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename = str(target)
        raise


def seal(token: str) -> str:
    """What a temporary file's name ends in: by it this machine knows its own files from any others."""
    return hashlib.sha256(f"{token} {platform.node()}".encode()).hexdigest()[:16]


def lock(stream: BinaryIO, wait: bool = True) -> bool:
    """Lock a file until it is closed; False where another process has locked it, or where there are no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
