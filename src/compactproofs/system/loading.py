"""Importing much at once.  Standard library only."""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType


def load(name: str) -> ModuleType:
    """Import a module that commands need, and all that it imports; raises what importing raises.

    Nothing that is imported is garbage.  Python would look for some among it again and again, and once more in the end:
    a quarter of the time that a short command takes.
    """
    if name in sys.modules:
        return sys.modules[name]
    enabled = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
