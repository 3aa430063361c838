"""Errors on purpose in the failing sets of low rank: the hostile models and hints find each of them."""

from __future__ import annotations

import pytest

from soundness.models import cases, ordinary_cases
from soundness.planting import Planted
from test_low_rank import bilinear_fails, low_rank_fails
from test_planted_errors import Error, broken_on

QK, EU, BOTH = "failing-sets/low-rank-QK", "failing-sets/low-rank-EU", "failing-sets/low-rank-QK+EU"
QUADRATIC, STRICT = "failing-sets/quadratic-QK", "failing-sets/strict-QK"

ERRORS = (
    Error(
        "the error has the wrong sign",
        (
            (
                "failing_sets.low_rank",
                "Bounds(centre + error, centre - error)",
                "Bounds(centre - error, centre + error)",
            ),
        ),
        QK,
    ),
    Error(
        "the cross term is left out",
        (
            (
                "failing_sets.low_rank",
                "(twice_identity - N.T @ M)",
                "(twice_identity + 0.0 * (N.T @ M))",
            ),
        ),
        BOTH,
    ),
    Error(
        "the norm of one side is left out",
        (
            (
                "failing_sets.low_rank",
                "* row_norms(right - y @ M.T)",
                "* (0.0 * row_norms(right - y @ M.T))",
            ),
        ),
        EU,
    ),
    Error(
        "the largest entry for the norm",
        (
            (
                "failing_sets.low_rank",
                "np.sqrt((matrix * matrix).sum(axis=1))",
                "np.sqrt((matrix * matrix).max(axis=1))",
            ),
        ),
        EU,
    ),
    Error(
        "an entry from the wrong row",
        (
            (
                "failing_sets.low_rank",
                "(self._left[rows] * self._right[columns])",
                "(self._left[rows - 1] * self._right[columns])",
            ),
        ),
        QK,
    ),
    Error(
        "an entry of the direct path from the wrong row",
        (
            (
                "failing_sets.low_rank",
                "(self._left[rows] * self._right[columns])",
                "(self._left[rows - 1] * self._right[columns])",
            ),
        ),
        EU,
    ),
    Error(
        "entries are found again under the wrong place",
        (("failing_sets.low_rank", "len(self._values) + np.arange(len(rows))", "np.arange(len(rows))"),),
        BOTH,
    ),
    Error(
        "entries and bounds with different constants",
        (
            (
                "failing_sets.low_rank_tables",
                "Entries(left, right)\n\n\ndef",
                "Entries(left, right + 50.0 * left.mean(axis=0))\n\n\ndef",
            ),
        ),
        QK,
    ),
    Error(
        "lower weights for near tokens",
        (
            (
                "failing_sets.safe_outputs",
                "tables.score_high[queries, self.near[0] : m] - own_score",
                "tables.score_low[queries, self.near[0] : m] - own_score",
            ),
        ),
        QK,
    ),
    Error(
        "the better end of the direct path",
        (
            (
                "failing_sets.safe_outputs",
                "tables.direct_low[queries, m][:, None] - tables.direct_high[queries][:, columns.outputs]",
                "tables.direct_high[queries, m][:, None] - tables.direct_low[queries][:, columns.outputs]",
            ),
        ),
        EU,
    ),
    Error(
        "lower weights for all tokens of a class",
        (
            (
                "failing_sets.failing_inputs",
                "ends = [(scores.high, scores.low)]",
                "ends = [(scores.low, scores.low)]",
            ),
        ),
        STRICT,
    ),
    Error(
        "upper weights for all tokens of a class",
        (
            (
                "failing_sets.failing_inputs",
                "return np.where(positive, low, high) * np.where(positive, brackets, np.minimum(brackets, 0.0))",
                "return high * brackets",
            ),
        ),
        STRICT,
    ),
    Error(
        "the maximum's own end of the score",
        (
            (
                "failing_sets.failing_inputs",
                "weight = rho * np.exp(bounds.score_running[q, m - window - 1] - scores.low[-2])",
                "weight = rho * np.exp(bounds.score_running[q, m - window - 1] - scores.high[-2])",
            ),
        ),
        STRICT,
    ),
    Error(
        "the sums of the rest's rows cancel",
        (
            (
                "failing_sets.bilinear",
                "np.abs(rest.left) @ row_norms",
                "np.abs(rest.left @ row_norms",
            ),
            ("failing_sets.bilinear", "(Q - U @ of_query),", "(Q - U @ of_query)),"),
        ),
        STRICT,
    ),
    Error(
        "any hinted norm is believed",
        (("failing_sets.bilinear", "if not certainly_positive(pivot):", "if len(rest) < 1:"),),
        QUADRATIC,
    ),
    Error(
        "the norm of the whole product for that of the embedding",
        (
            (
                "failing_sets.bilinear",
                "row_norms(rest.left) * norm",
                "row_norms(rest.left) * np.minimum(norm, 0.1)",
            ),
        ),
        QUADRATIC,
    ),
    Error(
        "scores of positions are divided by the root twice and more",
        (
            (
                "failing_sets.low_rank_tables",
                "_scaled_query(work) @ (work",
                "_scaled_query(work) / 4.0 @ (work",
            ),
        ),
        STRICT,
    ),
    Error(
        "the query's score for that of the maximum",
        (
            (
                "failing_sets.failing_inputs",
                "[np.exp(of[tokens] - own[-2]), *one]",
                "[np.exp(of[tokens] - own[-1]), *one]",
            ),
        ),
        QK,
    ),
    Error(
        "the direct path to the rival from another query",
        (
            (
                "failing_sets.safe_outputs",
                "own_direct = tables.best_directs(used, np.full(len(used), m)).low",
                "own_direct = tables.best_directs(0 * used, np.full(len(used), m)).low",
            ),
        ),
        EU,
    ),
    Error(
        "classes given up are right",
        (
            (
                "failing_sets.strategies",
                "lost += sum(work.task.class_size(int(q)",
                "lost += 0 * sum(work.task.class_size(int(q)",
            ),
        ),
        EU,
    ),
    Error(
        "the mean of the direct path without the position",
        (
            (
                "failing_sets.low_rank_tables",
                "typical = circuits.query_embedding(work)",
                'typical = work.weight("W_E")',
            ),
        ),
        EU,
    ),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.name)
def test_planted_error_is_caught(error: Error) -> None:
    """The collection of hostile models finds the error."""
    found = broken_on(Planted(*error.changes), error.strategy, ordinary_cases(), error.name)
    assert next(found, None) is not None


@pytest.mark.parametrize(
    ("module", "change"),
    [
        ("low_rank", ("(twice_identity - N.T @ M)", "(0.5 * twice_identity)")),
        ("low_rank", ("left - x @ N.T", "left - x @ M.T")),
        ("bilinear", ("X @ (W @ H)", "X @ W")),
        ("bilinear", ("(G @ (Z - ((Z @ V) @ H) @ V.T)).T", "(Z - ((Z @ V) @ H) @ V.T).T")),
        ("bilinear", ("(G @ (Z - ((Z @ V) @ H) @ V.T)).T", "(G @ Z).T")),
        ("bilinear", ("inner - (inner @ V) @ V.T", "0.5 * inner")),
        ("bilinear", ("row_norms(K - V @ of_key)", "(0.5 * row_norms(K - V @ of_key))")),
    ],
    ids=lambda part: part if isinstance(part, str) else part[1],
)
def test_error_that_orthonormal_hints_hide_is_caught(module: str, change: tuple[str, str]) -> None:
    """With dual bases for hints nothing is wrong; the lemmas' own tests find it."""
    planted = Planted((f"failing_sets.{module}", *change))
    fails = low_rank_fails if module == "low_rank" else bilinear_fails
    enclosure = planted.module("search.workspaces").Enclosure

    assert any(fails(planted.module(f"failing_sets.{module}"), seed, enclosure) for seed in range(20))


@pytest.mark.parametrize("strategy", [QK, EU, BOTH, QUADRATIC, STRICT])
def test_copy_without_error_is_sound(strategy: str) -> None:
    """What finds the errors is the errors, not the copying: the package itself is tested on many more models."""
    unchanged = Planted(("failing_sets.low_rank", "centre + error", "centre + error"))

    assert next(broken_on(unchanged, strategy, (cases("rough") + cases("contrary"))[::11]), None) is None


if __name__ == "__main__":
    for each in ERRORS:
        names = list(broken_on(Planted(*each.changes), each.strategy, ordinary_cases()))
        print(f"{each.name}: {len(names)} cases, such as {names[:3]}", flush=True)
