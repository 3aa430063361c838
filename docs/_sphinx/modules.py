"""The modules that have a page each: what is trusted, and what claims with confidence rest on."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

#: Headings, and the packages below them whose modules are shown.
PARTS = {
    "Kernel": ("kernel",),
    "Networks": ("networks",),
    "Tasks": ("tasks",),
    "Theorems: the core": ("theorems.max_of_k.core",),
    "Theorems: branching": ("theorems.max_of_k.branching",),
    "Theorems: sub-cubic": ("theorems.max_of_k.subcubic",),
    "Theorems: failing sets": ("theorems.max_of_k.failing_sets",),
    "Theorems: few dimensions": ("theorems.max_of_k.few_dimensions",),
    "Theorems: counting": ("theorems.max_of_k.counting",),
    "Theorems: several heads": ("theorems.max_of_k.heads",),
    "Theorems: any decoder": ("theorems.enumerate",),
    "Theorems: two arguments": ("theorems.pair_sum",),
    "Theorems: the library": ("theorems",),
    "Claims with confidence": ("confidence",),
}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def _trees() -> dict[str, ast.Module]:
    """The modules of these packages that have a docstring of more than a line, or code."""
    package = SOURCE / "compactproofs"
    found = {}
    for top in ("kernel", "networks", "tasks", "theorems", "confidence"):
        for path in sorted((package / top).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if len(tree.body) > 1:
                found[_name(path)] = tree
    return found


def _imported(tree: ast.Module, known: dict[str, ast.Module]) -> set[str]:
    names = {
        name
        for node in tree.body  # not what only type checkers see
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }
    return names & known.keys()


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
    """The same by headings: each module where its innermost package is named."""
    packages = {f"compactproofs.{package}": part for part, packages in PARTS.items() for package in packages}
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for page in PAGES:
        package = max((p for p in packages if page == p or page.startswith(f"{p}.")), key=len)
        parts[packages[package]].append(page)
    return parts


def file_of(name: str) -> Path:
    """Where its source is."""
    path = SOURCE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def first_sentence(name: str) -> str:
    """What its docstring begins with."""
    docstring = ast.get_docstring(_TREES[name]) or ""
    return " ".join(docstring.split("\n\n")[0].split())
