"""Models and certificates as a command line names them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening.models import Model
from compactproofs.opening.networks import File
from compactproofs.search.certificates import Certificate
from compactproofs.search.questions import about
from compactproofs.system.places import readable


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
        able = "prove, verify, show and explain" if isinstance(other, PairSum) else "prove, verify and show"
        found = f"expected an attention-only model of one layer and one head, found: {about(other)}"
        raise InvalidModel(f"{name}: {found}; {able} can be used with it") from None


def open_file(name: str) -> File:
    """The same, as a network of whichever family; raises ValueError or OSError."""
    return File(readable(name))
