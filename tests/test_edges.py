"""The edges of the command line: streams that are closed, full or ASCII, signals, broken installations, odd files.

Whatever happens, only a rejection ends in 1, and there is no traceback.  All commands that the program has are tried.
As a program this file runs commands in forks of itself.
"""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import compactproofs as cp

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and signals")

CORPUS = Path(__file__).resolve().parent / "certificates"
LADDER = str(CORPUS / "models" / "ladder.safetensors")
SPOILED = str(CORPUS / "models" / "spoiled.safetensors")
GOOD = str(CORPUS / "accept" / "ladder--cubic--proved.cert.json")
FALSE = str(sorted((CORPUS / "reject").glob("ladder--certified--*"))[0])
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

#: Something that each command does at once; of others, the help is printed.
WORDS: dict[str, list[str]] = {
    "strategies": [],
    "zoo": [],
    "prove": [LADDER, "--strategy", "cubic", "--strategy", "branch-and-bound-upper"],
    # One part of two: the table would start threads of Polars, with which no process can be forked.
    "sweep": [LADDER, "--strategy", "cubic", "--strategy", "trivial", "--shard", "1/2", "--out", "swept"],
    "verify": [GOOD, LADDER],
    "show": [GOOD],
    "sample": [LADDER, "--out", "claim.txt"],
    "train": ["--out", "models"],
    "train-pairs": ["S3", "--out", "models"],
    "tighten": [LADDER, "--steps", "0", "--out", "models"],
    "table1": ["--out", "results", "--seeds", "0"],
    "frontier": ["--out", "results", "--seeds", "0"],
    "explain": [LADDER, "--out", "page.txt"],
}

#: Those that load packages for tables, statistics and figures.
HEAVY = ("sweep", "table1", "frontier", "explain")

_SECONDS = re.compile(r"\d+\.\d\d(?= s)|(?<=_seconds\": )[0-9.e-]+")


class Ended(NamedTuple):
    """How a command ended: its exit code, or the negative number of a signal, and what it wrote, without times."""

    code: int
    out: str
    err: str


Try = Callable[..., Ended]


@pytest.fixture(scope="module")
def attempt() -> Iterator[Try]:
    """Runs commands in forks of a process: words, and keywords as `_become` understands them.

    Commands that load much have a process of their own, for it takes long to fork one in which much is loaded.
    """
    with contextlib.ExitStack() as stack:

        @cache
        def process_for(names: tuple[str, ...]) -> subprocess.Popen[str]:
            program = [sys.executable, __file__, *names]
            return stack.enter_context(
                subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
            )

        def call(*words: object, **how: Any) -> Ended:
            process = process_for(HEAVY if words and words[0] in HEAVY else ())
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"words": list(map(str, words)), "cwd": str(Path.cwd()), **how}) + "\n")
            process.stdin.flush()
            code, *texts = json.loads(process.stdout.readline())
            ended = Ended(code, *(_SECONDS.sub("0.00", text) for text in texts))
            assert "Traceback" not in ended.out + ended.err
            assert ended.code != 1 or FALSE in words
            return ended

        yield call


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty directory."""
    monkeypatch.chdir(tmp_path)


def commands() -> dict[str, list[str]]:
    """All commands of the program, each with words to try."""
    from compactproofs.cli.app import program

    return {name: [name, *WORDS.get(name, ["--help"])] for name in program().commands}


def every_case() -> list[list[str]]:
    """Each command, its help, wrong usage of it, and a rejection."""
    ways = ([words, [name, "--help"], [name, "--no-such-option"]] for name, words in commands().items())
    return [*itertools.chain.from_iterable(ways), *other_cases()]


def other_cases() -> list[list[str]]:
    """A rejection, and what names no command."""
    return [
        ["verify", FALSE, LADDER],
        ["verify", FALSE, LADDER, "--json"],
        [],
        ["--version"],
        ["no-such-command"],
    ]


# Streams


def test_streams(attempt: Try) -> None:
    """A closed stream or a reader that went away changes no exit code; output that a disk cannot hold is an error."""
    some = [["prove", "--help"], ["prove", "--no-such-option"]]  # the same code for all commands
    kinds = ["closed", "broken"]
    for number, words in enumerate((*commands().values(), *some, *other_cases())):
        usual = attempt(*words)
        assert usual.code in (0, 1, 2)
        assert (usual.code == 1) == (FALSE in words)
        one, other = kinds if number % 2 else reversed(kinds)
        assert attempt(*words, stdout=one) == usual._replace(out=""), (words, one)
        assert attempt(*words, stderr=other) == usual._replace(err=""), (words, other)
        if number % 4 < 2:
            assert attempt(*words, stdout=other, stderr=one).code == usual.code
        else:
            assert attempt(*words, stderr="full") == usual._replace(err=""), words
        full = attempt(*words, stdout="full")
        if usual.out and words:
            error = "error: standard output: No space left on device\n"
            assert (full.code, full.err) == (2, usual.err + error), words
        else:
            assert full.code == usual.code


def test_encodings(attempt: Try) -> None:
    """What an encoding lacks is written in ASCII: each command in each encoding, as it is, with its help or wrongly."""
    encodings = ("ascii", "cp1252", "latin-1")
    for number, words in enumerate(every_case()):
        usual = attempt(*words)
        for encoding in encodings if words == commands()["prove"] else (encodings[number % 3],):
            written = attempt(*words, encoding=encoding)
            assert written.code == usual.code
            if written.out.isascii() and "╭" not in usual.out:  # but for the frames of the help
                assert len(written.out.splitlines()) == len(usual.out.splitlines())
            assert "<= " in written.out or words != commands()["prove"]


def test_names_that_an_encoding_lacks(attempt: Try, tmp_path: Path) -> None:
    """They are written in ASCII, as are bytes that are no text."""
    for name in (b"\xe2\x82\xac.json", b"\xff.json"):
        Path(os.fsdecode(name)).write_text("{}")
    for encoding in ("ascii", "utf-8"):
        assert attempt("verify", ".", LADDER, encoding=encoding).code == 2
        ended = attempt("verify", "./\udcff.json", LADDER, encoding=encoding)
        assert ended.out.startswith("malformed: \\udcff.json: format: ")
    assert attempt("verify", "./€.json", LADDER, encoding="ascii").out.startswith("malformed: \\u20ac.json: format: ")


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals(attempt: Try, number: signal.Signals) -> None:
    """At any moment, one of three: the command ends with 128 and the number, or has ended, or has not begun."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("ignored by all that starts here, as under nohup")
    seen = set()
    delays = (0.0005, 0.004, 0.03)
    for place, words in enumerate((["prove", LADDER, "--all", "--out", "proofs"], *commands().values())):
        for delay in delays if place == 0 else (delays[(place + number) % 3],):
            ended = attempt(*words, signal=number, delay=delay)
            assert ended.code in (0, 2, 128 + number, -number), (words, delay, ended)
            if ended.code == 128 + number:
                said = ended.err.strip().partition(":")[0]
                assert said in ("interrupted", "terminated", "hung up", "")  # the last: while it was said
            seen.add(ended.code)
            assert not [path for path in Path().rglob("*") if path.name.endswith(".tmp")]
    assert 128 + number in seen


def program(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "compactproofs", *words],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT | environment,
    )


def test_interrupted_at_the_beginning_and_at_the_end(tmp_path: Path) -> None:
    """While NumPy is imported, and while Python shuts down."""
    Path("early").mkdir()
    Path("early/numpy.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass\n")
    ended = program("zoo", PYTHONPATH=str(tmp_path / "early"))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")
    Path("late").mkdir()
    Path("late/sitecustomize.py").write_text(
        "import atexit, os, signal\natexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
    )
    ended = program("--version", PYTHONPATH=str(tmp_path / "late"))
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")
    assert ended.stdout.startswith("compactproofs ")


# Installations


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("raise ImportError('\\n\\nIMPORTANT: read this\\n\\nno  luck')", "IMPORTANT: read this no luck"),
        ("raise AttributeError('_ARRAY_API not found')", "_ARRAY_API not found"),
    ],
)
def test_an_import_that_fails(tmp_path: Path, code: str, cause: str) -> None:
    """Without a NumPy that works nothing works, which is one line."""
    Path("numpy.py").write_text(code)
    ended = program("verify", GOOD, LADDER, PYTHONPATH=str(tmp_path))
    assert (ended.returncode, ended.stdout) == (2, "")
    line = f"error: this package, or one that it needs, cannot be loaded; install it anew ({cause})\n"
    assert ended.stderr == line


def test_the_package_alone_needs_nothing() -> None:
    """So the entry point is there to say what is missing."""
    code = "import sys, compactproofs.__main__; print({'numpy', 'typer', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_few_digits(attempt: Try, tmp_path: Path) -> None:
    """Counts of more digits than the environment allows."""
    import numpy as np

    import compactproofs as cp

    v, n = 64, 1024
    shapes = {"W_E": (v, 2), "W_pos": (n, 2), "W_Q": (2, 1), "W_K": (2, 1), "W_V": (2, 1), "W_O": (1, 2), "W_U": (2, v)}
    cp.Model(**{name: np.ones(list(shape)) for name, shape in shapes.items()}).save("long.safetensors")
    ended = program("show", "long.safetensors", PYTHONINTMAXSTRDIGITS="640")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert str(v**n) in ended.stdout
    for words in (
        ("prove", "long.safetensors", "--strategy", "trivial", "--out", "c"),
        ("verify", "c", "long.safetensors"),
    ):
        assert program(*words, PYTHONINTMAXSTRDIGITS="640").returncode == 0


def test_pipes_of_the_shell() -> None:
    """`set -o pipefail` and a reader of one line: all are accepted, so the exit code is 0."""
    Path("proofs").mkdir()
    for index in range(3):
        Path(f"proofs/{index}.cert.json").write_bytes(Path(GOOD).read_bytes())
    line = f"'{sys.executable}' -m compactproofs verify proofs '{LADDER}'"
    for script, out in ((f"{line} | head -1", "accepted: "), (f"{line} | true", ""), (f"{line} >&-", "")):
        ended = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {script}"],
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith(out)


# Words


@pytest.mark.parametrize(
    "budget",
    ["0^-1", "-8^0.5", "2^", "^", "^2", "nan", "inf", "-1", "1e-3", "1e400", "2^63", "10^400", "2^2^2", "٢", "", "1_0"],
)
def test_budgets_that_are_none(attempt: Try, budget: str) -> None:
    """One line."""
    ended = attempt("prove", LADDER, f"--budget={budget}")
    assert (ended.code, ended.out) == (2, "")
    expected = "a number of operations from 0 to below 2^63, such as 2^20.5 or 1.6e6"
    assert ended.err == f"error: --budget: expected {expected}, found {budget!r}\n"
    assert attempt("tighten", LADDER, "--out", "no", f"--budget={budget}") == ended


def test_budgets(attempt: Try) -> None:
    """Powers may be broken, and spaces are nothing."""
    from compactproofs.cli.common import operations_of

    for budget, number in {"1e4": 10_000, "2^13.5": 11_585, " 12000 ": 12_000, "1.5E+4": 15_000}.items():
        assert operations_of("--budget", budget) == number
    assert attempt("prove", LADDER, "--budget", " 2^13.5").code == 0


# Places


def test_places_that_are_no_files(attempt: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes, sockets, devices and what stands for a stream are refused at once, by each command that writes."""
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    os.mkfifo("pipe.html")
    Path("linked").symlink_to("pipe")
    for name, words in commands().items():
        if "--out" not in attempt(name, "--help").out or name in ("train", "train-pairs", "tighten"):
            continue
        given = words[: words.index("--out")] if "--out" in words else words
        for place in ("pipe", "socket", "linked", "/dev/null", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
            ended = attempt(*given, "--out", f"{place}.html" if name == "explain" and place == "pipe" else place)
            assert (ended.code, ended.out) == (2, ""), (name, place)
            assert ended.err.startswith("error: --out: "), (name, place)
            assert ended.err.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == ["linked", "pipe", "pipe.html", "socket"]


def test_pipes_are_not_read(attempt: Try) -> None:
    """Nothing might ever come from them."""
    os.mkfifo("pipe.cert.json")
    os.mkfifo("pipe.safetensors")
    line = "pipe.safetensors is a pipe; to read from one use - and standard input\n"
    assert attempt("prove", "pipe.safetensors", "--all") == Ended(2, "", f"error: {line}")
    assert attempt("show", "pipe.safetensors") == Ended(2, "", f"error: {line}")
    assert attempt("explain", "pipe.safetensors") == Ended(2, "", f"error: {line}")
    assert attempt("verify", GOOD, "pipe.safetensors") == Ended(2, f"malformed: {line}", "")
    line = line.replace("safetensors", "cert.json")
    assert attempt("verify", "pipe.cert.json", LADDER) == Ended(2, f"malformed: {line}", "")
    assert attempt("verify", ".", LADDER).out.startswith("malformed: pipe.cert.json is a pipe; ")


def test_standard_input_and_output(attempt: Try) -> None:
    """`-` is standard input or output where that makes sense, and refused where it does not."""
    good = Path(GOOD).read_bytes()
    assert attempt("verify", "-", LADDER, stdin=GOOD).out.startswith("accepted: at least ")
    assert attempt("verify", GOOD, "-", stdin=LADDER).code == 0
    assert attempt("show", "-", stdin=GOOD) == attempt("show", GOOD)
    assert attempt("prove", "-", "--strategy", "cubic", stdin=LADDER).out.startswith("-: max of ")
    ended = attempt("prove", LADDER, "--strategy", "cubic", "--out", "-")
    assert cp.Certificate.from_bytes(ended.out.encode()).to_bytes() == cp.Certificate.from_bytes(good).to_bytes()
    assert " cubic\n" in ended.err
    for words, reason in (
        (("verify", "-", "-"), "malformed: standard input cannot be both the certificate and the model"),
        (("verify", "-", LADDER), "malformed: /dev/stdin: not valid JSON"),
        (
            ("prove", LADDER, "--strategy", "cubic", "--json", "--out", "-"),
            "error: --out -: standard output cannot hold",
        ),
        (("prove", LADDER, "--all", "--out", "-"), "error: --out -: "),
        (("table1", "--out", "-"), "error: --out: nothing can be written to standard output here"),
        (("frontier", "--out", "-"), "error: --out: nothing can be written to standard output here"),
        (("explain", LADDER, "--out", "-"), "error: --out: expected a name that ends in .html"),
    ):
        ended = attempt(*words)
        assert ended.code == 2
        assert (ended.out + ended.err).startswith(reason)
        assert (ended.out + ended.err).count("\n") == 1
    assert list(Path().iterdir()) == []


HOSTILE = [
    "x\naccepted: all",
    "\x1b[31mred",
    "\u202etxt",
    "\u2066x\u2069",
    "\udcff\udcfe",
    "\x07\x7f\x9b",
    "a\rb",
    "\ttab",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_would_break_a_line(attempt: Try, name: str) -> None:
    """Names of files are spelt out wherever they are printed."""
    spelt = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    Path("d", name).mkdir(parents=True)
    Path("d", f"{name}.cert.json").write_bytes(Path(GOOD).read_bytes())
    Path("d", f"{name}.txt").write_text("{}")
    Path("d", f"{name}.safetensors").write_bytes(Path(LADDER).read_bytes())
    ended = attempt("verify", "d", LADDER)
    accepted, counts, files, folders = ended.out.splitlines()
    assert accepted.endswith(f" ({spelt}.cert.json)")
    assert counts == "1 certificate checked: 1 accepted"
    assert files.endswith(f"({spelt}.safetensors, {spelt}.txt)")
    assert folders == f"not looked into: 1 folder ({spelt}); use --recursive"
    for words in (
        ("verify", f"d/{name}.txt", LADDER),
        ("verify", f"d/{name}", LADDER),
        ("verify", f"d/{name}.none", LADDER),
        ("verify", GOOD, f"d/{name}.txt"),
        ("show", f"d/{name}.txt"),
        ("show", f"d/{name}.none"),
        ("prove", f"d/{name}.none", "--all"),
        ("prove", f"d/{name}.safetensors", "--strategy", "trivial"),
        ("prove", LADDER, "--strategy", name),
        ("prove", LADDER, "--strategy", "trivial", "--out", f"d/{name}.txt"),
        ("prove", LADDER, "--strategy", "trivial", "--out", f"d/{name}/c.json"),
        (name,),
        ("zoo", f"--{name}"),
    ):
        ended = attempt(*words)
        text = ended.out + ended.err
        assert text.replace("\n", "").isprintable()
        assert text.count("\n") == 1 or words[-1] == "trivial" or "c.json" in words[-1]


# Directories of certificates


def test_directories(attempt: Try) -> None:
    """Names in any case, folders if asked for, and a word about everything that was not checked."""
    for name in ("b.CERT.JSON", "A.cert.json", "sub/c.Cert.json", "sub/deep/d.cert.json"):
        Path("all", name).parent.mkdir(parents=True, exist_ok=True)
        Path("all", name).write_bytes(Path(GOOD).read_bytes())
    for index in range(9):
        Path(f"all/{index}.txt").touch()
    Path("all/link").symlink_to("sub")
    ended = attempt("verify", "all", LADDER)
    lines = ended.out.splitlines()
    assert [line.rpartition(" ")[2] for line in lines[:2]] == ["(A.cert.json)", "(b.CERT.JSON)"]
    assert lines[2:] == [
        "2 certificates checked: 2 accepted",
        "not checked: 9 files not named *.cert.json (0.txt, 1.txt, 2.txt, 3.txt, 4.txt, and 4 more)",
        "not looked into: 2 folders (link, sub); use --recursive",
    ]
    ended = attempt("verify", "-r", "all", LADDER, "--json")
    names = [outcome["certificate"] for outcome in json.loads(ended.out)]
    assert names == ["A.cert.json", "b.CERT.JSON", "sub/c.Cert.json", "sub/deep/d.cert.json"]
    assert ended.err.splitlines()[0] == "4 certificates checked: 4 accepted"
    assert ended.err.splitlines()[2] == "not looked into: 1 folder (link); links are not followed"
    Path("none/sub").mkdir(parents=True)
    line = "none holds no files named *.cert.json; not looked into: 1 folder (sub); use --recursive"
    assert attempt("verify", "none", LADDER) == Ended(2, f"malformed: {line}\n", "")


# What killed processes leave behind

WRITER = """
import os, sys, time
from compactproofs.system.files import write_atomically
os.fsync = lambda number: (print("writing", flush=True), time.sleep(60))
write_atomically(sys.argv[1], b"half")
"""


def temporaries() -> list[str]:
    """The hidden files that are there."""
    return sorted(path.name for path in Path().iterdir() if path.name.startswith("."))


def test_temporary_files_left_behind(attempt: Try) -> None:
    """Those of a process that was killed are removed; those of one that lives, and of other programs, are not."""
    processes = []
    for name in ("one", "two"):
        process = subprocess.Popen([sys.executable, "-c", WRITER, name], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        processes.append(process)
    mine = temporaries()
    assert len(mine) == 2
    other = "1" if mine[0][-5] == "0" else "0"
    others = [".0123456789abcdef.tmp", f".{'0' * 16}-{'0' * 16}.tmp", f"{mine[0][:-5]}{other}.tmp", ".notes.tmp"]
    for name in others:
        Path(name).write_text("of somebody else")
    words = ("prove", LADDER, "--strategy", "trivial", "--out", "trivial.cert.json")
    try:
        assert attempt(*words).code == 0
        assert temporaries() == sorted(mine + others)
        processes[0].kill()
        processes[0].wait()
        assert attempt(*words).code == 0
        left = temporaries()
        assert set(others) < set(left) < set(mine + others)
        assert len(left) == len(others) + 1
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert attempt(*words).code == 0
    assert temporaries() == sorted(others)
    assert {Path(name).read_text() for name in others} == {"of somebody else"}


def test_a_temporary_file_removed_before_it_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer takes another."""
    from compactproofs.system import files
    from compactproofs.system.places import remove_left_behind

    locked = files.lock
    calls = []

    def late(stream: Any, wait: bool = True) -> bool:
        calls.append(stream.name)
        if len(calls) == 1:
            remove_left_behind(Path())
        return locked(stream, wait)

    monkeypatch.setattr(files, "lock", late)
    files.write_atomically("file", b"whole")
    assert Path("file").read_bytes() == b"whole"
    assert len(calls) == 2
    assert temporaries() == []


# The process that forks


def _become(how: dict[str, Any], out: int, err: int) -> None:
    """Turn this process into a command, with such streams, and a signal after a delay."""
    os.chdir(how["cwd"])
    os.dup2(os.open(how.get("stdin", os.devnull), os.O_RDONLY), 0)
    for number, kind, file in ((1, how.get("stdout"), out), (2, how.get("stderr"), err)):
        if kind == "closed":
            os.close(number)
        elif kind == "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), number)
        elif kind == "broken":
            reader, writer = os.pipe()
            os.dup2(writer, number)
            os.close(reader)
            os.close(writer)
        else:
            os.dup2(file, number)
    encoding = how.get("encoding", "utf-8")
    for name, number, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        setattr(sys, name, None)
        if how.get(name) != "closed":
            raw = io.FileIO(number, "w", closefd=False)
            setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors))
    sys.argv = [
        "compactproofs",
        *(word.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass") for word in how["words"]),
    ]
    if "signal" in how:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # before the command has begun
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), how["signal"]))
        signal.setitimer(signal.ITIMER_REAL, how["delay"])


def _leave(main: Callable[[], None]) -> None:
    """Run the command and end as Python does, but for tearing everything down, which would take most of the time."""
    code: Any = 70
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:
        code = 120
    os._exit(code)


def _serve() -> None:
    from compactproofs.__main__ import main, run

    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        tempfile.TemporaryDirectory() as away,
        contextlib.chdir(away),  # some write, and the first test looks at what is in its directory
    ):
        for name, words in commands().items():  # loads once for all forks what they need
            if name not in HEAVY or name in sys.argv:
                run(words)
        run(["--help"])

    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    gc.freeze()  # forks share what is there, for nothing looks at it again
    for line in sys.stdin:
        how = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                _become(how, out.fileno(), err.fileno())
                _leave(main)
            _, status = os.waitpid(child, 0)
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode(how.get("encoding", "utf-8")))
        print(json.dumps([os.waitstatus_to_exitcode(status), *texts]), flush=True)


if __name__ == "__main__":
    _serve()
