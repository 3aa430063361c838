"""Plant an error in a private copy of a package, to see that tests find it.

The copy follows the code: an error is a replacement of text in a module's source, and planting fails if the text is no
longer there exactly once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
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


@contextmanager
def _private_imports(package: str, finder: _Finder) -> Iterator[None]:
    """Import the package afresh inside, and put back what was there before."""

    def ours() -> list[str]:
        return [name for name in sys.modules if name == package or name.startswith(f"{package}.")]

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
    """A copy of a package with errors, which shares nothing with the package.

    Modules are named relative to the package, and the package itself by an empty name.  `also`: further modules of the
    copy that are wanted.
    """

    def __init__(self, package: str, changes: Iterable[Change], also: Iterable[str] = ()) -> None:
        self._package = package
        by_module: dict[str, list[tuple[str, str]]] = {}
        for module, old, new in changes:
            by_module.setdefault(self._full(module), []).append((old, new))
        self._modules: dict[str, ModuleType] = {}
        with _private_imports(package, _Finder(by_module)):
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
