"""How much work it is to check a certificate: declared before, from sizes and hints, and limited while it goes on.

Untrusted: a wrong figure makes somebody wait, or refuses what could have been checked, and proves nothing.

Work is a number of operations on numbers, where each call of NumPy counts as `CALL` more, whatever the arrays' size.
For strategies that do as hints and sizes say, it is an upper bound.  Others stop when a class of inputs is decided,
which no size tells; they may do what trained models need many times over, and then are stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from compactproofs.kernel import checker
from compactproofs.kernel.certificate import Certificate
from compactproofs.kernel.checker import Verdict
from compactproofs.kernel.library import Library
from compactproofs.kernel.limits import CALL, Allowance, TooMuchWork, allowing
from compactproofs.kernel.problem import Hints, Network, Problem, Strategy, Task
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.networks.decoder.forward import SQUARINGS
from compactproofs.networks.decoder.functions import TERMS
from compactproofs.networks.decoder.model import Decoder
from compactproofs.search.cost import Cost
from compactproofs.search.upgrades import SUCCESSORS, upgraded
from compactproofs.tasks.sequences import Sequences
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.enumerate.every_input import BATCH_ENTRIES, batch_size

#: Operations that a strategy may declare unless the caller allows more: one that goes through inputs, and any other.
MAX_OPS_OF_INPUTS, MAX_OPS = 2**40, 2**33
#: Bytes, likewise.
MAX_MEMORY = 2**32

_INPUT_BY_INPUT = ("brute-force", "branch-and-bound", "histogram", "enumerate")
_ROOM = 2**29  # bytes for blocks, whose size does not grow with the model


class Work(NamedTuple):
    """What checking takes: operations, and bytes of memory for arrays."""

    operations: int
    memory: int


def verify(
    certificate: Certificate,
    model: Network,
    work: Workspace[Any, Any] | None = None,
    *,
    max_ops: int | None = None,
    max_memory: int = MAX_MEMORY,
    allowance: Allowance | None = None,
    library: Library | None = None,
    declare: Callable[[Strategy, Problem[Any, Any], Hints], Work] | None = None,
) -> Verdict:
    """Decide whether `certificate` proves its claim about `model`, as `checker.verify` does, with limited work.

    Refuses where the strategy declares more operations than `max_ops` (by default 2^33, or 2^40 for brute-force,
    branch-and-bound and histogram) or more bytes than `max_memory`, and stops when it has done `max_ops` (by default:
    what it declared).  A call of NumPy counts as 2^15 operations.  Both are a TooMuchWork, a ValueError; what else can
    be raised is said there.  Certificates of older theorems are checked by today's, with hints that are searched for,
    within `max_ops` too (`search.upgrades`).  `work`: tables that certificates of one task share.  `allowance`: what is
    done is booked on it.  `library` and `declare`: other strategies than those of this package, and
    what they declare.
    """
    allowance = Allowance() if allowance is None else allowance
    more = "allow more with --max-ops 2^N (max_ops= in Python)"

    def admit(strategy: Strategy, problem: Problem[Any, Any]) -> None:
        needed = (declare or _declared)(strategy, problem, certificate.hints)
        allowed = default_max_ops(strategy) if max_ops is None else max_ops
        if needed.operations > allowed:
            raise TooMuchWork(
                f"{strategy.id} may take {power(needed.operations)} operations on this model, and {power(allowed)} are "
                f"allowed; {more}"
            )
        if needed.memory > max_memory:
            raise TooMuchWork(
                f"{strategy.id} may take {needed.memory / 2**30:.1f} GiB of memory on this model, and "
                f"{max_memory / 2**30:.1f} GiB are allowed; allow more with --max-memory GIB (max_memory= in Python)"
            )
        allowance.limit = allowance.spent + needed.operations if max_ops is None else max_ops

    if work is not None and work.task.record != certificate.task:
        work = None
    try:
        with allowing(allowance):
            if certificate.theorem in SUCCESSORS and isinstance(model, AttentionOnly):
                allowance.limit = max_ops or MAX_OPS_OF_INPUTS
                certificate = upgraded(certificate, model)
            return checker.verify(certificate, model, BUILT_IN if library is None else library, work, admit)
    except TooMuchWork as error:
        if allowance.limit is None:
            raise
        raise TooMuchWork(
            f"{certificate.strategy} was stopped after {power(allowance.limit)} operations; {more}"
        ) from error


def to_allow(strategy: Strategy, needed: Work, cost: Cost) -> str | None:
    """What `max_ops` must be for `verify` to check what needs this at that cost, as a power of two; None: the default.

    `needed`: what the strategy declares.
    """
    if needed.operations <= default_max_ops(strategy) and cost.work <= needed.operations:
        return None
    return f"2^{math.ceil(math.log2(max(needed.operations, cost.work)))}"


def default_max_ops(strategy: Strategy) -> int:
    """How many operations a strategy may declare unless somebody allows more."""
    return MAX_OPS_OF_INPUTS if strategy.id.removesuffix("-upper") in _INPUT_BY_INPUT else MAX_OPS


def _declared(strategy: Strategy, problem: Problem[Any, Any], hints: Hints) -> Work:
    return declared(strategy, problem.network, hints, problem.task)


def declared(strategy: Strategy, network: Network, hints: Hints, task: Task | None = None) -> Work:
    """What checking may take: from the sizes of model and task, and from the types and sizes of the hints."""
    if isinstance(network, Decoder) and isinstance(task, Sequences):
        return _enumeration(Problem(network, task))
    if not isinstance(network, AttentionOnly):
        raise TypeError(f"nothing is known about {strategy.id} for a {type(network).__name__}")
    model = network
    v, n, (d, h) = model.d_vocab, model.n_ctx, model.weight("W_V").shape
    directions = sum(hint.size for hint in hints.values() if hint.dtype == np.float64) // (2 * d) + 1
    circuits = 8 * ((v + n) * (d * h + v * (d + h)) + d * d * h) + 4 * directions * (v + d) ** 2
    entries = v * v * (160 + 20 * n) + 16 * (v + n + h) * (d + h) + 16 * directions * (v + d)
    family = strategy.id.partition("/")[0].removesuffix("-upper")
    beyond = _BEYOND_CIRCUITS[family](v, n) if family in _BEYOND_CIRCUITS else MAX_OPS // 2
    if family == "histogram":
        beyond += _counted(hints, v, n)
        entries += 2**27  # tables, sequences of halves, and windows, which all have limits
    return Work(circuits + beyond + CALL * 1000, 8 * entries + _ROOM)


def _enumeration(problem: Problem[Decoder, Sequences]) -> Work:
    """Forward passes: products of matrices, and for each other number that is computed some operations."""
    network, length = problem.network, problem.task.length
    d, inner, m, outputs = network.d_model, network.n_heads * network.d_head, network.d_mlp, network.d_vocab_out
    products = network.n_layers * length * (8 * d * inner + 4 * length * inner + 4 * d * m) + 2 * d * outputs
    gates = (network.configuration.act_fn != "none") * m + network.n_heads * length
    entries = 60 * d + 40 * inner + 60 * network.n_heads * length + 3 * (TERMS + 20) * gates
    others = network.n_layers * length * entries + 20 * outputs
    batches = -(-problem.task.total // batch_size(problem))
    operations = problem.task.total * (products + others) + CALL * batches * (200 * network.n_layers + 60)
    weights = sum(tensor.size for tensor in network.tensors.values())
    norms = 2 * (SQUARINGS + 2) * (4 * d * min(d, inner) * max(d, inner) + 2 * d * min(d, m) * max(d, m))
    once = 8 * weights + network.n_layers * (norms + CALL * 200)
    return Work(operations + once, 8 * (8 * weights + 24 * BATCH_ENTRIES) + _ROOM)


def _cubic(v: int, n: int) -> int:
    return 8 * v**3 + 6 * v**2 * n**2 + CALL * v * (10 + 16 * n)


def _subcubic(v: int, n: int) -> int:
    return 100 * v**2 * n + 4 * v * n**2 + CALL * 3 * n


def _brute_force(v: int, n: int) -> int:
    sums: int = v ** (n + 1)
    at_once: int = v ** max(1, int(18 / math.log2(v)))  # of the 2^18 that there is room for
    return 3 * sums + 8 * n * v**3 + CALL * (v**2 * (8 + 6 * n) + 8 * sums // at_once)


def _failing_sets(v: int, n: int) -> int:
    return min(2**28 * n**2, 3 * 2**31)


def _branch_and_bound(v: int, n: int) -> int:
    inputs: int = v**n
    # Some calls for each class, and for the boxes of those that need any.
    return 2 * v**4 + 2 * CALL * v**2 + min(2**32, 2**9 * inputs)


def _histogram(v: int, n: int) -> int:
    # Some calls for each class and its parts.
    return 2 * v**4 + 16 * CALL * v**2 + 2**8 * n * v**3


def _counted(hints: Hints, v: int, n: int) -> int:
    """What the steps of histograms take: tables and sequences of halves, or cells, some for each token."""
    steps = hints["steps"]
    with_halves = steps[:, 5] >= 0
    labels = [[float(len(np.unique(row))) for row in one[(n - 1) // 2 :]] for one in hints["labels"]]
    sequences = sum(min(math.prod(numbers), 2.0**23) for numbers in labels)
    cells = np.clip(np.maximum(steps[:, [8, 11]].astype(float) - steps[:, [7, 10]], 0) + 2, 0, 2**19)
    two = np.minimum(cells.prod(axis=1), 2.0**19)[~with_halves].sum()
    return int(30 * sequences + 2**23 * len(labels) + n * v * two + CALL * len(steps) * (2 * n + 8))


#: By family of strategies: operations besides those for the circuits.
_BEYOND_CIRCUITS: dict[str, Callable[[int, int], int]] = {
    "trivial": lambda v, n: 0,
    "brute-force": _brute_force,
    "cubic": _cubic,
    "sub-cubic": _subcubic,
    "failing-sets": _failing_sets,
    "branch-and-bound": _branch_and_bound,
    "histogram": _histogram,
}


def power(number: int) -> str:
    """A number of operations as a power of two."""
    return f"2^{math.log2(number):.1f}" if number else "0"
