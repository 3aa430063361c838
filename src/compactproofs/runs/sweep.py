"""Proofs by many strategies of many models, in a directory:

    results/<model>-<hash>.json     what some strategies came to on one model, or on several where that takes no time
    certificates/<model>/           one certificate for each strategy, where they are asked for

Each file appears as a whole, and certificates before results.  A result counts if it is of this version and of the file
that the model has now.  Any number of processes on any machines may fill a directory at once: two that prove the same
write the same, and one of both counts.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict

from compactproofs import zoo
from compactproofs.kernel.errors import CompactProofsError
from compactproofs.opening.networks import File
from compactproofs.runs.runner import run
from compactproofs.runs.store import Job, Store, is_of, make_directory
from compactproofs.search.certificates import certificate_name
from compactproofs.search.prover import DECIDING, Bound, Prover, feasible_strategies
from compactproofs.search.questions import Options, asked, require
from compactproofs.system.files import write_atomically
from compactproofs.system.messages import reason
from compactproofs.system.places import readable
from compactproofs.theorems import BUILT_IN
from compactproofs.version import __version__

#: What stands for the strategies of a model that is refused, where all that are feasible were asked for.
ALL = "*"


class NotProved(CompactProofsError, ValueError):
    """Something that a table is made of could not be proved."""


class Result(TypedDict):
    """What one strategy came to on one model.

    `refused`: the strategy is not about the model, or what is called one is none; `failed`: another attempt may do
    better, and the next run makes one.  `correct`: how many inputs are answered correctly, if this is known.
    `certificate`: where it is in the directory, if it was asked for.
    """

    model: str
    file_sha256: str
    strategy: str
    outcome: Literal["proved", "refused", "failed"]
    reason: str
    proof: Bound | None
    correct: str | None
    certificate: str | None


class _Batch(TypedDict):
    """A file of results: the version that they are of, and the seconds that their jobs took."""

    version: str
    seconds: float
    results: list[Result]


#: Of each model, by the name and the hash of its file, the strategies.
Plan: TypeAlias = dict[tuple[str, str], tuple[str, ...]]
#: What a job returns: its seconds, and each result with the bytes of its certificate.
Made: TypeAlias = tuple[float, list[tuple[Result, bytes | None]]]


def plan(models: Iterable[str], strategies: Sequence[str] | None) -> Plan:
    """What is to be proved: by these strategies, or for each model by all that are feasible."""
    found: Plan = {}
    for model in models:
        data = _read(model)
        sha256 = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else ""
        found[model, sha256] = _feasible(model, data) if strategies is None else tuple(strategies)
    return found


def prove_missing(
    wanted: Plan,
    store: Proofs,
    *,
    shard: tuple[int, int] = (1, 1),
    workers: int = 1,
    scheduler: str | None = None,
) -> None:
    """Prove what the directory lacks, or the i-th of n equal parts of all that is wanted.

    Raises what `run` raises; what a strategy raises is its result.
    """
    number, of = shard
    parts = [(model, ids) for model, strategies in wanted.items() for ids in _by_theorem(strategies)]
    if of > 1:  # in an order that nobody chose, so that parts are alike, and the same everywhere
        parts = sorted(parts, key=lambda part: hashlib.sha256(repr(part).encode()).digest())[number - 1 :: of]
    jobs = []
    for model, ids in parts:
        there = [i for i in ids if store.result(model, i) is not None]
        jobs += [store.job(model, some) for some in (there, [i for i in ids if i not in there]) if some]
    for _ in run(jobs, store, workers=workers, scheduler=scheduler, doing="proving"):
        pass


def collected(wanted: Plan, store: Proofs) -> list[Result]:
    """The results that are there, one for each model and strategy, in the order of the plan.

    What one strategy tells of a model's accuracy normalises the bounds by all others.
    """
    found = []
    for model, strategies in wanted.items():
        results = [r for i in strategies if (r := store.known.get((*model, i))) is not None]
        bounds = [result["proof"] for result in results if result["proof"] is not None]
        exact = next((int(r["correct"]) for r in results if r["correct"] is not None), _where_they_meet(bounds))
        found += [_normalised(result, exact) for result in results]
    return found


def sweep(
    models: Sequence[str],
    strategies: Sequence[str],
    directory: Path,
    workers: int = 1,
    scheduler: str | None = None,
) -> list[Bound]:
    """The bounds of all models by these strategies, in this order, with certificates; what is not there is proved.

    Raises NotProved where there is none.
    """
    wanted, store = plan(models, strategies), Proofs(directory, certificates=True)
    prove_missing(wanted, store, workers=workers, scheduler=scheduler)
    bounds = []
    for result in collected(wanted, store):
        if result["proof"] is None:
            raise NotProved(f"{result['model']}: {result['strategy']}: {result['reason']}")
        bounds.append(result["proof"])
    return bounds


@dataclass(frozen=True)
class Proofs(Store[list[Result]]):
    """Results of `prove_model` by model and strategy, whatever job they come from."""

    certificates: bool = False

    def open(self) -> None:
        """Make the folder for results."""
        make_directory(self.directory / "results")

    def job(self, model: tuple[str, str], strategies: Sequence[str]) -> Job:
        """To prove bounds on one model by some strategies."""
        name, sha256 = model
        return Job(name, prove_model, (name, tuple(strategies), self.certificates), sha256, lambda: _read(name))

    @cached_property
    def known(self) -> dict[tuple[str, str, str], Result]:
        """Of the results of this version, the best for each model, hash and strategy."""
        found: dict[tuple[str, str, str], Result] = {}
        for path in sorted((self.directory / "results").glob("*.json")):
            try:
                batch = json.loads(path.read_bytes())
            except (OSError, ValueError, RecursionError):
                continue
            if is_of(_Batch, batch) and batch["version"] == __version__:
                _add(found, batch["results"])
        return found

    def result(self, model: tuple[str, str], strategy: str) -> Result | None:
        """What is known; None if it must be proved, or proved again."""
        result = self.known.get((*model, strategy))
        if result is None or result["outcome"] == "failed":
            return None
        lacks_certificate = self.certificates and result["outcome"] == "proved" and result["certificate"] is None
        return None if lacks_certificate else result

    def get(self, job: Job) -> list[Result] | None:
        """The results of all its strategies, if they are known."""
        name, strategies, _ = job.arguments
        results = [self.result((name, job.model_sha256 or ""), strategy) for strategy in strategies]
        return None if None in results else [result for result in results if result is not None]

    def put(self, job: Job, made: Made) -> list[Result]:
        """Write certificates, then results."""
        return self.put_all([(job, made)])[0]

    def put_all(self, made: Sequence[tuple[Job, Made]]) -> list[list[Result]]:
        """Write certificates, then the results of all these jobs in one file."""
        each = [both for _, (_, results) in made for both in results]
        files = {self.directory / r["certificate"]: data for r, data in each if r["certificate"] and data}
        for folder in {path.parent for path in files}:
            make_directory(folder)
        for path, data in files.items():
            write_atomically(path, data)
        found = [[result for result, _ in results] for _, (_, results) in made]
        batch: _Batch = {
            "version": __version__,
            "seconds": sum(seconds for _, (seconds, _) in made),
            "results": [result for result, _ in each],
        }
        if batch["results"]:
            parts = [(*_key(result), result["certificate"] is None) for result in batch["results"]]
            name = f"{_label(*parts[0][:2])}-{_short(json.dumps(parts))}.json"
            write_atomically(self.directory / "results" / name, json.dumps(batch).encode())
            _add(self.known, batch["results"])
        return found


def prove_model(name: str, strategies: Sequence[str], certificates: bool, data: bytes | Exception) -> Made:
    """What strategies come to on one model, with certificates or without; `data`: the bytes of its file."""
    start, sha256 = time.perf_counter(), hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else ""
    made: list[tuple[Result, bytes | None]] = []
    try:
        file = _file(name, data)
        question = asked(file, Options(), name, strategies)
        prover = Prover(question.network, question.task)
        exact = zoo.known_correct(question.network) if question.task is None else None
    except Exception as error:
        return time.perf_counter() - start, [(_without(name, sha256, each, error), None) for each in strategies]
    for strategy in strategies:
        try:
            require(prover, prover.library.strategy(strategy), file, Options())
            proof = prover.prove(strategy)
            if exact is None and strategy in DECIDING:
                exact = prover.exact_correct()
        except Exception as error:
            made.append((_without(name, sha256, strategy, error), None))
            continue
        result: Result = {
            "model": name,
            "file_sha256": sha256,
            "strategy": strategy,
            "outcome": "proved",
            "reason": "",
            "proof": proof.as_dict(name, exact),
            "correct": None if exact is None else str(exact),
            "certificate": None,
        }
        if certificates:
            result["certificate"] = f"certificates/{_label(name, sha256)}/{certificate_name(strategy)}"
        made.append((result, proof.certificate.to_bytes() if certificates else None))
    return time.perf_counter() - start, made


def _read(name: str) -> bytes | Exception:
    """The bytes of a model's file, or why there are none, which can go to another process."""
    try:
        return zoo.read(readable(name))[1]
    except ValueError as error:
        return ValueError(reason(error))
    except OSError as error:
        return OSError(reason(error))


def _file(name: str, data: bytes | Exception) -> File:
    """What holds a model."""
    if isinstance(data, Exception):
        raise data
    return File(name, data)


def _feasible(name: str, data: bytes | Exception) -> tuple[str, ...]:
    """All strategies that are feasible for a model; of one that is refused, what stands for them."""
    try:
        question = asked(_file(name, data), Options(), name)
    except (ValueError, OSError, MemoryError):
        return (ALL,)
    return tuple(feasible_strategies(question.network, question.task))


def _by_theorem(strategies: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The strategies in groups of those that share most of their work."""
    groups: dict[str, list[str]] = {}
    for strategy in strategies:
        known = BUILT_IN.strategies.get(strategy)
        groups.setdefault(known.theorem if known else strategy, []).append(strategy)
    return map(tuple, groups.values())


def _without(name: str, sha256: str, strategy: str, error: Exception) -> Result:
    """A result that is no bound."""
    refused = isinstance(error, ValueError)
    return {
        "model": name,
        "file_sha256": sha256,
        "strategy": strategy,
        "outcome": "refused" if refused else "failed",
        "reason": reason(error) if refused else f"{type(error).__name__}: {reason(error)}",
        "proof": None,
        "correct": None,
        "certificate": None,
    }


def _key(result: Result) -> tuple[str, str, str]:
    return result["model"], result["file_sha256"], result["strategy"]


def _add(known: dict[tuple[str, str, str], Result], results: Iterable[Result]) -> None:
    """Add results, of two of one strategy the better one."""

    def worth(result: Result) -> tuple[bool, bool]:
        return result["outcome"] != "failed", result["certificate"] is not None

    for result in results:
        other = known.get(_key(result))
        if other is None or worth(result) > worth(other):
            known[_key(result)] = result


def _label(name: str, sha256: str) -> str:
    """What files about a model are called: of the zoo as the model is, and else with what tells apart other models."""
    return name.replace("/", "-") if name in zoo.names() else f"{Path(name).stem[:100]}-{sha256[:8]}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _where_they_meet(bounds: Iterable[Bound]) -> int | None:
    """The number of inputs answered correctly, if bounds from below and above are the same."""
    lower = max((int(b["certified"]) for b in bounds if b["claim"] == "at least"), default=-1)
    upper = min((int(b["certified"]) for b in bounds if b["claim"] == "at most"), default=-2)
    return lower if lower == upper else None


def _normalised(result: Result, exact: int | None) -> Result:
    """The result with a normalised bound, if it has a bound and something is known."""
    if result["proof"] is None or not exact:
        return result
    bound: Bound = {**result["proof"], "normalised": int(result["proof"]["certified"]) / exact}
    return {**result, "proof": bound, "correct": str(exact)}
