"""Certificates: what is claimed about which model, and the hints that checking needs.

A certificate is one JSON object (UTF-8, at most 16 MiB), with exactly these keys:

    format          "compactproofs certificate"
    version         1
    task            {"name": "max", "n_ctx": K, "d_vocab": v}
    model_sha256    the hash of the weights as `Model.sha256` defines it, 64 lower-case hexadecimal digits
    strategy        the id of the strategy
    theorem         the theorem that the claim rests on, as the strategy names it
    claim           "at least" or "at most": so many of its `total` inputs, `certified`, the model answers correctly
    certified       N, a decimal integer in a string
    total           v^K, a decimal integer in a string
    hints           {name: {"dtype": "uint8", "uint16", "int64" or "float64", "shape": [...],
                    "data": base64 of the entries row by row as little-endian bytes}}
    tool            the program and version that wrote it; for information

Nothing in it is trusted: `compactproofs.kernel.checker` recomputes N from the weights and the hints.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.strict import MAX_DIGITS, read_limited, shown, strict_json
from compactproofs.runs.files import write_atomically

FORMAT = "compactproofs certificate"
VERSION = 1
CLAIMS = ("at least", "at most")
MAX_BYTES = 2**24

_DTYPES: dict[str, np.dtype[Any]] = {
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "int64": np.dtype("<i8"),
    "float64": np.dtype("<f8"),
}
_NATURAL = re.compile(rf"0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEYS = (
    "format", "version", "task", "model_sha256", "strategy", "theorem", "claim", "certified", "total", "hints", "tool",
)  # fmt: skip


def certificate_name(strategy_id: str) -> str:
    """The file name that this package gives to a certificate of this strategy."""
    return f"{strategy_id.replace('/', '--')}.cert.json"


class MalformedCertificate(ValueError):
    """The bytes are not a certificate in this format; the message names the field and what was expected."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """A claim that a model answers at least (or at most) `certified` of its `total` inputs correctly, with hints."""

    task: Mapping[str, Any]
    model_sha256: str
    strategy: str
    theorem: str
    certified: int
    total: int
    hints: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    tool: str = ""
    claim: str = "at least"

    def __str__(self) -> str:
        return f"{self.claim} {self.certified} of {self.total} inputs are answered correctly"

    def to_bytes(self) -> bytes:
        """The certificate as a file holds it; equal certificates give equal bytes.

        Raises ValueError if it does not fit the format, which has numbers of 4000 digits and files of 16 MiB at most.
        """
        if max(self.certified, self.total) >= 10**MAX_DIGITS:
            raise ValueError(f"a certificate cannot hold numbers of more than {MAX_DIGITS} digits")
        fields = {
            "format": FORMAT,
            "version": VERSION,
            "task": dict(self.task),
            "model_sha256": self.model_sha256,
            "strategy": self.strategy,
            "theorem": self.theorem,
            "claim": self.claim,
            "certified": str(self.certified),
            "total": str(self.total),
            "hints": {name: _encode(array) for name, array in sorted(self.hints.items())},
            "tool": self.tool,
        }
        data = (json.dumps(fields, indent=1, ensure_ascii=True) + "\n").encode("ascii")
        if len(data) > MAX_BYTES:
            raise ValueError(f"the certificate has {len(data)} bytes; at most {MAX_BYTES} are supported")
        return data

    def save(self, path: str | Path) -> None:
        """Write the certificate atomically."""
        write_atomically(Path(path), self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Certificate:
        """Read a certificate strictly; raises MalformedCertificate for anything but the format above."""
        try:
            fields = strict_json(data)
        except ValueError as error:
            raise MalformedCertificate(str(error)) from error
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
            claim=fields["claim"],
        )
        if certificate.certified > certificate.total:
            raise MalformedCertificate(
                f"certified: {shown(certificate.certified)} is more than the total of {shown(certificate.total)} inputs"
            )
        return certificate

    @classmethod
    def load(cls, path: str | Path) -> Certificate:
        """Read a certificate file; raises MalformedCertificate, or OSError if the file cannot be read."""
        try:
            return cls.from_bytes(read_limited(Path(path), MAX_BYTES))
        except ValueError as error:
            raise MalformedCertificate(f"{path}: {error}") from error


def _encode(array: npt.NDArray[Any]) -> dict[str, Any]:
    name = array.dtype.name
    if name not in _DTYPES:
        raise ValueError(f"hints are arrays of {', '.join(_DTYPES)}, not of {name}")
    data = np.ascontiguousarray(array, _DTYPES[name]).tobytes()
    return {"dtype": name, "shape": list(array.shape), "data": base64.b64encode(data).decode("ascii")}


def _decode(where: str, hint: Any) -> npt.NDArray[Any]:
    if not isinstance(hint, dict):
        raise MalformedCertificate(f"{where}: expected an object, found {_kind(hint)}")
    _expect_keys(where, hint, ("dtype", "shape", "data"))
    dtype = _DTYPES.get(hint["dtype"]) if isinstance(hint["dtype"], str) else None
    if dtype is None:
        raise MalformedCertificate(f"{where}.dtype: expected one of {', '.join(_DTYPES)}, found {_show(hint['dtype'])}")
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


def _task(task: Any) -> dict[str, Any]:
    if not isinstance(task, dict):
        raise MalformedCertificate(f"task: expected an object, found {_kind(task)}")
    _expect_keys("task", task, ("name", "n_ctx", "d_vocab"))
    if task["name"] != "max":
        raise MalformedCertificate(f"task.name: expected 'max', found {_show(task['name'])}")
    for key in ("n_ctx", "d_vocab"):
        if type(task[key]) is not int or not 1 <= task[key] < 2**31:
            raise MalformedCertificate(f"task.{key}: expected an integer from 1 to 2^31 - 1, found {_show(task[key])}")
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
