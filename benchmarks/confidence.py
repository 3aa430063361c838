"""What `compactproofs sample` finds on many models, as a table that grows: what is in it is not drawn again.

    python benchmarks/confidence.py MODEL|FAMILY ... --out docs/confidence/plain.csv [--samples 1000,10000] [--inside]

For each model and number of draws one line: what was drawn, the interval that misses the truth with a probability of at
most 2^-20, as `sample` prints it, and the operations and seconds of counting and drawing together.
"""

import argparse
import csv
import time
from pathlib import Path

import compactproofs as cp
from compactproofs import zoo
from compactproofs.confidence.checker import bound
from compactproofs.confidence.sampling import Method, draw, urn_size
from compactproofs.search.workspaces import workspace

BITS = 20


def measured(name: str, method: Method, samples: int) -> dict[str, object]:
    work = workspace(cp.load_model(name), "check")
    start = time.perf_counter()
    urn = work.once("urn", lambda: urn_size(work, method))
    drawn = work.once("draw", lambda: draw(work, method, urn, samples))
    assert drawn is not None, name
    least, most = (bound(claim, work.task.total, urn, drawn, BITS + 1) for claim in ("at least", "at most"))
    costs = [work.cost("urn"), work.cost("draw")]
    return {
        "model": name,
        "method": method,
        "samples": samples,
        "not_right": drawn.not_right,
        "wrong": drawn.wrong,
        "urn": urn,
        "at_least": least,
        "at_most": most,
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
    parser.add_argument("--inside", action="store_true")
    options = parser.parse_args()
    method: Method = "inside" if options.inside else "plain"
    names = [row.name for row in zoo.table() if {row.name, row.name.split("/")[0]} & set(options.models)]
    found: set[tuple[str, str, int]] = set()
    if options.out.exists():
        with options.out.open(newline="", encoding="utf-8") as stream:
            found = {(row["model"], row["method"], int(row["samples"])) for row in csv.DictReader(stream)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for samples in map(int, options.samples.split(",")):
        for name in names:
            if (name, method, samples) in found:
                continue
            row = measured(name, method, samples)
            with options.out.open("a", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, row, lineterminator="\n")
                if stream.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)


if __name__ == "__main__":
    main()
