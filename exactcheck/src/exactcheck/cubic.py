"""cubic: classes (query, maximum, number of other tokens), and good tokens for each."""

from __future__ import annotations

from math import comb

from flint import arb

from exactcheck.balls import Decisions, in_order, largest, total
from exactcheck.paths import Paths
from exactcheck.reading import Hint, Weights


def certified(weights: Weights, hints: dict[str, Hint], decide: Decisions) -> int:
    """N, as `docs/certificate-format.md` defines it for cubic."""
    paths = Paths(weights)
    v, n, e = paths.v, paths.n, paths.e
    # A factor that depends on q alone changes no sign; this one keeps numbers moderate.
    top = [largest(row).mid() for row in paths.EQKE]
    w = [[(x - top[q]).exp() for x in paths.EQKE[q]] for q in range(v)]
    count = 0
    for m in range(v):
        others = [o for o in range(v) if o != m]
        A = [
            largest(paths.EVOU[t][o] - paths.EVOU[t][m] + paths.worst_position[m][o] for o in others)
            for t in range(m + 1)
        ]
        for q in range(m + 1):
            of_query, of_maximum = weights.count([q]), weights.count([m])
            if q == m or n > 1:
                count += of_query * of_maximum ** (n - 1) * _alone(paths, w, q, m, others, decide)
            B = largest(paths.EU[q][o] - paths.EU[q][m] for o in others)
            f = [w[q][t] * (B + A[t]) for t in range(m + 1)]
            ordered = in_order(e[q][: n - 1])
            for c in range(1, n if q == m else n - 1):
                splits = [(ordered[: n - 1 - c], ordered[n - 1 - c :]), (ordered[c:], ordered[:c])]
                sums = [(total(S), total(T)) for S, T in splits]
                good = [
                    k
                    for k in range(m)
                    if all(decide.negative(eS * f[m] + e[q][n - 1] * f[q] + eT * f[k]) for eS, eT in sums)
                ]
                count += comb(n - 1, c) * of_query * of_maximum ** (n - 1 - c) * weights.count(good) ** c
    return count


def _alone(paths: Paths, w: list[list[arb]], q: int, m: int, others: list[int], decide: Decisions) -> bool:
    """Whether the input m, ..., m, q is answered correctly."""
    x = [m] * (paths.n - 1) + [q]
    u = [w[q][t] * paths.e[q][p] for p, t in enumerate(x)]

    def side(o: int) -> arb:
        return total(u[p] * (paths.EU[q][o] + paths.EVOU[t][o] + paths.PVOU[p][o]) for p, t in enumerate(x))

    own = side(m)
    return all(decide.negative(side(o) - own) for o in others)
