"""The commands `export` and `formal-check`, in words."""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compactproofs.formal import extracted
from compactproofs.formal.check import LIBRARY, Verdict, check, require_coqc
from compactproofs.formal.dyadic import exact_weights
from compactproofs.formal.export import FILES, Claims, export
from compactproofs.formal.hints import argument_for, find_hints
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.runs.inputs import load_certificate, load_model, open_file
from compactproofs.search.certificates import MAX_BYTES, Certificate
from compactproofs.system.files import read_limited
from compactproofs.system.places import readable
from compactproofs.tasks.max_of_k import MaxOfK


def export_to(directory: Path, name: str, certificate: str | None) -> Claims:
    """Write the files of the model of this name; refuses a directory with other files of Coq in it."""
    others = sorted(file.name for file in directory.glob("*.v") if file.name not in FILES) if directory.exists() else []
    if others:
        raise ValueError(f"--coq: {directory} holds {others[0]}, which is not of an export; choose another directory")
    model = load_model(name)
    return export(model, directory, None if certificate is None else _claims(certificate, model))


def _claims(name: str, model: AttentionOnly) -> Claims:
    """What a certificate about this model claims, unchecked."""
    certificate = load_certificate(name)
    if certificate.model_sha256 != model.sha256:
        raise ValueError(f"{name} is about the model {certificate.model_sha256}; this one is {model.sha256}")
    if certificate.task.get("name") != MaxOfK.name:
        raise ValueError(f"{name} is about the task {certificate.task.get('name')}; formal theorems are about max-of-k")
    number = certificate.certified
    if certificate.claim == "at most":
        return Claims(certificate.total, at_most=number)
    return Claims(certificate.total, at_least=number, argument=argument_for(certificate.strategy))


def formal_check(what: str, model: str | None, library: Path | None) -> Verdict:
    """Export to a temporary directory where that is needed, and have coqc check it."""
    library = LIBRARY if library is None else library
    if Path(what).is_dir():
        if model is not None:
            raise ValueError(f"{what} is an exported directory, which has its model in it; leave out {model}")
        return check(Path(what), library)
    name, certificate = (what, None) if model is None else (model, what)
    load_model(name)  # what is wrong with it is said first, as everywhere
    require_coqc()  # before minutes of search
    with tempfile.TemporaryDirectory() as directory:
        export_to(Path(directory), name, certificate)
        return check(Path(directory), library)


def verify(certificate: str, model: str) -> extracted.Answer:
    """Have the program that Coq extracted check a certificate about a model; ValueError where it cannot."""
    extracted.program()  # before minutes of search
    claim = read_limited(Path(readable(certificate)), MAX_BYTES)
    file = open_file(model)
    argument = argument_for(Certificate.from_bytes(claim).strategy)
    return extracted.answer(claim, file.data, find_hints(exact_weights(file.attention_only()), argument))


def in_words(verdict: Verdict) -> Iterator[str]:
    """The outcome, a line each."""
    if not verdict.accepted:
        yield f"{verdict.claims}: {verdict.reason}"
        return
    yield str(verdict.claims)
    yield f"model {verdict.model_sha256}"
    yield f"{verdict.seconds:.1f} processor seconds of coqc"
    kinds = Counter(axiom.partition(".")[0] for axiom in verdict.axioms)
    yield "rests on " + (", ".join(f"{kind} ({number})" for kind, number in sorted(kinds.items())) or "no axioms")


def as_dict(verdict: Verdict) -> dict[str, Any]:
    """The outcome for JSON; counts are texts, as they may be large."""
    claims = {key: None if value is None else str(value) for key, value in dataclasses.asdict(verdict.claims).items()}
    return {
        "outcome": "accepted" if verdict.accepted else "rejected",
        "reason": verdict.reason,
        **claims,
        "model_sha256": verdict.model_sha256,
        "seconds": round(verdict.seconds, 3),
        "axioms": list(verdict.axioms),
    }
