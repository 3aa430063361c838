"""Run strategies on models, keep every result and every certificate, and resume where a run was stopped.

A run lives in a directory:

    results.sqlite            one row for each model and strategy; all rows of a model are written in one transaction
    certificates/<model>/     one certificate for each strategy; the directory appears as a whole

A model is finished when its rows are in the database; everything else of it is done again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import compactproofs as cp
from compactproofs import zoo
from compactproofs.certificate import certificate_name

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


@dataclass(frozen=True)
class Sweep:
    """Models and strategies, and the directory that holds their results."""

    models: tuple[str, ...]
    strategies: tuple[str, ...]
    directory: Path

    def finished(self) -> set[str]:
        """The models with a result for every strategy."""
        with contextlib.closing(self._connect()) as connection:
            found = connection.execute("SELECT model, strategy FROM results").fetchall()
        done: dict[str, set[str]] = {}
        for model, strategy in found:
            done.setdefault(model, set()).add(strategy)
        return {m for m in self.models if done.get(m, set()).issuperset(self.strategies)}

    def rows(self) -> list[Row]:
        """All results of the sweep's models and strategies, in their order."""
        with contextlib.closing(self._connect()) as connection:
            connection.row_factory = sqlite3.Row
            found = {(r["model"], r["strategy"]): dict(r) for r in connection.execute("SELECT * FROM results")}
        return [found[m, s] for m in self.models for s in self.strategies if (m, s) in found]

    def run(self, executor: Executor, done: Callable[[str], None] = lambda model: None) -> None:
        """Compute what is missing, calling `done` with each finished model.

        On KeyboardInterrupt nothing that was written is lost, and work that has not started is cancelled.
        """
        finished = self.finished()
        waiting: dict[Future[list[Row]], str] = {
            executor.submit(prove_model, model, self.strategies, self.directory): model
            for model in self.models
            if model not in finished
        }
        try:
            while waiting:
                # A timeout, so that an interrupt is seen at once on every platform.
                for future in wait(waiting, timeout=1.0, return_when="FIRST_COMPLETED").done:
                    model = waiting.pop(future)
                    self._write(model, future.result())
                    done(model)
        finally:
            for future in waiting:
                future.cancel()

    def _write(self, model: str, rows: list[Row]) -> None:
        with contextlib.closing(self._connect()) as connection, connection:
            connection.execute("DELETE FROM results WHERE model = ?", (model,))
            marks = ", ".join("?" * len(COLUMNS))
            connection.executemany(f"INSERT INTO results VALUES ({marks})", [[r[c] for c in COLUMNS] for r in rows])

    def _connect(self) -> sqlite3.Connection:
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "results.sqlite"
        connection = sqlite3.connect(path)
        try:
            columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
            connection.execute(f"CREATE TABLE IF NOT EXISTS results ({columns}, PRIMARY KEY (model, strategy))")
            names = [row[1] for row in connection.execute("PRAGMA table_info(results)")]
        except sqlite3.DatabaseError as error:
            connection.close()
            raise ValueError(f"{path} is not a database of results ({error}); choose another --out") from error
        if names != list(COLUMNS):
            connection.close()
            raise ValueError(f"{path} was written by another version; choose another --out")
        return connection


def prove_model(name: str, strategies: Sequence[str], directory: Path) -> list[Row]:
    """All proofs about one model; writes the certificates and returns one result for each strategy."""
    model = cp.load_model(name)
    prover = cp.Prover(model)
    target = directory / "certificates" / name.replace("/", "-")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        proofs = []
        for strategy in strategies:
            proof = prover.prove(strategy)
            (unfinished / certificate_name(strategy)).write_bytes(proof.certificate.to_bytes())
            proofs.append(proof)
        shutil.rmtree(target, ignore_errors=True)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    exact = zoo.known_correct(model)
    if exact is None and "brute-force" in strategies:
        exact = prover.exact_correct()
    return [proof.as_dict(name, exact) for proof in proofs]


@contextlib.contextmanager
def local_processes(jobs: int) -> Iterator[Executor]:
    """An executor of `jobs` processes with one thread each, which leave Ctrl-C to the parent."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(dict.fromkeys(threads, "1"))
    try:
        executor = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_ignore_interrupts)
        with executor:
            yield executor
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """An executor on the Dask cluster with this scheduler; all machines must see the output directory."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError('a cluster needs Dask: pip install "compactproofs[cluster]"') from error
    with Client(address) as client:
        yield client.get_executor()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
