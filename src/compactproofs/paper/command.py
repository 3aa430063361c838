"""What `compactproofs table1` and `compactproofs frontier` do."""

from __future__ import annotations

from pathlib import Path

import compactproofs as cp
from compactproofs import zoo
from compactproofs.paper import frontier, table1
from compactproofs.paper.frontier import draw_bound_against_flops, draw_unexplained_against_flops
from compactproofs.paper.rows import TABLE_STRATEGIES
from compactproofs.runs.sweep import sweep
from compactproofs.runs.table import bounds_as_csv
from compactproofs.system.files import write_atomically
from compactproofs.system.places import check_directory
from compactproofs.system.terminal import say, say_table


def run_table1(directory: Path, seeds: int | None, workers: int, scheduler: str | None) -> None:
    """Prove everything that is missing, then write and print the table."""
    models = models_of_seeds(seeds)
    check_directory(directory)
    results = sweep([row.name for row in models], TABLE_STRATEGIES, directory, workers, scheduler)
    rows = table1.summarise(results)
    for name, text in (
        ("results.csv", bounds_as_csv(results)),
        ("table1.md", table1.as_markdown(rows)),
        ("table1.tex", table1.as_latex(rows)),
    ):
        write_atomically(directory / name, text.encode())
    draw_bound_against_flops(results, directory / "bound-against-flops")
    draw_unexplained_against_flops(results, directory / "unexplained-against-flops")
    say(f"{len(models)} models, {len(TABLE_STRATEGIES)} strategies")
    say_table(table1.HEADERS, [table1.cells(row) for row in rows])
    say(f"results, certificates, table and figures are in {directory}")


def run_frontier(directory: Path, seeds: int | None, workers: int, scheduler: str | None) -> None:
    """Prove everything that is missing, then draw the paper's strategies and ours in one picture and print ours."""
    ours = tuple(
        s.id for s in cp.STRATEGIES.values() if s.id not in (*TABLE_STRATEGIES, "trivial") and s.claim == "at least"
    )
    models = models_of_seeds(seeds)
    check_directory(directory)
    results = sweep([row.name for row in models], [*TABLE_STRATEGIES, *ours], directory, workers, scheduler)
    points = frontier.points(results)
    write_atomically(directory / "frontier.csv", points.write_csv().encode())
    write_atomically(directory / "frontier.md", frontier.as_markdown(points, ours).encode())
    write_atomically(directory / "results.csv", bounds_as_csv(results).encode())
    frontier.draw(results, directory / "frontier")
    say(f"{len(models)} models")
    say_table(frontier.HEADERS, frontier.rows(points, ours), numbers=range(1, len(frontier.HEADERS)))
    say(f"results, certificates, data and figure are in {directory}")


def models_of_seeds(seeds: int | None) -> list[zoo.ZooRow]:
    """The first so many of the paper's models, or all; raises ValueError."""
    models = [row for row in zoo.table() if row.name.startswith("max-of-4/")]
    if seeds is not None and not 1 <= seeds <= len(models):
        raise ValueError(f"--seeds: expected 1 to {len(models)}, found {seeds}")
    return models[:seeds]
