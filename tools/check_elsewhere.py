"""Verify the same certificates elsewhere: other Python and NumPy versions, another BLAS, other numbers of threads.

    python tools/check_elsewhere.py --python /path/to/python [--python ...] [--threads 1 2] [--model max-of-4/123 ...]
    python tools/check_elsewhere.py --make DIRECTORY

Certificates are made here, by this Python, for each model and every strategy but `histogram`; those of
tests/certificates come with them.  Then each Python that is named, and this one, verifies all, in a process of its own
for each number of threads: true claims must be accepted and false ones rejected.  Exit code 1 if one is not.

A Python needs NumPy, nothing else: this package is taken from the source beside this file.  `--make`
makes virtual environments for the versions in the table below, as far as the Pythons are found (on the PATH or with
pyenv) and pip can get the packages, and says which it could not make.  NumPy's own wheels bring OpenBLAS.

For another BLAS take Debian's NumPy, which uses the system's libraries, and choose one by its directory:

    apt-get install python3-numpy python3-venv libblas3 libblis4-openmp libatlas3-base libopenblas0-pthread
    /usr/bin/python3 -m venv --system-site-packages debian
    LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/blas python tools/check_elsewhere.py --python debian/bin/python

and the same with blis-openmp, atlas or openblas-pthread in the place of blas.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from compactproofs.opening.models import Model
from compactproofs.opening.networks import load_network
from compactproofs.search.certificates import Certificate, certificate_name
from compactproofs.search.effort import verify
from compactproofs.search.prover import Prover, feasible_strategies
from compactproofs.search.workspaces import workspace
from compactproofs.zoo import path as zoo_path

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "certificates"
MODELS = ("max-of-4/123", "max-of-4/50", "max-of-4/3254", "max-of-5/123")
# Python, NumPy: from the oldest that are supported to the newest.
ENVIRONMENTS = (
    ("3.11", "1.26.0"),
    ("3.11", "2.0.0"),
    ("3.11", "2.2.0"),
    ("3.11", ""),
    ("3.12", "1.26.0"),
    ("3.12", ""),
    ("3.13", "2.1.0"),
    ("3.13", ""),
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")

Results = dict[str, Any]


def make_certificates(folder: Path, names: list[str]) -> None:
    """Directories of a model and certificates about it, named after what must be said of them."""
    for name in names:
        own = folder / f"accept {name.replace('/', '-')}"
        own.mkdir()
        shutil.copy(zoo_path(name), own / "model.safetensors")
        model = load_network(own / "model.safetensors")
        prover = Prover(model)
        for strategy in feasible_strategies(model):
            if not strategy.startswith("histogram"):
                prover.prove(strategy).certificate.save(own / certificate_name(strategy))
    for verdict in ("accept", "reject"):
        for model_file in sorted((CORPUS / "models").glob("*.safetensors")):
            own = folder / f"{verdict} {model_file.stem}"
            own.mkdir()
            shutil.copy(model_file, own / "model.safetensors")
            for file in (CORPUS / verdict).glob(f"{model_file.stem}--*.cert.json"):
                shutil.copy(file, own / file.name)


def check(folder: Path) -> Results:
    """What this process says about each certificate, and what it computes with."""
    verdicts = {}
    for model_file in sorted(folder.glob("*/model.safetensors")):
        model = load_network(model_file)
        work = workspace(model, "check") if isinstance(model, Model) else None
        for file in sorted(model_file.parent.glob("*.cert.json")):
            verdict = verify(Certificate.load(file), model, work)
            found = None if verdict.certified is None else str(verdict.certified)
            verdicts[f"{file.parent.name}/{file.name}"] = [verdict.accepted, found]
    return {"python": platform.python_version(), "numpy": np.__version__, "blas": _blas(), "verdicts": verdicts}


def _blas() -> str:
    """The files of linear algebra that are in memory, where the system tells."""
    maps = Path("/proc/self/maps")
    loaded = {line.split()[-1] for line in maps.read_text().splitlines() if ".so" in line} if maps.exists() else set()
    files = {str(Path(file).resolve()) for file in loaded if re.search(r"blas|blis|atlas|mkl|lapack", Path(file).name)}
    return " ".join(sorted(re.sub(r".*/(x86_64-linux-gnu|numpy\.libs)/", "", file) for file in files)) or "unknown"


def ask(python: str, folder: Path, threads: int) -> Results:
    """What another Python says."""
    environment = os.environ | dict.fromkeys(THREADS, str(threads)) | {"PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(
        [python, __file__, "--worker", str(folder)], capture_output=True, text=True, check=False, env=environment
    )
    if result.returncode != 0:
        sys.exit(f"error: {python} cannot verify here; does it have NumPy?\n{result.stderr}")
    answer: Results = json.loads(result.stdout)
    return answer


def make_environments(directory: Path) -> list[str]:
    """Virtual environments of the table; prints which could not be made."""
    made = []
    for version, numpy in ENVIRONMENTS:
        name = f"python{version}-numpy{numpy or '-newest'}"
        base = _interpreter(version)
        if base is None:
            print(f"not made: {name}: no Python {version} was found")
            continue
        python = str(directory / name / "bin" / "python")
        package = f"numpy=={numpy}" if numpy else "numpy"
        for step in (
            [base, "-m", "venv", str(directory / name)],
            [python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", package],
        ):
            result = subprocess.run(step, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                print(f"not made: {name}: {result.stderr.strip().splitlines()[-1]}")
                break
        else:
            made.append(python)
    return made


def _interpreter(version: str) -> str | None:
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    candidates = [*map(str, pyenv), shutil.which(f"python{version}")]
    for candidate in candidates:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def main() -> int:
    """Make certificates, have them verified everywhere, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], help="may be given several times")
    parser.add_argument("--make", type=Path, help="where to make virtual environments")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--model", nargs="+", default=list(MODELS), help="names of the zoo's models")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker is not None:
        print(json.dumps(check(chosen.worker)))
        return 0
    pythons = [sys.executable, *chosen.python, *(make_environments(chosen.make) if chosen.make else [])]
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificates(folder, chosen.model)
        here: Results | None = None
        print("| Python | NumPy | BLAS | threads | accepted | rejected | wrong | other N |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        for python in pythons:
            for threads in chosen.threads:
                there = ask(python, folder, threads)
                here = here or there
                verdicts = there["verdicts"]
                wrong = [file for file, (accepted, _) in verdicts.items() if accepted != file.startswith("accept")]
                other = [file for file, verdict in verdicts.items() if verdict != here["verdicts"][file]]
                accepted = sum(accepted for accepted, _ in verdicts.values())
                print(
                    f"| {there['python']} | {there['numpy']} | {there['blas']} | {threads} | {accepted} | "
                    f"{len(verdicts) - accepted} | {len(wrong)} | {len(other)} |",
                    flush=True,
                )
                for file in wrong:
                    print(f"wrong: {file}")
                failures += len(wrong)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
