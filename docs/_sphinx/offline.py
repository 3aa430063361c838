"""No page of the site asks another host for anything: a build in which one does fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_REQUEST = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\s(?:src|srcset|data)\s*=\s*["']?(?:https?:)?//[^"'>\s]+"""
    r"""|<link\b(?=[^>]*\srel=["']?(?:stylesheet|preload|icon|preconnect|dns-prefetch|modulepreload|prefetch))[^>]*\shref\s*=\s*["']?(?:https?:)?//[^"'>\s]+"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"')\s]+"""
    r"""|url\(\s*["']?(?:https?:)?//[^"')\s]+""",
    re.IGNORECASE,
)


def requests_to_others(site: Path) -> list[str]:
    """What pages and style sheets below `site` would load from elsewhere."""
    files = (path for path in sorted(site.rglob("*")) if path.suffix in (".html", ".css", ".svg"))
    return [f"{path}: {found[0]}" for path in files for found in _REQUEST.finditer(path.read_text(encoding="utf-8"))]


def _check(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        from sphinx.errors import ExtensionError

        found = requests_to_others(Path(app.outdir))
        if found:
            raise ExtensionError("the site must not ask other hosts: " + "; ".join(found))


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True}
