"""Claims with confidence as files: a format of their own, which no reader of certificates accepts.

One JSON object (UTF-8, at most 1 MiB), with exactly these keys:

    format          "compactproofs claim with confidence"
    version         1
    family, task, model_sha256, claim, total    as in certificates
    theorem         "confidence/plain@1" or "confidence/inside@1"
    claimed         N, a decimal integer in a string
    urn             M, the size of the urn (`sampling`), a decimal integer in a string
    samples         how many elements are drawn, from 1 to 2^22
    error_bits      k: a false claim is accepted with a probability of at most 2^-k; from 1 to 256
    tool            the program and version that wrote it; for information

It holds neither random numbers nor a seed: whoever checks it draws their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from compactproofs.confidence.sampling import Method
from compactproofs.kernel.certificate import CLAIMS
from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.problem import Claim
from compactproofs.kernel.strict import MAX_DIGITS, shown, strict_json

FORMAT = "compactproofs claim with confidence"
VERSION = 1
MAX_BYTES = 2**20
MAX_SAMPLES = 2**22
MAX_ERROR_BITS = 256
THEOREMS: dict[Method, str] = {"plain": "confidence/plain@1", "inside": "confidence/inside@1"}

_NATURAL = re.compile(rf"0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class MalformedClaim(CompactProofsError, ValueError):
    """The bytes are not a claim in this format; the message names the field and what was expected."""


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 1000 and value.isprintable()


def _natural(value: Any) -> bool:
    return isinstance(value, str) and _NATURAL.fullmatch(value) is not None


def _between(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _task(value: Any) -> bool:
    fits = isinstance(value, dict) and len(value) <= 16 and isinstance(value.get("name"), str)
    return fits and all(type(each) in (int, str) and shown(each) == str(each) for each in value.values())


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "format": (lambda value: value == FORMAT, repr(FORMAT)),
    "version": (lambda value: type(value) is int and value == VERSION, str(VERSION)),
    "family": (_text, "printable text"),
    "task": (_task, "an object with a name, integers and short texts"),
    "model_sha256": (lambda value: _text(value) and _SHA256.fullmatch(value) is not None, "64 hexadecimal digits"),
    "theorem": (lambda value: value in THEOREMS.values(), f"one of {', '.join(THEOREMS.values())}"),
    "claim": (lambda value: value in CLAIMS, f"one of {', '.join(CLAIMS)}"),
    "claimed": (_natural, "a decimal integer in a string"),
    "total": (_natural, "a decimal integer in a string"),
    "urn": (_natural, "a decimal integer in a string"),
    "samples": (_between(1, MAX_SAMPLES), f"an integer from 1 to {MAX_SAMPLES}"),
    "error_bits": (_between(1, MAX_ERROR_BITS), f"an integer from 1 to {MAX_ERROR_BITS}"),
    "tool": (_text, "printable text"),
}


@dataclass(frozen=True)
class ClaimWithConfidence:
    """A claim that a model answers at least (or at most) so many inputs correctly, and how it is put to the test."""

    family: str
    task: Mapping[str, str | int]
    model_sha256: str
    theorem: str
    claim: Claim
    claimed: int
    total: int
    urn: int
    samples: int
    error_bits: int
    tool: str = ""

    def __str__(self) -> str:
        return f"{self.claim} {self.claimed} of {self.total} inputs are answered correctly"

    @property
    def method(self) -> Method:
        """How elements are drawn."""
        return next(method for method, theorem in THEOREMS.items() if theorem == self.theorem)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a claim strictly; raises MalformedClaim for anything but the format above."""
        if len(data) > MAX_BYTES:
            raise MalformedClaim(f"the file is larger than {MAX_BYTES} bytes, the most that is read")
        try:
            fields = strict_json(data)
        except ValueError as error:
            raise MalformedClaim(str(error)) from error
        if not isinstance(fields, dict):
            raise MalformedClaim("expected a JSON object")
        for key, (fits, expected) in _FIELDS.items():
            if key not in fields:
                raise MalformedClaim(f"{key}: missing; expected {expected}")
            if isinstance(fields[key], list) or not fits(fields[key]):
                raise MalformedClaim(f"{key}: expected {expected}, found {shown(fields[key])}")
        for key in fields.keys() - _FIELDS.keys():
            raise MalformedClaim(f"unknown key {shown(key)}; known: {', '.join(_FIELDS)}")
        numbers = {key: int(fields[key]) for key in ("claimed", "total", "urn")}
        if numbers["claimed"] > numbers["total"] or not numbers["urn"] >= 1:
            raise MalformedClaim("claimed, urn: expected a claim of at most the total, and an urn that is not empty")
        return cls(**{key: value for key, value in (fields | numbers).items() if key not in ("format", "version")})

    def to_bytes(self) -> bytes:
        """The claim as a file holds it."""
        numbers = {key: str(getattr(self, key)) for key in ("claimed", "total", "urn")}
        fields = {"format": FORMAT, "version": VERSION, **asdict(self), "task": dict(self.task), **numbers}
        return (json.dumps({key: fields[key] for key in _FIELDS}, indent=1) + "\n").encode("ascii")
