"""What `compactproofs sample` finds on many models, as a table that grows: what is in it is not drawn again.

    python benchmarks/confidence.py MODEL|FAMILY ... --out docs/confidence/plain.csv [--samples 1000,10000] [--method M]

For each model and number of draws one line: what was drawn, the interval that misses the truth with a probability of at
most 2^-20, as `sample` prints it, and the operations and seconds of counting and drawing together.
"""

import argparse
import csv
import time
from pathlib import Path
from typing import Literal

import compactproofs as cp
from compactproofs import zoo
from compactproofs.confidence import importance
from compactproofs.confidence.checker import bound
from compactproofs.confidence.sampling import Method, draw, urn_size
from compactproofs.kernel.certificate import CLAIMS
from compactproofs.search.workspaces import MaxWorkspace, workspace

BITS = 20


def measured(name: str, method: Method | Literal["importance"], samples: int) -> dict[str, object]:
    work = workspace(cp.load_model(name), "check")
    start = time.perf_counter()
    row: dict[str, object] = {"model": name, "method": method, "samples": samples}
    if method == "importance":
        scores, bet = work.once("draw", lambda: importance.sample(work, samples, BITS + 1))
        bounds = [importance.bound(claim, work.task.total, scores, bet, BITS + 1) for claim in CLAIMS]
        row |= {"not_right": sum(scores.not_right.values()), "wrong": sum(scores.wrong.values()), "urn": ""}
        return row | ended(work, bounds, ["draw"], start)
    urn = work.once("urn", lambda: urn_size(work, method))
    drawn = work.once("draw", lambda: draw(work, method, urn, samples))
    assert drawn is not None, name
    bounds = [bound(claim, work.task.total, urn, drawn, BITS + 1) for claim in CLAIMS]
    row |= {"not_right": drawn.not_right, "wrong": drawn.wrong, "urn": urn}
    if method == "inside":
        row |= {"open": drawn.open, "known": drawn.known}
    return row | ended(work, bounds, ["urn", "draw"], start)


def ended(work: MaxWorkspace, bounds: list[int], booked: list[str], start: float) -> dict[str, object]:
    costs = [work.cost(key) for key in booked]
    return {
        "at_least": bounds[0],
        "at_most": bounds[1],
        "total": work.task.total,
        "flops": sum(cost.flops for cost in costs),
        "int_ops": sum(cost.int_ops for cost in costs),
        "seconds": round(time.perf_counter() - start, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", default="1000,10000,100000")
    parser.add_argument("--method", choices=["plain", "inside", "importance"], default="plain")
    options = parser.parse_args()
    names = [row.name for row in zoo.table() if {row.name, row.name.split("/")[0]} & set(options.models)]
    found: set[tuple[str, str, int]] = set()
    if options.out.exists():
        with options.out.open(newline="", encoding="utf-8") as stream:
            found = {(row["model"], row["method"], int(row["samples"])) for row in csv.DictReader(stream)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for samples in map(int, options.samples.split(",")):
        for name in names:
            if (name, options.method, samples) in found:
                continue
            row = measured(name, options.method, samples)
            with options.out.open("a", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, row, lineterminator="\n")
                if stream.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)


if __name__ == "__main__":
    main()
