"""What all tests share: slow ones and those of Coq run only when asked for, and drawn examples are always the same."""

import gc
import os
import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from types import ModuleType
from typing import NoReturn

import pytest
from hypothesis import settings

from compactproofs import theorems
from compactproofs.kernel.library import Library
from compactproofs.kernel.problem import Strategy
from compactproofs.search import builtin

# Hundreds of processes and private copies of the package are started: they share what Python compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Searching for garbage among everything that thousands of tests import and collect would take as long as some of them.
gc.set_threshold(20_000, 20, 20)

# `--hypothesis-profile=default` draws new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    """Leave slow tests and those of Coq out unless the command line chooses by marks itself."""
    if not config.option.markexpr:
        config.option.markexpr = "not slow and not coq"


#: What is expensive to set up for a whole file.  Work is stolen from the end, so that these are not set up twice.
FIRST = ("test_report.py", "test_edges.py", "test_corpus.py", "test_analysis.py", "test_experiments.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs much to begin with begins, and all of it in one process."""
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def pytest_collection_finish() -> None:
    """The thousands of tests that were found are no garbage: nothing looks at them again."""
    gc.collect()
    gc.freeze()


#: Packages some of whose modules need extras.
USE_EXTRAS = ("compactproofs.analysis", "compactproofs.paper", "compactproofs.report")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package look as if it were not installed, to the commands that need extras."""

    def block(missing: str) -> None:
        for name in list(sys.modules):
            if name.split(".")[0] == missing or name.startswith(USE_EXTRAS):
                monkeypatch.delitem(sys.modules, name)

        class Block:
            @staticmethod
            def find_spec(name: str, path: object = None, target: object = None) -> None:
                if name.partition(".")[0] == missing:
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(sys, "meta_path", [Block, *sys.meta_path])

    return block


@pytest.fixture
def also(monkeypatch: pytest.MonkeyPatch) -> Callable[[Strategy], None]:
    """Let the package know one more strategy; the library itself is sealed."""

    def add(strategy: Strategy) -> None:
        library = Library.of([*builtin.STRATEGIES.values(), strategy], theorems.BUILT_IN.tasks)
        changes = (
            (theorems.BUILT_IN, library),
            (builtin.STRATEGIES, library.strategies),
            (builtin.get_strategy, library.strategy),
        )
        for name, module in list(sys.modules.items()):
            if name.startswith("compactproofs"):
                for attribute, value in list(vars(module).items()):
                    for old, new in changes:
                        if value is old:
                            monkeypatch.setattr(module, attribute, new)

    return add


@pytest.fixture(params=["none starts", "killed", "no loky"])
def without_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], None]:
    """Has a module find no process that works for it, in each of the ways in which that happens."""

    def fail(*arguments: object) -> NoReturn:
        raise OSError("no more processes") if request.param == "none starts" else BrokenExecutor("it was killed")

    def there(module: ModuleType) -> None:
        if request.param == "no loky":
            monkeypatch.setitem(sys.modules, "loky", None)
        else:
            monkeypatch.setattr(module, "submit", fail)

    return there
