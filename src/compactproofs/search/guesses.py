"""What a decoder seems to do, whatever task it is asked about: plain float64 on some inputs, which proves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compactproofs.kernel.problem import Problem
from compactproofs.networks.decoder.forward import uncapped_logits
from compactproofs.networks.decoder.model import Decoder
from compactproofs.search.workspaces import MeasuredWorkspace, plain
from compactproofs.tasks.sequences import RULES, Sequences
from compactproofs.theorems.enumerate.every_input import batch_size

__all__ = ["shares", "warning"]

_ENOUGH = 0.75  # of inputs: a model that answers fewer by the task seems to do something else
_BETTER = 0.05  # of inputs, by which another task explains the answers better
_SAMPLE = 2048


def shares(network: Decoder, task: Sequences) -> dict[str, float]:
    """For how many of some inputs the answer is that of each task without a number k, and of this one, as shares."""
    work: MeasuredWorkspace[Decoder, Sequences] = MeasuredWorkspace(Problem(network, task), "value")
    some = np.random.default_rng(0)
    tasks = {task.name: task}
    for name, rule in RULES.items():
        if name not in tasks and not rule.uses and rule.outputs(task.n, task.v, 0) <= network.d_vocab_out:
            tasks[name] = replace(task, name=name, k=0)
    step, found = batch_size(work), dict.fromkeys(tasks, 0)
    number = min(task.total, max(step, _SAMPLE) if step < _SAMPLE else _SAMPLE)
    digits = task.inputs(0, number) if number == task.total else some.integers(0, task.v, (number, task.n))
    with np.errstate(all="ignore"):
        for start in range(0, number, step):
            inputs = digits[start : start + step]
            logits = plain(uncapped_logits(work, task.sequences(inputs), task.read_out))
            only = (logits == logits.max(axis=1, keepdims=True)).sum(axis=1) == 1
            answers = np.where(only, logits.argmax(axis=1), -1)
            for name, other in tasks.items():
                found[name] += int((answers == other.labels(inputs)).sum())
    return {name: count / number for name, count in found.items()}


def warning(network: Decoder, task: Sequences) -> str | None:
    """A line for whoever proves bounds on a model that does not seem to do the task."""
    found = shares(network, task)
    own = found[task.name]
    best = max(found, key=lambda name: found[name])
    better = best if found[best] > own + _BETTER else task.name
    if own >= _ENOUGH and better == task.name:
        return None
    other = "" if better == task.name else f", and what {better} says for {found[better]:.1%}"
    return (
        f"warning: this model does not seem to do this task: it answers what {task.name} says for {own:.1%} of inputs"
        f"{other}; the bounds hold nevertheless"
    )
