"""The documentation site: what can be told without building it.  `make docs` builds it, and fails on any warning."""

from __future__ import annotations

import ast
import csv
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import compactproofs as cp
from compactproofs import zoo
from compactproofs.theorems import BUILT_IN

DOCS = Path(__file__).parents[1] / "docs"

Part = Callable[[str], ModuleType]


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Part:
    """Imports a part of what builds the site."""
    monkeypatch.syspath_prepend(str(DOCS / "_sphinx"))

    def load(name: str) -> ModuleType:
        monkeypatch.setitem(sys.modules, name, None)  # to be forgotten in the end
        del sys.modules[name]
        return __import__(name)

    return load


def test_every_public_name_is_on_the_page() -> None:
    """As `compactproofs.NAME`."""
    page = (DOCS / "reference" / "api.rst").read_text(encoding="utf-8")
    assert {*cp.__all__} <= {*re.findall(r"compactproofs\.(\w+)\b(?!\.)", page)}


def test_every_page_is_in_the_contents() -> None:
    """What the build would say too, but later."""
    contents = {*re.findall(r"^(?:.*<)?([\w/-]+)>?$", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE)}
    pages = (path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
    missing = [
        page for page in pages if page.parts[0] != "generated" and page.with_suffix("").as_posix() not in contents
    ]
    assert missing == [Path("index.md")], "name the others in docs/index.md"


def test_every_trusted_module_has_a_page(part: Part) -> None:
    """But for those that are a line."""
    modules = part("modules")
    source = DOCS.parent / "src"
    trusted = {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for top in ("kernel", "networks", "tasks", "theorems")
        for path in (source / "compactproofs" / top).rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > 1
    }
    assert trusted <= {*modules.PAGES}
    assert sum(map(len, modules.by_part().values())) == len(modules.PAGES)
    for module, imported in modules.IMPORTS.items():
        assert all(modules.PAGES.index(each) < modules.PAGES.index(module) for each in imported)


@pytest.mark.parametrize(
    "asks",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<script async src=//cdn.example/x.js></script>",
        '<img alt="a" src="http://example/x.png">',
        '<link href="https://fonts.example/a.css" rel="stylesheet">',
        '<link rel="preconnect" href="https://fonts.example">',
        "<style>@import url('https://fonts.example/a.css');</style>",
        "<style>a { background: url(https://example/x.png) }</style>",
    ],
)
def test_requests_to_others_are_seen(part: Part, tmp_path: Path, asks: str) -> None:
    """Each way of asking another host, but links that a reader follows are none."""
    page = tmp_path / "page.html"
    page.write_text('<a href="https://arxiv.org/abs/2406.11779">paper</a><img src="_images/x.png">', encoding="utf-8")
    assert not part("finished").requests_to_others(tmp_path)
    page.write_text(asks, encoding="utf-8")
    assert len(part("finished").requests_to_others(tmp_path)) == 1


def test_dead_links_are_seen(part: Part, tmp_path: Path) -> None:
    """To a page that is not there, and to a heading."""
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="b.html#there">b</a> <a href="#here">a</a>', encoding="utf-8"
    )
    (tmp_path / "b.html").write_text('<p id="there"><a class="x" href="a.html?x=1">a</a>', encoding="utf-8")
    assert not part("finished").dead_links(tmp_path)
    (tmp_path / "b.html").write_text('<p id="elsewhere"><a href="c.html">c</a>', encoding="utf-8")
    assert part("finished").dead_links(tmp_path) == ["a.html: b.html#there", "b.html: c.html"]


def test_the_chart_has_every_model(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of each model as they are stored, and means as in the table of the frontier."""
    monkeypatch.setitem(sys.modules, "altair", ModuleType("altair"))  # which draws, and is not asked here
    families = part("pictures")._single_models()
    for name, family in families.items():
        assert all(f"{name}/{model}" in zoo.names() for model in family["models"])
        for _, operations, bounds in family["lines"]:
            assert len(bounds) == len(family["models"])
            assert isinstance(operations, int) or [n is None for n in operations] == [n is None for n in bounds]
    four = families["max-of-4"]
    lines = {strategy: bounds for strategy, _, bounds in four["lines"]}
    assert lines["cubic"][four["models"].index("123")] == 15965263 * 10**6 // 16772438
    with (DOCS / "frontier.csv").open(encoding="utf-8") as stream:
        means = {row["strategy"]: float(row["normalised"]) for row in csv.DictReader(stream)}
    assert {*means} - {*lines} <= {"brute-force", "trivial"}
    for strategy, bounds in lines.items():
        assert sum(bounds) / len(bounds) / 10**6 == pytest.approx(means[strategy], abs=2e-6)


def test_docstrings_are_shown_as_they_are_written(part: Part) -> None:
    """Whatever looks like markup, and is none."""
    pytest.importorskip("sphinx")
    docstrings = part("docstrings")
    lines = [
        "Let *a* be |x| `code` a_1_ and \\lambda, see [1]_.",
        "- 1 is no item here, and neither is",
        "+ this.  Then:",
        "",
        "    f(x)  =  |x| * `y`",
        "",
        "      g(x)  >=  0",
        "",
        "* an item,",
        "  which goes on;",
        "* another",
        "",
        "Theorem (c >= 1).  It holds.",
        "Proof.  By `additive`.",
        "",
        "== no heading ==",
        "",
        ".. no:: directive",
    ]
    assert docstrings.is_kept(lines)
    shown = docstrings.as_rst(lines, {"additive": "compactproofs.additive"}.get)
    assert any("**Proof.**" in line and "<compactproofs.additive>" in line for line in shown)


def _docstrings(modules: ModuleType) -> Iterator[tuple[str, str]]:
    """Those of all modules with a page, of what is in them as well, with the modules' names."""
    for name in modules.PAGES:
        for node in ast.walk(modules._TREES[name]):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(node)):
                yield name, text


def test_formulas_are_what_they_were_made_of(part: Part) -> None:
    """In every docstring of a module that has a page, read back from LaTeX; their braces match."""
    formulas, modules = part("formulas"), part("modules")
    found = 0
    for name, text in _docstrings(modules):
        for paragraph in text.split("\n\n"):
            line = " ".join(paragraph.split("\n"))
            for span in formulas.spans(line, whole=text):
                written = re.sub(r"[\s{}]", "", line[span.start : span.stop])
                for latex in (span.latex, " ".join(span.pieces)):
                    assert formulas.plain(latex) == written, (name, latex)
                for piece in span.pieces:
                    assert re.sub(r"\\[{}]", "", piece).count("{") == re.sub(r"\\[{}]", "", piece).count("}"), piece
                found += 1
    assert found > 2000


def test_every_theorem_has_formulas(part: Part) -> None:
    """Each strategy that there is names a module with a page, on which theorem and proof have them."""
    formulas, modules = part("formulas"), part("modules")
    bounds = [strategy.bound for strategy in BUILT_IN.strategies.values()]
    for module in {getattr(bound, "func", bound).__module__ for bound in bounds}:  # of what a partial calls
        text = ast.get_docstring(modules._TREES[module]) or ""
        assert "Proof." in text, module
        assert formulas.spans(text[text.index("Theorem") :], whole=text), module


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("the norm |X'_i|^2 = |X_i|^2 of", r"\lvert X'_{i} \rvert ^{2} = \lvert X_{i} \rvert ^{2}"),
        ("at most v^(K+1) inputs", r"v^{\mathord{K + 1}}"),
        ("where mid^(x) is", r"\widehat{\mathrm{mid}}(x)"),
        ("with E- = W_E + P", r"\bar{E} = W_{E} + P"),
        ("and |left(x)+| is", r"\lvert \mathrm{left}(x)^{{+}} \rvert "),
        ("as X Y^T is", r"X Y^{\mathsf{T}}"),
        ("a matrix (a x d) of", r"(a \times d)"),
        ("if (x a, y b) is", r"(x a, y b)"),
        ("so logit j > logit j+1.", r"\operatorname{logit} j > \operatorname{logit} j{+}1"),
        ("the sum over e(q, .) of", r"e(q, \cdot\,)"),
        ("puts [W_V, 0; b_V, 1] there", r"\begin{bmatrix} W_{V} & 0 \\ b_{V} & 1 \end{bmatrix}"),
        ("for max_{k in G} r^h(k) it", r"\max_{k \in G} r^{h}(k)"),
        ("the 2^-53 of", r"2^{-53}"),
        ("with low = min_{t <= m} g[t] there", r"\mathrm{low} = \min_{t \le m} g[t]"),
        ("the vector a of", "a"),
    ],
)
def test_formulas_are_read_as_they_are_meant(part: Part, text: str, latex: str) -> None:
    """One of each kind of notation."""
    assert [span.latex for span in part("formulas").spans(text)] == [latex]


@pytest.mark.parametrize(
    "text",
    [
        "A box allows a token of max-of-k/cubic@1, UTF-8, and/or 64-bit integers.",
        "It is one of 64 tokens (section 4.1), the network's own, *every* input; see few_is_unlikely.",
        "At least one head-to-head, in max-of-K.",
    ],
)
def test_words_are_no_formulas(part: Part, text: str) -> None:
    """Articles, compound words, numbers by themselves, names of functions."""
    assert part("formulas").spans(text) == []


def test_what_is_aligned_stays_aligned(part: Part) -> None:
    """Relations in one column, and what stands behind gaps in one column."""
    lines = ["  f(x)  =  x,    w = 1", "        <= x + y,  and", "  g     =  y,    w = 2"]
    latex = part("displays").displayed(lines, "\n".join(lines))
    rows = latex.removeprefix(r"\begin{alignedat}{3}").removesuffix(r"\end{alignedat}").split(r"\\")
    cells = [row.split("&&") for row in rows]
    assert [row[0].split() for row in cells] == [["&", "f(x)"], ["&"], ["&", "g"]]
    assert all(row[1].split()[0] in ("{}=", "{}\\le") for row in cells)
    assert part("formulas").plain(latex) == "f(x)=x,w=1<=x+y,andg=y,w=2"


@pytest.mark.parametrize("name", ["thin", "equivariant"])
def test_conditions_on_pages_are_those_of_the_proofs(part: Part, name: str) -> None:
    """Where a page has the LaTeX that the docstring of the theorem makes."""
    module = part("modules")._TREES[f"compactproofs.theorems.pair_sum.{name}"]
    text = ast.get_docstring(module) or ""
    condition = text[text.index("Theorem.") :].split("\n\n")[1].split("\n")
    page = (DOCS / "strategies" / "pair-sum.md").read_text(encoding="utf-8")
    assert f"```math\n{part('displays').displayed(condition, text)}\n```" in page


def test_signs_that_are_not_ascii_are_read_as_what_is_typed_for_them(part: Part) -> None:
    """As pages about strategies have them; places are those of the page."""
    page = "takes v² ≤ vⁿ⁻¹ · √d for a d × d matrix, and Σ_p |F_p ∖ G| + κ ≥ 0; F(x⁻¹ z) is c₀ − û"
    typed = "takes v^{2} <= v^{n-1} * sqrt(d) for"
    spans = part("formulas").spans
    assert spans(page)[0].latex == spans(typed)[0].latex
    assert [page[span.start : span.stop] for span in spans(page)] == [
        "v² ≤ vⁿ⁻¹ · √d",
        "d × d",
        "Σ_p |F_p ∖ G| + κ ≥ 0",
        "F(x⁻¹ z)",
        "c₀ − û",
    ]
