"""Killed outright, and on a full disk: nothing half-written passes for whole, and a rerun finishes the work.

`python tests/killing.py` does much more of the former.  What is killed in the middle of training is in
`test_training.py`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from killing import JOBS, PROGRAM, SMALL, content, kill_often

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

PROVE = ("prove", str(SMALL), "--strategy", "cubic", "--strategy", "failing-sets", "--strategy", "brute-force")
TABLE = ("table1", "--seeds", "1", "--jobs", "1")


@pytest.mark.parametrize(
    ("name", "kills"), [("prove", 1), *(pytest.param(name, 3, marks=pytest.mark.slow) for name in ("prove", "table1"))]
)
def test_killed_at_random_moments(tmp_path: Path, name: str, kills: int) -> None:
    """A few kills; `test_experiments.py` has one of `table1`."""
    report = kill_often(JOBS[name], tmp_path, kills, random.Random(20261122))
    assert report.kills == kills
    assert report.finished_runs >= 1


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, single-threaded."""
    (tmp_path / "main.py").write_text(PROGRAM)
    return subprocess.run(
        [sys.executable, str(tmp_path / "main.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


Resize = Callable[[str], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Resize]]:
    """A disk of a few pages, and how to make it larger; mounting one needs root."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*words: str) -> int:
        try:
            return subprocess.run(["mount", *words, str(place)], capture_output=True, check=False).returncode
        except FileNotFoundError:
            return 1

    if mount("-t", "tmpfs", "-o", "size=24k", "tmpfs") != 0:
        pytest.skip("mounting a small disk is not permitted here")

    def resize(size: str) -> None:
        assert mount("-o", f"remount,size={size}") == 0

    yield place, resize
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize(
    ("words", "size", "file"),
    [
        pytest.param(PROVE, "8k", ".cert.json: No space left on device", id="prove"),
        pytest.param(TABLE, "4k", "cannot make the directory", id="table1, results", marks=pytest.mark.slow),
        pytest.param(TABLE, "64k", ".cert.json: No space left", id="table1, files", marks=pytest.mark.slow),
    ],
)
def test_full_disk(tmp_path: Path, disk: tuple[Path, Resize], words: tuple[str, ...], size: str, file: str) -> None:
    """One line that names the file; what was there is whole; with more room a rerun ends as on a large disk."""
    place, resize = disk
    resize(size)
    result = run(tmp_path, *words, "--out", str(place / "out"))
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert file in line
    assert "Traceback" not in result.stderr
    assert not list(place.rglob(".*.tmp"))
    found = content(place)
    resize("20m")
    assert run(tmp_path, *words, "--out", str(place / "out")).returncode == 0
    assert run(tmp_path, *words, "--out", str(tmp_path / "large")).returncode == 0
    whole = content(place)
    assert {f"out/{name}": value for name, value in content(tmp_path / "large").items()} == whole
    assert found.items() <= whole.items()
