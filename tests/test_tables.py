"""Tasks of one's own: tables of labels, some sequences only, weights of tokens; against plain Python and Arb."""

from __future__ import annotations

import inspect
import itertools
import json
import sys
from dataclasses import replace
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import decoders
from compactproofs import Certificate, LabelTable, MalformedCertificate, __main__
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.decoder.model import Configuration, Decoder
from compactproofs.opening.networks import task_for
from compactproofs.search import guesses
from compactproofs.search.effort import verify
from compactproofs.search.prover import Prover
from compactproofs.tasks import sequences, tables
from compactproofs.tasks.sequences import INPUTS, NAMES, RULES, TABLE, Sequences
from compactproofs.tasks.tables import Table
from compactproofs.theorems.enumerate import every_input
from exactcheck import checking, reading
from exactcheck import decoders as second

PLAIN = Configuration(1.0)


def some_task(rng: np.random.Generator, module: Any = sequences, **fixed: Any) -> Any:
    """A task for a network of four tokens, positions and outputs, with all that there is."""
    while True:
        n, v = int(rng.integers(1, 5)), int(rng.integers(1, 5))
        weights = tuple(rng.integers(0, 4, v).tolist()) if rng.random() < 0.6 else ()
        table = Table(rng.integers(-1, 4, v**n) if v**n > 1 else np.array([2])) if rng.random() < 0.6 else None
        name = TABLE if table else str(rng.choice([name for name in RULES if not RULES[name].uses]))
        more = {"weights": weights, "inputs": str(rng.choice(list(INPUTS))), "table": table, "read_out": n - 1, **fixed}
        try:
            return module.Sequences(name, n, v, **{"configuration": PLAIN, **more})
        except ValueError as error:
            if not ("there are no inputs" in str(error) or "labels are outputs" in str(error)):
                raise


def what_counts(task: Any, x: tuple[int, ...]) -> int:
    """Of a sequence, in plain Python."""
    is_input = {
        "all": True,
        "distinct": all(a != b for a, b in itertools.combinations(x, 2)),
        "ascending": list(x) == sorted(x),
    }[task.inputs]
    return prod(task.weights[t] for t in x) * is_input if task.weights else int(is_input)


def check_totals(module: Any = sequences, number: int = 150) -> None:
    """Of random tasks they are what all inputs count, and so is what each counts and is labelled."""
    rng = np.random.default_rng(0)
    for _ in range(number):
        task = some_task(rng, module)
        every = list(itertools.product(range(task.v), repeat=task.n))
        given = dict(zip(every, task.table.labels.tolist(), strict=True)) if task.table else {}
        expected = [0 if given.get(x) == -1 else what_counts(task, x) for x in every]
        found = task.batch(0, task.size)
        assert [tuple(x) for x in found.tolist()] == every
        assert task.counts(found).tolist() == expected
        assert task.total == sum(expected)
        if given:
            assert task.labels(found).tolist() == list(given.values())


def test_totals() -> None:
    """Of tasks small enough to go through."""
    check_totals()


def test_totals_of_many() -> None:
    """Nobody goes through these; the second checker finds them in another way."""
    rng = np.random.default_rng(1)
    for inputs in INPUTS:
        for v, n in ((9, 5), (40, 7), (7, 7)):
            weights = tuple(rng.integers(0, 9, v).tolist()) if v < 40 else (1, 2) * 20
            for given in ((), weights):
                task = Sequences("max", n, v, PLAIN, inputs=inputs, weights=given)
                other = second.Task("max", n, v, 0, 0, (), (), {}, inputs, given, [])
                assert task.total == other.total
    assert Sequences("max", 3, 2**31 - 1, PLAIN, inputs="distinct").total == (2**31 - 1) * (2**31 - 2) * (2**31 - 3)


def check_bounds(module: Any = every_input, number: int = 12) -> None:
    """What is proved is the truth, in both directions."""
    rng = np.random.default_rng(2)
    for _ in range(number):
        network = decoders.decoder(rng, layers=1)
        task = some_task(rng, configuration=network.configuration, prefix=())
        if task.length > 4:
            continue
        right = wrong = 0
        for x in itertools.product(range(task.v), repeat=task.n):
            label = int(task.labels(np.array([x]))[0])
            answer = decoders.answer(decoders.truth(network, x, task.read_out))
            counts = what_counts(task, x) * (label >= 0)
            right, wrong = right + counts * (answer == label), wrong + counts * (answer != label)
        work: Workspace[Decoder, Sequences] = Workspace(Problem(network, task))
        assert tuple(module.decide(work)) == (right, wrong)
        assert module.bound_from_above(work, {}) == right


def test_bounds() -> None:
    """By enumeration of random decoders."""
    check_bounds()


#: What stands in the modules, and what is put there instead.
ERRORS: dict[str, tuple[ModuleType, str, str]] = {
    "each token any number of times": (
        sequences,
        "range(self.n, 0, -1) if distinct",
        "range(1, self.n + 1) if distinct",
    ),
    "one order": (sequences, "* (math.factorial(self.n) if distinct else 1)", ""),
    "sets for multisets": (sequences, "math.comb(self.v + self.n - 1, self.n)", "math.comb(self.v, self.n)"),
    "unweighted total": (sequences, "sum(self.weights) if self.weights else self.v", "self.v"),
    "strictly ascending": (sequences, "np.diff(x, axis=1) >= 0", "np.diff(x, axis=1) > 0"),
    "neighbours differ": (sequences, "np.diff(np.sort(x, axis=1), axis=1) > 0", "np.diff(x, axis=1) != 0"),
    "first token fastest": (sequences, "np.arange(self.n - 1, -1, -1)]", "np.arange(self.n)]"),
    "what is no input counts": (sequences, "& (self.labels(inputs) >= 0)", ""),
    "sum of weights": (sequences, "[inputs].prod(1)", "[inputs].sum(1)"),
    "inputs forgotten": (sequences, "INPUTS[self.inputs](inputs) &", ""),
    "right by number": (
        every_input,
        "int(counts[(certainly_positive(lead) | own).all(axis=1)].sum())",
        "int((certainly_positive(lead) | own).all(axis=1).sum())",
    ),
    "wrong by number": (
        every_input,
        "int(counts[(certainly_positive(-lead) & ~own).any(axis=1)].sum())",
        "int((certainly_positive(-lead) & ~own).any(axis=1).sum())",
    ),
    "from all sequences": (every_input, "work.task.total -", "work.task.size -"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_planted_errors(name: str) -> None:
    """Each is found, by a wrong number or by an exception."""
    module, old, new = ERRORS[name]
    source = inspect.getsource(module)
    assert source.count(old) >= 1
    copy = ModuleType("planted_task")
    sys.modules["planted_task"] = copy
    exec(source.replace(old, new), copy.__dict__)
    with pytest.raises((AssertionError, IndexError, ValueError)):
        check_totals(copy) if module is sequences else check_bounds(copy, 60)


def test_both_checkers(tmp_path: Path, capsys: Any) -> None:
    """Certificates come back, and both accept what is proved and reject one more."""
    rng = np.random.default_rng(3)
    path, proof, labels = tmp_path / "m.safetensors", tmp_path / "p.cert.json", tmp_path / "t.safetensors"
    for i in range(8):
        network = decoders.decoder(rng, layers=1)
        task = some_task(rng, configuration=network.configuration)
        path.write_bytes(save(dict(network.tensors)))
        table = () if task.table is None else (LabelTable(task.table.labels),)
        for each in table:
            each.save(labels)
        for strategy, more in (("enumerate", 1), ("enumerate-upper", -1)):
            certificate = Prover(network, task).prove(strategy).certificate
            again = Certificate.from_bytes(certificate.to_bytes())
            assert Sequences.of_record(again.task, table) == task
            assert ("by their weights" in str(again)) == bool(task.weights)
            for certified, code in ((again.certified, 0), (again.certified + more, 1)):
                if 0 <= certified <= task.total:
                    claim = replace(again, certified=certified)
                    claim.save(proof)
                    assert verify(claim, network, tables=table).accepted == (code == 0)
                    files = [str(proof), str(path), *([str(labels)] if table else [])]
                    assert checking.main(files) == code, (i, capsys.readouterr())
            for total in (task.total + 1, again.certified):
                if total != task.total:
                    replace(again, total=total).save(proof)
                    assert checking.main(files) == 1
                    assert not verify(replace(again, total=total), network, tables=table).accepted


@pytest.mark.parametrize(
    "change",
    [
        *({"inputs": kind} for kind in ("all", "sorted", "", 1)),
        *(
            {"weights": text}
            for text in ("", "1 1", "1 1 1 1 1", "-1 1 1 1", "1 1  1 1", "01 1 1 1", "0 0 0 0", "9" * 19, "9" * 20, 3)
        ),
        {"weights": "9999999999 1 1 1"},
        *({"table": text} for text in ("0" * 64, "", 0)),
        *({"name": TABLE}, {"name": TABLE, "table": "0" * 64}, {"name": TABLE, "k": 1}),
    ],
    ids=str,
)
def test_records_that_are_none(change: dict[str, Any], tmp_path: Path) -> None:
    """Are malformed to both checkers."""
    network = decoders.decoder(np.random.default_rng(8), layers=1)
    certificate = Prover(network, task_for(network, n=3)).prove("enumerate").certificate
    fields = json.loads(certificate.to_bytes())
    fields["task"] |= change
    with pytest.raises(MalformedCertificate, match=r"^task: "):
        verify(Certificate.of_fields(fields), network)
    (tmp_path / "p").write_text(json.dumps(fields))
    (tmp_path / "m").write_bytes(save(dict(network.tensors)))
    assert checking.main([str(tmp_path / "p"), str(tmp_path / "m")]) == 2


def test_weights_of_many_digits(tmp_path: Path) -> None:
    """Are read by both checkers, where they are small enough to be multiplied."""
    network = decoders.decoder(np.random.default_rng(8), layers=1)
    weights = [2**61, *[1] * 2]
    task = task_for(network, n=1, v=3, prefix=[0] * (network.n_ctx - 1), weights=weights)
    certificate = Prover(network, task).prove("enumerate").certificate
    assert certificate.total == 2**61 + 2
    certificate.save(tmp_path / "p")
    (tmp_path / "m").write_bytes(save(dict(network.tensors)))
    assert checking.main([str(tmp_path / "p"), str(tmp_path / "m")]) == 0
    with pytest.raises(ValueError, match="each of at most 19 digits"):
        Sequences.of_record(task.record | {"weights": "9" * 20 + " 1 1"})


def test_tasks_that_are_none() -> None:
    """Are refused in words."""
    table = Table(np.arange(4))
    for name, more, words in (
        (TABLE, {}, "belongs to the task"),
        ("max", {"table": table, "n": 1, "v": 4}, "belongs to the task"),
        (TABLE, {"table": table, "n": 3}, "the table has 4 labels; 3 tokens out of 2 need 2^3"),
        (TABLE, {"table": table, "k": 1}, "k is 1"),
        ("max", {"inputs": "distinct", "n": 3}, "there are no inputs"),
        ("max", {"inputs": "sorted"}, "inputs is sorted; expected all, distinct, ascending"),
        ("max", {"weights": (1,)}, "there are 1 weights; expected 2"),
        ("max", {"weights": (1, -1)}, "from 0 on"),
        ("max", {"weights": (0, 0)}, "there are no inputs, or all of them count 0"),
        ("max", {"weights": (2**30, 2**30)}, "below 2^62"),
    ):
        given: dict[str, Any] = {"n": 2, "v": 2, "configuration": PLAIN} | more
        with pytest.raises(ValueError, match=words.replace("^", r"\^")):
            Sequences(name, **given)


def test_labels_beyond_the_outputs() -> None:
    """A table of such is not about the network."""
    network = decoders.decoder(np.random.default_rng(9), layers=1)
    with pytest.raises(ValueError, match="its labels are 0 to 4, the model's outputs 0 to 3"):
        task_for(network, table=LabelTable.of(lambda x: max(x) + 1, 4, 4))


def test_tables_of_functions(tmp_path: Path) -> None:
    """Are in lexicographic order, and come back from a file; the hash is that of the labels as int64."""
    table = LabelTable.of(lambda x: None if x[0] == x[1] else x[0] * 10 + x[1], 3, 2)
    assert table.labels.tolist() == [-1, 1, 2, 10, -1, 12, 20, 21, -1]
    table.save(tmp_path / "t.safetensors")
    assert LabelTable.load(tmp_path / "t.safetensors") == table
    for dtype in tables.TYPES.values():
        if dtype.kind == "i":
            data = save({"labels": table.labels.reshape(3, 3).astype(dtype)})
            assert Table.from_bytes(data).sha256 == table.sha256
    assert Table(np.array([0, 1], np.uint64)).sha256 == Table(np.array([0, 1], np.int8)).sha256
    assert not table.labels.flags.writeable
    for label in (lambda x: -1, lambda x: 1.5, lambda x: "a", lambda x: 2**31):
        with pytest.raises(ValueError, match="expected an integer from 0, or None"):
            LabelTable.of(label, 2, 2)  # type: ignore[arg-type]
    for v, n in ((2, 27), (0, 1), (1, 0)):
        with pytest.raises(ValueError, match="a table has from 1 to 2"):
            LabelTable.of(max, v, n)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"labels": np.array([0.0, 1.0])}, "labels of type F64"),
        ({"label": np.array([0, 1])}, "label of type I64"),
        ({"labels": np.array([0, 1]), "more": np.array([0])}, "more of type I64"),
        ({"labels": np.array([-2, 1])}, "found -2 to 1"),
        ({"labels": np.array([-1, -1])}, "found -1 to -1"),
        ({"labels": np.array([2**63], np.uint64)}, "found 9223372036854775808"),
        ({"labels": np.zeros(0, np.int64)}, "found 0 of type int64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_are_none(tensors: dict[str, Any], words: str, tmp_path: Path, capsys: Any) -> None:
    """Are refused with exit code 2 and one line, by both checkers."""
    path, model = tmp_path / "t.safetensors", tmp_path / "m.safetensors"
    model.write_bytes(save(dict(decoders.decoder(np.random.default_rng(9), layers=1, biased=True).tensors)))
    path.write_bytes(save(tensors))
    with pytest.raises(ValueError, match=words):
        LabelTable.load(path)
    assert __main__.run(["prove", str(model), "--task", f"table:{path}", "--strategy", "enumerate"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(reading.Malformed):
        reading.read_labels(path.read_bytes())


def test_on_the_command_line(tmp_path: Path, capsys: Any) -> None:
    """A table, proved and verified with its file; without it, or with another, there is no verdict."""
    rng = np.random.default_rng(10)
    network = decoders.decoder(rng, Configuration(3.0**0.5), layers=1)
    model, proof, mine, other = (tmp_path / name for name in ("m.safetensors", "p.json", "mine", "other"))
    model.write_bytes(save(dict(network.tensors)))
    LabelTable.of(lambda x: None if sum(x) % 5 == 0 else sum(x) % 5 - 1, 4, 3).save(mine)
    LabelTable.of(lambda x: sum(x) % 4, 4, 3).save(other)
    asked = ("--length", "3", "--weights", "1 2 0 5", "--inputs", "distinct", "--strategy", "enumerate")
    assert __main__.run(["prove", str(model), "--task", f"table:{mine}", *asked, "--out", str(proof)]) == 0
    out, err = capsys.readouterr()
    assert "table of 3 distinct tokens out of 4" in out
    assert "inputs that count" in out
    assert "does not seem to do this task" in err
    for given, code, words in (
        (("--table", str(mine)), 0, "by their weights"),
        (("--table", str(other), "--table", str(mine)), 0, "accepted"),
        ((), 2, "refused: its labels are those of the table"),
        (("--table", str(other)), 2, "; the tables given are"),
        (("--table", str(model)), 2, "a table has one tensor named labels"),
    ):
        assert __main__.run(["verify", str(proof), str(model), *given]) == code
        said = "".join(capsys.readouterr())
        assert words in said
    assert __main__.run(["show", str(proof)]) == 0
    for wrong in (("--task", "table"), ("--task", "max:x"), ("--task", "table:nowhere"), ("--weights", "-1 2 3 4")):
        assert __main__.run(["prove", str(model), *wrong, "--strategy", "enumerate"]) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_guesses_of_distributions() -> None:
    """The share of inputs on which a network does the task is by weights, and by what is an input."""
    rng = np.random.default_rng(11)
    for _ in range(6):
        network = decoders.decoder(rng, PLAIN, layers=1)
        task = some_task(rng)
        share = guesses.shares(network, task)[task.name]
        decided = every_input.decide(Workspace(Problem(network, task)))
        assert share == pytest.approx(decided.right / task.total)
    many = Sequences("max", 3, 60, PLAIN, inputs="distinct", read_out=2)
    large = decoders.decoder(rng, PLAIN, layers=1, v=60, o=60)
    assert "does not seem to do this task" in str(guesses.warning(large, many))
    assert set(NAMES) == {*RULES, TABLE}
