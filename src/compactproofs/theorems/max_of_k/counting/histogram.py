"""Histograms of margins: for inputs too many to enumerate, bounds on the accuracy from both sides.

Theorem.  For all hints, `histogram` returns at most, and `histogram-upper` at least, the number of inputs whose label
has the strictly largest logit.  The latter even returns at least the number of inputs on which no other logit is larger
than the label's: a tie is a wrong answer, but is never proved to be one (`branching.class_margins`).

Proof.  The inputs of a class (query q, maximum m >= q) that `branching.class_margins` leaves out are answered
correctly, by its screening lemma and because a least sum of the integers L above 0 proves a positive margin.  Every
other class is split into disjoint parts by levels of its tokens, which may be anything, and `unions` bounds the number
of wrong inputs of each part from above and from below, for any steps.  A class or part for which no integers can be
found, or that no step is about, counts as wrong for the lower bound, unless the integers L of its class prove it right,
and as right for the upper one.  A class that is not looked at counts as wrong for the lower bound.  Classes are
disjoint; so the sum of all bounds from above, taken from v^K, is at most the number of inputs answered correctly, and
with those from below at least.  With weights (`tasks.weights`) these are what inputs count instead of how many they
are.

Hints say where classes are split, and what is counted in each part, and how.

- `weights`, shape (v, v): how much attention a query pays to each token, as 64 times a logarithm to base 2.  A token's
  level in a class says how often it has four times more than the larger of query and maximum, rounded.
- `steps`, shape (any, 11), whose rows are (q, m, level, output, less, second, joined, a, b, c, d): what to count next
  in this part of the class, as `unions.Step` says, and how: with joined < 0 by a histogram with bins of width a and the
  window b ... c; else from both ends, with clusters by `labels[joined - 1]`, or every token alone for joined = 0, on
  b points by `edges[a]` and those after it, one for each sum, and with c and d positions that are put together exactly.
  A row with q < 0 is about no part: it says that classes with maxima below m count as wrong for the lower bound,
  without integers, unless the screening lemma proves them right; of several such rows the largest m counts.
- `labels`, shape (any, K - 1, v), and `edges`, shape (any, 64): clusters and edges for `both_ends`.
- `branches`, shape (any, 12), whose rows are (q, m, level, ranks, labels, finer, edges, number, first, bits, threshold,
  most): all outputs of this part of the class are counted at once, as `unions.Branches` says, and steps for it are not
  read; `ranks` and `edges` are rows of these hints, `labels` and `finer` rows of `labels`, counted from 1, or 0 for
  every token alone.
- `ranks`, shape (any, v): for `branches`.

Why this is fast: margins are sums over positions, so a histogram of the sums takes one convolution for each position,
whatever K is, and trained attention is so sharp that most tokens fall into one bin.  Why it is tight: bins are rounded
to one side only; inputs are split by their heaviest token, so that each part has one scale; and where several outputs
can win, pairs of margins are counted from both ends, exactly where it matters most.

Cost: about v^4 for the screening, 6 n m r for the integers of a class with r doubtful outputs, then 2 K (distinct
steps) (cells) for each histogram, and some 10^6 operations for each pair of outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from compactproofs.kernel.decisions import IntArray
from compactproofs.kernel.problem import Hints, HintSpec, Strategy
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import ORDERS
from compactproofs.theorems.max_of_k import MaxProblem, Work
from compactproofs.theorems.max_of_k.branching.class_margins import MAX_POSITIONS, ClassMargins, class_margins
from compactproofs.theorems.max_of_k.counting.unions import BothEnds, Branches, Step, Window, wrong_inputs

MAX_INPUTS = 2**900  # so that counts fit into floats
MAX_VOCABULARY = 512
MAX_LEVEL = 12
EDGES = 64


def bound(work: Work, hints: Hints) -> int:
    """All inputs less those that may be wrong."""
    v, steps = work.network.d_vocab, hints["steps"]
    least = int(steps[steps[:, 0] < 0, 1].max(initial=0))
    wanted = {(query, m) for m in range(least, v) for query in range(m + 1)} if least > 0 else None
    return work.task.total - wrong(work, hints, class_margins(work, wanted), over=True)


def upper_bound(work: Work, hints: Hints) -> int:
    """All inputs less those that are certainly wrong, and no ties."""
    return work.task.total - wrong(work, hints, class_margins(work, steps_by_part(hints)), over=False)


def wrong(work: Any, hints: Hints, classes: Iterable[ClassMargins | int], over: bool) -> int:
    """A bound on the number of wrong inputs of these classes: from above if `over`, else from below."""
    steps = steps_by_part(hints)
    wrong = 0
    for found in classes:
        if isinstance(found, ClassMargins):
            of_level = steps.get((found.query, int(found.tokens[-1])), {})
            for level, part in found.by_highest_level(work, levels(hints["weights"], found), of_level):
                if isinstance(part, ClassMargins):
                    wrong += wrong_inputs(work, part, of_level[level], over)
                elif over:
                    wrong += part
        elif over:
            wrong += found
    return wrong


def levels(weights: npt.NDArray[Any], margins: ClassMargins) -> IntArray:
    """The level of each token of a class, by the hint `weights`; the maximum is taken to weigh nothing."""
    weight = weights[margins.query].astype(np.int64)
    heaviest = max(weight[margins.query], weight[margins.tokens[-1]])
    level: IntArray = np.clip((weight[margins.tokens] - heaviest + 64) >> 7, 0, MAX_LEVEL)
    level[-1] = 0
    return level


def steps_by_part(hints: Hints) -> dict[tuple[int, int], dict[int, list[Step] | Branches]]:
    """The steps, or branches, for each query and maximum, and level."""
    labels, edges, ranks = (hints[name].astype(np.int64) for name in ("labels", "edges", "ranks"))
    parts: dict[tuple[int, int], dict[int, list[Step] | Branches]] = {}
    steps: dict[tuple[int, int, int], list[Step]] = {}

    def clusters(joined: int) -> IntArray | None:
        return labels[joined - 1] if 1 <= joined <= len(labels) else None

    numbers = np.clip(hints["steps"][:, 7:], -(2**40), 2**62)
    numbers[:, 1:] = np.minimum(numbers[:, 1:], 2**40)
    for (query, m, level, output, less, second, joined), (a, b, c, d) in zip(
        hints["steps"][:, :7].tolist(), numbers.tolist(), strict=True
    ):
        how: Window | BothEnds = Window(max(a, 1), b, c)
        if joined >= 0:
            how = BothEnds(clusters(joined), np.resize(edges[max(a, 0) :][:3], (3, EDGES)), b, c, d)
        steps.setdefault((query, m, level), []).append(Step(output, less, second, how))
    for (query, m, level), of_part in steps.items():
        parts.setdefault((query, m), {})[level] = of_part
    for query, m, level, *row in np.clip(hints["branches"], -1, 2**40).tolist():
        rank, joined, finer, edge, *others = row
        rank_of = np.resize(ranks[max(rank, 0) :][:1], ranks.shape[1])
        edge_of = np.resize(edges[max(edge, 0) :][:1], EDGES)
        parts.setdefault((query, m), {})[level] = Branches(rank_of, clusters(joined), clusters(finer), edge_of, *others)
    return parts


def _hints(problem: MaxProblem) -> dict[str, HintSpec]:
    return hint_specs(problem.task.d_vocab, problem.task.n_ctx - 1)


def hint_specs(v: int, positions: int) -> dict[str, HintSpec]:
    """The hints of this module, for sequences of so many positions besides the last."""
    return {
        "weights": HintSpec(np.uint16, (v, v)),
        "steps": HintSpec(np.int64, (None, 11)),
        "labels": HintSpec(np.uint8, (None, positions, v)),
        "edges": HintSpec(np.uint16, (None, EDGES)),
        "branches": HintSpec(np.int64, (None, 12)),
        "ranks": HintSpec(np.uint8, (None, v)),
    }


def limit(problem: MaxProblem) -> str | None:
    """Refused above 512 tokens or 2^900 inputs, or 1024 positions."""
    task = problem.task
    if task.d_vocab > MAX_VOCABULARY:
        return f"histograms take v^4 operations to begin with; at most v = {MAX_VOCABULARY} is supported"
    if task.n_ctx > MAX_POSITIONS or task.total > MAX_INPUTS:
        return f"the counts of {task.d_vocab}^{task.n_ctx} inputs do not fit; at most 2^900 together are supported"
    return None


HISTOGRAM = Strategy(
    id="histogram",
    theorem="max-of-k/histogram@4",
    family=AttentionOnly.family,
    tasks=ORDERS,
    bound=bound,
    hints=_hints,
    limit=limit,
)

HISTOGRAM_UPPER = replace(HISTOGRAM, id="histogram-upper", bound=upper_bound, claim="at most")
