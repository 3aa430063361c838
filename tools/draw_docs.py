"""Draw the pictures of docs/strategies from the model max-of-4/123, and those of docs/table1.md from docs/table1.

python tools/draw_docs.py        # needs the extra report; writes docs/figures/*.svg
"""

import csv
import runpy
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import compactproofs as cp
from compactproofs.networks.attention_only import circuits
from compactproofs.paper.frontier import draw_bound_against_flops, draw_unexplained_against_flops
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.theorems.max_of_k.failing_sets.margin_tables import exact_tables
from compactproofs.theorems.max_of_k.failing_sets.safe_outputs import FIRST_TEST, SECOND_TEST, possible_winners
from compactproofs.theorems.max_of_k.subcubic.direct_path import direct_path
from compactproofs.theorems.max_of_k.subcubic.gaps import pairs
from compactproofs.theorems.max_of_k.subcubic.own_output import own_output, worst_position

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "figures"
MODEL = "max-of-4/123"
TABLES = runpy.run_path(str(ROOT / "tools" / "page_tables.py"))
SHORT = {"max-of-10": "K = 10", "max-of-20": "K = 20", "max-of-10-v128": "K = 10, 128 tokens"}
COLOURS = {"max-of-10": "tab:blue", "max-of-20": "tab:orange", "max-of-10-v128": "tab:green"}


def save(figure: Figure, name: str) -> None:
    """Write the figure as SVG, the same bytes each time."""
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})


def draw_chords(work: MaxWorkspace, m: int = 40) -> None:
    """The convex function phi_m and the chords that bound it."""
    attention = np.linspace(0, 1, 400)
    typical = direct_path(work, "max_diff_exact", None).typical
    copying = circuits.EVOU(work)[m] - circuits.EVOU(work)[m, m]
    constants = worst_position(work)[m] + typical - typical[m]
    others = np.arange(work.network.d_vocab) != m
    phi = (constants[others, None] + attention * copying[others, None]).max(axis=0)
    lines = own_output(work, "mean_query+diff", "max_diff_exact", None)
    single = own_output(work, "drop_average_query_per_output_logit_reasoning", "max_diff_exact", None)
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for o in np.flatnonzero(others)[::6]:
        axes.plot(attention, constants[o] + attention * copying[o], color="0.88", linewidth=0.7, zorder=1)
    axes.plot(attention, phi, color="black", label="worst output, exactly")
    chords = (lines.intercept[:, m, None] + attention * lines.slope[:, m, None]).max(axis=0)
    axes.plot(attention, chords, color="tab:blue", linestyle="--", label="mean_query+diff: 4 chords")
    axes.plot(
        attention,
        single.intercept[0, m] + attention * single.slope[0, m],
        color="tab:orange",
        linestyle="--",
        label="drop_average_…: one line",
    )
    axes.set_xlabel(f"attention to the maximum, m = {m}")
    axes.set_ylabel("lead of a wrong output (logits)")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, "chords")


def draw_gaps(work: MaxWorkspace) -> None:
    """The smallest certified gap of each class with one other token."""
    strategy = cp.STRATEGIES["sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact"]
    gap = search_hints(strategy, work)["gap"]
    q, m = pairs(work.network.d_vocab)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for number, axes in enumerate(figure.subplots(1, 3, sharey=True)):
        table = np.full((work.network.d_vocab,) * 2, np.nan)
        table[q, m] = np.where(gap[:, number] > 0, gap[:, number], np.nan)
        image = axes.imshow(table, origin="lower", cmap="viridis", vmin=1, vmax=8)
        axes.set_title(f"{number + 1} other token{'s' if number else ''}", fontsize=10)
        axes.set_xlabel("maximum m")
        if not number:
            axes.set_ylabel("query q")
    figure.colorbar(image, label="smallest gap that is certified", extend="max")
    save(figure, "gaps")


class Recorder:
    """Tries every test and remembers which failed."""

    def __init__(self, v: int) -> None:
        self.first, self.second = np.zeros((v, v), bool), np.zeros((v, v), bool)

    def skips(self, m: int, outputs: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """No test is skipped."""
        return np.zeros(len(outputs), bool)

    def failed(self, m: int, outputs: np.ndarray, codes: np.ndarray) -> None:
        """Remember the outputs that failed the two tests of all queries."""
        self.first[m, outputs[codes == FIRST_TEST]] = True
        self.second[m, outputs[codes == SECOND_TEST]] = True


def draw_outputs(work: MaxWorkspace, near: int = 4) -> None:
    """Which test rules out which output for which maximum."""
    v = work.network.d_vocab
    recorder = Recorder(v)
    left = np.zeros((v, v), int)
    for m in range(v):
        for _, o in possible_winners(work, exact_tables(work), m, near, recorder, np.arange(m + 1)):
            left[m, o] += 1
    stage = np.zeros((v, v))
    stage[recorder.first] = 1
    for m in range(v):
        stage[m, max(0, m - near) : m] = np.maximum(stage[m, max(0, m - near) : m], 1)
    stage[recorder.second] = 2
    stage[left > 0] = 3
    np.fill_diagonal(stage, np.nan)
    figure = Figure(figsize=(6.6, 4.6), layout="constrained")
    axes = figure.add_subplot()
    colours = ListedColormap(["#e8eef7", "#9ebcda", "#4f7fb5", "#d7301f"])
    image = axes.imshow(stage, origin="lower", cmap=colours, vmin=-0.5, vmax=3.5)
    bar = figure.colorbar(image, ticks=range(4))
    bar.ax.set_yticklabels(["first test", "second test", "ranges of queries", "may win: counted"])
    axes.set_xlabel("wrong output o")
    axes.set_ylabel("maximum m")
    save(figure, "ruled-out")


def intervals() -> dict[str, list[tuple[str, float, float]]]:
    """Seed, wrong inputs at least and at most as shares of all, for each model bounded from both sides, by family."""
    found: dict[str, dict[str, tuple[float, float]]] = {"max-of-10": {}, "max-of-20": {}, "max-of-10-v128": {}}

    def keep(model: str, lower: float, upper: float) -> None:
        family, _, seed = model.partition("/")
        if family in found and seed not in found[family]:
            found[family][seed] = 1 - upper, 1 - lower

    for large in found:
        for model, sides in TABLES["both_sides"](large).items():
            if None not in sides:
                keep(model, *(float(side["bound"]) for side in sides))
    for name in ("large-k-two-cores", "large-k-before"):
        with (ROOT / "docs" / "measured" / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
            for row in list(csv.reader(stream))[1:]:
                keep(row[0].strip("`"), float(row[1]), float(row[2]))
    return {family: [(seed, *ends) for seed, ends in of.items()] for family, of in found.items()}


def draw_intervals() -> None:
    """How many inputs are wrong, at least and at most, for large K; where that is too narrow to see, how narrow."""
    models = [
        (f"{SHORT[family]}, {seed}", least, most, COLOURS[family])
        for family, of in intervals().items()
        for seed, least, most in sorted(of, key=lambda each: -each[1])
    ]
    figure = Figure(figsize=(8.6, 0.17 * len(models) + 1.0), layout="constrained")
    shares, widths = figure.subplots(1, 2, sharey=True)
    for y, (_, least, most, colour) in enumerate(models):
        shares.plot([least, most], [y, y], color=colour, linewidth=4, solid_capstyle="butt")
        shares.plot((least * most) ** 0.5, y, "|", color=colour, markersize=7)
        widths.plot(most - least, y, "o", color=colour, markersize=4)
    shares.set_yticks(range(len(models)), [model[0] for model in models], fontsize=6.5)
    shares.set_ylim(len(models), -1)
    shares.set_xlabel("wrong inputs, at least and at most, share of all")
    widths.set_xlabel("how far apart these are")
    for axes in (shares, widths):
        axes.set_xscale("log")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    shares.set_xticks([5e-4, 1e-3, 2e-3, 5e-3], ["0.05%", "0.1%", "0.2%", "0.5%"])
    shares.xaxis.set_minor_formatter(NullFormatter())
    save(figure, "intervals")


def main() -> None:
    """Draw everything."""
    matplotlib.rcParams["svg.hashsalt"] = "docs"  # so that files are the same each time
    FIGURES.mkdir(parents=True, exist_ok=True)
    work = workspace(cp.load_model(MODEL), "value")
    draw_chords(work)
    draw_gaps(work)
    draw_outputs(work)
    draw_intervals()
    stored = runpy.run_path(str(ROOT / "benchmarks" / "table1_larger.py"))["stored"]
    results = stored(ROOT / "docs" / "table1" / "max-of-4.csv")
    draw_bound_against_flops(results, FIGURES / "bound-against-flops")
    draw_unexplained_against_flops(results, FIGURES / "unexplained-against-flops")


if __name__ == "__main__":
    main()
