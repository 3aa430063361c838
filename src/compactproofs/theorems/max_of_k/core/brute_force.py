"""Brute force: every input is its own case.

Theorem.  The number N returned is at most the number of inputs whose label has the strictly largest logit; with
weights (`tasks.weights`), what these inputs count.

Proof.  Inputs are split by their last token q and their maximum m >= q, the label.  By the additive margin
(`additive`) an input is answered correctly exactly if for every other output its sum of terms is positive, and only
inputs are counted for which that is certain.  With n = 1 the only class is q = m.

Counting.  Given F of shape (n, m + 1, r) over (position, token, rival) and a last token q <= m, consider the inputs x
with x_n = q and maximum m.  With S_j(x) = sum_p F[p, x_p, j], those with S_j(x) > 0 for all j are to be counted.
Adding enclosures for every input would be slow, so almost all inputs are decided on integers.

Lemma.  Let c > 0 and integers L <= c F <= H entrywise, and gap = sum over p of max (H[p] - L[p]).  With
d(x) = min_j sum_p L[p, x_p, j]:  d > 0 implies that x counts, and d <= -gap implies that it does not.

Proof.  c S_j(x) >= sum_p L[p, x_p, j] >= d.  And for the j at which d is attained, c S_j(x) <= d + gap <= 0.

Sums of integers are exact as long as none leaves 32 bits, which is checked before.  Of the inputs in between, which
are few, up to 2^14 are then tried by enclosures of the sums of F itself; the others do not count here.

Nothing of the model is understood: the unexplained dimension is v^(K+1), one number for each input and output.
Source: section 4.1 of arXiv 2406.11779, where each input takes a forward pass; here it takes K - 1 additions of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import Array, IntArray, certainly_positive, midpoint, to_grid
from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import ORDERS, boxes_of_class, too_heavy
from compactproofs.theorems.max_of_k import MaxProblem, Work
from compactproofs.theorems.max_of_k.core.additive import additive_terms, other_outputs, values_of_maximum

MAX_INPUTS = 2**31
_BLOCK_ENTRIES = 2**18  # sums held at once: rivals x sequences
_MAX_UNDECIDED = 2**14  # for each call; more are given up


def bound(work: Work, hints: Hints) -> int:
    """What the inputs count that are certainly answered correctly."""
    if too_heavy(work.task):
        return 0
    certain = 0
    for m in range(work.network.d_vocab):
        outputs = other_outputs(work, m)
        values = values_of_maximum(work, m, outputs)
        for q in range(m + 1):
            certain += count_class(work, additive_terms(work, q, m, outputs, values), q)
    return certain


def count_class(work: Work, terms: Array, query: int) -> int:
    """What the inputs with last token `query` and maximum m count for which every sum of `terms` is surely positive.

    `terms`: shape (n, m + 1, r) over (position, token, rival), query <= m.  Cost about 2 r for each input: the
    integers stand for the terms, so their additions and minima are booked as floating-point operations.
    """
    n, m = terms.shape[0], terms.shape[1] - 1
    try:
        low, gap = _integer_terms(work, terms)
    except OverflowError:
        return 0
    certain = tried = 0
    for box in boxes_of_class(n - 1, query == m, range(m), range(m, m + 1), range(m + 1)):
        for start, sums, counts in _blocks(work, low, query, box):
            least = sums.min(axis=0)
            certain += int(counts[least > 0].sum())
            work.charge(flops=sums.size - least.size, int_ops=3 * least.size)
            unsure = np.flatnonzero((least > -gap) & (least <= 0))[: _MAX_UNDECIDED - tried]
            tried += unsure.size
            if unsure.size:
                choices = *box, range(query, query + 1)
                digits = np.unravel_index(start + unsure, [len(tokens) for tokens in choices])
                inputs = np.stack(digits, axis=1) + [tokens.start for tokens in choices]
                found = terms[np.arange(n), inputs].sum(axis=1)
                certain += int(counts[unsure[certainly_positive(found).all(axis=1)]].sum())
    return int(work.task.counts[query]) * certain


def _integer_terms(work: Work, terms: Array) -> tuple[npt.NDArray[np.int32], int]:
    """L as (position, rival, token) and the gap of the lemma; OverflowError if sums could leave 32 bits."""
    n = terms.shape[0]
    largest = float(np.abs(midpoint(terms)).max())
    work.charge(flops=2 * terms.size)
    if not np.isfinite(largest):
        raise OverflowError("a term is not finite")
    exponent = int(np.frexp(largest)[1]) if largest > 0.0 else 0
    low, high = to_grid(terms, float(np.ldexp(1.0, min(30 - (n - 1).bit_length() - exponent, 1000))))
    if n * max(-int(low.min()), int(high.max())) >= 2**31:
        raise OverflowError("a sum of terms does not fit 32 bits")
    gap = int((high - low).max(axis=(1, 2)).sum())
    return np.ascontiguousarray(low.transpose(0, 2, 1).astype(np.int32)), gap


def _blocks(
    work: Work, low: npt.NDArray[np.int32], query: int, box: list[range]
) -> Iterator[tuple[int, npt.NDArray[np.int32], IntArray]]:
    """Sums over positions for all inputs of a box, the tokens of the first n - 1 positions, the last running fastest.

    Yields (number of inputs before the block, sums of shape (rival, input of the block), what each input counts), the
    last without the query.
    """
    n, rivals, _ = low.shape
    of_token = work.task.counts
    sums, counts = low[n - 1][:, query].reshape(rivals, 1), np.ones(1, np.int64)
    outer = n - 1
    while outer > 0 and (outer == n - 1 or sums.size * len(box[outer - 1]) <= _BLOCK_ENTRIES):
        outer -= 1
        choices = low[outer][:, box[outer].start : box[outer].stop]
        sums = (choices[:, :, None] + sums[:, None, :]).reshape(rivals, -1)
        counts = np.outer(of_token[box[outer].start : box[outer].stop], counts).ravel()
        work.charge(flops=sums.size)
    if outer == 0:
        yield 0, sums, counts
        return
    for number, prefix in enumerate(product(*box[:outer])):
        shift = low[np.arange(outer), :, prefix].sum(axis=0, dtype=np.int32)
        work.charge(flops=(outer - 1) * rivals + sums.size)
        yield number * sums.shape[1], sums + shift[:, None], of_token[list(prefix)].prod() * counts


def limit(problem: MaxProblem) -> str | None:
    """Brute force is refused above 2^31 inputs."""
    if problem.task.size <= MAX_INPUTS:
        return too_heavy(problem.task)
    return f"brute force would enumerate {problem.task.d_vocab}^{problem.task.n_ctx} inputs; at most 2^31 are supported"


BRUTE_FORCE = Strategy(
    id="brute-force",
    theorem="max-of-k/brute-force@1",
    family=AttentionOnly.family,
    tasks=ORDERS,
    bound=bound,
    limit=limit,
)
