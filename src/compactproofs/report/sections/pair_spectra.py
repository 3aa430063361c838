"""Singular values of what neurons write, and the irreps, or frequencies, of what they read and write."""

from __future__ import annotations

import numpy as np

from compactproofs.analysis.irreps import classes
from compactproofs.report import pair_charts
from compactproofs.report.charts import Draw
from compactproofs.report.page import Found
from compactproofs.report.pictures import HALF, pictures
from compactproofs.report.subjects import PairSubject

#: Classes in a table of characters.
_MOST = 10


def of_pairs(subject: PairSubject) -> Found:
    """The irreps that were learned, with their characters, and how many directions they and low rank need."""
    hints = subject.proofs["pair-sum/low-rank"].certificate.hints
    used, values = len(hints["factors"]), subject.neurons.values
    drawings = {"pair-singular-values": singular_values(subject)} if subject.parts else {}
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


def singular_values(subject: PairSubject) -> Draw:
    """Of what neurons write, and how many directions of it the proof by low rank computes."""
    used = len(subject.proofs["pair-sum/low-rank"].certificate.hints["factors"])
    return pair_charts.singular_values(subject.neurons.values, used)


def shares(subject: PairSubject) -> Draw:
    """Of what is read and written, by irrep."""
    first, label = (1, "character") if subject.task.group else (0, "frequency k")
    names = [subject.called(i) for i in range(first, len(subject.irreps))]
    return pair_charts.shares(subject.shares[first:], names, label)


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
