"""What is fuzzed: the reader of certificates, the reader of models, and verification with any hints.

Each target takes bytes.  It raises `Violation`, or whatever else escapes, where the package does something that it must
not do; bytes that are refused with a proper message are fine.  The two readers are compared with those of the second
checker, which share no code with them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.certificate import MalformedCertificate
from compactproofs.kernel.checker import Verdict
from compactproofs.kernel.library import UnknownTask
from compactproofs.kernel.problem import HintSpec
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.certificates import Certificate
from compactproofs.search.effort import verify as check
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems import BUILT_IN

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from exactcheck import pair_sums, reading  # noqa: E402
from soundness.models import cases  # noqa: E402
from soundness.truth import exact_correct  # noqa: E402

CORPUS = TESTS / "certificates"
FAMILIES = ("working", "ties", "extreme", "overflow", "razors", "random")
LARGEST = 216  # inputs, so that their truth is known in no time
LONGEST_MESSAGE = 500


class Violation(AssertionError):
    """The package did what it must not do."""


@cache
def models() -> tuple[Model, ...]:
    """Small models: those of the corpus with one head, then one working and several hostile ones."""
    found = [Model.load(CORPUS / "models" / f"{name}.safetensors") for name in ("ladder", "spoiled")]
    for family in FAMILIES:
        small = [c.model for c in cases(family) if c.model.n_ctx >= 2 and max_of_k(c.model).task.total <= LARGEST]
        found.append(small[0])
    return tuple(found)


def _read(data: bytes) -> Certificate:
    """A certificate about a task that there is."""
    found = Certificate.from_bytes(data)
    try:
        BUILT_IN.task(found.task)
    except UnknownTask as error:
        raise MalformedCertificate(str(error)) from error
    return found


def certificate(data: bytes) -> None:
    """Reading a certificate: refused by both readers, or by none; read again alike; and no false claim accepted."""
    ours = _or_refused(lambda: _read(data), MalformedCertificate)
    try:
        theirs = reading.read_certificate(data)
        if "n" in theirs.task:
            pair_sums.table_of(theirs.task, [], "")
    except reading.Malformed as error:
        _expect(ours is None, f"read by the package, refused by the second reader: {error}")
        return
    _expect(ours is not None, "refused by the package, read by the second reader")
    assert ours is not None
    _expect((ours.certified, ours.total, ours.claim) == (theirs.certified, theirs.total, theirs.claim), "numbers")
    _expect((ours.strategy, ours.theorem) == (theirs.strategy, theirs.theorem), "texts")
    _expect(ours.model_sha256 == theirs.model_sha256, "hashes")
    _expect(ours.family == theirs.family, "families")
    first = {"name": "max", "n_ctx": theirs.n_ctx, "d_vocab": theirs.d_vocab}  # as version 1 has it
    _expect(dict(ours.task) == (theirs.task if theirs.task != first else first | {"name": "max-of-k"}), "tasks")
    for name, hint in theirs.hints.items():
        mine = ours.hints[name]
        _expect((str(mine.dtype), mine.shape) == (hint.dtype, hint.shape), f"types of {name}")
        entries = np.array(hint.entries, mine.dtype)
        _expect(np.array_equal(mine.ravel(), entries, equal_nan=mine.dtype.kind == "f"), f"entries of {name}")
    written = ours.to_bytes()
    _expect(Certificate.from_bytes(written).to_bytes() == written, "written and read, it is another")
    about = [m for m in models() if m.sha256 == ours.model_sha256] or [models()[0]]
    _or_refused(lambda: _verdict(ours, about[0]), MalformedCertificate)


def model(data: bytes) -> None:
    """Reading a model: refused by both readers, or the same model to both, and when written and read again."""
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = Path(folder) / "m.safetensors"
        path.write_bytes(data)
        ours = _or_refused(lambda: Model.load(path), InvalidModel)
        try:
            theirs = reading.read_weights(data)
        except reading.Malformed as error:
            _expect(ours is None, f"read by the package, refused by the second reader: {error}")
            return
        _expect(ours is not None, "refused by the package, read by the second reader")
        assert ours is not None
        _expect(ours.sha256 == theirs.sha256, "the two readers see different models")
        ours.save(path)
        _expect(Model.load(path).sha256 == ours.sha256, "written and read, it is another")


def verify(data: bytes) -> None:
    """Verification: bytes choose a model, a strategy and a claim, and fill the hints; N is never a false bound."""
    choice, rest = np.frombuffer(data[:6].ljust(6, b"\0"), np.uint8), data[6:]
    about = models()[choice[0] % len(models())]
    strategy = list(STRATEGIES.values())[choice[1] % len(STRATEGIES)]
    if strategy.limit(max_of_k(about)) is not None:
        return
    total = max_of_k(about).task.total
    hints = {}
    for name, spec in sorted(strategy.hints(max_of_k(about)).items()):
        hints[name], rest = _filled(spec, int(choice[2]), rest)
    claim = Certificate(
        task=max_of_k(about).task.record,
        model_sha256=about.sha256,
        strategy=strategy.id,
        theorem=strategy.theorem,
        certified=int.from_bytes(choice[4:6].tobytes(), "little") % (total + 1),
        total=total,
        hints=hints,
        claim=strategy.claim,
        family=about.family,
    )
    verdict = _verdict(Certificate.from_bytes(claim.to_bytes()), about)
    _expect(verdict.certified is not None, f"refused: {verdict.reason}")


#: The targets by name.
TARGETS: dict[str, Callable[[bytes], None]] = {"certificate": certificate, "model": model, "verify": verify}


def _filled(spec: HintSpec, style: int, data: bytes) -> tuple[npt.NDArray[Any], bytes]:
    """A hint of this form from the bytes, again and again from the start where they are too few, and what is left.

    Styles: the bytes as they are, which for floats are numbers of any size, NaN and infinity; or small numbers.
    """
    length, data = (data[0], data[1:]) if data else (0, data)
    shape = tuple(length % 8 if size is None else size for size in spec.shape)
    count = int(np.prod(shape))
    raw = style % 2 == 0
    needed = count * np.dtype(spec.dtype).itemsize if raw else count
    given = np.resize(np.frombuffer(data or b"\0", np.uint8), needed)
    values = (
        given.view(spec.dtype) if raw else np.divide(given.view(np.int8).astype(spec.dtype), 16) if count else given
    )
    with np.errstate(all="ignore"):
        return np.asarray(values).astype(spec.dtype).reshape(shape), data[needed:]


def _verdict(claim: Certificate, about: Model) -> Verdict:
    """The verdict, after it was compared with the truth."""
    verdict = check(claim, about, max_ops=2**62)  # hints of any content may say that they take long
    _message_is_fit(verdict.reason)
    if verdict.certified is not None:
        at_least = BUILT_IN.strategies[claim.strategy].claim == "at least"
        if dict(claim.task) == max_of_k(about).task.record:
            truth = exact_correct(about)
            _expect(
                0 <= verdict.certified <= truth if at_least else verdict.certified >= truth, f"N of {claim.strategy}"
            )
        holds = claim.certified <= verdict.certified if at_least else claim.certified >= verdict.certified
        _expect(verdict.accepted == holds, f"the verdict on {claim}")
    else:
        _expect(not verdict.accepted, "accepted unchecked")
    return verdict


def _or_refused(read: Callable[[], Any], refusal: type[Exception]) -> Any:
    """What was read, or None if it was refused in words that can be shown."""
    try:
        return read()
    except refusal as error:
        _message_is_fit(str(error))
        return None


def _message_is_fit(message: str) -> None:
    _expect(message.isprintable() and 0 < len(message) <= LONGEST_MESSAGE, f"not fit to be shown: {message!a}")


def _expect(condition: bool, message: str) -> None:
    if not condition:
        raise Violation(message)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
