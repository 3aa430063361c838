"""Many jobs: in this process, in others, or on a cluster; seen in a terminal, stopped at any time, and resumed."""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import closing, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from compactproofs.kernel.errors import CompactProofsError
from compactproofs.runs.store import Job, Store
from compactproofs.system.processes import interrupts_noted, local_processes, submit
from compactproofs.system.terminal import err, say
from compactproofs.version import __version__

R = TypeVar("R")

_PATIENCE = 10  # seconds, with a cluster
_BETWEEN_QUESTIONS = 0.2  # seconds, whether there was an interrupt
_BETWEEN_COUNTS = 2  # seconds, how many workers a cluster has
_UNTIL_OTHERS_COME = 60  # seconds that a cluster may be without workers
_SLICE = 0.5  # seconds after which a process begins no other job before it gives back what it has made
_MOST = 64  # jobs that a process is given at once


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
            for made in computed:
                results = store.put_all(made)
                unfinished.subtract(job.name for job, _ in made)
                progress.update(bar, completed=finished())
                yield from zip([job for job, _ in made], results, strict=True)
    except (KeyboardInterrupt, WorkersLost) as error:
        done = f"{finished()} of {total} models are finished in {store.place}"
        if isinstance(error, WorkersLost):
            raise WorkersLost(f"{error}: {done}") from error
        raise KeyboardInterrupt(f"interrupted: {done}; run the same command again to do the rest") from None


#: Jobs that are done together, each with what its function returned.
Made: TypeAlias = list[tuple[Job, Any]]


def _computed(jobs: list[Job], workers: int, scheduler: str | None) -> Generator[Made, None, None]:
    """All jobs."""
    waiting = deque(jobs)
    if scheduler is not None and jobs:
        with _cluster(scheduler) as (executor, threads):
            yield from _completed(executor, waiting, {}, threads)
    elif workers == 1 or len(jobs) <= 1:
        while waiting:
            done, error = _worked((job.call for job in waiting), _SLICE)
            yield [(waiting.popleft(), made) for made in done]
            if error is not None:
                raise error
    else:
        yield from _in_processes(waiting, min(workers, len(jobs)))


def _worked(calls: Iterable[tuple[Callable[..., Any], tuple[Any, ...]]], seconds: float) -> tuple[list[Any], Any]:
    """What these calls return, as many as begin within so many seconds, and the error that ended them."""
    until, done = time.monotonic() + seconds, []
    try:
        for function, arguments in calls:
            done.append(function(*arguments))
            if time.monotonic() >= until:
                break
    except BaseException as error:  # also Ctrl-C: what is done is not lost
        return done, error
    return done, None


def _worked_elsewhere(version: str, calls: list[Any], seconds: float) -> tuple[list[Any], Any]:
    """The same in another process, whose stack goes with the error."""
    if version != __version__:
        raise ImportError(f"this one has {__version__}")
    done, error = _worked(calls, seconds)
    if error is not None:
        error.add_note("".join(traceback.format_exception(error)))
    return done, error


def _in_processes(waiting: deque[Job], workers: int) -> Iterator[Made]:
    """The jobs by local processes; what they were at when one of them was killed is begun once more."""
    begun_again: set[Job] = set()
    while waiting:
        running: dict[Future[Any], list[Job]] = {}
        try:
            with local_processes(workers) as executor:
                yield from _completed(executor, waiting, running, lambda: workers)
        except BrokenExecutor as error:
            lost = [job for jobs in running.values() for job in jobs]
            reason = "a process was killed, perhaps for want of memory"
            if not begun_again.isdisjoint(lost):
                raise WorkersLost(f"{reason}; run the same command again") from error
            begun_again.update(lost)
            waiting.extendleft(lost)
            say(f"note: {reason}; its work is begun again", to=err)


def _completed(
    executor: Executor, waiting: deque[Job], running: dict[Future[Any], list[Job]], workers: Callable[[], int]
) -> Iterator[Made]:
    """Take jobs out of `waiting` and give those that are done; the others stay in `running`.

    Each worker has something to begin next.  Jobs that are short go to a worker many at once, as many as the last one
    has done within its time, and what it does not begin within that comes back; so handing them out costs little.
    """
    done: SimpleQueue[Future[Any]] = SimpleQueue()
    at_once = 1
    with interrupts_noted() as raise_interrupt:
        while waiting or running:
            most = 2 * workers()
            while waiting and len(running) < most:
                fair = -(-len(waiting) // most)
                jobs = [waiting.popleft() for _ in range(min(at_once, fair))]
                calls = [job.call for job in jobs]
                future = submit(executor, _worked_elsewhere, __version__, calls, _SLICE)
                running[future] = jobs
                future.add_done_callback(done.put)
            ready = None
            with suppress(Empty):
                ready = done.get(timeout=_BETWEEN_QUESTIONS)
            raise_interrupt()
            if ready is None:
                continue
            made, error = ready.result()
            jobs = running.pop(ready)
            waiting.extendleft(reversed(jobs[len(made) :]))
            at_once = min(2 * at_once, _MOST) if len(made) == len(jobs) else max(1, len(made))
            yield list(zip(jobs, made, strict=False))
            if error is not None:
                raise error


@contextmanager
def _cluster(address: str) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """An executor on the Dask cluster with this scheduler, and how many threads it has at the moment.

    Raises WorkersLost where there is no scheduler, where it has no workers, and where it or they go away.
    """
    try:
        from distributed import Client
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise ImportError('a cluster needs Dask: pip install "compactproofs[cluster]"') from error
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what matters is said below
    again = "run the same command again"
    lost = f"the Dask scheduler at {address} went away; start it anew, then {again}"
    without = f"the Dask scheduler at {address} has no workers; start some, then {again}"
    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise WorkersLost(f"there is no Dask scheduler at {address}; start one, then {again}") from error
    asked, threads = -math.inf, 0

    def workers() -> int:
        nonlocal asked, threads
        now = time.monotonic()
        if now >= asked + _BETWEEN_COUNTS:
            found = sum(client.nthreads().values())
            if found:
                asked, threads = now, found
            elif now >= asked + _UNTIL_OTHERS_COME:
                raise WorkersLost(without)
        return threads

    try:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise WorkersLost(without) from error
        yield client.get_executor(), workers
    except (CancelledError, CommClosedError) as error:
        raise WorkersLost(lost) from error
    except KilledWorker as error:
        raise WorkersLost(f"workers of the cluster were killed, perhaps for want of memory; {again}") from error
    except ImportError as error:
        raise WorkersLost(f"the workers of the cluster need compactproofs {__version__}: {error}; {again}") from error
    finally:
        client.close(timeout=1)
