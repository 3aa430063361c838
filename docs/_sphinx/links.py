"""Links of Markdown pages that lead out of `docs`: on a git forge to files, here to pages of the site or downloads.

Names of modules such as `core.cubic` become links as well.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from modules import PAGES, file_of, meant

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

#: Pages made of files that lie elsewhere.
MADE = {
    ROOT / "README.md": "generated/readme.md",
    ROOT / "CONTRIBUTING.md": "generated/contributing.md",
    ROOT / "SECURITY.md": "generated/security.md",
    ROOT / "CHANGELOG.md": "generated/changelog.md",
    ROOT / "exactcheck" / "README.md": "generated/exactcheck.md",
    ROOT / "zoo-pairs" / "README.md": "generated/zoo-pairs.md",
    ROOT / "examples" / "min-of-k" / "README.md": "generated/min-of-k.md",
    ROOT / "examples" / "own-strategy.ipynb": "generated/own-strategy.md",
    **{file_of(page): f"generated/modules/{page}.rst" for page in PAGES},
}

_LINK = re.compile(r"(?<!!)\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^()\s]+)\)|`(\w+(?:\.\w+)+)`")


def relinked(text: str, original: Path, page: str) -> str:
    """The text of the file `original`, with links that hold on the page `page` (a path below `docs`)."""

    def anew(found: re.Match[str]) -> str:
        words, target, name = found.groups()
        if name:
            page_of_module = meant(name)
            return f"[`{name}`](/generated/modules/{page_of_module}.rst)" if page_of_module else found[0]
        if re.match(r"[a-z]+:|#|/", target):
            return found[0]
        path, hash_sign, anchor = target.partition("#")
        to = (original.parent / path).resolve()
        if to.is_dir():
            inside = next((to / name for name in ("README.md", "__init__.py") if to / name in MADE), None)
            if inside is None:
                return words  # nothing to show
            to = inside
        if to.suffix == ".html":  # a report, which lies at the top of the site
            return f'<a href="{"../" * page.count("/")}{to.name}">{words.strip("`")}</a>'
        if to in MADE:
            return f"[{words}](/{MADE[to]}{hash_sign}{anchor})"
        if to.suffix == ".md" and DOCS in to.parents:
            return f"[{words}](/{to.relative_to(DOCS).as_posix()}{hash_sign}{anchor})"
        return f"[{words}]({Path(os.path.relpath(to, (DOCS / page).parent)).as_posix()}{hash_sign}{anchor})"

    # Code is left as it is.
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if i % 2 else _LINK.sub(anew, part) for i, part in enumerate(parts))


def _read(app: Any, docname: str, source: list[str]) -> None:
    path = DOCS / f"{docname}.md"
    if path.exists() and not docname.startswith("generated/"):
        source[0] = relinked(source[0], path, f"{docname}.md")


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
