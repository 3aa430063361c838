"""What is asked: a network, read as its file and the options say, and a task; and what to say of it besides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from compactproofs.kernel.problem import Strategy
from compactproofs.kernel.strict import shown
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import WEIGHTS, AttentionOnly
from compactproofs.networks.decoder.model import Decoder
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening import notes, pairs
from compactproofs.opening.configuration import of_bytes
from compactproofs.opening.models import Model, write_tensors
from compactproofs.opening.networks import SETTINGS, File, task_for
from compactproofs.search import guesses
from compactproofs.search.prover import Infeasible, Prover
from compactproofs.tasks.by_comparison import POSITION, RANK, ByComparison
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.tasks.orders import LargestInOrder, MinOfK, WeightedLargest, order_of
from compactproofs.tasks.pairs import Pairs
from compactproofs.tasks.sequences import Sequences
from compactproofs.tasks.tables import Table
from compactproofs.theorems.enumerate.every_input import ENUMERATE, ENUMERATE_UPPER

Network: TypeAlias = AttentionOnly | ManyHeads | Decoder | PairSum

_ATTENTION_ONLY = (AttentionOnly.family, ManyHeads.family)

#: How an attention-only model uses its tensors, as a decoder's settings.
_AS_DECODER = {"normalization_type": None, "attn_only": True, "attention_dir": "causal", "use_attn_scale": True}

_FEW = 0.5  # of inputs: so few are answered correctly by networks that do another task

#: What options are called, where they are given on a command line, and in Python where that is different.
_CALLED = {
    "task": "--task",
    "prefix": "--prefix",
    "suffix": "--suffix",
    "read_out": "--read-out",
    "n": "--length (n=)",
    "v": "--tokens (v=)",
    "k": "-k",
    "settings": "--setting",
    "inputs": "--inputs",
    "weights": "--weights",
    "order": "--order",
}

#: Names of tasks that comparisons tell: those of theorems, and the number k, of k and the last position.
_BY_COMPARISON: dict[str, tuple[str, Callable[[int, int], int]]] = {
    "first": (POSITION, lambda k, last: k and -1),
    "last": (POSITION, lambda k, last: -1 if k else last),
    "kth-largest": (RANK, lambda k, last: k),
    "sorted": (RANK, lambda k, last: last - k),
}


@dataclass(frozen=True)
class Options:
    """What is asked, where something is said about it: a task, its fixed tokens, and how tensors are used.

    `family`: "pair-sum", to read a transformer as one with constant attention.
    """

    task: str | None = None
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()
    read_out: int | None = None
    n: int | None = None
    v: int | None = None
    k: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: str = "all"
    weights: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    table: Table | None = None
    family: str | None = None

    @property
    def plain(self) -> bool:
        """Whether they ask for the largest of all the tokens that there are, in some order and with weights or none."""
        others = Options(task=self.task, order=self.order, weights=self.weights)
        return self == others and self.task in (None, "max", "min")

    @property
    def compared(self) -> bool:
        """Whether they ask for one of all the tokens that there are, by its position or its rank."""
        return self == Options(task=self.task, k=self.k, weights=self.weights) and self.task in _BY_COMPARISON

    @property
    def given(self) -> list[str]:
        """What the options are called that say anything."""
        return [called for name, called in _CALLED.items() if getattr(self, name) != getattr(_NONE, name)]

    @property
    def of_decoders(self) -> list[str]:
        """What the options are called that only decoders are asked by."""
        others = {"--task", "--weights", "-k" if self.task in _BY_COMPARISON else "--order"}
        task = [] if self.task in (None, "max", "min", *_BY_COMPARISON) else [f"--task {self.task}"]
        return task + [called for called in self.given if called not in others]


_NONE = Options()


@dataclass(frozen=True)
class Question:
    """A network and its task, None for the largest of K tokens; in words, and what to say besides.

    `answered`: about how many of the inputs are answered correctly, as a share, where a note warns that these are few.
    """

    network: Any  # of a family of this package, or of a plug-in
    task: Sequences | MaxOfK | ByComparison | Pairs | None
    words: str
    notes: list[str] = field(default_factory=list)
    answered: float = 1.0

    @property
    def in_doubt(self) -> bool:
        """Whether the network does not seem to do the task."""
        return self.answered < _FEW


def asked(
    source: File | Network, options: Options, name: str | None = None, strategy_ids: Collection[str] = ()
) -> Question:
    """What is asked about a network, or the one in a file, which is called by its name; raises ValueError.

    `strategy_ids`: by which strategies, if that is said.
    """
    if options.family not in (None, PairSum.family):
        raise ValueError(f"--family: expected {PairSum.family}, found {shown(options.family)}")
    of_pairs = source.is_pair_sum if isinstance(source, File) else isinstance(source, PairSum)
    if of_pairs or options.family == PairSum.family:
        return _asked_of_pairs(source, options)
    enumerated = bool(strategy_ids) and {ENUMERATE.id, ENUMERATE_UPPER.id}.issuperset(strategy_ids)
    if options.compared and not enumerated:
        network = source.network() if isinstance(source, File) else source
        if isinstance(network, AttentionOnly):
            task = _by_comparison(network, options)
            words = f"{task.n_ctx} tokens out of {task.d_vocab}, {_total(task)}; {notes.label(task)}"
            return Question(network, task, words, *notes.in_short(name, network, task))
    if options.plain and not (enumerated and (options.task == "min" or options.weights)):
        network = source.network() if isinstance(source, File) else source
        if isinstance(network, AttentionOnly | ManyHeads):
            order = _in_order(network, options)
            heads = f"{network.n_heads} heads, " if isinstance(network, ManyHeads) else ""
            size = f"{heads}{options.task or 'max'} of {network.n_ctx}, {network.d_vocab} tokens, {_total(order)}"
            said = notes.in_short(name, network, order)
            return Question(network, None if type(order) is MaxOfK else order, f"{size}; {notes.label(order)}", *said)
    if options.order:
        expected = "--order is for attention-only models of one layer, and the task max; use --task table:FILE"
        raise ValueError(f"{expected}; {why_a_decoder(source, options, AttentionOnly.family)}")
    decoder, assumed = _decoder(source, options.settings)
    sequences = task_for(
        decoder,
        options.task or "max",
        prefix=options.prefix,
        suffix=options.suffix,
        read_out=-1 if options.read_out is None else options.read_out,
        n=options.n,
        v=options.v,
        k=options.k or 0,
        inputs=options.inputs,
        weights=options.weights,
        table=options.table,
    )
    warning, answered = guesses.warning(decoder, sequences) or (None, 1.0)
    lines = [*(f"note: {line}" for line in reading(assumed)), *([] if warning is None else [warning])]
    return Question(decoder, sequences, f"{about(decoder)}; {_asked(sequences)}, {_total(sequences)}", lines, answered)


def why_a_decoder(source: File | Network, options: Options, family: str) -> str:
    """Why a network that is asked this is read as a decoder, and not as one of this attention-only family."""
    because = [called for called in options.of_decoders if called != "--order"]
    if because:
        return f"it is read as a decoder because of {', '.join(because)}; leave that out"
    reason = source.unlike(family) if isinstance(source, File) else "it is given as one"
    return f"it is read as a decoder, since as {family} it cannot be: {reason}"


def require(prover: Prover, strategy: Strategy, source: File | None, options: Options) -> None:
    """Raise Infeasible unless the strategy can be used; it says why a file is read as another network than it is of."""
    try:
        prover.require(strategy)
    except Infeasible as error:
        if source is not None and isinstance(prover.model, Decoder) and strategy.family in _ATTENTION_ONLY:
            raise Infeasible(f"{error}; {why_a_decoder(source, options, strategy.family)}") from error
        raise


def _asked_of_pairs(source: File | Network, options: Options) -> Question:
    """About a network of two arguments."""
    if options != Options(task=options.task, family=options.family, table=options.table):
        others = ", ".join(called for called in options.given if called != "--task")
        raise ValueError(f"a network of two arguments is asked by --task alone; leave out {others}")
    network = source.pair_sum() if isinstance(source, File) else source
    if not isinstance(network, PairSum):
        raise ValueError(f"this network is of the family {network.family}; only a file is read as another one")
    said = pairs.said(source.data).get("task") if isinstance(source, File) else None
    name = options.task or said
    if not isinstance(name, str):
        raise ValueError(f"nothing says what the network is to do; give --task with {pairs.TASKS}")
    task = pairs.task_for(network, name, options.table)
    note = f"note: read with constant attention, since --family {PairSum.family} says so"
    told = isinstance(source, File) and not source.says_how(network)
    words = f"{about(network)}; {pairs.in_words(task)}, {task.total} inputs"
    return Question(network, task, words, [note] if told else [])


def about(network: Decoder | PairSum | ManyHeads) -> str:
    """What a network is, in words."""
    if isinstance(network, ManyHeads):
        return f"attention-only model of one layer with {network.n_heads} heads"
    if isinstance(network, PairSum):
        places = network.positions
        kind = f"transformer with constant attention, {places} positions" if places else "perceptron"
        return f"pair sum ({kind}), {network.neurons} neurons, {network.outputs} outputs"
    c = network.configuration
    numbers = ((network.n_layers, "layer"), (network.n_heads, "head"))
    parts = [f"{number} {word}{'' if number == 1 else 's'}" for number, word in numbers]
    parts.append("attention only" if c.act_fn == "none" else f"MLPs ({c.act_fn})")
    if c.normalization_type != "none":
        parts.append(f"{c.normalization_type} (eps {c.eps!r})")
    return f"decoder with {', '.join(parts)}, {c.attention_dir} attention"


def reading(assumed: Mapping[str, object]) -> list[str]:
    """What is assumed of how a decoder uses its tensors, in a line, or none."""
    if not assumed:
        return []
    known = ", ".join(f"{name} = {value}" for name, value in assumed.items())
    return [f"its file does not say how its tensors are used; assumed: {known} (--setting NAME=VALUE says otherwise)"]


def _decoder(source: File | Network, given: Mapping[str, Any]) -> tuple[Decoder, Mapping[str, object]]:
    """The network as a decoder, and what had to be assumed; no setting may say anything else than a file."""
    for name in given:
        if name not in SETTINGS:
            raise ValueError(f"--setting: expected NAME=VALUE with one of {', '.join(SETTINGS)}, found {shown(name)}")
    if isinstance(source, File):
        said = of_bytes(source.data) or {} if given else {}
        for name, value in given.items():
            if name in said and str(said[name]) != str(value):
                found = f"the file's own configuration has {name} = {shown(said[name])}"
                raise ValueError(f"--setting {shown(f'{name}={value}')}: {found}")
        return source.decoder(given)
    if given:
        raise ValueError("settings are for files and state dicts; this network says itself how its tensors are used")
    if isinstance(source, Decoder):
        return source, {}
    if isinstance(source, PairSum):
        raise ValueError("a network of two arguments is no decoder")
    if isinstance(source, ManyHeads):
        tensors = {disk: source.weight(name) for name, (disk, _, _) in WEIGHTS.items()}
    else:
        tensors = Model(**{name: getattr(source, name) for name in source.tensors}).state_dict()
    return File("model", write_tensors(tensors)).decoder(_AS_DECODER)[0], {}


def _asked(task: Sequences) -> str:
    fixed = (("after", task.prefix), ("before", task.suffix))
    around = "".join(f" {word} {' '.join(map(str, tokens))}" for word, tokens in fixed if tokens)
    number = f" (k = {task.k})" if task.k else ""
    which = "" if task.inputs == "all" else f" {task.inputs}"
    tokens = f"{task.n}{which} tokens out of {task.v}"
    return f"{task.name}{number} of {tokens}{around}, read out at position {task.read_out}"


def _total(task: Sequences | MaxOfK | ByComparison) -> str:
    """How many inputs there are, or what they count."""
    weighted = "weights" in task.record
    return f"inputs that count {task.total} by their weights" if weighted else f"{task.total} inputs"


def _by_comparison(network: AttentionOnly, options: Options) -> ByComparison:
    """The token that is asked for by its position or its rank."""
    name, number = _BY_COMPARISON[str(options.task)]
    try:
        task = ByComparison(name, network.n_ctx, network.d_vocab, number(options.k or 0, network.n_ctx - 1))
    except ValueError:
        expected = f"a position from 0 to {network.n_ctx - 1}" if name == RANK else "none, since this task has none"
        raise ValueError(f"-k: expected {expected}, found {options.k}") from None
    try:
        return replace(task, weights=options.weights)
    except ValueError as error:
        raise ValueError(f"--weights: {error}") from error


def _in_order(network: AttentionOnly | ManyHeads, options: Options) -> MaxOfK:
    """The largest token in the order that is asked for, with weights if there are any."""
    sizes = network.n_ctx, network.d_vocab
    plain = MinOfK(*sizes) if options.task == "min" else MaxOfK(*sizes)
    order = options.order or tuple(order_of(plain).tolist())
    if options.order:
        if options.task == "min":
            raise ValueError("--order: the smallest in an order is the largest in the reversed one; use --task max")
        try:
            plain = LargestInOrder(*sizes, order)
        except ValueError as error:
            raise ValueError(f"--order: {error}") from error
    if not options.weights:
        return plain
    try:
        return WeightedLargest(*sizes, order, options.weights)
    except ValueError as error:
        raise ValueError(f"--weights: {error}") from error
