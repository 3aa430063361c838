"""What `compactproofs tighten` does."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from compactproofs import zoo
from compactproofs.runs.inputs import load_model
from compactproofs.search.families import companion_of
from compactproofs.search.families.few_dimensions import coordinates
from compactproofs.search.prover import Prover, feasible_strategies
from compactproofs.system.files import write_atomically
from compactproofs.system.places import check_directory
from compactproofs.system.terminal import say, say_table
from compactproofs.theorems.max_of_k.few_dimensions.number_line import NUMBER_LINE
from compactproofs.theorems.max_of_k.few_dimensions.subspace import SUBSPACE
from compactproofs.training.few_directions import FewDirections
from compactproofs.training.tightened import Tightened, tighten_models
from compactproofs.training.toward_proof import CHEAPEST, NotTrainable, Tightening


def run_tighten(
    models: Sequence[str],
    seeds: str | None,
    directory: Path,
    how: Tightening | FewDirections,
    control: bool,
    workers: int,
) -> None:
    """Train what is not there yet, write `changes.csv`, and print what was gained."""
    names = _named(models, seeds)
    check_directory(directory)
    results = tighten_models(names, directory, how, control=control, workers=workers, progress=True)
    write_atomically(directory / "changes.csv", as_csv(results).encode())
    few = f" in {how.dimensions} dimensions" if how.strategy in (SUBSPACE.id, FewDirections.strategy) else ""
    say(f"trained toward {how.strategy}{few} ({companion_of_strategy(how.strategy)})")
    headers = ("model", "proved before", "after", "control", "right before", "after", "distance", "seconds")
    say_table(headers, [_row(result) for result in results], numbers=range(1, len(headers)))
    if len(results) > 1:
        strategies = [change["strategy"] for change in results[0]["changes"]]
        say("means and least bounds over these models")
        say_table(
            ("strategy", "before", "after", "control", "least after", "operations"),
            [_mean(results, number, strategy) for number, strategy in enumerate(strategies)],
            numbers=range(1, 6),
        )
    say(f"networks, certificates and results are in {directory}")


def within(budget: int, models: Sequence[str], seeds: str | None, dimensions: int) -> tuple[str, int]:
    """Which strategy to train toward if checking may take so many operations, and in how many dimensions.

    The cheapest sub-cubic one, which asks least of a network; else `subspace` in the most dimensions that fit; else
    `number-line`.  What these take depends on nothing but a network's size.
    """
    chosen = {}
    for name in _named(models, seeds):
        model = load_model(name)
        size = (model.d_vocab, model.n_ctx, model.d_model, model.d_head)
        if size not in chosen:
            chosen[size] = _within(budget, Prover(model), dimensions)
    if len({*chosen.values()}) > 1:
        raise ValueError(
            "--budget: these networks differ in size and need different strategies; name those of one size"
        )
    return next(iter(chosen.values()))


def _within(budget: int, prover: Prover, unused: int) -> tuple[str, int]:
    model = prover.model
    if CHEAPEST in feasible_strategies(model) and prover.prove(CHEAPEST).cost.flops <= budget:
        return CHEAPEST, unused
    below = np.zeros(model.d_vocab, np.uint16)
    for dimensions in range(min(model.d_model, model.d_vocab + model.n_ctx), 0, -1):
        hints = {"coordinates": coordinates(prover.values, dimensions), "below": below}
        if prover.cost(SUBSPACE, hints).flops <= budget:
            return SUBSPACE.id, dimensions
    least = prover.prove(NUMBER_LINE.id).cost.flops
    if least > budget:
        raise NotTrainable(f"--budget: expected at least {least}, what {NUMBER_LINE.id} takes for such a network")
    return NUMBER_LINE.id, unused


def companion_of_strategy(strategy: str) -> str:
    """How its cost grows."""
    from compactproofs.theorems import BUILT_IN

    return companion_of(BUILT_IN.strategy(strategy)).complexity


def as_csv(results: Sequence[Tightened]) -> str:
    """A line for each model and strategy."""
    stream = io.StringIO()
    fields = [name for name in results[0] if name != "changes"]
    kinds = [name for name in results[0]["changes"][0] if name != "strategy"]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*("trained_for" if name == "strategy" else name for name in fields), "proved_by", *kinds])
    for result in results:
        for change in result["changes"]:
            values = dict(result)
            writer.writerow([*(values[name] for name in fields), *change.values()])
    return stream.getvalue()


def _named(models: Sequence[str], seeds: str | None) -> list[str]:
    if bool(models) == (seeds is not None):
        raise ValueError("choose one: MODELs, or --seeds all (or the first N) of the zoo's max-of-4")
    return list(models) if seeds is None else _of_seeds(seeds)


def _of_seeds(seeds: str) -> list[str]:
    names = [row.name for row in zoo.table() if row.name.startswith("max-of-4/")]
    if seeds == "all":
        return names
    if not seeds.isdecimal() or not 1 <= int(seeds) <= len(names):
        raise ValueError(f"--seeds: expected 'all' or a number from 1 to {len(names)}, got {seeds!r}")
    return names[: int(seeds)]


def _row(result: Tightened) -> tuple[str, ...]:
    change = result["changes"][0]
    right = (_share(correct, result["total"]) for correct in (result["correct_before"], result["correct_after"]))
    return (
        result["model"],
        *map(_bound, (change["before"], change["after"], change["control"])),
        *right,
        f"{result['distance']:.3f}",
        f"{result['seconds']:.1f}",
    )


def _mean(results: Sequence[Tightened], number: int, strategy: str) -> tuple[str, ...]:
    changes = [result["changes"][number] for result in results]
    control = [value for change in changes if (value := change["control"]) is not None]
    after = [change["after"] for change in changes]
    return (
        strategy,
        _bound(fmean(change["before"] for change in changes)),
        _bound(fmean(after)),
        _bound(fmean(control) if control else None),
        _bound(min(after)),
        f"{fmean(change['flops'] for change in changes):,.0f}",
    )


def _bound(value: float | None) -> str:
    """Rounded down, so that nothing is said to be proved that is not."""
    return "" if value is None else f"{int(value * 10**7) / 10**7:.7f}"


def _share(correct: int | None, total: int) -> str:
    return "" if correct is None else _bound(correct / total)
