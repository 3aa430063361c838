"""The paper's strategies, but for brute force, on larger models: the rows of Table 1 beside what is published.

    python benchmarks/table1_larger.py --out DIR [--jobs 2] [FAMILY ...]

Bounds are divided by the share of right answers that the zoo's table has: exact for K = 5, sampled for the others, as
in the paper.  A run that was stopped goes on where it was.
"""

import argparse
from pathlib import Path

from compactproofs import zoo
from compactproofs.paper import table1
from compactproofs.paper.rows import TABLE_STRATEGIES
from compactproofs.runs.sweep import sweep
from compactproofs.search.prover import Bound

FAMILIES = ("max-of-5", "max-of-10", "max-of-20", "max-of-10-v128")
STRATEGIES = tuple(strategy for strategy in TABLE_STRATEGIES if strategy != "brute-force")


def normalised(bound: Bound, row: zoo.ZooRow) -> Bound:
    """With the share of right answers that are certified, by the zoo's figure for this model."""
    right = (
        row.exact_correct / row.total if row.sampled_accuracy is None and row.exact_correct else row.sampled_accuracy
    )
    return {**bound, "normalised": bound["bound"] / right if right else None}


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
    options = parser.parse_args()
    for family in options.families:
        models = [row.name for row in zoo.table() if row.name.startswith(f"{family}/")]
        results = sweep(models, STRATEGIES, options.out, options.jobs)
        print(f"{family}: {len(models)} models\n\n{table(results)}", flush=True)


if __name__ == "__main__":
    main()
