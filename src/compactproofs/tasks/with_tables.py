"""The library with tables of labels in it, which certificates name by their hashes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from compactproofs.kernel.library import Library
from compactproofs.kernel.problem import Task
from compactproofs.tasks import pairs
from compactproofs.tasks.pairs import Pairs
from compactproofs.tasks.sequences import TABLE, Sequences
from compactproofs.tasks.tables import Table


def with_tables(tables: Collection[Table], library: Library) -> Library:
    """The same library, with the tables of labels that tasks name."""
    own: dict[str, Callable[[Mapping[str, Any]], Task]] = {
        TABLE: partial(Sequences.of_record, tables=tuple(tables)),
        pairs.TABLE: partial(Pairs.of_record, tables=tuple(tables)),
    }
    return Library.of(library.strategies.values(), {**library.tasks, **own})
