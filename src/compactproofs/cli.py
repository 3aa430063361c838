"""The command line: parse, call, print.

Exit codes: 0 done or accepted, 1 rejected, 2 malformed or unusable input, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import os
import sys
import traceback
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

import compactproofs as cp
from compactproofs import notes, zoo
from compactproofs.arrays.machine import UnsuitableArithmetic
from compactproofs.budget import prove_within
from compactproofs.certificate import certificate_name
from compactproofs.strategies import get_strategy
from compactproofs.workspace import Workspace


class _Commands(TyperGroup):
    """Typer ends an interrupted command without a word; this says what the command says about it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            err.print(Text(str(error) or "interrupted"))
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 220)
err = Console(stderr=True, soft_wrap=True, highlight=False)

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A zoo name such as max-of-4/123, or a path to a .safetensors file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """Run the command line; every error that a user can cause is one line on stderr and exit code 2.

    A bug shows where it is, and exits with 2 as well, so that it does not look like a rejection.
    """
    try:
        app()
    except (ValueError, OSError, MemoryError, ImportError, UnsuitableArithmetic) as error:
        err.print(Text.assemble(("error:", "bold red"), f" {_message(error)}"))
        sys.exit(2)
    except Exception:
        traceback.print_exc()
        sys.exit(2)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory for this model ({error})" if str(error) else "not enough memory"
    return str(error)


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
def show_strategies() -> None:
    """List the strategies: id, complexity, and what each does."""
    table = Table("strategy", "complexity", "what it does", box=SIMPLE)
    for strategy in cp.STRATEGIES.values():
        table.add_row(strategy.id, strategy.complexity, strategy.summary)
    _print_in_full(table)


@app.command("zoo")
def show_zoo(as_json: JsonOption = False) -> None:
    """List the trained models that ship with the package."""
    rows = zoo.table()
    if as_json:
        _print_json([dataclasses.asdict(row) for row in rows])
        return
    table = Table("name", "K", "tokens", "accuracy", "known from", box=SIMPLE)
    for row in rows:
        exact = row.exact_correct is not None
        accuracy = row.exact_correct / row.total if row.exact_correct is not None else row.sampled_accuracy or 0.0
        source = "all inputs" if exact else f"{row.samples:,} inputs"
        table.add_row(row.name, str(row.n_ctx), str(row.d_vocab), f"{accuracy:.6f}", source)
    out.print(table)


@app.command()
def prove(
    model: ModelArgument,
    strategy: Annotated[list[str] | None, typer.Option(help="A strategy id; may be given several times.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Use every strategy that is feasible for this model.")] = False,
    out_path: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write certificates: a file for one strategy, a directory for several."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Find the best bound for this many operations, such as 2^21 or 1.6e6, by any strategy."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove bounds on a model's accuracy, check them, and write certificates."""
    if every + bool(strategy) + (budget is not None) != 1:
        raise ValueError("choose one: --strategy ID (may be repeated), --all, or --budget FLOPS")
    loaded = cp.load_model(model)
    if budget is not None:
        _prove_within(model, loaded, _operations(budget), out_path, as_json)
        return
    ids = cp.feasible_strategies(loaded) if strategy is None else list(dict.fromkeys(strategy))
    for strategy_id in ids:
        reason = get_strategy(strategy_id).limit(loaded)
        if reason is not None:
            raise cp.Infeasible(f"{strategy_id}: {reason}")
    targets = _targets(out_path, ids)
    prover = cp.Prover(loaded)
    proofs = []
    for strategy_id in track(ids, "proving", console=err, transient=True) if err.is_terminal else ids:
        proof = prover.prove(strategy_id)
        proofs.append(proof)
        if strategy_id in targets:
            _save(proof.certificate, targets[strategy_id])
    exact = zoo.known_correct(loaded)
    if exact is None and "brute-force" in ids:
        exact = prover.exact_correct()
    place = next(iter(targets.values())) if len(targets) == 1 else out_path
    _print_proofs(model, loaded, proofs, exact, place, as_json)


def _prove_within(name: str, model: cp.Model, budget: int, out_path: Path | None, as_json: bool) -> None:
    """The best bound for a budget, of any strategy."""
    if out_path is not None and out_path.is_dir():
        raise ValueError(f"--out: {out_path} is a directory; with --budget name a file")
    target = _targets(out_path, ["budget"]).get("budget")
    prover = cp.Prover(model)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("trying", total=len(cp.feasible_strategies(model)))
        proof = prove_within(prover, budget, lambda strategy_id: progress.advance(bar))
    if target is not None:
        _save(proof.certificate, target)
    _print_proofs(name, model, [proof], zoo.known_correct(model), target, as_json)


def _operations(text: str) -> int:
    """A number of operations: 2^21, 2097152 or 2.1e6."""
    base, _, power = text.partition("^")
    try:
        number = float(base) ** float(power or 1)
    except (ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < 2**63:
        raise ValueError(f"--budget: expected a number of operations such as 2^21 or 1.6e6, found {text!r}")
    return int(number)


def _print_proofs(
    name: str, model: cp.Model, proofs: list[cp.Proof], exact: int | None, place: Path | None, as_json: bool
) -> None:
    for line in notes.in_short(name, model):
        err.print(Text(line))
    rows = [proof.as_dict(name, exact) for proof in proofs]
    if as_json:
        _print_json(rows)
        return
    size = f"max of {model.n_ctx}, {model.d_vocab} tokens, {rows[0]['total']} inputs"
    out.print(Text(f"{name}: {size}; {notes.LABEL}"))
    _print_in_full(_bounds_table(rows))
    if place is not None:
        out.print(Text(f"{len(proofs)} certificate{'s' if len(proofs) > 1 else ''} written to {place}"))


def _targets(path: Path | None, ids: list[str]) -> dict[str, Path]:
    """Where each certificate goes; refuses to replace a file that is not a certificate."""
    if path is None:
        return {}
    if len(ids) > 1 and path.exists() and not path.is_dir():
        raise ValueError(f"--out: {path} is a file; {len(ids)} certificates need a directory")
    if len(ids) == 1 and not path.is_dir():
        targets = {ids[0]: path}
        if not path.parent.is_dir():
            raise ValueError(f"--out: the directory {path.parent} does not exist")
    else:
        path.mkdir(parents=True, exist_ok=True)
        targets = {i: path / certificate_name(i) for i in ids}
    directory = next(iter(targets.values())).parent
    if not os.access(directory, os.W_OK):
        raise ValueError(f"--out: cannot write to the directory {directory}")
    for target in targets.values():
        if target.exists():
            try:
                cp.Certificate.load(target)
            except ValueError as error:
                raise ValueError(f"--out: {target} exists and is not a certificate; choose another name") from error
    return targets


def _save(certificate: cp.Certificate, target: Path) -> None:
    try:
        certificate.save(target)
    except OSError as error:
        raise ValueError(f"--out: cannot write {target}: {error.strerror or error}") from error


def _bounds_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE)
    for header in ("certified", "bound", "normalised", "FLOPs", "unexplained", "search", "verify"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("strategy", no_wrap=True)
    for row in rows:
        certified = row["certified"] if len(row["certified"]) <= 15 else f"{Decimal(row['certified']):.6e}"
        table.add_row(
            f"{'≤ ' if row['claim'] == 'at most' else ''}{certified}",
            f"{row['bound']:.6f}",
            "?" if row["normalised"] is None else f"{row['normalised']:.4f}",
            _power(row["flops"]),
            _power(row["unexplained_dimension"]),
            f"{row['search_seconds']:.2f} s",
            f"{row['verify_seconds']:.2f} s",
            row["strategy"],
        )
    return table


def _print_in_full(table: Table) -> None:
    """Print a table as wide as it is: a terminal that is too narrow wraps its lines, which rich would cut to pieces."""
    needed = out.measure(table, options=out.options.update(max_width=1000)).maximum
    Console(width=max(out.width, needed), soft_wrap=True, highlight=False).print(table)


def _power(number: int) -> str:
    return f"2^{math.log2(number):.1f}" if number else "0"


@app.command()
def verify(
    certificate: Annotated[
        Path, typer.Argument(metavar="CERTIFICATE", help="A certificate, or a directory of them (*.cert.json).")
    ],
    model: ModelArgument,
    as_json: JsonOption = False,
) -> None:
    """Check certificates against a model: exit code 0 all accepted, 1 some rejected, 2 some malformed."""
    files = sorted(certificate.glob("*.cert.json")) if certificate.is_dir() else [certificate]
    try:
        if not files:
            raise ValueError(f"{certificate} holds no files named *.cert.json")
        not_a_model = Path(model).suffix == ".json" or Path(model).is_dir()
        if certificate.suffix == ".safetensors" or (not certificate.exists() and not_a_model):
            raise ValueError(f"{certificate} is no certificate; the order is: verify CERTIFICATE MODEL")
        loaded = cp.load_model(model)
    except (ValueError, OSError, MemoryError) as error:
        _print_outcomes([{"outcome": "malformed", "reason": _message(error)}], as_json, certificate.is_dir())
        raise typer.Exit(2) from None
    work = Workspace(loaded, "check")
    outcomes = [_outcome(file, loaded, work) for file in files]
    if certificate.is_dir():
        outcomes = [{"certificate": file.name, **outcome} for file, outcome in zip(files, outcomes, strict=True)]
    _print_outcomes(outcomes, as_json, certificate.is_dir())
    raise typer.Exit(max(_EXIT_CODES[outcome["outcome"]] for outcome in outcomes))


_EXIT_CODES = {"accepted": 0, "rejected": 1, "malformed": 2}
_COLOURS = {"accepted": "green", "rejected": "red", "malformed": "yellow"}


def _outcome(file: Path, model: cp.Model, work: Workspace) -> dict[str, Any]:
    try:
        claim = cp.Certificate.load(file)
        verdict = cp.verify(claim, model, work)
    except (ValueError, OSError, MemoryError) as error:
        return {"outcome": "malformed", "reason": _message(error)}
    return {
        "outcome": "accepted" if verdict.accepted else "rejected",
        "reason": verdict.reason,
        "strategy": claim.strategy,
        "claim": claim.claim,
        "claimed": str(claim.certified),
        "recomputed": None if verdict.certified is None else str(verdict.certified),
        "total": str(claim.total),
        "flops": verdict.cost.flops if verdict.cost else None,
        "verify_seconds": round(verdict.seconds, 6),
    }


def _print_outcomes(outcomes: list[dict[str, Any]], as_json: bool, of_directory: bool) -> None:
    if as_json:
        _print_json(outcomes if of_directory else outcomes[0])
        return
    for outcome in outcomes:
        where = f" ({outcome['certificate']})" if "certificate" in outcome else ""
        name = outcome["outcome"]
        out.print(Text.assemble((name, f"bold {_COLOURS[name]}"), f": {outcome['reason']}{where}"))


@app.command()
def show(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A certificate, a model file, or a zoo name.")],
) -> None:
    """Say what a model or certificate contains, without checking any claim."""
    file = Path(path)
    if file.is_file() and file.suffix != ".safetensors" and _starts_like_json(file):
        _show_certificate(cp.Certificate.load(file))
    else:
        _show_model(path)


def _starts_like_json(file: Path) -> bool:
    with file.open("rb") as stream:
        return file.suffix == ".json" or stream.read(1) == b"{"


def _show_certificate(certificate: cp.Certificate) -> None:
    task = certificate.task
    _fields(
        {
            "certificate": f"claims (unchecked) that {certificate}",
            "task": f"{task['name']} of {task['n_ctx']} tokens from {task['d_vocab']}",
            "model": certificate.model_sha256,
            "strategy": certificate.strategy,
            "theorem": certificate.theorem,
            "hints": "; ".join(f"{n}: {h.dtype} {h.shape}" for n, h in certificate.hints.items()) or "none",
            "written by": certificate.tool,
        }
    )


def _show_model(name: str) -> None:
    model = cp.load_model(name)
    correct = zoo.known_correct(model)
    _fields(
        {
            "model": f"max of {model.n_ctx}, {model.d_vocab} tokens, d_model {model.d_model}, d_head {model.d_head}",
            "inputs": str(model.d_vocab**model.n_ctx),
            "sha256": model.sha256,
            "largest weight": f"{max(abs(w).max() for w in model.state_dict().values()):.4g}",
            "accuracy": "unknown" if correct is None else f"{correct} inputs correct (from the zoo's table)",
            **notes.in_full(name, model),
        }
    )


def _fields(fields: dict[str, str]) -> None:
    width = max(map(len, fields))
    for name, value in fields.items():
        out.print(Text.assemble((name.ljust(width), "bold"), f"  {value}"))


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
    report = training.train(config, seeds, out_dir, jobs=jobs, progress=True)
    out.print(Text(f"{len(report.trained)} trained, {len(report.skipped)} already there, in {out_dir}"))


OutOption = Annotated[Path, typer.Option("--out", help="The directory for results, certificates and figures.")]
SeedsOption = Annotated[int | None, typer.Option(help="Use only the first N models; default: all 151.")]
JobsOption = Annotated[int, typer.Option(min=1, help="Processes.")]
SchedulerOption = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, instead of processes.")]


@app.command()
def table1(
    out_dir: OutOption, seeds: SeedsOption = None, jobs: JobsOption = 2, scheduler: SchedulerOption = None
) -> None:
    """Reproduce the paper's Table 1: all its strategies on its models; an interrupted run resumes."""
    _experiments().run_table1(out_dir, seeds, jobs, scheduler, out, err)


@app.command()
def frontier(
    out_dir: OutOption, seeds: SeedsOption = None, jobs: JobsOption = 2, scheduler: SchedulerOption = None
) -> None:
    """Draw bounds against operations, the paper's strategies and ours; takes up the results of table1 in --out."""
    _experiments().run_frontier(out_dir, seeds, jobs, scheduler, out, err)


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
    command = _experiments("explain")
    if model is not None:
        command.explain_model(model, target, out, err)
    else:
        command.explain_models(seeds, target, jobs, scheduler, out, err)


def _experiments(module: str = "command") -> ModuleType:
    try:
        return importlib.import_module(f"compactproofs.experiments.{module}")
    except ImportError as error:
        raise ImportError('this command needs more packages: pip install "compactproofs[report]"') from error


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))
