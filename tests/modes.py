"""Other modes of floating-point arithmetic, switched on for a while in the thread that asks."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

needs_x86 = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc", reason="sets the modes of x86-64 through glibc"
)
FLUSHED = "subnormal numbers become zero"
ROUNDED = "results are not rounded to nearest"
#: Bits of the control register, and what they do.
MODES = {
    "zeros written": (0x8000, FLUSHED),
    "zeros read": (0x0040, FLUSHED),
    "zeros written and read": (0x8040, FLUSHED),
    "rounded down": (0x2000, ROUNDED),
    "rounded up": (0x4000, ROUNDED),
    "rounded to zero": (0x6000, ROUNDED),
}


@contextmanager
def mode(bits: int) -> Iterator[None]:
    """Inside the block this thread computes with these bits set in its control register."""
    library = ctypes.CDLL("libm.so.6")
    before = ctypes.create_string_buffer(32)  # glibc's fenv_t, which ends with the register
    assert library.fegetenv(before) == 0
    changed = before.raw[:28] + (int.from_bytes(before.raw[28:], "little") | bits).to_bytes(4, "little")
    assert library.fesetenv(changed) == 0
    try:
        yield
    finally:
        library.fesetenv(before)
