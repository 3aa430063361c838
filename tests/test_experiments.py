"""Sweeps and the paper's table: what is computed, what survives an interruption, and what is written."""

import csv
import functools
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs import zoo
from compactproofs.paper.rows import ROWS, TABLE_STRATEGIES, Published, published
from compactproofs.runs import sweep as sweeps
from compactproofs.runs.sweep import Made, NotProved, Proofs, plan, prove_model, sweep
from compactproofs.search.certificates import certificate_name
from compactproofs.search.families import companion_of
from compactproofs.search.prover import Bound
from compactproofs.system.files import seal
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
COLUMNS = tuple(name for name in Bound.__annotations__ if name != "claim")


@dataclass(frozen=True)
class Swept:
    """A directory in which all is proved, and the bounds."""

    directory: Path
    bounds: list[Bound]


@pytest.fixture
def proved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Notes which models are proved in this process, and by which strategies."""
    noted: list[tuple[str, ...]] = []

    @functools.wraps(prove_model)
    def note(name: str, strategies: Any, *others: Any) -> Made:
        noted.append((name, *strategies))
        return prove_model(name, strategies, *others)

    monkeypatch.setattr(sweeps, "prove_model", note)
    return noted


def interrupted_at(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """Ctrl-C arrives when this model is being proved."""

    @functools.wraps(prove_model)
    def interrupt(name: str, *others: Any) -> Made:
        if name == model:
            raise KeyboardInterrupt
        return prove_model(name, *others)

    monkeypatch.setattr(sweeps, "prove_model", interrupt)


def finished(directory: Path) -> list[str]:
    """The models that have results by the few strategies."""
    proofs = Proofs(directory, certificates=True)
    wanted = plan(MODELS, STRATEGIES)
    return [model[0] for model, ids in wanted.items() if None not in [proofs.result(model, i) for i in ids]]


def lose(directory: Path, model: str) -> None:
    """The results of a model, which may be in files with those of others."""
    for path in (directory / "results").iterdir():
        batch = json.loads(path.read_bytes())
        batch["results"] = [result for result in batch["results"] if result["model"] != model]
        path.write_text(json.dumps(batch))


def without_times(rows: Any) -> list[dict[str, Any]]:
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
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A sweep that ran to its end."""
    directory = tmp_path_factory.mktemp("undisturbed") / "run"
    return Swept(directory, sweep(MODELS, STRATEGIES, directory))


@pytest.fixture
def copied(undisturbed: Swept, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(undisturbed.directory, tmp_path / "copied"))


@pytest.fixture
def results(undisturbed: Swept) -> list[Bound]:
    """Its results."""
    return undisturbed.bounds


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
            complexity = companion_of(cp.STRATEGIES[strategy]).complexity
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
    cubic = {size: published(*size)["later data"]["cubic"] for size in ((5, 64), (10, 64), (10, 128))}
    assert {size: (one.mean, one.std) for size, one in cubic.items()} == {
        (5, 64): (0.942, 0.010),
        (10, 64): (0.915, 0.021),
        (10, 128): (0.885, 0.012),
    }
    assert published(20, 64) == {}


# Sweeps


def test_results(undisturbed: Swept) -> None:
    """One line for each model and strategy, in their order, that says what a proof of one's own says."""
    rows = undisturbed.bounds
    assert [(row["model"], row["strategy"]) for row in rows] == list(itertools.product(MODELS, STRATEGIES))
    model = cp.load_model(MODELS[1])
    for row in rows:
        assert row["total"] == str(64**4)
        assert row["bound"] == int(row["certified"]) / 64**4
        assert (row["normalised"] or 0) > row["bound"]
        assert min(row["search_seconds"], row["verify_seconds"]) >= 0
    for row in rows[len(STRATEGIES) :]:
        proof = cp.prove(model, row["strategy"]).as_dict(MODELS[1], zoo.known_correct(model))
        assert list(row) == list(proof)
        assert without_times([row]) == without_times([proof])


def test_certificates(undisturbed: Swept) -> None:
    """Each result has its certificate, which verifies; nothing else is left."""
    assert directories(undisturbed.directory) == {"results", "certificates"}
    assert directories(undisturbed.directory / "certificates") == {name.replace("/", "-") for name in MODELS}
    for row in undisturbed.bounds:
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
    assert [bound["normalised"] for bound in sweep([name], ["cubic"], tmp_path / "one")] == [None]
    assert [bound["normalised"] for bound in sweep([name], ["trivial", "brute-force"], tmp_path / "two")] == [0.0, 1.0]
    sides = ["trivial", "branch-and-bound", "branch-and-bound-upper"]
    assert [bound["normalised"] for bound in sweep([name], sides, tmp_path / "three")] == [0.0, 1.0, 1.0]


def test_a_finished_model_is_not_computed_again(
    copied: Path, undisturbed: Swept, proved: list[tuple[str, ...]]
) -> None:
    """Nothing is proved, and nothing changes."""
    before = tree(copied)
    assert sweep(MODELS, STRATEGIES, copied) == undisturbed.bounds
    assert proved == []
    assert tree(copied) == before


def test_an_unfinished_model_is_computed_again(copied: Path, undisturbed: Swept, proved: list[tuple[str, ...]]) -> None:
    """What has no results is computed, whatever is there of its certificates, and nothing else."""
    lose(copied, MODELS[0])
    folder = copied / "certificates" / MODELS[0].replace("/", "-")
    (folder / certificate_name("cubic")).write_text("half a cert")
    assert finished(copied) == [MODELS[1]]
    found = sweep(MODELS, STRATEGIES, copied)
    assert proved == [(MODELS[0], STRATEGIES[0]), (MODELS[0], *STRATEGIES[1:])]
    assert without_times(found) == without_times(undisturbed.bounds)
    assert found[len(STRATEGIES) :] == undisturbed.bounds[len(STRATEGIES) :]
    assert tree(copied / "certificates") == tree(undisturbed.directory / "certificates")


def test_another_group_or_model_is_added(copied: Path, proved: list[tuple[str, ...]]) -> None:
    """More models and more groups of strategies are computed beside those that are there."""
    more = sweep((*MODELS, "max-of-4/123"), (*STRATEGIES, "trivial"), copied)
    parts = STRATEGIES[:1], STRATEGIES[1:], ("trivial",)
    assert proved == [(m, "trivial") for m in MODELS] + [("max-of-4/123", *part) for part in parts]
    assert [bound["strategy"] for bound in more] == [*STRATEGIES, "trivial"] * 3


def test_what_cannot_be_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no table without it; all else is kept, and the next sweep tries again."""
    original = cp.Prover.prove

    def prove(prover: cp.Prover, strategy: str) -> cp.Proof:
        if strategy == "cubic":
            raise MemoryError
        return original(prover, strategy)

    with monkeypatch.context() as patch:
        patch.setattr(cp.Prover, "prove", prove)
        with pytest.raises(NotProved, match="max-of-4/50: cubic: MemoryError: not enough memory"):
            sweep(MODELS[:1], ["trivial", "cubic"], tmp_path)
    assert directories(tmp_path / "certificates" / "max-of-4-50") == {"trivial.cert.json"}
    assert len(sweep(MODELS[:1], ["trivial", "cubic"], tmp_path)) == 2


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """As `test_edges.py` has it for files that were being written."""
    final = tmp_path / "certificates" / "max-of-4-50"
    left_behind = f".{'0' * 16}-{seal('0' * 16)}.tmp"
    for folder in (final, tmp_path / "results"):
        folder.mkdir(parents=True)
        for name in (left_behind, ".mine.tmp"):
            (folder / name).write_text("half a cert")
    sweep(MODELS[:1], ["trivial"], tmp_path)
    assert directories(final) == {"trivial.cert.json", ".mine.tmp"}
    assert left_behind not in directories(tmp_path / "results")


def test_results_of_an_earlier_version(copied: Path, undisturbed: Swept) -> None:
    """They had a database, which is left alone."""
    (copied / "results.sqlite").write_bytes(b"SQLite format 3\x00")
    assert sweep(MODELS, STRATEGIES, copied) == undisturbed.bounds
    assert (copied / "results.sqlite").read_bytes() == b"SQLite format 3\x00"


# Interruptions


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with few strategies."""
    monkeypatch.setattr(command, "TABLE_STRATEGIES", STRATEGIES)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(short: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`compactproofs table1` with these words: exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        code = entry.run(["table1", "--jobs", "1", *map(str, words)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


FILES = {"results", "certificates", "results.csv", "table1.md", "table1.tex"}
FIGURES = {
    f"{name}.{suffix}" for name in ("bound-against-flops", "unexplained-against-flops") for suffix in ("png", "svg")
}


def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the command draws no figures, which would take most of its time."""
    for name in ("draw_bound_against_flops", "draw_unexplained_against_flops"):
        monkeypatch.setattr(command, name, lambda results, path: None)


def test_command(
    run: Run, proved: list[tuple[str, ...]], tmp_path: Path, undisturbed: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it writes and prints; a second time nothing is computed and the same is written."""
    code, out, err = run("--out", tmp_path / "run", "--seeds", 2)
    assert code == 0
    assert "error" not in err
    assert len(proved) == 4
    assert directories(tmp_path / "run") == FILES | FIGURES
    for name in ("bound-against-flops", "unexplained-against-flops"):
        assert_figure(tmp_path / "run" / name, "cubic")
    assert out.lstrip().startswith("2 models, 4 strategies\n")
    assert out.endswith(f"results, certificates, table and figures are in {tmp_path / 'run'}\n")
    assert tree(tmp_path / "run" / "certificates") == tree(undisturbed.directory / "certificates")
    with (tmp_path / "run" / "results.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert without_times(rows) == without_times(
        {c: str(dict(bound)[c]) for c in COLUMNS} for bound in undisturbed.bounds
    )
    lines = [line.strip().split("  ")[0] for line in out.splitlines() if " ± " in line]
    markdown = (tmp_path / "run" / "table1.md").read_text(encoding="utf-8")
    assert lines == [row[0] for row in markdown_cells(markdown)]

    undrawn(monkeypatch)
    texts = {name: (tmp_path / "run" / name).read_bytes() for name in FILES if "." in name}
    assert run("--out", tmp_path / "run", "--seeds", 2)[:2] == (0, out)
    assert len(proved) == 4
    assert {name: (tmp_path / "run" / name).read_bytes() for name in texts} == texts


def test_command_interrupted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what is done and how to go on; then the rest is done."""
    undrawn(monkeypatch)
    with monkeypatch.context() as patch:
        interrupted_at(patch, MODELS[1])
        code, out, err = run("--out", tmp_path, "--seeds", 2)
    assert (code, out) == (130, "")
    assert err.endswith(
        f"interrupted: 1 of 2 models are finished in {tmp_path}; run the same command again to do the rest\n"
    )
    assert directories(tmp_path) == {"results", "certificates"}
    assert finished(tmp_path) == [MODELS[0]]
    with monkeypatch.context() as patch:
        interrupted_at(patch, MODELS[0])  # which is not proved again
        assert run("--out", tmp_path, "--seeds", 2)[0] == 0


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
    (tmp_path / "results").write_text("mine")
    error = f"error: --out: cannot make the directory {tmp_path / 'results'}: File exists\n"
    assert run("--out", tmp_path) == (2, "", error)
    assert (tmp_path / "results").read_text() == "mine"


@pytest.mark.parametrize("missing", ["polars", "matplotlib"])
def test_command_without_the_extra(run: Run, tmp_path: Path, without: Callable[[str], None], missing: str) -> None:
    """The line that installs it."""
    without(missing)
    error = 'error: this command needs more packages: pip install "compactproofs[report]"\n'
    assert run("--out", tmp_path / "run") == (2, "", error)
    assert directories(tmp_path) == set()


# Real processes


@pytest.mark.slow  # as are the last runs of those that are killed
def test_local_processes(tmp_path: Path, undisturbed: Swept) -> None:
    """In other processes the results are the same."""
    found = sweep(MODELS, STRATEGIES, tmp_path, workers=2)
    assert without_times(found) == without_times(undisturbed.bounds)
    assert tree(tmp_path / "certificates") == tree(undisturbed.directory / "certificates")


COMMAND = f"""
import sys
if __name__ == "__main__":  # workers import this file, and need no packages for tables and figures
    from compactproofs import __main__ as entry
    from compactproofs.paper import command
    command.TABLE_STRATEGIES = {STRATEGIES!r}
    sys.argv = ["compactproofs", "table1", "--out", sys.argv[1], "--seeds", "2", "--jobs", "2"]
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


def assert_same_as_undisturbed(directory: Path, undisturbed: Swept) -> None:
    """All results, certificates and files, and nothing else."""
    assert finished(directory) == list(MODELS)
    assert without_times(sweep(MODELS, STRATEGIES, directory)) == without_times(undisturbed.bounds)
    assert tree(directory / "certificates") == tree(undisturbed.directory / "certificates")
    assert directories(directory / "certificates") == directories(undisturbed.directory / "certificates")
    assert directories(directory) == FILES | FIGURES


@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_killed_outright(
    tmp_path: Path, undisturbed: Swept, start: Callable[[Path], "subprocess.Popen[str]"], kills: int
) -> None:
    """Killed at a moment, with no chance to tidy up: no process is left, and the next run ends as if undisturbed."""
    directory = tmp_path / "run"
    moments = random.Random(20240611)
    for _ in range(kills):
        process = start(directory)
        folder = directory / "certificates"
        until = time.monotonic() + 60
        while not folder.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 0.8))
        process.kill()
        process.communicate(timeout=60)
        while alive(process.pid) and time.monotonic() < until:
            time.sleep(0.05)
        assert not alive(process.pid)
        for name in finished(directory):
            part = name.replace("/", "-")
            assert tree(folder / part) == tree(undisturbed.directory / "certificates" / part)
    process = start(directory)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, "Traceback" in err) == (0, False)
    assert "2 models, 4 strategies" in out
    assert_same_as_undisturbed(directory, undisturbed)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_interrupted_in_a_terminal(
    tmp_path: Path, undisturbed: Swept, start: Callable[[Path], "subprocess.Popen[str]"]
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
    whole, killed = (sweep(MODELS, TABLE_STRATEGIES, tmp_path / name) for name in ("whole", "killed"))
    assert len(whole) == 204
    assert without_times(killed) == without_times(whole)
    assert tree(tmp_path / "killed" / "certificates") == tree(tmp_path / "whole" / "certificates")


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


def made_up(models: int = 3) -> list[Bound]:
    """Results for all strategies, better and dearer ones later within a row."""
    rows = []
    for model in range(models):
        for number, strategy in enumerate(TABLE_STRATEGIES):
            row: dict[str, Any] = {"claim": "at least", **dict.fromkeys(COLUMNS, 1)}
            row |= {"model": f"max-of-4/{model}", "strategy": strategy, "complexity": "O(1)"}
            row |= {"certified": str(10**20), "total": str(10**21), "bound": 0.1}
            row |= {"normalised": 0.5 + number / 1000 + model / 10, "flops": 1000 + number, "unexplained_dimension": 8}
            rows.append(cast(Bound, row))
    return rows


def test_summary_takes_the_best_of_each_model() -> None:
    """Means and standard deviations over models of the best strategy for each, the cheaper one of equals."""
    first, second, third = BY_NAME["sub-cubic"].strategies[:3]
    figures = {
        ("a", first): (0.5, 100, 4), ("a", second): (0.7, 900, 2), ("a", third): (0.7, 300, 6),
        ("b", first): (0.9, 200, 8), ("b", second): (0.1, 10, 1), ("b", third): (None, 5, 1),
    }  # fmt: skip
    names = ("model", "strategy", "normalised", "flops", "unexplained_dimension")
    results = [cast(Bound, dict(zip(names, (*key, *value), strict=True))) for key, value in figures.items()]
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
    unknown = [cast(Bound, {**row, "normalised": None}) for row in one]
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


@pytest.mark.parametrize("models", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_figures(tmp_path: Path, models: int) -> None:
    """With all groups."""
    frontier.draw_bound_against_flops(made_up(models), tmp_path / "bound")
    frontier.draw_unexplained_against_flops(made_up(models), tmp_path / "unexplained")
    assert_figure(tmp_path / "bound", "our front", "published", "cubic", "normalised bound, mean over models")
    assert_figure(tmp_path / "unexplained", "cubic", "unexplained dimension")
    assert len(directories(tmp_path)) == 4


def test_figures_of_little(tmp_path: Path, results: list[Bound]) -> None:
    """With one strategy of one model; `test_command` has few of each."""
    frontier.draw_bound_against_flops(results[:1], tmp_path / "bound")
    frontier.draw_unexplained_against_flops(results[:1], tmp_path / "unexplained")
    assert_figure(tmp_path / "bound", "cubic")
    assert_figure(tmp_path / "unexplained", "cubic")


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
