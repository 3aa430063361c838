"""Which inputs keep every margin positive: all inputs where there are few enough, a random sample otherwise.

Plain float64, for analysis and figures; nothing here certifies anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod

import numpy as np

from compactproofs.kernel.decisions import BoolArray, FloatArray, IntArray
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import boxes_of_class, max_of_k

#: Terms of margins: for a maximum m, queries (N,) and tokens (N or 1, n or 1, T), none above m, shape (N, n, T, rivals)
#: over (query, position, token there, rival).  An input counts if for every rival the sum of its terms over positions
#: is positive.
Terms = Callable[[int, IntArray, IntArray], FloatArray]

#: Some inputs: what gives the tokens of those at given places of an array, and that array: whether each fails.
_Group = tuple[Callable[[IntArray], IntArray], BoolArray]

Box = list[range]  # the tokens allowed at each of the first n - 1 positions

_BLOCK_ENTRIES = 2**19
_SAMPLE_ENTRIES = 2**17  # terms of a sample are formed in several steps, and should stay in the cache


@dataclass(frozen=True)
class Share:
    """So many of so many inputs; `exact` if these are all inputs of the model, otherwise they are a sample."""

    count: int
    of: int
    exact: bool

    @property
    def value(self) -> float:
        """The share, 0 to 1."""
        return self.count / self.of

    @property
    def error(self) -> float:
        """The standard error of the share: 0 if it is exact."""
        return 0.0 if self.exact else float(np.sqrt(max(self.value * (1 - self.value), 1 / self.of) / self.of))


@dataclass(frozen=True)
class Inputs:
    """The inputs that an analysis looks at: all of a model's, or a sample drawn with replacement.

    `sample`: None, or tokens of shape (N, n).
    """

    n: int
    v: int
    sample: IntArray | None

    @classmethod
    def of(cls, model: AttentionOnly, rng: np.random.Generator, most: int = 2**25, size: int = 2**16) -> Inputs:
        """All inputs if there are at most `most`, otherwise `size` uniform ones."""
        n, v = model.n_ctx, model.d_vocab
        return cls(n, v, None if max_of_k(model).task.total <= most else rng.integers(0, v, (size, n)))

    @property
    def number(self) -> int:
        """How many inputs these are."""
        return self.v**self.n if self.sample is None else len(self.sample)

    def count(self, terms: Terms) -> Share:
        """How many of the inputs have only positive sums."""
        failed = sum(int(np.count_nonzero(bad)) for _, bad in self._failing(terms))
        return Share(self.number - failed, self.number, self.sample is None)

    def failing(self, terms: Terms) -> IntArray:
        """The inputs for which a sum is not positive, shape (N, n)."""
        found = [np.zeros((0, self.n), np.int64)]
        found += [inputs(np.argwhere(bad)) for inputs, bad in self._failing(terms) if bad.any()]
        return np.concatenate(found)

    def _failing(self, terms: Terms) -> Iterator[_Group]:
        return self._all(terms) if self.sample is None else self._sampled(terms)

    def _all(self, terms: Terms) -> Iterator[_Group]:
        for m in range(self.v):
            queries = np.arange(m + 1) if self.n > 1 else np.array([m])
            table = terms(m, queries, every_token(m))
            own = table[np.arange(len(queries)), -1, queries]
            for some, box_query in ((slice(0, -1), 0), (slice(-1, None), m)):  # queries below m, then m itself
                parts = range(m), range(m, m + 1), range(m + 1)
                for box in boxes_of_class(self.n - 1, box_query == m, *parts) if len(queries[some]) else []:
                    yield from _in_box(table[some], own[some], queries[some], box)

    def _sampled(self, terms: Terms) -> Iterator[_Group]:
        for m, group in self._groups:
            step = max(1, _SAMPLE_ENTRIES // (self.n * self.v))
            for block in (group[start : start + step] for start in range(0, len(group), step)):
                sums = terms(m, block[:, -1], block[:, :, None])[:, :, 0].sum(axis=1)
                yield partial(_rows, block), ~(sums.min(axis=1) > 0.0)  # also where it is not a number

    @cached_property
    def _groups(self) -> list[tuple[int, IntArray]]:
        """The sample by maximum."""
        assert self.sample is not None
        largest = self.sample.max(axis=1)
        return [(m, self.sample[largest == m]) for m in np.unique(largest).tolist()]


def every_token(m: int) -> IntArray:
    """All tokens up to m as an argument of `Terms`, shape (1, 1, m + 1)."""
    return np.arange(m + 1)[None, None]


def _in_box(table: FloatArray, own: FloatArray, queries: IntArray, box: Box) -> Iterator[_Group]:
    """The inputs of a box, in blocks; those of which a sum of minima shows that none fails are left out.

    `table`: terms of these queries, shape (q, n, m + 1, rivals); `own`: those of the last position, (q, rivals).
    """
    if not all(box):
        return
    parts = [table[:, p, tokens.start : tokens.stop] for p, tokens in enumerate(box)]
    all_fail = (own + sum(part.max(axis=1) for part in parts) <= 0.0).any(axis=1)
    may_fail = ~(own + sum(part.min(axis=1) for part in parts) > 0.0)  # also where it is not a number
    for i in np.flatnonzero(may_fail.any(axis=1)).tolist():
        q = int(queries[i])
        if all_fail[i]:
            yield partial(_tokens, box, q), np.ones([len(tokens) for tokens in box], bool)
        else:
            yield from _enumerate([part[i][:, may_fail[i]] for part in parts], own[i, may_fail[i]], q, box)


def _enumerate(parts: list[FloatArray], own: FloatArray, query: int, box: Box) -> Iterator[_Group]:
    """All inputs of a box, in blocks.  `parts`: for each position the terms of its tokens, shape (tokens, rivals)."""
    sizes = [len(part) for part in parts]
    axis = next((p for p, size in enumerate(sizes) if size > 1), 0)  # the first position with a choice is cut
    step = max(1, _BLOCK_ENTRIES // (prod(sizes[axis + 1 :]) * len(own)))
    for start in range(0, sizes[axis] if parts else 1, step):
        block = [part[start : start + step] if p == axis else part for p, part in enumerate(parts)]
        inside = [tokens[start : start + step] if p == axis else tokens for p, tokens in enumerate(box)]
        yield partial(_tokens, inside, query), ~(_least_sum([part.T for part in block], own) > 0.0)


def _least_sum(parts: list[FloatArray], own: FloatArray) -> FloatArray:
    """min over rivals of own + a sum of one entry of each part, shape (tokens, ...).  `parts`: (rivals, tokens)."""
    sums = own + sum(part[:, 0] for part in parts if part.shape[1] == 1)
    for part in (part for part in parts if part.shape[1] > 1):
        sums = sums[..., None] + part.reshape(len(own), *[1] * (sums.ndim - 1), -1)
    least: FloatArray = sums.min(axis=0).reshape([part.shape[1] for part in parts])
    return least


def _rows(group: IntArray, index: IntArray) -> IntArray:
    return group[index[:, 0]]


def _tokens(box: Box, query: int, index: IntArray) -> IntArray:
    """The inputs with these places in a box, shape (N, len(box)) to (N, len(box) + 1)."""
    starts = np.array([tokens.start for tokens in box], np.int64)
    return np.concatenate([index + starts, np.full((len(index), 1), query)], axis=1)
