"""The corpus of certificates by verdict, and attacks that are made from it.

A file `tests/certificates/VERDICT/MODEL--FIELD--WHAT.cert.json` is verified against the model of this name, and a file
`tests/certificates/malformed/FIELD--WHAT.safetensors` is taken for a model, by the command line, with a gigabyte of
memory and five seconds; FIELD must be in the message unless the verdict is "accepted".  `tools/build_corpus.py` writes
these files, and adding a case is adding a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pair_sums
from compactproofs import zoo
from compactproofs.kernel.certificate import MalformedCertificate
from compactproofs.kernel.strict import MAX_NESTED
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening.models import MAX_FILE_BYTES, Model
from compactproofs.opening.networks import load_network
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.certificates import MAX_BYTES, Certificate
from compactproofs.search.effort import verify
from compactproofs.tasks.by_comparison import ByComparison
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.tasks.pairs import group_products
from limited import MEMORY, SECONDS, Limited, Outcome, limited
from soundness.heads import right_and_ties
from soundness.models import weights_of
from soundness.truth import exact_correct
from test_by_comparison import truth as truth_by_comparison

CORPUS = Path(__file__).parent / "certificates"
CODES = {"accept": 0, "reject": 1, "malformed": 2}
WORDS = {"accept": "accepted", "reject": "rejected", "malformed": "malformed"}
CERTIFICATES = sorted(CORPUS.glob("*/*.cert.json"))
NO_MODELS = sorted((CORPUS / "malformed").glob("*.safetensors"))
PROVED = sorted((CORPUS / "accept").glob("ladder--*--proved.cert.json"))
GOOD = CORPUS / "accept" / "ladder--cubic--proved.cert.json"
LADDER = CORPUS / "models" / "ladder.safetensors"


@pytest.fixture(scope="module")
def command() -> Iterator[Limited]:
    """The command line under limits, each command in a fork of its own."""
    with limited(forks=True) as process:
        yield process


@pytest.fixture(scope="module")
def in_turn() -> Iterator[Limited]:
    """The command line under limits, one command after the other in one process."""
    with limited(forks=False) as process:
        yield process


def model_path(name: str) -> Path:
    """Where the model of a case is."""
    own = CORPUS / "models" / f"{name}.safetensors"
    return own if own.exists() else zoo.path("/".join(name.rsplit("-", 1)))


def short(path: Path) -> str:
    """A file as the name of a test."""
    return f"{path.parent.name}/{path.name.partition('.')[0]}"


def has_verdict(outcome: Outcome, verdict: str, field: str = "") -> None:
    """Within the limits the command said this, in one line with the field, and nothing else."""
    assert outcome.err == ""
    assert outcome.code == CODES[verdict]
    assert outcome.out.startswith(f"{WORDS[verdict]}: ")
    assert outcome.out.count("\n") == 1
    assert len(outcome.out) < 600
    if verdict != "accept":
        assert field in outcome.out.partition(": ")[2]
    assert outcome.seconds < SECONDS
    assert outcome.peak_bytes < MEMORY


# Files


def test_there_are_cases() -> None:
    """Each directory has some, and nothing lies where no test looks."""
    for verdict in CODES:
        assert [path for path in CERTIFICATES if path.parent.name == verdict]
    assert NO_MODELS
    looked_at = {*CERTIFICATES, *NO_MODELS, *(CORPUS / "models").glob("*.safetensors"), *CORPUS.glob("fuzzed/*/*")}
    assert {path for path in CORPUS.rglob("*") if path.is_file()} == looked_at


@pytest.mark.parametrize("path", CERTIFICATES, ids=short)
def test_certificate(in_turn: Limited, path: Path) -> None:
    """The verdict is that of the directory."""
    model, field, _ = path.name.split("--", 2)
    has_verdict(in_turn.run("verify", path, model_path(model)), path.parent.name, field)


@pytest.mark.parametrize("path", NO_MODELS, ids=short)
def test_no_model(in_turn: Limited, path: Path) -> None:
    """Whatever the certificate, and whatever is done with it, the file is refused in words, its name aside."""
    field, _ = path.name.split("--", 1)
    outcome = in_turn.run("verify", GOOD, path)
    has_verdict(outcome._replace(out=outcome.out.replace(str(path), "")), "malformed", field)
    for words in (("show", path), ("prove", path, "--strategy", "cubic")):
        outcome = in_turn.run(*words)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("error: ")
        assert field in outcome.err.replace(str(path), "")


@pytest.mark.parametrize("name", ["ladder", "spoiled", "two-heads", "S3"])
def test_accepted_claims_are_true(name: str) -> None:
    """As forward passes in exact arithmetic say, not as the package does."""
    network = load_network(model_path(name))
    if isinstance(network, PairSum):
        truth = pair_sums.exact_correct(network, group_products(name).table)
    elif isinstance(network, ManyHeads):
        truth = right_and_ties(network)[0]
    else:
        truth = exact_correct(Model.load(model_path(name)))
    claims = [Certificate.load(path) for path in CERTIFICATES if short(path).startswith(f"accept/{name}--")]
    assert {claim.claim for claim in claims} == {"at least", "at most"}
    for claim in claims:
        right = truth
        if "k" in claim.task:
            right = truth_by_comparison(Model.load(model_path(name)), ByComparison.of_record(claim.task))
        assert claim.certified <= right if claim.claim == "at least" else claim.certified >= right


# Files that are too large to keep


def written(path: Path, start: bytes, size: int) -> Path:
    """A file of this size that takes no room: zeros after the start."""
    with path.open("wb") as stream:
        stream.write(start)
        stream.truncate(size)
    return path


def full(unit: bytes) -> bytes:
    """The largest certificate file: one hint after the other of this JSON text."""
    start, end = GOOD.read_bytes().split(b'"hints": {}')
    start, end = start + b'"hints": [', b"]" + end
    return start + b",".join([unit] * ((MAX_BYTES - len(start) - len(end)) // (len(unit) + 1))) + end


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 2**30, 2**40])
def test_certificates_that_are_too_large(command: Limited, tmp_path: Path, size: int) -> None:
    """They are not read to their end."""
    path = written(tmp_path / "large.cert.json", GOOD.read_bytes(), size)
    has_verdict(command.run("verify", path, LADDER), "malformed", f"larger than {MAX_BYTES} bytes")


@pytest.mark.parametrize(
    ("unit", "field"),
    [
        (b"[]", f"{MAX_NESTED} opening brackets"),
        (b"[" * 900 + b"]" * 900, f"{MAX_NESTED} opening brackets"),
        pytest.param(b'{"":0}', f"{MAX_NESTED} opening brackets", marks=pytest.mark.slow),
        (b'{"":' * 900 + b"0" + b"}" * 900, f"{MAX_NESTED} opening brackets"),
        pytest.param(b"999", "hints: expected an object", marks=pytest.mark.slow),
        ('"☃"'.encode(), "hints: expected an object"),
        pytest.param(b"9" * 4000, "hints: expected an object", marks=pytest.mark.slow),
        (b"9" * 4001, "4001 digits"),
        (b"9" * (MAX_BYTES // 2), "digits"),
        (b"1" * 200 + b".0", "not an integer"),
    ],
)
def test_json_that_wants_to_be_large(command: Limited, tmp_path: Path, unit: bytes, field: str) -> None:
    """As much as a file may hold of what takes memory and time to read."""
    path = tmp_path / "large.cert.json"
    path.write_bytes(full(unit))
    has_verdict(command.run("verify", path, LADDER), "malformed", field)


@pytest.mark.parametrize("keys", [300_000, pytest.param(1_500_000, marks=pytest.mark.slow)])
def test_many_keys(command: Limited, tmp_path: Path, keys: int) -> None:
    """Many, and as many as the largest file holds."""
    path = tmp_path / "many.cert.json"
    path.write_bytes(b"{" + b",".join(b'"%x":0' % number for number in range(keys)) + b"}")
    has_verdict(command.run("verify", path, LADDER), "malformed", "format")


def test_many_hints(command: Limited, tmp_path: Path) -> None:
    """The largest number of them."""
    path = tmp_path / "many.cert.json"
    fields = json.loads(GOOD.read_bytes())
    hint = {"dtype": "uint8", "shape": [0], "data": ""}
    path.write_text(json.dumps(fields | {"hints": dict.fromkeys(map(str, range(30_000)), hint)}))
    has_verdict(command.run("verify", path, LADDER), "malformed", "hints.0: ")


@pytest.mark.parametrize(
    ("header", "size", "field"),
    [
        (2**30, 2**30 + 8, f"larger than {MAX_FILE_BYTES} bytes"),
        (2**40, 2**41, f"larger than {MAX_FILE_BYTES} bytes"),
        (MAX_FILE_BYTES - 8, MAX_FILE_BYTES, "header"),
        pytest.param(2**20 + 1, MAX_FILE_BYTES, "header", marks=pytest.mark.slow),
        (2**20, MAX_FILE_BYTES, "JSON"),
    ],
)
def test_models_that_are_too_large(command: Limited, tmp_path: Path, header: int, size: int, field: str) -> None:
    """A header of a gigabyte, and files that hold as much as is read."""
    path = written(tmp_path / "large.safetensors", header.to_bytes(8, "little") + b"{", size)
    has_verdict(command.run("verify", GOOD, path), "malformed", field)


@pytest.mark.parametrize(
    "large",
    [*(pytest.param(name, marks=pytest.mark.slow) for name in ("embed.W_E", "pos_embed.W_pos")), "blocks.0.attn.mask"],
)
def test_models_full_of_zeros(command: Limited, tmp_path: Path, large: str) -> None:
    """One matrix fills the largest file; memory may not suffice, which is said, or it is not the certificate's."""
    sizes: dict[str, tuple[int, ...]] = {"embed.W_E": (2, 1), "pos_embed.W_pos": (2, 1), "unembed.W_U": (1, 2)}
    sizes |= {f"blocks.0.attn.W_{letter}": (1, 1, 1) for letter in "QKVO"}
    room = (MAX_FILE_BYTES - 4096) // 4
    sizes |= {large: (room, 1)}
    header, end = {}, 0
    for name, shape in sizes.items():
        length = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + length]}
        end += length
    text = json.dumps(header).encode()
    path = written(tmp_path / "large.safetensors", len(text).to_bytes(8, "little") + text, 8 + len(text) + end)
    outcome = command.run("verify", GOOD, path)
    assert outcome.code == (1 if large.endswith("mask") and "model_sha256" in outcome.out else 2)
    assert "not enough memory" in outcome.out or "W_" in outcome.out or "model_sha256" in outcome.out
    assert outcome.err == ""


def test_models_of_too_many_inputs(command: Limited, tmp_path: Path) -> None:
    """More inputs than a certificate can count: refused at once, though the file is small."""
    weights = {name: w for name, w in weights_of(Model.load(LADDER)).items() if name != "W_pos"}
    path = tmp_path / "long.safetensors"
    Model(**weights, W_pos=np.zeros((5722, 2))).save(path)  # 5^5723 > 10^4000 > 5^5722
    has_verdict(command.run("verify", GOOD, path), "reject", "model_sha256")
    assert command.run("show", path).code == 0
    for n in (5723, 16_001, 10**6):
        with pytest.raises(InvalidModel, match=rf"W_pos .* 5\^{n} inputs; fewer than 10\^4000 are supported"):
            Model(**weights, W_pos=np.zeros((n, 2)))


HINTED = [strategy for strategy in STRATEGIES if strategy.startswith("failing-sets")]
QUICKEST = ("failing-sets",)


@pytest.mark.parametrize(
    "strategy", [pytest.param(s, marks=[] if s in QUICKEST else [pytest.mark.slow]) for s in HINTED]
)
def test_hints_that_make_work(command: Limited, tmp_path: Path, strategy: str) -> None:
    """The largest file of hints for a trained model, chosen to make checking slow: nothing is ruled out in advance."""
    model = Model.load(model_path("max-of-4-123"))
    known = STRATEGIES[strategy]
    codes = [15 * 4096 + code for code in range(3)]
    codes += [level * 4096 + node for level in range(8) for node in range(max(64 >> level, 1))]
    skip = np.array([(m, o, code) for m in range(64) for o in range(64) for code in codes], np.uint16)[:100_000]
    hints: dict[str, npt.NDArray[Any]] = {"skip": skip, "window": np.zeros((64, 64), np.uint16)}
    rng = np.random.default_rng(0)
    directions = [name for name in known.hints(max_of_k(model)) if "directions" in name]
    for name, spec in known.hints(max_of_k(model)).items():
        if name not in hints:
            hints[name] = rng.normal(size=[size or 22_000 // len(directions) for size in spec.shape])
    claim = Certificate(
        max_of_k(model).task.record,
        model.sha256,
        strategy,
        known.theorem,
        max_of_k(model).task.total,
        max_of_k(model).task.total,
        hints,
        family=model.family,
    )
    path = tmp_path / "slow.cert.json"
    claim.save(path)
    assert directions == [] or path.stat().st_size > 0.9 * MAX_BYTES
    has_verdict(command.run("verify", path, zoo.path("max-of-4/123")), "reject", "certified")


# What is damaged


def verdict_on(data: bytes, model: Model, work: Workspace[AttentionOnly, MaxOfK], truth: int) -> str:
    """Accepted, rejected or malformed, and where it is accepted, true."""
    try:
        claim = Certificate.from_bytes(data)
        verdict = verify(claim, model, work)
    except MalformedCertificate:
        return "malformed"
    if not verdict.accepted:
        return "rejected"
    assert (claim.model_sha256, claim.total, dict(claim.task)) == (
        model.sha256,
        max_of_k(model).task.total,
        max_of_k(model).task.record,
    )
    assert claim.claim == STRATEGIES[claim.strategy].claim
    assert claim.certified <= truth if claim.claim == "at least" else claim.certified >= truth
    return "accepted"


@pytest.mark.parametrize("path", PROVED, ids=short)
def test_truncated(path: Path) -> None:
    """Cut at any length, a certificate is malformed; only its last newline may go."""
    data = path.read_bytes()
    for length in range(len(data) - 1):
        with pytest.raises(MalformedCertificate):
            Certificate.from_bytes(data[:length])


def flips(data: bytes, every: int) -> Iterator[bytes]:
    """The data with one bit flipped, for every such bit."""
    for position in range(0, 8 * len(data), every):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        yield bytes(changed)


@pytest.mark.parametrize(
    "every", [pytest.param(1, marks=pytest.mark.slow, id="all"), pytest.param(127, id="one in 127")]
)
@pytest.mark.parametrize("path", PROVED, ids=short)
def test_one_flipped_bit(path: Path, every: int) -> None:
    """A certificate with a flipped bit is refused, or still says what is true of the same model."""
    model = Model.load(LADDER)
    work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(model))
    truth = exact_correct(model)
    seen = {verdict_on(data, model, work, truth) for data in flips(path.read_bytes(), every)}
    assert {"malformed", "rejected"} <= seen


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow, id="all"), pytest.param(11, id="one in 11")])
@pytest.mark.parametrize("name", ["ladder", "spoiled"])
def test_model_with_one_flipped_bit(tmp_path: Path, name: str, every: int) -> None:
    """A weights file with a flipped bit is refused, or another model, unless the weights are the same numbers."""
    model, good = Model.load(model_path(name)), model_path(name).read_bytes()
    path = tmp_path / "flipped.safetensors"
    same = 0
    path.write_bytes(good)
    for data in flips(good, every):
        with path.open("r+b") as stream:
            stream.write(data)
        try:
            found = Model.load(path)
        except InvalidModel:
            continue
        if found.sha256 == model.sha256:
            same += 1
            for matrix, weight in weights_of(model).items():
                np.testing.assert_array_equal(getattr(found, matrix), weight)
    assert same < len(good)  # flips that make a zero negative, which is the same number, are few


@pytest.mark.parametrize("name", ["ladder", "spoiled"])
def test_truncated_model(tmp_path: Path, name: str) -> None:
    """Cut at any length, a weights file is refused."""
    good = model_path(name).read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(good)
    for length in reversed(range(len(good))):
        os.truncate(path, length)  # which takes a file system less than writing anew
        with pytest.raises(InvalidModel):
            Model.load(path)
