"""Many jobs: in this process, in others, or on a cluster; seen in a terminal, stopped at any time, and resumed."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import closing, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.runs.store import Job, Store
from compactproofs.system.processes import interrupts_noted, local_processes, submit
from compactproofs.system.terminal import err, say

R = TypeVar("R")

_PATIENCE = 10  # seconds, with a cluster
_BETWEEN_QUESTIONS = 0.2  # seconds, whether there was an interrupt


class WorkersLost(CompactProofsError, OSError):
    """Processes or machines that did the work are gone, or were never there; the message says what to do."""


def run(
    jobs: Sequence[Job],
    store: Store[R],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    doing: str = "computing",
    shown: bool = True,
) -> Iterator[tuple[Job, R]]:
    """Each job with its result: first what the store has, then what is missing, in the order in which it is computed.

    One worker is this process, several are processes of their own, and with the address of a Dask scheduler it is that
    cluster.  Only this process writes.  `shown`: a terminal shows what is being done to how many models.

    Raises KeyboardInterrupt and WorkersLost, which say what is finished, and whatever a job raises; the processes are
    killed then, and the same call does the rest.
    """
    store.open()
    found = {job: result for job in jobs if (result := store.get(job)) is not None}
    missing = [job for job in jobs if job not in found]
    total, unfinished = len({job.name for job in jobs}), Counter(job.name for job in missing)

    def finished() -> int:
        return total - len(+unfinished)

    columns = (
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("models"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        yield from found.items()
        with (
            Progress(*columns, console=err, disable=not (shown and err.is_terminal)) as progress,
            closing(_computed(missing, workers, scheduler)) as computed,
        ):
            bar = progress.add_task(doing, total=total, completed=finished())
            for job, made in computed:
                result = store.put(job, made)
                unfinished[job.name] -= 1
                progress.update(bar, completed=finished())
                yield job, result
    except (KeyboardInterrupt, WorkersLost) as error:
        done = f"{finished()} of {total} models are finished in {store.place}"
        if isinstance(error, WorkersLost):
            raise WorkersLost(f"{error}: {done}") from error
        raise KeyboardInterrupt(f"interrupted: {done}; run the same command again to do the rest") from None


def _computed(jobs: list[Job], workers: int, scheduler: str | None) -> Generator[tuple[Job, Any], None, None]:
    """Each job with what its function returned."""
    if scheduler is not None and jobs:
        with _cluster(scheduler) as executor:
            yield from _completed(executor, deque(jobs), {}, len(jobs))
    elif workers == 1 or len(jobs) <= 1:
        for job in jobs:
            yield job, job.function(*job.arguments)
    else:
        yield from _in_processes(deque(jobs), min(workers, len(jobs)))


def _in_processes(waiting: deque[Job], workers: int) -> Iterator[tuple[Job, Any]]:
    """The jobs by local processes; what they were at when one of them was killed is begun once more."""
    begun_again: set[Job] = set()
    while waiting:
        running: dict[Future[Any], Job] = {}
        try:
            with local_processes(workers) as executor:
                yield from _completed(executor, waiting, running, workers + 1)
        except BrokenExecutor as error:
            lost = set(running.values())
            reason = "a process was killed, perhaps for want of memory"
            if not lost.isdisjoint(begun_again):
                raise WorkersLost(f"{reason}; run the same command again") from error
            begun_again |= lost
            waiting.extendleft(lost)
            say(f"note: {reason}; its work is begun again", to=err)


def _completed(
    executor: Executor, waiting: deque[Job], running: dict[Future[Any], Job], at_once: int
) -> Iterator[tuple[Job, Any]]:
    """Take jobs out of `waiting`, so many at once, and give each that is done; the others stay in `running`."""
    done: SimpleQueue[Future[Any]] = SimpleQueue()
    with interrupts_noted() as raise_interrupt:
        while waiting or running:
            while waiting and len(running) < at_once:
                future = submit(executor, waiting[0].function, *waiting[0].arguments)
                running[future] = waiting.popleft()
                future.add_done_callback(done.put)
            ready = None
            with suppress(Empty):
                ready = done.get(timeout=_BETWEEN_QUESTIONS)
            raise_interrupt()
            if ready is not None:
                made = ready.result()
                yield running.pop(ready), made


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    """An executor on the Dask cluster with this scheduler.

    Raises WorkersLost where there is no scheduler, where it has no workers, and where it or they go away.
    """
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise ImportError('a cluster needs Dask: pip install "compactproofs[cluster]"') from error
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what matters is said below
    again = "run the same command again"
    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise WorkersLost(f"there is no Dask scheduler at {address}; start one, then {again}") from error
    try:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise WorkersLost(f"the Dask scheduler at {address} has no workers; start some, then {again}") from error
        yield client.get_executor()
    except CancelledError as error:
        raise WorkersLost(f"the Dask scheduler at {address} went away; start it anew, then {again}") from error
    except KilledWorker as error:
        raise WorkersLost(f"workers of the cluster were killed, perhaps for want of memory; {again}") from error
    finally:
        client.close(timeout=1)
