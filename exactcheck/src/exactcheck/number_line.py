"""number-line: tokens as points on a line, and neighbouring outputs compared."""

from __future__ import annotations

from collections.abc import Sequence

from flint import arb

from exactcheck.balls import (
    Decisions,
    Table,
    balls,
    largest,
    least,
    mean_row,
    negated,
    product,
    root,
    shifted,
    total,
    transposed,
)
from exactcheck.reading import Hint, Weights
from exactcheck.subcubic import vector


def hint_forms(weights: Weights) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """The types and shapes of the hints."""
    return {"e0": ("float64", (weights.d,)), "b": ("float64", (weights.d,)), "c": ("float64", (weights.v,))}


def certified(weights: Weights, hints: dict[str, Hint], decide: Decisions) -> int:
    """N, as `docs/certificate-format.md` defines it for number-line."""
    v, n = weights.v, weights.n
    W = {name: balls(matrix) for name, matrix in weights.folded.items()}
    e0, b, c = (vector(hints[name]) for name in ("e0", "b", "c"))
    if not all(c[t] <= c[t + 1] for t in range(v - 1)):  # these are floats, so that this is exact
        return 0
    middle = mean_row(W["W_pos"])
    besides = [[x - y - c[t] * z for x, y, z in zip(row, e0, b, strict=True)] for t, row in enumerate(W["W_E"])]
    eps = largest(_norm(row) for row in besides)
    eta = largest(_norm(row) for row in shifted(W["W_pos"], negated(middle)))
    u = _sum(e0, W["W_pos"][-1])

    scale = arb(weights.h).sqrt()
    M = [[x / scale for x in row] for row in product(W["W_Q"], transposed(W["W_K"]))]
    toward = [row[0] for row in product(M, transposed([b]))]
    slopes = [total(x * y for x, y in zip(row, toward, strict=True)) for row in (u, b)]
    sigma = least(slopes[0] + x * slopes[1] for x in c) - eps * _norm(toward)
    if not decide.positive(sigma):
        return 0
    u_M, b_M = product([u, b], M)
    across = _norm(u_M) + largest(abs(x) for x in c) * _norm(b_M) + eps * _size(W["W_Q"]) * _size(W["W_K"]) / scale
    tau = 2 * (eps + eta) * across

    written = product([_sum(e0, middle), b], W["W_V"], W["W_O"])
    rows = product([_sum(u, written[0]), b, written[1]], W["W_U"])
    columns = transposed(W["W_U"])
    up, down = [], []
    for j in range(v - 1):
        alpha, gamma, beta = (row[j] - row[j + 1] for row in rows)
        apart = _norm(_sum(columns[j], negated(columns[j + 1])))
        err = (eps + (eps + eta) * _size(W["W_V"]) * _size(W["W_O"])) * apart
        far = largest([c[j + 1] - c[j], 1 / sigma])
        low = c[j + 1] - (n - 1) * tau.exp() * far * (-sigma * far).exp()
        highest = alpha + largest([gamma * c[0], gamma * c[-1]]) + largest([beta * low, beta * c[-1]])
        lowest = alpha + least([gamma * c[0], gamma * c[j]]) + least([beta * c[0], beta * c[j]])
        up.append(decide.positive(lowest - err))
        down.append(decide.positive(-highest - err))
    up_to = [weights.count(range(m)) for m in range(v + 1)]
    return sum(up_to[m + 1] ** n - up_to[m] ** n for m in range(v) if all(up[m:]) and all(down[:m]))


def _sum(x: Sequence[arb], y: Sequence[arb]) -> list[arb]:
    return [a + b for a, b in zip(x, y, strict=True)]


def _norm(x: Sequence[arb]) -> arb:
    return root(total(a * a for a in x))


def _size(x: Table) -> arb:
    return root(total(a * a for row in x for a in row))
