"""The documentation site: what can be told without building it.  `make docs` builds it, and fails on any warning."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import compactproofs as cp
from compactproofs import zoo

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
            assert isinstance(bounds, int) or len(bounds) == len(family["models"])
            assert isinstance(operations, int) or [n is None for n in operations] == [n is None for n in bounds]
    four = families["max-of-4"]
    lines = {strategy: bounds for strategy, _, bounds in four["lines"]}
    assert lines["cubic"][four["models"].index("123")] == 15965263 * 10**6 // 16772438
    with (DOCS / "frontier.csv").open(encoding="utf-8") as stream:
        means = {row["strategy"]: float(row["normalised"]) for row in csv.DictReader(stream)}
    assert {*means} - {*lines} <= {"brute-force", "trivial"}
    for strategy, bounds in lines.items():
        mean = bounds if isinstance(bounds, int) else sum(bounds) / len(bounds)
        assert mean / 10**6 == pytest.approx(means[strategy], abs=2e-6)


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
