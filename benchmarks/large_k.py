"""Bounds on the accuracy from both sides for large K, with their time and cost.

    python benchmarks/large_k.py [MODEL ...]

For each model: lower and upper bound, the width of the interval, the lower bound as a share of the upper one, for each
of the two the seconds by the clock to prove it (search, claim, check; the last two at the same time where there are two
cores and many inputs), those of the check alone, its FLOPs, and the bytes of the hints.  Up to K = 6 branch and bound
is used, which has no hints and is exact where the width is 0; above, histograms.
"""

import argparse
import time
from fractions import Fraction

import compactproofs as cp
from compactproofs.kernel.problem import Strategy
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems.max_of_k.branching.branch_and_bound import BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM, HISTOGRAM_UPPER

SEEDS = (50, 104, 123, 519, 742)
FAMILIES = ("max-of-5", "max-of-10", "max-of-20", "max-of-10-v128")


def timed(strategy: Strategy, model: cp.Model) -> tuple[cp.Proof, float]:
    """The proof, and the seconds that it took."""
    start = time.perf_counter()
    proof = cp.prove(model, strategy.id)
    return proof, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[f"{family}/{seed}" for family in FAMILIES for seed in SEEDS])
    options = parser.parse_args()
    print("lower and upper share of right answers; for each: seconds to prove, to check, FLOPs, bytes of hints")
    side = f"{'prove':>6} {'check':>6} {'FLOPs':>8} {'hints':>9}"
    print(f"{'model':<19} {'lower':>12} {'upper':>12} {'width':>8} {'low/up':>10} {side} {side}")
    for name in options.models:
        model = cp.load_model(name)
        total = max_of_k(model).task.total
        pair = (HISTOGRAM, HISTOGRAM_UPPER) if model.n_ctx > 6 else (BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER)
        proofs = [timed(strategy, model) for strategy in pair]
        low, up = (Fraction(proof.certificate.certified, total) for proof, _ in proofs)
        sides = (
            f"{seconds:6.1f} {proof.verify_seconds:6.1f} {proof.cost.flops:8.1e} {proof.hint_bytes:9,}"
            for proof, seconds in proofs
        )
        print(
            f"{name:<19} {float(low):12.9f} {float(up):12.9f} {float(up - low):8.1e} {float(low / up):10.8f}",
            *sides,
            flush=True,
        )


if __name__ == "__main__":
    main()
