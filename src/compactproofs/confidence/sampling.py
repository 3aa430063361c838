"""Random elements of an urn that holds every wrong input once, and how many of them are wrong.

An urn is M numbered elements.  Each wrong input is one of them, once, and no other element is wrong.  Of G of them, a
set that the model alone fixes, it is known that they are wrong; the others are *open*.  A uniform element that is open
is a uniform one of the M - G, and so it is wrong with probability (w - G) / (M - G), if w inputs are answered wrongly.

- *plain*: the urn is all v^K inputs, and all are open.
- *inside*: the first elements are the members of all parts (`inside`), one part after the other, which hold every wrong
  input once; a part of which nothing is known has as many elements as inputs, each undecided.  What is left up to M is
  padding, which counts as right.  If there are more than M, nothing can be said.  Those that are surely wrong are
  known.

Ties and undecided inputs count as not right, and not as certainly wrong; so the number of inputs that are not answered
correctly is between those of both kinds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from compactproofs.confidence import inside
from compactproofs.confidence.deciding import batch_size, decide
from compactproofs.confidence.randomness import large_integers, small_integers
from compactproofs.kernel.decisions import IntArray
from compactproofs.theorems.max_of_k import Work
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins

Method: TypeAlias = Literal["plain", "inside"]

#: Is told from time to time how much of the work is done, between 0 and 1; not what was found.
Tell: TypeAlias = Callable[[float], None]


@dataclass(frozen=True)
class Drawn:
    """Of how many random elements that are open how many are not certainly right, and how many certainly wrong.

    `samples`: how many were drawn, open or not.  `known`: G.
    """

    samples: int
    open: int
    not_right: int
    wrong: int
    known: int = 0


def urn_size(work: Work, method: Method, tell: Tell = lambda share: None) -> int:
    """The smallest urn."""
    if method == "plain":
        return work.task.total
    size = 0
    for part in inside.parts(work):
        size += part if isinstance(part, int) else inside.possibly_wrong(work, part).size
        tell(_share(work, part))
    return size


def draw(work: Work, method: Method, urn: int, samples: int, tell: Tell = lambda share: None) -> Drawn | None:
    """Draw so many elements, each independent of the others; None if the urn is too small."""
    if method == "inside":
        return _inside(work, urn, samples, tell)
    if urn != work.task.total:
        return None
    n, v, batch = work.network.n_ctx, work.network.d_vocab, batch_size(work)
    not_right = wrong = 0
    for start in range(0, samples, batch):
        number = min(batch, samples - start)
        inputs = small_integers(v, n * number).reshape(number, n)
        right, bad = decide(work, inputs)
        not_right += number - int(right.sum())
        wrong += int(bad.sum())
        tell((start + number) / samples)
    return Drawn(samples, samples, not_right, wrong)


def _inside(work: Work, urn: int, samples: int, tell: Tell) -> Drawn | None:
    numbers = sorted(large_integers(urn, samples))  # counting does not depend on their order
    start = not_right = wrong = done = known = shut = 0
    waiting: list[IntArray] = []
    held, batch = 0, batch_size(work)

    def settle() -> None:
        nonlocal not_right, wrong, held
        inputs = np.concatenate([np.zeros((0, work.network.n_ctx), np.int64), *waiting])
        waiting.clear()
        held = 0
        for at in range(0, len(inputs), batch):
            right, bad = decide(work, inputs[at : at + batch])
            not_right += int((~right).sum())
            wrong += int(bad.sum())

    for part in inside.parts(work):
        if isinstance(part, int):
            start += part
            upto = bisect_left(numbers, start)
            not_right += upto - done
        else:
            members = inside.possibly_wrong(work, part)
            surely = inside.surely_wrong(work, part, members)
            upto = bisect_left(numbers, start + members.size)
            drawn = members.by_number([number - start for number in numbers[done:upto]])
            if surely is not None:
                known += surely.size
                drawn = drawn[~surely.among(drawn)]
            shut += upto - done - len(drawn)
            last = np.full((len(drawn), 1), part.query)
            waiting.append(np.concatenate([part.tokens[drawn], last], axis=1))
            held += len(drawn)
            start += members.size
        if start > urn:
            return None
        if held >= batch:
            settle()
        done = upto
        tell(_share(work, part))
    settle()
    return Drawn(samples, samples - shut, not_right, wrong, known)


def _share(work: Work, part: ClassMargins | int) -> float:
    """How much is done by then: classes come by their maximum, and those of larger ones take longer."""
    if isinstance(part, int):
        return 0.0
    tokens: int = work.network.d_vocab
    return ((int(part.tokens[-1]) + 1) / tokens) ** 2
