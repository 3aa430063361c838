"""Bounds on the accuracy from both sides for large K, with their time and cost.

    python benchmarks/large_k.py [MODEL ...]

For each model: lower and upper bound, the width of the interval, the lower bound as a share of the upper one, seconds
for each, and FLOPs to verify.  These strategies need no hints, so a search costs nothing; making a certificate runs
the bound once ("claim") and checking it once more ("check").  Up to K = 6 branch and bound is used, which is exact
where the width is 0; above, histograms.
"""

import argparse
import time
from fractions import Fraction

import compactproofs as cp
from compactproofs.checker import run
from compactproofs.strategies import Strategy
from compactproofs.strategies.branch_and_bound import BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER
from compactproofs.strategies.histogram import HISTOGRAM, HISTOGRAM_UPPER
from compactproofs.task import total_inputs
from compactproofs.workspace import Workspace

SEEDS = (50, 104, 123, 519, 742)
FAMILIES = ("max-of-5", "max-of-10", "max-of-20", "max-of-10-v128")


def timed(strategy: Strategy, model: cp.Model, reading: str) -> tuple[int, float, int]:
    start = time.perf_counter()
    result = run(strategy, Workspace(model, reading), {})
    return result.certified, time.perf_counter() - start, result.cost.flops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[f"{family}/{seed}" for family in FAMILIES for seed in SEEDS])
    options = parser.parse_args()
    print(
        "lower and upper share of right answers; seconds to claim and to check the lower bound, to check the upper one"
    )
    print(
        f"{'model':<19} {'lower':>12} {'upper':>12} {'width':>8} {'low/up':>10} "
        f"{'claim':>6} {'check':>6} {'upper':>6} {'FLOPs':>8} {'FLOPs':>8}"
    )
    for name in options.models:
        model = cp.load_model(name)
        total = total_inputs(model)
        pair = (HISTOGRAM, HISTOGRAM_UPPER) if model.n_ctx > 6 else (BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER)
        _, claim, _ = timed(pair[0], model, "claim")
        lower, check, cost = timed(pair[0], model, "check")
        upper, above, cost_above = timed(pair[1], model, "check")
        low, up = Fraction(lower, total), Fraction(upper, total)
        print(
            f"{name:<19} {float(low):12.9f} {float(up):12.9f} {float(up - low):8.1e} {float(low / up):10.8f} "
            f"{claim:6.1f} {check:6.1f} {above:6.1f} {cost:8.1e} {cost_above:8.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
