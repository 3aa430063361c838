"""MathJax as one file of the site, from the package that brings it: formulas are set in the reader's browser."""

from __future__ import annotations

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


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("builder-inited", _copy)
    return {"parallel_read_safe": True}
