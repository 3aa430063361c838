"""Operations and bounds of failing-set strategies over models of the zoo.

    python benchmarks/failing_sets.py [ID ...] [--models N] [--family max-of-4] [--reading check]

Searches hints and checks them, two models at a time; N models evenly spaced in the table (0: all).  Prints for each
strategy the mean, median and largest number of floating-point and integer operations, and the mean and smallest bound
as a share of the inputs that the model answers correctly, with the number of models where it is all of them.
"""

import argparse
import multiprocessing
from functools import partial

import numpy as np

import compactproofs as cp
from compactproofs import zoo
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import Reading, run, workspace


def measured(row: zoo.ZooRow, ids: list[str], reading: Reading) -> list[tuple[int, int, int, int]]:
    """(flops, int_ops, certified, exact) for each strategy."""
    model, exact = zoo.load_model(row.name), row.exact_correct
    assert exact is not None, row.name
    values, work = workspace(model, "value"), workspace(model, reading)
    results = []
    for strategy in (cp.STRATEGIES[strategy_id] for strategy_id in ids):
        certified, cost, *_ = run(strategy, work, search_hints(strategy, values))
        if certified > exact:
            raise AssertionError(f"{strategy.id} claims {certified} of {row.name}, {exact} are right")
        results.append((cost.flops, cost.int_ops, certified, exact))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", default=[s for s in cp.STRATEGIES if s.startswith("failing-sets")])
    parser.add_argument("--models", type=int, default=0)
    parser.add_argument("--family", default="max-of-4")
    parser.add_argument("--reading", choices=["check", "claim"], default="check")
    options = parser.parse_args()
    rows = [row for row in zoo.table() if row.name.startswith(options.family + "/")]
    if options.models:
        rows = [rows[i] for i in np.linspace(0, len(rows) - 1, options.models).astype(int)]
    with multiprocessing.Pool(2) as pool:
        results = pool.map(partial(measured, ids=options.ids, reading=options.reading), rows, chunksize=1)
    print(f"{len(rows)} models of {options.family}, reading {options.reading}")
    print("FLOPs mean     median        max    int ops    bound    least exact  strategy")
    for strategy_id, table in zip(options.ids, np.array(results).swapaxes(0, 1), strict=True):
        flops, int_ops, certified, exact = table.T
        share = certified / exact
        print(
            f"{flops.mean():>10.0f} {np.median(flops):>10.0f} {flops.max():>10} {int_ops.mean():>10.0f} "
            f"{share.mean():>8.6f} {share.min():>8.6f} {(certified == exact).sum():>5}  {strategy_id}"
        )


if __name__ == "__main__":
    main()
