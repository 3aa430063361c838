"""Run the checker in `formal/checker`, a program that Coq extracts from a proved one, on a certificate and a model."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compactproofs.formal.check import LIBRARY, processor_seconds
from compactproofs.formal.hints import Hints, Tree

NAME = "formal-checker"
SHARES = "the program was extracted from Coq, reads both files itself, and shares no code with verify without --formal"


@dataclass(frozen=True)
class Answer:
    """What the program said in its first line, behind accepted, rejected or error; and processor seconds."""

    accepted: bool
    reason: str
    seconds: float
    model_sha256: str | None = None


def program() -> str:
    """Where the program is; ValueError where it is not."""
    built = LIBRARY / "checker" / NAME
    found = str(built) if built.is_file() else shutil.which(NAME)
    if found is None:
        raise ValueError(
            f"there is no {NAME}, neither in {built.parent} nor on the PATH; 'make {NAME}' in a checkout of the "
            "repository builds it, and docs/formal.md says what that needs"
        )
    return found


def answer(certificate: bytes, model: bytes, hints: Hints) -> Answer:
    """What the program says to these files; ValueError where one of them is not as it should be."""
    command = [program()]
    with tempfile.TemporaryDirectory() as directory:
        contents = {"claim.cert.json": certificate, "model.safetensors": model, "hints": hints_text(hints).encode()}
        for name, content in contents.items():
            (Path(directory) / name).write_bytes(content)
        start = processor_seconds()
        done = subprocess.run([*command, *contents], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise ValueError(f"{NAME}: {done.stderr.strip().removeprefix('error: ') or f'exit code {done.returncode}'}")
    reason, *more = done.stdout.partition(": ")[2].splitlines()
    sha256 = more[0].removeprefix("model ") if more else None
    return Answer(done.returncode == 0, reason, processor_seconds() - start, sha256)


def hints_text(hints: Hints) -> str:
    """Hints as the program reads them, which `formal/checker/inputs.ml` describes."""
    return "\n".join(_lines(hints)) + "\n"


def _lines(hints: Hints) -> Iterator[str]:
    yield f"{hints.fraction} {hints.unit} {hints.precision}"
    yield f"{len(hints.classes)}"
    for row in hints.classes:
        yield f"{len(row)}"
        for hint in row:
            words = (len(hint.doubtful), *hint.doubtful, len(hint.trees), *map(_tree, hint.trees))
            yield " ".join(map(str, words))


def _tree(tree: Tree) -> str:
    if tree is None:
        return "L"
    position, tokens, first, second = tree
    return f"C {position} {tokens} {_tree(first)} {_tree(second)}"
