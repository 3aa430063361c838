"""What `prove` is asked: a model, read as its file and the options say, and a task."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compactproofs.kernel.strict import shown
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.networks.decoder.model import Decoder
from compactproofs.opening import notes
from compactproofs.opening.configuration import of_bytes
from compactproofs.opening.networks import SETTINGS, File, task_for
from compactproofs.opening.tables import LabelTable
from compactproofs.search import guesses
from compactproofs.tasks.max_of_k import LargestInOrder, MaxOfK, MinOfK, WeightedLargest
from compactproofs.tasks.sequences import TABLE, Sequences
from compactproofs.theorems.enumerate.every_input import ENUMERATE, ENUMERATE_UPPER


@dataclass(frozen=True)
class Options:
    """The options that say what is asked, as they are typed; None or empty where they are not given."""

    task: str | None = None
    prefix: str = ""
    suffix: str = ""
    read_out: int | None = None
    length: int | None = None
    tokens: int | None = None
    k: int | None = None
    settings: tuple[str, ...] = ()
    inputs: str | None = None
    weights: str = ""
    order: str | None = None

    @property
    def largest(self) -> bool:
        """Whether they ask for the largest of all the tokens that there are, in their own order."""
        return self == Options(task=self.task) and self.task in (None, "max")

    @property
    def plain(self) -> bool:
        """Whether they ask for the largest of all the tokens that there are, in some order."""
        others = Options(task=self.task, order=self.order, weights=self.weights)
        return self == others and self.task in (None, "max", "min")


@dataclass(frozen=True)
class Question:
    """A network and its task, None for the largest of K tokens; in words, and what to say besides."""

    network: Any  # of a family of this package, or of a plug-in
    task: Sequences | MaxOfK | None
    words: str
    notes: list[str] = field(default_factory=list)


def asked(name: str, file: File, options: Options, strategy_ids: Collection[str] = ()) -> Question:
    """What is asked about the model in a file, by strategies of these ids or any; raises ValueError."""
    enumerated = bool(strategy_ids) and {ENUMERATE.id, ENUMERATE_UPPER.id}.issuperset(strategy_ids)
    if options.plain and not (enumerated and (options.task == "min" or options.weights)):
        network = file.network()
        if not isinstance(network, Decoder) and (isinstance(network, AttentionOnly) or options.largest):
            order = _in_order(network, options)
            what = options.task or "max"
            heads = f"{network.n_heads} heads, " if isinstance(network, ManyHeads) else ""
            size = f"{heads}{what} of {network.n_ctx}, {network.d_vocab} tokens, {_total(order)}"
            said = notes.in_short(name, network, order)
            return Question(network, None if type(order) is MaxOfK else order, f"{size}; {notes.label(order)}", said)
    if options.order is not None:
        raise ValueError("--order is for models of one layer and one head, and the task max; use --task table:FILE")
    decoder, assumed = file.decoder(_settings(file, options.settings))
    name, colon, file_name = (options.task or "max").partition(":")
    if (name == TABLE) != bool(colon):
        raise ValueError(f"--task: expected a name, or {TABLE}:FILE, found {shown(options.task)}")
    task = task_for(
        decoder,
        name,
        prefix=_tokens("--prefix", options.prefix),
        suffix=_tokens("--suffix", options.suffix),
        read_out=-1 if options.read_out is None else options.read_out,
        n=options.length,
        v=options.tokens,
        k=options.k or 0,
        inputs=options.inputs or "all",
        weights=_tokens("--weights", options.weights),
        table=LabelTable.load(file_name) if colon else None,
    )
    warning = guesses.warning(decoder, task)
    said = [*(f"note: {line}" for line in reading(assumed)), *([] if warning is None else [warning])]
    return Question(decoder, task, f"{about(decoder)}; {_asked(task)}, {_total(task)}", said)


def about(network: Decoder) -> str:
    """What a decoder is, in words."""
    c = network.configuration
    numbers = ((network.n_layers, "layer"), (network.n_heads, "head"))
    parts = [f"{number} {word}{'' if number == 1 else 's'}" for number, word in numbers]
    parts.append("attention only" if c.act_fn == "none" else f"MLPs ({c.act_fn})")
    if c.normalization_type != "none":
        parts.append(f"{c.normalization_type} (eps {c.eps!r})")
    return f"decoder with {', '.join(parts)}, {c.attention_dir} attention"


def reading(assumed: dict[str, object]) -> list[str]:
    """What is assumed of how a decoder uses its tensors, in a line, or none."""
    if not assumed:
        return []
    known = ", ".join(f"{name} = {value}" for name, value in assumed.items())
    return [f"its file does not say how its tensors are used; assumed: {known} (--setting NAME=VALUE says otherwise)"]


def _asked(task: Sequences) -> str:
    fixed = (("after", task.prefix), ("before", task.suffix))
    around = "".join(f" {word} {' '.join(map(str, tokens))}" for word, tokens in fixed if tokens)
    number = f" (k = {task.k})" if task.k else ""
    which = "" if task.inputs == "all" else f" {task.inputs}"
    return (
        f"{task.name}{number} of {task.n}{which} tokens out of {task.v}{around}, read out at position {task.read_out}"
    )


def _total(task: Sequences | MaxOfK) -> str:
    """How many inputs there are, or what they count."""
    weighted = "weights" in task.record
    return f"inputs that count {task.total} by their weights" if weighted else f"{task.total} inputs"


def _in_order(network: AttentionOnly | ManyHeads, options: Options) -> MaxOfK:
    """The largest token in the order that is asked for."""
    sizes = network.n_ctx, network.d_vocab
    plain = MinOfK(*sizes) if options.task == "min" else MaxOfK(*sizes)
    order = tuple(np.arange(network.d_vocab)[plain.places].tolist())
    if options.order is not None:
        if options.task == "min":
            raise ValueError("--order: the smallest in an order is the largest in the reversed one; use --task max")
        order = _tokens("--order", options.order)
        try:
            plain = LargestInOrder(*sizes, order)
        except ValueError as error:
            raise ValueError(f"--order: {error}") from error
    if not options.weights:
        return plain
    try:
        return WeightedLargest(*sizes, order, _tokens("--weights", options.weights))
    except ValueError as error:
        raise ValueError(f"--weights: {error}") from error


def _tokens(option: str, text: str) -> tuple[int, ...]:
    """Tokens, or other integers from 0, with spaces or commas between them."""
    parts = text.replace(",", " ").split()
    if not all(re.fullmatch(r"[0-9]{1,10}", part, re.ASCII) for part in parts):
        raise ValueError(f"{option}: expected integers such as '10' or '3 10', found {shown(text)}")
    return tuple(map(int, parts))


_WORDS = {"true": True, "false": False, "none": None, "null": None}


def _settings(file: File, given: Sequence[str]) -> dict[str, Any]:
    """Settings NAME=VALUE; none may say anything else than the file."""
    said = of_bytes(file.data) or {} if given else {}
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in SETTINGS:
            raise ValueError(f"--setting: expected NAME=VALUE with one of {', '.join(SETTINGS)}, found {shown(text)}")
        found[name] = _WORDS.get(value.lower(), value)
        if name in said and str(said[name]) != str(found[name]):
            raise ValueError(f"--setting {shown(text)}: the file's own configuration has {name} = {shown(said[name])}")
    return found
