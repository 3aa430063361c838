"""Verification refuses to run where arithmetic is not what the proofs assume."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import compactproofs as cp
from compactproofs.kernel.machine import UnsuitableArithmetic, require_ieee_arithmetic
from modes import MODES, mode, needs_x86

CORPUS = Path(__file__).parent / "certificates"


def test_this_machine() -> None:
    """Nothing is wrong here; a BLAS or NumPy of which this is not true could not be used."""
    require_ieee_arithmetic()


@needs_x86
@pytest.mark.parametrize("name", MODES)
def test_modes_are_found(name: str) -> None:
    """Each of them alone, and no longer when it is gone."""
    bits, what = MODES[name]
    with mode(bits):
        try:
            require_ieee_arithmetic()
            message = ""
        except UnsuitableArithmetic as error:
            message = str(error)
    assert f"assume: {what}. " in message
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
        "from modes import mode",
        "from compactproofs.__main__ import main",
        f"sys.argv = {[*words, str(CORPUS / 'models' / 'ladder.safetensors')]!r}",
        "with mode(0x8040):",
        "    main()",
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: floating-point arithmetic in this process is not what the proofs assume: ")
    assert result.stderr.count("\n") == 1


@needs_x86
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("rounded up", "zeros written and read") else pytest.param(name, marks=pytest.mark.slow)
        for name in MODES
    ],
)
def test_threads_of_the_blas_may_be_in_any_mode(name: str) -> None:
    """Threads inherit the mode of the one that starts them: here those of the BLAS have it, and this one does not."""
    bits, _ = MODES[name]
    result = run(
        "from modes import mode",
        f"with mode({bits}):",
        "    import numpy as np",
        "    np.ones((512, 512)) @ np.ones((512, 512))",
        "import test_products",
        "from compactproofs.kernel.machine import require_ieee_arithmetic",
        "require_ieee_arithmetic()",
        "for size in (8, 64, 96, 128, 256):",
        "    test_products.check_size(size)",
        threads="2",
    )
    assert (result.returncode, result.stderr) == (0, "")


@needs_x86
def test_no_model_is_read_then() -> None:
    """Its subnormal weights would be zeros, and it would have the name of another model."""
    model = cp.load_model(CORPUS / "models" / "ladder.safetensors")
    with mode(0x0040):
        try:
            cp.Model.from_state_dict(model.state_dict())
            found = False
        except UnsuitableArithmetic:
            found = True
    assert found
