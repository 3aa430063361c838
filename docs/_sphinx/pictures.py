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

from compactproofs.zoo import ZooRow, table
from links import DOCS

_PLACE = re.compile(r"<!-- interactive: ([a-z-]+) -->\n+!\[[^\]]*\]\([^)]*\)")
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
_SHAPES = ["circle", "diamond", "square", "triangle-up", "triangle-down", "cross", "triangle-left"]


def _rows(name: str) -> list[dict[str, str]]:
    with (DOCS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _chart(rows: list[dict[str, Any]], groups: list[str], tooltip: list[Any], y_title: str) -> alt.Chart:
    """Bound against operations, one mark a row; drag and scroll to look closer."""
    kind = {"scale": alt.Scale(domain=groups, range=_COLOURS[: len(groups)])}
    shape = {"scale": alt.Scale(domain=groups, range=_SHAPES[: len(groups)])}
    legend = alt.Legend(title=None, orient="top", symbolSize=90)
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


#: Families of the zoo, and where what is proved of their models is kept besides docs/table1/FAMILY.csv.
_FAMILIES = {
    "max-of-4": "strategies/failing-sets.csv",
    "max-of-5": "strategies/large-k.csv",
    "max-of-10": "strategies/large-k.csv",
    "max-of-20": "strategies/large-k.csv",
    "max-of-10-v128": None,
}


def _single_models() -> dict[str, dict[str, Any]]:
    """What each strategy, but brute force, proves of each model of a family; `interactive.js` makes points of it.

    A line has the strategy, the operations, one number where all models take the same, and the bounds as shares of the
    inputs that are answered correctly, in millionths, rounded down.
    """
    rows = table()
    return {family: _family(family, [row for row in rows if row.name.startswith(f"{family}/")]) for family in _FAMILIES}


def _family(family: str, models: list[ZooRow]) -> dict[str, Any]:
    total, names = models[0].total, [row.name for row in models]
    right = {row.name: row.exact_correct or round((row.sampled_accuracy or 0) * row.total) for row in models}
    more, strategies = _FAMILIES[family], dict[str, dict[str, tuple[int, int]]]()
    for row in _rows(f"table1/{family}.csv"):
        if row["strategy"] != "brute-force":  # far to the right
            strategies[row["strategy"]] = {name: (int(row["flops"]), int(row[name])) for name in names}
    for row in _rows(more) if more else []:
        if row["model"] in right and not row["strategy"].endswith("-upper"):
            of = strategies.setdefault(row["strategy"], {})
            of[row["model"]] = int(row["flops"]), int(row["certified"])
    lines: list[list[Any]] = []
    for strategy, of in strategies.items():
        operations = [of[name][0] if name in of else None for name in names]
        bounds = [of[name][1] * 10**6 // right[name] if name in of else None for name in names]
        lines.append([strategy, operations[0] if len({*operations}) == 1 else operations, bounds])
    return {
        "models": [name.partition("/")[2] for name in names],
        "right": [right[name] * 10**6 // total for name in names],
        "known": "all inputs" if models[0].exact_correct else "a million inputs",
        "lines": lines,
    }


def _frontier() -> alt.Chart:
    """Bounds against operations, of single models of a family or in the mean, by all strategies."""
    tooltip = [
        alt.Tooltip("strategy:N"),
        alt.Tooltip("model:N"),
        alt.Tooltip("bound:Q", title="normalised bound", format=".6f"),
        alt.Tooltip("right:N", title="is right on"),
        alt.Tooltip("operations:Q", format=","),
    ]
    groups = ["sub-cubic", "cubic", "failing-sets", "branch-and-bound", "histogram"]
    return _chart([], groups, tooltip, "certified share of what is right")


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
    rows += [
        {
            "strategy": "pair-sum/few-directions",
            "group": "few-directions, trained toward it",
            "model": f"what {row['model']} became",
            "bound": int(row["proved"]) / int(row["total"]),
            "claim": f"{int(row['proved']):,} of {int(row['total']):,}",
            "operations": int(row["flops"]),
        }
        for row in _rows("tighten/pairs/results.csv")
    ]
    tooltip = [
        alt.Tooltip("strategy:N"),
        alt.Tooltip("model:N"),
        alt.Tooltip("bound:Q", format=".6f"),
        alt.Tooltip("claim:N", title="at least"),
        alt.Tooltip("operations:Q", format=","),
    ]
    groups = ["brute-force", "equivariant-distance", "low-rank", "low-rank-separable", "low-rank-halves", "thin-halves"]
    groups += ["few-directions, trained toward it"]
    return _chart(rows, groups, tooltip, "certified share of all inputs")


_PICTURES: dict[str, Callable[[], alt.Chart]] = {"frontier": _frontier, "two-arguments": _two_arguments}

#: What a reader chooses from, for pictures that have no points until then.
_CHOICES: dict[str, Callable[[], Any]] = {"frontier": _single_models}


def _read(app: Any, docname: str, source: list[str]) -> None:
    if app.builder.format == "html":
        source[0] = _PLACE.sub(lambda found: _block(found[1]), source[0])


def _block(name: str) -> str:
    """What stands in the page; `interactive.js` draws it."""
    doc = _PICTURES[name].__doc__
    lines = [f'<div class="interactive" role="img" aria-label="{doc}"></div>', _json(_PICTURES[name]().to_dict())]
    if name in _CHOICES:
        lines = [f'<p class="interactive-choices" data-picture="{name}"></p>', *lines, _json(_CHOICES[name]())]
    return "\n".join(["```{raw} html", *lines, "```", ""])


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    return f'<script type="application/json">{text}</script>'


def _vega(app: Any) -> None:
    """Vega and what draws with it, as files of the site, on the pages that have such a picture only."""
    if app.builder.format == "html":
        import vl_convert

        target = Path(app.outdir) / "_static" / "vega.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        # Its names are its own: the theme has some that are the same.
        target.write_text("(() => {\n" + vl_convert.javascript_bundle() + "\n})();\n", encoding="utf-8")


def _scripts(app: Any, pagename: str, templatename: str, context: Any, doctree: Any) -> None:
    if doctree is not None and 'class="interactive"' in context.get("body", ""):
        app.add_js_file("vega.js", loading_method="defer")
        app.add_js_file("interactive.js", loading_method="defer")


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("source-read", _read)
    app.connect("builder-inited", _vega)
    app.connect("html-page-context", _scripts)
    return {"parallel_read_safe": True}
