"""Where bounds by histograms lose inputs: by part of a class, and by what loses them.

    python benchmarks/large_k_losses.py MODEL [--every N] [--finer F] [--parts P]

Both bounds are searched for on plain floats, for every N-th class (query, maximum), F times finer than `prove` does.
Printed are, as shares of all inputs, wrong ones from above and from below, their distance, and what of it is lost by
lemmas 3 and 4 of `counting.unions`, if every count were exact, and by counting; the former on a sample of up to 4,096
inputs of each part, so it is a guess, and so is what is left for the latter.  Then the P parts that lose most.  With N
> 1 all that is about these classes only: it says what to do next, and nothing of the bounds of the model.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np

import compactproofs as cp
from compactproofs.search.families import counting
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.theorems.max_of_k.branching.class_margins import ClassMargins, class_margins
from compactproofs.theorems.max_of_k.counting.histogram import levels
from compactproofs.theorems.max_of_k.counting.unions import ALL_OTHERS, Branches, Step, Window, wrong_inputs


@dataclass
class Part:
    """What is known of a part: numbers of inputs; `exact`: what the steps would give if they were counted exactly."""

    name: str
    union: int
    above: int
    below: int
    exact_above: int
    exact_below: int
    seconds: float

    @property
    def distance(self) -> int:
        """Of the bounds."""
        return self.above - self.below


def exactly(failing: counting._Failing, steps: list[Step] | Branches, over: bool) -> int:
    """What these steps bound, by the sample, if all counts were exact; branches bound the union itself."""
    m = failing.margins
    entries, last = (m.low, m.low_last) if over else (m.high, m.high_last)
    if isinstance(steps, Branches):
        return failing._share(np.asarray((failing._sums_of_sample(entries) + last <= 0).any(axis=1)))
    left = {int(output): index for index, output in enumerate(m.outputs)}
    counted: dict[int, int] = {}
    total = 0
    for step in steps:
        every = over and step.output == ALL_OTHERS
        these = {output: index for output, index in left.items() if every or output == step.output}
        if these:
            alone = [[counted[o]] for o in ([step.less, step.second] if over else [step.less]) if o in counted]
            if isinstance(step.how, Window):
                alone = []
            others = [index for index in counted.values() if not over and [index] not in alone]
            fail = [
                failing._sums_of_sample(entries[:, :, some].min(axis=2)) + last[some].min() <= 0
                for some in [list(these.values()), *alone, *([others] if others else [])]
            ]
            total += failing._share(np.asarray(fail[0] & ~np.logical_or.reduce([np.zeros_like(fail[0]), *fail[1:]])))
            counted |= these
            left = {output: index for output, index in left.items() if output not in these}
    return total


def looked_at(work: MaxWorkspace, part: ClassMargins, level: int, least: int) -> Part:
    """Both bounds of a part."""
    start = time.process_time()
    failing = counting._Failing(work, part, least)
    above, below = failing.above(), failing.below()
    found = wrong_inputs(work, part, above, True), wrong_inputs(work, part, below, False)
    union = failing._share(np.logical_or.reduce(failing._fails, axis=1)) if part.size > least else part.size
    exact = exactly(failing, above, True) if above else found[0], exactly(failing, below, False) if below else found[1]
    name = f"({part.query}, {int(part.tokens[-1])}) level {level}, {len(part.outputs)} outputs"
    ways = ("branches" if isinstance(how, Branches) else f"{len(how)} steps" for how in (above, below))
    name += f", {' and '.join(ways)}"
    return Part(name, union, *found, *exact, time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--finer", type=float, default=1.0)
    parser.add_argument("--parts", type=int, default=10)
    options = parser.parse_args()
    model = cp.load_model(options.model)
    work, v = workspace(model, "value"), model.d_vocab
    work.haste, total = 1.0 / options.finer, work.task.total
    weights = counting._weights(work)
    classes = {(i % v, i // v) for i in range(0, v * v, options.every)}
    least = int(counting.worth_of(work) * total)
    parts = [
        looked_at(work, part, level, least)
        for found in class_margins(work, classes)
        if isinstance(found, ClassMargins)
        for level, part in found.by_highest_level(work, levels(weights, found))
        if isinstance(part, ClassMargins) and len(part.outputs)
    ]

    def share(numbers: list[int]) -> str:
        return f"{sum(numbers) / total:9.2e}"

    print(f"{options.model}, every {options.every} of the classes: {len(parts)} parts")
    print("from above and below  distance    lemmas above, below    counts above, below  seconds  part")
    ordered = sorted(parts, key=lambda part: -part.distance)
    rows = [("all of them", parts), *((part.name, [part]) for part in ordered[: options.parts])]
    for name, some in rows:
        lost = [part.exact_above - part.union for part in some], [part.union - part.exact_below for part in some]
        by_counts = [part.above - part.exact_above for part in some], [part.exact_below - part.below for part in some]
        print(
            share([part.above for part in some]),
            share([part.below for part in some]),
            share([part.distance for part in some]),
            *map(share, lost),
            *map(share, by_counts),
            f"{sum(part.seconds for part in some):8.1f}  {name}",
        )


if __name__ == "__main__":
    main()
