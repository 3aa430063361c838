"""MathJax as one file of the site, from the package that brings it: formulas are set in the reader's browser."""

from __future__ import annotations

import re
from importlib.metadata import files
from pathlib import Path
from typing import Any

_MADE_OF = "static/mathjax/tex-svg.js"


def _copy(app: Any) -> None:
    if app.builder.format == "html":
        found = [file for file in files("sphinx-mathjax-offline") or () if file.as_posix().endswith(_MADE_OF)]
        target = Path(app.outdir) / "_static" / "mathjax.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(found[0].read_binary())


def _scripts(app: Any, pagename: str, templatename: str, context: Any, doctree: Any) -> None:
    if doctree is not None and '<span class="math' in context.get("body", ""):
        app.add_js_file("formulas.js", loading_method="defer")
    # Names of modules in headings are long.
    heading = re.compile(r"(?<=<h1>)[\w.]+(?=<a )")
    context["body"] = heading.sub(lambda name: re.sub(r"([._])", r"\1<wbr>", name[0]), context.get("body", ""))


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("builder-inited", _copy)
    app.connect("html-page-context", _scripts)
    return {"parallel_read_safe": True}
