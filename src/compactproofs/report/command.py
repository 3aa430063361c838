"""What `compactproofs explain` does."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import compactproofs as cp
from compactproofs import zoo
from compactproofs.analysis.models import summarise
from compactproofs.cli.terminal import err, say
from compactproofs.paper.command import models_of_seeds, with_progress
from compactproofs.report.model_page import model_page
from compactproofs.report.models_page import models_page
from compactproofs.report.page import check_target, figures_directory, write
from compactproofs.runs.files import write_atomically
from compactproofs.runs.places import STANDARD, load_model, remove_left_behind
from compactproofs.runs.sweep import run_each

#: Draws of structureless noise.
DRAWS = 1000


def explain_model(name: str, target: Path | None) -> None:
    """Write the page about one model, to MODEL.html unless a target is named."""
    path = target or Path(f"{_stem(name)}.html")
    check_target(path)
    model = load_model(name)
    columns = (TextColumn("explaining"), BarColumn(), MofNCompleteColumn(), TextColumn("sections"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("explaining", total=None)
        page = model_page(
            Path(name).name if name.endswith(".safetensors") else name,
            model,
            draws=DRAWS,
            done=lambda i, of: progress.update(bar, completed=i, total=of),
        )
    write(page, path)
    _say_where(path)


def explain_models(seeds: str, target: Path | None, jobs: int, scheduler: str | None) -> None:
    """Summarise the models that have no summary yet, then write the page over all; an interrupted run resumes.

    `seeds`: "all", or how many of the paper's models.
    """
    if seeds != "all" and not seeds.isdecimal():
        raise ValueError(f"--seeds: expected all or a number of models, found {seeds!r}")
    path = target or Path("max-of-4.html")
    check_target(path)
    summaries = Summaries(
        models_of_seeds(None if seeds == "all" else int(seeds)), path.with_name(f"{path.stem}-models")
    )
    total, finished = len(summaries.models), lambda: len(summaries.finished())
    with_progress(summaries.run, "explaining", total, finished, summaries.directory, jobs, scheduler)
    found = summaries.finished()
    write(models_page([found[model] for model in summaries.models]), path)
    _say_where(path)
    say(f"the numbers of each model are in {summaries.directory}")


@dataclass(frozen=True)
class Summaries:
    """Models of the zoo, and the directory with one JSON file for each that is summarised."""

    models: tuple[str, ...]
    directory: Path

    def finished(self) -> dict[str, dict[str, Any]]:
        """The summaries that are there, of these weights and by this version, by model."""
        hashes = {row.name: row.model_sha256 for row in zoo.table()}
        found = {}
        for model in self.models:
            try:
                summary = json.loads(self._path(model).read_bytes())
                current = (summary["model_sha256"], summary["version"], summary["draws"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if current == (hashes[model], cp.__version__, DRAWS):
                found[model] = summary
        return found

    def run(self, executor: Executor, done: Callable[[str], None]) -> None:
        """Summarise the models that are not finished, calling `done` with each."""
        try:
            self.directory.mkdir(exist_ok=True)
            remove_left_behind(self.directory)
        except OSError as error:
            raise ValueError(f"--out: cannot make the directory {self.directory}: {error.strerror}") from error
        finished = self.finished()

        def keep(model: str, summary: dict[str, Any]) -> None:
            write_atomically(self._path(model), json.dumps(summary).encode())
            done(model)

        run_each(executor, summarise, {m: (m, DRAWS) for m in self.models if m not in finished}, keep)

    def _path(self, model: str) -> Path:
        return self.directory / f"{_stem(model)}.json"


def _stem(name: str) -> str:
    """A file name for a model of the zoo, for a file, or for standard input."""
    if name == STANDARD:
        return "stdin"
    return Path(name).stem if name.endswith(".safetensors") else name.replace("/", "-")


def _say_where(path: Path) -> None:
    say(f"the report is {path}, its figures are in {figures_directory(path)}")
