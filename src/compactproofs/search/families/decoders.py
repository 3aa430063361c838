"""Companions of enumeration: nothing is hinted."""

from __future__ import annotations

from typing import NoReturn

from compactproofs.kernel.problem import Hints, Problem
from compactproofs.networks.decoder.forward import SQUARINGS
from compactproofs.networks.decoder.functions import TERMS
from compactproofs.networks.decoder.model import Decoder
from compactproofs.search.allowance import CALL
from compactproofs.search.companions import Companion, Work
from compactproofs.search.families.attention_only import ROOM
from compactproofs.tasks.sequences import Sequences
from compactproofs.theorems.enumerate.every_input import BATCH_ENTRIES, batch_size


def _task(network: Decoder) -> NoReturn:
    raise ValueError("a decoder does not show what it is to do: name a task (opening.networks.task_for)")


def _work(problem: Problem[Decoder, Sequences], hints: Hints) -> Work:
    """Forward passes: products of matrices, and for each other number that is computed some operations."""
    network, length = problem.network, problem.task.length
    d, inner, m, outputs = network.d_model, network.n_heads * network.d_head, network.d_mlp, network.d_vocab_out
    products = network.n_layers * length * (8 * d * inner + 4 * length * inner + 4 * d * m) + 2 * d * outputs
    gates = (network.configuration.act_fn != "none") * m + network.n_heads * length
    entries = 60 * d + 40 * inner + 60 * network.n_heads * length + 3 * (TERMS + 20) * gates
    others = network.n_layers * length * entries + 20 * outputs
    batches = -(-problem.task.size // batch_size(problem))
    operations = problem.task.size * (products + others) + CALL * batches * (200 * network.n_layers + 60)
    weights = sum(tensor.size for tensor in network.tensors.values())
    norms = 2 * (SQUARINGS + 2) * (4 * d * min(d, inner) * max(d, inner) + 2 * d * min(d, m) * max(d, m))
    once = 8 * weights + network.n_layers * (norms + CALL * 200)
    return Work(operations + once, 8 * (8 * weights + 24 * BATCH_ENTRIES) + ROOM)


COMPANIONS = {
    f"enumerate{side}": Companion(
        _task,
        work=_work,
        unexplained_dimension=lambda problem: int(problem.task.size * problem.network.d_vocab_out),
        complexity="O(v^K) forward passes",
        summary=f"a forward pass for every input, of any decoder and task{words}",
        stated_in="compactproofs.theorems.enumerate.every_input",
        lemmas=("compactproofs.networks.decoder.forward", "compactproofs.networks.decoder.functions"),
        by_input=True,
    )
    for side, words in (("", ""), ("-upper", "; from above"))
}
