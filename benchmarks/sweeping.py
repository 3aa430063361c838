"""What it costs to hand out proofs, for sweeps whose tasks take from a millisecond to seconds.

    python benchmarks/sweeping.py [--jobs 2] [--dask ADDRESS] [SWEEP ...]

For each: the tasks (a model and strategies of one theorem), the seconds by the clock, those of a task, the share of the
workers' time in which they prove nothing (they start, wait, read and write), and the share of all processor time that
goes to the process which hands out the tasks and keeps the results.  Workers of a cluster are started before, and their
processor time is not seen.
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
    "brute-force": ("max-of-4/104*", "brute-force"),
}
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def processor(who: int) -> float:
    """Processor seconds of this process, or of others that it has waited for."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweeps", nargs="*", default=list(SWEEPS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--dask", metavar="ADDRESS")
    options = parser.parse_args()
    where = options.dask or f"{options.jobs} processes"
    print(f"{where}; load average {os.getloadavg()[0]:.1f}")
    print(f"{'tasks':>6} {'seconds':>8} {'of a task':>10} {'not proving':>12} {'handing out':>12}  sweep")
    for name in options.sweeps:
        models, strategies = SWEEPS[name]
        wanted = plan(model_names([models]), strategy_ids([strategies]))
        before, start = [processor(who) for who in WHO], time.perf_counter()
        with tempfile.TemporaryDirectory() as directory:
            prove_missing(wanted, Proofs(Path(directory)), workers=options.jobs, scheduler=options.dask)
            seconds = time.perf_counter() - start
            files = Path(directory, "results").iterdir()
            proving = sum(json.loads(file.read_bytes())["seconds"] for file in files)
        own, of_others = (processor(who) - earlier for who, earlier in zip(WHO, before, strict=True))
        idle = max(1 - proving / (options.jobs * seconds), 0.0)
        handing = "" if options.dask else f"{own / (own + of_others):.1%}"
        task = f"{proving / len(wanted) * 1000:.0f} ms"
        print(f"{len(wanted):6} {seconds:8.1f} {task:>10} {idle:12.1%} {handing:>12}  {name}", flush=True)


if __name__ == "__main__":
    main()
