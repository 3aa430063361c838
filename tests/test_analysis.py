"""The analysis agrees with forward passes, with the strategies whose relaxations it takes apart, and with itself."""

import doctest
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import compactproofs as cp
from compactproofs import analysis, zoo
from compactproofs.analysis import noise_models, waterfall
from compactproofs.analysis.ablations import KINDS
from compactproofs.analysis.correlations import explained, rank_correlation, regress
from compactproofs.analysis.inputs import Inputs
from compactproofs.analysis.margins import PATHS, Tables, margin_terms
from compactproofs.analysis.remainder import BOUNDS, NOISE_BOUNDS, REPLACEMENTS
from compactproofs.analysis.waterfall import WATERFALLS, Waterfalls
from compactproofs.kernel.decisions import FloatArray, IntArray
from compactproofs.search.hints import search_hints
from compactproofs.search.workspaces import run, workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems.max_of_k.core.brute_force import BRUTE_FORCE
from compactproofs.theorems.max_of_k.failing_sets.low_rank import Bounds
from compactproofs.theorems.max_of_k.failing_sets.strategies import FAILING_SETS
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES
from soundness.models import inputs_of

SHAPES = [(5, 1), (2, 1), (6, 2), (5, 3), (4, 4), (3, 5)]


def random_model(v: int, n: int, seed: int = 0, copying: float = 2.0) -> cp.Model:
    """A small model that attends to large tokens and copies them, with noise everywhere, so that it is often right."""
    rng = np.random.default_rng(seed)
    d = v + 2
    embedding = np.eye(v, d) + 0.1 * rng.normal(size=(v, d))
    embedding[:, v] = np.arange(v)
    query, key, value = (0.2 * rng.normal(size=(d, d)) for _ in range(3))
    query[:, 0] += 1.0
    key[v, 0] += 1.0
    value += copying * np.eye(d)
    return cp.Model(
        embedding,
        0.3 * rng.normal(size=(n, d)),
        query,
        key,
        value,
        np.eye(d),
        np.eye(d, v) + 0.1 * rng.normal(size=(d, v)),
    )


def models() -> Iterator[cp.Model]:
    """A few of each shape."""
    return (random_model(v, n, seed) for v, n in SHAPES for seed in range(3))


def forward(tables: Tables, inputs: IntArray) -> FloatArray:
    """Logits of inputs, shape (N, v), written from the definition of the model, with its softmax."""
    result = []
    for x in inputs:
        scores = tables.EQKE[x[-1], x] + tables.EQKP[x[-1]]
        attention = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        result.append(tables.EU[x[-1]] + attention @ (tables.EVOU[x] + tables.PVOU))
    return np.array(result)


def right(tables: Tables, inputs: IntArray) -> np.ndarray:
    """Whether the label's logit is strictly the largest, by `forward`."""
    logits, label = forward(tables, inputs), inputs.max(axis=1)
    own = logits[np.arange(len(inputs)), label].copy()
    logits[np.arange(len(inputs)), label] = -np.inf
    return np.asarray(own > logits.max(axis=1))


def tables_of(model: cp.Model) -> Tables:
    """The model's paths."""
    return Tables.of(workspace(model, "value"))


def every(model: cp.Model) -> Inputs:
    """All inputs of the model."""
    inputs = Inputs.of(model, np.random.default_rng(0))
    assert inputs.sample is None
    return inputs


def test_example_of_the_package() -> None:
    """It runs as it stands."""
    result = doctest.testmod(analysis)
    assert (result.attempted, result.failed) == (6, 0)


def test_public_names() -> None:
    """All are there, in order."""
    assert analysis.__all__ == sorted(analysis.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert all(hasattr(analysis, name) for name in analysis.__all__)


# Inputs


def test_counts_and_failing_inputs() -> None:
    """The same inputs fail as in forward passes, and as many as brute force finds."""
    for model in models():
        tables, inputs = tables_of(model), every(model)
        tokens = inputs_of(model.d_vocab, model.n_ctx)
        wrong = tokens[~right(tables, tokens)]
        failing = inputs.failing(margin_terms(tables))
        share = inputs.count(margin_terms(tables))

        assert sorted(failing.tolist()) == wrong.tolist()
        assert share == analysis.Share(len(tokens) - len(wrong), len(tokens), True)
        assert share.count == BRUTE_FORCE.bound(workspace(model, "value"), {})
        assert share.error == 0.0


def test_counts_of_a_trained_model() -> None:
    """Almost all inputs are decided by screening; the count is the zoo's."""
    model = cp.load_model("max-of-4/123")
    assert every(model).count(margin_terms(tables_of(model))).count == zoo.known_correct(model)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into the smallest blocks, the same inputs fail."""
    model = random_model(5, 4)
    whole = every(model).failing(margin_terms(tables_of(model)))
    monkeypatch.setattr(analysis.inputs, "_BLOCK_ENTRIES", 1)
    assert every(model).failing(margin_terms(tables_of(model))).tolist() == whole.tolist()


def test_sampled_inputs() -> None:
    """A sample counts its own inputs exactly, and is near the truth."""
    model = random_model(5, 4, seed=1)
    tables = tables_of(model)
    sample = Inputs.of(model, np.random.default_rng(1), most=0, size=2000)
    assert sample.sample is not None
    share = sample.count(margin_terms(tables))

    assert (share.of, share.exact) == (2000, False)
    assert share.count == right(tables, sample.sample).sum()
    assert len(sample.failing(margin_terms(tables))) == 2000 - share.count
    truth = every(model).count(margin_terms(tables)).value
    assert abs(share.value - truth) < 5 * share.error


# Ablations


@pytest.mark.parametrize("kind", ["zero", "mean"])
@pytest.mark.parametrize("path", PATHS)
def test_ablated_accuracy(path: str, kind: str) -> None:
    """Accuracy after ablation is that of forward passes with the changed table."""
    for model in models():
        tables, tokens = tables_of(model), inputs_of(model.d_vocab, model.n_ctx)
        table = getattr(tables, path)
        changed = np.zeros_like(table)
        if kind == "mean":
            changed += table.mean() if path in ("EQKE", "EQKP") else table.mean(axis=0)
        found = analysis.ablate(tables, every(model), [path], kind, np.random.default_rng(0))
        assert found.accuracy == right(tables._replace(**{path: changed}), tokens).mean()
        assert len(found.shares) == 1


def test_pessimal_ablation() -> None:
    """Each path takes its worst value in each margin: compared with loops over everything that it could read."""
    for model in models():
        tables, tokens = tables_of(model), inputs_of(model.d_vocab, model.n_ctx)
        for pessimal in (*([path] for path in PATHS), ["EU", "EVOU"], ["EQKE", "PVOU"], list(PATHS)):
            count = 0
            for x in tokens.tolist():
                count += all(worst_margin(tables, x, o, pessimal) > 0 for o in range(model.d_vocab) if o != max(x))
            found = analysis.ablate(tables, every(model), pessimal, "pessimal", np.random.default_rng(0))
            assert found.shares[0].count == count


def worst_margin(tables: Tables, x: list[int], o: int, pessimal: list[str]) -> float:
    """The margin over o times the softmax's denominator (for some scale), by loops."""
    m, q, n = max(x), x[-1], len(x)

    def read(path: str, table: FloatArray, own: int, all_places: range) -> float:
        places = all_places if path in pessimal else [own]
        return min(float(table[i, m] - table[i, o]) for i in places)

    shift = max(float(tables.EQKE[q, t]) for t in range(m + 1))
    total = 0.0
    for p, t in enumerate(x):
        value = read("EU", tables.EU, q, range(m + 1)) + read("EVOU", tables.EVOU, t, range(m + 1))
        value += read("PVOU", tables.PVOU, p, range(n))
        tokens = range(m + 1) if "EQKE" in pessimal else [t]
        positions = range(n) if "EQKP" in pessimal else [p]
        total += min(
            value * math.exp(float(tables.EQKE[q, k]) - shift) * math.exp(float(tables.EQKP[q, r]))
            for k in tokens
            for r in positions
        )
    return total


def test_resampling() -> None:
    """Random, but the same for the same seed; nothing is ablated where no path is named."""
    model = random_model(5, 3)
    tables, inputs = tables_of(model), every(model)
    first, again, other = (
        analysis.ablate(tables, inputs, PATHS, "resample", np.random.default_rng(seed), draws=4) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert len(first.shares) == 4
    assert first.spread > 0
    nothing = analysis.ablate(tables, inputs, [], "resample", np.random.default_rng(1))
    assert nothing.shares == (inputs.count(margin_terms(tables)),)


def test_all_ablations() -> None:
    """Every path and pair by every kind, once."""
    model = random_model(4, 3)
    found = analysis.ablate_all(tables_of(model), every(model), np.random.default_rng(0))
    assert len({(a.paths, a.kind) for a in found}) == len(found) == (5 + 10) * len(KINDS)
    zero = {a.paths: a.accuracy for a in found if a.kind == "zero"}
    mean = {a.paths: a.accuracy for a in found if a.kind == "mean"}
    assert all(zero[paths] == mean[paths] for paths in (("EQKE",), ("EQKP",), ("EQKE", "EQKP")))


@pytest.mark.parametrize(("paths", "kind"), [(["EVOV"], "zero"), (["EU"], "none")])
def test_unknown_ablations(paths: list[str], kind: str) -> None:
    """The message lists what is known."""
    model = random_model(3, 2)
    with pytest.raises(ValueError, match=r"unknown '.*'; paths: EU, .*; kinds: zero, "):
        analysis.ablate(tables_of(model), every(model), paths, kind, np.random.default_rng(0))


# Waterfalls

SUBCUBIC = sorted(CHOICES)[::9]


@pytest.mark.parametrize("strategy_id", ["cubic", *SUBCUBIC, *(s.id for s in FAILING_SETS)])
def test_waterfalls(strategy_id: str) -> None:
    """From the exact accuracy, never upwards, to the strategy's own bound."""
    strategy = cp.STRATEGIES[strategy_id]
    # Of three seeds for each shape one, from strategy to strategy another; and a model with near and far tokens.
    some = list(models())[sum(map(ord, strategy_id)) % 3 :: 3]
    for model in (*some, random_model(10, 3, copying=4.0)):
        if strategy.limit(max_of_k(model)) is not None:
            continue
        work = workspace(model, "value")
        steps = Waterfalls(work, every(model)).of(strategy_id)
        counts = [step.left.count for step in steps]
        total = model.d_vocab**model.n_ctx

        assert counts[0] == BRUTE_FORCE.bound(work, {})
        assert counts == sorted(counts, reverse=True)
        with np.errstate(all="ignore"):
            assert counts[-1] == strategy.bound(work, search_hints(strategy, work))
        assert all(step.left.of == total and step.left.exact for step in steps)


def test_waterfall_of_a_sample() -> None:
    """The first steps are estimates, and the last two, of failing sets the last one, exact."""
    model = random_model(4, 4)
    inputs = Inputs.of(model, np.random.default_rng(0), most=0, size=500)
    for strategy in WATERFALLS.values():
        steps = Waterfalls(workspace(model, "value"), inputs).of(strategy)
        exact = 1 if strategy.startswith("failing-sets") else 2
        assert [step.left.exact for step in steps] == [False] * (len(steps) - exact) + [True] * exact


def test_waterfall_of_a_long_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets of positions are gone through up to a length only; the other steps stay as they are."""
    model = random_model(5, 4)
    whole = Waterfalls(workspace(model, "value"), every(model)).of("cubic")
    monkeypatch.setattr(waterfall, "_MOST_POSITIONS", 3)
    short = Waterfalls(workspace(model, "value"), every(model)).of("cubic")
    assert short[:-1] == whole[:-2]
    assert short[-1].left == whole[-1].left
    assert short[-1].name == "others harmless alone, and positions at their extremes"


def test_waterfall_of_another_strategy() -> None:
    """There is none."""
    model = random_model(3, 2)
    with pytest.raises(ValueError, match="no waterfall for histogram; there is one for cubic, for sub-cubic"):
        Waterfalls(workspace(model, "value"), every(model)).of("histogram")


@pytest.mark.parametrize(("v", "n", "reason"), [(5, 1, "at least 2 tokens"), (6, 20, "would tell apart")])
def test_waterfall_of_a_model_that_is_too_small_or_too_large(v: int, n: int, reason: str) -> None:
    """The reason is the strategy's own."""
    work = workspace(random_model(v, n), "value")
    inputs = Inputs.of(work.network, np.random.default_rng(0), size=10)
    with pytest.raises(ValueError, match=f"no waterfall for failing-sets: it .*{reason}"):
        Waterfalls(work, inputs).of("failing-sets")


def test_margins_with_bounded_scores() -> None:
    """Weights take their worst values within bounds of the scores: compared with loops; tight bounds change nothing."""
    for model in models():
        tables, tokens = tables_of(model), inputs_of(model.d_vocab, model.n_ctx)
        rng = np.random.default_rng(1)
        shift = rng.normal(size=(model.d_vocab, 1))  # a constant for each query does not matter
        bounds = Bounds(tables.EQKE + shift + rng.random(tables.EQKE.shape), tables.EQKE + shift)
        good = sum(all(least_margin(tables, bounds, x, o) > 0 for o in others(tables, x)) for x in tokens.tolist())
        assert every(model).count(margin_terms(tables, scores=bounds)).count == good
        exact = Bounds(tables.EQKE + shift, tables.EQKE + shift)
        assert every(model).count(margin_terms(tables, scores=exact)) == every(model).count(margin_terms(tables))


def others(tables: Tables, x: list[int]) -> list[int]:
    """The wrong outputs of an input."""
    return [o for o in range(len(tables.EU)) if o != max(x)]


def least_margin(tables: Tables, scores: Any, x: list[int], o: int) -> float:
    """The least margin over o, over the weight of the maximum, with every weight anywhere within its bounds."""
    m, q = max(x), x[-1]
    total = 0.0
    for p, t in enumerate(x):
        value = sum(float(table[i, m] - table[i, o]) for table, i in zip(tables[:3], (q, t, p), strict=True))
        gaps = [float(scores.low[q, t] - scores.high[q, m]), float(scores.high[q, t] - scores.low[q, m])]
        weights = [math.exp(gap) for gap in gaps] if t != m else [1.0]
        total += math.exp(float(tables.EQKP[q, p])) * min(weight * value for weight in weights)
    return total


#: By default on a trained model; on small ones `test_waterfalls` tries them all.
SOON = [WATERFALLS[row] for row in ("cubic", "sub-cubic", "low-rank QK&EU")]


@pytest.mark.parametrize(
    "strategies",
    [
        pytest.param(SOON, id="some"),
        pytest.param([s for s in WATERFALLS.values() if s not in SOON], marks=pytest.mark.slow, id="others"),
    ],
)
def test_certified_bound_is_the_waterfalls_end(strategies: Sequence[str]) -> None:
    """For a trained model rigorous arithmetic loses nothing, so the certificate says the same; none goes upwards."""
    model = cp.load_model("max-of-4/123")
    work, check = workspace(model, "value"), workspace(model, "check")
    waterfalls = Waterfalls(work, every(model))
    for strategy_id in strategies:
        strategy = cp.STRATEGIES[strategy_id]
        counts = [step.left.count for step in waterfalls.of(strategy_id)]
        assert counts[0] == zoo.known_correct(model)
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] == run(strategy, check, search_hints(strategy, work)).certified


# The remainder


def test_budgets() -> None:
    """Each bound is above the true spread; the exact one is the truth; the cost is the checker's."""
    model = cp.load_model("max-of-4/123")
    budgets = {b.kind: b for b in analysis.budgets(workspace(model, "value"), workspace(model, "check"))}
    assert set(budgets) == set(BOUNDS)
    for budget in budgets.values():
        assert (budget.bound >= budget.true * (1 - 1e-9)).all()
        assert budget.factor >= 1 - 1e-9
    assert np.allclose(budgets["max_diff_exact"].bound, budgets["max_diff_exact"].true)
    recursive = budgets["max_diff_subproduct_recursive"]
    assert recursive.flops == min(budget.flops for budget in budgets.values())
    assert recursive.flops < 0.3 * budgets["max_diff_exact"].flops


def test_noise() -> None:
    """Reproducible by its seed; on factors that are noise the deviations are those of noise."""
    work = workspace(cp.load_model("max-of-4/123"), "value")
    first, again, other = (
        analysis.compare_with_noise(work, np.random.default_rng(seed), draws=50) for seed in (1, 1, 2)
    )
    assert [c.name for c in first] == ["true spread", *NOISE_BOUNDS]
    for a, b, c in zip(first, again, other, strict=True):
        assert a.noise.shape == (50,)
        assert (a.noise == b.noise).all()
        assert a.trained == b.trained == c.trained
        assert not (a.noise == c.noise).any()
        assert a.deviations == pytest.approx((a.trained - a.noise.mean()) / a.noise.std(ddof=1))
    assert first[0].deviations > 3


def test_noise_model_against_noise() -> None:
    """A model whose weights are noise is within the noise."""
    rng = np.random.default_rng(0)
    d, v, n = 16, 24, 3
    shapes = [(v, d), (n, d), (d, d), (d, d), (d, d), (d, d), (d, v)]
    work = workspace(cp.Model(*(rng.normal(size=shape) for shape in shapes)), "value")
    compared = analysis.compare_with_noise(work, rng, draws=200)
    assert all(abs(c.deviations) < 5 for c in compared)


def test_noise_breaks_its_promise_as_rarely_as_it_says() -> None:
    """Factors that are drawn keep the promise 99 times in 100, and it is not kept by far."""
    rng = np.random.default_rng(0)
    v, d, h = 12, 8, 6
    drawn = [
        noise_models.of_factors(tuple(rng.normal(0, s, shape) for s, shape in zip((1, 2, 3, 4), shapes, strict=True)))
        for shapes in [[(v, d), (d, h), (h, d), (d, v)]] * 400
    ]
    assert 0 < sum(found.broken > 0 for found in drawn) <= 16
    assert all((found.excess > 1) == (found.broken > 0) for found in drawn)
    assert np.mean([found.excess for found in drawn]) > 0.4
    assert all((found.true <= found.proved).all() for found in drawn)


def test_noise_model_of_a_trained_model() -> None:
    """Its promise is far below what is proved; one model keeps it, another does not, though its factors look normal."""
    kept, broken = (
        analysis.noise_model(workspace(cp.load_model(name), "value")) for name in ("max-of-4/104", "max-of-4/913")
    )
    assert kept.broken == 0
    assert broken.broken > 0
    assert min(broken.normality.values()) > 0.05
    assert all((found.promised < found.proved / 10).all() for found in (kept, broken))


def test_normality() -> None:
    """As SciPy has it."""
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=2000), rng.uniform(-1, 1, 800), rng.standard_t(3, 300), np.array([-1.0, 1.0])):
        expected = stats.kstest(values / np.sqrt((values**2).mean()), "norm").pvalue
        assert noise_models.normality(values) == pytest.approx(expected, rel=0.1, abs=0.02)
    assert noise_models.normality(np.zeros(4)) == 1.0


def test_replaced_residuals() -> None:
    """Nothing changes where the residual is put back; the mean row is the same as nothing."""
    model = cp.load_model("max-of-4/123")
    work = workspace(model, "value")
    found = {r.kind: r for r in analysis.replace_residuals(work, every(model), np.random.default_rng(0), draws=2)}
    assert tuple(found) == REPLACEMENTS
    assert found["zero"].shares == found["mean"].shares
    assert [len(found[kind].shares) for kind in REPLACEMENTS] == [1, 1, 2, 2]
    assert all(0.999 < r.accuracy < 1 for r in found.values())
    with pytest.raises(ValueError, match=r"unknown replacement 'nothing'; known: zero, "):
        analysis.replace_residuals(work, every(model), np.random.default_rng(0), kinds=("nothing",))


# Spectra and mechanism


def test_spectrum_of_the_papers_model() -> None:
    """Figure 11 of the paper: the first singular value is just over 7440."""
    work = workspace(cp.load_model("max-of-4/123"), "value")
    found = analysis.spectrum(work)
    assert 7440 < found.values[0] < 7450
    assert 14 < found.values[1] < 17
    assert found.ratio == found.values[0] / found.values[1]
    tables = Tables.of(work)
    rank_one = np.outer(found.query, found.size) / np.sqrt(32)
    assert np.abs(tables.EQKE - rank_one).max() < 0.01 * np.abs(tables.EQKE).max()
    assert found.size[-1] > found.size[0]
    line, curve = analysis.fit(found.size, 1), analysis.fit(found.size, 2)
    assert 0.98 < line.explained < curve.explained < 1
    assert line.coefficients[1] > 0


def test_fits() -> None:
    """Exact where the values are a polynomial; a constant is explained by anything."""
    t = np.arange(7.0)
    found = analysis.fit(1 - 2 * t + 0.5 * t**2, 2)
    assert found.coefficients == pytest.approx((1, -2, 0.5))
    assert found.explained == pytest.approx(1)
    assert found.at(np.array([10.0])) == pytest.approx([31])
    assert analysis.fit(np.ones(5), 1).explained == pytest.approx(1)
    assert analysis.fit(np.ones(1), 3).coefficients == pytest.approx((1.0,))


def test_simplest_fit() -> None:
    """The lowest degree that explains enough, the highest if none does."""
    t = np.arange(30.0)
    assert len(analysis.simplest_fit(3 * t + 1).coefficients) == 2
    assert len(analysis.simplest_fit((t - 15) ** 2).coefficients) == 3
    assert len(analysis.simplest_fit(np.sin(3 * t)).coefficients) == 5


def test_factors() -> None:
    """What is left is smaller, and the whole is what the paths are made of."""
    model = cp.load_model("max-of-4/123")
    factors = analysis.factors(workspace(model, "value"))
    assert [f.name for f in factors] == ["E_q", "Q", "K", "Ē"]
    assert [f.residual.shape for f in factors] == [(64, 32), (32, 32), (32, 32), (64, 32)]
    for factor, parts in zip(factors, (2, 1, 1, 2), strict=True):
        assert factor.after[0] < factor.before[0]
        assert factor.after == pytest.approx(np.linalg.svd(factor.residual, compute_uv=False))
        assert (factor.after[: -parts - 1] >= factor.before[parts:-1] * (1 - 1e-9)).all()
    assert factors[0].before == pytest.approx(np.linalg.svd(model.W_E + model.W_pos[-1], compute_uv=False))


def test_excess_kurtosis() -> None:
    """Of a known sample, of heavy and of light tails, and of a constant."""
    rng = np.random.default_rng(0)
    assert abs(analysis.excess_kurtosis(rng.normal(3, 2, 100_000))) < 0.06
    assert analysis.excess_kurtosis(rng.laplace(size=100_000)) == pytest.approx(3, abs=0.3)
    assert analysis.excess_kurtosis(np.array([[-1.0, 1.0], [1.0, -1.0]])) == -2
    assert analysis.excess_kurtosis(np.ones(4)) == 0.0


def test_copying() -> None:
    """Compared with loops."""
    tables = tables_of(random_model(6, 3, seed=2, copying=0.3))
    found = analysis.copying(tables)
    for t in range(6):
        others = [tables.EVOU[t, o] for o in range(6) if o != t]
        assert found.margin[t] == tables.EVOU[t, t] - max(others)
        assert (t in found.failing) == (found.margin[t] <= 0)
    assert sorted(found.others) == sorted(tables.EVOU[t, o] for t in range(6) for o in range(6) if o != t)


def test_certainly_copied() -> None:
    """Such a token wins with all attention on it for every query and position; others lose for some."""
    for model in models():
        tables = tables_of(model)
        v, n = model.d_vocab, model.n_ctx
        sure = analysis.certainly_copied(tables)
        for m in range(v):
            logits = [tables.EU[q] + tables.EVOU[m] + tables.PVOU[p] for q in range(v) for p in range(n)]
            if sure[m]:
                assert all(row[m] > np.delete(row, m).max() for row in logits)


def test_attention_gaps() -> None:
    """Compared with loops over queries and tokens."""
    tables = tables_of(random_model(5, 3))
    found = analysis.attention_gaps(tables)
    assert found.difference.tolist() == [1, 2, 3, 4]
    for i, d in enumerate(found.difference):
        gaps = [tables.EQKE[q, m] - tables.EQKE[q, m - d] for m in range(d, 5) for q in range(m + 1)]
        assert found.mean[i] == pytest.approx(np.mean(gaps))
        assert found.least[i] == min(gaps)
        assert found.wrong[i] == np.mean([gap <= 0 for gap in gaps])
        assert found.least[i] <= found.low[i] <= found.mean[i] + 1e-12 or len(gaps) < 20


def test_errors() -> None:
    """All wrong inputs, each with its maximum, gap and query, in groups that add up."""
    model = random_model(5, 3, seed=1, copying=0.4)
    tables, tokens = tables_of(model), inputs_of(5, 3)
    found = analysis.errors(tables, every(model))
    assert sorted(found.inputs.tolist()) == tokens[~right(tables, tokens)].tolist()
    assert len(found.inputs) > 0
    for x, m, gap, q in zip(found.inputs.tolist(), found.maximum, found.gap, found.query, strict=True):
        rest = [t for t in x if t != m]
        assert (m, q) == (max(x), x[-1])
        assert gap == (m - max(rest) if rest else 0)
    groups = found.groups()
    counts = [group[3] for group in groups]
    assert sum(counts) == len(found.inputs)
    assert counts == sorted(counts, reverse=True)
    wrong = analysis.answers(tables, found.inputs)
    assert (wrong == forward(tables, found.inputs).argmax(axis=1)).all()


def test_no_errors() -> None:
    """A model that is always right has none."""
    model = random_model(4, 2, copying=50.0)
    tables = tables_of(model)
    good = tables._replace(EQKE=np.tile(60.0 * np.arange(4), (4, 1)), EU=0 * tables.EU, PVOU=0 * tables.PVOU)
    found = analysis.errors(good, every(model))
    assert found.groups() == []
    assert analysis.answers(good, found.inputs).shape == (0,)


# Many models


def test_regression() -> None:
    """A line with known noise: its slope is in the interval, the band holds the line, and p tells it from nothing."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, 80)
    line = regress(x, 2 * x - 1 + rng.normal(size=80))
    assert line is not None
    assert abs(line.slope - 2) < 1.5 * line.slope_error < 0.3
    assert line.p < 1e-20
    places = np.linspace(0, 10, 5)
    middle, half = line.at(places)
    assert (np.abs(middle - (2 * places - 1)) < 1.5 * half).all()
    assert half.argmin() == 2
    nothing = regress(x, rng.normal(size=80))
    assert nothing is not None
    assert nothing.p > 0.001
    assert regress(x[:5], x[:5]) is None
    assert regress(np.ones(7), np.arange(7.0)) is None
    perfect = regress(np.arange(7.0), np.arange(7.0))
    assert perfect is not None
    assert perfect.slope == pytest.approx(1)


def test_regression_by_formulas() -> None:
    """The slope's interval and the band, written out with Student's t for 10 degrees of freedom from a table."""
    x, y = np.arange(12.0), np.array([1.0, 0, 3, 2, 5, 4, 4, 9, 7, 8, 11, 10])
    line = regress(x, y)
    assert line is not None
    assert [line.slope, line.intercept] == pytest.approx(np.polyfit(x, y, 1))
    squares = ((x - x.mean()) ** 2).sum()
    scatter = np.sqrt(((y - line.intercept - line.slope * x) ** 2).sum() / 10)
    assert line.slope_error == pytest.approx(2.2281 * scatter / np.sqrt(squares), rel=1e-4)
    half = 2.2281 * scatter * np.sqrt(1 / 12 + (x - x.mean()) ** 2 / squares)
    assert line.at(x)[1] == pytest.approx(half, rel=1e-4)
    assert line.correlation == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_explained() -> None:
    """All of a linear function, none of what is orthogonal, and for one predictor the square of the correlation."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    noise = rng.normal(size=40)
    assert explained(x, x @ [2.0, -3.0] + 5.0) == pytest.approx(1)
    assert explained(x[:, :1], noise) == pytest.approx(np.corrcoef(x[:, 0], noise)[0, 1] ** 2)
    assert explained(x, noise) < 0.2
    assert explained(x, np.ones(40)) == 1


def test_rank_correlation() -> None:
    """Of any growing function 1; ties share their mean rank; 0 where nothing varies."""
    x = np.array([3.0, 1.0, 3.0, 2.0])
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert rank_correlation(x, -x) == pytest.approx(-1)
    y = np.array([1.0, 2.0, 4.0, 3.0])
    assert rank_correlation(x, y) == pytest.approx(np.corrcoef([3.5, 1, 3.5, 2], [1, 2, 4, 3])[0, 1])
    assert rank_correlation(x, np.ones(4)) == 0.0


@pytest.mark.parametrize("name", ["small", pytest.param("max-of-4/104", marks=pytest.mark.slow)])
def test_summary(tmp_path: Path, name: str) -> None:
    """JSON can hold it, it comes out the same again, and its parts agree with each other."""
    if name == "small":
        name = str(tmp_path / "small.safetensors")
        random_model(8, 4, copying=4.0).save(name)
    summary = analysis.summarise(name, draws=3)
    assert json.loads(json.dumps(summary)) == summary
    again = analysis.summarise(name, draws=3)
    assert again == summary
    model = cp.load_model(name)
    assert summary["accuracy"] == BRUTE_FORCE.bound(workspace(model, "value"), {}) / model.d_vocab**4
    for row, steps in summary["waterfalls"].items():
        if WATERFALLS[row] in summary["proofs"]:
            certified = summary["proofs"][WATERFALLS[row]][0] * summary["accuracy"]
            assert steps[-1][1] == pytest.approx(certified, abs=1e-12)
    assert summary["waterfalls"]["failing sets"][-1][1] == summary["accuracy"]
    assert set(summary["ablations"]) == {f"{path} {kind}" for path in PATHS for kind in KINDS}
