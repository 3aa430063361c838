"""brute-force: which inputs the model answers correctly, by a forward pass for each."""

from __future__ import annotations

import itertools
import math

from flint import arb

from exactcheck.balls import Decisions, balls, product, shifted, total, transposed
from exactcheck.reading import Hint, Weights


def certified(weights: Weights, hints: dict[str, Hint], decide: Decisions) -> int:
    """The number of inputs whose label has the strictly largest logit."""
    right, possible = right_inputs(weights)
    decide.undecided += possible - right
    return right


def right_inputs(weights: Weights) -> tuple[int, int]:
    """What the inputs count that are certainly right, and those that may be; from the model's definition alone."""
    v, n = weights.v, weights.n
    W = {name: balls(matrix) for name, matrix in weights.matrices.items()}
    b = {name: balls([entries])[0] for name, entries in weights.biases.items()}
    # at[p][t]: the residual stream at position p with token t
    at = [[[x + y for x, y in zip(token, place, strict=True)] for token in W["W_E"]] for place in W["W_pos"]]
    root = arb(weights.h).sqrt()
    query = shifted(product(at[-1], W["W_Q"]), b["b_Q"])
    scores = [product(query, transposed(shifted(product(at[p], W["W_K"]), b["b_K"]))) for p in range(n)]
    writes = [product(shifted(product(at[p], W["W_V"]), b["b_V"]), W["W_O"], W["W_U"]) for p in range(n)]
    direct = shifted(product(shifted(at[-1], b["b_O"]), W["W_U"]), b["b_U"])
    right = possible = 0
    for x in itertools.product(range(v), repeat=n):
        q, m = x[-1], max(x)
        to = [scores[p][q][x[p]] / root for p in range(n)]
        shift = max((s.mid() for s in to), key=float)  # any number will do
        a = [(s - shift).exp() for s in to]
        norm = total(a)

        def logit(o: int, x: tuple[int, ...] = x, q: int = q, a: list[arb] = a, norm: arb = norm) -> arb:
            return direct[q][o] + total(a[p] * writes[p][x[p]][o] for p in range(n)) / norm

        leads = [logit(m) - logit(o) for o in range(v) if o != m]
        count = math.prod(weights.count([t]) for t in x)
        right += count * all(lead > 0 for lead in leads)
        possible += count * (not any(lead <= 0 for lead in leads))
    return right, possible
