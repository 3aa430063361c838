"""Kills `prove`, `table1` and `train` outright at random moments, again and again.

After each kill every file under its final name must be whole, and a rerun must end with the results of a run that
nobody disturbed.  From the repository's root:

    python tests/killing.py prove|table1|sweep|train [--kills 50] [--seed 0]

The victim is the command's main process, all its processes at once, or one of its workers.  Nothing may go on running
that the command started.  `table1` needs the extra `report`, and `train` the extra `train`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compactproofs.opening.models import Model
from compactproofs.search.certificates import Certificate

PROGRAM = "from compactproofs.__main__ import main\nif __name__ == '__main__':\n    main()\n"
TIMES = ("search_seconds", "verify_seconds")  # which differ from run to run
PATIENCE = 60.0  # seconds for processes to end
KILLS_OF_A_RUN = 5

SMALL = Path(__file__).resolve().parent / "certificates" / "models" / "spoiled.safetensors"
TRAINED = ("--seed", "1", "--seed", "2", "--seed", "3", "--n-ctx", "2", "--d-vocab", "8", "--steps", "300")

Content = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A command whose `--out` goes to the directory that is killed over."""

    name: str
    words: tuple[str, ...]


JOBS = {
    job.name: job
    for job in (
        Job("prove", ("prove", str(SMALL), "--all")),
        Job("table1", ("table1", "--seeds", "2", "--jobs", "2")),
        Job("sweep", ("sweep", str(SMALL), "max-of-4/50", "max-of-4/104", "--strategy", "sub-cubic", "--certificates")),
        Job("train", ("train", *TRAINED, "--jobs", "2")),
    )
}


@dataclass
class Report:
    """What the kills hit."""

    kills: int = 0
    finished_runs: int = 0
    whole_results: int = 0


def content(directory: Path) -> Content:
    """What the finished files hold; raises where one of them is not whole.

    Names with a dot in front are not finished files, and nobody takes them for such.
    """
    found: Content = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if not path.is_file() or any(part.startswith(".") for part in Path(name).parts):
            continue
        data = path.read_bytes()
        if name.endswith(".cert.json"):
            found[name] = Certificate.from_bytes(data).to_bytes()
        elif name.endswith(".safetensors"):
            found[name] = Model.load(path).sha256
        elif name.endswith(".json"):
            for result in json.loads(data)["results"]:  # which file they are in, is a matter of time
                (bound,) = _without_times([result["proof"]])
                found[f"{result['model']} by {result['strategy']}"] = result | {"proof": bound}
        elif name.endswith(".csv"):
            found[name] = _without_times(csv.DictReader(data.decode().splitlines()))
        elif name.endswith(".parquet"):
            assert data[:4] == data[-4:] == b"PAR1", f"{name} is cut"
            found[name] = "a table"
        elif name.endswith(".png"):
            assert data.endswith(b"IEND\xaeB`\x82"), f"{name} is cut"
            found[name] = "a picture"
        elif name.endswith(".svg"):
            assert data.rstrip().endswith(b"</svg>"), f"{name} is cut"
            found[name] = "a picture"
        else:
            found[name] = data
    return found


def _without_times(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def start(job: Job, directory: Path) -> subprocess.Popen[str]:
    """The command in a process group of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    directory.parent.mkdir(parents=True, exist_ok=True)
    program = directory.parent / "main.py"
    program.write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, str(program), *job.words, "--out", str(directory)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def finish(job: Job, directory: Path) -> Content:
    """Run to the end, and what is there then."""
    process = start(job, directory)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return content(directory)


def kill_often(
    job: Job, folder: Path, kills: int, moments: random.Random, say: Callable[[str], object] = lambda text: None
) -> Report:
    """Kill the command so many times, a few times in each directory, where it is then run to its end."""
    began = time.monotonic()
    expected = finish(job, folder / "undisturbed" / "out")
    duration = time.monotonic() - began
    say(f"undisturbed: {duration:.1f} s, {len(expected)} results")
    report = Report()
    while report.kills < kills:
        directory = folder / "killed" / f"run{report.finished_runs}"
        for _ in range(min(KILLS_OF_A_RUN, kills - report.kills)):
            process = start(job, directory)
            ended = _wait(process, moments.uniform(0.0, duration))
            victim = "" if ended else _victim(process, moments)
            _wait_for_group(process.pid)
            _, err = process.communicate(timeout=PATIENCE)
            # If its parent is gone, a process that was just being started may complain.
            assert process.returncode < 0 or "Traceback" not in err, err
            if ended:
                break
            found = content(directory)
            for name, value in found.items():
                assert value == expected[name], f"{name} differs from that of an undisturbed run"
            report.kills += 1
            report.whole_results += len(found)
            say(f"kill {report.kills}: {victim}, exit {process.returncode}, {len(found)} of {len(expected)} results")
        assert finish(job, directory) == expected
        report.finished_runs += 1
    return report


def _wait(process: subprocess.Popen[str], seconds: float) -> bool:
    """Wait so long; whether the process has ended by then."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _victim(process: subprocess.Popen[str], moments: random.Random) -> str:
    """Kill the main process, the whole group, or one worker; says which."""
    workers = [pid for pid in _group(process.pid) if "popen_loky" in _words(pid)]
    kind = moments.choice(("main process", "all processes", "one worker"))
    if kind == "all processes":
        os.killpg(process.pid, signal.SIGKILL)
    elif kind == "one worker" and workers:
        os.kill(moments.choice(workers), signal.SIGKILL)
    else:
        kind = "main process"
        process.kill()
    return kind


def _group(leader: int) -> Iterator[int]:
    """The processes of a group that have not ended."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == leader and fields[0] != "Z":
                yield int(entry.name)


def _words(pid: int) -> str:
    """The command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _wait_for_group(leader: int) -> None:
    """Whatever the command started ends by itself."""
    until = time.monotonic() + PATIENCE
    while left := list(_group(leader)):
        assert time.monotonic() < until, f"processes {left} go on running"
        time.sleep(0.05)


def main() -> None:
    """Parse, kill, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=JOBS)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        moments = random.Random(chosen.seed)
        report = kill_often(
            JOBS[chosen.command], Path(folder), chosen.kills, moments, lambda text: print(text, flush=True)
        )
    print(
        f"{chosen.command}: {report.kills} kills; {report.whole_results} times a result was found afterwards, "
        f"each whole; {report.finished_runs} runs brought to their end, all as if undisturbed"
    )


if __name__ == "__main__":
    main()
