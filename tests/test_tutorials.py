"""Every block of code in `docs/tutorials` runs, and prints what the page says.

A page is played from top to bottom in a directory of its own.  Of what a page says was printed, `…` stands for
anything, and seconds and the length of rules are not compared.  A comment before a block says what it takes:
`<!-- test: slow torch -->` (only with `-m slow`, and where PyTorch is there), or that it is a file.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from compactproofs import __main__ as entry

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
_BLOCK = re.compile(r"(?:^<!-- test: ([^>]+) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code, and what its comment says."""

    flags: tuple[str, ...]
    language: str
    text: str

    @property
    def is_slow(self) -> bool:
        """Whether it takes more than some five seconds."""
        return "slow" in self.flags

    def missing(self) -> list[str]:
        """What it needs that is not here."""
        return [name for name in self.flags if name != "slow" and not _is_there(name)]


def _is_there(name: str) -> bool:
    """Whether a package is installed, or a program is there and what it needs is built."""
    if name == "coqc":
        return bool(shutil.which(name)) and (ROOT / "formal" / "Checker.vo").exists()
    if name == "formal-checker":
        return (ROOT / "formal" / "checker" / name).exists()
    return find_spec(name) is not None


def blocks(page: Path) -> list[Block]:
    """Those of a page that can be run; any other language is for the eye."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(tuple(flags.split()), language, text) for flags, language, text in found]


def simplified(printed: str) -> str:
    """What does not differ from run to run."""
    printed = re.sub(r"\d+\.\d+ (s\b|processor seconds)", r"# \1", printed)
    return re.sub(r"─+…?", "─", re.sub(r"[^\S\n]+", " ", printed)).strip()


def says(expected: str, printed: str) -> bool:
    """Whether this was printed, up to what differs."""
    parts = map(re.escape, simplified(expected).split("…"))
    return bool(re.fullmatch(".*".join(parts), simplified(printed), re.DOTALL))


class Player:
    """Plays the blocks of one page."""

    def __init__(self) -> None:
        self._code = 0
        self._names: dict[str, Any] = {"__name__": "__main__"}

    def play(self, block: Block) -> None:
        """Run a block; AssertionError where something else is printed."""
        if block.flags[:1] == ("file",):
            Path(block.flags[1]).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command, expected in _commands(block.text):
                printed = self._run(command)
                assert says(expected, printed), f"$ {command}\n{printed}\n(expected)\n{expected}"
        elif block.language == "python":
            self._python(block.text)

    def _run(self, command: str) -> str:
        """What a command prints on both streams; this package's run in this process, which is quicker."""
        programs: dict[str, Callable[[list[str]], int]] = {"compactproofs": entry.run}
        if find_spec("flint"):
            from exactcheck import checking

            programs["exactcheck"] = checking.main
        words = shlex.split(command)
        if words[0] in programs:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                self._code = programs[words[0]](words[1:])
            return printed.getvalue()
        done = subprocess.run(
            ["bash", "-c", f"(exit {self._code}); {command}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self._code = done.returncode
        return done.stdout

    def _python(self, text: str) -> None:
        """Examples as a prompt shows them; names last from block to block."""
        parser, failures = doctest.DocTestParser(), io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL, verbose=False)
        test = parser.get_doctest(text.replace("…", "..."), self._names, "block", None, 0)
        runner.run(test, out=failures.write, clear_globs=False)
        self._names.update(test.globs)
        assert not failures.getvalue(), failures.getvalue()


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command with what is said to be printed."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def play(page: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, at_length: bool) -> None:
    """Run those blocks of a page that can be run here, in a directory that looks like the repository."""
    for name in ("docs", "formal"):
        (directory / name).symlink_to(ROOT / name)
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(directory))
    player = Player()
    for block in blocks(page):
        if block.flags[:1] == ("file",):
            monkeypatch.setitem(sys.modules, block.flags[1].removesuffix(".py"), None)  # to be forgotten in the end
            del sys.modules[block.flags[1].removesuffix(".py")]
            player.play(block)
        elif (at_length or not block.is_slow) and not block.missing():
            player.play(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is quick."""
    assert blocks(page)
    play(page, tmp_path, monkeypatch, at_length=False)


def test_what_is_compared() -> None:
    """All but what differs from run to run; `…` is anything."""
    assert says("at least 5; source …\n", "at least  5; source 77b2007d0ede\n")
    assert says("…\nproved in 1.5 s", "note\nproved in 0.2 s\n")
    assert not says("at least 5 of 8", "at least 6 of 8")
    assert not says("at least 5", "at least 5 of 8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(block.is_slow for block in blocks(page))], ids=lambda page: page.stem
)
def test_page_at_length(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it."""
    play(page, tmp_path, monkeypatch, at_length=True)
