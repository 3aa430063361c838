"""Training many seeds in parallel processes, one file for each finished model.

A run can be stopped at any time and started again. A seed whose file is there is skipped; a seed that was interrupted
starts over, which costs seconds, so no optimiser state is stored.
"""

import json
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from ctypes import Array, c_int64
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from compactproofs.runs.files import write_atomically
from compactproofs.runs.interrupts import begin_worker, interrupts_ignored, interrupts_noted, killed_workers_explained
from compactproofs.training.recipe import RECIPE, TrainedModel, TrainingConfig, derive_seeds, train_one

METADATA_KEY = "compactproofs.training"
"""The one metadata entry of a model file. One entry only: safetensors writes several in no fixed order."""

_SECONDS_BETWEEN_UPDATES = 0.2


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Which files a run wrote and which were there already, each in the order of the seeds."""

    trained: tuple[Path, ...]
    skipped: tuple[Path, ...]


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a run. All files are whole; the same call trains the seeds that are left.

    `finished` and `remaining` hold the seeds with and without a file, each in the order of the call.
    """

    def __init__(self, finished: Sequence[int], remaining: Sequence[int], out_dir: Path) -> None:
        self.finished = tuple(finished)
        self.remaining = tuple(remaining)
        super().__init__(
            f"training interrupted: {len(self.finished)} of {len(self.finished) + len(self.remaining)} models are "
            f"finished in {out_dir}; run the same command again to train the other {len(self.remaining)}"
        )


def train(
    config: TrainingConfig,
    seeds: Iterable[int],
    out_dir: str | os.PathLike[str],
    *,
    jobs: int = 1,
    progress: bool = False,
) -> TrainingReport:
    """Train one model for each experiment seed and write it to `out_dir/<seed>.safetensors`.

    Files are written whole or not at all, and finished seeds are skipped. A model depends on its seed and on `config`
    alone, never on the other seeds, on their order or on `jobs`. The metadata entry `compactproofs.training` of each
    file is a JSON object with seed, recipe, config, final loss and the version of this package.

    Raises ValueError for unusable arguments and where a file in `out_dir` holds something else than the model it
    should, and TrainingInterrupted on Ctrl-C. With `jobs` above 1 the processes are started afresh ("spawn"), so a
    script that calls this needs the usual guard `if __name__ == "__main__":`.
    """
    wanted = list(seeds)
    for seed in wanted:
        derive_seeds(seed)
    if len(set(wanted)) != len(wanted):
        repeated = sorted({seed for seed in wanted if wanted.count(seed) > 1})
        raise ValueError(f"seeds: each seed may be named once, repeated: {repeated}")
    if type(jobs) is not int or jobs < 1:
        raise ValueError(f"jobs: expected an integer of at least 1, got {jobs!r}")
    directory = Path(out_dir)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"out_dir: {directory} is a file, expected a directory")
    directory.mkdir(parents=True, exist_ok=True)

    finished = [seed for seed in wanted if _is_finished(config, seed, directory)]
    missing = [seed for seed in wanted if seed not in finished]
    try:
        with _Display(config, len(wanted), len(finished), shown=progress) as display:
            if jobs == 1 or len(missing) <= 1:
                _train_here(config, missing, directory, display)
            else:
                _train_in_processes(config, missing, directory, min(jobs, len(missing)), display)
    except KeyboardInterrupt:
        done = [seed for seed in wanted if model_path(directory, seed).exists()]
        raise TrainingInterrupted(done, [seed for seed in wanted if seed not in done], directory) from None
    return TrainingReport(
        trained=tuple(model_path(directory, seed) for seed in missing),
        skipped=tuple(model_path(directory, seed) for seed in finished),
    )


def model_path(directory: Path, seed: int) -> Path:
    """Where the model of a seed is written."""
    return directory / f"{seed}.safetensors"


def model_bytes(config: TrainingConfig, seed: int, model: TrainedModel) -> bytes:
    """A model as the bytes of a safetensors file; equal models give equal bytes."""
    about = {
        "seed": seed,
        "recipe": RECIPE,
        "config": config.as_dict(),
        "final_loss": model.final_loss,
        "version": version("compactproofs"),
    }
    return safetensors.numpy.save(model.weights, metadata={METADATA_KEY: json.dumps(about)})


def read_metadata(path: Path) -> dict[str, Any]:
    """What `model_bytes` noted in a model file. Raises ValueError where the file is not one of ours."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})[METADATA_KEY])
    except (safetensors.SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a model written by this package: {error!r}; move it away") from error
    if not isinstance(about, dict):
        raise ValueError(f"{path}: the metadata entry {METADATA_KEY} is not a JSON object; move the file away")
    return about


def _is_finished(config: TrainingConfig, seed: int, directory: Path) -> bool:
    path = model_path(directory, seed)
    if not path.exists():
        return False
    if not path.is_file():
        raise ValueError(f"{path} is not a file; move it away")
    about = read_metadata(path)
    expected = {"seed": seed, "recipe": RECIPE, "config": config.as_dict()}
    for name, value in expected.items():
        if about.get(name) != value:
            raise ValueError(
                f"{path} holds another model: its {name} is {about.get(name)!r}, expected {value!r}; "
                "choose another out_dir or move the file away"
            )
    return True


class _Display:
    """A progress bar on standard error that counts steps and models, or nothing."""

    def __init__(self, config: TrainingConfig, seeds: int, finished: int, *, shown: bool) -> None:
        self._seeds = seeds
        self._finished = finished
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
        )
        self._task = self._bar.add_task("", total=(seeds - finished) * config.steps)
        self.update(0, 0)

    def __enter__(self) -> "_Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, models: int, steps: int) -> None:
        """Show the models written and the steps done by this run."""
        text = f"{self._finished + models} of {self._seeds} models, steps"
        self._bar.update(self._task, description=text, completed=steps)


def _train_here(config: TrainingConfig, seeds: Sequence[int], directory: Path, display: _Display) -> None:
    for index, seed in enumerate(seeds):

        def report(steps: int, index: int = index) -> None:
            display.update(index, index * config.steps + steps)

        model = train_one(config, seed, report)
        write_atomically(model_path(directory, seed), model_bytes(config, seed, model))
        display.update(index + 1, (index + 1) * config.steps)


class _Stopped(Exception):
    """The main process asked the workers to stop."""


# What a worker process was given when it started; unused in the main process.
_worker_stop: Event | None = None
_worker_steps: "Array[c_int64] | None" = None


def _start_worker(stop: Event, steps: "Array[c_int64]") -> None:
    global _worker_stop, _worker_steps
    begin_worker()
    _worker_stop, _worker_steps = stop, steps


def _train_in_worker(config: TrainingConfig, seed: int, directory: Path, index: int) -> None:
    stop, counters = _worker_stop, _worker_steps
    if stop is None or counters is None:
        raise RuntimeError("a worker process was started without what it shares with the main process")

    def report(steps: int) -> None:
        if stop.is_set():
            raise _Stopped
        counters[index] = steps

    model = train_one(config, seed, report)
    write_atomically(model_path(directory, seed), model_bytes(config, seed, model))


def _train_in_processes(
    config: TrainingConfig, seeds: Sequence[int], directory: Path, jobs: int, display: _Display
) -> None:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    counters = context.RawArray(c_int64, len(seeds))  # the steps done of each seed
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(stop, counters))
    with killed_workers_explained(), interrupts_noted() as raise_interrupt:
        try:
            with interrupts_ignored():  # until the workers ignore Ctrl-C by themselves
                running = {
                    pool.submit(_train_in_worker, config, seed, directory, index) for index, seed in enumerate(seeds)
                }
            while running:
                done, running = wait(running, timeout=_SECONDS_BETWEEN_UPDATES, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                display.update(len(seeds) - len(running), sum(counters))
                raise_interrupt()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
