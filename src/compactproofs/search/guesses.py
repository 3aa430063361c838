"""What a decoder seems to do, whatever task it is asked about: plain float64 on some inputs, which proves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compactproofs.kernel.decisions import IntArray
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
    """For how many of some inputs the answer is that of each task without a number k, and of this one, as shares.

    Empty if none of the sequences that were looked at is an input.
    """
    work: MeasuredWorkspace[Decoder, Sequences] = MeasuredWorkspace(Problem(network, task), "value")
    tasks = {task.name: task}
    for name, rule in RULES.items():
        if name not in tasks and not rule.uses and rule.outputs(task.n, task.v, 0) <= network.d_vocab_out:
            tasks[name] = replace(task, name=name, k=0, table=None)
    step, found = batch_size(work), dict.fromkeys(tasks, 0)
    number = min(task.size, max(step, _SAMPLE) if step < _SAMPLE else _SAMPLE)
    some = task.batch(0, number) if number == task.size else _drawn(task, number)
    counts = task.counts(some)
    some, counts = some[counts > 0], counts[counts > 0]
    if not counts.size:
        return {}
    with np.errstate(all="ignore"):
        for start in range(0, len(some), step):
            inputs, weight = some[start : start + step], counts[start : start + step]
            logits = plain(uncapped_logits(work, task.sequences(inputs), task.read_out))
            only = (logits == logits.max(axis=1, keepdims=True)).sum(axis=1) == 1
            answers = np.where(only, logits.argmax(axis=1), -1)
            for name, other in tasks.items():
                found[name] += int(weight[answers == other.labels(inputs)].sum())
    return {name: count / int(counts.sum()) for name, count in found.items()}


def _drawn(task: Sequences, number: int) -> IntArray:
    """Some sequences, most of which are inputs; the rare ones are as likely as any."""
    rng = np.random.default_rng(0)
    if task.inputs == "distinct" and task.v <= _SAMPLE:
        return rng.permuted(np.tile(np.arange(task.v), (number, 1)), axis=1)[:, : task.n]
    some = rng.integers(0, task.v, (number, task.n))
    return np.sort(some, axis=1) if task.inputs == "ascending" else some


def warning(network: Decoder, task: Sequences) -> tuple[str, float] | None:
    """A line for whoever proves bounds on a model that does not seem to do the task, and its share of right answers."""
    found = shares(network, task)
    if not found:
        return None
    own = found[task.name]
    best = max(found, key=lambda name: found[name])
    better = best if found[best] > own + _BETTER else task.name
    if own >= _ENOUGH and better == task.name:
        return None
    other = "" if better == task.name else f", and what {better} says for {found[better]:.1%}"
    return (
        f"warning: this model does not seem to do this task: it answers what {task.name} says for {own:.1%} of inputs"
        f"{other}; the bounds hold nevertheless"
    ), own
