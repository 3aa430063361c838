"""The best bounds for whatever is called a model: a path, a zoo name, a network, a state dict, a live model."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compactproofs.networks.weights import InvalidModel
from compactproofs.opening.arguments import Misuse, about_arguments, expect, integer_or_none, integers
from compactproofs.opening.models import write_tensors
from compactproofs.opening.networks import SETTINGS, File
from compactproofs.search.choice import Certified, answer
from compactproofs.search.prover import Prover
from compactproofs.search.questions import Network, Options, asked
from compactproofs.system.log import log
from compactproofs.system.terminal import busy
from compactproofs.tasks.tables import Table

__all__ = ["certify"]


def certify(
    model: Any,
    task: str | None = None,
    *,
    seconds: float | None = None,
    prefix: Sequence[int] = (),
    suffix: Sequence[int] = (),
    read_out: int | None = None,
    n: int | None = None,
    v: int | None = None,
    k: int | None = None,
    inputs: str = "all",
    weights: Sequence[int] = (),
    order: Sequence[int] = (),
    table: Table | None = None,
    family: str | None = None,
    **settings: Any,
) -> Certified:
    """The best bounds on a model's accuracy that so many seconds buy, from below and from above.

    `model`: a path, a zoo name, a `Model` or decoder, a state dict of TransformerLens (of arrays or tensors), or a live
    `HookedTransformer`, which is compared with its weights.  `task` and what follows are those of `task_for`, `order`
    has all tokens, the largest last, for the largest in another order, and `settings` are those of `load_decoder`.
    Without a task it is "max", or what the file of a network of two arguments says; `family`: "pair-sum", to read a
    file as such a network.  `seconds`: by default 60, or 10 for a model that does not seem to do the task, of which a
    note warns.  The quickest strategies are tried first, until the bounds meet or time is up; Ctrl-C ends
    the search too, and leaves what was found.  In a terminal a line on stderr says what is being tried.

    Raises InvalidModel, UnknownModel, Infeasible, Misuse for a task that does not go with the model, or OSError.
    """
    for setting in settings:
        if setting not in SETTINGS:
            known = ", ".join(SETTINGS)
            raise Misuse(f"{setting}: certify has no such argument; settings of decoders are {known}")
    expect("seconds", seconds, int | float | None, "a positive number")
    if seconds is not None and not seconds > 0:
        raise Misuse(f"seconds: expected a positive number, found {seconds!r}")
    expect("task", task, str | None, "the name of a task")
    expect("inputs", inputs, str, "text")
    expect("table", table, Table | None, "a LabelTable")
    expect("family", family, str | None, "the name of a family")
    name, source = _source(model)
    before, behind = integers("prefix", prefix), integers("suffix", suffix)
    read_out, n = integer_or_none("read_out", read_out), integer_or_none("n", n)
    v, k = integer_or_none("v", v), integer_or_none("k", k)
    which = inputs, integers("weights", weights), integers("order", order), table
    options = Options(task, before, behind, read_out, n, v, k, settings, *which, family)
    with about_arguments():
        question = asked(source, options, name if isinstance(source, File) else None)
    for note in question.notes:
        log.warning("%s", note)
    with busy("trying") as at:
        found = answer(question, Prover(question.network, question.task), seconds, at)
    return replace(found, name=name, notes=tuple(question.notes))


def _source(model: Any) -> tuple[str, File | Network]:
    """What a model is called, empty if nothing is known, and a network or what holds one."""
    if isinstance(model, str | Path):
        return str(model), File(model)
    if isinstance(model, Network):
        return "", model
    if isinstance(model, Mapping):
        return "", File("state dict", write_tensors({str(name): _array(name, each) for name, each in model.items()}))
    lens = sys.modules.get("transformer_lens")  # of a live model the module is loaded
    if lens is not None and isinstance(model, lens.HookedTransformer):
        from compactproofs.lens import from_hooked_transformer

        return "", from_hooked_transformer(model)
    raise InvalidModel(
        f"expected a path, a zoo name, a network, a state dict or a HookedTransformer, found {type(model).__name__}"
    )


def _array(name: object, tensor: Any) -> Any:
    """A tensor of any library as float32 or float64."""
    if hasattr(tensor, "detach"):  # PyTorch's
        tensor = tensor.detach().cpu()
    try:
        array = np.asarray(tensor)
    except (TypeError, ValueError) as error:  # such as bfloat16, which NumPy does not know
        raise InvalidModel(f"{name}: cannot be read as an array ({error}); convert it to float32 first") from error
    if array.dtype.kind == "b" or str(name).endswith((".mask", ".IGNORE")):  # buffers, which are not looked at
        return array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64):
        raise InvalidModel(f"{name} has type {array.dtype}; convert it to float32 or float64 first")
    return array
