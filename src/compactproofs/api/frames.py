"""Proofs as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from compactproofs import zoo
from compactproofs.opening.arguments import expect
from compactproofs.search.choice import Certified
from compactproofs.search.prover import Proof

if TYPE_CHECKING:
    import polars as pl

__all__ = ["frame", "rows"]


def frame(proofs: Proof | Certified | Iterable[Proof | Certified]) -> pl.DataFrame:
    """A Polars frame with a row for each proof; a frame of pandas where Polars is not installed.

    Columns: `strategy`; `bound`, on the accuracy; `accuracy`, where known; `side`, lower or upper; `operations` to
    verify and their `log2`, and the `seconds` that took; `model`, a name or None; `task`; `sha`, the model's hash;
    `certified` of `total` inputs, as text, since they may have thousands of digits.  Raises ImportError where neither
    library is installed.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for row in rows(proofs):
        for name, value in row.items():
            columns[name].append(value)
    try:
        import polars
    except ImportError:
        return _pandas(columns)
    types = {str: polars.String, float: polars.Float64, int: polars.Int64}
    return polars.DataFrame(columns, {name: types[kind] for name, kind in _COLUMNS.items()})


_COLUMNS: Mapping[str, type] = {
    "strategy": str,
    "bound": float,
    "accuracy": float,
    "side": str,
    "operations": int,
    "log2": float,
    "seconds": float,
    "model": str,
    "task": str,
    "sha": str,
    "certified": str,
    "total": str,
}


def rows(proofs: Proof | Certified | Iterable[Proof | Certified]) -> list[dict[str, Any]]:
    """The rows of the frame."""
    expect("proofs", proofs, Proof | Certified | Iterable, "proofs")
    given = [proofs] if isinstance(proofs, Proof | Certified) else list(proofs)
    for each in given:
        expect("proofs", each, Proof | Certified, "proofs")
    known = {row.model_sha256: row for row in zoo.table()}
    found = []
    for each in given:
        name, exact = (each.name, each.accuracy) if isinstance(each, Certified) else ("", None)
        for proof in each.proofs if isinstance(each, Certified) else [each]:
            certificate = proof.certificate
            row = known.get(certificate.model_sha256)
            if exact is None and row is not None and row.exact_correct is not None:
                exact = row.exact_correct / row.total
            found.append(
                {
                    "strategy": certificate.strategy,
                    "bound": float(proof.bound),
                    "accuracy": exact,
                    "side": "lower" if certificate.claim == "at least" else "upper",
                    "operations": proof.cost.flops,
                    "log2": math.log2(proof.cost.flops) if proof.cost.flops else None,
                    "seconds": proof.verify_seconds,
                    "model": row.name if row is not None else name or None,
                    "task": certificate.task["name"],
                    "sha": certificate.model_sha256,
                    "certified": str(certificate.certified),
                    "total": str(certificate.total),
                }
            )
    return found


def _pandas(columns: Mapping[str, list[Any]]) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError('tables need Polars (or pandas): pip install "compactproofs[report]"') from error
    return pandas.DataFrame(columns)
