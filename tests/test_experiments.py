"""Sweeps and the paper's table: what is computed, what survives an interruption, and what is written."""

import csv
import importlib.util
import itertools
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import types
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs import zoo
from compactproofs.paper.rows import ROWS, TABLE_STRATEGIES, Published, published
from compactproofs.runs import sweep as sweeps
from compactproofs.runs.files import seal
from compactproofs.runs.sweep import COLUMNS, Sweep, local_processes, prove_model
from compactproofs.search import words
from compactproofs.search.certificates import certificate_name
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES

pl = pytest.importorskip("polars", reason="needs the extra report")
pytest.importorskip("matplotlib", reason="needs the extra report")

from compactproofs.paper import command, frontier, table1  # noqa: E402

MODELS = ("max-of-4/50", "max-of-4/104")
DROP = "drop_average_query_per_output_logit_reasoning"
STRATEGIES = (
    "cubic",
    "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact",
    f"sub-cubic/max_diff_exact/{DROP}/svd",
    "sub-cubic/svd_query+max_diff/mean_query+diff/mean+max_diff",
)
TIMES = ("search_seconds", "verify_seconds")


class Inline(Executor):
    """Runs everything at once in this process; with a limit only so many calls, and the others never."""

    def __init__(self, limit: int = 1000) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._limit = limit

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result, in a future that is done; or a future that waits."""
        future: Future[Any] = Future()
        if len(self.calls) < self._limit:
            self.calls.append(args)
            future.set_result(fn(*args, **kwargs))
        return future


def interrupted_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Ctrl-C arrives when `count` models are finished."""
    real = sweeps.wait
    seen = itertools.count()

    def wait(futures: Any, *args: Any, **kwargs: Any) -> Any:
        if next(seen) >= count:
            raise KeyboardInterrupt
        first = next(iter(futures))
        assert first.done()
        return real([first], *args, **kwargs)

    monkeypatch.setattr(sweeps, "wait", wait)


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without what differs from run to run."""
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def tree(directory: Path) -> dict[str, bytes]:
    """All files below a directory."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def directories(directory: Path) -> set[str]:
    """The names of all entries of a directory, hidden ones as well."""
    return {path.name for path in directory.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep that ran to its end."""
    sweep = Sweep(MODELS, STRATEGIES, tmp_path_factory.mktemp("undisturbed") / "run")
    sweep.run(Inline())
    return sweep


@pytest.fixture
def copied(undisturbed: Sweep, tmp_path: Path) -> Sweep:
    """A copy of it to change."""
    shutil.copytree(undisturbed.directory, tmp_path / "copied")
    return Sweep(MODELS, STRATEGIES, tmp_path / "copied")


@pytest.fixture
def results(undisturbed: Sweep) -> list[dict[str, Any]]:
    """Its results."""
    return undisturbed.rows()


# Rows of the table

BY_NAME = {row.name: row for row in ROWS}
DISJOINT = [row for row in ROWS if row.name not in ("sub-cubic without mean+diff", "low-rank QK (SVD only)")]


def test_every_strategy_is_in_one_row() -> None:
    """Besides the two rows that are parts of others, each of the paper's 102 strategies has one row."""
    assert len(CHOICES) == 100
    assert len(TABLE_STRATEGIES) == len(set(TABLE_STRATEGIES)) == 102
    assert set(TABLE_STRATEGIES) == {"brute-force", "cubic", *CHOICES} <= set(cp.STRATEGIES)
    members = [strategy for row in DISJOINT for strategy in row.strategies]
    assert sorted(members) == sorted(TABLE_STRATEGIES)


def test_sizes_of_rows() -> None:
    """5 direct paths, 2 of them exact; 2 attentions; 10 remainders, 2 exact, 3 recursive, 5 of low rank."""
    assert {row.name: len(row.strategies) for row in ROWS} == {
        "brute force": 1,
        "cubic": 1,
        "sub-cubic": 2 * 2 * 2,
        "sub-cubic without mean+diff": 2 * 1 * 2,
        "low-rank QK": 2 * 2 * 5,
        "low-rank QK (SVD only)": 2 * 2 * 1,
        "low-rank EU": 3 * 2 * 2,
        "low-rank QK&EU": 3 * 2 * 5,
        "quadratic QK": 2 * 2 * 3,
        "quadratic QK&EU": 3 * 2 * 3,
    }
    assert set(BY_NAME["sub-cubic without mean+diff"].strategies) < set(BY_NAME["sub-cubic"].strategies)
    assert set(BY_NAME["low-rank QK (SVD only)"].strategies) < set(BY_NAME["low-rank QK"].strategies)


@pytest.mark.parametrize(
    ("strategy", "row"),
    [
        ("brute-force", "brute force"),
        ("cubic", "cubic"),
        ("sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact", "sub-cubic"),
        (
            f"sub-cubic/max_diff_exact/{DROP}/max_diff_exact",
            "sub-cubic without mean+diff",
        ),
        ("sub-cubic/max_diff_exact/mean_query+diff/svd", "low-rank QK (SVD only)"),
        ("sub-cubic/max_diff_exact/mean_query+diff/max_diff", "low-rank QK"),
        ("sub-cubic/svd_query+max_diff/mean_query+diff/max_diff_exact", "low-rank EU"),
        ("sub-cubic/svd_query+max_diff/mean_query+diff/svd", "low-rank QK&EU"),
        ("sub-cubic/max_diff_exact/mean_query+diff/mean_recursive+max_diff_subproduct_recursive", "quadratic QK"),
        ("sub-cubic/max_diff/mean_query+diff/max_diff_subproduct_recursive", "quadratic QK&EU"),
    ],
)
def test_rows_of_some_strategies(strategy: str, row: str) -> None:
    """By what the paper says of them."""
    assert strategy in BY_NAME[row].strategies


def test_complexities_of_rows_and_strategies() -> None:
    """Within a row of exact (quadratic) scores or logits, no strategy has the other kind."""
    for row in ROWS[2:]:
        for strategy in row.strategies:
            complexity = words.complexity(cp.STRATEGIES[strategy])
            assert ("v^2 d (QK)" in complexity) == (row.name.startswith("sub-cubic") or row.name == "low-rank EU")
            assert ("v^2 d (EU)" in complexity) == ("EU" not in row.name)


# Table 1 and section H.4 of arXiv 2406.11779, and the later tables, for K = 4: means and standard deviations.
# Brute force is normalised by itself, so it is 1; its accuracy was published as 0.9992 +- 0.0015.
PAPER = {
    "brute force": (1.0, 0.0),
    "cubic": (0.9845, 0.0041),
    "sub-cubic": (0.832, 0.011),
    "sub-cubic without mean+diff": (0.758, 0.039),
    "low-rank QK": (0.806, 0.013),
    "low-rank QK (SVD only)": (0.643, 0.044),
    "low-rank EU": (0.662, 0.061),
    "low-rank QK&EU": (0.627, 0.060),
    "quadratic QK": (0.407, 0.032),
    "quadratic QK&EU": (0.303, 0.036),
}
LATER = {
    "cubic": (0.9539, 0.0080),
    "sub-cubic": (0.700, 0.036),
    "low-rank QK": (0.675, 0.035),
    "low-rank EU": (0.633, 0.062),
    "low-rank QK&EU": (0.610, 0.060),
    "quadratic QK": (0.316, 0.037),
    "quadratic QK&EU": (0.283, 0.037),
}


def test_published_figures() -> None:
    """They are what was published, for rows that the table has."""
    known = published()
    assert tuple(known) == table1.SOURCES
    for source, figures in zip(table1.SOURCES, (PAPER, LATER), strict=True):
        assert {name: (entry.mean, entry.std) for name, entry in known[source].items()} == figures
        assert set(figures) <= set(BY_NAME)
    flops = {name: entry.flops for name, entry in known["paper June 2024"].items() if entry.flops is not None}
    assert flops.pop("brute force") == pytest.approx(2**39.7)
    assert flops == {
        "cubic": 35181664,
        "sub-cubic": 3.5e6,
        "low-rank QK": 2.75e6,
        "low-rank EU": 2.27e6,
        "low-rank QK&EU": 2.49e6,
        "quadratic QK": 2.2e6,
        "quadratic QK&EU": 1.96e6,
    }
    assert all(entry.flops is None for entry in known["later data"].values())


# Sweeps


def test_results(undisturbed: Sweep) -> None:
    """One row for each model and strategy, in their order, that says what a proof of one's own says."""
    rows = undisturbed.rows()
    assert [(row["model"], row["strategy"]) for row in rows] == list(itertools.product(MODELS, STRATEGIES))
    assert undisturbed.finished() == set(MODELS)
    model = cp.load_model(MODELS[1])
    for row in rows:
        assert list(row) == list(COLUMNS)
        assert row["total"] == str(64**4)
        assert row["bound"] == int(row["certified"]) / 64**4
        assert row["normalised"] > row["bound"]
        assert all(row[name] >= 0 for name in TIMES)
    for row in rows[len(STRATEGIES) :]:
        proof = cp.prove(model, row["strategy"]).as_dict(MODELS[1], zoo.known_correct(model))
        assert without_times([row]) == without_times([{name: proof[name] for name in COLUMNS}])


def test_certificates(undisturbed: Sweep) -> None:
    """Each result has its certificate, which verifies; nothing else is left."""
    assert directories(undisturbed.directory) == {"results.sqlite", "certificates"}
    assert directories(undisturbed.directory / "certificates") == {name.replace("/", "-") for name in MODELS}
    for row in undisturbed.rows():
        folder = undisturbed.directory / "certificates" / row["model"].replace("/", "-")
        assert directories(folder) == {certificate_name(strategy) for strategy in STRATEGIES}
        certificate = cp.Certificate.load(folder / certificate_name(row["strategy"]))
        assert str(certificate.certified) == row["certified"]
        assert cp.verify(certificate, cp.load_model(row["model"])).accepted


def test_normalised_where_the_zoo_does_not_know(tmp_path: Path) -> None:
    """Then brute force, if it is among the strategies, says how many inputs are answered correctly."""
    random_numbers = np.random.default_rng(1)
    sizes = {"v": 4, "n": 2, "d": 3, "h": 2}
    axes = {"W_E": "vd", "W_pos": "nd", "W_Q": "dh", "W_K": "dh", "W_V": "dh", "W_O": "hd", "W_U": "dv"}
    weights = {name: random_numbers.normal(size=[sizes[axis] for axis in pair]) for name, pair in axes.items()}
    model = cp.Model(**weights)
    assert cp.prove(model, "brute-force").certificate.certified > 0
    model.save(tmp_path / "mine.safetensors")
    name = str(tmp_path / "mine.safetensors")
    assert [row["normalised"] for row in prove_model(name, ["cubic"], tmp_path / "a")] == [None]
    rows = prove_model(name, ["brute-force", "trivial"], tmp_path / "b")
    assert [row["normalised"] for row in rows] == [1.0, 0.0]


def test_a_finished_model_is_not_computed_again(copied: Sweep, undisturbed: Sweep) -> None:
    """Nothing is submitted, and nothing changes."""
    executor = Inline()
    before = tree(copied.directory)
    seen: list[str] = []
    copied.run(executor, seen.append)
    assert (executor.calls, seen) == ([], [])
    assert tree(copied.directory) == before
    assert copied.rows() == undisturbed.rows()


@pytest.mark.parametrize("lost", ["all rows", "one row"])
def test_an_unfinished_model_is_computed_again(copied: Sweep, undisturbed: Sweep, lost: str) -> None:
    """What has no row is computed, whatever is there of its certificate, and nothing else."""
    with sqlite3.connect(copied.directory / "results.sqlite") as connection:
        which = "" if lost == "all rows" else " AND strategy = 'cubic'"
        connection.execute(f"DELETE FROM results WHERE model = ?{which}", (MODELS[0],))
    connection.close()
    folder = copied.directory / "certificates" / MODELS[0].replace("/", "-")
    (folder / certificate_name("cubic")).write_text("half a cert")
    kept = {row["search_seconds"] for row in undisturbed.rows() if row["model"] == MODELS[1]}
    assert copied.finished() == {MODELS[1]}
    seen: list[str] = []
    executor = Inline()
    copied.run(executor, seen.append)
    assert seen == [MODELS[0]] == [call[0] for call in executor.calls]
    assert without_times(copied.rows()) == without_times(undisturbed.rows())
    assert {row["search_seconds"] for row in copied.rows() if row["model"] == MODELS[1]} == kept
    assert tree(copied.directory / "certificates") == tree(undisturbed.directory / "certificates")


def test_another_strategy_or_model_is_added(copied: Sweep) -> None:
    """More models and more strategies are computed beside those that are there."""
    more = Sweep((*MODELS, "max-of-4/123"), STRATEGIES[:1], copied.directory)
    executor = Inline()
    more.run(executor)
    assert [call[0] for call in executor.calls] == ["max-of-4/123"]
    assert len(more.rows()) == 3
    assert len(copied.rows()) == 8
    wider = Sweep(MODELS[:1], ("trivial", "cubic"), copied.directory)
    wider.run(executor)
    assert [call[0] for call in executor.calls[1:]] == [MODELS[0]]
    assert list(executor.calls[1][1]) == ["trivial"]
    assert [row["strategy"] for row in wider.rows()] == ["trivial", "cubic"]


def test_paths_are_absolute_for_other_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes elsewhere have other working directories."""
    monkeypatch.chdir(tmp_path)
    executor = Inline()
    Sweep(MODELS[:1], ("trivial",), Path("run")).run(executor)
    assert [call[2] for call in executor.calls] == [tmp_path / "run"]


def test_certificates_appear_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the last proof is made there is none of them, and none after a failure."""
    final = tmp_path / "certificates" / "max-of-4-50"
    original = cp.Prover.prove
    seen = []

    def prove(prover: cp.Prover, strategy: str) -> cp.Proof:
        seen.append(final.exists())
        if strategy == "magic":
            raise MemoryError
        return original(prover, strategy)

    monkeypatch.setattr(cp.Prover, "prove", prove)
    with pytest.raises(MemoryError):
        prove_model(MODELS[0], ["trivial", "cubic", "magic"], tmp_path)
    assert list(tmp_path.iterdir()) == []
    prove_model(MODELS[0], ["trivial", "cubic"], tmp_path)
    assert seen == [False] * 5
    whole = tree(final)
    with pytest.raises(MemoryError):
        prove_model(MODELS[0], ["cubic", "magic"], tmp_path)
    assert directories(tmp_path / "certificates") == {"max-of-4-50"}
    assert tree(final) == whole


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """As `test_edges.py` has it for files that were being written."""
    final = tmp_path / "certificates" / "max-of-4-50"
    final.mkdir(parents=True)
    left_behind = f".{'0' * 16}-{seal('0' * 16)}.tmp"
    for name in (left_behind, ".mine.tmp"):
        (final / name).write_text("half a cert")
    prove_model(MODELS[0], ["trivial"], tmp_path)
    assert {path.name for path in final.iterdir()} == {"trivial.cert.json", ".mine.tmp"}


# Databases of another kind


def foreign_database(path: Path, script: str) -> None:
    """A database made by somebody else."""
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


FOREIGN = {
    "text": (b"my thesis", "cannot be used for results"),
    "binary": (bytes(range(256)) * 40, "cannot be used for results"),
    "other tables": ("CREATE TABLE photos (name TEXT); INSERT INTO photos VALUES ('x')", "not a database of results"),
    "more tables": ("CREATE TABLE photos (name TEXT); CREATE TABLE results (a)", "not a database of results"),
    "other columns": ("CREATE TABLE results (a); INSERT INTO results VALUES (1)", "was written by another version"),
    "a column more": (f"CREATE TABLE results ({', '.join(COLUMNS)}, x)", "was written by another version"),
    "other order": (f"CREATE TABLE results ({', '.join(reversed(COLUMNS))})", "was written by another version"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_database_of_another_kind_is_not_touched(tmp_path: Path, kind: str) -> None:
    """It is refused before anything is computed, and has the same bytes as before."""
    content, reason = FOREIGN[kind]
    path = tmp_path / "results.sqlite"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        foreign_database(path, content)
    before = tree(tmp_path)
    executor = Inline()
    sweep = Sweep(MODELS, STRATEGIES, tmp_path)
    for use in (sweep.finished, sweep.rows, lambda: sweep.run(executor)):
        with pytest.raises(ValueError, match=f"results.sqlite .*{reason}.*; choose another --out"):
            use()
    assert executor.calls == []
    assert tree(tmp_path) == before


def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    """A directory in the database's place, and a file in the directory's, are errors that a user understands."""
    (tmp_path / "dir" / "results.sqlite").mkdir(parents=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="cannot be used for results"):
        Sweep(MODELS, STRATEGIES, tmp_path / "dir").finished()
    with pytest.raises(FileExistsError):
        Sweep(MODELS, STRATEGIES, tmp_path / "file").finished()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failed_write_leaves_no_half_model(copied: Sweep) -> None:
    """What a task computed is written in one transaction."""
    before = copied.rows()
    changed = [row | {"certified": "0"} for row in before if row["model"] == MODELS[0]]
    changed[-1]["certified"] = object()  # which SQLite cannot store
    with pytest.raises(ValueError, match="cannot be used for results"):
        copied._write(changed)
    assert copied.rows() == before


# Interruptions


@pytest.mark.parametrize("count", [0, 1])
def test_interrupt(tmp_path: Path, undisturbed: Sweep, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """What was finished before stays, what had not started is cancelled, and the next run does the rest."""
    sweep = Sweep(MODELS, STRATEGIES, tmp_path)
    seen: list[str] = []
    with monkeypatch.context() as patch:
        interrupted_after(patch, count)
        executor = Inline(limit=count)
        futures = []
        submit = executor.submit
        patch.setattr(executor, "submit", lambda *args: futures.append(submit(*args)) or futures[-1])
        with pytest.raises(KeyboardInterrupt):
            sweep.run(executor, seen.append)
    assert seen == list(MODELS[:count])
    assert sweep.finished() == set(seen)
    assert [future.cancelled() for future in futures] == [False] * count + [True] * (len(MODELS) - count)
    sweep.run(Inline(), seen.append)
    assert sorted(seen) == sorted(MODELS)
    assert without_times(sweep.rows()) == without_times(undisturbed.rows())


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with few strategies, in this process."""
    monkeypatch.setattr(command, "TABLE_STRATEGIES", STRATEGIES)

    def inline(jobs: int) -> Any:
        executor = Inline()
        executor.calls = CALLS
        return executor

    CALLS.clear()
    monkeypatch.setattr(command, "local_processes", inline)


CALLS: list[tuple[Any, ...]] = []
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(short: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`compactproofs table1` with these words: exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = entry.run(["table1", *map(str, words)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


FILES = {"results.sqlite", "certificates", "results.csv", "table1.md", "table1.tex"}
FIGURES = {
    f"{name}.{suffix}" for name in ("bound-against-flops", "unexplained-against-flops") for suffix in ("png", "svg")
}


def test_command(run: Run, tmp_path: Path, undisturbed: Sweep) -> None:
    """All that it writes and prints; a second time nothing is computed and the same is written."""
    code, out, err = run("--out", tmp_path / "run", "--seeds", 2)
    assert code == 0
    assert "error" not in err
    assert len(CALLS) == 2
    assert directories(tmp_path / "run") == FILES | FIGURES
    assert out.lstrip().startswith("2 models, 4 strategies\n")
    assert out.endswith(f"results, certificates, table and figures are in {tmp_path / 'run'}\n")
    assert tree(tmp_path / "run" / "certificates") == tree(undisturbed.directory / "certificates")
    with (tmp_path / "run" / "results.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    expected = [{key: str(value) for key, value in row.items()} for row in undisturbed.rows()]
    assert without_times(rows) == without_times(expected)
    lines = [line.strip().split("  ")[0] for line in out.splitlines() if " ± " in line]
    markdown = (tmp_path / "run" / "table1.md").read_text(encoding="utf-8")
    assert lines == [row[0] for row in markdown_cells(markdown)]

    texts = {name: (tmp_path / "run" / name).read_bytes() for name in FILES if "." in name and "sqlite" not in name}
    assert run("--out", tmp_path / "run", "--seeds", 2)[:2] == (0, out)
    assert len(CALLS) == 2
    assert {name: (tmp_path / "run" / name).read_bytes() for name in texts} == texts


def test_command_interrupted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what is done and how to go on; then the rest is done."""
    with monkeypatch.context() as patch:
        interrupted_after(patch, 1)
        code, out, err = run("--out", tmp_path, "--seeds", 2)
    assert (code, out) == (130, "")
    assert err.endswith(
        f"interrupted: 1 of 2 models are finished in {tmp_path}; run the same command again to do the rest\n"
    )
    assert directories(tmp_path) == {"results.sqlite", "certificates"}
    CALLS.clear()
    assert run("--out", tmp_path, "--seeds", 2)[0] == 0
    assert [call[0] for call in CALLS] == [MODELS[1]]


@pytest.mark.parametrize("seeds", [0, -1, 152])
def test_command_with_too_many_or_few_models(run: Run, tmp_path: Path, seeds: int) -> None:
    """There are 151; nothing is written for a number that makes no sense."""
    error = f"error: --seeds: expected 1 to 151, found {seeds}\n"
    assert run("--out", tmp_path / "run", "--seeds", seeds) == (2, "", error)
    assert directories(tmp_path) == set()


def test_command_where_the_directory_cannot_be_used(run: Run, tmp_path: Path) -> None:
    """One line on stderr."""
    (tmp_path / "file").write_text("mine")
    assert run("--out", tmp_path / "file") == (
        2,
        "",
        f"error: --out: {tmp_path / 'file'} is a file, not a directory\n",
    )
    (tmp_path / "results.sqlite").write_text("mine")
    code, out, err = run("--out", tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {tmp_path / 'results.sqlite'} cannot be used for results (file is not a database)")
    assert (tmp_path / "results.sqlite").read_text() == "mine"


@pytest.mark.parametrize("missing", ["polars", "matplotlib"])
def test_command_without_the_extra(run: Run, tmp_path: Path, without: Callable[[str], None], missing: str) -> None:
    """The line that installs it."""
    without(missing)
    error = 'error: this command needs more packages: pip install "compactproofs[report]"\n'
    assert run("--out", tmp_path / "run") == (2, "", error)
    assert directories(tmp_path) == set()


# Real processes


def failing(name: str, strategies: Any, directory: Path) -> list[dict[str, Any]]:
    """A process that the system kills."""
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def test_local_processes(tmp_path: Path, undisturbed: Sweep) -> None:
    """In other processes, with one thread each; the environment is as before, and the results are the same."""
    before = dict(os.environ)
    sweep = Sweep(MODELS, STRATEGIES, tmp_path)
    with local_processes(2) as executor:
        assert executor.submit(os.getenv, "OPENBLAS_NUM_THREADS").result() == "1"
        assert executor.submit(os.getpid).result() != os.getpid()
        assert executor.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
        sweep.run(executor)
    assert dict(os.environ) == before
    assert without_times(sweep.rows()) == without_times(undisturbed.rows())
    assert tree(tmp_path / "certificates") == tree(undisturbed.directory / "certificates")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_process_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for want of memory: an error in words, not a traceback, and no end of waiting."""
    monkeypatch.setattr(sweeps, "prove_model", failing)
    reason = "a process was killed, perhaps for want of memory"
    with pytest.raises(OSError, match=reason), local_processes(1) as executor:
        Sweep(MODELS, STRATEGIES, tmp_path).run(executor)
    assert Sweep(MODELS, STRATEGIES, tmp_path).finished() == set()


COMMAND = f"""
import sys
from compactproofs import __main__ as entry
from compactproofs.paper import command
if __name__ == "__main__":
    command.TABLE_STRATEGIES = {STRATEGIES!r}
    sys.argv = ["compactproofs", "table1", "--out", sys.argv[1], "--seeds", "2", "--jobs", "1"]
    entry.main()
"""


def alive(group: int) -> bool:
    """Whether a process of this group is left, other than as a name of the dead."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """Starts the command with few strategies in a process group of its own."""
    (tmp_path / "short.py").write_text(COMMAND)
    groups = []

    def begin(directory: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, tmp_path / "short.py", directory],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        groups.append(process.pid)
        return process

    yield begin
    for group in groups:
        if alive(group):
            os.killpg(group, signal.SIGKILL)


def assert_same_as_undisturbed(directory: Path, undisturbed: Sweep) -> None:
    """All results, certificates and files, and nothing else."""
    assert without_times(Sweep(MODELS, STRATEGIES, directory).rows()) == without_times(undisturbed.rows())
    assert tree(directory / "certificates") == tree(undisturbed.directory / "certificates")
    assert directories(directory / "certificates") == directories(undisturbed.directory / "certificates")
    assert directories(directory) == FILES | FIGURES


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_killed_outright(tmp_path: Path, undisturbed: Sweep, start: Callable[[Path], "subprocess.Popen[str]"]) -> None:
    """Killed at any moment, with no chance to tidy up: no process is left, and the next run ends as if undisturbed."""
    directory = tmp_path / "run"
    moments = random.Random(20240611)
    for fraction in (moments.uniform(0.0, 0.5), moments.uniform(0.5, 1.0)):
        process = start(directory)
        folder = directory / "certificates"
        until = time.monotonic() + 60
        while not folder.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.8 * fraction)
        process.kill()
        process.communicate(timeout=60)
        while alive(process.pid) and time.monotonic() < until:
            time.sleep(0.05)
        assert not alive(process.pid)
        for name in Sweep(MODELS, STRATEGIES, directory).finished():
            part = name.replace("/", "-")
            assert tree(folder / part) == tree(undisturbed.directory / "certificates" / part)
    process = start(directory)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, "Traceback" in err) == (0, False)
    assert "2 models, 4 strategies" in out
    assert_same_as_undisturbed(directory, undisturbed)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_interrupted_in_a_terminal(
    tmp_path: Path, undisturbed: Sweep, start: Callable[[Path], "subprocess.Popen[str]"]
) -> None:
    """Ctrl-C reaches all processes of the group; it ends with 130, in words, and tidily."""
    directory = tmp_path / "run"
    process = start(directory)
    until = time.monotonic() + 60
    while not (directory / "certificates").exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, "Traceback" in err) == (130, "", False)
    assert re.search(rf"interrupted: [01] of 2 models are finished in {re.escape(str(directory))}; run the same", err)
    assert not [name for name in directories(directory / "certificates") if name.startswith(".")]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_all_strategies_killed_outright(tmp_path: Path) -> None:
    """The command as it is installed, with all strategies of the paper."""
    words = ("table1", "--seeds", "2", "--jobs", "2")
    code = "from compactproofs.__main__ import main\nif __name__ == '__main__':\n    main()\n"
    (tmp_path / "main.py").write_text(code)
    program = [sys.executable, str(tmp_path / "main.py"), *words, "--out"]
    subprocess.run([*program, tmp_path / "whole"], check=True, capture_output=True)
    moments = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            [*program, tmp_path / "killed"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(1.0, 6.0))
        process.kill()
        process.wait()
    subprocess.run([*program, tmp_path / "killed"], check=True, capture_output=True)
    whole, killed = (Sweep(MODELS, TABLE_STRATEGIES, tmp_path / name) for name in ("whole", "killed"))
    assert len(whole.rows()) == 204
    assert without_times(killed.rows()) == without_times(whole.rows())
    assert tree(killed.directory / "certificates") == tree(whole.directory / "certificates")
    assert directories(killed.directory / "certificates") == directories(whole.directory / "certificates")


# The table


def markdown_cells(text: str) -> list[list[str]]:
    """The cells of a Markdown table without its head, after making sure that it is one."""
    assert text.endswith("|\n")
    rows = []
    for line in text.splitlines():
        assert line.startswith("| ") or line == "|" + " --- |" * len(table1.HEADERS)
        assert line.endswith(" |")
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
        assert len(rows[-1]) == len(table1.HEADERS)
    assert tuple(rows[0]) == table1.HEADERS
    assert set(rows[1]) == {"---"}
    return rows[2:]


def made_up(models: int = 3) -> list[dict[str, Any]]:
    """Results for all strategies, better and dearer ones later within a row."""
    rows = []
    for model in range(models):
        for number, strategy in enumerate(TABLE_STRATEGIES):
            row: dict[str, Any] = dict.fromkeys(COLUMNS, 1)
            row |= {"model": f"max-of-4/{model}", "strategy": strategy, "complexity": "O(1)"}
            row |= {"certified": str(10**20), "total": str(10**21), "bound": 0.1}
            row |= {"normalised": 0.5 + number / 1000 + model / 10, "flops": 1000 + number, "unexplained_dimension": 8}
            rows.append(row)
    return rows


def test_summary_takes_the_best_of_each_model() -> None:
    """Means and standard deviations over models of the best strategy for each, the cheaper one of equals."""
    first, second, third = BY_NAME["sub-cubic"].strategies[:3]
    figures = {
        ("a", first): (0.5, 100, 4), ("a", second): (0.7, 900, 2), ("a", third): (0.7, 300, 6),
        ("b", first): (0.9, 200, 8), ("b", second): (0.1, 10, 1), ("b", third): (None, 5, 1),
    }  # fmt: skip
    results = [
        dict(zip(("model", "strategy", "normalised", "flops", "unexplained_dimension"), (*key, *value), strict=True))
        for key, value in figures.items()
    ]
    (row,) = [row for row in table1.summarise(results) if row.name == "sub-cubic"]
    assert row.mean == pytest.approx(0.8)
    assert row.std == pytest.approx(0.2 / 2**0.5)
    assert row.flops == 250
    assert row.unexplained == 7
    assert row.complexity == BY_NAME["sub-cubic"].complexity
    assert row.published == {
        "paper June 2024": Published(0.832, 0.011, 3.5e6),
        "later data": Published(0.700, 0.036, None),
    }


def test_summary_of_little() -> None:
    """One model has no deviation; rows without results, and no results at all, give no rows."""
    assert table1.summarise([]) == []
    one = [row for row in made_up(1) if row["strategy"] in ("cubic", "brute-force")]
    assert [(row.name, row.std) for row in table1.summarise(one)] == [("brute force", 0.0), ("cubic", 0.0)]
    unknown = [row | {"normalised": None} for row in one]
    assert table1.summarise(unknown) == []


def test_markdown() -> None:
    """A row for each group, each with all cells, and what they say."""
    rows = markdown_cells(table1.as_markdown(table1.summarise(made_up())))
    assert [row[0] for row in rows] == [row.name for row in ROWS]
    cells = {row[0]: row[1:] for row in rows}
    assert cells["cubic"] == [
        "O(v^3 K^2)", "0.6010 ± 0.1000", "0.9845 ± 0.0041", "0.9539 ± 0.0080", "2^9.97", "2^25.07", "2^3.00",
    ]  # fmt: skip
    assert cells["brute force"][0] == "O(v^(K+1) K d)"
    assert cells["brute force"][2:4] == ["1.0000 ± 0.0000", ""]
    assert cells["low-rank QK (SVD only)"][3:6:2] == ["", ""]


def test_latex() -> None:
    """As many cells as columns, braces and dollars in pairs, powers in braces, and only ASCII."""
    text = table1.as_latex(table1.summarise(made_up()))
    assert text.isascii()
    lines = text.splitlines()
    begin = re.fullmatch(r"\\begin\{tabular\}\{([lcr]+)\}", lines[0])
    assert begin is not None
    assert len(begin[1]) == len(table1.HEADERS)
    assert [lines[1], lines[3], *lines[-2:]] == [r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"]
    body = [lines[2], *lines[4:-2]]
    assert len(body) == 1 + len(ROWS)
    for line in body:
        assert line.endswith(r" \\")
        cells = re.split(r"(?<!\\)&", line.removesuffix(r" \\"))
        assert len(cells) == len(table1.HEADERS)
        for cell in cells:
            assert cell.count("$") in (0, 2)
            assert cell.count("{") == cell.count("}")
            assert re.search(r"\^(?!\{)|[#%_]", cell) is None
            assert "^" not in re.sub(r"\$.*\$", "", cell)
    assert r"low-rank QK\&EU & $O(v^{2} K^{2} + v d^{2} + v^{2} d)$ & $" in text
    assert r"$0.6010 \pm 0.1000$ & $0.9845 \pm 0.0041$ & $0.9539 \pm 0.0080$ & $2^{9.97}$ & $2^{25.07}$" in text


# Figures


def assert_figure(path: Path, *words: str) -> None:
    """A PNG image and an SVG drawing, the latter with these words."""
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    root = ElementTree.parse(path.with_suffix(".svg")).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = path.with_suffix(".svg").read_text(encoding="utf-8")
    for word in words:
        assert f"<!-- {word} -->" in text


@pytest.mark.parametrize("models", [1, 3])
def test_figures(tmp_path: Path, models: int) -> None:
    """With all groups."""
    frontier.draw_bound_against_flops(made_up(models), tmp_path / "bound")
    frontier.draw_unexplained_against_flops(made_up(models), tmp_path / "unexplained")
    assert_figure(tmp_path / "bound", "our front", "published", "cubic", "normalised bound, mean over models")
    assert_figure(tmp_path / "unexplained", "cubic", "unexplained dimension")
    assert len(directories(tmp_path)) == 4


def test_figures_of_little(tmp_path: Path, results: list[dict[str, Any]]) -> None:
    """With few strategies."""
    for number, part in enumerate((results, [row for row in results if row["strategy"] == "cubic"], results[:1])):
        frontier.draw_bound_against_flops(part, tmp_path / f"bound{number}")
        frontier.draw_unexplained_against_flops(part, tmp_path / f"unexplained{number}")
        assert_figure(tmp_path / f"bound{number}", "cubic")
        assert_figure(tmp_path / f"unexplained{number}", "cubic")


def test_means_of_figures() -> None:
    """One line for each strategy, in the group of its row, with means over models."""
    frame = frontier.mean_results(made_up())
    assert sorted(frame["strategy"]) == sorted(TABLE_STRATEGIES)
    for strategy, group, normalised in frame.select("strategy", "group", "normalised").iter_rows():
        assert strategy in BY_NAME[group].strategies
        assert BY_NAME[group] in DISJOINT
        assert normalised == pytest.approx(0.6 + TABLE_STRATEGIES.index(strategy) / 1000)


def test_front() -> None:
    """Strategies that beat every cheaper one; of equally dear ones the best, of equally good ones the cheapest."""
    frame = pl.DataFrame(
        {
            "strategy": ["dear", "good", "cheap", "no better", "dominated", "twin"],
            "flops": [40.0, 20.0, 10.0, 30.0, 15.0, 20.0],
            "normalised": [0.9, 0.8, 0.3, 0.8, 0.2, 0.7],
        }
    )
    assert list(frontier._pareto(frame)["strategy"]) == ["cheap", "good", "dear"]


# Clusters


def test_cluster_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ImportError, match=re.escape('pip install "compactproofs[cluster]"')),
        sweeps.cluster("tcp://127.0.0.1:1"),
    ):
        pass


CLUSTER = f"""
import sys
from pathlib import Path
from distributed import LocalCluster
from compactproofs.runs.sweep import Sweep, cluster
with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as local:
    with cluster(local.scheduler_address) as executor:
        Sweep({MODELS!r}, {STRATEGIES!r}, Path("run")).run(executor, print)
"""


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs the extra cluster")
def test_cluster(tmp_path: Path, undisturbed: Sweep) -> None:
    """A cluster of two threads gives the same results; in a process of its own, since its threads outlive it."""
    result = subprocess.run(
        [sys.executable, "-c", CLUSTER], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True
    )
    assert sorted(result.stdout.split()) == sorted(MODELS)
    sweep = Sweep(MODELS, STRATEGIES, tmp_path / "run")
    assert without_times(sweep.rows()) == without_times(undisturbed.rows())
    assert tree(tmp_path / "run" / "certificates") == tree(undisturbed.directory / "certificates")


# What may happen to a cluster, with what stands for Dask's client


class Cluster:
    """A client of a scheduler that may be missing or lose its workers, or be lost."""

    def __init__(self, address: str, timeout: float) -> None:
        if "missing" in address:
            raise OSError("Timed out trying to connect")
        self.address = address

    def wait_for_workers(self, number: int, timeout: float) -> None:
        """There are none."""
        if "empty" in self.address:
            raise TimeoutError("Only 0/1 workers arrived")

    def get_executor(self) -> Any:
        """Whose first result is that the scheduler is gone, or that workers were killed."""
        raise CancelledError if "lost" in self.address else KilledWorker("prove_model", None, [], 3)

    def close(self, timeout: float) -> None:
        """Nothing to close."""


class KilledWorker(Exception):
    """As Dask calls it."""


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("missing", "there is no Dask scheduler at missing; start one"),
        ("empty", "the Dask scheduler at empty has no workers; start some"),
        ("lost", "the Dask scheduler at lost went away; start it anew"),
        ("killed", "workers of the cluster were killed, perhaps for want of memory"),
    ],
)
def test_a_cluster_that_does_not_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    """One line that says what is done and what to do."""
    fake = types.SimpleNamespace(Client=Cluster)
    monkeypatch.setitem(sys.modules, "distributed", fake)
    monkeypatch.setitem(sys.modules, "distributed.scheduler", types.SimpleNamespace(KilledWorker=KilledWorker))
    code, out, err = run("--out", tmp_path, "--seeds", 2, "--scheduler", address)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {reason}")
    assert err.endswith(f"run the same command again: 0 of 2 models are finished in {tmp_path}\n")
