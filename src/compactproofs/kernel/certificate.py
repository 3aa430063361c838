"""Certificates: what is claimed about which network, and the hints that checking needs.

A certificate is written as one JSON object; `docs/certificate-format.md` says what each key holds.  Nothing in it is
trusted: `compactproofs.kernel.checker` recomputes N from the weights and the hints.  Hints are arrays by their names,
about which nothing is assumed: it does not matter what `search.certificates` makes of those in a file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, get_args

import numpy.typing as npt

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.problem import Claim
from compactproofs.kernel.strict import MAX_DIGITS, shown

FORMAT = "compactproofs certificate"
VERSION = 2
CLAIMS: tuple[Claim, ...] = get_args(Claim)

_TEXTS = ("family", "strategy", "theorem", "tool")
_NATURAL = (rf"0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}}", "a decimal integer in a string")
_PATTERNS = {
    "model_sha256": ("[0-9a-f]{64}", "64 lower-case hexadecimal digits"),
    "certified": _NATURAL,
    "total": _NATURAL,
}
_KEYS = ("format", "version", *_TEXTS, *_PATTERNS, "task", "claim", "hints")


class MalformedCertificate(CompactProofsError, ValueError):
    """What is not a certificate in this format; the message names the field and what was expected."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """A claim that a model answers at least (or at most) `certified` of its `total` inputs correctly, with hints."""

    task: Mapping[str, str | int]
    model_sha256: str
    strategy: str
    theorem: str
    certified: int
    total: int
    hints: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    tool: str = ""
    claim: Claim = "at least"
    family: str = field(kw_only=True)

    def __str__(self) -> str:
        weighted = ", by their weights," if "weights" in self.task else ""
        return f"{self.claim} {self.certified} of {self.total} inputs{weighted} are answered correctly"

    @classmethod
    def of_fields(cls, fields: Any) -> Self:
        """The certificate that this is when written as JSON, without its hints; raises MalformedCertificate."""
        expect(isinstance(fields, dict), "the certificate", "a JSON object", fields)
        for key, known in (("format", FORMAT), ("version", VERSION)):
            found = fields.get(key)
            expect(type(found) is type(known) and found == known, key, repr(known), found)
        expect_keys("the certificate", fields, _KEYS)
        texts = {key: fields[key] for key in _TEXTS}
        for key, text in texts.items():
            short = isinstance(text, str) and len(text) <= 1000 and text.isprintable()
            expect(short, key, "printable text of at most 1000 characters", text)
        for key, (pattern, words) in _PATTERNS.items():
            text = fields[key]
            expect(isinstance(text, str) and re.fullmatch(pattern, text, re.ASCII), key, words, text)
        claim, task = fields["claim"], fields["task"]
        expect(claim in CLAIMS, "claim", f"one of {', '.join(CLAIMS)}", claim)
        expect(isinstance(task, dict) and isinstance(task.get("name"), str), "task", "an object with a name", task)
        for key, value in task.items():
            fits = type(value) in (str, int) and shown(value, 2**14) == str(value) and shown(key) == key
            expect(fits and len(task) <= 20, "task", "up to 20 integers and printable texts", {key: value})
        certified, total = int(fields["certified"]), int(fields["total"])
        if certified > total:
            raise MalformedCertificate(f"certified: {shown(certified)} is more than the total of {shown(total)} inputs")
        sha256 = fields["model_sha256"]
        return cls(**texts, task=task, model_sha256=sha256, certified=certified, total=total, claim=claim)


def expect(fits: Any, where: str, expected: str, found: Any) -> None:
    """Raise MalformedCertificate, with these words, unless it fits."""
    if not fits:
        raise MalformedCertificate(f"{where}: expected {expected}, found {shown(ascii(found))}")


def expect_keys(where: str, fields: Mapping[str, Any], keys: Collection[str]) -> None:
    """Raise MalformedCertificate unless these are the keys of the object."""
    for key in keys:
        if key not in fields:
            raise MalformedCertificate(f"{where}: the key {key!r} is missing")
    for key in fields:
        if key not in keys:
            raise MalformedCertificate(f"{where}: unknown key {shown(key)}; known: {', '.join(keys)}")
