"""Certificates: what is claimed about which network, and the hints that checking needs.

A certificate is one JSON object (UTF-8, at most 16 MiB), with exactly these keys:

    format          "compactproofs certificate"
    version         2
    family          the family of networks, such as "attention-only-1l1h"
    task            the task's record: its name and what else defines it, {"name": "max-of-k", "n_ctx": K, ...}
    model_sha256    the hash of the network as its family defines it, 64 lower-case hexadecimal digits
    strategy        the id of the strategy
    theorem         the theorem that the claim rests on, with its version: "max-of-k/cubic@1"
    claim           "at least" or "at most": so many of its `total` inputs, `certified`, the model answers correctly
    certified       N, a decimal integer in a string
    total           the number of the task's inputs, a decimal integer in a string
    hints           {name: {"dtype": "uint8", "uint16", "int64" or "float64", "shape": [...],
                    "data": base64 of the entries row by row as little-endian bytes}}
    tool            the program and version that wrote it; for information

Nothing in it is trusted: `compactproofs.kernel.checker` recomputes N from the weights and the hints.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.problem import Claim
from compactproofs.kernel.strict import MAX_DIGITS, shown, strict_json

FORMAT = "compactproofs certificate"
VERSION = 2
CLAIMS: tuple[Claim, ...] = get_args(Claim)
MAX_BYTES = 2**24

DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(code) for name, code in (("uint8", "u1"), ("uint16", "<u2"), ("int64", "<i8"), ("float64", "<f8"))
}
_NATURAL = re.compile(rf"0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEYS = [
    *("format", "version", "family", "task", "model_sha256", "strategy", "theorem", "claim", "certified", "total"),
    *("hints", "tool"),
]
_KINDS = {dict: "an object", list: "a list", str: "text", int: "an integer", bool: "true or false"}


class MalformedCertificate(CompactProofsError, ValueError):
    """The bytes are not a certificate in this format; the message names the field and what was expected."""


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
    def from_bytes(cls, data: bytes) -> Self:
        """Read a certificate strictly; raises MalformedCertificate for anything but the format above."""
        if len(data) > MAX_BYTES:
            raise MalformedCertificate(f"the file is larger than {MAX_BYTES} bytes, the most that is read")
        try:
            return cls.of_fields(strict_json(data))
        except MalformedCertificate:
            raise
        except ValueError as error:
            raise MalformedCertificate(str(error)) from error

    @classmethod
    def of_fields(cls, fields: Any) -> Self:
        """The certificate that this is when written as JSON."""
        if not isinstance(fields, dict):
            raise MalformedCertificate(f"expected a JSON object, found {_kind(fields)}")
        for key, known in (("format", FORMAT), ("version", VERSION)):
            found = fields.get(key)
            _expect(type(found) is type(known) and found == known, key, repr(known), _show(found))
        _expect_keys("the certificate", fields, _KEYS)
        texts = {key: _text(key, fields[key]) for key in ("family", "strategy", "theorem", "tool")}
        certified, total = (_natural(key, fields[key]) for key in ("certified", "total"))
        claim, sha256, task, hints = fields["claim"], fields["model_sha256"], fields["task"], fields["hints"]
        _expect(claim in CLAIMS, "claim", f"one of {', '.join(CLAIMS)}", _show(claim))
        hexadecimal = isinstance(sha256, str) and _SHA256.fullmatch(sha256)
        _expect(hexadecimal, "model_sha256", "64 lower-case hexadecimal digits", _show(sha256))
        named = isinstance(task, dict) and isinstance(task.get("name"), str)
        _expect(named, "task", "an object with a name", _show(task))
        for key, value in task.items():
            fits = type(value) in (str, int) and shown(value, 1000) == str(value) and shown(key) == key
            expected = "up to 20 integers and short printable texts"
            _expect(fits and len(task) <= 20, "task", expected, f"{shown(key)}: {_show(value)}")
        _expect(isinstance(hints, dict), "hints", "an object", _kind(hints))
        arrays = {name: _array(name, hint) for name, hint in hints.items()}
        if certified > total:
            more = f"{shown(certified)} is more than the total of {shown(total)} inputs"
            raise MalformedCertificate(f"certified: {more}")
        return cls(**texts, task=task, model_sha256=sha256, certified=certified, total=total, hints=arrays, claim=claim)


def _array(name: str, hint: Any) -> npt.NDArray[Any]:
    """The array that a hint is."""
    _expect(shown(name) == name != "", "hints", "names of 1 to 60 printable ASCII characters", _show(name))
    where = f"hints.{name}"
    _expect(isinstance(hint, dict), where, "an object", _kind(hint))
    _expect_keys(where, hint, ["dtype", "shape", "data"])
    shape, text = hint["shape"], hint["data"]
    dtype = DTYPES.get(hint["dtype"]) if isinstance(hint["dtype"], str) else None
    if dtype is None:
        raise MalformedCertificate(f"{where}.dtype: expected one of {', '.join(DTYPES)}, found {_show(hint['dtype'])}")
    sizes = isinstance(shape, list) and all(type(size) is int and 0 <= size <= MAX_BYTES for size in shape)
    _expect(sizes and len(shape) <= 8, f"{where}.shape", "a list of up to 8 sizes", _show(shape))
    _expect(isinstance(text, str), f"{where}.data", "base64 text", _kind(text))
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise MalformedCertificate(f"{where}.data: not base64 ({shown(str(error))})") from error
    if base64.b64encode(data).decode() != text:
        raise MalformedCertificate(f"{where}.data: not base64 in its one spelling for these bytes")
    expected = math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise MalformedCertificate(f"{where}.data: shape {shape} needs {expected} bytes, found {len(data)}")
    array = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
    array.flags.writeable = False
    return array


def _natural(where: str, value: Any) -> int:
    _expect(isinstance(value, str) and _NATURAL.fullmatch(value), where, "a decimal integer in a string", _show(value))
    return int(value)


def _text(where: str, value: Any) -> str:
    short = isinstance(value, str) and len(value) <= 1000 and value.isprintable()
    _expect(short, where, "printable text of at most 1000 characters", _show(value))
    return str(value)


def _expect_keys(where: str, fields: dict[str, Any], keys: list[str]) -> None:
    for key in keys:
        if key not in fields:
            raise MalformedCertificate(f"{where}: the key {key!r} is missing")
    for key in fields:
        if key not in keys:
            raise MalformedCertificate(f"{where}: unknown key {shown(key)}; known: {', '.join(keys)}")


def _expect(fits: Any, where: str, expected: str, found: str) -> None:
    if not fits:
        raise MalformedCertificate(f"{where}: expected {expected}, found {found}")


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "null")


def _show(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
