"""brute-force: which inputs the model answers correctly, by a forward pass for each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from flint import arb

from exactcheck.balls import Decisions, balls, product, shifted, total, transposed
from exactcheck.reading import Hint, Weights


def certified(weights: Weights, hints: dict[str, Hint], decide: Decisions) -> int:
    """The number of inputs whose label has the strictly largest logit."""
    right, possible = right_inputs(weights)
    decide.undecided += possible - right
    return right


def right_inputs(*heads: Weights, label: Callable[[tuple[int, ...]], int] = max) -> tuple[int, int]:
    """What the inputs count that are certainly right, and those that may be; from the model's definition alone.

    `heads`: a one-head network, or several that share embeddings, of which each adds what its head writes.
    """
    v, n = heads[0].v, heads[0].n
    tables = [_Tables(weights) for weights in heads]
    right = possible = 0
    for x in itertools.product(range(v), repeat=n):
        m, logits = label(x), list(tables[0].direct[x[-1]])
        for table in tables:
            logits = [logit + written for logit, written in zip(logits, table.written(x), strict=True)]
        leads = [logits[m] - logits[o] for o in range(v) if o != m]
        count = math.prod(heads[0].count([token]) for token in x)
        right += count * all(lead > 0 for lead in leads)
        possible += count * (not any(lead <= 0 for lead in leads))
    return right, possible


class _Tables:
    """Scores before they are divided, what is written, and the direct path, for all tokens and positions."""

    def __init__(self, weights: Weights) -> None:
        self.v, self.n = weights.v, weights.n
        W = {name: balls(matrix) for name, matrix in weights.matrices.items()}
        b = {name: balls([entries])[0] for name, entries in weights.biases.items()}
        # at[p][t]: the residual stream at position p with token t
        at = [[[x + y for x, y in zip(token, place, strict=True)] for token in W["W_E"]] for place in W["W_pos"]]
        self.root = arb(weights.h).sqrt()
        query = shifted(product(at[-1], W["W_Q"]), b["b_Q"])
        keys = [shifted(product(at[p], W["W_K"]), b["b_K"]) for p in range(self.n)]
        self.scores = [product(query, transposed(key)) for key in keys]
        values = [shifted(product(at[p], W["W_V"]), b["b_V"]) for p in range(self.n)]
        self.writes = [product(value, W["W_O"], W["W_U"]) for value in values]
        self.direct = shifted(product(shifted(at[-1], b["b_O"]), W["W_U"]), b["b_U"])

    def written(self, x: tuple[int, ...]) -> list[arb]:
        """What the head adds to the logits of an input."""
        to = [self.scores[p][x[-1]][t] / self.root for p, t in enumerate(x)]
        shift = max((s.mid() for s in to), key=float)  # any number will do
        a = [(s - shift).exp() for s in to]
        norm = total(a)
        return [total(a[p] * self.writes[p][t][o] for p, t in enumerate(x)) / norm for o in range(self.v)]
