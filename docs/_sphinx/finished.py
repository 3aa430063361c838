"""What must hold of the pages once they are written, or the build fails.

No link leads to a page or heading of the site that is not there, and nothing is asked of another host.
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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


def dead_links(site: Path) -> list[str]:
    """Links from page to page that lead nowhere."""
    pages = {path.resolve(): path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))}
    ids = {path: {*re.findall(r"""\b(?:id|name)=["']([^"']+)["']""", text)} for path, text in pages.items()}
    dead = []
    for page, text in pages.items():
        for link in {*re.findall(r"""<a\b[^>]*\shref=["']([^"']*)["']""", text)}:
            path, _, anchor = unquote(unescape(link)).partition("#")
            if re.match(r"[a-z]+:", path):
                continue
            to = (page.parent / path.partition("?")[0]).resolve() if path else page
            if not to.is_file() or (anchor and to in ids and anchor not in ids[to]):
                dead.append(f"{page.relative_to(site.resolve())}: {link}")
    return dead


def _check(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        from sphinx.errors import ExtensionError  # what is above is tested where Sphinx is not installed

        site = Path(app.outdir)
        for what, found in (("asks another host", requests_to_others(site)), ("leads nowhere", dead_links(site))):
            if found:
                raise ExtensionError(f"{what}: " + "; ".join(found))


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True}
