"""Singular values of what neurons write, and the irreps, or frequencies, of what they read and write."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.irreps import classes
from compactproofs.report import pair_charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF, pictures
from compactproofs.report.subjects import PairSubject

#: Classes in a table of characters.
_MOST = 10


def of_pairs(subject: PairSubject) -> Found:
    """The irreps that were learned, with their characters, and how many directions they and low rank need."""
    values, used = subject.neurons.values, subject.directions
    drawings = {"pair-singular-values": pair_charts.singular_values(values, used)} if subject.parts else {}
    return {
        "used": used,
        "values": values,
        "large": int((values > 0.1 * values[0]).sum()) if len(values) else 0,
        "functions": sum(part.irrep.functions for part in subject.parts),
        "rows": [
            (subject.called(p.number), p.irrep.dimension, len(p.neurons), p.left, p.right, p.out, p.irrep.functions)
            for p in subject.parts
        ],
        "characters": _characters(subject) if subject.task.group else None,
        "figures": pictures(drawings, (HALF[0], 2.2)),
    }


def _characters(subject: PairSubject) -> tuple[dict[str, str], list[tuple[str, ...]], int]:
    """Headers by class, a row for each character that was learned, and how many classes are left out."""
    table = subject.task.table
    found = classes(table)
    unit, headers = int(found.first[0]), ["1"]
    for z, size in list(zip(found.first.tolist(), found.size.tolist(), strict=True))[1:_MOST]:
        power, order = z, 1
        while power != unit:
            power, order = int(table[power, z]), order + 1
        headers.append(f"{size} of order {order} (no. {z})")
    rows = [(subject.called(p.number), *(_number(value) for value in p.irrep.character[:_MOST])) for p in subject.parts]
    return dict.fromkeys(["character", *headers], ""), rows, max(len(found.size) - _MOST, 0)


def _number(value: complex) -> str:
    real, imag = (round(part, 3) + 0.0 for part in (np.real(value), np.imag(value)))
    return f"{real:.4g}{imag:+.4g}i".replace("-", "−") if imag else f"{real:.4g}".replace("-", "−")
