"""Results in files, by which a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from compactproofs.system.files import write_atomically
from compactproofs.system.places import remove_left_behind
from compactproofs.version import __version__

R = TypeVar("R")


@dataclass(frozen=True)
class Job:
    """A call of a function of some module, which other processes can make.

    `name`: what messages call it; several jobs about one thing may share it.  `model_sha256`: of the weights that the
    function looks up by a name, or that are in `data`.  `data`: one more argument, read when the call is made.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    model_sha256: str | None = None
    data: Callable[[], Any] | None = field(default=None, compare=False)

    @property
    def call(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The function, and all its arguments."""
        return self.function, self.arguments if self.data is None else (*self.arguments, self.data())


@dataclass(frozen=True)
class Store(ABC, Generic[R]):
    """A directory that keeps a result for each job.  Several processes may use it at once."""

    directory: Path

    def open(self) -> None:
        """Make the directory, and remove what processes that were killed have left there; raises ValueError."""
        make_directory(self.directory)

    @property
    def place(self) -> Path:
        """What messages call it."""
        return self.directory

    @abstractmethod
    def get(self, job: Job) -> R | None:
        """What is kept of this job; None if it must be computed."""

    @abstractmethod
    def put(self, job: Job, made: Any) -> R:
        """Keep what the job's function returned; what `get` would give."""

    def put_all(self, made: Sequence[tuple[Job, Any]]) -> list[R]:
        """Keep what these jobs' functions returned, one after the other."""
        return [self.put(job, each) for job, each in made]


def make_directory(path: Path) -> None:
    """Make a directory, or remove what processes that were killed have left there; raises ValueError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out: cannot make the directory {path}: {error.strerror}") from error
    remove_left_behind(path)


@dataclass(frozen=True)
class Results(Store[R]):
    """Results of one kind, such as `list[Bound]`, each in a JSON file with what it was computed from.

    A file of another version, of other weights, or with anything in it that is not of this kind, is as good as none.
    """

    kind: Any

    def get(self, job: Job) -> R | None:
        """The result in the job's file."""
        try:
            found = json.loads(self.path(job).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        usable = isinstance(found, dict) and found.get("computed") == _described(job)
        return found["result"] if usable and is_of(self.kind, found.get("result")) else None

    def put(self, job: Job, made: Any) -> R:
        """Write the job's file."""
        data = json.dumps({"computed": _described(job), "result": made})
        write_atomically(self.path(job), data.encode())
        result: R = made
        return result

    def path(self, job: Job) -> Path:
        """The job's file, which a result of other weights or of another version replaces."""
        described = _described(job)
        call = json.dumps([described["function"], described["arguments"]])
        return self.directory / f"{job.name.replace('/', '-')}-{hashlib.sha256(call.encode()).hexdigest()[:8]}.json"


def _described(job: Job) -> dict[str, Any]:
    """What a result depends on, as JSON gives it back."""
    described: dict[str, Any] = json.loads(
        json.dumps(
            {
                "function": f"{job.function.__module__}.{job.function.__qualname__}",
                "arguments": job.arguments,
                "model_sha256": job.model_sha256,
                "version": __version__,
            }
        )
    )
    return described


def is_of(kind: Any, value: Any) -> bool:
    """Whether a value read from JSON is of this type: plain, text, list, dict, union, TypedDict, all the way down.

    >>> is_of(dict[str, list[float]], {"a": [1, 2.5]})
    True
    >>> is_of(dict[str, list[float]], {"a": [1, True]})
    False
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(is_of(part, value) for part in parts)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin is list:
        return isinstance(value, list) and all(is_of(parts[0], each) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(is_of(parts[1], each) for each in value.values())
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        return (
            isinstance(value, dict) and value.keys() == hints.keys() and all(is_of(hints[k], value[k]) for k in hints)
        )
    return type(value) in ((int, float) if kind is float else (kind,))
