"""The verdict about a certificate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from flint import ctx

from exactcheck import brute_force, cubic, failing_sets, subcubic
from exactcheck.balls import Decisions
from exactcheck.reading import (
    CERTIFICATE_BYTES,
    MODEL_BYTES,
    Certificate,
    Hint,
    Malformed,
    Weights,
    expect,
    read_bytes,
    read_certificate,
    read_weights,
)

PRECISIONS = (256, 1024, 4096)  # bits; the next one is tried while a comparison is undecided
THEOREMS = {
    "trivial": "compactproofs.strategies.trivial",
    "brute-force": "compactproofs.strategies.brute_force",
    "cubic": "compactproofs.strategies.cubic",
    "sub-cubic": "compactproofs.strategies.subcubic",
    "failing-sets": "compactproofs.strategies.failing_sets",
}


class Result(NamedTuple):
    """N, and how many comparisons stayed undecided at the precision that was used last."""

    certified: int
    undecided: int
    bits: int


def is_known(strategy: str) -> bool:
    """Whether this checker can check certificates of this strategy."""
    return subcubic.is_known(strategy) or (strategy in THEOREMS and strategy != "sub-cubic")


def hint_forms(strategy: str, weights: Weights) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """The types and shapes of a strategy's hints, None for any length."""
    if subcubic.is_known(strategy):
        return dict(subcubic.hint_forms(strategy, weights))
    return failing_sets.hint_forms(weights) if strategy == "failing-sets" else {}


def check_hints(strategy: str, weights: Weights, hints: dict[str, Hint]) -> None:
    """Malformed unless the hints have these types and shapes."""
    forms = hint_forms(strategy, weights)
    expect(set(hints) == set(forms), f"hints: {strategy} has {', '.join(sorted(forms)) or 'none'}")
    for name, (dtype, shape) in forms.items():
        given = hints[name]
        fits = len(given.shape) == len(shape) and all(
            want in (None, size) for want, size in zip(shape, given.shape, strict=True)
        )
        expect(fits and given.dtype == dtype, f"hints.{name}: expected {dtype} of shape {shape}")


def derive(strategy: str, weights: Weights, hints: dict[str, Hint]) -> Result:
    """N from the weights and hints of a known strategy."""
    if strategy == "trivial":
        return Result(0, 0, 0)
    before = ctx.prec
    result = Result(0, 0, 0)
    try:
        for bits in PRECISIONS:
            ctx.prec = bits
            decide = Decisions()
            if subcubic.is_known(strategy):
                found = subcubic.certified(strategy, weights, hints, decide)
            elif strategy == "cubic":
                found = cubic.certified(weights, hints, decide)
            elif strategy == "brute-force":
                found = brute_force.certified(weights, hints, decide)
            else:
                found = failing_sets.certified(weights, hints, decide)
            result = Result(found, decide.undecided, bits)
            if not decide.undecided:
                break
    finally:
        ctx.prec = before
    return result


def limit(strategy: str, weights: Weights) -> str | None:
    """Why the strategy does not apply to a model of this size, or None."""
    v, n = weights.v, weights.n
    if strategy == "brute-force" and v**n > 2**31:
        return "more than 2^31 inputs"
    if strategy == "failing-sets" and (n < 2 or v > 2**12 or v ** (n - 1) > 2**24):
        return "failing-sets needs n_ctx >= 2, d_vocab <= 2^12 and d_vocab^(n_ctx - 1) <= 2^24"
    return None


def verdict(certificate: Certificate, weights: Weights) -> tuple[bool, str]:
    """Whether the certificate is accepted, and why; raises Malformed."""
    strategy = certificate.strategy
    expect(is_known(strategy), f"strategy: {strategy!a} is not one that this checker knows")
    for name, claimed, actual in (
        ("model_sha256", certificate.model_sha256, weights.sha256),
        ("task", (certificate.n_ctx, certificate.d_vocab), (weights.n, weights.v)),
        ("total", certificate.total, weights.v**weights.n),
        ("theorem", certificate.theorem, THEOREMS[strategy.partition("/")[0]]),
        ("claim", certificate.claim, "at least"),
    ):
        if claimed != actual:
            return False, f"{name}: the certificate says {claimed!a}, expected {actual!a}"
    check_hints(strategy, weights, certificate.hints)
    reason = limit(strategy, weights)
    if reason is not None:
        return False, reason
    result = derive(strategy, weights, certificate.hints)
    found = f"{result.certified} of {certificate.total}, {result.undecided} comparisons undecided at {result.bits} bits"
    return certificate.certified <= result.certified, f"claimed {certificate.certified}, found {found}"


def main(arguments: list[str]) -> int:
    """The program; returns its exit code."""
    if len(arguments) != 2:
        print("usage: python tools/exactcheck CERTIFICATE MODEL.safetensors", file=sys.stderr)
        return 2
    try:
        certificate = read_certificate(read_bytes(Path(arguments[0]), CERTIFICATE_BYTES))
        accepted, reason = verdict(certificate, read_weights(read_bytes(Path(arguments[1]), MODEL_BYTES)))
    except Malformed as error:
        print(f"malformed: {error}", file=sys.stderr)
        return 2
    print(f"{'accepted' if accepted else 'REJECTED'}: {reason}")
    return 0 if accepted else 1
