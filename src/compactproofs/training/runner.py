"""Training many seeds in parallel processes, one file for each finished model.

A run can be stopped at any time and started again. A seed whose file is there is skipped; a seed that was interrupted
starts over, which costs seconds, so no optimiser state is stored.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compactproofs.runs.runner import run
from compactproofs.runs.store import Job, Store
from compactproofs.system.files import write_atomically
from compactproofs.training.files import metadata_of, to_bytes
from compactproofs.training.recipe import RECIPE, TrainedModel, TrainingConfig, derive_seeds, train_one
from compactproofs.version import __version__


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Which files a run wrote and which were there already, each in the order of the seeds."""

    trained: tuple[Path, ...]
    skipped: tuple[Path, ...]


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
    should, and on Ctrl-C a KeyboardInterrupt that says how many models are finished; the same call trains the others.
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
    store = _Models(directory)
    trainings = [Job(str(seed), _train, (config, seed)) for seed in wanted]
    skipped = tuple(path for training in trainings if (path := store.get(training)) is not None)
    paths = dict(run(trainings, store, workers=jobs, doing="training", shown=progress))
    return TrainingReport(tuple(paths[t] for t in trainings if paths[t] not in skipped), skipped)


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
        "version": __version__,
    }
    return to_bytes(model.weights, about)


@dataclass(frozen=True)
class _Models(Store[Path]):
    """Model files; one that is another model than it should be is an error."""

    def get(self, job: Job) -> Path | None:
        """The file of a seed, if it is there."""
        config, seed = job.arguments
        path = model_path(self.directory, seed)
        expected = {"seed": seed, "recipe": RECIPE, "config": config.as_dict()}
        return path if metadata_of(path, expected) else None

    def put(self, job: Job, made: bytes) -> Path:
        """Write the file of a seed."""
        path = model_path(self.directory, job.arguments[1])
        write_atomically(path, made)
        return path


def _train(config: TrainingConfig, seed: int) -> bytes:
    return model_bytes(config, seed, train_one(config, seed))
