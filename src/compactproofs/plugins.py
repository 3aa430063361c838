"""Networks, tasks and strategies of other distributions, beside those of this package: never instead of them.

A distribution has one entry point in the group `compactproofs.plugins`, which gives a `Plugin`.  Everything in it is
called DISTRIBUTION:NAME, with the distribution's normalised name, and built-in names have no colon; so which code a
certificate needs stands in its strategy's name, and nothing is imported for another one.

Untrusted: finding plug-ins, saying whose theorem it is, and hashing sources.  What a plug-in brings is as trusted as
whoever verifies says, by `--trust`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any, NoReturn

from compactproofs.kernel.certificate import Certificate
from compactproofs.kernel.checker import Verdict
from compactproofs.kernel.errors import CompactProofsError
from compactproofs.kernel.library import Library
from compactproofs.kernel.problem import Hints, Network, Problem, Strategy, Task
from compactproofs.kernel.strict import shown
from compactproofs.search import effort
from compactproofs.search.companions import Companion, Search, Work, no_hints
from compactproofs.search.families import companion_of, tier_of
from compactproofs.search.prover import Prover
from compactproofs.theorems import BUILT_IN
from compactproofs.version import __version__

__all__ = [
    "GROUP",
    "Collection",
    "Companion",
    "Found",
    "Plugin",
    "PluginFailed",
    "Provers",
    "Search",
    "Source",
    "UnknownPlugin",
    "UnusablePlugin",
    "Work",
    "collection",
    "found",
    "no_hints",
    "normalised",
]

GROUP = "compactproofs.plugins"
OWN = "compactproofs"

_TRUSTED = ("kernel", "networks", "tasks", "theorems")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*", re.ASCII)
_THEOREM = re.compile(rf"{_NAME.pattern}@[0-9]+", re.ASCII)
_LONGEST = 60  # characters, the most that certificates allow in a task's name


class UnknownPlugin(CompactProofsError, ValueError):
    """There is no distribution of this name with a plug-in."""


class UnusablePlugin(CompactProofsError, ValueError):
    """A plug-in cannot be imported, or is not what a plug-in must be."""


class PluginFailed(CompactProofsError, ValueError):
    """A plug-in raised something that it should not."""


@dataclass(frozen=True)
class Plugin:
    """What a distribution adds.  Its strategies, tasks and networks are trusted by whoever trusts the distribution.

    All names are DISTRIBUTION:NAME: of strategies, of their theorems (DISTRIBUTION:NAME@VERSION), tasks and families.
    Strategies are about tasks and families of this plug-in or of compactproofs itself.
    """

    strategies: tuple[Strategy, ...] = ()
    #: What makes a task of its record in a certificate, by the task's name.  Raises ValueError for any other record.
    tasks: Mapping[str, Callable[[Mapping[str, Any]], Task]] = field(default_factory=dict)
    #: What makes a network of the bytes of a file, by its family.  Raises ValueError with the reason.
    networks: Mapping[str, Callable[[bytes], Network]] = field(default_factory=dict)
    #: Untrusted: by strategies' ids.  A strategy without one can be verified, and not proved by.
    companions: Mapping[str, Companion] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A distribution, and a hash of the sources that its theorems stand in."""

    distribution: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Found:
    """A distribution that says it has a plug-in; nothing of it was imported."""

    distribution: str
    version: str
    entries: tuple[EntryPoint, ...]

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"

    def unusable(self, why: str) -> NoReturn:
        """Raises UnusablePlugin."""
        raise UnusablePlugin(f"the plug-in {self} is unusable: {why}")


@dataclass(frozen=True, eq=False)
class Collection:
    """The strategies of one distribution, the library that they are checked with, and what goes with them."""

    source: Source
    strategies: tuple[Strategy, ...]
    library: Library
    companion: Callable[[Strategy], Companion]
    networks: Mapping[str, Callable[[bytes], Network]] = field(default_factory=dict)
    tier: Callable[[Strategy], str] = lambda strategy: "plug-in"

    def verify(self, certificate: Certificate, network: Network, *others: Any, **limits: Any) -> Verdict:
        """As `search.effort.verify`, by the strategies of this distribution."""
        return effort.verify(certificate, network, *others, library=self.library, declare=self.declared, **limits)

    def declared(self, strategy: Strategy, problem: Problem[Any, Any], hints: Hints) -> Work:
        """What checking may take, as the strategy's companion says."""
        return self.companion(strategy).work(problem, hints)


def normalised(name: str) -> str:
    """A distribution's name as it stands in the names of what it adds: in lower case, with single hyphens."""
    return re.sub(r"[-_.]+", "-", name).lower()


def found() -> dict[str, Found]:
    """The distributions that say they have plug-ins, by their normalised names; nothing is imported."""
    entries: dict[str, list[EntryPoint]] = {}
    versions = {}
    for entry in entry_points(group=GROUP):
        if entry.dist is not None:
            name = normalised(entry.dist.name)
            entries.setdefault(name, []).append(entry)
            versions[name] = str(entry.dist.version)
    return {name: Found(name, versions[name], tuple(entries[name])) for name in sorted(entries)}


def distribution_of(strategy_id: str) -> str | None:
    """The distribution that a strategy's id names, normalised; None for built-in ones."""
    name, colon, _ = strategy_id.partition(":")
    return normalised(name) if colon else None


def collection(strategy_id: str) -> Collection:
    """The collection that has the strategy of this id, if any has; a plug-in is imported for its own ids only.

    Raises UnknownPlugin and UnusablePlugin.
    """
    name = distribution_of(strategy_id)
    if name is None:
        return built_in()
    known = found()
    if name not in known:
        raise UnknownPlugin(f"unknown strategy {shown(strategy_id)}; {not_installed(name, known)}")
    return load(known[name])


class Provers:
    """What proves bounds on one network by any strategies: those about one task share what they have in common."""

    def __init__(self, network: Any, task: Task | None = None, **searching: Any) -> None:
        """`task`: the one that strategies of this package are about; without it, the largest of K tokens.

        `searching`: what else a `Prover` is told.
        """
        self._network = network
        self._task = task
        self._searching = searching
        self._provers: dict[tuple[Any, ...], Prover] = {}

    def of(self, strategy_id: str) -> Prover:
        """What proves by this strategy, about the task that its companion chooses for the network."""
        home = collection(strategy_id)
        strategy = home.library.strategy(strategy_id)
        with blamed(strategy_id):
            own = home.source.distribution == OWN
            task = self._task if own else home.companion(strategy).task(self._network)
            key = home.source, *(() if task is None else sorted(task.record.items()))
        if key not in self._provers:
            self._provers[key] = Prover(self._network, task, home.library, home.companion, **self._searching)
        return self._provers[key]


def not_installed(name: str, known: Iterable[str]) -> str:
    """That there is no plug-in of this name, and which there are."""
    try:
        there = bool(name) and version(name) is not None
    except (PackageNotFoundError, ValueError):
        there = False
    what = "has no plug-in" if there else "is not installed"
    return f"the distribution {shown(name)} {what}; plug-ins: {', '.join(known) or 'none'}"


def built_in() -> Collection:
    """What this package has itself."""
    source = Source(OWN, __version__, _own_sha256())
    return Collection(source, tuple(BUILT_IN.strategies.values()), BUILT_IN, companion_of, tier=tier_of)


@functools.cache
def _own_sha256() -> str:
    """Of the trusted modules."""
    root = Path(__file__).parent
    return sha256_of(root, [file for folder in _TRUSTED for file in (root / folder).rglob("*.py")])


def load(plugin: Found) -> Collection:
    """Import a plug-in, once, and look whether it is one; raises UnusablePlugin."""
    loaded = _loaded(plugin)
    if isinstance(loaded, UnusablePlugin):
        raise loaded
    return loaded


@functools.cache
def _loaded(plugin: Found) -> Collection | UnusablePlugin:
    try:
        source = Source(plugin.distribution, plugin.version, sha256_of(*_sources(plugin)))
        given = _checked(plugin, _imported(plugin))
        library = BUILT_IN.extended(given.strategies, given.tasks)
    except UnusablePlugin as error:
        return error
    except Exception as error:  # whatever can be wrong with files and objects of others
        return UnusablePlugin(f"the plug-in {plugin} is unusable: {in_a_line(error)}")
    return Collection(
        source, given.strategies, library, lambda each: given.companions.get(each.id) or _alone(each), given.networks
    )


def _alone(strategy: Strategy) -> Companion:
    """The companion of a strategy whose author gave none."""

    def no_task(network: object) -> NoReturn:
        raise ValueError(f"{strategy.id} has no companion, so its certificates can be verified, and not made")

    return Companion(no_task)


def _sources(plugin: Found) -> tuple[Path, list[Path]]:
    """The folder that holds a plug-in's package, and all files of the package: found without importing it."""
    if len(plugin.entries) != 1:
        plugin.unusable(f"it has {len(plugin.entries)} entry points in the group {GROUP}; a distribution has one")
    module, colon, _ = plugin.entries[0].value.partition(":")
    top = module.strip().partition(".")[0]
    if not (top and colon):
        plugin.unusable(f"its entry point is {shown(plugin.entries[0].value)}; expected MODULE:NAME")
    if top == OWN:
        plugin.unusable(f"its entry point names a module of {OWN}, not one of its own")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.has_location or spec.origin is None:
        plugin.unusable(f"there is no package {shown(top)} with an __init__.py, and no module of this name, in files")
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        return origin.parent, [origin]
    return origin.parent.parent, list(_files(origin.parent))


def _files(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(path, name) for name in names if not name.endswith(".pyc"))


def sha256_of(root: Path, files: Iterable[Path]) -> str:
    """SHA-256 over files, in the order of their paths below `root`: for each the path with slashes and its length.

    That is, the line "PATH LENGTH" and a newline in UTF-8, and then the bytes of the file.
    """
    digest = hashlib.sha256()
    for name, file in sorted((file.relative_to(root).as_posix(), file) for file in files):
        data = file.read_bytes()
        digest.update(f"{name} {len(data)}\n".encode(errors="surrogateescape") + data)
    return digest.hexdigest()


def _imported(plugin: Found) -> object:
    """What the entry point gives; what the import prints goes to stderr."""
    try:
        with redirect_stdout(sys.stderr):
            return plugin.entries[0].load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        plugin.unusable(f"{plugin.entries[0].value} cannot be imported ({in_a_line(error)})")


@contextmanager
def blamed(strategy_id: str) -> Iterator[None]:
    """What a plug-in's code raises inside, but does not raise to say what is wrong, becomes a line that names it."""
    try:
        yield
    except (ValueError, OSError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too, which would be an exit code
        name = distribution_of(strategy_id)
        if name is None:
            raise
        raise PluginFailed(f"the plug-in {name} failed ({in_a_line(error)})") from error


def in_a_line(error: BaseException) -> str:
    """What kind of error it is and what it says, whatever that is."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said:.200}" if said else type(error).__name__


def _checked(plugin: Found, given: object) -> Plugin:
    """The same object if it is a plug-in whose names are all its own; raises UnusablePlugin."""
    if not isinstance(given, Plugin):
        plugin.unusable(f"{plugin.entries[0].value} is of type {type(given).__name__}, not Plugin")
    if not isinstance(given.strategies, tuple) or not all(isinstance(each, Strategy) for each in given.strategies):
        plugin.unusable("its strategies are not a tuple of Strategy")
    for kind in ("tasks", "networks", "companions"):
        values = getattr(given, kind)
        if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
            plugin.unusable(f"its {kind} are not a mapping of names")
        for value in values.values():
            if not (isinstance(value, Companion) if kind == "companions" else callable(value)):
                plugin.unusable(f"its {kind} have a {type(value).__name__}")
    for companion in given.companions.values():
        if not all(isinstance(text, str) for text in (companion.complexity, companion.summary, companion.stated_in)):
            plugin.unusable("what its companions say of strategies is not all text")
    ids = [strategy.id for strategy in given.strategies]
    for kind, name in (
        *(("strategy", name) for name in (*ids, *given.companions)),
        *(("theorem", strategy.theorem) for strategy in given.strategies),
        *(("task", name) for name in given.tasks),
        *(("family of networks", name) for name in given.networks),
    ):
        local = name.removeprefix(f"{plugin.distribution}:") if isinstance(name, str) else ""
        pattern = _THEOREM if kind == "theorem" else _NAME
        if local == name or not pattern.fullmatch(local) or len(name) > _LONGEST:
            plugin.unusable(
                f"the {kind} {shown(name)} must be called {plugin.distribution}:"
                f"{'NAME@VERSION' if kind == 'theorem' else 'NAME'}, in at most {_LONGEST} characters; other names are "
                "those of compactproofs or of another distribution, which nobody can replace"
            )
    for strategy in given.strategies:
        if ids.count(strategy.id) > 1:
            plugin.unusable(f"two strategies have the id {strategy.id}")
        for task in strategy.tasks:
            if task not in given.tasks and task not in BUILT_IN.tasks:
                plugin.unusable(f"{strategy.id} is about the task {shown(task)}, which neither it nor {OWN} has")
        if strategy.family not in {*given.networks, *(each.family for each in BUILT_IN.strategies.values())}:
            plugin.unusable(f"{strategy.id} is about {shown(strategy.family)}, which neither it nor {OWN} has")
    for name in given.companions:
        if name not in ids:
            plugin.unusable(f"it has a companion for {name}, and no strategy of this id")
    return given
