"""Brute force for several heads: the softmax of every head on every input.

Theorem.  The number N returned is at most the number of inputs whose label has the strictly largest logit; with
weights (`tasks.weights`), what these inputs count.

Proof.  By the lemma on averages (`averages`) the logits of an input are EU[q] plus, for each head, the average of what
its tokens and positions write, with weights u^h.  An input counts if its label's logit is certainly larger than all
others.

Inputs that differ in position n - 1 alone are handled together, so that an input takes, for each head and output, two
additions and a multiplication.
"""

from __future__ import annotations

from itertools import islice, product
from typing import Any

import numpy as np

from compactproofs.kernel.decisions import Array, IntArray, certainly_positive, max_where
from compactproofs.kernel.problem import Hints, Strategy
from compactproofs.networks.attention_only import circuits
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.tasks.max_of_k import ORDERS, too_heavy
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.core.additive import position_weights, token_weights
from compactproofs.theorems.max_of_k.heads.averages import HeadsProblem, HeadsWork, direct_path, heads

MAX_INPUTS = 2**26
BLOCK_ENTRIES = 2**15  # logits held at once


def bound(work: HeadsWork, hints: Hints) -> int:
    """What the inputs count that are certainly answered correctly."""
    if too_heavy(work.task):
        return 0
    n, v = work.network.n_ctx, work.network.d_vocab
    certain = 0
    for query in range(v):
        tables = [_Tables(head, query) for head in heads(work)]
        prefixes = product(range(v), repeat=max(n - 2, 0))
        while block := list(islice(prefixes, max(1, BLOCK_ENTRIES // v**2))):
            certain += _certain(work, query, np.array(block, np.int64).reshape(len(block), -1), tables)
    return certain


class _Tables:
    """What a token adds at each position, for one head and query: u, shape (n, v), and u times what it writes."""

    def __init__(self, work: Work, query: int) -> None:
        self.query = query
        self.weights = position_weights(work)[query][:, None] * token_weights(work)[query]
        self.written = self.weights[:, :, None] * (circuits.EVOU(work) + circuits.PVOU(work)[:, None, :])

    def average(self, prefixes: IntArray) -> Array:
        """What the head writes for these tokens x_1 ... x_{n-2} and each x_{n-1}: (prefixes, tokens, outputs)."""
        n = len(self.weights)
        weight, written = self.weights[n - 1, None, self.query], self.written[n - 1, None, self.query]
        for position, tokens in enumerate(prefixes.T):
            weight, written = weight + self.weights[position, tokens], written + self.written[position, tokens]
        if n == 1:
            return (written / weight[:, None])[:, None]
        return (written[:, None] + self.written[n - 2]) * (1.0 / (weight[:, None] + self.weights[n - 2]))[:, :, None]


def _certain(work: HeadsWork, query: int, prefixes: IntArray, tables: list[_Tables]) -> int:
    """What the right inputs with this last token count that begin with one of these, shape (prefixes, n - 2)."""
    n, v = work.network.n_ctx, work.network.d_vocab
    logits: Any = direct_path(work)[query]
    for table in tables:
        logits = logits + table.average(prefixes)
    last = np.arange(v) if n > 1 else np.array([query])
    label = np.maximum(prefixes.max(axis=1, initial=query)[:, None], last)[:, :, None]
    rivals = max_where(logits, np.arange(v) != label, axis=2)
    lead = np.take_along_axis(logits, label, axis=2)[:, :, 0] - rivals
    right = certainly_positive(lead)
    counts, of_query = work.task.counts, int(work.task.counts[query])
    each = np.outer(counts[prefixes].prod(axis=1), counts if n > 1 else [1])
    work.charge(int_ops=lead.size)
    return of_query * int(each[right].sum())


def limit(problem: HeadsProblem) -> str | None:
    """Refused above 2^26 inputs."""
    task = problem.task
    if task.size <= MAX_INPUTS:
        return too_heavy(task)
    return f"it would go through {task.d_vocab}^{task.n_ctx} inputs; at most 2^26 are supported"


HEADS_BRUTE_FORCE = Strategy(
    id="heads/brute-force",
    theorem="max-of-k/heads-brute-force@1",
    family=ManyHeads.family,
    tasks=ORDERS,
    bound=bound,
    limit=limit,
)
