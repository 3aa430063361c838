"""Models, strategies and certificates as a command line names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from compactproofs import zoo
from compactproofs.networks.decoder.model import Decoder
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening.arguments import path_of
from compactproofs.opening.models import Model
from compactproofs.opening.networks import File
from compactproofs.search.certificates import Certificate
from compactproofs.search.questions import about
from compactproofs.system.places import readable
from compactproofs.theorems import BUILT_IN


def load_certificate(name: str | Path) -> Certificate:
    """The certificate in a file, or on standard input; raises ValueError or OSError."""
    return Certificate.load(readable(name))


def load_model(name: str) -> Model:
    """An attention-only model of one head: of the zoo, in a file, or on standard input; raises ValueError or OSError.

    Where it is a network of another kind, the message says of which, and what can be done with it.
    """
    file = open_file(name)
    try:
        return file.attention_only()
    except InvalidModel:
        other = None
        with suppress(InvalidModel):
            other = file.network()
        if other is None or isinstance(other, Model):
            raise
        why = f" ({file.unlike(Model.family)})" if isinstance(other, Decoder) else ""
        able = "prove, verify and show" if isinstance(other, Decoder) else "prove, verify, show and explain"
        if isinstance(other, PairSum) and other.positions:
            able = "prove, verify, show, explain and, for addition, tighten --strategy pair-sum/few-directions"
        found = f"expected an attention-only model of one layer and one head, found: {about(other)}"
        raise InvalidModel(f"{name}: {found}{why}; {able} can be used with it") from None


def open_file(name: str) -> File:
    """The same, as a network of whichever family; raises ValueError or OSError."""
    return File(readable(name))


def model_names(words: Iterable[str]) -> list[str]:
    """The models that words mean, each once: files, all in directories, of the zoo by name, family or pattern.

    What exists is a file or directory, whatever the zoo has.  Raises ValueError for words that mean none.
    """
    return list(dict.fromkeys(name for word in words for name in _models(word)))


def _models(word: str) -> Iterable[str]:
    path = path_of("model", word)
    if path.is_dir():
        found = sorted(map(str, path.rglob("*.safetensors")))
        if not found:
            raise ValueError(f"{word} holds no files named *.safetensors")
        return found
    if path.exists():
        readable(word)
        return [word]
    if word.endswith(".safetensors") and not any(c in word for c in "*?["):
        raise ValueError(f"{word}: there is no such file")
    found = list(_chosen(word, zoo.names()))
    if not found:
        zoo.path(word)  # which says what is close
    return found


def strategy_ids(words: Iterable[str]) -> list[str]:
    """The strategies of this package that words mean, each once: ids, the beginnings of ids before a /, patterns.

    Raises UnknownStrategy for words that mean none.
    """
    chosen = []
    for word in words:
        chosen += list(_chosen(word, BUILT_IN.strategies)) or [BUILT_IN.strategy(word).id]
    return list(dict.fromkeys(chosen))


def _chosen(word: str, names: Iterable[str]) -> Iterator[str]:
    """The name that a word is, else all in the family of this name, or those that fit it as a pattern with * and ?."""
    names = list(names)
    if word in names:
        yield word
    elif any(c in word for c in "*?["):
        yield from (name for name in names if fnmatchcase(name, word))
    else:
        yield from (name for name in names if name.startswith(word.rstrip("/") + "/"))
