"""What all tests share: slow ones run only when asked for, by `-m slow`, and drawn examples are the same every time."""

import sys
from collections.abc import Callable

import pytest
from hypothesis import settings

# `--hypothesis-profile=default` draws new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    """Leave slow tests out unless the command line chooses by marks itself."""
    if not config.option.markexpr:
        config.option.markexpr = "not slow"


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package look as if it were not installed, to the commands that need extras."""

    def block(missing: str) -> None:
        for name in list(sys.modules):
            if name.split(".")[0] == missing or name.startswith(("compactproofs.paper", "compactproofs.report")):
                monkeypatch.delitem(sys.modules, name)

        class Block:
            @staticmethod
            def find_spec(name: str, path: object = None, target: object = None) -> None:
                if name.partition(".")[0] == missing:
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(sys, "meta_path", [Block, *sys.meta_path])

    return block
