"""The pages of `compactproofs explain`: what is written, what is refused, and how a real browser shows it."""

import functools
import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from markupsafe import Markup
from matplotlib.figure import Figure

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs import analysis, zoo
from compactproofs.analysis.inputs import Inputs
from compactproofs.analysis.models import Summary, summarise
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import WEIGHTS
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening.models import write_tensors
from compactproofs.report import charts, pair_charts, pictures, side_by_side
from compactproofs.report import command as explain
from compactproofs.report.heads_page import heads_page
from compactproofs.report.model_page import SECTIONS, model_page
from compactproofs.report.models_page import models_page
from compactproofs.report.page import Cell, Page, Section, cell, environment, render, section, write
from compactproofs.report.pair_page import pair_page
from compactproofs.report.pictures import Picture, picture
from compactproofs.report.sections import (
    faithfulness,
    models,
    pair_neurons,
    pair_quadrature,
    pair_waterfall,
    two_waterfalls,
    waterfall,
)
from compactproofs.report.side_by_side import alike
from compactproofs.report.subjects import HeadsSubject, Models, Subject
from compactproofs.report.two_page import SECTIONS as SECTIONS_OF_TWO
from compactproofs.report.two_page import two_page, two_pair_page
from compactproofs.report.wording import large, listed, mean_std, numbers, probability, proved, with_minus
from compactproofs.runs.store import is_of
from compactproofs.search.workspaces import workspace
from compactproofs.tasks.pairs import Pairs, add_mod, group_products, pair_table
from pair_sums import mlp
from test_analysis import random_model
from test_modular_addition import network_of_waves

CASES = Path(__file__).parent / "cases"
MODELS = ("max-of-4/50", "max-of-4/104", "max-of-4/123")
SORTED = sorted(MODELS)
DRAWS = 5


#: What was proved of models for pages: several pages are about the same ones.
PROVED: dict[tuple[str, str], cp.Proof] = {}


def remember_proofs(patch: pytest.MonkeyPatch) -> None:
    """Let nothing be proved a second time; what is proved is what it would be, without this, for each page anew."""
    prove = cp.Prover.prove

    def once(prover: cp.Prover, strategy: str) -> cp.Proof:
        key = prover.model.sha256 + json.dumps(prover.problem.task.record), strategy
        if key not in PROVED:
            PROVED[key] = prove(prover, strategy)
        return PROVED[key]

    patch.setattr(cp.Prover, "prove", once)


def is_rendered(name: str) -> bool:
    """Whether a figure of the pages that several tests share has its PNG as well: one in four, by its name."""
    return zlib.crc32(name.encode()) % 4 == 0


@contextmanager
def shared_page() -> Iterator[None]:
    """Inside the block all figures are drawn as SVG, which pages show, and some as PNG: the same drawing once more."""
    saved = pictures._saved

    def some(figure: Any, kind: str, **options: Any) -> bytes:
        name = matplotlib.rcParams["svg.hashsalt"]
        return saved(figure, kind, **options) if kind != "png" or is_rendered(name) else b"not drawn"

    with pytest.MonkeyPatch.context() as patch:
        remember_proofs(patch)
        patch.setattr(pictures, "_saved", some)
        yield


@pytest.fixture(scope="module")
def page() -> Page:
    """The page about the small model."""
    with shared_page():
        return model_page("small.safetensors", random_model(5, 3), draws=DRAWS)


@pytest.fixture(scope="module")
def summaries(tmp_path_factory: pytest.TempPathFactory) -> list[Summary]:
    """Made-up summaries: one that is real, though of a small model, and others like it."""
    path = tmp_path_factory.mktemp("summarised") / "small.safetensors"
    random_model(6, 3).save(path)
    first = summarise(str(path), DRAWS)
    rng = np.random.default_rng(0)
    result = []
    for i in range(12):
        one = json.loads(json.dumps(first))
        one["model"] = zoo.names()[i]
        one["singular_values"][1] *= rng.uniform(0.5, 2)
        for proof in one["proofs"].values():
            proof[0] *= rng.uniform(0.9, 1)
        one["noise"]["true spread"][3] += rng.normal()
        result.append(one)
    return result


@pytest.fixture(scope="module")
def page_of_many(summaries: list[Summary]) -> Page:
    """The page about these."""
    with shared_page():
        return models_page(summaries)


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn once, roughly in place, and no file comes out: the rest is most of the time a page takes."""

    def laid(figure: Any, kind: str, **options: Any) -> bytes:
        if kind == "svg":
            figure.draw_without_rendering()
        return b"<svg></svg>"

    monkeypatch.setattr(pictures, "_lay_out", lambda figure: figure.set_layout_engine(None))
    monkeypatch.setattr(pictures, "_saved", laid)


def replace_pictures(monkeypatch: pytest.MonkeyPatch, by: Callable[..., Picture]) -> None:
    """Let all sections make their pictures so."""
    drawing = (pictures, side_by_side, faithfulness, waterfall, two_waterfalls)
    for module in (*drawing, pair_neurons, pair_quadrature, pair_waterfall):
        monkeypatch.setattr(module, "picture", by)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are no figures, and what was proved once is known: for tests of what pages say."""
    replace_pictures(monkeypatch, lambda name, draw, size=(): Picture(name, b"<svg></svg>", b""))
    remember_proofs(monkeypatch)


@pytest.fixture
def unpaired(monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    """Nor are figures drawn to find what axes two of them have in common."""
    monkeypatch.setattr(side_by_side, "alike", list)


class Outline(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.fetched: list[str] = []
        self.cells: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect ids, links, labels of images, and everything that would be fetched."""
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found["href"]))
        if found.get("role") == "img":
            self.labels.append(str(found.get("aria-label")))
        for name in ("src", "href", "xlink:href"):
            value = str(found.get(name) or "#")
            if tag != "a" and not value.startswith(("#", "data:")):
                self.fetched.append(value)


# What is written


def test_page(page: Page) -> None:
    """It stands alone, its links lead somewhere, ids are unique, and every figure has words."""
    text = render(page)
    outline = Outline(text)
    assert len(page.sections) == len(SECTIONS)
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert outline.fetched == []
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]{3})", text)) <= {"#" + p.name[:2] for p in page.pictures}
    assert len(outline.labels) == len(page.pictures) == len({p.name for p in page.pictures})
    assert all(len(label) > 20 for label in outline.labels)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text, re.DOTALL)
    assert len(captions) == len(page.pictures)
    assert all(caption.endswith(".") for caption in captions)
    assert len(text.encode()) < 5_000_000
    assert text.count('content="compactproofs') == 1
    for word in ("nan", "inf", "None", "{", "Markup"):
        body = text[text.index("<main>") : text.index('<section id="theorems">')]
        assert word not in re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", body, flags=re.DOTALL)).split()
    assert "Theorem" in text[text.index('<section id="theorems">') :]


@pytest.mark.parametrize(
    ("v", "n", "figures"),
    [
        (2, 1, "laid_out"),
        (2, 2, "undrawn"),
        pytest.param(2, 2, "laid_out", marks=pytest.mark.slow),
        (3, 5, "undrawn"),
        pytest.param(3, 5, "laid_out", marks=pytest.mark.slow),
    ],
)
def test_pages_of_small_models(request: pytest.FixtureRequest, v: int, n: int, figures: str) -> None:
    """Whatever the shape; progress is told after each section."""
    request.getfixturevalue(figures)
    seen: list[tuple[int, int]] = []
    text = render(model_page("m", random_model(v, n), draws=2, done=lambda i, of: seen.append((i, of))))
    assert text.count("<svg") == text.count("</svg>") > 20
    assert seen == [(i + 1, len(SECTIONS)) for i in range(len(SECTIONS))]


@pytest.mark.parametrize(
    ("scale", "figures"),
    [(0.0, "laid_out"), (1e4, "undrawn"), pytest.param(1e4, "laid_out", marks=pytest.mark.slow)],
)
def test_pages_of_strange_models(request: pytest.FixtureRequest, scale: float, figures: str) -> None:
    """A model of zeros, and one whose scores overflow: a page all the same."""
    request.getfixturevalue(figures)
    model = random_model(4, 3)
    weights = [scale * getattr(model, n) for n in ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U")]
    assert "</html>" in render(model_page("m", cp.Model(*weights), draws=3))


def test_page_of_a_model_with_too_many_inputs(undrawn: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says that it sampled."""
    of = Inputs.of
    monkeypatch.setattr(Inputs, "of", staticmethod(lambda model, rng: of(model, rng, most=0, size=2048)))
    model = random_model(4, 6)
    text = render(model_page("long", model, draws=2))
    assert "accuracy, sampled" in text
    assert "2,048 random inputs, because there are too many to try them all" in text


def test_words_about_a_model_that_fails(undrawn: None) -> None:
    """With its attention turned round a model looks for small tokens, and the page does not praise it."""
    model = random_model(8, 3, copying=4.0)
    weights = {n: getattr(model, n) for n in ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U")}
    straight = render(model_page("straight", model, draws=2))
    assert "How straight finds the maximum" in straight
    assert "looks for large tokens" in straight
    text = render(model_page("turned", cp.Model(**{**weights, "W_Q": -weights["W_Q"]}), draws=2))
    assert "What turned computes" in text
    assert "all negative, so by this pair every query looks for small tokens" in text
    assert "what it needs for these says little" in text
    for praise in ("finds the maximum", "hardly needs", "does the work. ", "looks for large tokens"):
        assert praise not in text


def test_a_certified_bound_above_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The accuracy is then the bound, so that no normalised bound exceeds 1."""
    model = random_model(6, 4)
    certified = float(cp.prove(model, "failing-sets").bound)
    rng = np.random.default_rng(0)
    wrong = Inputs.of(model, rng).failing(analysis.margin_terms(analysis.Tables.of(workspace(model, "value"))))
    monkeypatch.setattr(Inputs, "of", staticmethod(lambda model, rng: Inputs(4, 6, wrong)))  # a sample with no luck
    subject = Subject("m", model, rng, 2)
    assert (subject.exact.value, subject.accuracy) == (0.0, certified)


def test_names_are_escaped(undrawn: None) -> None:
    """A file can be called anything."""
    name = "<script>alert('x')</script>&{q}"
    text = render(model_page(name, random_model(3, 2), draws=2))
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert") == 2
    assert "&amp;{q}" in text


def test_names_in_a_table_are_escaped(summaries: list[Summary]) -> None:
    """And so are those of many models."""
    text = section(models.of_models, Models([{**summaries[0], "model": '<b onclick="x">&{q}'}])).html
    assert "<td>&lt;b onclick=&#34;x&#34;&gt;&amp;{q}</td>" in text


def test_shipped_pages_look_as_new_ones_do() -> None:
    """Their styles and scripts are the template's."""
    report = Path(explain.__file__).parent
    docs = Path(__file__).parents[1] / "docs" / "reports"
    parts = [
        re.findall(r"<(?:style|script)>.*?</(?:style|script)>", path.read_text(encoding="utf-8"), re.DOTALL)
        for path in (report / "page.html.j2", *sorted(docs.glob("*.html")))
    ]
    assert len(parts) == 3
    assert all(each == parts[0] for each in parts), "print the pages of docs/reports anew"


def test_sections_and_templates() -> None:
    """Each section has both, and all templates are in the wheel."""
    wheel = pytest.importorskip("hatchling.builders.wheel")
    root = Path(__file__).parent.parent
    package = root / "src" / "compactproofs"
    for module in (package / "report" / "sections").glob("[!_]*.py"):
        assert module.with_suffix(".html.j2").exists()
    included = {Path(file.path) for file in wheel.WheelBuilder(str(root)).recurse_included_files()}
    templates = set(package.rglob("*.j2"))
    assert len(templates) == 2 + len(list((package / "report" / "sections").glob("[!_]*.py")))
    assert templates <= included


def test_too_few_draws() -> None:
    """One has no spread."""
    with pytest.raises(ValueError, match="draws: expected at least 2, found 1"):
        model_page("m", random_model(3, 2), draws=1)


def of_table(task: Pairs) -> tuple[PairSum, Pairs]:
    """A perceptron that answers as a table says, but for noise, with an output too many or none."""
    return PairSum(mlp(np.random.default_rng(0), task.table, 0.01)), task


ADDITION = network_of_waves(7, (1, 2, 3), 8, np.random.default_rng(0), 0.01), add_mod(7)


@pytest.fixture(scope="module")
def pair_sum_page() -> Page:
    """The page about a small network that adds."""
    with shared_page():
        return pair_page("small-adder.safetensors", *ADDITION)


def test_page_of_two_arguments(pair_sum_page: Page) -> None:
    """It has every section, and stands alone."""
    assert [one.id for one in pair_sum_page.sections] == [
        *("pair-spectra", "pair-neurons", "pair-quadrature", "pair-bounds", "pair-waterfall")
    ]
    text = render(pair_sum_page)
    outline = Outline(text)
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert outline.fetched == []
    assert "This one has learned 3 of\n3: k\u00a0=\u00a0" in text
    assert "theorem-pair-sum-low-rank" in outline.ids


@pytest.mark.parametrize(
    ("network", "task", "words", "sections"),
    [
        (*of_table(group_products("S3")), "This network has learned 2 of 3", 4),
        (*of_table(group_products("F5")), "<td>0−1i</td>", 4),
        (*of_table(pair_table(np.arange(9) % 2)), "a table that a user gave", 3),
        (*of_table(add_mod(4)), "k\u00a0=\u00a01 and k\u00a0=\u00a02", 4),
        (PairSum({n: 0.0 * w for n, w in ADDITION[0].tensors.items()}), add_mod(7), "has learned nothing", 3),
    ],
)
def test_pages_of_other_tables(undrawn: None, network: PairSum, task: Pairs, words: str, sections: int) -> None:
    """Characters for groups, waves for addition of odd numbers, and neither for other tables; progress is told."""
    seen: list[tuple[int, int]] = []
    page = pair_page("m", network, task, lambda i, of: seen.append((i, of)))
    assert seen == [(i + 1, sections) for i in range(sections)]
    text = render(page)
    assert words in re.sub(r"[ \n]+", " ", text)
    body = re.sub(r"<[^>]*>", " ", text[text.index("<main>") : text.index('<section id="theorems">')])
    assert {"nan", "inf", "None", "{", "Markup"}.isdisjoint(body.split())


# Two models beside each other


def test_page_of_several_heads(undrawn: None) -> None:
    """The same bounds as proofs have, a row and two tables for each head, and the theorems."""
    network = cp.load_network(CASES / "two_heads_max3_v10.safetensors")
    assert isinstance(network, ManyHeads)
    page = heads_page("two", network)
    text = render(page)
    best = cp.Prover(network).prove("heads/branch-and-bound").certificate.certified
    assert f"names the largest for {best} at least" in " ".join(text.split())
    assert "The bounds from below and from above meet" in text
    assert {f"figure-{name}-{head}" for name in ("EQKE", "EVOU") for head in (0, 1)} <= {*Outline(text).ids}
    assert {link[1:] for link in Outline(text).links if link.startswith("#")} <= {*Outline(text).ids}
    # What parts add is the lead: taken apart on the sample, of which the share that is right is near the accuracy.
    subject = HeadsSubject("two", network, np.random.default_rng(0))
    assert abs(subject.exact.value - best / 1000) < 4 * subject.exact.error
    assert subject.leads.shape == (3,)
    assert subject.leads.sum() > 0.0


@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_page_of_strange_heads(undrawn: None, scale: float) -> None:
    """Zeros, or scores that overflow: a page all the same."""
    network = cp.load_network(CASES / "two_heads_max3_v10.safetensors")
    weights = [scale * network.weight(n)[..., :3] if n == "W_U" else scale * network.weight(n) for n in WEIGHTS]
    weights[0] = weights[0][:3]
    assert "</html>" in render(heads_page("strange", ManyHeads(*weights)))


def test_page_of_two_models(unpaired: None) -> None:
    """Answers, pictures in pairs, and what differs most; what is fetched, and where links lead, as on other pages."""
    seen: list[tuple[int, int]] = []
    first, second = ("<a>", random_model(6, 3)), ("b", random_model(6, 3, seed=1, copying=4.0))
    page = two_page(first, second, done=lambda i, of: seen.append((i, of)))
    text = render(page)
    outline = Outline(text)
    assert "<h1>&lt;a&gt; beside b</h1>" in text
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert outline.fetched == []
    assert len(outline.labels) == len(page.pictures) == len({p.name for p in page.pictures})
    names = [p.name for p in page.pictures if p.name != "bounds"]
    assert {name[:-2] + "-2" for name in names if name.endswith("-1")} == {n for n in names if n.endswith("-2")}
    parts = 2 + len(SECTIONS_OF_TWO)
    assert seen == [(i + 1, parts) for i in range(parts)]
    # The largest difference comes first, and the second less the first is what is said.
    listed = text[text.index("by their difference") : text.index("as a share of the larger number")]
    differences = [float(number) for number in re.findall(r'class="number" data-sort="([^"]*)"', listed)]
    rows = [differences[i : i + 3] for i in range(0, len(differences), 3)]
    assert all(b - a == pytest.approx(d) for a, b, d in rows)
    assert [abs(d) for _, _, d in rows] == sorted((abs(d) for _, _, d in rows), reverse=True)
    # What is certified is, row for row, what stands among the proofs.
    cells = r'<td class="number" data-sort="([^"]*)">[^<]*</td>' * 3
    table = text[text.index("<caption><span>The best strategy of each row") :].split("</table>")[0]
    proofs = re.findall(f"<td>([^<]*)</td>{cells}", table)
    certified = re.findall(f">certified, ([^<]*)</a></td>{cells}", listed)
    assert {row[:3] for row in certified} <= {row[:3] for row in proofs}
    assert "sub-cubic without mean+diff" in {row for row, *_ in certified}


def test_page_of_two_networks_of_two_arguments(unpaired: None) -> None:
    """The same questions; of another table there are no irreps to look at."""
    network, task = ADDITION
    other = network_of_waves(7, (1, 2), 8, np.random.default_rng(1), 0.02)
    page = two_pair_page(("a", network, task), ("b", other, task))
    outline = Outline(render(page))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert len(outline.labels) == len(page.pictures) == len({p.name for p in page.pictures})
    assert "figure-pair-shares-2" in outline.ids
    table = of_table(pair_table([[0, 1, 1], [1, 0, 0], [0, 0, 1]]))
    text = render(two_pair_page(("a", *table), ("a", *table)))
    assert "figure-pair-shares" not in text
    assert "In nothing: they have the same weights" in text
    proofs = text[text.index("Certified shares of all inputs, the second less the first") :].split("</table>")[0]
    assert "pair-sum/brute-force<" in proofs
    assert "upper" not in proofs
    with pytest.raises(ValueError, match="a and b are not of one family: of one the task is x"):
        two_pair_page(("a", network, task), ("b", *table))


def test_page_of_a_model_and_itself(unpaired: None) -> None:
    """Differs in nothing, though it has two names."""
    model = random_model(4, 2)
    text = render(two_page(("a", model), ("a", model)))
    assert "In nothing: they have the same weights" in text
    assert "<h1>a beside a (2)</h1>" in text


@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_page_of_strange_models_beside_each_other(undrawn: None, scale: float) -> None:
    """Zeros, or scores that overflow: a page all the same."""
    model = random_model(2, 1)
    weights = [scale * getattr(model, n) for n in ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U")]
    assert "</html>" in render(two_page(("a", model), ("b", cp.Model(*weights))))


def test_pairs_have_the_same_axes_and_colours() -> None:
    """Those that hold both."""
    tables = np.eye(3), np.array([[0.0, -7.0], [2.0, 0.0]])
    shown = []
    for draw in alike([charts.heat_map(table, "y", "x", "unit") for table in tables]):
        axes = Figure().add_subplot()
        draw(axes)
        shown.append((axes.get_xlim(), axes.get_ylim(), axes.images[0].get_clim()))
    assert shown == [((-0.5, 2.5), (-0.5, 2.5), (-7.0, 7.0))] * 2
    turned = alike([charts.waterfall([("exact", 1.0), *[("step", 0.5)] * steps], 0.0) for steps in (1, 3)])
    axes = Figure().add_subplot()
    turned[0](axes)
    assert axes.get_ylim() == (4.4, -0.75)


@pytest.mark.parametrize("number", [1, 7, 23])
def test_every_series_is_drawn(number: int) -> None:
    """However many there are."""
    names = [f"strategy {i}" for i in range(number)]
    for draw in (
        pair_charts.bounds({name: [(2.0 + i, 0.5)] for i, name in enumerate(names)}),
        charts.bounds({name: [(2.0 + i, 0.5)] for i, name in enumerate(names)}),
    ):
        axes = Figure().add_subplot()
        draw(axes)
        assert set(names) <= set(axes.get_legend_handles_labels()[1])


def test_page_of_many_models(page_of_many: Page, summaries: list[Summary]) -> None:
    """It stands alone as well, and has a row for each model."""
    outline = Outline(render(page_of_many))
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert outline.fetched == []
    (table,) = (one.html for one in page_of_many.sections if one.id == "models")
    rows = re.findall("<tr><td>(.*?)</td>", table)
    assert rows == [s["model"] for s in summaries]


def test_page_of_few_models(laid_out: None, summaries: list[Summary]) -> None:
    """One model is enough for a page, but not for a line; none is not enough."""
    assert "too few models to say" in render(models_page(summaries[:1]))
    with pytest.raises(ValueError, match="no models"):
        models_page([])


def test_words_follow_the_numbers(undrawn: None, summaries: list[Summary]) -> None:
    """The verdict on the paper's claim changes when the data do."""

    def verdict(sign: float) -> str:
        changed = json.loads(json.dumps(summaries))
        for i, one in enumerate(changed):
            one["singular_values"] = [1000.0, 1000.0 / (100 + 10 * i), 0.1]
            for strategy in one["proofs"]:
                one["proofs"][strategy][0] = 0.5 + sign * 0.01 * i + 0.001 * (i % 3)
        html = next(s for s in models_page(changed).sections if s.id == "faithfulness").html
        return " ".join(html.split())

    assert "9 of 9 ways of bounding the remainder have a slope that is positive" in verdict(1)
    assert "0 of 9 ways of bounding the remainder have a slope that is positive at 95%; 9 have a negative" in verdict(
        -1
    )


def test_text_helpers() -> None:
    """Minus signs only before numbers; what a table shows and sorts by; large and small numbers."""
    assert with_minus("-1.5, max_diff-exact, 3-4, (-2)") == "−1.5, max_diff-exact, 3-4, (−2)"
    assert cell(-0.5, ".1f") == Cell("−0.5", -0.5)
    assert cell("a-1").number is None
    assert cell(("tie", 3.0)) == Cell("tie", 3.0)
    assert cell(None, ".1f") == Cell("", float("-inf"))
    assert large(4**12) == "16,777,216"
    assert large(64**12) == "4.72 · 10²¹"
    assert large(1_045_999_999_999) == "1.04 · 10¹²"
    assert proved(Fraction(99_999, 100_000)) == "99.99%"
    assert (proved(0.25), proved(1.0)) == ("25%", "100%")
    assert probability(0.0251) == "p = 0.025"
    assert probability(3.2e-12) == "p = 3·10⁻¹²"
    assert probability(0.0) == "p < 10⁻¹⁰⁰"
    assert mean_std(np.array([-2.0, -1.0])) == "−1.5000 ± 0.7071"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert numbers(np.arange(14)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more"


def test_picture() -> None:
    """As a file it has its own colours, in a page the page's; text is text; its names are its own."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1])
        axes.set_xlabel("some words")

    found = picture("one", draw)
    assert found.png.startswith(b"\x89PNG")
    assert b"some words" in found.svg
    assert "some words" in found.inline
    assert "var(--ink)" in found.inline
    assert b"var(--ink)" not in found.svg
    assert set(re.findall(r'\bid="([^"]{4})', found.inline)) == {"one-"}
    assert picture("one", draw) == found


# The command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`compactproofs explain` with these words, in an empty directory: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(explain, "DRAWS", DRAWS)

    def call(*words: object) -> tuple[int, str, str]:
        code = entry.run(["explain", *map(str, words)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The file of a small model."""
    path = tmp_path / "small.safetensors"
    random_model(5, 3).save(path)
    return path


def names_in(directory: Path) -> set[str]:
    """The names of files and directories."""
    return {path.name for path in directory.iterdir()}


def test_command(run: Run, small: Path, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One page and its figures, beside it and nowhere else, the same each time; a second time they are replaced.

    What is the same is what was computed anew, and the figures that have a PNG.
    """
    known = {made.name: made for made in page.pictures}
    assert len(known) / 8 < sum(map(is_rendered, known)) < len(known) / 2

    def some(name: str, *drawing: Any) -> Picture:
        return picture(name, *drawing) if is_rendered(name) else known[name]

    replace_pictures(monkeypatch, some)
    said = (0, "the report is small.html, its figures are in small-figures\n", "")
    assert run(small) == said
    # Nothing depends on the clock or on an unseeded draw: the fixture's page of the same model has the same bytes.
    assert (tmp_path / "small.html").read_text(encoding="utf-8") == render(page)
    for made in page.pictures:
        assert (tmp_path / "small-figures" / f"{made.name}.svg").read_bytes() == made.svg
        assert (tmp_path / "small-figures" / f"{made.name}.png").read_bytes() == made.png
    for written in (tmp_path / "small.html", *(tmp_path / "small-figures").iterdir()):
        written.write_bytes(written.read_bytes()[:2000])
    monkeypatch.setattr(explain, "model_page", lambda *words, **options: page)
    assert run(small, "--out", "small.html") == said
    assert (tmp_path / "small.html").read_text(encoding="utf-8") == render(page)
    assert names_in(tmp_path) == {"small.safetensors", "small.html", "small-figures"}
    text = (tmp_path / "small.html").read_text(encoding="utf-8")
    assert "How small.safetensors finds the maximum" in text
    stems = {name.removeprefix("figure-") for name in Outline(text).ids if name.startswith("figure-")}
    figures = names_in(tmp_path / "small-figures")
    assert figures == {f"{stem}.{suffix}" for stem in stems for suffix in ("png", "svg")}


def test_command_for_two_arguments(run: Run, undrawn: None, small: Path, tmp_path: Path) -> None:
    """The task is asked for where the file does not say it; other networks are no matter of these options."""
    path = tmp_path / "adder.safetensors"
    path.write_bytes(write_tensors(dict(ADDITION[0].tensors)))
    code, out, err = run(path)
    assert (code, out) == (2, "")
    assert err.startswith("error: nothing says what the network is to do; give --task with add-mod")
    assert run(path, "--task", "add-mod") == (0, "the report is adder.html, its figures are in adder-figures\n", "")
    assert "How adder.safetensors works" in (tmp_path / "adder.html").read_text(encoding="utf-8")
    for words in ((small, "--task", "max"), (small, "--task", "min"), ("--seeds", "1", "--task", "add-mod")):
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert err.startswith("error: --task")
        assert err.count("\n") == 1


def test_command_for_several_heads(run: Run, undrawn: None, tmp_path: Path) -> None:
    """A page; beside another model there is none."""
    path = CASES / "two_heads_max3_v10.safetensors"
    said = "the report is heads.html, its figures are in heads-figures\n"
    assert run(path, "--out", "heads.html") == (0, said, "")
    assert "How two_heads_max3_v10.safetensors finds the maximum" in (tmp_path / "heads.html").read_text("utf-8")
    code, out, err = run("max-of-4/123", path)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {path} has several heads, and of such there is a page about each alone: ")
    assert err.endswith(f": compactproofs explain max-of-4/123; compactproofs explain {path}\n")


def test_command_for_two_models(run: Run, unpaired: None, small: Path, tmp_path: Path) -> None:
    """One page about both; networks of two arguments are explained one by one."""
    random_model(5, 3, seed=1).save(tmp_path / "other.safetensors")
    said = "the report is small-and-other.html, its figures are in small-and-other-figures\n"
    assert run(small, "other.safetensors") == (0, said, "")
    assert "small.safetensors beside other.safetensors" in (tmp_path / "small-and-other.html").read_text(
        encoding="utf-8"
    )
    (tmp_path / "adder.safetensors").write_bytes(write_tensors(dict(ADDITION[0].tensors)))
    (tmp_path / "copy.safetensors").write_bytes(small.read_bytes())
    of_sums = ("adder.safetensors", "adder.safetensors", "--task", "add-mod")
    for words, which in (
        (("small.safetensors", "copy.safetensors"), "small.safetensors and copy.safetensors"),
        (of_sums, of_sums[0]),
    ):
        said = f"{which}: expected two models, found the same weights twice; explain {words[0]} shows them"
        assert run(*words) == (2, "", f"error: {said}\n")
    code, out, err = run("small.safetensors", "adder.safetensors")
    assert (code, out) == (2, "")
    assert err.startswith("error: small.safetensors and adder.safetensors are not of one family: one of them reads two")


def test_command_refuses(run: Run, small: Path, tmp_path: Path) -> None:
    """One line that says what is wrong, exit code 2, and nothing written."""
    (tmp_path / "mine.html").write_text("mine")
    (tmp_path / "dir.html").mkdir()
    before = names_in(tmp_path)
    for words, message in {
        (): "choose one: a MODEL, or --seeds all",
        (small, "--seeds", "all"): "choose one: a MODEL, or --seeds all",
        (small, small, small): "expected one MODEL, or two to compare, found 3; --seeds is about many",
        (small, "max-of-4/12"): "there is no file and no model of the zoo named 'max-of-4/12'",
        (
            small,
            "max-of-4/123",
        ): "small.safetensors and max-of-4/123 are not of one family: of one inputs are 3 ",
        ("max-of-4/124",): "there is no file and no model of the zoo named 'max-of-4/124': did you mean ",
        ("none.safetensors",): "none.safetensors: No such file or directory",
        (small, "--out", "page.txt"): "--out: expected a name that ends in .html, found page.txt",
        (small, "--out", "no/page.html"): "--out: the directory no does not exist",
        (small, "--out", "mine.html"): "--out: mine.html exists and is not a report; choose another name",
        (small, "--out", "dir.html"): "--out: dir.html is a directory; name a file",
        ("--seeds", "many"): "--seeds: expected all or a number of models, found 'many'",
        ("--seeds", "0"): "--seeds: expected 1 to 151, found 0",
        ("--seeds", "152"): "--seeds: expected 1 to 151, found 152",
        ("--seeds", "1", "--out", "page"): "--out: expected a name that ends in .html, found page",
    }.items():
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {message}")
        assert err.count("\n") == 1
    assert names_in(tmp_path) == before
    assert (tmp_path / "mine.html").read_text() == "mine"


def test_command_where_figures_cannot_be_written(run: Run, undrawn: None, small: Path, tmp_path: Path) -> None:
    """A file in their place is left alone, and the page is not written without them."""
    (tmp_path / "small-figures").write_text("mine")
    code, out, err = run(small)
    assert (code, out) == (2, "")
    assert err == "error: --out: cannot write small-figures: File exists\n"
    assert (tmp_path / "small-figures").read_text() == "mine"
    assert not (tmp_path / "small.html").exists()


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib", "polars", "scipy"])
def test_command_without_the_extra(run: Run, small: Path, without: Callable[[str], None], missing: str) -> None:
    """The line that installs it."""
    without(missing)
    error = 'error: this command needs more packages: pip install "compactproofs[report]"\n'
    assert run(small) == (2, "", error)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, summaries: list[Summary]) -> list[str]:
    """Summaries are made at once from one that is known; the models asked for are noted, and Ctrl-C comes at "stop"."""
    asked: list[str] = []

    @functools.wraps(summarise)
    def made_up(name: str, draws: int) -> Summary:
        if asked[-1:] == ["stop"]:
            raise KeyboardInterrupt
        asked.append(name)
        return {**summaries[0], "model": name, "draws": draws}

    monkeypatch.setattr(explain, "summarise", made_up)
    return asked


def test_command_for_many(run: Run, undrawn: None, quick: list[str], tmp_path: Path) -> None:
    """The page, the figures and the numbers of each model; what is there is not computed again, what is broken is."""
    words = ("--seeds", 3, "--jobs", 1, "--out", "all.html")
    code, out, err = run(*words)
    assert (code, out) == (
        0,
        "the report is all.html, its figures are in all-figures\nthe numbers of each model are in all-models\n",
    )
    assert "error" not in err
    assert names_in(tmp_path) == {"all.html", "all-figures", "all-models"}
    paths = sorted((tmp_path / "all-models").iterdir())
    assert [re.sub("-[0-9a-f]{8}.json$", "", path.name) for path in paths] == [m.replace("/", "-") for m in SORTED]
    assert quick == list(MODELS)
    text = (tmp_path / "all.html").read_text(encoding="utf-8")

    quick.clear()
    paths[0].write_bytes(paths[0].read_bytes()[:-5])
    broken = json.loads(paths[1].read_text())
    del broken["result"]["noise"]
    paths[1].write_text(json.dumps(broken))
    (tmp_path / "all-models" / "max-of-4-50.json").write_text("{}")  # as they were called once
    assert run(*words)[0] == 0
    assert sorted(quick) == SORTED[:2]
    assert (tmp_path / "all.html").read_text(encoding="utf-8") == text


def test_command_for_many_interrupted(run: Run, undrawn: None, quick: list[str], tmp_path: Path) -> None:
    """The message says what is done and how to go on; then the rest is done."""
    words = ("--seeds", 2, "--jobs", 1, "--out", "all.html")
    quick.append("stop")
    code, out, err = run(*words)
    assert (code, out) == (130, "")
    assert err.endswith(
        "interrupted: 0 of 2 models are finished in all-models; run the same command again to do the rest\n"
    )
    assert names_in(tmp_path) == {"all-models"}
    quick.clear()
    assert run(*words)[0] == 0
    assert quick == list(MODELS[:2])


def test_command_for_many_where_a_file_is_in_the_way(run: Run, quick: list[str], tmp_path: Path) -> None:
    """It is left alone."""
    (tmp_path / "all-models").write_text("mine")
    code, out, err = run("--seeds", 1, "--out", "all.html")
    assert (code, out) == (2, "")
    assert err.endswith("error: --out: cannot make the directory all-models: File exists\n")
    assert (tmp_path / "all-models").read_text() == "mine"
    assert quick == []


def test_summaries_can_be_kept(summaries: list[Summary]) -> None:
    """They are what the type says."""
    assert is_of(list[Summary], json.loads(json.dumps(summaries)))


# The browser

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs Debian's chromium and chromium-driver")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, page: Page, page_of_many: Page, pair_sum_page: Page) -> list[Path]:
    """The three kinds of page, written."""
    directory = tmp_path_factory.mktemp("pages")
    paths = [directory / "model.html", directory / "models.html", directory / "pairs.html"]
    for written, path in zip((page, page_of_many, pair_sum_page), paths, strict=True):
        write(written, path)
    return paths


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium that can reach nothing but files; its window is as wide as the test asks."""
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def show(browser: Any, path: Path, width: int, scheme: str) -> None:
    """Load a page in a viewport of this width, in light or dark."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.get(path.as_uri())


@needs_browser
def test_in_a_browser(browser: Any, pages: list[Path]) -> None:
    """No console messages and nothing fetched; figures are seen, within the page, on a desk and on a phone."""
    for path in pages:
        for width, scheme in ((1280, "light"), (390, "dark")):
            show(browser, path, width, scheme)
            assert browser.get_log("browser") == []
            assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            boxes = browser.execute_script(
                "return [...document.querySelectorAll('.picture')].filter(f => f.checkVisibility()).map(f => {"
                " const r = f.getBoundingClientRect(); return [r.left, r.right, r.width, r.height]; })"
            )
            assert len(boxes) > 10
            assert all(0 <= left < right <= width and w > 180 and h > 120 for left, right, w, h in boxes)


@needs_browser
def test_dark_mode(browser: Any, pages: list[Path]) -> None:
    """Text stands out from the paper in both schemes, inside the figures as well."""
    for scheme, dark in (("light", False), ("dark", True)):
        show(browser, pages[0], 1000, scheme)
        paper, ink, figure = browser.execute_script(
            "const c = (e, p) => getComputedStyle(e)[p]; return [c(document.body, 'backgroundColor'),"
            " c(document.querySelector('p'), 'color'), c(document.querySelector('figure svg text'), 'fill')]"
        )
        brightness = [np.mean([float(x) for x in re.findall(r"[\d.]+", colour)[:3]]) for colour in (paper, ink, figure)]
        assert (brightness[0] < 60) == dark
        assert all((value > 180) == dark for value in brightness[1:])


@needs_browser
def test_tables_sort(browser: Any, tmp_path: Path) -> None:
    """By number or by text, one way and then the other, from the mouse or the keyboard."""
    rows = [("b", 2.0), ("a", None), ("c", -1.5)]
    path = tmp_path / "table.html"
    table = environment().from_string("{{ table('t', {'name': '', 'number': '.2f'}, rows) }}").render(rows=rows)
    write(Page(Section("t", "t", Markup("")), [Section("s", "s", Markup(table))]), path)
    show(browser, path, 800, "light")
    buttons = browser.find_elements("css selector", "th button")

    def names() -> str:
        return "".join(e.text for e in browser.find_elements("css selector", "tbody td:first-child"))

    assert names() == "bac"
    seen = []
    for button in (0, 0, 1, 1):
        if button:
            buttons[button].click()
        else:
            buttons[button].send_keys("\n")
        states = [th.get_attribute("aria-sort") for th in browser.find_elements("css selector", "th")]
        assert states[1 - button] is None
        seen.append((names(), states[button]))
    assert seen == [("abc", "ascending"), ("cba", "descending"), ("bca", "descending"), ("acb", "ascending")]
    assert browser.get_log("browser") == []


@needs_browser
def test_tables_of_the_reports_sort(browser: Any, pages: list[Path]) -> None:
    """Every column of every table of both pages."""
    script = """
    const bad = [];
    for (const button of document.querySelectorAll('th button')) {
      const header = button.parentElement, column = [...header.parentElement.children].indexOf(header);
      for (const sign of [1, -1]) {
        button.click();
        const way = header.getAttribute('aria-sort') === 'ascending' ? 1 : -1;
        const cells = [...header.closest('table').tBodies[0].rows].map(row => row.cells[column]);
        for (let i = 1; i < cells.length; i++) {
          const [a, b] = [cells[i - 1], cells[i]].map(c => Number(c.dataset.sort));
          if (!isNaN(a) && !isNaN(b) && (a - b) * way > 0) bad.push(button.textContent);
        }
      }
    }
    return bad;
    """
    for path in pages:
        show(browser, path, 1280, "light")
        assert browser.execute_script(script) == []


@needs_browser
def test_theorems_open(browser: Any, pages: list[Path]) -> None:
    """A link to a theorem opens it."""
    show(browser, pages[0], 1280, "light")
    link = browser.find_element("css selector", "main a[href^='#theorem-']")
    target = browser.find_element("id", link.get_attribute("href").partition("#")[2])
    assert target.get_attribute("open") is None
    link.click()
    assert target.get_attribute("open") is not None
    assert "Proof" in target.text
