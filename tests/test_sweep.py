"""Many models by many strategies: what words mean, what is kept, shards, clusters, and the files for other machines."""

import importlib.util
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs import zoo
from compactproofs.runs import sweep as sweeps
from compactproofs.runs.inputs import model_names, strategy_ids
from compactproofs.theorems import BUILT_IN

pl = pytest.importorskip("polars", reason="needs the extra report")

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "certificates" / "models"
CASES = ROOT / "tests" / "cases"
LADDER = str(MODELS / "ladder.safetensors")
TWO_SIDES = ("--strategy", "branch-and-bound*")
LINES = ("--strategy", "trivial", "--strategies", "cubic")
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="needs the extra cluster")


class Swept:
    """The command in this process, and its table."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def __call__(self, *words: object, code: int = 0) -> str:
        """Everything that it says."""
        assert entry.run(["sweep", *map(str, words), "--out", str(self.directory), "--jobs", "1"]) == code
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return out + err

    def table(self) -> Any:
        """The table as it was written, and that each model and strategy is in it once."""
        table = pl.read_parquet(self.directory / "sweep.parquet")
        assert table.select("model", "strategy").is_unique().all()
        assert pl.read_csv(self.directory / "sweep.csv").height == table.height
        return table


@pytest.fixture
def sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Swept:
    """The command, to a new directory."""
    return Swept(tmp_path / "out", capsys)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A directory with four small models, two of them the same, and something that is none."""
    folder = tmp_path / "few"
    (folder / "more").mkdir(parents=True)
    source = cp.load_model(LADDER)
    for name, scale in (("a", 1.0), ("b", 2.0), ("more/a", 4.0), ("more/b", 1.0)):
        weights = {key: getattr(source, key) for key in ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U")}
        cp.Model(**{**weights, "W_U": weights["W_U"] * scale}).save(folder / f"{name}.safetensors")
    (folder / "more" / "none.safetensors").write_text("no model")
    return folder


# What words mean


def test_models(few: Path) -> None:
    """Names, families, patterns, files and directories; each once, in the order of the words."""
    family = [row.name for row in zoo.table() if row.name.startswith("max-of-10/")]
    assert len(family) > 1
    assert model_names(["max-of-4/50", "max-of-10", "max-of-4/50"]) == ["max-of-4/50", *family]
    assert model_names(["max-of-10/"]) == model_names(["max-of-10/*"]) == family
    assert set(model_names(["*"])) == set(zoo.names())
    found = model_names([str(few), LADDER, str(few / "a.safetensors")])
    assert [Path(name).relative_to(few).as_posix() for name in found[:-1]] == [
        *("a.safetensors", "b.safetensors", "more/a.safetensors", "more/b.safetensors", "more/none.safetensors")
    ]
    assert found[-1] == LADDER


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("max-of-4/0", "there is no file and no model of the zoo named 'max-of-4/0': did you mean max-of-4/"),
        ("max-of-6", "there is no file and no model of the zoo named 'max-of-6'"),
        ("max-of-6/*", "there is no file and no model of the zoo named"),
        ("none.safetensors", "none.safetensors: there is no such file"),
        (str(ROOT / "examples" / "clusters"), "clusters holds no files named \\*.safetensors"),
        ("-", "there is no file and no model of the zoo named '-'"),
        ("", "model: expected a path, found ''"),
    ],
)
def test_words_that_mean_no_model(word: str, said: str) -> None:
    """What is close, or what was expected."""
    with pytest.raises(ValueError, match=said):
        model_names([word])


def test_strategies() -> None:
    """Ids, the beginnings of ids, patterns; an id is that one alone."""
    assert strategy_ids(["cubic", "failing-sets", "cubic"]) == ["cubic", "failing-sets"]
    assert len(strategy_ids(["sub-cubic"])) == len(strategy_ids(["sub-cubic/*"])) == 100
    assert len(strategy_ids(["sub-cubic/max_diff_exact"])) == 20
    assert strategy_ids(["histogram*"]) == ["histogram", "histogram-upper"]
    assert strategy_ids(["*"]) == list(BUILT_IN.strategies)
    for word in ("cubik", "sub-cub", "x*"):
        with pytest.raises(ValueError, match=f"unknown strategy '{word.replace('*', '.')}"):
            strategy_ids([word])


# What is proved


def test_results(sweep: Swept, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row for each model and strategy, in order; a second time nothing is proved, and the same is written."""
    words = (few, CASES / "add_23.safetensors", *LINES, *TWO_SIDES)
    said = sweep(*words)
    assert "24 results of 6 models: 16 proved, 8 refused\n" in said
    assert f"\nrefused, the first: {few}" in said
    assert "; the table's column 'reason' has all of them\n" in said
    table = sweep.table()
    assert table["strategy"].to_list() == ["trivial", "cubic", "branch-and-bound", "branch-and-bound-upper"] * 6
    for row in table.filter(pl.col("outcome") == "proved").to_dicts():
        proof = cp.prove(cp.load_model(row["model"]), row["strategy"])
        assert (row["certified"], row["claim"]) == (str(proof.certificate.certified), proof.certificate.claim)
        assert row["flops"] == proof.cost.flops
        assert int(row["correct"]) >= 0  # since the bounds meet
        assert row["normalised"] == int(row["certified"]) / int(row["correct"])
    why = dict(table.filter(pl.col("outcome") == "refused").select("model", "reason").rows())
    assert "not a safetensors file" in why[str(few / "more" / "none.safetensors")]
    assert " is about attention-only-1l1h, and this is pair-sum" in why[str(CASES / "add_23.safetensors")]
    before = (sweep.directory / "sweep.parquet").read_bytes()
    monkeypatch.setattr(sweeps, "prove_model", None)
    assert sweep(*words) == said
    assert (sweep.directory / "sweep.parquet").read_bytes() == before
    assert not (sweep.directory / "certificates").exists()


def test_why_a_decoder() -> None:
    """A strategy for other networks is refused with what in the file makes it a decoder."""
    path = CASES / "ln_max3_v10.safetensors"
    _, [(row, _)] = sweeps.prove_model(str(path), ("cubic",), False, path.read_bytes())
    assert "and this is decoder; use enumerate, enumerate-upper; it is read as a decoder, since " in row["reason"]
    assert "found blocks.0.ln1.b, blocks.0.ln1.w, ln_final.b" in row["reason"]


def test_all(sweep: Swept, few: Path) -> None:
    """All that are feasible for each model, of whatever family; one row for what is refused."""
    none = few / "more" / "none.safetensors"
    sweep(none, CASES / "add_23.safetensors", CASES / "two_heads_max3_v10.safetensors", "--all")
    rows = sweep.table()
    by_model = {model: part["strategy"].to_list() for (model,), part in rows.group_by("model", maintain_order=True)}
    assert by_model.pop(str(none)) == ["*"]
    for model, ids in by_model.items():
        network = cp.load_network(model)
        assert {BUILT_IN.strategies[i].family for i in ids} == {network.family}
        assert len(ids) >= 4
    assert rows.filter(pl.col("outcome") != "proved")["strategy"].to_list() == ["*"]
    for row in rows.filter(pl.col("strategy") == "pair-sum/brute-force").to_dicts():
        assert row["normalised"] == 1.0


def test_more_strategies_and_certificates(sweep: Swept, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is not proved again, unless a certificate is wanted that is not there."""
    asked: list[tuple[str, ...]] = []
    original = sweeps.prove_model

    def note(name: str, strategies: Any, *others: Any) -> Any:
        asked.append((Path(name).name, *strategies))
        return original(name, strategies, *others)

    monkeypatch.setattr(sweeps, "prove_model", note)
    model = few / "a.safetensors"
    sweep(model, "--strategy", "trivial")
    sweep(model, *LINES)
    sweep(model, "--strategy", "cubic", "--certificates")
    sweep(model, *LINES)
    sweep(few / "b.safetensors", model, "--strategy", "cubic", "--certificates")
    calls = (("a", "trivial"), ("a", "cubic"), ("a", "cubic"), ("b", "cubic"))
    assert asked == [(f"{name}.safetensors", strategy) for name, strategy in calls]
    for row in sweep.table().to_dicts():
        certificate = cp.Certificate.load(sweep.directory / row["certificate"])
        assert cp.verify(certificate, cp.load_model(row["model"])).accepted
        assert str(certificate.certified) == row["certified"]


def test_a_model_that_has_changed(sweep: Swept, few: Path) -> None:
    """Is another one: its results are new, whatever its name."""
    model = few / "a.safetensors"
    sweep(model, *LINES)
    before = sweep.table()
    model.write_bytes((MODELS / "spoiled.safetensors").read_bytes())
    sweep(model, *LINES)
    assert (sweep.table()["file_sha256"] != before["file_sha256"]).all()


def test_what_fails_is_tried_again(sweep: Swept, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the table, and the exit code is 2; the next sweep proves it."""
    original = cp.Prover.prove

    def prove(prover: cp.Prover, strategy: str) -> cp.Proof:
        if strategy == "cubic":
            raise MemoryError
        return original(prover, strategy)

    with monkeypatch.context() as patch:
        patch.setattr(cp.Prover, "prove", prove)
        said = sweep(few / "a.safetensors", *LINES, code=2)
    assert "2 results of 1 models: 1 proved, 1 failed\n" in said
    assert said.endswith("cubic: MemoryError: not enough memory)\n")
    assert "error: 1 of 2 failed; run the same command again to try once more (" in said
    assert sweep.table()["outcome"].to_list() == ["proved", "failed"]
    sweep(few / "a.safetensors", *LINES)
    assert sweep.table()["outcome"].to_list() == ["proved", "proved"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version": "0", "seconds": 1, "results": []}', b"[" * 10**5])
def test_results_that_are_none(sweep: Swept, few: Path, data: bytes) -> None:
    """Files that are damaged, or of another version, are as good as none."""
    (sweep.directory / "results").mkdir(parents=True)
    (sweep.directory / "results" / "a.json").write_bytes(data)
    sweep(few / "a.safetensors", *LINES)
    assert sweep.table().height == 2


# Shards


def test_shards(sweep: Swept, few: Path) -> None:
    """Together they do everything, each its own part; the last one writes the table, which --collect does before."""
    words = (few, *LINES, *TWO_SIDES)
    assert "holds no results of a sweep" in sweep(*words, "--collect", code=2)
    assert "makes the table of all parts; leave out --shard" in sweep(*words, "--collect", "--shard", "1/2", code=2)
    said = sweep(*words, "--shard", "3/3")
    assert " of 20 results are missing in " in said
    assert "the table is written" in said
    assert not (sweep.directory / "sweep.parquet").exists()
    assert "the table is written" not in sweep(*words, "--collect")
    counts = [sweep.table().height]
    for shard in ("1/3", "2/3"):
        (sweep.directory / "sweep.parquet").unlink()
        sweep(*words, "--shard", shard)
        sweep(*words, "--collect")
        counts.append(sweep.table().height)
    assert 0 < counts[0] < counts[1] < counts[2] == 20
    files = sorted((sweep.directory / "results").iterdir())
    sweep(*words)
    assert sorted((sweep.directory / "results").iterdir()) == files


def test_what_two_have_proved(sweep: Swept, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts once, whichever file it is in."""
    other = Swept(tmp_path / "other", capsys)
    sweep(few, *LINES, "--shard", "1/2")
    other(few, *LINES)
    for path in (other.directory / "results").iterdir():
        path.rename(sweep.directory / "results" / path.name)
    sweep(few, *LINES, "--collect")
    assert sweep.table().height == 10
    for path in (sweep.directory / "results").iterdir():
        results = json.loads(path.read_bytes())["results"]
        assert results
        assert all(result["outcome"] in ("proved", "refused") for result in results)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/", "/2", "-1/2", "1/0", "1.0/2", "a/b", "1/2/3", "١/2", ""])
def test_shards_that_are_none(sweep: Swept, shard: str) -> None:
    """One line."""
    said = sweep(LADDER, *LINES, f"--shard={shard}", code=2)
    assert said == f"error: --shard: expected I/N with I from 1 to N, such as 1/8, found {shard!r}\n"


def test_wrong_usage(sweep: Swept) -> None:
    """One line, and nothing is made."""
    both = "choose one: --strategy ID (may be repeated), or --all\n"
    assert sweep(LADDER, code=2) == sweep(LADDER, "--all", *LINES, code=2) == f"error: {both}"
    assert sweep(LADDER, "--strategy", "cubik", code=2).startswith("error: unknown strategy 'cubik'; did you mean")
    assert not sweep.directory.exists()


PROGRAM = [sys.executable, "-c", "from compactproofs.__main__ import main\nmain()", "sweep"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def started(*words: object) -> "subprocess.Popen[str]":
    """The command as a process of its own."""
    program = [*PROGRAM, *map(str, words)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def test_interrupted(sweep: Swept, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done is kept, and the rest is done the next time; the table is written then."""
    original = sweeps.prove_model

    def interrupt(name: str, *others: Any) -> Any:
        if name == str(few / "more" / "a.safetensors"):
            raise KeyboardInterrupt
        return original(name, *others)

    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "prove_model", interrupt)
        said = sweep(few, *LINES, code=130)
    again = f"interrupted: 2 of 5 models are finished in {sweep.directory}; run the same command again to do the rest\n"
    assert said == again
    assert not (sweep.directory / "sweep.parquet").exists()
    sweep(few, *LINES, "--collect")
    assert sweep.table().height == 4
    sweep(few, *LINES)
    assert sweep.table().height == 10


def test_two_at_once(sweep: Swept, few: Path) -> None:
    """Two processes fill one directory with the same."""
    words = (few, *LINES, "--out", sweep.directory, "--jobs", "1")
    both = [started(*words) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=100)
        assert (process.returncode, err) == (0, "")
        assert "10 results of 5 models: 8 proved, 2 refused\n" in out
    assert sweep.table().height == 10
    assert not list(sweep.directory.rglob(".*"))


# Clusters

CLUSTER = """
import sys
from distributed import LocalCluster
from compactproofs.__main__ import run
with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as local:
    sys.exit(run(["sweep", *sys.argv[1:], "--dask", local.scheduler_address]))
"""


@needs_dask
def test_cluster(sweep: Swept, few: Path) -> None:
    """A cluster of two threads; in a process of its own, since its threads outlive it."""
    words = [str(few), *LINES, "--out", str(sweep.directory), "--certificates"]
    ended = subprocess.run(
        [sys.executable, "-c", CLUSTER, *words], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    for row in sweep.table().filter(pl.col("outcome") == "proved").to_dicts():
        certificate = cp.Certificate.load(sweep.directory / row["certificate"])
        assert cp.verify(certificate, cp.load_model(row["model"])).accepted


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts parts of a cluster, as processes that are killed in the end."""
    with ExitStack() as stack:

        def start(*words: str) -> "subprocess.Popen[str]":
            program = [sys.executable, "-m", "dask", *words]
            log = stack.enter_context((tmp_path / "dask.log").open("a"))
            process = subprocess.Popen(program, stdout=log, stderr=log, text=True, env=ENVIRONMENT, cwd=tmp_path)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield start


@pytest.mark.slow
@needs_dask
def test_a_cluster_that_breaks(sweep: Swept, dask: Callable[..., "subprocess.Popen[str]"]) -> None:
    """A worker is killed, then the scheduler; the same command with another one does the rest, each result once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    scheduler_words = ("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    worker_words = ("worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard")
    words = ("max-of-4/10*", "max-of-4/11*", "--strategy", "cubic", "--strategy", "sub-cubic")
    total = 101 * len(model_names(words[:2]))

    def results() -> int:
        return len(sweeps.Proofs(sweep.directory).known)

    def wait_for(condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.05)

    scheduler = dask(*scheduler_words)
    workers = [dask(*worker_words) for _ in range(2)]
    command = started(*words, "--out", sweep.directory, "--dask", address)
    wait_for(lambda: results() > 0)
    workers[0].kill()
    seen = results()
    wait_for(lambda: results() > seen)
    scheduler.kill()
    out, err = command.communicate(timeout=100)
    assert (command.returncode, out) == (2, "")
    lost = f"error: the Dask scheduler at {address} went away; start it anew, then run the same command again: "
    assert err.startswith(lost)
    assert err.count("\n") == 1
    seen = results()
    assert 0 < seen < total
    dask(*scheduler_words)
    dask(*worker_words)
    command = started(*words, "--out", sweep.directory, "--dask", address)
    out, err = command.communicate(timeout=600)
    assert (command.returncode, err) == (0, "")
    table = sweep.table()
    assert (table.height, set(table["outcome"])) == (total, {"proved"})
    kept = [json.loads(path.read_bytes())["results"] for path in (sweep.directory / "results").iterdir()]
    assert sum(map(len, kept)) == total


# Files for other machines

CLUSTERS = ROOT / "examples" / "clusters"
MANIFESTS = sorted(CLUSTERS.glob("*.yaml"))


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., list[list[str]]]:
    """Runs a program, and gives the words after `compactproofs` with which that was called; all of them are right."""
    log = tmp_path / "words"
    for place in ("bin/compactproofs", "venv/bin/activate"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text('#!/bin/sh\n[ "$#" = 0 ] || printf "%s\\n" "$@" END >> "$LOG"\n')
        (tmp_path / place).chmod(0o755)

    def run(*program: str, **environment: str) -> list[list[str]]:
        log.write_text("")
        place = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "LOG": str(log), "HOME": str(tmp_path)}
        subprocess.run(program, check=True, env=place | environment)
        calls = [call.splitlines() for call in log.read_text().split("END\n")[:-1]]
        for words in calls:
            assert_right(words)
        return calls

    return run


def assert_right(words: list[str]) -> None:
    """These are words that the program understands, about models and strategies that there are."""
    from compactproofs.cli.app import program

    given = program().commands[words[0]].make_context(words[0], words[1:]).params
    named = [given["model"]] if isinstance(given["model"], str) else given["model"]
    assert model_names(name for name in named if not name.endswith(("/", ".safetensors")))
    assert bool(strategy_ids(given["strategy"] or ())) != given["every"]


@pytest.mark.skipif(os.name == "nt", reason="a shell")
def test_slurm(ran: Callable[..., list[list[str]]]) -> None:
    """Each job of the array does its part, also if it is one of few that are submitted again."""
    script = CLUSTERS / "slurm.sh"
    directives = [line.split()[1] for line in script.read_text().splitlines() if line.startswith("#SBATCH")]
    assert "--array=1-64" in directives
    (words,) = ran("bash", str(script), SLURM_ARRAY_TASK_ID="7", SLURM_ARRAY_TASK_COUNT="2", SLURM_CPUS_PER_TASK="4")
    assert words[words.index("--shard") + 1] == "7/64"
    assert words[words.index("--jobs") + 1] == "4"


@pytest.mark.skipif(os.name == "nt", reason="a shell")
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_kubernetes(manifest: Path, ran: Callable[..., list[list[str]]]) -> None:
    """The manifests are YAML, what they name is there, and the commands in them are right."""
    yaml = pytest.importorskip("yaml")
    objects = list(yaml.safe_load_all(manifest.read_text()))
    by_kind = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in objects}
    assert len(by_kind) == len(objects)
    (built,) = [line for line in (CLUSTERS / "Dockerfile").read_text().splitlines() if "docker build" in line]
    image = built.split()[-2]
    labels, ports = [], []
    for (kind, _), spec in by_kind.items():
        if kind not in ("Job", "Deployment"):
            continue
        pod = spec["template"]["spec"]
        labels.append(spec["template"].get("metadata", {}).get("labels"))
        assert spec.get("selector", {}).get("matchLabels") == labels[-1]
        volumes = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod.get("volumes", ())}
        assert all(("PersistentVolumeClaim", claim) in by_kind for claim in volumes.values())
        for container in pod["containers"]:
            assert container["image"] == image
            assert [mount["name"] for mount in container.get("volumeMounts", ())] == list(volumes)
            words = container["command"]
            assert all(isinstance(word, str) for word in words)
            if words[0] == "dask":
                assert_dask_understands(words[1:])
                ports += [int(word) for word in words if word.isdecimal() and int(word) > 1000]
                continue
            (given,) = ran(*words, JOB_COMPLETION_INDEX="2")
            assert given[given.index("--out") + 1] == container["volumeMounts"][0]["mountPath"]
            if spec.get("completionMode") == "Indexed":
                assert given[given.index("--shard") + 1] == f"3/{spec['completions']}"
            else:
                _, name, port = given[given.index("--dask") + 1].replace("//", "").split(":")
                assert by_kind["Service", name]["ports"] == [{"port": int(port)}]
    for (kind, _), spec in by_kind.items():
        if kind == "Service":
            assert spec["selector"] in labels
            assert [port["port"] for port in spec["ports"]] == ports


def assert_dask_understands(words: list[str]) -> None:
    """What starts a scheduler or a worker."""
    if importlib.util.find_spec("distributed") is not None:
        module = importlib.import_module(f"distributed.cli.dask_{words[0]}")
        assert module.main.make_context("dask", words[1:]).params


def test_the_guide() -> None:
    """Its commands are right, and the files that it names are there."""
    text = (ROOT / "docs" / "many-machines.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("compactproofs ")]
    assert len(lines) >= 5
    for line in lines:
        assert_right(shlex.split(line, comments=True)[1:])
    for path in CLUSTERS.iterdir():
        assert f"](../examples/clusters/{path.name})" in text
