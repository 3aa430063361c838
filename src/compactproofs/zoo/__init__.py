"""The trained models that ship with the package, and a table of what is known about them.

All were trained by `tools/build_zoo.py` with the recipe of arXiv 2406.11779: one layer, one head, attention only, on
max-of-K. A name is a family and an experiment seed, such as `max-of-4/123`:

- `max-of-4`: 151 seeds, K = 4, 64 tokens; the paper's main experiment
- `max-of-5`, `max-of-10`, `max-of-20`: 5 seeds each, 64 tokens
- `max-of-10-v128`: 5 seeds, K = 10, 128 tokens

The accuracies in the table come from float64 arithmetic without error bounds: they are for comparison and
prove nothing.
"""

import csv
import difflib
import functools
import importlib.resources
from dataclasses import dataclass
from pathlib import Path

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.problem import Network
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening import configuration, foreign
from compactproofs.opening.models import MAX_FILE_BYTES, Model
from compactproofs.system.files import read_limited

__all__ = ["UnknownModel", "ZooRow", "known_correct", "load_model", "names", "path", "table"]


class UnknownModel(CompactProofsError, ValueError):
    """A name that no model of the zoo has. `name` is the name, `close` the names nearest to it."""

    def __init__(self, name: str, close: list[str]) -> None:
        self.name = name
        self.close = close
        hint = f"did you mean {' or '.join(close)}?" if close else "names look like max-of-4/123."
        super().__init__(
            f"there is no file and no model of the zoo named {name!r}: {hint} 'compactproofs zoo' lists all of them"
        )


@dataclass(frozen=True, slots=True)
class ZooRow:
    """One model: its task, its training, its accuracy.

    `total` is the number of inputs, `d_vocab` to the power `n_ctx`. Either `exact_correct` is the number of them
    that the model answers correctly, a tie being wrong, or `sampled_accuracy` is the share of correct answers on
    `samples` uniform inputs; the other is None. `final_loss` is the mean loss of the last training batch,
    `model_sha256` the hash of the weights (`Model.sha256`).
    """

    name: str
    seed: int
    n_ctx: int
    d_vocab: int
    d_model: int
    d_head: int
    steps: int
    final_loss: float
    exact_correct: int | None
    total: int
    sampled_accuracy: float | None
    samples: int | None
    model_sha256: str


def table() -> list[ZooRow]:
    """One row for each model, by family, then by seed."""
    return list(_rows())


def names() -> list[str]:
    """The names of all models, in the order of the table."""
    return [row.name for row in _rows()]


def path(name: str) -> Path:
    """The safetensors file of a model. Raises UnknownModel, which names the closest ones."""
    known = names()
    if name not in known:
        raise UnknownModel(name, difflib.get_close_matches(name, known, n=3))
    return _root() / "models" / f"{name}.safetensors"


def load_model(name_or_path: str | Path) -> Model:
    """A model of the zoo by its name, or any model from a safetensors file.

    A path that exists wins over a name. If the file carries a TransformerLens configuration, that must be one of a
    model that is supported. Raises UnknownModel, InvalidModel or OSError.
    """
    return model_of(*read(name_or_path))


def read(name_or_path: str | Path) -> tuple[Path, bytes]:
    """The file that this names, and its bytes; raises UnknownModel, InvalidModel or OSError."""
    file = Path(name_or_path)
    if not file.exists() and file.suffix != ".safetensors":
        file = path(str(name_or_path))
    try:
        return file, read_limited(file, MAX_FILE_BYTES)
    except ValueError as error:
        raise InvalidModel(f"{file}: {error}") from error


def model_of(file: Path, data: bytes) -> Model:
    """The model in a file of these bytes; raises InvalidModel."""
    try:
        model = Model.from_bytes(data)
        configuration.check(data, model)
        return model
    except ValueError as error:
        kind = foreign.kind_of(file)
        raise InvalidModel(f"{file}: {f'not a safetensors file but {kind}' if kind else error}") from error


def known_correct(model: Network) -> int | None:
    """The number of inputs that this model answers correctly, if it is a model of the zoo for which that is known."""
    return next((row.exact_correct for row in _rows() if row.model_sha256 == model.sha256), None)


def _root() -> Path:
    root = importlib.resources.files(__name__)
    if not isinstance(root, Path):
        raise RuntimeError("the zoo needs the package installed as files, not inside a zip archive")
    return root


@functools.cache
def _rows() -> tuple[ZooRow, ...]:
    with (_root() / "models.csv").open(newline="", encoding="utf-8") as stream:
        return tuple(
            ZooRow(
                name=row["name"],
                seed=int(row["seed"]),
                n_ctx=int(row["n_ctx"]),
                d_vocab=int(row["d_vocab"]),
                d_model=int(row["d_model"]),
                d_head=int(row["d_head"]),
                steps=int(row["steps"]),
                final_loss=float(row["final_loss"]),
                exact_correct=int(row["exact_correct"]) if row["exact_correct"] else None,
                total=int(row["total"]),
                sampled_accuracy=float(row["sampled_accuracy"]) if row["sampled_accuracy"] else None,
                samples=int(row["samples"]) if row["samples"] else None,
                model_sha256=row["model_sha256"],
            )
            for row in csv.DictReader(stream)
        )
