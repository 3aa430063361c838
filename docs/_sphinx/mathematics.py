"""MathJax as one file of the site, from the package that brings it: formulas are set in the reader's browser."""

from __future__ import annotations

import re
from importlib.metadata import files
from pathlib import Path
from typing import Any

from formulas import spans

_MADE_OF = "static/mathjax/tex-svg.js"


def _copy(app: Any) -> None:
    if app.builder.format == "html":
        found = [file for file in files("sphinx-mathjax-offline") or () if file.as_posix().endswith(_MADE_OF)]
        target = Path(app.outdir) / "_static" / "mathjax.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(found[0].read_binary())


def _translate(app: Any, doctree: Any) -> None:
    """Formulas in the text of pages about strategies, which is plain Markdown; deviations in tables of all pages."""
    from docutils import nodes

    for table in doctree.findall(nodes.table):
        for text in list(table.findall(nodes.Text)):
            if " ± " in text:  # stays with what it is about
                text.parent.replace(text, nodes.Text(text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")))
    if not app.env.docname.startswith("strategies/"):
        return
    apart = (nodes.FixedTextElement, nodes.literal, nodes.math, nodes.raw, nodes.table, nodes.title)
    for text in list(doctree.findall(nodes.Text)):
        above = text.parent
        while above is not None and not isinstance(above, apart):
            above = above.parent
        if above is None:
            anew, at = [], 0
            for span in spans(text.astext(), whole=text.parent.astext()):
                anew.append(nodes.Text(text.astext()[at : span.start]))
                for i, piece in enumerate(span.pieces):
                    anew += [nodes.Text(" ")] * (i > 0) + [nodes.math(piece, piece)]
                at = span.stop
            text.parent.replace(text, [*anew, nodes.Text(text.astext()[at:])])


def _scripts(app: Any, pagename: str, templatename: str, context: Any, doctree: Any) -> None:
    if doctree is not None and '<span class="math' in context.get("body", ""):
        app.add_js_file("formulas.js", loading_method="defer")
    # Names of modules in headings are long.
    heading = re.compile(r"(?<=<h1>)[\w.]+(?=<a )")
    context["body"] = heading.sub(lambda name: re.sub(r"([._])", r"\1<wbr>", name[0]), context.get("body", ""))


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("builder-inited", _copy)
    app.connect("doctree-read", _translate)
    app.connect("html-page-context", _scripts)
    return {"parallel_read_safe": True}
