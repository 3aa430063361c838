"""From the exact accuracy down to a strategy's bound, one relaxation at a time.

Each step keeps the relaxations before it and adds one, and counts the inputs for which the relaxed margins are still
positive; the last step is the strategy's bound.  Every step is implied by the next, so the counts only fall (but an
estimate from a sample may lie below an exact count after it).  What a relaxation costs depends on the order in which
they are taken; the order here is that of the proofs.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from math import comb

import numpy as np

from compactproofs.analysis.inputs import Inputs, Share, Terms, every_token
from compactproofs.analysis.margins import Tables, leads, margin_terms, weigh, weights
from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.search.builtin import get_strategy
from compactproofs.search.companions import HintArrays
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import MaxWorkspace, plain
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems.max_of_k.core.additive import max_of_others, position_weights
from compactproofs.theorems.max_of_k.failing_sets.low_rank import Bounds
from compactproofs.theorems.max_of_k.failing_sets.strategies import GIVEN_UP, KINDS, Kind
from compactproofs.theorems.max_of_k.subcubic import direct_path, own_output, remainder
from compactproofs.theorems.max_of_k.subcubic.extreme_positions import worst_positions
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, Choice, directions_of
from compactproofs.theorems.max_of_k.subcubic.hints import HintedVector

#: One strategy for each relaxation that matters: of the paper's rows, from the tightest to the cheapest, and our own.
WATERFALLS = {
    "cubic": "cubic",
    "sub-cubic": "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact",
    "low-rank QK": "sub-cubic/max_diff_exact/mean_query+diff/svd",
    "low-rank EU": "sub-cubic/mean_query+max_diff/mean_query+diff/exact_EQKE+max_diff_exact",
    "low-rank QK&EU": "sub-cubic/mean_query+max_diff/mean_query+diff/svd",
    "quadratic QK": "sub-cubic/max_diff_exact/mean_query+diff/max_diff_subproduct_recursive",
    "quadratic QK&EU": "sub-cubic/mean_query+max_diff/mean_query+diff/max_diff_subproduct_recursive",
    "failing sets": "failing-sets",
    "failing sets, quadratic QK": "failing-sets/quadratic-QK",
    "failing sets, strict QK": "failing-sets/strict-QK",
    "failing sets, strict QK&EU": "failing-sets/strict-QK+EU",
}

#: Up to this length, sets of positions are gone through one by one: 2^(n - 1) of them for each maximum.
_MOST_POSITIONS = 8


@dataclass(frozen=True)
class Step:
    """A relaxation, and the share of inputs that is left with it and all before it."""

    name: str
    left: Share


class Waterfalls:
    """Waterfalls of one model, which share their common steps.  The workspace's reading must be "value"."""

    def __init__(self, work: MaxWorkspace, inputs: Inputs) -> None:
        self._work = work
        self._inputs = inputs
        self._tables = Tables.of(work)
        self._known: dict[Hashable, Share] = {}

    def of(self, strategy_id: str) -> list[Step]:
        """The steps for cubic, or a sub-cubic or failing-set strategy.

        Raises ValueError for others, and where the strategy cannot be run on a model of this size.
        """
        strategy = get_strategy(strategy_id)
        reason = strategy.limit(Problem(self._work.network, self._work.task))
        if reason is not None:
            raise ValueError(f"no waterfall for {strategy_id}: {reason}")
        if strategy_id == "cubic":
            return self._cubic(strategy)
        if strategy_id in CHOICES:
            return self._subcubic(strategy, CHOICES[strategy_id])
        if strategy_id in KINDS:
            return self._failing_sets(strategy, KINDS[strategy_id])
        raise ValueError(
            f"no waterfall for {strategy_id}; there is one for cubic, for sub-cubic/..., and for failing-sets and "
            "failing-sets/..."
        )

    def _count(self, terms: Terms, *key: Hashable) -> Share:
        if key not in self._known:
            self._known[key] = self._inputs.count(terms)
        return self._known[key]

    def exact(self) -> Share:
        """The model's accuracy."""
        return self._count(margin_terms(self._tables), "exact")

    def _cubic(self, strategy: Strategy) -> list[Step]:
        tables = self._tables
        positions = margin_terms(tables, frozenset({"PVOU"}))
        own = _own_outputs(tables, jointly=True)
        apart = _own_outputs(tables, jointly=False)
        alone = _count_alone(self._work, margin_terms(tables))
        bound = self._total(strategy.bound(self._work, {}))
        last = [Step("others harmless alone, and positions at their extremes", bound)]
        if self._work.network.n_ctx <= _MOST_POSITIONS:
            count = _count_tokens_alone(self._work) + alone
            harmless = Step("every other token must be harmless alone", self._total(count))
            last = [harmless, Step("positions at their extremes", bound)]

        def with_exact_alone(terms: Terms, name: str) -> Share:
            """Inputs of nothing but the maximum and the query are decided exactly in this strategy."""
            share = self._count(terms, name)
            return (
                Share(share.count + alone - _count_alone(self._work, terms), share.of, True) if share.exact else share
            )

        return [
            Step("exact", self.exact()),
            Step("PVOU at its worst position", with_exact_alone(positions, "cubic positions")),
            Step("each token against its own worst output", with_exact_alone(own, "own outputs")),
            Step("EU against its own worst output", with_exact_alone(apart, "apart")),
            *last,
        ]

    def _subcubic(self, strategy: Strategy, choice: Choice) -> list[Step]:
        hints = search_hints(strategy, self._work)
        relaxed = _Relaxed(self._work, self._tables, choice, hints)
        lines = ("lines", choice.direct, choice.attention)
        steps = [
            Step("exact", self.exact()),
            Step(
                "PVOU at its worst position", self._count(margin_terms(self._tables, frozenset({"PVOU"})), "positions")
            ),
            Step("other tokens against their own worst output", self._count(relaxed.others_apart, "others apart")),
            Step(f"EU by {choice.direct}", self._count(relaxed.direct_apart, "direct apart", choice.direct)),
            Step(f"attention to the maximum by {choice.attention}", self._count(relaxed.lines, *lines)),
            Step("other tokens can only harm", self._count(relaxed.no_help, "no help", *lines)),
        ]
        if choice.remainder != remainder.EXACT:
            share = self._count(relaxed.bounded_scores, "scores", choice)
            steps.append(Step(f"scores by {choice.remainder}", share))
        return [
            *steps,
            Step("every other token must be harmless alone, worst positions", self._total(relaxed.count_alone())),
            Step("a gap decides which tokens are harmless", self._total(strategy.bound(self._work, hints))),
        ]

    def _failing_sets(self, strategy: Strategy, kind: Kind) -> list[Step]:
        hints = search_hints(strategy, self._work)
        tables = kind.tables_of(self._work, hints)
        steps = [Step("exact", self.exact())]
        relaxed = margin_terms(self._tables)
        if tables.scores is None and tables.score_high is not tables.score_low:  # single scores are not multiplied out
            relaxed = margin_terms(self._tables, scores=Bounds(tables.score_high, tables.score_low))
            steps.append(Step("scores by directions and norms", self._count(relaxed, "scores", kind.id)))
        given_up = hints["window"] == GIVEN_UP

        def counted(m: int, queries: IntArray, tokens: IntArray) -> FloatArray:
            return np.where(given_up[queries, m, None, None, None], -1.0, relaxed(m, queries, tokens))

        return [
            *steps,
            Step("classes of inputs given up", self._count(counted, "given up", kind.id)),
            Step("small tokens taken together", self._total(strategy.bound(self._work, hints))),
        ]

    def _total(self, certified: int) -> Share:
        return Share(certified, max_of_k(self._work.network).task.total, True)


def _own_outputs(tables: Tables, jointly: bool) -> Terms:
    """One rival: each token's worst output, of EU + EVOU + PVOU together or of EU apart from the others."""

    def terms(m: int, queries: IntArray, tokens: IntArray) -> FloatArray:
        written = leads(tables.EVOU[: m + 1], m) + leads(tables.PVOU, m).min(axis=0)
        direct = leads(tables.EU[: m + 1], m)
        if jointly:
            worst = (written + direct[:, None]).min(axis=2)
        else:
            worst = written.min(axis=1) + direct.min(axis=1, keepdims=True)
        w, e = weights(tables, m)
        return weigh(w * worst, e, queries, tokens, np.ones(1))

    return terms


def _count_alone(work: MaxWorkspace, terms: Terms) -> int:
    """How many inputs that hold only the maximum, but for the query, have positive sums."""
    n, count = work.network.n_ctx, 0
    for m in range(work.network.d_vocab):
        queries = np.arange(m + 1) if n > 1 else np.array([m])
        tokens = np.full((len(queries), n, 1), m)
        tokens[:, -1, 0] = queries
        sums = terms(m, queries, tokens)[:, :, 0].sum(axis=1)
        count += int((sums > 0.0).all(axis=1).sum())
    return count


def _count_tokens_alone(work: MaxWorkspace) -> int:
    """Inputs with other tokens, each of which would be harmless if all others were equal to it, positions exact."""
    tables, n, count = Tables.of(work), work.network.n_ctx, 0
    for m in range(work.network.d_vocab):
        queries = np.arange(m + 1)
        row = _own_outputs(tables, jointly=False)(m, queries, every_token(m))[..., 0]  # (queries, n, m + 1)
        of_query = row[queries, n - 1, queries]
        for chosen in range(1, 2 ** (n - 1)):  # which of the first n - 1 positions hold another token
            other = np.array([chosen >> p & 1 for p in range(n - 1)], bool)
            c = int(other.sum())
            own = row[:, : n - 1][:, ~other, m].sum(axis=1) + of_query
            good = (own[:, None] + row[:, : n - 1][:, other, :m].sum(axis=1) > 0.0).sum(axis=1)
            exists = slice(None) if c <= n - 2 else slice(m, m + 1)
            count += sum(number**c for number in good[exists].tolist())
    return count


class _Relaxed:
    """The relaxed margins of a strategy of the sub-cubic family; notation of `subcubic.gaps`."""

    def __init__(self, work: MaxWorkspace, tables: Tables, choice: Choice, hints: HintArrays) -> None:
        centre = HintedVector.of(hints["centre"]) if "centre" in hints else None
        self._work = work
        self._tables = tables
        self._rival = max_of_others(tables.EVOU) - tables.EVOU
        path = direct_path.direct_path(work, choice.direct, centre)
        self._typical, self._delta = plain(path.typical), np.broadcast_to(plain(path.delta), tables.EU.shape)
        lines = own_output.own_output(work, choice.attention, choice.direct, centre)
        self._slope, self._intercept = plain(lines.slope), plain(lines.intercept)
        self._approximation, self._spread = map(plain, remainder.scores(work, choice.remainder, directions_of(hints)))

    def others_apart(self, m: int, queries: IntArray, tokens: IntArray) -> FloatArray:
        """The outputs as rivals, but tokens other than m at their own worst output."""
        return self._by_output(m, queries, tokens, -leads(self._tables.EU, m)[queries])

    def direct_apart(self, m: int, queries: IntArray, tokens: IntArray) -> FloatArray:
        """The direct path bounded, too."""
        typical = -leads(self._typical[None], m)
        return self._by_output(m, queries, tokens, self._delta[queries, m, None] + typical)

    def _by_output(self, m: int, queries: IntArray, tokens: IntArray, direct: FloatArray) -> FloatArray:
        """`direct`: leads of the direct path, shape (queries, outputs other than m)."""
        base = direct - leads(self._tables.PVOU, m).min(axis=0)
        own = -leads(self._tables.EVOU[m : m + 1], m)
        return self._weighted(m, queries, tokens, self._lead(m, tokens, base, own))

    def _weighted(self, m: int, queries: IntArray, tokens: IntArray, lead: FloatArray) -> FloatArray:
        """Leads of the rivals, shape (N, n or 1, T, rivals), as terms with the exact attention weights."""
        return weigh(*weights(self._tables, m), queries, tokens, -lead)

    def lines(self, m: int, queries: IntArray, tokens: IntArray) -> FloatArray:
        """Lines instead of outputs as rivals."""
        return self._weighted(m, queries, tokens, self._lead_of_lines(m, queries, tokens, help_counts=True))

    def no_help(self, m: int, queries: IntArray, tokens: IntArray) -> FloatArray:
        """Tokens other than m that pull towards it count as 0."""
        return self._weighted(m, queries, tokens, self._lead_of_lines(m, queries, tokens))

    def bounded_scores(self, m: int, queries: IntArray, tokens: IntArray) -> FloatArray:
        """Attention weights of the other tokens from the bounded scores."""
        e = np.exp(self._tables.EQKP[: m + 1])
        return weigh(self._weights(m), e, queries, tokens, -self._lead_of_lines(m, queries, tokens))

    def _lead_of_lines(self, m: int, queries: IntArray, tokens: IntArray, help_counts: bool = False) -> FloatArray:
        """F_m and F_k for each line, shape (N, n or 1, T, lines)."""
        base = self._delta[queries, m, None] + self._intercept[:, m]
        return self._lead(m, tokens, base, self._slope[None, :, m], help_counts)

    def _lead(
        self, m: int, tokens: IntArray, base: FloatArray, own: FloatArray, help_counts: bool = True
    ) -> FloatArray:
        """Leads of rivals: `base` (N, rivals), and of the token itself, `own` (1, rivals) if it is m."""
        rival = np.broadcast_to(self._rival[: m + 1, m, None], (m + 1, own.shape[1]))
        written = np.concatenate([rival[:m], own])[tokens]
        lead: FloatArray = base[:, None, None] + written
        return lead if help_counts else np.where((tokens == m)[..., None], lead, np.maximum(lead, 0.0))

    def _weights(self, m: int) -> FloatArray:
        """Upper bounds of the attention weights relative to that of m, shape (m + 1, m + 1); 1 for m itself."""
        scores = self._approximation[: m + 1, : m + 1]
        w: FloatArray = np.exp(scores - scores[:, m, None] + self._spread[: m + 1, None])
        w[:, m] = 1.0
        return w

    def count_alone(self) -> int:
        """Inputs each of whose other tokens is harmless in place of all of them, positions at their worst."""
        n, count = self._work.network.n_ctx, 0
        least, largest = map(plain, worst_positions(self._work))
        last = plain(position_weights(self._work))[:, -1]
        for m in range(self._work.network.d_vocab):
            queries = np.arange(m + 1)
            harm = self._lead_of_lines(m, queries, every_token(m))[:, 0] * self._weights(m)[:, :, None]
            own = harm[:, m]
            of_query = last[queries, None] * harm[queries, queries]
            for c in range(n):
                fixed = least[queries, c, None] * own + of_query
                sums = fixed[:, None] + largest[queries, c, None, None] * harm[:, :m]
                exists = slice(None) if c <= n - 2 else slice(m, m + 1)
                if c == 0:
                    count += int((fixed[exists] < 0.0).all(axis=1).sum())
                else:
                    good = (sums[exists] < 0.0).all(axis=2).sum(axis=1)
                    count += sum(comb(n - 1, c) * number**c for number in good.tolist())
        return count
