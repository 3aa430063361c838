"""Time and memory of the strategies, rigorous against plain arithmetic, on one model.

    python benchmarks/strategies.py [MODEL] [--repeat N]

Prints seconds (best of N) for the readings "value" (plain float64) and "check" (enclosures and counting), their
ratio, the time in which all sub-cubic strategies are searched, claimed and verified together, and the peak memory.
"""

import argparse
import resource
import time

import compactproofs as cp
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import Reading, run, workspace
from compactproofs.tasks.max_of_k import max_of_k

SOME = (
    "brute-force",
    "cubic",
    "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact",
    "sub-cubic/max_diff_exact/mean_query+diff/svd",
    "sub-cubic/mean_query+max_diff/mean_query+diff/mean_recursive+max_diff_subproduct_recursive",
)

READINGS: tuple[Reading, ...] = ("value", "check")


def seconds(model: cp.Model, strategy: cp.Strategy, reading: Reading) -> float:
    hints = search_hints(strategy, workspace(model, "value"))
    start = time.perf_counter()
    run(strategy, workspace(model, reading), hints)
    return time.perf_counter() - start


def all_subcubic(model: cp.Model) -> float:
    start = time.perf_counter()
    for _ in cp.prove_all(model, [s for s in cp.STRATEGIES if s.startswith("sub-cubic/")]):
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="max-of-4/123")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    model = cp.load_model(options.model)
    print(f"{options.model}, best of {options.repeat}")
    print(f"{'value':>8} {'check':>8} {'ratio':>6}  strategy")
    for strategy_id in SOME:
        strategy = cp.STRATEGIES[strategy_id]
        if strategy.limit(max_of_k(model)) is None:
            plain, check = (
                min(seconds(model, strategy, reading) for _ in range(options.repeat)) for reading in READINGS
            )
            print(f"{plain:>7.3f}s {check:>7.3f}s {check / plain:>6.1f}  {strategy_id}")
    together = min(all_subcubic(model) for _ in range(options.repeat))
    print(f"{together:.2f} s to search, claim and verify all 100 sub-cubic strategies together")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
