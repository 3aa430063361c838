"""Count the lines of the trusted modules, docstrings and blank lines included, and write them into docs/trust.md.

    python tools/count_trusted.py

Words stay as they are; a module that is new gets a row with the first sentence of its docstring.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "compactproofs"
PAGE = ROOT / "docs" / "trust.md"
FOLDERS = ("kernel", "networks", "tasks", "theorems")

_MAX_OF_K = "theorems/max_of_k"
#: The first words of a tier's row, and its files, as patterns below the package.
TIERS = {
    "kernel": ("kernel/*.py",),
    "networks and tasks": (
        *("networks/__init__.py", "networks/weights.py", "tasks/__init__.py", "tasks/max_of_k.py"),
        *(f"networks/attention_only/{name}.py" for name in ("__init__", "circuits", "model")),
    ),
    "other orders, weights of tokens": ("tasks/orders.py", "tasks/weights.py"),
    "biases": ("networks/attention_only/biases.py",),
    "core theorems, library": ("theorems/*.py", f"{_MAX_OF_K}/__init__.py", f"{_MAX_OF_K}/core/*.py"),
    **{
        f"`{tier}`": (f"{_MAX_OF_K}/{tier}/*.py",)
        for tier in ("branching", "subcubic", "failing_sets", "few_dimensions", "counting")
    },
    "positions and ranks": ("tasks/by_comparison.py", f"{_MAX_OF_K}/by_comparison/*.py"),
    "several heads": (f"{_MAX_OF_K}/heads/*.py", "networks/attention_only/heads.py"),
    "pair sums": (
        "networks/pair_sum/*.py",
        "tasks/pairs.py",
        "tasks/tables.py",
        "tasks/with_tables.py",
        "theorems/pair_sum/*.py",
    ),
    "decoders": (
        "networks/decoder/*.py",
        "tasks/sequences.py",
        "tasks/tables.py",
        "tasks/with_tables.py",
        "theorems/enumerate/*.py",
    ),
}


def lines_of(*patterns: str) -> int:
    """The lines of all files of these patterns."""
    return sum(len(file.read_text().splitlines()) for pattern in patterns for file in PACKAGE.glob(pattern))


def counted(page: str) -> str:
    """The page with today's numbers."""
    tiers = {name: lines_of(*patterns) for name, patterns in TIERS.items()}
    for name, lines in tiers.items():
        page, found = re.subn(rf"(?m)^(\| {re.escape(name)}[^|]*\| )\d+", rf"\g<1>{lines}", page)
        assert found == 1, f"docs/trust.md has {found} rows for {name}"
    first = sum(tiers[name] for name in ("kernel", "networks and tasks", "core theorems, library"))
    page = re.sub(
        r"The first three have \d+ lines, with `branching` \d+\.",
        f"The first three have {first} lines, with `branching` {first + tiers['`branching`']}.",
        page,
    )
    head, title, rest = page.partition("| module | lines |")
    table, end, tail = rest.partition("\n\n")
    words = {row.split("`")[1]: row.split("|")[3].strip() for row in table.splitlines()[2:]}
    files = [file for folder in FOLDERS for file in sorted((PACKAGE / folder).rglob("*.py"))]
    rows = []
    for file in files:
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        said = words.get(name) or file.read_text().removeprefix('"""').partition(".")[0].replace("\n", " ")
        rows.append(f"| `{name}` | {lines_of(str(file.relative_to(PACKAGE)))} | {said} |")
    total = sum(lines_of(f"{folder}/**/*.py") for folder in FOLDERS)
    head = re.sub(r"\n\d+ modules with \d+ lines", f"\n{len(files)} modules with {total} lines", head)
    return head + title + "\n".join([*table.splitlines()[:2], *rows]) + end + tail


if __name__ == "__main__":
    PAGE.write_text(counted(PAGE.read_text()))
