"""Plant an error in a private copy of a package, to see that tests find it.

The copy follows the code: an error is a replacement of text in a module's source, and planting fails if the text is no
longer there exactly once.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import resolve_name
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeAlias

from compactproofs.kernel.errors import CompactProofsError

Change: TypeAlias = tuple[str, str, str]  # module, old text, new text


class NotPlanted(CompactProofsError, AssertionError):
    """The text to replace is not in the module exactly once: the code has changed, and the error must be rewritten."""


class _Loader(SourceFileLoader):
    """Compiles the changed source, and keeps away from the cache of compiled files."""

    def __init__(self, name: str, path: str, changes: Sequence[tuple[str, str]]) -> None:
        super().__init__(name, path)
        self.changes = changes

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(str(self.path)).decode("utf-8")
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


def _loaded(package: str) -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if f"{name}.".startswith(f"{package}.")}


@cache
def _imports(name: str, path: str) -> frozenset[str]:
    """What a module names in its imports: modules, and what may be modules."""
    found: set[str] = set()
    inside = name if Path(path).stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), inside)
            found.update((source, *(f"{source}.{alias.name}" for alias in node.names)))
    return frozenset(found)


def _reached(package: str, changed: Iterable[str]) -> set[str]:
    """The loaded modules that a change reaches through imports, and the packages that they are in."""
    files = {name: getattr(module, "__file__", None) for name, module in _loaded(package).items()}
    imports = {name: _imports(name, path) for name, path in files.items() if path}
    reached = set(changed)
    while more := {name for name, names in imports.items() if name not in reached and not names.isdisjoint(reached)}:
        reached |= more
    for name in tuple(reached):
        parts = name.split(".")
        reached.update(".".join(parts[:length]) for length in range(1, len(parts)))
    return reached & files.keys()


@contextmanager
def _private_imports(package: str, finder: _Finder, afresh: Iterable[str]) -> Iterator[None]:
    """Import these modules of the package afresh inside, and put back what was there before."""
    before = _loaded(package)
    for name in afresh:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, module in _loaded(package).items():
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            if name not in before and parent in before and vars(before[parent]).get(child) is module:
                delattr(before[parent], child)  # the package may load it later
        sys.modules.update(before)


class Planted:
    """A copy of a package with errors, which shares nothing with the package.

    Modules are named relative to the package, and the package itself by an empty name.  `also`: further modules of the
    copy that are wanted.  `sparing`: modules that no change reaches are not copied, which takes a tenth of the time;
    what is done to them is done to the package.
    """

    def __init__(
        self, package: str, changes: Iterable[Change], also: Iterable[str] = (), sparing: bool = False
    ) -> None:
        self._package = package
        by_module: dict[str, list[tuple[str, str]]] = {}
        for module, old, new in changes:
            by_module.setdefault(self._full(module), []).append((old, new))
        self._modules: dict[str, ModuleType] = {}
        afresh = _reached(package, by_module) if sparing else _loaded(package)
        with _private_imports(package, _Finder(by_module), tuple(afresh)):
            for name in (*by_module, *map(self._full, also)):
                self._modules[name] = importlib.import_module(name)

    def _full(self, module: str) -> str:
        return f"{self._package}.{module}" if module else self._package

    def module(self, name: str) -> ModuleType:
        """A module of the copy: one that was changed or wanted."""
        return self._modules[self._full(name)]

    def modules(self) -> tuple[ModuleType, ...]:
        """All of these."""
        return tuple(self._modules.values())
