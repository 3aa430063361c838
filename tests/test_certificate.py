"""Certificates: strict reading, and nothing that is changed on the way is accepted for more."""

import base64
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import compactproofs as cp
from compactproofs import Certificate, MalformedCertificate, Model
from compactproofs.kernel import checker
from compactproofs.kernel.certificate import CLAIMS, FORMAT
from compactproofs.kernel.library import Library
from compactproofs.kernel.problem import Claim, HintSpec, Problem, Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.certificates import MAX_BYTES
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.tasks.orders import MinOfK
from compactproofs.theorems import BUILT_IN

HINTED = "sub-cubic/max_diff_exact/mean_query+diff/max_diff_exact"


def ladder(sharpness: float = 1.0) -> Model:
    """A model written down by hand that finds most maxima of three among five tokens.

    A token t is the vector (t, 1); attention grows with t, and the output o is scored by t o - o^2 / 2.
    """
    t = np.arange(5.0)
    return Model(
        W_E=np.stack([t, np.ones(5)], axis=1),
        W_pos=np.zeros((3, 2)),
        W_Q=np.array([[0.0, 0.0], [sharpness, 0.0]]),
        W_K=np.array([[1.0, 0.0], [0.0, 0.0]]),
        W_V=100.0 * np.eye(2),
        W_O=np.eye(2),
        W_U=np.stack([t, -t * t / 2.0]),
    )


MODEL = ladder()
PROOFS = {strategy: cp.prove(MODEL, strategy).certificate for strategy in ("cubic", HINTED)}
REAL = {strategy: certificate.to_bytes() for strategy, certificate in PROOFS.items()}


def sample(**changes: Any) -> Certificate:
    """A certificate with hints of every type and of unusual shapes; what it says does not matter here."""
    fields: dict[str, Any] = {
        "task": {"name": "max-of-k", "n_ctx": 4, "d_vocab": 64},
        "family": "attention-only-1l1h",
        "model_sha256": "0123456789abcdef" * 4,
        "strategy": "cubic",
        "theorem": "max-of-k/cubic@1",
        "certified": 5,
        "total": 64**4,
        "hints": {
            "u": np.arange(6, dtype=np.uint8).reshape(2, 3),
            "v": np.array([1, 65535], np.uint16),
            "whole": np.array([-(2**63), 2**63 - 1]),
            "real": np.array([[np.nan, -np.inf], [-0.0, 5e-324]]),
            "single": np.array(7.0),
            "none": np.zeros((0, 4)),
        },
        "tool": "compactproofs tests",
    }
    return Certificate(**fields | changes)


def fields_of(data: bytes) -> dict[str, Any]:
    """The JSON object in these bytes."""
    return dict(json.loads(data))


SAMPLE = fields_of(sample().to_bytes())
KEYS = list(SAMPLE)


def refused(data: bytes | dict[str, Any], *fragments: str) -> None:
    """Reading these bytes raises MalformedCertificate with one short printable line that has all fragments."""
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    with pytest.raises(MalformedCertificate) as caught:
        Certificate.from_bytes(data)
    message = str(caught.value)
    assert message.isprintable()
    assert 0 < len(message) < 300
    for fragment in fragments:
        assert fragment in message


# Round trips


def assert_equal(one: Certificate, two: Certificate) -> None:
    """All fields are equal, hints to the bit."""
    for field in dataclasses.fields(Certificate):
        if field.name != "hints":
            assert getattr(one, field.name) == getattr(two, field.name)
    assert one.hints.keys() == two.hints.keys()
    for name, hint in one.hints.items():
        other = two.hints[name]
        assert (hint.dtype, hint.shape, hint.tobytes()) == (other.dtype, other.shape, other.tobytes())


def test_round_trip() -> None:
    """What is written is what is read, and is written again alike."""
    certificate = sample()
    again = Certificate.from_bytes(certificate.to_bytes())

    assert_equal(certificate, again)
    assert again.to_bytes() == certificate.to_bytes()


@pytest.mark.parametrize("claim", CLAIMS)
def test_claims(claim: Claim) -> None:
    """Both kinds of claim survive, and are put in words."""
    certificate = sample(claim=claim)
    again = Certificate.from_bytes(certificate.to_bytes())
    assert_equal(certificate, again)
    assert again.claim == fields_of(certificate.to_bytes())["claim"] == claim
    assert str(again) == f"{claim} 5 of 16777216 inputs are answered correctly"
    assert (again.to_bytes() == sample().to_bytes()) == (claim == "at least")


@pytest.mark.parametrize("claim", ["At least", "at least ", "at  least", "atmost", "exactly", "", "at most\n", ">="])
def test_other_claims(claim: str) -> None:
    """There are two kinds of claim, each with one spelling."""
    refused(SAMPLE | {"claim": claim}, "claim: expected one of at least, at most, found ")


def test_format() -> None:
    """The keys and constants of the documented format."""
    assert KEYS == [
        "format", "version", "family", "task", "model_sha256", "strategy", "theorem", "claim", "certified", "total",
        "hints", "tool",
    ]  # fmt: skip
    assert (SAMPLE["format"], SAMPLE["version"], SAMPLE["claim"]) == (FORMAT, 2, "at least")
    assert CLAIMS == ("at least", "at most")
    assert SAMPLE["certified"] == "5"
    assert SAMPLE["total"] == "16777216"
    assert SAMPLE["hints"]["single"] == {
        "dtype": "float64",
        "shape": [],
        "data": base64.b64encode(np.float64(7.0).tobytes()).decode(),
    }


def test_equal_certificates_give_equal_bytes() -> None:
    """The order in which hints were added does not show."""
    hints = sample().hints
    assert sample(hints=dict(reversed(list(hints.items())))).to_bytes() == sample().to_bytes()


def test_byte_order_and_layout() -> None:
    """Big-endian and strided hints are written like any others."""
    plain = np.arange(6.0).reshape(2, 3)
    for same in (plain.astype(">f8"), np.asfortranarray(plain), np.repeat(plain, 2, axis=1)[:, ::2]):
        assert sample(hints={"x": same}).to_bytes() == sample(hints={"x": plain}).to_bytes()


def test_hints_are_frozen() -> None:
    """Hints that were read cannot be changed in place."""
    for hint in Certificate.from_bytes(sample().to_bytes()).hints.values():
        assert not hint.flags.writeable


@pytest.mark.parametrize("digits", [20, 400, 3999])
def test_numbers_are_exact(digits: int) -> None:
    """Counts beyond 64 bits, and beyond what a float can hold."""
    number = 10**digits + 7
    again = Certificate.from_bytes(sample(certified=number, total=number + 1).to_bytes())
    assert (again.certified, again.total) == (number, number + 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"total": 10**4000}, "4000 digits"),
        ({"total": 10**5000}, "4000 digits"),
        ({"hints": {"x": np.zeros(2**21)}}, "at most 16777216 are supported"),
        ({"hints": {"x": np.zeros(2, np.float32)}}, "float32"),
        ({"hints": {"x": np.zeros(2, bool)}}, "bool"),
        ({"hints": {"x": np.array([None])}}, "object"),
    ],
)
def test_what_could_not_be_read_is_not_written(changes: dict[str, Any], reason: str) -> None:
    """Limits of the format show when a certificate is written, not only when it is read."""
    with pytest.raises(ValueError, match=reason):
        sample(**changes).to_bytes()


def test_save_and_load(tmp_path: Path) -> None:
    """Through a file, under a name as text or as a path."""
    path = tmp_path / "c.cert.json"
    sample().save(path)
    assert_equal(Certificate.load(str(path)), sample())
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.cert.json"]


@pytest.mark.parametrize("strategy", REAL)
def test_real_certificates(strategy: str) -> None:
    """What the prover makes survives a file and is accepted; the hinted one has hints."""
    certificate = Certificate.from_bytes(REAL[strategy])
    assert_equal(certificate, PROOFS[strategy])
    assert bool(certificate.hints) == (strategy == HINTED)
    assert 0 < certificate.certified < certificate.total == 125
    assert cp.verify(certificate, MODEL).accepted


# Fields


@pytest.mark.parametrize("key", KEYS)
def test_missing_field(key: str) -> None:
    """Every key is needed."""
    refused({k: v for k, v in SAMPLE.items() if k != key}, key)


@pytest.mark.parametrize("key", KEYS)
def test_duplicated_field(key: str) -> None:
    """A key that appears twice is refused, even with equal values."""
    text = json.dumps(SAMPLE)
    refused(f"{text[:-1]}, {json.dumps({key: SAMPLE[key]})[1:]}".encode(), f"the key {key} appears twice")


VALUES: list[Any] = [None, True, False, 0, 1, -1, 2**70, "", "1", "x", "max", [], [1], {}, {"a": 1}, ["at least"]]


@pytest.mark.parametrize("key", KEYS)
def test_wrong_type_of_field(key: str) -> None:
    """Values of other types, and other values where only some are allowed."""
    allowed: dict[str, list[Any]] = {
        "version": [2],
        "family": ["", "1", "x", "max"],
        "strategy": ["", "1", "x", "max"],
        "theorem": ["", "1", "x", "max"],
        "tool": ["", "1", "x", "max"],
        "certified": ["1"],
        "hints": [{}],
    }
    for value in VALUES:
        if any(value == good and type(value) is type(good) for good in allowed.get(key, [])):
            Certificate.from_bytes(json.dumps(SAMPLE | {key: value}).encode())
        else:
            refused(SAMPLE | {key: value}, "certified" if key == "total" and value == "1" else key)


@pytest.mark.parametrize("where", ["the certificate", "hints.u"])
@pytest.mark.parametrize("key", ["extra", "", "Format", "\x1b[2J", "ключ", "a" * 10_000])
def test_unknown_field(where: str, key: str) -> None:
    """A key that the format does not have is refused, at every level, and named in plain ASCII."""
    fields = json.loads(json.dumps(SAMPLE))
    target = {"the certificate": fields, "hints.u": fields["hints"]["u"]}[where]
    target[key] = 1
    refused(fields, f"{where}: unknown key", "known: ")


def test_task_is_a_record() -> None:
    """A name, and integers and short texts; which of them a task has, the task says."""
    task = SAMPLE["task"]
    refused(SAMPLE | {"task": {"n_ctx": 4, "d_vocab": 64}}, "task: expected an object with a name")
    values: tuple[object, ...] = (None, True, [], {}, "\n", "x" * 16385)
    for value in values:
        refused(SAMPLE | {"task": task | {"n_ctx": value}}, "task: expected up to 20 integers and printable texts")
    refused(SAMPLE | {"task": task | {str(i): i for i in range(21)}}, "task: expected up to 20 integers")


@pytest.mark.parametrize(
    "changes",
    [{"name": "min"}, {"n_ctx": "4"}, {"n_ctx": 0}, {"d_vocab": -4}, {"d_vocab": 2**31}, {"extra": 1}],
    ids=str,
)
def test_tasks_that_there_are_not(changes: dict[str, Any]) -> None:
    """Are malformed, whatever the certificate claims about them."""
    certificate = PROOFS["cubic"]
    with pytest.raises(MalformedCertificate, match=r"^task: "):
        cp.verify(dataclasses.replace(certificate, task={**certificate.task, **changes}), MODEL)


def test_version_1() -> None:
    """Had one family and one task, and named theorems by modules: it says the same as ever."""
    old = SAMPLE | {"version": 1, "task": {"name": "max", "n_ctx": 4, "d_vocab": 64}}
    del old["family"]
    for name in ("brute-force", "cubic", "sub-cubic", "failing-sets", "histogram"):
        module = name.replace("sub-", "sub").replace("-", "_")
        found = Certificate.from_bytes(json.dumps(old | {"theorem": f"compactproofs.strategies.{module}"}).encode())
        assert found.theorem == f"max-of-k/{name}@1"
        assert (found.family, found.task) == (MODEL.family, sample().task)
    refused(old | {"family": "attention-only-1l1h"}, "the certificate: unknown key family")
    for task in ({"name": "min"}, {"n_ctx": True}, {"n_ctx": 0}, {"d_vocab": "4"}, {"more": 1}):
        refused(old | {"task": old["task"] | task}, "task")


@pytest.mark.parametrize("key", ["certified", "total"])
@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "01", "1.0", "1e3", " 1", "1 ", "1\n", "0x10", "1_000", "٣", "１", "NaN", "9" * 4001, "9" * 10**6],
)
def test_numbers_have_one_spelling(key: str, text: str) -> None:
    """Decimal digits only, without leading zeros, and not too many."""
    refused(SAMPLE | {key: text}, f"{key}: expected a decimal integer in a string")


def test_more_certified_than_inputs() -> None:
    """A claim beyond the total makes no sense."""
    refused(SAMPLE | {"certified": "16777217"}, "certified: 16777217 is more than the total of 16777216 inputs")


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 63 + "\n", "٠" * 64])
def test_hash_has_one_spelling(text: str) -> None:
    """64 lower-case hexadecimal digits."""
    refused(SAMPLE | {"model_sha256": text}, "model_sha256: expected 64 lower-case hexadecimal digits")


@pytest.mark.parametrize("key", ["strategy", "theorem", "tool"])
@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "a\x00", "\ud800", "\u202e", "x" * 1001])
def test_texts_are_printable(key: str, text: str) -> None:
    """No text can play tricks on a terminal."""
    refused(SAMPLE | {key: text}, f"{key}: expected printable text of at most 1000 characters")


def test_version_and_format_are_asked_first() -> None:
    """A later version may have other keys; what is said is that the version is unknown."""
    refused({"format": FORMAT, "version": 3, "new": []}, "version: expected 2, found 3")
    refused({"format": "other", "version": 3}, f"format: expected '{FORMAT}', found 'other'")
    refused({"version": 1}, f"format: expected '{FORMAT}', found None")


# Hints


@pytest.mark.parametrize("key", ["dtype", "shape", "data"])
def test_missing_part_of_hint(key: str) -> None:
    """A hint has three keys."""
    hint = {k: v for k, v in SAMPLE["hints"]["u"].items() if k != key}
    refused(SAMPLE | {"hints": {"u": hint}}, f"hints.u: the key '{key}' is missing")


@pytest.mark.parametrize("hint", [None, 1, "x", [], True])
def test_hint_is_an_object(hint: object) -> None:
    """Anything else is named by its kind."""
    refused(SAMPLE | {"hints": {"u": hint}}, "hints.u: expected an object, found ")


@pytest.mark.parametrize("dtype", ["float32", "int32", "<f8", "object", "O", "", "float64 ", "S8", None, 1, [], {}])
def test_hint_types(dtype: object) -> None:
    """Only the types of the format; NumPy's other names for them are refused."""
    refused(SAMPLE | {"hints": {"u": SAMPLE["hints"]["u"] | {"dtype": dtype}}}, "hints.u.dtype: expected one of")


@pytest.mark.parametrize(
    "shape", [None, 6, "6", {}, [-2, -3], [6.0], [True, 6], ["6"], [None], [[6]], [1] * 9, [2**25]]
)
def test_hint_shapes(shape: object) -> None:
    """A list of up to eight sizes."""
    hint = SAMPLE["hints"]["u"] | {"shape": shape}
    fragment = "only integers are allowed" if shape == [6.0] else "hints.u.shape: expected a list of up to 8 sizes"
    refused(SAMPLE | {"hints": {"u": hint}}, fragment)


@pytest.mark.parametrize("shape", [[], [5], [7], [2, 3, 2], [0], [6, 0], [2**24] * 8])
def test_hint_length(shape: list[int]) -> None:
    """The data must fill the shape exactly; a huge shape allocates nothing."""
    hint = SAMPLE["hints"]["u"] | {"shape": shape}
    refused(SAMPLE | {"hints": {"u": hint}}, "hints.u.data: shape [", "bytes, found 6")


@pytest.mark.parametrize(
    "data", ["A", "AAA", "AAAA=", "AB==", "====", "AA AA", "AAAA\n", "AA-_", "é", "\ud800", "A" * 1001]
)
def test_hint_base64(data: str) -> None:
    """The data is base64 in the standard alphabet, with nothing between."""
    refused(SAMPLE | {"hints": {"u": SAMPLE["hints"]["u"] | {"data": data}}}, "hints.u.data: not base64")


@pytest.mark.parametrize("data", [None, 1, [], {}, True])
def test_hint_data_is_text(data: object) -> None:
    """Anything else is named by its kind."""
    refused(SAMPLE | {"hints": {"u": SAMPLE["hints"]["u"] | {"data": data}}}, "hints.u.data: expected base64 text")


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[31m", "имя", "a" * 61, "\ud800"])
def test_hint_names(name: str) -> None:
    """Names of hints are short printable ASCII."""
    refused(SAMPLE | {"hints": {name: SAMPLE["hints"]["u"]}}, "hints: expected names of 1 to 60 printable ASCII")


def test_hints_are_checked_against_the_strategy() -> None:
    """The checker wants exactly the hints that the strategy declares."""
    real = PROOFS[HINTED]

    def malformed(hints: dict[str, npt.NDArray[Any]], message: str) -> None:
        with pytest.raises(MalformedCertificate, match=message):
            cp.verify(dataclasses.replace(real, hints=hints), MODEL)

    name, hint = next(iter(real.hints.items()))
    malformed({}, r"hints\.\w+: missing; .* needs ")
    malformed({**real.hints, "extra": hint}, "hints.extra: .* has no such hint; its hints: ")
    malformed({**real.hints, name: hint[:-1]}, rf"hints\.{name}: expected .* of shape .*, found ")
    other = np.float64 if hint.dtype != np.float64 else np.int64
    malformed({**real.hints, name: hint.astype(other)}, rf"hints\.{name}: expected .*, found {np.dtype(other)}")
    with pytest.raises(MalformedCertificate, match=r"hints\.extra: cubic has no such hint; its hints: none"):
        cp.verify(dataclasses.replace(PROOFS["cubic"], hints={"extra": hint}), MODEL)


# Bytes


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"", "not valid JSON"),
        (b" ", "not valid JSON"),
        (b"\xff\xfe{\0}\0", "not UTF-8 text (byte 0)"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"[]", "expected a JSON object, found []"),
        (b"null", "expected a JSON object, found None"),
        (b"1", "expected a JSON object, found 1"),
        (b'"x"', "expected a JSON object, found 'x'"),
        (b"true", "expected a JSON object, found True"),
        (b"{}", f"format: expected '{FORMAT}', found None"),
        (b"{} {}", "not valid JSON"),
        (b"PK\x03\x04", "not valid JSON"),
        (b"\x80\x04\x95", "not UTF-8"),
        (bytes(100), "not valid JSON"),
    ],
)
def test_other_content(data: bytes, fragment: str) -> None:
    """Empty files, binary files and other JSON."""
    refused(data, fragment)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "literal", ["NaN", "Infinity", "-Infinity", "1.0", "1e3", "1E400", "1e-400", "-0.0", "0.5", "1e999999999"]
)
def test_literals_that_are_no_integers(key: str, literal: str) -> None:
    """JavaScript's literals and floats are refused wherever they are."""
    text = json.dumps(SAMPLE | {key: "@"}).replace('"@"', literal)
    refused(text.encode(), "only integers are allowed here")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("digits", [5000, 10**6])
def test_long_numbers(key: str, digits: int) -> None:
    """Integers with thousands of digits are refused in little time."""
    text = json.dumps(SAMPLE | {key: "@"}).replace('"@"', "9" * digits)
    refused(text.encode())


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("opening", "closing"), ["[]", ('{"a":', "}")])
def test_deep_nesting(key: str, opening: str, closing: str) -> None:
    """Nesting near and far beyond Python's limit is refused like any wrong value."""
    middle = "1" if opening != "[" else ""
    for depth in (10, 500, 900, 930, 950, 960, 970, 980, 990, 1000, 1100, 20_000, 10**6):
        text = json.dumps(SAMPLE | {key: "@"}).replace('"@"', opening * depth + middle + closing * depth)
        refused(text.encode())


def test_truncated() -> None:
    """Cut at any place, a certificate is refused; only its last newline may go."""
    for data in REAL.values():
        for length in range(len(data) - 1):
            refused(data[:length])
        Certificate.from_bytes(data[:-1])


def test_duplicates_are_found_fast() -> None:
    """A file full of keys costs no quadratic time."""
    refused(b"{" + b",".join(b'"%d":0' % i for i in range(200_000)) + b',"199999":0}', "the key 199999 appears twice")


def test_size_limit(tmp_path: Path) -> None:
    """A file over the limit is refused unread; one at the limit is read."""
    data = sample().to_bytes()
    path = tmp_path / "c.cert.json"
    path.write_bytes(data + b" " * (MAX_BYTES - len(data)))
    assert_equal(Certificate.load(path), sample())
    with path.open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(MalformedCertificate, match=f"the file is larger than {MAX_BYTES} bytes"):
        Certificate.load(path)


def test_messages_have_the_path(tmp_path: Path) -> None:
    """From a file, the message starts with its name; a file that cannot be read is an OSError."""
    path = tmp_path / "c.cert.json"
    path.write_bytes(b"{}")
    with pytest.raises(MalformedCertificate) as caught:
        Certificate.load(path)
    assert str(caught.value).startswith(f"{path}: format: ")
    for missing, kind in ((tmp_path, IsADirectoryError), (tmp_path / "none", FileNotFoundError)):
        with pytest.raises(kind):
            Certificate.load(missing)


# Tampering


def outcome(data: bytes) -> tuple[str, Certificate | None]:
    """Accepted, rejected or malformed, as the command line would say; nothing else may happen."""
    try:
        certificate = Certificate.from_bytes(data)
        return ("accepted" if cp.verify(certificate, MODEL).accepted else "rejected"), certificate
    except MalformedCertificate:
        return "malformed", None


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 7])
@pytest.mark.parametrize("strategy", REAL)
def test_one_flipped_bit(strategy: str, every: int) -> None:
    """With any one bit flipped, or every seventh, no more than the original claim is accepted, of no other model."""
    data, original = REAL[strategy], PROOFS[strategy]
    seen = set()
    for bit in range(0, 8 * len(data), every):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        what, certificate = outcome(bytes(changed))
        seen.add(what)
        if what != "accepted":
            continue
        assert certificate is not None
        assert certificate.certified <= original.certified
        assert certificate.task == original.task
        for name in ("model_sha256", "strategy", "theorem", "claim", "total"):
            assert getattr(certificate, name) == getattr(original, name)
        assert certificate.hints.keys() == original.hints.keys()
    assert seen == {"accepted", "rejected", "malformed"}


@pytest.mark.parametrize("strategy", REAL)
def test_more_than_proved_is_rejected(strategy: str) -> None:
    """One input more than the proof gives is rejected; fewer are accepted."""
    proved = cp.verify(PROOFS[strategy], MODEL).certified
    assert proved is not None
    for claimed in (0, 1, proved - 1, proved, proved + 1, 124, 125):
        verdict = cp.verify(dataclasses.replace(PROOFS[strategy], certified=claimed), MODEL)
        assert verdict.accepted == (claimed <= proved)
        assert verdict.certified == proved
        reason = f"certified: the certificate claims at least {claimed} inputs, the check proves at least {proved}"
        assert verdict.reason == (
            f"at least {claimed} of 125 inputs are answered correctly" if verdict.accepted else reason
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_sha256": "0" * 64}, "model_sha256: the certificate is about another model"),
        ({"task": {"name": "max-of-k", "n_ctx": 4, "d_vocab": 5}}, "task: the certificate says"),
        ({"task": {"name": "max-of-k", "n_ctx": 3, "d_vocab": 6}}, "task: the certificate says"),
        ({"total": 126}, "total: the certificate says 126, there are 125 inputs"),
        ({"total": 124}, "total: the certificate says 124, there are 125 inputs"),
        (
            {"theorem": "trust me"},
            "theorem: cubic rests on max-of-k/cubic@1, not on 'trust me'",
        ),
        ({"claim": "at most"}, "claim: cubic proves 'at least', not 'at most'"),
        ({"claim": "at most", "certified": 125}, "claim: cubic proves 'at least', not 'at most'"),
        (
            {"task": {"name": "token-at-position", "n_ctx": 3, "d_vocab": 5, "k": 0}},
            "task: cubic is not about token-at-position",
        ),
        (
            {"family": "attention-only-1l", "strategy": "heads/cubic", "theorem": "max-of-k/heads-cubic@1"},
            "family: the certificate says attention-only-1l, but it is attention-only-1l1h",  # the network
        ),
        (
            {"strategy": "heads/cubic", "theorem": "max-of-k/heads-cubic@1"},
            "family: the certificate says attention-only-1l1h, but it is attention-only-1l",  # the strategy
        ),
    ],
)
def test_other_subjects_are_rejected(changes: dict[str, Any], reason: str) -> None:
    """A certificate about another model, task, number of inputs, theorem or claim is rejected with the difference."""
    verdict = cp.verify(dataclasses.replace(PROOFS["cubic"], **changes), MODEL)
    assert not verdict.accepted
    assert verdict.certified is None
    assert reason in verdict.reason


def test_workspaces_of_something_else_are_refused() -> None:
    """Of another network, or of another task of the same network."""
    for other in (max_of_k(ladder(2.0)), Problem(MODEL, MinOfK(3, 5))):

        def workspace(_: Any, other: Any = other) -> Workspace[Any, Any]:
            return Workspace(other)

        with pytest.raises(ValueError, match="the workspace must be of this network"):
            checker.verify(PROOFS["cubic"], MODEL, BUILT_IN, workspace)


@pytest.fixture
def ceiling(also: Callable[[Strategy], None]) -> Certificate:
    """A certificate of a strategy that proves "at most": at most 100 of the 125 inputs."""
    strategy = dataclasses.replace(
        STRATEGIES["trivial"], id="ceiling", bound=lambda work, hints: 100, claim="at most", theorem="for this test"
    )
    also(strategy)
    return cp.prove(MODEL, "ceiling").certificate


def test_upper_bounds(ceiling: Certificate) -> None:
    """Fewer than the proof gives is rejected, more is accepted, and a claim "at least" is another claim."""
    assert (ceiling.claim, ceiling.certified) == ("at most", 100)
    assert str(ceiling) == "at most 100 of 125 inputs are answered correctly"
    for claimed in (0, 1, 99, 100, 101, 124, 125):
        verdict = cp.verify(dataclasses.replace(ceiling, certified=claimed), MODEL)
        assert verdict.accepted == (claimed >= 100)
        assert verdict.certified == 100
        reason = f"certified: the certificate claims at most {claimed} inputs, the check proves at most 100"
        assert verdict.reason == (
            f"at most {claimed} of 125 inputs are answered correctly" if verdict.accepted else reason
        )
        other = cp.verify(dataclasses.replace(ceiling, certified=claimed, claim="at least"), MODEL)
        assert (other.accepted, other.certified) == (False, None)
        assert other.reason == "claim: ceiling proves 'at most', not 'at least'"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_strategy_proves_another_claim(strategy: str) -> None:
    """Whatever the number: turning a certificate's claim round is rejected before anything is computed."""
    known = STRATEGIES[strategy]
    hints = {
        name: np.zeros([size or 0 for size in spec.shape], spec.dtype)
        for name, spec in known.hints(max_of_k(MODEL)).items()
    }
    (turned,) = set(CLAIMS) - {known.claim}
    for claimed in (0, 125):
        about = dataclasses.replace(PROOFS["cubic"], strategy=strategy, theorem=known.theorem, hints=hints)
        verdict = cp.verify(dataclasses.replace(about, certified=claimed, claim=turned), MODEL)
        assert (verdict.accepted, verdict.certified) == (False, None)
        assert verdict.reason == f"claim: {strategy} proves {known.claim!r}, not {turned!r}"


def test_unknown_strategy() -> None:
    """A strategy that the checker does not know is malformed, not rejected: nothing was checked."""
    with pytest.raises(MalformedCertificate, match="strategy: unknown strategy 'magic'"):
        cp.verify(dataclasses.replace(PROOFS["cubic"], strategy="magic"), MODEL)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0])
def test_hostile_numbers_in_hints(number: float) -> None:
    """Any number in a hint gives a verdict, and none certifies more than is true."""
    real = PROOFS[HINTED]
    truth = cp.prove(MODEL, "brute-force").certificate.certified
    for name, hint in real.hints.items():
        if hint.dtype == np.float64:
            verdict = cp.verify(
                dataclasses.replace(real, hints={**real.hints, name: np.full_like(hint, number)}), MODEL
            )
            assert verdict.certified is not None
            assert verdict.certified <= truth


@pytest.mark.parametrize(
    ("shape", "fitting", "others"),
    [
        ((2, 3), [(2, 3)], [(3, 2), (2,), (6,), (2, 3, 1), (2, 0), ()]),
        ((None, 3), [(0, 3), (1, 3), (7, 3)], [(3,), (3, 0), (7, 4), (1, 7, 3), ()]),
        ((None, None), [(0, 0), (1, 2)], [(), (1,), (1, 2, 3)]),
        ((), [()], [(1,), (0,)]),
        ((0,), [(0,)], [(1,), ()]),
    ],
)
def test_what_fits_a_hint(
    shape: tuple[int | None, ...], fitting: list[tuple[int, ...]], others: list[tuple[int, ...]]
) -> None:
    """Sizes agree, None with any, and there are as many of them; the type is the same, not a similar one."""
    spec = HintSpec(np.uint16, shape)
    for size in fitting:
        assert spec.fits(np.zeros(size, np.uint16))
        for dtype in (np.uint8, np.int16, np.int64, np.float64, np.bool_):
            assert not spec.fits(np.zeros(size, dtype))
    for size in others:
        assert not spec.fits(np.zeros(size, np.uint16))


def test_hints_of_any_length(also: Callable[[Strategy], None]) -> None:
    """A declared length of None takes every length, also through a file; what does not fit is malformed."""
    strategy = dataclasses.replace(
        STRATEGIES["trivial"],
        id="long",
        hints=lambda model: {"list": HintSpec(np.uint16, (None, 3))},
        bound=lambda work, hints: min(len(hints["list"]), 100),
    )
    also(strategy)
    base = dataclasses.replace(PROOFS["cubic"], strategy="long", theorem=strategy.theorem, certified=0)
    for length in (0, 1, 90):
        given = dataclasses.replace(base, certified=length, hints={"list": np.ones((length, 3), np.uint16)})
        verdict = cp.verify(Certificate.from_bytes(given.to_bytes()), MODEL)
        assert (verdict.accepted, verdict.certified) == (True, length)
    spec = "uint16 of shape (any, 3)"
    for hint in (np.ones((4, 2), np.uint16), np.ones(3, np.uint16), np.ones((4, 3), np.uint8), np.ones((4, 3))):
        with pytest.raises(MalformedCertificate, match=re.escape(f"hints.list: expected {spec}, found {hint.dtype}")):
            cp.verify(dataclasses.replace(base, hints={"list": hint}), MODEL)
    with pytest.raises(MalformedCertificate, match=re.escape(f"hints.list: missing; long needs {spec}")):
        cp.verify(dataclasses.replace(base, hints={}), MODEL)


def test_the_library_is_sealed() -> None:
    """No strategy can be replaced or added while a program runs."""
    trusting = dataclasses.replace(STRATEGIES["cubic"], bound=lambda work, hints: 125)
    for strategies in (STRATEGIES, BUILT_IN.strategies, cp.STRATEGIES):
        with pytest.raises(TypeError):
            strategies["cubic"] = trusting  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        BUILT_IN.strategies = {"cubic": trusting}  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        STRATEGIES["cubic"].bound = trusting.bound  # type: ignore[misc]
    with pytest.raises(ValueError, match="two strategies have the id cubic"):
        Library.of([STRATEGIES["cubic"], trusting], {})


# Fuzzing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
HINT = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["int64", "float64", "uint8"]) | JSON, "shape": st.lists(st.integers(-1, 3)) | JSON},
    optional={"data": st.binary(max_size=40).map(lambda b: base64.b64encode(b).decode()) | JSON},
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
@example(b'{"a":' * 5000)
@example(b"\xed\xa0\x80")
def test_any_bytes(data: bytes) -> None:
    """No bytes make the reader fail in another way."""
    refused(data)


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=3), st.dictionaries(st.text(max_size=5), HINT, max_size=2))
def test_any_values(changes: dict[str, Any], hints: dict[str, Any]) -> None:
    """Nor does any JSON in the place of any field."""
    try:
        certificate = Certificate.from_bytes(json.dumps(SAMPLE | {"hints": hints} | changes).encode())
    except MalformedCertificate:
        return
    assert_equal(Certificate.from_bytes(certificate.to_bytes()), certificate)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_splice(data: st.DataObject) -> None:
    """Nor do real certificates that were cut and put together again; none of them is accepted for more."""
    source = bytearray(REAL[data.draw(st.sampled_from(sorted(REAL)))])
    for _ in range(data.draw(st.integers(1, 3))):
        start, stop = sorted((data.draw(st.integers(0, len(source))), data.draw(st.integers(0, len(source)))))
        source[start:stop] = data.draw(st.binary(max_size=8) | st.sampled_from([bytes(source[:start]), b"9", b"0"]))
    what, certificate = outcome(bytes(source))
    if what == "accepted":
        assert certificate is not None
        assert certificate.certified <= PROOFS[certificate.strategy].certified
