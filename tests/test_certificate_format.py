"""`docs/certificate-format.md` says what the code does: keys, types, and the hints of every strategy."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import compactproofs.theorems
from compactproofs.kernel import certificate, checker, enclosure
from compactproofs.kernel import tensors as tensors_module
from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.networks.attention_only import biases
from compactproofs.networks.attention_only import model as model_module
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening import models
from compactproofs.opening.models import Model
from compactproofs.search import certificates
from compactproofs.search.hints import search_hints
from compactproofs.search.prover import SPARED_BITS
from compactproofs.search.workspaces import workspace
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.tasks.pairs import add_mod
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.max_of_k.branching import boxes, branch_and_bound, class_margins
from compactproofs.theorems.max_of_k.core import brute_force
from compactproofs.theorems.max_of_k.counting import both_ends, histogram, some_sum, sums
from compactproofs.theorems.max_of_k.failing_sets import failing_inputs, safe_outputs
from compactproofs.theorems.max_of_k.failing_sets import strategies as failing_sets
from compactproofs.theorems.max_of_k.subcubic import direct_path, own_output, remainder
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES
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
    found = dict(BUILT_IN.strategies)
    for module in pkgutil.walk_packages(compactproofs.theorems.__path__, "compactproofs.theorems."):
        for value in vars(importlib.import_module(module.name)).values():
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


def one(*sizes: int) -> npt.NDArray[np.float64]:
    """A tensor of these sizes."""
    return np.ones(sizes)


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
    size_of = {
        "v(v+1)/2": v * (v + 1) // 2,
        "n−1": n - 1,
        "v": v,
        "d": d,
        "1": 1,
        "2": 2,
        "3": 3,
        "11": 11,
        "12": 12,
        "64": 64,
        "any": None,
        "m": 7,
        "n": 5,
        "4": 4,
        "m+k": 10,
        "a h": 6,
        "v+n+d": v + n + d,
        "v+c+d": 7 + d,
        "d+m+k": d + 10,
    }
    attention = {"embed.W_E": one(5, d), "pos_embed.W_pos": one(2, d), "unembed.W_U": one(d, 3)}
    attention |= {"blocks.0.attn.W_V": one(2, d, 3), "blocks.0.attn.W_O": one(2, 3, d)}
    attention |= {"blocks.0.mlp.W_in": one(d, 7), "blocks.0.mlp.W_out": one(7, d)}
    two_arguments = Problem(PairSum(attention), add_mod(5))
    forms: dict[tuple[str, ...], tuple[str, tuple[int | None, ...]]] = {}
    for name, dtype, shape, _ in table("hint", "dtype"):
        names = codes(dtype)
        assert dtype in (f"`{names[0]}`", f"`{names[0]}` if v ≤ 256, else `{names[-1]}`")
        hint, *only_of = codes(name)
        forms[hint, *only_of] = (names[0 if v <= 256 else -1], tuple(size_of[size] for size in shape.split(", ")))

    found = documented()
    for strategy in all_strategies().values():
        problem: Problem[Any, Any] = two_arguments if strategy.family == PairSum.family else max_of_k(model)
        specs = strategy.hints(problem)
        expected = {name: (np.dtype(spec.dtype).name, spec.shape) for name, spec in specs.items()}
        said = {name: forms.get((name, strategy.id), forms.get((name,))) for name in found[strategy.id][2]}
        assert said == expected, strategy.id
    assert {hint for hint, *_ in forms} == {name for _, _, hints in found.values() for name in hints}


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
    cells = {row[0]: row[1] for row in table("key", "value")}
    assert sorted(code(key) for key in cells) == sorted(certificate._KEYS)
    assert [code(key) for key, _ in table("hint key", "value")] == ["dtype", "shape", "data"]
    assert [(code(name), int(size)) for name, size, _ in table("dtype", "bytes")] == [
        (name, dtype.itemsize) for name, dtype in certificates.DTYPES.items()
    ]
    assert code(cells["`format`"]) == f'"{certificate.FORMAT}"'
    assert code(cells["`version`"]) == str(certificate.VERSION)
    assert codes(cells["`claim`"]) == [f'"{claim}"' for claim in certificate.CLAIMS]
    assert set(codes(cells["`task`"])) == {"name"}


def test_limits() -> None:
    """Sizes that the page names as powers of two."""
    assert certificates.MAX_BYTES == 2**24
    assert "at most 2²⁴ bytes" in PAGE
    assert models.MAX_FILE_BYTES == 2**28
    assert tensors_module.MAX_HEADER_BYTES == 2**20
    text = " ".join(PAGE.split())
    assert "a safetensors file of at most 2²⁸ bytes. Its first eight bytes are the length of the header" in text
    assert "(little-endian), at most 2²⁰;" in text
    assert (tensors_module.MAX_AXES, tensors_module.MAX_ENTRIES) == (8, 2**31)
    assert "at most 8 integers, none negative; their product, with 1 for each 0, is at most 2³¹" in text


def test_types_of_tensors() -> None:
    """How many bits each has."""
    assert {
        dtype: int(bits) for bits, dtypes in table("bits", "types") for dtype in codes(dtypes)
    } == tensors_module._BITS


def test_tensors() -> None:
    """Matrices and biases, their names on disk, shapes and the axis of the head."""
    for kind, known in (("matrix", model_module.WEIGHTS), ("bias", biases.BIASES)):
        assert {
            code(name): (code(tensor), shape.replace(" × ", ""), head == "yes")
            for name, tensor, shape, head in table(kind, "tensor")
        } == known
        assert [code(row[0]) for row in table(kind, "tensor")] == list(known)
    for name in model_module.BUFFERS:
        assert f"`{name}`" in PAGE


def test_variants_of_failing_sets() -> None:
    """Which tables they know exactly, and of which they use single entries."""
    work = workspace(model_of(5, 3, 4, 3), "value")
    rows = table("strategy", "scores")
    assert [code(row[0]) for row in rows] == list(failing_sets.KINDS)
    for name, scores, direct, entries in rows:
        kind = failing_sets.KINDS[code(name)]
        tables = kind.tables_of(work, search_hints(kind.strategy, work))
        assert (tables.score_high is tables.score_low) == (scores == "exact")
        assert (tables.direct_high is tables.direct_low) == (direct == "exact")
        found = [word for word, known in (("score", tables.scores), ("direct", tables.directs)) if known is not None]
        assert ", ".join(found) == entries


def test_sizes_and_codes_of_strategies() -> None:
    """Numbers in the statements."""
    page = " ".join(PAGE.split())
    assert failing_inputs.MAX_CHOICES == 2**24
    assert failing_sets.NEAR == 4
    assert failing_sets.GIVEN_UP == 65535
    assert safe_outputs.WITH_ENTRIES == 14 * 2**12
    assert (safe_outputs.FIRST_TEST, safe_outputs.SECOND_TEST) == (15 * 2**12 + 2, 15 * 2**12 + 1)
    assert safe_outputs.QUERY_IS_MAXIMUM == 15 * 2**12
    assert (branch_and_bound.MAX_VOCABULARY, branch_and_bound.MAX_INPUTS) == (2**9, 2**42)
    assert "rejected unless v ≤ 2⁹ and vⁿ ≤ 2⁴²" in page
    assert (histogram.MAX_VOCABULARY, class_margins.MAX_POSITIONS, histogram.MAX_INPUTS) == (2**9, 2**10, 2**900)
    assert "unless v ≤ 2⁹, n ≤ 2¹⁰ and vⁿ ≤ 2⁹⁰⁰" in page
    assert (branch_and_bound.MAX_BOXES, SPARED_BITS, histogram.MAX_LEVEL, histogram.EDGES) == (2**22, 16, 12, 64)
    assert (sums._MOST, both_ends._MOST, both_ends.MANTISSA) == (2**19, 2**23, 9)
    assert (some_sum._MOST, some_sum._MOST_EXACTLY, some_sum._MOST_WAYS) == (2**25, 2**16, 2**23)
    assert "by less than 2²² boxes" in page
    assert boxes._MAX_SINGLES == brute_force._MAX_UNDECIDED == 2**14
    assert "at most 2¹⁴ of the others" in page
    assert "at most 2¹⁴ inputs of each class" in page
    assert enclosure.MAX_TERMS == 2**20
    assert "fewer than 2²⁰ terms at a time" in page
    assert brute_force.MAX_INPUTS == 2**31
    assert "A claim leaves 2⁻¹⁶ of the wrong inputs" in page


def test_modules_that_the_page_names_exist() -> None:
    """Theorems and docstrings can be looked up."""
    for name in set(re.findall(r"`(compactproofs\.(?!strategies)[\w.]+)`", PAGE)):
        assert importlib.import_module(name).__doc__
    assert checker.verify.__doc__
