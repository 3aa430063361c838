"""What the figures of the reports look like: each function takes data and returns what draws it on axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter, ScalarFormatter

from compactproofs.analysis.correlations import Regression
from compactproofs.analysis.mechanism import AttentionGaps, Copying, Errors
from compactproofs.analysis.remainder import Budget, Comparison
from compactproofs.analysis.spectra import Factor, Fit
from compactproofs.kernel.decisions import FloatArray
from compactproofs.report.pictures import (
    BLUE,
    GREEN,
    GREY,
    GRID,
    HALF,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    RED,
    SERIES,
    coloured,
)

Draw = Callable[[Axes], None]

#: From red for 0 to blue for 1, pale enough for black text.
_PALE = LinearSegmentedColormap.from_list("pale", ["#f2b3a8", "#f8e3b8", "#a8cdf0"])


#: What is along the axes of each table, and in its cells.
AXES = {
    "EU": ("query token", "output", "logits"),
    "EVOU": ("attended token", "output", "logits"),
    "PVOU": ("attended position", "output", "logits"),
    "EQKE": ("query token", "key token", "score"),
    "EQKP": ("query token", "key position", "score"),
}


def circuit(name: str, table: FloatArray) -> Draw:
    """One of the five tables that a model is."""
    return heat_map(table, *AXES[name])


def heat_map(table: FloatArray, y: str, x: str, unit: str) -> Draw:
    """A table with 0 in the middle of its colours and its largest entry at their end; rows upwards if square."""

    def draw(axes: Axes) -> None:
        largest = float(np.abs(table).max()) or 1.0
        image = axes.imshow(
            table, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto", origin="lower", interpolation="nearest"
        )
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, integer=True))
        bar = axes.figure.colorbar(image, ax=axes, label=unit)
        bar.outline.set_visible(False)

    return draw


def example(tokens: Sequence[int], attention: FloatArray, logits: FloatArray) -> Draw:
    """The logits of one input, with its tokens, the attention they get, and the answer."""

    def draw(axes: Axes) -> None:
        answer, room = int(logits.argmax()), float(np.ptp(logits)) or 1.0
        axes.set_ylim(logits.min() - 0.06 * room, logits.max() + 0.45 * room)
        shares = {token: sum(attention[p] for p, t in enumerate(tokens) if t == token) for token in tokens}
        for token, share in shares.items():
            axes.axvline(token, ymax=0.84, color=GRID if share < 0.5 else GREEN, lw=1.0, zorder=0)
            if len(shares) <= 6:
                label = f"{token}\n{share:.0%}"
                axes.text(token, logits.max() + 0.42 * room, label, ha="center", va="top", color=INK, fontsize=8)
        axes.plot(logits, color=BLUE, lw=1.2)
        axes.plot(answer, logits[answer], "o", color=GREEN, ms=6)
        axes.set_xlabel("output")
        axes.set_ylabel("logits")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))

    return draw


def copying_by_token(copied: Copying) -> Draw:
    """A token's own output and the best other one."""

    def draw(axes: Axes) -> None:
        tokens = np.arange(len(copied.own))
        failing = copied.failing
        axes.plot(tokens, copied.own, color=BLUE, label="its own output")
        axes.plot(tokens, copied.best_other, color=ORANGE, label="best other output")
        axes.scatter(failing, copied.own[failing], color=RED, s=22, zorder=3, label="not copied")
        axes.set_xlabel("attended token")
        axes.set_ylabel("EVOU (logits)")
        axes.legend()
        axes.grid(axis="y")

    return draw


def copying_histogram(copied: Copying) -> Draw:
    """The diagonal of EVOU against all other entries."""

    def draw(axes: Axes) -> None:
        edges = np.linspace(
            min(copied.own.min(), copied.others.min()), max(copied.own.max(), copied.others.max()), 45
        ).tolist()
        for values, colour, label in (
            (copied.others, ORANGE, "off the diagonal"),
            (copied.own, BLUE, "on the diagonal"),
        ):
            weights = np.full(len(values), 1 / len(values))
            axes.hist(values, edges, weights=weights, color=colour, alpha=0.75, label=label)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("EVOU (logits)")
        axes.set_ylabel("share of the entries")
        axes.legend()

    return draw


def attention_gap(gaps: AttentionGaps) -> Draw:
    """Score lead over smaller tokens."""

    def draw(axes: Axes) -> None:
        axes.fill_between(gaps.difference, gaps.low, gaps.high, color=BLUE, alpha=0.25, lw=0, label="5% to 95%")
        axes.plot(gaps.difference, gaps.mean, color=BLUE, label="mean")
        axes.plot(gaps.difference, gaps.least, color=RED, lw=1, ls="--", label="least")
        axes.axhline(0, color=MUTED, lw=0.8)
        axes.set_xlabel("how much smaller the other token is")
        axes.set_ylabel("lead in attention score")
        axes.legend(loc="upper left")
        axes.grid(axis="y")

    return draw


def errors_by_maximum(errors: Errors, v: int, inputs_by_maximum: FloatArray) -> Draw:
    """The share of inputs with this maximum that is answered wrongly."""

    def draw(axes: Axes) -> None:
        count = np.bincount(errors.maximum, minlength=v)
        share = np.divide(count, inputs_by_maximum, out=np.zeros(v), where=inputs_by_maximum > 0)
        axes.bar(np.arange(v), share, color=RED, width=0.85)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("maximum")
        axes.set_ylabel("wrong among inputs with this maximum")

    return draw


def errors_by_gap(errors: Errors) -> Draw:
    """Where in maximum and gap the wrong inputs are."""

    def draw(axes: Axes) -> None:
        gap = errors.gap if len(errors.gap) else np.zeros(1, np.int64)
        count = np.bincount(np.minimum(gap, 12), minlength=8)
        axes.bar(np.arange(len(count)), count if len(errors.gap) else 0 * count, color=RED, width=0.8)
        axes.set_xticks(range(len(count)), [f"{i}" if i < 12 else "12+" for i in range(len(count))])
        axes.set_xlabel("gap between the maximum and the next token")
        axes.set_ylabel("wrong inputs")

    return draw


def singular_values(values: FloatArray) -> Draw:
    """On a logarithmic scale, without those that are rounding."""

    def draw(axes: Axes) -> None:
        kept = values[values > max(values[0] * 1e-13, 1e-300)]
        axes.plot(np.arange(1, len(kept) + 1), kept, "o-", color=BLUE, ms=3.5, lw=1)
        if len(kept):
            axes.set_yscale("log")
        for i in range(min(2, len(kept))):
            axes.annotate(
                f"σ{'₁₂'[i]} = {kept[i]:.4g}", (i + 1, kept[i]), xytext=(10, 2), textcoords="offset points", color=INK
            )
        axes.set_xlabel("number")
        axes.set_ylabel("singular value")
        axes.grid(axis="y")

    return draw


def direction(values: FloatArray, fitted: Fit, label: str) -> Draw:
    """A direction over tokens with its fitted curve."""

    def draw(axes: Axes) -> None:
        tokens = np.arange(len(values), dtype=np.float64)
        axes.scatter(tokens, values, s=9, color=BLUE, label=label)
        degree = len(fitted.coefficients) - 1  # longer formulas do not fit
        curve = formula(fitted) if degree <= 2 else f"polynomial of degree {degree}"
        axes.plot(tokens, fitted.at(tokens), color=ORANGE, label=f"{curve}, R² = {fitted.explained:.4f}")
        axes.set_ylim(*_with_zero(values))
        axes.set_xlabel("token")
        axes.set_ylabel("singular vector · √σ")
        axes.legend()
        axes.grid(axis="y")

    return draw


def formula(fitted: Fit) -> str:
    """The polynomial in words of t."""
    text = f"{fitted.coefficients[0]:.3g}"
    for power, coefficient in enumerate(fitted.coefficients[1:], 1):
        text += f" {'+' if coefficient >= 0 else '−'} {abs(coefficient):.3g} t{'' if power == 1 else '²³⁴'[power - 2]}"
    return text.replace("-", "−")


def _with_zero(values: FloatArray) -> tuple[float, float]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    room = 0.05 * (high - low or 1.0)
    return low - room, high + 6 * room


def two_directions(first: FloatArray, second: FloatArray, labels: tuple[str, str]) -> Draw:
    """The second singular pair."""

    def draw(axes: Axes) -> None:
        axes.plot(first, color=PURPLE, label=labels[0], lw=1.1)
        axes.plot(second, color=GREEN, label=labels[1], lw=1.1)
        axes.axhline(0, color=MUTED, lw=0.8)
        axes.set_xlabel("token")
        axes.set_ylabel("singular vector · √σ")
        axes.legend()

    return draw


def factor_spectra(factors: Sequence[Factor]) -> Draw:
    """Singular values of each factor, before and after, on a logarithmic scale, without those that are rounding."""

    def draw(axes: Axes) -> None:
        axes.plot([], [], ":", color=MUTED, label="whole")
        axes.plot([], [], "-", color=MUTED, label="without principal parts")
        for factor, colour in coloured(factors):
            for values, style, label in ((factor.before, ":", None), (factor.after, "-", factor.name)):
                kept = values[values > max(factor.before.max() * 1e-6, 1e-300)]
                axes.plot(np.arange(1, len(kept) + 1), kept, style, lw=1.3, color=colour, label=label)
                if len(kept):
                    axes.set_yscale("log")
        axes.set_xlabel("number")
        axes.set_ylabel("singular value")
        axes.grid(axis="y")
        axes.legend(ncols=2)

    return draw


def normal_quantiles(factors: Sequence[Factor]) -> Draw:
    """Quantiles of the residual entries against those of a normal distribution."""

    def draw(axes: Axes) -> None:
        shares = (np.arange(1, 200) - 0.5) / 199
        expected = np.array([NormalDist().inv_cdf(share) for share in shares])
        for factor, colour in coloured(factors):
            entries = factor.residual.ravel() - factor.residual.mean()
            z = np.quantile(entries / (entries.std() or 1.0), shares)
            axes.plot(expected, z, color=colour, lw=1.2, label=factor.name)
        axes.plot(expected, expected, color=MUTED, ls=":", lw=1.2, label="normal")
        axes.set_xlabel("quantile of a normal distribution")
        axes.set_ylabel("quantile of the standardised entries")
        axes.legend()
        axes.grid()

    return draw


def budget(budgets: Sequence[Budget]) -> Draw:
    """Bound of the remainder's spread against its cost."""

    def draw(axes: Axes) -> None:
        for one, colour in coloured(budgets):
            axes.scatter(one.flops, one.bound.mean(), color=colour, s=30, zorder=3, label=one.kind)
            axes.vlines(one.flops, one.bound.min(), one.bound.max(), color=colour, alpha=0.45, lw=3)
        flops = [one.flops for one in budgets]
        axes.plot(flops, [one.true.mean() for one in budgets], "_", color=INK, ms=12, mew=1.6, label="true spread")
        if min(one.bound.max() for one in budgets) > 0.0:
            axes.set_yscale("log")
        operations(axes, "operations for the scores (FLOPs)")
        axes.set_ylabel("row spread of the remainder")
        axes.grid()
        legend_beside(axes)

    return draw


def start_of_waterfall(steps: Sequence[tuple[str, float]]) -> float:
    """Where the axis begins: a little below the least value."""
    least = min(value for _, value in steps)
    return max(0.0, least - max(0.12 * (1 - least), 0.004))


def waterfall(steps: Sequence[tuple[str, float]], low: float | None = None) -> Draw:
    """Bars from the first value down to the last, each the loss of one step; the axis begins at `low`."""
    low = start_of_waterfall(steps) if low is None else low

    def draw(axes: Axes) -> None:
        values = [value for _, value in steps]
        _bar(axes, 0, low, values[0], BLUE, f"{steps[0][0]}:  {values[0]:.4f}", low)
        for i, (name, value) in enumerate(steps[1:], 1):
            loss = values[i - 1] - value
            axes.plot([values[i - 1]] * 2, [i - 1, i + 0.21], color=GRID, lw=1.0, zorder=0)
            short = name if len(name) <= 58 else f"{name[:57]}…"
            _bar(axes, i, value, values[i - 1], RED, f"{short}:  {f'−{loss:.4f}' if loss >= 0.00005 else 0}", low)
        _bar(axes, len(steps), low, values[-1], GREEN, f"certified bound:  {values[-1]:.4f}", low)
        axes.set_ylim(len(steps) + 0.4, -0.75)
        axes.set_xlim(low, 1.0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(f"share of all inputs (the axis starts at {low:.3g})")

    return draw


def _bar(axes: Axes, row: int, left: float, right: float, colour: str, label: str, at: float) -> None:
    """A bar with a label above it, which may be wider than the axes."""
    axes.barh(row, right - left, 0.42, left=left, color=colour)
    axes.text(at, row - 0.27, label, va="bottom", ha="left", fontsize=8, color=INK).set_in_layout(False)


def waterfall_size(steps: int, width: float = HALF[0]) -> tuple[float, float]:
    """The figure size for so many steps, in inches; with fewer the bars are wider."""
    return (width, 0.8 + 0.43 * (steps + 1))


def noise_histogram(comparison: Comparison) -> Draw:
    """The trained value among those of noise."""

    def draw(axes: Axes) -> None:
        axes.hist(comparison.noise, 40, color=GREY, label=f"noise, {len(comparison.noise)} draws")
        axes.axvline(comparison.trained, color=RED, label="trained")
        axes.set_xlabel(f"{comparison.name}, mean over queries")
        axes.set_ylabel("draws")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    return draw


def deviations(comparisons: Mapping[str, Sequence[float] | FloatArray]) -> Draw:
    """How many standard deviations trained values are above noise, one or many for each name."""

    def draw(axes: Axes) -> None:
        for i, values in enumerate(comparisons.values()):
            if len(values) == 1:
                axes.barh(i, values[0], 0.5, color=RED if values[0] > 0 else BLUE)
            else:
                spread = np.linspace(-0.3, 0.3, len(values))
                axes.scatter(values, i + spread, s=5, color=BLUE, alpha=0.5, linewidth=0, rasterized=True)
                axes.plot([np.mean(values)] * 2, [i - 0.36, i + 0.36], color=RED, lw=2)
        axes.axvline(0, color=MUTED, lw=0.8, zorder=0)
        axes.set_yticks(range(len(comparisons)), list(comparisons))
        axes.tick_params(axis="y", length=0, labelsize=7.5)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(len(comparisons) - 0.5, -0.5)
        axes.set_xlabel("deviations above noise")
        axes.grid(axis="x")

    return draw


def spreads(by_name: Mapping[str, FloatArray]) -> Draw:
    """Row spreads over queries, told apart by their dashes too."""

    def draw(axes: Axes) -> None:
        for (name, values), colour, dashes in zip(by_name.items(), (BLUE, ORANGE, INK), ("-", "--", ":"), strict=True):
            axes.plot(np.maximum(values, 1e-12), color=colour, ls=dashes, lw=1.4, label=name)
        axes.set_yscale("log")
        axes.set_xlabel("query")
        axes.set_ylabel("row spread of the remainder")
        axes.grid()
        legend_below(axes)

    return draw


def grouped_bars(values: Mapping[str, Sequence[float]], groups: Sequence[str], ylabel: str) -> Draw:
    """A group of bars for each of `groups`, with one bar for each key of `values`."""

    def draw(axes: Axes) -> None:
        width = 0.8 / len(values)
        for i, (name, heights) in enumerate(values.items()):
            places = np.arange(len(groups)) + (i - (len(values) - 1) / 2) * width
            axes.bar(places, heights, width * 0.92, color=SERIES[i], label=name)
        axes.set_xticks(range(len(groups)), groups)
        axes.set_ylim(0, 1.24)
        axes.set_yticks(np.linspace(0, 1, 6))
        axes.set_ylabel(ylabel)
        axes.legend(ncols=4, loc="upper center", columnspacing=0.8, handlelength=0.9, handletextpad=0.4)

    return draw


def bars(names: Sequence[str], heights: FloatArray, xlabel: str, ylabel: str) -> Draw:
    """A bar for each name, up or down."""

    def draw(axes: Axes) -> None:
        axes.bar(range(len(names)), heights, 0.7, color=BLUE)
        axes.axhline(0.0, color=MUTED, lw=0.8)
        axes.set_xticks(range(len(names)), names)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)

    return draw


def matrix(values: FloatArray, names: Sequence[str]) -> Draw:
    """Accuracies as a labelled symmetric table, from red for 0 to blue for 1."""

    def draw(axes: Axes) -> None:
        axes.imshow(values, cmap=_PALE, vmin=0, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            axes.text(j, i, _accuracy(value), ha="center", va="center", fontsize=8.2, color="black")
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    return draw


def _accuracy(value: float) -> str:
    return f"{value:.3f}" if value < 0.99 else f"{value:.4f}"


def operations(axes: Axes, label: str) -> None:
    """A logarithmic axis, with powers of 2 and what is between them where there are few."""
    axes.set_xscale("log", base=2)
    low, high = np.log2(axes.get_xlim())
    parts = 4 if high - low < 1.5 else 2 if high - low < 3.0 else 1
    axes.xaxis.set_major_locator(LogLocator(2, subs=[2.0 ** (i / parts) for i in range(parts)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"$2^{{{np.log2(x):.4g}}}$"))
    axes.set_xlabel(label)


def legend_beside(axes: Axes) -> None:
    """Where the picture is wide."""
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def legend_below(axes: Axes) -> None:
    """In two columns if the labels are short."""
    labels = axes.get_legend_handles_labels()[1]
    columns = 2 if max(map(len, labels), default=0) <= 20 else 1
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.17), ncols=columns, fontsize=7.5)


def bounds(
    points: Mapping[str, Sequence[tuple[float, float]]],
    above: Sequence[tuple[float, float]] = (),
    wide: bool = False,
) -> Draw:
    """(operations, bound) of strategies by group, with the best for so many operations, and those from above."""

    def draw(axes: Axes) -> None:
        for (name, group), colour in coloured(points.items()):
            x, y = zip(*group, strict=True)
            axes.scatter(x, y, s=26, color=colour, alpha=0.85, linewidth=0, zorder=3, label=name)
        axes.step(*_best(points), where="post", color=MUTED, lw=1.0, label="the best so far", zorder=2)
        if above:
            x, y = zip(*above, strict=True)
            axes.scatter(x, y, s=45, marker="v", facecolor="none", edgecolor=INK, label="from above")
        axes.set_ylim(-0.02, 1.05)
        operations(axes, "operations to verify (FLOPs)")
        axes.set_ylabel("normalised bound")
        axes.grid()
        (legend_beside if wide else legend_below)(axes)

    return draw


def _best(points: Mapping[str, Sequence[tuple[float, float]]]) -> tuple[list[float], list[float]]:
    """Operations and bounds of the points above all cheaper ones, to the dearest of all."""
    ordered = sorted(point for group in points.values() for point in group)
    best = [(x, y) for i, (x, y) in enumerate(ordered) if all(y > other for _, other in ordered[:i])]
    ends = [*best, (ordered[-1][0], best[-1][1])] if ordered else []
    return [x for x, _ in ends], [y for _, y in ends]


def regression(x: FloatArray, y: FloatArray, line: Regression | None, xlabel: str, ylabel: str) -> Draw:
    """Points, a line over log10 x, and its confidence band."""

    def draw(axes: Axes) -> None:
        axes.scatter(x, y, s=9, color=BLUE, alpha=0.7, linewidth=0)
        if line is not None:
            at = np.log10(x)
            places = np.linspace(at.min(), at.max(), 60)
            middle, half = line.at(places)
            axes.fill_between(10**places, middle - half, middle + half, color=ORANGE, alpha=0.3, lw=0)
            axes.plot(10**places, middle, color=ORANGE)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid()

    return draw


def labelled_points(
    groups: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
    log_y: bool = False,
    wide: bool = False,
) -> Draw:
    """Points by group over a logarithmic axis."""

    def draw(axes: Axes) -> None:
        for (name, group), colour in coloured(groups.items()):
            a, b = zip(*group, strict=True)
            axes.scatter(a, b, s=16, color=colour, alpha=0.85, label=name)
        if log_y:
            axes.set_yscale("log", base=2)
        operations(axes, xlabel)
        axes.set_ylabel(ylabel)
        axes.grid()
        (legend_beside if wide else legend_below)(axes)

    return draw


def copied(share: FloatArray) -> Draw:
    """By token, the share of the models that copy it."""

    def draw(axes: Axes) -> None:
        axes.bar(np.arange(len(share)), share, color=BLUE, width=0.85)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("token")
        axes.set_ylabel("models that copy it")

    return draw


def histogram(values: FloatArray, xlabel: str, mark: float | None = None, mark_label: str = "") -> Draw:
    """How many models have which value."""

    def draw(axes: Axes) -> None:
        axes.hist(values, 30, color=BLUE)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        if mark is not None:
            axes.axvline(mark, color=RED, label=mark_label)
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
        axes.set_xlabel(xlabel)
        axes.set_ylabel("models")

    return draw
