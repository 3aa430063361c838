"""Pictures that answer to a pointer: a page says `<!-- interactive: NAME -->`, which a git forge does not show.

The picture that comes next in the page, for those who cannot have this one, is left out.

Drawn by Vega in the reader's browser; Vega itself is a file of the site.  Colours are those of Okabe and Ito, which
people with any kind of colour vision tell apart, and shapes differ too.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt

from links import DOCS

_PLACE = re.compile(r"<!-- interactive: ([a-z-]+) -->\n+!\[[^\]]*\]\([^)]*\)")
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
_SHAPES = ["circle", "diamond", "square", "triangle-up"]


def _rows(name: str) -> list[dict[str, str]]:
    with (DOCS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _chart(rows: list[dict[str, Any]], groups: list[str], tooltip: list[Any], y_title: str) -> alt.Chart:
    """Bound against operations, one mark a row; drag and scroll to look closer."""
    kind = {"scale": alt.Scale(domain=groups, range=_COLOURS[: len(groups)])}
    shape = {"scale": alt.Scale(domain=groups, range=_SHAPES[: len(groups)])}
    legend = alt.Legend(title=None, orient="top", columns=2, symbolSize=90)
    return (
        alt.Chart(alt.Data(values=rows), width="container", height=340)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            x=alt.X("operations:Q", title="operations to check (log scale)")
            .scale(type="log", nice=False, padding=14)
            .axis(format="~s", tickCount=6),
            y=alt.Y("bound:Q", title=y_title).scale(domain=[0, 1.03], nice=False),
            color=alt.Color("group:N", legend=legend, **kind),
            shape=alt.Shape("group:N", legend=legend, **shape),
            tooltip=tooltip,
        )
        .interactive()
    )


def _frontier() -> alt.Chart:
    """All strategies but brute force on the 151 models of K = 4."""
    rows = [
        {
            "strategy": row["strategy"],
            "group": row["strategy"].partition("/")[0],
            "model": f"mean of {row['models']} models max-of-4/…",
            "bound": float(row["normalised"]),
            "lowest": float(row["lowest"]),
            "exact": f"{row['exact']} of {row['models']}",
            "operations": round(float(row["flops"])),
        }
        for row in _rows("frontier.csv")
        if row["strategy"] != "brute-force"  # far to the right
    ]
    tooltip = [
        alt.Tooltip("strategy:N"),
        alt.Tooltip("model:N"),
        alt.Tooltip("bound:Q", title="normalised bound", format=".6f"),
        alt.Tooltip("lowest:Q", title="lowest of a model", format=".6f"),
        alt.Tooltip("exact:N", title="exact for"),
        alt.Tooltip("operations:Q", format=","),
    ]
    return _chart(rows, ["sub-cubic", "failing-sets", "cubic"], tooltip, "certified share of what is right")


def _two_arguments() -> alt.Chart:
    """Networks of two arguments, each by itself."""
    rows = [
        {
            "strategy": row["strategy"],
            "group": row["strategy"].partition("/")[2],
            "model": f"{row['task']}/{row['seed']}",
            "bound": int(row["certified"]) / int(row["total"]),
            "claim": f"{int(row['certified']):,} of {int(row['total']):,}",
            "operations": int(row["flops"]),
        }
        for row in _rows("strategies/pair-sum.csv")
        if float(row["flops"])
    ]
    tooltip = [
        alt.Tooltip("strategy:N"),
        alt.Tooltip("model:N"),
        alt.Tooltip("bound:Q", format=".6f"),
        alt.Tooltip("claim:N", title="at least"),
        alt.Tooltip("operations:Q", format=","),
    ]
    groups = ["brute-force", "equivariant-distance", "low-rank"]
    return _chart(rows, groups, tooltip, "certified share of all inputs")


_PICTURES: dict[str, Callable[[], alt.Chart]] = {"frontier": _frontier, "two-arguments": _two_arguments}


def _read(app: Any, docname: str, source: list[str]) -> None:
    if app.builder.format == "html":
        source[0] = _PLACE.sub(lambda found: _block(found[1]), source[0])


def _block(name: str) -> str:
    """What stands in the page; `interactive.js` draws it."""
    spec = json.dumps(_PICTURES[name]().to_dict(), ensure_ascii=False).replace("</", "<\\/")
    return (
        "```{raw} html\n"
        f'<div class="interactive" role="img" aria-label="{_PICTURES[name].__doc__}"></div>\n'
        f'<script type="application/json" class="interactive-spec">{spec}</script>\n'
        "```\n"
    )


def _vega(app: Any) -> None:
    """Vega and what draws with it, as files of the site, on the pages that have such a picture only."""
    if app.builder.format == "html":
        import vl_convert

        target = Path(app.outdir) / "_static" / "vega.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        # Its names are its own: the theme has some that are the same.
        target.write_text("(() => {\n" + vl_convert.javascript_bundle() + "\n})();\n", encoding="utf-8")


def _scripts(app: Any, pagename: str, templatename: str, context: Any, doctree: Any) -> None:
    if doctree is not None and "interactive-spec" in context.get("body", ""):
        app.add_js_file("vega.js", loading_method="defer")
        app.add_js_file("interactive.js", loading_method="defer")


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("source-read", _read)
    app.connect("builder-inited", _vega)
    app.connect("html-page-context", _scripts)
    return {"parallel_read_safe": True}
