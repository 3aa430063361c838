"""The long check of the arithmetic, in short: it finds nothing, goes on where it ended, and finds planted errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import check_rounding
import test_planted_arithmetic
from check_rounding import BATCHES, PRODUCTS, SCALARS, USED_BY, Tally, first_violation, run, run_batch
from compactproofs.kernel import decisions, enclosure
from compactproofs.kernel.enclosure import Enclosure
from compactproofs.theorems.max_of_k.failing_sets.low_ends import lower

ERRORS = [(name, old, new) for name, old, new, _ in test_planted_arithmetic.ERRORS]
FIRST = {name: (old, new) for name, old, new in reversed(ERRORS)}
EVERY = [name for name in BATCHES if name != "all, by fractions"]


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_found(name: str) -> None:
    """A few batches of each operation, in all readings."""
    tally = Tally()
    for number in range(6):
        tally.add(run_batch(name, 1, number))

    assert tally.violations == []
    assert 1 < tally.operations <= tally.comparisons
    assert tally.room >= 0.0


@pytest.mark.parametrize("name", FIRST)
def test_an_error_in_each_function_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One planted error per function; `check_rounding.py --planted` does all."""
    test_planted_arithmetic.plant(monkeypatch, name, *FIRST[name])
    assert first_violation(USED_BY[name], 0, most=100)


def test_errors_in_decisions_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grids of midpoints only, ends rounded to nearest, and a decision after rounding."""

    def of_midpoints(mid: np.ndarray, rad: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
        low = np.floor(mid * scale)
        if not (np.abs(low) < 2.0**52).all():
            raise OverflowError
        return low.astype(np.int64), low.astype(np.int64)

    monkeypatch.setattr(decisions, "outward", of_midpoints)
    assert first_violation(["to_grid"], 0, most=100)
    errors: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
        (lower, "lower", lambda x: np.nan_to_num(x.mid - x.doubt * x.rad, nan=-np.inf)),
        (decisions.certainly_positive, "certainly_positive", lambda x: x.mid - x.rad > 0.0),
        (decisions.max_where, "max_where", lambda x, keep, axis: Enclosure(x.mid, 0.0 * x.rad).max(axis=axis)),
    )
    for function, name, wrong in errors:
        original = function.dispatch(Enclosure)
        try:
            function.register(Enclosure, wrong)
            assert first_violation([name], 0, most=100)
        finally:
            function.register(Enclosure, original)


def test_every_function_of_the_arithmetic_is_planted() -> None:
    """No function that the planted errors name is without a batch that uses it, and none is named in vain."""
    assert {name for name, *_ in ERRORS} | {name for name, *_ in test_planted_arithmetic.CONSTANTS} == set(USED_BY)
    assert all(hasattr(enclosure, name) for name in USED_BY)
    assert {name for names in USED_BY.values() for name in names} <= set(BATCHES)


def test_a_run_goes_on_where_it_ended() -> None:
    """In two parts it does the same batches, with the same results."""
    wanted = dict.fromkeys(SCALARS, 1000.0) | dict.fromkeys(PRODUCTS, 1.0)
    wanted["all, by fractions"] = 1.0
    whole, parts = ({name: Tally() for name in BATCHES} for _ in range(2))
    for tallies, part in ((parts, 3.0), (parts, 1.0), (whole, 1.0)):
        run(tallies, {name: count / part for name, count in wanted.items()}, 5, lambda: None)
    for name in BATCHES:
        parts[name].seconds = whole[name].seconds
    assert parts == whole


def test_the_program_keeps_what_it_did(tmp_path: Path) -> None:
    """It prints a table and goes on from its file."""
    command = [sys.executable, check_rounding.__file__, "--products", "1", "--state", str(tmp_path / "state.json")]
    for operations in ("2e4", "2e4", "4e4"):
        done = subprocess.run([*command, "--operations", operations], capture_output=True, text=True, check=True)
    assert "all, by fractions" in done.stdout
    kept = json.loads((tmp_path / "state.json").read_text())
    assert kept["tallies"]["add"]["operations"] >= 4000
    assert subprocess.run([*command, "--seed", "1"], capture_output=True).returncode == 2
