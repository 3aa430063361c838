"""The reader and writer of safetensors, beside the second checker's reader and the `safetensors` package.

The two readers agree on every file.  Neither reads what the `safetensors` package refuses, and where that reads more,
it is one of the differences that `docs/certificate-format.md` lists.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from compactproofs import Model, zoo
from compactproofs.kernel.tensors import read_tensors
from compactproofs.opening.models import write_tensors
from exactcheck import reading
from headers import BITS, changed_file

A = b'"dtype":"F32","shape":[1],"data_offsets":[0,4]'
ONE = b'{"a":{' + A + b"}}"


def file(header: bytes, body: bytes = b"") -> bytes:
    """A file of this header and body."""
    return len(header).to_bytes(8, "little") + header + body


Found = dict[str, tuple[str, tuple[int, ...], bytes]]


def by_the_package(data: bytes) -> tuple[Found | None, str]:
    """What the package reads, or None and why."""
    try:
        tensors, _ = read_tensors(data)
    except ValueError as error:
        message = str(error)
    else:
        return {name: (t.dtype, t.shape, bytes(t.data)) for name, t in tensors.items()}, ""
    assert message.isprintable()
    assert len(message) < 400
    return None, message


def by_the_second_checker(data: bytes) -> Found | None:
    """What the second checker reads."""
    try:
        return {name: (dtype, tuple(shape), data) for name, (dtype, shape, data) in reading.tensors_of(data).items()}
    except reading.Malformed:
        return None


def by_safetensors(data: bytes) -> Found | None:
    """What the `safetensors` package reads."""
    try:
        found = deserialize(data)
    except SafetensorError:
        return None
    return {name: (entry["dtype"], tuple(entry["shape"]), bytes(entry["data"])) for name, entry in found}


def model_hashes(data: bytes) -> tuple[str | None, str | None]:
    """The hash that the package and the second checker find, or None."""
    try:
        ours = Model.from_bytes(data).sha256
    except ValueError:
        ours = None
    try:
        return ours, reading.read_weights(data).sha256
    except reading.Malformed:
        return ours, None


#: What is refused on purpose though `safetensors` reads it, by a word of the message, and an example.
STRICTER = {
    "no JSON object begins at byte 8": file(b" " + ONE, bytes(4)),
    "its header is larger than": file(ONE + b" " * 2**20, bytes(4)),
    "appears twice": file(b'{"a":{' + A + b'},"a":{' + A + b"}}", bytes(4)),
    "its __metadata__ is no object": file(ONE[:-1] + b',"__metadata__":null}', bytes(4)),
    "exactly the keys": file(b'{"a":{"x":1,' + A + b"}}", bytes(4)),
    "has type that is no text": file(ONE.replace(b'"F32"', b'{"F32":null}'), bytes(4)),
    "is too large": file(ONE.replace(b"[1]", b"[1,1,1,1,1,1,1,1,1]"), bytes(4)),
    "only integers are allowed": file(b'{"a":{"x":0.5,' + A + b"}}", bytes(4)),
    "the number -0 has a sign": file(b'{"a":{"x":-0,' + A + b"}}", bytes(4)),
}


@pytest.mark.parametrize("word", STRICTER)
def test_stricter_than_safetensors(word: str) -> None:
    """Each difference is there."""
    data = STRICTER[word]
    assert by_safetensors(data) is not None
    assert by_the_second_checker(data) is None
    found, message = by_the_package(data)
    assert found is None
    assert word in message


@pytest.mark.parametrize("dtype", [*BITS, "F128", "C128", "I4", "U4", "f32", "F8", "BIN"])
@pytest.mark.parametrize("entries", [0, 1, 2, 3, 4, 8])
def test_types(dtype: str, entries: int) -> None:
    """All three know the same types and sizes; types smaller than a byte must fill bytes."""
    bits = entries * BITS.get(dtype, 4)
    for size in (bits // 8, bits // 8 + 1):
        header = json.dumps({"a": {"dtype": dtype, "shape": [entries], "data_offsets": [0, size]}}).encode()
        data = file(header, bytes(range(size)))
        found, _ = by_the_package(data)
        assert found == by_the_second_checker(data) == by_safetensors(data)
        assert (found is not None) == (dtype in BITS and 8 * size == bits)


def test_notes() -> None:
    """The text under `__metadata__` is handed on as it is."""
    notes = {"config": '{"n_layers": 1,\n "ctx": 3}', "": "ä\0\u2028😀"}
    data = save({"a": np.zeros(2, np.float32)}, metadata=notes)
    assert read_tensors(data)[1] == notes
    assert read_tensors(save({"a": np.zeros(2, np.float32)}))[1] == {}


def test_zoo() -> None:
    """Every shipped model is what the table says, to the last bit."""
    for row in zoo.table():
        data = zoo.path(row.name).read_bytes()
        assert Model.load(zoo.path(row.name)).sha256 == row.model_sha256
        found, _ = by_the_package(data)
        assert found == by_safetensors(data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_written_as_safetensors_writes(dtype: Any) -> None:
    """The same bytes, whatever the memory layout, names and shapes."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=shape).astype(dtype) for name, shape in (("b", (2, 3)), ("a", ()), ("é", (0, 4)))}
    arrays["d" * 7] = np.asfortranarray(arrays["b"])
    plain = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    assert by_safetensors(write_tensors(arrays)) == by_safetensors(save(plain))
    del arrays["é"], plain["é"]  # `json` writes it with an escape
    assert write_tensors(arrays) == save(plain)


def test_deep_nesting() -> None:
    """However deep, a header is refused in words."""
    for depth in [*range(1, 1200, 37), *range(900, 1000), 30_000]:
        for start, stop in ((b"[", b"]"), (b'{"":', b"}")):
            for where in (b'{"a":%b}', b'{"a":{"dtype":%b,"shape":[1],"data_offsets":[0,4]}}', b'{"__metadata__":%b}'):
                data = file(where % (start * depth + b"0" + stop * depth))
                assert by_the_package(data)[0] is None
                assert by_the_second_checker(data) is None


@pytest.mark.parametrize("number", [2_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_changed_headers(number: int) -> None:
    """Both readers agree on tensors and models, and read nothing that `safetensors` refuses."""
    rng = Random(0)
    read = models = 0
    differences = dict.fromkeys(STRICTER, 0)
    for _ in range(number):
        data = changed_file(rng)
        (ours, message), reference = by_the_package(data), by_safetensors(data)
        assert ours == by_the_second_checker(data), data
        if ours is not None:
            assert ours == reference, data
            hashes = model_hashes(data)
            assert hashes[0] == hashes[1], data
            read, models = read + 1, models + (hashes[0] is not None)
        elif reference is not None:
            known = [word for word in STRICTER if word in message]
            assert known, (message, data)
            differences[known[0]] += 1
    assert min(models, read - models, number - read) > number // 10
    assert sum(differences.values()) > number // 34
