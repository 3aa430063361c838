"""The paper's strategies, but for brute force, on larger models: the rows of Table 1 beside what is published.

    python benchmarks/table1_larger.py --out DIR [--jobs 2] [--store docs/table1] [FAMILY ...]

Bounds are divided by the share of right answers that the zoo's table has: exact for K = 4 and 5, sampled for the
others, as in the paper.  A run that was stopped goes on where it was.  Stored is a table for each family: a line for
each strategy, with operations and unexplained dimension, which are the same for all models, and a column for each
model, with the number of inputs that are certified.
"""

import argparse
import csv
import io
from pathlib import Path
from typing import cast

from compactproofs import zoo
from compactproofs.paper import table1
from compactproofs.paper.rows import TABLE_STRATEGIES
from compactproofs.runs.sweep import sweep
from compactproofs.search.prover import Bound
from compactproofs.system.files import write_atomically

FAMILIES = ("max-of-5", "max-of-10", "max-of-20", "max-of-10-v128")
STRATEGIES = tuple(strategy for strategy in TABLE_STRATEGIES if strategy != "brute-force")


def normalised(bound: Bound, row: zoo.ZooRow) -> Bound:
    """With the share of right answers that are certified, by the zoo's figure for this model."""
    right = (
        row.exact_correct / row.total if row.sampled_accuracy is None and row.exact_correct else row.sampled_accuracy
    )
    return {**bound, "normalised": bound["bound"] / right if right else None}


def store(results: list[Bound], path: Path) -> None:
    """Write the results of one family."""
    models = list(dict.fromkeys(str(bound["model"]) for bound in results))
    lines: dict[str, dict[str, object]] = {}
    for bound in results:
        same = {name: bound[name] for name in ("strategy", "flops", "unexplained_dimension")}
        line = lines.setdefault(bound["strategy"], dict(same))
        if any(line[name] != same[name] for name in same):
            raise ValueError(f"{bound['model']}: {bound['strategy']} takes other operations than for {models[0]}")
        line[str(bound["model"])] = bound["certified"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["strategy", "flops", "unexplained_dimension", *models], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines.values())
    write_atomically(path, stream.getvalue().encode())


def stored(path: Path) -> list[Bound]:
    """The results of one family as they were stored."""
    rows = {row.name: row for row in zoo.table()}
    results = []
    with path.open(newline="", encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            same = {name: float(line.pop(name)) for name in ("flops", "unexplained_dimension")}
            strategy = line.pop("strategy")
            for model, certified in line.items():
                bound = {"model": model, "strategy": strategy, "bound": int(certified) / rows[model].total, **same}
                results.append(normalised(cast(Bound, bound), rows[model]))
    return results


def table(results: list[Bound]) -> str:
    """The rows as Markdown, for models of one family."""
    rows = {row.name: row for row in zoo.table()}
    first = rows[results[0]["model"]]
    found = [normalised(bound, rows[bound["model"]]) for bound in results]
    return table1.as_markdown(table1.summarise(found, first.n_ctx, first.d_vocab))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=FAMILIES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--store", type=Path, help="the folder for the tables")
    options = parser.parse_args()
    for family in options.families:
        models = [row.name for row in zoo.table() if row.name.startswith(f"{family}/")]
        results = sweep(models, STRATEGIES, options.out, options.jobs)
        if options.store:
            store(results, options.store / f"{family}.csv")
        print(f"{family}: {len(models)} models\n\n{table(results)}", flush=True)


if __name__ == "__main__":
    main()
