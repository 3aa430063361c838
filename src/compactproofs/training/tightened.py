"""Networks trained toward a proof, many at once, in a directory:

    models/<name>.safetensors                      the network after training
    certificates/<name>/{before,after}/<strategy>  certificates about it, and about the network as it was
    results/<name>-<hash>.json                     what was proved before and after, and of the control

The control is the same network, trained as long on cross-entropy alone; networks of two arguments have none.  A run can
be stopped and started again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any, TypedDict

import safetensors.numpy

from compactproofs import zoo
from compactproofs.networks.attention_only.model import WEIGHTS, AttentionOnly
from compactproofs.runs.inputs import load_model, open_file
from compactproofs.runs.runner import run
from compactproofs.runs.store import Job, Results
from compactproofs.search.certificates import certificate_name
from compactproofs.search.prover import Prover, feasible_strategies
from compactproofs.system.files import write_atomically
from compactproofs.tasks.pairs import add_mod
from compactproofs.theorems.max_of_k.branching.branch_and_bound import BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER
from compactproofs.theorems.pair_sum.brute_force import BRUTE_FORCE, BRUTE_FORCE_UPPER
from compactproofs.training import few_directions
from compactproofs.training.few_directions import FewDirections, as_float32, keep_few
from compactproofs.training.files import METADATA_KEY, to_bytes
from compactproofs.training.toward_proof import Tightening, distance, tighten
from compactproofs.version import __version__

#: Proved besides the strategy that is trained for: others of which queries and keys are not multiplied out.
ALSO = (
    "sub-cubic/max_diff_exact/mean_query+diff/svd",
    "failing-sets/strict-QK",
    "failing-sets/strict-QK+EU",
)


class Change(TypedDict):
    """What one strategy proves, as shares of all inputs: before training, after it, and after as much without penalty.

    `flops`: after training.
    """

    strategy: str
    flops: int
    before: float
    after: float
    control: float | None


class Tightened(TypedDict):
    """One network: distances relative to the size of its weights, and correct inputs where both sides agree."""

    model: str
    strategy: str
    total: int
    sha256_before: str
    sha256_after: str
    correct_before: int | None
    correct_after: int | None
    correct_control: int | None
    distance: float
    control_distance: float | None
    seconds: float
    changes: list[Change]


@dataclass(frozen=True)
class Made:
    """What a job returns: the result, and the files that go with it, by their paths in the directory."""

    result: Tightened
    files: dict[str, bytes]


def tighten_models(
    models: Sequence[str],
    directory: Path,
    how: Tightening | FewDirections | None = None,
    *,
    also: Sequence[str] = ALSO,
    control: bool = True,
    workers: int = 1,
    progress: bool = False,
) -> list[Tightened]:
    """Train these networks, zoo names or files, toward a proof; what is in `directory` already is not done again.

    `also` and `control` are about max-of-K.

    Raises NotTrainable, ValueError or OSError, and on Ctrl-C a KeyboardInterrupt that says how many are finished.
    """
    how = how or Tightening()
    settings = tuple(dataclasses.asdict(how).items())
    jobs = []
    for model, name in zip(map(str, models), _short_names(models), strict=True):
        if isinstance(how, FewDirections):
            jobs.append(Job(name, tighten_pairs, (model, name, settings), open_file(model).pair_sum().sha256))
        else:
            arguments = (model, name, settings, tuple(also), control)
            jobs.append(Job(name, tighten_one, arguments, load_model(model).sha256))
    store = _Directory(directory)
    found = dict(run(jobs, store, workers=workers, doing="training", shown=progress))
    return [found[job] for job in jobs]


def tighten_one(model: str, name: str, settings: Sequence[tuple[str, Any]], also: Sequence[str], control: bool) -> Made:
    """Train one network, and prove what there is to prove about it."""
    before, how = zoo.load_model(model), Tightening(**dict(settings))
    start = process_time()
    after = tighten(before, how)
    seconds = process_time() - start
    networks = {"before": before, "after": after}
    if control:
        networks["control"] = tighten(before, dataclasses.replace(how, penalty=0.0, distance_penalty=0.0))
    provers = {which: Prover(network) for which, network in networks.items()}
    feasible = set(feasible_strategies(before))  # of some of `also` long inputs are too many
    strategies = tuple(dict.fromkeys((how.strategy, *filter(feasible.__contains__, also))))
    distances = distance(before, after), distance(before, networks["control"]) if control else None
    return _made(name, strategies, provers, _file(before, after, how), distances, seconds)


def tighten_pairs(model: str, name: str, settings: Sequence[tuple[str, Any]]) -> Made:
    """Train one network that adds modulo n toward few directions, and prove what there is to prove about it."""
    before, how = open_file(model).pair_sum(), FewDirections(**dict(settings))
    start = process_time()
    after = keep_few(before, how)
    seconds = process_time() - start
    task = add_mod(before.n)
    provers = {"before": Prover(before, task), "after": Prover(after, task)}
    about = {"family": before.family, "task": f"add-{before.n}", **_about(before.sha256, how)}
    distances = few_directions.distance(before, after), None
    return _made(name, (how.strategy,), provers, to_bytes(as_float32(after), about), distances, seconds)


def _made(
    name: str,
    strategies: Sequence[str],
    provers: Mapping[str, Prover],
    file: bytes,
    distances: tuple[float, float | None],
    seconds: float,
) -> Made:
    """What the first of these strategies, which was trained for, and the others prove before and after."""
    changes, files = [], {f"models/{name}.safetensors": file}
    for strategy in strategies:
        proofs = {which: prover.prove(strategy) for which, prover in provers.items()}
        bounds = {which: float(proof.bound) for which, proof in proofs.items()}
        for which in ("before", "after"):
            path = f"certificates/{name}/{which}/{certificate_name(strategy)}"
            files[path] = proofs[which].certificate.to_bytes()
        changes.append(
            Change(
                strategy=strategy,
                flops=proofs["after"].cost.flops,
                before=bounds["before"],
                after=bounds["after"],
                control=bounds.get("control"),
            )
        )
    correct = {which: _exactly(prover) for which, prover in provers.items()}
    result = Tightened(
        model=name,
        strategy=strategies[0],
        total=provers["after"].problem.task.total,
        sha256_before=provers["before"].problem.network.sha256,
        sha256_after=provers["after"].problem.network.sha256,
        correct_before=correct["before"],
        correct_after=correct["after"],
        correct_control=correct.get("control"),
        distance=distances[0],
        control_distance=distances[1],
        seconds=seconds,
        changes=changes,
    )
    return Made(result, files)


def _exactly(prover: Prover) -> int | None:
    """The number of correct inputs, where branch and bound, or brute force for pairs, from both sides meets."""
    sides = BRANCH_AND_BOUND, BRANCH_AND_BOUND_UPPER
    if prover.problem.network.family == BRUTE_FORCE.family:
        sides = BRUTE_FORCE, BRUTE_FORCE_UPPER
    if sides[0].limit(prover.problem) is not None:
        return None
    least, most = (prover.prove(side.id).certificate.certified for side in sides)
    return least if least == most else None


def _file(before: AttentionOnly, after: AttentionOnly, how: Tightening) -> bytes:
    """The network as a safetensors file that says where it comes from; equal networks give equal bytes."""
    tensors = {}
    for name, (disk, _, has_head) in WEIGHTS.items():
        array = getattr(after, name).astype("float32", order="C")  # safetensors writes memory as it lies
        tensors[disk] = array[None] if has_head else array
    return safetensors.numpy.save(tensors, metadata={METADATA_KEY: json.dumps(_about(before.sha256, how))})


def _about(before: str, how: Tightening | FewDirections) -> dict[str, Any]:
    """What a file says of how the network came about, from one with the hash `before`."""
    settings = dataclasses.asdict(how)
    return {"recipe": "trained toward a proof", "from_sha256": before, "settings": settings, "version": __version__}


def _short_names(models: Sequence[str]) -> list[str]:
    """What results are called: zoo names as they are, files by their names without suffix."""
    names = [str(model) if not Path(model).exists() else Path(model).stem for model in models]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"each model may be named once, and files by different names; repeated: {', '.join(repeated)}")
    return names


class _Directory(Results[Tightened]):
    """Results in the directory's folder `results`, written after the files that go with them."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "results", Tightened)
        object.__setattr__(self, "_root", directory)

    @property
    def place(self) -> Path:
        """What messages call it."""
        root: Path = self._root  # type: ignore[attr-defined]
        return root

    def get(self, job: Job) -> Tightened | None:
        """The result, if the network that belongs to it is there too."""
        model = self.place / f"models/{job.name}.safetensors"
        result = super().get(job)
        return result if result is not None and model.is_file() else None

    def put(self, job: Job, made: Made) -> Tightened:
        """Write the files, then the result."""
        for name, data in made.files.items():
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
        return super().put(job, made.result)
