"""Files that may hold a network of any family, and the tasks that decoders can be asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from compactproofs import zoo
from compactproofs.kernel.certificate import Certificate
from compactproofs.kernel.strict import shown
from compactproofs.kernel.tensors import read_tensors
from compactproofs.networks.decoder import model as decoder
from compactproofs.networks.decoder.model import Configuration
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening import configuration, pairs
from compactproofs.opening.arguments import Misuse, about_arguments, expect, integer, integer_or_none, integers
from compactproofs.opening.models import Decoder, ManyHeads, Model
from compactproofs.tasks.sequences import NAMES, RULES, TABLE, Sequences
from compactproofs.tasks.tables import Table

__all__ = ["SETTINGS", "File", "load_decoder", "load_network", "task_for"]

#: What may be said of a file that does not say it itself.
SETTINGS = (
    *("normalization_type", "eps", "act_fn", "attn_only", "attention_dir", "use_attn_scale", "attn_scale"),
    *("attn_scores_soft_cap", "output_logits_soft_cap", "parallel_attn_mlp"),
)
_SIZES = ("n_layers", "n_heads", "d_model", "d_head", "n_ctx", "d_vocab", "d_vocab_out")


class File:
    """A model file, read once, or a model of the zoo; raises UnknownModel, InvalidModel or OSError."""

    def __init__(self, name_or_path: str | Path, data: bytes | None = None) -> None:
        """`data`: the bytes of a file that is nowhere."""
        self.path, self.data = zoo.read(name_or_path) if data is None else (Path(name_or_path), data)

    def says_how(self, network: object) -> bool:
        """Whether the file itself says, or shows, that this is how its tensors are used."""
        if isinstance(network, PairSum):
            return self.is_pair_sum
        return not isinstance(network, decoder.Decoder) or configuration.of_bytes(self.data) is not None

    def attention_only(self) -> Model:
        """The one-layer attention-only model in it; raises InvalidModel."""
        return zoo.model_of(self.path, self.data)

    def many_heads(self) -> ManyHeads:
        """The one-layer attention-only network with several heads in it; raises InvalidModel."""
        try:
            network = ManyHeads.from_bytes(self.data)
            configuration.check(self.data, network)
            return network
        except ValueError as error:
            raise InvalidModel(f"{self.path}: {error}") from error

    def decoder(self, given: Mapping[str, Any] | None = None) -> tuple[Decoder, dict[str, object]]:
        """The decoder in it, and what had to be assumed of it; raises InvalidModel.

        `given`: TransformerLens settings that stand where the file does not say anything.
        """
        try:
            settings = {**(given or {}), **(configuration.of_bytes(self.data) or {})}
            shapes = {name: tensor.shape for name, tensor in read_tensors(self.data)[0].items()}
            read_as, assumed = configuration.of_decoder(settings, shapes)
            network = Decoder.from_bytes(self.data, read_as)
            for name in _SIZES:
                if settings.get(name, getattr(network, name)) != getattr(network, name):
                    found = getattr(network, name)
                    raise ValueError(f"{name} is {shown(repr(settings[name]))}, but the tensors have {name} = {found}")
        except ValueError as error:
            raise InvalidModel(f"{self.path}: {error}") from error
        return network, assumed

    def pair_sum(self) -> PairSum:
        """The network of two arguments in it, a transformer with constant attention; raises InvalidModel."""
        try:
            return pairs.network_of(self.data)
        except ValueError as error:
            why = f"; it is read as of two arguments, since {pairs.shown_by(self.data)}" if self.is_pair_sum else ""
            raise InvalidModel(f"{self.path}: {error}{why}") from error

    @property
    def is_pair_sum(self) -> bool:
        """Whether it says or shows that it is a network of two arguments."""
        try:
            return pairs.is_pair_sum(self.data)
        except ValueError:
            return False

    def network(self) -> Model | ManyHeads | Decoder | PairSum:
        """Pair sums where the file says so; else what fits a smaller family is of that, and the rest decoders.

        Raises InvalidModel.
        """
        if self.is_pair_sum:
            return self.pair_sum()
        try:
            return self.attention_only()
        except InvalidModel as error:
            with suppress(InvalidModel):
                return self.many_heads()
            try:
                return self.decoder()[0]
            except InvalidModel as other:
                if self._is_named_like_a_model():
                    raise error from None
                why = f"read as a decoder, since as {Model.family} it cannot be: {self.unlike(Model.family)}"
                raise InvalidModel(f"{other}; {why}") from None

    def unlike(self, family: str) -> str | None:
        """Why there is no network of this attention-only family in it, or None if there is."""
        read = {Model.family: self.attention_only, ManyHeads.family: self.many_heads}[family]
        try:
            read()
        except InvalidModel as error:
            return str(error).removeprefix(f"{self.path}: ")
        return None

    def _is_named_like_a_model(self) -> bool:
        """Whether it is no safetensors file, or one with no other tensors than an attention-only model has."""
        try:
            names = read_tensors(self.data)[0]
        except ValueError:
            return True
        return all(name.startswith(("blocks.0.attn.", "embed.", "pos_embed.", "unembed.")) for name in names)

    def network_of(self, certificate: Certificate) -> Model | ManyHeads | Decoder | PairSum:
        """The network in it, read as the certificate's family and task say where the file says nothing itself."""
        if certificate.family == PairSum.family:
            try:
                return self.pair_sum()
            except InvalidModel:
                return self.network()  # so it is about another model
        if self.is_pair_sum:
            return self.pair_sum()
        if certificate.family != Decoder.family:
            network = self.network()
            return self.attention_only() if isinstance(network, Decoder) else network
        try:
            names = Configuration.__dataclass_fields__
            record = {key: value for key, value in certificate.task.items() if key in names}
            given = configuration.as_settings(Configuration.of_record(record))
        except ValueError:  # of which verification says more
            given = {}
        try:
            return self.decoder(given)[0]
        except InvalidModel:  # then it is about another model, which verification says if this is any
            return self.decoder()[0]


def load_network(name_or_path: str | Path) -> Model | ManyHeads | Decoder | PairSum:
    """The network in a safetensors file or of the zoo, of the smallest family that has all of it.

    Networks of two arguments only where the file shows that it is one, or says so.

    Raises UnknownModel, InvalidModel and OSError.
    """
    return File(name_or_path).network()


def load_decoder(path: str | Path, **settings: Any) -> Decoder:
    """The decoder in a safetensors file.

    What tensors do not show is what the configuration in the file says, else these settings under their TransformerLens
    names, else TransformerLens's defaults.  Raises InvalidModel, OSError, and Misuse for a setting that is none.
    """
    for name in configuration.unknown(settings):
        expected = f"expected a setting of TransformerLens, such as {', '.join(SETTINGS)}"
        raise Misuse(f"{expected}; found {shown(name)}")
    return File(path).decoder(settings)[0]


def task_for(
    network: decoder.Decoder,
    name: str = "max",  # "table" where a table is given
    *,
    prefix: Sequence[int] = (),
    suffix: Sequence[int] = (),
    read_out: int = -1,
    n: int | None = None,
    v: int | None = None,
    k: int = 0,
    inputs: str = "all",
    weights: Sequence[int] = (),
    table: Table | None = None,
) -> Sequences:
    """The task of this name for a decoder, with as many tokens as it takes between the fixed ones.

    Tokens are those below the smallest fixed one, unless `v` says how many; negative positions count from the end.
    Raises Misuse, a ValueError, if the task does not go with the network.
    """
    expect("network", network, decoder.Decoder, "a decoder, such as load_decoder returns")
    expect("name", name, str, "the name of a task")
    expect("inputs", inputs, str, "text")
    expect("table", table, Table | None, "a LabelTable")
    prefix, suffix, weights = integers("prefix", prefix), integers("suffix", suffix), integers("weights", weights)
    read_out, k = integer("read_out", read_out), integer("k", k)
    n, v = integer_or_none("n", n), integer_or_none("v", v)
    with about_arguments():
        return _task_for(network, name, prefix, suffix, read_out, n, v, k, inputs, weights, table)


def _task_for(
    network: decoder.Decoder,
    name: str,
    prefix: tuple[int, ...],
    suffix: tuple[int, ...],
    read_out: int,
    n: int | None,
    v: int | None,
    k: int,
    inputs: str,
    weights: tuple[int, ...],
    table: Table | None,
) -> Sequences:
    """The same, of arguments of the right types; raises ValueError."""
    if table is not None and name == "max":
        name = TABLE
    if name not in NAMES:
        raise ValueError(f"unknown task {shown(name)}; known: {', '.join(RULES)}, {TABLE}:FILE")
    fixed = (*prefix, *suffix)
    length = network.n_ctx if n is None else n + len(fixed)
    v = min((network.d_vocab, *fixed)) if v is None else v
    if length <= len(fixed):
        room = f"{length} of {network.n_ctx} positions and {len(fixed)} fixed tokens"
        raise ValueError(f"{room} leave no room for any other token (--length, n=)")
    if v < 1:
        raise ValueError("there is no token below the fixed ones; say how many there are (--tokens, v=)")
    position = read_out + length if read_out < 0 else read_out
    try:
        task = Sequences(
            *(name, length - len(fixed), v, network.configuration, prefix, suffix, position, k),
            *(inputs, weights, table),
        )
    except ValueError as error:
        raise ValueError(f"{name}: {error}{_settled(str(error))}") from error
    misfit = task.misfit(network)
    if misfit is not None:
        fixed_one = not fixed and v == network.d_vocab and misfit.startswith("its labels are")
        question = "; is one of its tokens a fixed one, such as BOS (--prefix, prefix=)?"
        raise ValueError(f"{name}: {misfit}{question if fixed_one else _settled(misfit)}")
    return task


#: How messages about a task begin, and the options that settle what they are about.
_SETTLED = {
    "k is": "-k, k=",
    "read_out is": "--read-out, read_out=",
    "inputs is": "--inputs, inputs=",
    "there are no inputs": "--inputs, --weights, inputs=, weights=",
    "there are": "--weights, weights=",
    "the weights": "--weights, weights=",
    "expected n": "--length, --tokens, n=, v=",
    "the table": "--length, --tokens, n=, v=",
    "it has the token": "--tokens, --prefix, --suffix, v=, prefix=, suffix=",
    "its labels are": "--task, --tokens, v=",
    "it has": "--length, n=",
}


def _settled(message: str) -> str:
    """The options that a message is about, in brackets."""
    return next((f" ({options})" for start, options in _SETTLED.items() if message.startswith(start)), "")
