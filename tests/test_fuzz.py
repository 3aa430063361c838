"""A short run of `tests/fuzz` without a fuzzer: what was found before, and random changes of the seeds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from compactproofs.kernel.checker import Verdict
from compactproofs.search.certificates import Certificate
from fuzz import targets
from fuzz.seeds import seeds
from fuzz.targets import CORPUS, TARGETS, Violation

ROUNDS = {"certificate": 500, "model": 250, "verify": 50}


def changed(rng: np.random.Generator, data: bytes, others: list[bytes]) -> bytes:
    """The data after one to four random changes, of the kinds that fuzzers make."""
    for _ in range(rng.integers(1, 5)):
        start, stop = sorted(rng.integers(0, len(data) + 1, 2).tolist())
        stop = min(stop, start + int(rng.choice([1, 4, 16, 64, 2**20])))
        other = others[rng.integers(len(others))]
        piece = (
            rng.bytes(stop - start),
            b"",
            data[start:stop] * 2,
            bytes(byte ^ 1 << int(rng.integers(8)) for byte in data[start:stop]),
            other[start:stop],
            [b"0", b"9", b'"', b"null", b"-1", b"1e9", b"[", b"{}", b"\xff" * 8, bytes(8)][rng.integers(10)],
        )[rng.integers(6)]
        data = data[:start] + piece + data[stop:]
    return data


def replayed(target: str, times: int) -> Iterator[bytes]:
    """Seeds, and changes of all of them that are the same in every run.

    In the short run every third certificate stands for all: `test_corpus.py` has the verdict on each.
    """
    known = seeds(target)
    yield from known[::3] if target == "certificate" and times == 1 else known
    rng = np.random.default_rng(0)
    for _ in range(times * ROUNDS[target]):
        yield changed(rng, known[rng.integers(len(known))], known)


@pytest.mark.parametrize("times", [1, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("target", TARGETS)
def test_replay(target: str, times: int) -> None:
    """No seed and no change of one makes the package do what it must not do."""
    for data in replayed(target, times):
        TARGETS[target](data)


def test_violations_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets can fail: a reader that accepts less or more, and a checker that believes everything."""
    good = (CORPUS / "accept" / "ladder--cubic--proved.cert.json").read_bytes()
    high = (CORPUS / "reject" / "ladder--certified--cubic-all-or-nothing.cert.json").read_bytes()
    for data in (good, high):
        targets.certificate(data)
    with monkeypatch.context() as patch:
        patch.setattr(targets, "check", lambda claim, model, max_ops: Verdict(True, "trust me", claim.certified))
        with pytest.raises(Violation, match="N of cubic"):
            targets.certificate(high)
    with monkeypatch.context() as patch:
        task: dict[str, str | int] = {"name": "max-of-k", "n_ctx": 1, "d_vocab": 2}
        patch.setattr(Certificate, "from_bytes", lambda data: Certificate(task, "", "", "", 1, 1, family=""))
        with pytest.raises(Violation, match="refused by the second reader"):
            targets.certificate(b"{}")
    with monkeypatch.context() as patch:
        patch.setattr(targets, "exact_correct", lambda model: 0)
        with pytest.raises(Violation, match="N of "):
            list(map(targets.verify, seeds("verify")))
