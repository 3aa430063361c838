"""The modules that have a page each: what is trusted, and what claims with confidence rest on."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

#: Packages whose modules are shown, and their headings; theorems have one for each tier besides, the core first.
TOPS = {
    "kernel": "Kernel",
    "networks": "Networks",
    "tasks": "Tasks",
    "theorems": "Theorems",
    "confidence": "Claims with confidence",
}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def _trees() -> dict[str, ast.Module]:
    """The modules of these packages that have a docstring of more than a line, or code."""
    package = SOURCE / "compactproofs"
    found = {}
    for top in TOPS:
        for path in sorted((package / top).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if len(tree.body) > 1:
                found[_name(path)] = tree
    return found


def _imported(tree: ast.Module, known: dict[str, ast.Module]) -> set[str]:
    names = {
        (node.module, f"{node.module}.{alias.name}")
        for node in tree.body  # not what only type checkers see
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return {inner if inner in known else module for module, inner in names} & known.keys()


_TREES = _trees()

#: Which of these modules each one imports.
IMPORTS = {name: sorted(_imported(tree, _TREES) - {name}) for name, tree in _TREES.items()}

#: All of them, lemmas before what rests on them.
PAGES = tuple(TopologicalSorter(IMPORTS).static_order())


def meant(name: str, here: str = "") -> str | None:
    """The module that `name`, the end of its full name, means; if two fit, that of the package of the module `here`."""
    fit = [page for page in PAGES if f".{page}".endswith(f".{name}") and page != here]
    beside = [page for page in fit if page.rpartition(".")[0] == here.rpartition(".")[0]]
    return (beside or fit)[0] if len(beside or fit) == 1 else None


def by_part() -> dict[str, list[str]]:
    """The same by headings."""
    parts: dict[tuple[int, bool, str], list[str]] = {}
    for page in PAGES:
        top, *inner = page.split(".")[1:]
        tier = inner[1:2] if inner[:1] == ["max_of_k"] else inner[:1]
        of_tier = f": {tier[0].replace('_', ' ')}" if top == "theorems" and tier else ""
        key = (list(TOPS).index(top), of_tier != ": core", TOPS[top] + of_tier)
        parts.setdefault(key, []).append(page)
    return {key[2]: parts[key] for key in sorted(parts)}


def file_of(name: str) -> Path:
    """Where its source is."""
    path = SOURCE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def first_sentence(name: str) -> str:
    """What its docstring begins with."""
    docstring = ast.get_docstring(_TREES[name]) or ""
    return " ".join(docstring.split("\n\n")[0].split())
