"""What `compactproofs explain` does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from compactproofs.analysis.models import Summary, summarise
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening.networks import File
from compactproofs.opening.pairs import TASKS
from compactproofs.paper.command import models_of_seeds
from compactproofs.report.heads_page import heads_page
from compactproofs.report.model_page import model_page
from compactproofs.report.models_page import models_page
from compactproofs.report.page import Page, check_target, figures_directory, write
from compactproofs.report.pair_page import pair_page
from compactproofs.report.two_page import two_page, two_pair_page
from compactproofs.runs.inputs import load_model, open_file
from compactproofs.runs.runner import run
from compactproofs.runs.store import Job, Results
from compactproofs.search.questions import Options, asked
from compactproofs.system.places import STANDARD
from compactproofs.system.terminal import err, say
from compactproofs.tasks.pairs import Pairs

#: Draws of structureless noise.
DRAWS = 1000


def explain_model(name: str, target: Path | None, options: Options) -> None:
    """Write the page about one model, to MODEL.html unless a target is named.

    `options`: for a network of two arguments its task, if its file does not say it, and how to read it.
    """
    path = target or Path(f"{_stem(name)}.html")
    check_target(path)
    file, called = open_file(name), _called(name)
    find: Callable[[Callable[[int, int], None]], Page]
    if file.is_pair_sum or options != Options():
        find = partial(pair_page, called, *_of_two_arguments(file, options, name))
    elif isinstance(network := _network(file), ManyHeads):
        find = partial(heads_page, called, network, 0)
    else:
        find = partial(model_page, called, load_model(name), 0, DRAWS)
    _find_and_write(find, path)


def explain_two(names: tuple[str, str], target: Path | None, options: Options) -> None:
    """Write the page about two models of the same family, to A-and-B.html unless a target is named."""
    path = target or Path(f"{_stem(names[0])}-and-{_stem(names[1])}.html")
    check_target(path)
    files = [open_file(name) for name in names]
    pairs = [file.is_pair_sum or options != Options() for file in files]
    for name, file in zip(names, files, strict=True):
        if isinstance(_network(file), ManyHeads):
            apart = "; ".join(f"compactproofs explain {each}" for each in names)
            raise ValueError(f"{name} has several heads, and of such there is a page about each alone: {apart}")
    find: Callable[[Callable[[int, int], None]], Page]
    if all(pairs):
        first, second = (
            (_called(name), *_of_two_arguments(file, options, name)) for file, name in zip(files, names, strict=True)
        )
        _differ(names, first[1].sha256, second[1].sha256)
        find = partial(two_pair_page, first, second)
    elif any(pairs):
        raise ValueError(f"{names[0]} and {names[1]} are not of one family: one of them reads two arguments")
    else:
        one, other = ((_called(name), load_model(name)) for name in names)
        _differ(names, one[1].sha256, other[1].sha256)
        find = partial(two_page, one, other, 0)
    _find_and_write(find, path)


def _differ(names: tuple[str, str], one: str, other: str) -> None:
    """Raise ValueError if two models have the same hash: everything would be there twice."""
    if one == other:
        both = names[0] if names[0] == names[1] else f"{names[0]} and {names[1]}"
        raise ValueError(f"{both}: expected two models, found the same weights twice; explain {names[0]} shows them")


def _network(file: File) -> object:
    """What is in the file, None if nothing is: `load_model` says more."""
    try:
        return file.network()
    except ValueError:
        return None


def _of_two_arguments(file: File, options: Options, name: str) -> tuple[PairSum, Pairs]:
    question = asked(file, options, name)
    if not isinstance(question.network, PairSum) or not isinstance(question.task, Pairs):
        raise ValueError(f"--task: the report is about the largest token, or about two arguments ({TASKS})")
    return question.network, question.task


def _find_and_write(find: Callable[[Callable[[int, int], None]], Page], path: Path) -> None:
    columns = (TextColumn("explaining"), BarColumn(), MofNCompleteColumn(), TextColumn("sections"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("explaining", total=None)
        page = find(lambda i, of: progress.update(bar, completed=i, total=of))
    write(page, path)
    _say_where(path)


def explain_models(seeds: str, target: Path | None, workers: int, scheduler: str | None) -> None:
    """Summarise the models that have no summary yet, then write the page over all; an interrupted run resumes.

    `seeds`: "all", or how many of the paper's models.
    """
    if seeds != "all" and not seeds.isdecimal():
        raise ValueError(f"--seeds: expected all or a number of models, found {seeds!r}")
    path = target or Path("max-of-4.html")
    check_target(path)
    models = models_of_seeds(None if seeds == "all" else int(seeds))
    summaries = Results[Summary](path.with_name(f"{path.stem}-models"), Summary)
    jobs = [Job(row.name, summarise, (row.name, DRAWS), row.model_sha256) for row in models]
    found = dict(run(jobs, summaries, workers=workers, scheduler=scheduler, doing="explaining"))
    write(models_page([found[job] for job in jobs]), path)
    _say_where(path)
    say(f"the numbers of each model are in {summaries.directory}")


def _stem(name: str) -> str:
    """A file name for a model of the zoo, for a file, or for standard input."""
    if name == STANDARD:
        return "stdin"
    return Path(name).stem if name.endswith(".safetensors") else name.replace("/", "-")


def _called(name: str) -> str:
    """What the page calls it."""
    return Path(name).name if name.endswith(".safetensors") else name


def _say_where(path: Path) -> None:
    say(f"the report is {path}, its figures are in {figures_directory(path)}")
