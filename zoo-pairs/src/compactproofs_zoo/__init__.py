"""Trained networks of two arguments: modular addition, and products in groups.

A name is a task and a seed, such as `add-59/50` or `S5/0`; the package `compactproofs` knows these names where this one
is installed. All networks here answer every pair right, which the strategy `pair-sum/brute-force` proves of each; the
table comes from float64 arithmetic without error bounds.
"""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Row", "path", "table"]

_ROOT = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Row:
    """One network: what it was trained on, how long, and how often it is right.

    `pairs` is the number of all inputs, `test_accuracy` the share of right answers among those not trained on, and
    `sha256` the hash of the file (`Network.sha256` hashes the weights).
    """

    name: str
    task: str
    seed: int
    epochs: int
    pairs: int
    test_accuracy: float
    sha256: str


def table() -> list[Row]:
    """One row for each network, by task, then by seed."""
    return list(_rows())


def path(name: str) -> Path:
    """The safetensors file of a network. Raises KeyError for an unknown name."""
    if all(name != row.name for row in _rows()):
        raise KeyError(name)
    return _ROOT / "models" / f"{name}.safetensors"


@functools.cache
def _rows() -> tuple[Row, ...]:
    with (_ROOT / "models.csv").open(newline="", encoding="utf-8") as stream:
        return tuple(
            Row(
                name=row["name"],
                task=row["task"],
                seed=int(row["seed"]),
                epochs=int(row["epochs"]),
                pairs=int(row["pairs"]),
                test_accuracy=float(row["test_accuracy"]),
                sha256=row["sha256"],
            )
            for row in csv.DictReader(stream)
        )
