"""The command line: parse, call, print.

What a command returns is the exit code; only `verify` returns one.  Errors are raised, and end in `__main__`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn, track
from rich.text import Text

import compactproofs as cp
from compactproofs import plugins, zoo
from compactproofs.cli.questions import Options, Question, about, asked, reading
from compactproofs.kernel.certificate import CLAIMS
from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.limits import Allowance
from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.decoder.model import Decoder
from compactproofs.opening import notes
from compactproofs.opening.networks import File
from compactproofs.runs.inputs import load_certificate, open_file
from compactproofs.search.budget import prove_within
from compactproofs.search.certificates import certificate_name
from compactproofs.search.effort import MAX_MEMORY, power, to_allow
from compactproofs.search.prover import Bound
from compactproofs.system.messages import escaped, reason
from compactproofs.system.places import STANDARD, check_directory, check_file
from compactproofs.system.terminal import err, say, say_json, say_table
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.tasks.sequences import RULES
from compactproofs.theorems import BUILT_IN, get_strategy
from compactproofs.theorems.enumerate.every_input import ENUMERATE, ENUMERATE_UPPER

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done or accepted, 1 rejected and nothing else, 2 malformed or unusable input, wrong usage, "
    "refused work, or output that could not be written, 130 interrupted (143 and 129 by SIGTERM and SIGHUP).",
)


@functools.cache
def program() -> typer.core.TyperGroup:
    """All commands, as Typer understands them: reading their signatures takes longer than many of them do."""
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    return command


def execute(arguments: list[str]) -> int:
    """Run the command that these words name; the exit code, unless it raises."""
    command = program()
    try:
        with command.make_context("compactproofs", list(arguments) or ["--help"]) as context:
            return command.invoke(context) or 0
    except typer.Exit as stop:  # after --help and --version
        return 2 if stop.exit_code or not arguments else 0


ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A zoo name such as max-of-4/123, or a path to a .safetensors file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"compactproofs {cp.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Certified bounds on the accuracy of small transformers, and a checker for their certificates."""


@app.command("strategies")
def show_strategies(
    of_plugins: Annotated[
        bool, typer.Option("--plugins", help="Import the installed plug-ins, and list their strategies too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the strategies: id, complexity, and what each does."""
    there = plugins.found()
    collections, unusable = [plugins.built_in()], []
    for found in there.values() if of_plugins else ():
        try:
            collections.append(plugins.load(found))
        except plugins.UnusablePlugin as error:
            unusable.append((found, str(error)))
    known = [
        (strategy, collection, collection.companion(strategy))
        for collection in collections
        for strategy in collection.strategies
    ]
    if as_json:
        rows: list[dict[str, str]] = [
            {
                "id": strategy.id,
                "claim": strategy.claim,
                "complexity": companion.complexity,
                "summary": companion.summary,
                "theorem": strategy.theorem,
                "stated_in": companion.stated_in,
                **_whose(collection, strategy),
            }
            for strategy, collection, companion in known
        ]
        say_json([*rows, *({"distribution": each.distribution, "unusable": why} for each, why in unusable)])
        return
    say_table(("strategy", "complexity", "what it does"), [(s.id, c.complexity, c.summary) for s, _, c in known])
    for collection in collections[1:]:
        say(f"plug-in {collection.source}, source sha256 {collection.source.sha256}")
    for _, why in unusable:
        say(why)
    if there and not of_plugins:
        say(f"plug-ins, not imported: {', '.join(map(str, there.values()))}; 'strategies --plugins' lists theirs")


def _whose(collection: plugins.Collection, strategy: Strategy) -> dict[str, str]:
    """Whose theorem a strategy rests on, for JSON."""
    source = collection.source
    return {
        "tier": collection.tier(strategy),
        "distribution": source.distribution,
        "version": source.version,
        "source_sha256": source.sha256,
    }


@app.command("zoo")
def show_zoo(as_json: JsonOption = False) -> None:
    """List the trained models that ship with the package."""
    rows = zoo.table()
    if as_json:
        say_json([dataclasses.asdict(row) for row in rows])
        return
    cells = []
    for row in rows:
        exact = row.exact_correct is not None
        accuracy = row.exact_correct / row.total if row.exact_correct is not None else row.sampled_accuracy or 0.0
        source = "all inputs" if exact else f"{row.samples:,} inputs"
        cells.append((row.name, str(row.n_ctx), str(row.d_vocab), f"{accuracy:.6f}", source))
    say_table(("name", "K", "tokens", "accuracy", "known from"), cells, numbers=(1, 2, 3))


@app.command()
def prove(
    model: ModelArgument,
    strategy: Annotated[list[str] | None, typer.Option(help="A strategy id; may be given several times.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Use every strategy that is feasible for this model; the best comes first.")
    ] = False,
    out_name: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="Where to write certificates: a file for one strategy, or - for standard output; "
            "a directory for several.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Find the best bound for this many operations, such as 2^21 or 1.6e6, by any strategy."),
    ] = None,
    as_json: JsonOption = False,
    task: Annotated[
        str | None, typer.Option(help=f"What the right answer is: max (default), {', '.join(list(RULES)[1:])}.")
    ] = None,
    prefix: Annotated[str, typer.Option(metavar="TOKENS", help="Fixed tokens in front, such as a BOS token.")] = "",
    suffix: Annotated[str, typer.Option(metavar="TOKENS", help="Fixed tokens behind, such as an = sign.")] = "",
    read_out: Annotated[
        int | None, typer.Option(help="The position of the answer, counted from 0, or from the end; default -1.")
    ] = None,
    length: Annotated[int | None, typer.Option(help="How many tokens are not fixed; default: all the rest.")] = None,
    tokens: Annotated[
        int | None, typer.Option(help="How many tokens these are out of, 0 and on; default: all below the fixed ones.")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", help="The k of kth-largest, sorted and sum-mod.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A TransformerLens setting of which the file says nothing."),
    ] = None,
) -> None:
    """Prove bounds on a model's accuracy, check them, and write certificates."""
    if every + bool(strategy) + (budget is not None) != 1:
        raise ValueError("choose one: --strategy ID (may be repeated), --all, or --budget FLOPS")
    if as_json and out_name == STANDARD:
        raise ValueError("--out -: standard output cannot hold a certificate and --json; name a file, or choose one")
    operations = None if budget is None else _operations("--budget", budget)
    options = Options(task, prefix, suffix, read_out, length, tokens, k, tuple(setting or ()))
    ids = list(dict.fromkeys(strategy or []))
    own = not any(map(plugins.distribution_of, ids))
    question = asked(model, open_file(model), options) if own else _asked_of_plugins(model, ids, options)
    loaded = question.network
    provers = plugins.Provers(loaded, question.task)
    if operations is not None:
        if question.task is not None:
            raise ValueError(f"--budget: for a decoder there is one strategy, {ENUMERATE.id}")
        ids = ["budget"]
        if out_name is not None and Path(out_name).is_dir():
            raise ValueError(f"--out: {out_name} is a directory; with --budget name a file")
    else:
        ids = cp.feasible_strategies(loaded, question.task) if every else ids
        for strategy_id in ids or [ENUMERATE.id]:
            prover = provers.of(strategy_id)
            with plugins.blamed(strategy_id):
                prover.require(prover.library.strategy(strategy_id))
    targets = _targets(out_name, ids)
    proofs = []
    for proof, target in zip(_proofs(provers, ids, operations), targets, strict=True):
        proofs.append(proof)
        if target:
            _save(proof.certificate, target)
    exact = zoo.known_correct(loaded) if own else None
    if exact is None and not {"brute-force", ENUMERATE.id, ENUMERATE_UPPER.id}.isdisjoint(ids):
        exact = provers.of(ENUMERATE.id).exact_correct()
    for line in question.notes:
        say(line, to=err)
    for proof in proofs:
        prover, home = provers.of(proof.certificate.strategy), plugins.collection(proof.certificate.strategy)
        used = prover.library.strategy(proof.certificate.strategy)
        more = to_allow(used, home.declared(used, prover.problem, proof.certificate.hints), proof.cost)
        if more is not None:
            say(f"note: to check {used.id}, verify needs --max-ops {more}", to=err)
        if plugins.distribution_of(used.id):
            say(f"note: {used.id} is {_if_trusted(home)}", to=err)
    rows = [proof.as_dict(model, exact) for proof in proofs]
    if as_json:
        say_json(rows)
        return
    console = err if out_name == STANDARD else None
    tasks = dict.fromkeys(f"{_in_words(p.certificate.task)}, {p.certificate.total} inputs" for p in proofs)
    say(f"{model}: {question.words if own else '; '.join(tasks)}", to=console)
    if every:
        rows.sort(key=_worse)
    _say_bounds(rows, console)
    if every:
        say(_best(rows), to=console)
    if None in (row["normalised"] for row in rows):
        problem = provers.of(proofs[0].certificate.strategy).problem
        why = _why_not_normalised(problem, exact, ids) if own else "the exact accuracy is known of built-in tasks only"
        say(f"normalised: ?, since {why}", to=console)
    if out_name is not None and out_name != STANDARD:
        place = targets[0] if len(targets) == 1 else out_name
        say(f"{len(proofs)} certificate{'s' if len(proofs) > 1 else ''} written to {place}")


def _asked_of_plugins(name: str, strategy_ids: Sequence[str], options: Options) -> Question:
    """What is asked about the model in a file by strategies of plug-ins, whose companions choose the task."""
    if options != Options():
        raise ValueError("--task and what goes with it are for strategies of compactproofs; plug-ins choose the task")
    readers = {}
    for strategy_id in strategy_ids:
        if plugins.distribution_of(strategy_id) is None:
            raise ValueError("--strategy: prove by strategies of compactproofs and of plug-ins apart")
        home = plugins.collection(strategy_id)
        family = home.library.strategy(strategy_id).family
        readers[family] = home.networks.get(family)
    if len(readers) > 1:
        raise ValueError(f"--strategy: a model is of one family of networks, not of {' and '.join(readers)}")
    ((family, reader),) = readers.items()
    file = open_file(name)
    with plugins.blamed(strategy_ids[0]):
        if reader is not None:
            return Question(reader(file.data), None, "")
    return Question(file.decoder()[0] if family == Decoder.family else file.attention_only(), None, "")


def _proofs(provers: plugins.Provers, ids: list[str], budget: int | None) -> Iterator[cp.Proof]:
    """One proof after the other by each strategy, or the best one for a budget."""
    if budget is None:
        for strategy_id in track(ids, "proving", console=err, transient=True) if err.is_terminal else ids:
            with plugins.blamed(strategy_id):
                proof = provers.of(strategy_id).prove(strategy_id)
            yield proof
        return
    prover = provers.of("trivial")
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("trying", total=len(cp.feasible_strategies(prover.model)))
        yield prove_within(prover, budget, lambda strategy_id: progress.advance(bar))


def _in_words(task: Mapping[str, str | int]) -> str:
    """A task as certificates name it."""
    return ", ".join(f"{key} {value}" if key != "name" else str(value) for key, value in task.items())


def _if_trusted(home: plugins.Collection) -> str:
    source = home.source
    return f"proved only if you trust {source} (source sha256 {source.sha256}): give --trust {source.distribution}"


_OPERATIONS = re.compile(r"(\d+(?:\.\d*)?(?:[eE]\+?\d+)?)(?:\^(\d+(?:\.\d*)?))?", re.ASCII)


def _operations(option: str, text: str) -> int:
    """A number of operations: 2^21, 2097152 or 2.1e6."""
    found = _OPERATIONS.fullmatch(text.strip())
    try:
        number = float(found[1]) ** float(found[2] or 1) if found else math.inf
    except OverflowError:
        number = math.inf
    if number >= 2**63:
        raise ValueError(f"{option}: expected a number of operations such as 2^21 or 1.6e6, found {text!r}")
    return int(number)


def _targets(name: str | None, ids: list[str]) -> Sequence[Path | str | None]:
    """Where each certificate goes; refuses to replace a file that is not a certificate."""
    if name is None:
        return [None] * len(ids)
    several = len(ids) > 1
    if name == STANDARD:
        if several:
            raise ValueError(f"--out -: {len(ids)} certificates need a directory; one goes to standard output")
        return [STANDARD]
    path = Path(name)
    if several or path.is_dir():
        if path.exists() and not path.is_dir():
            raise ValueError(f"--out: {path} is a file; {len(ids)} certificates need a directory")
        check_directory(path)
        path.mkdir(parents=True, exist_ok=True)
        targets = [path / certificate_name(i) for i in ids]
    else:
        check_file(path)
        targets = [path]
    for target in targets:
        if target.exists():
            try:
                load_certificate(target)
            except ValueError as error:
                raise ValueError(f"--out: {target} exists and is not a certificate; choose another name") from error
    return targets


def _save(certificate: cp.Certificate, target: Path | str) -> None:
    if target == STANDARD:
        print(certificate.to_bytes().decode("ascii"), end="")
        return
    try:
        certificate.save(target)
    except OSError as error:
        raise ValueError(f"--out: cannot write {target}: {error.strerror or error}") from error


def _say_bounds(rows: list[Bound], console: Console | None) -> None:
    headers = ("certified", "bound", "normalised", "FLOPs", "unexplained", "search", "verify", "strategy")
    cells = [
        (
            _count(row),
            f"{row['bound']:.6f}",
            "?" if row["normalised"] is None else f"{row['normalised']:.4f}",
            power(row["flops"]),
            power(row["unexplained_dimension"]),
            f"{row['search_seconds']:.2f} s",
            f"{row['verify_seconds']:.2f} s",
            row["strategy"],
        )
        for row in rows
    ]
    say_table(headers, cells, label=7, numbers=range(7), to=console)


def _count(row: Bound) -> str:
    certified = row["certified"] if len(row["certified"]) <= 15 else f"{Decimal(row['certified']):.6e}"
    return f"{'≤ ' if row['claim'] == 'at most' else ''}{certified}"


def _worse(row: Bound) -> tuple[bool, int, int]:
    """Sorts the best bound from below first, then the best one from above; of equal ones that of fewer operations."""
    above = row["claim"] == "at most"
    return above, int(row["certified"]) * (1 if above else -1), row["flops"]


def _best(rows: list[Bound]) -> str:
    """The best bounds of rows that are sorted: from below, and from above if there are such."""
    best = {row["claim"]: row for row in reversed(rows)}
    return "best: " + "; ".join(
        f"{claim} {best[claim]['certified']} of {best[claim]['total']} by {best[claim]['strategy']}, "
        f"{power(best[claim]['flops'])} operations"
        for claim in CLAIMS
        if claim in best
    )


def _why_not_normalised(problem: Problem[Any, Any], exact: int | None, ids: list[str]) -> str:
    if exact == 0:
        return "no input is answered correctly"
    if problem.network.family == Decoder.family:
        return "the exact accuracy is not known (inputs were left undecided)"
    limit = get_strategy("brute-force").limit(problem)
    if limit is None:
        limit = "brute force left inputs undecided" if "brute-force" in ids else "brute force was not asked for"
    return f"the exact accuracy is not known ({limit})"


@app.command()
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
    as_json: JsonOption = False,
) -> int:
    """Check certificates against a model: exit code 0 all accepted, 1 some rejected, 2 anything else."""
    if not max_memory >= 0.0:
        raise ValueError(f"--max-memory: expected a number of GiB such as 16, found {max_memory}")
    limits = {
        "max_ops": None if max_ops is None else _operations("--max-ops", max_ops),
        "max_memory": int(min(max_memory, 2.0**30) * 2**30),
    }
    trusted = {plugins.normalised(name) for name in trust or ()}
    for name in trusted - plugins.found().keys() if trusted else ():
        raise ValueError(f"--trust: {plugins.not_installed(name, plugins.found())}")
    path = Path(certificate)
    of_directory = certificate != STANDARD and path.is_dir()
    try:
        found = _look_into(path, recursive) if of_directory else _Found({certificate: path})
        if not found.certificates:
            raise ValueError("; ".join((f"{certificate} holds no files named *.cert.json", *found.left_out(recursive))))
        not_a_model = Path(model).suffix == ".json" or Path(model).is_dir()
        missing = certificate != STANDARD and not path.exists()
        if path.suffix == ".safetensors" or (missing and not_a_model):
            raise ValueError(f"{certificate} is no certificate; the order is: verify CERTIFICATE MODEL")
        if certificate == model == STANDARD:
            raise ValueError("standard input cannot be both the certificate and the model")
        subjects = _Subjects(open_file(model))
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


_EXIT_CODES = {"accepted": 0, "rejected": 1, "conditional": 2, "refused": 2, "malformed": 2}
_COLOURS = {"accepted": "green", "rejected": "red", "conditional": "yellow", "refused": "yellow", "malformed": "yellow"}


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

    def __init__(self, file: File) -> None:
        self._file = file
        self._known: dict[Any, tuple[Any, Workspace[Any, Any] | None]] = {}

    def of(self, home: plugins.Collection, claim: cp.Certificate) -> tuple[Any, Workspace[Any, Any] | None]:
        """The network, and for strategies of this package a workspace if the task fits; raises ValueError."""
        reader = home.networks.get(claim.family)
        key = reader or repr((claim.family, sorted(claim.task.items())))
        if key not in self._known:
            self._known[key] = self._own(claim) if reader is None else (reader(self._file.data), None)
        network, work = self._known[key]
        return network, work if home.source.distribution == plugins.OWN else None

    def _own(self, claim: cp.Certificate) -> tuple[Any, Workspace[Any, Any] | None]:
        """By a reader of this package; raises _NoModel if there is no model in the file."""
        if not self._known:
            try:
                self._file.network()
            except (ValueError, OSError, MemoryError) as error:
                raise _NoModel(error) from error
        network = self._file.network_of(claim)
        if isinstance(network, Decoder) and not self._file.says_how:
            say(f"note: the model's file does not say how it is used; read here as a {about(network)}", to=err)
        try:
            task = BUILT_IN.task(claim.task)
            return network, Workspace(Problem(network, task)) if task.misfit(network) is None else None
        except ValueError:  # of which verification says more
            return network, None


def _outcome(
    file: Path | str, subjects: _Subjects, limits: Mapping[str, Any], trusted: set[str], allowed: set[str] | None
) -> dict[str, Any] | None:
    """What checking the certificate comes to; None if it needs another plug-in than those that are allowed."""
    try:
        claim = load_certificate(file)
    except (ValueError, OSError) as error:
        return {"outcome": "malformed", "reason": reason(error)}
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
    try:
        allowance, start = Allowance(), time.perf_counter()
        with _watched(allowance, claim.strategy), plugins.blamed(claim.strategy):
            verdict = home.verify(claim, network, work, allowance=allowance, **limits)
    except cp.MalformedCertificate as error:
        return {"outcome": "malformed", "reason": reason(error)}
    except (ValueError, OSError, MemoryError) as error:
        return {"outcome": "refused", "reason": reason(error)}
    conditional = verdict.accepted and distribution is not None and distribution not in trusted
    return {
        "outcome": "conditional" if conditional else "accepted" if verdict.accepted else "rejected",
        "reason": f"{verdict.reason}, {_if_trusted(home)}" if conditional else verdict.reason,
        "strategy": claim.strategy,
        **_whose(home, home.library.strategy(claim.strategy)),
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
    say(f": {outcome['reason']}{whose}{where}", start=word, style=f"bold {_COLOURS[word]}")


@app.command()
def show(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A certificate, - for one on standard input, a model file, or a zoo name."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Say what a model or certificate contains, without checking any claim."""
    if path == STANDARD or _is_like_certificate(Path(path)):
        fields, facts = _about_certificate(load_certificate(path))
    else:
        file = open_file(path)
        network = file.network()
        if isinstance(network, Decoder):
            fields, facts = _about_decoder(*file.decoder())
        else:
            fields, facts = _about_model(path, network)
    if as_json:
        say_json(facts)
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        say(f"  {value}", start=name.ljust(width), style="bold")


def _is_like_certificate(file: Path) -> bool:
    if not file.is_file() or file.suffix == ".safetensors" or file.name.endswith(".index.json"):
        return False
    with file.open("rb") as stream:
        return file.suffix == ".json" or stream.read(1) == b"{"


Described = tuple[dict[str, str], dict[str, Any]]  # in words, and for JSON


def _about_certificate(certificate: cp.Certificate) -> Described:
    task, hints = certificate.task, certificate.hints
    said = {
        "certificate": f"claims (unchecked) that {certificate}",
        "task": _in_words(task),
        "family": certificate.family,
        "model": certificate.model_sha256,
        "strategy": certificate.strategy,
        "theorem": certificate.theorem,
        "tier": _tier(certificate.strategy),
        "hints": "; ".join(f"{name}: {hint.dtype} {hint.shape}" for name, hint in hints.items()) or "none",
        "written by": certificate.tool,
    }
    return said, {
        "kind": "certificate",
        "claim": certificate.claim,
        "certified": str(certificate.certified),
        "total": str(certificate.total),
        "family": certificate.family,
        "task": dict(task),
        "model_sha256": certificate.model_sha256,
        "strategy": certificate.strategy,
        "theorem": certificate.theorem,
        "tier": _tier(certificate.strategy),
        "hints": {name: {"dtype": str(hint.dtype), "shape": list(hint.shape)} for name, hint in hints.items()},
        "tool": certificate.tool,
    }


def _tier(strategy_id: str) -> str:
    """Whose theorem a certificate says it rests on; no plug-in is imported for that."""
    distribution = plugins.distribution_of(strategy_id)
    if distribution is None:
        known = BUILT_IN.strategies.get(strategy_id)
        return "unknown" if known is None else f"{plugins.built_in().tier(known)} of compactproofs {cp.__version__}"
    return f"plug-in {plugins.found().get(distribution, f'{distribution}, which is not installed')}"


def _about_decoder(network: Decoder, assumed: dict[str, object]) -> Described:
    sizes = {name: getattr(network, name) for name in ("d_vocab", "d_vocab_out", "n_ctx", "d_model", "d_head", "d_mlp")}
    largest = max(float(abs(tensor).max()) for tensor in network.tensors.values())
    said = {
        "model": about(network),
        "sizes": ", ".join(f"{name} {size}" for name, size in sizes.items()),
        "sha256": network.sha256,
        "largest weight": f"{largest:.4g}",
        "reading": "; ".join(reading(assumed)) or "as the settings in its metadata say",
    }
    return said, {
        "kind": "decoder",
        "n_layers": network.n_layers,
        "n_heads": network.n_heads,
        **sizes,
        "configuration": network.configuration.record,
        "sha256": network.sha256,
        "largest_weight": largest,
        "assumed": {name: str(value) for name, value in assumed.items()},
    }


def _about_model(name: str, model: cp.Model) -> Described:
    correct = zoo.known_correct(model)
    inputs = str(max_of_k(model).task.total)
    said = notes.in_full(name, model)
    largest = max(float(abs(weight).max()) for weight in model.state_dict().values())
    words = {
        "model": f"max of {model.n_ctx}, {model.d_vocab} tokens, d_model {model.d_model}, d_head {model.d_head}",
        **({"biases": f"{', '.join(model.biases)}; folded into the weights, exactly"} if model.biases else {}),
        "inputs": inputs,
        "sha256": model.sha256,
        "largest weight": f"{largest:.4g}",
        "accuracy": "unknown" if correct is None else f"{correct} inputs correct (from the zoo's table)",
        **said,
    }
    return words, {
        "kind": "model",
        "n_ctx": model.n_ctx,
        "d_vocab": model.d_vocab,
        "d_model": model.d_model,
        "d_head": model.d_head,
        "biases": list(model.biases),
        "inputs": inputs,
        "sha256": model.sha256,
        "largest_weight": largest,
        "correct": None if correct is None else str(correct),
        **said,
    }


@app.command()
def train(
    out_dir: Annotated[Path, typer.Option("--out", help="The directory for <seed>.safetensors files.")],
    seed: Annotated[list[int] | None, typer.Option(help="An experiment seed; may be given several times.")] = None,
    paper_seeds: Annotated[bool, typer.Option("--paper-seeds", help="Use the 151 seeds of the paper.")] = False,
    n_ctx: Annotated[int, typer.Option(help="Tokens in an input, K.")] = 4,
    d_vocab: Annotated[int, typer.Option(help="Number of tokens, v.")] = 64,
    steps: Annotated[int, typer.Option(help="Training steps of 128 sequences.")] = 3000,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
) -> None:
    """Train models by the paper's recipe; finished seeds are skipped, so an interrupted run resumes."""
    from compactproofs import training

    if paper_seeds == bool(seed):
        raise ValueError("choose seeds: --seed N (may be repeated), or --paper-seeds")
    seeds = seed or [row.seed for row in zoo.table() if row.name.startswith("max-of-4/")]
    config = training.TrainingConfig(n_ctx=n_ctx, d_vocab=d_vocab, steps=steps)
    check_directory(out_dir)
    report = training.train(config, seeds, out_dir, jobs=jobs, progress=True)
    say(f"{len(report.trained)} trained, {len(report.skipped)} already there, in {out_dir}")


OutOption = Annotated[Path, typer.Option("--out", help="The directory for results, certificates and figures.")]
SeedsOption = Annotated[int | None, typer.Option(help="Use only the first N models; default: all 151.")]
JobsOption = Annotated[int, typer.Option(min=1, help="Processes.")]
SchedulerOption = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, instead of processes.")]


@app.command()
def table1(
    out_dir: OutOption, seeds: SeedsOption = None, jobs: JobsOption = 2, scheduler: SchedulerOption = None
) -> None:
    """Reproduce the paper's Table 1: all its strategies on its models; an interrupted run resumes."""
    _extra("paper.command").run_table1(out_dir, seeds, jobs, scheduler)


@app.command()
def frontier(
    out_dir: OutOption, seeds: SeedsOption = None, jobs: JobsOption = 2, scheduler: SchedulerOption = None
) -> None:
    """Draw bounds against operations, the paper's strategies and ours; takes up the results of table1 in --out."""
    _extra("paper.command").run_frontier(out_dir, seeds, jobs, scheduler)


@app.command()
def explain(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A zoo name, or a path to a .safetensors file.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="all|N", help="Instead of one model, all 151 of the paper or the first N.")
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--out", help="The page, such as report.html; its figures go beside it.")
    ] = None,
    jobs: JobsOption = 2,
    scheduler: SchedulerOption = None,
) -> None:
    """Show the mechanism: an HTML report about a model, or over many; with --seeds an interrupted run resumes."""
    if (model is None) == (seeds is None):
        raise ValueError("choose one: a MODEL, or --seeds all")
    command = _extra("report.command")
    if model is not None:
        command.explain_model(model, target)
    else:
        command.explain_models(seeds, target, jobs, scheduler)


@app.command()
def export(
    model: ModelArgument,
    coq: Annotated[Path, typer.Option("--coq", metavar="DIR", help="The directory for Weights.v, Hints.v, Theorem.v.")],
    certificate: Annotated[
        str | None,
        typer.Option(
            "--certificate",
            metavar="FILE",
            help="State what this certificate claims; without it the theorem is the best that the checker will find.",
        ),
    ] = None,
) -> None:
    """Write a theorem about a model for Coq: exact weights, hints, and what is claimed."""
    from compactproofs.formal import command

    say(f"{coq}: {command.export_to(coq, model, certificate)}")


@app.command("formal-check")
def formal_check(
    what: Annotated[
        str, typer.Argument(metavar="DIR|CERTIFICATE|MODEL", help="An exported directory, a certificate, or a model.")
    ],
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="The certificate's model.")] = None,
    library: Annotated[
        Path | None, typer.Option(help="The folder 'formal' of the repository, where it is elsewhere.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Have Coq's kernel check a theorem about a model: what it says, how long it took, and what it rests on."""
    from compactproofs.formal import command

    verdict = command.formal_check(what, model, library)
    if as_json:
        say_json(command.as_dict(verdict))
    else:
        word = "accepted" if verdict.accepted else "rejected"
        first, *more = command.in_words(verdict)
        say(f": {first}", start=word, style=f"bold {_COLOURS[word]}")
        for line in more:
            say(line)
    return 0 if verdict.accepted else 1


def _extra(module: str) -> ModuleType:
    try:
        return importlib.import_module(f"compactproofs.{module}")
    except ImportError as error:
        raise ImportError('this command needs more packages: pip install "compactproofs[report]"') from error
