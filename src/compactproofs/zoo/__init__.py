"""The trained models that ship with the package, and a table of what is known about them.

`tools/build_zoo.py` collected them. They have one layer and one head, are attention only, and were trained on max-of-K
by the recipe of arXiv 2406.11779. A name is a family and an experiment seed, such as `max-of-4/123`:

- `max-of-4`: 151 seeds, K = 4, 64 tokens; the paper's main experiment
- `max-of-5`: the same 151 seeds, K = 5, 64 tokens
- `max-of-10`, `max-of-20`: the first 20 of them, 64 tokens
- `max-of-10-v128`: the first 20 of them, K = 10, 128 tokens
- `max-of-20-v512`: the first 5 of them, K = 20, 512 tokens
- `max-of-4-tightened`: what became of the 151 of `max-of-4` when `compactproofs tighten` trained them toward the
  paper's cheapest proof

Networks of two arguments, such as `add-59/50` and `S5/0`, are a distribution of their own, `compactproofs-zoo`; their
names are known where it is installed.

The accuracies in the table are for comparison: certificates do not rest on them. Those of `max-of-5` and of
`max-of-4-tightened` were proved, by branch and bound from both sides; the others come from float64 arithmetic without
error bounds.
"""

import csv
import difflib
import functools
import importlib
import importlib.resources
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.problem import Network
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening import configuration, foreign, pairs
from compactproofs.opening.arguments import path_of
from compactproofs.opening.models import MAX_FILE_BYTES, Model
from compactproofs.system.files import read_limited
from compactproofs.system.messages import close_files

if TYPE_CHECKING:
    from compactproofs_zoo import Row as PairRow

__all__ = ["UnknownModel", "ZooRow", "known_correct", "load_model", "names", "pair_table", "path", "table"]

_SUFFIX = ".safetensors"
_PAIRS = "compactproofs_zoo"
_PAIR_NAME = re.compile(r"(?:add-|[SADFC])[0-9]+/[0-9]+", re.ASCII)
#: How the models of the other distribution are had.
PAIRS_MISSING = (
    "networks of two arguments are in the distribution compactproofs-zoo, which is not installed: "
    "pip install ./zoo-pairs in the repository of compactproofs"
)


class UnknownModel(CompactProofsError, ValueError):
    """A name that no model of the zoo has. `name` is the name, `close` the names nearest to it."""

    def __init__(self, name: str, close: list[str]) -> None:
        self.name = name
        self.close = close
        hint = f"did you mean {' or '.join(close)}?" if close else "names look like max-of-4/123."
        if _PAIR_NAME.fullmatch(name) and _pairs() is None:
            hint = f"{PAIRS_MISSING}."
        super().__init__(
            f"there is no file and no model of the zoo named {name!r}: {hint} 'compactproofs zoo' lists all of them"
        )


@dataclass(frozen=True, slots=True)
class ZooRow:
    """One model: its task, its training, its accuracy.

    `total` is the number of inputs, `d_vocab` to the power `n_ctx`. Either `exact_correct` is the number of them
    that the model answers correctly, a tie being wrong, or `sampled_accuracy` is the share of correct answers on
    `samples` uniform inputs; the other is None. `final_loss` is the mean loss of the last training batch, and None for
    a model that was trained on another loss afterwards, in `steps` steps. `model_sha256` is the hash of the weights
    (`Model.sha256`).
    """

    name: str
    seed: int
    n_ctx: int
    d_vocab: int
    d_model: int
    d_head: int
    steps: int
    final_loss: float | None
    exact_correct: int | None
    total: int
    sampled_accuracy: float | None
    samples: int | None
    model_sha256: str


def table() -> list[ZooRow]:
    """One row for each model of this package, by family, then by seed."""
    return list(_rows())


def pair_table() -> "list[PairRow]":
    """One row for each network of two arguments, by task, then by seed; none where compactproofs-zoo is missing."""
    other = _pairs()
    return [] if other is None else list(other.table())


def names() -> list[str]:
    """The names of all models, in the order of the tables."""
    return [row.name for row in _rows()] + [row.name for row in pair_table()]


def path(name: str) -> Path:
    """The safetensors file of a model. Raises UnknownModel, which names the closest ones."""
    if any(name == row.name for row in _rows()):
        return _root() / "models" / f"{name}{_SUFFIX}"
    if _PAIR_NAME.fullmatch(name) and any(name == row.name for row in pair_table()):
        return Path(importlib.import_module(_PAIRS).path(name))
    of_family = [known for known in names() if known.startswith(f"{name}/")][:3]
    plain = name.removesuffix(_SUFFIX)
    close = (difflib.get_close_matches(written, names(), n=3) for written in (plain, plain.lower()))
    raise UnknownModel(name, close_files(name) or of_family or next(filter(None, close), []))


def load_model(name_or_path: str | Path) -> Model:
    """A model of the zoo by its name, or any model from a safetensors file.

    A path that exists wins over a name. If the file carries a TransformerLens configuration, that must be one of a
    model that is supported. Raises UnknownModel, InvalidModel, which says what reads it instead, or OSError.
    """
    file, data = read(name_or_path)
    try:
        return model_of(file, data)
    except InvalidModel as error:
        raise InvalidModel(f"{error}{_instead(data)}") from error


def read(name_or_path: str | Path) -> tuple[Path, bytes]:
    """The file that this names, and its bytes; raises UnknownModel, InvalidModel, Misuse or OSError."""
    file = path_of("model", name_or_path)
    if not file.exists() and (file.suffix != _SUFFIX or str(name_or_path).removesuffix(_SUFFIX) in names()):
        file = path(str(name_or_path))
    try:
        return file, read_limited(file, MAX_FILE_BYTES)
    except ValueError as error:
        raise InvalidModel(f"{file}: {error}") from error


def _instead(data: bytes) -> str:
    """What a file of these bytes is read by, if it is a safetensors file."""
    try:
        of_pairs = pairs.is_pair_sum(data)
    except ValueError:
        return ""
    if of_pairs:
        return "; it is a network of two arguments: load_network reads it, and certify proves bounds on it by its name"
    return "; load_network reads networks of other kinds"


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


def _pairs() -> ModuleType | None:
    """The package with networks of two arguments, where it is installed."""
    try:
        return importlib.import_module(_PAIRS)
    except ModuleNotFoundError as error:
        if error.name != _PAIRS:
            raise
        return None


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
                final_loss=float(row["final_loss"]) if row["final_loss"] else None,
                exact_correct=int(row["exact_correct"]) if row["exact_correct"] else None,
                total=int(row["total"]),
                sampled_accuracy=float(row["sampled_accuracy"]) if row["sampled_accuracy"] else None,
                samples=int(row["samples"]) if row["samples"] else None,
                model_sha256=row["model_sha256"],
            )
            for row in csv.DictReader(stream)
        )
