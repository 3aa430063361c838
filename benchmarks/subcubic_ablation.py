"""What each tightening of the sub-cubic family is worth.

    python benchmarks/subcubic_ablation.py [--every N]

Undoes one tightening at a time, in plain float64, and prints the mean normalised bound of four strategies over every
Nth of the 151 models.  With the tightening undone the bounds are still lower bounds; they are only looser.
"""

import argparse
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from unittest.mock import patch

import numpy as np

import compactproofs as cp
from compactproofs import zoo
from compactproofs.kernel.workspace import shared
from compactproofs.networks.attention_only import circuits
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.theorems.max_of_k.subcubic import direct_path as direct_paths
from compactproofs.theorems.max_of_k.subcubic import gaps as subcubic
from compactproofs.theorems.max_of_k.subcubic import own_output
from compactproofs.theorems.max_of_k.subcubic.direct_path import DirectPath, direct_path
from compactproofs.theorems.max_of_k.subcubic.hints import HintedVector
from compactproofs.theorems.max_of_k.subcubic.spread import row_spread

STRATEGIES = {
    "exact": "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact",
    "low-rank QK, svd": "sub-cubic/max_diff_exact/mean_query+diff/svd",
    "low-rank QK, subproduct": "sub-cubic/max_diff_exact/mean_query+diff/max_diff_subproduct",
    "low-rank EU": "sub-cubic/mean_query+max_diff/mean_query+diff/exact_EQKE+max_diff_exact",
}


def bound(model: cp.Model, work: MaxWorkspace, strategy_id: str, fewer: int = 0) -> int:
    """The strategy's N, with `fewer` tokens counted for each gap."""
    strategy = cp.STRATEGIES[strategy_id]
    hints = search_hints(strategy, work)
    if not fewer:
        return strategy.bound(work, hints)
    classes = subcubic.Classes(work, subcubic.CHOICES[strategy_id], hints)
    allowed, gap = subcubic.possible_gaps(work.task, hints["gap"])
    good = allowed & classes.with_others(gap)
    tokens = (subcubic.pairs(model.d_vocab)[1][:, None] - gap + 1 - fewer).astype(object)
    count = int(classes.without_others().sum())
    for c in range(1, model.n_ctx):
        count += math.comb(model.n_ctx - 1, c) * int((tokens[good[:, c - 1], c - 1] ** c).sum())
    return count


@shared
def rival_by_row_spread(work: MaxWorkspace) -> np.ndarray:
    table = circuits.EVOU(work)
    return np.broadcast_to(row_spread(table)[:, None], table.shape)


@shared
def direct_path_by_row_spread(work: MaxWorkspace, kind: str, centre: HintedVector | None) -> DirectPath:
    typical, delta = direct_path(work, kind, centre)
    if kind == "max_diff_exact":
        delta = row_spread(circuits.EU(work) - typical)[:, None]
    return DirectPath(typical, delta)


CHANGES: dict[str, tuple[Callable[[], AbstractContextManager[object]], int]] = {
    "as it is": (nullcontext, 0),
    "m - g tokens counted instead of m - g + 1": (nullcontext, 1),
    "other tokens by EVOU's row spread": (lambda: patch.object(subcubic, "_rival", rival_by_row_spread), 0),
    "direct path by EU's row spread": (lambda: patch.object(direct_paths, "direct_path", direct_path_by_row_spread), 0),
    "1 chord instead of 4": (lambda: patch.object(own_output, "SEGMENTS", 1), 0),
    "16 chords instead of 4": (lambda: patch.object(own_output, "SEGMENTS", 16), 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=6)
    options = parser.parse_args()
    names = [name for name in zoo.names() if name.startswith("max-of-4/")][:: options.every]
    print(f"mean over {len(names)} models: {', '.join(STRATEGIES)}")
    for label, (change, fewer) in CHANGES.items():
        means = np.zeros(len(STRATEGIES))
        with change():
            for name in names:
                model = cp.load_model(name)
                work = workspace(model, "value")
                correct = zoo.known_correct(model)
                assert correct is not None, name
                means += [bound(model, work, s, fewer) / correct / len(names) for s in STRATEGIES.values()]
        print("  ".join(f"{mean:.4f}" for mean in means), "", label)


if __name__ == "__main__":
    main()
