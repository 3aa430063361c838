"""The verdict about a certificate."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flint import ctx

from exactcheck import (
    brute_force,
    cubic,
    decoders,
    failing_sets,
    heads,
    number_line,
    pair_sums,
    subcubic,
    subspace,
    whole_classes,
)
from exactcheck.balls import Decisions
from exactcheck.reading import (
    CERTIFICATE_BYTES,
    DIGITS,
    FAMILY,
    MODEL_BYTES,
    POSITION,
    TASK_OF_DECODERS,
    Certificate,
    Hint,
    Malformed,
    Weights,
    expect,
    read_bytes,
    read_certificate,
    read_labels,
    read_weights,
)

PRECISIONS = (256, 1024, 4096)  # bits; the next one is tried while a comparison is undecided
THEOREMS = {
    "trivial": "max-of-k/trivial@1",
    "brute-force": "max-of-k/brute-force@1",
    "cubic": "max-of-k/cubic@1",
    "sub-cubic": "max-of-k/sub-cubic@1",
    "failing-sets": "max-of-k/failing-sets@1",
    "number-line": "max-of-k/number-line@1",
    "subspace": "max-of-k/subspace@1",
    "branch-and-bound": "max-of-k/branch-and-bound@1",
    "branch-and-bound-upper": "max-of-k/branch-and-bound@1",
    "histogram": "max-of-k/histogram@4",
    "histogram-upper": "max-of-k/histogram@4",
    "by-comparison/branch-and-bound": "by-comparison/branch-and-bound@1",
    "by-comparison/branch-and-bound-upper": "by-comparison/branch-and-bound@1",
    "by-comparison/histogram": "by-comparison/histogram@3",
    "by-comparison/histogram-upper": "by-comparison/histogram@3",
}
OLDER = {  # the same statements, when nothing was hinted, or in another form
    **{f"max-of-k/histogram@{old}": "max-of-k/histogram@4" for old in (1, 2, 3)},
    **{f"by-comparison/histogram@{old}": "by-comparison/histogram@3" for old in (1, 2)},
}
WITHOUT_HINTS = "max-of-k/histogram@1"
IN_PAIRS = ("max-of-k/histogram@2", "by-comparison/histogram@1")  # of windows, and of edges
BY_COMPARISON = {key for key in THEOREMS if key.startswith("by-comparison")}
HISTOGRAMS = {key for key in THEOREMS if "histogram" in key}
COUNTED = {key for key in THEOREMS if key.startswith("branch-and-bound")} | HISTOGRAMS | BY_COMPARISON  # our own way
FEW_INPUTS = 2**12
ACCEPTED, REJECTED, UNDECIDED = "accepted", "REJECTED", "UNDECIDED"
EXIT_CODES = {ACCEPTED: 0, REJECTED: 1, UNDECIDED: 3}


class Result(NamedTuple):
    """N, and how much stayed undecided at the precision that was used last.

    Comparisons, or, for strategies where the checker counts right inputs by its own means, inputs.
    """

    certified: int
    undecided: int
    bits: int


def is_known(strategy: str) -> bool:
    """Whether this checker can check certificates of this strategy."""
    return (
        subcubic.is_known(strategy)
        or strategy in failing_sets.MORE_HINTS
        or (strategy in THEOREMS and strategy != "sub-cubic")
    )


def claim_of(strategy: str) -> str:
    """Which kind of claim the strategy proves."""
    return "at most" if strategy.endswith("-upper") else "at least"


def hint_forms(
    strategy: str, weights: Weights, task: dict[str, Any], theorem: str = ""
) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """The types and shapes of a strategy's hints about a task, None for any length; by an older theorem, if named."""
    if subcubic.is_known(strategy):
        return dict(subcubic.hint_forms(strategy, weights))
    if strategy in HISTOGRAMS:  # they say how to count, and here counting is by means of our own
        v, n = weights.v, weights.n
        if task["name"] == POSITION and task["k"] < n - 1:
            n -= 1  # that position always holds the label
        pairs = theorem in IN_PAIRS
        forms: dict[str, tuple[str, tuple[int | None, ...]]] = {
            "weights": ("uint16", (v, v)),
            "steps": ("int64", (None, 12 if pairs else 11)),
            "labels": ("uint8", (None, n - 1, v)),
            "edges": ("uint16", (None, 2, 64) if pairs else (None, 64)),
        }
        branches = {"branches": ("int64", (None, 12)), "ranks": ("uint8", (None, v))}
        return forms if theorem in OLDER else forms | branches
    if strategy == "number-line":
        return number_line.hint_forms(weights)
    if strategy == "subspace":
        return subspace.hint_forms(weights)
    return failing_sets.hint_forms(strategy, weights) if strategy in failing_sets.MORE_HINTS else {}


def check_hints(
    strategy: str, weights: Weights, task: dict[str, Any], hints: dict[str, Hint], theorem: str = ""
) -> None:
    """Malformed unless the hints have these types and shapes."""
    forms = hint_forms(strategy, weights, task, theorem)
    expect(set(hints) == set(forms), f"hints: {strategy} has {', '.join(sorted(forms)) or 'none'}")
    for name, (dtype, shape) in forms.items():
        given = hints[name]
        fits = len(given.shape) == len(shape) and all(
            want in (None, size) for want, size in zip(shape, given.shape, strict=True)
        )
        expect(fits and given.dtype == dtype, f"hints.{name}: expected {dtype} of shape {shape}")


def derive(strategy: str, weights: Weights, hints: dict[str, Hint], task: dict[str, Any] | None = None) -> Result:
    """N from the weights and hints of a known strategy; `task`: its record, unless it is the largest token."""
    if strategy == "trivial":
        return Result(0, 0, 0)
    before = ctx.prec
    result = Result(0, 0, 0)
    many_inputs = weights.v**weights.n > FEW_INPUTS
    try:
        for bits in PRECISIONS:
            ctx.prec = bits
            decide = Decisions()
            if strategy in COUNTED:
                right, possible = _right_inputs(weights, task or {}, many_inputs)
                result = Result(right if claim_of(strategy) == "at least" else possible, possible - right, bits)
                if many_inputs:
                    break  # what limits that count is not the precision
            else:
                result = Result(_certified(strategy, weights, hints, decide), decide.undecided, bits)
            if not result.undecided:
                break
    finally:
        ctx.prec = before
    return result


def _right_inputs(weights: Weights, task: dict[str, Any], many: bool) -> tuple[int, int]:
    """At least and at most how many inputs are answered correctly."""
    if "k" not in task:
        return whole_classes.right_inputs(weights) if many else brute_force.right_inputs(weights)
    if many:
        return whole_classes.right_inputs_by_comparison(weights, task)
    k = task["k"]
    return brute_force.right_inputs(weights, label=lambda x: (x if task["name"] == POSITION else sorted(x)[::-1])[k])


def _certified(strategy: str, weights: Weights, hints: dict[str, Hint], decide: Decisions) -> int:
    if subcubic.is_known(strategy):
        return subcubic.certified(strategy, weights, hints, decide)
    if strategy == "cubic":
        return cubic.certified(weights, hints, decide)
    if strategy == "brute-force":
        return brute_force.certified(weights, hints, decide)
    if strategy == "number-line":
        return number_line.certified(weights, hints, decide)
    if strategy == "subspace":
        return subspace.certified(weights, hints, decide)
    return failing_sets.certified(weights, hints, decide)


def limit(strategy: str, weights: Weights, task: dict[str, Any]) -> str | None:
    """Why the strategy does not apply to a model of this size, or None."""
    v, n = weights.v, weights.n
    if strategy == "brute-force" and v**n > 2**31:
        return "more than 2^31 inputs"
    if strategy in failing_sets.MORE_HINTS and (n < 2 or v > 2**12 or v ** (n - 1) > 2**24):
        return "failing-sets needs n_ctx >= 2, d_vocab <= 2^12 and d_vocab^(n_ctx - 1) <= 2^24"
    if weights.too_heavy and (strategy == "brute-force" or strategy in failing_sets.MORE_HINTS):
        return "the inputs with one last token count 2^62 and more together"
    if strategy.startswith("branch-and-bound") and (v > 2**9 or v**n > 2**42):
        return "branch-and-bound needs d_vocab <= 2^9 and at most 2^42 inputs"
    if strategy in BY_COMPARISON - HISTOGRAMS and (v > 2**9 or n > 12 or v**n > 2**42):
        return "by-comparison/branch-and-bound needs d_vocab <= 2^9, n_ctx <= 12 and at most 2^42 inputs"
    if strategy in BY_COMPARISON & HISTOGRAMS and (n > 64 or (task["name"] != POSITION and task["k"] > 7)):
        return "by-comparison/histogram needs n_ctx <= 64 and ranks up to 7"
    if strategy in HISTOGRAMS and (v > 2**9 or n > 2**10 or weights.count(range(v)) ** n > 2**900):
        return "histogram needs d_vocab <= 2^9, n_ctx <= 2^10 and inputs that count at most 2^900"
    return None


def verdict(certificate: Certificate, weights: Weights) -> tuple[str, str]:
    """Whether the certificate is accepted, and why; raises Malformed."""
    strategy = certificate.strategy
    expect(is_known(strategy), f"strategy: {strategy!a} is not one that this checker knows")
    theorem = THEOREMS.get(strategy) or THEOREMS[strategy.partition("/")[0]]
    if OLDER.get(certificate.theorem) == theorem:
        theorem = certificate.theorem
    of_tokens = [int(text) for text in certificate.task.get("weights", "").split()]
    total = (sum(of_tokens) if of_tokens else weights.v) ** weights.n
    if total >= 10**DIGITS:
        return REJECTED, f"task: a total of 10^{DIGITS} and more"
    for name, claimed, actual in (
        ("model_sha256", certificate.model_sha256, weights.sha256),
        ("family", certificate.family, FAMILY),
        ("task", (certificate.n_ctx, certificate.d_vocab), (weights.n, weights.v)),
        ("total", certificate.total, total),
        ("theorem", certificate.theorem, theorem),
        ("claim", certificate.claim, claim_of(strategy)),
    ):
        if claimed != actual:
            return REJECTED, f"{name}: the certificate says {claimed!a}, expected {actual!a}"
    if strategy != "trivial" and ("k" in certificate.task) != (strategy in BY_COMPARISON):
        return REJECTED, f"task: {strategy} is not about {certificate.task['name']}"
    if theorem == WITHOUT_HINTS:
        expect(not certificate.hints, f"hints: {theorem} has none")
    else:
        check_hints(strategy, weights, certificate.task, certificate.hints, theorem)
    weights = weights.in_order_of(certificate.task)
    reason = limit(strategy, weights, certificate.task)
    if reason is not None:
        return REJECTED, reason
    claimed = certificate.certified
    found, undecided, bits = derive(strategy, weights, certificate.hints, certificate.task)
    kind = "inputs" if strategy in COUNTED else "comparisons"
    text = f"claimed {claimed}, found {found} of {certificate.total}, {undecided} {kind} undecided at {bits} bits"
    lacking = claimed - found if certificate.claim == "at least" else found - claimed
    if lacking <= 0:
        return ACCEPTED, text
    # A count of right inputs that leaves some open says nothing against a claim that may be true.
    return (UNDECIDED if strategy in COUNTED and lacking <= undecided else REJECTED), text


def verdict_on_file(
    certificate: Certificate, data: bytes, labels: Sequence[int] = (), table: str = ""
) -> tuple[str, str]:
    """The same for a model file of any family; with the labels and the hash of a table, if one is given."""
    accepted: bool | None
    if pair_sums.FAMILY in (certificate.family, certificate.strategy.partition("/")[0]) and "n" in certificate.task:
        accepted, reason = pair_sums.verdict(certificate, data, list(labels), table)
    elif certificate.task.keys() >= TASK_OF_DECODERS:
        accepted, reason = decoders.verdict(certificate, data, list(labels), table)
    elif certificate.strategy in heads.STRATEGIES:
        accepted, reason = heads.verdict(certificate, data)
    elif is_known(certificate.strategy) and heads.number_of_heads(data) > 1:
        accepted, reason = False, f"family: {certificate.strategy} is about one head"
    else:
        return verdict(certificate, read_weights(data))
    return {True: ACCEPTED, False: REJECTED, None: UNDECIDED}[accepted], reason


def main(arguments: list[str]) -> int:
    """The program; returns its exit code."""
    if len(arguments) not in (2, 3):
        print("usage: exactcheck CERTIFICATE MODEL.safetensors [TABLE.safetensors]", file=sys.stderr)
        return 2
    try:
        certificate = read_certificate(read_bytes(Path(arguments[0]), CERTIFICATE_BYTES))
        data = read_bytes(Path(arguments[1]), MODEL_BYTES)
        table = read_labels(read_bytes(Path(arguments[2]), MODEL_BYTES)) if len(arguments) == 3 else ([], "")
        outcome, reason = verdict_on_file(certificate, data, *table)
    except Malformed as error:
        print(f"malformed: {error}", file=sys.stderr)
        return 2
    print(f"{outcome}: {reason}")
    return EXIT_CODES[outcome]
