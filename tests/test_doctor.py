"""`compactproofs doctor` says what is here, and notices what is wrong."""

import json
from typing import Any

import numpy as np
import pytest

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs.cli import doctor
from compactproofs.kernel.machine import UnsuitableArithmetic


def run(capsys: Any, *words: str) -> tuple[int, str]:
    """The exit code, and what was printed."""
    code = entry.run(["doctor", *words])
    return code, capsys.readouterr().out


def test_all_is_well(capsys: Any) -> None:
    """In words, with versions, and in JSON."""
    code, out = run(capsys)
    assert code == 0
    assert "all is well" in out
    for there in (f"compactproofs  {cp.__version__}", np.__version__, "exactcheck", "extra report", "coqc"):
        assert there in out
    code, out = run(capsys, "--json")
    found = json.loads(out)
    assert (code, found["well"], set(found["checks"].values())) == (0, True, {"passed"})
    assert found["installed"]["numpy"] == [np.__version__, "all commands"]
    assert "pytest" not in found["installed"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("require_ieee_arithmetic", UnsuitableArithmetic("subnormal numbers become zero"), "subnormal numbers become"),
        ("EXP_ULPS", 0.1, "off by 0."),
        ("_bound", "a false certificate is accepted", "a false certificate is accepted"),
    ],
)
def test_what_is_wrong_is_said(capsys: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, words: str) -> None:
    """With exit code 2."""

    def instead() -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(doctor, name, value if isinstance(value, float) else instead)
    code, out = run(capsys)
    assert code == 2
    assert words in out
    assert "something is wrong" in out
