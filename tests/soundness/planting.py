"""Plant an error in a private copy of the package, to see that the tests find it.

The copy follows the code: an error is a replacement of text in a module's source, and planting fails if the text is no
longer there exactly once.
"""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from .hints import Hint, hints_of
from .models import Case

PACKAGE = "compactproofs"

Change = tuple[str, str, str]  # module, old text, new text

_TIERS = ("core", "subcubic", "failing_sets", "counting")
_ALWAYS = ("theorems", "search.workspaces", "search.hints")

_SHOWN: Counter[str] = Counter()  # how often a model, by its hash, showed an error


def showing(models: Sequence[Case], wrong: Callable[[Case], Iterable[str]]) -> Iterator[str]:
    """What is wrong on these models.

    The order decides only how soon an error is found: models that showed most errors so far come first, the others
    with families mixed, because some errors show in one family only.
    """
    mixed = [models[i] for i in np.random.default_rng(3).permutation(len(models))]
    for case in sorted(mixed, key=lambda case: -_SHOWN[case.model.sha256]):
        for where in wrong(case):
            _SHOWN[case.model.sha256] += 1
            yield where


def full_name(module: str) -> str:
    """A module by its name in the package, where theorems are named by tier and file alone."""
    return f"theorems.max_of_k.{module}" if module.partition(".")[0] in _TIERS else module


class NotPlanted(AssertionError):
    """The text to replace is not in the module exactly once: the code has changed, and the error must be rewritten."""


class _Loader(SourceFileLoader):
    """Compiles the changed source, and keeps away from the cache of compiled files."""

    def __init__(self, name: str, path: str, changes: Sequence[tuple[str, str]]) -> None:
        super().__init__(name, path)
        self.changes = changes

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode("utf-8")
        for old, new in self.changes:
            if source.count(old) != 1:
                raise NotPlanted(f"{fullname} has {source.count(old)} times, not once: {old!r}")
            source = source.replace(old, new)
        return compile(source, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    """Finds the modules that are to be changed, and leaves the others to Python."""

    def __init__(self, changes: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        self.changes = changes

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in self.changes:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            raise NotPlanted(f"there is no module {fullname}")
        spec.loader = _Loader(fullname, spec.origin, self.changes[fullname])
        return spec


@contextmanager
def _private_imports(finder: _Finder) -> Iterator[None]:
    """Import the package afresh inside, and put back what was there before."""

    def ours() -> list[str]:
        return [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]

    saved = {name: sys.modules.pop(name) for name in ours()}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in ours():
            del sys.modules[name]
        sys.modules.update(saved)


class Planted:
    """A copy of the package with errors; use as `Planted((module, old, new), ...)`.

    Module names are relative to the package.  A copy shares nothing with the package, except that it works on the
    package's models.
    """

    def __init__(self, *changes: Change) -> None:
        by_module: dict[str, list[tuple[str, str]]] = {}
        for module, old, new in changes:
            by_module.setdefault(f"{PACKAGE}.{full_name(module)}", []).append((old, new))
        self._modules: dict[str, ModuleType] = {}
        self._values: dict[str, Any] = {}
        self._found: dict[tuple[str, str], Mapping[str, Hint]] = {}
        self._last: tuple[Any, str, Any] | None = None  # a model, a reading and their workspace, for all kinds of hints
        with _private_imports(_Finder(by_module)):
            for name in (*by_module, *(f"{PACKAGE}.{always}" for always in _ALWAYS)):
                self._modules[name] = importlib.import_module(name)

    def module(self, name: str) -> ModuleType:
        """A module of the copy: one that was changed, or one of `_ALWAYS`."""
        return self._modules[f"{PACKAGE}.{full_name(name)}"]

    def hints(self, strategy_id: str, model: Any, kind: str, rng: np.random.Generator) -> dict[str, Hint]:
        """Hostile hints of one of `hints.KINDS`, with the search of the copy, which sees the error too."""
        strategy = self.module("theorems").STRATEGIES[strategy_id]
        if model.sha256 not in self._values:
            self._values[model.sha256] = self.module("search.workspaces").workspace(model, "value")
        return hints_of(strategy, model, kind, rng, self._values[model.sha256], self._search)

    def _search(self, strategy: Any, work: Any) -> Mapping[str, Hint]:
        """What the copy's search finds, once for all kinds of hints that start from it."""
        key = strategy.id, work.network.sha256
        if key not in self._found:
            self._found[key] = self.module("search.hints").search_hints(strategy, work)
        return self._found[key]

    def search(self, strategy_id: str, model: Any) -> dict[str, Hint]:
        """The hints that the copy's search finds."""
        return self.hints(strategy_id, model, "searched", np.random.default_rng(0))

    def bound(
        self, strategy_id: str, model: Any, reading: str = "check", hints: Mapping[str, Any] | None = None
    ) -> int:
        """N according to the copy."""
        strategy = self.module("theorems").STRATEGIES[strategy_id]
        if self._last is None or self._last[0] is not model or self._last[1] != reading:
            self._last = model, reading, self.module("search.workspaces").workspace(model, reading)
        certified: int = strategy.bound(self._last[2], hints or {})
        return certified
