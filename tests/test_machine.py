"""Verification refuses to run where arithmetic is not what the proofs assume."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import compactproofs as cp
from compactproofs.arrays.machine import UnsuitableArithmetic, require_ieee_arithmetic

needs_x86 = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc", reason="sets the modes of x86-64 through glibc"
)
MODES = {
    "zeros written": (0x8000, "subnormal numbers become zero"),
    "zeros read": (0x0040, "subnormal numbers become zero"),
    "zeros written and read": (0x8040, "subnormal numbers become zero"),
    "rounded down": (0x2000, "results are not rounded to nearest"),
    "rounded up": (0x4000, "results are not rounded to nearest"),
    "rounded to zero": (0x6000, "results are not rounded to nearest"),
}
CORPUS = Path(__file__).parent / "certificates"


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


def test_this_machine() -> None:
    """Nothing is wrong here; a BLAS or NumPy of which this is not true could not be used."""
    require_ieee_arithmetic()


@needs_x86
@pytest.mark.parametrize("name", MODES)
def test_modes_are_found(name: str) -> None:
    """Each of them alone, in plain operations and in products of matrices, and no longer when it is gone."""
    bits, what = MODES[name]
    with mode(bits):
        try:
            require_ieee_arithmetic()
            message = ""
        except UnsuitableArithmetic as error:
            message = str(error)
    assert f"assume: {what}, {what} in products of matrices. " in message
    assert "verify in a process without it" in message
    require_ieee_arithmetic()


@needs_x86
def test_nothing_is_verified_then() -> None:
    """Neither by the checker nor by the prover, which asks the checker."""
    model = cp.load_model(CORPUS / "models" / "ladder.safetensors")
    claim = cp.prove(model, "cubic").certificate
    for what in (lambda: cp.verify(claim, model), lambda: cp.prove(model, "cubic")):
        with mode(0x8000):
            try:
                what()
                found = False
            except UnsuitableArithmetic:
                found = True
        assert found


def run(*lines: str, threads: str = "1") -> subprocess.CompletedProcess[str]:
    """These lines of Python in a process of their own."""
    code = "\n".join(("import sys", f"sys.path.insert(0, {str(Path(__file__).parent)!r})", *lines))
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)


@needs_x86
def test_command() -> None:
    """`verify` says what is wrong on one line, and leaves with 2."""
    words = ["compactproofs", "verify", str(CORPUS / "accept" / "ladder--cubic--proved.cert.json")]
    result = run(
        "from test_machine import mode",
        "from compactproofs.__main__ import main",
        f"sys.argv = {[*words, str(CORPUS / 'models' / 'ladder.safetensors')]!r}",
        "with mode(0x8040):",
        "    main()",
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: floating-point arithmetic in this process is not what the proofs assume: ")
    assert result.stderr.count("\n") == 1


@needs_x86
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
def test_threads_that_multiply_matrices_are_asked_too() -> None:
    """Threads inherit the mode of the one that starts them: here only those of the BLAS have it."""
    result = run(
        "import ctypes",
        "library = ctypes.CDLL('libm.so.6')",
        "before = ctypes.create_string_buffer(32)",
        "library.fegetenv(before)",
        "register = int.from_bytes(before.raw[28:], 'little') | 0x8040",
        "library.fesetenv(before.raw[:28] + register.to_bytes(4, 'little'))",
        "import numpy as np",
        "library.fesetenv(before)",
        "if 'openblas' not in np.show_config(mode='dicts')['Build Dependencies']['blas']['name']: sys.exit('other')",
        "from compactproofs.arrays.machine import require_ieee_arithmetic",
        "require_ieee_arithmetic()",
        threads="2",
    )
    if result.stderr.strip() == "other":
        pytest.skip("knows how OpenBLAS starts its threads")
    assert "assume: subnormal numbers become zero in products of matrices. A" in result.stderr
