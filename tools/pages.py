"""Write the tables of the documentation that come from stored results, and say where these come from.

    python tools/pages.py            # writes the tables, and docs/stored.csv
    python tools/pages.py --check    # exit code 1 where a page or docs/stored.csv is not what the results say

In a page a table stands between `<!-- stored: NAME -->` and `<!-- end -->`.  It is one of `page_tables.py`, or else
docs/measured/NAME.csv as it is.  `docs/stored.csv` has for each file of results the command that made it, where and
when that was if the file does not say so, the commit that stored it, and its SHA-256.  File, command and words are
written by hand there; the others are found here.
"""

import csv
import hashlib
import io
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
STORED = DOCS / "stored.csv"
MEASURED = DOCS / "measured"

#: Where results are kept, and the pages that show them.
KEPT = ("docs/**/*.csv", "formal/*.csv", "src/compactproofs/zoo/models.csv")
PAGES = ("README.md", "docs/**/*.md")

_TOOL = runpy.run_path(str(Path(__file__).parent / "page_tables.py"))
TABLES: dict[str, Callable[[], str]] = _TOOL["TABLES"]

_BLOCK = re.compile(r"(?s)(<!-- stored: ([\w-]+) -->\n)(.*?)(\n<!-- end -->)")
_NUMBER = re.compile(r"[-−+~]?[\d.,⁰-⁹¹²³]+(?:e[-+]?\d+|\^[\d.]+| ± [\d.]+)?")


def table_of(name: str) -> str:
    """The table of this name."""
    if name in TABLES:
        return TABLES[name]()
    with (MEASURED / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
        headers, *rows = csv.reader(stream)
    return str(_TOOL["table"](headers, rows))


def written(page: str) -> str:
    """The page with today's tables."""
    return _BLOCK.sub(lambda found: found[1] + table_of(found[2]) + found[4], page)


def pages() -> list[Path]:
    """Those with a table from stored results."""
    found = sorted({page for pattern in PAGES for page in ROOT.glob(pattern)})
    return [page for page in found if _BLOCK.search(page.read_text(encoding="utf-8"))]


def tables_of(page: str) -> list[str]:
    """The names of the tables in a page that come from stored results."""
    return [found[2] for found in _BLOCK.finditer(page)]


def by_hand(page: str) -> list[str]:
    """First lines of tables in which numbers stand side by side, and which no stored results have written."""
    tables = re.findall(r"(?m)(?:^\|.*\n?)+", _BLOCK.sub("", page))
    return [
        table.splitlines()[0]
        for table in tables
        for line in table.splitlines()[2:]
        if sum(bool(_NUMBER.fullmatch(cell.strip(" `*"))) for cell in line.split("|")) > 1
    ]


def known() -> dict[str, dict[str, str]]:
    """What docs/stored.csv says of each file."""
    with STORED.open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row for row in csv.DictReader(stream)}


def stored(said: dict[str, dict[str, str]]) -> str:
    """The list of results, with the commits that are known for files that did not change since."""
    out = io.StringIO()
    lines = csv.DictWriter(out, ("file", "sha256", "commit", "command", "measured"), lineterminator="\n")
    lines.writeheader()
    for path in sorted({path for pattern in KEPT for path in ROOT.glob(pattern)} - {STORED}):
        name, sha256 = path.relative_to(ROOT).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()
        row = said.get(name, {"command": "", "measured": ""})
        commit = row["commit"] if row.get("sha256") == sha256 else ""
        lines.writerow({**row, "file": name, "sha256": sha256, "commit": commit or _commit(name)})
    return out.getvalue()


def _commit(name: str) -> str:
    """The commit that stored the file as it is; nothing before it is committed, so that the next run looks again."""

    def git(*words: str) -> str:
        command = ["git", *words, "--", name]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return "" if git("status", "--porcelain") else git("log", "-1", "--format=%h")


def outdated() -> list[Path]:
    """Pages that do not say what is stored, and the list of results where it is not true."""
    old = [page for page in pages() if page.read_text(encoding="utf-8") != written(page.read_text(encoding="utf-8"))]
    return [*old, *([STORED] if stored(known()) != STORED.read_text(encoding="utf-8") else [])]


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv[1:]:
        old = outdated()
        for page in old:
            print(f"{page.relative_to(ROOT)} is not what the stored results say; run tools/pages.py")
        return 1 if old else 0
    for page in pages():
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
    STORED.write_text(stored(known()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
