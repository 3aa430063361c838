"""What all tests share: slow ones run only when asked for, by `-m slow`."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Leave slow tests out unless the command line chooses by marks itself."""
    if not config.option.markexpr:
        config.option.markexpr = "not slow"
