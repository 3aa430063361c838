"""`compactproofs doctor`: what is installed here, and whether this machine computes as the proofs assume."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import compactproofs as cp
from compactproofs import plugins
from compactproofs.cli.common import JsonOption
from compactproofs.formal import extracted
from compactproofs.kernel.enclosure import EXP_ULPS
from compactproofs.kernel.machine import UnsuitableArithmetic, require_ieee_arithmetic
from compactproofs.search.prover import Prover
from compactproofs.system.terminal import say, say_json, say_table

#: Distributions and programs that are no part of an extra of this one, and what they are for.
_BESIDES = {
    "exactcheck": "the second checker",
    "compactproofs-zoo": "more trained networks: addition, groups",
    "polars": "frames",
    "pandas": "frames, where Polars is not installed",
}
_PROGRAMS = {
    "coqc": "theorems in Coq: export, formal-check",
    extracted.NAME: "the extracted checker: verify --formal",
    "chromium": "tests of the reports",
}
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_MODEL = "max-of-4/123"


def doctor(as_json: JsonOption = False) -> int:
    """Say what is installed and how this machine computes, and prove and verify one bound; 2 if that fails."""
    here, checks = machine(), self_tests()
    installed, programs = distributions(), {name: shutil.which(name) for name in _PROGRAMS}
    well = all(outcome == "passed" for outcome in checks.values())
    if as_json:
        say_json({"machine": here, "installed": installed, "programs": programs, "checks": checks, "well": well})
        return 0 if well else 2
    say_table(("this machine", ""), list(here.items()))
    say_table(("distribution", "version", "for"), [(name, *row) for name, row in installed.items()])
    say_table(("program", "where", "for"), [(name, programs[name] or "missing", _PROGRAMS[name]) for name in programs])
    say_table(("check", "outcome"), list(checks.items()))
    say("all is well" if well else "something is wrong: verify on another machine, or report what stands above")
    return 0 if well else 2


def machine() -> dict[str, str]:
    """What computes here, in words."""
    import loky  # other commands would wait for these two
    import psutil  # type: ignore[import-untyped]

    built: Any = np.show_config
    blas = built(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    memory = psutil.virtual_memory()
    threads = [f"{name}={os.environ[name]}" for name in _THREADS if name in os.environ]
    return {
        "compactproofs": f"{cp.__version__} in {Path(cp.__file__).parent}",
        "Python": f"{platform.python_version()} at {sys.executable}",
        "system": platform.platform(),
        "NumPy": np.__version__,
        "BLAS": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "threads": ", ".join(threads) or "as many as the BLAS wants",
        "processors": str(loky.cpu_count()),
        "memory": f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free",
    }


def distributions() -> dict[str, tuple[str, str]]:
    """Version of each distribution that this one uses or knows of, or that it is missing, and what it is for."""
    wanted: dict[str, list[str]] = {}
    for requirement in metadata.requires("compactproofs") or []:
        needed, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == ['\"](\w+)['\"]", requirement)
        if needed and needed[0] != "compactproofs" and not (extra and extra[1] == "dev"):
            wanted.setdefault(needed[0], []).append(f"extra {extra[1]}" if extra else "all commands")
    for name, purpose in _BESIDES.items():
        wanted.setdefault(name, []).append(purpose)
    for found in plugins.found().values():
        wanted.setdefault(found.distribution, []).append("a plug-in")
    return {name: (_version(name), ", ".join(dict.fromkeys(purposes))) for name, purposes in wanted.items()}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "missing"


def self_tests() -> dict[str, str]:
    """What was asked of this machine, and "passed" or what went wrong."""
    return {
        "sums, products and quotients round to nearest, underflow is gradual": _arithmetic(),
        f"exp is within {EXP_ULPS:g} units in the last place, on 100,000 numbers": _exp(),
        f"a bound of {_MODEL} is proved, verified, and one input more is refused": _bound(),
    }


def _arithmetic() -> str:
    try:
        require_ieee_arithmetic()
    except UnsuitableArithmetic as error:
        return str(error)
    return "passed"


def _exp() -> str:
    """Against wider numbers, where this machine has some."""
    if np.finfo(np.longdouble).nmant <= np.finfo(np.float64).nmant:
        return "passed"
    x = np.random.default_rng(0).uniform(-700.0, 700.0, 100_000)
    computed, wide = np.exp(x), np.exp(x.astype(np.longdouble))
    units = float((np.abs(computed - wide) / np.spacing(computed)).max())
    return "passed" if units <= EXP_ULPS else f"off by {units:.1f} units"


def _bound() -> str:
    model = cp.load_model(_MODEL)
    certificate = Prover(model).prove("cubic").certificate
    if not cp.verify(certificate, model).accepted:
        return "the certificate is rejected"
    more = dataclasses.replace(certificate, certified=certificate.certified + 1)
    return "a false certificate is accepted" if cp.verify(more, model).accepted else "passed"
