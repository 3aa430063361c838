"""The paper's Table 1 from the results of a sweep: terminal, Markdown, LaTeX."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import polars as pl

from compactproofs.paper.rows import ROWS, Published, published
from compactproofs.search.prover import Bound

SOURCES = ("paper June 2024", "later data")
HEADERS = ("row", "complexity", "normalised bound", *SOURCES, "FLOPs", "published FLOPs", "unexplained dimension")


@dataclass(frozen=True)
class TableRow:
    """One row: the best strategy for each model, then means over the models (standard deviation with n - 1)."""

    name: str
    complexity: str
    mean: float
    std: float
    flops: float
    unexplained: float
    published: dict[str, Published]


def summarise(results: list[Bound], n_ctx: int = 4, d_vocab: int = 64) -> list[TableRow]:
    """The rows of the table for which there are results, beside what is published for this K and so many tokens."""
    if not results:
        return []
    frame = pl.DataFrame(results, infer_schema_length=None)
    known = published(n_ctx, d_vocab)
    rows = []
    for row in ROWS:
        best = (
            frame.filter(pl.col("strategy").is_in(row.strategies) & pl.col("normalised").is_not_null())
            .sort(["normalised", "flops"], descending=[True, False])
            .group_by("model", maintain_order=True)
            .first()
        )
        if best.height:
            rows.append(
                TableRow(
                    row.name,
                    row.complexity,
                    mean=float(best["normalised"].mean()),
                    std=float(best["normalised"].std()) if best.height > 1 else 0.0,
                    flops=float(best["flops"].mean()),
                    unexplained=float(best["unexplained_dimension"].mean()),
                    published={s: figures[row.name] for s, figures in known.items() if row.name in figures},
                )
            )
    return rows


def cells(row: TableRow) -> list[str]:
    """The row as text, under `HEADERS`."""
    earlier = [row.published.get(source) for source in SOURCES]
    flops = next((p.flops for p in earlier if p and p.flops), None)
    return [
        row.name,
        f"O({row.complexity})",
        _plus_minus(row.mean, row.std),
        *("" if p is None else _plus_minus(p.mean, p.std) for p in earlier),
        _power(row.flops),
        "" if flops is None else _power(flops),
        _power(row.unexplained),
    ]


def as_markdown(rows: list[TableRow]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(HEADERS) + " |", "|" + " --- |" * len(HEADERS)]
    lines += ["| " + " | ".join(cells(row)).replace("^{K+1}", "^(K+1)") + " |" for row in rows]
    return "\n".join(lines) + "\n"


def as_latex(rows: list[TableRow]) -> str:
    """A LaTeX tabular; needs the package booktabs."""

    lines = [r"\begin{tabular}{llcccrrr}", r"\toprule", " & ".join(HEADERS) + r" \\", r"\midrule"]
    for row in rows:
        name, *formulas = cells(row)
        lines.append(" & ".join([name.replace("&", r"\&"), *map(_latex_formula, formulas)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_formula(text: str) -> str:
    """The text as a formula, with powers such as 2^13.64 in braces."""
    return "$" + re.sub(r"\^([\d.]+)", r"^{\1}", text.replace("±", r"\pm")) + "$" if text else ""


def _plus_minus(mean: float, std: float) -> str:
    return f"{mean:.4f} ± {std:.4f}"


def _power(number: float) -> str:
    return f"2^{math.log2(number):.2f}" if number > 0 else "0"
