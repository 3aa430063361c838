"""Results of sweeps as tables, by Polars."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from compactproofs.runs.sweep import Result
from compactproofs.search.prover import Bound
from compactproofs.system.files import write_atomically

_TYPES = {"str": pl.String, "Claim": pl.String, "float": pl.Float64, "float | None": pl.Float64, "int": pl.Int64}
_BOUND = {name: _TYPES[str(kind.__forward_arg__)] for name, kind in Bound.__annotations__.items()}
_BOUND["unexplained_dimension"] = pl.Float64  # which may be the number of inputs, that is, of any size
_SCHEMA = {
    **dict.fromkeys(("model", "strategy", "outcome"), pl.String),
    **{name: kind for name, kind in _BOUND.items() if name not in ("model", "strategy")},
    **dict.fromkeys(("correct", "reason", "certificate", "file_sha256"), pl.String),
}


def frame(results: Sequence[Result]) -> pl.DataFrame:
    """One row for each model and strategy; without a bound its columns are empty, and `reason` says why."""
    rows: list[dict[str, Any]] = [{**(result["proof"] or {}), **result} for result in results]
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in _SCHEMA}, schema=_SCHEMA)


def bounds_as_csv(bounds: Sequence[Bound]) -> str:
    """All but what is claimed, which is always "at least"."""
    return str(pl.DataFrame(bounds, infer_schema_length=None).drop("claim").write_csv())


def write(results: Sequence[Result], directory: Path) -> list[Path]:
    """Write the table as Parquet and as CSV, each as a whole."""
    table, stream = frame(results), io.BytesIO()
    table.write_parquet(stream)
    files = {"sweep.parquet": stream.getvalue(), "sweep.csv": table.write_csv().encode()}
    for name, data in files.items():
        write_atomically(directory / name, data)
    return [directory / name for name in files]
