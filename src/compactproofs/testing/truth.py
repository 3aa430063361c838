"""The exact truth about a small attention-only network: which inputs it answers correctly, by balls.

Written from the definition of the model alone and on purpose unlike the package: nothing is split into token and
position parts, the softmax is taken as it stands, and numbers are Arb's balls, with the precision raised until an
input is decided.  What stays undecided at the highest precision, such as an exact tie, counts as wrong.

Needs python-flint, the extra `oracle`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

try:
    from flint import arb, arb_mat, ctx
except ImportError as error:
    raise ImportError('balls need python-flint: pip install "compactproofs[oracle]"') from error

from compactproofs.networks.attention_only.model import AttentionOnly

PRECISIONS = (64, 192, 640, 2048)

Input: TypeAlias = tuple[int, ...]
Label: TypeAlias = Callable[[Input], int]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


def all_inputs(model: AttentionOnly) -> Iterator[Input]:
    """All inputs, the last token running fastest."""
    return product(range(model.d_vocab), repeat=model.n_ctx)


def exact_correct(model: AttentionOnly, label: Label = max) -> int:
    """The number of inputs on which the label's logit is certainly the strictly largest."""
    return int(exact_correct_set(model, label).sum())


def exact_correct_set(model: AttentionOnly, label: Label = max) -> BoolArray:
    """For each input, in the order of `all_inputs`, whether the label's logit is certainly the strictly largest."""
    return _correct_set(_Same(model), label)


class _Same:
    """A model as a key: equal weights are the same model."""

    def __init__(self, model: AttentionOnly) -> None:
        self.model = model

    def __hash__(self) -> int:
        return hash(self.model.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.model.sha256 == other.model.sha256


@lru_cache(maxsize=4096)
def _correct_set(key: _Same, label: Label) -> BoolArray:
    inputs = list(all_inputs(key.model))
    correct = np.zeros(len(inputs), np.bool_)
    undecided = list(range(len(inputs)))
    for precision in PRECISIONS:
        if not undecided:
            break
        with ctx.workprec(precision):
            tables = _Tables(key.model)
            verdicts = [tables.verdict(inputs[i], label(inputs[i])) for i in undecided]
        correct[undecided] = [verdict is True for verdict in verdicts]
        undecided = [i for i, verdict in zip(undecided, verdicts, strict=True) if verdict is None]
    correct.flags.writeable = False
    return correct


def _balls(matrix: npt.NDArray[np.float64]) -> arb_mat:
    return arb_mat([[arb(float(entry)) for entry in row] for row in matrix])


def _plus(matrix: arb_mat, row: arb_mat) -> arb_mat:
    """The matrix with this row added to each of its rows."""
    return arb_mat([[matrix[i, j] + row[0, j] for j in range(matrix.ncols())] for i in range(matrix.nrows())])


class _Tables:
    """The forward pass at the current precision, with products of matrices done once for all tokens and positions."""

    def __init__(self, model: AttentionOnly) -> None:
        v, n = model.d_vocab, model.n_ctx
        embedding, position = _balls(model.W_E), _balls(model.W_pos)
        residual = arb_mat(  # row t n + p: token t at position p
            [[embedding[t, j] + position[p, j] for j in range(model.d_model)] for t in range(v) for p in range(n)]
        )
        sizes = {**dict.fromkeys(("b_Q", "b_K", "b_V"), model.d_head), "b_O": model.d_model, "b_U": v}
        b = {name: _balls(np.atleast_2d(getattr(model, name, np.zeros(size)))) for name, size in sizes.items()}
        of_query = arb_mat([[residual[t * n + n - 1, j] for j in range(model.d_model)] for t in range(v)])
        unembed = _balls(model.W_U)
        query, key = of_query * _balls(model.W_Q), residual * _balls(model.W_K)
        scores = _plus(query, b["b_Q"]) * _plus(key, b["b_K"]).transpose()
        writes = _plus(residual * _balls(model.W_V), b["b_V"]) * _balls(model.W_O) * unembed
        direct = _plus(_plus(of_query, b["b_O"]) * unembed, b["b_U"])
        root = arb(model.d_head).sqrt()
        self.n, self.v = n, v
        self.scores = [[scores[q, i] / root for i in range(v * n)] for q in range(v)]
        self.writes = [[writes[i, o] for o in range(v)] for i in range(v * n)]
        self.direct = [[direct[q, o] for o in range(v)] for q in range(v)]

    def verdict(self, tokens: Input, label: int) -> bool | None:
        """Whether the label wins: yes, no, or unknown at this precision."""
        n, query = self.n, tokens[-1]
        rows = [t * n + p for p, t in enumerate(tokens)]
        scores = [self.scores[query][i] for i in rows]
        # A softmax does not change if one number is subtracted from all scores; the largest keeps exp from overflowing.
        shift = scores[max(range(n), key=lambda p: float(scores[p].mid()))]
        weights = [(score - shift).exp() for score in scores]
        total = sum(weights, arb(0))
        attention = [weight / total for weight in weights]
        known = True
        for other in range(self.v):
            if other == label:
                continue
            margin = self.direct[query][label] - self.direct[query][other]
            for a, i in zip(attention, rows, strict=True):
                margin += a * (self.writes[i][label] - self.writes[i][other])
            if margin <= 0:
                return False
            known = known and bool(margin > 0)
        return True if known else None
