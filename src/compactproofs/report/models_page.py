"""The page over many models: what they have in common, and whether understanding makes proofs tighter or shorter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import compactproofs as cp
from compactproofs import analysis
from compactproofs.analysis.ablations import KINDS
from compactproofs.analysis.margins import PATHS
from compactproofs.analysis.models import Regression, ranks, regress
from compactproofs.analysis.remainder import BOUNDS, REPLACEMENTS
from compactproofs.analysis.waterfall import WATERFALLS
from compactproofs.kernel.decisions import FloatArray
from compactproofs.paper.rows import ROWS
from compactproofs.report import charts
from compactproofs.report.page import Cell, Page, Section, Table, cell, say, theorem_link
from compactproofs.report.pictures import Picture, picture
from compactproofs.report.words import words
from compactproofs.search.words import unexplained_dimension
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems import get_strategy
from compactproofs.theorems.max_of_k.subcubic import remainder
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, Choice

Summary = dict[str, Any]

#: The kinds of remainder whose regressions are drawn; the table has all.
_DRAWN = ("exact_EQKE+max_diff_exact", "svd", "max_diff", "max_diff_subproduct", "max_diff_subproduct_recursive")


def models_page(summaries: Sequence[Summary]) -> Page:
    """The page about these models; `summaries` as `analysis.summarise` makes them.  Raises ValueError for none."""
    if not summaries:
        raise ValueError("no models: there is nothing to report")
    sections: list[Callable[[Sequence[Summary]], Section]] = [
        _mechanism,
        _words,
        _faithfulness,
        _compression,
        _waterfalls,
        _budget,
        _noise,
        _ablations,
        _table,
    ]
    accuracy = _column(summaries, "accuracy")
    lead = [
        say(
            "{count} models with the same architecture were trained on the same task with different seeds: read "
            "four numbers, name the largest. This page looks at all of them with the methods of the report about a "
            "single model, and asks what the paper claims: does a more faithful understanding give tighter bounds, and "
            "does a more compressed one give shorter proofs?",
            count=len(summaries),
        ),
        say(
            "Written out, a model is five tables: EU, what the last token (the query) adds to the logits; EQKE and "
            "EQKP, the attention scores of a token and of a position for a query; EVOU and PVOU, what attending to "
            "them adds. A proof may multiply these tables out, or bound them from their factors, which certifies less "
            "and takes fewer operations only if nearly no product is formed. A normalised bound is the certified share "
            "of the inputs over the accuracy. On this page ± is the standard deviation over models, but for slopes, "
            "where it is half a 95% interval."
        ),
    ]
    facts = [
        ("models", str(len(summaries))),
        ("accuracy, mean ± standard deviation", _mean(accuracy, 5)),
        ("σ₁ / σ₂ of EQKE", f"{_ratio(summaries).min():.0f} to {_ratio(summaries).max():.0f}"),
        ("certificates made and checked", f"{sum(len(s['proofs']) for s in summaries):,}"),
    ]
    return Page(
        f"{len(summaries)} models that find the maximum",
        lead,
        facts,
        [make(summaries) for make in sections],
        tuple(WATERFALLS.values()),
    )


def _column(summaries: Sequence[Summary], name: str) -> FloatArray:
    return np.array([summary[name] for summary in summaries], np.float64)


def _ratio(summaries: Sequence[Summary]) -> FloatArray:
    return np.array([s["singular_values"][0] / max(s["singular_values"][1], 1e-300) for s in summaries])


def _bounds(summaries: Sequence[Summary], strategy: str) -> FloatArray:
    """Normalised bounds of a strategy."""
    return np.array([s["proofs"][strategy][0] for s in summaries])


def _with_remainder(kind: str) -> str:
    return f"sub-cubic/max_diff_exact/mean_query+diff/{kind}"


def _std(values: FloatArray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _mean(values: FloatArray, digits: int = 4) -> str:
    return f"{values.mean():.{digits}f} ± {_std(values):.{digits}f}"


def _p(p: float) -> str:
    if p >= 0.001:
        return f"p = {p:.2g}"
    leading, exponent = f"{max(p, 1e-100):.0e}".split("e-")
    power = f"10⁻{str(int(exponent)).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    return f"p = {leading}·{power}" if p > 1e-100 else f"p < {power}"


def _mechanism(summaries: Sequence[Summary]) -> Section:
    ratio, straight = _ratio(summaries), _column(summaries, "size_fit")
    fails = np.array([len(s["not_copied"]) for s in summaries], np.float64)
    wrong = _column(summaries, "wrong_next")
    first = np.array([s["singular_values"][0] for s in summaries])
    text = [
        say(
            "{same}. The attention scores EQKE have nearly rank one: σ₁ is {first:.0f} on average (without the "
            "division by √d_head) and {low:.0f} to {high:.0f} times σ₂. A straight line through the size direction "
            "has R² = {straight:.4f} on average, {least:.4f} at the least. EVOU copies all tokens but {fails:.1f} on "
            "average, all of them among the {smallest} smallest. The next smaller token gets no less attention than "
            "the maximum in {wrong:.1f}% of all pairs of a maximum and a query not above it.",
            same=f"All {len(summaries)} do the same thing"
            if ratio.min() > 50 and straight.min() > 0.9
            else "What the models have in common",
            smallest=1 + max((token for s in summaries for token in s["not_copied"]), default=-1),
            first=first.mean(),
            low=ratio.min(),
            high=ratio.max(),
            straight=straight.mean(),
            least=straight.min(),
            fails=fails.mean(),
            wrong=100 * wrong.mean(),
        )
    ]
    pictures = [
        picture(
            "accuracy",
            "Histogram of the accuracies.",
            f"Accuracy on all inputs: {_mean(_column(summaries, 'accuracy'), 5)}.",
            charts.histogram(_column(summaries, "accuracy"), "accuracy"),
        ),
        picture(
            "ratio",
            "Histogram of the ratio of the first two singular values.",
            f"σ₁ / σ₂: median {np.median(ratio):.0f}.",
            charts.histogram(ratio, "σ₁ / σ₂ of EQKE"),
        ),
        picture(
            "size-fit",
            "Histogram of the variance explained by a line through the size direction.",
            f"How straight the size direction is: R² {_mean(straight)}.",
            charts.histogram(straight, "R² of a line through the size direction"),
        ),
    ]
    return Section("mechanism", "One mechanism", text, pictures)


def _words(summaries: Sequence[Summary]) -> Section:
    return words()


def _faithfulness(summaries: Sequence[Summary]) -> Section:
    ratio = _ratio(summaries)
    exact = _bounds(summaries, _with_remainder(remainder.EXACT))
    lines: dict[str, tuple[Regression | None, Regression | None]] = {}
    rows = []
    for kind in remainder.KINDS:
        bound = _bounds(summaries, _with_remainder(kind))
        line = regress(np.log10(ratio), bound)
        lost = regress(np.log10(ratio), exact - bound)
        lines[kind] = line, lost
        by_rank = regress(ranks(ratio), ranks(bound))
        rows.append(
            [
                cell(kind),
                cell(float(bound.mean()), ".4f"),
                *_regression_cells(line),
                cell(by_rank.correlation, "+.3f") if by_rank else Cell("", math.nan),
                cell(lost.correlation, "+.3f") if lost else Cell("", math.nan),
            ]
        )
    text = [
        say(
            "How faithful is it to say that attention looks along one direction? We measure it by σ₁/σ₂ of EQKE. The "
            "paper claims that a more faithful understanding gives tighter bounds: over the models, the bound of a "
            "proof that uses the direction should grow with σ₁/σ₂. Each picture has one point for each model, a line "
            "fitted over the logarithm of σ₁/σ₂, and the 95% confidence band of the line. All proofs know EU exactly "
            "and differ only in how they bound what the direction does not explain. (The paper has one such picture, "
            "for its bound by a singular value; our svd is a little sharper.)"
        ),
        _faithfulness_verdict(lines, summaries),
    ]
    pictures = [
        picture(
            f"faithfulness-{kind}".replace("+", "-").replace("_", "-").lower(),
            f"Normalised bound with the remainder by {kind} against the ratio of singular values, with a line.",
            f"{kind}: {_in_words(lines[kind][0])}.",
            charts.regression(
                ratio,
                _bounds(summaries, _with_remainder(kind)),
                lines[kind][0],
                "σ₁ / σ₂ of EQKE",
                "normalised bound",
                log=True,
            ),
        )
        for kind in _DRAWN
    ]
    headers = (
        "remainder",
        "mean bound",
        "slope",
        "± 95%",
        "r",
        "R²",
        "p",
        "rank correlation",
        "r with the loss to exact",
    )
    table = Table("Normalised bound against log₁₀ of σ₁/σ₂, for each way of bounding the remainder", headers, rows)
    return Section("faithfulness", "Does faithfulness give tighter bounds?", text, pictures, [table])


def _regression_cells(line: Regression | None) -> list[Cell]:
    if line is None:
        return [Cell("", math.nan)] * 5
    return [
        cell(line.slope, "+.4f"),
        cell(line.slope_error, ".4f"),
        cell(line.correlation, "+.3f"),
        cell(line.correlation**2, ".3f"),
        cell(line.p, ".2g"),
    ]


def _in_words(line: Regression | None) -> str:
    if line is None:
        return "too little to fit a line"
    return (
        f"{line.slope:+.3f} ± {line.slope_error:.3f} for a tenfold ratio, R² = {line.correlation**2:.2f}, {_p(line.p)}"
    )


def _faithfulness_verdict(
    lines: dict[str, tuple[Regression | None, Regression | None]], summaries: Sequence[Summary]
) -> str:
    known = {kind: line for kind, (line, _) in lines.items() if line is not None and kind != remainder.EXACT}
    if not known:
        return "These are too few models to say."
    supported = [k for k, line in known.items() if line.slope > line.slope_error]
    against = [k for k, line in known.items() if line.slope < -line.slope_error]
    falls = [k for k in known if (lost := lines[k][1]) is not None and lost.correlation < 0]
    exact = lines[remainder.EXACT][0]
    norm, norm_lost = lines["svd"]
    assert norm is not None
    sigmas = np.log([s["singular_values"][:2] for s in summaries])
    first = regress(sigmas[:, 0], _bounds(summaries, _with_remainder(remainder.EXACT)))
    return say(
        "<strong>What we find.</strong> {supported} of {all} ways of bounding the remainder have a slope that is "
        "positive at 95%{which}; {against} {have} a negative one (they share the models, so these are not {all} "
        "independent tests). The norm bound (svd): {svd}. {loss}{exact} {verdict}",
        supported=len(supported),
        all=len(known),
        which=f" ({', '.join(supported)})" if 0 < len(supported) < len(known) else "",
        against=len(against),
        have="has" if len(against) == 1 else "have",
        svd=_in_words(norm),
        loss=say(
            "What this bound loses to the exact remainder, which is all that the direction can be blamed for, "
            "correlates with the ratio by r = {r:+.2f} ({p}); the loss falls with the ratio for {falls} of {all}. ",
            r=norm_lost.correlation,
            p=_p(norm_lost.p),
            falls=len(falls),
            all=len(known),
        )
        if norm_lost
        else "",
        exact=say(
            "For comparison, the proof that multiplies EQKE out and uses no direction has {words}: so much of a slope "
            "does not come from bounding the remainder. That proof's bound goes with σ₁, the strength of the direction "
            "({first}).",
            words=_in_words(exact),
            first=f"r = {first.correlation:+.2f}, {_p(first.p)}",
        )
        if exact and first
        else "",
        verdict=_so(
            len(supported),
            len(against),
            len(known),
            len(summaries),
            [line.correlation**2 for line in known.values()],
            analysis.explained(sigmas, _bounds(summaries, _with_remainder("svd"))),
        ),
    )


def _so(supported: int, against: int, all_of_them: int, models: int, shares: Sequence[float], both: float) -> str:
    """What follows for the claim: numbers of slopes, and the variation that the ratio and both sigmas explain."""
    if models < 20:
        return "These are too few models to decide."
    if against:
        so = "So the claim does not hold for all bounds:"
    elif supported == all_of_them:
        so = (
            "So the claim is supported in its direction, but the effect is weak:"
            if max(shares) < 0.25
            else ("So the claim is supported:")
        )
    else:
        so = "So the claim is supported in part:" if supported else "So the claim is not supported:"
    return say(
        "{so} the ratio explains {low:.0f}% to {high:.0f}% of the variation between models, and σ₁ and σ₂ apart from "
        "each other {both:.0f}% for the norm bound.",
        so=so,
        low=100 * min(shares),
        high=100 * max(shares),
        both=100 * both,
    )


def _compression(summaries: Sequence[Summary]) -> Section:
    strategies = list(summaries[0]["proofs"])
    bound = np.array([_bounds(summaries, s).mean() for s in strategies])
    flops = np.array([np.mean([m["proofs"][s][1] for m in summaries]) for s in strategies])
    unexplained = np.array([summaries[0]["proofs"][s][2] for s in strategies], np.float64)
    group = {
        s: row.name for row in ROWS if "without" not in row.name and "only" not in row.name for s in row.strategies
    }

    def by_group(x: FloatArray, y: FloatArray) -> dict[str, list[tuple[float, float]]]:
        groups: dict[str, list[tuple[float, float]]] = {}
        for strategy, a, b in zip(strategies, x.tolist(), y.tolist(), strict=True):
            groups.setdefault(group.get(strategy, "ours"), []).append((a, b))
        return groups

    place = {strategy: i for i, strategy in enumerate(strategies)}

    def within(key: Callable[[Choice], tuple[str, ...]]) -> float:
        """The mean rank correlation of unexplained dimension and operations among strategies of the same key."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for strategy, choice in CHOICES.items():
            groups.setdefault(key(choice), []).append(place[strategy])
        return float(np.mean([_rank_correlation(unexplained[of], flops[of]) for of in groups.values()]))

    family = [place[strategy] for strategy in CHOICES]
    over_all, tighter = (_rank_correlation(unexplained[family], x[family]) for x in (flops, bound))
    of_scores = within(lambda choice: (choice.direct, choice.attention))
    of_direct = within(lambda choice: (choice.remainder, choice.attention))
    svd, factored = place[_with_remainder("svd")], place["sub-cubic/mean_query+max_diff/mean_query+diff/svd"]
    exact, recursive = place[_with_remainder(remainder.EXACT)], place[_with_remainder("max_diff_subproduct_recursive")]
    subproduct = place[_with_remainder("max_diff_subproduct")]
    ways = [place[_with_remainder(kind)] for kind in remainder.KINDS]
    best = max(ways, key=lambda i: bound[i])
    ours = place["failing-sets"]
    rows = [
        [
            cell(kind),
            cell(int(summaries[0]["proofs"][_with_remainder(kind)][2]), ",d"),
            cell(float(np.mean([m["proofs"][_with_remainder(kind)][1] for m in summaries])), ",.0f"),
            cell(float(_bounds(summaries, _with_remainder(kind)).mean()), ".4f"),
            cell(_std(_bounds(summaries, _with_remainder(kind))), ".4f"),
        ]
        for kind in remainder.KINDS
    ]
    text = [
        say(
            "The <em>unexplained dimension</em> counts the numbers that a proof must look at one by one because it has "
            "no account of them; understanding compresses them. The paper claims that a more compressed account gives "
            "a shorter proof. We look at all strategies of the page; they are no random sample, so their correlations "
            "describe and test nothing."
        ),
        say(
            "<strong>What we find.</strong> Between the paper's families the claim holds: going through all inputs "
            "explains nothing, 2<sup>{all:.0f}</sup> numbers, and takes more operations than that; the cubic proof "
            "leaves {cubic:,} numbers and takes 2<sup>{cubicflops:.2f}</sup> operations; the sub-cubic ones leave "
            "{least:,} to {most:,} and take 2<sup>{cheap:.2f}</sup> to 2<sup>{dear:.2f}</sup>. Our failing sets, with "
            "{ours:,}, take 2<sup>{ourflops:.2f}</sup>. Within the sub-cubic family the rank correlation of "
            "unexplained dimension and operations is {over_all:+.2f}. With EQKE treated alike it is {of_direct:+.2f}: "
            "bounding EU from its factors leaves {more:,.0f} more numbers and changes the operations by "
            "{saved:+,.0f}. With EU treated alike, among the ten ways of treating EQKE, it is {of_scores:+.2f}: "
            "{verdict}",
            all=math.log2(
                unexplained_dimension(get_strategy("brute-force"), max_of_k(cp.load_model(summaries[0]["model"])))
            ),
            cubic=int(unexplained[place["cubic"]]),
            cubicflops=math.log2(flops[place["cubic"]]),
            least=int(unexplained[family].min()),
            most=int(unexplained[family].max()),
            cheap=math.log2(flops[family].min()),
            dear=math.log2(flops[family].max()),
            ours=int(unexplained[ours]),
            ourflops=math.log2(flops[ours]),
            over_all=over_all,
            of_direct=of_direct,
            of_scores=of_scores,
            more=unexplained[factored] - unexplained[svd],
            saved=flops[factored] - flops[svd],
            verdict=say(
                "{hardly}exact EQKE leaves {a:,.0f} numbers and takes {b:.2f} million operations, svd {c:,.0f} and "
                "{d:.2f}, recursive {e:,.0f} and {f:.2f}.",
                hardly="hardly any relation; " if abs(of_scores) < 0.3 else "",
                a=unexplained[exact],
                b=flops[exact] / 1e6,
                c=unexplained[svd],
                d=flops[svd] / 1e6,
                e=unexplained[recursive],
                f=flops[recursive] / 1e6,
            ),
        ),
        say(
            "Nor is compression tightness: unexplained dimension and bound have a rank correlation of {tighter:+.2f}. "
            "max_diff_subproduct and its recursive form take out the same six directions and have the same unexplained "
            "dimension, but certify {high:.3f} and {low:.3f}: the number does not say how the rest is bounded. Of the "
            "ten ways, the tightest ({best}) takes fewer operations than {fewer} of the looser ones.",
            tighter=tighter,
            high=float(bound[subproduct]),
            low=float(bound[recursive]),
            best=strategies[best].rpartition("/")[2],
            fewer=sum(flops[i] > flops[best] for i in ways),
        ),
    ]
    pictures = [
        picture(
            "compression-flops",
            "Operations against unexplained dimension, one point for each strategy, both scales logarithmic.",
            "Operations against unexplained dimension, mean over models: rank correlation "
            f"{over_all:+.2f} among the sub-cubic.",
            charts.labelled_points(
                by_group(unexplained, flops), "unexplained dimension", "operations to verify (FLOPs)", log_y=True
            ),
            size=(4.0, 4.1),
        ),
        picture(
            "compression-bound",
            "Normalised bound against unexplained dimension, one point for each strategy.",
            "Bound against unexplained dimension, mean over models: rank correlation "
            f"{tighter:+.2f} among the sub-cubic.",
            charts.labelled_points(by_group(unexplained, bound), "unexplained dimension", "normalised bound"),
            size=(4.0, 4.1),
        ),
        picture(
            "compression-tightness",
            "Normalised bound against operations, one point for each strategy.",
            "Bound against operations, mean over models.",
            charts.labelled_points(by_group(flops, bound), "operations to verify (FLOPs)", "normalised bound"),
            size=(4.0, 4.1),
        ),
    ]
    headers = ("remainder", "unexplained dimension", "FLOPs", "normalised bound", "std")
    table = Table("The proofs that know EU exactly, by how they bound the remainder of EQKE", headers, rows)
    return Section("compression", "Does compression give shorter proofs?", text, pictures, [table])


def _rank_correlation(x: FloatArray, y: FloatArray) -> float:
    """Spearman's; 0 where one of them does not vary."""
    a, b = ranks(x), ranks(y)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0.0 and b.std() > 0.0 else 0.0


#: The row whose strategy multiplies least.
_CHEAPEST = "failing sets, strict QK&EU"


def _waterfalls(summaries: Sequence[Summary]) -> Section:
    pictures, rows, most = [], [], {}
    for row in WATERFALLS:
        names = [name for name, _ in summaries[0]["waterfalls"][row]]
        left = np.array([[value for _, value in s["waterfalls"][row]] for s in summaries])
        losses = left[:, :-1] - left[:, 1:]
        steps = list(zip(names, left.mean(axis=0).tolist(), strict=True))
        worst = int(losses.mean(axis=0).argmax())
        most[row] = names[worst + 1], float(losses.mean(axis=0)[worst])
        pictures.append(_waterfall_picture(row, steps, *most[row]))
        for i, (_, after) in enumerate(pairwise(names)):
            rows.append(
                [
                    cell(row),
                    cell(after),
                    cell(float(losses[:, i].mean()), ".5f"),
                    cell(_std(losses[:, i]), ".5f"),
                    cell(float(left[:, i + 1].mean()), ".5f"),
                    cell(WATERFALLS[row]),
                ]
            )
    text = [
        say(
            "From the accuracy to a bound, one relaxation at a time, averaged over the models; every number is "
            "computed on all inputs. With everything multiplied out, the {cubic} loses most by “{step}”. Bounding EU "
            "from its factors costs {eu:.3f}, bounding the scores without any product {scores:.3f} of all inputs. Our "
            "{failing} lose {ours} with all tables multiplied out. With scores from directions and norms, {kept:.4f} "
            "of the inputs still have positive margins; but counting every class of inputs would take more operations "
            "than these proofs spend, and the classes that the one with EU bounded as well gives up cost "
            "{given_up:.3f}. What a relaxation costs depends on those before it; the order is that of the proof.",
            step=most["cubic"][0],
            ours=f"{lost:.5f}" if (lost := _total_loss(summaries, "failing sets")) else "nothing",
            cubic=theorem_link("cubic", "cubic proof"),
            eu=_loss(summaries, "low-rank EU", "EU by"),
            scores=_loss(summaries, "quadratic QK", "scores by"),
            failing=theorem_link("failing-sets", "failing sets"),
            kept=float(np.mean([s["waterfalls"][_CHEAPEST][-3][1] for s in summaries])),
            given_up=_loss(summaries, _CHEAPEST, "classes of inputs given up"),
        )
    ]
    table = Table(
        "Every step, means over the models", ("row", "relaxation", "loses", "std", "leaves", "strategy"), rows
    )
    return Section("waterfall", "Where accuracy is lost", text, pictures, [table])


def _total_loss(summaries: Sequence[Summary], row: str) -> float:
    """The mean over models of what all steps lose together."""
    return float(np.mean([s["waterfalls"][row][0][1] - s["waterfalls"][row][-1][1] for s in summaries]))


def _loss(summaries: Sequence[Summary], row: str, beginning: str) -> float:
    """The mean loss of the step whose name begins so."""
    losses = []
    for summary in summaries:
        steps = summary["waterfalls"][row]
        i = next(i for i, (name, _) in enumerate(steps) if name.startswith(beginning))
        losses.append(steps[i - 1][1] - steps[i][1])
    return float(np.mean(losses))


def _waterfall_picture(row: str, steps: list[tuple[str, float]], most: str, loss: float) -> Picture:
    return picture(
        f"waterfall-{row}".replace(",", "").replace("&", "-").replace(" ", "-").lower(),
        f"Mean waterfall for {row}: " + "; ".join(f"{name} leaves {value:.4f}" for name, value in steps) + ".",
        f"{row}: most is lost by “{most}”, {loss:.4f} of all inputs." if loss else f"{row}: nothing is lost.",
        charts.waterfall(steps),
        size=charts.waterfall_size(len(steps)),
    )


def _budget(summaries: Sequence[Summary]) -> Section:
    values = {kind: np.array([s["budgets"][kind] for s in summaries]) for kind in BOUNDS}
    groups = {kind: [tuple(v[[2, 1]]) for v in data] for kind, data in values.items()}
    factor = {kind: float((data[:, 1] / data[:, 0]).mean()) for kind, data in values.items()}
    text = [
        say(
            "What the first pair of directions leaves of EQKE has a row spread of {true:.3f} on average. Multiplied "
            "out it is known exactly; the norm bound (svd) is {svd:.2f} times as large. What six directions leave "
            "spreads by {rest:.3f}; the bound at the best cut of the product is {cut:.2f} times that, and the "
            "recursive bounds, which multiply no two matrices, {recursive:.0f} times.",
            true=float(values["max_diff_exact"][:, 0].mean()),
            rest=float(values["max_diff_subproduct"][:, 0].mean()),
            svd=factor["svd"],
            cut=factor["max_diff_subproduct"],
            recursive=factor["max_diff_subproduct_recursive"],
        )
    ]
    pictures = [
        picture(
            "error-against-budget",
            "Bound of the remainder's row spread against operations, one point for each model and way of bounding.",
            "Without any product the bound is far larger; otherwise more operations buy little.",
            charts.labelled_points(
                groups, "operations for the scores (FLOPs)", "row spread of the remainder", log_y=True
            ),
            size=(4.0, 4.9),
        )
    ]
    rows = [
        [
            cell(kind),
            cell(float(data[:, 0].mean()), ".4f"),
            cell(float(data[:, 1].mean()), ".4f"),
            cell(_std(data[:, 1]), ".4f"),
            cell(factor[kind], ".2f"),
            cell(float(data[:, 2].mean()), ",.0f"),
        ]
        for kind, data in values.items()
    ]
    headers = ("way of bounding", "true spread", "bound", "std over models", "bound / truth", "FLOPs")
    table = Table("Bounds of the remainder's row spread, means over queries and models", headers, rows)
    return Section("budget", "Error against budget", text, pictures, [table])


def _noise(summaries: Sequence[Summary]) -> Section:
    names = list(summaries[0]["noise"])
    deviations = {name: np.array([s["noise"][name][3] for s in summaries]) for name in names}
    true, norm, recursive = deviations[names[0]], deviations["norm bound"], deviations["recursive"]
    replaced = {kind: np.array([s["replaced"][kind] for s in summaries]) for kind in REPLACEMENTS}
    accuracy = _column(summaries, "accuracy")
    text = [
        say(
            "For each model what all six directions leave of the four factors of EQKE is replaced {draws:,} times by "
            "Gaussian noise with the same mean and variance. The trained remainder's true row spread lies {true} "
            "standard deviations above the noise's mean (mean ± standard deviation over the models; {share:.0f}% of "
            "the models are above 3), the norm bound {norm}, the bound at the best cut {diff}, the recursive one "
            "{recursive}. The paper reports about 4 standard deviations worse than random. <strong>What we "
            "find</strong> {agrees}",
            draws=summaries[0]["draws"],
            true=_mean(true, 1),
            share=100 * float((true > 3).mean()),
            norm=_mean(norm, 1),
            diff=_mean(deviations["best cut"], 1),
            recursive=_mean(recursive, 1),
            agrees=_noise_verdict(true, float(norm.mean()), float(recursive.mean())),
        ),
        say(
            "Do the models use the rest? With the residual factors removed the accuracy changes by {zero:+.5f} on "
            "average (by {worst:+.4f} for the model that loses most, {best:+.4f} for the one that gains most); with "
            "noise in their place by {noise:+.5f}, with their rows shuffled by {resample:+.5f}. {better} of {count} "
            "models get better without them.",
            zero=float((replaced["zero"] - accuracy).mean()),
            worst=float((replaced["zero"] - accuracy).min()),
            best=float((replaced["zero"] - accuracy).max()),
            noise=float((replaced["noise"] - accuracy).mean()),
            resample=float((replaced["resample"] - accuracy).mean()),
            better=int((replaced["zero"] > accuracy).sum()),
            count=len(summaries),
        ),
    ]
    pictures = [
        picture(
            "noise-deviations",
            "For each bound, one point for each model: standard deviations above noise; a line marks the mean.",
            "Points: models. Red: their mean. Right of 0 the trained residuals are worse for a bound than noise.",
            charts.deviations({name: values.tolist() for name, values in deviations.items()}),
            size=(4.0, 3.6),
        ),
        picture(
            "noise-true",
            "Histogram over the models of how many standard deviations the true row spread is above noise.",
            f"True row spread: {_mean(true, 2)} standard deviations above noise.",
            charts.histogram(true, "standard deviations above noise", 4.0, "the paper's about 4"),
        ),
        picture(
            "noise-svd",
            "Histogram over the models of how many standard deviations the norm bound is above noise.",
            f"Norm bound: {_mean(norm, 2)} standard deviations above noise.",
            charts.histogram(norm, "standard deviations above noise", 4.0, "the paper's about 4"),
        ),
    ]
    rows = [
        [
            cell(name),
            cell(float(np.mean([s["noise"][name][0] for s in summaries])), ".4f"),
            cell(float(np.mean([s["noise"][name][1] for s in summaries])), ".4f"),
            cell(float(values.mean()), "+.2f"),
            cell(_std(values), ".2f"),
            cell(float(values.min()), "+.2f"),
            cell(float(values.max()), "+.2f"),
        ]
        for name, values in deviations.items()
    ]
    other = [
        [
            cell(kind),
            cell(float(values.mean()), ".6f"),
            cell(float((values - accuracy).mean()), "+.6f"),
            cell(float((values - accuracy).min()), "+.6f"),
            cell(float((values - accuracy).max()), "+.6f"),
        ]
        for kind, values in replaced.items()
    ]
    return Section(
        "noise",
        "Is the rest noise?",
        text,
        pictures,
        [
            Table(
                "Row spreads, and deviations from noise over the models",
                ("quantity", "trained", "noise", "deviations", "std", "least", "largest"),
                rows,
            ),
            Table(
                "Accuracy with the residual factors replaced, means over the models",
                ("replaced by", "accuracy", "change", "worst change", "best change"),
                other,
            ),
        ],
    )


def _noise_verdict(true: FloatArray, norm: float, recursive: float) -> str:
    agree = "agrees with that on average" if all(3 <= x <= 6 for x in (true.mean(), norm)) else "differs from that"
    low, high = np.quantile(true, [0.05, 0.95])
    seen = (
        f"do not see it: they are {'better' if recursive < 0 else 'hardly worse'} for trained residuals than for noise"
        if recursive < 2
        else "see a difference as well"
    )
    return (
        f"{agree}: {true.mean():+.1f} for the true spread, {norm:+.1f} for the norm bound. But models differ: nine of "
        f"ten true spreads lie between {low:.1f} and {high:.1f}. The recursive bounds, those of the cheapest proofs, "
        f"{seen}."
    )


def _ablations(summaries: Sequence[Summary]) -> Section:
    accuracy = _column(summaries, "accuracy")
    values = {
        (path, kind): np.array([s["ablations"][f"{path} {kind}"] for s in summaries])
        for path in PATHS
        for kind in KINDS
    }
    better = {path: int((values[path, "zero"] > accuracy).sum()) for path in PATHS}
    carry = [path for path in PATHS if values[path, "zero"].mean() < 0.5 * accuracy.mean()]
    spare = [path for path in PATHS if path not in carry]
    text = [
        say(
            "Accuracy on all inputs after one path is zeroed, set to its mean, made to read another input, or set to "
            "the worst value that it can take in each margin (pessimal: what a proof does with a path that it does not "
            "look into). {carry} carry the task: without them {left} are left. The others change little on average: "
            "pessimally {little}. Some models are even better without a path: {better}.",
            carry=" and ".join(carry),
            left=" and ".join(f"{values[path, 'zero'].mean():.3f}" for path in carry),
            little=", ".join(
                f"{path} leaves {of.mean():.4f} (the worst model {of.min():.4f})"
                for path, of in ((path, values[path, "pessimal"]) for path in spare)
            ),
            better=", ".join(f"{better[path]} without {path}" for path in spare),
        )
    ]
    pictures = [
        picture(
            "ablations",
            "Bars: mean accuracy after ablating each path in four ways.",
            "Accuracy without one path, mean over the models.",
            charts.grouped_bars(
                {kind: [float(values[path, kind].mean()) for path in PATHS] for kind in KINDS}, PATHS, "accuracy"
            ),
        )
    ]
    rows = [
        [
            cell(path),
            cell(kind),
            cell(float(v.mean()), ".5f"),
            cell(_std(v), ".5f"),
            cell(float(v.min()), ".5f"),
            cell(float(v.max()), ".5f"),
        ]
        for (path, kind), v in values.items()
    ]
    headers = ("path", "ablation", "accuracy", "std over models", "lowest", "highest")
    return Section("ablations", "Ablations", text, pictures, [Table("Ablations, over the models", headers, rows)])


def _table(summaries: Sequence[Summary]) -> Section:
    rows = []
    for summary in summaries:
        first, second = summary["singular_values"][:2]
        rows.append(
            [
                cell(summary["model"]),
                cell(summary["accuracy"], ".6f"),
                cell(first, ".0f"),
                cell(second, ".2f"),
                cell(first / max(second, 1e-300), ".0f"),
                cell(summary["size_fit"], ".4f"),
                cell(len(summary["not_copied"])),
                cell(summary["noise"]["true spread"][3], "+.1f"),
                cell(summary["proofs"]["cubic"][0], ".4f"),
                *(cell(summary["proofs"][_with_remainder(kind)][0], ".4f") for kind in _DRAWN),
            ]
        )
    headers = (
        "model",
        "accuracy",
        "σ₁",
        "σ₂",
        "σ₁/σ₂",
        "R² size",
        "not copied",
        "noise deviations",
        "cubic",
        "exact QK",
        "svd",
        "max_diff",
        "subproduct",
        "recursive",
    )
    text = [
        say(
            "The last columns are normalised bounds: of the cubic proof, and of sub-cubic proofs that know EU exactly "
            "and bound the remainder of EQKE in five ways."
        )
    ]
    return Section("models", "The models", text, (), [Table("All models", headers, rows)])
