"""`prove`: find hints, claim bounds, write certificates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import compactproofs as cp
from compactproofs import plugins, zoo
from compactproofs.cli.common import (
    FamilyOption,
    JsonOption,
    ModelArgument,
    VerboseOption,
    if_trusted,
    in_words,
    operations_of,
    strategies,
)
from compactproofs.cli.questions import settings_of, task_of, tokens_of
from compactproofs.kernel.certificate import CLAIMS
from compactproofs.kernel.problem import Problem
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.decoder.model import Decoder
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening.pairs import TASKS
from compactproofs.runs.inputs import load_certificate, open_file
from compactproofs.search import nothing
from compactproofs.search.budget import Within, prove_within
from compactproofs.search.builtin import get_strategy
from compactproofs.search.certificates import certificate_name
from compactproofs.search.choice import MOMENT, PATIENCE, Certified, answer, in_patience
from compactproofs.search.cost import power
from compactproofs.search.effort import to_allow
from compactproofs.search.families import companion_of
from compactproofs.search.prover import DECIDING, Bound
from compactproofs.search.questions import Options, Question, asked, require
from compactproofs.system.displays import in_short, share_in_short
from compactproofs.system.places import STANDARD, check_directory, check_file
from compactproofs.system.terminal import busy, err, say, say_json, say_table
from compactproofs.tasks.sequences import INPUTS, RULES, TABLE
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.max_of_k.by_comparison.branch_and_bound import BY_COMPARISON


def prove(
    model: ModelArgument,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            help="A strategy id; may be given several times.",
            autocompletion=strategies,
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Use every strategy that is feasible for this model, without those that may take longer than "
            f"{PATIENCE:.0f} s; the best comes first.",
        ),
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
        typer.Option(help="Find the best bound for this many operations, such as 2^20.5 or 1.6e6, by any strategy."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help=f"Without any of these: the best bounds that so many seconds buy; default {PATIENCE:.0f}, or "
            f"{MOMENT:.0f} where the model does not seem to do the task.",
        ),
    ] = None,
    finer: Annotated[
        float | None,
        typer.Option(help="Of histograms: how many times as fine to count as usual, for closer bounds; default 1."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Of histograms, for more than 2^40 inputs: where the search keeps what it has found. Started again, "
            "or several times at once, the same command does what is missing.",
        ),
    ] = None,
    as_json: JsonOption = False,
    task: Annotated[
        str | None,
        typer.Option(
            help=f"What the right answer is: max (default), {', '.join(list(RULES)[1:])}, table:FILE; of two arguments "
            f"{TASKS}.",
            autocompletion=lambda incomplete: [name for name in (*RULES, f"{TABLE}:") if name.startswith(incomplete)],
        ),
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
        str, typer.Option(metavar="TOKENS", help="All tokens, the largest last, for the largest in another order.")
    ] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A TransformerLens setting of which the file says nothing."),
    ] = None,
    family: FamilyOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Prove bounds on a model's accuracy, check them, and write certificates.

    Without --strategy, --all and --budget: the best bounds that --seconds buy.
    """
    ways = every + bool(strategy) + (budget is not None) + (seconds is not None)
    if ways > 1:
        raise ValueError("choose one: --strategy ID (may be repeated), --all, --budget FLOPS, or --seconds N")
    if seconds is not None and not seconds >= 0.0:
        raise ValueError(f"--seconds: expected a number from 0 on, found {seconds}")
    best = seconds is not None or not ways
    if out_name == "":
        raise ValueError("--out: expected a file or directory, found ''")
    if as_json and out_name == STANDARD:
        raise ValueError("--out -: standard output cannot hold a certificate and --json; name a file, or choose one")
    operations = None if budget is None else operations_of("--budget", budget)
    task, table = task_of(task)
    fixed = tokens_of("--prefix", prefix), tokens_of("--suffix", suffix)
    options = Options(
        *(task, *fixed, read_out, length, tokens, k, settings_of(setting or ())),
        inputs=inputs or "all",
        weights=tokens_of("--weights", weights),
        order=tokens_of("--order", order),
        table=table,
        family=family,
    )
    ids = list(dict.fromkeys(strategy or []))
    for several in (each for each in ids if "," in each):
        raise ValueError(f"--strategy: expected one ID, found {several!r}; give the option once for each")
    _check_pieces(ids, finer, keep)
    own = not any(map(plugins.distribution_of, ids))
    file = open_file(model) if own else None
    question = _asked_of_plugins(model, ids, options) if file is None else asked(file, options, model, ids)
    loaded = question.network
    provers = plugins.Provers(loaded, question.task, finer=1.0 if finer is None else finer, keep=keep)
    left_out: list[str] = []
    if best or operations is not None:
        if operations is not None and isinstance(loaded, Decoder):
            raise ValueError("--budget is for attention-only models and networks of two arguments")
        ids = ["best"]
        if out_name is not None and Path(out_name).is_dir():
            raise ValueError(f"--out: {out_name} is a directory; name a file for the best certificate")
    else:
        if every:
            ids, left_out = in_patience(provers.of("trivial"), cp.feasible_strategies(loaded, question.task))
        for strategy_id in ids:
            prover = provers.of(strategy_id)
            with plugins.blamed(strategy_id):
                require(prover, prover.library.strategy(strategy_id), file, options)
    targets = _targets(out_name, ids)
    said = list(question.notes)
    if best and question.in_doubt:  # before any time goes by
        _say_all(said)
        said = []
    found = _found(question, provers.of("trivial"), seconds) if best else None
    within = None if operations is None else _within(provers.of("trivial"), operations)
    first = found.lower if found else within.best if within else None
    proofs = []
    for proof, target in zip(_proofs(provers, ids) if first is None else [first], targets, strict=True):
        proofs.append(proof)
        if target:
            _save(proof.certificate, target)
    if every and not as_json:
        proofs.sort(key=lambda proof: proof.rank)
    exact = zoo.known_correct(loaded) if own and question.task is None else None
    if found is not None:
        proofs = [proof for proof in (found.lower, found.upper) if proof is not None]
        exact = found.certificate.certified if found.exact else exact
    if exact is None and not DECIDING.isdisjoint(ids):
        exact = provers.of(ids[0]).exact_correct()
    _say_all([*said, *(f"note: {line}" for line in left_out)])
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
    _say_bounds(rows, console)
    if every:
        say(_best(rows), to=console)
    if found is not None:
        say(f"tried {len(found.proofs)}, in {found.seconds:.1f} s; {found.stopped}", to=console)
    if within is not None:
        dear = f"; too dear to try: {', '.join(within.untried)}" if within.untried else ""
        say(f"tried {len(within.tried)}, in {within.seconds:.1f} s{dear}", to=console)
    lines: list[str] = []
    if within is not None and operations is not None:
        lines = nothing.within_budget(provers.of("trivial"), within, operations, model)
    elif own and exact != 0 and not question.in_doubt:  # else there is a reason, or nothing to be proved
        if found is not None and found.short and not found.lower.certificate.certified:
            lines = ["nothing proved from below in this time; --seconds N gives more"]
        elif strategy:
            lines = nothing.by_strategies([(provers.of(p.certificate.strategy), p) for p in proofs], model)
    for line in lines:
        say(line, to=console)
    if None in (row["normalised"] for row in rows):
        problem = provers.of(proofs[0].certificate.strategy).problem
        tried = [proof.certificate.strategy for proof in found.proofs] if found else ids
        known_of = "the exact accuracy is known of built-in tasks only"
        why = _why_not_normalised(problem, exact, tried) if own else known_of
        say(f"normalised: ?, since {why}", to=console)
    if out_name is not None and out_name != STANDARD:
        place = targets[0] if len(targets) == 1 else out_name
        say(f"{len(targets)} certificate{'s' if len(targets) > 1 else ''} written to {place}")
    if found is not None and found.interrupted:
        raise KeyboardInterrupt


def _check_pieces(ids: Sequence[str], finer: float | None, keep: str | None) -> None:
    """Raises ValueError unless some strategy's search is told how finely to count, and where to keep what it found."""
    for name, given in ("--finer", finer), ("--keep", keep):
        in_pieces = [strategy.id for strategy in BUILT_IN.strategies.values() if companion_of(strategy).searching]
        if given is not None and not set(ids) & set(in_pieces):
            raise ValueError(f"{name} goes with --strategy {' or '.join(in_pieces)}")
    if finer is not None and not 0.0 < finer < float("inf"):
        raise ValueError(f"--finer: expected a positive number, found {finer}")
    if keep == "":
        raise ValueError("--keep: expected a folder, found ''")
    if keep is not None:
        check_directory(Path(keep), "--keep")
        try:
            Path(keep).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"--keep: cannot make the folder {keep}: {error.strerror or error}") from error


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


def _say_all(lines: Sequence[str]) -> None:
    for line in lines:
        say(line, to=err)


def _found(question: Question, prover: cp.Prover, seconds: float | None) -> Certified:
    """The best bounds that so many seconds buy, with a bar in a terminal."""
    with busy("trying") as at:
        return answer(question, prover, seconds, at)


def _within(prover: cp.Prover, budget: int) -> Within:
    """The best proof for a budget, likewise."""
    with busy("trying") as at:
        return prove_within(prover, budget, at)


def _proofs(provers: plugins.Provers, ids: list[str]) -> Iterator[cp.Proof]:
    """One proof after the other by each strategy."""
    with busy("proving") as at:
        for number, strategy_id in enumerate(ids, 1):
            at(f"{strategy_id}, {number} of {len(ids)}" if len(ids) > 1 else strategy_id)
            with plugins.blamed(strategy_id):
                proof = provers.of(strategy_id).prove(strategy_id)
            yield proof


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
            share_in_short(Fraction(int(row["certified"]), int(row["total"])), row["claim"]),
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
    return f"{'≤ ' if row['claim'] == 'at most' else ''}{in_short(int(row['certified']), row['claim'])}"


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
    if problem.network.family in (Decoder.family, PairSum.family):
        if DECIDING.isdisjoint(ids):
            return "there is no bound by brute force"
        return "the exact accuracy is not known (inputs were left undecided)"
    one = "heads/branch-and-bound" if problem.network.family == ManyHeads.family else "brute-force"
    if problem.task.record["name"] in BY_COMPARISON.tasks:
        one = BY_COMPARISON.id
    limit = get_strategy(one).limit(problem)
    if limit is None:
        limit = f"there is no bound by {one}" if DECIDING.isdisjoint(ids) else f"{one} left inputs undecided"
    return f"the exact accuracy is not known ({limit})"
