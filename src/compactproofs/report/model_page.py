"""The report about one model: what it computes, how well that is understood, and what the understanding proves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

import compactproofs as cp
from compactproofs.analysis.ablations import KINDS, Ablation, ablate_all, by_set
from compactproofs.analysis.inputs import Inputs, Share
from compactproofs.analysis.margins import PATHS, Tables
from compactproofs.analysis.mechanism import answers, attention_gaps, certainly_copied, copying, errors
from compactproofs.analysis.remainder import Replaced, budgets, compare_with_noise, replace_residuals
from compactproofs.analysis.spectra import factors, fit, normality, simplest_fit, spectrum
from compactproofs.analysis.waterfall import WATERFALLS, Step, Waterfalls
from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.paper.rows import ROWS, Row
from compactproofs.report import charts
from compactproofs.report.page import Cell, Page, Section, Table, cell, say, theorem_link
from compactproofs.report.pictures import Picture, picture
from compactproofs.report.words import words
from compactproofs.search.workspaces import MaxWorkspace, workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems import get_strategy

#: Our own strategies, beside those of the paper's table.
_OWN = {row: strategy for row, strategy in WATERFALLS.items() if row not in {paper.name for paper in ROWS}}
_FAILING_SETS = "failing-sets"
_STEMS = {"E_q": "queries", "Q": "Q", "K": "K", "Ē": "keys"}


@dataclass
class Subject:
    """A model and everything that several sections need of it."""

    name: str
    model: cp.Model
    rng: np.random.Generator
    draws: int

    def __post_init__(self) -> None:
        self.prover = cp.Prover(self.model)
        self.work: MaxWorkspace = self.prover.values
        self.tables = Tables.of(self.work)
        self.inputs = Inputs.of(self.model, self.rng)
        self.waterfalls = Waterfalls(self.work, self.inputs)
        self.exact: Share = self.waterfalls.exact()
        #: The accuracy, as well as it is known: a certified bound may be above an estimate.
        self.accuracy = max(self.exact.value, *(float(proof.bound) for proof in self.proofs().values()))
        #: Whether what it does can be called the task.
        self.works = self.accuracy > 0.5

    @property
    def v(self) -> int:
        """The number of tokens."""
        return self.model.d_vocab

    def proofs(self) -> dict[str, cp.Proof]:
        """A certificate for each strategy of the paper's table but brute force, and for our own."""
        if not hasattr(self, "_proofs"):
            ids = [s for row in ROWS for s in row.strategies if s != "brute-force"] + [*_OWN.values()]
            feasible = [s for s in dict.fromkeys(ids) if get_strategy(s).limit(max_of_k(self.model)) is None]
            self._proofs = {strategy: self.prover.prove(strategy) for strategy in feasible}
        return self._proofs

    def best(self, strategies: Sequence[str]) -> str:
        """The strategy of these that certifies most, the cheapest of several."""
        proofs = self.proofs()
        return max(strategies, key=lambda s: (proofs[s].certificate.certified, -proofs[s].cost.flops))

    def best_of_rows(self) -> dict[str, str]:
        """The best strategy of each row that waterfalls are drawn for, if it can be used for this model."""
        rows = {row.name: row.strategies for row in ROWS}
        members = {name: rows.get(name, (strategy,)) for name, strategy in WATERFALLS.items()}
        return {name: self.best(m) for name, m in members.items() if m[0] in self.proofs()}


SECTIONS: list[Callable[[Subject], Section]] = []


def _section(make: Callable[[Subject], Section]) -> Callable[[Subject], Section]:
    SECTIONS.append(make)
    return make


def model_page(
    name: str, model: cp.Model, seed: int = 0, draws: int = 1000, done: Callable[[int, int], None] = lambda i, of: None
) -> Page:
    """The page about a model.

    `name`: how the page calls it.  `seed`: of all random draws, of which noise takes `draws`.  `done` is called with
    the number of finished sections and of all.  Raises ValueError if `draws` is less than 2.
    """
    if draws < 2:
        raise ValueError(f"draws: expected at least 2, found {draws}")
    with np.errstate(all="ignore"):
        subject = Subject(name, model, np.random.default_rng(seed), draws)
        sections = []
        for make in SECTIONS:
            sections.append(make(subject))
            done(len(sections), len(SECTIONS))
    k, v = model.n_ctx, model.d_vocab
    lead = [
        say(
            "This model reads {k} tokens, numbers from 0 to {last}, and should name the largest. It is a transformer "
            "of one layer with one attention head and nothing else: no MLP, no LayerNorm, no biases. The page shows "
            "{what}, how much of that is understood, and what the understanding is worth: <em>a proof that the model "
            "is accurate, shorter than trying all inputs</em>.",
            what="how it finds the maximum" if subject.works else "what it computes",
            k=k,
            last=v - 1,
        ),
        say(
            "Written out, the model is five tables. The last token is the query q. Its embedding adds the row EU[q] to "
            "the logits. Each position p with its token t has the score EQKE[q, t] + EQKP[q, p]; the softmax of these "
            "gives it a weight, and the head adds EVOU[t] + PVOU[p] times that weight. A proof may multiply these "
            "tables out, or bound them from their factors. The second certifies less, and takes fewer operations only "
            'if nearly no product is formed; <a href="#bounds">both are below</a>.'
        ),
    ]
    best = max(subject.proofs().values(), key=lambda proof: proof.certificate.certified)
    facts = [
        ("model", name),
        ("inputs", _large(max_of_k(model).task.total)),
        ("accuracy" if subject.exact.exact else "accuracy, sampled (± 1 standard error)", _accuracy(subject.exact)),
        ("best certified bound here", f"{float(best.bound):.6f}"),
        ("shape", f"d_model {model.d_model}, d_head {model.d_head}"),
    ]
    strategies = [s for s in WATERFALLS.values() if s in subject.proofs()]
    title = f"How {name} finds the maximum" if subject.works else f"What {name} computes"
    return Page(title, lead, facts, sections, tuple(strategies))


def _large(number: int) -> str:
    """All its digits, or three of them and a power of ten."""
    if number < 10**12:
        return f"{number:,}"
    digits, power = f"{number:.2e}".split("e+")
    return f"{digits} · 10{''.join('⁰¹²³⁴⁵⁶⁷⁸⁹'[int(digit)] for digit in power)}"


def _accuracy(share: Share) -> str:
    return f"{share.value:.6f}" if share.exact else f"{share.value:.4f} ± {share.error:.4f}"


def _of_inputs(subject: Subject) -> str:
    if subject.exact.exact:
        return f"all {subject.exact.of:,} inputs"
    return f"{subject.exact.of:,} random inputs, because there are too many to try them all"


def _percent(value: float) -> str:
    return f"{100 * value:.3g}%"


@_section
def _circuits(subject: Subject) -> Section:
    tables = subject.tables
    labels = {
        "EU": ("query token", "output", "logits", "The direct path: what the query itself adds to each output."),
        "EVOU": ("attended token", "output", "logits", "What attending to a token adds to each output."),
        "PVOU": ("attended position", "output", "logits", "What attending to a position adds to each output."),
        "EQKE": ("query token", "key token", "score", "The attention score of a key token for each query."),
        "EQKP": ("query token", "key position", "score", "The attention score of a key position for each query."),
    }
    spans = {name: float(np.ptp(getattr(tables, name), axis=1).mean()) for name in PATHS}
    pictures = []
    for name, (y, x, unit, meaning) in labels.items():
        table = getattr(tables, name)
        low, high = table.min(), table.max()
        pictures.append(
            picture(
                name,
                f"Heat map of {name}, {y} against {x}; entries from {low:.3g} to {high:.3g}.",
                f"{name}. {meaning} Entries from {low:.3g} to {high:.3g}; a row spans {spans[name]:.3g} on average.",
                charts.heat_map(table, y, x, unit),
            )
        )
    small = [name for name in ("EU", "PVOU") if spans[name] < 0.25 * spans["EVOU"]]
    text = [
        say(
            "Every table has its own colour scale, with white for 0 and the full colour for its largest absolute "
            "entry. What matters in a row is how far apart its entries are, because adding the same number to all of "
            "them changes no answer. A row of EVOU spans {EVOU:.3g} logits on average, one of EU {EU:.3g} and one of "
            "PVOU {PVOU:.3g}{small}. A row of EQKE spans {EQKE:.3g}, one of EQKP {EQKP:.3g}{by}.",
            small=f": {' and '.join(small)} {'are' if len(small) > 1 else 'is'} small beside it" if small else "",
            by=""
            if subject.model.n_ctx == 1
            else ": attention looks at tokens far more than at positions"
            if spans["EQKE"] > 4 * spans["EQKP"]
            else ": attention depends on positions as well as on tokens",
            **spans,
        )
    ]
    return Section("circuits", "The circuits", text, pictures)


@_section
def _copying(subject: Subject) -> Section:
    copied = copying(subject.tables)
    sure = int(certainly_copied(subject.tables).sum())
    failing = copied.failing
    v = subject.v
    text = [
        say(
            "If attention is on token t, the head adds the row EVOU[t]. It copies if the largest entry of that row is "
            "EVOU[t, t]. That holds for {good} of {v} tokens, with a lead of {margin:.3g} logits on average over all "
            "tokens{failing}. With all attention on one token, that token wins for certain, whatever the query and the "
            "position, for {sure} of {v} tokens.",
            good=v - len(failing),
            v=v,
            margin=float(copied.margin.mean()),
            failing=f"; it does not for {_numbers(failing)}" if len(failing) else "",
            sure=sure,
        )
    ]
    pictures = [
        picture(
            "copying",
            "Two curves over the tokens: each token's own entry of EVOU, and the best other entry of its row.",
            f"A token is copied where blue is above orange: {v - len(failing)} of {v}.",
            charts.copying_by_token(copied),
        ),
        picture(
            "diagonal",
            "Histograms of EVOU on and off its diagonal.",
            f"The diagonal has mean {copied.own.mean():.3g}, the other entries {copied.others.mean():.3g} ± "
            f"{copied.others.std():.3g}.",
            charts.copying_histogram(copied),
        ),
    ]
    rows = [
        [
            cell(int(t)),
            cell(float(copied.own[t]), ".3f"),
            cell(float(copied.best_other[t]), ".3f"),
            cell(float(m), ".3f"),
        ]
        for t, m in enumerate(copied.margin)
    ]
    table = Table("Copying by token, in logits", ("token", "own output", "best other output", "lead"), rows)
    return Section("copying", "Copying: EVOU", text, pictures, [table])


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _numbers(values: IntArray, most: int = 12) -> str:
    shown = ", ".join(str(int(value)) for value in values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


@_section
def _attention(subject: Subject) -> Section:
    gaps = attention_gaps(subject.tables)
    always = np.flatnonzero(gaps.least <= 0.0)
    reliable = int(gaps.difference[always[-1]]) + 1 if len(always) else 1
    text = [
        say(
            "The head must look at the maximum. For a query q, the score of token m leads that of a smaller token k by "
            "EQKE[q, m] − EQKE[q, k]; at equal positions, e to the power of that is how many times the attention it "
            "gets. Over all m and q ≤ m, the lead over the next smaller token is {next:.3g} on average, and not "
            "positive in {wrong} of these pairs. {always}",
            next=float(gaps.mean[0]),
            wrong=_percent(float(gaps.wrong[0])),
            always="There is no difference from which on the larger token always wins."
            if reliable >= subject.v
            else f"From a difference of {reliable} on, the larger token wins for every query.",
        )
    ]
    pictures = [
        picture(
            "attention-gap",
            "Lead in attention score against the difference of the tokens: mean, middle 90% and least value.",
            f"Lead over a token by its distance: {gaps.mean[0]:.3g} on average over the next one, {gaps.mean[-1]:.3g} "
            "of the largest token over the smallest.",
            charts.attention_gap(gaps),
        )
    ]
    return Section("attention", "Attention to the maximum: EQKE", text, pictures)


@_section
def _errors(subject: Subject) -> Section:
    found = errors(subject.tables, subject.inputs)
    groups = found.groups()
    wrong = len(found.inputs)
    close = float((found.gap <= 1).mean()) if wrong else 0.0
    text = [
        say(
            "Of {inputs}, {wrong:,} {are} answered wrongly; a tie counts as wrong. {close}The table lists them by "
            "maximum, gap to the largest other token, and query, most frequent first, with an example and the model's "
            "answer to it.",
            inputs=_of_inputs(subject),
            wrong=wrong,
            are="is" if wrong == 1 else "are",
            close=say(
                "In {share} of them the largest other token is the maximum minus 1, or there is no other. ",
                share=_percent(close),
            )
            if wrong
            else "",
        )
    ]
    k, v = subject.model.n_ctx, subject.v
    by_maximum = np.array([float((m + 1) ** k - m**k) for m in range(v)])
    if not found.exact:
        assert subject.inputs.sample is not None
        by_maximum = np.bincount(subject.inputs.sample.max(axis=1), minlength=v).astype(np.float64)
    pictures = [
        picture(
            "errors-by-maximum",
            "Bars: share of wrong answers for each maximum.",
            "How often the model is wrong, by the maximum.",
            charts.errors_by_maximum(found, v, by_maximum),
        ),
        picture(
            "errors-by-gap",
            "Bars: number of wrong answers by the gap between the maximum and the next token.",
            "How far below the maximum the next token is when the model is wrong.",
            charts.errors_by_gap(found),
        ),
    ]
    top = groups[:200]
    given = answers(subject.tables, np.array([g[4] for g in top], np.int64).reshape(-1, k))
    rows = [
        [
            cell(m),
            cell(gap),
            cell(q),
            cell(count, ",d"),
            Cell(" ".join(map(str, example.tolist()))),
            cell(int(answer)) if answer != m else Cell("tie", float(answer)),
        ]
        for (m, gap, q, count, example), answer in zip(top, given, strict=True)
    ]
    title = f"Wrong answers by class: {'the first 200 of ' if len(groups) > 200 else ''}{len(groups):,} classes"
    table = Table(title, ("maximum", "gap", "query", "wrong inputs", "example", "its answer"), rows)
    return Section("errors", "Where it fails", text, pictures, [table] if rows else [])


@_section
def _low_rank(subject: Subject) -> Section:
    found = spectrum(subject.work)
    line, size, curve = fit(found.size, 1), simplest_fit(found.size), fit(found.query, 2)
    straight = size == line
    parts = factors(subject.work)
    share = float(found.values[0] ** 2 / (found.values**2).sum()) if found.values[0] > 0 else 0.0
    text = [
        say(
            "{almost} EQKE is a product of two vectors. Without the division by √d_head its first singular value is "
            "σ₁ = {first:.5g} and its second σ₂ = {second:.4g}, {ratio}; the first pair carries {share} of the "
            "squared entries. The right vector is the <em>size direction</em>, {shape}. The left one is the <em>query "
            "direction</em>, and says how sharply each query looks: its entries lie between {low:.3g} and {high:.3g}, "
            "{sign}.",
            almost="Almost all of" if share > 0.99 else "Only part of",
            first=float(found.values[0]),
            second=float(found.values[1]),
            ratio=f"a ratio of {found.ratio:.4g}" if math.isfinite(found.ratio) else "so there is no other",
            share=f"{100 * share:.4f}%",
            shape=f"close to a straight line in the token (R² = {line.explained:.4f})"
            if straight
            else f"which by and large grows with the token, but not on a straight line (R² = {line.explained:.4f}; "
            f"degree {len(size.coefficients) - 1}: {size.explained:.4f})"
            if line.explained > 0.5
            else f"which here does not follow the token's size (R² of a line: {line.explained:.4f})",
            low=float(found.query.min()),
            high=float(found.query.max()),
            sign=_looks_for(found.query, float(found.size[-1] - found.size[0])),
        ),
        say(
            "The scores are a product of four matrices: E_q, Q, Kᵀ and Ē (embeddings with the last and with the mean "
            "position added). Proofs that may not multiply them take the principal parts out of each and bound the "
            "rest. The spectra show how much is left, and the last picture how like a "
            "sample from a normal distribution it is: excess kurtosis {kurtosis}, where 0 is normal.",
            kurtosis=", ".join(f"{normality(f.residual).excess_kurtosis:+.2f} ({f.name})" for f in parts),
        ),
    ]
    pictures = [
        picture(
            "singular-values",
            "Singular values of EQKE on a logarithmic scale.",
            f"The second singular value is {found.ratio:.4g} times smaller than the first."
            if math.isfinite(found.ratio)
            else "The second singular value is 0.",
            charts.singular_values(found.values),
        ),
        picture(
            "size-direction",
            "First right singular vector times the root of the first singular value, over tokens, with a fitted curve.",
            f"The size direction, {'close to' if straight else 'not'} linear in the token: {charts.formula(size)}.",
            charts.direction(found.size, size, "size direction (keys)"),
        ),
        picture(
            "query-direction",
            "First left singular vector times the root of the first singular value, over tokens, with a parabola.",
            f"The query direction: mean {found.query.mean():.3g}, standard deviation {found.query.std():.2g}.",
            charts.direction(found.query, curve, "query direction (queries)"),
        ),
        picture(
            "second-directions",
            "Second singular vectors over tokens.",
            "The second pair is on a scale of its own: what the first does not explain.",
            charts.two_directions(found.second_query, found.second_key, ("queries", "keys")),
        ),
        *(
            picture(
                f"spectrum-{_STEMS[f.name]}",
                f"Singular values of {f.name}, whole and without its principal parts.",
                f"{f.name}: largest singular value {f.before[0]:.3g}, "
                f"then {f.after[0]:.3g} without the principal parts.",
                charts.factor_spectrum(f),
            )
            for f in parts
        ),
        picture(
            "residual-entries",
            "Quantiles of the entries of the four residual factors against those of a normal distribution.",
            "On the dotted line the entries would be normally distributed.",
            charts.normal_quantiles(parts),
        ),
    ]
    return Section(
        "low-rank",
        "One direction does the work: EQKE has nearly rank one" if share > 0.99 else "The rank of EQKE",
        text,
        pictures,
    )


def _looks_for(query: FloatArray, growth: float) -> str:
    """What the signs of the query direction mean, if the size direction grows by so much."""
    if growth <= 0:
        return "and say nothing about the size of tokens"
    if query.min() > 0:
        return "all positive, so by this pair every query looks for large tokens"
    if query.max() < 0:
        return "all negative, so by this pair every query looks for small tokens"
    return "so by this pair not every query looks for large tokens"


@_section
def _words(subject: Subject) -> Section:
    return words()


@_section
def _budget(subject: Subject) -> Section:
    found = budgets(subject.work, workspace(subject.model, "check"))
    dear, cheap = found[0], found[-1]
    by_kind = {b.kind: b for b in found}
    subproduct, recursive = by_kind["max_diff_subproduct"], by_kind["max_diff_subproduct_recursive"]
    text = [
        say(
            "Look at what the first pair of directions leaves of EQKE: for the average query its entries differ by at "
            "most {true:.3g}, where EQKE's differ by {whole:.3g}. A proof must bound this row spread, and pays for "
            "knowing it. Multiplied out it is exact. After six directions the true spread is {rest:.3g}; the bound at "
            "the best cut of the product is {sub:.3g}, and when no two matrices may be multiplied {rec:.3g}. That last "
            "step is where cheap sub-cubic proofs lose: each product is bounded by absolute values, as if all signs "
            "conspired. The operations are those of the low-rank part and the spread, from {cheap:,} to {dear:,}.",
            true=float(by_kind["max_diff_exact"].true.mean()),
            whole=float(np.ptp(subject.tables.EQKE, axis=1).mean()),
            rest=float(subproduct.true.mean()),
            sub=float(subproduct.bound.mean()),
            rec=float(recursive.bound.mean()),
            cheap=cheap.flops,
            dear=dear.flops,
        )
    ]
    pictures = [
        picture(
            "error-against-budget",
            "Bounds of the remainder's row spread against the operations they take; dashes: the true spread.",
            f"The cheapest bound is {cheap.factor:.3g} times the truth. Points: mean over queries; bars: all queries; "
            "dashes: the truth.",
            charts.budget(found),
            size=(4.0, 4.9),
        )
    ]
    rows = [
        [
            cell(b.kind),
            cell(float(b.true.mean()), ".4f"),
            cell(float(b.bound.mean()), ".4f"),
            cell(float(b.bound.max()), ".4f"),
            cell(b.factor, ".2f"),
            cell(b.flops, ",d"),
        ]
        for b in found
    ]
    headers = ("way of bounding", "true spread", "bound, mean", "bound, largest", "bound / truth", "FLOPs")
    return Section(
        "budget", "Error against budget", text, pictures, [Table("Bounds of the remainder's row spread", headers, rows)]
    )


@_section
def _bounds(subject: Subject) -> Section:
    proofs = subject.proofs()

    def point(proof: cp.Proof) -> tuple[float, float]:
        return proof.cost.flops, float(proof.bound) / max(subject.accuracy, 1e-300)

    points: dict[str, list[tuple[float, float]]] = {}
    rows = []
    for row in (*ROWS, *(Row(name, "", (strategy,)) for name, strategy in _OWN.items())):
        members = [s for s in row.strategies if s in proofs]
        if members and "without" not in row.name and "only" not in row.name:
            points.setdefault("ours" if row.name in _OWN else row.name, []).extend(point(proofs[s]) for s in members)
        if members:
            best = subject.best(members)
            proof, (_, normalised) = proofs[best], point(proofs[best])
            rows.append(
                [
                    cell(row.name),
                    cell(float(proof.bound), ".6f"),
                    cell(normalised, ".4f"),
                    cell(proof.cost.flops, ",d"),
                    cell(proof.unexplained_dimension, ",d"),
                    cell(best),
                ]
            )
    cheapest = min(proofs.values(), key=lambda p: p.cost.flops)
    text = [
        say(
            "A strategy turns weights into a certified number of right answers. {count} strategies were run and their "
            "certificates checked. The cheapest certifies {low:.4f} of the inputs with 2<sup>{flops:.2f}</sup> "
            "operations. {own}The other theorems are those of {cubic} and {sub}; each is stated and proved at the "
            "end of this page.",
            count=len(proofs),
            low=float(cheapest.bound),
            flops=math.log2(cheapest.cost.flops),
            own=say(
                "Our {failing} certify {bound:.6f} with 2<sup>{flops:.2f}</sup>. ",
                failing=theorem_link(_FAILING_SETS, "failing sets"),
                bound=float(proofs[_FAILING_SETS].bound),
                flops=math.log2(proofs[_FAILING_SETS].cost.flops),
            )
            if _FAILING_SETS in proofs
            else say(
                "Our {failing} were not run: {reason}. {others}",
                failing=theorem_link(_FAILING_SETS, "failing sets"),
                reason=get_strategy(_FAILING_SETS).limit(max_of_k(subject.model)),
                others=_others(subject),
            ),
            cubic=theorem_link("cubic", "the cubic strategy"),
            sub=theorem_link(WATERFALLS["sub-cubic"], "the sub-cubic family"),
        )
    ]
    pictures = [
        picture(
            "bounds",
            "Normalised bound of each strategy against the operations that checking it takes, on a logarithmic scale.",
            "Certified bound over accuracy, against the length of the proof. Each point is a checked certificate.",
            charts.bounds(points),
            size=(4.0, 4.1),
        )
    ]
    headers = (
        "row",
        "certified share",
        "normalised" if subject.exact.exact else "normalised, estimated",
        "FLOPs",
        "unexplained dimension",
        "strategy",
    )
    table = Table("The best strategy of each row of the paper's table for this model, and our own", headers, rows)
    return Section("bounds", "What is proved", text, pictures, [table])


def _others(subject: Subject) -> str:
    """What could be run besides."""
    able = [s for s in ("branch-and-bound", "histogram") if get_strategy(s).limit(max_of_k(subject.model)) is None]
    return f"{_listed(able)} can be, may take minutes, and may certify more. " if able else ""


@_section
def _waterfalls(subject: Subject) -> Section:
    falls = {row: subject.waterfalls.of(strategy) for row, strategy in subject.best_of_rows().items()}
    pictures, rows = [], []
    for row, steps in falls.items():
        pictures.append(waterfall_picture(row, steps, f"{row}: {largest_loss(steps)}"))
        for before, after in pairwise(steps):
            rows.append(
                [
                    cell(row),
                    cell(after.name),
                    cell(before.left.value - after.left.value, ".6f"),
                    cell(after.left.value, ".6f"),
                ]
            )
    text = [
        say(
            "Between the accuracy and a bound lie relaxations: things that the proof does not look into, and so takes "
            "at their worst. Here they are taken one after the other, and after each the inputs are counted whose "
            "margins are still positive; {how} In the cubic proof, {cubic} In the best of those that form neither "
            "EQKE nor EU, {quadratic} {own}What a relaxation costs depends on those before it; the order is that of "
            "the proof.",
            how="nothing is estimated, and the last count is the strategy's bound."
            if subject.exact.exact
            else f"the counts with every input decided apart are estimates from {subject.exact.of:,} random inputs, "
            "which may lie above or below the truth by the sampling error; the last ones are exact.",
            cubic=largest_loss(falls["cubic"]),
            quadratic=largest_loss(falls["quadratic QK&EU"]),
            own="Failing-set proofs give up whole classes of inputs where counting one costs more than it is worth. "
            if _FAILING_SETS in subject.proofs()
            else "",
        )
    ]
    table = Table(
        "Every step of every waterfall, in shares of all inputs", ("row", "relaxation", "loses", "leaves"), rows
    )
    return Section("waterfall", "Where accuracy is lost", text, pictures, [table])


def largest_loss(steps: Sequence[Step]) -> str:
    """A sentence on the relaxation that loses most."""
    worst = max(pairwise(steps), key=_loss)
    lost = _loss(worst)
    return f"most is lost by “{worst[1].name}”, {lost:.4f} of all inputs." if lost > 0 else "nothing is lost."


def _loss(step: tuple[Step, Step]) -> float:
    """What is lost between one step and the next."""
    return step[0].left.value - step[1].left.value


def waterfall_picture(row: str, steps: list[Step], caption: str) -> Picture:
    """The waterfall of one row."""
    return picture(
        f"waterfall-{row}".replace(",", "").replace("&", "-").replace(" ", "-").lower(),
        f"Waterfall for {row}: " + "; ".join(f"{s.name} leaves {s.left.value:.4f}" for s in steps) + ".",
        caption,
        charts.waterfall([(s.name, s.left.value) for s in steps]),
        size=charts.waterfall_size(len(steps)),
    )


@_section
def _noise(subject: Subject) -> Section:
    compared = compare_with_noise(subject.work, subject.rng, subject.draws)
    replaced = replace_residuals(subject.work, subject.inputs, subject.rng)
    true, by_name = compared[0], {c.name: c for c in compared}
    norm, cut, recursive = (by_name[name] for name in ("norm bound", "best cut", "recursive"))
    text = [
        say(
            "Is there structure in what all six directions leave of the four factors, or is it noise? We replace the "
            "four by Gaussian matrices with the same mean and variance of their entries, {draws:,} times. The trained "
            "remainder's true row spread is {true:+.1f} standard deviations from the mean of noise, the norm bound "
            "{norm:+.1f}, the bound at the best cut {cut:+.1f} and the recursive one {recursive:+.1f}. The paper "
            "reports about 4 standard deviations worse than random. {verdict}",
            draws=subject.draws,
            true=true.deviations,
            norm=norm.deviations,
            cut=cut.deviations,
            recursive=recursive.deviations,
            verdict=_noise_verdict(true.deviations, recursive.deviations),
        ),
        _replaced_text(subject, replaced),
    ]
    pictures = [
        picture(
            "noise-true",
            "Histogram of the row spread of noise, with the trained value marked.",
            f"True row spread: trained {true.trained:.4f}, noise {true.noise.mean():.4f} ± {true.noise.std():.4f}.",
            charts.noise_histogram(true),
        ),
        picture(
            "noise-svd",
            "Histogram of the norm bound for noise, with the trained value marked.",
            f"Norm bound: trained {norm.trained:.4f}, noise {norm.noise.mean():.4f} ± {norm.noise.std():.4f}.",
            charts.noise_histogram(norm),
        ),
        picture(
            "noise-deviations",
            "Bars: how many standard deviations of the noise the trained value is above its mean.",
            "Above 0 the trained residuals are worse for a proof than noise, below 0 better.",
            charts.deviations({c.name: [c.deviations] for c in compared}),
            size=(4.0, 3.5),
        ),
    ]
    rows = [
        [
            cell(c.name),
            cell(c.trained, ".5f"),
            cell(float(c.noise.mean()), ".5f"),
            cell(float(c.noise.std(ddof=1)), ".5f"),
            cell(c.deviations, "+.2f"),
        ]
        for c in compared
    ]
    other = [
        [cell(r.kind), cell(r.accuracy, ".6f"), cell(r.accuracy - subject.exact.value, "+.6f"), cell(len(r.shares))]
        for r in replaced
    ]
    return Section(
        "noise",
        "Is the rest noise?",
        text,
        pictures,
        [
            Table(
                "Row spreads, means over queries",
                ("quantity", "trained", "noise, mean", "noise, std", "deviations"),
                rows,
            ),
            Table(
                f"Accuracy with the four residual factors replaced, on {_of_inputs(subject)}",
                ("replaced by", "accuracy", "change", "draws"),
                other,
            ),
        ],
    )


def _noise_verdict(true: float, recursive: float) -> str:
    structure = (
        f"So something {'is' if true > 3 else 'may be'} left that noise does not have"
        if true > 2
        else "By its row spread alone the rest cannot be told from noise"
        if true >= -2
        else "So the rest spreads even less than noise"
    )
    if true > 2 and recursive < 2:
        return (
            f"{structure}; but the cheapest bound, which takes absolute values everywhere, does not see it: noise is "
            f"{'worse' if recursive < 0 else 'nearly as bad'} for it."
        )
    return structure + "."


def _replaced_text(subject: Subject, replaced: list[Replaced]) -> str:
    by_kind = {r.kind: r.accuracy for r in replaced}
    change = by_kind["zero"] - subject.exact.value
    return say(
        "Does the model use the rest? With the four residual factors removed, the accuracy changes from {exact:.6f} to "
        "{zero:.6f}; with noise in their place it is {noise:.6f}, with their rows shuffled {resample:.6f}. {verdict} "
        "(With every row at the mean row all keys score alike, which no attention sees: the same as removing them.)",
        exact=subject.exact.value,
        verdict="What they hold cannot be told from that."
        if not subject.works
        else "The low-rank part alone does the work."
        if abs(change) < 0.002
        else "Removing them helps: they were in the way."
        if change > 0
        else "So the model does use what they hold.",
        **by_kind,
    )


@_section
def _ablations(subject: Subject) -> Section:
    found = ablate_all(subject.tables, subject.inputs, subject.rng)
    single = {kind: {a.paths[0]: a for a in found if a.kind == kind and len(a.paths) == 1} for kind in KINDS}
    accuracy, noise = subject.exact.value, 2 * math.sqrt(2) * subject.exact.error
    needed = [p for p in PATHS if single["resample"][p].accuracy < 0.5 * accuracy]
    spare = [p for p in PATHS if single["zero"][p].accuracy > 0.99 * accuracy]
    improved = [p for p in PATHS if single["zero"][p].accuracy > accuracy + noise]
    text = [
        say(
            "What is left if a path is taken away? <em>Zero</em>: it adds nothing. <em>Mean</em>: it adds its mean. "
            "<em>Resample</em>: every token, or position, that it reads is exchanged for another by one random "
            "permutation, the same for all inputs (mean of 3 for single paths, one for pairs). "
            "<em>Pessimal</em>: in every margin it takes the worst value that it can take. The last is what a proof "
            "does with a path that it does not look into, so a path whose pessimal ablation costs little may be left "
            "out of the proof. Accuracies are counted on {inputs}.",
            inputs=_of_inputs(subject),
        ),
        say(
            "{unclear}{needed}{spare}{improved}The pessimal ablations leave {pessimal}.",
            unclear=""
            if subject.works
            else f"The model answers {_percent(accuracy)} of its inputs; what it needs for these says little. ",
            needed=f"The model needs {_listed(needed)}: shuffled, less than half of the accuracy is left. "
            if needed and subject.works
            else "",
            spare=f"It hardly needs {_listed(spare)}: without them one by one it loses less than 1% of its accuracy. "
            if spare and subject.works
            else "",
            improved=f"Without {' or '.join(improved)} it is even better. " if improved and subject.works else "",
            pessimal=", ".join(f"{p} {single['pessimal'][p].accuracy:.4f}" for p in PATHS),
        ),
    ]
    pictures = [
        picture(
            "ablations",
            "Bars: accuracy after ablating each path in four ways.",
            "Accuracy without one path.",
            charts.grouped_bars({kind: [single[kind][p].accuracy for p in PATHS] for kind in KINDS}, PATHS, "accuracy"),
        ),
        *(
            picture(
                f"ablations-{kind}",
                f"Table of accuracies after {kind} ablation of one path (diagonal) or two (elsewhere).",
                f"{kind.capitalize()} ablation of pairs of paths; on the diagonal, of one.",
                charts.matrix(pairs(found, kind), PATHS),
            )
            for kind in KINDS
        ),
    ]
    rows = [
        [
            cell(" + ".join(a.paths)),
            cell(a.kind),
            cell(a.accuracy, ".6f"),
            cell(a.accuracy - subject.exact.value, "+.6f"),
            cell(a.spread, ".6f") if len(a.shares) > 1 else Cell("", 0.0),
        ]
        for a in found
    ]
    table = Table("All ablations", ("paths", "kind", "accuracy", "change", "std over draws"), rows)
    return Section("ablations", "Ablations", text, pictures, [table])


def pairs(ablations: list[Ablation], kind: str) -> FloatArray:
    """Accuracies as a matrix over two paths, the same path twice standing for that path alone."""
    known = by_set(ablations, kind)
    return np.array([[known[frozenset((a, b))].accuracy for b in PATHS] for a in PATHS])
