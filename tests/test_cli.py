"""The command line as somebody types it: what is printed, where it goes, and the exit code."""

import csv
import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import save_file

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs import plugins, zoo
from compactproofs.cli import proving, verifying
from compactproofs.search import effort
from compactproofs.search.certificates import MAX_BYTES
from compactproofs.search.families import companion_of, on_all_cores
from compactproofs.system import terminal
from compactproofs.system.displays import in_short, share_in_short
from compactproofs.theorems import BUILT_IN

NAME = "max-of-4/123"
HINTED = "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact"


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


def in_this_process(capsys: pytest.CaptureFixture[str]) -> Run:
    """What runs the command line here; whatever was typed, a traceback is a bug."""

    def call(*words: object) -> Result:
        code = entry.run(list(map(str, words)))
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Result(code, out, err)

    return call


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""
    return in_this_process(capsys)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in an empty directory of its own, with a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def tiny(tokens: int = 5, positions: int = 3, seed: int = 0, factor: float = 1.0) -> cp.Model:
    """A small model with random weights, which no zoo has."""
    generator = np.random.default_rng(seed)
    v, n, d, h = tokens, positions, 4, 2
    shapes = {"W_E": (v, d), "W_pos": (n, d), "W_Q": (d, h), "W_K": (d, h), "W_V": (d, h), "W_O": (h, d), "W_U": (d, v)}
    return cp.Model(**{name: factor * generator.normal(size=shape) for name, shape in shapes.items()})


@pytest.fixture
def model_file() -> Path:
    """A model of one's own."""
    tiny().save("mine.safetensors")
    return Path("mine.safetensors")


@pytest.fixture
def certificate() -> Path:
    """A certificate for the zoo's model."""
    Path("cubic.cert.json").write_bytes(proved())
    return Path("cubic.cert.json")


def by(tier: str) -> str:
    """Whose theorem an accepted certificate rests on, as it is printed."""
    source = plugins.built_in().source
    return f"; {tier} of compactproofs {cp.__version__}, source {source.sha256[:12]}"


@cache
def proved() -> bytes:
    """What `certificate` holds."""
    return cp.prove(cp.load_model(NAME), "cubic").certificate.to_bytes()


def one_error_line(result: Result, *fragments: str) -> None:
    """Exit code 2, nothing on stdout, and one line on stderr that has all fragments."""
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    for fragment in fragments:
        assert fragment in result.err


# Help

COMMANDS = ("strategies", "zoo", "prove", "sweep", "verify", "show", "sample", "train", "table1")


def test_help(run: Run) -> None:
    """Help lists the commands, with and without asking for it."""
    for words, code in (((), 2), (("--help",), 0)):
        result = run(*words)
        assert result.code == code
        for command in COMMANDS:
            assert command in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_commands(run: Run, command: str) -> None:
    """Each command explains itself."""
    result = run(command, "--help")
    assert (result.code, result.err) == (0, "")
    assert f"compactproofs {command}" in result.out
    assert run(command, "-h") == result


def test_version(run: Run) -> None:
    """The version that certificates name."""
    assert run("--version") == Result(0, f"compactproofs {cp.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["prove"], "Missing argument 'MODEL'"),
        (["verify", "x"], "Missing argument 'MODEL'"),
        (["sweep"], "Missing argument 'MODEL...'"),
        (["sweep", "x"], "Missing option '--out'"),
        (["zoo", "--bogus"], "No such option"),
        (["train"], "Missing option '--out'"),
        (["train", "--out", "x", "--seed", "abc"], "Invalid value for '--seed'"),
        (["table1"], "Missing option '--out'"),
        (["table1", "--out", "x", "--jobs", "0"], "Invalid value for '--jobs'"),
    ],
)
def test_usage(run: Run, words: list[str], fragment: str) -> None:
    """Wrong usage is explained on stderr, with exit code 2."""
    result = run(*words)
    assert (result.code, result.out) == (2, "")
    assert fragment in " ".join(result.err.split())


# zoo


def test_zoo(run: Run) -> None:
    """One line for each model, with its accuracy and what that is known from."""
    result = run("zoo")
    assert (result.code, result.err) == (0, "")
    for name in zoo.names():
        assert f" {name} " in result.out
    lines = {line.split()[0]: line.split()[1:] for line in result.out.splitlines() if "/" in line}
    assert lines[NAME] == ["4", "64", "0.999715", "all", "inputs"]
    assert lines["max-of-20/123"][-1] == "inputs"
    assert lines["add-59/50"] == ["3,481", "10000", "1.000000"]


def test_zoo_place(run: Run) -> None:
    """Where a model's file is, for programs that read files only."""
    path = run("zoo", NAME).out.removesuffix("\n")
    assert cp.load_model(path).sha256 == cp.load_model(NAME).sha256
    assert json.loads(run("zoo", NAME, "--json").out) == {"name": NAME, "path": path}
    assert run("zoo", "max-of-4/1234").err.startswith("error: there is no file and no model of the zoo named ")


def test_zoo_json(run: Run) -> None:
    """The table as JSON."""
    rows = json.loads(run("zoo", "--json").out)
    assert [row["name"] for row in rows] == zoo.names()
    with (Path(zoo.__file__).parent / "models.csv").open(encoding="utf-8") as stream:
        assert set(rows[0]) == set(csv.DictReader(stream).fieldnames or [])


# strategies


def test_strategies(run: Run) -> None:
    """One line for each strategy, in their order: id, complexity, what it does."""
    result = run("strategies")
    assert (result.code, result.err) == (0, "")
    lines = [line.strip() for line in result.out.splitlines() if " O(" in line]
    assert [line.split()[0] for line in lines] == list(BUILT_IN.strategies)
    for line, strategy in zip(lines, BUILT_IN.strategies.values(), strict=True):
        assert line.split("  ", 1)[1].strip().startswith(f"{companion_of(strategy).complexity} ")
        assert line.endswith(f"  {companion_of(strategy).summary}")


def narrow(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """From now on output goes to a terminal of this width, without colours."""
    monkeypatch.setattr(
        terminal,
        "out",
        Console(width=width, soft_wrap=True, highlight=False, force_terminal=True, no_color=True, color_system=None),
    )


def joined(lines: list[str]) -> str:
    """Folded lines as one, which ends in a blank."""
    return re.sub(r"/ ", "/", " ".join(" ".join(lines).split())) + " "


def test_strategies_in_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids and summaries stay whole."""
    narrow(monkeypatch, 80)
    lines = run("strategies").out.splitlines()
    assert max(map(len, lines)) <= 80
    text = joined(lines)
    for strategy in cp.STRATEGIES.values():
        assert f" {strategy.id} {companion_of(strategy).complexity} {companion_of(strategy).summary} " in text


def test_strategies_json(run: Run) -> None:
    """The same as JSON."""
    rows = json.loads(run("strategies", "--json").out)
    assert [row["id"] for row in rows] == list(BUILT_IN.strategies)
    of_strategy = {"id", "claim", "complexity", "summary", "theorem", "stated_in"}
    assert set(rows[0]) == of_strategy | {"tier", "distribution", "version", "source_sha256"}
    tiers = dict.fromkeys(row["tier"] for row in rows)
    ours = [
        "trivial",
        "core",
        "subcubic",
        "failing_sets",
        "few_dimensions",
        "branching",
        "counting",
        "by_comparison",
        "heads",
    ]
    assert list(tiers) == [*ours, "enumerate", "pair_sum"]


# prove


def test_prove(run: Run) -> None:
    """The table names the bound in full, and nothing is written."""
    result = run("prove", NAME, "--strategy", "cubic")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{NAME}: max of 4, 64 tokens, 16777216 inputs; the label is the largest token\n")
    row = next(line.split() for line in result.out.splitlines() if line.rstrip().endswith(" cubic"))
    assert len(row) == 10
    assert row[0] == str(cp.prove(cp.load_model(NAME), "cubic").certificate.certified)
    assert 0.9 < float(row[1]) < float(row[2]) < 1.0
    assert list(Path().iterdir()) == []


def test_prove_in_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers and headers stay whole, and the id goes to a line of its own, folded after slashes."""
    longest = max(cp.STRATEGIES, key=len)
    for width in (80, 100):
        narrow(monkeypatch, width)
        lines = run("prove", NAME, "--strategy", HINTED, "--strategy", longest).out.splitlines()
        assert max(map(len, lines)) <= width
        assert all(line == line.rstrip() for line in lines)
        headers = "certified bound normalised FLOPs unexplained search verify"
        assert headers in [" ".join(line.split()) for line in lines]
        rows = [line.split() for line in lines if line.endswith(" s")]
        assert [len(row) for row in rows] == [9, 9]  # five numbers and two times in "s"
        for strategy in (HINTED, longest):
            assert f" {strategy} " in joined(lines)


def test_prove_in_a_pipe(run: Run) -> None:
    """As wide as it needs to be, with no blanks at the ends of lines."""
    lines = run("prove", NAME, "--strategy", HINTED, "--strategy", "cubic").out.splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert max(map(len, lines)) == max(len(line) for line in lines if line.endswith(f" {HINTED}"))


JSON_TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "strategy": (str,),
    "claim": (str,),
    "certified": (str,),
    "total": (str,),
    "bound": (float,),
    "normalised": (float, type(None)),
    "flops": (int,),
    "int_ops": (int,),
    "unexplained_dimension": (int,),
    "complexity": (str,),
    "hint_bytes": (int,),
    "search_seconds": (float,),
    "verify_seconds": (float,),
}


def test_prove_json(run: Run) -> None:
    """A list of objects, one for each strategy in the order given, each once; counts are exact decimal strings."""
    result = run("prove", NAME, "--strategy", HINTED, "--strategy", "cubic", "--strategy", HINTED, "--json")
    rows = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert [row["strategy"] for row in rows] == [HINTED, "cubic"]
    for row in rows:
        assert list(row) == list(JSON_TYPES)
        for key, types in JSON_TYPES.items():
            assert type(row[key]) in types, key
        assert row["model"] == NAME
        assert row["claim"] == "at least"
        assert int(row["total"]) == 64**4
        assert row["bound"] == int(row["certified"]) / 64**4
        correct = zoo.known_correct(cp.load_model(NAME))
        assert correct is not None
        assert row["normalised"] == int(row["certified"]) / correct
    assert rows[0]["hint_bytes"] > 0 == rows[1]["hint_bytes"]


def test_prove_where_the_accuracy_is_unknown(run: Run, model_file: Path) -> None:
    """Then the normalised bound is null, and a question mark in the table; brute force makes it known."""
    assert json.loads(run("prove", model_file, "--strategy", "cubic", "--json").out)[0]["normalised"] is None
    assert " ? " in run("prove", model_file, "--strategy", "cubic").out
    rows = json.loads(run("prove", model_file, "--strategy", "cubic", "--strategy", "brute-force", "--json").out)
    assert [row["normalised"] is None for row in rows] == [False, False]
    assert rows[1]["normalised"] == 1.0


def test_prove_everything(run: Run, model_file: Path) -> None:
    """All feasible strategies, each with its certificate, which verifies."""
    result = run("prove", model_file, "--all", "--out", "proofs", "--json")
    rows = json.loads(result.out)
    assert [row["strategy"] for row in rows] == cp.feasible_strategies(tiny())
    files = sorted(Path("proofs").iterdir())
    assert len(files) == len(rows) == len(cp.STRATEGIES)
    for file in files:
        assert cp.verify(cp.Certificate.load(file), tiny()).accepted


@pytest.mark.parametrize("positions", [180, 600])
def test_prove_with_many_inputs(run: Run, positions: int) -> None:
    """Counts beyond what a float can hold are printed, in full in JSON."""
    tiny(tokens=64, positions=positions).save("long.safetensors")
    total = str(64**positions)
    assert json.loads(run("prove", "long.safetensors", "--strategy", "trivial", "--json").out)[0]["total"] == total
    assert total in run("prove", "long.safetensors", "--strategy", "trivial").out
    assert total in run("show", "long.safetensors").out


def test_searches_are_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found for one certificate is there for the next, but not for a finer search."""

    def never(*arguments: object) -> None:
        raise AssertionError(arguments)

    tiny().save("tiny.safetensors")
    monkeypatch.setattr(on_all_cores, "MANY_INPUTS", 0)
    words = "prove", "tiny.safetensors", "--strategy", "histogram", "--keep", "new/found"
    first, kept = run(*words, "--json"), sorted(Path("new/found").iterdir())
    assert first.code == 0
    with monkeypatch.context() as nothing_searched:
        nothing_searched.setattr(on_all_cores, "of_piece", never)
        again = run(*words, "--json")
    assert json.loads(again.out)[0]["certified"] == json.loads(first.out)[0]["certified"]
    assert sorted(Path("new/found").iterdir()) == kept
    assert run(*words, "--finer", "4", "--json").code == 0
    assert len(list(Path("new/found").iterdir())) == 2 * len(kept)


def test_bounds_are_rounded_to_what_is_claimed_as_well() -> None:
    """A bound from below is never printed as more than there is, nor one from above as less."""
    for certified, claim, text in (
        (2**24 - 1, "at least", "0.999999"),
        (2**24 - 1, "at most", "1.000000"),
        (2**24, "at least", "1.000000"),
        (1, "at least", "0.000000"),
        (1, "at most", "0.000001"),
    ):
        assert share_in_short(Fraction(certified, 2**24), claim) == text
    assert in_short(1152417184288341934, "at most") == "1.152418e+18"
    assert in_short(1152416972032488096, "at least") == "1.152416e+18"


def test_table_of_large_counts() -> None:
    """A long count is shortened, also where it is beyond a float; an upper bound is marked as one."""
    row: Any = dict.fromkeys(JSON_TYPES, 1.0) | {"strategy": "cubic", "certified": "1" * 400}
    for claim, text in (("at least", "1.111111e+399"), ("at most", "≤ 1.111112e+399")):
        assert proving._count(row | {"claim": claim}) == text


@pytest.mark.parametrize(
    "factor", [0.0, *(pytest.param(factor, marks=pytest.mark.slow) for factor in (1e-300, 1e60, 1e100)), 1e300]
)
def test_prove_extreme_weights(run: Run, factor: float) -> None:
    """Weights at the ends of the range are not an error for any strategy; they only prove little."""
    tiny(factor=factor).save("extreme.safetensors")
    result = run("prove", "extreme.safetensors", "--all", "--json", "--out", "proofs")
    assert result.code == 0
    assert all(line.startswith(("note: ", "warning: ")) for line in result.err.splitlines())
    rows = json.loads(result.out)
    assert [row["strategy"] for row in rows] == cp.feasible_strategies(tiny())
    correct = next(int(row["certified"]) for row in rows if row["strategy"] == "brute-force")
    assert max(int(row["certified"]) for row in rows if row["claim"] == "at least") == correct
    assert min(int(row["certified"]) for row in rows if row["claim"] == "at most") >= correct
    assert run("verify", "proofs", "extreme.safetensors").code == 0


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ([NAME, "--seconds", "9", "--all"], ["--strategy ID (may be repeated), ", "--all"]),
        ([NAME, "--all", "--strategy", "cubic"], ["--strategy ID (may be repeated), ", "--all"]),
        ([NAME, "--strategy", "magic"], ["unknown strategy 'magic'", "'compactproofs strategies'"]),
        (
            [NAME, "--strategy", "cubik"],
            ["unknown strategy 'cubik'; did you mean cubic", "'compactproofs strategies'"],
        ),
        ([NAME, "--strategy", f"{HINTED}s"], [f"unknown strategy '{HINTED}s'; did you mean {HINTED} or "]),
        ([NAME, "--strategy", "cubic", "--strategy", "[red]"], ["unknown strategy '[red]'"]),
        ([NAME, "--strategy", ""], ["unknown strategy ''"]),
        (["max-of-10/123", "--strategy", "brute-force"], ["brute-force: ", "64^10 inputs"]),
        (
            ["max-of-4/12", "--strategy", "cubic"],
            ["no file and no model of the zoo named 'max-of-4/12'", "did you mean", "max-of-4/123"],
        ),
        (
            ["max-of-4", "--strategy", "cubic"],
            ["no file and no model of the zoo named 'max-of-4'", "'compactproofs zoo'"],
        ),
        (
            ["max-of-4/123.safetensors", "--strategy", "cubic"],
            ["no model of the zoo named 'max-of-4/123.safetensors': did you mean max-of-4/123 or "],
        ),
        (["", "--strategy", "cubic"], ["model: expected a path, found ''"]),
        ([NAME, "--out", ""], ["--out: expected a file or directory, found ''"]),
        ([NAME, "--keep", "found"], ["--keep goes with --strategy histogram or histogram-upper"]),
        ([NAME, "--strategy", "cubic", "--finer", "2"], ["--finer goes with --strategy histogram or histogram-upper"]),
        ([NAME, "--strategy", "histogram", "--finer", "0"], ["--finer: expected a positive number, found 0"]),
        ([NAME, "--strategy", "histogram", "--finer", "nan"], ["--finer: expected a positive number, found nan"]),
        ([NAME, "--strategy", "histogram", "--keep", "/dev/null"], ["--keep: /dev/null is not a place for files"]),
        ([NAME, "--strategy", "histogram", "--keep", ""], ["--keep: expected a folder, found ''"]),
        ([NAME, "--strategy", "histogram", "--keep", "-"], ["--keep: nothing can be written to standard output here"]),
        ([NAME, "--strategy", "histogram", "--keep", "/dev/null/x/y"], ["--keep: cannot make the folder /dev/null/x/"]),
        ([NAME, "--strategy", "cubic,trivial"], ["expected one ID, found 'cubic,trivial'; give the option once"]),
        (["nonsense", "--strategy", "cubic"], ["no model of the zoo named 'nonsense'", "names look like max-of-4/123"]),
        (["none.safetensors", "--strategy", "cubic"], ["none.safetensors: No such file or directory"]),
        ([".", "--strategy", "cubic"], [".: Is a directory"]),
        (["/dev/null", "--strategy", "cubic"], ["/dev/null: not a safetensors file"]),
        (["x" * 5000, "--strategy", "cubic"], [""]),
    ],
)
def test_prove_errors(run: Run, words: list[str], fragments: list[str]) -> None:
    """Each mistake is one line that says what to do."""
    one_error_line(run("prove", *words), *fragments)


def test_models_that_are_not_supported(run: Run) -> None:
    """The loader's message arrives, with the file."""
    save_file(tiny().state_dict() | {"blocks.0.ln1.w": np.ones(4)}, "ln.safetensors")
    result = run("prove", "ln.safetensors", "--strategy", "cubic")
    one_error_line(result, "ln.safetensors: found blocks.0.ln1.w, which a decoder", "does not have")


def test_nothing_is_proved_before_all_is_known_to_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy that is unknown or infeasible, or a place that cannot be written, is found at once."""
    monkeypatch.setattr(cp.Prover, "prove", lambda *_: pytest.fail("started to prove"))
    Path("file").write_text("keep me")
    for words in (
        ["--strategy", "cubic", "--strategy", "brute-force"],
        ["--strategy", "cubic", "--strategy", "magic"],
        ["--strategy", "cubic", "--out", "none/c.json"],
        ["--strategy", "cubic", "--out", "file"],
        ["--strategy", "cubic", "--strategy", "trivial", "--out", "file"],
        ["--all", "--out", "file/below"],
    ):
        one_error_line(run("prove", "max-of-10/123", *words))
    assert Path("file").read_text() == "keep me"


# prove --out


def test_out_file(run: Run) -> None:
    """One strategy goes to the file that is named, and a second time over it."""
    for _ in range(2):
        result = run("prove", NAME, "--strategy", "cubic", "--out", "c.json")
        assert (result.code, result.err) == (0, "")
        assert result.out.endswith("1 certificate written to c.json\n")
    assert [path.name for path in Path().iterdir()] == ["c.json"]
    assert run("verify", "c.json", NAME).code == 0


def test_out_directory(run: Run) -> None:
    """Several strategies go to a directory, which is made; names have no slashes."""
    result = run("prove", NAME, "--strategy", "cubic", "--strategy", HINTED, "--out", "deep/er")
    assert result.out.endswith("2 certificates written to deep/er\n")
    names = ["cubic.cert.json", f"{HINTED.replace('/', '--')}.cert.json"]
    assert sorted(path.name for path in Path("deep/er").iterdir()) == names
    for name in names:
        assert run("verify", f"deep/er/{name}", NAME).code == 0


def test_out_directory_for_one(run: Run) -> None:
    """One strategy and a directory that is there: the certificate goes into it."""
    Path("there").mkdir()
    result = run("prove", NAME, "--strategy", "cubic", "--out", "there")
    assert result.out.endswith("1 certificate written to there/cubic.cert.json\n")


@pytest.mark.parametrize("content", ["", "my thesis", '{"format": "other"}', "\x00\x01"])
def test_out_spares_other_files(run: Run, content: str) -> None:
    """Only certificates are replaced; of several targets none is written if one cannot be."""
    Path("dir").mkdir()
    for path in (Path("thesis"), Path("dir/cubic.cert.json")):
        path.write_text(content)
    message = "exists and is not a certificate; choose another name"
    one_error_line(run("prove", NAME, "--strategy", "cubic", "--out", "thesis"), f"--out: thesis {message}")
    one_error_line(run("prove", NAME, "--strategy", "trivial", "--strategy", "cubic", "--out", "dir"), message)
    assert Path("thesis").read_text() == Path("dir/cubic.cert.json").read_text() == content
    assert len(list(Path("dir").iterdir())) == 1


def test_out_is_a_model(run: Run, model_file: Path) -> None:
    """The most precious file to overwrite by a slip."""
    before = model_file.read_bytes()
    one_error_line(run("prove", model_file, "--strategy", "cubic", "--out", model_file), "is not a certificate")
    assert model_file.read_bytes() == before


def test_out_errors(run: Run) -> None:
    """Places that cannot be written are named."""
    Path("file").write_text("")
    Path("dir/cubic.cert.json").mkdir(parents=True)
    one_error_line(run("prove", NAME, "--strategy", "cubic", "--out", "none/c.json"), "directory none does not exist")
    one_error_line(run("prove", NAME, "--strategy", "cubic", "--out", "file/c.json"), "file")
    one_error_line(run("prove", NAME, "--strategy", "cubic", "--out", "dir"), "dir/cubic.cert.json: Is a directory")
    words = ("--strategy", "cubic", "--strategy", "trivial", "--out", "file")
    one_error_line(run("prove", NAME, *words), "--out: file is a file; 2 certificates need a directory")


def test_out_without_permission(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without write permission; root has every permission, so the system's answer is simulated."""
    Path("locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path).name != "locked")
    words = ("prove", NAME, "--strategy", "cubic", "--out", "locked")
    one_error_line(run(*words), "--out: cannot write to the directory locked")


def test_out_when_the_disk_is_full(run: Run, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old certificate stays, no half file is left, and the message names the target, not a temporary file."""
    before = certificate.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", "temporary")

    monkeypatch.setattr(os, "fsync", full)
    result = run("prove", NAME, "--strategy", "trivial", "--out", certificate)
    one_error_line(result, f"--out: cannot write {certificate}: No space left on device")
    assert certificate.read_bytes() == before
    assert [path.name for path in Path().iterdir()] == [certificate.name]


def test_certificates_are_kept_when_a_later_proof_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each certificate is written as soon as it is there."""
    original = cp.Prover.prove

    def prove(prover: cp.Prover, strategy_id: str) -> cp.Proof:
        if strategy_id == "cubic":
            raise MemoryError("Unable to allocate 1 TiB")
        return original(prover, strategy_id)

    monkeypatch.setattr(cp.Prover, "prove", prove)
    result = run("prove", NAME, "--strategy", "trivial", "--strategy", "cubic", "--out", "kept")
    one_error_line(result, "not enough memory for this model (Unable to allocate 1 TiB)")
    assert [path.name for path in Path("kept").iterdir()] == ["trivial.cert.json"]


# verify


def test_verify(run: Run, certificate: Path) -> None:
    """Accepted is 0, rejected is 1, each with one line that says why."""
    claimed = cp.Certificate.load(certificate).certified
    accepted = f"accepted: at least {claimed} of 16777216 inputs are answered correctly{by('core')}\n"
    assert run("verify", certificate, NAME) == Result(0, accepted, "")
    result = run("verify", certificate, "max-of-4/50")
    assert (result.code, result.err, result.out.count("\n")) == (1, "", 1)
    assert result.out.startswith("rejected: model_sha256: the certificate is about another model")


def test_verify_too_high_a_claim(run: Run, certificate: Path) -> None:
    """The reason has both numbers."""
    fields = json.loads(certificate.read_text())
    proved = int(fields["certified"])
    certificate.write_text(json.dumps(fields | {"certified": str(proved + 1)}))
    result = run("verify", certificate, NAME)
    assert result.code == 1
    reason = f"the certificate claims at least {proved + 1} inputs, the check proves at least {proved}"
    assert result.out == f"rejected: certified: {reason}\n"


def test_verify_json(run: Run, certificate: Path) -> None:
    """The same as JSON, with the same exit codes."""
    result = run("verify", certificate, NAME, "--json")
    verdict = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert list(verdict) == [
        "outcome", "reason", "strategy", "tier", "distribution", "version", "source_sha256",
        "claim", "claimed", "recomputed", "total", "work", "verify_seconds",
    ]  # fmt: skip
    assert (verdict["outcome"], verdict["strategy"], verdict["total"]) == ("accepted", "cubic", str(64**4))
    assert verdict["claim"] == "at least"
    assert verdict["claimed"] == verdict["recomputed"] == str(cp.Certificate.load(certificate).certified)
    assert verdict["work"] > 0
    assert (verdict["tier"], verdict["distribution"], verdict["version"]) == ("core", "compactproofs", cp.__version__)
    assert re.fullmatch("[0-9a-f]{64}", verdict["source_sha256"])

    result = run("verify", certificate, "max-of-4/50", "--json")
    verdict = json.loads(result.out)
    assert (result.code, verdict["outcome"], verdict["recomputed"]) == (1, "rejected", None)

    result = run("verify", "none.json", NAME, "--json")
    assert result.code == 2
    assert json.loads(result.out) == {"outcome": "malformed", "reason": "none.json: No such file or directory"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "bad.json: not valid JSON"),
        (b"\x00\xff" * 500, "bad.json: not UTF-8 text"),
        (b"{}", "bad.json: format: expected"),
        (b"[" * 50_000, "bad.json: JSON nested too deeply"),
        (b'{"a": NaN}', "bad.json: the number NaN is not an integer"),
        (b'{"a": 1, "a": 1}', "bad.json: the key a appears twice"),
        (b" " * (MAX_BYTES + 1), "bad.json: the file is larger than 16777216 bytes"),
    ],
)
def test_verify_malformed(run: Run, content: bytes, reason: str) -> None:
    """Whatever is in the file: exit code 2 and one line."""
    Path("bad.json").write_bytes(content)
    for command in ("verify", "show"):
        result = run(command, "bad.json", *([NAME] if command == "verify" else []))
        assert result.code == 2
        text = result.out if command == "verify" else result.err
        assert text.startswith("malformed: " if command == "verify" else "error: ")
        assert text.count("\n") == 1
        assert reason in text


def test_files_that_are_not_there(run: Run, certificate: Path) -> None:
    """Those of names like it are named, wherever a file is read."""
    shutil.copy(certificate, "mine.cert.json")
    for words in (("verify", "mine.cert.jsn", NAME), ("verify", "mime.cert.json", NAME), ("show", "mine.cert.jso")):
        result = run(*words)
        assert result.code == 2
        assert "did you mean mine.cert.json?" in result.out + result.err
        assert (result.out + result.err).count("\n") == 1


def test_usage_of_the_command_that_was_asked(run: Run) -> None:
    """The help that is named is that command's, wherever usage is wrong."""
    for words in (("table1", "--out"), ("prove", NAME, "--seconds"), ("sweep", "--dout"), ("verify",)):
        assert run(*words).err.endswith(f"; see 'compactproofs {words[0]} --help'\n")
    for words in (("table2", "--out"), ("--nothing",)):
        assert run(*words).err.endswith("; see 'compactproofs --help'\n")


def test_verify_unreadable(run: Run, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories, missing files, models in the place of certificates and the other way round."""
    Path("dir.json").mkdir()
    shutil.copy(zoo.path(NAME), "model.safetensors")
    swapped = "is no certificate; the order is: verify CERTIFICATE MODEL"
    for words, reason in (
        (["dir.json", NAME], "dir.json holds no files named *.cert.json"),
        (["", NAME], "certificate: expected a path, found ''"),
        ([certificate, ""], "model: expected a path, found ''"),
        ([NAME, certificate], f"{NAME} {swapped}"),
        ([NAME, "none.json"], f"{NAME} {swapped}"),
        ([NAME, "dir.json"], f"{NAME} {swapped}"),
        ([NAME, "."], f"{NAME} {swapped}"),
        (["model.safetensors", certificate], f"model.safetensors {swapped}"),
        (["none.safetensors", certificate], f"none.safetensors {swapped}"),
        ([NAME, NAME], f"{NAME}: No such file or directory"),
        (["none.json", NAME], "none.json: No such file or directory"),
        ([f"{certificate}/x", NAME], f"{certificate}/x: Not a directory"),
        (["model.safetensors", NAME], f"model.safetensors {swapped}"),
        ([certificate, certificate], f"{certificate}: not a safetensors file but a certificate"),
        ([certificate, "max-of-4/12"], "did you mean"),
        ([certificate, "none.safetensors"], "none.safetensors: No such file or directory"),
    ):
        result = run("verify", *words)
        assert (result.code, result.err, result.out.count("\n")) == (2, "", 1)
        assert result.out.startswith("malformed: ")
        assert reason in result.out

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(certificate))

    monkeypatch.setattr(Path, "open", denied)
    assert run("verify", certificate, NAME) == Result(2, f"malformed: {certificate}: Permission denied\n", "")


@pytest.fixture
def proofs(run: Run) -> Path:
    """A directory of three certificates for the zoo's model, and a file that is none."""
    words = [word for strategy in ("cubic", "trivial", HINTED) for word in ("--strategy", strategy)]
    assert run("prove", NAME, *words, "--out", "proofs").code == 0
    Path("proofs/notes.json").write_text("not a certificate")
    return Path("proofs")


def test_verify_directory(run: Run, proofs: Path) -> None:
    """One line for each certificate, by name, and one for files of other names."""
    result = run("verify", proofs, NAME)
    assert (result.code, result.err) == (0, "")
    files = sorted(proofs.glob("*.cert.json"))
    tiers = {HINTED: "subcubic", "cubic": "core", "trivial": "trivial"}
    assert result.out.splitlines() == [
        *(
            f"accepted: {claim}{by(tiers[claim.strategy])} ({file.name})"
            for file, claim in ((file, cp.Certificate.load(file)) for file in files)
        ),
        "3 certificates checked: 3 accepted",
        "not checked: 1 file not named *.cert.json (notes.json)",
    ]
    assert len(files) == 3


def test_verify_directory_with_mixed_outcomes(run: Run, proofs: Path) -> None:
    """Each certificate has its own outcome whatever the others are; the exit code is that of the worst."""
    fields = json.loads((proofs / "cubic.cert.json").read_text())
    proved = int(fields["certified"])
    (proofs / "high.cert.json").write_text(json.dumps(fields | {"certified": str(proved + 1)}))
    rejected = f"certified: the certificate claims at least {proved + 1} inputs, the check proves at least {proved}"
    result = run("verify", proofs, NAME)
    assert (result.code, result.err, result.out.count("accepted: "), result.out.count("\n")) == (1, "", 3, 6)
    assert f"\nrejected: {rejected} (high.cert.json)\n" in result.out

    (proofs / "a.cert.json").write_text("{}")
    (proofs / "b.cert.json").mkdir()
    (proofs / "c.cert.json").write_text(json.dumps(fields | {"strategy": "[red]magic"}))
    result = run("verify", proofs, NAME)
    assert (result.code, result.err, result.out.count("accepted: "), result.out.count("\n")) == (2, "", 3, 9)
    for file, reason in (
        ("a", "proofs/a.cert.json: format: expected 'compactproofs certificate', found None"),
        ("b", "proofs/b.cert.json: Is a directory"),
        ("c", "strategy: unknown strategy '[red]magic'; "),
    ):
        (line,) = [line for line in result.out.splitlines() if line.endswith(f" ({file}.cert.json)")]
        assert line.startswith(f"malformed: {reason}")

    result = run("verify", proofs, NAME, "--json")
    assert result.code == 2
    assert result.err.startswith("7 certificates checked: 3 accepted, 1 rejected, 3 malformed\nnot checked: 1 file ")
    outcomes = json.loads(result.out)
    files = sorted(file.name for file in proofs.glob("*.cert.json"))
    assert [outcome["certificate"] for outcome in outcomes] == files
    words = {outcome["certificate"].partition(".")[0]: outcome["outcome"] for outcome in outcomes}
    assert words.pop("high") == "rejected"
    assert [words.pop(name) for name in "abc"] == ["malformed"] * 3
    assert set(words.values()) == {"accepted"}
    for outcome in outcomes:
        if outcome["certificate"] == "b.cert.json":  # as an argument, a directory is looked into
            continue
        single = run("verify", proofs / outcome.pop("certificate"), NAME, "--json")
        alone = json.loads(single.out)
        assert single.code == {"accepted": 0, "rejected": 1, "malformed": 2}[alone["outcome"]]
        assert {**alone, "work": 0, "verify_seconds": 0} == {**outcome, "work": 0, "verify_seconds": 0}

    result = run("verify", proofs, "max-of-4/50")
    assert (result.code, result.out.count("rejected: model_sha256: "), result.out.count("accepted")) == (2, 4, 0)


def test_verify_directory_that_cannot_be_used(run: Run, proofs: Path) -> None:
    """An empty directory proves nothing, and an unknown model fails once; as JSON it is a list as well."""
    Path("empty").mkdir()
    for words, reason in (
        (["empty", NAME], "empty holds no files named *.cert.json"),
        ([proofs, "none"], "there is no file and no model of the zoo named 'none'"),
    ):
        result = run("verify", *words)
        assert (result.code, result.err, result.out.count("\n")) == (2, "", 1)
        assert result.out.startswith(f"malformed: {reason}")
        result = run("verify", *words, "--json")
        (outcome,) = json.loads(result.out)
        assert (result.code, outcome["outcome"]) == (2, "malformed")
        assert outcome["reason"].startswith(reason)


def test_upper_bounds(run: Run, also: Callable[[cp.Strategy], None]) -> None:
    """A strategy that proves "at most": its claim is proved, printed, verified, and rejected where it is too low."""
    strategy = dataclasses.replace(
        cp.STRATEGIES["trivial"], id="ceiling", bound=lambda work, hints: 123, claim="at most", theorem="for this test"
    )
    also(strategy)
    result = run("prove", NAME, "--strategy", "ceiling", "--out", "c.cert.json")
    assert (result.code, result.err) == (0, "")
    assert "  ≤ 123 " in result.out
    (row,) = json.loads(run("prove", NAME, "--strategy", "ceiling", "--json").out)
    assert (row["claim"], row["certified"]) == ("at most", "123")
    text = "at most 123 of 16777216 inputs are answered correctly"
    assert run("verify", "c.cert.json", NAME) == Result(0, f"accepted: {text}{by('unknown')}\n", "")
    assert json.loads(run("verify", "c.cert.json", NAME, "--json").out)["claim"] == "at most"
    assert f"claims (unchecked) that {text}\n" in run("show", "c.cert.json").out
    fields = json.loads(Path("c.cert.json").read_text())
    Path("c.cert.json").write_text(json.dumps(fields | {"certified": "122"}))
    reason = "certified: the certificate claims at most 122 inputs, the check proves at most 123"
    assert run("verify", "c.cert.json", NAME) == Result(1, f"rejected: {reason}\n", "")
    Path("c.cert.json").write_text(json.dumps(fields | {"claim": "at least"}))
    reason = "claim: ceiling proves 'at most', not 'at least'"
    assert run("verify", "c.cert.json", NAME) == Result(1, f"rejected: {reason}\n", "")


def test_verify_limits(run: Run, certificate: Path) -> None:
    """What is too much is neither malformed nor rejected, and says what to allow."""
    less = run("verify", certificate, NAME, "--max-ops", "2^20")
    assert (less.code, less.err) == (2, "")
    assert less.out.startswith(
        "refused: cubic may take 2^27.5 operations on this model, and 2^20.0 are allowed; allow "
    )
    less = run("verify", certificate, NAME, "--max-memory", "0.25", "--json")
    assert (less.code, json.loads(less.out)["outcome"]) == (2, "refused")
    assert run("verify", certificate, NAME, "--max-ops", "2^30", "--max-memory", "0.75").code == 0
    assert run("verify", certificate, NAME, "--max-memory", "1e300").code == 0
    for option in ("--max-ops=2^", "--max-ops=-1", "--max-ops=nan", "--max-ops=1e400"):
        expected = "a number of operations from 0 to below 2^63, such as 2^20.5 or 1.6e6"
        line = f"error: --max-ops: expected {expected}, found {option[10:]!r}\n"
        assert run("verify", certificate, NAME, option) == Result(2, "", line)
    for option in ("--max-memory=-1", "--max-memory=x", "--max-memory=nan"):
        odd = run("verify", certificate, NAME, option)
        assert (odd.code, odd.out, odd.err.count("\n")) == (2, "", 1)


def test_what_the_check_needs_is_said_when_it_is_proved(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is more than the defaults of `verify`."""
    monkeypatch.setattr(effort, "MAX_OPS", 2**20)
    proved = run("prove", NAME, "--strategy", "cubic", "--out", "c")
    assert (proved.code, proved.err) == (0, "note: to check cubic, verify needs --max-ops 2^28\n")
    assert run("verify", "c", NAME).code == 2
    assert run("verify", "c", NAME, "--max-ops", "2^28").code == 0


def test_progress_of_a_check(run: Run, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sees what is checked and how far it is."""
    stream = io.StringIO()
    monkeypatch.setattr(verifying, "err", Console(file=stream, force_terminal=True, width=100))
    assert run("verify", certificate, NAME).code == 0
    assert "checking cubic" in stream.getvalue()
    assert " operations" in stream.getvalue()


def test_verify_hostile_texts(run: Run, certificate: Path) -> None:
    """Texts in a certificate cannot colour, move or break what is printed."""
    fields = json.loads(certificate.read_text())
    for text in ("[bold]x[/bold]", "[/]", "[link=http://x]y[/link]", ":smile:", "\\[", "[" * 50, "[/red] [bold"):
        for key in ("strategy", "theorem", "tool"):
            Path("c.json").write_text(json.dumps(fields | {key: text}))
            for words in (("verify", "c.json", NAME), ("show", "c.json")):
                result = run(*words)
                assert result.code in (0, 1, 2)
                if not (words[0] == "verify" and key == "tool"):
                    assert text in result.out or ascii(text) in result.out or repr(text) in result.out
        Path("c.json").write_text(json.dumps(fields | {text: 1}))
        assert text in run("verify", "c.json", NAME).out


@pytest.mark.parametrize(
    "name", ["[bold]x[", "[", ":bomb:", "a b", "-dash", "\\[x]", "été", "{}", "%s", "[link=x]", "'q'", "x\\"]
)
def test_file_names(run: Run, certificate: Path, name: str) -> None:
    """File names are printed as they are, markup or not."""
    path = Path(f"{name}.json")
    shutil.copy(certificate, path)
    typed = f"./{path}"
    assert run("verify", typed, NAME).code == 0
    assert run("show", typed).code == 0
    path.write_text("{}")
    assert f"malformed: {path}: format" in run("verify", typed, NAME).out
    path.unlink()
    assert f"malformed: {path}: No such file" in run("verify", typed, NAME).out
    assert f"written to {path}\n" in run("prove", NAME, "--strategy", "trivial", "--out", typed).out
    assert name in run("prove", f"./{name}", "--strategy", "trivial").err
    model = Path(f"{name}.safetensors")
    tiny().save(model)
    assert run("prove", f"./{model}", "--strategy", "trivial").out.startswith(f"./{model}: max of 3")


# show


def test_show(run: Run, certificate: Path, model_file: Path) -> None:
    """Certificates and models in words, with a certificate's claim marked as unchecked."""
    result = run("show", certificate)
    claim = cp.Certificate.load(certificate)
    assert (result.code, result.err) == (0, "")
    assert f"claims (unchecked) that at least {claim.certified} of 16777216 inputs" in result.out
    for text in (claim.model_sha256, "max-of-k, n_ctx 4, d_vocab 64", "cubic", claim.theorem, claim.tool):
        assert text in result.out

    shutil.copy(certificate, "certificate")
    assert run("show", "certificate") == result

    result = run("show", NAME)
    assert "max of 4, 64 tokens, d_model 32, d_head 32" in result.out
    assert cp.load_model(NAME).sha256 in result.out
    assert "16772438 inputs correct" in result.out
    assert "unknown" in run("show", model_file).out


def test_show_errors(run: Run, model_file: Path) -> None:
    """What cannot be shown is named."""
    Path("empty").write_bytes(b"")
    one_error_line(run("show", "."), ".: Is a directory")
    one_error_line(run("show", "none"), "there is no file and no model of the zoo named 'none'")
    one_error_line(run("show", "none.safetensors"), "none.safetensors: No such file")
    one_error_line(run("show", "empty"), "empty: not a safetensors file")


# train


def test_train_without_pytorch(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "torch" or "compactproofs.training" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(cp, "training", raising=False)

    class Block:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name.partition(".")[0] == "torch":
                raise ModuleNotFoundError(f"No module named {name!r}", name="torch")

    monkeypatch.setattr(sys, "meta_path", [Block, *sys.meta_path])
    one_error_line(run("train", "--out", "models", "--seed", "1"), 'pip install "compactproofs[train]"')
    assert not Path("models").exists()


def test_train_asks_for_seeds(run: Run) -> None:
    """Either seeds or the paper's seeds, not both, not neither."""
    pytest.importorskip("torch", reason="needs the extra train")
    for words in ([], ["--seed", "1", "--paper-seeds"]):
        one_error_line(run("train", "--out", "models", *words), "choose seeds: --seed N")
    one_error_line(run("train", "--out", "models", "--seed", "1", "--n-ctx", "0"), "n_ctx: expected an integer")
    one_error_line(run("train", "--out", "models", "--seed", "1", "--d-vocab", "1"), "d_vocab: expected an integer")


# Bugs and interruptions


def test_a_bug_is_not_a_rejection(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An error that no user can cause shows its traceback, and leaves with 2 rather than Python's 1."""

    def broken(name: str) -> cp.Model:
        raise AssertionError("a bug")

    monkeypatch.setattr(proving, "open_file", broken)
    assert entry.run(["prove", NAME, "--strategy", "cubic"]) == 2
    assert "AssertionError: a bug" in capsys.readouterr().err


@pytest.fixture
def command() -> list[str]:
    """The command that was installed, for real processes."""
    path = Path(sys.executable).with_name("compactproofs")
    return [str(path)] if path.exists() else [sys.executable, "-m", "compactproofs"]


def test_processes(command: list[str], certificate: Path) -> None:
    """The exit codes as the shell sees them, and machine-readable output on stdout alone."""
    for words, code in (
        (["verify", certificate, NAME], 0),
        (["verify", certificate, "max-of-4/50"], 1),
        (["verify", "none", NAME], 2),
    ):
        result = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        assert result.returncode == code
        assert "Traceback" not in result.stderr
    result = subprocess.run(
        [*command, "prove", NAME, "--strategy", "cubic", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout)[0]["strategy"] == "cubic"
    assert result.stderr == ""


def test_plain_terminals(command: list[str]) -> None:
    """Without colours and without Unicode, everything is still there."""
    result = subprocess.run(
        [*command, "prove", NAME, "--strategy", "cubic"],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "TERM": "dumb", "NO_COLOR": "1"},
    )
    assert b"cubic" in result.stdout.decode("ascii").encode()
    assert b"\x1b" not in result.stdout + result.stderr


def test_interrupt_in_words(run: Run, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command says about its interruption is printed."""

    def interrupted(name: str) -> cp.Model:
        raise KeyboardInterrupt("interrupted: [1] of 2 are done")

    monkeypatch.setattr(verifying, "open_file", interrupted)
    assert run("verify", "c.json", NAME) == Result(130, "", "interrupted: [1] of 2 are done\n")
