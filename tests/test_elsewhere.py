"""The program that has certificates verified elsewhere, tried on the Python that is here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import check_elsewhere


@pytest.fixture
def certificates(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Those of the corpus, without new ones; by default a quarter."""
    check_elsewhere.make_certificates(tmp_path, [])
    if request.node.get_closest_marker("slow") is None:
        for index, path in enumerate(sorted(tmp_path.rglob("*.cert.json"))):
            if index % 4:
                path.unlink()
    return tmp_path


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_same_verdicts_in_another_process(certificates: Path, threads: int) -> None:
    """True claims are accepted, false ones rejected, and N is the same as here."""
    there = check_elsewhere.ask(sys.executable, certificates, threads)
    verdicts = there["verdicts"]
    assert len(verdicts) > 60
    assert {file.split()[0] for file in verdicts} == {"accept", "reject"}
    for file, (accepted, _) in verdicts.items():
        assert accepted == file.startswith("accept "), file
    assert check_elsewhere.check(certificates)["verdicts"] == verdicts


def test_a_python_that_cannot_verify(certificates: Path) -> None:
    """Is named."""
    with pytest.raises(SystemExit, match="error: /bin/false cannot verify here; does it have NumPy"):
        check_elsewhere.ask("/bin/false", certificates, threads=1)
