"""Which inputs are answered wrongly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from compactproofs.analysis.mechanism import Errors, answers, errors, errors_among
from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.report import charts
from compactproofs.report.page import Found
from compactproofs.report.pictures import pictures
from compactproofs.report.subjects import HeadsSubject, Subject


def of_model(subject: Subject) -> Found:
    """Wrong answers by maximum, gap to the next token and query, at most 200 classes of them with an example."""
    k, v = subject.model.n_ctx, subject.model.d_vocab
    every, sample = [float((m + 1) ** k - m**k) for m in range(v)], subject.inputs.sample
    by_maximum = np.array(every) if sample is None else _number(sample.max(axis=1), v)
    return _of(errors(subject.tables, subject.inputs), by_maximum, lambda inputs: answers(subject.tables, inputs))


def of_heads(subject: HeadsSubject) -> Found:
    """The same, of the sample of inputs."""
    answer = (subject.direct + subject.written.sum(axis=0)).argmax(axis=1)
    found = {tuple(row): each for row, each in zip(subject.inputs.tolist(), answer.tolist(), strict=True)}
    return _of(
        errors_among(subject.inputs[~subject.right], len(subject.inputs), exact=False),
        _number(subject.labels, subject.model.d_vocab),
        lambda inputs: np.array([found[tuple(row)] for row in inputs.tolist()], np.int64),
    )


def _number(maxima: IntArray, v: int) -> FloatArray:
    """How many inputs have each maximum."""
    return np.bincount(maxima, minlength=v).astype(np.float64)


def _of(found: Errors, by_maximum: FloatArray, answers_to: Callable[[IntArray], IntArray]) -> Found:
    groups = found.groups()
    top = groups[:200]
    given = answers_to(np.array([group[-1] for group in top], np.int64).reshape(-1, found.inputs.shape[1]))
    return {
        "wrong": len(found.inputs),
        "close": float((found.gap <= 1).mean()) if len(found.inputs) else 0.0,
        "classes": len(groups),
        "rows": [
            (m, gap, q, count, " ".join(map(str, example.tolist())), ("tie", float(m)) if answer == m else answer)
            for (m, gap, q, count, example), answer in zip(top, given.tolist(), strict=True)
        ],
        "figures": pictures(
            {
                "errors-by-maximum": charts.errors_by_maximum(found, len(by_maximum), by_maximum),
                "errors-by-gap": charts.errors_by_gap(found),
            }
        ),
    }
