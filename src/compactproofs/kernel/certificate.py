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
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.problem import Claim
from compactproofs.kernel.strict import MAX_DIGITS, shown, strict_json

FORMAT = "compactproofs certificate"
VERSION = 2
CLAIMS = ("at least", "at most")
MAX_BYTES = 2**24

DTYPES: dict[str, np.dtype[Any]] = {
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "int64": np.dtype("<i8"),
    "float64": np.dtype("<f8"),
}
_NATURAL = re.compile(rf"0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEYS = (
    "format", "version", "family", "task", "model_sha256", "strategy", "theorem", "claim", "certified", "total",
    "hints", "tool",
)  # fmt: skip


class MalformedCertificate(ValueError):
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
        return f"{self.claim} {self.certified} of {self.total} inputs are answered correctly"

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
        if fields.get("format") != FORMAT:
            raise MalformedCertificate(f"format: expected {FORMAT!r}, found {_show(fields.get('format'))}")
        if fields.get("version") != VERSION or isinstance(fields.get("version"), bool):
            raise MalformedCertificate(f"version: expected {VERSION}, found {_show(fields.get('version'))}")
        _expect_keys("the certificate", fields, _KEYS)
        if not isinstance(fields["claim"], str) or fields["claim"] not in CLAIMS:
            raise MalformedCertificate(f"claim: expected one of {', '.join(CLAIMS)}, found {_show(fields['claim'])}")
        hints = fields["hints"]
        if not isinstance(hints, dict):
            raise MalformedCertificate(f"hints: expected an object, found {_kind(hints)}")
        certificate = cls(
            task=_task(fields["task"]),
            model_sha256=_matching(fields, "model_sha256", _SHA256, "64 lower-case hexadecimal digits"),
            strategy=_text(fields, "strategy"),
            theorem=_text(fields, "theorem"),
            certified=int(_matching(fields, "certified", _NATURAL, "a decimal integer in a string")),
            total=int(_matching(fields, "total", _NATURAL, "a decimal integer in a string")),
            hints={_hint_name(name): _decode(f"hints.{name}", hint) for name, hint in hints.items()},
            tool=_text(fields, "tool"),
            claim=cast(Claim, fields["claim"]),
            family=_text(fields, "family"),
        )
        if certificate.certified > certificate.total:
            raise MalformedCertificate(
                f"certified: {shown(certificate.certified)} is more than the total of {shown(certificate.total)} inputs"
            )
        return certificate


def _decode(where: str, hint: Any) -> npt.NDArray[Any]:
    if not isinstance(hint, dict):
        raise MalformedCertificate(f"{where}: expected an object, found {_kind(hint)}")
    _expect_keys(where, hint, ("dtype", "shape", "data"))
    dtype = DTYPES.get(hint["dtype"]) if isinstance(hint["dtype"], str) else None
    if dtype is None:
        raise MalformedCertificate(f"{where}.dtype: expected one of {', '.join(DTYPES)}, found {_show(hint['dtype'])}")
    shape = hint["shape"]
    if (
        not isinstance(shape, list)
        or len(shape) > 8
        or not all(type(size) is int and 0 <= size <= MAX_BYTES for size in shape)
    ):
        raise MalformedCertificate(f"{where}.shape: expected a list of up to 8 sizes, found {_show(shape)}")
    if not isinstance(hint["data"], str):
        raise MalformedCertificate(f"{where}.data: expected base64 text, found {_kind(hint['data'])}")
    try:
        text = hint["data"].encode("ascii")
        data = base64.b64decode(text, validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise MalformedCertificate(f"{where}.data: not base64 ({shown(str(error))})") from error
    if base64.b64encode(data) != text:
        raise MalformedCertificate(f"{where}.data: not base64 in its one spelling for these bytes")
    expected = math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise MalformedCertificate(f"{where}.data: shape {shape} needs {expected} bytes, found {len(data)}")
    array = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
    array.flags.writeable = False
    return array


def _hint_name(name: str) -> str:
    if not name or shown(name) != name:
        raise MalformedCertificate(f"hints: expected names of 1 to 60 printable ASCII characters, found {_show(name)}")
    return name


def _task(task: Any) -> dict[str, str | int]:
    if not isinstance(task, dict) or not isinstance(task.get("name"), str):
        raise MalformedCertificate(f"task: expected an object with a name, found {_show(task)}")
    for key, value in task.items():
        if type(value) not in (str, int) or shown(value) != str(value) or shown(key) != key or len(task) > 16:
            raise MalformedCertificate(
                f"task: expected up to 16 integers and short printable texts, found {shown(key)}: {_show(value)}"
            )
    return task


def _expect_keys(where: str, fields: dict[str, Any], keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if key not in fields]
    unknown = [shown(key) for key in fields if key not in keys]
    if missing:
        raise MalformedCertificate(f"{where}: the key {missing[0]!r} is missing")
    if unknown:
        raise MalformedCertificate(f"{where}: unknown key {unknown[0]}; known: {', '.join(keys)}")


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or len(value) > 1000 or not value.isprintable():
        raise MalformedCertificate(f"{key}: expected printable text of at most 1000 characters, found {_show(value)}")
    return value


def _matching(fields: dict[str, Any], key: str, pattern: re.Pattern[str], expected: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise MalformedCertificate(f"{key}: expected {expected}, found {_show(value)}")
    return value


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", int: "an integer", bool: "true or false"}
    return kinds.get(type(value), "null")


def _show(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
