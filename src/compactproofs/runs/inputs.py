"""Models and certificates as a command line names them."""

from __future__ import annotations

from pathlib import Path

from compactproofs import zoo
from compactproofs.opening.models import Model
from compactproofs.opening.networks import File
from compactproofs.search.certificates import Certificate
from compactproofs.system.places import readable


def load_certificate(name: str | Path) -> Certificate:
    """The certificate in a file, or on standard input; raises ValueError or OSError."""
    return Certificate.load(readable(name))


def load_model(name: str) -> Model:
    """A model of the zoo, in a file, or on standard input; raises ValueError or OSError."""
    return zoo.load_model(readable(name))


def open_file(name: str) -> File:
    """The same, as a network of whichever family; raises ValueError or OSError."""
    return File(readable(name))
