"""sub-cubic/*: classes with a gap between the maximum and the other tokens."""

from __future__ import annotations

import itertools
import math
from math import comb

from flint import arb

from exactcheck.balls import (
    ZERO,
    Decisions,
    Table,
    in_order,
    largest,
    mean,
    mean_row,
    negated,
    product,
    root,
    shifted,
    spread,
    total,
    transposed,
)
from exactcheck.paths import Paths
from exactcheck.reading import Hint, Weights

DIRECT = ("max_diff_exact", "global_max_diff_exact", "mean_query+max_diff", "svd_query+max_diff", "max_diff")
ATTENTION = ("mean_query+diff", "drop_average_query_per_output_logit_reasoning")
EXACT = "exact_EQKE+max_diff_exact"
RECURSIVE = "max_diff_subproduct_recursive"
REMAINDER = (
    EXACT,
    "max_diff_exact",
    "svd",
    "max_diff",
    "mean+max_diff",
    "max_diff_subproduct",
    "mean+max_diff_subproduct",
    RECURSIVE,
    f"mean+{RECURSIVE}",
    f"mean_recursive+{RECURSIVE}",
)
NODES = [arb(j) / 4 for j in range(5)]

Lines = list[tuple[list[arb], list[arb]]]  # for each line, intercepts and slopes over m


def is_known(strategy: str) -> bool:
    """Whether this is the id of a strategy of the family."""
    parts = strategy.split("/")
    return (
        len(parts) == 4
        and parts[0] == "sub-cubic"
        and parts[1] in DIRECT
        and parts[2] in ATTENTION
        and parts[3] in REMAINDER
    )


def hint_forms(strategy: str, weights: Weights) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The types and shapes of the hints."""
    _, direct, _, remainder = strategy.split("/")
    v, n, d = weights.v, weights.n, weights.d
    forms: dict[str, tuple[str, tuple[int, ...]]] = {
        "gap": ("uint8" if v <= 256 else "uint16", (v * (v + 1) // 2, n - 1))
    }
    if direct == "svd_query+max_diff":
        forms["centre"] = ("float64", (d,))
    if remainder != EXACT:
        forms |= dict.fromkeys(("query", "key"), ("float64", (v,)))
    if "subproduct" in remainder:
        forms |= dict.fromkeys(("second_query", "second_key"), ("float64", (v,)))
        forms |= dict.fromkeys(("of_Q", "of_K"), ("float64", (d,)))
    return forms


def certified(strategy: str, weights: Weights, hints: dict[str, Hint], decide: Decisions) -> int:
    """N, as `docs/certificate-format.md` defines it for sub-cubic."""
    _, direct, attention, remainder = strategy.split("/")
    paths = Paths(weights)
    v, n, e = paths.v, paths.n, paths.e
    typical, delta = direct_path(paths, direct, hints)
    lines = own_output(paths, attention, typical)
    approximation, slack = scores(paths, remainder, hints)
    rival = [
        [largest(paths.EVOU[k][o] - paths.EVOU[k][m] for o in range(v) if o != m) for m in range(v)] for k in range(v)
    ]
    gaps = hints["gap"].entries
    count = 0
    for m in range(v):
        others = [largest(rival[k][m] for k in range(limit + 1)) for limit in range(m)]
        for q in range(m + 1):
            of_query, of_maximum = weights.count([q]), weights.count([m])
            ordered = in_order(e[q][: n - 1])
            to_query = (approximation[q][q] - approximation[q][m] + slack[q]).exp()

            def certain(
                c: int,
                limit: int | None,
                q: int = q,
                m: int = m,
                ordered: list[arb] = ordered,
                to_query: arb = to_query,
                others: list[arb] = others,
            ) -> bool:
                """Whether the class is certified: c other tokens, all at most `limit`."""
                S, T = total(ordered[: n - 1 - c]), total(ordered[n - 1 - c :])
                if limit is not None:
                    to_others = largest(approximation[q][k] for k in range(limit + 1)) - approximation[q][m] + slack[q]
                for intercept, slope in lines:
                    base = delta[q][m] + intercept[m]
                    F_m = base + slope[m]
                    F_q = F_m if q == m else to_query * (base + rival[q][m]).max(ZERO)
                    left = S * F_m + e[q][n - 1] * F_q
                    if limit is not None:
                        left += T * to_others.exp() * (base + others[limit]).max(ZERO)
                    if not decide.negative(left):
                        return False
                return True

            if q == m or n > 1:
                count += of_query * of_maximum ** (n - 1) * certain(0, None)
            for c in range(1, n if q == m else n - 1):
                gap = gaps[(m * (m + 1) // 2 + q) * (n - 1) + c - 1]
                if 1 <= gap <= m and certain(c, m - gap):
                    below = weights.count(range(m - gap + 1))
                    count += comb(n - 1, c) * of_query * of_maximum ** (n - 1 - c) * below**c
    return count


def vector(hint: Hint) -> list[arb]:
    """A hinted vector; entries that are NaN or infinite count as 0."""
    return [arb(x) if math.isfinite(x) else ZERO for x in hint.entries]


def direct_path(paths: Paths, kind: str, hints: dict[str, Hint]) -> tuple[list[arb], Table]:
    """`typical` over outputs, and delta over (query, maximum)."""
    v = paths.v
    if kind in ("max_diff_exact", "global_max_diff_exact"):
        typical = mean_row(paths.EU)
        deviation = shifted(paths.EU, negated(typical))
        if kind == "global_max_diff_exact":
            everywhere = largest(spread(row) for row in deviation)
            return typical, [[everywhere] * v for _ in range(v)]
        return typical, [[largest(row[o] for o in range(v) if o != m) - row[m] for m in range(v)] for row in deviation]
    if kind == "mean_query+max_diff":
        centre = mean_row(paths.E_q)
    elif kind == "svd_query+max_diff":
        centre = vector(hints["centre"])
    else:
        centre = [ZERO] * len(paths.E_q[0])
    spreads = [spread(row) for row in paths.W["W_U"]]
    delta = []
    for row in paths.E_q:
        number = total(abs(x - c) * s for x, c, s in zip(row, centre, spreads, strict=True))
        delta.append([number] * v)
    return product([centre], paths.W["W_U"])[0], delta


def own_output(paths: Paths, kind: str, typical: list[arb]) -> Lines:
    """The straight lines in the attention to the maximum."""
    v = paths.v
    constant = [[typical[o] - typical[m] + paths.worst_position[m][o] for o in range(v)] for m in range(v)]
    copying = [[paths.EVOU[m][o] - paths.EVOU[m][m] for o in range(v)] for m in range(v)]

    def phi(m: int, a: arb) -> arb:
        return largest(constant[m][o] + a * copying[m][o] for o in range(v) if o != m)

    if kind != "mean_query+diff":
        return [
            (
                [largest(constant[m][o] for o in range(v) if o != m) for m in range(v)],
                [largest(copying[m][o] for o in range(v) if o != m) for m in range(v)],
            )
        ]
    lines = []
    for a, b in itertools.pairwise(NODES):
        slope = [(phi(m, b) - phi(m, a)) / (b - a) for m in range(v)]
        lines.append(([phi(m, a) - a * slope[m] for m in range(v)], slope))
    return lines


def scores(paths: Paths, kind: str, hints: dict[str, Hint]) -> tuple[Table, list[arb]]:
    """The approximation of EQKE and a bound of the spread of each row of what is left."""
    v = paths.v
    if kind == EXACT:
        return paths.EQKE, [ZERO] * v
    factors = residual_factors(paths, kind, hints)
    rest = product(*factors)
    # What was taken out is the rest's difference from the whole.
    approximation = [[x - y for x, y in zip(*rows, strict=True)] for rows in zip(paths.EQKE, rest, strict=True)]
    if kind == "max_diff_exact":
        return approximation, [spread(row) for row in rest]
    if kind == "svd":
        slack = []
        for row in rest:
            middle = mean(row)
            slack.append(root(2 * total((x - middle) * (x - middle) for x in row)))
        return approximation, slack
    if kind.endswith(RECURSIVE):
        return approximation, without_products(factors, kind.startswith("mean"), kind.startswith("mean_recursive+"))
    return approximation, best_cut(factors, kind.startswith("mean+"))


def residual_factors(paths: Paths, kind: str, hints: dict[str, Hint]) -> list[Table]:
    """E_q / sqrt(h), W_Q, W_K^T and E-^T, with the hinted directions taken out in turn."""
    factors = [paths.scaled_E_q, paths.W["W_Q"], transposed(paths.W["W_K"]), transposed(paths.E_k)]
    factors[0] = without_rows(factors[0], vector(hints["query"]))
    factors[3] = without_columns(factors[3], vector(hints["key"]))
    if "subproduct" in kind:
        factors[0] = without_rows(factors[0], vector(hints["second_query"]))
        factors[3] = without_columns(factors[3], vector(hints["second_key"]))
        factors[1] = without_rows(factors[1], vector(hints["of_Q"]))
        factors[2] = without_columns(factors[2], vector(hints["of_K"]))
    return factors


def without_rows(F: Table, x: list[arb]) -> Table:
    """F - x (x^T F)."""
    row = product([x], F)[0]
    return [[y - a * b for y, b in zip(line, row, strict=True)] for line, a in zip(F, x, strict=True)]


def without_columns(F: Table, x: list[arb]) -> Table:
    """F - (F x) x^T."""
    return transposed(without_rows(transposed(F), x))


def spread_of_rows(left: Table, rights: list[Table], spreads: list[arb], with_mean: bool) -> list[arb]:
    """The product lemma, or the mean lemma, for left times the product of `rights`, whose rows have these spreads."""
    row = mean_row(left) if with_mean else [ZERO] * len(left[0])
    extra = spread(product([row], *rights)[0]) if with_mean else ZERO
    return [extra + total(abs(x - y) * s for x, y, s in zip(line, row, spreads, strict=True)) for line in left]


def best_cut(factors: list[Table], with_mean: bool) -> list[arb]:
    """For each row the least of the bounds at the three cuts."""
    bounds = []
    for cut in (1, 2, 3):
        left, right = product(*factors[:cut]), product(*factors[cut:])
        bounds.append(spread_of_rows(left, [right], [spread(row) for row in right], with_mean))
    return [-largest(-x for x in of_row) for of_row in zip(*bounds, strict=True)]


def without_products(factors: list[Table], first: bool, others: bool) -> list[arb]:
    """The lemmas applied to one factor after the other, from the right."""
    spreads = [spread(row) for row in factors[3]]
    for i in (2, 1, 0):
        spreads = spread_of_rows(factors[i], factors[i + 1 :], spreads, first if i == 0 else others)
    return spreads
