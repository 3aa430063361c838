"""The public surface: names, types and words."""

import ast
import builtins
import doctest
import importlib
import math
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compactproofs as cp
from compactproofs import theorems
from compactproofs.networks.attention_only.model import WEIGHTS
from compactproofs.search.families import companion_of
from compactproofs.theorems import BUILT_IN
from soundness.models import working_weights

SOURCES = sorted(Path(cp.__file__).parent.rglob("*.py"))
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_public_names() -> None:
    """These and no others."""
    assert cp.__all__ == [
        "STRATEGIES",
        "Certificate",
        "Certified",
        "CompactProofsError",
        "Infeasible",
        "InvalidModel",
        "LabelTable",
        "MalformedCertificate",
        "Model",
        "Proof",
        "ProofFailed",
        "Prover",
        "Strategy",
        "TooMuchWork",
        "UnknownModel",
        "UnknownStrategy",
        "Verdict",
        "__version__",
        "certify",
        "feasible_strategies",
        "frame",
        "load_decoder",
        "load_model",
        "load_network",
        "prove",
        "prove_all",
        "task_for",
        "verify",
    ]
    assert dir(cp) == sorted([*cp.__all__, "plot"])
    assert all(hasattr(cp, name) for name in dir(cp))


def test_errors_of_the_user_are_value_errors() -> None:
    """So that one `except ValueError` catches them; a failed proof is a bug and is none."""
    errors = (cp.Infeasible, cp.InvalidModel, cp.MalformedCertificate, cp.TooMuchWork)
    for error in (*errors, cp.UnknownModel, cp.UnknownStrategy):
        assert issubclass(error, ValueError)
    assert not issubclass(cp.ProofFailed, ValueError)


def error_classes() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every exception class that a module of the package defines, and what it derives from, by names."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = tuple(ast.unparse(base) for base in node.bases)
                kinds = (getattr(builtins, base, None) for base in bases)
                if any(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
                    yield node.name, bases


def test_errors_have_one_root() -> None:
    """Each derives from it and from one kind of Python's, and its docstring lists those with public names so."""
    found = dict(error_classes())
    assert found.pop("CompactProofsError") == ("Exception",)
    assert {bases[0] for bases in found.values()} == {"CompactProofsError"}
    listed: dict[str, tuple[str, ...]] = {}
    kind = ""
    for line in str(cp.CompactProofsError.__doc__).strip().split("\n\n")[1].splitlines():
        first, *names = line.replace(",", " ").split()
        kind, names = (first, names) if hasattr(builtins, first) else (kind, [first, *names])
        listed |= dict.fromkeys(names, ("CompactProofsError", kind))
    assert listed == {name: bases for name, bases in found.items() if not name.startswith("_")}


ARGMAX = str(Path(__file__).parent / "cases" / "argmax3_v10.safetensors")
ADDITION = str(Path(__file__).parent / "cases" / "add_23.safetensors")
#: What nobody means, of all kinds; some of it is fit for some arguments.
ODD: dict[str, Any] = {
    **{
        "None": None,
        "int": 3,
        "negative": -1,
        "huge": 10**30,
        "float": 1.5,
        "nan": math.nan,
        "text": "x",
        "nothing": "",
    },
    **{"bytes": b"x", "null": "a\0b", "list": [1, 2], "texts": ["a", "b"], "dict": {}, "object": object()},
    **{"class": int, "array": np.arange(3), "path": Path("no/such"), "function": lambda *_: None},
}


def misused(model: cp.Model, odd: Any) -> list[Callable[[], object]]:
    """Calls of all that is public, each with one argument that is odd."""
    certified = cp.certify(model, seconds=5)
    certificate, weights = certified.certificate, {name: getattr(model, name) for name in WEIGHTS}
    decoder, table = cp.load_decoder(ARGMAX), cp.LabelTable([0, 1])
    certify, task_for = partial(cp.certify, seconds=1e-3), cp.task_for
    readers = (cp.Model.from_bytes, cp.LabelTable.from_bytes, cp.Certificate.from_bytes, cp.Certificate.of_fields)
    loaders = (cp.load_model, cp.load_network, cp.load_decoder, cp.Model.load, cp.LabelTable.load, cp.Certificate.load)
    savers = (model.save, table.save, certificate.save, certified.save)
    of_one = (cp.feasible_strategies, cp.Prover, certify, cp.frame, cp.plot.frontier, cp.plot.circuits)
    of_model = (cp.prove, cp.feasible_strategies, lambda model, ids: list(cp.prove_all(model, ids)))
    functions: tuple[Callable[..., object], ...] = (*readers, *loaders, *savers, *of_one)
    calls: list[Callable[[], object]] = [partial(function, odd) for function in functions]
    calls += [partial(cp.load_decoder, ARGMAX, **{name: odd}) for name in ("act_fn", "eps", "attn_scale", "colour")]
    calls += [partial(cp.prove, odd, "cubic"), partial(task_for, odd, "max"), partial(task_for, decoder, odd)]
    calls += [partial(function, model, odd) for function in of_model] + [partial(lambda: list(cp.prove_all(odd)))]
    calls += [partial(cp.Prover, model, **{name: odd}) for name in ("task", "library", "companion", "finer", "keep")]
    calls += [
        partial(cp.Prover(model).prove, odd),
        partial(cp.Prover(model).search, odd),
        partial(cp.Prover(model).require, odd),
        partial(cp.Prover(model).cost, odd, {}),
        partial(cp.Prover(model).cost, cp.STRATEGIES["number-line"], odd),
        partial(cp.Prover(model).certify, cp.STRATEGIES["number-line"], odd),
        partial(cp.Prover(model).certify, cp.STRATEGIES["cubic"], {"window": odd}),
        partial(cp.feasible_strategies, decoder),
        partial(cp.verify, odd, model),
        partial(cp.verify, certificate, odd),
    ]
    limits = ("work", "max_ops", "max_memory", "allowance", "library", "tables")
    calls += [partial(cp.verify, certificate, model, **{name: odd}) for name in limits]
    asked = ("prefix", "suffix", "read_out", "n", "v", "k", "inputs", "weights", "table")
    for name in (*asked, "task", "order", "family", "eps"):
        calls += [partial(certify, of, **{name: odd}) for of in (model, ARGMAX, ADDITION)]
    calls += [partial(certify, model, seconds=odd)]
    for name in asked:
        calls += [partial(task_for, decoder, "argmax", **{name: odd})]
        calls += [partial(task_for, decoder, "sum-mod", **({"k": 2} | {name: odd}))]
    calls += [partial(certify, {"embed.W_E": odd}), partial(cp.Model.from_state_dict, odd)]
    calls += [
        partial(cp.Model.from_state_dict, model.state_dict() | {"embed.W_E": odd}),
        partial(model.state_dict, odd),
    ]
    calls += [
        partial(cp.LabelTable, odd),
        partial(cp.LabelTable.of, max, odd, 2),
        partial(cp.LabelTable.of, max, 2, odd),
    ]
    calls += [partial(cp.Model, **(weights | {name: odd})) for name in ("W_E", "b_U")]
    return [*calls, partial(cp.LabelTable.of, lambda tokens: odd, 2, 2)]


@pytest.mark.parametrize("kind", ODD)
def test_misuse(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is given in place of an argument, errors are of this package, or of the system."""
    monkeypatch.chdir(tmp_path)
    model = cp.Model(**working_weights(np.random.default_rng(0), 6, 3, 2, sharpness=1.0, noise=0.2))
    refused = 0
    for call in misused(model, ODD[kind]):
        try:
            call()
        except (cp.CompactProofsError, OSError):
            refused += 1
        except Exception as error:
            raise AssertionError(call) from error
    assert refused > 50


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"finer": 0}, "finer: expected a positive number, found 0"),
        ({"finer": math.inf}, "finer: expected a positive number, found inf"),
        ({"finer": 10**400}, "finer: expected a positive number, found 1000"),
        ({"keep": ""}, "keep: expected a folder, found ''"),
        ({"keep": "file"}, "keep: file is a file, not a directory"),
        ({"keep": "a\0b"}, "keep: embedded null byte"),
    ],
    ids=str,
)
def test_how_to_search(argument: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no search can do is found before it begins."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    model = cp.Model(**working_weights(np.random.default_rng(0), 6, 3, 2, sharpness=1.0, noise=0.2))
    with pytest.raises(cp.CompactProofsError, match=f"^{words}"):
        cp.Prover(model, **argument)


def test_package_example() -> None:
    """The example in the package's docstring runs."""
    result = doctest.testmod(cp)
    assert (result.attempted, result.failed) == (4, 0)


def definitions(body: list[ast.stmt], prefix: str, in_class: bool) -> Iterator[tuple[str, Definition, bool]]:
    """All public functions, classes and methods, with whether they are methods; not those inside functions."""
    for node in body:
        if isinstance(node, Definition) and (not node.name.startswith("_") or node.name == "__init__"):
            yield f"{prefix}.{node.name}", node, in_class
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, f"{prefix}.{node.name}", True)


def complaints(source: str, name: str) -> list[str]:
    """What lacks a docstring or an annotation in a module."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else [f"{name}: no docstring"]
    for place, node, is_method in definitions(tree.body, name, False):
        if not ast.get_docstring(node) and node.name != "__init__":
            found.append(f"{place}: no docstring")
        if isinstance(node, ast.ClassDef):
            continue
        if node.returns is None:
            found.append(f"{place}: no return type")
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
        positional = [*node.args.posonlyargs, *node.args.args]
        optional = [a for a in (node.args.vararg, node.args.kwarg) if a is not None]
        arguments = positional[1 if is_method and not static else 0 :] + node.args.kwonlyargs + optional
        found += [f"{place}: {argument.arg} has no type" for argument in arguments if argument.annotation is None]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCES[0].parent)))
def test_docstrings_and_annotations(path: Path) -> None:
    """Every module, and every public function, class and method, says what it is and what it takes."""
    assert complaints(path.read_text(encoding="utf-8"), path.stem) == []


def test_that_test_can_fail() -> None:
    """Each kind of gap is found."""
    source = (
        "def f(x, *rest, y=1, **more): pass\nclass C:\n    def m(self, z: int): 'Doc.'\n    def _hidden(self): pass"
    )
    assert complaints(source, "m") == [
        "m: no docstring",
        "m.f: no docstring",
        "m.f: no return type",
        "m.f: x has no type",
        "m.f: y has no type",
        "m.f: rest has no type",
        "m.f: more has no type",
        "m.C: no docstring",
        "m.C.m: no return type",
    ]


def test_strategies_describe_themselves() -> None:
    """Each has its id as key, a summary, and a theorem that names a module whose docstring states and proves it."""
    for strategy_id, strategy in cp.STRATEGIES.items():
        assert strategy.id == strategy_id
        assert companion_of(strategy).summary
        assert companion_of(strategy).complexity.startswith("O(")
        module = importlib.import_module(companion_of(strategy).stated_in)
        assert "Theorem" in (module.__doc__ or ""), strategy.theorem
        assert "Proof" in (module.__doc__ or ""), strategy.theorem


def test_without_transformer_lens() -> None:
    """Where it is not installed, the error has the line that installs it; a broken installation shows its own error."""
    code = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == BLOCKED:
            raise ModuleNotFoundError("blocked", name=name if SHOWN is None else SHOWN)

sys.meta_path.insert(0, Block())
try:
    import compactproofs.lens
except ImportError as error:
    print(type(error).__name__, error)
"""
    for blocked in ("torch", "transformer_lens"):
        text = code.replace("BLOCKED", repr(blocked)).replace("SHOWN", "None")
        result = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        assert result.stdout.startswith("ImportError ")
        assert 'pip install "compactproofs[lens]"' in result.stdout
    text = code.replace("BLOCKED", "'torch'").replace("SHOWN", "'other'")
    result = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert result.stdout == "ModuleNotFoundError blocked\n"


def test_companions_name_all_theorems_and_lemmas() -> None:
    """Every module that states one belongs to a strategy, and what a strategy names has something to say."""
    companions = [companion_of(strategy) for strategy in BUILT_IN.strategies.values()]
    listed = {module for companion in companions for module in (companion.stated_in, *companion.lemmas)}
    assert all(importlib.import_module(module).__doc__ for module in listed)
    states = re.compile(r"^(Theorem|Lemma|Screening lemma)\b", re.MULTILINE)
    for _, name, is_package in pkgutil.walk_packages(theorems.__path__, f"{theorems.__name__}."):
        if not is_package and states.search(importlib.import_module(name).__doc__ or ""):
            assert name in listed
