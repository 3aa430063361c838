"""Run strategies on models, keep every result and every certificate, and resume where a run was stopped.

A run lives in a directory:

    results.sqlite            one row for each model and strategy; what a task computed is written in one transaction
    certificates/<model>/     one certificate for each strategy; each file appears as a whole

A strategy is done for a model when its row is in the database; what is missing is computed, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import compactproofs as cp
from compactproofs import zoo
from compactproofs.runs.interrupts import (
    WorkersLost,
    begin_worker,
    interrupts_ignored,
    interrupts_noted,
    killed_workers_explained,
)
from compactproofs.runs.places import remove_left_behind
from compactproofs.search.certificates import certificate_name

COLUMNS = {
    "model": "TEXT",
    "strategy": "TEXT",
    "certified": "TEXT",
    "total": "TEXT",
    "bound": "REAL",
    "normalised": "REAL",
    "flops": "INTEGER",
    "int_ops": "INTEGER",
    "unexplained_dimension": "INTEGER",
    "complexity": "TEXT",
    "hint_bytes": "INTEGER",
    "search_seconds": "REAL",
    "verify_seconds": "REAL",
}
Row = dict[str, Any]
T = TypeVar("T")

_PATIENCE = 10  # seconds, with a cluster


@dataclass(frozen=True)
class Sweep:
    """Models and strategies, and the directory that holds their results."""

    models: tuple[str, ...]
    strategies: tuple[str, ...]
    directory: Path

    def missing(self) -> dict[str, tuple[str, ...]]:
        """The models that lack results, with the strategies that they lack."""
        with self._database() as connection:
            found = set(connection.execute("SELECT model, strategy FROM results"))
        lacking = {m: tuple(s for s in self.strategies if (m, s) not in found) for m in self.models}
        return {model: strategies for model, strategies in lacking.items() if strategies}

    def finished(self) -> set[str]:
        """The models with a result for every strategy."""
        return set(self.models) - set(self.missing())

    def rows(self) -> list[Row]:
        """All results of the sweep's models and strategies, in their order."""
        with self._database() as connection:
            connection.row_factory = sqlite3.Row
            found = {(r["model"], r["strategy"]): dict(r) for r in connection.execute("SELECT * FROM results")}
        return [found[m, s] for m in self.models for s in self.strategies if (m, s) in found]

    def run(self, executor: Executor, done: Callable[[str], None] = lambda model: None) -> None:
        """Compute what is missing, calling `done` with each finished model.

        On KeyboardInterrupt nothing that was written is lost, and work that has not started is cancelled.
        """
        directory = self.directory.absolute()
        work = {model: (model, strategies, directory) for model, strategies in self.missing().items()}

        def write(model: str, rows: list[Row]) -> None:
            self._write(rows)
            done(model)

        run_each(executor, prove_model, work, write)

    def _write(self, rows: list[Row]) -> None:
        with self._database() as connection:
            marks = ", ".join("?" * len(COLUMNS))
            connection.executemany(
                f"INSERT OR REPLACE INTO results VALUES ({marks})", [[r[c] for c in COLUMNS] for r in rows]
            )

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """The database in one transaction; a database of anything else is left as it is."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "results.sqlite"
        try:
            with contextlib.closing(sqlite3.connect(path)) as connection, connection:
                tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                if not tables:
                    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
                    connection.execute(f"CREATE TABLE IF NOT EXISTS results ({columns}, PRIMARY KEY (model, strategy))")
                elif tables != ["results"]:
                    raise ValueError(f"{path} is not a database of results; choose another --out")
                if [row[1] for row in connection.execute("PRAGMA table_info(results)")] != list(COLUMNS):
                    raise ValueError(f"{path} was written by another version; choose another --out")
                yield connection
        except sqlite3.Error as error:
            raise ValueError(f"{path} cannot be used for results ({error}); choose another --out") from error


def run_each(
    executor: Executor,
    function: Callable[..., T],
    work: Mapping[str, tuple[Any, ...]],
    finished: Callable[[str, T], None],
) -> None:
    """Call `function` with each of these arguments, and `finished` with each name and result, in this process.

    On KeyboardInterrupt work that has not started is cancelled.
    """
    with interrupts_noted() as raise_interrupt:
        with interrupts_ignored():  # until the processes ignore Ctrl-C by themselves
            waiting: dict[Future[T], str] = {executor.submit(function, *args): name for name, args in work.items()}
        try:
            while waiting:
                for future in wait(waiting, timeout=0.5, return_when="FIRST_COMPLETED").done:
                    finished(waiting.pop(future), future.result())
                raise_interrupt()
        finally:
            for future in waiting:
                future.cancel()


def prove_model(name: str, strategies: Sequence[str], directory: Path) -> list[Row]:
    """All proofs about one model; writes the certificates, when all are made, and returns one result for each."""
    model = cp.load_model(name)
    prover = cp.Prover(model)
    proofs = [prover.prove(strategy) for strategy in strategies]
    target = directory / "certificates" / name.replace("/", "-")
    target.mkdir(parents=True, exist_ok=True)
    remove_left_behind(target)
    for proof in proofs:
        proof.certificate.save(target / certificate_name(proof.certificate.strategy))
    exact = zoo.known_correct(model)
    if exact is None and "brute-force" in strategies:
        exact = prover.exact_correct()
    return [proof.as_dict(name, exact) for proof in proofs]


@contextlib.contextmanager
def local_processes(jobs: int) -> Iterator[Executor]:
    """An executor of `jobs` processes with one thread each, which leave Ctrl-C to this process and end with it."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(dict.fromkeys(threads, "1"))
    try:
        executor = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=begin_worker)
        with killed_workers_explained(), executor:
            yield executor
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """An executor on the Dask cluster with this scheduler; all machines must see the output directory.

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
