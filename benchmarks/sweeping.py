"""What it costs to hand out proofs, for sweeps whose tasks take from a millisecond to seconds.

    python benchmarks/sweeping.py [--jobs 2] [--dask ADDRESS] [SWEEP ...]

For each: the tasks (a model and strategies of one theorem), the seconds by the clock, those of a task, the share of the
workers' time in which they prove nothing since they wait, read and write, and the share of all processor time that goes
to the process which hands out the tasks and keeps the results.  What it takes to start processes, or to reach a
cluster, is measured before by two tasks, and is not in these.  The processor time of a cluster's workers is not seen.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

from compactproofs.runs.inputs import model_names, strategy_ids
from compactproofs.runs.sweep import Proofs, plan, prove_missing

SWEEPS = {
    "trivial": ("*", "trivial"),
    "cubic": ("max-of-4", "cubic"),
    "sub-cubic": ("max-of-4/1[0-3]*", "sub-cubic"),
    "brute-force": ("max-of-4/11*", "brute-force"),
}
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def processor(who: int) -> float:
    """Processor seconds of this process, or of others that it has waited for."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def swept(models: str, strategies: str, options: argparse.Namespace) -> list[float]:
    """Tasks, seconds by the clock, those of proofs, and those of the processor here and elsewhere."""
    wanted = plan(model_names(models.split()), strategy_ids([strategies]))
    before, start = [processor(who) for who in WHO], time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        prove_missing(wanted, Proofs(Path(directory)), workers=options.jobs, scheduler=options.dask)
        seconds = time.perf_counter() - start
        files = Path(directory, "results").iterdir()
        proving = sum(json.loads(file.read_bytes())["seconds"] for file in files)
    used = [processor(who) - earlier for who, earlier in zip(WHO, before, strict=True)]
    return [len(wanted), seconds, proving, *used]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweeps", nargs="*", default=list(SWEEPS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--dask", metavar="ADDRESS")
    options = parser.parse_args()
    swept("max-of-4/50 max-of-4/104", "trivial", options)  # whatever is slow the first time
    _, to_start, _, *first = swept("max-of-4/50 max-of-4/104", "trivial", options)
    where = options.dask or f"{options.jobs} processes"
    print(f"{where}, {to_start:.1f} s to start; load average {os.getloadavg()[0]:.1f}")
    print(f"{'tasks':>6} {'seconds':>8} {'of a task':>10} {'not proving':>12} {'handing out':>12}  sweep")
    for name in options.sweeps:
        tasks, seconds, proving, *used = swept(*SWEEPS[name], options)
        here, elsewhere = (max(one - start, 0.0) for one, start in zip(used, first, strict=True))
        idle = max(1 - proving / (options.jobs * (seconds - to_start)), 0.0)
        handing = "" if options.dask else f"{here / (here + elsewhere):.1%}"
        print(
            f"{tasks:6} {seconds:8.1f} {proving / tasks * 1000:7.0f} ms {idle:12.1%} {handing:>12}  {name}", flush=True
        )


if __name__ == "__main__":
    main()
