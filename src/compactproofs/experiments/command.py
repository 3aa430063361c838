"""What `compactproofs table1` does."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from compactproofs import zoo
from compactproofs.experiments import table1
from compactproofs.experiments.rows import TABLE_STRATEGIES
from compactproofs.experiments.sweep import COLUMNS, Sweep, cluster, local_processes
from compactproofs.files import write_atomically
from compactproofs.report.frontier import draw_bound_against_flops, draw_unexplained_against_flops


def run_table1(
    directory: Path, seeds: int | None, jobs: int, scheduler: str | None, out: Console, err: Console
) -> None:
    """Prove everything that is missing, then write and print the table."""
    models = tuple(row.name for row in zoo.table() if row.name.startswith("max-of-4/"))
    if seeds is not None and not 1 <= seeds <= len(models):
        raise ValueError(f"--seeds: expected 1 to {len(models)}, found {seeds}")
    sweep = Sweep(models[:seeds], TABLE_STRATEGIES, directory)
    finished = len(sweep.finished())
    columns = (
        TextColumn("proving"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("models"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        with (
            Progress(*columns, console=err) as progress,
            cluster(scheduler) if scheduler else local_processes(jobs) as executor,
        ):
            bar = progress.add_task("proving", total=len(sweep.models), completed=finished)
            sweep.run(executor, lambda model: progress.advance(bar))
    except KeyboardInterrupt:
        count = len(sweep.finished())
        raise KeyboardInterrupt(
            f"interrupted: {count} of {len(sweep.models)} models are finished in {directory}; "
            "run the same command again to do the rest"
        ) from None
    write_results(sweep, out)


def write_results(sweep: Sweep, out: Console) -> None:
    """Write CSV, Markdown, LaTeX and figures of a sweep, and print the table."""
    results = sweep.rows()
    rows = table1.summarise(results)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(results)
    for name, text in (
        ("results.csv", stream.getvalue()),
        ("table1.md", table1.as_markdown(rows)),
        ("table1.tex", table1.as_latex(rows)),
    ):
        write_atomically(sweep.directory / name, text.encode())
    draw_bound_against_flops(results, sweep.directory / "bound-against-flops")
    draw_unexplained_against_flops(results, sweep.directory / "unexplained-against-flops")
    table = Table(*table1.HEADERS, title=f"{len(sweep.models)} models, {len(sweep.strategies)} strategies", box=None)
    for row in rows:
        table.add_row(*table1.cells(row))
    out.print(table)
    out.print(f"results, certificates, table and figures are in {sweep.directory}", highlight=False, markup=False)
