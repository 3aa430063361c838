"""Bounds on the accuracy from both sides for large K, with their time and cost.

    python benchmarks/large_k.py [MODEL ...]

For each model: lower and upper bound, the width of the interval, the lower bound as a share of the upper one, for each
of the two the seconds by the clock to claim it and to check the claim, and the FLOPs of the check.  These strategies
need no hints, so there is nothing to search; claim and check take equally long, and run at the same time where there
are two cores.  Up to K = 6 branch and bound is used, which is exact where the width is 0; above, histograms.
"""

import argparse
import time
from fractions import Fraction

import compactproofs as cp
from compactproofs.kernel.problem import Strategy
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems.max_of_k.core.branch_and_bound import BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM, HISTOGRAM_UPPER

SEEDS = (50, 104, 123, 519, 742)
FAMILIES = ("max-of-5", "max-of-10", "max-of-20", "max-of-10-v128")


def timed(strategy: Strategy, model: cp.Model) -> tuple[int, float, int]:
    """The claim, checked; the seconds for both; and the cost of the check."""
    start = time.perf_counter()
    proof = cp.prove(model, strategy.id)
    return proof.certificate.certified, time.perf_counter() - start, proof.cost.flops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[f"{family}/{seed}" for family in FAMILIES for seed in SEEDS])
    options = parser.parse_args()
    print("lower and upper share of right answers; seconds to claim and to check each of them")
    print(
        f"{'model':<19} {'lower':>12} {'upper':>12} {'width':>8} {'low/up':>10} "
        f"{'lower':>6} {'upper':>6} {'FLOPs':>8} {'FLOPs':>8}"
    )
    for name in options.models:
        model = cp.load_model(name)
        total = max_of_k(model).task.total
        pair = (HISTOGRAM, HISTOGRAM_UPPER) if model.n_ctx > 6 else (BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER)
        lower, seconds, cost = timed(pair[0], model)
        upper, seconds_upper, cost_upper = timed(pair[1], model)
        low, up = Fraction(lower, total), Fraction(upper, total)
        print(
            f"{name:<19} {float(low):12.9f} {float(up):12.9f} {float(up - low):8.1e} {float(low / up):10.8f} "
            f"{seconds:6.1f} {seconds_upper:6.1f} {cost:8.1e} {cost_upper:8.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
