"""Compare verification with the second checker on models of the zoo.

    python tools/exactcheck/compare.py [--models max-of-4/123 ...] [--strategies cubic ...]

Needs the package.  Hints are searched; N of verification, of a claim (which keeps a margin to spare) and of the second
checker are printed, and the program fails if verification finds more anywhere.  Without options: every strategy that
the second checker knows but brute-force, on one model.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from compactproofs import zoo
from compactproofs.certificate import Certificate
from compactproofs.search import search_hints
from compactproofs.strategies import STRATEGIES
from compactproofs.task import task_of, total_inputs
from compactproofs.workspace import Workspace
from exactcheck import checking, reading


def main() -> int:
    """The program; returns 1 if verification found more than the second checker."""
    known = [key for key in STRATEGIES if checking.is_known(key) and key != "brute-force"]
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--models", nargs="+", default=["max-of-4/123"])
    parser.add_argument("--strategies", nargs="+", default=known)
    options = parser.parse_args()
    worst, lost, pairs, open_comparisons, seconds = 0, 0, 0, 0, 0.0
    for name in options.models:
        model, weights = zoo.load_model(name), reading.read_weights(zoo.path(name).read_bytes())
        values, checks, claims = (Workspace(model, kind) for kind in ("value", "check", "claim"))
        for key in options.strategies:
            strategy = STRATEGIES[key]
            if strategy.limit(model) is not None:
                continue
            hints = search_hints(strategy, values)
            found, claimed = strategy.bound(checks, hints), strategy.bound(claims, hints)
            certificate = Certificate(
                task_of(model), model.sha256, key, strategy.theorem, claimed, total_inputs(model), hints
            )
            read = reading.read_certificate(certificate.to_bytes())
            checking.check_hints(key, weights, read.hints)
            start = time.perf_counter()
            exact = checking.derive(key, weights, read.hints)
            taken = time.perf_counter() - start
            short = exact.certified - found
            print(f"{name} {key}: claimed {claimed}, verified {found}, exactly {exact.certified}, {taken:.1f} s")
            pairs, lost, seconds = pairs + 1, lost + (short != 0), seconds + taken
            open_comparisons += exact.undecided
            worst = min(worst, short)
    print(
        f"{pairs} pairs of a model and a strategy: {lost} differ, {open_comparisons} comparisons undecided; "
        f"{'VERIFICATION FOUND MORE' if worst < 0 else 'verification never found more'}; "
        f"{seconds / max(pairs, 1):.1f} s each on average"
    )
    return 1 if worst < 0 else 0


if __name__ == "__main__":
    sys.exit(main())
