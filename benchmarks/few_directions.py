"""Networks that add, trained toward few directions: what is proved of them, and how sure of their answers they are.

    compactproofs tighten add-59/50 ... --strategy pair-sum/few-directions --out DIR
    python benchmarks/few_directions.py DIR... --out docs/tighten/pairs/results.csv

A line for each network.  Cross-entropy and the least lead are those of all pairs, in plain float64; what is right is
proved by brute force from both sides, as `tighten` has it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from compactproofs.kernel.problem import Problem
from compactproofs.networks.pair_sum.circuits import tables
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.runs.inputs import open_file
from compactproofs.search.prover import Prover
from compactproofs.search.workspaces import MeasuredWorkspace, plain
from compactproofs.system.files import write_atomically
from compactproofs.tasks.pairs import add_mod
from compactproofs.training.files import read_metadata

FEW = "pair-sum/few-directions"


def confidence(network: PairSum) -> dict[str, str]:
    """Cross-entropy over all pairs, and by how much the right output leads at least."""
    task = add_mod(network.n)
    found = tables(MeasuredWorkspace(Problem(network, task), "value"))
    left, right, out, of_x, of_y = (plain(part) for part in found if part is not None)
    logits = np.maximum(left[:, None] + right, 0.0) @ out + of_x[:, None] + of_y
    own = np.take_along_axis(logits, task.table[..., None], axis=2)
    others = np.where(np.arange(network.outputs) == task.table[..., None], -np.inf, logits - own)
    loss = np.log1p(np.exp(others).sum(axis=2)).mean()
    return {"cross_entropy": f"{loss:.3g}", "least_lead": f"{-others.max():.3f}"}


def row(directory: Path, result: dict[str, Any]) -> dict[str, Any]:
    """What there is to say of one network."""
    path = directory / f"models/{result['model']}.safetensors"
    network, settings = open_file(str(path)).pair_sum(), read_metadata(path)["settings"]
    prover = Prover(network, add_mod(network.n))
    few = prover.prove(FEW)
    before = confidence(open_file(result["model"]).pair_sum())
    return {
        "model": result["model"],
        **{name: settings[name] for name in ("frequencies", "dimensions", "neurons", "steps", "decay")},
        "total": result["total"],
        "correct_before": result["correct_before"],
        "correct_after": result["correct_after"],
        "proved": few.certificate.certified,
        "flops": few.cost.flops,
        "int_ops": few.cost.int_ops,
        "distance": f"{result['distance']:.3f}",
        **{f"{name}_before": value for name, value in before.items()},
        **confidence(network),
        "sha256": network.sha256,
    }


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = []
    for directory in options.directories:
        results = [json.loads(path.read_text())["result"] for path in (directory / "results").iterdir()]
        rows += [row(directory, result) for result in sorted(results, key=lambda result: _place(result["model"]))]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(options.out, stream.getvalue().encode())


def _place(model: str) -> tuple[str, int]:
    task, _, seed = model.rpartition("/")
    return task, int(seed) if seed.isdecimal() else 0


if __name__ == "__main__":
    main()
