"""`sample`, and `verify --confidence`: claims with confidence, which are never called certified."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from compactproofs.cli.common import JsonOption, ModelArgument, require_order
from compactproofs.confidence import importance
from compactproofs.confidence.checker import ASSUMING, bound, check, in_words, require_fitting
from compactproofs.confidence.claim import (
    MAX_BYTES,
    MAX_ERROR_BITS,
    MAX_SAMPLES,
    THEOREMS,
    ClaimWithConfidence,
    MalformedClaim,
)
from compactproofs.confidence.sampling import Drawn, Method, Tell, draw, urn_size
from compactproofs.kernel.certificate import CLAIMS
from compactproofs.kernel.certificate import FORMAT as CERTIFICATE
from compactproofs.kernel.machine import require_ieee_arithmetic
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.runs.inputs import load_model
from compactproofs.search.allowance import Allowance, allowing
from compactproofs.search.companions import MAX_OPS_OF_INPUTS
from compactproofs.search.cost import power
from compactproofs.search.workspaces import workspace
from compactproofs.system.files import read_limited, write_atomically
from compactproofs.system.messages import reason
from compactproofs.system.places import check_file, readable
from compactproofs.system.terminal import err, say, say_json
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.theorems.max_of_k import Work
from compactproofs.version import __version__

ERROR = "1e-6"
SUFFIX = ".confidence.json"
_ERRORS = re.compile(r"2\^-(\d{1,4})", re.ASCII)


def sample(
    model: ModelArgument,
    error: Annotated[str, typer.Option(help="Probability of a false statement, such as 1e-6 or 2^-20.")] = ERROR,
    samples: Annotated[
        int, typer.Option(help="How many random inputs to draw; a third of --importance is a pilot.")
    ] = 10**5,
    inside: Annotated[
        bool, typer.Option("--inside", help="Draw from a set that is proved to hold every wrong input, and counted.")
    ] = False,
    by_importance: Annotated[
        bool, typer.Option("--importance", help="Draw more often where a pilot finds the model often wrong.")
    ] = False,
    out_name: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help=f"Where to write a claim that others can test; name it *{SUFFIX}."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bound a model's accuracy by random inputs, with a stated probability of error: nothing is certified."""
    bits = error_bits("--error", error)
    if not 1 <= samples <= MAX_SAMPLES:
        raise ValueError(f"--samples: expected 1 to {MAX_SAMPLES}, found {samples}")
    if by_importance and (inside or out_name is not None):
        raise ValueError("--importance: leave out --inside and --out; what it finds holds for this run only")
    if out_name is not None:
        if not out_name.name.endswith(SUFFIX):
            raise ValueError(f"--out: a claim with confidence is no certificate; name the file *{SUFFIX}")
        check_file(out_name)
    network = load_model(model)
    work = workspace(network, "check")
    method: Method = "inside" if inside else "plain"
    require_fitting(work, method)
    require_ieee_arithmetic()
    start = time.perf_counter()
    total, side = work.task.total, bits + 1
    facts: dict[str, Any]
    booked: tuple[str, ...] = ("draw",)
    drawn, urn = Drawn(samples, samples, 0, 0), 0  # so it stays where nothing can be wrong
    if by_importance:
        with _bar("drawing") as tell:
            scores, bet = work.once("draw", lambda: importance.sample(work, samples, side, tell))
        least, most = (importance.bound(claim, total, scores, bet, side) for claim in CLAIMS)
        counted = f"{sum(scores.not_right.values())} of {scores.samples} draws are not certainly right"
        counted += f", {sum(scores.wrong.values())} certainly wrong, from classes by their importance"
        facts = {"method": "importance", "samples": scores.samples, "bet": str(bet)}
    else:
        with _bar("counting" if inside else "drawing") as tell:
            urn = work.once("urn", lambda: urn_size(work, method, tell))
        if urn:
            with _bar("drawing") as tell:
                drawn = work.once("draw", lambda: draw(work, method, urn, samples, tell)) or drawn
        booked = ("urn", "draw") if urn else ("urn",)
        # With an empty urn every input is right, and that by proof; but this command claims only with confidence.
        least, most = (bound(claim, total, urn, drawn, side) if urn else total for claim in CLAIMS)
        of = "all inputs"
        if inside:
            of = f"a set of {urn} inputs that holds every wrong one, less {drawn.known} that surely are wrong"
        counted = f"{in_words(drawn, 'at least')}, {drawn.wrong} certainly wrong, from {of}"
        facts = {"method": method, "urn": str(urn), **dataclasses.asdict(drawn), "known": str(drawn.known)}
    seconds = time.perf_counter() - start
    operations = sum(work.cost(key).flops + work.cost(key).int_ops for key in booked)
    if out_name is not None:
        claim = worth_testing(work, method, urn, drawn, bits)
        try:
            write_atomically(out_name, claim.to_bytes())
        except OSError as failed:
            raise ValueError(f"--out: cannot write {out_name}: {failed.strerror or failed}") from failed
    if as_json:
        bounds = {"at_least": str(least), "at_most": str(most), "total": str(total)}
        said = {"model": model, "certified": False, "error": f"2^-{bits}", "assuming": ASSUMING, **bounds, **facts}
        say_json({**said, "operations": operations, "seconds": round(seconds, 6)})
        return
    say(f"{model}: at least {least} and at most {most} of {total} inputs are answered correctly,")
    say(f"with error at most 2^-{bits}, assuming that {ASSUMING}; not certified")
    width = float(Fraction(most - least, total))
    say(f"accuracy from {_share(least, total)} to {_share(most, total)}, {width:.1e} apart")
    say(counted)
    say(f"{power(operations)} operations, {seconds:.1f} s")
    if out_name is not None:
        more = f" --error 2^-{bits}" if bits < error_bits("--error", ERROR) else ""  # which verify refuses unasked
        how = f"compactproofs verify {out_name} {model} --confidence{more}"
        say(f"claim written to {out_name}: {claim}; test it with: {how}")


def worth_testing(work: Work, method: Method, urn: int, drawn: Drawn, bits: int) -> ClaimWithConfidence:
    """A claim that is a little weaker than what was drawn shows, so that a test by other draws rarely rejects it.

    The difference of two independent counts, each near k, is mostly less than four roots of k.  Urns have a little room
    for another machine, whose rounding may let some more inputs in.
    """
    room = round(4 * (drawn.not_right + 1) ** 0.5)
    expected = dataclasses.replace(drawn, not_right=min(drawn.not_right + room, drawn.open))
    urn = urn if method == "plain" else urn + (urn >> 20) + 1
    task = work.task
    return ClaimWithConfidence(
        family=AttentionOnly.family,
        task=task.record,
        model_sha256=work.network.sha256,
        theorem=THEOREMS[method],
        claim="at least",
        claimed=bound("at least", task.total, urn, expected, bits),
        total=task.total,
        urn=urn,
        samples=drawn.samples,
        error_bits=bits,
        tool=f"compactproofs {__version__}",
    )


def verify_with_confidence(name: str, model: str, error: str, max_ops: int | None, as_json: bool) -> int:
    """Test a claim by fresh random numbers: exit code 0 accepted with an error, 1 rejected, 2 anything else."""
    outcome: dict[str, Any]
    try:
        wanted = error_bits("--error", error)
        require_order(name, model)
        claim = _claim_in(name)
        network = load_model(model)
        if claim.error_bits < wanted:
            made = f"{name} is for an error of 2^-{claim.error_bits}, and you accept 2^-{wanted}"
            raise ValueError(f"error_bits: {made}; give --error 2^-{claim.error_bits} to accept more")
    except (ValueError, OSError, MemoryError) as failed:
        outcome = {"outcome": "malformed", "reason": reason(failed)}
        return _end(outcome, as_json)
    allowance = Allowance(MAX_OPS_OF_INPUTS if max_ops is None else max_ops)
    work: Workspace[AttentionOnly, MaxOfK] = Workspace(max_of_k(network))
    start = time.perf_counter()
    try:
        with _bar("drawing") as tell, allowing(allowance):
            conclusion = check(claim, work, tell)
    except (ValueError, OSError, MemoryError) as failed:
        return _end({"outcome": "refused", "reason": reason(failed)}, as_json)
    drawn = conclusion.drawn
    outcome = {
        "outcome": "accepted with error" if conclusion.passed else "rejected",
        "reason": conclusion.reason,
        "certified": False,
        "error": f"2^-{claim.error_bits}",
        "assuming": ASSUMING,
        "theorem": claim.theorem,
        "claim": claim.claim,
        "claimed": str(claim.claimed),
        "total": str(claim.total),
        "samples": claim.samples,
        "counted": None if drawn is None else drawn.not_right if claim.claim == "at least" else drawn.wrong,
        "work": allowance.spent,
        "verify_seconds": round(time.perf_counter() - start, 6),
    }
    return _end(outcome, as_json)


_EXIT_CODES = {"accepted with error": 0, "rejected": 1, "refused": 2, "malformed": 2}
_COLOURS = {"accepted with error": "cyan", "rejected": "red", "refused": "yellow", "malformed": "yellow"}


def _end(outcome: dict[str, Any], as_json: bool) -> int:
    word = outcome["outcome"]
    if as_json:
        say_json(outcome)
    elif word == "accepted with error":
        said = f" at most {outcome['error']}, assuming that {outcome['assuming']}: {outcome['reason']}; not certified"
        say(said, start=word, style=f"bold {_COLOURS[word]}")
    else:
        say(f": {outcome['reason']}", start=word, style=f"bold {_COLOURS[word]}")
    return _EXIT_CODES[word]


def _claim_in(name: str) -> ClaimWithConfidence:
    path = Path(readable(name))
    if path.is_dir():
        raise MalformedClaim(f"{name} is a directory; --confidence tests one claim, since errors of several add up")
    try:
        return ClaimWithConfidence.from_bytes(read_limited(path, MAX_BYTES))
    except ValueError as error:
        more = "; it is checked without --confidence" if CERTIFICATE in str(error) else ""
        raise MalformedClaim(f"{name}: {error}{more}") from error


def error_bits(option: str, text: str) -> int:
    """The smallest k for which 2^-k is at most this error."""
    found = _ERRORS.fullmatch(text.strip())
    try:
        error = Fraction(1, 2 ** int(found[1])) if found else Fraction(text if 1e-99 < float(text) < 1.0 else 0)
    except ValueError:
        error = Fraction(0)
    if not Fraction(1, 2 ** (MAX_ERROR_BITS - 1)) <= error <= Fraction(1, 2):
        raise ValueError(
            f"{option}: expected a probability from 2^-{MAX_ERROR_BITS - 1} to 1/2 such as 1e-6 or 2^-20, "
            f"found {text!r}"
        )
    return next(bits for bits in range(1, MAX_ERROR_BITS) if Fraction(1, 2**bits) <= error)


def _share(number: int, total: int) -> str:
    return f"{float(Fraction(number, total)):.9f}"


@contextmanager
def _bar(what: str) -> Iterator[Tell]:
    """Inside it a terminal shows how much is done: nothing that was found, so that nobody stops for it."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task(what, total=1.0)
        yield lambda share: progress.update(bar, completed=max(share, progress.tasks[0].completed))
