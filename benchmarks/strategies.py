"""Time and memory of each strategy, rigorous against plain arithmetic, on one model.

    python benchmarks/strategies.py [MODEL] [--repeat N]

Prints seconds (best of N) for the readings "value" (plain float64) and "check" (enclosures and counting), their
ratio, and the peak memory of the process.
"""

import argparse
import resource
import time

import compactproofs as cp
from compactproofs.checker import run
from compactproofs.search import search_hints
from compactproofs.workspace import Workspace


def best_seconds(model: cp.Model, strategy: cp.Strategy, hints: dict, reading: str, repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run(strategy, Workspace(model, reading), hints)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="max-of-4/123")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    model = cp.load_model(options.model)
    print(f"{options.model}, best of {options.repeat}")
    print(f"{'strategy':<20}{'value':>10}{'check':>10}{'ratio':>8}")
    for strategy_id in cp.feasible_strategies(model):
        strategy = cp.STRATEGIES[strategy_id]
        hints = search_hints(model, strategy)
        plain, check = (best_seconds(model, strategy, hints, r, options.repeat) for r in ("value", "check"))
        print(f"{strategy_id:<20}{plain:>9.3f}s{check:>9.3f}s{check / plain:>8.1f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
