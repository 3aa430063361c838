"""Hints for the checker in Coq, and the numbers that it will find: its integers, computed by NumPy.

`formal/Classes.v` decides inputs by classes (last token q, largest token m) and boxes in them.  Which outputs of a
class it should look at closely, and how it should split boxes, is found here: for the argument by boxes, and for that
of failing sets, which rules out the other outputs of a class without looking at its inputs.  Exponentials are NumPy's,
so where one of them is within rounding of an integer, the checker's may differ by one: then it may decide an input less
or more, but no input wrongly.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from compactproofs.formal.dyadic import Weights

Integers: TypeAlias = npt.NDArray[np.int64]
Tree: TypeAlias = "tuple[int, int, Tree, Tree] | None"  # position, how many tokens are in the first part; None: a leaf

Argument: TypeAlias = Literal["boxes", "cubic", "failing-sets"]

MOST_POSITIONS = 7
WEIGHT_BITS = 25
SMALL = 2**30
_CLEAR = Decimal("1e-40")  # far beyond what the checker's 200 bits leave open


def argument_for(strategy: str) -> Argument:
    """By which argument a certificate of this strategy is checked; those that have none of their own, by boxes."""
    kind = strategy.partition("/")[0]
    return "cubic" if kind == "cubic" else "failing-sets" if kind == "failing-sets" else "boxes"


@dataclass
class ClassHint:
    """Outputs that are not right on whole boxes, and a tree for each box of the class."""

    doubtful: list[int] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)


@dataclass
class Hints:
    """Precisions, hints of classes by query and by (largest - query), and the answers that will be decided."""

    fraction: int
    unit: int
    precision: int
    classes: list[list[ClassHint]]
    right: int = 0
    wrong: int = 0
    leaves: int = 0


def find_hints(weights: Weights, argument: Argument = "boxes") -> Hints:
    """The hints of a model for an argument; ValueError where the checker has no room for the model."""
    tables = _Tables(weights)
    hints = Hints(tables.fraction, tables.unit, 40, [])
    if argument == "cubic" or (argument == "failing-sets" and tables.n < 2):
        return hints  # which need no more than precisions
    doubtful = _SafeOutputs(tables).doubtful if argument == "failing-sets" else partial(_doubtful_on_boxes, tables)
    for query in range(weights.d_vocab):
        classes = range(query, weights.d_vocab)
        hints.classes.append([_of_class(tables, hints, query, m, doubtful(query, m)) for m in classes])
    return hints


class _Tables:
    """Exact products of the weights, rounded down as in `formal/Checker.v`."""

    def __init__(self, weights: Weights) -> None:
        n, v = weights.n_ctx, weights.d_vocab
        if n > MOST_POSITIONS:
            raise ValueError(f"the formal checker counts inputs of at most {MOST_POSITIONS} tokens; the model has {n}")
        W = weights.integers
        asking = W["W_E"] + W["W_pos"][-1]
        queries = asking @ W["W_Q"]
        scale = math.ldexp(1 / math.sqrt(weights.d_head), -4 * weights.exponent)
        self.by_token = (queries @ (W["W_E"] @ W["W_K"]).T * scale).astype(float)
        self.by_position = (queries @ (W["W_pos"] @ W["W_K"]).T * scale).astype(float)
        self.scores = self.by_position[:, :, None] + self.by_token[:, None, :]  # query, position, token
        if np.abs(self.scores).max() > 500:
            raise ValueError("the formal checker does not count with scores beyond 500")
        self.unit = max(0, 40 - math.floor(self.scores.min() / math.log(2)))
        written = W["W_E"] @ W["W_V"] @ W["W_O"] @ W["W_U"]
        direct = asking @ W["W_U"] * 2 ** (2 * weights.exponent)
        written_at = W["W_pos"] @ W["W_V"] @ W["W_O"] @ W["W_U"]
        base = direct[:, None, :] + written_at[None]
        largest = max(1, *(abs(int(x)) for x in (*written.ravel(), *base.ravel())))
        self.fraction = min(30 + 4 * weights.exponent - largest.bit_length() - 1, 4 * weights.exponent)
        cut = 4 * weights.exponent - self.fraction
        self.written: Integers = (written >> cut).astype(np.int64)
        self.base: Integers = (base >> cut).astype(np.int64)
        self.direct: Integers = (direct >> cut).astype(np.int64)
        self.written_at: Integers = (written_at >> cut).astype(np.int64)
        self.n, self.v = n, v
        self._given = weights

    def is_right(self, x: list[int], m: int, outputs: list[int]) -> bool | None:
        """Whether m beats each of these outputs on the input x, by 80 digits; None if they do not tell."""
        W, e = self._given.integers, self._given.exponent
        rows = [W["W_E"][token] + W["W_pos"][p] for p, token in enumerate(x)]
        query = rows[-1] @ W["W_Q"]
        with decimal.localcontext() as context:
            context.prec = 80
            unit = Decimal(2) ** (-4 * e)
            scale = unit / Decimal(self._given.d_head).sqrt()
            weights = [(int(query @ (row @ W["W_K"])) * scale).exp() for row in rows]
            direct = rows[-1] @ W["W_U"] * 2 ** (2 * e)
            margins = []
            for weight, row in zip(weights, rows, strict=True):
                alone = direct + row @ W["W_V"] @ W["W_O"] @ W["W_U"]
                margins.append([weight * int(alone[m] - alone[o]) * unit for o in outputs])
            lead = [sum(parts) / sum(weights) for parts in zip(*margins, strict=True)]
        if all(margin > _CLEAR for margin in lead):
            return True
        return False if any(margin < -_CLEAR for margin in lead) else None

    def weights(self, query: int, m: int) -> tuple[Integers, Integers]:
        """Bounds of the exponentials of scores, by position and token up to m."""
        scores = self.scores[query, :, : m + 1]
        top = math.floor(scores.max() / math.log(2))
        unit = min(WEIGHT_BITS - top, self.unit)
        exact = np.exp(scores + unit * math.log(2))
        return np.floor(exact).astype(np.int64), np.ceil(exact).astype(np.int64)

    def terms(self, query: int, m: int, outputs: Integers, slack: int) -> Integers:
        """Bounds of the terms of margins, by position, token up to m and output: below if `slack` is, or above."""
        low, high = self.weights(query, m)
        base = self.base[query][:, m, None] - self.base[query][:, outputs]
        g = base[:, None] + slack + self.written[: m + 1, m, None] - self.written[: m + 1, outputs]
        least, most = (low, high) if slack < 0 else (high, low)
        terms: Integers = np.where(g >= 0, least[..., None], most[..., None]) * g
        return terms


def _of_class(tables: _Tables, hints: Hints, query: int, m: int, outputs: Integers) -> ClassHint:
    """The hint of a class of which these outputs are in doubt; what it decides is added to the counts."""
    boxes = list(_boxes(tables.n - 1, query, m))
    if not len(outputs):
        hints.right += sum(_size(box) for box in boxes)
        return ClassHint()
    below, above = (tables.terms(query, m, outputs, slack) for slack in (-2, 2))
    search = _Search(hints, tables, below, above, query, m, outputs.tolist())
    return ClassHint(outputs.tolist(), [search.tree(box) for box in boxes])


def _doubtful_on_boxes(tables: _Tables, query: int, m: int) -> Integers:
    """The outputs that might win on some box of a class, by the least term of each position."""
    k = tables.n - 1
    below = tables.terms(query, m, np.arange(tables.v), -2)
    doubtful = np.zeros(tables.v, dtype=bool)
    for box in _boxes(k, query, m):
        doubtful |= sum(below[p, a:b].min(axis=0) for p, (a, b) in enumerate(box)) + below[k, query] <= 0
    doubtful[m] = False
    return np.flatnonzero(doubtful)


class _SafeOutputs:
    """The tests `by_itself` and `as_query` of `formal/SafeOutputs.v`, in floats, with something to spare."""

    NEAR = 4
    SCALE = 2.0**24
    SPARE = 1e-9

    def __init__(self, tables: _Tables) -> None:
        self.tables = tables
        others, last = tables.by_position[:, :-1], tables.by_position[:, -1]
        self.most = self._up(np.exp(others.max(axis=1) - others.min(axis=1)))
        self.last_to_least = self._up(np.exp(last - others.min(axis=1)))
        self.most_to_last = self._up(np.exp(others.max(axis=1) - last))

    def _up(self, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        up: npt.NDArray[Any] = np.ceil(numbers * self.SCALE * (1 + self.SPARE)) / self.SCALE
        return up

    def doubtful(self, query: int, m: int) -> Integers:
        """The outputs that are not ruled out for a class."""
        t, k, far = self.tables, self.tables.n - 1, max(1, m - self.NEAR)
        gaps = t.written[: m + 1, m, None] - t.written[: m + 1]  # token, output
        places = t.written_at[:, m, None] - t.written_at
        floor = t.direct[query, m] - t.direct[query] + places.min(axis=0) - 3
        scores = t.by_token[query, : m + 1] - t.by_token[query, m]
        weights = self._up(np.exp(np.append(scores[:far].max(), scores[far:m])))  # by cell
        brackets = np.append(gaps[:far].min(axis=0)[None], gaps[far:m], axis=0) + floor
        price = k * self.most_to_last[query] if query == m else (k - 1) * self.most[query]
        terms = [gaps[m] + floor, np.minimum((self._up(price * weights)[:, None] * brackets).min(axis=0), 0.0)]
        if query != m:
            own = self._up(self.last_to_least[query] * self._up(np.exp(scores[query])))
            terms.append(np.minimum(own * (gaps[query] + floor), 0.0))
        doubtful = np.sum(terms, axis=0) <= self.SPARE * np.abs(terms).sum(axis=0)
        doubtful[m] = False
        return np.flatnonzero(doubtful)


Box: TypeAlias = list[tuple[int, int]]  # for each position but the last, the first token and that behind the last


def _boxes(k: int, query: int, m: int) -> Iterator[Box]:
    """The inputs of a class: where the largest token comes first, with smaller ones before it."""
    if query == m:
        yield [(0, m + 1)] * k
    else:
        for i in range(k):
            yield [(0, m)] * i + [(m, m + 1)] + [(0, m + 1)] * (k - 1 - i)


def _size(box: Box) -> int:
    return math.prod(b - a for a, b in box)


class _Search:
    """Splits boxes until every part is decided."""

    def __init__(
        self, hints: Hints, tables: _Tables, below: Integers, above: Integers, query: int, m: int, outputs: list[int]
    ) -> None:
        self.hints = hints
        self.tables, self.subject = tables, (query, m, outputs)
        self.below, self.above = below, above
        self.last_below, self.last_above = below[-1, query], above[-1, query]

    def tree(self, box: Box) -> Tree:
        """The tree of a box; what it decides is added to the hints' counts."""
        size = _size(box)
        if size == 0:
            return None
        lows = [self.below[p, a:b] for p, (a, b) in enumerate(box)]
        least = [low.min(axis=0) for low in lows]
        total = sum(least) + self.last_below
        if (total > 0).all():
            self.hints.right += size
            self.hints.leaves += 1
            return None
        most = sum(self.above[p, a:b].max(axis=0) for p, (a, b) in enumerate(box)) + self.last_above
        if (most <= 0).any():
            self.hints.wrong += size
            self.hints.leaves += 1
            return None
        if size == 1:  # which the checker looks at closely
            query, m, outputs = self.subject
            right = self.tables.is_right([*(a for a, _ in box), query], m, outputs)
            self.hints.right += right is True
            self.hints.wrong += right is False
            self.hints.leaves += 1
            return None
        o = int(total.argmin())
        p = max(range(len(box)), key=lambda p: int(np.ptp(lows[p][:, o])) if len(lows[p]) > 1 else -1)
        cut = _cut(lows[p][:, o] + (total[o] - least[p][o]) > 0)
        a, b = box[p]
        return (
            p,
            cut,
            self.tree([*box[:p], (a, a + cut), *box[p + 1 :]]),
            self.tree([*box[:p], (a + cut, b), *box[p + 1 :]]),
        )


def _cut(good: npt.NDArray[Any]) -> int:
    """Where to cut tokens, of which some are good whatever the other positions have: off the longest good end."""
    changes = np.flatnonzero(good[1:] != good[:-1]) + 1
    if not len(changes):
        return len(good) // 2
    first, last = int(changes[0]), int(changes[-1])
    ends = [(first, first) if good[0] else (0, first), (len(good) - last, last) if good[-1] else (0, last)]
    return max(ends)[1]
