"""What `compactproofs table1` and `compactproofs frontier` do."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import compactproofs as cp
from compactproofs import zoo
from compactproofs.cli.terminal import err, say, say_table
from compactproofs.paper import frontier, table1
from compactproofs.paper.frontier import draw_bound_against_flops, draw_unexplained_against_flops
from compactproofs.paper.rows import TABLE_STRATEGIES
from compactproofs.runs.files import write_atomically
from compactproofs.runs.interrupts import WorkersLost
from compactproofs.runs.places import check_directory
from compactproofs.runs.sweep import COLUMNS, Sweep, cluster, local_processes


def run_table1(directory: Path, seeds: int | None, jobs: int, scheduler: str | None) -> None:
    """Prove everything that is missing, then write and print the table."""
    sweep = Sweep(models_of_seeds(seeds), TABLE_STRATEGIES, directory)
    _run(sweep, jobs, scheduler)
    write_results(sweep)


def run_frontier(directory: Path, seeds: int | None, jobs: int, scheduler: str | None) -> None:
    """Prove everything that is missing, then draw the paper's strategies and ours in one picture and print ours."""
    ours = tuple(
        s.id for s in cp.STRATEGIES.values() if s.id not in (*TABLE_STRATEGIES, "trivial") and s.claim == "at least"
    )
    sweep = Sweep(models_of_seeds(seeds), (*TABLE_STRATEGIES, *ours), directory)
    _run(sweep, jobs, scheduler)
    results = sweep.rows()
    points = frontier.points(results)
    write_atomically(directory / "frontier.csv", points.write_csv().encode())
    write_atomically(directory / "frontier.md", frontier.as_markdown(points, ours).encode())
    write_atomically(directory / "results.csv", _csv(results).encode())
    frontier.draw(results, directory / "frontier")
    say(f"{len(sweep.models)} models")
    say_table(frontier.HEADERS, frontier.rows(points, ours), numbers=range(1, len(frontier.HEADERS)))
    say(f"results, certificates, data and figure are in {directory}")


def models_of_seeds(seeds: int | None) -> tuple[str, ...]:
    """The first so many of the paper's models, or all; raises ValueError."""
    models = tuple(row.name for row in zoo.table() if row.name.startswith("max-of-4/"))
    if seeds is not None and not 1 <= seeds <= len(models):
        raise ValueError(f"--seeds: expected 1 to {len(models)}, found {seeds}")
    return models[:seeds]


def _run(sweep: Sweep, jobs: int, scheduler: str | None) -> None:
    """Compute what is missing, with a progress bar; an interrupt says what is done."""
    check_directory(sweep.directory)
    with_progress(
        sweep.run, "proving", len(sweep.models), lambda: len(sweep.finished()), sweep.directory, jobs, scheduler
    )


def with_progress(
    start: Callable[[Executor, Callable[[str], None]], None],
    doing: str,
    total: int,
    count_finished: Callable[[], int],
    directory: Path,
    jobs: int,
    scheduler: str | None,
) -> None:
    """Start work on models with an executor and a bar; an end before its time says how many are finished.

    `start` is given the executor and what to call with each model that is finished.
    """
    columns = (
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("models"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    finished = count_finished()
    try:
        with (
            Progress(*columns, console=err, disable=not err.is_terminal) as progress,
            cluster(scheduler) if scheduler else local_processes(jobs) as executor,
        ):
            bar = progress.add_task(doing, total=total, completed=finished)
            start(executor, lambda model: progress.advance(bar))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: {_done(count_finished(), total, directory)}; run the same command again to do the rest"
        ) from None
    except WorkersLost as error:
        raise WorkersLost(f"{error}: {_done(count_finished(), total, directory)}") from error


def _done(finished: int, total: int, directory: Path) -> str:
    return f"{finished} of {total} models are finished in {directory}"


def _csv(results: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(results)
    return stream.getvalue()


def write_results(sweep: Sweep) -> None:
    """Write CSV, Markdown, LaTeX and figures of a sweep, and print the table."""
    results = sweep.rows()
    rows = table1.summarise(results)
    for name, text in (
        ("results.csv", _csv(results)),
        ("table1.md", table1.as_markdown(rows)),
        ("table1.tex", table1.as_latex(rows)),
    ):
        write_atomically(sweep.directory / name, text.encode())
    draw_bound_against_flops(results, sweep.directory / "bound-against-flops")
    draw_unexplained_against_flops(results, sweep.directory / "unexplained-against-flops")
    say(f"{len(sweep.models)} models, {len(sweep.strategies)} strategies")
    say_table(table1.HEADERS, [table1.cells(row) for row in rows])
    say(f"results, certificates, table and figures are in {sweep.directory}")
