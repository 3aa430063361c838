"""Certificates as files: writing them, and reading what the kernel does not look at: hints, and older versions.

A file has at most 16 MiB of UTF-8.  Hints are written as

    {name: {"dtype": "uint8", "uint16", "int64" or "float64", "shape": [...],
            "data": base64 of the entries row by row as little-endian bytes}}

Untrusted: a hint that is misread is another hint, and N is a true bound for that one too.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from compactproofs.kernel import certificate as kernel
from compactproofs.kernel.certificate import FORMAT, VERSION, MalformedCertificate, expect, expect_keys
from compactproofs.kernel.strict import MAX_DIGITS, shown, strict_json
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.opening.arguments import Misuse, path_of
from compactproofs.opening.arguments import expect as expect_argument
from compactproofs.system.displays import Displayed, in_short, share_in_short
from compactproofs.system.files import read_limited, write_atomically
from compactproofs.tasks.max_of_k import MaxOfK

MAX_BYTES = 2**24
DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(code) for name, code in (("uint8", "u1"), ("uint16", "<u2"), ("int64", "<i8"), ("float64", "<f8"))
}
_VERSION_1 = {
    f"compactproofs.strategies.{name.replace('sub-', 'sub').replace('-', '_')}": f"max-of-k/{name}@1"
    for name in ("trivial", "brute-force", "cubic", "sub-cubic", "branch-and-bound", "failing-sets", "histogram")
}


def certificate_name(strategy_id: str) -> str:
    """The file name that this package gives to a certificate of this strategy."""
    return f"{strategy_id.replace('/', '--').replace(':', '@')}.cert.json"


class Certificate(Displayed, kernel.Certificate):
    """A certificate that can be loaded and saved; the format is that of `kernel.certificate`."""

    def facts(self) -> dict[str, str]:
        """What is claimed about which model, and what it rests on."""
        return {
            "strategy": self.strategy,
            "claim": f"{self.claim} {in_short(self.certified, self.claim)} of {in_short(self.total)}",
            "bound": share_in_short(Fraction(self.certified, self.total), self.claim) if self.total else "?",
            "task": " ".join(str(value) for value in self.task.values()),
            "model": self.model_sha256[:12],
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a certificate strictly; raises MalformedCertificate for anything but the format."""
        expect_argument("data", data, bytes, "the bytes of a file")
        if len(data) > MAX_BYTES:
            raise MalformedCertificate(f"the file is larger than {MAX_BYTES} bytes, the most that is read")
        try:
            fields = strict_json(data)
        except ValueError as error:
            raise MalformedCertificate(str(error)) from error
        return cls.of_fields(fields)

    @classmethod
    def of_fields(cls, fields: Any) -> Self:
        """The certificate that this is when written as JSON, by this version of the format or by version 1."""
        if isinstance(fields, dict) and fields.get("format") == FORMAT and type(fields.get("version")) is int:
            fields = _of_version_1(fields) if fields["version"] == 1 else fields
        claim, hints = super().of_fields(fields), fields["hints"]
        expect(isinstance(hints, dict), "hints", "an object", hints)
        return replace(claim, hints={name: _decode(name, hint) for name, hint in hints.items()})

    def to_bytes(self) -> bytes:
        """The certificate as a file holds it; equal certificates give equal bytes.

        Raises Misuse, a ValueError, if it does not fit the format, which has numbers of 4000 digits and files of 16 MiB
        at most.
        """
        if max(self.certified, self.total) >= 10**MAX_DIGITS:
            raise Misuse(f"a certificate cannot hold numbers of more than {MAX_DIGITS} digits")
        fields = {
            "format": FORMAT,
            "version": VERSION,
            "family": self.family,
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
            raise Misuse(f"the certificate has {len(data)} bytes; at most {MAX_BYTES} are supported")
        return data

    def save(self, path: str | Path) -> None:
        """Write the certificate atomically."""
        write_atomically(path_of("path", path), self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a certificate file; raises MalformedCertificate, or OSError if the file cannot be read."""
        file = path_of("path", path)
        try:
            return cls.from_bytes(read_limited(file, MAX_BYTES))
        except ValueError as error:
            raise MalformedCertificate(f"{path}: {error}") from error


def _of_version_1(fields: dict[str, Any]) -> dict[str, Any]:
    """The same claim in today's format: there was one family, one task, and theorems were named by their modules."""
    if "family" in fields:
        raise MalformedCertificate("the certificate: unknown key family; it belongs to version 2 of the format")
    task, theorem = fields.get("task"), fields.get("theorem")
    if not isinstance(task, dict) or task.keys() != {"name", "n_ctx", "d_vocab"} or task["name"] != "max":
        raise MalformedCertificate("task: expected the name 'max', n_ctx and d_vocab")
    for key in ("n_ctx", "d_vocab"):
        if type(task[key]) is not int or not 1 <= task[key] < 2**31:
            raise MalformedCertificate(f"task.{key}: expected an integer from 1 to 2^31 - 1, found {task[key]!a:.60}")
    changed = {"version": VERSION, "family": AttentionOnly.family, "task": {**task, "name": MaxOfK.name}}
    if isinstance(theorem, str):
        changed["theorem"] = _VERSION_1.get(theorem, theorem)
    return {**fields, **changed}


def _encode(array: npt.NDArray[Any]) -> dict[str, Any]:
    name = array.dtype.name
    if name not in DTYPES:
        raise Misuse(f"hints are arrays of {', '.join(DTYPES)}, not of {name}")
    data = np.ascontiguousarray(array, DTYPES[name]).tobytes()
    return {"dtype": name, "shape": list(array.shape), "data": base64.b64encode(data).decode("ascii")}


def _decode(name: str, hint: Any) -> npt.NDArray[Any]:
    expect(shown(name) == name != "", "hints", "names of 1 to 60 printable ASCII characters", name)
    where = f"hints.{name}"
    expect(isinstance(hint, dict), where, "an object", hint)
    expect_keys(where, hint, ["dtype", "shape", "data"])
    known, shape, text = hint["dtype"], hint["shape"], hint["data"]
    expect(isinstance(known, str) and known in DTYPES, f"{where}.dtype", f"one of {', '.join(DTYPES)}", known)
    sizes = isinstance(shape, list) and all(type(size) is int and 0 <= size <= MAX_BYTES for size in shape)
    expect(sizes and len(shape) <= 8, f"{where}.shape", "a list of up to 8 sizes", shape)
    expect(isinstance(text, str), f"{where}.data", "base64 text", text)
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise MalformedCertificate(f"{where}.data: not base64 ({shown(str(error))})") from error
    if base64.b64encode(data).decode() != text:
        raise MalformedCertificate(f"{where}.data: not base64 in its one spelling for these bytes")
    dtype = DTYPES[known]
    expected = math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise MalformedCertificate(f"{where}.data: shape {shape} needs {expected} bytes, found {len(data)}")
    array = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
    array.flags.writeable = False
    return array
