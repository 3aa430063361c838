"""What to say about a model besides bounds: what its file leaves open, and whether it seems to do the task.

Plain float64 on some inputs; nothing here is trusted, and bounds hold whatever it says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compactproofs import zoo
from compactproofs.kernel.decisions import IntArray
from compactproofs.kernel.strict import shown
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.opening import configuration
from compactproofs.opening.forward import answers, some_inputs
from compactproofs.tasks.by_comparison import RANK, ByComparison
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.tasks.orders import order_of

__all__ = ["in_full", "in_short", "label"]

_ENOUGH = 0.75  # of inputs: a model that answers fewer by the task seems to do something else
_BETTER = 0.05  # of inputs, by which another task explains the answers better
_SAMPLE = 2048
_ENTRIES = 2**22  # of the sample's residual streams and logits, unless that leaves too few inputs
_FEWEST = 256


def label(task: MaxOfK | ByComparison) -> str:
    """Which answer is right, in words."""
    return f"the label is {_own(task)}"


def _own(task: MaxOfK | ByComparison) -> str:
    if isinstance(task, ByComparison):
        ends = {0: ("first", "largest"), task.n_ctx - 1: ("last", "smallest")}
        if task.k in ends:
            return f"the {ends[task.k][task.name == RANK]} token"
        return f"the token at position {task.k}{' in descending order' if task.name == RANK else ''}, counted from 0"
    order = order_of(task).tolist()
    named = {"the largest token": order == sorted(order), "the smallest token": order[::-1] == sorted(order)}
    return next((words for words, fits in named.items() if fits), "the token that comes last in the given order")


def in_short(
    name: str | None, model: AttentionOnly | ManyHeads, task: MaxOfK | ByComparison | None = None
) -> tuple[list[str], float]:
    """Lines for whoever proves bounds on the model that was loaded by this name, and about its share of right answers.

    There are none for the zoo's own task, and this share is not looked at.  Without a name, of a model that is no file.
    `task`: by default the largest token.
    """
    task = max_of_k(model).task if task is None else task
    if _in_zoo(model) and task == max_of_k(model).task:
        return [], 1.0
    lines = []
    if name is not None and not _in_zoo(model) and _open(name):
        lines.append(f"note: {shown(name, 100)} leaves open how its tensors are used; 'compactproofs show' says more")
    shares, about = _shares(model, task)
    if shares[_own(task)] < _ENOUGH or _best(shares, _own(task)) != _own(task):
        lines.append(
            f"warning: {_named(shares, about, _own(task))}; was it trained for another task? "
            "The bounds hold nevertheless"
        )
    return lines, shares[_own(task)]


def in_full(name: str, model: AttentionOnly | ManyHeads) -> dict[str, str]:
    """What there is to say about the same model, as fields with names."""
    task = max_of_k(model).task
    if _in_zoo(model):
        return {"task": label(task)}
    return {
        "task": _named(*_shares(model, task), _own(task)),
        "reading": "; ".join(_open(name)) or f"as the settings in its metadata say ({configuration.KEY})",
    }


def _open(name: str) -> list[str]:
    """What the file of this name leaves open about how its tensors are used."""
    settings = configuration.of_file(Path(name))
    unsaid, unknown = configuration.unsaid(settings or {}), configuration.unknown(settings or {})
    lines = []
    if unsaid:
        lines.append(f"tensors do not show, so these are assumed to be absent: {', '.join(unsaid)}")
    if settings is None:
        lines.append(
            "likewise hooks and other changes of the forward pass (compactproofs.lens.save checks for all of it)"
        )
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        lines.append(f"its metadata has settings that are not known here: {', '.join(map(shown, unknown[:5]))}{more}")
    return lines


def _shares(model: AttentionOnly | ManyHeads, task: MaxOfK | ByComparison) -> tuple[dict[str, float], str]:
    """For how many inputs the model's answer is that of each task, as shares, and "about " unless of all inputs."""
    number = min(_SAMPLE, max(_FEWEST, _ENTRIES // (model.n_ctx * model.d_model + model.d_vocab)))
    tokens = some_inputs(model, number, np.random.default_rng(0))
    last = model.n_ctx - 1
    labels = {
        _own(task): _labels(task, tokens),
        "the largest token": tokens.max(axis=1),
        "the smallest token": tokens.min(axis=1),
        "the first token": tokens[:, 0],
        "the last token": tokens[:, -1],
        "the first position of the largest token": tokens.argmax(axis=1),
        "the last position of the largest token": last - tokens[:, ::-1].argmax(axis=1),
    }
    found = answers(model, tokens)
    shares = {what: float(np.mean(found == label)) for what, label in labels.items()}
    return shares, "" if max_of_k(model).task.total <= number else "about "


def _labels(task: MaxOfK | ByComparison, tokens: IntArray) -> IntArray:
    """The right answers."""
    if isinstance(task, ByComparison):
        return task.label(tokens)
    order = order_of(task)
    last: IntArray = order[np.argsort(order)[tokens].max(axis=1)]
    return last


def _best(shares: dict[str, float], own: str) -> str:
    """The task that explains the answers best, which is the model's own unless another one is clearly better."""
    best = max(shares, key=lambda task: shares[task])
    return best if shares[best] > shares[own] + _BETTER else own


def _named(shares: dict[str, float], about: str, own: str) -> str:
    """What the label is, and what the model answers, in words."""
    best = _best(shares, own)
    other = "" if best == own else f", and {best} for {about}{shares[best]:.1%}"
    return f"the label is {own}, which this model names for {about}{shares[own]:.1%} of inputs{other}"


def _in_zoo(model: AttentionOnly | ManyHeads) -> bool:
    return any(row.model_sha256 == model.sha256 for row in zoo.table())
