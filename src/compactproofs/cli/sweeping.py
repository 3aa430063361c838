"""`sweep`: many models, many strategies, on one machine or on many."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from compactproofs.cli.common import DaskOption, JobsOption, extra, models_or_families, strategies
from compactproofs.kernel.errors import CompactProofsError
from compactproofs.runs.inputs import model_names, strategy_ids
from compactproofs.runs.sweep import Proofs, Result, collected, plan, prove_missing
from compactproofs.system.places import check_directory
from compactproofs.system.terminal import say


class Unfinished(CompactProofsError, OSError):
    """Something that another attempt may do better; the message says how to make one."""


def sweep(
    model: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Zoo names, families such as max-of-4, patterns, .safetensors files, and directories of them.",
            autocompletion=models_or_families,
        ),
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="The directory for results, which many may share.")],
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            "--strategies",
            help="A strategy id, the beginning of ids such as sub-cubic, or a pattern; may be given several times.",
            autocompletion=strategies,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Use every strategy that is feasible for each model.")] = False,
    jobs: JobsOption = 2,
    dask: DaskOption = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Do the I-th of N parts, such as 1/8, as in an array of jobs.")
    ] = None,
    certificates: Annotated[bool, typer.Option("--certificates", help="Keep the certificates too.")] = False,
    collect: Annotated[
        bool, typer.Option("--collect", help="Prove nothing; write the table of the results that are there.")
    ] = False,
) -> None:
    """Prove bounds on many models by many strategies, on one machine or many; an interrupted sweep resumes."""
    if every == bool(strategy):
        raise ValueError("choose one: --strategy ID (may be repeated), or --all")
    if collect and shard is not None:
        raise ValueError("--collect makes the table of all parts; leave out --shard")
    part = _part(shard)
    ids = None if every else strategy_ids(strategy or ())
    names = model_names(model)
    table = extra("runs.table")
    check_directory(out_dir)
    if collect and not (out_dir / "results").is_dir():
        raise ValueError(f"--collect: {out_dir} holds no results of a sweep")
    wanted = plan(names, ids)
    if not collect:
        store = Proofs(out_dir, certificates)
        prove_missing(wanted, store, shard=part, workers=jobs, scheduler=dask)
    results = collected(wanted, Proofs(out_dir))
    total = sum(map(len, wanted.values()))
    if collect or len(results) == total:
        files = table.write(results, out_dir)
        say(f"{len(results)} results of {len(wanted)} models: {_counted(results)}")
        refused = next((result for result in results if result["outcome"] == "refused"), None)
        if refused is not None:
            why = f"{refused['model']}, {refused['strategy']}: {refused['reason']}"
            say(f"refused, the first: {why}; the table's column 'reason' has all of them")
        say(f"the table is {' and '.join(map(str, files))}")
    missing = total - len(results)
    if missing:
        later = "" if collect else "; once all parts are done the table is written"
        say(f"{missing} of {total} results are missing in {out_dir}{later}")
    failed = [result for result in results if result["outcome"] == "failed"]
    if failed:
        first = f"{failed[0]['model']}, {failed[0]['strategy']}: {failed[0]['reason']}"
        raise Unfinished(f"{len(failed)} of {total} failed; run the same command again to try once more ({first})")


def _part(text: str | None) -> tuple[int, int]:
    """Which part of how many."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", "1/1" if text is None else text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"--shard: expected I/N with I from 1 to N, such as 1/8, found {text!r}")
    return int(found[1]), int(found[2])


def _counted(results: list[Result]) -> str:
    """How many came to what."""
    counts = Counter(result["outcome"] for result in results)
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "none"
