"""What a reader must trust imports the standard library, NumPy and itself, and nothing else."""

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import compactproofs

PACKAGE = "compactproofs"
ROOT = Path(compactproofs.__file__).parent
CONTRACTS = Path(__file__).parent.parent / "pyproject.toml"
TRUSTED_FOLDERS = ("kernel", "networks", "tasks", "theorems")
OUTSIDE = {"numpy"}


def module_name(root: Path, file: Path) -> str:
    """The dotted name of a file below the package's directory."""
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join((PACKAGE, *(part for part in parts if part != "__init__")))


def trusted_modules(root: Path) -> dict[str, Path]:
    """The trusted modules by their dotted names."""
    files = [file for folder in TRUSTED_FOLDERS for file in sorted((root / folder).rglob("*.py"))]
    return {module_name(root, file): file for file in files}


def imports(root: Path, file: Path) -> Iterator[tuple[int, str]]:
    """All modules that a file imports anywhere, with the line: static imports, and calls that import by a name."""
    package = module_name(root, file) if file.name == "__init__.py" else module_name(root, file).rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join(parents[: len(parents) - node.level + 1] + ([base] if base else []))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                path = root.joinpath(*inner.split(".")[1:])
                is_module = inner.startswith(f"{PACKAGE}.") and (path.is_dir() or path.with_suffix(".py").is_file())
                yield node.lineno, inner if is_module else base
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in ("__import__", "import_module", "exec", "eval"):
                yield node.lineno, f"anything, by {name}"


def violations(root: Path) -> list[str]:
    """Every import of a trusted module that is not allowed, as "module:line imports what"."""
    trusted = trusted_modules(root)
    found = []
    for name, file in trusted.items():
        for line, target in imports(root, file):
            top = target.partition(".")[0]
            allowed = target in trusted if top == PACKAGE else top in OUTSIDE or top in sys.stdlib_module_names
            if not allowed:
                found.append(f"{name}:{line} imports {target}")
    return found


def test_trusted_imports() -> None:
    """No trusted module imports anything else; in particular nothing of the untrusted rest of the package."""
    modules = trusted_modules(ROOT)

    assert violations(ROOT) == []
    assert {
        f"{PACKAGE}.kernel.checker",
        f"{PACKAGE}.kernel.enclosure",
        f"{PACKAGE}.theorems.max_of_k.core.cubic",
    } <= set(modules)
    assert all(file.is_file() for file in modules.values())


def test_the_page_lists_the_trusted_modules() -> None:
    """`docs/trust.md` has a row for each of them and for each tier, with its lines; the tiers are all that there is."""
    repository = Path(__file__).parent.parent
    tool = runpy.run_path(str(repository / "tools" / "count_trusted.py"))
    page = (repository / "docs" / "trust.md").read_text(encoding="utf-8")
    assert tool["counted"](page) == page, "run: python tools/count_trusted.py"
    in_tiers = {file for patterns in tool["TIERS"].values() for pattern in patterns for file in ROOT.glob(pattern)}
    assert in_tiers == set(trusted_modules(ROOT).values())


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A small package of the same layout with nothing wrong in it."""
    root = tmp_path / PACKAGE
    for name in ("search/__init__", "search/hints", "__init__"):
        (root / f"{name}.py").parent.mkdir(exist_ok=True, parents=True)
        (root / f"{name}.py").write_text("import math\nimport numpy as np\n")
    for folder in (*TRUSTED_FOLDERS, "networks/attention_only", "theorems/max_of_k", "theorems/enumerate"):
        (root / folder).mkdir()
        (root / folder / "__init__.py").write_text(f"from {PACKAGE}.kernel import checker\n")
    (root / "kernel" / "checker.py").write_text("import numpy as np\n")
    assert violations(root) == []
    return root


@pytest.mark.parametrize(
    ("file", "code", "target"),
    [
        ("kernel/checker", "import torch", "torch"),
        ("kernel/checker", "import torch.nn as nn", "torch.nn"),
        ("networks/attention_only/model", "from torch import nn", "torch"),
        ("theorems/max_of_k/new", "from rich.console import Console", "rich.console"),
        ("kernel/enclosure", "import scipy", "scipy"),
        ("kernel/tensors", "from safetensors import deserialize", "safetensors"),
        ("kernel/checker", "import compactproofs.search.hints", "compactproofs.search.hints"),
        ("kernel/checker", "from compactproofs.search.hints import search_hints", "compactproofs.search.hints"),
        ("kernel/checker", "from compactproofs import search", "compactproofs.search"),
        ("kernel/checker", "from compactproofs import Model", "compactproofs"),
        ("kernel/checker", "import compactproofs", "compactproofs"),
        ("kernel/checker", "from .. import search", "compactproofs.search"),
        ("kernel/checker", "from ..search.hints import search_hints", "compactproofs.search.hints"),
        ("theorems/__init__", "from .. import search", "compactproofs.search"),
        ("theorems/new", "from ..search import search_hints", "compactproofs.search"),
        ("tasks/max_of_k", "def late() -> None:\n    import torch", "torch"),
        ("tasks/max_of_k", "try:\n    import torch\nexcept ImportError:\n    pass", "torch"),
        ("tasks/max_of_k", "if TYPE_CHECKING:\n    import torch", "torch"),
        ("tasks/max_of_k", "import importlib\nimportlib.import_module('torch')", "anything, by import_module"),
        ("tasks/max_of_k", "__import__('torch')", "anything, by __import__"),
        ("tasks/max_of_k", "exec('import torch')", "anything, by exec"),
    ],
)
def test_violations_are_found(planted: Path, file: str, code: str, target: str) -> None:
    """The test above can fail: each way to import what is not allowed is reported, with its place."""
    path = planted / f"{file}.py"
    path.write_text(f"import math\n{code}\n")
    name = module_name(planted, path)
    assert [line for line in violations(planted) if line.startswith(f"{name}:") and line.endswith(f"imports {target}")]


#: Imports that the contracts of `pyproject.toml` forbid: up, and across from tier to tier.
WRONG_WAYS = [
    ("kernel/checker", "from compactproofs.tasks import max_of_k", "tasks.max_of_k"),
    (
        "kernel/enclosure",
        "def late() -> None:\n    from ..networks import attention_only",
        "networks.attention_only",
    ),
    ("networks/attention_only/model", "import compactproofs.networks.decoder.model", "networks.decoder.model"),
    ("tasks/max_of_k", "import compactproofs.theorems", "theorems"),
    (
        "theorems/max_of_k/core/cubic",
        "from compactproofs.theorems.max_of_k.counting import sums",
        "theorems.max_of_k.counting.sums",
    ),
    (
        "theorems/max_of_k/branching/boxes",
        "from compactproofs.theorems.max_of_k.counting import sums",
        "theorems.max_of_k.counting.sums",
    ),
    ("theorems/max_of_k/counting/sums", "from ..subcubic import spread", "theorems.max_of_k.subcubic.spread"),
    (
        "theorems/enumerate/every_input",
        "from compactproofs.theorems.max_of_k.core import cubic",
        "theorems.max_of_k.core.cubic",
    ),
    ("search/prover", "from compactproofs.cli import app", "cli.app"),
    ("system/files", "from compactproofs.kernel import strict", "kernel.strict"),
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What the contracts say of the package with all of them in it."""
    place = tmp_path_factory.mktemp("wrong")
    shutil.copytree(ROOT, place / PACKAGE, ignore=lambda folder, names: [n for n in names if is_no_code(folder, n)])
    for file, code, _ in WRONG_WAYS:
        with (place / PACKAGE / f"{file}.py").open("a") as stream:
            stream.write(f"\n{code}\n")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--config", str(CONTRACTS)]
    # Lines that are broken could not be looked for.
    return subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "400"}
    )


@pytest.mark.parametrize(("file", "code", "target"), WRONG_WAYS)
def test_wrong_ways_are_found(asked: subprocess.CompletedProcess[str], file: str, code: str, target: str) -> None:
    """The contracts, which `make test` asks, can be broken: each import is named as one that breaks them by itself."""
    assert asked.returncode == 1
    assert "BROKEN" in asked.stdout
    found = re.findall(r"^- +(\S+) -> (\S+) \(l\.\d+\)$", asked.stdout, re.MULTILINE)
    assert (f"{PACKAGE}.{file.replace('/', '.')}", f"{PACKAGE}.{target}") in found


def is_no_code(folder: str, name: str) -> bool:
    """Whether it is neither a module nor a folder of modules."""
    return name == "__pycache__" or not (name.endswith(".py") or Path(folder, name).is_dir())


def test_relative_imports_of_the_trusted_part_are_allowed(planted: Path) -> None:
    """Only the direction matters."""
    (planted / "theorems" / "new.py").write_text(
        "from ..kernel.checker import verify\nfrom . import other\nfrom .. import tasks\n"
    )
    (planted / "theorems" / "other.py").write_text("")
    assert violations(planted) == []


HEAVY = (
    "safetensors",
    "torch",
    "rich",
    "typer",
    "click",
    "matplotlib",
    "polars",
    "distributed",
    "loky",
    "psutil",
    "flint",
    "transformer_lens",
)


@pytest.mark.parametrize("module", ["kernel.checker", "networks.attention_only.model", "kernel.certificate"])
def test_importing_the_checker_loads_no_heavy_package(module: str) -> None:
    """In a fresh interpreter, whichever of them are installed."""
    code = f"import sys, {PACKAGE}.{module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_that_import_test_can_fail() -> None:
    """The command line does load one of them."""
    code = f"import sys, {PACKAGE}.cli.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'typer'" in result.stdout
    assert "'torch'" not in result.stdout


def test_checking_works_where_nothing_else_is_installed(tmp_path: Path) -> None:
    """A certificate is verified with every import outside the standard library and NumPy blocked."""
    code = f"""
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {sorted(OUTSIDE | {PACKAGE})!r}:
            raise ModuleNotFoundError("blocked: " + name, name=name)

sys.meta_path.insert(0, Block())
import compactproofs as cp

model = cp.load_model("max-of-4/123")
certificate = cp.Certificate.from_bytes(cp.prove(model, "cubic").certificate.to_bytes())
print(cp.verify(certificate, model).accepted)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "True\n"
