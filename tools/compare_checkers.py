"""Compare verification with the second checker.

    python tools/compare_checkers.py [--models max-of-4/123 ...] [--strategies cubic ...]
    python tools/compare_checkers.py --hostile 5 [--families working ...] [--hints searched] [--strategies cubic ...]

Needs the package and its tests.  The second form runs on small models made to be hard, from so many seeds.  Prints a
table: for each strategy (for the sub-cubic ones together) how many pairs of a model and hints were compared, how often
verification proved more, or less, how far it was off at most, as a share of all inputs, and how often the second
checker left something undecided.  Fails if verification proved more anywhere.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from compactproofs import zoo
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.certificates import Certificate
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.tasks.max_of_k import max_of_k
from exactcheck import checking, reading
from soundness.hints import KINDS, hints_of, kinds_of
from soundness.models import FAMILIES, cases

MOST_INPUTS = 5000  # of hostile models


class Pair(NamedTuple):
    """A model, a strategy and its hints; workspaces to prove on, and what verification finds on each."""

    name: str
    model: Model
    strategy: str
    hints: dict[str, np.ndarray]
    check: MaxWorkspace
    claim: MaxWorkspace


def of_zoo(names: list[str], strategies: list[str]) -> Iterator[Pair]:
    """Models of the zoo, with searched hints."""
    for name in names:
        model = zoo.load_model(name)
        values, check, claim = (workspace(model, kind) for kind in ("value", "check", "claim"))
        for key in strategies:
            if STRATEGIES[key].limit(max_of_k(model)) is None:
                yield Pair(name, model, key, search_hints(STRATEGIES[key], values), check, claim)


def hostile(seeds: int, families: list[str], wanted: list[str], strategies: list[str]) -> Iterator[Pair]:
    """Small models; for each, all strategies but only three of the sub-cubic ones, with hints of a random kind."""

    others = [key for key in strategies if not key.startswith("sub-cubic")]
    subcubic = [key for key in strategies if key.startswith("sub-cubic")]
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        for case in (case for family in families for case in cases(family, seed)):
            if max_of_k(case.model).task.total > MOST_INPUTS:
                continue
            values, check, claim = (workspace(case.model, kind) for kind in ("value", "check", "claim"))
            for key in [*others, *rng.choice(subcubic, min(3, len(subcubic)), replace=False)]:
                strategy = STRATEGIES[key]
                kinds = [kind for kind in kinds_of(strategy, case.model) if kind in wanted]
                if kinds and strategy.limit(max_of_k(case.model)) is None:
                    kind = str(rng.choice(kinds))
                    hints = hints_of(strategy, case.model, kind, rng, values)
                    yield Pair(f"{case.name} (seed {seed}, hints {kind})", case.model, key, hints, check, claim)


class Row:
    """What was found about one strategy, or family."""

    def __init__(self) -> None:
        self.pairs = self.more = self.less = self.undecided = 0
        self.largest, self.seconds = 0.0, 0.0

    def __str__(self) -> str:
        each = self.seconds / self.pairs
        return f"{self.pairs} | {self.more} | {self.less} | {self.largest:.1e} | {self.undecided} | {each:.2f}"


def main() -> int:
    """The program; returns 1 if verification proved more than the second checker."""
    known = [key for key in STRATEGIES if checking.is_known(key) and key != "trivial"]
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--models", nargs="+", default=["max-of-4/123"])
    parser.add_argument("--hostile", type=int)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--hints", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--strategies", nargs="+", default=known)
    options = parser.parse_args()
    if options.hostile is None:
        pairs = of_zoo(options.models, [key for key in options.strategies if key != "brute-force"])
    else:
        pairs = hostile(options.hostile, options.families, options.hints, options.strategies)
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        last: Model | None = None
        for pair in pairs:
            if pair.model is not last:
                pair.model.save(path)
                last, weights = pair.model, reading.read_weights(path.read_bytes())
            compare(pair, weights, rows)
    print("| strategy | pairs | more | less | furthest | undecided | seconds |\n" + "| --- " * 7 + "|")
    for name, row in rows.items():
        print(f"| `{name}` | {row} |")
    return int(any(row.more for row in rows.values()))


class ByHash:
    """Weights as a key."""

    def __init__(self, weights: reading.Weights) -> None:
        self.weights = weights

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByHash) and self.weights.sha256 == other.weights.sha256

    def __hash__(self) -> int:
        return hash(self.weights.sha256)


@lru_cache(maxsize=1)
def right_inputs(key: ByHash) -> checking.Result:
    """What branch and bound and histograms are compared with."""
    return checking.derive("histogram", key.weights, {})


def derived(pair: Pair, weights: reading.Weights, hints: dict[str, reading.Hint]) -> checking.Result:
    """N of the second checker; the count that four strategies share is made once."""
    if pair.strategy not in checking.COUNTED:
        return checking.derive(pair.strategy, weights, hints)
    found = right_inputs(ByHash(weights))
    at_least = STRATEGIES[pair.strategy].claim == "at least"
    return found if at_least else found._replace(certified=found.certified + found.undecided)


def compare(pair: Pair, weights: reading.Weights, rows: dict[str, Row]) -> None:
    """Both checkers on one pair."""
    strategy, total = STRATEGIES[pair.strategy], max_of_k(pair.model).task.total
    found, claimed = strategy.bound(pair.check, pair.hints), strategy.bound(pair.claim, pair.hints)
    task, theorem = max_of_k(pair.model).task.record, strategy.theorem
    certificate = Certificate(
        task,
        pair.model.sha256,
        strategy.id,
        theorem,
        claimed,
        total,
        pair.hints,
        claim=strategy.claim,
        family=pair.model.family,
    )
    read = reading.read_certificate(certificate.to_bytes())
    checking.check_hints(strategy.id, weights, read.task, read.hints)
    start = time.perf_counter()
    exact = derived(pair, weights, read.hints)
    family = pair.strategy if not pair.strategy.startswith("sub-cubic") else "sub-cubic/…"
    row = rows.setdefault(family, Row())
    row.seconds += time.perf_counter() - start
    row.pairs += 1
    row.undecided += exact.undecided > 0
    at_least = strategy.claim == "at least"
    beyond = max(found - exact.certified, claimed - exact.certified)
    if not at_least:
        beyond = max(exact.certified - found, exact.certified - claimed)
    if pair.strategy in checking.COUNTED:
        beyond -= exact.undecided  # up to there nothing contradicts
    short = abs(exact.certified - found)
    if beyond > 0:
        row.more += 1
        print(f"VERIFICATION PROVED MORE: {pair.name} {strategy.id}: {found}, claimed {claimed}, exactly {exact}")
    elif short and not (pair.strategy in checking.COUNTED and exact.undecided):
        row.less += 1
        row.largest = max(row.largest, short / total)


if __name__ == "__main__":
    sys.exit(main())
