"""Options and phrases that several commands share."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from compactproofs import plugins, zoo
from compactproofs.kernel.problem import Strategy
from compactproofs.system.loading import load
from compactproofs.system.log import show
from compactproofs.system.places import STANDARD
from compactproofs.theorems import BUILT_IN

#: Of outcomes.
COLOURS = {"accepted": "green", "rejected": "red", "conditional": "yellow", "refused": "yellow", "malformed": "yellow"}


def models(incomplete: str) -> list[str]:
    """Names of the zoo and files that begin so, for shells."""
    folder, _, start = incomplete.rpartition("/")
    try:
        here = [path.name for path in Path(folder or ("/" if "/" in incomplete else ".")).iterdir()]
    except OSError:
        here = []
    files = [incomplete.removesuffix(start) + name for name in here if name.startswith(start) and name[0] != "."]
    return sorted({name for name in [*zoo.names(), *files] if name.startswith(incomplete)})


def strategies(incomplete: str) -> list[str]:
    """Strategies of this package that begin so, for shells."""
    return [name for name in BUILT_IN.strategies if name.startswith(incomplete)]


def models_or_families(incomplete: str) -> list[str]:
    """Names and families of the zoo and files that begin so, for shells."""
    families = {name.rpartition("/")[0] for name in zoo.names()}
    return sorted({*models(incomplete), *(name for name in families if name.startswith(incomplete))})


ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A zoo name such as max-of-4/123, or a path to a .safetensors file.",
        autocompletion=models,
    ),
]


def _verbose(level: int) -> int:
    if level:
        show(level)
    return level


VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose", "-v", count=True, metavar="", callback=_verbose, help="Say on stderr what is done; -vv says more."
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="Processes.")]
DaskOption = Annotated[
    str | None,
    typer.Option("--dask", "--scheduler", metavar="ADDRESS", help="A Dask scheduler, instead of processes."),
]
FamilyOption = Annotated[
    str | None,
    typer.Option(help="pair-sum: read a transformer of one layer as one with constant attention and two arguments."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def in_words(task: Mapping[str, str | int]) -> str:
    """A task as certificates name it."""
    return ", ".join(f"{key} {value}" if key != "name" else str(value) for key, value in task.items())


def if_trusted(home: plugins.Collection) -> str:
    """What a theorem of a plug-in is worth to whoever has not said anything about it."""
    source = home.source
    return f"proved only if you trust {source} (source sha256 {source.sha256}): give --trust {source.distribution}"


_OPERATIONS = re.compile(r"(\d+(?:\.\d*)?(?:[eE]\+?\d+)?)(?:\^(\d+(?:\.\d*)?))?", re.ASCII)


def operations_of(option: str, text: str) -> int:
    """A number of operations below 2^63: 2^21, 2^20.5, 2097152 or 2.1e6."""
    found = _OPERATIONS.fullmatch(text.strip())
    try:
        number = float(found[1]) ** float(found[2] or 1) if found else math.inf
    except OverflowError:
        number = math.inf
    if number >= 2**63:
        expected = "a number of operations from 0 to below 2^63, such as 2^20.5 or 1.6e6"
        raise ValueError(f"{option}: expected {expected}, found {text!r}")
    return int(number)


def require_order(certificate: str, model: str) -> None:
    """Raise ValueError if a certificate and a model seem to be given in the wrong order."""
    path = Path(certificate)
    not_a_model = Path(model).suffix == ".json" or Path(model).is_dir()
    missing = certificate != STANDARD and not path.exists()
    if path.suffix == ".safetensors" or (missing and not_a_model):
        raise ValueError(f"{certificate} is no certificate; the order is: verify CERTIFICATE MODEL")


def whose(collection: plugins.Collection, strategy: Strategy) -> dict[str, str]:
    """Whose theorem a strategy rests on, for JSON."""
    source = collection.source
    return {
        "tier": collection.tier(strategy),
        "distribution": source.distribution,
        "version": source.version,
        "source_sha256": source.sha256,
    }


def extra(module: str) -> ModuleType:
    """A module of this package that needs more packages than others; raises ImportError, which says how to get them."""
    try:
        return load(f"compactproofs.{module}")
    except ImportError as error:
        raise ImportError('this command needs more packages: pip install "compactproofs[report]"') from error
