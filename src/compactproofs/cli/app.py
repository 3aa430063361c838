"""The command line: parse, call, print.

What a command returns is the exit code; only `verify` returns one.  Errors are raised, and end in `__main__`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
from pathlib import Path
from typing import Annotated

import typer
from typer.completion import shell_complete

import compactproofs as cp
from compactproofs import plugins, zoo
from compactproofs.cli.common import (
    COLOURS,
    DaskOption,
    FamilyOption,
    JobsOption,
    JsonOption,
    ModelArgument,
    extra,
    operations_of,
    whose,
)
from compactproofs.cli.common import models as known_models
from compactproofs.cli.doctor import doctor
from compactproofs.cli.proving import prove
from compactproofs.cli.questions import task_of
from compactproofs.cli.sampling import sample
from compactproofs.cli.showing import show
from compactproofs.cli.sweeping import sweep
from compactproofs.cli.verifying import verify
from compactproofs.opening.pairs import TASKS
from compactproofs.search.questions import Options
from compactproofs.system.places import check_directory
from compactproofs.system.terminal import err, say, say_json, say_table

_COMPLETE = "_COMPACTPROOFS_COMPLETE"

app = typer.Typer(
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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
        request = os.environ.get(_COMPLETE)
        if request:  # what completion scripts set
            # Errors of what is being typed are not for the terminal, and their exit codes for nobody.
            return shell_complete(command, {}, "compactproofs", _COMPLETE, request) and 2
        with command.make_context("compactproofs", list(arguments) or ["--help"]) as context:
            return command.invoke(context) or 0
    except typer.Exit as stop:  # after --help and --version
        return 2 if stop.exit_code or not arguments else 0
    except Exception as error:  # wrong usage that is found before it is known of which command
        if getattr(error, "ctx", error) is None and arguments[0] in command.commands:
            of_all = typer.Context(command, info_name="compactproofs")
            error.ctx = typer.Context(command.commands[arguments[0]], of_all, arguments[0])  # type: ignore[attr-defined]
        raise


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
                **whose(collection, strategy),
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


@app.command("zoo")
def show_zoo(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Print where the file of this model is, and nothing else."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the trained models that ship with the package, and those of compactproofs-zoo where it is installed."""
    if name is not None:
        place = str(zoo.path(name))
        if as_json:
            say_json({"name": name, "path": place})
        else:
            print(place)  # whole, for other programs
        return
    rows, pairs = zoo.table(), zoo.pair_table()
    if as_json:
        say_json([*map(dataclasses.asdict, rows), *map(dataclasses.asdict, pairs)])
        return
    cells = []
    for row in rows:
        exact = row.exact_correct is not None
        accuracy = row.exact_correct / row.total if row.exact_correct is not None else row.sampled_accuracy or 0.0
        source = "all inputs" if exact else f"{row.samples:,} inputs"
        cells.append((row.name, str(row.n_ctx), str(row.d_vocab), f"{accuracy:.6f}", source))
    say_table(("name", "K", "tokens", "accuracy", "known from"), cells, numbers=(1, 2, 3))
    if not pairs:
        say(zoo.PAIRS_MISSING)
        return
    held_out = [(pair.name, f"{pair.pairs:,}", str(pair.epochs), f"{pair.test_accuracy:.6f}") for pair in pairs]
    say_table(("name", "pairs", "epochs", "right on pairs not trained on"), held_out, numbers=(1, 2, 3))


for command in (prove, sweep, verify, show, sample, doctor):
    app.command()(command)


@app.command()
def train(
    out_dir: Annotated[Path, typer.Option("--out", help="The directory for <seed>.safetensors files.")],
    seed: Annotated[list[int] | None, typer.Option(help="An experiment seed; may be given several times.")] = None,
    paper_seeds: Annotated[bool, typer.Option("--paper-seeds", help="Use the 151 seeds of the paper.")] = False,
    n_ctx: Annotated[int, typer.Option(help="Tokens in an input, K.")] = 4,
    d_vocab: Annotated[int, typer.Option(help="Number of tokens, v.")] = 64,
    heads: Annotated[int, typer.Option(help="Heads; each is 32 / heads wide.")] = 1,
    steps: Annotated[int, typer.Option(help="Training steps of 128 sequences.")] = 3000,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
) -> None:
    """Train models by the paper's recipe; finished seeds are skipped, so an interrupted run resumes."""
    from compactproofs import training

    if paper_seeds == bool(seed):
        raise ValueError("choose seeds: --seed N (may be repeated), or --paper-seeds")
    seeds = seed or [row.seed for row in zoo.table() if row.name.startswith("max-of-4/")]
    one_head = training.TrainingConfig(n_ctx=n_ctx, d_vocab=d_vocab, steps=steps)
    config = dataclasses.replace(one_head, n_heads=heads, d_head=one_head.d_model // max(heads, 1))
    check_directory(out_dir)
    report = training.train(config, seeds, out_dir, jobs=jobs, progress=True)
    say(f"{len(report.trained)} trained, {len(report.skipped)} already there, in {out_dir}")


@app.command()
def tighten(
    out_dir: Annotated[Path, typer.Option("--out", help="The directory for networks, certificates and results.")],
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Zoo names, or paths to .safetensors files.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="all|N", help="Instead, all 151 models of the paper or the first N.")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="A sub-cubic strategy, subspace, number-line or, for addition, pair-sum/few-directions; default: the "
            "paper's cheapest."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Instead of --strategy, the most operations that checking the new networks may take, such as 2^20.5."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps.")] = 1000,
    rate: Annotated[float, typer.Option(help="Learning rate of AdamW.")] = 0.005,
    distance_penalty: Annotated[
        float | None, typer.Option(help="What moving the weights costs; default: 0, for number-line 10.")
    ] = None,
    dimensions: Annotated[
        int | None, typer.Option(help="How many embeddings keep; default: for subspace 6, for few-directions 8.")
    ] = None,
    frequencies: Annotated[int, typer.Option(help="How many addition keeps, for few-directions.")] = 3,
    neurons: Annotated[int, typer.Option(help="How many are kept, for few-directions.")] = 48,
    seed: Annotated[int, typer.Option(help="Of the random inputs.")] = 0,
    control: Annotated[bool, typer.Option(help="Also train as long on cross-entropy alone, to compare.")] = True,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Train networks until a cheap proof holds: certificates before and after; an interrupted run resumes."""
    operations = None if budget is None else operations_of("--budget", budget)
    from compactproofs import training

    command = importlib.import_module("compactproofs.training.command")
    if strategy == "pair-sum/few-directions":
        if seeds is not None or budget is not None or distance_penalty is not None:
            raise ValueError(f"--seeds, --budget and --distance-penalty are not for {strategy}; name the models")
        few = importlib.import_module("compactproofs.training.few_directions").FewDirections(
            steps=steps,
            learning_rate=rate,
            frequencies=frequencies,
            dimensions=8 if dimensions is None else dimensions,
            neurons=neurons,
        )
        command.run_tighten(models or [], None, out_dir, few, False, jobs)
        return
    dimensions = 6 if dimensions is None else dimensions
    if operations is not None:
        if strategy is not None:
            raise ValueError("choose one: --strategy or --budget, which chooses a strategy")
        strategy, dimensions = command.within(operations, models or [], seeds, dimensions)
    how = training.Tightening(
        strategy=strategy or training.CHEAPEST,
        steps=steps,
        learning_rate=rate,
        distance_penalty=distance_penalty,
        dimensions=dimensions,
        seed=seed,
    )
    command.run_tighten(models or [], seeds, out_dir, how, control, jobs)


@app.command()
def train_pairs(
    task: Annotated[str, typer.Argument(help="add-N, addition modulo N, or a group: SN, AN, DN, FN or CN.")],
    out_dir: Annotated[Path, typer.Option("--out", help="The directory for <seed>.safetensors files.")],
    seed: Annotated[list[int], typer.Option(help="A seed; may be given several times. All are trained at once.")],
    epochs: Annotated[int | None, typer.Option(help="Epochs; default: those of the recipe.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Part of all pairs that is trained on.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda for a GPU.")] = "cpu",
) -> None:
    """Train networks on all pairs of a table: addition or a group; an interrupted run resumes."""
    from compactproofs.training import pair_sum

    config = pair_sum.config_for(task, epochs=epochs, fraction=fraction)
    check_directory(out_dir)
    report = pair_sum.train_pairs(config, seed, out_dir, device=device, tell=lambda line: say(line, to=err))
    say(f"{len(report.trained)} trained, {len(report.skipped)} already there, in {out_dir}")


OutOption = Annotated[Path, typer.Option("--out", help="The directory for results, certificates and figures.")]
SeedsOption = Annotated[int | None, typer.Option(help="Use only the first N models; default: all 151.")]


@app.command()
def table1(out_dir: OutOption, seeds: SeedsOption = None, jobs: JobsOption = 2, scheduler: DaskOption = None) -> None:
    """Reproduce the paper's Table 1: all its strategies on its models; an interrupted run resumes."""
    extra("paper.command").run_table1(out_dir, seeds, jobs, scheduler)


@app.command()
def frontier(out_dir: OutOption, seeds: SeedsOption = None, jobs: JobsOption = 2, scheduler: DaskOption = None) -> None:
    """Draw bounds against operations, the paper's strategies and ours; takes up the results of table1 in --out."""
    extra("paper.command").run_frontier(out_dir, seeds, jobs, scheduler)


@app.command()
def explain(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="A zoo name, or a path to a .safetensors file; two of one family to compare.",
            autocompletion=known_models,
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="all|N", help="Instead of a model, all 151 of the paper or the first N.")
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--out", help="The page, such as report.html; its figures go beside it.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help=f"Of two arguments, where the file does not say it: {TASKS}.")
    ] = None,
    family: FamilyOption = None,
    jobs: JobsOption = 2,
    scheduler: DaskOption = None,
) -> None:
    """Show the mechanism in an HTML report: of a model, of two side by side, or of many; with --seeds a run resumes."""
    names = models or []
    if bool(names) == (seeds is not None):
        raise ValueError("choose one: a MODEL, or --seeds all")
    if len(names) > 2:
        raise ValueError(f"expected one MODEL, or two to compare, found {len(names)}; --seeds is about many")
    command = extra("report.command")
    if names:
        name, table = task_of(task)
        options = Options(task=name, table=table, family=family)
        if len(names) == 1:
            command.explain_model(names[0], target, options)
        else:
            command.explain_two((names[0], names[1]), target, options)
    elif (task, family) != (None, None):
        raise ValueError("--task and --family are for a MODEL of two arguments")
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
        say(f": {first}", start=word, style=f"bold {COLOURS[word]}")
        for line in more:
            say(line)
    return 0 if verdict.accepted else 1
