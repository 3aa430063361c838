"""The figures of the reports, for whoever draws them; comes with the extra `report`.

>>> import compactproofs as cp
>>> axes = cp.plot.frontier(cp.prove_all(cp.load_model("max-of-4/123"), ["cubic", "failing-sets"]))
>>> axes.figure.savefig("frontier.png")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

try:
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError('figures need Matplotlib: pip install "compactproofs[report]"') from error

from compactproofs import zoo
from compactproofs.analysis.margins import Tables
from compactproofs.api.frames import rows
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.opening.arguments import Misuse
from compactproofs.report import charts
from compactproofs.report.pictures import styled
from compactproofs.report.subjects import family_of
from compactproofs.search.choice import Certified
from compactproofs.search.prover import Proof
from compactproofs.search.workspaces import workspace

__all__ = ["circuits", "frontier"]


def frontier(proofs: Proof | Certified | Iterable[Proof | Certified], axes: Axes | None = None) -> Axes:
    """Bounds on the accuracy against the operations that verify them, by the kind of strategy, and those from above.

    `axes`: where to draw; without them a figure of its own.  Proofs that claim nothing, and so need no operations, are
    left out.
    """
    below: dict[str, list[tuple[float, float]]] = {}
    above: list[tuple[float, float]] = []
    for row in rows(proofs):
        if row["operations"]:
            group = above if row["side"] == "upper" else below.setdefault(family_of(row["strategy"]), [])
            group.append((row["operations"], row["bound"]))
    if not (below or above):
        raise Misuse("proofs: expected one that needs operations, found none")
    with styled():
        axes = plt.figure(figsize=(5.0, 4.4), layout="constrained").add_subplot() if axes is None else axes
        charts.bounds(below, above)(axes)
        axes.set_ylabel("certified bound on the accuracy")
    return axes


def circuits(model: AttentionOnly | str | Path) -> Figure:
    """The five tables that a one-layer attention-only model is, as heat maps; a network, a path, or a zoo name."""
    network = model if isinstance(model, AttentionOnly) else zoo.load_model(model)
    with np.errstate(all="ignore"):
        tables = Tables.of(workspace(network, "value"))._asdict()
    with styled():
        figure: Figure = plt.figure(figsize=(12.0, 6.4), layout="constrained")
        for place, (name, table) in enumerate(tables.items(), 1):
            axes = figure.add_subplot(2, 3, place)
            charts.circuit(name, table)(axes)
            axes.set_title(name)
    return figure
