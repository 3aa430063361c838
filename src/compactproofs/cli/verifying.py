"""`verify`: one certificate, or a directory of them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

import compactproofs as cp
from compactproofs import plugins
from compactproofs.cli.common import (
    COLOURS,
    JsonOption,
    ModelArgument,
    VerboseOption,
    if_trusted,
    operations_of,
    require_order,
    whose,
)
from compactproofs.cli.sampling import ERROR, verify_with_confidence
from compactproofs.confidence.claim import FORMAT as CLAIM_FORMAT
from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.library import Library
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.decoder.model import Decoder
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening.arguments import path_of
from compactproofs.opening.networks import File
from compactproofs.opening.tables import LabelTable
from compactproofs.runs.inputs import load_certificate, open_file
from compactproofs.search.allowance import Allowance
from compactproofs.search.cost import power
from compactproofs.search.effort import MAX_MEMORY
from compactproofs.search.questions import about
from compactproofs.system.messages import escaped, reason
from compactproofs.system.places import STANDARD
from compactproofs.system.terminal import err, say, say_json
from compactproofs.tasks.sequences import TABLE
from compactproofs.tasks.with_tables import with_tables


def verify(
    certificate: Annotated[
        str,
        typer.Argument(
            metavar="CERTIFICATE",
            help="A certificate, - for one on standard input, or a directory of them (*.cert.json).",
        ),
    ],
    model: ModelArgument,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look into the folders of a directory too.")
    ] = False,
    max_ops: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Refuse, and stop at, more operations than this, such as 2^36; without it 2^33, or 2^40 for "
            "brute-force, branch-and-bound and histogram, and at most what trained models of that size need.",
        ),
    ] = None,
    max_memory: Annotated[
        float, typer.Option(metavar="GIB", help="Refuse what may take more GiB of memory than this.")
    ] = MAX_MEMORY / 2**30,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DISTRIBUTION",
            help="Accept theorems of this distribution, an installed plug-in; may be given several times.",
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="A table of labels that certificates name; may be given several times."),
    ] = None,
    formal: Annotated[
        bool, typer.Option("--formal", help="Have the program extracted from Coq check one certificate for max-of-K.")
    ] = False,
    confidence: Annotated[
        bool,
        typer.Option(
            "--confidence",
            help="Test a claim of 'sample' by fresh random inputs: 0 then means accepted with an error, not certified.",
        ),
    ] = False,
    most_error: Annotated[
        str | None,
        typer.Option("--error", help=f"With --confidence: accept no claims of a larger error; default {ERROR}."),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Check certificates against a model: exit code 0 all accepted, 1 some rejected, 2 anything else."""
    if formal and confidence:
        raise ValueError("choose one: --formal for a certificate, --confidence for a claim with confidence")
    if formal:
        return _formally(certificate, model, as_json)
    if confidence:
        operations = None if max_ops is None else operations_of("--max-ops", max_ops)
        return verify_with_confidence(certificate, model, most_error or ERROR, operations, as_json)
    if most_error is not None:
        raise ValueError("--error is for claims with confidence: give --confidence too; certificates have no error")
    if not max_memory >= 0.0:
        raise ValueError(f"--max-memory: expected a number of GiB such as 16, found {max_memory}")
    limits = {
        "max_ops": None if max_ops is None else operations_of("--max-ops", max_ops),
        "max_memory": int(min(max_memory, 2.0**30) * 2**30),
    }
    trusted = {plugins.normalised(name) for name in trust or ()}
    for name in trusted - plugins.found().keys() if trusted else ():
        raise ValueError(f"--trust: {plugins.not_installed(name, plugins.found())}")
    path = Path(certificate)
    of_directory = certificate != STANDARD and path.is_dir()
    try:
        path_of("certificate", certificate)
        found = _look_into(path, recursive) if of_directory else _Found({certificate: path})
        if not found.certificates:
            raise ValueError("; ".join((f"{certificate} holds no files named *.cert.json", *found.left_out(recursive))))
        require_order(certificate, model)
        if certificate == model == STANDARD:
            raise ValueError("standard input cannot be both the certificate and the model")
        subjects = _Subjects(open_file(model), [LabelTable.load(name) for name in table or ()])
    except (ValueError, OSError, MemoryError) as error:
        return _none_checked(error, as_json, of_directory)
    outcomes = []
    waiting = dict(found.certificates)
    # What needs no plug-in is decided before any is imported, and what needs a trusted one before any other is.
    for allowed in (set(), trusted, None) if of_directory else (None,):
        for name, file in list(waiting.items()):
            try:
                outcome = _outcome(certificate if certificate == STANDARD else file, subjects, limits, trusted, allowed)
            except _NoModel as error:
                return _none_checked(error.cause, as_json, of_directory)
            if outcome is not None:
                del waiting[name]
                outcomes.append({"certificate": name, **outcome} if of_directory else outcome)
                if not as_json:
                    _say_outcome(outcomes[-1])
    if as_json:
        say_json(outcomes if of_directory else outcomes[0])
    if of_directory:
        words = [outcome["outcome"] for outcome in outcomes]
        counts = ", ".join(f"{words.count(word)} {word}" for word in _EXIT_CODES if word in words)
        for line in (f"{_plural(len(words), 'certificate')} checked: {counts}", *found.left_out(recursive)):
            say(line, to=err if as_json else None)
    return max(_EXIT_CODES[outcome["outcome"]] for outcome in outcomes)


def _formally(certificate: str, model: str, as_json: bool) -> int:
    """What the program extracted from Coq says; the exit code."""
    from compactproofs.formal import command, extracted

    answer = command.verify(certificate, model)
    word = "accepted" if answer.accepted else "rejected"
    if as_json:
        say_json({"outcome": word, **dataclasses.asdict(answer)})
    else:
        say(f": {answer.reason}", start=word, style=f"bold {COLOURS[word]}")
        if answer.model_sha256:
            say(f"model {answer.model_sha256}")
        say(f"{answer.seconds:.1f} processor seconds; {extracted.SHARES}")
    return _EXIT_CODES[word]


_EXIT_CODES = {"accepted": 0, "rejected": 1, "conditional": 2, "refused": 2, "malformed": 2}


def _none_checked(error: BaseException, as_json: bool, of_directory: bool) -> int:
    """Say why no certificate can be checked; the exit code."""
    outcome = {"outcome": "malformed", "reason": reason(error)}
    if as_json:
        say_json([outcome] if of_directory else outcome)
    else:
        _say_outcome(outcome)
    return 2


class _NoModel(CompactProofsError, OSError):
    """The file is no model of this package's family."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass
class _Found:
    """What is in a directory: certificates by their names, and the names of what is not looked at."""

    certificates: dict[str, Path] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    def left_out(self, recursive: bool) -> Iterator[str]:
        """One line each about files and folders."""
        if self.files:
            yield f"not checked: {_plural(len(self.files), 'file')} not named *.cert.json ({_some(self.files)})"
        if self.folders:
            way = "links are not followed" if recursive else "use --recursive"
            yield f"not looked into: {_plural(len(self.folders), 'folder')} ({_some(self.folders)}); {way}"


def _look_into(directory: Path, recursive: bool, prefix: str = "") -> _Found:
    found = _Found()
    for path in sorted(directory.iterdir()):
        name = prefix + path.name
        if name.lower().endswith(".cert.json"):
            found.certificates[name] = path
        elif not path.is_dir():
            found.files.append(name)
        elif recursive and not path.is_symlink():
            below = _look_into(path, recursive, f"{name}/")
            found.certificates |= below.certificates
            found.files += below.files
            found.folders += below.folders
        else:
            found.folders.append(name)
    return found


def _plural(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _some(names: list[str]) -> str:
    return ", ".join(names if len(names) <= 6 else [*names[:5], f"and {len(names) - 5} more"])


class _Subjects:
    """A model file, read as each certificate says, with the tables that certificates of one task share."""

    def __init__(self, file: File, tables: list[LabelTable]) -> None:
        self._file = file
        self._tables = tables
        self._known: dict[Any, tuple[Any, Workspace[Any, Any] | None]] = {}

    def library(self, home: plugins.Collection) -> Library:
        """What the strategies of a distribution are checked with."""
        return with_tables(self._tables, home.library) if self._tables else home.library

    def lacking(self, claim: cp.Certificate) -> str | None:
        """That a certificate is about a table which is not there, or None."""
        wanted = claim.task.get(TABLE)
        if wanted is None or wanted in {table.sha256 for table in self._tables}:
            return None
        there = ", ".join(f"{table.sha256[:12]}..." for table in self._tables)
        given = f"; the tables given are {there}" if there else ""
        return f"its labels are those of the table {str(wanted)[:12]}..., give its file by --table FILE{given}"

    def of(self, home: plugins.Collection, claim: cp.Certificate) -> tuple[Any, Workspace[Any, Any] | None]:
        """The network, and for strategies of this package a workspace if the task fits; raises ValueError."""
        reader = home.networks.get(claim.family)
        key = reader or repr((claim.family, sorted(claim.task.items())))
        if key not in self._known:
            self._known[key] = (
                self._own(claim, self.library(home)) if reader is None else (reader(self._file.data), None)
            )
        network, work = self._known[key]
        return network, work if home.source.distribution == plugins.OWN else None

    def _own(self, claim: cp.Certificate, library: Library) -> tuple[Any, Workspace[Any, Any] | None]:
        """By a reader of this package; raises _NoModel if there is no model in the file."""
        if not self._known and claim.family != PairSum.family:  # which is a way to read the files of others
            try:
                self._file.network()
            except (ValueError, OSError, MemoryError) as error:
                raise _NoModel(error) from error
        network = self._file.network_of(claim)
        if isinstance(network, Decoder | PairSum) and not self._file.says_how(network):
            say(f"note: the model's file does not say how it is used; read here as a {about(network)}", to=err)
        try:
            return network, Workspace(Problem(network, library.task(claim.task)))
        except ValueError:  # of which verification says more
            return network, None


def _outcome(
    file: Path | str, subjects: _Subjects, limits: Mapping[str, Any], trusted: set[str], allowed: set[str] | None
) -> dict[str, Any] | None:
    """What checking the certificate comes to; None if it needs another plug-in than those that are allowed."""
    try:
        claim = load_certificate(file)
    except (ValueError, OSError) as error:
        said = reason(error)
        more = "; it is tested, but never certified, with --confidence" if CLAIM_FORMAT in said else ""
        return {"outcome": "malformed", "reason": said + more}
    distribution = plugins.distribution_of(claim.strategy)
    if distribution is not None and allowed is not None and distribution not in allowed:
        return None
    try:
        home = plugins.collection(claim.strategy)
        with plugins.blamed(claim.strategy):
            network, work = subjects.of(home, claim)
    except _NoModel as error:
        if distribution is None:
            raise
        return {"outcome": "malformed", "reason": reason(error.cause)}
    except (plugins.UnusablePlugin, plugins.PluginFailed) as error:
        return {"outcome": "refused", "reason": reason(error)}
    except (ValueError, OSError, MemoryError) as error:
        return {"outcome": "malformed", "reason": reason(error)}
    lacking = subjects.lacking(claim) if distribution is None else None
    if lacking is not None:
        return {"outcome": "refused", "reason": lacking}
    try:
        allowance, start = Allowance(), time.perf_counter()
        with _watched(allowance, claim.strategy), plugins.blamed(claim.strategy):
            verdict = replace(home, library=subjects.library(home)).verify(
                claim, network, work, allowance=allowance, **limits
            )
    except cp.MalformedCertificate as error:
        return {"outcome": "malformed", "reason": reason(error)}
    except (ValueError, OSError, MemoryError) as error:
        return {"outcome": "refused", "reason": reason(error)}
    conditional = verdict.accepted and distribution is not None and distribution not in trusted
    return {
        "outcome": "conditional" if conditional else "accepted" if verdict.accepted else "rejected",
        "reason": f"{verdict.reason}, {if_trusted(home)}" if conditional else verdict.reason,
        "strategy": claim.strategy,
        **whose(home, home.library.strategy(claim.strategy)),
        "claim": claim.claim,
        "claimed": str(claim.certified),
        "recomputed": None if verdict.certified is None else str(verdict.certified),
        "total": str(claim.total),
        "work": allowance.spent,
        "verify_seconds": round(time.perf_counter() - start, 6),
    }


def _watched(allowance: Allowance, what: str) -> Progress:
    """Inside it a terminal shows what is checked, how many operations were done, and since when."""

    class Done(ProgressColumn):
        def render(self, task: Task) -> Text:
            most = "" if allowance.limit is None else f" of at most {power(allowance.limit)}"
            return Text(f"{power(allowance.spent)}{most} operations")

    columns = (SpinnerColumn(), TextColumn("{task.description}"), Done(), TimeElapsedColumn())
    progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    progress.add_task(f"checking {escaped(what)}", total=None)
    return progress


def _say_outcome(outcome: dict[str, Any]) -> None:
    where = f" ({outcome['certificate']})" if "certificate" in outcome else ""
    word = outcome["outcome"]
    whose = ""
    if word == "accepted":
        source = f"{outcome['distribution']} {outcome['version']}, source {outcome['source_sha256'][:12]}"
        whose = f"; {outcome['tier']} of {source}"
    say(f": {outcome['reason']}{whose}{where}", start=word, style=f"bold {COLOURS[word]}")
