"""Networks of two arguments: how files say that they are some, tasks by short names, and tables as files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compactproofs.kernel.strict import shown
from compactproofs.kernel.tensors import read_tensors
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening import configuration
from compactproofs.opening.models import MAX_FILE_BYTES
from compactproofs.system.files import read_limited
from compactproofs.tasks.pairs import Pairs, add_mod, group_products, pair_table
from compactproofs.tasks.tables import Table

__all__ = ["KEY", "TASKS", "in_words", "is_pair_sum", "load_pair_sum", "network_of", "said", "shown_by", "task_for"]

KEY = "compactproofs.training"
TASKS = "add-mod (or C<n>), products in the groups S<n>, A<n>, D<n> and F<n>, and table:FILE"

_ADDITION = re.compile(r"(?:add-|C)([1-9][0-9]{0,3})", re.ASCII)


def said(data: bytes) -> Mapping[str, Any]:
    """What a file of these bytes says of itself, if it was made by `train`; ValueError if it is no such file."""
    try:
        found = json.loads(read_tensors(data)[1].get(KEY, "{}"))
    except (json.JSONDecodeError, RecursionError):
        found = {}
    return found if isinstance(found, dict) else {}


def is_pair_sum(data: bytes) -> bool:
    """Whether a file says that it is one of these networks, or has tensors as no other has: values without queries."""
    return shown_by(data) is not None


def shown_by(data: bytes) -> str | None:
    """What in a file says or shows that it is one, in words, or None."""
    names = read_tensors(data)[0]
    if "W_x" in names:
        return "it has a tensor W_x"
    if "blocks.0.attn.W_V" in names and "blocks.0.attn.W_Q" not in names:
        return "it has a tensor blocks.0.attn.W_V and no blocks.0.attn.W_Q"
    return f"its metadata {KEY} say so" if said(data).get("family") == PairSum.family else None


def network_of(data: bytes) -> PairSum:
    """The network in a file of these bytes; ValueError also where its configuration is that of another kind."""
    network = PairSum.from_bytes(data)
    settings = configuration.of_bytes(data)
    reason = configuration.no_pair_sum(settings) if settings and network.positions else None
    if reason is not None:
        raise ValueError(f"in the metadata {configuration.KEY}, {reason}")
    return network


def task_for(network: PairSum, name: str, table: Table | None = None) -> Pairs:
    """The task of this name, such as add-mod, S5 or table; ValueError if it does not go with the network."""
    addition = _ADDITION.fullmatch(name)
    if table is not None and name != "table":
        raise ValueError(f"{shown(name)}: a table is for the task named table (--task table:FILE)")
    if name == "table":
        if table is None:
            raise ValueError("table: the table must be given (--task table:FILE)")
        task = pair_table(table)
    elif addition or name == "add-mod":
        task = add_mod(int(addition[1]) if addition else network.n)
    elif re.fullmatch(r"[SADF][0-9]+", name, re.ASCII):
        task = group_products(name)
    else:
        raise ValueError(f"unknown task {shown(name)} for a network of two arguments; known: {TASKS}")
    misfit = task.misfit(network)
    if misfit is not None:
        raise ValueError(f"{name}: {misfit}")
    return task


def in_words(task: Pairs) -> str:
    """What a task is."""
    if task.group:
        return f"products in the group {task.group}, {task.n} elements"
    return f"a table of {task.n} rows" if task.given else f"x + y mod {task.n}"


def load_pair_sum(path: str | Path) -> PairSum:
    """The network of two arguments in a safetensors file, a transformer with constant attention.

    Raises InvalidModel and OSError.
    """
    try:
        return network_of(read_limited(Path(path), MAX_FILE_BYTES))
    except ValueError as error:
        raise InvalidModel(f"{path}: {error}") from error
