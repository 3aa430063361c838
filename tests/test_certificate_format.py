"""`docs/certificate-format.md` says what the code does: keys, types, and the hints of every strategy."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import compactproofs.strategies
from compactproofs import certificate, checker
from compactproofs import model as model_module
from compactproofs.lemmas import direct_path, own_output, remainder
from compactproofs.model import Model
from compactproofs.strategies import STRATEGIES, Strategy
from compactproofs.strategies.subcubic import CHOICES
from soundness.models import random_weights

PAGE = (Path(__file__).parent.parent / "docs" / "certificate-format.md").read_text(encoding="utf-8")

Row = tuple[str, ...]


def table(first: str, second: str) -> list[Row]:
    """The rows of the page's only table whose head begins with these two cells."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE):
        rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in block.splitlines()]
        if rows[0][:2] == (first, second):
            found.append(rows[2:])
    assert len(found) == 1, f"{len(found)} tables begin with {first}, {second}"
    return found[0]


def codes(cell: str) -> list[str]:
    """What stands between backquotes in a cell."""
    return re.findall(r"`([^`]*)`", cell)


def code(cell: str) -> str:
    """The same where there is one."""
    (only,) = codes(cell)
    return only


def all_strategies() -> dict[str, Strategy]:
    """The strategies of all modules, whether they are registered or not."""
    found = dict(STRATEGIES)
    for module in pkgutil.iter_modules(compactproofs.strategies.__path__):
        for value in vars(importlib.import_module(f"compactproofs.strategies.{module.name}")).values():
            if isinstance(value, Strategy):
                found[value.id] = value
    return found


def documented() -> dict[str, tuple[str, str, list[str]]]:
    """Theorem, claim and hints of every strategy, from the page."""
    found = {}
    choices = [
        [(code(name), codes(hints)) for name, hints in table(kind, "more hints")]
        for kind in ("direct path", "attention", "remainder")
    ]
    for name, theorem, claim, hints in table("strategy", "theorem"):
        if not code(name).endswith("*"):
            found[code(name)] = (code(theorem), claim, codes(hints))
            continue
        for direct, of_direct in choices[0]:
            for attention, of_attention in choices[1]:
                for rest, of_rest in choices[2]:
                    more = of_direct + of_attention + of_rest
                    key = code(name).replace("*", f"{direct}/{attention}/{rest}")
                    found[key] = (code(theorem), claim, codes(hints) + more)
    return found


def model_of(v: int, n: int, d: int, h: int) -> Model:
    """A model of these sizes."""
    return Model(**random_weights(np.random.default_rng(0), v, n, d, h))


def test_strategies() -> None:
    """The page has every strategy with its theorem and its claim, and no other."""
    assert {key: row[:2] for key, row in documented().items()} == {
        strategy.id: (strategy.theorem, strategy.claim) for strategy in all_strategies().values()
    }


@pytest.mark.parametrize("sizes", [(2, 1, 3, 2), (5, 3, 4, 7), (257, 2, 3, 2)])
def test_hints(sizes: tuple[int, int, int, int]) -> None:
    """Names, types and shapes of the hints of every strategy, for models of three sizes."""
    v, n, d, _ = sizes
    model = model_of(*sizes)
    size_of = {"v(v+1)/2": v * (v + 1) // 2, "n−1": n - 1, "v": v, "d": d, "1": 1, "2": 2, "3": 3, "any": None}
    forms = {}
    for name, dtype, shape, _ in table("hint", "dtype"):
        names = codes(dtype)
        assert dtype in (f"`{names[0]}`", f"`{names[0]}` if v ≤ 256, else `{names[-1]}`")
        forms[code(name)] = (names[0 if v <= 256 else -1], tuple(size_of[size] for size in shape.split(", ")))

    found = documented()
    for strategy in all_strategies().values():
        specs = strategy.hints(model)
        expected = {name: (np.dtype(spec.dtype).name, spec.shape) for name, spec in specs.items()}
        assert {name: forms[name] for name in found[strategy.id][2]} == expected, strategy.id
    assert set(forms) == {name for _, _, hints in found.values() for name in hints}


def test_choices() -> None:
    """The three choices of the sub-cubic family, in order."""
    for kind, names in (
        ("direct path", direct_path.KINDS),
        ("attention", own_output.KINDS),
        ("remainder", remainder.KINDS),
    ):
        assert [code(row[0]) for row in table(kind, "more hints")] == list(names)
    assert len(CHOICES) == 5 * 2 * 10


def test_keys_and_types() -> None:
    """The keys of a certificate, of its task and of a hint, and the types of hints."""
    cells = dict(table("key", "value"))
    assert [code(key) for key in cells] == list(certificate._KEYS)
    assert [code(key) for key, _ in table("hint key", "value")] == ["dtype", "shape", "data"]
    assert [(code(name), int(size)) for name, size, _ in table("dtype", "bytes")] == [
        (name, dtype.itemsize) for name, dtype in certificate._DTYPES.items()
    ]
    assert code(cells["`format`"]) == f'"{certificate.FORMAT}"'
    assert code(cells["`version`"]) == str(certificate.VERSION)
    assert codes(cells["`claim`"]) == [f'"{claim}"' for claim in certificate.CLAIMS]
    assert set(codes(cells["`task`"])) == {"name", "n_ctx", "d_vocab", '"max"'}


def test_limits() -> None:
    """Sizes that the page names as powers of two."""
    assert certificate.MAX_BYTES == 2**24
    assert "at most 2²⁴ bytes" in PAGE
    assert model_module.MAX_FILE_BYTES == 2**28
    assert model_module.MAX_HEADER_BYTES == 2**20
    assert "at most 2²⁸ bytes, its header at most 2²⁰" in " ".join(PAGE.split())


def test_tensors() -> None:
    """Matrices, their names on disk, shapes and the axis of the head."""
    assert {
        code(matrix): (code(tensor), shape.replace(" × ", ""), head == "yes")
        for matrix, tensor, shape, head in table("matrix", "tensor")
    } == model_module._WEIGHTS
    assert [code(row[0]) for row in table("matrix", "tensor")] == list(model_module._WEIGHTS)
    for name in (*model_module._BUFFERS, model_module._BIASES[0], model_module._BIASES[-1]):
        assert f"`{name}`" in PAGE


def test_modules_that_the_page_names_exist() -> None:
    """Theorems and docstrings can be looked up."""
    for name in set(re.findall(r"`(compactproofs\.[\w.]+)`", PAGE)):
        assert importlib.import_module(name).__doc__
    assert checker.verify.__doc__
