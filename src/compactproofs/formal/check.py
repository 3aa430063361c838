"""Run coqc on an exported theorem, and read what it says."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from compactproofs.formal.export import FILES, Claims

LIBRARY = Path(__file__).parents[3] / "formal"

# What a theorem may rest on: Coq's machine integers with what is assumed of them, and the classical real numbers.
_ALLOWED = re.compile(
    r"(PrimInt63|Uint63|Sint63)\.\w+|ClassicalDedekindReals\.sig_(not_dec|forall_dec)|Classical_Prop\.classic"
    r"|FunctionalExtensionality\.functional_extensionality_dep"
)


@dataclass(frozen=True)
class Verdict:
    """What Coq said: accepted, or why not; processor seconds; the names of what the theorem rests on."""

    claims: Claims
    model_sha256: str
    accepted: bool
    reason: str
    seconds: float
    axioms: tuple[str, ...] = ()


def require_coqc() -> None:
    """ValueError where coqc is missing."""
    if shutil.which("coqc") is None:
        raise ValueError(
            "coqc is not installed; on Debian 12: apt-get install --no-install-recommends coq libcoq-interval "
            "libcoq-coquelicot libcoq-flocq libcoq-bignums make"
        )


def build_library(library: Path = LIBRARY) -> None:
    """Compile the library where it is not; ValueError where that is impossible."""
    require_coqc()
    if not (library / "_CoqProject").exists():
        raise ValueError(f"{library} is not the folder 'formal' of the repository; name it by --library")
    done = subprocess.run(["make", "-C", str(library)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"the library in {library} cannot be compiled: {_last_words(done)}")


def check(directory: Path, library: Path = LIBRARY) -> Verdict:
    """Have coqc check an exported directory; ValueError where it does not get as far as the theorem."""
    for name in FILES:
        if not (directory / name).is_file():
            raise ValueError(f"{directory} has no {name}; write it by 'compactproofs export MODEL --coq {directory}'")
    claims = Claims.of_theorem((directory / "Theorem.v").read_text(encoding="utf-8"))
    build_library(library)
    sha256 = _model_hash(directory, library)
    seconds = processor_seconds()
    for name in FILES:
        command = ["coqc", "-Q", str(library.resolve()), "CompactProofs", "-Q", ".", "", name]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        if done.returncode == 1 and name == FILES[-1]:
            return Verdict(claims, sha256, False, _last_words(done), processor_seconds() - seconds)
        if done.returncode:
            raise ValueError(f"coqc ended with exit code {done.returncode} on {name}: {_last_words(done)}")
    axioms = _assumptions(done.stdout)
    foreign = [axiom for axiom in axioms if not _ALLOWED.fullmatch(axiom)]
    reason = f"it rests on {', '.join(foreign)}" if foreign else ""
    return Verdict(claims, sha256, not foreign, reason, processor_seconds() - seconds, axioms)


def processor_seconds() -> float:
    """What the processes that this one started, and that ended, have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _assumptions(said: str) -> tuple[str, ...]:
    """What Print Assumptions lists: a name at the start of each line, of which long types go on, indented."""
    if said.strip() == "Closed under the global context":
        return ()
    head, _, listed = said.partition("Axioms:\n")
    starts = [line for line in listed.splitlines() if line.strip() and not line.startswith(" ")]
    return tuple(sorted([line.split(" : ")[0].strip() for line in starts])) if starts else (head.strip() or "unknown",)


def _model_hash(directory: Path, library: Path) -> str:
    """The hash of the weights that are there, which must be the one in the comment."""
    command = [sys.executable, str(library / "recompute_hash.py"), str(directory / "Weights.v")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{directory / 'Weights.v'} is not as exported: {_last_words(done)}")
    return done.stdout.strip()


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stderr.strip() or done.stdout.strip() or "it said nothing").split())[-300:]
