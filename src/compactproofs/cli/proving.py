"""`prove`: find hints, claim bounds, write certificates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, track

import compactproofs as cp
from compactproofs import plugins, zoo
from compactproofs.cli.common import JsonOption, ModelArgument, if_trusted, in_words, operations_of
from compactproofs.cli.questions import Options, Question, asked
from compactproofs.kernel.certificate import CLAIMS
from compactproofs.kernel.problem import Problem
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.decoder.model import Decoder
from compactproofs.runs.inputs import load_certificate, open_file
from compactproofs.search.budget import prove_within
from compactproofs.search.certificates import certificate_name
from compactproofs.search.effort import power, to_allow
from compactproofs.search.prover import Bound
from compactproofs.system.places import STANDARD, check_directory, check_file
from compactproofs.system.terminal import err, say, say_json, say_table
from compactproofs.tasks.sequences import INPUTS, RULES
from compactproofs.theorems import get_strategy
from compactproofs.theorems.enumerate.every_input import ENUMERATE, ENUMERATE_UPPER


def prove(
    model: ModelArgument,
    strategy: Annotated[list[str] | None, typer.Option(help="A strategy id; may be given several times.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Use every strategy that is feasible for this model; the best comes first.")
    ] = False,
    out_name: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="Where to write certificates: a file for one strategy, or - for standard output; "
            "a directory for several.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Find the best bound for this many operations, such as 2^21 or 1.6e6, by any strategy."),
    ] = None,
    as_json: JsonOption = False,
    task: Annotated[
        str | None,
        typer.Option(help=f"What the right answer is: max (default), {', '.join(list(RULES)[1:])}, table:FILE."),
    ] = None,
    prefix: Annotated[str, typer.Option(metavar="TOKENS", help="Fixed tokens in front, such as a BOS token.")] = "",
    suffix: Annotated[str, typer.Option(metavar="TOKENS", help="Fixed tokens behind, such as an = sign.")] = "",
    read_out: Annotated[
        int | None, typer.Option(help="The position of the answer, counted from 0, or from the end; default -1.")
    ] = None,
    length: Annotated[int | None, typer.Option(help="How many tokens are not fixed; default: all the rest.")] = None,
    tokens: Annotated[
        int | None, typer.Option(help="How many tokens these are out of, 0 and on; default: all below the fixed ones.")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", help="The k of kth-largest, sorted and sum-mod.")] = None,
    inputs: Annotated[
        str | None, typer.Option(help=f"Which sequences are inputs: {', '.join(INPUTS)}; default: all.")
    ] = None,
    weights: Annotated[
        str, typer.Option(metavar="INTEGERS", help="How much each token counts; an input counts their product.")
    ] = "",
    order: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="All tokens, the largest last, for the largest in another order."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A TransformerLens setting of which the file says nothing."),
    ] = None,
) -> None:
    """Prove bounds on a model's accuracy, check them, and write certificates."""
    if every + bool(strategy) + (budget is not None) != 1:
        raise ValueError("choose one: --strategy ID (may be repeated), --all, or --budget FLOPS")
    if as_json and out_name == STANDARD:
        raise ValueError("--out -: standard output cannot hold a certificate and --json; name a file, or choose one")
    operations = None if budget is None else operations_of("--budget", budget)
    options = Options(task, prefix, suffix, read_out, length, tokens, k, tuple(setting or ()), inputs, weights, order)
    ids = list(dict.fromkeys(strategy or []))
    own = not any(map(plugins.distribution_of, ids))
    question = asked(model, open_file(model), options, ids) if own else _asked_of_plugins(model, ids, options)
    loaded = question.network
    provers = plugins.Provers(loaded, question.task)
    if operations is not None:
        if isinstance(loaded, Decoder):
            raise ValueError(f"--budget: for a decoder there is one strategy, {ENUMERATE.id}")
        ids = ["budget"]
        if out_name is not None and Path(out_name).is_dir():
            raise ValueError(f"--out: {out_name} is a directory; with --budget name a file")
    else:
        ids = cp.feasible_strategies(loaded, question.task) if every else ids
        for strategy_id in ids or [ENUMERATE.id]:
            prover = provers.of(strategy_id)
            with plugins.blamed(strategy_id):
                prover.require(prover.library.strategy(strategy_id))
    targets = _targets(out_name, ids)
    proofs = []
    for proof, target in zip(_proofs(provers, ids, operations), targets, strict=True):
        proofs.append(proof)
        if target:
            _save(proof.certificate, target)
    exact = zoo.known_correct(loaded) if own and question.task is None else None
    if exact is None and not _EXACT.isdisjoint(ids):
        exact = provers.of(ENUMERATE.id).exact_correct()
    for line in question.notes:
        say(line, to=err)
    for proof in proofs:
        prover, home = provers.of(proof.certificate.strategy), plugins.collection(proof.certificate.strategy)
        used = prover.library.strategy(proof.certificate.strategy)
        more = to_allow(used, home.declared(used, prover.problem, proof.certificate.hints), proof.cost)
        if more is not None:
            say(f"note: to check {used.id}, verify needs --max-ops {more}", to=err)
        if plugins.distribution_of(used.id):
            say(f"note: {used.id} is {if_trusted(home)}", to=err)
    rows = [proof.as_dict(model, exact) for proof in proofs]
    if as_json:
        say_json(rows)
        return
    console = err if out_name == STANDARD else None
    tasks = dict.fromkeys(f"{in_words(p.certificate.task)}, {p.certificate.total} inputs" for p in proofs)
    say(f"{model}: {question.words if own else '; '.join(tasks)}", to=console)
    if every:
        rows.sort(key=_worse)
    _say_bounds(rows, console)
    if every:
        say(_best(rows), to=console)
    if None in (row["normalised"] for row in rows):
        problem = provers.of(proofs[0].certificate.strategy).problem
        why = _why_not_normalised(problem, exact, ids) if own else "the exact accuracy is known of built-in tasks only"
        say(f"normalised: ?, since {why}", to=console)
    if out_name is not None and out_name != STANDARD:
        place = targets[0] if len(targets) == 1 else out_name
        say(f"{len(proofs)} certificate{'s' if len(proofs) > 1 else ''} written to {place}")


#: Strategies that tell the exact accuracy if they decide every input.
_EXACT = {
    *("brute-force", "heads/brute-force", "heads/branch-and-bound", "heads/branch-and-bound-upper"),
    *(ENUMERATE.id, ENUMERATE_UPPER.id),
}


def _asked_of_plugins(name: str, strategy_ids: Sequence[str], options: Options) -> Question:
    """What is asked about the model in a file by strategies of plug-ins, whose companions choose the task."""
    if options != Options():
        raise ValueError("--task and what goes with it are for strategies of compactproofs; plug-ins choose the task")
    readers = {}
    for strategy_id in strategy_ids:
        if plugins.distribution_of(strategy_id) is None:
            raise ValueError("--strategy: prove by strategies of compactproofs and of plug-ins apart")
        home = plugins.collection(strategy_id)
        family = home.library.strategy(strategy_id).family
        readers[family] = home.networks.get(family)
    if len(readers) > 1:
        raise ValueError(f"--strategy: a model is of one family of networks, not of {' and '.join(readers)}")
    ((family, reader),) = readers.items()
    file = open_file(name)
    with plugins.blamed(strategy_ids[0]):
        if reader is not None:
            return Question(reader(file.data), None, "")
    return Question(file.decoder()[0] if family == Decoder.family else file.attention_only(), None, "")


def _proofs(provers: plugins.Provers, ids: list[str], budget: int | None) -> Iterator[cp.Proof]:
    """One proof after the other by each strategy, or the best one for a budget."""
    if budget is None:
        for strategy_id in track(ids, "proving", console=err, transient=True) if err.is_terminal else ids:
            with plugins.blamed(strategy_id):
                proof = provers.of(strategy_id).prove(strategy_id)
            yield proof
        return
    prover = provers.of("trivial")
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task("trying", total=len(cp.feasible_strategies(prover.model, prover.problem.task)))
        yield prove_within(prover, budget, lambda strategy_id: progress.advance(bar))


def _targets(name: str | None, ids: list[str]) -> Sequence[Path | str | None]:
    """Where each certificate goes; refuses to replace a file that is not a certificate."""
    if name is None:
        return [None] * len(ids)
    several = len(ids) > 1
    if name == STANDARD:
        if several:
            raise ValueError(f"--out -: {len(ids)} certificates need a directory; one goes to standard output")
        return [STANDARD]
    path = Path(name)
    if several or path.is_dir():
        if path.exists() and not path.is_dir():
            raise ValueError(f"--out: {path} is a file; {len(ids)} certificates need a directory")
        check_directory(path)
        path.mkdir(parents=True, exist_ok=True)
        targets = [path / certificate_name(i) for i in ids]
    else:
        check_file(path)
        targets = [path]
    for target in targets:
        if target.exists():
            try:
                load_certificate(target)
            except ValueError as error:
                raise ValueError(f"--out: {target} exists and is not a certificate; choose another name") from error
    return targets


def _save(certificate: cp.Certificate, target: Path | str) -> None:
    if target == STANDARD:
        print(certificate.to_bytes().decode("ascii"), end="")
        return
    try:
        certificate.save(target)
    except OSError as error:
        raise ValueError(f"--out: cannot write {target}: {error.strerror or error}") from error


def _say_bounds(rows: list[Bound], console: Console | None) -> None:
    headers = ("certified", "bound", "normalised", "FLOPs", "unexplained", "search", "verify", "strategy")
    cells = [
        (
            _count(row),
            f"{row['bound']:.6f}",
            "?" if row["normalised"] is None else f"{row['normalised']:.4f}",
            power(row["flops"]),
            power(row["unexplained_dimension"]),
            f"{row['search_seconds']:.2f} s",
            f"{row['verify_seconds']:.2f} s",
            row["strategy"],
        )
        for row in rows
    ]
    say_table(headers, cells, label=7, numbers=range(7), to=console)


def _count(row: Bound) -> str:
    certified = row["certified"] if len(row["certified"]) <= 15 else f"{Decimal(row['certified']):.6e}"
    return f"{'≤ ' if row['claim'] == 'at most' else ''}{certified}"


def _worse(row: Bound) -> tuple[bool, int, int]:
    """Sorts the best bound from below first, then the best one from above; of equal ones that of fewer operations."""
    above = row["claim"] == "at most"
    return above, int(row["certified"]) * (1 if above else -1), row["flops"]


def _best(rows: list[Bound]) -> str:
    """The best bounds of rows that are sorted: from below, and from above if there are such."""
    best = {row["claim"]: row for row in reversed(rows)}
    return "best: " + "; ".join(
        f"{claim} {best[claim]['certified']} of {best[claim]['total']} by {best[claim]['strategy']}, "
        f"{power(best[claim]['flops'])} operations"
        for claim in CLAIMS
        if claim in best
    )


def _why_not_normalised(problem: Problem[Any, Any], exact: int | None, ids: list[str]) -> str:
    if exact == 0:
        return "no input is answered correctly"
    if problem.network.family == Decoder.family:
        return "the exact accuracy is not known (inputs were left undecided)"
    one = "heads/branch-and-bound" if problem.network.family == ManyHeads.family else "brute-force"
    if problem.task.record["name"] not in get_strategy(one).tasks:
        return "brute force does not count weights"
    limit = get_strategy(one).limit(problem)
    if limit is None:
        limit = f"{one} was not asked for" if _EXACT.isdisjoint(ids) else f"{one} left inputs undecided"
    return f"the exact accuracy is not known ({limit})"
