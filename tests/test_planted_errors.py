"""Errors on purpose: each, planted in a copy of the code, makes some strategy claim more than the truth.

So the soundness tests can fail, and the models of `soundness.models` are hostile enough.  The first error is that of
the paper's implementation until July 2024.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from compactproofs.kernel.problem import Strategy
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES, get_strategy
from compactproofs.search.workspaces import MaxWorkspace
from compactproofs.tasks.max_of_k import max_of_k
from soundness.attack import attack
from soundness.hints import Hint
from soundness.models import Case, cases, ordinary_cases
from soundness.planting import Change, NotPlanted, Planted, showing
from soundness.truth import exact_correct

ATTACKS, STEPS = range(4, 16), 300
HINT_KINDS = ("searched", "spoiled", "plausible")


@dataclass(frozen=True)
class Error:
    """An error to plant, and a strategy that it makes unsound."""

    name: str
    changes: tuple[Change, ...]
    strategy: str = "cubic"


ERRORS = (
    Error(
        "attention to the query where that to the non-maximum belongs, as published",
        (
            (
                "core.cubic",
                "            thresholds.append(-(of_maximum + of_query[queries]) / rest.sum(axis=1))",
                "            w, A = token_weights(work)[: m + 1, : m + 1], _lead_of_tokens(work, m)\n"
                "            B = (max_of_others(circuits.EU(work)) - circuits.EU(work))[: m + 1, m]\n"
                "            direct = rest.sum(axis=1)[:, None] * (w * B[:, None])[queries, :m]\n"
                "            to_query = (weights[:, n - 1] * np.diagonal(w))[queries]\n"
                "            of_token = direct + to_query[:, None] * A[:m]\n"
                "            thresholds.append(-(of_maximum + of_query[queries])[:, None] - of_token)",
            ),
            (
                "core.cubic",
                "good = certainly_positive(threshold[:, None] - f[queries, :m])",
                "good = certainly_positive(threshold)",
            ),
        ),
    ),
    Error(
        "the query's weight on the non-maximum",
        (
            (
                "core.cubic",
                "f = token_weights(work)[: m + 1, : m + 1] * "
                "(lead_direct[: m + 1, m, None] + _lead_of_tokens(work, m))",
                "w = token_weights(work)[: m + 1, : m + 1]; "
                "of_query = np.where(np.arange(m + 1) < m, np.diagonal(w)[:, None], w); "
                "f = w * lead_direct[: m + 1, m, None] + of_query * _lead_of_tokens(work, m)",
            ),
        ),
    ),
    Error(
        "classes without a maximum",
        (("core.cubic", "slice(0, m + 1) if c <= n - 2 else slice(m, m + 1)", "slice(0, m + 1)"),),
    ),
    Error(
        "classes without a maximum at K = 1",
        (("core.cubic", "slice(0, m + 1) if n > 1 else slice(m, m + 1)", "slice(0, m + 1)"),),
    ),
    Error(
        "ties count",
        (
            (
                "core.cubic",
                "good = certainly_positive(threshold[:, None] - f[queries, :m])",
                "good = ~certainly_positive(f[queries, :m] - threshold[:, None])",
            ),
        ),
    ),
    Error(
        "ties count where only the query differs",
        (
            (
                "core.cubic",
                "right = certainly_positive(sums[:, m] - rivals)",
                "right = ~certainly_positive(rivals - sums[:, m])",
            ),
        ),
    ),
    Error(
        "maxima in the places of least attention only",
        (("core.cubic", "threshold = np.minimum(*thresholds)", "threshold = thresholds[0]"),),
    ),
    Error(
        "maxima in the places of most attention only",
        (("core.cubic", "threshold = np.minimum(*thresholds)", "threshold = thresholds[1]"),),
    ),
    Error(
        "the query's own term is left out",
        (
            (
                "core.cubic",
                "of_query = weights[:, n - 1] * np.diagonal(f)",
                "of_query = 0.0 * weights[:, n - 1]",
            ),
        ),
    ),
    Error(
        "the query's term is that of the maximum",
        (
            (
                "core.cubic",
                "of_query = weights[:, n - 1] * np.diagonal(f)",
                "of_query = weights[:, n - 1] * f[:, m]",
            ),
        ),
    ),
    Error(
        "the token's own output is left out, not the maximum's",
        (
            (
                "core.cubic",
                "np.arange(work.network.d_vocab) != m, axis=1) - tokens[:, m]",
                "np.arange(work.network.d_vocab) != np.arange(m + 1)[:, None], axis=1) - tokens[:, m]",
            ),
        ),
    ),
    Error(
        "only outputs below the maximum are rivals",
        (("core.additive", "np.maximum(before[:, :-1], after[:, 1:])", "before[:, :-1]"),),
    ),
    Error(
        "positions write what is best, not worst",
        (
            (
                "core.cubic",
                "worst_position = (positions - positions[:, m, None]).max(axis=0)",
                "worst_position = (positions - positions[:, m, None]).min(axis=0)",
            ),
        ),
    ),
    Error(
        "the others' places do not count",
        (("core.cubic", "/ rest.sum(axis=1)", "/ rest[:, 0]"),),
    ),
    Error(
        "one place too many to choose from",
        (("tasks.max_of_k", "_binomials(positions)[others]", "_binomials(positions + 1)[others]"),),
    ),
    Error(
        "the query sits at the first position",
        (("networks.attention_only.circuits", 'work.weight("W_pos")[-1]', 'work.weight("W_pos")[0]'),),
    ),
    Error(
        "attention without positions",
        (("core.additive", "np.exp(circuits.EQKP(work))", "np.exp(0.0 * circuits.EQKP(work))"),),
    ),
    Error(
        "scores are not divided by the root of h",
        (("networks.attention_only.circuits", '@ work.weight("W_K").T / root', '@ work.weight("W_K").T'),),
    ),
    Error(
        "scores are shifted by column",
        (
            (
                "core.additive",
                "midpoint(scores.max(axis=1, keepdims=True))",
                "midpoint(scores.max(axis=0, keepdims=True))",
            ),
        ),
    ),
    Error(
        "no rounding errors",
        (("kernel.enclosure", "return type(like)(mid, rad)", "return type(like)(mid, 0.0 * rad)"),),
    ),
    Error(
        "doubt is no obstacle",
        (
            (
                "kernel.decisions",
                "return np.asarray(x.mid > x.doubt * x.rad)",
                "return np.asarray(x.mid >= -x.doubt * x.rad)",
            ),
        ),
    ),
    Error(
        "undecided sums count",
        (("core.brute_force", "counts[least > 0]", "counts[least > -gap]"),),
        "brute-force",
    ),
    Error(
        "one sum is enough where integers do not decide",
        (("core.brute_force", "certainly_positive(found).all(axis=1)", "certainly_positive(found).any(axis=1)"),),
        "brute-force",
    ),
    Error(
        "another input is tried",
        (("core.brute_force", "start + unsure, [", "start + 0 * unsure, ["),),
        "brute-force",
    ),
    Error(
        "the maximum may be missing",
        (
            (
                "core.brute_force",
                "range(m), range(m, m + 1), range(m + 1))",
                "range(m), range(m + 1), range(m + 1))",
            ),
        ),
        "brute-force",
    ),
)

EXACT = "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact"

SUBCUBIC_ERRORS = (
    Error(
        "one token too many",
        (("subcubic.gaps", "m[:, None] - gap + 1", "m[:, None] - gap + 2"),),
        EXACT,
    ),
    Error(
        "gap 0 is a gap",
        (
            (
                "subcubic.gaps",
                "(wide >= 1) & (wide <= m[:, None])",
                "(wide >= 0) & (wide <= m[:, None])",
            ),
        ),
        EXACT,
    ),
    Error(
        "a query that pulls towards the maximum helps",
        (
            (
                "subcubic.gaps",
                "pull = np.maximum(self._base + _rival(work)[q, m][:, None], 0.0)",
                "pull = self._base + _rival(work)[q, m][:, None]",
            ),
        ),
        EXACT,
    ),
    Error(
        "other tokens that pull towards the maximum help",
        (
            (
                "subcubic.gaps",
                "pull = np.maximum(self._base[:, None, :] + self._others[m, m - gap][:, :, None], 0.0)",
                "pull = self._base[:, None, :] + self._others[m, m - gap][:, :, None]",
            ),
        ),
        EXACT,
    ),
    Error(
        "the smallest token stands for all others",
        (("subcubic.gaps", "self._others[m, m - gap]", "self._others[m, 0 * gap]"),),
        EXACT,
    ),
    Error(
        "scores grow with the token",
        (("subcubic.gaps", "np.maximum.accumulate(approximation, axis=1)", "approximation"),),
        EXACT,
    ),
    Error("one good line is enough", (("subcubic.gaps", ".all(axis=2))", ".any(axis=2))"),), EXACT),
    Error(
        "maxima in the best places",
        (
            (
                "subcubic.extreme_positions",
                "np.sort(position_weights(work)[:, : n - 1], axis=1)",
                "np.flip(np.sort(position_weights(work)[:, : n - 1], axis=1), axis=1)",
            ),
        ),
        EXACT,
    ),
    Error(
        "shifted chords",
        (
            (
                "subcubic.own_output",
                "values[:-1] - work.constant(nodes[:-1])[:, None] * slope",
                "values[:-1] - slope",
            ),
        ),
        EXACT,
    ),
    Error(
        "positions write what is best for all maxima",
        (
            (
                "subcubic.own_output",
                "- positions[:, :, None]).max(axis=0)",
                "- positions[:, :, None]).min(axis=0)",
            ),
        ),
        EXACT,
    ),
    Error(
        "the remainder does not matter",
        (
            (
                "subcubic.gaps",
                "against = spread[:, None] - approximation",
                "against = 0.0 * spread[:, None] - approximation",
            ),
        ),
        "sub-cubic/max_diff_exact/mean_query+diff/max_diff_exact",
    ),
    Error(
        "spreads cancel",
        (("subcubic.spread", "return np.abs(left) @ right_spreads", "return left @ right_spreads"),),
        "sub-cubic/max_diff_exact/mean_query+diff/max_diff",
    ),
    Error(
        "spread of the mean row only",
        (
            (
                "subcubic.spread",
                "row_spread(through) + np.abs(left - row) @ right_spreads",
                "row_spread(through)",
            ),
        ),
        "sub-cubic/max_diff_exact/mean_query+diff/mean+max_diff",
    ),
    Error(
        "a factor along a direction has no remainder",
        (
            (
                "subcubic.peel",
                "self.factors[i] = self.factors[i] - column * row",
                "self.factors[i] = 0.0 * self.factors[i]",
            ),
        ),
        "sub-cubic/max_diff_exact/mean_query+diff/svd",
    ),
    Error(
        "a quarter of the norm",
        (("subcubic.remainder", "np.sqrt(2.0 * squares)", "np.sqrt(0.125 * squares)"),),
        "sub-cubic/max_diff_exact/mean_query+diff/svd",
    ),
    Error(
        "the mildest query stands for all",
        (("subcubic.direct_path", "row_spread(deviation).max()", "row_spread(deviation).min()"),),
        "sub-cubic/global_max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact",
    ),
    Error(
        "deviations of the direct path cancel",
        (
            (
                "subcubic.direct_path",
                "(np.abs(rows) @ _unembedding_spread(work))",
                "(rows @ _unembedding_spread(work))",
            ),
        ),
        "sub-cubic/mean_query+max_diff/mean_query+diff/exact_EQKE+max_diff_exact",
    ),
    Error(
        "the best slope stands for all outputs",
        (
            (
                "subcubic.own_output",
                "max_where(_copying(work), others, 1)[None])",
                "-max_where(-_copying(work), others, 1)[None])",
            ),
        ),
        "sub-cubic/max_diff_exact/drop_average_query_per_output_logit_reasoning/exact_EQKE+max_diff_exact",
    ),
)

FOR_THE_ATTACK = tuple(
    error
    for error in SUBCUBIC_ERRORS
    if error.name in ("the smallest token stands for all others", "scores grow with the token")
)


def broken_on(planted: Planted, strategy: str, models: tuple[Case, ...], error: str = "") -> Iterator[str]:
    """The models and hints on which the planted strategy claims more than the truth; `error`: its name."""

    def wrong(case: Case) -> Iterator[str]:
        rng = np.random.default_rng(int(case.model.sha256, 16))  # whatever the order
        for kind in HINT_KINDS if STRATEGIES[strategy].hints(max_of_k(case.model)) else HINT_KINDS[:1]:
            hints = planted.hints(strategy, case.model, kind, rng)
            if planted.bound(strategy, case.model, hints=hints) > exact_correct(case.model):
                yield f"{case.name}, hints {kind}"

    return showing(models, wrong, error)


def attacked(error: Error) -> bool:
    """Whether the search finds this error from one of its starts."""
    planted, strategy = Planted(*error.changes), get_strategy(error.strategy)

    def bound(model: Model, hints: dict[str, Hint]) -> int:
        return planted.bound(error.strategy, model, hints=hints)

    def search(strategy: Strategy, work: MaxWorkspace) -> dict[str, Hint]:
        return planted.search(error.strategy, work.network)

    return any(attack(bound, strategy, np.random.default_rng(seed), STEPS, search).gap > 0 for seed in ATTACKS)


@pytest.mark.parametrize(
    "error", [e for e in ERRORS + SUBCUBIC_ERRORS if e not in FOR_THE_ATTACK], ids=lambda error: error.name
)
def test_planted_error_is_caught_by_the_models(error: Error) -> None:
    """The collection of hostile models alone finds almost every planted error."""
    found = broken_on(Planted(*error.changes), error.strategy, ordinary_cases(), error.name)
    assert next(found, None) is not None


@pytest.mark.parametrize("error", [*FOR_THE_ATTACK, ERRORS[0], ERRORS[9]], ids=lambda error: error.name)
def test_planted_error_is_caught_by_the_attack(error: Error) -> None:
    """The search finds errors too, from random starts, also those that the collection misses."""
    assert attacked(error)


def test_copy_without_error_is_sound() -> None:
    """What finds the errors is the errors, not the copying."""
    unchanged = Planted(
        (
            "core.cubic",
            "certified = 0\n    for m in range(v):",
            "certified = 0\n    for m in range(v):",
        )
    )

    assert next(broken_on(unchanged, "cubic", ordinary_cases()[::4]), None) is None
    assert next(broken_on(unchanged, EXACT, (cases("rough") + cases("contrary"))[::5]), None) is None


def test_copy_is_private() -> None:
    """Planting leaves the package as it was."""
    before = {name: module for name, module in sys.modules.items() if name.startswith("compactproofs")}
    planted = Planted(("tasks.max_of_k", "_binomials(positions)[others]", "1000"))
    after = {name: module for name, module in sys.modules.items() if name.startswith("compactproofs")}
    model = cases("working")[0].model

    assert before == after
    assert planted.module("tasks.max_of_k") is not sys.modules["compactproofs.tasks.max_of_k"]
    assert STRATEGIES.keys() <= planted.module("theorems").BUILT_IN.strategies.keys()
    assert exact_correct(model) < planted.bound("cubic", model)


@pytest.mark.parametrize("text", ["this is nowhere", "certified"])
def test_planting_fails_if_the_code_has_changed(text: str) -> None:
    """An error that can no longer be planted is noticed, whether its text is gone or no longer unique."""
    with pytest.raises(NotPlanted, match=r"cubic has \d+ times, not once"):
        Planted(("core.cubic", text, "pass"))


if __name__ == "__main__":
    for each in ERRORS + SUBCUBIC_ERRORS:
        names = list(broken_on(Planted(*each.changes), each.strategy, ordinary_cases()))
        print(f"{each.name}: {len(names)} cases, such as {names[:3]}; attack: {attacked(each)}", flush=True)
