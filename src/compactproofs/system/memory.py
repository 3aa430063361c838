"""Memory for arrays, of processes that are ours alone: those of the command line, and those that work for others."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT = 2**28  # bytes that may lie idle
_LARGE = 2**25  # bytes, from which on memory is asked of the system for each array; the most that glibc allows


def keep_memory() -> None:
    """Have glibc keep what arrays leave behind for the next ones; elsewhere nothing is done.

    Else it gives the memory of arrays from 128 KiB on back to the system, and asks for it anew, page by page: adding
    two arrays may then take six times as long.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _KEPT)
