"""Errors on purpose: each, planted in a copy of the code, makes some strategy claim more than the truth.

So the soundness tests can fail, and the models of `soundness.models` are hostile enough.  The first error is that of
the paper's implementation until July 2024.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from compactproofs.model import Model
from compactproofs.strategies import STRATEGIES, get_strategy
from soundness.attack import attack
from soundness.models import Case, cases, ordinary_cases
from soundness.planting import Change, NotPlanted, Planted
from soundness.truth import exact_correct

ATTACKS = 10


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
                "strategies.cubic",
                "            thresholds.append(-(of_maximum + of_query[queries]) / rest.sum(axis=1))",
                "            w, A = token_weights(work)[: m + 1, : m + 1], _lead_of_tokens(work, m)\n"
                "            B = (max_of_others(circuits.EU(work)) - circuits.EU(work))[: m + 1, m]\n"
                "            direct = rest.sum(axis=1)[:, None] * (w * B[:, None])[queries, :m]\n"
                "            to_query = (weights[:, n - 1] * np.diagonal(w))[queries]\n"
                "            of_token = direct + to_query[:, None] * A[:m]\n"
                "            thresholds.append(-(of_maximum + of_query[queries])[:, None] - of_token)",
            ),
            (
                "strategies.cubic",
                "good = certainly_positive(threshold[:, None] - f[queries, :m])",
                "good = certainly_positive(threshold)",
            ),
        ),
    ),
    Error(
        "the query's weight on the non-maximum",
        (
            (
                "strategies.cubic",
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
        (("strategies.cubic", "slice(0, m + 1) if c <= n - 2 else slice(m, m + 1)", "slice(0, m + 1)"),),
    ),
    Error(
        "classes without a maximum at K = 1",
        (("strategies.cubic", "slice(0, m + 1) if n > 1 else slice(m, m + 1)", "slice(0, m + 1)"),),
    ),
    Error(
        "ties count",
        (
            (
                "strategies.cubic",
                "good = certainly_positive(threshold[:, None] - f[queries, :m])",
                "good = ~certainly_positive(f[queries, :m] - threshold[:, None])",
            ),
        ),
    ),
    Error(
        "ties count where only the query differs",
        (
            (
                "strategies.cubic",
                "right = certainly_positive(sums[:, m] - rivals)",
                "right = ~certainly_positive(rivals - sums[:, m])",
            ),
        ),
    ),
    Error(
        "maxima in the places of least attention only",
        (("strategies.cubic", "threshold = np.minimum(*thresholds)", "threshold = thresholds[0]"),),
    ),
    Error(
        "maxima in the places of most attention only",
        (("strategies.cubic", "threshold = np.minimum(*thresholds)", "threshold = thresholds[1]"),),
    ),
    Error(
        "the query's own term is left out",
        (
            (
                "strategies.cubic",
                "of_query = weights[:, n - 1] * np.diagonal(f)",
                "of_query = 0.0 * weights[:, n - 1]",
            ),
        ),
    ),
    Error(
        "the query's term is that of the maximum",
        (
            (
                "strategies.cubic",
                "of_query = weights[:, n - 1] * np.diagonal(f)",
                "of_query = weights[:, n - 1] * f[:, m]",
            ),
        ),
    ),
    Error(
        "the token's own output is left out, not the maximum's",
        (
            (
                "strategies.cubic",
                "return max_where(tokens + worst_position, np.arange(work.model.d_vocab) != m, axis=1) - tokens[:, m]",
                "return max_where(tokens + worst_position, np.arange(work.model.d_vocab) != "
                "np.arange(m + 1)[:, None], axis=1) - tokens[:, m]",
            ),
        ),
    ),
    Error(
        "only outputs below the maximum are rivals",
        (("lemmas.rivals", "np.maximum(before[:, :-1], after[:, 1:])", "before[:, :-1]"),),
    ),
    Error(
        "positions write what is best, not worst",
        (
            (
                "strategies.cubic",
                "worst_position = (positions - positions[:, m, None]).max(axis=0)",
                "worst_position = (positions - positions[:, m, None]).min(axis=0)",
            ),
        ),
    ),
    Error(
        "the others' places do not count",
        (("strategies.cubic", "/ rest.sum(axis=1)", "/ rest[:, 0]"),),
    ),
    Error(
        "one place too many to choose from",
        (("task", "math.comb(positions, others)", "math.comb(positions + 1, others)"),),
    ),
    Error(
        "the query sits at the first position", (("circuits", 'work.weight("W_pos")[-1]', 'work.weight("W_pos")[0]'),)
    ),
    Error(
        "attention without positions",
        (("lemmas.additive", "np.exp(circuits.EQKP(work))", "np.exp(0.0 * circuits.EQKP(work))"),),
    ),
    Error(
        "scores are not divided by the root of h",
        (("circuits", '@ work.weight("W_K").T / root', '@ work.weight("W_K").T'),),
    ),
    Error(
        "scores are shifted by column",
        (
            (
                "lemmas.additive",
                "midpoint(scores.max(axis=1, keepdims=True))",
                "midpoint(scores.max(axis=0, keepdims=True))",
            ),
        ),
    ),
    Error(
        "no rounding errors",
        (("arrays.enclosure", "return type(like)(*pair)", "return type(like)(pair[0], 0.0 * pair[1])"),),
    ),
    Error(
        "doubt is no obstacle",
        (("arrays", "return np.asarray(x.mid > x.doubt * x.rad)", "return np.asarray(x.mid >= -x.doubt * x.rad)"),),
    ),
    Error(
        "undecided sums count",
        (("lemmas.enumeration", "np.count_nonzero(least > 0)", "np.count_nonzero(least > -gap)"),),
        "brute-force",
    ),
    Error(
        "the maximum may be missing",
        (("lemmas.enumeration", "[range(m)] * p + [range(m, m + 1)]", "[range(m)] * p + [range(m + 1)]"),),
        "brute-force",
    ),
)


def broken_on(planted: Planted, strategy: str, models: tuple[Case, ...]) -> list[str]:
    """The names of the models on which the planted strategy claims more than the truth."""
    return [case.name for case in models if planted.bound(strategy, case.model) > exact_correct(case.model)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.name)
def test_planted_error_is_caught_by_the_models(error: Error) -> None:
    """The collection of hostile models alone finds every planted error."""
    assert broken_on(Planted(*error.changes), error.strategy, ordinary_cases())


@pytest.mark.parametrize("error", [ERRORS[0], ERRORS[2], ERRORS[9]], ids=lambda error: error.name)
def test_planted_error_is_caught_by_the_attack(error: Error) -> None:
    """The search finds errors too, from random starts."""
    planted, strategy = Planted(*error.changes), get_strategy(error.strategy)

    def bound(model: Model, hints: object) -> int:
        return planted.bound(error.strategy, model)

    assert any(attack(bound, strategy, np.random.default_rng(seed), 300).gap > 0 for seed in range(ATTACKS))


def test_copy_without_error_is_sound() -> None:
    """What finds the errors is the errors, not the copying."""
    unchanged = Planted(
        ("strategies.cubic", "certified = 0\n    for m in range(v):", "certified = 0\n    for m in range(v):")
    )

    assert not broken_on(unchanged, "cubic", ordinary_cases())


def test_copy_is_private() -> None:
    """Planting leaves the package as it was."""
    before = {name: module for name, module in sys.modules.items() if name.startswith("compactproofs")}
    planted = Planted(("task", "ways = math.comb(positions, others)", "ways = 1000"))
    after = {name: module for name, module in sys.modules.items() if name.startswith("compactproofs")}
    model = cases("working")[0].model

    assert before == after
    assert planted.module("task") is not sys.modules["compactproofs.task"]
    assert planted.module("strategies").STRATEGIES.keys() == STRATEGIES.keys()
    assert exact_correct(model) < planted.bound("cubic", model)


@pytest.mark.parametrize("text", ["this is nowhere", "certified"])
def test_planting_fails_if_the_code_has_changed(text: str) -> None:
    """An error that can no longer be planted is noticed, whether its text is gone or no longer unique."""
    with pytest.raises(NotPlanted, match=r"cubic has \d+ times, not once"):
        Planted(("strategies.cubic", text, "pass"))


if __name__ == "__main__":
    for each in ERRORS:
        names = broken_on(Planted(*each.changes), each.strategy, ordinary_cases())
        print(f"{each.name}: {len(names)} models, such as {names[:3]}")
